//! Files that hold secrets: read only when nobody else can, written so that nobody else ever could.
//!
//! What is opened is what is checked: the descriptor, not the name. A file is replaced as a whole,
//! so that neither a crash nor a full disk loses what was there.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;

use crate::error::Error;
use crate::text;

/// Configuration is small; anything larger is something else.
const LARGEST: u64 = 1 << 20;

/// Reads a file that only its owner can read; `None` when there is no file. `insecure` allows files
/// that others can read too, for containers with fixed modes.
pub(super) fn read(path: &Path, insecure: bool) -> Result<Option<String>, Error> {
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
    if !insecure {
        check(&target, &found)?;
    }
    text::read_all(file.take(LARGEST)).map(Some).map_err(unreadable)
}

/// Replaces a file, or makes it, with the mode 0600. The folder is made with the mode 0700.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    let target = resolve(path)?.unwrap_or_else(|| path.to_owned());
    let unwritable = |source| Error::Write { path: target.clone(), source };
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unwritable)?;
    check_folder(folder)?;
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{}", std::process::id()));
    let result = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &target)?;
        File::open(folder)?.sync_all()
    })();
    if result.is_err() {
        let _ = fs::remove_file(&beside);
    }
    result.map_err(unwritable)
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

fn check(path: &Path, found: &Metadata) -> Result<(), Error> {
    if !is_ours(found) {
        let what = format!("{} belongs to another user", path.display());
        return Err(Error::unsafe_config(what, format!("chown $USER {}", path.display())));
    }
    if found.mode() & 0o077 != 0 {
        let what = format!("{} can be read by others (mode {:o})", path.display(), found.mode() & 0o7777);
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

    #[test]
    fn what_is_written_is_private_from_the_start_and_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mp").join("config.toml");
        assert_eq!(read(&path, false).unwrap(), None);
        for text in ["one", "two"] {
            write(&path, text).unwrap();
            assert_eq!(read(&path, false).unwrap().as_deref(), Some(text));
        }
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_of_ours_is_followed_and_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write(&link, "new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(read(&link, false).unwrap().as_deref(), Some("new"));
    }

    #[test]
    fn files_and_folders_that_others_can_reach_are_refused_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        write(&path, "secret").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = read(&path, false).unwrap_err();
        assert!(
            matches!(&error, Error::UnsafeConfig { hint, .. } if hint.starts_with("chmod 600 ")),
            "{error}"
        );
        assert!(read(&path, true).unwrap().is_some());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = read(&path, false).unwrap_err();
        assert!(
            matches!(&error, Error::UnsafeConfig { hint, .. } if hint.starts_with("chmod go-w ")),
            "{error}"
        );
    }
}
