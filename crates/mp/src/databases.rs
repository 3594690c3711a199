//! Opening databases, over the DuckDB that the program was given.
//!
//! This crate links no DuckDB by itself, so a workspace is opened here and nowhere else.

use std::path::Path;
use std::sync::Arc;

use mixpanel_client::time::ProjectClock;
use mixpanel_data::{
    Connector, MemoryOptions, Repair, Result, SnapshotOptions, StorageEngine, Workspace, WorkspaceBuilder,
};

/// Makes workspaces.
#[derive(Clone)]
pub(crate) struct Databases(Arc<dyn Connector>);

impl Databases {
    pub(crate) fn new(connector: Arc<dyn Connector>) -> Self {
        Databases(connector)
    }

    /// The database at a path, which must be there. With `read_only`, many processes may read it.
    pub(crate) fn existing(&self, path: &Path, read_only: bool) -> Result<Workspace> {
        let storage = StorageEngine::open_existing_with(&*self.0, path, read_only)?;
        Ok(Workspace::builder().storage(storage))
    }

    /// A copy of a database that another process may be writing.
    pub(crate) fn snapshot(&self, path: &Path, options: &SnapshotOptions) -> Result<Workspace> {
        let storage = StorageEngine::open_snapshot_on(&*self.0, path, options)?;
        Ok(Workspace::builder().storage(storage))
    }

    /// Makes a copy of a damaged database, as far as it can be read.
    pub(crate) fn repair(&self, path: &Path, copy: &Path, clock: &ProjectClock) -> Result<Repair> {
        StorageEngine::repair_with(&*self.0, path, copy, clock)
    }

    /// An empty database in memory, to ask without fetching.
    pub(crate) fn empty(&self) -> Result<Workspace> {
        self.memory(Workspace::builder())
    }

    /// The file to fetch into, which is made if it is missing.
    pub(crate) fn file(&self, builder: WorkspaceBuilder, path: &Path) -> Result<Workspace> {
        Ok(builder.storage(StorageEngine::open_with(&*self.0, path)?))
    }

    /// A private temporary file to fetch into.
    pub(crate) fn ephemeral(&self, builder: WorkspaceBuilder) -> Result<Workspace> {
        Ok(builder.storage(StorageEngine::ephemeral_with(&*self.0)?))
    }

    /// Memory to fetch into.
    pub(crate) fn memory(&self, builder: WorkspaceBuilder) -> Result<Workspace> {
        Ok(builder.storage(StorageEngine::memory_on(&*self.0, &MemoryOptions::default())?))
    }
}

/// For tests that open no database.
#[cfg(test)]
pub(crate) fn none() -> Databases {
    struct Nothing;

    impl Connector for Nothing {
        fn connect(
            &self,
            _: Option<&Path>,
            _: &[(&str, String)],
        ) -> Result<Box<dyn mixpanel_data::SqlConnection>> {
            Err(mixpanel_data::ErrorKind::Closed.into())
        }
    }

    Databases::new(Arc::new(Nothing))
}
