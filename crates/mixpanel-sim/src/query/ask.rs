//! Parameters that many queries share.

use axum::http::StatusCode;
use jiff::ToSpan;
use jiff::civil::Date;

use super::scope::Range;
use super::time::{Unit, date_of, start_of};
use crate::api::params::missing;
use crate::api::{Call, Params, Refusal, bad};
use crate::app::App;
use crate::expr::Expr;

/// An answer with more buckets than this is refused.
const MOST_BUCKETS: usize = 100_000;

/// How several events of one user count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counting {
    /// Each event.
    General,
    /// Each user once.
    Unique,
    /// Events per user.
    Average,
}

impl Counting {
    /// The parameter `type`.
    pub(crate) fn read(params: &Params) -> Result<Option<Counting>, Refusal> {
        let words =
            [("general", Counting::General), ("unique", Counting::Unique), ("average", Counting::Average)];
        params.choice("type", &words)
    }
}

/// The parameter `unit`, one of those given.
pub(crate) fn unit(params: &Params, allowed: &[Unit]) -> Result<Option<Unit>, Refusal> {
    let words: Vec<(&str, Unit)> = allowed.iter().map(|&unit| (unit.name(), unit)).collect();
    params.choice("unit", &words)
}

/// `from_date` and `to_date`, both required.
pub(crate) fn range(call: &Call<'_>) -> Result<Range, Refusal> {
    let date = |name| call.params.date(name)?.ok_or_else(|| missing(name));
    checked(call.app, date("from_date")?, date("to_date")?)
}

/// A range that makes sense and is within the history of the plan.
pub(crate) fn checked(app: &App, from: Date, to: Date) -> Result<Range, Refusal> {
    if from > to {
        return Err(bad("from_date cannot be later than to_date"));
    }
    if let Some(most) = app.config.max_history_days {
        let days = (start_of(app.today()) - start_of(from)) / super::time::DAY_MS;
        if days > i64::from(most) {
            let error = format!("Date range exceeds {most} days into the past");
            return Err(Refusal::new(StatusCode::FORBIDDEN, error));
        }
    }
    Ok(Range { from, to })
}

/// The range of a query that gives either dates or how many units back it looks.
pub(crate) fn range_or_interval(call: &Call<'_>, unit: Unit) -> Result<Range, Refusal> {
    let dates = (call.params.date("from_date")?, call.params.date("to_date")?);
    let interval = interval(call.params)?;
    // The description wants either, and requires the dates: where both come, the dates count.
    if let (Some(from), Some(to)) = dates {
        return checked(call.app, from, to);
    }
    let today = call.app.today();
    let to = dates.1.unwrap_or(today);
    match (dates.0, interval) {
        (Some(from), None) => checked(call.app, from, to),
        (None, Some(count)) => {
            let first = unit.step(unit.floor(start_of(to)), 1 - count);
            checked(call.app, date_of(first).max(jiff::civil::date(2000, 1, 1)), to)
        }
        (Some(_), Some(_)) => Err(bad("give either interval or from_date and to_date")),
        (None, None) => Err(missing("from_date")),
    }
}

/// The parameter `interval`, at least 1.
pub(crate) fn interval(params: &Params) -> Result<Option<i64>, Refusal> {
    match params.integer("interval")? {
        Some(count) if !(1..=100_000).contains(&count) => Err(bad("interval must be between 1 and 100000")),
        interval => Ok(interval),
    }
}

/// The parameter `limit`: at least 1, a default, and a ceiling that is either an error or silently kept.
pub(crate) fn limit(params: &Params, default: usize, most: usize) -> Result<usize, Refusal> {
    match params.integer("limit")? {
        None => Ok(default),
        Some(limit) if limit < 1 => Err(bad("limit must be at least 1")),
        Some(limit) => match usize::try_from(limit) {
            Ok(limit) if limit <= most => Ok(limit),
            _ => Err(bad(format!("limit cannot be over {most}"))),
        },
    }
}

/// A parameter that is an expression.
pub(crate) fn expression(params: &Params, name: &str) -> Result<Option<Expr>, Refusal> {
    let Some(text) = params.text(name)? else { return Ok(None) };
    Expr::parse(&text).map(Some).map_err(|error| bad(format!("Invalid {name} expression: {error}")))
}

/// The buckets of a range, in order.
pub(crate) fn buckets(range: Range, unit: Unit) -> Result<Vec<i64>, Refusal> {
    spaced(range, unit.floor(range.start()), |bucket| unit.step(bucket, 1))
}

/// The buckets of so many days each, from the first day on.
pub(crate) fn buckets_of_days(range: Range, days: i64) -> Result<Vec<i64>, Refusal> {
    spaced(range, range.start(), |bucket| bucket + days * super::time::DAY_MS)
}

fn spaced(range: Range, first: i64, next: impl Fn(i64) -> i64) -> Result<Vec<i64>, Refusal> {
    let buckets: Vec<i64> = std::iter::successors(Some(first), |&bucket| Some(next(bucket)))
        .take_while(|&bucket| bucket < range.end())
        .take(MOST_BUCKETS + 1)
        .collect();
    if buckets.len() > MOST_BUCKETS {
        return Err(bad(format!("the date range has more than {MOST_BUCKETS} units, choose a larger unit")));
    }
    Ok(buckets)
}

/// The days from so many days ago to today.
pub(crate) fn last_days(app: &App, days: i64) -> Range {
    let today = app.today();
    Range { from: today.saturating_sub((days - 1).days()), to: today }
}
