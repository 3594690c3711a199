//! Engines on snapshots: opened on a copy, known by the original's path.

use std::path::Path;

use super::{Holdings, StorageEngine};
use crate::error::Result;
use crate::storage::open::{self, Connector};
use crate::storage::snapshot::{Snapshot, SnapshotOptions, Taking};
use crate::types::StorageMode;

#[cfg(feature = "duckdb")]
impl StorageEngine {
    /// Opens a copy of a database that another process may be writing, in its
    /// last committed state. The writer is not disturbed and need not know.
    ///
    /// The copy is made in a private folder, beside the file where the file
    /// system can share bytes and else in the system's temporary folder, and is
    /// removed on close. [`path`](Self::path) is the original's; writing is
    /// refused. What the writer commits later is not seen. Meant for local file
    /// systems.
    ///
    /// # Errors
    /// [`NoSnapshot`](crate::ErrorKind::NoSnapshot);
    /// [`DatabaseLocked`](crate::ErrorKind::DatabaseLocked) when it is this process
    /// that has the file open: its engine answers queries while it writes;
    /// [`DatabaseNotFound`](crate::ErrorKind::DatabaseNotFound), and those of
    /// [`open`](Self::open).
    pub fn open_snapshot(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_snapshot_with(path, &SnapshotOptions::default())
    }

    /// The same with limits.
    pub fn open_snapshot_with(path: impl AsRef<Path>, options: &SnapshotOptions) -> Result<Self> {
        Self::open_snapshot_on(&crate::storage::NativeConnector, path.as_ref(), options)
    }
}

impl StorageEngine {
    /// [`open_snapshot_with`](Self::open_snapshot_with) over a caller's own DuckDB.
    pub fn open_snapshot_on(
        connector: &dyn Connector,
        path: &Path,
        options: &SnapshotOptions,
    ) -> Result<Self> {
        let path = Self::existing(path)?;
        let mut taking = Taking::begin(&path, options)?;
        let connection = open::snapshot(connector, &path, &mut taking)?;
        let (folder, snapshot) = taking.finish();
        let holdings = Holdings { _claim: None, _folder: Some(folder) };
        let mut engine = Self::build(StorageMode::Persistent, Some(path), true, true, connection, holdings)?;
        engine.snapshot = Some(snapshot);
        Ok(engine)
    }

    /// What the snapshot took, if this is one.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }
}
