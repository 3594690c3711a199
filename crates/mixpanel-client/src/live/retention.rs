//! Who comes back (retention reference).

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{MOST_SEGMENTS, check_given, check_unit, invalid, set};
use crate::api::ApiRequest;
use crate::client::Client;
use crate::days;
use crate::discovery::UnknownName;
use crate::error::Result;
use crate::expression::breakdown;
use crate::table::{Columns, Tabular};
use crate::words::{TimeUnit, words};

words! {
    /// Whom a cohort consists of.
    RetentionKind, "type of retention", {
        /// Users who did the first event for the first time.
        Birth = "birth",
        /// Users who did the event at all.
        Compounded = "compounded",
    }
}

/// The longest interval, in days.
const LONGEST: u32 = 90;

/// Who of those that did one event did another one later.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetentionQuery {
    /// The event that makes a user part of a cohort; `birth` needs it.
    pub born_event: Option<String>,
    /// The event that counts as coming back; any event unless set.
    pub return_event: Option<String>,
    /// The first day of cohorts, in the project's time zone.
    pub from: Date,
    /// The last day, included.
    pub to: Date,
    /// An expression that the first event must fulfil.
    pub born_where: Option<String>,
    /// An expression that the second event must fulfil.
    pub return_where: Option<String>,
    /// The length of a period: day (unless set), week or month. Not together with `interval`.
    pub unit: Option<TimeUnit>,
    /// The length of a period in days, 1 to 90. Not together with `unit`.
    pub interval: Option<u32>,
    /// How many periods there are after the first.
    pub interval_count: u32,
    /// Whom cohorts consist of.
    pub kind: RetentionKind,
    /// Whether coming back later counts for all periods before it.
    pub unbounded: bool,
    /// A property, or an expression, to break down by.
    pub on: Option<String>,
    /// The most segments, 1 to 10,000; only together with `on`.
    pub limit: Option<u32>,
}

impl RetentionQuery {
    /// Users who did `born` for the first time and then `back`, by days, ten periods.
    pub fn new(born: impl Into<String>, back: impl Into<String>, from: Date, to: Date) -> Self {
        Self {
            born_event: Some(born.into()),
            return_event: Some(back.into()),
            from,
            to,
            born_where: None,
            return_where: None,
            unit: None,
            interval: None,
            interval_count: 10,
            kind: RetentionKind::Birth,
            unbounded: false,
            on: None,
            limit: None,
        }
    }

    fn check(&self) -> Result<()> {
        days::check(self.from, self.to)?;
        days::check_limit(self.limit, MOST_SEGMENTS)?;
        if let (Some(unit), Some(interval)) = (self.unit, self.interval) {
            return invalid(format!(
                "retention has either a unit ({unit}) or an interval ({interval} days), not both: Mixpanel refuses them together"
            ));
        }
        if let Some(unit) = self.unit {
            check_unit(unit, &[TimeUnit::Day, TimeUnit::Week, TimeUnit::Month], "retention")?;
        }
        if let Some(interval) = self.interval.filter(|interval| !(1..=LONGEST).contains(interval)) {
            return invalid(format!("the interval of {interval} days is not between 1 and {LONGEST}"));
        }
        if self.interval_count == 0 {
            return invalid("retention needs at least one period".to_owned());
        }
        if self.kind == RetentionKind::Birth && set(&self.born_event).is_none() {
            return invalid("retention of type birth needs the event that cohorts begin with".to_owned());
        }
        check_given(&self.born_event, "the name of the event that cohorts begin with")?;
        check_given(&self.born_where, "the expression for first events")?;
        check_given(&self.return_where, "the expression for returns")?;
        check_given(&self.on, "the breakdown (`on`)")?;
        check_given(&self.return_event, "the name of the event to come back with")?;
        if self.limit.is_some() && set(&self.on).is_none() {
            return invalid("a limit is about segments, and nothing is broken down (`on`)".to_owned());
        }
        Ok(())
    }
}

/// Those who began on one date.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CohortInfo {
    /// When the period began.
    pub date: String,
    /// How many users.
    pub size: u64,
    /// How many of them came back in each period; the first one is the one in which they began.
    pub counts: Vec<u64>,
    /// The same as parts of `size`; 0 for an empty cohort.
    pub retention: Vec<f64>,
}

/// Who came back.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RetentionResult {
    /// The event that cohorts begin with.
    pub born_event: Option<String>,
    /// The event that counts as coming back.
    pub return_event: Option<String>,
    /// The first day of cohorts.
    pub from_date: Date,
    /// The last day of cohorts.
    pub to_date: Date,
    /// The unit of periods.
    pub unit: TimeUnit,
    /// How many units a period has.
    pub interval: u32,
    /// What it was broken down by, as given.
    pub segment_property: Option<String>,
    /// By date, over all segments; empty with a breakdown, unless Mixpanel gives it.
    pub cohorts: Vec<CohortInfo>,
    /// By segment, and then by date; empty without a breakdown.
    pub segments: BTreeMap<String, Vec<CohortInfo>>,
    /// Events asked for that Mixpanel does not list; looked for where nothing was found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_names: Vec<UnknownName>,
}

impl Tabular for RetentionResult {
    /// `cohort_date`, `cohort_size`, `period_0`, `period_1`, … as parts of the size; with a
    /// breakdown, `segment` before them.
    fn to_batch(&self) -> arrow::record_batch::RecordBatch {
        let mut rows: Vec<(&str, &CohortInfo)> = Vec::new();
        if self.segments.is_empty() {
            rows.extend(self.cohorts.iter().map(|cohort| ("", cohort)));
        }
        for (segment, cohorts) in &self.segments {
            rows.extend(cohorts.iter().map(|cohort| (&**segment, cohort)));
        }
        let mut columns = Columns::new();
        if self.segment_property.is_some() {
            columns = columns.text("segment", rows.iter().map(|row| row.0));
        }
        columns = columns
            .buckets("cohort_date", rows.iter().map(|row| row.1.date.as_str()))
            .count("cohort_size", rows.iter().map(|row| row.1.size));
        let periods = rows.iter().map(|row| row.1.retention.len()).max().unwrap_or(0);
        for period in 0..periods {
            let parts = rows.iter().map(|row| row.1.retention.get(period).copied());
            columns = columns.number(&format!("period_{period}"), parts);
        }
        columns.finish()
    }

    fn unknown_names(&self) -> &[UnknownName] {
        &self.unknown_names
    }
}

#[derive(Deserialize)]
struct Cohort {
    counts: Vec<u64>,
    #[serde(default)]
    first: u64,
}

/// A cohort, or cohorts by segment (or by date, where segments come first).
#[derive(Deserialize)]
#[serde(untagged)]
enum Node {
    Leaf(Cohort),
    Branch(BTreeMap<String, Cohort>),
}

impl Client {
    /// Asks who came back, by the date on which they began.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for a question that cannot be right;
    /// those of [`Client::json`].
    pub fn retention(&self, query: &RetentionQuery) -> Result<RetentionResult> {
        query.check()?;
        let mut request = ApiRequest::query("retention")
            .param("from_date", query.from)
            .param("to_date", query.to)
            .param("retention_type", query.kind)
            .maybe("born_event", set(&query.born_event))
            .maybe("event", set(&query.return_event))
            .maybe("born_where", set(&query.born_where))
            .maybe("where", set(&query.return_where))
            .param("interval_count", query.interval_count)
            .maybe("on", set(&query.on).map(breakdown))
            .maybe("limit", query.limit);
        request = match query.interval {
            Some(interval) => request.param("interval", interval),
            None => request.param("unit", query.unit.unwrap_or(TimeUnit::Day)),
        };
        if query.unbounded {
            request = request.param("unbounded_retention", true);
        }
        let answer: BTreeMap<String, Node> = self.json(&request)?;
        let mut result = result(query, answer);
        let cohorts = result.cohorts.iter().chain(result.segments.values().flatten());
        if cohorts.clone().flat_map(|cohort| &cohort.counts).all(|count| *count == 0) {
            let nobody = cohorts.map(|cohort| cohort.size).sum::<u64>() == 0;
            let born = query.born_event.as_deref().filter(|_| nobody);
            result.unknown_names = self.unknown_of(born.into_iter().chain(query.return_event.as_deref()));
        }
        Ok(result)
    }
}

fn result(query: &RetentionQuery, answer: BTreeMap<String, Node>) -> RetentionResult {
    let mut cohorts = BTreeMap::new();
    let mut segments: BTreeMap<String, BTreeMap<String, Cohort>> = BTreeMap::new();
    for (outer, node) in answer {
        match node {
            Node::Leaf(cohort) => {
                cohorts.insert(outer, cohort);
            }
            Node::Branch(inner) => {
                for (key, cohort) in inner {
                    // Dates come first as documented; where segments do, the keys within are dates.
                    let (date, segment) = if outer.parse::<Date>().is_ok() {
                        (outer.clone(), key)
                    } else {
                        (key, outer.clone())
                    };
                    if segment == "$overall" {
                        cohorts.insert(date, cohort);
                    } else {
                        segments.entry(segment).or_default().insert(date, cohort);
                    }
                }
            }
        }
    }
    let finish = |cohorts: BTreeMap<String, Cohort>| cohorts.into_iter().map(finished).collect();
    RetentionResult {
        born_event: query.born_event.clone(),
        return_event: query.return_event.clone(),
        from_date: query.from,
        to_date: query.to,
        unit: query.unit.unwrap_or(TimeUnit::Day),
        interval: query.interval.unwrap_or(1),
        segment_property: set(&query.on).map(str::to_owned),
        cohorts: finish(cohorts),
        segments: segments.into_iter().map(|(segment, cohorts)| (segment, finish(cohorts))).collect(),
        unknown_names: Vec::new(),
    }
}

fn finished((date, cohort): (String, Cohort)) -> CohortInfo {
    let Cohort { counts, first: size } = cohort;
    let part = |count: &u64| if size == 0 { 0.0 } else { *count as f64 / size as f64 };
    CohortInfo { date, size, retention: counts.iter().map(part).collect(), counts }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use serde_json::{Value, json};

    fn query() -> RetentionQuery {
        RetentionQuery::new("Sign Up", "Login", date(2024, 1, 1), date(2024, 1, 2))
    }

    fn read(query: &RetentionQuery, answer: Value) -> RetentionResult {
        result(query, serde_json::from_value(answer).unwrap())
    }

    #[test]
    fn cohorts_are_sorted_and_empty_ones_divide_by_nothing() {
        let answer = json!({"2024-01-02": {"counts": [0, 0], "first": 0}, "2024-01-01": {"counts": [4, 2, 1], "first": 4}});
        let result = read(&query(), answer);
        assert_eq!(result.cohorts[0].retention, [1.0, 0.5, 0.25]);
        assert_eq!(result.cohorts[1].retention, [0.0, 0.0]);
        let batch = result.to_batch();
        let names: Vec<String> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["cohort_date", "cohort_size", "period_0", "period_1", "period_2"]);
        assert_eq!(batch.column(4).null_count(), 1, "a period that has not come yet");
        assert_eq!(read(&query(), json!({})).to_batch().num_rows(), 0);
    }

    #[test]
    fn segments_may_come_within_dates_or_around_them() {
        let mut query = query();
        query.on = Some("plan".into());
        let cohort = json!({"counts": [1], "first": 2});
        let within = json!({"2024-01-01": {"free": cohort, "pro": cohort}, "2024-01-02": {"free": cohort}});
        let around =
            json!({"free": {"2024-01-01": cohort, "2024-01-02": cohort}, "pro": {"2024-01-01": cohort}});
        let result = read(&query, within);
        assert_eq!(result, read(&query, around));
        assert_eq!((result.segments["free"].len(), result.to_batch().num_rows()), (2, 3));
    }

    #[test]
    fn a_unit_and_an_interval_exclude_each_other() {
        let mut both = query();
        (both.unit, both.interval) = (Some(TimeUnit::Week), Some(7));
        let error = both.check().unwrap_err().to_string();
        assert!(error.contains("either a unit (week) or an interval (7 days)"), "{error}");
        both.unit = None;
        both.check().unwrap();
        both.interval = Some(91);
        both.check().unwrap_err();
        let mut hours = query();
        hours.unit = Some(TimeUnit::Hour);
        assert!(hours.check().unwrap_err().to_string().contains("day or week or month, not hour"));
    }
}
