//! What to ask the raw export for.

use jiff::civil::Date;

use crate::days;
use crate::error::{ErrorKind, Result};

fn refuse(what: &str) -> Result<()> {
    Err(ErrorKind::InvalidRequest { what: what.to_owned() }.into())
}

/// A request to the raw event export (parameters as in Mixpanel's export reference).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportRequest {
    /// The first day. Days are UTC days in projects created from 2023 on, and days in the
    /// project's time zone in older ones.
    pub from: Date,
    /// The last day, included. Mixpanel refuses days that have not begun.
    pub to: Date,
    /// Names of the events wanted, exact and case-sensitive; empty for all events.
    pub events: Vec<String>,
    /// An expression that events must fulfil, in Mixpanel's own language.
    pub where_: Option<String>,
    /// The most events wanted, 1 to 100,000. There is no way to ask for the rest.
    pub limit: Option<u32>,
    /// Asks for `time` in milliseconds, as Mixpanel keeps it: the order within a second, and two
    /// events of one second, are lost otherwise. Mixpanel's own default is whole seconds.
    pub time_in_ms: bool,
}

impl ExportRequest {
    /// The largest limit that Mixpanel accepts.
    pub const MAX_LIMIT: u32 = 100_000;

    /// Asks for all events of a range of days.
    pub fn days(from: Date, to: Date) -> Self {
        Self { from, to, events: Vec::new(), where_: None, limit: None, time_in_ms: true }
    }

    /// Checks what can be checked without asking Mixpanel.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] if the dates are out of order or cannot be written, if the limit
    /// is out of range, or if a name or the expression is empty.
    pub fn validate(&self) -> Result<()> {
        days::check(self.from, self.to)?;
        days::check_limit(self.limit, Self::MAX_LIMIT)?;
        // Mixpanel would take both for no filter at all, and send every event.
        if self.events.iter().any(|name| name.trim().is_empty()) {
            return refuse("the name of an event is empty");
        }
        if self.where_.as_deref().is_some_and(|expression| expression.trim().is_empty()) {
            return refuse("the expression that events must fulfil is empty");
        }
        Ok(())
    }

    /// The query parameters, before URL encoding, without the project.
    pub fn query_pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![("from_date", self.from.to_string()), ("to_date", self.to.to_string())];
        if !self.events.is_empty() {
            let names = self.events.iter().map(|name| serde_json::Value::from(name.as_str())).collect();
            pairs.push(("event", serde_json::Value::Array(names).to_string()));
        }
        if let Some(expression) = self.where_.as_deref().filter(|expression| !expression.trim().is_empty()) {
            pairs.push(("where", expression.to_owned()));
        }
        if let Some(limit) = self.limit {
            pairs.push(("limit", limit.to_string()));
        }
        if self.time_in_ms {
            pairs.push(("time_in_ms", "true".to_owned()));
        }
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn january() -> ExportRequest {
        ExportRequest::days(date(2024, 1, 1), date(2024, 1, 31))
    }

    #[test]
    fn plain_request_has_two_dates_and_asks_for_milliseconds() {
        let mut pairs = vec![
            ("from_date", "2024-01-01".to_owned()),
            ("to_date", "2024-01-31".to_owned()),
            ("time_in_ms", "true".to_owned()),
        ];
        assert_eq!(january().query_pairs(), pairs);
        let blank = ExportRequest { where_: Some(" ".into()), ..january() };
        assert_eq!(blank.query_pairs(), pairs);
        pairs.pop();
        assert_eq!(ExportRequest { time_in_ms: false, ..january() }.query_pairs(), pairs);
    }

    #[test]
    fn all_parameters() {
        let request = ExportRequest {
            events: vec!["Sign \"Up\"".into(), "购买".into()],
            where_: Some("properties[\"a\"] == 1".into()),
            limit: Some(10),
            time_in_ms: true,
            ..january()
        };
        let expected = [
            ("event", r#"["Sign \"Up\"","购买"]"#),
            ("where", "properties[\"a\"] == 1"),
            ("limit", "10"),
            ("time_in_ms", "true"),
        ];
        let pairs = request.query_pairs();
        assert_eq!(
            pairs[2..].iter().map(|(key, value)| (*key, value.as_str())).collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn refuses_what_mixpanel_would_refuse() {
        let day = date(2024, 1, 1);
        assert!(january().validate().is_ok());
        assert!(ExportRequest::days(day, day).validate().is_ok());
        assert!(ExportRequest::days(day.tomorrow().unwrap(), day).validate().is_err());
        assert!(ExportRequest::days(date(1969, 1, 1), day).validate().is_err());
        for empty in ["", " ", "\t"] {
            let named = ExportRequest { events: vec!["a".into(), empty.into()], ..january() };
            let filtered = ExportRequest { where_: Some(empty.into()), ..january() };
            assert!(named.validate().is_err() && filtered.validate().is_err(), "{empty:?}");
        }
        for (limit, good) in [(0, false), (1, true), (100_000, true), (100_001, false)] {
            assert_eq!(ExportRequest { limit: Some(limit), ..january() }.validate().is_ok(), good, "{limit}");
        }
    }
}
