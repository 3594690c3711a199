//! Connections to a file whose checkpoints can be undone.
//!
//! DuckDB makes checkpoints by itself: at a commit that makes the log long, and
//! when the database is closed. Here it makes none unless the [`Journal`] is
//! armed: at the commits of chunks, which skip the log that way, and at
//! `CHECKPOINT`. If the journal cannot be written, on a full disk for instance,
//! there is no checkpoint, and the log grows.
//!
//! Not seen here is what a caller runs on a connection of its own (Python's
//! `storage.connection`). Automatic checkpoints are off for that one too; its own
//! `CHECKPOINT` is as safe as DuckDB makes it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatchReader;

use super::connection::{BatchSink, Interrupt, SqlConnection, StatementKind, Target};
use super::journal::{Journal, sync_folder_of};
use super::open::{log_of, protect_log};
use crate::error::{Error, Result};
use crate::value::Value;

/// No checkpoint by DuckDB itself: not at a commit, not on closing.
const OFF: &str = "SET GLOBAL checkpoint_threshold = '1000 TB'; PRAGMA disable_checkpoint_on_shutdown;";
const AT_COMMIT_OFF: &str = "SET GLOBAL checkpoint_threshold = '1000 TB'";
/// DuckDB's own default.
const AT_COMMIT_ON: &str = "SET GLOBAL checkpoint_threshold = '16 MiB'";

/// What the connections to one file share.
pub(super) struct Guard {
    path: PathBuf,
    journal: Mutex<Journal>,
    /// The log whose name is known to be on the disk.
    log: Mutex<Option<(u64, u64)>>,
}

impl Guard {
    /// To be called before DuckDB opens the file.
    pub(super) fn of(database: &Path) -> Result<Arc<Self>> {
        let journal = Journal::of(database).map_err(|e| Error::io("opening", database, e))?;
        Ok(Arc::new(Guard {
            path: database.to_path_buf(),
            journal: Mutex::new(journal),
            log: Mutex::default(),
        }))
    }

    /// Puts a connection under this guard, which is the first to the file.
    pub(super) fn first(
        self: Arc<Self>,
        mut connection: Box<dyn SqlConnection>,
    ) -> Result<Box<dyn SqlConnection>> {
        connection.execute(OFF)?;
        Ok(Box::new(Guarded { connection, guard: self }))
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arm(&self) -> Result<()> {
        let armed = self.journal().arm();
        armed.map_err(|e| Error::io("preparing a checkpoint of", &self.path, e))
    }

    /// DuckDB makes a new log behind each checkpoint, with whatever the umask
    /// allows, and does not wait until the folder knows its name. A transaction
    /// is durable once it does.
    fn settle_log(&self) {
        let mut known = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let log = log_of(&self.path);
        let Ok(meta) = fs::metadata(&log) else { return };
        let file = Some((meta.dev(), meta.ino()));
        if *known != file {
            protect_log(&self.path);
            if sync_folder_of(&log).is_ok() {
                *known = file;
            }
        }
    }
}

struct Guarded {
    // Closed before the guard's handle of the file.
    connection: Box<dyn SqlConnection>,
    guard: Arc<Guard>,
}

impl Guarded {
    /// A caller's own SQL may make a checkpoint.
    fn prepare(&self, sql: &str) -> Result<()> {
        let word = b"checkpoint";
        let mentions = sql.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
        if mentions { self.guard.arm() } else { Ok(()) }
    }
}

impl SqlConnection for Guarded {
    fn execute(&mut self, sql: &str) -> Result<()> {
        self.prepare(sql)?;
        let done = self.connection.execute(sql);
        self.guard.settle_log();
        done
    }

    fn query(&mut self, sql: &str, params: &[Value], sink: &mut dyn BatchSink) -> Result<()> {
        self.prepare(sql)?;
        self.connection.query(sql, params, sink)
    }

    fn statements(&mut self, sql: &str) -> Result<Vec<StatementKind>> {
        self.connection.statements(sql)
    }

    fn insert(
        &mut self,
        target: Target<'_>,
        rows: Box<dyn RecordBatchReader + Send>,
        ordered: bool,
    ) -> Result<u64> {
        self.connection.insert(target, rows, ordered)
    }

    fn cursor(&self) -> Result<Box<dyn SqlConnection>> {
        let connection = self.connection.cursor()?;
        Ok(Box::new(Guarded { connection, guard: Arc::clone(&self.guard) }))
    }

    fn interrupt_handle(&self) -> Arc<dyn Interrupt> {
        self.connection.interrupt_handle()
    }

    fn commit(&mut self) -> Result<()> {
        // A chunk that is larger than a log should be goes into the file at once.
        let automatic = self.guard.arm().is_ok() && self.connection.execute(AT_COMMIT_ON).is_ok();
        let done = self.connection.commit();
        if automatic {
            // It fails only where the setting could not be changed before.
            let _ = self.connection.execute(AT_COMMIT_OFF);
        }
        self.guard.settle_log();
        done
    }
}
