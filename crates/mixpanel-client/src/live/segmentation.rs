//! Events by date, and by the values of a property (segmentation reference).

use jiff::civil::Date;
use serde::Serialize;

use super::series::{self, Counted, Series};
use super::{MOST_SEGMENTS, check_given, check_text, invalid, set};
use crate::amount::Amount;
use crate::api::ApiRequest;
use crate::client::Client;
use crate::days;
use crate::discovery::UnknownName;
use crate::error::Result;
use crate::expression::breakdown;
use crate::table::Tabular;
use crate::words::{CountType, TimeUnit};

/// How often an event happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentationQuery {
    /// The event, exact and case-sensitive.
    pub event: String,
    /// The first day, in the project's time zone.
    pub from: Date,
    /// The last day, included.
    pub to: Date,
    /// A property, or an expression, to break down by.
    pub on: Option<String>,
    /// The length of a bucket; a day unless set.
    pub unit: TimeUnit,
    /// An expression that events must fulfil.
    pub where_: Option<String>,
    /// How events are counted; each one unless set.
    pub count: CountType,
    /// The most segments, 1 to 10,000; only together with `on`. Mixpanel's own limit is 60.
    pub limit: Option<u32>,
}

impl SegmentationQuery {
    /// Each day of a range.
    pub fn new(event: impl Into<String>, from: Date, to: Date) -> Self {
        let (on, where_, limit) = (None, None, None);
        let (unit, count) = (TimeUnit::Day, CountType::General);
        Self { event: event.into(), from, to, on, unit, where_, count, limit }
    }
}

/// How often an event happened, by segment and date.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SegmentationResult {
    /// The event.
    pub event: String,
    /// The first day.
    pub from_date: Date,
    /// The last day.
    pub to_date: Date,
    /// The length of a bucket.
    pub unit: TimeUnit,
    /// How events were counted.
    #[serde(rename = "type")]
    pub count: CountType,
    /// What it was broken down by, as given.
    pub segment_property: Option<String>,
    /// The sum of all numbers; none for averages.
    pub total: Option<Amount>,
    /// What `total` is a sum of.
    pub total_of: Option<String>,
    /// By segment, and then by date. Without a breakdown the segment is the event.
    pub series: Series,
    /// Events asked for that Mixpanel does not list; looked for where nothing was found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_names: Vec<UnknownName>,
}

impl Tabular for SegmentationResult {
    /// `date`, `segment`, `count`.
    fn to_batch(&self) -> arrow::record_batch::RecordBatch {
        series::columns(&self.series, "segment").finish()
    }

    fn unknown_names(&self) -> &[UnknownName] {
        &self.unknown_names
    }
}

impl Client {
    /// Counts an event by date, and by the values of a property.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for a question that cannot be right;
    /// those of [`Client::json`].
    pub fn segmentation(&self, query: &SegmentationQuery) -> Result<SegmentationResult> {
        let SegmentationQuery { event, from, to, unit, count, limit, .. } = query;
        days::check(*from, *to)?;
        days::check_limit(*limit, MOST_SEGMENTS)?;
        check_text(event, "the name of the event")?;
        check_given(&query.on, "the breakdown (`on`)")?;
        check_given(&query.where_, "the expression `where`")?;
        if *unit == TimeUnit::Hour && *count == CountType::Unique {
            return invalid("Mixpanel does not count unique users by the hour".to_owned());
        }
        let on = set(&query.on);
        if limit.is_some() && on.is_none() {
            return invalid("a limit is about segments, and nothing is broken down (`on`)".to_owned());
        }
        let request = ApiRequest::query("segmentation")
            .param("event", event)
            .param("from_date", from)
            .param("to_date", to)
            .param("unit", unit)
            .param("type", count)
            .maybe("on", on.map(breakdown))
            .maybe("where", set(&query.where_))
            .maybe("limit", *limit);
        let answer: Counted = self.json(&request)?;
        let names = if on.is_none() { Some(event.clone()) } else { None };
        let series = answer.into_series(names, *from, *to, *unit);
        let (total, total_of) = series::total(&series, *count, *unit, on.is_some());
        let nothing = series.values().all(series::is_nothing);
        let unknown_names = self.unknown_of(nothing.then_some(event.as_str()));
        Ok(SegmentationResult {
            event: event.clone(),
            from_date: *from,
            to_date: *to,
            unit: *unit,
            count: *count,
            segment_property: on.map(str::to_owned),
            total,
            total_of,
            series,
            unknown_names,
        })
    }
}
