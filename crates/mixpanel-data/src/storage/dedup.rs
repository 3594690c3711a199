//! Duplicates among rows that are in, found and removed by SQL: for records of
//! a caller's own, and for rows that are added to others. Fetched days go
//! another way, see [`super::held`].

use super::catalog::Catalog;
use super::chunk::ChunkSpec;
use super::connection::SqlConnection;
use super::held::processed;
use crate::error::Result;
use crate::types::TableKind;

/// Removes all rows but one of each key among the rows `within`. Returns the
/// times of the removed rows, microseconds UTC.
pub(super) fn remove_duplicates(
    connection: &mut dyn SqlConnection,
    spec: &ChunkSpec<'_>,
    catalog: &Catalog,
    table: &str,
    within: &str,
) -> Result<Vec<Option<i64>>> {
    let kind = spec.metadata.kind;
    let (key, lookup) = (kind.shape().key.join(", "), kind.shape().lookup);
    // What is needed besides the key, the order in which the row that stays
    // comes first, and what to tell.
    let (extra, newest, time) = match kind {
        TableKind::Profiles => (String::new(), "row DESC", "NULL::BIGINT"),
        TableKind::Events => (
            format!(", {} AS processed", processed(catalog)),
            "processed DESC NULLS LAST, row",
            "epoch_us(event_time)",
        ),
    };
    let removed = connection.rows(
        &format!(
            "DELETE FROM {table} WHERE rowid IN (
                 SELECT row FROM (
                     SELECT row, row_number() OVER (PARTITION BY {key} ORDER BY {newest}) AS position
                     FROM (SELECT rowid AS row, {key}{extra} FROM {table}{within})
                     WHERE {lookup} IN (SELECT {lookup} FROM {table}{within} GROUP BY {lookup} HAVING count(*) > 1))
                 WHERE position > 1)
             RETURNING {time}"
        ),
        &[],
    )?;
    Ok(removed.into_iter().map(|row| row[0].as_i64()).collect())
}
