//! How fast rows come: what a chunk's size, the time that is left and a plan go by.

use std::collections::VecDeque;
use std::time::Duration;

use crate::error::Result;
use crate::storage::StorageEngine;
use crate::value::Value;

/// The time left goes by what came in so long, so that a stall shows, and a hiccup does not.
const WINDOW: Duration = Duration::from_secs(30);
/// Between two samples of it.
const STEP: Duration = Duration::from_millis(500);
/// What has been measured for longer counts half.
const ENOUGH: Duration = Duration::from_secs(60);
/// What has been measured for less says nothing.
const TOO_SHORT: Duration = Duration::from_millis(500);

/// Rows that were stored, and the time in which rows came.
///
/// Waiting for the budget or for a first byte is no part of it, and neither is a download that waits
/// for another one to be written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    rows: f64,
    time: Duration,
}

impl Pace {
    pub(super) fn add(&mut self, rows: u64, time: Duration) {
        if self.time > ENOUGH {
            (self.rows, self.time) = (self.rows / 2.0, self.time / 2);
        }
        self.rows += rows as f64;
        self.time += time;
    }

    /// Rows per second, if enough was measured.
    pub(super) fn rows_per_second(&self) -> Option<f64> {
        (self.time >= TOO_SHORT && self.rows > 0.0).then(|| self.rows / self.time.as_secs_f64())
    }
}

/// The last half minute of a running fetch.
#[derive(Debug, Default)]
pub(super) struct Recent {
    samples: VecDeque<(Duration, u64)>,
}

impl Recent {
    /// Takes note that there were `rows` after `elapsed`. Fewer than before mean that a download
    /// begins again, and what was measured does not count.
    pub(super) fn note(&mut self, elapsed: Duration, rows: u64) {
        if self.samples.back().is_some_and(|(_, before)| *before > rows) {
            self.samples.clear();
        }
        if self.samples.back().is_none_or(|(at, _)| elapsed.saturating_sub(*at) >= STEP) {
            self.samples.push_back((elapsed, rows));
        }
        // The oldest that stays is a whole window old.
        while self.samples.get(1).is_some_and(|(at, _)| elapsed.saturating_sub(*at) >= WINDOW) {
            self.samples.pop_front();
        }
    }

    /// How long so many more rows take.
    pub(super) fn time_for(&self, elapsed: Duration, rows: u64, more: u64) -> Option<Duration> {
        let (at, before) = self.samples.front()?;
        let (time, came) = (elapsed.checked_sub(*at)?, rows.checked_sub(*before)?);
        if time < STEP || came == 0 {
            return None;
        }
        Duration::try_from_secs_f64(time.as_secs_f64() * more as f64 / came as f64).ok()
    }
}

/// What was measured when this table was fetched last.
pub(crate) fn measured(storage: &StorageEngine, table: &str) -> Option<f64> {
    let known = "SELECT rows_per_second FROM _pace WHERE table_name = ?";
    // A file that was never measured has no such table.
    let rows = storage.ask(known, &[Value::Text(table.to_owned())]).ok()?.rows;
    rows.first()?[0].as_f64().filter(|pace| pace.is_finite() && *pace > 0.0)
}

/// Keeps what was measured.
pub(super) fn keep(storage: &StorageEngine, table: &str, pace: &Pace) -> Result<()> {
    let Some(rows_per_second) = pace.rows_per_second() else { return Ok(()) };
    storage.record_pace(table, rows_per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_pace_follows_what_changes() {
        let mut pace = Pace::default();
        pace.add(10, Duration::from_millis(20));
        assert_eq!(pace.rows_per_second(), None, "too short to tell");
        (0..100).for_each(|_| pace.add(1_000, SECOND));
        assert!((pace.rows_per_second().unwrap() - 1_000.0).abs() < 10.0);
        (0..200).for_each(|_| pace.add(10_000, SECOND));
        assert!(pace.rows_per_second().unwrap() > 8_000.0);
    }

    /// Rows come evenly: the time that is left goes down evenly, whatever days they are of.
    #[test]
    fn time_left_goes_down_as_rows_come() {
        let (mut recent, mut last) = (Recent::default(), Duration::MAX);
        for second in 1..=100_u32 {
            let (elapsed, rows) = (SECOND * second, u64::from(second) * 2_000);
            recent.note(elapsed, rows);
            let Some(left) = recent.time_for(elapsed, rows, 200_000 - rows) else { continue };
            assert!(left < last && left.abs_diff(SECOND * (100 - second)) < SECOND, "{second}: {left:?}");
            last = left;
        }
        assert_eq!(last, Duration::ZERO);
    }

    #[test]
    fn a_stall_shows_and_a_new_beginning_starts_over() {
        let mut recent = Recent::default();
        (0..60).for_each(|second| recent.note(SECOND * second, u64::from(second) * 1_000));
        for second in 60..120 {
            recent.note(SECOND * second, 60_000);
        }
        assert_eq!(recent.time_for(SECOND * 120, 60_000, 1), None, "nothing comes");
        recent.note(SECOND * 121, 10_000);
        recent.note(SECOND * 123, 12_000);
        assert_eq!(recent.time_for(SECOND * 123, 12_000, 1_000), Some(SECOND));
    }
}
