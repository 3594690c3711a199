//! Tables made, extended and removed: chunks into the one connection that writes.

use std::fs;

use jiff::Timestamp;
use jiff::civil::Date;

use super::{Progress, StorageEngine};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::catalog::DEFAULT_MAX_COLUMNS;
use crate::storage::chunk::{BatchSource, ChunkSpec, Create, OnReject, Scope, Written};
use crate::storage::claimed;
use crate::storage::ddl::{check_table_name, ident, literal, physical};
use crate::storage::definition::Definition;
use crate::storage::filters::Filters;
use crate::storage::ledger;
use crate::storage::open;
use crate::storage::pin::{Pin, checkpoint, compact};
use crate::storage::records::{EventRecord, ProfileRecord, Record, RecordSource, Rows};
use crate::storage::refill::{in_transaction, refill};
use crate::storage::writer::write_chunk;
use crate::types::{TableKind, TableMetadata};

/// A log beyond this is written into the file after a chunk.
const MAX_LOG_BYTES: u64 = 16 << 20;

impl StorageEngine {
    /// Makes a new events table from records or Arrow batches. Returns the
    /// number of rows inserted: of several records with the same name, time,
    /// user and insert id, the one that Mixpanel processed last is kept.
    ///
    /// Either all records are in, or the table does not exist. `progress` is
    /// called with the rows written so far, after each batch.
    ///
    /// # Errors
    /// [`TableExists`](ErrorKind::TableExists),
    /// [`InvalidTableName`](ErrorKind::InvalidTableName),
    /// [`InvalidRecord`](ErrorKind::InvalidRecord),
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) when a batch lacks a column.
    pub fn create_events_table<'a>(
        &self,
        name: &str,
        data: impl Into<Rows<'a, EventRecord>>,
        metadata: &TableMetadata,
        progress: Option<Progress<'_>>,
    ) -> Result<u64> {
        self.write_records(name, TableKind::Events, true, data.into(), metadata, progress)
    }

    /// Adds events to an existing table. Events that are there already are not
    /// added again. Returns the number of rows that the table gained.
    ///
    /// # Errors
    /// [`TableNotFound`](ErrorKind::TableNotFound),
    /// [`WrongTableKind`](ErrorKind::WrongTableKind), and as above.
    pub fn append_events_table<'a>(
        &self,
        name: &str,
        data: impl Into<Rows<'a, EventRecord>>,
        metadata: &TableMetadata,
        progress: Option<Progress<'_>>,
    ) -> Result<u64> {
        self.write_records(name, TableKind::Events, false, data.into(), metadata, progress)
    }

    /// Makes a new profiles table. Of several records of one `distinct_id` the
    /// last is kept. Otherwise as [`create_events_table`](Self::create_events_table).
    pub fn create_profiles_table<'a>(
        &self,
        name: &str,
        data: impl Into<Rows<'a, ProfileRecord>>,
        metadata: &TableMetadata,
        progress: Option<Progress<'_>>,
    ) -> Result<u64> {
        self.write_records(name, TableKind::Profiles, true, data.into(), metadata, progress)
    }

    /// Adds profiles to an existing table; a profile that is there is replaced.
    /// Returns the number of rows that the table gained.
    pub fn append_profiles_table<'a>(
        &self,
        name: &str,
        data: impl Into<Rows<'a, ProfileRecord>>,
        metadata: &TableMetadata,
        progress: Option<Progress<'_>>,
    ) -> Result<u64> {
        self.write_records(name, TableKind::Profiles, false, data.into(), metadata, progress)
    }

    fn write_records<'a, R: Record + 'a>(
        &self,
        name: &str,
        kind: TableKind,
        create: bool,
        rows: Rows<'a, R>,
        metadata: &TableMetadata,
        progress: Option<Progress<'_>>,
    ) -> Result<u64> {
        check_table_name(name)?;
        if metadata.kind != kind {
            let why = format!("it is about {}, the table is for {kind}", metadata.kind);
            return Err(Error::argument("metadata", why));
        }
        if create && self.table_exists(name)? {
            return Err(ErrorKind::TableExists { table: name.to_owned() }.into());
        }
        let name = if create { name.to_owned() } else { self.require(name, kind)? };
        let filters = Filters::new(metadata.filter_events.as_deref(), metadata.filter_where.as_deref());
        let spec = ChunkSpec {
            table: &name,
            create: if create { Create::New } else { Create::No },
            scope: if create { Scope::Everything(None) } else { Scope::Add(None) },
            metadata,
            filters: filters.text(),
            filter_hash: filters.hash(),
            origin: None,
            // Nobody says what a caller's own records are a copy of.
            definition: &Definition::default(),
            redefine: false,
            max_columns: DEFAULT_MAX_COLUMNS,
            on_reject: OnReject::Fail,
            request_id: None,
            now: metadata.fetched_at,
        };
        let mut source = RecordSource::new(rows);
        let written = self.write(&spec, &mut source, progress.unwrap_or(&mut |_| {}))?;
        self.finish(&name, kind)?;
        Ok(written.rows)
    }

    /// Writes a chunk, and keeps the log short or, in memory, the tables compressed.
    pub(crate) fn write(
        &self,
        spec: &ChunkSpec<'_>,
        source: &mut dyn BatchSource,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Written> {
        self.with_writer(|connection| {
            let Some(path) = &self.path else {
                let written = write_chunk(connection, spec, source, progress)?;
                self.compression.run(connection, false);
                return Ok(written);
            };
            let pin = Pin::hold(connection)?;
            let written = write_chunk(connection, spec, source, progress)?;
            drop(pin);
            if fs::metadata(open::log_of(path)).is_ok_and(|log| log.len() > MAX_LOG_BYTES) {
                checkpoint(connection);
            }
            open::protect_log(path);
            Ok(written)
        })
    }

    /// What is to be done when the chunks of a table are in: columns that were
    /// too narrow, the log, the space of deleted rows.
    pub(crate) fn finish(&self, table: &str, kind: TableKind) -> Result<()> {
        self.with_writer(|connection| {
            if self.path.is_none() {
                refill(connection, table, kind)?;
                self.compression.run(connection, true);
                return Ok(());
            }
            let pin = Pin::hold(connection)?;
            let refilled = refill(connection, table, kind);
            drop(pin);
            checkpoint(connection);
            refilled?;
            compact(connection, &ident(&physical(table)))
        })
    }

    /// Notes in the ledger that days lie before the history that the project's
    /// plan keeps, so that they are not asked for again and again.
    pub(crate) fn record_unavailable(
        &self,
        table: &str,
        filter_hash: &str,
        days: &[Date],
        now: Timestamp,
    ) -> Result<()> {
        self.with_writer(|connection| {
            let result = ledger::record_unavailable(connection, table, filter_hash, days, now);
            if result.is_err() {
                let _ = connection.execute("ROLLBACK");
            }
            result
        })
    }

    /// Keeps how fast a table was fetched. It is a measurement and no part of what is stored, so it
    /// has a table of its own.
    pub(crate) fn record_pace(&self, table: &str, rows_per_second: f64) -> Result<()> {
        let name = literal(table);
        self.with_writer(|connection| {
            in_transaction(
                connection,
                &format!(
                    "CREATE TABLE IF NOT EXISTS _pace (table_name VARCHAR NOT NULL, rows_per_second DOUBLE NOT NULL);
                     DELETE FROM _pace WHERE table_name = {name};
                     INSERT INTO _pace VALUES ({name}, {rows_per_second});"
                ),
            )
        })
    }

    /// Checks that a table exists and holds `kind`; returns its name as created.
    pub(crate) fn require(&self, name: &str, kind: TableKind) -> Result<String> {
        let info = self.table(name)?;
        if info.kind == kind {
            Ok(info.name)
        } else {
            Err(ErrorKind::WrongTableKind { table: info.name, holds: info.kind, wanted: kind }.into())
        }
    }

    /// The name, as created, of the table that a fetch of `kind` goes into;
    /// `None` when it is to be made.
    pub(crate) fn table_to_fetch_into(&self, name: &str, kind: TableKind) -> Result<Option<String>> {
        if !self.table_exists(name)? {
            return Ok(None);
        }
        match self.require(name, kind) {
            // Made by SQL or by another program: not ours to overwrite.
            Err(error) if matches!(error.kind(), ErrorKind::TableNotFound { .. }) => {
                Err(ErrorKind::TableExists { table: name.to_owned() }.into())
            }
            found => found.map(Some),
        }
    }

    /// Whether [`drop_table`](Self::drop_table) knows the name.
    pub(crate) fn check_drop(&self, name: &str) -> Result<()> {
        match self.table(name) {
            Err(error) if self.made_by_sql(name)?.is_none() => Err(error),
            _ => Ok(()),
        }
    }

    /// A table or view that SQL has made, as its name is written, and whether it is a table. The
    /// records of this library and its typed views are none.
    fn made_by_sql(&self, name: &str) -> Result<Option<(String, bool)>> {
        if claimed::is_ours(name, &self.recorded_tables()?) {
            return Ok(None);
        }
        self.with_reader(|connection| claimed::relation(connection, name))
    }

    /// Removes a table, its typed view and its records; or a table or view that SQL has made.
    ///
    /// # Errors
    /// [`TableNotFound`](ErrorKind::TableNotFound), also for the records of this library.
    pub fn drop_table(&self, name: &str) -> Result<()> {
        let info = match self.table(name) {
            Ok(info) => info,
            Err(error) => {
                let Some((name, is_table)) = self.made_by_sql(name)? else { return Err(error) };
                let kind = if is_table { "TABLE" } else { "VIEW" };
                let sql = format!("DROP {kind} {}", ident(&name));
                return self.with_writer(|connection| connection.execute(&sql));
            }
        };
        let (name, text) = (&info.name, literal(&info.name));
        self.with_writer(|connection| {
            let result = connection.execute(&format!(
                "BEGIN;
                 DROP VIEW IF EXISTS {};
                 DROP VIEW IF EXISTS {};
                 DROP TABLE IF EXISTS {};
                 DELETE FROM _tables WHERE table_name = {text};
                 DELETE FROM _properties WHERE table_name = {text};
                 DELETE FROM _ledger WHERE table_name = {text};
                 DELETE FROM _quarantine WHERE table_name = {text};
                 DELETE FROM _held WHERE table_name = {text};
                 DELETE FROM _vanished_profiles WHERE table_name = {text};
                 COMMIT;",
                ident(&format!("{name}_flat")),
                ident(name),
                ident(&physical(name)),
            ));
            if result.is_err() {
                let _ = connection.execute("ROLLBACK");
            }
            result
        })
    }
}
