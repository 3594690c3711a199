//! Writing a chunk: decoded batches in, one transaction, all or nothing.
//!
//! ```text
//! look ahead ─▶ choose columns ─▶ DDL ─▶ BEGIN
//!     old rows out ─▶ batches in ─▶ duplicates out ─▶ catalog, ledger, views
//!                                          COMMIT ─▶ refill widened columns
//! ```

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, TimestampMicrosecondType, UInt32Type};
use jiff::Timestamp;
use jiff::civil::Date;
use mixpanel_client::export::{ColumnPlan, EventBatch, PropertyStats, Reject, rebuild_column};
use mixpanel_client::schema::{ColumnKind, EVENT_TIME, PROPERTIES};
use mixpanel_client::time::ProjectClock;

use super::catalog::Catalog;
use super::connection::{SqlConnection, Target};
use super::ddl::{self, ident, literal, physical};
use super::ledger::{self, DayCount};
use super::refill::{checkpoint, in_transaction, refill};
use crate::error::Result;
use crate::types::{TableKind, TableMetadata};
use crate::value::Value;

/// So many rows are decoded before columns are chosen: enough to see what is
/// frequent and most properties' kinds.
const LOOK_AHEAD_ROWS: usize = 32_768;

/// Where a chunk's batches come from.
pub(crate) trait BatchSource {
    /// The next batch; `None` when the chunk is complete and proven so.
    fn next_batch(&mut self) -> Result<Option<EventBatch>>;
    /// Which properties to build columns for from the next batch on.
    fn set_plan(&mut self, plan: ColumnPlan);
}

/// What to do with the rows that are there.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    /// The chunk is everything there is to know about these project days.
    Days(DayRange),
    /// The chunk is the whole table from now on.
    Everything(Option<DayRange>),
    /// Rows that are not there yet are added.
    Add(Option<DayRange>),
}

/// A run of project days, both ends inclusive.
#[derive(Clone, Debug)]
pub(crate) struct DayRange {
    pub(crate) from: Date,
    pub(crate) to: Date,
    pub(crate) clock: ProjectClock,
    /// Days from this one on cannot be complete yet.
    pub(crate) open_from: Option<Date>,
}

impl DayRange {
    /// First microsecond (UTC) of the range, and the first one after it.
    fn bounds(&self) -> (i64, i64) {
        let start = |day: Date| {
            let midnight = jiff::tz::Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).expect("a day of our era");
            self.clock.to_utc_micros(midnight.as_microsecond())
        };
        (start(self.from), start(self.to.tomorrow().unwrap_or(Date::MAX)))
    }
}

/// A chunk, apart from its rows.
pub(crate) struct ChunkSpec<'a> {
    pub(crate) table: &'a str,
    /// Whether the table is made by this chunk.
    pub(crate) create: bool,
    pub(crate) scope: Scope,
    pub(crate) metadata: &'a TableMetadata,
    /// The filter set's canonical text and its hash.
    pub(crate) filters: &'a str,
    pub(crate) filter_hash: &'a str,
    pub(crate) max_columns: usize,
    pub(crate) request_id: Option<String>,
    pub(crate) now: Timestamp,
}

/// What a chunk did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    /// Rows that are there now and were not before, or replaced ones.
    pub(crate) rows: u64,
    /// Lines or records that came in.
    pub(crate) lines: u64,
    pub(crate) duplicates: u64,
    pub(crate) rejects: u64,
    pub(crate) total_rows: u64,
    pub(crate) days: BTreeMap<Date, DayCount>,
}

/// Writes a chunk. Either everything is in, with its ledger entries, or nothing
/// has changed.
pub(crate) fn write_chunk(
    connection: &mut dyn SqlConnection,
    spec: &ChunkSpec<'_>,
    source: &mut dyn BatchSource,
    progress: &mut dyn FnMut(u64),
) -> Result<Written> {
    let kind = spec.metadata.kind;
    let mut catalog = match spec.create {
        true => Catalog::new(kind),
        false => Catalog::load(connection, spec.table, kind)?,
    };
    if matches!(spec.scope, Scope::Everything(_)) {
        catalog.reset_counts();
    }
    source.set_plan(catalog.plan(spec.max_columns));
    let mut ahead = Vec::new();
    let mut rows = 0;
    let mut done = false;
    while rows < LOOK_AHEAD_ROWS && !done {
        match source.next_batch()? {
            Some(batch) => {
                rows += batch.rows.num_rows();
                ahead.push(batch);
            }
            None => done = true,
        }
    }
    let new_columns = catalog.promote(&merged_stats(&ahead), spec.max_columns);
    make_columns(connection, spec, &new_columns)?;
    source.set_plan(catalog.plan(spec.max_columns));

    let view_changed = spec.create || !new_columns.is_empty();
    let transaction = Transaction::begin(connection, spec)?;
    let mut filling = Filling::new(spec, catalog, view_changed);
    let source = if done { None } else { Some(source) };
    let written = filling.fill(transaction.connection, ahead, source, progress)?;
    transaction.commit()?;
    let Filling { mut catalog, stale, .. } = filling;
    refill(connection, spec.table, kind, &mut catalog, &stale);
    Ok(written)
}

/// A transaction that is undone when it goes out of scope uncommitted, by an
/// error or by a panic in a caller's iterator. A table that was made for it
/// goes too.
struct Transaction<'c> {
    connection: &'c mut dyn SqlConnection,
    undo: Option<String>,
}

impl<'c> Transaction<'c> {
    fn begin(connection: &'c mut dyn SqlConnection, spec: &ChunkSpec<'_>) -> Result<Self> {
        let drop = format!("DROP TABLE IF EXISTS {}", ident(&physical(spec.table)));
        let undo = Some(if spec.create { drop } else { String::new() });
        let transaction = Transaction { connection, undo };
        transaction.connection.execute("BEGIN")?;
        Ok(transaction)
    }

    fn commit(mut self) -> Result<()> {
        self.connection.execute("COMMIT")?;
        self.undo = None;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        let Some(undo) = &self.undo else { return };
        // The first error is the one that is reported; a rollback that fails
        // means that the transaction is gone already.
        let _ = self.connection.execute("ROLLBACK");
        let _ = self.connection.execute(undo);
    }
}

fn merged_stats(batches: &[EventBatch]) -> Vec<PropertyStats> {
    let mut by_name: BTreeMap<&str, PropertyStats> = BTreeMap::new();
    for stats in batches.iter().flat_map(|batch| &batch.stats) {
        match by_name.get_mut(stats.name.as_str()) {
            Some(known) => known.merge(stats),
            None => {
                by_name.insert(&stats.name, stats.clone());
            }
        }
    }
    by_name.into_values().collect()
}

/// Makes the physical table, or the columns it lacks, in transactions of their
/// own: schema and data changes in one transaction are what DuckDB's recovery
/// handles worst.
fn make_columns(
    connection: &mut dyn SqlConnection,
    spec: &ChunkSpec<'_>,
    new_columns: &[(String, ColumnKind)],
) -> Result<()> {
    if spec.create {
        return connection.execute(&ddl::create_physical(spec.table, spec.metadata.kind, new_columns));
    }
    if new_columns.is_empty() {
        return Ok(());
    }
    let table = ident(&physical(spec.table));
    let mut sql = String::new();
    for (column, kind) in new_columns {
        let column = ident(column);
        // A chunk that failed after this point may have left the column behind.
        sql.push_str(&format!("ALTER TABLE {table} DROP COLUMN IF EXISTS {column};"));
        sql.push_str(&format!("ALTER TABLE {table} ADD COLUMN {column} {};", kind.sql_type()));
    }
    in_transaction(connection, &sql)?;
    checkpoint(connection);
    Ok(())
}

/// Keys are hashes already.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_ne_bytes(word);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// The state of one transaction.
struct Filling<'a> {
    spec: &'a ChunkSpec<'a>,
    kind: TableKind,
    catalog: Catalog,
    view_changed: bool,
    /// Promoted properties with values that their column cannot hold.
    stale: HashSet<String>,
    seen: HashSet<u64, BuildHasherDefault<Identity>>,
    suspects: bool,
    /// Whether a row lies outside of the chunk's days.
    strays: bool,
    /// Earliest and latest event time among the new rows, microseconds UTC.
    span: Option<(i64, i64)>,
    days: BTreeMap<Date, DayCount>,
    appended: u64,
    lines: u64,
    rejects: u64,
}

impl<'a> Filling<'a> {
    fn new(spec: &'a ChunkSpec<'a>, catalog: Catalog, view_changed: bool) -> Self {
        Filling {
            spec,
            kind: spec.metadata.kind,
            catalog,
            view_changed,
            stale: HashSet::new(),
            seen: HashSet::default(),
            suspects: false,
            strays: false,
            span: None,
            days: BTreeMap::new(),
            appended: 0,
            lines: 0,
            rejects: 0,
        }
    }

    fn days_range(&self) -> Option<&'a DayRange> {
        match &self.spec.scope {
            Scope::Days(range) => Some(range),
            Scope::Everything(range) | Scope::Add(range) => range.as_ref(),
        }
    }

    fn fill(
        &mut self,
        connection: &mut dyn SqlConnection,
        ahead: Vec<EventBatch>,
        mut source: Option<&mut dyn BatchSource>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Written> {
        let table = ident(&physical(self.spec.table));
        connection.execute("CREATE OR REPLACE TEMP TABLE mp_suspects (lookup VARCHAR)")?;
        let of_table = format!("DELETE FROM _quarantine WHERE table_name = {}", literal(self.spec.table));
        match &self.spec.scope {
            Scope::Days(range) => {
                let (from, to) = range.bounds();
                connection.execute(&format!("DELETE FROM {table} WHERE {}", between(from, to)))?;
                let chunk = literal(&chunk_name(&self.spec.scope));
                connection.execute(&format!("{of_table} AND chunk = {chunk}"))?;
            }
            Scope::Everything(_) => {
                connection.execute(&format!("DELETE FROM {table}"))?;
                connection.execute(&of_table)?;
            }
            Scope::Add(_) => {}
        }
        let mut ahead = ahead.into_iter();
        loop {
            let batch = match (ahead.next(), &mut source) {
                (Some(batch), _) => batch,
                (None, Some(source)) => match source.next_batch()? {
                    Some(batch) => batch,
                    None => break,
                },
                (None, None) => break,
            };
            self.append(connection, batch)?;
            progress(self.appended);
        }
        let removed = self.remove_duplicates(connection, &table)?;
        self.record(connection, &table, removed)
    }

    fn append(&mut self, connection: &mut dyn SqlConnection, batch: EventBatch) -> Result<()> {
        self.lines += batch.lines;
        self.rejects += batch.rejects.len() as u64;
        self.view_changed |= self.catalog.observe(&batch.stats);
        quarantine(connection, self.spec, &batch.rejects)?;
        if batch.rows.num_rows() == 0 {
            return Ok(());
        }
        self.count_days(&batch);
        self.note_suspects(connection, &batch)?;
        let fitted = self.fit(&batch);
        self.appended += connection.append(Target::Main(&physical(self.spec.table)), &fitted)?;
        Ok(())
    }

    /// The batch as the physical table has it: the fixed columns and the
    /// promoted properties, each with its column's kind.
    fn fit(&mut self, batch: &EventBatch) -> RecordBatch {
        let schema = batch.rows.schema();
        let mut columns: Vec<(String, ArrayRef)> = schema
            .fields()
            .iter()
            .zip(batch.rows.columns())
            .map(|(field, values)| (field.name().clone(), values.clone()))
            .collect();
        for column in &batch.columns {
            let Some(property) = self.catalog.get(&column.name) else { continue };
            if !property.promoted || self.stale.contains(&column.name) {
                continue;
            }
            let texts = batch.rows.column_by_name(PROPERTIES).expect("a fixed column").as_string::<i32>();
            match fit_kind(&column.values, column.kind, property.kind, texts, &column.name) {
                Some(values) => columns.push((property.column.clone(), values)),
                None => {
                    self.stale.insert(column.name.clone());
                }
            }
        }
        RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, values)| (name, values, true)),
        )
        .expect("columns of one length")
    }

    fn count_days(&mut self, batch: &EventBatch) {
        let Some(times) = batch.rows.column_by_name(EVENT_TIME) else { return };
        let times = times.as_primitive::<TimestampMicrosecondType>();
        for time in times.values() {
            let (low, high) = self.span.unwrap_or((*time, *time));
            self.span = Some((low.min(*time), high.max(*time)));
        }
        let Some(range) = self.days_range() else { return };
        let (from, to) = range.bounds();
        let texts = batch.rows.column_by_name(PROPERTIES).expect("a fixed column").as_string::<i32>();
        for (row, time) in times.values().iter().enumerate() {
            self.strays |= *time < from || *time >= to;
            let day = range.clock.day_of(*time);
            self.days.entry(day).or_default().add(texts.value(row), batch.keys[row]);
        }
    }

    /// Notes rows whose key occurred before in this chunk. A hash that collides
    /// only means that a row is looked at once more.
    fn note_suspects(&mut self, connection: &mut dyn SqlConnection, batch: &EventBatch) -> Result<()> {
        let mut again: Vec<u32> = Vec::new();
        for (row, key) in batch.keys.iter().enumerate() {
            if !self.seen.insert(*key) {
                again.push(row as u32);
            }
        }
        if again.is_empty() {
            return Ok(());
        }
        self.suspects = true;
        let lookup = batch.rows.column_by_name(self.kind.shape().lookup).expect("a key column");
        let rows = arrow::array::PrimitiveArray::<UInt32Type>::from(again);
        let values = take(lookup, &rows, None).expect("rows of this batch");
        let batch = RecordBatch::try_from_iter([("lookup", values)]).expect("one column");
        connection.append(Target::Temporary("mp_suspects"), &batch)?;
        Ok(())
    }

    /// Of the rows with one key, all but the newest go. Returns how many went,
    /// by day.
    fn remove_duplicates(
        &mut self,
        connection: &mut dyn SqlConnection,
        table: &str,
    ) -> Result<BTreeMap<Option<Date>, u64>> {
        let shape = self.kind.shape();
        let add = matches!(self.spec.scope, Scope::Add(_));
        let within = match (self.span, self.days_range()) {
            _ if self.kind == TableKind::Profiles => String::new(),
            (_, Some(range)) if !self.strays => {
                let (from, to) = range.bounds();
                format!(" WHERE {}", between(from, to))
            }
            (Some((low, high)), _) => format!(" WHERE {}", between(low, high + 1)),
            (None, _) => return Ok(BTreeMap::new()),
        };
        if add || self.strays {
            connection.execute(&format!(
                "INSERT INTO temp.mp_suspects
                 SELECT {lookup} FROM {table}{within} GROUP BY {lookup} HAVING count(*) > 1",
                lookup = shape.lookup,
            ))?;
        } else if !self.suspects {
            return Ok(BTreeMap::new());
        }
        let time = if self.kind == TableKind::Events { "epoch_us(event_time)" } else { "0" };
        let removed = connection.rows(
            &format!(
                "DELETE FROM {table} WHERE rowid IN (
                     SELECT row FROM (
                         SELECT rowid AS row,
                                row_number() OVER (PARTITION BY {key} ORDER BY {newest}) AS position
                         FROM (SELECT rowid, * FROM {table}{within})
                         WHERE {lookup} IN (SELECT lookup FROM temp.mp_suspects))
                     WHERE position > 1)
                 RETURNING {time}",
                key = shape.key.join(", "),
                newest = shape.newest_first,
                lookup = shape.lookup,
            ),
            &[],
        )?;
        let mut by_day = BTreeMap::new();
        for row in removed {
            let clock = self.days_range().map(|range| &range.clock);
            let day = clock.and_then(|clock| Some(clock.day_of(row[0].as_i64()?)));
            *by_day.entry(day).or_insert(0) += 1;
        }
        Ok(by_day)
    }

    fn record(
        &mut self,
        connection: &mut dyn SqlConnection,
        table: &str,
        removed: BTreeMap<Option<Date>, u64>,
    ) -> Result<Written> {
        let spec = self.spec;
        for (day, count) in &removed {
            if let Some(count_of_day) = day.and_then(|day| self.days.get_mut(&day)) {
                count_of_day.duplicates += count;
            }
        }
        let removed: u64 = removed.values().sum();
        for name in &self.stale {
            let property = self.catalog.get_mut(name).expect("a property of this table");
            property.promoted = false;
            property.kind = property.stats.kind().map_or(property.kind, |kind| kind.join(property.kind));
            self.view_changed = true;
        }
        self.catalog.store(connection, spec.table)?;
        let total_rows = connection.scalar(&format!("SELECT count(*) FROM {table}"), &[])?;
        let total_rows = total_rows.as_i64().unwrap_or_default() as u64;
        if let Some(range) = self.days_range() {
            for day in range.from.series(jiff::Span::new().days(1)).take_while(|day| *day <= range.to) {
                self.days.entry(day).or_default();
            }
            ledger::record_days(connection, spec, range, &self.days, self.rejects)?;
        }
        ledger::record_table(connection, spec, total_rows)?;
        if self.view_changed {
            connection.execute(&ddl::create_view(spec.table, self.kind))?;
            let flat = ddl::create_flat_view(spec.table, self.kind, &self.catalog.by_frequency());
            connection.execute(&flat)?;
        }
        connection.execute("DROP TABLE temp.mp_suspects")?;
        Ok(Written {
            rows: self.appended.saturating_sub(removed),
            lines: self.lines,
            duplicates: removed,
            rejects: self.rejects,
            total_rows,
            days: std::mem::take(&mut self.days),
        })
    }
}

/// SQL for `event_time` within [from, to), microseconds UTC.
fn between(from: i64, to: i64) -> String {
    format!("event_time >= make_timestamp({from}) AND event_time < make_timestamp({to})")
}

/// A property's values with its column's kind; `None` when the column is too
/// narrow for them.
fn fit_kind(
    values: &ArrayRef,
    has: ColumnKind,
    wants: ColumnKind,
    texts: &StringArray,
    name: &str,
) -> Option<ArrayRef> {
    match (has, wants) {
        _ if has == wants => Some(values.clone()),
        (ColumnKind::BigInt, ColumnKind::Double) => cast(values, &DataType::Float64).ok(),
        (ColumnKind::Varchar | ColumnKind::Json, ColumnKind::Mixed) => Some(values.clone()),
        // Decoded before the column was chosen: exact text, not a re-rendering.
        (_, ColumnKind::Mixed) => Some(rebuild_column(texts, name, ColumnKind::Mixed)),
        _ => None,
    }
}

/// What a chunk is called in `_quarantine`.
fn chunk_name(scope: &Scope) -> String {
    match scope {
        Scope::Days(range) | Scope::Everything(Some(range)) | Scope::Add(Some(range)) => {
            format!("{}..{}", range.from, range.to)
        }
        Scope::Everything(None) | Scope::Add(None) => "records".to_owned(),
    }
}

/// Keeps refused lines, with the reason.
fn quarantine(connection: &mut dyn SqlConnection, spec: &ChunkSpec<'_>, rejects: &[Reject]) -> Result<()> {
    let chunk = chunk_name(&spec.scope);
    for reject in rejects {
        connection.run(
            "INSERT INTO _quarantine VALUES (?, ?, ?, ?, ?, ?)",
            &[
                Value::Text(spec.table.to_owned()),
                Value::Text(chunk.clone()),
                Value::Integer(reject.line.into()),
                Value::Text(reject.reason.as_str().to_owned()),
                Value::Blob(reject.bytes.clone()),
                Value::Timestamp(spec.now),
            ],
        )?;
    }
    Ok(())
}
