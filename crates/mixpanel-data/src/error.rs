//! The crate's one error type: what happened, with the facts as fields.
//!
//! [`Error`] is one word wide. Its [`kind`](Error::kind) says what happened;
//! `Display` speaks for that level only, causes follow by
//! [`source`](std::error::Error::source). Advice on what to type next is the
//! front end's business.

mod message;

use std::fmt;
use std::path::{Path, PathBuf};

/// A `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong while storing, reading or fetching.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The kinds of failure. Facts are fields, so that a front end can act on them.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A table of this name exists already; nothing was changed.
    TableExists {
        /// The table's name.
        table: String,
    },
    /// The DuckDB library that was loaded is not one that this crate can use.
    WrongDuckDb {
        /// Its version.
        found: String,
        /// The series of versions that is needed.
        needed: &'static str,
    },
    /// No table of this name.
    TableNotFound {
        /// The name that was asked for.
        table: String,
        /// The tables that exist.
        existing: Vec<String>,
    },
    /// The table holds the other kind of rows (events or profiles).
    WrongTableKind {
        /// The table's name.
        table: String,
        /// What the table holds.
        holds: crate::TableKind,
        /// What was to be written.
        wanted: crate::TableKind,
    },
    /// A table name that breaks the rules.
    InvalidTableName {
        /// The name as given.
        name: String,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// A record that cannot be stored; the whole call was rolled back.
    InvalidRecord {
        /// Position in the input, from 1.
        row: u64,
        /// What is wrong with it.
        why: String,
    },
    /// An argument that makes no sense.
    InvalidArgument {
        /// Which argument.
        argument: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The table was made with other filters (design: one table, one filter set).
    FilterMismatch {
        /// The table's name.
        table: String,
        /// The filters the table was made with.
        existing: String,
        /// The filters that were asked for.
        requested: String,
    },
    /// The table is a copy of something else: of another project, or under another clock. Nothing
    /// was changed.
    DefinitionMismatch {
        /// The table's name.
        table: String,
        /// Which part of the definition differs.
        part: DefinitionPart,
        /// What the table was filled with.
        existing: String,
        /// What was asked for.
        requested: String,
    },
    /// The database file does not exist.
    DatabaseNotFound {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Another process (or another handle of this one) holds the file.
    DatabaseLocked {
        /// The file.
        path: PathBuf,
        /// The holder's process id, when DuckDB names it.
        pid: Option<u32>,
        /// The first words of the holder's command, such as `mp shell`, when the system tells them.
        command: Option<String>,
    },
    /// Another process writes the file, and its last committed state could not
    /// be copied.
    NoSnapshot {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: NoSnapshot,
    },
    /// The file is not a DuckDB database, or a damaged one. It was not touched.
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// What DuckDB says.
        message: String,
    },
    /// Another program made the file, and has tables or views in it that are
    /// called as our records are. It was not touched.
    ForeignRecords {
        /// The file.
        path: PathBuf,
        /// The names that are taken.
        names: Vec<String>,
    },
    /// The Python original made the file. It was not touched.
    OriginalDatabase {
        /// The file.
        path: PathBuf,
        /// Its tables.
        tables: Vec<String>,
    },
    /// There is no file to load.
    FileNotFound {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A file that cannot be loaded: it holds no events, or it is cut or damaged. Nothing of it was
    /// stored.
    NotLoadable {
        /// The file.
        file: String,
        /// The line, element or record that shows it, from 1.
        line: Option<u64>,
        /// What is wrong with it.
        why: String,
    },
    /// Macros or types of the file take the place of DuckDB's own functions and types,
    /// by which rows are counted and compared. Nothing is written into such a file.
    ForeignMacros {
        /// The file.
        path: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// The file was written by a newer version of this crate.
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The file's schema version.
        found: u32,
        /// The newest that this version understands.
        supported: u32,
    },
    /// A write to something opened for reading only.
    ReadOnly {
        /// What was attempted.
        what: String,
    },
    /// SQL would have changed the records of this library, or its tables and views: what is here,
    /// day by day, would no longer be true. Nothing was changed.
    Protected {
        /// Whether the caller's own transaction was rolled back for it.
        in_transaction: bool,
    },
    /// The file system says no: permission denied.
    PermissionDenied {
        /// The file or folder.
        path: PathBuf,
    },
    /// No room on the device, or a file-size limit; the transaction was rolled back.
    DiskFull {
        /// What the engine or system says.
        message: String,
    },
    /// Any other failure of the file system.
    Io {
        /// What was attempted, with the path.
        what: String,
    },
    /// The engine's memory limit is reached; the statement was rolled back.
    OutOfMemory {
        /// What DuckDB says, with used and allowed bytes.
        message: String,
        /// Whether the engine may spill to disk.
        spilling: bool,
    },
    /// A sealed database does not do what was asked; nothing was run.
    Sealed {
        /// What it does, or what stopped it.
        what: String,
    },
    /// SQL that does not parse, bind or run.
    Query {
        /// DuckDB's class of error: "Binder", "Catalog", "Parser", …
        class: String,
        /// DuckDB's message.
        message: String,
    },
    /// SQL that would change a setting which is the same in every session.
    FixedSetting {
        /// The setting's name in DuckDB.
        name: &'static str,
        /// The value that it has.
        value: &'static str,
        /// The value that it was to get.
        wanted: String,
    },
    /// SQL that needs DuckDB's ICU extension, which this build does not have.
    NoIcu,
    /// The engine was closed.
    Closed,
    /// A call from within another one, by its iterator or callback, that needs the connection which
    /// the outer one has.
    Nested {
        /// What both are: "write" or "query".
        purpose: &'static str,
    },
    /// The call was cancelled by the caller (Ctrl-C, for instance).
    Cancelled,
    /// A fetch was asked of a workspace that was opened without credentials.
    NoCredentials,
    /// Mixpanel's API, or the way to it.
    Api {
        /// What was being fetched.
        what: String,
    },
    /// A line that cannot be stored, where such lines were to be refused; the
    /// chunk was rolled back.
    Rejected {
        /// The chunk: its first and last day.
        chunk: String,
        /// The line's number in the chunk's body, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The books do not balance (lines received = rows + duplicates + rejects).
    /// The chunk was rolled back. This is a fault of the library or of DuckDB.
    Inconsistent {
        /// What does not fit together.
        what: String,
    },
    /// Two writers changed the same table at once; the later one was rolled back.
    Conflict {
        /// DuckDB's message.
        message: String,
    },
}

/// What a table is a copy of, apart from its filters: which of it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DefinitionPart {
    /// The project, or the region (data residency) in which it is.
    Project,
    /// The data view.
    DataView,
    /// What the exported times mean: UTC, or the wall clock of a time zone.
    Clock,
}

/// Why a database that is being written cannot be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoSnapshot {
    /// It is larger than was allowed.
    TooLarge {
        /// Its size in bytes, with the log.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// It is larger than what is free.
    NoRoom {
        /// Its size in bytes, with the log.
        bytes: u64,
        /// Free bytes on the disk.
        free: u64,
        /// Where the copy would be.
        folder: PathBuf,
    },
    /// The writer wrote a checkpoint during each pass.
    Restless {
        /// How many passes there were.
        passes: u32,
    },
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Error(Box::new(Inner { kind, source: None }))
    }

    pub(crate) fn with_source(
        kind: ErrorKind,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Error(Box::new(Inner { kind, source: Some(source.into()) }))
    }

    /// A failure of the file system at `path`, sorted by what the system says.
    pub(crate) fn io(what: impl Into<String>, path: &Path, error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied { path: path.to_path_buf() },
            std::io::ErrorKind::StorageFull
            | std::io::ErrorKind::FileTooLarge
            | std::io::ErrorKind::QuotaExceeded => ErrorKind::DiskFull { message: error.to_string() },
            _ => ErrorKind::Io { what: format!("{} {}", what.into(), path.display()) },
        };
        Error::with_source(kind, error)
    }

    /// A thread that the system did not provide: its stack is memory too.
    pub(crate) fn no_thread(error: std::io::Error) -> Self {
        let message = format!("a thread cannot be started: {error}");
        Error::with_source(ErrorKind::OutOfMemory { message, spilling: true }, error)
    }

    pub(crate) fn argument(argument: &'static str, why: impl Into<String>) -> Self {
        Error::new(ErrorKind::InvalidArgument { argument, why: why.into() })
    }

    /// What happened.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The error of the API client that caused this one, if there is one.
    pub fn api(&self) -> Option<&mixpanel_client::Error> {
        self.0.source.as_ref().and_then(|source| source.downcast_ref())
    }

    /// The same failure of the API, told about something else.
    pub(crate) fn about(mut self, what: String) -> Self {
        if let ErrorKind::Api { what: known } = &mut self.0.kind {
            *known = what;
        }
        self
    }

    /// Whether the same call may succeed later without any change.
    pub fn is_retryable(&self) -> bool {
        match self.kind() {
            ErrorKind::DatabaseLocked { .. }
            | ErrorKind::NoSnapshot { why: NoSnapshot::Restless { .. }, .. }
            | ErrorKind::Conflict { .. } => true,
            ErrorKind::Api { .. } => self.api().is_some_and(|error| error.is_retryable()),
            _ => false,
        }
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Error::new(kind)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.0.kind);
        if let Some(source) = &self.0.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}
