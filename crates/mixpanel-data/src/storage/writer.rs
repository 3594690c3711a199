//! Writing a chunk: decoded batches in, one transaction, all or nothing.
//!
//! ```text
//! look ahead ─▶ choose columns ─▶ DDL ─▶ BEGIN
//!     old rows out ─▶ batches in ─▶ duplicates out ─▶ catalog, ledger, views
//!                                          COMMIT ─▶ newer versions of rows in
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use arrow::array::Array;
use mixpanel_client::export::{DecodedBatch, PropertyStats};
use mixpanel_client::schema::ColumnKind;

use super::catalog::Catalog;
use super::chunk::{BatchSource, ChunkSpec, Create, Written, memory_of};
use super::claimed;
use super::connection::SqlConnection;
use super::ddl::{self, ident, physical};
use super::definition::Definition;
use super::filling::Filling;
use super::held;
use super::refill::{in_transaction, refill};
use crate::error::{ErrorKind, Result};
use crate::value::Value;

/// So many rows are decoded before columns are chosen: enough to see what is
/// frequent and most properties' kinds.
const LOOK_AHEAD_ROWS: usize = 32_768;

/// The same for a table that has its columns: only new properties are to be seen.
const LOOK_AHEAD_MORE: usize = 8_192;

/// And so many bytes at most, as rows may be of any size.
const LOOK_AHEAD_BYTES: usize = 48 << 20;

/// A property whose values have more bytes than this, on average, gets no column.
const LONG_VALUE: usize = 8 << 10;

/// Columns of so many rows are made anew in less than a second.
const CHEAP_ROWS: i64 = 250_000;

/// Writes a chunk. Either everything is in, with its ledger entries, or nothing
/// has changed.
pub(crate) fn write_chunk(
    connection: &mut dyn SqlConnection,
    spec: &ChunkSpec<'_>,
    source: &mut dyn BatchSource,
    progress: &mut dyn FnMut(u64),
) -> Result<Written> {
    let kind = spec.metadata.kind;
    held::exchange(connection)?;
    let create = creates(connection, spec)?;
    if !create && !spec.redefine {
        Definition::load(connection, spec.table)?.allows(spec.table, spec.definition)?;
    }
    let mut catalog = match create {
        true => Catalog::new(kind),
        false => Catalog::load(connection, spec.table, kind)?,
    };
    if spec.scope.replaces_all() {
        catalog.reset_counts();
    }
    source.set_plan(catalog.plan(spec.max_columns));
    let mut ahead = VecDeque::new();
    let (mut rows, mut bytes) = (0, 0);
    let mut done = false;
    let enough = if create { LOOK_AHEAD_ROWS } else { LOOK_AHEAD_MORE };
    while rows < enough && bytes < LOOK_AHEAD_BYTES && !done {
        match source.next_batch()? {
            Some(batch) => {
                rows += batch.rows.num_rows();
                bytes += memory_of(&batch);
                ahead.push_back(batch);
            }
            None => done = true,
        }
    }
    let stats = merged_stats(&ahead);
    if !create && catalog.widen(&stats) {
        widen(connection, spec, &mut catalog)?;
    }
    let mut fresh = stats.clone();
    let long = long_values(&ahead);
    fresh.retain(|seen| !long.contains(seen.name.as_str()));
    let new_columns = catalog.promote(&fresh, rows as u64, spec.max_columns);
    make_columns(connection, spec, create, &new_columns)?;
    source.set_plan(catalog.plan(spec.max_columns));

    let view_changed = create || !new_columns.is_empty();
    let transaction = Transaction::begin(connection, spec, create)?;
    let mut filling = Filling::new(spec, catalog, view_changed);
    filling.expect(stats.iter().filter(|seen| seen.rows > 0).map(|seen| seen.name.as_str()));
    let mut batches = Batches { ahead, source: (!done).then_some(source) };
    let written = filling.fill(transaction.connection, &mut batches, progress)?;
    transaction.commit()?;
    // What fails here is done before the next chunk, or when the file is opened.
    held::exchange(connection)?;
    Ok(written)
}

/// Whether the chunk makes its table. Asked by the one that writes: another thread may have made it
/// since the call began.
fn creates(connection: &mut dyn SqlConnection, spec: &ChunkSpec<'_>) -> Result<bool> {
    if spec.create == Create::No {
        return Ok(false);
    }
    let known = "SELECT count(*) FROM _tables WHERE lower(table_name) = lower(?)";
    let there = connection.scalar(known, &[Value::Text(spec.table.to_owned())])? != Value::Integer(0);
    if there && spec.create == Create::New {
        return Err(ErrorKind::TableExists { table: spec.table.to_owned() }.into());
    }
    if !there {
        claimed::check_free(connection, spec.table, spec.metadata.kind)?;
    }
    Ok(!there)
}

/// The batches of a chunk: those that were looked at already, then the others.
pub(super) struct Batches<'a> {
    ahead: VecDeque<DecodedBatch>,
    source: Option<&'a mut dyn BatchSource>,
}

impl Batches<'_> {
    pub(super) fn next(&mut self) -> Result<Option<DecodedBatch>> {
        match (self.ahead.pop_front(), &mut self.source) {
            (Some(batch), _) => Ok(Some(batch)),
            (None, Some(source)) => source.next_batch(),
            (None, None) => Ok(None),
        }
    }
}

/// A transaction that is undone when it goes out of scope uncommitted, by an
/// error or by a panic in a caller's iterator. A table that was made for it
/// goes too.
struct Transaction<'c> {
    connection: &'c mut dyn SqlConnection,
    undo: Option<String>,
}

impl<'c> Transaction<'c> {
    fn begin(connection: &'c mut dyn SqlConnection, spec: &ChunkSpec<'_>, create: bool) -> Result<Self> {
        let drop = format!("DROP TABLE IF EXISTS {}", ident(&physical(spec.table)));
        let undo = Some(if create { drop } else { String::new() });
        let transaction = Transaction { connection, undo };
        transaction.connection.execute("BEGIN")?;
        Ok(transaction)
    }

    fn commit(mut self) -> Result<()> {
        self.connection.commit()?;
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

fn merged_stats(batches: &VecDeque<DecodedBatch>) -> Vec<PropertyStats> {
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

/// Properties whose values are long. DuckDB copies 2,048 values at a time when it compresses a column,
/// beside its memory limit; they are in the exact text anyhow, and nobody groups by them.
fn long_values(batches: &VecDeque<DecodedBatch>) -> BTreeSet<String> {
    let mut sizes: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for column in batches.iter().flat_map(|batch| &batch.columns) {
        let size = sizes.entry(&column.name).or_default();
        size.0 += column.values.to_data().get_slice_memory_size().unwrap_or_default();
        size.1 += column.values.len() - column.values.null_count();
    }
    let long = sizes.into_iter().filter(|(_, (bytes, values))| bytes / LONG_VALUE > *values);
    long.map(|(name, _)| name.to_owned()).collect()
}

/// Columns that the coming rows do not fit into are computed from now on; and
/// made wider at once where that is cheap, or else when all chunks are in.
fn widen(connection: &mut dyn SqlConnection, spec: &ChunkSpec<'_>, catalog: &mut Catalog) -> Result<()> {
    let (table, kind) = (spec.table, spec.metadata.kind);
    connection.execute("BEGIN")?;
    let flat = ddl::create_flat_view(table, kind, &catalog.by_frequency());
    let stored = catalog
        .store(connection, table)
        .and_then(|()| connection.execute(&flat))
        .and_then(|()| connection.commit());
    if stored.is_err() {
        let _ = connection.execute("ROLLBACK");
        return stored;
    }
    let rows = connection.scalar(&format!("SELECT count(*) FROM {}", ident(&physical(table))), &[])?;
    if rows.as_i64().is_some_and(|rows| rows < CHEAP_ROWS) {
        refill(connection, table, kind)?;
        *catalog = Catalog::load(connection, table, kind)?;
        if spec.scope.replaces_all() {
            catalog.reset_counts();
        }
    }
    Ok(())
}

/// Makes the physical table, or the columns it lacks, in transactions of their
/// own: schema and data changes in one transaction are what DuckDB's recovery
/// handles worst.
fn make_columns(
    connection: &mut dyn SqlConnection,
    spec: &ChunkSpec<'_>,
    create: bool,
    new_columns: &[(String, ColumnKind)],
) -> Result<()> {
    if create {
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
    in_transaction(connection, &sql)
}
