//! Saved reports of all kinds.

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::invalid;
use crate::amount::Amount;
use crate::api::ApiRequest;
use crate::client::Client;
use crate::days;
use crate::discovery::UnknownName;
use crate::error::Result;
use crate::table::{Columns, Tabular};
use crate::words::words;

words! {
    /// What kind of report is saved.
    SavedReportType, "type of report", {
        /// Insights.
        Insights = "insights",
        /// A funnel; its number is that of the funnel.
        Funnels = "funnels",
        /// Retention.
        Retention = "retention",
        /// Flows.
        Flows = "flows",
    }
}

/// The days of a saved funnel that are asked for unless told otherwise, today included.
const USUAL_DAYS: i64 = 30;

/// The answer of a saved report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SavedReportResult {
    /// The number of the report; none for one that was asked ad hoc.
    pub bookmark_id: Option<u64>,
    /// What kind it is.
    pub report_type: SavedReportType,
    /// When Mixpanel computed it, in its words.
    pub computed_at: Option<String>,
    /// The first day or moment, as Mixpanel says.
    pub from_date: Option<String>,
    /// The last day or moment, as Mixpanel says.
    pub to_date: Option<String>,
    /// What the levels of `series` are.
    pub headers: Vec<String>,
    /// The numbers, nested as `headers` says.
    pub series: Value,
    /// Events asked for that Mixpanel does not list; looked for where nothing was found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_names: Vec<UnknownName>,
}

impl Tabular for SavedReportResult {
    /// One row for each number: a column for each level (`event`, breakdowns, `date`), and `count`.
    /// Where levels are unknown they are `level_1`, `level_2`, ….
    fn to_batch(&self) -> arrow::record_batch::RecordBatch {
        let mut rows = Vec::new();
        flatten(&self.series, &mut Vec::new(), &mut rows);
        let depth = rows.iter().map(|(path, _)| path.len()).max().unwrap_or(0);
        let names = self.names(depth);
        let mut columns = Columns::new();
        for (level, name) in names.iter().enumerate() {
            let labels: Vec<&str> =
                rows.iter().map(|(path, _)| path.get(level).map_or("", String::as_str)).collect();
            columns = if name == "date" { columns.buckets(name, labels) } else { columns.text(name, labels) };
        }
        let all_numbers = rows.iter().all(|(_, value)| value.is_number());
        if all_numbers {
            let amounts = rows.iter().map(|(_, value)| Amount(value.as_f64().unwrap_or_default()));
            columns.amounts("count", amounts).finish()
        } else {
            columns.values("value", rows.iter().map(|(_, value)| *value)).finish()
        }
    }

    fn unknown_names(&self) -> &[UnknownName] {
        &self.unknown_names
    }
}

impl SavedReportResult {
    /// Whether there is nothing, as a whole or of one of the things that were counted.
    pub(crate) fn is_nothing(&self) -> bool {
        fn sum(value: &Value) -> f64 {
            match value {
                Value::Object(inner) => inner.values().map(sum).sum(),
                Value::Array(inner) => inner.iter().map(sum).sum(),
                other => other.as_f64().unwrap_or_default().abs(),
            }
        }
        fn holds_nothing(value: &Value) -> bool {
            match value {
                Value::Object(inner) => sum(value) == 0.0 || inner.values().any(holds_nothing),
                Value::Array(inner) => inner.iter().any(holds_nothing),
                _ => false,
            }
        }
        self.series.is_null() || holds_nothing(&self.series)
    }

    /// Names for the levels of the series: headers first, and the last one is the date.
    fn names(&self, depth: usize) -> Vec<String> {
        let clean = |header: &String| match header.as_str() {
            "$event" => "event".to_owned(),
            other => other.trim_start_matches('$').to_owned(),
        };
        let mut names: Vec<String> = self.headers.iter().map(clean).collect();
        if self.report_type == SavedReportType::Insights && depth == names.len() + 1 {
            names.push("date".to_owned());
        }
        if names.len() != depth {
            names = (1..=depth).map(|level| format!("level_{level}")).collect();
        }
        // A breakdown may have the name of another column.
        for place in 0..names.len() {
            if names[..place].contains(&names[place]) || names[place] == "count" {
                names[place] = format!("{}_{}", names[place], place + 1);
            }
        }
        names
    }
}

/// Objects are levels; everything else is what they lead to.
fn flatten<'a>(value: &'a Value, path: &mut Vec<String>, rows: &mut Vec<(Vec<String>, &'a Value)>) {
    match value {
        Value::Object(inner) => {
            for (key, value) in inner {
                path.push(key.clone());
                flatten(value, path, rows);
                path.pop();
            }
        }
        Value::Null if path.is_empty() => {}
        other => rows.push((path.clone(), other)),
    }
}

/// The answer of `/insights`.
#[derive(Deserialize)]
pub(crate) struct Insights {
    computed_at: Option<String>,
    date_range: Option<DateRange>,
    #[serde(default)]
    headers: Vec<String>,
    #[serde(default)]
    series: Value,
}

#[derive(Deserialize)]
struct DateRange {
    from_date: Option<String>,
    to_date: Option<String>,
}

impl Insights {
    pub(crate) fn into_result(self, bookmark_id: Option<u64>) -> SavedReportResult {
        let is = |header: &str| self.headers.iter().any(|found| found == header);
        let report_type = if is("$funnel") {
            SavedReportType::Funnels
        } else if is("$retention") {
            SavedReportType::Retention
        } else {
            SavedReportType::Insights
        };
        let range = self.date_range;
        SavedReportResult {
            bookmark_id,
            report_type,
            computed_at: self.computed_at,
            from_date: range.as_ref().and_then(|range| range.from_date.clone()),
            to_date: range.and_then(|range| range.to_date),
            headers: self.headers,
            series: sorted(self.series),
            unknown_names: Vec::new(),
        }
    }
}

/// Levels whose keys are all dates are put in order; others stay as Mixpanel ranks them.
fn sorted(value: Value) -> Value {
    let Value::Object(inner) = value else { return value };
    let is_date = |key: &String| key.get(..10).is_some_and(|start| start.parse::<Date>().is_ok());
    let mut inner: Vec<(String, Value)> =
        inner.into_iter().map(|(key, value)| (key, sorted(value))).collect();
    if inner.iter().all(|(key, _)| is_date(key)) {
        inner.sort_by(|a, b| a.0.cmp(&b.0));
    }
    Value::Object(inner.into_iter().collect())
}

impl Client {
    /// Asks a saved report. Dates are for funnels, the last 30 days unless told otherwise; other
    /// reports have theirs saved.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) for a report that is not there; those of
    /// [`Client::json`].
    pub fn query_saved_report(
        &self,
        bookmark_id: u64,
        kind: SavedReportType,
        from: Option<Date>,
        to: Option<Date>,
    ) -> Result<SavedReportResult> {
        if kind != SavedReportType::Funnels && (from.is_some() || to.is_some()) {
            return invalid(format!("dates are for saved funnels; those of {kind} are saved with it"));
        }
        match kind {
            SavedReportType::Insights => {
                let request = ApiRequest::query("insights").param("bookmark_id", bookmark_id);
                Ok(self.json::<Insights>(&request)?.into_result(Some(bookmark_id)))
            }
            SavedReportType::Funnels => {
                let to = to.unwrap_or_else(|| self.today());
                let from = from.unwrap_or_else(|| to.saturating_sub((USUAL_DAYS - 1).days()));
                days::check(from, to)?;
                let request = ApiRequest::query("funnels")
                    .param("funnel_id", bookmark_id)
                    .param("from_date", from)
                    .param("to_date", to);
                self.by_date(bookmark_id, kind, request, Some((from, to)))
            }
            SavedReportType::Retention => {
                let request = ApiRequest::query("retention").param("bookmark_id", bookmark_id);
                self.by_date(bookmark_id, kind, request, None)
            }
            SavedReportType::Flows => {
                let flows = self.query_flows(bookmark_id)?;
                Ok(SavedReportResult {
                    bookmark_id: Some(bookmark_id),
                    report_type: kind,
                    computed_at: flows.computed_at,
                    from_date: None,
                    to_date: None,
                    headers: vec!["$flows".to_owned()],
                    series: serde_json::json!({
                        "steps": flows.steps,
                        "breakdowns": flows.breakdowns,
                        "overall_conversion_rate": flows.overall_conversion_rate,
                    }),
                    unknown_names: Vec::new(),
                })
            }
        }
    }

    /// A report that answers with something for each date.
    fn by_date(
        &self,
        bookmark_id: u64,
        kind: SavedReportType,
        request: ApiRequest,
        range: Option<(Date, Date)>,
    ) -> Result<SavedReportResult> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Answer {
            Wrapped { data: BTreeMap<String, Value>, computed_at: Option<String> },
            Bare(BTreeMap<String, Value>),
        }
        let (data, computed_at) = match self.json(&request)? {
            Answer::Wrapped { data, computed_at } => (data, computed_at),
            Answer::Bare(data) => (data, None),
        };
        let first = range.map(|range| range.0.to_string()).or_else(|| data.keys().next().cloned());
        let last = range.map(|range| range.1.to_string()).or_else(|| data.keys().last().cloned());
        let header = if kind == SavedReportType::Funnels { "$funnel" } else { "$retention" };
        Ok(SavedReportResult {
            bookmark_id: Some(bookmark_id),
            report_type: kind,
            computed_at,
            from_date: first,
            to_date: last,
            headers: vec![header.to_owned()],
            series: Value::Object(data.into_iter().collect()),
            unknown_names: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(answer: Value) -> SavedReportResult {
        serde_json::from_value::<Insights>(answer).unwrap().into_result(Some(1))
    }

    fn names(result: &SavedReportResult) -> Vec<String> {
        result.to_batch().schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    #[test]
    fn levels_become_columns_and_dates_are_sorted() {
        let result = read(json!({"computed_at": "x", "headers": ["$event"],
            "date_range": {"from_date": "2020-08-31T00:00:00-07:00", "to_date": "2020-09-01T00:00:00-07:00"},
            "series": {"Logged in": {"2020-09-01T00:00:00-07:00": 2, "2020-08-31T00:00:00-07:00": 9852}}}));
        assert_eq!(names(&result), ["event", "date", "count"]);
        assert!(result.series.to_string().find("2020-08-31") < result.series.to_string().find("2020-09-01"));
        let grouped =
            read(json!({"headers": ["$event", "count"], "series": {"a": {"x": {"2020-09-01": 1}}}}));
        assert_eq!(names(&grouped), ["event", "count_2", "date", "count"]);
        let bar = read(json!({"headers": ["$event"], "series": {"a": {"all": 7}, "b": {"all": 1.5}}}));
        assert_eq!((names(&bar).len(), bar.to_batch().num_rows()), (3, 2));
        let odd = read(json!({"headers": [], "series": {"a": {"b": "text"}}}));
        assert_eq!(names(&odd), ["level_1", "level_2", "value"]);
        assert_eq!(read(json!({"headers": ["$event"], "series": {}})).to_batch().num_rows(), 0);
    }
}
