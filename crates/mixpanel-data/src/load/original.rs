//! Tables of the Python original, by the way of files: rows become lines as Mixpanel sends them.
//!
//! The original took `time`, `distinct_id` and `$insert_id` out of the properties of events, and
//! `$last_seen` out of those of profiles; here they are put back. Times are in whole seconds, as it
//! asked for them, and its `insert_id` of an event that came without one is a random one.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use jiff::Timestamp;
use jiff::civil::Date;
use mixpanel_client::CancelToken;
use mixpanel_client::engage::{EngageRequest, ProfileDecoder};
use mixpanel_client::export::ColumnPlan;
use mixpanel_client::time::ProjectClock;
use serde::Serialize;

use super::fault::Fault;
use super::lines::{Cut, Piece};
use super::run::{Target, decoder, place};
use super::source::{Counters, FileSource, LineDecoder, Told};
use super::{LoadProgress, OnLoadProgress, time};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::chunk::{Arrival, ChunkSpec, Create, Scope, Written};
use crate::storage::filters::Filters;
use crate::storage::{
    DEFAULT_MAX_COLUMNS, Definition, OnReject, OriginalTable, StorageEngine, check_table_name, ident,
};
use crate::types::{TableKind, TableMetadata};

/// Which tables of a database of the Python original to copy.
#[derive(Clone, Debug, Default)]
pub struct ImportOriginal {
    /// Their names; all of them when empty.
    pub tables: Vec<String>,
    /// What the times mean: the original took them for UTC. Unless told, the clock of the table that
    /// is written, and UTC for a new one.
    pub clock: Option<ProjectClock>,
    /// What to do with rows that cannot be stored.
    pub on_reject: OnReject,
    /// Stops it, from any thread.
    pub cancel: CancelToken,
}

/// What became of a table of the Python original. Always `lines = rows + duplicates + rejects`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImportedTable {
    /// The table, as it was there, and what was known of it.
    #[serde(flatten)]
    pub original: OriginalTable,
    /// The database file that was written; none in memory.
    pub database: Option<PathBuf>,
    /// Rows that it had.
    pub lines: u64,
    /// Rows that were added.
    pub rows: u64,
    /// Events that were there already.
    pub duplicates: u64,
    /// Rows that could not be stored; kept in `_quarantine`.
    pub rejects: u64,
    /// Days with events.
    pub days: u64,
    /// Rows in the table afterwards.
    pub total_rows: u64,
    /// Wall-clock time.
    #[serde(serialize_with = "crate::types::seconds")]
    pub duration: Duration,
}

/// Copies tables of `from`, a database of the Python original.
pub(crate) fn import_original(
    storage: &StorageEngine,
    now: Timestamp,
    from: &StorageEngine,
    import: &ImportOriginal,
    on_progress: OnLoadProgress<'_>,
) -> Result<Vec<ImportedTable>> {
    let started = Instant::now();
    let tables = chosen(storage, from, import)?;
    let file = from.path().and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy();
    let mut progress = LoadProgress { files: tables.len() as u32, ..LoadProgress::default() };
    let mut imported = Vec::with_capacity(tables.len());
    for table in tables {
        let began = Instant::now();
        progress.file.clone_from(&table.name);
        let before = progress.rows_stored;
        let mut told = |rows: u64, _: u64, _: u64| {
            progress.rows = before + rows;
            progress.elapsed = started.elapsed();
            on_progress(&progress);
        };
        let name = format!("{file}, table {}", table.name);
        let origin = Filters::of_file(&match table.fetched_at {
            Some(at) => format!("{name} of the Python original, fetched {}", at.strftime("%F")),
            None => format!("{name} of the Python original, whose fetch failed"),
        });
        let copy = Copying { storage, from, table: &table, name: &name, origin: &origin, import, now };
        let written = match table.kind {
            TableKind::Events => copy.events(&mut told)?,
            TableKind::Profiles => copy.profiles(&mut told)?,
        };
        progress.rows_stored = before + written.as_ref().map_or(0, |written| written.lines);
        progress.files_done += 1;
        if written.is_some() {
            // The rows are in: what fails here only costs speed or space.
            let _ = storage.finish(&table.name, table.kind);
        }
        let count = |count: fn(&Written) -> u64| written.as_ref().map_or(0, count);
        imported.push(ImportedTable {
            database: storage.path().map(PathBuf::from),
            lines: count(|written| written.lines),
            rows: count(|written| written.rows),
            duplicates: count(|written| written.duplicates),
            rejects: count(|written| written.rejects),
            days: count(|written| written.days.len() as u64),
            total_rows: count(|written| written.total_rows),
            duration: began.elapsed(),
            original: table,
        });
    }
    Ok(imported)
}

/// The tables that are meant, if all of them can be written.
fn chosen(
    storage: &StorageEngine,
    from: &StorageEngine,
    import: &ImportOriginal,
) -> Result<Vec<OriginalTable>> {
    let known = match from.original_tables()? {
        Some(tables) => tables,
        None => from.tables_like_the_originals()?,
    };
    if known.is_empty() && from.original_tables()?.is_none() {
        let file = from.path().map_or_else(|| "the database".to_owned(), |path| path.display().to_string());
        return Err(Fault::file("it is not a database of the Python original").about(&file));
    }
    let existing = || known.iter().map(|table| table.name.clone()).collect::<Vec<_>>();
    for name in &import.tables {
        if !known.iter().any(|table| table.name == *name) {
            return Err(ErrorKind::TableNotFound { table: name.clone(), existing: existing() }.into());
        }
    }
    let meant = |table: &OriginalTable| import.tables.is_empty() || import.tables.contains(&table.name);
    let tables: Vec<OriginalTable> = known.iter().filter(|table| meant(table)).cloned().collect();
    for table in &tables {
        check_table_name(&table.name)?;
        // Profiles that were fetched since are newer.
        if table.kind == TableKind::Profiles && storage.table_exists(&table.name)? {
            return Err(ErrorKind::TableExists { table: table.name.clone() }.into());
        }
    }
    Ok(tables)
}

/// A table on its way.
struct Copying<'a> {
    storage: &'a StorageEngine,
    from: &'a StorageEngine,
    table: &'a OriginalTable,
    name: &'a str,
    origin: &'a Filters,
    import: &'a ImportOriginal,
    now: Timestamp,
}

impl Copying<'_> {
    fn events(&self, told: Told<'_>) -> Result<Option<Written>> {
        let (table, clock) = place(self.storage, &self.table.name, self.import.clock.clone())?;
        let sql = format!(
            "SELECT event_name, epoch_us(event_time), distinct_id, insert_id, CAST(properties AS VARCHAR) FROM {}",
            ident(&self.table.name)
        );
        let asked: Option<(Date, Date)> = self.table.from_date.zip(self.table.to_date);
        let (storage, now, on_reject) = (self.storage, self.now, self.import.on_reject);
        let into = Target { storage, table: &table, clock: &clock, now, on_reject, asked };
        self.rows(&sql, event, decoder(&clock), told, |source| {
            into.store(self.name, self.origin, true, source)
        })
    }

    fn profiles(&self, told: Told<'_>) -> Result<Option<Written>> {
        let sql = format!(
            "SELECT distinct_id, CAST(last_seen AS VARCHAR), CAST(properties AS VARCHAR) FROM {}",
            ident(&self.table.name)
        );
        let filters = Filters::of_profiles(&EngageRequest::default());
        let metadata = TableMetadata::profiles(self.now);
        let spec = ChunkSpec {
            table: &self.table.name,
            create: Create::New,
            scope: Scope::Profiles(Arrival::Upsert { whole: false }),
            metadata: &metadata,
            filters: filters.text(),
            filter_hash: filters.hash(),
            origin: Some(self.origin),
            definition: &Definition::default(),
            redefine: false,
            max_columns: DEFAULT_MAX_COLUMNS,
            on_reject: self.import.on_reject,
            request_id: None,
            now: self.now,
        };
        let decoder = ProfileDecoder::new(&ColumnPlan::all());
        self.rows(&sql, profile, decoder, told, |source| self.storage.write(&spec, source, &mut |_| {}))
    }

    /// Reads rows on a thread of their own, and stores them. `None`: there are none.
    fn rows<D: LineDecoder>(
        &self,
        sql: &str,
        line: fn(&RecordBatch, usize, &mut Vec<u8>),
        decoder: D,
        told: Told<'_>,
        store: impl FnOnce(&mut FileSource<'_, D>) -> Result<Written>,
    ) -> Result<Option<Written>> {
        let any =
            self.from.execute_rows(&format!("SELECT 1 FROM {} LIMIT 1", ident(&self.table.name)), &[])?;
        if any.rows.is_empty() {
            return Ok(None);
        }
        let counters: Counters = (Arc::default(), Arc::default());
        let text = Arc::clone(&counters.1);
        let (from, cancel) = (self.from, self.import.cancel.clone());
        let reading = move |send: &mut dyn FnMut(Piece) -> bool| read(from, sql, line, &cancel, &text, send);
        thread::scope(|threads| {
            let mut source = FileSource::begin(threads, self.name, decoder, counters, reading, told)?;
            store(&mut source).map(Some)
        })
    }
}

/// Hands out the rows of a query as lines.
fn read(
    from: &StorageEngine,
    sql: &str,
    line: fn(&RecordBatch, usize, &mut Vec<u8>),
    cancel: &CancelToken,
    text: &AtomicU64,
    send: &mut dyn FnMut(Piece) -> bool,
) -> Result<(), Fault> {
    let mut number = 0;
    let mut wanted = true;
    let read = from.execute_streaming(sql, &mut |_| Ok(()), &mut |batch| {
        let batch = as_text(&batch)?;
        let mut cut = Cut::default();
        for row in 0..batch.num_rows() {
            number += 1;
            line(&batch, row, &mut cut.text);
            cut.close(number, None);
            if cut.is_full() {
                text.fetch_add(cut.text.len() as u64, Ordering::Relaxed);
                wanted = wanted && send(Piece::Cut(std::mem::take(&mut cut)));
            }
        }
        text.fetch_add(cut.text.len() as u64, Ordering::Relaxed);
        wanted = wanted && send(Piece::Cut(cut));
        if wanted && !cancel.is_cancelled() { Ok(()) } else { Err(ErrorKind::Cancelled.into()) }
    });
    read.map_err(|error| match error.kind() {
        ErrorKind::Cancelled => Fault::Cancelled,
        _ => Fault::Database(error),
    })
}

/// The batch with texts of one type.
fn as_text(batch: &RecordBatch) -> Result<RecordBatch> {
    let text = |column: &ArrayRef| match column.data_type() {
        DataType::Int64 => Ok(Arc::clone(column)),
        _ => cast(column, &DataType::Utf8),
    };
    let columns: Result<Vec<ArrayRef>, _> = batch.columns().iter().map(text).collect();
    let named = |columns: Vec<ArrayRef>| {
        let names = ["0", "1", "2", "3", "4"];
        RecordBatch::try_from_iter_with_nullable(names.into_iter().zip(columns).map(|(n, c)| (n, c, true)))
    };
    columns.and_then(named).map_err(|error| Error::argument("table", error.to_string()))
}

fn text(batch: &RecordBatch, column: usize, row: usize) -> Option<&str> {
    let column = batch.column(column).as_string::<i32>();
    column.is_valid(row).then(|| column.value(row))
}

fn push_text(text: &str, into: &mut Vec<u8>) {
    serde_json::to_writer(into, text).expect("memory takes everything");
}

/// What follows in an object that has members already: the members of `properties`.
fn push_rest(properties: Option<&str>, into: &mut Vec<u8>) {
    let inside = properties.map(str::trim).and_then(|text| text.strip_prefix('{')?.strip_suffix('}'));
    match (inside, properties) {
        (Some(inside), _) if inside.trim().is_empty() => {}
        (Some(inside), _) => {
            into.push(b',');
            into.extend_from_slice(inside.as_bytes());
        }
        (None, None | Some("null")) => {}
        // No object: the decoder refuses the line, and the text is kept in it.
        (None, Some(other)) => {
            into.push(b',');
            into.extend_from_slice(other.as_bytes());
        }
    }
}

fn event(batch: &RecordBatch, row: usize, into: &mut Vec<u8>) {
    into.extend_from_slice(b"{\"event\":");
    push_text(text(batch, 0, row).unwrap_or_default(), into);
    into.extend_from_slice(b",\"properties\":{\"time\":");
    let time = batch.column(1).as_primitive::<Int64Type>().value(row);
    into.extend_from_slice(time::export(time, true).as_bytes());
    into.extend_from_slice(b",\"distinct_id\":");
    push_text(text(batch, 2, row).unwrap_or_default(), into);
    if let Some(id) = text(batch, 3, row).filter(|id| !id.is_empty()) {
        into.extend_from_slice(b",\"$insert_id\":");
        push_text(id, into);
    }
    push_rest(text(batch, 4, row), into);
    into.extend_from_slice(b"}}");
}

fn profile(batch: &RecordBatch, row: usize, into: &mut Vec<u8>) {
    into.extend_from_slice(b"{\"$distinct_id\":");
    push_text(text(batch, 0, row).unwrap_or_default(), into);
    into.extend_from_slice(b",\"$properties\":{");
    let start = into.len();
    if let Some(seen) = text(batch, 1, row) {
        into.extend_from_slice(b"\"$last_seen\":");
        push_text(&seen.replacen(' ', "T", 1), into);
    }
    if into.len() == start {
        // Nothing stands before them.
        let mut rest = Vec::new();
        push_rest(text(batch, 2, row), &mut rest);
        into.extend_from_slice(rest.strip_prefix(b",").unwrap_or(&rest));
    } else {
        push_rest(text(batch, 2, row), into);
    }
    into.extend_from_slice(b"}}");
}
