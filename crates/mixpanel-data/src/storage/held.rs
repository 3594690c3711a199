//! Events that may be repeats: compared in full, and the one that Mixpanel
//! processed last stays.
//!
//! The decoder holds an event back when its key seems to have occurred before
//! in its export. In the chunk's transaction such events are compared with the
//! rows: the odd one that only looked like a repeat is inserted, and one that
//! is newer than its row is written to `_held`. The row is exchanged in a
//! transaction right behind, since DuckDB throws its compressed row groups away
//! when rows are deleted in the transaction that brought them (measured: five
//! seconds for 300,000 rows). Until then the older version of the event is
//! there: each event is there once at every moment, and what a crash leaves in
//! `_held` is exchanged before anything else is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use mixpanel_client::export::{DecodeOptions, EventDecoder, HeldEvent, RecordParts};

use super::catalog::Catalog;
use super::connection::{SqlConnection, Target};
use super::ddl::{create_flat_view, ident, literal, physical};
use super::layout::Layout;
use super::records::{BATCH_BYTES, BATCH_ROWS};
use crate::error::{ErrorKind, Result};
use crate::types::TableKind;
use crate::value::Value;

/// When Mixpanel took an event in, by its own clock.
const PROCESSED: &str = "mp_processing_time_ms";

const COLUMNS: &str = "line, event_name, event_time, distinct_id, insert_id, properties, processed_ms";
const KEY: &str = "event_name, event_time, distinct_id, insert_id";

/// SQL for the time at which a row was processed: its column, or its text.
pub(super) fn processed(catalog: &Catalog) -> String {
    match catalog.get(PROCESSED) {
        Some(property) if property.promoted && property.kind.sql_type() == "BIGINT" => {
            ident(&property.column)
        }
        _ => format!("TRY_CAST(properties->>'$.{PROCESSED}' AS BIGINT)"),
    }
}

/// Makes room for the held events of a chunk.
pub(super) fn prepare(connection: &mut dyn SqlConnection) -> Result<()> {
    connection.execute(&format!(
        "CREATE OR REPLACE TEMP TABLE mp_held AS SELECT {COLUMNS}, false AS made FROM _held LIMIT 0"
    ))
}

/// Puts held events aside.
pub(super) fn store(connection: &mut dyn SqlConnection, events: &[HeldEvent]) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let text = |f: fn(&HeldEvent) -> &str| -> ArrayRef {
        Arc::new(events.iter().map(|event| Some(f(event))).collect::<StringArray>())
    };
    let batch = RecordBatch::try_from_iter_with_nullable([
        (
            "line",
            Arc::new(events.iter().map(|event| Some(event.line as i64)).collect::<Int64Array>()) as ArrayRef,
            true,
        ),
        ("event_name", text(|event| &event.event_name), true),
        (
            "event_time",
            Arc::new(
                events.iter().map(|event| Some(event.event_time)).collect::<TimestampMicrosecondArray>(),
            ),
            true,
        ),
        ("distinct_id", text(|event| &event.distinct_id), true),
        ("insert_id", text(|event| &event.insert_id), true),
        ("properties", text(|event| &event.properties), true),
        (
            "processed_ms",
            Arc::new(events.iter().map(|event| event.processed_ms).collect::<Int64Array>()),
            true,
        ),
        (
            "made",
            Arc::new(events.iter().map(|event| Some(event.made)).collect::<BooleanArray>()) as ArrayRef,
            true,
        ),
    ])
    .expect("columns of one length");
    connection.append(Target::Temporary("mp_held"), batch)?;
    Ok(())
}

/// Compares the chunk's held events with the rows `within`. Inserts those that
/// are no repeats, and returns how many that were by time (microseconds UTC),
/// and whether the catalog changed; keeps those that are newer than their row
/// for [`exchange`].
pub(super) fn compare(
    connection: &mut dyn SqlConnection,
    table: &str,
    catalog: &mut Catalog,
    within: &str,
) -> Result<(BTreeMap<i64, u64>, bool)> {
    let rows = ident(&physical(table));
    connection.execute(&format!(
        "CREATE OR REPLACE TEMP TABLE mp_compared AS
         SELECT held.*, there.row, there.processed
         FROM (SELECT *, row_number() OVER (PARTITION BY {KEY} ORDER BY processed_ms DESC NULLS LAST, line) AS position
               FROM temp.mp_held WHERE NOT made) AS held
         LEFT JOIN (SELECT rowid AS row, {KEY}, {} AS processed FROM {rows}{within}) AS there USING ({KEY})
         WHERE position = 1",
        processed(catalog),
    ))?;
    let (mut fresh, changed) =
        insert_all(connection, table, catalog, "FROM temp.mp_compared WHERE row IS NULL")?;
    let (twins, changed_too) = insert_twins(connection, table, catalog, within)?;
    for (time, count) in twins {
        *fresh.entry(time).or_insert(0) += count;
    }
    connection.execute(&format!(
        "INSERT INTO _held SELECT {}, {COLUMNS} FROM
             (FROM temp.mp_compared WHERE row IS NOT NULL
              QUALIFY row_number() OVER (PARTITION BY {KEY} ORDER BY processed DESC NULLS LAST) = 1)
             WHERE processed_ms > coalesce(processed, -1);
         DROP TABLE temp.mp_compared;
         DROP TABLE temp.mp_held;",
        literal(table),
    ))?;
    Ok((fresh, changed || changed_too))
}

/// Inserts the held events without an insert id: equal to one that is there, but events of their
/// own. Each gets its number behind the id that it shares.
fn insert_twins(
    connection: &mut dyn SqlConnection,
    table: &str,
    catalog: &mut Catalog,
    within: &str,
) -> Result<(BTreeMap<i64, u64>, bool)> {
    if connection.scalar("SELECT count(*) FROM temp.mp_held WHERE made", &[])? == Value::Integer(0) {
        return Ok((BTreeMap::new(), false));
    }
    let rows = ident(&physical(table));
    let id = numbered("number");
    connection.execute(&format!(
        "CREATE OR REPLACE TEMP TABLE mp_twins AS
         SELECT * REPLACE ({id} AS insert_id) FROM (
             SELECT held.*, row_number() OVER (PARTITION BY {KEY} ORDER BY line) + coalesce(there.one, 0) AS number
             FROM (FROM temp.mp_held WHERE made) AS held
             LEFT JOIN (SELECT DISTINCT {KEY}, 1 AS one FROM {rows}{within}) AS there USING ({KEY}))"
    ))?;
    let inserted = insert_all(connection, table, catalog, "FROM temp.mp_twins")?;
    connection.execute("DROP TABLE temp.mp_twins")?;
    Ok(inserted)
}

/// SQL for the insert id of the event with this `number` among those that share it.
pub(super) fn numbered(number: &str) -> String {
    format!("CASE WHEN {number} = 1 THEN insert_id ELSE concat(insert_id, '-', {number}) END")
}

/// Exchanges rows for the newer versions in `_held`, in a transaction of its own.
pub(super) fn exchange(connection: &mut dyn SqlConnection) -> Result<()> {
    let tables = connection.rows("SELECT DISTINCT table_name FROM _held", &[])?;
    for row in tables {
        let table = row[0].to_text();
        connection.execute("BEGIN")?;
        let result = exchange_in(connection, &table).and_then(|()| connection.commit());
        if result.is_err() {
            let _ = connection.execute("ROLLBACK");
            return result;
        }
    }
    Ok(())
}

fn exchange_in(connection: &mut dyn SqlConnection, table: &str) -> Result<()> {
    let mut catalog = Catalog::load(connection, table, TableKind::Events)?;
    let rows = ident(&physical(table));
    let name = literal(table);
    connection.execute(&format!(
        "DELETE FROM {rows} WHERE rowid IN (
             SELECT there.row FROM (
                 SELECT rowid AS row, {KEY} FROM {rows}
                 WHERE event_time >= (SELECT min(event_time) FROM _held WHERE table_name = {name})
                   AND event_time <= (SELECT max(event_time) FROM _held WHERE table_name = {name})) AS there
             JOIN (FROM _held WHERE table_name = {name}) AS held USING ({KEY}));"
    ))?;
    let newer = format!("FROM _held WHERE table_name = {name}");
    let (_, changed) = insert_all(connection, table, &mut catalog, &newer)?;
    connection.execute(&format!("DELETE FROM _held WHERE table_name = {name}"))?;
    if changed {
        catalog.store(connection, table)?;
        let flat = create_flat_view(table, TableKind::Events, &catalog.by_frequency());
        connection.execute(&flat)?;
    }
    Ok(())
}

/// Reads events back.
fn read(connection: &mut dyn SqlConnection, from: &str) -> Result<Vec<HeldEvent>> {
    let sql = format!(
        "SELECT line, event_name, epoch_us(event_time), distinct_id, insert_id, CAST(properties AS VARCHAR), processed_ms
         {from} ORDER BY line"
    );
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let events = connection.rows(&sql, &[])?.into_iter().map(|row| HeldEvent {
        line: row[0].as_i64().unwrap_or_default() as u64,
        event_name: text(&row[1]),
        event_time: row[2].as_i64().unwrap_or_default(),
        distinct_id: text(&row[3]),
        insert_id: text(&row[4]),
        properties: text(&row[5]),
        processed_ms: row[6].as_i64(),
        ..HeldEvent::default()
    });
    Ok(events.collect())
}

/// Inserts the events that SQL names, page by page. Returns how many there were by time
/// (microseconds UTC), and whether the catalog changed.
fn insert_all(
    connection: &mut dyn SqlConnection,
    table: &str,
    catalog: &mut Catalog,
    from: &str,
) -> Result<(BTreeMap<i64, u64>, bool)> {
    let (mut times, mut changed, mut at) = (BTreeMap::new(), false, 0);
    // A page is bounded in bytes, too.
    let longest = connection.scalar(&format!("SELECT max(strlen(properties)) {from}"), &[])?;
    let longest = longest.as_i64().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
    let rows = (BATCH_BYTES / longest.max(1)).clamp(1, BATCH_ROWS);
    loop {
        let page = format!("FROM ({from} ORDER BY rowid LIMIT {rows} OFFSET {at})");
        let events = read(connection, &page)?;
        changed |= insert(connection, table, catalog, &events)?;
        for event in &events {
            *times.entry(event.event_time).or_insert(0) += 1;
        }
        if events.len() < rows {
            return Ok((times, changed));
        }
        at += rows;
    }
}

/// Inserts events, with their typed columns. Properties with a value that their
/// column cannot hold are computed from now on; tells whether there are any.
fn insert(
    connection: &mut dyn SqlConnection,
    table: &str,
    catalog: &mut Catalog,
    events: &[HeldEvent],
) -> Result<bool> {
    if events.is_empty() {
        return Ok(false);
    }
    let plan = catalog.plan(0);
    let mut decoder = EventDecoder::new(DecodeOptions { plan, ..DecodeOptions::default() });
    for event in events {
        let record = RecordParts {
            event_name: &event.event_name,
            time_us: event.event_time,
            distinct_id: &event.distinct_id,
            insert_id: Some(&event.insert_id),
            properties: event.properties.as_bytes(),
        };
        decoder.push_record(&record, event.line);
    }
    let batch = decoder.finish_batch();
    if let Some(reject) = batch.rejects.first() {
        let what = format!("an event that was held back cannot be stored any more: {}", reject.reason);
        return Err(ErrorKind::Inconsistent { what }.into());
    }
    let changed = catalog.widen(&batch.stats);
    let used = batch.stats.iter().filter(|seen| seen.rows > 0).map(|seen| seen.name.clone()).collect();
    let layout = Layout::new(&batch.rows.schema(), catalog, &used);
    let rows = layout.fit(&batch, &mut Default::default());
    connection.append(Target::Main(&physical(table)), rows)?;
    Ok(changed)
}
