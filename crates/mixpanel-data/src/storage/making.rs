//! A new database file: made complete in a private folder beside its place, and
//! only then put there, so that a crash never leaves a file that cannot be
//! opened, and nobody else's file is ever replaced.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, fcntl_lock};
use rustix::io::Errno;

use super::format;
use super::mode::{EphemeralDir, sweep_folder};
use super::open::{Connector, common_settings, connect, log_of, set_private};
use super::place::{Found, Place, folder_of};
use crate::error::{Error, ErrorKind, Result};

/// Makes the database that a path leads to if there is none, so that there is a
/// file to claim. Gives the file's own path, and whether there was none.
pub(super) fn ensure(connector: &dyn Connector, path: &Path) -> Result<(PathBuf, bool)> {
    // Locks on files are for processes; threads of one take turns here, and look
    // when it is their turn: a file that this process has opened meanwhile must
    // not be opened once more (closing it would give up DuckDB's lock).
    static MAKING: Mutex<()> = Mutex::new(());
    let _one = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::look(path)?;
    sweep_drafts(&place.path);
    let made = place.found != Found::File;
    if made {
        place.may_be_made()?;
        make(connector, &place.path)?;
    }
    Ok((place.path, made))
}

/// Removes what processes of earlier versions left when they were killed while they made this file:
/// `.NAME.creating-PID`, a folder with a draft, which may be a second name of all the data.
fn sweep_drafts(path: &Path) {
    let Some(name) = path.file_name().and_then(OsStr::to_str) else { return };
    let prefix = format!(".{name}.creating-");
    let user = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(folder_of(path)).into_iter().flatten().flatten() {
        let maker =
            entry.file_name().to_str().and_then(|name| name.strip_prefix(&prefix)?.parse::<i32>().ok());
        let Some(maker) = maker.and_then(rustix::process::Pid::from_raw) else { continue };
        let draft = entry.path();
        let is_own = fs::symlink_metadata(&draft).is_ok_and(|meta| meta.uid() == user);
        if !is_own || rustix::process::test_kill_process(maker) != Err(Errno::SRCH) {
            continue;
        }
        // What cannot be removed is in nobody's way.
        let _ = fs::remove_dir_all(&draft).or_else(|_| fs::remove_file(&draft));
    }
}

fn make(connector: &dyn Connector, path: &Path) -> Result<()> {
    let parent = folder_of(path);
    let log = log_of(path);
    if fs::symlink_metadata(&log).is_ok_and(|meta| meta.len() > 0) {
        let what = format!(
            "making {}: {} is the log of a database that is gone; move it away first, or bring that database back",
            path.display(),
            log.display()
        );
        return Err(ErrorKind::Io { what }.into());
    }
    fs::create_dir_all(parent).map_err(|e| Error::io("creating folder", parent, e))?;
    // What a process that was killed here left.
    sweep_folder(parent);
    let workshop = EphemeralDir::create_in(parent).map_err(|error| relocate(error, path))?;
    let draft = workshop.file(OsStr::new("draft.duckdb"));
    let mut connection =
        connect(connector, &draft, common_settings()).map_err(|error| relocate(error, path))?;
    connection.execute(&format::create())?;
    connection.execute("CHECKPOINT")?;
    drop(connection);
    set_private(&draft)?;
    let io = |what: &'static str| move |error| Error::io(what, path, error);
    File::open(&draft).and_then(|file| file.sync_all()).map_err(io("syncing"))?;
    put(&draft, path)?;
    File::open(parent).and_then(|folder| folder.sync_all()).map_err(io("syncing the folder of"))
}

/// Gives the draft its name: where nothing is, or in place of a file without a
/// byte. When somebody else was first, theirs stays; it is as good.
fn put(draft: &Path, path: &Path) -> Result<()> {
    match rename_new(draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        outcome => return outcome.map_err(|error| Error::io("creating", path, error)),
    }
    let Some(reserved) = reserve(path)? else { return Ok(()) };
    let outcome = fs::rename(draft, path).map_err(|error| Error::io("creating", path, error));
    // Held until here: whoever waits for it finds that the name leads elsewhere.
    drop(reserved);
    outcome
}

/// Renames where nothing is; `AlreadyExists` otherwise.
pub(super) fn rename_new(draft: &Path, path: &Path) -> io::Result<()> {
    match rename_exclusively(draft, path) {
        // A file system that cannot: with a second name for a moment.
        Err(error) if is_unable(&error) => fs::hard_link(draft, path),
        outcome => outcome,
    }
}

fn is_unable(error: &io::Error) -> bool {
    let number = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(number, Some(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP))
}

/// By the C library, where the tests that take the power away see it.
#[cfg(target_os = "linux")]
fn rename_exclusively(from: &Path, to: &Path) -> io::Result<()> {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;
    let name = |path: &Path| CString::new(path.as_os_str().as_bytes());
    let (from, to) = (name(from)?, name(to)?);
    let here = libc::AT_FDCWD;
    // SAFETY: both names are C strings that live until the call is over.
    let outcome = unsafe { libc::renameat2(here, from.as_ptr(), here, to.as_ptr(), libc::RENAME_NOREPLACE) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(not(target_os = "linux"))]
fn rename_exclusively(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

/// So often, and so long apart, a lock that somebody holds is asked for.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(25);

/// Holds the file without a byte at `path` by DuckDB's own lock, so that nobody
/// replaces it meanwhile or writes into it; `None` when it is no longer that.
fn reserve(path: &Path) -> Result<Option<File>> {
    let io = |error| Error::io("creating", path, error);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32)
        .open(path)
        .map_err(io)?;
    let mut tries = TRIES;
    loop {
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            Err(Errno::AGAIN | Errno::ACCESS) if tries > 0 => tries -= 1,
            Err(Errno::AGAIN | Errno::ACCESS) => {
                return Err(
                    ErrorKind::DatabaseLocked { path: path.to_path_buf(), pid: None, command: None }.into()
                );
            }
            // A file system without locks has no DuckDB that could hold one.
            Err(Errno::NOLCK | Errno::NOTSUP | Errno::NOSYS) => break,
            Err(error) => return Err(io(error.into())),
        }
        std::thread::sleep(PAUSE);
    }
    let held = file.metadata().map_err(io)?;
    let there = fs::symlink_metadata(path).map_err(io)?;
    let same = (held.dev(), held.ino()) == (there.dev(), there.ino());
    Ok((same && held.is_file() && held.len() == 0).then_some(file))
}

/// The same error about the path that the user knows.
fn relocate(error: Error, path: &Path) -> Error {
    match error.kind() {
        ErrorKind::PermissionDenied { .. } => ErrorKind::PermissionDenied { path: path.to_path_buf() }.into(),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn of_two_that_make_one_file_the_first_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        // Where nothing is, and where both saw an empty file.
        for reserved in [false, true] {
            let path = at("data.duckdb");
            if reserved {
                fs::write(&path, "").unwrap();
            }
            for draft in ["one", "two"] {
                fs::write(at(draft), draft).unwrap();
                put(&at(draft), &path).unwrap();
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), "one");
            let links = fs::metadata(&path).unwrap().nlink();
            assert_eq!(links, 1, "no second name for all the data");
            fs::remove_file(&path).unwrap();
            fs::remove_file(at("two")).unwrap();
        }
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn drafts_of_the_dead_are_swept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        let (dead, alive) = (dead.wait().map(|_| dead.id()).unwrap(), std::process::id());
        let gone = [format!(".a.duckdb.creating-{dead}"), format!(".a.duckdb.creating-{}", i32::MAX)];
        let stay = [
            format!(".a.duckdb.creating-{alive}"),
            format!(".b.duckdb.creating-{dead}"),
            ".a.duckdb.creating-".to_owned(),
            ".a.duckdb.creating-x".to_owned(),
            "a.duckdb".to_owned(),
        ];
        fs::create_dir(at(&gone[0])).unwrap();
        fs::write(at(&gone[0]).join("data.duckdb"), "all the data").unwrap();
        fs::hard_link(at(&gone[0]).join("data.duckdb"), at("a.duckdb")).unwrap();
        fs::write(at(&gone[1]), "draft").unwrap();
        stay[..4].iter().for_each(|name| fs::create_dir(at(name)).unwrap());
        sweep_drafts(&at("a.duckdb"));
        let mut expected = stay.to_vec();
        expected.sort();
        assert_eq!(names(folder.path()), expected);
        assert_eq!(fs::read_to_string(at("a.duckdb")).unwrap(), "all the data");
    }

    #[test]
    fn what_is_no_empty_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("draft"), "draft").unwrap();
        fs::write(at("full"), "mine").unwrap();
        put(&at("draft"), &at("full")).unwrap();
        assert_eq!(fs::read_to_string(at("full")).unwrap(), "mine");
        // A link that appears behind the look is not followed and not replaced.
        fs::write(at("target"), "").unwrap();
        std::os::unix::fs::symlink(at("target"), at("link")).unwrap();
        assert!(put(&at("draft"), &at("link")).is_err());
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        put(&at("draft"), &at("pipe")).unwrap();
        assert_eq!(names(folder.path()), ["draft", "full", "link", "pipe", "target"]);
    }
}
