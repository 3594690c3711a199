//! Rows that somebody took out of a table, or added to it, by SQL or by another program: how many a
//! chunk finds, and how many are left of them when it is in.
//!
//! The table's own entry says how many rows were written. While the table has as many, no day needs
//! to be looked at; so what a chunk does not put right must not be forgotten by it.

use super::chunk::{ChunkSpec, Scope};
use super::connection::SqlConnection;
use super::filling::within;
use crate::error::Result;
use crate::value::Value;

/// How many rows more than there are the table's entry is to say when the chunk is in. To be asked
/// before the chunk changes anything. `table` is the name for SQL.
pub(super) fn left_behind(
    connection: &mut dyn SqlConnection,
    spec: &ChunkSpec<'_>,
    table: &str,
) -> Result<i64> {
    let name = Value::Text(spec.table.to_owned());
    let number = |value: Value| value.as_i64().unwrap_or_default();
    let written =
        connection.rows("SELECT row_count FROM _tables WHERE table_name = ?", std::slice::from_ref(&name))?;
    let Some(written) = written.first().and_then(|row| row[0].as_i64()) else { return Ok(0) };
    let there = number(connection.scalar(&format!("SELECT count(*) FROM {table}"), &[])?);
    let difference = written - there;
    match &spec.scope {
        _ if spec.scope.replaces_all() => Ok(0),
        Scope::Days(range) if difference != 0 => {
            // Those of the chunk's days are put right.
            let these = connection.scalar(
                "SELECT CAST(sum(row_count) AS BIGINT) FROM _ledger
                 WHERE table_name = ? AND day BETWEEN CAST(? AS DATE) AND CAST(? AS DATE)",
                &[name, Value::Date(range.from), Value::Date(range.to)],
            )?;
            let rows = format!("SELECT count(*) FROM {table}{}", within(range.bounds()));
            Ok(difference - (number(these) - number(connection.scalar(&rows, &[])?)))
        }
        _ => Ok(difference),
    }
}
