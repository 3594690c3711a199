//! Where a path leads: looked at before anything there is opened, made or replaced.
//!
//! A database is a regular file. Names that mean something else (an address, a
//! service) are refused, links are followed to the file that is meant, so that
//! its log lies beside it whatever name it is opened by, and pipes, devices,
//! sockets and folders are named for what they are.

use std::ffi::OsStr;
use std::fs::{self, File, FileType, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::error::{Error, ErrorKind, Result};

/// The name that means memory, as in DuckDB.
const MEMORY: &str = ":memory:";

/// Prefixes by which DuckDB and its extensions reach other databases.
const SERVICES: [&str; 13] = [
    "md",
    "motherduck",
    "duckdb",
    "ducklake",
    "sqlite",
    "postgres",
    "postgresql",
    "mysql",
    "mssql",
    "iceberg",
    "delta",
    "bigquery",
    "snowflake",
];

const FOLDER: &str = "a folder";

/// So many links may follow each other, as in Linux.
const MOST_LINKS: usize = 40;

/// Whether a path is the name of a database in memory.
pub(super) fn is_memory(path: &Path) -> bool {
    path.as_os_str() == MEMORY
}

/// Why a path names no file of this machine, if it does not: `s3://bucket/a`, `md:a`.
pub fn names_no_file(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c));
    let is_service = SERVICES.contains(&scheme.to_ascii_lowercase().as_str());
    // One slash is what is left of two where paths are tidied up, as in Python.
    if is_scheme && rest.starts_with('/') {
        return Some(format!("{text} is an address, and this has to be the path of a file on this machine"));
    }
    if is_service {
        return Some(format!(
            "{text} names another service or kind of database, and this has to be the path of a DuckDB file \
             (./{text} is the file of this name)"
        ));
    }
    text.strip_prefix(MEMORY).filter(|name| !name.is_empty()).map(|_| {
        format!("{text} names a database in memory, of which there is one for each process: {MEMORY}")
    })
}

/// Checks that DuckDB can show a path: where one is no text, it fails inside.
pub(super) fn check_text(path: &Path) -> Result<()> {
    match path.to_str() {
        Some(_) => Ok(()),
        None => {
            let why = format!("{} is not text in UTF-8, as paths have to be for DuckDB", path.display());
            Err(Error::argument("path", why))
        }
    }
}

/// Where a path leads.
#[derive(Debug)]
pub(super) struct Place {
    /// The file itself, behind all links. Absolute.
    pub(super) path: PathBuf,
    pub(super) found: Found,
    /// A link on the way that belongs to another user.
    foreign_link: Option<PathBuf>,
}

/// What is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// A file without a byte: a name that somebody reserved.
    Empty,
    File,
}

impl Place {
    /// Looks at what a path leads to, and touches nothing.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for names of something else
    /// than a file, [`NotADatabase`](ErrorKind::NotADatabase) for pipes, devices
    /// and sockets, [`Io`](ErrorKind::Io) for folders, and what the file system says.
    pub(super) fn look(path: &Path) -> Result<Self> {
        let bytes = path.as_os_str().as_bytes();
        if bytes.is_empty() || bytes.contains(&0) {
            let why = if bytes.is_empty() { "it is empty" } else { "it holds a NUL character" };
            return Err(Error::argument("path", why));
        }
        if let Some(why) = names_no_file(path) {
            return Err(Error::argument("path", why));
        }
        let opening = |at: &Path, error| Error::io("opening", at, error);
        let mut at = std::path::absolute(path).map_err(|error| opening(path, error))?;
        if at.file_name().is_none() || bytes.ends_with(b"/..") || bytes == b".." {
            return Err(not_a_file(path, FOLDER));
        }
        let mut foreign_link = None;
        for _ in 0..=MOST_LINKS {
            check_text(&at)?;
            let meta = match fs::symlink_metadata(&at) {
                Ok(meta) => meta,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(Place { path: at, found: Found::Nothing, foreign_link });
                }
                Err(error) => return Err(opening(&at, error)),
            };
            if meta.is_symlink() {
                if !is_own(&meta) {
                    foreign_link = Some(at.clone());
                }
                let target = fs::read_link(&at).map_err(|error| opening(&at, error))?;
                at = at.parent().unwrap_or(Path::new("/")).join(target);
                continue;
            }
            if let Some(kind) = other_kind(meta.file_type()) {
                return Err(not_a_file(&at, kind));
            }
            let found = if meta.len() == 0 { Found::Empty } else { Found::File };
            return Ok(Place { path: at, found, foreign_link });
        }
        Err(ErrorKind::Io { what: format!("too many links, one behind the other: {}", path.display()) }
            .into())
    }

    /// Refuses to make a file where somebody else's link leads: whoever can make
    /// links in a shared folder must not choose what others write.
    pub(super) fn may_be_made(&self) -> Result<()> {
        match &self.foreign_link {
            Some(link) => {
                let why = format!(
                    "{} is another user's link, to {}; name that file itself if it is meant",
                    link.display(),
                    self.path.display()
                );
                Err(Error::argument("path", why))
            }
            None => Ok(()),
        }
    }
}

/// Opens a regular file for reading. Anything else is refused, and nothing is
/// waited for, whatever has taken the file's place since it was looked at.
pub(super) fn open_regular(path: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32)
        .open(path)
        .map_err(|error| Error::io("opening", path, error))?;
    let meta = file.metadata().map_err(|error| Error::io("opening", path, error))?;
    match other_kind(meta.file_type()) {
        Some(kind) => Err(not_a_file(path, kind)),
        None => Ok(file),
    }
}

/// The folder that a file is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| folder.as_os_str() != OsStr::new("")).unwrap_or(Path::new("."))
}

fn is_own(meta: &fs::Metadata) -> bool {
    let user = rustix::process::geteuid().as_raw();
    meta.uid() == user || meta.uid() == 0
}

fn not_a_file(path: &Path, kind: &str) -> Error {
    if kind == FOLDER {
        return ErrorKind::Io { what: format!("{} is a folder, not a database file", path.display()) }.into();
    }
    let message = format!("it is {kind}, not a file");
    ErrorKind::NotADatabase { path: path.to_path_buf(), message }.into()
}

/// What a path that is no regular file leads to.
fn other_kind(kind: FileType) -> Option<&'static str> {
    match kind {
        kind if kind.is_file() => None,
        kind if kind.is_dir() => Some(FOLDER),
        kind if kind.is_fifo() => Some("a named pipe"),
        kind if kind.is_socket() => Some("a socket"),
        kind if kind.is_char_device() || kind.is_block_device() => Some("a device"),
        _ => Some("something else"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_something_else_are_told_from_files() {
        for name in [
            "s3://bucket/a.duckdb",
            "https://h/a",
            "gs://a",
            "md:a",
            "MD:",
            "motherduck:a",
            "postgres:dbname=a",
        ] {
            assert!(names_no_file(Path::new(name)).is_some(), "{name}");
        }
        assert!(names_no_file(Path::new(":memory:mine")).is_some());
        for name in [
            "a.duckdb",
            "./md:a",
            "C:x",
            "a:b.duckdb",
            "a?b=c.duckdb",
            "2024:x",
            ":memory:",
            "a b://c",
            "a/b://c",
        ] {
            assert_eq!(names_no_file(Path::new(name)), None, "{name}");
        }
    }

    #[test]
    fn links_lead_to_the_file_that_is_meant() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("deep")).unwrap();
        std::os::unix::fs::symlink("deep/b", root.join("a")).unwrap();
        std::os::unix::fs::symlink("../data.duckdb", root.join("deep/b")).unwrap();
        let look = || Place::look(&root.join("a")).unwrap();
        assert_eq!(look().found, Found::Nothing);
        fs::write(root.join("data.duckdb"), "").unwrap();
        assert_eq!(look().found, Found::Empty);
        fs::write(root.join("data.duckdb"), "x").unwrap();
        assert_eq!(look().found, Found::File);
        let target = fs::canonicalize(look().path).unwrap();
        assert_eq!(target, fs::canonicalize(root.join("data.duckdb")).unwrap());
        std::os::unix::fs::symlink("loop", root.join("loop")).unwrap();
        assert!(Place::look(&root.join("loop")).unwrap_err().to_string().contains("too many links"));
    }

    #[test]
    fn paths_without_a_file_are_refused() {
        for (path, word) in
            [("", "empty"), ("/", "folder"), ("..", "folder"), (".", "folder"), ("a\0b", "NUL")]
        {
            let error = Place::look(Path::new(path)).unwrap_err().to_string();
            assert!(error.contains(word), "{path:?}: {error}");
        }
    }
}
