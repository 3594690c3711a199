//! Where the bytes live: the options of memory mode, the private folder of
//! ephemeral mode and its clean-up, and the claim on a file within the process.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

/// How an in-memory database may use the machine.
///
/// The default keeps DuckDB's own memory limit (80 % of the machine's memory)
/// and never opens a file for writing.
#[derive(Clone, Debug, Default)]
pub struct MemoryOptions {
    pub(super) spill_to: Option<PathBuf>,
    pub(super) memory_limit: Option<u64>,
    pub(super) threads: Option<u32>,
    pub(super) sealed: bool,
}

impl MemoryOptions {
    /// The strictest use: no spilling, DuckDB's own memory limit.
    pub fn new() -> Self {
        MemoryOptions::default()
    }

    /// Lets operations larger than memory spill into this folder, in clear.
    /// The folder must exist.
    pub fn spill_to(mut self, folder: impl Into<PathBuf>) -> Self {
        self.spill_to = Some(folder.into());
        self
    }

    /// Limits DuckDB's buffers to this many bytes. (DuckDB treats the limit as
    /// a target for its buffers; some functions allocate beside them.)
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// Limits the number of threads.
    pub fn threads(mut self, threads: u32) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Also forbids SQL to touch any file: no `COPY … TO`, `ATTACH`, `read_csv`.
    pub fn sealed(mut self) -> Self {
        self.sealed = true;
        self
    }
}

const PREFIX: &str = "mixpanel-data-ephemeral-";
const LOCK: &str = "owner.lock";
/// So often a folder may be swept while it is being made.
const TRIES: u32 = 5;
/// A folder without a lock's file is left alone for so long.
const YOUNG: Duration = Duration::from_secs(60);

/// A private folder (0700) with the database file, removed on drop.
///
/// The owner holds a lock on a file in it for as long as it lives. A folder
/// whose lock is free has lost its owner, and the next start removes it.
#[derive(Debug)]
pub(super) struct EphemeralDir {
    path: PathBuf,
    _lock: File,
}

/// The folders of this process, for [`remove_ephemeral_files`].
static OWNED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

impl EphemeralDir {
    pub(super) fn create() -> Result<Self> {
        Self::create_in(&std::env::temp_dir())
    }

    /// Makes the folder in another one, which the caller sweeps.
    pub(super) fn create_in(parent: &Path) -> Result<Self> {
        Self::create_among_sweepers(parent, &mut |_| {})
    }

    /// `paused` is called where another process may sweep: between the making of
    /// the folder, of the lock's file, and the locking. A folder that was swept
    /// there is given up for another.
    fn create_among_sweepers(parent: &Path, paused: &mut dyn FnMut(&Path)) -> Result<Self> {
        for _ in 0..TRIES {
            if let Some(made) = Self::try_create(parent, paused)? {
                OWNED.lock().unwrap_or_else(PoisonError::into_inner).push(made.path.clone());
                return Ok(made);
            }
        }
        let what = format!("creating a folder in {}: others remove it at once", parent.display());
        Err(ErrorKind::Io { what }.into())
    }

    fn try_create(parent: &Path, paused: &mut dyn FnMut(&Path)) -> Result<Option<Self>> {
        let mut random = [0u8; 8];
        let mut source =
            File::open("/dev/urandom").map_err(|e| Error::io("opening", Path::new("/dev/urandom"), e))?;
        std::io::Read::read_exact(&mut source, &mut random)
            .map_err(|e| Error::io("reading", Path::new("/dev/urandom"), e))?;
        let name = format!("{PREFIX}{}-{:016x}", std::process::id(), u64::from_ne_bytes(random));
        let path = parent.join(name);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|e| Error::io("creating folder", &path, e))?;
        paused(parent);
        let lock_path = path.join(LOCK);
        let lock = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&lock_path);
        let lock = match lock {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            lock => lock.map_err(|e| Error::io("creating", &lock_path, e))?,
        };
        paused(parent);
        lock.lock().map_err(|e| Error::io("locking", &lock_path, e))?;
        let locked = lock.metadata().map_err(|e| Error::io("locking", &lock_path, e))?;
        let is_there = fs::symlink_metadata(&lock_path)
            .is_ok_and(|there| (there.dev(), there.ino()) == (locked.dev(), locked.ino()));
        Ok(is_there.then_some(EphemeralDir { path, _lock: lock }))
    }

    pub(super) fn database(&self) -> PathBuf {
        self.file(OsStr::new("data.duckdb"))
    }

    pub(super) fn file(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for EphemeralDir {
    fn drop(&mut self) {
        // Nothing useful can be done about a failure here; the next start sweeps.
        let _ = fs::remove_dir_all(&self.path);
        OWNED.lock().unwrap_or_else(PoisonError::into_inner).retain(|path| path != &self.path);
    }
}

/// Removes the files of every ephemeral database of this process, at once.
///
/// For the moment before a process is ended by a signal, when destructors will
/// not run. The databases are unusable afterwards.
pub fn remove_ephemeral_files() {
    for path in OWNED.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        let _ = fs::remove_dir_all(path);
    }
}

/// Removes what dead processes left: ephemeral folders of this user whose
/// owner's lock is free. Folders of living processes are left alone. Returns
/// how many were removed.
pub fn sweep_ephemeral_files() -> usize {
    sweep_folder(&std::env::temp_dir())
}

/// The same for folders in another place than the system's temporary folder.
pub(super) fn sweep_folder(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let user = rustix::process::geteuid().as_raw();
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
        .filter(|entry| {
            let Ok(meta) = fs::symlink_metadata(entry.path()) else { return false };
            meta.is_dir() && meta.uid() == user && remove_abandoned(&entry.path(), &meta)
        })
        .count()
}

/// Removes a folder whose owner is dead. The lock is held until it is gone: an
/// owner that was about to take it then finds the folder gone, and makes another.
fn remove_abandoned(folder: &Path, meta: &fs::Metadata) -> bool {
    let flags =
        OpenOptions::new().write(true).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32).clone();
    let lock = flags.open(folder.join(LOCK));
    let is_abandoned = match &lock {
        Ok(file) => file.try_lock().is_ok(),
        // The owner may be between making the folder and the lock's file.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            meta.modified().ok().and_then(|time| time.elapsed().ok()).is_some_and(|age| age > YOUNG)
        }
        // Whatever hinders (too many open files, for instance): it may be in use.
        Err(_) => false,
    };
    is_abandoned && fs::remove_dir_all(folder).is_ok()
}

/// Which files this process has open. DuckDB's own lock is per process, so two
/// handles of one process would not see each other and corrupt the file.
static CLAIMS: Mutex<Option<HashMap<(u64, u64), Claimed>>> = Mutex::new(None);

#[derive(Clone, Copy, PartialEq)]
enum Claimed {
    Writer,
    Readers(usize),
}

/// A claim on a database file, released on drop.
#[derive(Debug)]
pub(super) struct Claim {
    file: (u64, u64),
}

impl Claim {
    pub(super) fn take(path: &Path, read_only: bool) -> Result<Self> {
        let meta = fs::metadata(path).map_err(|e| Error::io("opening", path, e))?;
        let file = (meta.dev(), meta.ino());
        let mut claims = CLAIMS.lock().unwrap_or_else(PoisonError::into_inner);
        let claims = claims.get_or_insert_with(HashMap::new);
        let next = match (claims.get(&file), read_only) {
            (None, false) => Claimed::Writer,
            (None, true) => Claimed::Readers(1),
            (Some(Claimed::Readers(count)), true) => Claimed::Readers(count + 1),
            _ => {
                let pid = Some(std::process::id());
                return Err(ErrorKind::DatabaseLocked { path: path.to_path_buf(), pid, command: None }.into());
            }
        };
        claims.insert(file, next);
        Ok(Claim { file })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut claims = CLAIMS.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(claims) = claims.as_mut() else { return };
        match claims.get(&self.file) {
            Some(Claimed::Readers(count)) if *count > 1 => {
                let left = Claimed::Readers(count - 1);
                claims.insert(self.file, left);
            }
            _ => {
                claims.remove(&self.file);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_swept_while_it_is_made_is_given_up_for_another() {
        let parent = tempfile::tempdir().unwrap();
        let mut removed = 0;
        let mut sweeps = 0;
        let made = EphemeralDir::create_among_sweepers(parent.path(), &mut |parent| {
            sweeps += 1;
            removed += sweep_folder(parent);
        })
        .unwrap_err();
        // Swept each time between the lock's file and the lock.
        assert!(made.to_string().contains("others remove it"), "{made}");
        assert_eq!((removed, sweeps), (TRIES as usize, 2 * TRIES));
        let mut once = true;
        let made = EphemeralDir::create_among_sweepers(parent.path(), &mut |parent| {
            if std::mem::take(&mut once) {
                // The first is gone before it has a lock's file.
                let first = fs::read_dir(parent).unwrap().next().unwrap().unwrap();
                fs::remove_dir(first.path()).unwrap();
            }
        })
        .unwrap();
        assert_eq!(sweep_folder(parent.path()), 0, "its owner lives");
        assert!(made.path.join(LOCK).exists());
        drop(made);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
