//! The query string of an export request.

use std::borrow::Cow;

use jiff::civil::Date;
use percent_encoding::percent_decode_str;

use crate::api::params::missing;
use crate::api::refusal::{Refusal, bad};
use crate::expr::Expr;

/// More events than this cannot be asked for with `limit`.
pub(crate) const MAX_LIMIT: usize = 100_000;

/// The names and values of a query string, decoded; `+` is a space.
#[derive(Debug)]
pub(crate) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    pub(crate) fn parse(query: &'a str) -> Query<'a> {
        let decode = |text: &'a str| {
            if text.contains('+') {
                let spaced = text.replace('+', " ");
                Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
            } else {
                percent_decode_str(text).decode_utf8_lossy()
            }
        };
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Query(pairs.collect())
    }

    /// All names and values, in their order.
    pub(crate) fn into_pairs(self) -> impl Iterator<Item = (String, String)> {
        self.0.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned()))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref())
    }
}

/// A request that makes sense.
#[derive(Debug)]
pub(crate) struct Params {
    pub(crate) from: Date,
    pub(crate) to: Date,
    pub(crate) limit: Option<usize>,
    /// Names of which an event must have one.
    pub(crate) events: Option<Vec<String>>,
    pub(crate) filter: Option<Expr>,
    pub(crate) time_in_ms: bool,
}

impl Params {
    pub(crate) fn read(query: &Query<'_>) -> Result<Params, Refusal> {
        let from = date(query, "from_date")?;
        let to = date(query, "to_date")?;
        if from > to {
            return Err(bad("from_date cannot be later than to_date"));
        }
        if let Some(project) = query.get("project_id") {
            project.parse::<u64>().map_err(|_| bad("project_id must be an integer"))?;
        }
        let given = |name| query.get(name).filter(|value| !value.is_empty());
        let limit = query.get("limit").map(limit).transpose()?;
        let events = given("event").map(events).transpose()?.filter(|names| !names.is_empty());
        let filter = given("where")
            .map(|text| Expr::parse(text).map_err(|error| bad(format!("Invalid where expression: {error}"))))
            .transpose()?;
        let time_in_ms = query.get("time_in_ms").map(boolean).transpose()?.unwrap_or(false);
        Ok(Params { from, to, limit, events, filter, time_in_ms })
    }

    /// Whether every row of the range is wanted, unchanged.
    pub(crate) fn is_whole(&self) -> bool {
        self.limit.is_none() && self.events.is_none() && self.filter.is_none()
    }
}

/// A required date.
fn date(query: &Query<'_>, name: &str) -> Result<Date, Refusal> {
    read_date(name, query.get(name).ok_or_else(|| missing(name))?)
}

/// A date, strictly `yyyy-mm-dd` and not before 2000.
pub(crate) fn read_date(name: &str, text: &str) -> Result<Date, Refusal> {
    let form = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let parsed = if form { text.parse::<Date>().ok() } else { None };
    let date = parsed.ok_or_else(|| bad(format!("Error in {name}: invalid date, expected yyyy-mm-dd")))?;
    if date.year() < 2000 {
        return Err(bad(format!("Error in {name}: invalid date, bad year")));
    }
    Ok(date)
}

fn limit(text: &str) -> Result<usize, Refusal> {
    match text.parse::<i64>() {
        Ok(limit) if (1..=MAX_LIMIT as i64).contains(&limit) => Ok(limit as usize),
        Ok(_) => Err(bad(format!("limit must be between 1 and {MAX_LIMIT}"))),
        Err(_) => Err(bad("limit must be an integer")),
    }
}

fn events(text: &str) -> Result<Vec<String>, Refusal> {
    serde_json::from_str(text).map_err(|_| bad("event must be a JSON array of strings"))
}

fn boolean(text: &str) -> Result<bool, Refusal> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" | "" => Ok(false),
        _ => Err(bad("time_in_ms must be a boolean")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let query = Query::parse("event=%5B%22a+b%22%5D&where=1%2B1&flag&where=second");
        assert_eq!(query.get("event"), Some("[\"a b\"]"));
        assert_eq!(query.get("where"), Some("1+1"));
        assert_eq!(query.get("flag"), Some(""));
        assert_eq!(query.get("absent"), None);
    }
}
