//! Several events, or the values of a property, by date (event-breakdown reference).

use jiff::civil::Date;
use serde::Serialize;

use super::series::{self, Counted, Series};
use super::{MOST_SEGMENTS, check_text, invalid};
use crate::amount::Amount;
use crate::api::ApiRequest;
use crate::client::Client;
use crate::days;
use crate::discovery::UnknownName;
use crate::error::Result;
use crate::table::Tabular;
use crate::words::{CountType, TimeUnit};

/// How often each of several events happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventCountsQuery {
    /// The events, exact and case-sensitive.
    pub events: Vec<String>,
    /// The first day, in the project's time zone.
    pub from: Date,
    /// The last day, included.
    pub to: Date,
    /// How events are counted; each one unless set.
    pub count: CountType,
    /// The length of a bucket; a day unless set.
    pub unit: TimeUnit,
}

impl EventCountsQuery {
    /// Each day of a range.
    pub fn new(events: impl IntoIterator<Item = impl Into<String>>, from: Date, to: Date) -> Self {
        let events = events.into_iter().map(Into::into).collect();
        Self { events, from, to, count: CountType::General, unit: TimeUnit::Day }
    }
}

/// How often events happened, by event and date.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventCountsResult {
    /// The events, in the order given.
    pub events: Vec<String>,
    /// The first day.
    pub from_date: Date,
    /// The last day.
    pub to_date: Date,
    /// The length of a bucket.
    pub unit: TimeUnit,
    /// How events were counted.
    #[serde(rename = "type")]
    pub count: CountType,
    /// The sum of all numbers; none for averages.
    pub total: Option<Amount>,
    /// What `total` is a sum of.
    pub total_of: Option<String>,
    /// By event, and then by date.
    pub series: Series,
    /// Events asked for that Mixpanel does not list; looked for where nothing was found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_names: Vec<UnknownName>,
}

impl Tabular for EventCountsResult {
    /// `date`, `event`, `count`.
    fn to_batch(&self) -> arrow::record_batch::RecordBatch {
        series::columns(&self.series, "event").finish()
    }

    fn unknown_names(&self) -> &[UnknownName] {
        &self.unknown_names
    }
}

/// How often an event happened with each value of a property.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PropertyCountsQuery {
    /// The event, exact and case-sensitive.
    pub event: String,
    /// The name of the property.
    pub property: String,
    /// The first day, in the project's time zone.
    pub from: Date,
    /// The last day, included.
    pub to: Date,
    /// How events are counted; each one unless set.
    pub count: CountType,
    /// The length of a bucket; a day unless set.
    pub unit: TimeUnit,
    /// The values wanted; the most frequent ones unless set.
    pub values: Vec<String>,
    /// The most values, 1 to 10,000. Mixpanel's own limit is 255.
    pub limit: Option<u32>,
}

impl PropertyCountsQuery {
    /// Each day of a range.
    pub fn new(event: impl Into<String>, property: impl Into<String>, from: Date, to: Date) -> Self {
        let (event, property, values) = (event.into(), property.into(), Vec::new());
        let (count, unit) = (CountType::General, TimeUnit::Day);
        Self { event, property, from, to, count, unit, values, limit: None }
    }
}

/// How often an event happened, by the value of a property and date.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PropertyCountsResult {
    /// The event.
    pub event: String,
    /// The property.
    pub property_name: String,
    /// The first day.
    pub from_date: Date,
    /// The last day.
    pub to_date: Date,
    /// The length of a bucket.
    pub unit: TimeUnit,
    /// How events were counted.
    #[serde(rename = "type")]
    pub count: CountType,
    /// The sum of all numbers; none for averages.
    pub total: Option<Amount>,
    /// What `total` is a sum of.
    pub total_of: Option<String>,
    /// By value, and then by date.
    pub series: Series,
    /// Events asked for that Mixpanel does not list; looked for where nothing was found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_names: Vec<UnknownName>,
}

impl Tabular for PropertyCountsResult {
    /// `date`, `value`, `count`.
    fn to_batch(&self) -> arrow::record_batch::RecordBatch {
        series::columns(&self.series, "value").finish()
    }

    fn unknown_names(&self) -> &[UnknownName] {
        &self.unknown_names
    }
}

fn check_hours(unit: TimeUnit, count: CountType) -> Result<()> {
    if unit == TimeUnit::Hour && count == CountType::Unique {
        return invalid("Mixpanel does not count unique users by the hour".to_owned());
    }
    Ok(())
}

impl Client {
    /// Counts several events by date.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for a question that cannot be right;
    /// those of [`Client::json`].
    pub fn event_counts(&self, query: &EventCountsQuery) -> Result<EventCountsResult> {
        let EventCountsQuery { events, from, to, count, unit } = query;
        days::check(*from, *to)?;
        check_hours(*unit, *count)?;
        if events.is_empty() {
            return invalid("no event is named".to_owned());
        }
        for event in events {
            check_text(event, "the name of an event")?;
        }
        let request = ApiRequest::query("events")
            .list("event", events)
            .param("type", count)
            .param("unit", unit)
            .param("from_date", from)
            .param("to_date", to);
        let answer: Counted = self.json(&request)?;
        let series = answer.into_series(events.iter().cloned(), *from, *to, *unit);
        let (total, total_of) = series::total(&series, *count, *unit, false);
        let nothing = |event: &&String| series.get(*event).is_none_or(series::is_nothing);
        let unknown_names = self.unknown_of(events.iter().filter(nothing).map(String::as_str));
        Ok(EventCountsResult {
            events: events.clone(),
            from_date: *from,
            to_date: *to,
            unit: *unit,
            count: *count,
            total,
            total_of,
            series,
            unknown_names,
        })
    }

    /// Counts an event by the value of a property and date.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for a question that cannot be right;
    /// those of [`Client::json`].
    pub fn property_counts(&self, query: &PropertyCountsQuery) -> Result<PropertyCountsResult> {
        let PropertyCountsQuery { event, property, from, to, count, unit, values, limit } = query;
        days::check(*from, *to)?;
        days::check_limit(*limit, MOST_SEGMENTS)?;
        check_hours(*unit, *count)?;
        check_text(event, "the name of the event")?;
        check_text(property, "the name of the property")?;
        let mut request = ApiRequest::query("events/properties")
            .param("event", event)
            .param("name", property)
            .param("type", count)
            .param("unit", unit)
            .param("from_date", from)
            .param("to_date", to)
            .maybe("limit", *limit);
        if !values.is_empty() {
            request = request.list("values", values);
        }
        let answer: Counted = self.json(&request)?;
        let series = answer.into_series(values.iter().cloned(), *from, *to, *unit);
        let (total, total_of) = series::total(&series, *count, *unit, true);
        let nothing = series.values().all(series::is_nothing);
        let unknown_names = self.unknown_of(nothing.then_some(event.as_str()));
        Ok(PropertyCountsResult {
            event: event.clone(),
            property_name: property.clone(),
            from_date: *from,
            to_date: *to,
            unit: *unit,
            count: *count,
            total,
            total_of,
            series,
            unknown_names,
        })
    }
}
