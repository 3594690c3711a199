//! Opening a database in each of the three modes.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::catalog::Catalog;
use super::claimed::{self, Records};
use super::connection::SqlConnection;
use super::ddl;
use super::format;
use super::guard::Guard;
use super::holder::Holder;
use super::mode::MemoryOptions;
use super::original;
use super::place::{check_text, open_regular};
use super::sandbox;
use super::snapshot::Taking;
use crate::error::{Error, ErrorKind, Result};
use crate::types::TableKind;

/// Makes connections to databases: the DuckDB of this crate, or a caller's own.
pub trait Connector: Send + Sync {
    /// Opens the database at `path` (`None`: a fresh one in memory) with DuckDB
    /// settings as name and value.
    fn connect(&self, path: Option<&Path>, settings: &[(&str, String)]) -> Result<Box<dyn SqlConnection>>;
}

/// Settings for every mode: nothing is ever downloaded.
pub(super) fn common_settings() -> Vec<(&'static str, String)> {
    let off = || "false".to_owned();
    vec![
        ("autoinstall_known_extensions", off()),
        ("autoload_known_extensions", off()),
        ("allow_community_extensions", off()),
    ]
}

/// Opens the database at `path` for writing. `made`: it was made just now, by us. The second is
/// whether names of the file take the place of DuckDB's own: then nothing has been written.
pub(super) fn persistent(
    connector: &dyn Connector,
    path: &Path,
    made: bool,
) -> Result<(Box<dyn SqlConnection>, bool)> {
    check_magic(path)?;
    let guard = Guard::of(path)?;
    let mut connection = guard.first(connect(connector, path, common_settings())?)?;
    let is_shadowed = !made && !claimed::shadowed(connection.as_mut())?.is_empty();
    if is_shadowed {
        refuse_foreign(connection.as_mut(), path)?;
        check_format(connection.as_mut(), path)?;
    } else {
        prepare(connection.as_mut(), path)?;
    }
    Ok((connection, is_shadowed))
}

/// Opens an existing database for reading only.
pub(super) fn read_only(connector: &dyn Connector, path: &Path) -> Result<Box<dyn SqlConnection>> {
    let mut settings = common_settings();
    settings.push(("access_mode", "READ_ONLY".into()));
    check_magic(path)?;
    let mut connection = connect(connector, path, settings)?;
    check_format(connection.as_mut(), path)?;
    Ok(connection)
}

/// Opens a snapshot of the database at `path`, once it can be opened.
pub(super) fn snapshot(
    connector: &dyn Connector,
    path: &Path,
    taking: &mut Taking<'_>,
) -> Result<Box<dyn SqlConnection>> {
    check_magic(path)?;
    let mut tries = 3;
    loop {
        taking.settle()?;
        tries -= 1;
        let error = match read_only(connector, taking.file()) {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        let path = path.to_path_buf();
        return Err(match error.kind() {
            // What a pass can have missed looks like damage.
            ErrorKind::NotADatabase { .. } | ErrorKind::Io { .. } | ErrorKind::Query { .. } if tries > 0 => {
                continue;
            }
            ErrorKind::NotADatabase { message, .. } => {
                ErrorKind::NotADatabase { path, message: message.clone() }.into()
            }
            ErrorKind::NewerFormat { found, supported, .. } => {
                ErrorKind::NewerFormat { path, found: *found, supported: *supported }.into()
            }
            _ => error,
        });
    }
}

/// Opens a new database at `path`, a private folder of this process.
pub(super) fn ephemeral(connector: &dyn Connector, path: &Path) -> Result<Box<dyn SqlConnection>> {
    let mut settings = common_settings();
    let spill = path.with_extension("spill");
    settings.push(("temp_directory", spill.display().to_string()));
    let mut connection = connect(connector, path, settings)?;
    set_private(path)?;
    prepare(connection.as_mut(), path)?;
    Ok(connection)
}

/// Opens a database that no file backs.
pub(super) fn memory(connector: &dyn Connector, options: &MemoryOptions) -> Result<Box<dyn SqlConnection>> {
    let mut settings = common_settings();
    let nowhere = || "/nonexistent".to_owned();
    match &options.spill_to {
        Some(folder) => {
            if !folder.is_dir() {
                return Err(Error::argument("spill folder", format!("{} is not a folder", folder.display())));
            }
            settings.push(("temp_directory", folder.display().to_string()));
        }
        None => {
            settings.push(("temp_directory", String::new()));
            settings.push(("max_temp_directory_size", "0KiB".into()));
        }
    }
    settings.push(("allow_persistent_secrets", "false".into()));
    settings.push(("extension_directory", nowhere()));
    settings.push(("secret_directory", nowhere()));
    settings.push(("enable_external_file_cache", "false".into()));
    if let Some(bytes) = options.memory_limit {
        settings.push(("memory_limit", format!("{bytes}B")));
    }
    if let Some(threads) = options.threads {
        settings.push(("threads", threads.to_string()));
    }
    let mut connection = connector.connect(None, &settings)?;
    connection.execute(&format::create())?;
    if options.sealed {
        connection.execute(sandbox::SETTINGS)?;
    }
    Ok(connection)
}

/// Looks at the file's first bytes: DuckDB writes `DUCK` behind an 8-byte
/// checksum. Asked to open anything else, DuckDB may think of an extension to
/// open it with, and complain about that one instead.
fn check_magic(path: &Path) -> Result<()> {
    let mut head = Vec::new();
    let file = open_regular(path)?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, 16), &mut head)
        .map_err(|e| Error::io("reading", path, e))?;
    if head.get(8..12) == Some(b"DUCK") {
        return Ok(());
    }
    let message = if head.starts_with(b"SQLite format 3") {
        "it is a SQLite database"
    } else if head.is_empty() {
        "it is empty"
    } else {
        "it has another format"
    };
    Err(ErrorKind::NotADatabase { path: path.to_path_buf(), message: message.to_owned() }.into())
}

/// Only the owner may read the data.
pub(super) fn set_private(path: &Path) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(|e| Error::io("protecting", path, e))
}

/// The write-ahead log that DuckDB keeps beside a database.
pub(super) fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push(".wal");
    PathBuf::from(log)
}

/// DuckDB makes the log with whatever the process's umask allows. It holds data
/// too, so it is made private as soon as it is there.
pub(super) fn protect_log(path: &Path) {
    let _ = set_private(&log_of(path));
}

/// Makes an empty log for the owner alone, if there is none: DuckDB writes into
/// it, so that there is no moment in which others can read. To be called by
/// those who have the database open for writing.
pub(super) fn make_private_log(path: &Path) {
    let new = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(log_of(path));
    if new.is_err() {
        protect_log(path);
    }
}

pub(super) fn connect(
    connector: &dyn Connector,
    path: &Path,
    settings: Vec<(&str, String)>,
) -> Result<Box<dyn SqlConnection>> {
    check_text(path)?;
    connector.connect(Some(path), &settings).map_err(|error| sort_open_error(error, path))
}

/// Brings our own tables into a database that lacks them, and refuses files
/// from the future.
fn prepare(connection: &mut dyn SqlConnection, path: &Path) -> Result<()> {
    refuse_foreign(connection, path)?;
    if !check_format(connection, path)? {
        connection.execute(&format::complete())?;
        make_typed_views_again(connection)?;
    }
    // What a process that was killed had still to do. If it cannot be done now,
    // the data is there all the same, and the next chunk begins with it.
    let _ = super::held::exchange(connection);
    Ok(())
}

fn refuse_foreign(connection: &mut dyn SqlConnection, path: &Path) -> Result<()> {
    let Records::Foreign(names) = claimed::records(connection)? else { return Ok(()) };
    if let Some(tables) = original::tables(connection, true)? {
        let tables = tables.into_iter().map(|table| table.name).collect();
        return Err(ErrorKind::OriginalDatabase { path: path.to_path_buf(), tables }.into());
    }
    Err(ErrorKind::ForeignRecords { path: path.to_path_buf(), names }.into())
}

/// Older versions computed some properties in another way.
fn make_typed_views_again(connection: &mut dyn SqlConnection) -> Result<()> {
    for row in connection.rows("SELECT table_name, type FROM _tables", &[])? {
        let (table, kind) = (row[0].to_text(), row[1].to_text());
        let Some(kind) = TableKind::from_str(&kind) else { continue };
        let catalog = Catalog::load(connection, &table, kind)?;
        connection.execute(&ddl::create_flat_view(&table, kind, &catalog.by_frequency()))?;
    }
    Ok(())
}

/// Whether the file has this version's tables; an error when they are newer.
fn check_format(connection: &mut dyn SqlConnection, path: &Path) -> Result<bool> {
    match claimed::records(connection)? {
        Records::Ours(found) if found > format::VERSION => {
            let supported = format::VERSION;
            Err(ErrorKind::NewerFormat { path: path.to_path_buf(), found, supported }.into())
        }
        Records::Ours(found) => Ok(found == format::VERSION),
        Records::None | Records::Foreign(_) => Ok(false),
    }
}

/// DuckDB reports trouble on opening as text. What the text is about decides
/// the kind.
fn sort_open_error(error: Error, path: &Path) -> Error {
    let ErrorKind::Query { class, message } = error.kind() else { return error };
    let path = path.to_path_buf();
    if message.contains("Could not set lock") {
        let Holder { pid, command } = Holder::in_message(message);
        return ErrorKind::DatabaseLocked { path, pid, command }.into();
    }
    if message.contains("Permission denied") {
        return ErrorKind::PermissionDenied { path }.into();
    }
    let unreadable = ["not a valid DuckDB database", "corrupt", "Corrupt", "checksum", "version number"];
    if class == "Serialization" || unreadable.iter().any(|sign| message.contains(sign)) {
        return ErrorKind::NotADatabase { path, message: message.clone() }.into();
    }
    if class == "IO" {
        let what = format!("opening {}: {message}", path.display());
        return ErrorKind::Io { what }.into();
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_errors_are_sorted_by_what_they_say() {
        let sorted = |message: &str| {
            sort_open_error(super::super::connection::error_from_message(message), Path::new("a.db"))
        };
        assert!(matches!(
            sorted("IO Error: Could not set lock on file \"a.db\": (PID 7)").kind(),
            ErrorKind::DatabaseLocked { pid: Some(7), .. }
        ));
        assert!(matches!(
            sorted("IO Error: The file \"a.db\" exists, but it is not a valid DuckDB database file!").kind(),
            ErrorKind::NotADatabase { .. }
        ));
        assert!(matches!(
            sorted("IO Error: Cannot open file \"a.db\": Permission denied").kind(),
            ErrorKind::PermissionDenied { .. }
        ));
        assert!(matches!(sorted("Binder Error: no such thing").kind(), ErrorKind::Query { .. }));
    }
}
