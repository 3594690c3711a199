//! What is here, day by day: the ledger read as a calendar.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use mixpanel_client::time::ProjectClock;
use serde::Serialize;

use super::planner::History;
use super::run::days_of;
use crate::error::Result;
use crate::storage::StorageEngine;
use crate::storage::chunk::start_of;
use crate::value::Value;

/// What is known of a project day's copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DayStatus {
    /// All of the day's events are here.
    Complete,
    /// The day is over and Mixpanel has nothing for it.
    Empty,
    /// The day was not over when it was fetched, or only a part was asked for.
    Partial,
    /// The day was fetched before late events can all have arrived, and not
    /// again for a while.
    Stale,
    /// The day lies before the history that the project's plan keeps: Mixpanel
    /// said so less than thirty days ago.
    Unavailable,
    /// The day was never fetched.
    Missing,
}

/// After so long a day that the plan did not reach is asked for once more: plans
/// change.
const UNAVAILABLE_FOR: Duration = Duration::from_secs(30 * 86_400);

/// One project day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DayCoverage {
    /// The day.
    pub day: Date,
    /// What is known of it.
    pub status: DayStatus,
    /// Rows stored.
    pub rows: u64,
    /// When it was fetched last (an instant).
    pub fetched_at: Option<Timestamp>,
}

/// The days of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// The table.
    pub table: String,
    /// First project day, inclusive.
    pub from: Date,
    /// Last project day, inclusive.
    pub to: Date,
    /// Every day of the range, in order.
    pub days: Vec<DayCoverage>,
}

impl Coverage {
    /// How many days have a status.
    pub fn count(&self, status: DayStatus) -> usize {
        self.days.iter().filter(|day| day.status == status).count()
    }

    /// Rows of all days.
    pub fn rows(&self) -> u64 {
        self.days.iter().map(|day| day.rows).sum()
    }

    /// Runs of days with a status, both ends inclusive.
    pub fn ranges(&self, status: DayStatus) -> Vec<(Date, Date)> {
        let mut ranges: Vec<(Date, Date)> = Vec::new();
        for day in self.days.iter().filter(|day| day.status == status) {
            match ranges.last_mut() {
                Some((_, to)) if to.tomorrow().ok() == Some(day.day) => *to = day.day,
                _ => ranges.push((day.day, day.day)),
            }
        }
        ranges
    }
}

/// When a day's copy counts as settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Freshness {
    /// For so long after a day's end, events of it may arrive: Mixpanel takes
    /// events up to five days old from mobile devices (its ingestion guide).
    pub(crate) window_days: u32,
    /// A copy that is not settled is good for so long.
    pub(crate) max_age: Duration,
}

impl Default for Freshness {
    fn default() -> Self {
        Freshness { window_days: 5, max_age: Duration::from_secs(3600) }
    }
}

/// Reads the ledger of a table as it stands under the table's own filters.
pub(crate) fn coverage(
    storage: &StorageEngine,
    clock: &ProjectClock,
    now: Timestamp,
    table: &str,
    (from, to): (Date, Date),
    freshness: Freshness,
) -> Result<Coverage> {
    let rows = storage.execute_rows(
        "SELECT day, state, row_count, fetched_at FROM _ledger
         WHERE table_name = ? AND day BETWEEN CAST(? AS DATE) AND CAST(? AS DATE)
           AND filter_hash = (SELECT max(filter_hash) FROM _tables t WHERE t.table_name = _ledger.table_name)",
        &[Value::Text(table.to_owned()), Value::Date(from), Value::Date(to)],
    )?;
    let mut known: BTreeMap<Date, (String, u64, Option<Timestamp>)> = BTreeMap::new();
    for row in rows.rows {
        let Value::Date(day) = row[0] else { continue };
        let count = row[2].as_i64().unwrap_or_default() as u64;
        known.insert(day, (row[1].to_text(), count, instant(&row[3])));
    }
    let days = days_of(from, to).map(|day| {
        let Some((state, rows, fetched_at)) = known.get(&day) else {
            return DayCoverage { day, status: DayStatus::Missing, rows: 0, fetched_at: None };
        };
        let status = match state.as_str() {
            "partial" => DayStatus::Partial,
            "unavailable" if age(*fetched_at, now) < UNAVAILABLE_FOR => DayStatus::Unavailable,
            "unavailable" => DayStatus::Missing,
            _ if is_stale(day, clock, now, *fetched_at, freshness) => DayStatus::Stale,
            "empty" => DayStatus::Empty,
            _ => DayStatus::Complete,
        };
        DayCoverage { day, status, rows: *rows, fetched_at: *fetched_at }
    });
    Ok(Coverage { table: table.to_owned(), from, to, days: days.collect() })
}

/// Whether late events may be lacking: the copy is from before the day's end
/// plus the window, and either the window has passed or the copy is old.
fn is_stale(
    day: Date,
    clock: &ProjectClock,
    now: Timestamp,
    fetched_at: Option<Timestamp>,
    freshness: Freshness,
) -> bool {
    let Some(fetched_at) = fetched_at else { return true };
    let end = start_of(day.tomorrow().unwrap_or(Date::MAX), clock);
    let window = i64::from(freshness.window_days).saturating_mul(86_400_000_000);
    let settled = end.saturating_add(window);
    let fetched = fetched_at.as_microsecond();
    let age = now.as_microsecond() - fetched;
    let max_age = i64::try_from(freshness.max_age.as_micros()).unwrap_or(i64::MAX);
    fetched < settled && (now.as_microsecond() >= settled || age >= max_age)
}

/// How old an entry is.
fn age(fetched_at: Option<Timestamp>, now: Timestamp) -> Duration {
    let age = fetched_at.map(|at| now.as_microsecond().saturating_sub(at.as_microsecond()));
    Duration::from_micros(u64::try_from(age.unwrap_or(i64::MAX)).unwrap_or(0))
}

/// An instant that DuckDB gave as a timestamp without a zone.
fn instant(value: &Value) -> Option<Timestamp> {
    match value {
        Value::DateTime(time) => jiff::tz::Offset::UTC.to_timestamp(*time).ok(),
        Value::Timestamp(time) => Some(*time),
        _ => None,
    }
}

/// What the days of a table had when they were fetched.
pub(crate) fn ledger_history(storage: &StorageEngine, table: &str) -> Result<History> {
    let rows = storage.execute_rows(
        "SELECT day, CAST(sum(row_count + duplicates) AS BIGINT), CAST(sum(bytes) AS BIGINT) FROM _ledger
         WHERE table_name = ? AND state NOT IN ('partial', 'unavailable') GROUP BY day",
        &[Value::Text(table.to_owned())],
    )?;
    let count = |value: &Value| value.as_i64().unwrap_or_default() as u64;
    let days = rows.rows.iter().filter_map(|row| match row[0] {
        Value::Date(day) => Some((day, (count(&row[1]), count(&row[2])))),
        _ => None,
    });
    Ok(History(days.collect()))
}
