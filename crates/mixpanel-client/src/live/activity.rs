//! What some users did (activity stream reference).

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{check_text, invalid};
use crate::api::ApiRequest;
use crate::client::Client;
use crate::days;
use crate::error::{ErrorKind, Result};
use crate::table::{Columns, Tabular};

/// The days that are asked for unless told otherwise, today included.
const USUAL_DAYS: i64 = 30;

/// Something that a user did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UserEvent {
    /// The event.
    pub event: String,
    /// When; whole seconds.
    pub time: Timestamp,
    /// Who, if the answer says.
    pub distinct_id: Option<String>,
    /// Everything else that is known of it.
    pub properties: Map<String, Value>,
}

/// What some users did, by time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ActivityFeedResult {
    /// The users asked about.
    pub distinct_ids: Vec<String>,
    /// The first day.
    pub from_date: Date,
    /// The last day.
    pub to_date: Date,
    /// How many events.
    pub event_count: usize,
    /// The events, the earliest first.
    pub events: Vec<UserEvent>,
}

impl Tabular for ActivityFeedResult {
    /// `event`, `time`, `distinct_id`, and one column for each property, by name. A property whose
    /// name is taken has `properties.` before it.
    fn to_batch(&self) -> arrow::record_batch::RecordBatch {
        let events = &self.events;
        let mut columns = Columns::new()
            .text("event", events.iter().map(|event| event.event.as_str()))
            .instants("time", events.iter().map(|event| event.time))
            .maybe_text("distinct_id", events.iter().map(|event| event.distinct_id.as_deref()));
        let names: BTreeSet<&String> = events.iter().flat_map(|event| event.properties.keys()).collect();
        for name in names {
            let values = events.iter().map(|event| event.properties.get(name).unwrap_or(&Value::Null));
            let taken = matches!(name.as_str(), "event" | "time" | "distinct_id");
            let column = if taken { format!("properties.{name}") } else { name.clone() };
            columns = columns.values(&column, values);
        }
        columns.finish()
    }
}

#[derive(Deserialize)]
struct Answer {
    results: Results,
}

#[derive(Deserialize)]
struct Results {
    #[serde(default)]
    events: Vec<RawEvent>,
}

#[derive(Deserialize)]
struct RawEvent {
    event: String,
    #[serde(default)]
    properties: Map<String, Value>,
}

impl Client {
    /// Asks what some users did; in the last 30 days unless told otherwise.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](ErrorKind::InvalidRequest) for a question that cannot be right;
    /// [`UnexpectedAnswer`](ErrorKind::UnexpectedAnswer) for an event without a time; those of
    /// [`Client::json`].
    pub fn activity_feed(
        &self,
        distinct_ids: &[String],
        from: Option<Date>,
        to: Option<Date>,
    ) -> Result<ActivityFeedResult> {
        if distinct_ids.is_empty() {
            return invalid("no user is named".to_owned());
        }
        for id in distinct_ids {
            check_text(id, "the id of a user")?;
        }
        let to = to.unwrap_or_else(|| self.today());
        let from = from.unwrap_or_else(|| to.saturating_sub((USUAL_DAYS - 1).days()));
        days::check(from, to)?;
        let request = ApiRequest::query("stream/query")
            .list("distinct_ids", distinct_ids)
            .param("from_date", from)
            .param("to_date", to);
        let answer: Answer = self.json(&request)?;
        let mut events = answer.results.events.into_iter().map(event).collect::<Result<Vec<_>>>()?;
        events.sort_by_key(|event| event.time);
        let distinct_ids = distinct_ids.to_vec();
        Ok(ActivityFeedResult {
            distinct_ids,
            from_date: from,
            to_date: to,
            event_count: events.len(),
            events,
        })
    }
}

fn event(raw: RawEvent) -> Result<UserEvent> {
    let RawEvent { event, mut properties } = raw;
    let Some(time) = properties.remove("time").as_ref().and_then(instant) else {
        let (what, snippet) = ("an event without a time".to_owned(), event);
        return Err(ErrorKind::UnexpectedAnswer { what, snippet }.into());
    };
    let id = properties.remove("$distinct_id").or_else(|| properties.remove("distinct_id"));
    let distinct_id = id.and_then(|id| match id {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    });
    Ok(UserEvent { event, time, distinct_id, properties })
}

fn instant(time: &Value) -> Option<Timestamp> {
    match time.as_i64() {
        Some(seconds) => Timestamp::from_second(seconds).ok(),
        None => Timestamp::from_millisecond((time.as_f64()? * 1_000.0).round() as i64).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_ids_too_and_times_may_have_fractions() {
        let read = |properties: Value| {
            event(RawEvent { event: "e".into(), properties: properties.as_object().unwrap().clone() })
        };
        let found = read(json!({"time": 1.5, "$distinct_id": 42, "plan": "pro"})).unwrap();
        assert_eq!(found.time.as_millisecond(), 1_500);
        assert_eq!(found.distinct_id.as_deref(), Some("42"));
        assert_eq!(found.properties.len(), 1);
        assert!(matches!(read(json!({})).unwrap_err().kind(), ErrorKind::UnexpectedAnswer { .. }));
    }
}
