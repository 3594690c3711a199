//! Tables of files from before format 4: nobody wrote down the clock that they were filled with.
//! Their rows tell another clock: the days' rows, as this clock cuts the days, are not as many as
//! the ledger counted when they came.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::chunk::start_of;
use super::connection::SqlConnection;
use super::definition::Clock;
use super::quarters::{QUARTER, Quarters};
use crate::error::{DefinitionPart, ErrorKind, Result};
use crate::value::Value;

const HOUR: i64 = 4 * QUARTER;

/// Offsets from UTC reach from -12 to +14 hours.
const FARTHEST: i64 = 14 * 4;

/// Checks that a table's rows lie in their days as `clock` has them. Rows that no clock explains,
/// because they were changed or added by other means, are no reason to refuse.
///
/// # Errors
/// [`DefinitionMismatch`](ErrorKind::DefinitionMismatch), when more days, or runs of days, fit
/// another clock than this one.
pub(super) fn check_clock(connection: &mut dyn SqlConnection, table: &str, clock: &Clock) -> Result<()> {
    let days = counted_days(connection, table)?;
    if days.is_empty() {
        return Ok(());
    }
    let quarters = Quarters::of(connection, table)?;
    let is_day_elsewhere = is_elsewhere(&quarters, clock, &each(&days));
    // Days that are all alike do not tell. What lies beyond the first and the last one does.
    let with_rows_beyond = |run: &Run| {
        let (from, to) = bounds(run, clock);
        let beyond = FARTHEST * QUARTER;
        quarters.between(from, to) == run.rows
            || quarters.between(from - beyond, from) + quarters.between(to, to + beyond) > 0
    };
    let runs: Vec<Run> = runs(&days).into_iter().filter(with_rows_beyond).collect();
    if !is_day_elsewhere && !is_elsewhere(&quarters, clock, &runs) {
        return Ok(());
    }
    Err(ErrorKind::DefinitionMismatch {
        table: table.to_owned(),
        part: DefinitionPart::Clock,
        existing: "another clock, which was not recorded but shows in the times of its rows".to_owned(),
        requested: clock.in_words(),
    }
    .into())
}

/// Days without a gap, and the rows that came for them.
struct Run {
    from: Date,
    to: Date,
    rows: u64,
}

fn each(days: &BTreeMap<Date, u64>) -> Vec<Run> {
    days.iter().map(|(day, rows)| Run { from: *day, to: *day, rows: *rows }).collect()
}

fn runs(days: &BTreeMap<Date, u64>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (day, rows) in days {
        match runs.last_mut().filter(|run| run.to.tomorrow().ok() == Some(*day)) {
            Some(run) => (run.to, run.rows) = (*day, run.rows + rows),
            None => runs.push(Run { from: *day, to: *day, rows: *rows }),
        }
    }
    runs
}

/// Whether more than half of the runs have their rows by one other clock, and fewer by this one.
fn is_elsewhere(quarters: &Quarters, clock: &Clock, runs: &[Run]) -> bool {
    let fits = |(from, to): (i64, i64), run: &Run| quarters.between(from, to) == run.rows;
    let here = runs.iter().filter(|run| fits(bounds(run, clock), run)).count();
    // A zone has two offsets at most in these years' winters and summers, an hour apart.
    let by_zone = |offset: i64| {
        let offsets = [offset, offset + HOUR];
        let fits_one = |run: &&Run| {
            let (from, to) = bounds(run, &Clock::UTC);
            let ends = offsets.iter().flat_map(|one| offsets.map(|two| (from + one, to + two)));
            ends.into_iter().any(|ends| fits(ends, run))
        };
        runs.iter().filter(fits_one).count()
    };
    let elsewhere = (-FARTHEST..=FARTHEST).map(|quarters| by_zone(quarters * QUARTER)).max().unwrap_or(0);
    elsewhere > here && 2 * elsewhere > runs.len()
}

/// The first microsecond (UTC) of a run, and the first one after it.
fn bounds(run: &Run, clock: &Clock) -> (i64, i64) {
    let clock = clock.project_clock();
    (start_of(run.from, &clock), start_of(run.to.tomorrow().unwrap_or(Date::MAX), &clock))
}

/// The rows of each day that has some, as they were counted when they came.
fn counted_days(connection: &mut dyn SqlConnection, table: &str) -> Result<BTreeMap<Date, u64>> {
    let rows = connection.rows(
        "SELECT day, CAST(sum(row_count) AS BIGINT) FROM _ledger
         WHERE table_name = ? AND state <> 'unavailable' GROUP BY day HAVING sum(row_count) > 0",
        &[Value::Text(table.to_owned())],
    )?;
    let days = rows.iter().filter_map(|row| match row[0] {
        Value::Date(day) => Some((day, row[1].as_i64()?.unsigned_abs())),
        _ => None,
    });
    Ok(days.collect())
}
