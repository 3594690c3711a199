//! Fetched profiles among those that are there: which of two stays, who goes,
//! and who has vanished.
//!
//! The new rows are in already, behind the old ones, in the same transaction:
//! so the old ones are still there to be compared with.
//!
//! Who vanishes goes to `_vanished_profiles`, and not into a column of the
//! table: so the table's rows are the profiles that exist, for everybody who
//! counts them, and a snapshot does not carry the departed along for ever.

use super::chunk::{Arrival, ChunkSpec};
use super::connection::SqlConnection;
use super::ddl::literal;
use crate::error::Result;
use crate::value::Value;

/// What became of rows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Replaced {
    /// New rows that gave way to another one of the same id.
    pub(super) duplicates: u64,
    /// Old rows whose id came again.
    pub(super) updated: u64,
    /// Old rows whose id did not come again, though all were asked for.
    pub(super) vanished: u64,
}

/// The last row of a table, -1 when it has none.
pub(super) fn last_row(connection: &mut dyn SqlConnection, table: &str) -> Result<i64> {
    let last = connection.scalar(&format!("SELECT max(rowid) FROM {table}"), &[])?;
    Ok(last.as_i64().unwrap_or(-1))
}

/// SQL for the rows behind `last_row`.
pub(super) fn newer_than(last_row: i64) -> String {
    format!(" WHERE rowid > {last_row}")
}

/// Removes what the rows behind `last_row` replace, and remembers who vanished.
pub(super) fn replace(
    connection: &mut dyn SqlConnection,
    spec: &ChunkSpec<'_>,
    arrival: Arrival,
    table: &str,
    last_row: i64,
) -> Result<Replaced> {
    let new = format!("FROM {table} WHERE rowid > {last_row}");
    let name = literal(spec.table);
    let mut replaced =
        Replaced { duplicates: remove_duplicates(connection, table, &new)?, ..Replaced::default() };
    if let Arrival::Swap { forget: true } = arrival {
        connection.execute(&format!("DELETE FROM _vanished_profiles WHERE table_name = {name}"))?;
    }
    let came = format!("distinct_id IN (SELECT distinct_id {new})");
    if last_row >= 0 {
        let old = format!("FROM {table} WHERE rowid <= {last_row}");
        replaced.updated = count(connection, &format!("{old} AND {came}"))?;
        if arrival == Arrival::Snapshot {
            replaced.vanished = count(connection, &old)? - replaced.updated;
        }
        if replaced.vanished > 0 {
            connection.run(
                &format!(
                    "INSERT INTO _vanished_profiles
                     SELECT {name}, distinct_id, ?, last_seen, properties {old} AND NOT {came}"
                ),
                &[Value::Timestamp(spec.now)],
            )?;
        }
        let gone = if spec.scope.replaces_all() { old } else { format!("{old} AND {came}") };
        connection.execute(&format!("DELETE {gone}"))?;
    }
    connection.execute(&format!("DELETE FROM _vanished_profiles WHERE table_name = {name} AND {came}"))?;
    Ok(replaced)
}

/// Of several new rows with one id, the one that was updated last stays; of
/// those, or without times, the one that came last.
fn remove_duplicates(connection: &mut dyn SqlConnection, table: &str, new: &str) -> Result<u64> {
    let repeated = format!("SELECT distinct_id {new} GROUP BY distinct_id HAVING count(*) > 1");
    let removed = connection.rows(
        &format!(
            "DELETE FROM {table} WHERE rowid IN (
                 SELECT row FROM (
                     SELECT rowid AS row, row_number() OVER (
                         PARTITION BY distinct_id ORDER BY last_seen DESC NULLS LAST, rowid DESC) AS position
                     {new} AND distinct_id IN ({repeated}))
                 WHERE position > 1)
             RETURNING 1"
        ),
        &[],
    )?;
    Ok(removed.len() as u64)
}

fn count(connection: &mut dyn SqlConnection, rows: &str) -> Result<u64> {
    Ok(connection.scalar(&format!("SELECT count(*) {rows}"), &[])?.as_i64().unwrap_or_default() as u64)
}
