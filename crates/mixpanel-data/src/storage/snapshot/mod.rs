//! A database that another process is writing, copied in its last committed
//! state. Files in, files out; opening the copy is the engine's business.
//!
//! DuckDB lets nobody else open a file that it writes, not even to read. But
//! its lock is advisory, so the bytes can be read, and this is what it does with
//! them (DuckDB 2.0.0, `src/storage` and `src/transaction`):
//!
//! 1. A committed state is the current header, the blocks it leads to, and the
//!    complete transactions in the log. Recovery leaves out what follows the
//!    last complete one (`wal_replay.cpp`, `ReplayLog`).
//! 2. Blocks that a header leads to, and blocks that a transaction in the log
//!    refers to, become free when the next header is written and not before
//!    (`MarkBlockAsModified`, `WriteHeader`). What uncommitted transactions
//!    write goes into free blocks. When one is undone, its blocks are free at
//!    once, but no log refers to them.
//! 3. Blocks are written before the log refers to them (`FlushCommit` comes
//!    last).
//! 4. The log only grows, until a checkpoint has written its header
//!    (`WALFinishCheckpoint`). A commit that fails cuts its records off again.
//!    What is committed while a checkpoint runs is in a second log.
//! 5. One kind of block is written in place while it is in use: blocks of
//!    metadata, in which a checkpoint takes free pieces
//!    (`MetadataManager::Flush`). The pieces in use stay as they are, but the block's checksum
//!    changes, so a copy made in the middle of the write cannot be read.
//!
//! So a pass reads the headers, copies the logs (1), then the blocks (3), and
//! looks again: are the headers the same (2), do the logs begin with what was
//! copied (4), are all blocks of metadata whole (5)? If so, the copy is the
//! state at the moment at which the log was copied. If not, there is another
//! pass, which reads all blocks again but writes only those that have changed:
//! quick, as long as the file fits into the system's memory.
//!
//! What remains: a commit whose last write to the log succeeded but whose
//! `fsync` fails is undone by the writer, and a copy made in between has it.
//! And a file much larger than memory whose writer makes a checkpoint every few
//! seconds may end as [`NoSnapshot::Restless`].

mod blocks;

mod logs;
#[cfg(all(test, feature = "duckdb"))]
mod tests;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mixpanel_client::CancelToken;

use self::blocks::{Replica, can_share};
use self::logs::{Logs, size_of_logs};
use super::duckdb_file::Headers;
use super::mode::{Claim, EphemeralDir, sweep_folder};
use super::place::open_regular;
use crate::error::{Error, ErrorKind, NoSnapshot, Result};

/// So often a pass may find that the writer was quicker.
const PASSES: u32 = 50;
/// The pause behind the first such pass; it doubles, up to the second figure.
const PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// How a snapshot may be made.
#[derive(Clone, Debug)]
pub struct SnapshotOptions {
    max_bytes: u64,
    cancel: CancelToken,
}

impl Default for SnapshotOptions {
    fn default() -> Self {
        SnapshotOptions { max_bytes: 4_000_000_000, cancel: CancelToken::new() }
    }
}

impl SnapshotOptions {
    /// At most 4 GB are copied, and nothing stops it.
    pub fn new() -> Self {
        SnapshotOptions::default()
    }

    /// Copies at most so many bytes. Where the file system can share bytes
    /// between files (Btrfs, XFS), nothing is copied and there is no limit.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Lets this token stop the copying.
    pub fn cancel(mut self, token: CancelToken) -> Self {
        self.cancel = token;
        self
    }
}

/// What making a snapshot took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Bytes that were copied, in all passes.
    pub bytes: u64,
    /// Whether the file system made the copy share the original's bytes.
    pub shared: bool,
    /// How many passes it took until the writer had not interfered.
    pub passes: u32,
    /// From the beginning until the copy could be opened.
    pub elapsed: Duration,
}

/// A snapshot that is being made. The folder goes on drop.
pub(super) struct Taking<'a> {
    copying: Copying<'a>,
    options: &'a SnapshotOptions,
    folder: EphemeralDir,
    outcome: Snapshot,
    started: Instant,
    // Closing any handle of a file gives up all locks that the process has on
    // it (POSIX): so while the source is open, nobody here may have it open.
    _claim: Claim,
}

impl<'a> Taking<'a> {
    /// Decides where the copy goes: beside the original if the bytes can be
    /// shared, else into the system's temporary folder.
    ///
    /// # Errors
    /// [`DatabaseLocked`](ErrorKind::DatabaseLocked) when this process has the
    /// file open itself; [`NoSnapshot`](ErrorKind::NoSnapshot).
    pub(super) fn begin(path: &'a Path, options: &'a SnapshotOptions) -> Result<Self> {
        let started = Instant::now();
        let name = path.file_name().ok_or_else(|| Error::argument("path", "it names no file"))?;
        let claim = Claim::take(path, false)?;
        let source = open_regular(path)?;
        let home = path.parent().unwrap_or(Path::new("/"));
        let shared = can_share(&source, home);
        let parent = if shared { home.to_path_buf() } else { std::env::temp_dir() };
        sweep_folder(&parent);
        if !shared {
            let length = source.metadata().map_err(|e| Error::io("reading", path, e))?.len();
            check_room(path, length + size_of_logs(path), options.max_bytes, &parent)?;
        }
        let folder = EphemeralDir::create_in(&parent)?;
        // The same name, as it is the catalog's name in SQL.
        let copying = Copying::begin(path, source, folder.file(name), shared)?;
        let outcome = Snapshot { bytes: 0, shared, passes: 0, elapsed: Duration::ZERO };
        Ok(Taking { copying, options, folder, outcome, started, _claim: claim })
    }

    /// The copy, to be opened behind [`settle`](Self::settle).
    pub(super) fn file(&self) -> &Path {
        &self.copying.target
    }

    /// Copies until the copy is a committed state. To be called again when the
    /// copy turns out not to be readable.
    pub(super) fn settle(&mut self) -> Result<()> {
        let cancel = &self.options.cancel;
        let mut pause = PAUSE;
        while self.outcome.passes < PASSES {
            self.outcome.passes += 1;
            let outcome = self.copying.pass(&mut self.outcome.bytes, &|| !cancel.is_cancelled(), || {});
            if cancel.is_cancelled() {
                return Err(ErrorKind::Cancelled.into());
            }
            if outcome? {
                return Ok(());
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        let why = NoSnapshot::Restless { passes: self.outcome.passes };
        Err(ErrorKind::NoSnapshot { path: self.copying.path.to_path_buf(), why }.into())
    }

    /// The folder, which is to live as long as the copy is open, and what it took.
    pub(super) fn finish(self) -> (EphemeralDir, Snapshot) {
        (self.folder, Snapshot { elapsed: self.started.elapsed(), ..self.outcome })
    }
}

/// A database and its copy.
struct Copying<'a> {
    path: &'a Path,
    source: File,
    target: PathBuf,
    replica: Replica,
    shared: bool,
}

impl<'a> Copying<'a> {
    fn begin(path: &'a Path, source: File, target: PathBuf, shared: bool) -> Result<Self> {
        let replica = Replica::create(&target).map_err(|e| Error::io("creating", &target, e))?;
        Ok(Copying { path, source, target, replica, shared })
    }

    /// One pass; whether it gave a committed state. Adds to the bytes copied.
    /// `between` is called between logs and blocks.
    fn pass(&mut self, bytes: &mut u64, proceed: &dyn Fn() -> bool, between: impl FnOnce()) -> Result<bool> {
        let io = |error| Error::io("copying", self.path, error);
        let Some(headers) = Headers::read(&self.source).map_err(io)? else { return Ok(false) };
        if headers.encrypted() {
            let message = "it is encrypted".to_owned();
            return Err(ErrorKind::NotADatabase { path: self.path.to_path_buf(), message }.into());
        }
        let Some(current) = headers.current() else { return Ok(false) };
        let logs = Logs::copy(self.path, &self.target).map_err(io)?;
        *bytes += logs.bytes();
        between();
        if self.shared {
            self.replica.share(&self.source).map_err(io)?;
        } else {
            *bytes += self.replica.update(&self.source, &headers, &current, proceed).map_err(io)?;
        }
        Ok(logs.still_hold().map_err(io)?
            && Headers::read(&self.source).map_err(io)?.as_ref() == Some(&headers)
            && self.is_still_there().map_err(io)?
            && self.replica.metadata_is_sound(&current).map_err(io)?)
    }

    /// Whether the path still leads to the file that is being copied.
    fn is_still_there(&self) -> std::io::Result<bool> {
        let (there, here) = (fs::metadata(self.path)?, self.source.metadata()?);
        Ok((there.dev(), there.ino()) == (here.dev(), here.ino()))
    }
}

/// Refuses copies that are too large, for the caller or for the disk.
fn check_room(path: &Path, bytes: u64, limit: u64, folder: &Path) -> Result<()> {
    let refuse = |why| Err(ErrorKind::NoSnapshot { path: path.to_path_buf(), why }.into());
    if bytes > limit {
        return refuse(NoSnapshot::TooLarge { bytes, limit });
    }
    let disk = rustix::fs::statvfs(folder).map_err(|e| Error::io("looking at", folder, e.into()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if bytes > free {
        return refuse(NoSnapshot::NoRoom { bytes, free, folder: folder.to_path_buf() });
    }
    Ok(())
}
