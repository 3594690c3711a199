//! Events by a property that is a number: ranges, sums, averages (segmentation reference).

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::series::{self, Counted, Series};
use super::{check_given, check_text, check_unit, set};
use crate::amount::Amount;
use crate::api::ApiRequest;
use crate::client::Client;
use crate::days;
use crate::discovery::UnknownName;
use crate::error::Result;
use crate::expression::breakdown;
use crate::table::{Columns, Tabular};
use crate::words::{CountType, TimeUnit};

/// A question about a property that is a number.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NumericQuery {
    /// The event, exact and case-sensitive.
    pub event: String,
    /// The property, or an expression.
    pub on: String,
    /// The first day, in the project's time zone.
    pub from: Date,
    /// The last day, included.
    pub to: Date,
    /// The length of a bucket: an hour, or a day unless set.
    pub unit: TimeUnit,
    /// An expression that events must fulfil.
    pub where_: Option<String>,
    /// How events are counted in ranges; sums and averages do not look at it.
    pub count: CountType,
}

impl NumericQuery {
    /// Each day of a range.
    pub fn new(event: impl Into<String>, on: impl Into<String>, from: Date, to: Date) -> Self {
        let (unit, count) = (TimeUnit::Day, CountType::General);
        Self { event: event.into(), on: on.into(), from, to, unit, where_: None, count }
    }

    fn request(&self, path: &str) -> Result<ApiRequest> {
        days::check(self.from, self.to)?;
        check_unit(self.unit, &[TimeUnit::Hour, TimeUnit::Day], "this question")?;
        check_text(&self.event, "the name of the event")?;
        check_text(&self.on, "the name of the property (`on`)")?;
        check_given(&self.where_, "the expression `where`")?;
        Ok(ApiRequest::query(path)
            .param("event", &self.event)
            .param("from_date", self.from)
            .param("to_date", self.to)
            .param("on", breakdown(&self.on))
            .param("unit", self.unit)
            .maybe("where", set(&self.where_)))
    }
}

/// Events by ranges of a property, and date.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NumericBucketResult {
    /// The event.
    pub event: String,
    /// The first day.
    pub from_date: Date,
    /// The last day.
    pub to_date: Date,
    /// The property, or expression, as it was sent.
    pub property_expr: String,
    /// The length of a bucket of time.
    pub unit: TimeUnit,
    /// By range, such as `2,000 - 2,100` (without its upper end), and then by date.
    pub series: Series,
    /// Events asked for that Mixpanel does not list; looked for where nothing was found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_names: Vec<UnknownName>,
}

impl Tabular for NumericBucketResult {
    /// `date`, `bucket`, `count`.
    fn to_batch(&self) -> arrow::record_batch::RecordBatch {
        series::columns(&self.series, "bucket").finish()
    }

    fn unknown_names(&self) -> &[UnknownName] {
        &self.unknown_names
    }
}

/// Sums of a property by date.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NumericSumResult {
    /// The event.
    pub event: String,
    /// The first day.
    pub from_date: Date,
    /// The last day.
    pub to_date: Date,
    /// The property, or expression, as it was sent.
    pub property_expr: String,
    /// The length of a bucket.
    pub unit: TimeUnit,
    /// By date. What is not a number counts as 0.
    pub results: BTreeMap<String, Amount>,
    /// When Mixpanel computed it, in its words.
    pub computed_at: Option<String>,
    /// Events asked for that Mixpanel does not list; looked for where nothing was found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_names: Vec<UnknownName>,
}

impl Tabular for NumericSumResult {
    /// `date`, `sum`.
    fn to_batch(&self) -> arrow::record_batch::RecordBatch {
        Columns::new()
            .buckets("date", self.results.keys().map(String::as_str))
            .number("sum", self.results.values().map(|sum| Some(sum.0)))
            .finish()
    }

    fn unknown_names(&self) -> &[UnknownName] {
        &self.unknown_names
    }
}

/// Averages of a property by date.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NumericAverageResult {
    /// The event.
    pub event: String,
    /// The first day.
    pub from_date: Date,
    /// The last day.
    pub to_date: Date,
    /// The property, or expression, as it was sent.
    pub property_expr: String,
    /// The length of a bucket.
    pub unit: TimeUnit,
    /// By date; none for a date without events, which has no average.
    pub results: BTreeMap<String, Option<Amount>>,
    /// When Mixpanel computed it, in its words.
    pub computed_at: Option<String>,
    /// Events asked for that Mixpanel does not list; looked for where nothing was found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_names: Vec<UnknownName>,
}

impl Tabular for NumericAverageResult {
    /// `date`, `average`.
    fn to_batch(&self) -> arrow::record_batch::RecordBatch {
        Columns::new()
            .buckets("date", self.results.keys().map(String::as_str))
            .number("average", self.results.values().map(|average| average.map(|average| average.0)))
            .finish()
    }

    fn unknown_names(&self) -> &[UnknownName] {
        &self.unknown_names
    }
}

#[derive(Deserialize)]
struct ByDate {
    results: BTreeMap<String, Option<Amount>>,
    computed_at: Option<String>,
}

fn is_nothing(results: &BTreeMap<String, Option<Amount>>) -> bool {
    results.values().flatten().all(|figure| figure.0 == 0.0)
}

impl ByDate {
    /// Adds the days of the range that are missing.
    fn filled(mut self, query: &NumericQuery) -> Self {
        if query.unit == TimeUnit::Day {
            for day in days::each(query.from, query.to) {
                self.results.entry(day.to_string()).or_default();
            }
        }
        self
    }
}

impl Client {
    /// Counts an event by ranges of a property that is a number, and date.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for a question that cannot be right;
    /// those of [`Client::json`].
    pub fn segmentation_numeric(&self, query: &NumericQuery) -> Result<NumericBucketResult> {
        let request = query.request("segmentation/numeric")?.param("type", query.count);
        let answer: Counted = self.json(&request)?;
        let series = answer.into_series([], query.from, query.to, query.unit);
        let nothing = series.values().all(series::is_nothing);
        Ok(NumericBucketResult {
            event: query.event.clone(),
            from_date: query.from,
            to_date: query.to,
            property_expr: breakdown(&query.on),
            unit: query.unit,
            series,
            unknown_names: self.unknown_of(nothing.then_some(query.event.as_str())),
        })
    }

    /// Adds a property up, by date.
    ///
    /// # Errors
    ///
    /// As [`segmentation_numeric`](Self::segmentation_numeric).
    pub fn segmentation_sum(&self, query: &NumericQuery) -> Result<NumericSumResult> {
        let answer: ByDate = self.json(&query.request("segmentation/sum")?)?;
        let ByDate { results, computed_at } = answer.filled(query);
        Ok(NumericSumResult {
            event: query.event.clone(),
            from_date: query.from,
            to_date: query.to,
            property_expr: breakdown(&query.on),
            unit: query.unit,
            unknown_names: self.unknown_of(is_nothing(&results).then_some(query.event.as_str())),
            results: results.into_iter().map(|(date, sum)| (date, sum.unwrap_or_default())).collect(),
            computed_at,
        })
    }

    /// Averages a property, by date.
    ///
    /// # Errors
    ///
    /// As [`segmentation_numeric`](Self::segmentation_numeric).
    pub fn segmentation_average(&self, query: &NumericQuery) -> Result<NumericAverageResult> {
        let answer: ByDate = self.json(&query.request("segmentation/average")?)?;
        let ByDate { results, computed_at } = answer.filled(query);
        Ok(NumericAverageResult {
            event: query.event.clone(),
            from_date: query.from,
            to_date: query.to,
            property_expr: breakdown(&query.on),
            unit: query.unit,
            unknown_names: self.unknown_of(is_nothing(&results).then_some(query.event.as_str())),
            results,
            computed_at,
        })
    }
}
