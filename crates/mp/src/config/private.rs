//! Files that hold secrets: read only when nobody else can, written so that nobody else ever could.
//!
//! What is opened is what is checked: the descriptor, not the name. A file is replaced as a whole,
//! so that neither a crash nor a full disk loses what was there, and by one process at a time, which
//! reads it when it is its turn.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::libc;

use crate::error::Error;
use crate::text;

/// Configuration is small; anything larger is something else.
const LARGEST: u64 = 1 << 20;

/// Who may have had to do with a file that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Nobody but its owner.
    OwnerAlone,
    /// Others may have read it, but not have written it.
    OthersMayRead,
    /// Anybody: for containers with fixed modes.
    Anybody,
}

/// Reads a file of the user's; `None` when there is no file.
pub(super) fn read(path: &Path, trust: Trust) -> Result<Option<String>, Error> {
    let unreadable = |source| Error::Read { path: path.to_owned(), source };
    let target = match resolve(path)? {
        Some(target) => target,
        None => return Ok(None),
    };
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&target);
    let file = match file {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(unreadable)?,
    };
    let found = file.metadata().map_err(unreadable)?;
    if !found.is_file() {
        let what = format!("{} is not a regular file", path.display());
        return Err(Error::unsafe_config(what, "a file with the mode 600, or another --config PATH"));
    }
    check(&target, &found, trust)?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        let what = format!("{} has more than {LARGEST} bytes: it is no configuration file", path.display());
        return Err(Error::BrokenConfig { what });
    }
    text::decode(bytes).map(Some).map_err(unreadable)
}

/// So often, and so long apart, the lock is asked for: a change takes milliseconds.
const TRIES: u32 = 400;
const PAUSE: Duration = Duration::from_millis(25);

/// The right to change a file, which one process has at a time.
pub(super) struct Turn {
    target: PathBuf,
    folder: PathBuf,
    // Released on drop.
    _lock: File,
}

impl Turn {
    /// Waits for this process's turn. The folder is made with the mode 0700.
    pub(super) fn wait(path: &Path) -> Result<Self, Error> {
        let target = resolve(path)?.unwrap_or_else(|| path.to_owned());
        let unwritable = |source| Error::Write { path: target.clone(), source };
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).to_owned();
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(unwritable)?;
        check_folder(&folder)?;
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(flags)
            .open(beside(&target, "lock"))
            .map_err(unwritable)?;
        for _ in 0..TRIES {
            match lock.try_lock() {
                Ok(()) => return Ok(Turn { target, folder, _lock: lock }),
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
                Err(TryLockError::Error(error)) => return Err(unwritable(error)),
            }
        }
        Err(unwritable(io::Error::new(
            io::ErrorKind::WouldBlock,
            "another process has been changing it for 10 s",
        )))
    }

    /// Replaces the file, or makes it, with the mode 0600.
    pub(super) fn write(&self, text: &str) -> Result<(), Error> {
        let Turn { target, folder, .. } = self;
        self.sweep();
        let new = beside(target, "new");
        let result = (|| {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW)
                .open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, target)?;
            File::open(folder)?.sync_all()
        })();
        if result.is_err() {
            let _ = fs::remove_file(&new);
        }
        result.map_err(|source| Error::Write { path: target.clone(), source })
    }

    /// Removes what writers left that were killed: they had their turn, so they are gone. Earlier
    /// versions named such files by the process.
    fn sweep(&self) {
        let begin = beside(&self.target, "");
        let begin = begin.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(end) = name.to_str().and_then(|name| name.strip_prefix(&begin)) else { continue };
            if end == "new" || (!end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit())) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// `.NAME.end` in the folder of a file.
fn beside(target: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".");
    name.push(end);
    target.with_file_name(name)
}

/// Follows a link once, if it is the user's own.
fn resolve(path: &Path) -> Result<Option<PathBuf>, Error> {
    let unreadable = |source| Error::Read { path: path.to_owned(), source };
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(unreadable)?,
    };
    if !found.is_symlink() {
        return Ok(Some(path.to_owned()));
    }
    if !is_ours(&found) {
        let what = format!("{} is a link that belongs to somebody else", path.display());
        return Err(Error::unsafe_config(what, format!("rm {}, and make the file anew", path.display())));
    }
    match fs::canonicalize(path) {
        Ok(target) => Ok(Some(target)),
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
    }
}

fn is_ours(found: &Metadata) -> bool {
    // SAFETY: the call has no arguments and cannot fail.
    let user = unsafe { libc::geteuid() };
    found.uid() == user || found.uid() == 0
}

/// The mode of a file that others can read, if they can.
pub(super) fn mode_for_others(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|found| found.mode() & 0o7777).filter(|mode| mode & 0o077 != 0)
}

fn check(path: &Path, found: &Metadata, trust: Trust) -> Result<(), Error> {
    let forbidden = match trust {
        Trust::OwnerAlone => 0o077,
        Trust::OthersMayRead => 0o022,
        Trust::Anybody => return Ok(()),
    };
    if !is_ours(found) {
        let what = format!("{} belongs to another user", path.display());
        return Err(Error::unsafe_config(what, format!("chown $USER {}", path.display())));
    }
    if found.mode() & forbidden != 0 {
        let can = if trust == Trust::OwnerAlone { "read" } else { "written" };
        let mode = found.mode() & 0o7777;
        let what = format!("{} can be {can} by others (mode {mode:o})", path.display());
        return Err(Error::unsafe_config(what, format!("chmod 600 {}", path.display())));
    }
    check_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Who can write in the folder can replace the file.
fn check_folder(folder: &Path) -> Result<(), Error> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let unreadable = |source| Error::Read { path: folder.to_owned(), source };
    let mode = fs::metadata(folder).map_err(unreadable)?.mode();
    if mode & 0o022 != 0 && mode & 0o1000 == 0 {
        let what = format!("others can write in {} (mode {:o})", folder.display(), mode & 0o7777);
        return Err(Error::unsafe_config(what, format!("chmod go-w {}", folder.display())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn write(path: &Path, text: &str) -> Result<(), Error> {
        Turn::wait(path)?.write(text)
    }

    #[test]
    fn what_killed_writers_left_is_removed_and_not_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        for left in [".config.toml.new", ".config.toml.4711", ".config.toml.mine", ".other.toml.4711"] {
            fs::write(folder.path().join(left), "secret").unwrap();
        }
        write(&path, "one").unwrap();
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        assert_eq!(names, [".config.toml.lock", ".config.toml.mine", ".other.toml.4711", "config.toml"]);
    }

    #[test]
    fn a_file_that_is_too_large_is_refused_and_not_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let most = LARGEST as usize;
        write(&path, &"#".repeat(most)).unwrap();
        assert_eq!(read(&path, Trust::OwnerAlone).unwrap().unwrap().len(), most);
        write(&path, &"#".repeat(most + 1)).unwrap();
        let error = read(&path, Trust::OwnerAlone).unwrap_err();
        assert!(matches!(&error, Error::BrokenConfig { what } if what.contains("more than")), "{error}");
    }

    #[test]
    fn what_is_written_is_private_from_the_start_and_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mp").join("config.toml");
        assert_eq!(read(&path, Trust::OwnerAlone).unwrap(), None);
        for text in ["one", "two"] {
            write(&path, text).unwrap();
            assert_eq!(read(&path, Trust::OwnerAlone).unwrap().as_deref(), Some(text));
        }
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        let lock = path.with_file_name(".config.toml.lock");
        assert_eq!(fs::metadata(&lock).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 2, "the file and its lock");
    }

    #[test]
    fn a_link_of_ours_is_followed_and_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write(&link, "new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(read(&link, Trust::OwnerAlone).unwrap().as_deref(), Some("new"));
    }

    #[test]
    fn files_and_folders_that_others_can_reach_are_refused_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        write(&path, "secret").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = read(&path, Trust::OwnerAlone).unwrap_err();
        assert!(
            matches!(&error, Error::UnsafeConfig { hint, .. } if hint.starts_with("chmod 600 ")),
            "{error}"
        );
        assert!(read(&path, Trust::Anybody).unwrap().is_some());
        // Who only reads changes nothing.
        assert!(read(&path, Trust::OthersMayRead).unwrap().is_some());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
        let error = read(&path, Trust::OthersMayRead).unwrap_err();
        assert!(error.to_string().contains("can be written by others (mode 620)"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = read(&path, Trust::OwnerAlone).unwrap_err();
        assert!(
            matches!(&error, Error::UnsafeConfig { hint, .. } if hint.starts_with("chmod go-w ")),
            "{error}"
        );
    }
}
