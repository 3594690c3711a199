//! The parts of an exported line that the server must understand, borrowed from the line.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::value::RawValue;

/// An event without its properties' values, except those that identify it.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) event: Cow<'a, str>,
    pub(crate) properties: &'a RawValue,
    pub(crate) time: Option<&'a RawValue>,
    pub(crate) distinct_id: Option<&'a RawValue>,
    pub(crate) insert_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    properties: &'a RawValue,
}

#[derive(Deserialize)]
struct Inner<'a> {
    #[serde(borrow)]
    time: Option<&'a RawValue>,
    #[serde(borrow)]
    distinct_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "$insert_id")]
    insert_id: Option<&'a RawValue>,
}

impl<'a> Line<'a> {
    pub(crate) fn parse(line: &'a [u8]) -> Result<Line<'a>, serde_json::Error> {
        let Outer { event, properties } = serde_json::from_slice(line)?;
        let Inner { time, distinct_id, insert_id } = serde_json::from_str(properties.get())?;
        Ok(Line { event, properties, time, distinct_id, insert_id })
    }

    /// Only the name of the event, which is cheaper.
    pub(crate) fn event_name(line: &'a [u8]) -> Result<Cow<'a, str>, serde_json::Error> {
        serde_json::from_slice::<Outer<'a>>(line).map(|outer| outer.event)
    }

    /// By what Mixpanel tells events apart: the four together. An event that came without an insert
    /// id takes no part in that, and has none.
    pub(crate) fn identity(&self) -> Option<(&str, &str, &str, &str)> {
        let text = |value: Option<&'a RawValue>| value.map_or("", RawValue::get);
        let id = self.insert_id.map(RawValue::get).filter(|id| !matches!(*id, "null" | "\"\""))?;
        Some((&self.event, text(self.time), text(self.distinct_id), id))
    }

    /// The date of the event's time, read as UTC; seconds or milliseconds.
    pub(crate) fn date(&self) -> Option<Date> {
        let number: f64 = self.time.as_ref()?.get().parse().ok()?;
        let ms = if number.abs() >= 1e11 { number } else { number * 1000.0 };
        let instant = Timestamp::from_millisecond(ms as i64).ok()?;
        Some(instant.to_zoned(TimeZone::UTC).date())
    }
}
