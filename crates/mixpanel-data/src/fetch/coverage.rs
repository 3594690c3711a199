//! What is here, day by day: the ledger read as a calendar.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use mixpanel_client::time::ProjectClock;
use serde::Serialize;

use super::planner::History;
use super::run::days_of;
use crate::error::Result;
use crate::storage::chunk::start_of;
use crate::storage::{DayState, StorageEngine};

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
    /// Rows of the day have gone since it was fetched, by SQL or by another program.
    Changed,
    /// The day lies before the history that the project's plan keeps: Mixpanel
    /// said so less than thirty days ago.
    Unavailable,
    /// Rows of the day were loaded from files. It was never fetched, so nobody knows whether they are all.
    Loaded,
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
    /// When it was fetched, or loaded, last (an instant).
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

/// Reads the ledger of a table: how each day stands under the table's own filters, and the rows of
/// the day under any, as rows may have been added under others.
pub(crate) fn coverage(
    storage: &StorageEngine,
    clock: &ProjectClock,
    now: Timestamp,
    table: &str,
    (from, to): (Date, Date),
    freshness: Freshness,
) -> Result<Coverage> {
    let known = storage.ledger_days(table, from, to)?;
    let fewer = storage.days_with_fewer_rows(table, clock, (from, to))?;
    let days = days_of(from, to).map(|day| {
        let Some(entry) = known.get(&day) else {
            return DayCoverage { day, status: DayStatus::Missing, rows: 0, fetched_at: None };
        };
        let fetched_at = entry.fetched_at;
        let never_fetched = entry.state.is_none_or(|state| state == DayState::Unavailable);
        if never_fetched && entry.loaded_at.is_some() {
            let (rows, fetched_at) = (entry.rows, entry.loaded_at);
            return DayCoverage { day, status: DayStatus::Loaded, rows, fetched_at };
        }
        let Some(state) = entry.state else {
            return DayCoverage { day, status: DayStatus::Missing, rows: entry.rows, fetched_at: None };
        };
        let status = match state {
            // An entry of this kind has other filters than the table.
            DayState::Partial | DayState::Loaded => DayStatus::Partial,
            DayState::Complete | DayState::Empty if fewer.contains(&day) => DayStatus::Changed,
            DayState::Unavailable if age(fetched_at, now).is_some_and(|age| age < UNAVAILABLE_FOR) => {
                DayStatus::Unavailable
            }
            DayState::Unavailable => DayStatus::Missing,
            // By a clock that was wrong: whether the day was over, nobody knows.
            _ if age(fetched_at, now).is_none() || !was_over(day, clock, fetched_at) => DayStatus::Partial,
            _ if is_stale(day, clock, now, fetched_at, freshness) => DayStatus::Stale,
            DayState::Empty => DayStatus::Empty,
            DayState::Complete => DayStatus::Complete,
        };
        DayCoverage { day, status, rows: entry.rows, fetched_at }
    });
    Ok(Coverage { table: table.to_owned(), from, to, days: days.collect() })
}

/// Whether a day had ended when it was fetched.
fn was_over(day: Date, clock: &ProjectClock, fetched_at: Option<Timestamp>) -> bool {
    let end = start_of(day.tomorrow().unwrap_or(Date::MAX), clock);
    fetched_at.is_some_and(|at| at.as_microsecond() >= end)
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

/// How old an entry is; `None` if it is from the future, and not by as little as clocks are set by.
fn age(fetched_at: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    const SETTING: i64 = 5 * 60 * 1_000_000;
    let age = now.as_microsecond().saturating_sub(fetched_at?.as_microsecond());
    (age >= -SETTING).then(|| Duration::from_micros(age.max(0).unsigned_abs()))
}

/// What the days of a table had when they were fetched.
pub(crate) fn ledger_history(storage: &StorageEngine, table: &str) -> Result<History> {
    Ok(History(storage.ledger_sizes(table)?))
}
