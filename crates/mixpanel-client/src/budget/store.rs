//! Where the records of one family are kept: in this process, or in a file that all processes of a
//! user share.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::ApiFamily;
use super::log::Log;
use super::places::{Full, Place, Running};

/// No file of ours is longer, in bytes.
const LONGEST_FILE: u64 = 1 << 20;

#[derive(Debug)]
pub(super) enum Store {
    Memory {
        log: Mutex<Log>,
        running: Running,
    },
    /// The file, and the one whose lock guards it.
    Shared {
        file: PathBuf,
        lock: PathBuf,
    },
}

impl Store {
    pub(super) fn in_memory() -> Self {
        Self::Memory { log: Mutex::default(), running: Running::default() }
    }

    /// `project` stands in the names of the files.
    pub(super) fn in_folder(folder: &Path, project: &str, family: ApiFamily) -> Self {
        let file = folder.join(format!("{}-{project}.json", family.name()));
        let lock = file.with_extension("lock");
        Self::Shared { file, lock }
    }

    /// Reads, changes and writes the log, alone.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut Log) -> T) -> io::Result<T> {
        let (file, lock) = match self {
            Self::Memory { log, .. } => {
                return Ok(change(&mut log.lock().unwrap_or_else(PoisonError::into_inner)));
            }
            Self::Shared { file, lock } => (file, lock),
        };
        let guard = private().open(lock)?;
        guard.lock()?;
        let mut log = read(file)?;
        let result = change(&mut log);
        // Replaced as a whole: a process that is killed leaves the old or the new.
        let draft = file.with_extension("draft");
        let _ = fs::remove_file(&draft);
        let mut out: File = private().create_new(true).open(&draft)?;
        out.write_all(&serde_json::to_vec(&log)?)?;
        fs::rename(&draft, file)?;
        Ok(result)
    }

    /// The log as it is. Nothing is written.
    pub(super) fn look(&self) -> Log {
        match self {
            Self::Memory { log, .. } => log.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            // It is replaced as a whole, so it needs no lock.
            Self::Shared { file, .. } => read(file).unwrap_or_default(),
        }
    }

    /// Takes one of `places` until `until`, if one is free.
    pub(super) fn place(&self, places: u32, now: u64, until: u64) -> Result<Place, Full> {
        match self {
            Self::Memory { running, .. } => Place::in_memory(running, places, now, until),
            Self::Shared { file, .. } => {
                let name = |place: u32| file.with_extension(format!("slot{place}"));
                Place::in_files(name, places, now, until)
            }
        }
    }
}

/// What the file says; one that is damaged, or no file of ours, says nothing.
///
/// # Errors
/// It is there and cannot be read, for instance where too many files are open: then it does not
/// say nothing.
fn read(path: &Path) -> io::Result<Log> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Log::default()),
        found => found?,
    };
    // Neither a pipe nor a device is opened.
    if !found.is_file() || found.len() > LONGEST_FILE {
        return Ok(Log::default());
    }
    let mut text = Vec::new();
    File::open(path)?.take(LONGEST_FILE).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text).unwrap_or_default())
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}
