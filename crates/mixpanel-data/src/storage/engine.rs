//! [`StorageEngine`]: one DuckDB database, opened in one of three modes.

mod snapshots;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::connection::{BatchSink, Interrupt, SqlConnection, StatementKind};
use super::ddl::{ident, literal};
use super::making;
use super::memory::{Compression, memory_in_use};
use super::mode::{Claim, EphemeralDir, MemoryOptions, sweep_ephemeral_files};
use super::open::{self, Connector};
use super::place::{Found, Place, is_memory};
use super::protect;
use super::recovery::{Recovery, claim_for_reading, recover};
use super::sandbox;
use super::snapshot::Snapshot;
use super::suggest::LOCAL_TIME;
use super::turn::Turns;
use crate::error::{Error, ErrorKind, Result};
use crate::types::StorageMode;
use crate::value::{Batches, SqlResult, Value};

/// Called with the number of rows written so far.
pub type Progress<'a> = &'a mut dyn FnMut(u64);

/// A DuckDB database with tables of events and profiles.
///
/// The three modes differ in nothing but where the bytes live: in a file that
/// stays ([`open`](Self::open)), in a private temporary file that goes on close
/// ([`ephemeral`](Self::ephemeral)), or in memory only ([`memory`](Self::memory)).
///
/// All methods take `&self`; one engine can be shared between threads. Writes
/// go one after the other through one connection; queries use another and see
/// the last committed state.
///
/// ```
/// use mixpanel_data::{EventRecord, StorageEngine, TableMetadata};
///
/// # fn main() -> mixpanel_data::Result<()> {
/// let storage = StorageEngine::memory()?;
/// let event = EventRecord {
///     event_name: "Purchase".into(),
///     event_time: "2024-01-01T12:00:00Z".parse().unwrap(),
///     distinct_id: "user_1".into(),
///     insert_id: Some("event_1".into()),
///     properties: r#"{"plan": "pro", "amount": 12.5}"#.into(),
/// };
/// let metadata = TableMetadata::events("2024-01-02T00:00:00Z".parse().unwrap());
/// let rows = storage.create_events_table("events", vec![event], &metadata, None)?;
/// assert_eq!(rows, 1);
/// let amount = storage.execute_scalar("SELECT sum(amount) FROM events_flat")?;
/// assert_eq!(amount.as_f64(), Some(12.5));
/// # Ok(())
/// # }
/// ```
pub struct StorageEngine {
    mode: StorageMode,
    path: Option<PathBuf>,
    read_only: bool,
    spilling: bool,
    writer: Turns,
    reader: Turns,
    own: Turns,
    pub(super) sealed: AtomicBool,
    /// Names of the file may take the place of DuckDB's own: we write nothing then.
    shadowed: AtomicBool,
    interrupts: Vec<Arc<dyn Interrupt>>,
    snapshot: Option<Snapshot>,
    recovery: Option<Recovery>,
    compression: Compression,
    // Released after the connections, by `close`.
    holdings: Mutex<Option<Holdings>>,
}

/// What outlives the connections: the claim on the file, the temporary folder.
struct Holdings {
    _claim: Option<Claim>,
    _folder: Option<EphemeralDir>,
}

#[cfg(feature = "duckdb")]
impl StorageEngine {
    /// Opens the database at `path`, or creates it with its parent folders.
    /// The file is readable by its owner only. Links are followed to the file
    /// that is meant; `:memory:` is [`memory`](Self::memory), as in DuckDB.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for names that are no
    /// file's, such as `s3://…`;
    /// [`DatabaseLocked`](ErrorKind::DatabaseLocked) when another process or
    /// another engine of this one has it open,
    /// [`NotADatabase`](ErrorKind::NotADatabase) for any other kind of file,
    /// [`PermissionDenied`](ErrorKind::PermissionDenied),
    /// [`NewerFormat`](ErrorKind::NewerFormat).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(&super::NativeConnector, path.as_ref())
    }

    /// Opens a database that must exist. With `read_only`, any number of
    /// processes may have it open at once, as long as none writes.
    ///
    /// # Errors
    /// [`DatabaseNotFound`](ErrorKind::DatabaseNotFound), and those of
    /// [`open`](Self::open).
    pub fn open_existing(path: impl AsRef<Path>, read_only: bool) -> Result<Self> {
        Self::open_existing_with(&super::NativeConnector, path.as_ref(), read_only)
    }

    /// Makes a database in a private temporary folder that is removed on close,
    /// on drop and on panic. Folders that killed processes left are removed on
    /// the way.
    pub fn ephemeral() -> Result<Self> {
        Self::ephemeral_with(&super::NativeConnector)
    }

    /// Makes a database in memory. No file is ever opened for writing; what
    /// does not fit fails with [`OutOfMemory`](ErrorKind::OutOfMemory).
    ///
    /// For large data prefer [`ephemeral`](Self::ephemeral).
    pub fn memory() -> Result<Self> {
        Self::memory_with(&MemoryOptions::default())
    }

    /// Makes a database in memory with limits, or with leave to spill.
    pub fn memory_with(options: &MemoryOptions) -> Result<Self> {
        Self::memory_on(&super::NativeConnector, options)
    }
}

impl StorageEngine {
    /// [`open`](Self::open) over a caller's own DuckDB.
    pub fn open_with(connector: &dyn Connector, path: &Path) -> Result<Self> {
        if is_memory(path) {
            return Self::memory_on(connector, &MemoryOptions::default());
        }
        let (path, made) = making::ensure(connector, path)?;
        // Before it is opened: two handles of one process would not see each other.
        let claim = Claim::take(&path, false)?;
        let recovery = recover(&path)?;
        let (connection, is_shadowed) = open::persistent(connector, &path, made)?;
        let holdings = Holdings { _claim: Some(claim), _folder: None };
        let mut engine = Self::build(StorageMode::Persistent, Some(path), false, true, connection, holdings)?;
        engine.recovery = recovery;
        engine.shadowed = AtomicBool::new(is_shadowed);
        Ok(engine)
    }

    /// [`open_existing`](Self::open_existing) over a caller's own DuckDB.
    pub fn open_existing_with(connector: &dyn Connector, path: &Path, read_only: bool) -> Result<Self> {
        if is_memory(path) {
            return Self::memory_on(connector, &MemoryOptions::default());
        }
        let path = Self::existing(path)?;
        if !read_only {
            return Self::open_with(connector, &path);
        }
        let (claim, recovery) = claim_for_reading(&path)?;
        let connection = open::read_only(connector, &path)?;
        let holdings = Holdings { _claim: Some(claim), _folder: None };
        let mut engine = Self::build(StorageMode::Persistent, Some(path), true, true, connection, holdings)?;
        engine.recovery = recovery;
        Ok(engine)
    }

    /// The file that a path leads to, which must be there.
    fn existing(path: &Path) -> Result<PathBuf> {
        let place = Place::look(path)?;
        if place.found == Found::Nothing {
            return Err(ErrorKind::DatabaseNotFound { path: path.to_path_buf() }.into());
        }
        Ok(place.path)
    }

    /// [`ephemeral`](Self::ephemeral) over a caller's own DuckDB.
    pub fn ephemeral_with(connector: &dyn Connector) -> Result<Self> {
        sweep_ephemeral_files();
        let folder = EphemeralDir::create()?;
        let path = folder.database();
        let connection = open::ephemeral(connector, &path)?;
        let holdings = Holdings { _claim: None, _folder: Some(folder) };
        Self::build(StorageMode::Ephemeral, Some(path), false, true, connection, holdings)
    }

    /// [`memory_with`](Self::memory_with) over a caller's own DuckDB.
    pub fn memory_on(connector: &dyn Connector, options: &MemoryOptions) -> Result<Self> {
        let connection = open::memory(connector, options)?;
        let holdings = Holdings { _claim: None, _folder: None };
        let spilling = options.spill_to.is_some();
        Self::build(StorageMode::InMemory, None, false, spilling, connection, holdings)
    }

    fn build(
        mode: StorageMode,
        path: Option<PathBuf>,
        read_only: bool,
        spilling: bool,
        writer: Box<dyn SqlConnection>,
        holdings: Holdings,
    ) -> Result<Self> {
        let mut reader = writer.cursor()?;
        reader.execute(LOCAL_TIME)?;
        let mut own = writer.cursor()?;
        if path.is_some() {
            prefer_built_in(own.as_mut())?;
        }
        Ok(StorageEngine {
            mode,
            path,
            read_only,
            spilling,
            snapshot: None,
            recovery: None,
            compression: Compression::default(),
            sealed: AtomicBool::new(false),
            shadowed: AtomicBool::new(false),
            interrupts: vec![writer.interrupt_handle(), reader.interrupt_handle(), own.interrupt_handle()],
            writer: Turns::new(writer, "write"),
            reader: Turns::new(reader, "query"),
            own: Turns::new(own, "question"),
            holdings: Mutex::new(Some(holdings)),
        })
    }

    /// The database file; `None` in memory.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Where the bytes live.
    pub fn mode(&self) -> StorageMode {
        self.mode
    }

    /// Whether writing is refused.
    pub fn read_only(&self) -> bool {
        self.read_only
    }

    /// Stops whatever statement is running, from any thread. Calls that wait for another one to end
    /// do so no longer.
    pub fn interrupt(&self) {
        self.reader.give_up();
        self.own.give_up();
        self.writer.give_up();
        self.interrupts.iter().for_each(|handle| handle.interrupt());
    }

    /// Closes the database; in ephemeral mode its files are removed. Closing
    /// again does nothing. Any other use afterwards is [`ErrorKind::Closed`].
    pub fn close(&self) {
        let reader = self.reader.close(|_| {});
        let own = self.own.close(|_| {});
        let writer = self.writer.close(|writer| self.close_log(writer));
        // From within a call of this thread, the files are released when the engine goes.
        if reader && own && writer {
            *self.holdings.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Writes what is in the log into the file. If that fails, the log stays,
    /// and whoever opens the file next reads it.
    fn close_log(&self, writer: &mut dyn SqlConnection) {
        let Some(path) = self.path.as_ref().filter(|_| self.mode == StorageMode::Persistent) else { return };
        if self.read_only {
            return;
        }
        let log = open::log_of(path);
        match fs::metadata(&log).map(|meta| meta.len()) {
            // Nobody has written into it, and others cannot: the file is locked.
            Ok(0) => drop(fs::remove_file(&log)),
            Ok(_) => drop(writer.execute("CHECKPOINT")),
            Err(_) => {}
        }
    }

    /// Sees to it that the log is its owner's alone before anything is written into it.
    ///
    /// For callers whose own connections write to the database too: DuckDB makes a log with whatever
    /// the umask allows. One that DuckDB makes anew after a checkpoint takes another call.
    pub fn protect_log(&self) {
        let holdings = self.holdings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = self.path.as_ref().filter(|_| !self.read_only && holdings.is_some()) {
            open::make_private_log(path);
        }
    }

    /// What had to be repaired before the file could be opened; `None` when
    /// nothing had to.
    pub fn recovery(&self) -> Option<&Recovery> {
        self.recovery.as_ref()
    }

    /// Runs `f` with the connection for queries.
    pub(crate) fn with_reader<T>(&self, f: impl FnOnce(&mut dyn SqlConnection) -> Result<T>) -> Result<T> {
        self.with(&self.reader, f)
    }

    /// Runs `f` with the one connection that writes.
    pub(crate) fn with_writer<T>(&self, f: impl FnOnce(&mut dyn SqlConnection) -> Result<T>) -> Result<T> {
        if self.read_only || self.is_sealed() {
            let what = format!("{} cannot be written", self.name());
            return Err(ErrorKind::ReadOnly { what }.into());
        }
        self.refuse_shadows()?;
        self.with(&self.writer, f)
    }

    /// What we write, we count and compare by DuckDB's functions, not by those of a file.
    fn refuse_shadows(&self) -> Result<()> {
        let Some(path) = self.path.as_ref().filter(|_| self.shadowed.load(Ordering::Relaxed)) else {
            return Ok(());
        };
        // They may have been dropped meanwhile.
        let names = self.shadowed_names()?;
        if names.is_empty() {
            self.shadowed.store(false, Ordering::Relaxed);
            return Ok(());
        }
        Err(ErrorKind::ForeignMacros { path: path.clone(), names }.into())
    }

    fn with<T>(&self, turns: &Turns, f: impl FnOnce(&mut dyn SqlConnection) -> Result<T>) -> Result<T> {
        let mut connection = turns.take()?;
        f(&mut *connection).map_err(|error| self.explain(error))
    }

    /// Runs `f` with the connection for a user's SQL, if the SQL is let through.
    fn with_users<T>(&self, sql: &str, f: impl FnOnce(&mut dyn SqlConnection) -> Result<T>) -> Result<T> {
        self.with_reader(|connection| {
            if self.is_sealed() {
                sandbox::admit(connection, sql)?;
            }
            f(connection)
        })
    }

    /// Asks a question of our own, on a connection of its own: macros of the file
    /// that are called like DuckDB's functions have no part in it. It must not name
    /// the database it is in by `current_database()`.
    pub(crate) fn ask(&self, sql: &str, params: &[Value]) -> Result<SqlResult> {
        self.with(&self.own, |connection| Ok(connection.collect(sql, params)?.to_rows()))
    }

    /// The first cell of the answer; NULL when there is no row.
    pub(crate) fn ask_scalar(&self, sql: &str) -> Result<Value> {
        self.with(&self.own, |connection| connection.scalar(sql, &[]))
    }

    /// Adds what only the engine knows: whether there was a way to spill, and
    /// whether it is sealed.
    fn explain(&self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::OutOfMemory { message, .. } => {
                let spilling = self.spilling && !self.is_sealed();
                ErrorKind::OutOfMemory { message: message.clone(), spilling }.into()
            }
            ErrorKind::Query { class, message } if class == "Permission" && self.is_sealed() => {
                ErrorKind::Sealed { what: message.clone() }.into()
            }
            _ => error,
        }
    }

    fn name(&self) -> String {
        self.path.as_ref().map_or_else(|| "the database".into(), |path| path.display().to_string())
    }

    /// Runs SQL for its effect. Several statements may be given.
    pub fn execute(&self, sql: &str) -> Result<()> {
        self.with_users(sql, |connection| connection.execute(sql))
    }

    /// Runs a query and returns its result as Arrow batches.
    pub fn execute_batches(&self, sql: &str) -> Result<Batches> {
        self.with_users(sql, |connection| connection.collect(sql, &[]))
    }

    /// Runs a query and hands its result over batch by batch, without holding
    /// it in memory. The first call gives the schema.
    pub fn execute_streaming(
        &self,
        sql: &str,
        schema: &mut dyn FnMut(SchemaRef) -> Result<()>,
        batch: &mut dyn FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        self.execute_streaming_with(sql, &[], schema, batch)
    }

    /// The same with parameters, which fill `?` or `$1`, `$2` and so on.
    pub fn execute_streaming_with(
        &self,
        sql: &str,
        params: &[Value],
        schema: &mut dyn FnMut(SchemaRef) -> Result<()>,
        batch: &mut dyn FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        self.with_users(sql, |connection| connection.query(sql, params, &mut Sink { schema, batch }))
    }

    /// The same for one statement that somebody typed. It may make tables of its own, and change
    /// rows that were fetched, which [`changed_rows`](Self::changed_rows) notices; what would change
    /// the records of this library (`_ledger`, `_tables` and the others), or its tables and views
    /// themselves, is undone.
    ///
    /// # Errors
    /// [`Protected`](ErrorKind::Protected), and those of the statement.
    pub fn execute_protected(
        &self,
        sql: &str,
        params: &[Value],
        schema: &mut dyn FnMut(SchemaRef) -> Result<()>,
        batch: &mut dyn FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        self.run(sql, params, &mut Sink { schema, batch })
    }

    /// The same with a receiver that also hears what kind of result it is.
    pub fn run(&self, sql: &str, params: &[Value], sink: &mut dyn BatchSink) -> Result<()> {
        self.with_users(sql, |connection| match self.read_only || self.is_sealed() {
            true => connection.query(sql, params, sink),
            false => protect::run(connection, sql, params, sink),
        })
    }

    /// What the statements of a text are, by DuckDB's own parser. Nothing is run.
    ///
    /// # Errors
    /// A text that cannot be parsed, or without a statement.
    pub fn statements(&self, sql: &str) -> Result<Vec<StatementKind>> {
        self.with_reader(|connection| connection.statements(sql))
    }

    /// What to write in the place of SQL that failed so, where that can be told: about properties,
    /// paths, quotes, lists.
    pub fn suggest(&self, sql: &str, error: &Error) -> Option<String> {
        let found = self.with_reader(|connection| Ok(super::suggest::suggest(connection, sql, error)));
        found.ok().flatten()
    }

    /// Runs a query and returns its rows as plain values. `params` fill `?`.
    pub fn execute_rows(&self, sql: &str, params: &[Value]) -> Result<SqlResult> {
        self.with_users(sql, |connection| Ok(connection.collect(sql, params)?.to_rows()))
    }

    /// Runs a query and returns the first column of its first row; NULL when
    /// there is no row.
    pub fn execute_scalar(&self, sql: &str) -> Result<Value> {
        self.with_users(sql, |connection| connection.scalar(sql, &[]))
    }

    /// Bytes on disk: the file and its log. 0 in memory.
    pub fn size_bytes(&self) -> u64 {
        let Some(path) = &self.path else { return 0 };
        let size = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
        size(path) + size(&open::log_of(path))
    }

    /// Bytes that DuckDB's buffers use, as it reports them itself.
    pub fn memory_bytes(&self) -> Result<u64> {
        self.with_reader(|connection| Ok(memory_in_use(connection)?.0))
    }
}

/// A result for two functions of a caller's.
struct Sink<'a> {
    schema: &'a mut dyn FnMut(SchemaRef) -> Result<()>,
    batch: &'a mut dyn FnMut(RecordBatch) -> Result<()>,
}

impl BatchSink for Sink<'_> {
    fn schema(&mut self, schema: SchemaRef) -> Result<()> {
        (self.schema)(schema)
    }

    fn batch(&mut self, batch: RecordBatch) -> Result<()> {
        (self.batch)(batch)
    }
}

impl Drop for StorageEngine {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for StorageEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StorageEngine")
            .field("mode", &self.mode)
            .field("path", &self.path)
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}

/// Lets names of functions and types mean DuckDB's own, before those of the file:
/// it may be somebody else's, with a macro that is called `count`.
fn prefer_built_in(connection: &mut dyn SqlConnection) -> Result<()> {
    let name = connection.scalar("SELECT system.main.current_database()", &[])?.to_text();
    let path = format!("system.main,{}.main", ident(&name));
    connection.execute(&format!("SET search_path = {}", literal(&path)))
}
