//! What is to be done before a database is opened whose last writer did not end
//! well: half-written blocks are put back, and a log that DuckDB would not read,
//! or would read without a word about what it leaves out, is cut.
//!
//! Files in, files out; DuckDB is not asked. A file that somebody has open is
//! left alone: whoever has it has been here.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FlockOperation, fcntl_lock};

use super::duckdb_file::{Headers, Log, LogEnd};
use super::journal::{self, sync_folder_of};
use super::mode::Claim;
use super::open::log_of;
use crate::error::{Error, Result};

/// What was done to a database before it was opened, because its last writer
/// was killed or the machine lost power.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Blocks and headers that a checkpoint left half-written, put back.
    pub restored_blocks: u64,
    /// What became of the log, if it was not used as it was.
    pub log: Option<LogRecovery>,
}

/// A log that was not used as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogRecovery {
    /// Its last transaction was not written whole, so it had not been confirmed.
    /// It was left out.
    Unfinished {
        /// A copy of the whole log.
        kept: PathBuf,
    },
    /// It was damaged; the transactions from there on could not be used.
    Damaged {
        /// How many transactions end behind the damage, as far as can be seen.
        transactions: u64,
        /// A copy of the whole log.
        kept: PathBuf,
    },
    /// It belongs to another state of the file: an older one, whose transactions
    /// the file has already, or a newer one, if the file is an older copy.
    OtherState {
        /// Whether it is newer than the file.
        newer: bool,
        /// Where it is now.
        kept: PathBuf,
    },
}

impl Recovery {
    /// Whether transactions that had been confirmed are not in the file. Their
    /// days are missing in the ledger, so that a sync fetches them again.
    pub fn lost_something(&self) -> bool {
        matches!(self.log, Some(LogRecovery::Damaged { .. } | LogRecovery::OtherState { newer: true, .. }))
    }

    fn nothing(&self) -> bool {
        self.restored_blocks == 0 && self.log.is_none()
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.restored_blocks > 0 {
            let s = if self.restored_blocks == 1 { "" } else { "s" };
            write!(
                f,
                "a checkpoint was cut off, and {} block{s} put back; nothing is lost",
                self.restored_blocks
            )?;
        }
        let Some(log) = &self.log else { return Ok(()) };
        if self.restored_blocks > 0 {
            f.write_str("; ")?;
        }
        match log {
            LogRecovery::Unfinished { kept } => write!(
                f,
                "the last transaction in the log was not written whole and was left out; the log is kept as {}",
                kept.display()
            ),
            LogRecovery::Damaged { transactions, kept } => write!(
                f,
                "the log was damaged, and its last {transactions} transactions are lost; days that are missing now \
                 are fetched again by a sync; the log is kept as {}",
                kept.display()
            ),
            LogRecovery::OtherState { newer: false, kept } => write!(
                f,
                "the log beside it was an older one, whose transactions it has; it is now {}",
                kept.display()
            ),
            LogRecovery::OtherState { newer: true, kept } => write!(
                f,
                "the log beside it belongs to a newer state, so this is an older copy; days that are missing are \
                 fetched again by a sync; the log is now {}",
                kept.display()
            ),
        }
    }
}

/// Repairs what can be repaired; `None` when there was nothing to do.
///
/// # Errors
/// When something is to be done and the files cannot be written.
pub(super) fn recover(path: &Path) -> Result<Option<Recovery>> {
    let log = log_of(path);
    let log_is_empty = fs::metadata(&log).map_or(true, |meta| meta.len() == 0);
    if !journal::is_there(path) && log_is_empty {
        return Ok(None);
    }
    let io = |error| Error::io("repairing", path, error);
    let mut recovery = Recovery::default();
    // Reading does not need the right to write, unless there is something to repair.
    let file = match File::options().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(_) if !journal::is_there(path) => File::open(path).map_err(io)?,
        Err(error) => return Err(io(error)),
    };
    if fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(None);
    }
    if journal::is_there(path) {
        recovery.restored_blocks = journal::restore(path, &file).map_err(io)?;
    }
    if let Some(headers) = Headers::read(&file).map_err(io)?
        && let Some(current) = headers.current()
        && !headers.encrypted()
    {
        recovery.log = recover_log(&log, current.iteration).map_err(|e| Error::io("repairing", &log, e))?;
    }
    Ok((!recovery.nothing()).then_some(recovery))
}

/// A claim on a file that is to be read, and what had to be repaired before.
pub(super) fn claim_for_reading(path: &Path) -> Result<(Claim, Option<Recovery>)> {
    // Repairing takes the file for itself; nobody else who wants to read it shall notice.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let recovery = match Claim::take(path, false) {
        Ok(_alone) => recover(path)?,
        Err(_) => None,
    };
    Ok((Claim::take(path, true)?, recovery))
}

fn recover_log(path: &Path, iteration: u64) -> io::Result<Option<LogRecovery>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let log = Log::read(&file)?;
    if let Some(follows) = log.iteration
        // One behind is for DuckDB to say: the log then ends in the checkpoint's mark.
        && !(iteration.saturating_sub(1)..=iteration).contains(&follows)
    {
        let kept = aside(path, "other", |kept| fs::rename(path, kept))?;
        return Ok(Some(LogRecovery::OtherState { newer: follows > iteration, kept }));
    }
    let LogEnd::Damaged { commits } = log.end else { return Ok(None) };
    let kept = aside(path, "damaged", |kept| copy(&file, kept))?;
    let log_file = File::options().write(true).open(path)?;
    log_file.set_len(log.committed)?;
    log_file.sync_all()?;
    Ok(Some(match commits {
        // Each commit waits for its log: of what was not waited for there is one at most, the last.
        0 | 1 => LogRecovery::Unfinished { kept },
        transactions => LogRecovery::Damaged { transactions, kept },
    }))
}

/// Puts something under a name of its own beside the log, `NAME.wal.WHAT-N`.
fn aside(log: &Path, what: &str, put: impl Fn(&Path) -> io::Result<()>) -> io::Result<PathBuf> {
    for number in 1.. {
        let mut name = log.as_os_str().to_owned();
        name.push(format!(".{what}-{number}"));
        let kept = PathBuf::from(name);
        if fs::symlink_metadata(&kept).is_ok() {
            continue;
        }
        put(&kept)?;
        sync_folder_of(&kept)?;
        return Ok(kept);
    }
    unreachable!("numbers do not end")
}

fn copy(mut from: &File, to: &Path) -> io::Result<()> {
    io::Seek::seek(&mut from, io::SeekFrom::Start(0))?;
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut from, &mut to)?;
    to.sync_all()
}
