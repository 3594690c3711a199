//! Where the books of one family are kept: in this process, or in a file that all processes of a
//! user share.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::ApiFamily;
use super::log::Log;

#[derive(Debug)]
pub(super) enum Store {
    Memory {
        log: Mutex<Log>,
        running: Arc<AtomicU32>,
    },
    /// The file, and the one whose lock guards it.
    Shared {
        family: ApiFamily,
        file: PathBuf,
        lock: PathBuf,
    },
}

/// A request's right to run beside others; it ends when this is dropped. The system ends it, too,
/// when the process dies, because it is the lock on a file.
#[derive(Debug)]
pub(super) enum Slot {
    Memory(Arc<AtomicU32>),
    Shared(#[expect(dead_code, reason = "held for its lock")] File),
    /// Nobody counts.
    Free,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Self::Memory(running) = self {
            running.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Store {
    pub(super) fn in_memory(family: ApiFamily) -> Self {
        Self::Memory { log: Mutex::new(Log::new(family)), running: Arc::default() }
    }

    /// `project` stands in the names of the files.
    pub(super) fn in_folder(folder: &Path, project: &str, family: ApiFamily) -> Self {
        let file = folder.join(format!("{}-{project}.json", family.name()));
        let lock = file.with_extension("lock");
        Self::Shared { family, file, lock }
    }

    /// Reads, changes and writes the log, alone.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut Log) -> T) -> std::io::Result<T> {
        let (family, file, lock) = match self {
            Self::Memory { log, .. } => {
                return Ok(change(&mut log.lock().unwrap_or_else(PoisonError::into_inner)));
            }
            Self::Shared { family, file, lock } => (*family, file, lock),
        };
        let guard = private().open(lock)?;
        guard.lock()?;
        // A damaged file is one that knows nothing.
        let read = fs::read(file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let mut log = read.unwrap_or_else(|| Log::new(family));
        let result = change(&mut log);
        // Replaced as a whole: a process that is killed leaves the old or the new.
        let draft = file.with_extension("draft");
        let _ = fs::remove_file(&draft);
        let mut out: File = private().create_new(true).open(&draft)?;
        out.write_all(&serde_json::to_vec(&log)?)?;
        fs::rename(&draft, file)?;
        Ok(result)
    }

    /// Takes one of `places`, if one is free.
    pub(super) fn slot(&self, places: u32) -> Option<Slot> {
        match self {
            Self::Memory { running, .. } => {
                let more = |now: u32| (now < places).then_some(now + 1);
                running.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok()?;
                Some(Slot::Memory(running.clone()))
            }
            Self::Shared { file, .. } => {
                for place in 0..places {
                    // A folder that cannot be used any more stops nobody.
                    let Ok(slot) = private().open(file.with_extension(format!("slot{place}"))) else {
                        return Some(Slot::Free);
                    };
                    match slot.try_lock() {
                        Ok(()) => return Some(Slot::Shared(slot)),
                        Err(fs::TryLockError::WouldBlock) => {}
                        Err(fs::TryLockError::Error(_)) => return Some(Slot::Free),
                    }
                }
                None
            }
        }
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}
