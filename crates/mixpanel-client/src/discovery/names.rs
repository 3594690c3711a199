//! Events, their properties and values (event-breakdown reference).

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::suggest::similar;
use crate::amount::Amount;
use crate::api::ApiRequest;
use crate::client::Client;
use crate::days::check_limit;
use crate::error::{Error, ErrorKind, Result};
use crate::table::{Columns, Rows};
use crate::words::CountType;

/// The most names that Mixpanel lists.
pub(super) const MOST_NAMES: u32 = 5_000;

/// The most values that are asked for, as with other lists of values.
const MOST_VALUES: u32 = 10_000;

/// The first day that `/events/names` accepts.
const FIRST_DAY: Date = date(2000, 1, 1);

/// An event of today, and how it compares to yesterday.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TopEvent {
    /// Its name.
    pub event: String,
    /// Its number today.
    pub count: Amount,
    /// The change against yesterday: 0.5 is half as much again.
    pub percent_change: Option<f64>,
}

impl Rows for TopEvent {
    fn columns(rows: &[Self]) -> Columns {
        Columns::new()
            .text("event", rows.iter().map(|row| row.event.as_str()))
            .amounts("count", rows.iter().map(|row| row.count))
            .number("percent_change", rows.iter().map(|row| row.percent_change))
    }
}

impl Client {
    /// The names of all events, up to 5,000, sorted. Kept until the cache is cleared.
    ///
    /// By itself Mixpanel names the events of the last 31 days, so all days are asked for; if the
    /// plan's history or the server does not allow that, it is the last 31 days after all, at the
    /// cost of a second query.
    ///
    /// # Errors
    ///
    /// Those of [`Client::json`].
    pub fn events(&self) -> Result<Vec<String>> {
        self.known.get_or("events", || {
            let recent = ApiRequest::query("events/names")
                .param("type", CountType::General)
                .param("limit", MOST_NAMES);
            let all = recent.clone().param("from_date", FIRST_DAY).param("to_date", self.today());
            let mut names: Vec<String> = match self.json(&all) {
                Err(error)
                    if matches!(error.kind(), ErrorKind::BadRequest { .. } | ErrorKind::Forbidden { .. }) =>
                {
                    self.json(&recent)?
                }
                answer => answer?,
            };
            names.sort();
            names.dedup();
            Ok(names)
        })
    }

    /// The names of all properties of an event, sorted. Kept until the cache is cleared.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::EventNotFound`] with names that are like it; those of [`Client::json`].
    pub fn properties(&self, event: &str) -> Result<Vec<String>> {
        self.known.get_or(&format!("properties {event}"), || {
            // Without a limit there would be ten.
            let request =
                ApiRequest::query("events/properties/top").param("event", event).param("limit", MOST_NAMES);
            let answer: Result<BTreeMap<String, Value>> = self.json(&request);
            let names: Vec<String> = match answer {
                Ok(properties) => properties.into_keys().collect(),
                Err(error) => return Err(self.explained(error, event)),
            };
            if names.is_empty() {
                self.require_event(event)?;
            }
            Ok(names)
        })
    }

    /// Values of a property, as texts, in Mixpanel's order; of one event, or of all. `limit` is 1 to
    /// 10,000. Kept until the cache is cleared.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::EventNotFound`] with names that are like it; those of [`Client::json`].
    pub fn property_values(&self, property: &str, event: Option<&str>, limit: u32) -> Result<Vec<String>> {
        check_limit(Some(limit), MOST_VALUES)?;
        let question = format!("values {limit} {:?} {property}", event.unwrap_or_default());
        self.known.get_or(&question, || {
            let request = ApiRequest::query("events/properties/values")
                .maybe("event", event)
                .param("name", property)
                .param("limit", limit);
            let answer: Result<Vec<Value>> = self.json(&request);
            let values = match (answer, event) {
                (Ok(values), _) => values,
                (Err(error), Some(event)) => return Err(self.explained(error, event)),
                (Err(error), None) => return Err(error),
            };
            if let Some(event) = event.filter(|_| values.is_empty()) {
                self.require_event(event)?;
            }
            let text = |value| match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            Ok(values.into_iter().map(text).collect())
        })
    }

    /// The events of today, the most frequent first; asked for each time.
    ///
    /// # Errors
    ///
    /// Those of [`Client::json`].
    pub fn top_events(&self, kind: CountType, limit: Option<u32>) -> Result<Vec<TopEvent>> {
        #[derive(Deserialize)]
        struct Answer {
            events: Vec<Top>,
        }
        #[derive(Deserialize)]
        struct Top {
            event: String,
            #[serde(default)]
            amount: Amount,
            percent_change: Option<f64>,
        }
        check_limit(limit, MOST_NAMES)?;
        let request = ApiRequest::query("events/top").param("type", kind).maybe("limit", limit);
        let answer: Answer = self.json(&request)?;
        let event =
            |top: Top| TopEvent { event: top.event, count: top.amount, percent_change: top.percent_change };
        Ok(answer.events.into_iter().map(event).collect())
    }

    /// Today by UTC, which may be tomorrow or yesterday in the project.
    pub(crate) fn today(&self) -> Date {
        let now = Timestamp::try_from(self.clock().now()).unwrap_or(Timestamp::UNIX_EPOCH);
        now.to_zoned(TimeZone::UTC).date()
    }

    /// Turns the refusal of a question about an event into [`ErrorKind::EventNotFound`], if the
    /// event is not there.
    pub(crate) fn explained(&self, error: Error, event: &str) -> Error {
        if !matches!(error.kind(), ErrorKind::BadRequest { .. } | ErrorKind::NotFound { .. }) {
            return error;
        }
        match self.require_event(event) {
            Err(missing) if matches!(missing.kind(), ErrorKind::EventNotFound { .. }) => missing,
            _ => error,
        }
    }

    /// Fails with suggestions if there is no such event.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::EventNotFound`]; those of [`Client::events`].
    pub fn require_event(&self, event: &str) -> Result<()> {
        let names = self.events()?;
        if names.binary_search_by(|name| name.as_str().cmp(event)).is_ok() {
            return Ok(());
        }
        Err(ErrorKind::EventNotFound { event: event.to_owned(), similar: similar(event, &names) }.into())
    }
}
