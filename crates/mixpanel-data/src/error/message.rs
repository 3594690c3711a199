//! What each error says.

use std::fmt;

use super::{Error, ErrorKind, NoSnapshot};

impl fmt::Display for NoSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mb = |bytes: &u64| bytes.div_ceil(1_000_000);
        match self {
            NoSnapshot::TooLarge { bytes, limit } => {
                write!(f, "it has {} MB, and at most {} MB may be copied", mb(bytes), mb(limit))
            }
            NoSnapshot::NoRoom { bytes, free, folder } => {
                write!(f, "it has {} MB, and {} has {} MB free", mb(bytes), folder.display(), mb(free))
            }
            NoSnapshot::Restless { passes } => {
                write!(f, "its writer was quicker {passes} times in a row")
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            ErrorKind::TableExists { table } => write!(f, "table \"{table}\" exists already"),
            ErrorKind::WrongDuckDb { found, needed } => {
                write!(f, "the DuckDB library that was loaded is {found}; {needed} is needed")
            }
            ErrorKind::TableNotFound { table, existing } if existing.is_empty() => {
                write!(f, "there is no table \"{table}\": the database holds no table yet")
            }
            ErrorKind::TableNotFound { table, existing } => {
                write!(f, "there is no table \"{table}\"; tables: {}", existing.join(", "))
            }
            ErrorKind::WrongTableKind { table, holds, wanted } => {
                write!(f, "table \"{table}\" holds {holds}, not {wanted}")
            }
            ErrorKind::InvalidTableName { name, why } => write!(f, "invalid table name {name:?}: {why}"),
            ErrorKind::InvalidRecord { row, why } => write!(f, "record {row} cannot be stored: {why}"),
            ErrorKind::InvalidArgument { argument, why } => write!(f, "invalid {argument}: {why}"),
            ErrorKind::FilterMismatch { table, existing, requested } => write!(
                f,
                "table \"{table}\" was fetched with other filters: it has {existing}, but {requested} was asked for"
            ),
            ErrorKind::DefinitionMismatch { table, existing, requested, .. } => {
                write!(
                    f,
                    "table \"{table}\" was fetched from something else: it has {existing}, but {requested} was asked for"
                )
            }
            ErrorKind::DatabaseNotFound { path } => write!(f, "no database at {}", path.display()),
            ErrorKind::DatabaseLocked { path, pid, command } => {
                write!(f, "database {} is in use by ", path.display())?;
                match (pid, command) {
                    (Some(pid), Some(command)) => write!(f, "process {pid} ({command})"),
                    (Some(pid), None) => write!(f, "process {pid}"),
                    (None, _) => f.write_str("another process"),
                }
            }
            ErrorKind::NoSnapshot { path, why } => {
                write!(f, "database {} is being written and cannot be copied: {why}", path.display())
            }
            ErrorKind::NotADatabase { path, message } => {
                write!(f, "{} is not a readable DuckDB database: {message}", path.display())
            }
            ErrorKind::ForeignRecords { path, names } => write!(
                f,
                "{} was made by another program: {} in it {} not of this program, and would be in its way",
                path.display(),
                names.join(", "),
                if names.len() == 1 { "is" } else { "are" }
            ),
            ErrorKind::OriginalDatabase { path, tables } => write!(
                f,
                "{} is a database of the Python original, with {}",
                path.display(),
                match &tables[..] {
                    [] => "no table in it".to_owned(),
                    [table] => format!("the table {table}"),
                    tables => format!("the tables {}", tables.join(", ")),
                }
            ),
            ErrorKind::FileNotFound { path } => write!(f, "there is no file {}", path.display()),
            ErrorKind::NotLoadable { file, line: Some(line), why } => {
                write!(f, "{file} cannot be loaded: line {line}: {why}")
            }
            ErrorKind::NotLoadable { file, line: None, why } => write!(f, "{file} cannot be loaded: {why}"),
            ErrorKind::ForeignMacros { path, names } => write!(
                f,
                "{} has macros or types in the place of DuckDB's own ({}), so nothing is written into it",
                path.display(),
                names.join(", "),
            ),
            ErrorKind::NewerFormat { path, found, supported } => {
                write!(f, "{} has format {found}; this version reads up to {supported}", path.display())
            }
            ErrorKind::ReadOnly { what } => write!(f, "opened for reading only: {what}"),
            ErrorKind::Protected { in_transaction } => {
                f.write_str("SQL may read this library's records, tables and views, but not change them")?;
                f.write_str(if *in_transaction {
                    "; the transaction was rolled back"
                } else {
                    "; nothing was changed"
                })
            }
            ErrorKind::PermissionDenied { path } => write!(f, "permission denied: {}", path.display()),
            ErrorKind::DiskFull { message } => write!(f, "no room left to write: {message}"),
            ErrorKind::Io { what } => write!(f, "file system error: {what}"),
            ErrorKind::OutOfMemory { message, spilling: false } => {
                write!(f, "out of memory, and spilling to disk is off: {message}")
            }
            ErrorKind::OutOfMemory { message, spilling: true } => write!(f, "out of memory: {message}"),
            ErrorKind::Sealed { what } => write!(f, "the database is sealed: {what}"),
            ErrorKind::Query { class, message } if class.is_empty() => f.write_str(message),
            ErrorKind::Query { class, message } => write!(f, "{class} error: {message}"),
            ErrorKind::FixedSetting { name, value, wanted } => {
                write!(f, "{name} is '{value}' in every session, and cannot be set to '{wanted}'")
            }
            ErrorKind::NoIcu => {
                f.write_str("this needs DuckDB's ICU extension, which this build does not have")
            }
            ErrorKind::Closed => f.write_str("the storage engine is closed"),
            ErrorKind::Nested { purpose } => write!(
                f,
                "a {purpose} from within a {purpose} on the same database, by its iterator or callback, would wait for itself forever"
            ),
            ErrorKind::Cancelled => f.write_str("cancelled"),
            ErrorKind::NoCredentials => {
                f.write_str("this workspace has no credentials: it reads local data only")
            }
            ErrorKind::Api { what } => write!(f, "{what} failed"),
            ErrorKind::Rejected { chunk, line, why } => {
                write!(f, "line {line} of {chunk} cannot be stored: {why}")
            }
            ErrorKind::Inconsistent { what } => write!(f, "the counts do not add up: {what}"),
            ErrorKind::Conflict { message } => {
                write!(f, "another writer changed the same rows first: {message}")
            }
        }
    }
}
