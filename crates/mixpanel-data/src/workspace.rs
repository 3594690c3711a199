//! [`Workspace`]: a project's local copy, and the way to fill it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use mixpanel_client::Client;
use mixpanel_client::engage::EngageRequest;
use mixpanel_client::export::ExportRequest;
use mixpanel_client::time::ProjectClock;

use crate::error::{ErrorKind, Result};
use crate::fetch::{
    self, Coverage, FetchEvents, FetchProfiles, OnProfileProgress, OnProgress, ProfilesResult, SyncOptions,
    SyncPlan, SyncResult,
};
use crate::load::{
    self, ImportOriginal, ImportedTable, Load, LoadInput, LoadResult, OnLoadProgress, Recognised,
};
use crate::storage::StorageEngine;
#[cfg(feature = "duckdb")]
use crate::storage::{MemoryOptions, SnapshotOptions};
use crate::stream::{RowStream, StreamBuffer};
use crate::types::{FetchResult, ListedTable, StorageMode, TableKind, TableSchema, WorkspaceInfo};
use crate::value::{Batches, SqlResult, Value};

/// The Mixpanel project that a workspace fetches from.
#[derive(Clone, Debug)]
pub struct Project {
    /// The client, with credentials and addresses.
    pub client: Client,
    /// Mixpanel's project id, for [`WorkspaceInfo`]; empty when a project
    /// secret stands for it.
    pub project_id: String,
    /// Data residency region, for [`WorkspaceInfo`].
    pub region: String,
    /// The named account the credentials came from, if any.
    pub account: Option<String>,
    /// What the project's times mean. The default is UTC, right for projects
    /// created from 2023 on.
    pub clock: ProjectClock,
}

/// A local copy of a Mixpanel project's data: fetch into it, ask it in SQL.
///
/// ```
/// use mixpanel_data::Workspace;
///
/// # fn main() -> mixpanel_data::Result<()> {
/// let workspace = Workspace::memory()?;
/// assert_eq!(workspace.sql_scalar("SELECT 1 + 1")?.as_i64(), Some(2));
/// assert_eq!(workspace.info()?.path, None);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Workspace {
    storage: Arc<StorageEngine>,
    project: Option<Project>,
    now: Now,
}

/// Where the current time comes from.
#[derive(Clone)]
struct Now(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl std::fmt::Debug for Now {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Now")
    }
}

/// Makes a [`Workspace`] step by step: project and clock first, then the mode.
#[derive(Clone, Debug, Default)]
pub struct WorkspaceBuilder {
    project: Option<Project>,
    now: Option<Now>,
}

impl WorkspaceBuilder {
    /// The project to fetch from. Without one, the workspace reads local data.
    pub fn project(mut self, project: Project) -> Self {
        self.project = Some(project);
        self
    }

    /// Replaces the system's clock, which says which days can be complete.
    pub fn now(mut self, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.now = Some(Now(Arc::new(now)));
        self
    }

    /// Puts the workspace on a storage engine, its own or a shared one.
    pub fn storage(self, storage: impl Into<Arc<StorageEngine>>) -> Workspace {
        let now = self.now.unwrap_or_else(|| Now(Arc::new(Timestamp::now)));
        Workspace { storage: storage.into(), project: self.project, now }
    }
}

#[cfg(feature = "duckdb")]
impl WorkspaceBuilder {
    /// A workspace in the file at `path`, which is created when missing.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Workspace> {
        Ok(self.storage(StorageEngine::open(path)?))
    }

    /// A workspace in a temporary file that goes on close.
    pub fn ephemeral(self) -> Result<Workspace> {
        Ok(self.storage(StorageEngine::ephemeral()?))
    }

    /// A workspace in memory: no file is ever written.
    pub fn memory(self) -> Result<Workspace> {
        self.memory_with(&MemoryOptions::default())
    }

    /// A workspace in memory, with limits or leave to spill.
    pub fn memory_with(self, options: &MemoryOptions) -> Result<Workspace> {
        Ok(self.storage(StorageEngine::memory_with(options)?))
    }
}

#[cfg(feature = "duckdb")]
impl Workspace {
    /// Opens a local copy that exists, without credentials: for SQL. With
    /// `read_only`, many processes may do so at once.
    pub fn open(path: impl AsRef<Path>, read_only: bool) -> Result<Self> {
        Ok(Self::builder().storage(StorageEngine::open_existing(path, read_only)?))
    }

    /// Opens a copy of a local copy that another process may be writing; see
    /// [`StorageEngine::open_snapshot`].
    pub fn open_snapshot(path: impl AsRef<Path>, options: &SnapshotOptions) -> Result<Self> {
        Ok(Self::builder().storage(StorageEngine::open_snapshot_with(path, options)?))
    }

    /// A workspace in a temporary file, without credentials.
    pub fn ephemeral() -> Result<Self> {
        Self::builder().ephemeral()
    }

    /// A workspace in memory, without credentials.
    pub fn memory() -> Result<Self> {
        Self::builder().memory()
    }
}

impl Workspace {
    /// Starts making a workspace.
    pub fn builder() -> WorkspaceBuilder {
        WorkspaceBuilder::default()
    }

    /// The storage engine underneath.
    pub fn storage(&self) -> &StorageEngine {
        &self.storage
    }

    /// The project to fetch from and to ask, if there is one.
    pub fn project(&self) -> Option<&Project> {
        self.project.as_ref()
    }

    /// The database file; `None` in memory.
    pub fn db_path(&self) -> Option<&Path> {
        self.storage.path()
    }

    /// What this workspace is and holds. Without a project of its own, the project is the one that its
    /// tables are copies of.
    pub fn info(&self) -> Result<WorkspaceInfo> {
        let in_memory = self.storage.mode() == StorageMode::InMemory;
        let project = self.project.as_ref();
        let (project_id, region) = match project {
            Some(project) => (project.project_id.clone(), project.region.clone()),
            None => self.storage.recorded_project()?.unwrap_or_default(),
        };
        Ok(WorkspaceInfo {
            path: self.storage.path().map(PathBuf::from),
            mode: self.storage.mode(),
            project_id,
            region,
            account: project.and_then(|project| project.account.clone()),
            tables: self.storage.list_tables()?.into_iter().map(|table| table.name).collect(),
            size_mb: self.storage.size_bytes() as f64 / 1e6,
            created_at: self.storage.created_at()?,
            memory_bytes: if in_memory { Some(self.storage.memory_bytes()?) } else { None },
        })
    }

    /// Fetches events into a table; see [`FetchEvents`]. Each chunk of days is
    /// stored in one transaction once it has arrived completely, or not at all;
    /// when a chunk fails, those that are stored stay, and the error says so.
    /// Fetching the same days again replaces them.
    ///
    /// # Errors
    /// [`NoCredentials`](ErrorKind::NoCredentials);
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for dates that make no
    /// sense; [`FilterMismatch`](ErrorKind::FilterMismatch);
    /// [`Api`](ErrorKind::Api), with the client's error as
    /// [`api`](crate::Error::api); [`Cancelled`](ErrorKind::Cancelled).
    pub fn fetch_events(&self, fetch: &FetchEvents) -> Result<FetchResult> {
        self.fetch_events_with(fetch, &mut |_| {})
    }

    /// Fetches events and tells how it is going.
    pub fn fetch_events_with(&self, fetch: &FetchEvents, on_progress: OnProgress<'_>) -> Result<FetchResult> {
        let project = self.project.as_ref().ok_or(ErrorKind::NoCredentials)?;
        fetch::fetch_events(&self.storage, project, (self.now.0)(), fetch, on_progress)
    }

    /// Loads events from files into a table; see [`Load`]. No credentials are needed. Each file is
    /// stored in one transaction, completely or not at all; when one cannot be loaded, those before
    /// it stay, and the error names the file and the line. Files that are no files of events are
    /// told before anything is stored.
    ///
    /// # Errors
    /// [`FileNotFound`](ErrorKind::FileNotFound); [`NotLoadable`](ErrorKind::NotLoadable);
    /// [`DefinitionMismatch`](ErrorKind::DefinitionMismatch) when the times are of another clock than
    /// the table's; [`Rejected`](ErrorKind::Rejected) if lines that cannot be stored are to be
    /// refused; [`Cancelled`](ErrorKind::Cancelled).
    pub fn load(&self, load: &Load, files: Vec<LoadInput>) -> Result<LoadResult> {
        self.load_with(load, files, &mut |_| {})
    }

    /// Loads events from files and tells how it is going.
    pub fn load_with(
        &self,
        load: &Load,
        files: Vec<LoadInput>,
        on_progress: OnLoadProgress<'_>,
    ) -> Result<LoadResult> {
        load::load(&self.storage, (self.now.0)(), load, files, on_progress)
    }

    /// Copies tables of a database that the Python original made, with what it knows of them; see
    /// [`ImportOriginal`]. `from` is that database, opened for reading. Each table is stored in one
    /// transaction. Its days count as `loaded`, as the original cannot tell whether they are complete;
    /// profiles go to tables that are not there yet.
    ///
    /// # Errors
    /// As [`load`](Self::load); [`TableNotFound`](ErrorKind::TableNotFound),
    /// [`TableExists`](ErrorKind::TableExists).
    pub fn import_original(
        &self,
        from: &StorageEngine,
        import: &ImportOriginal,
        on_progress: OnLoadProgress<'_>,
    ) -> Result<Vec<ImportedTable>> {
        load::import_original(&self.storage, (self.now.0)(), from, import, on_progress)
    }

    /// What files would be loaded as, with their first events. Nothing is stored.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn recognise(load: &Load, files: Vec<LoadInput>) -> Result<Vec<Recognised>> {
        load::preview(load, files)
    }

    /// Fetches profiles into a table; see [`FetchProfiles`]. All of them are
    /// stored in one transaction, once all pages are here and their counts
    /// agree; otherwise the table is what it was.
    ///
    /// # Errors
    /// As [`fetch_events`](Self::fetch_events); [`FilterMismatch`](ErrorKind::FilterMismatch)
    /// for a table of other groups or with other properties.
    pub fn fetch_profiles(&self, fetch: &FetchProfiles) -> Result<ProfilesResult> {
        self.fetch_profiles_with(fetch, &mut |_| {})
    }

    /// Fetches profiles and tells how it is going.
    pub fn fetch_profiles_with(
        &self,
        fetch: &FetchProfiles,
        on_progress: OnProfileProgress<'_>,
    ) -> Result<ProfilesResult> {
        let project = self.project.as_ref().ok_or(ErrorKind::NoCredentials)?;
        fetch::fetch_profiles(&self.storage, project, (self.now.0)(), fetch, on_progress)
    }

    /// Hands raw events out without storing them; see [`Project::stream_events`].
    /// A workspace in memory writes nothing to disk for it.
    ///
    /// # Errors
    /// [`NoCredentials`](ErrorKind::NoCredentials), and as there.
    pub fn stream_events(&self, request: &ExportRequest, buffer: &StreamBuffer) -> Result<RowStream> {
        let project = self.project.as_ref().ok_or(ErrorKind::NoCredentials)?;
        project.stream_events(request, &self.buffer(buffer), (self.now.0)())
    }

    /// Hands profiles out without storing them; see [`Project::stream_profiles`].
    ///
    /// # Errors
    /// [`NoCredentials`](ErrorKind::NoCredentials), and as there.
    pub fn stream_profiles(&self, request: &EngageRequest, buffer: &StreamBuffer) -> Result<RowStream> {
        let project = self.project.as_ref().ok_or(ErrorKind::NoCredentials)?;
        project.stream_profiles(request, &self.buffer(buffer))
    }

    fn buffer(&self, buffer: &StreamBuffer) -> StreamBuffer {
        match (buffer, self.storage.mode()) {
            (StreamBuffer::Usual, StorageMode::InMemory) => StreamBuffer::memory(),
            _ => buffer.clone(),
        }
    }

    /// Brings a table up to date: fetches the days that are missing, partial or
    /// stale, and no others. Safe to be interrupted, and to be run from cron.
    ///
    /// # Errors
    /// As [`fetch_events`](Self::fetch_events), when nothing could be fetched. If
    /// some ranges failed and others are stored, the result says so.
    pub fn sync(&self, options: &SyncOptions) -> Result<SyncResult> {
        self.sync_with(options, &mut |_| {})
    }

    /// Brings a table up to date and tells how it is going.
    pub fn sync_with(&self, options: &SyncOptions, on_progress: OnProgress<'_>) -> Result<SyncResult> {
        let project = self.project.as_ref().ok_or(ErrorKind::NoCredentials)?;
        fetch::sync::sync(&self.storage, project, (self.now.0)(), options, on_progress)
    }

    /// What [`sync`](Self::sync) would fetch: its requests, rows and bytes as far
    /// as they can be known. Nothing is sent. `clock` says what a day is.
    pub fn plan(&self, clock: &ProjectClock, options: &SyncOptions) -> Result<SyncPlan> {
        fetch::sync::plan(&self.storage, clock, (self.now.0)(), options)
    }

    /// What is here of a table, day by day: `table`, `from`, `to`, `window_days`
    /// and `max_age` of the options count. Days reach from the table's first to
    /// today, unless told otherwise. `clock` says what a day is.
    ///
    /// # Errors
    /// [`TableNotFound`](ErrorKind::TableNotFound), and for days that make no sense.
    pub fn coverage(&self, clock: &ProjectClock, options: &SyncOptions) -> Result<Coverage> {
        let table = self.storage.require(&options.table, TableKind::Events)?;
        fetch::sync::coverage_of(
            &self.storage,
            clock,
            (self.now.0)(),
            &SyncOptions { table, ..options.clone() },
        )
    }

    /// Runs SQL and returns the result as Arrow.
    pub fn sql(&self, query: &str) -> Result<Batches> {
        self.storage.execute_batches(query)
    }

    /// Runs SQL and returns the rows as plain values.
    pub fn sql_rows(&self, query: &str) -> Result<SqlResult> {
        self.storage.execute_rows(query, &[])
    }

    /// Runs SQL and returns the first column of the first row.
    pub fn sql_scalar(&self, query: &str) -> Result<Value> {
        self.storage.execute_scalar(query)
    }

    /// The tables, sorted by name: events and profiles, and tables and views that SQL has made.
    pub fn tables(&self) -> Result<Vec<ListedTable>> {
        self.storage.list_all_tables()
    }

    /// The columns of a table.
    pub fn table_schema(&self, table: &str) -> Result<TableSchema> {
        self.storage.get_schema(table)
    }

    /// Removes tables, also such tables and views as SQL has made. When one of the names does not
    /// exist, none is removed.
    pub fn drop(&self, tables: &[&str]) -> Result<()> {
        for table in tables {
            self.storage.check_drop(table)?;
        }
        tables.iter().try_for_each(|table| self.storage.drop_table(table))
    }

    /// Removes all tables of events and profiles, or all of one kind. What SQL has made stays.
    pub fn drop_all(&self, kind: Option<TableKind>) -> Result<()> {
        let tables = self.storage.list_tables()?;
        let chosen = tables.iter().filter(|table| kind.is_none_or(|kind| kind == table.kind));
        chosen.map(|table| &table.name).try_for_each(|table| self.storage.drop_table(table))
    }

    /// Closes the storage; see [`StorageEngine::close`].
    pub fn close(&self) {
        self.storage.close();
    }
}
