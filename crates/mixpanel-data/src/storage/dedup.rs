//! Duplicates among rows that are in, found and removed by SQL: for records of
//! a caller's own, and for rows that are added to others. Fetched days go
//! another way, see [`super::held`].

use super::catalog::Catalog;
use super::chunk::ChunkSpec;
use super::connection::SqlConnection;
use super::held::{numbered, processed};
use crate::error::Result;
use crate::types::TableKind;

/// SQL for an insert id that was made here, see `mixpanel_client`'s `made_insert_id`.
const MADE: &str = "starts_with(insert_id, 'mp-') AND length(insert_id) = 35";

/// Tells events without an insert id apart that are equal: they take no part in
/// deduplication. Of those behind `last_row`, each gets its number; an event that
/// was there before then meets the same number again.
pub(super) fn number_twins(connection: &mut dyn SqlConnection, table: &str, last_row: i64) -> Result<()> {
    let key = TableKind::Events.shape().key.join(", ");
    let new = format!("FROM {table} WHERE rowid > {last_row} AND {MADE}");
    let twins = connection
        .scalar(&format!("SELECT count(*) FROM (SELECT 1 {new} GROUP BY {key} HAVING count(*) > 1)"), &[])?;
    if twins.as_i64() == Some(0) {
        return Ok(());
    }
    let id = numbered("number");
    connection.execute(&format!(
        "UPDATE {table} SET insert_id = twins.id FROM (
             SELECT row, {id} AS id FROM (
                 SELECT rowid AS row, insert_id, row_number() OVER (PARTITION BY {key} ORDER BY rowid) AS number {new})
             WHERE number > 1) AS twins
         WHERE {table}.rowid = twins.row"
    ))
}

/// SQL for whether an event came from an export in whole seconds. The text of the
/// properties keeps `time` as it was exported; from here on it is milliseconds.
const IN_SECONDS: &str = "coalesce(TRY_CAST(properties->>'/time' AS DOUBLE) < 100000000000, false)";

/// SQL for whether an event in whole seconds is there in milliseconds too: the
/// same event, asked for twice, once before exports were asked for milliseconds.
const VAGUER: &str = "in_seconds AND bool_or(NOT in_seconds) OVER (
    PARTITION BY event_name, distinct_id, insert_id, date_trunc('second', event_time))";

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
    let (extra, newest, time, vaguer) = match kind {
        TableKind::Profiles => (String::new(), "row DESC", "NULL::BIGINT", "false"),
        TableKind::Events => (
            format!(", {} AS processed, {IN_SECONDS} AS in_seconds", processed(catalog)),
            "in_seconds, processed DESC NULLS LAST, row",
            "epoch_us(event_time)",
            VAGUER,
        ),
    };
    let removed = connection.rows(
        &format!(
            "DELETE FROM {table} WHERE rowid IN (
                 SELECT row FROM (
                     SELECT row, {vaguer} AS vaguer,
                            row_number() OVER (PARTITION BY {key} ORDER BY {newest}) AS position
                     FROM (SELECT rowid AS row, {key}{extra} FROM {table}{within})
                     WHERE {lookup} IN (SELECT {lookup} FROM {table}{within} GROUP BY {lookup} HAVING count(*) > 1))
                 WHERE position > 1 OR vaguer)
             RETURNING {time}"
        ),
        &[],
    )?;
    Ok(removed.into_iter().map(|row| row[0].as_i64()).collect())
}
