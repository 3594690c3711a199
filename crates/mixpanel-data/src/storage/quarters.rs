//! Rows of a table by the time of their events, in one pass, for days of any clock.

use super::connection::SqlConnection;
use super::ddl::{ident, physical};
use crate::error::Result;

/// Offsets of time zones are multiples of this: microseconds.
pub(super) const QUARTER: i64 = 900_000_000;

/// How many rows there are up to each quarter of an hour.
#[derive(Default)]
pub(super) struct Quarters(Vec<(i64, u64)>);

impl Quarters {
    pub(super) fn of(connection: &mut dyn SqlConnection, table: &str) -> Result<Self> {
        let rows = connection.rows(
            &format!(
                "SELECT epoch_us(event_time) // {QUARTER} AS quarter, count(*) FROM {} GROUP BY 1 ORDER BY 1",
                ident(&physical(table))
            ),
            &[],
        )?;
        let mut sum = 0;
        let sums = rows.iter().filter_map(|row| {
            sum += row[1].as_i64()?.unsigned_abs();
            Some((row[0].as_i64()?, sum))
        });
        Ok(Quarters(sums.collect()))
    }

    /// Rows from `from` on, before `to`: microseconds.
    pub(super) fn between(&self, from: i64, to: i64) -> u64 {
        self.before(to) - self.before(from)
    }

    fn before(&self, time: i64) -> u64 {
        let quarter = time.div_euclid(QUARTER);
        match self.0.partition_point(|(at, _)| *at < quarter) {
            0 => 0,
            at => self.0[at - 1].1,
        }
    }
}
