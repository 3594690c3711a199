//! Figures over profiles (`/engage/stats`, which Mixpanel does not document).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{check_given, check_text, invalid, set};
use crate::api::ApiRequest;
use crate::client::Client;
use crate::error::Result;
use crate::expression::breakdown;
use crate::table::{Columns, Tabular};

/// What to compute.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum StatsAction {
    /// How many profiles.
    Count,
    /// The largest and the smallest value of a property.
    Extremes(String),
    /// A percentile, above 0 and up to 100, of a property.
    Percentile(String, f64),
    /// Count, mean, variance and sum of squares of a property.
    NumericSummary(String),
}

impl StatsAction {
    fn check(&self) -> Result<()> {
        match self {
            Self::Count => Ok(()),
            Self::Percentile(_, part) if !(*part > 0.0 && *part <= 100.0) => {
                invalid(format!("the percentile {part} is not above 0 and up to 100"))
            }
            Self::Extremes(property) | Self::Percentile(property, _) | Self::NumericSummary(property) => {
                check_text(property, "the name of the property")
            }
        }
    }

    fn expression(&self) -> String {
        match self {
            Self::Count => "count()".to_owned(),
            Self::Extremes(property) => format!("extremes({})", breakdown(property)),
            Self::Percentile(property, part) => format!("percentile({}, {part})", breakdown(property)),
            Self::NumericSummary(property) => format!("numeric_summary({})", breakdown(property)),
        }
    }
}

/// A question about all profiles, or those that fulfil a condition.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EngageStatsQuery {
    /// What to compute.
    pub action: StatsAction,
    /// An expression that profiles must fulfil.
    pub where_: Option<String>,
    /// Only those in this cohort.
    pub cohort_id: Option<u64>,
    /// Computes it for each of these cohorts.
    pub by_cohorts: Vec<u64>,
    /// Groups of this kind, rather than users.
    pub group_id: Option<String>,
    /// As of this moment, in seconds since 1970.
    pub as_of_timestamp: Option<i64>,
    /// Whether users without a profile count, with a cohort.
    pub include_all_users: bool,
}

impl EngageStatsQuery {
    /// All profiles.
    pub fn new(action: StatsAction) -> Self {
        Self {
            action,
            where_: None,
            cohort_id: None,
            by_cohorts: Vec::new(),
            group_id: None,
            as_of_timestamp: None,
            include_all_users: false,
        }
    }
}

/// A figure over profiles, or several.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EngageStatsResult {
    /// What was computed, in Mixpanel's words.
    pub action: String,
    /// The number, or an object of numbers; by cohort (`cohort_123`) where that was asked.
    pub results: Value,
    /// When Mixpanel computed it, in its words.
    pub computed_at: Option<String>,
}

impl Tabular for EngageStatsResult {
    /// `metric`, `value`: one row for each number.
    fn to_batch(&self) -> arrow::record_batch::RecordBatch {
        let mut rows: Vec<(String, &Value)> = Vec::new();
        match &self.results {
            Value::Object(figures) => {
                for (name, figure) in figures {
                    match figure {
                        Value::Object(inner) => {
                            rows.extend(inner.iter().map(|(key, value)| (format!("{name}.{key}"), value)));
                        }
                        other => rows.push((name.clone(), other)),
                    }
                }
            }
            Value::Null => {}
            figure => rows.push((self.action.clone(), figure)),
        }
        Columns::new()
            .text("metric", rows.iter().map(|row| row.0.as_str()))
            .values("value", rows.iter().map(|row| row.1))
            .finish()
    }
}

impl Client {
    /// Computes a figure over profiles.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for a question that cannot be right;
    /// those of [`Client::json`].
    pub fn engage_stats(&self, query: &EngageStatsQuery) -> Result<EngageStatsResult> {
        #[derive(Deserialize)]
        struct Answer {
            results: Value,
            computed_at: Option<String>,
        }
        query.action.check()?;
        check_given(&query.where_, "the expression `where`")?;
        if query.include_all_users && query.cohort_id.is_none() {
            return invalid("users without a profile are only known with a cohort".to_owned());
        }
        let action = query.action.expression();
        let mut fields = vec![("action".to_owned(), action.clone())];
        let mut field = |name: &str, value: Option<String>| {
            fields.extend(value.map(|value| (name.to_owned(), value)));
        };
        field("selector", set(&query.where_).map(str::to_owned));
        field("data_group_id", query.group_id.clone());
        field("as_of_timestamp", query.as_of_timestamp.map(|at| at.to_string()));
        if let Some(id) = query.cohort_id {
            field("filter_by_cohort", Some(json!({ "id": id }).to_string()));
            field("include_all_users", Some(query.include_all_users.to_string()));
        }
        if !query.by_cohorts.is_empty() {
            let cohorts: serde_json::Map<String, Value> =
                query.by_cohorts.iter().map(|id| (id.to_string(), true.into())).collect();
            field("segment_by_cohorts", Some(Value::Object(cohorts).to_string()));
        }
        let Answer { results, computed_at } = self.json(&ApiRequest::engage("stats").post_form(fields))?;
        Ok(EngageStatsResult { action, results, computed_at })
    }
}
