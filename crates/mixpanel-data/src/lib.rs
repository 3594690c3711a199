//! A complete local copy of a Mixpanel project's raw data, in DuckDB.
//!
//! [`Workspace::fetch_events`] brings events home: provably complete, each one
//! once, each chunk of days in one transaction. [`Workspace::sql`] asks them anything. The data
//! lives in a file, in a temporary file, or in memory only; see
//! [`StorageEngine`].
//!
//! Every table `T` can be read in two ways. `T` has the columns `event_name`,
//! `event_time` (UTC), `distinct_id`, `insert_id` and `properties`, the exact
//! JSON text that Mixpanel sent. `T_flat` has every property as a typed column
//! under its own name, which is many times faster.
//!
//! ```
//! use mixpanel_data::{EventRecord, StorageEngine, TableMetadata, Workspace};
//!
//! # fn main() -> mixpanel_data::Result<()> {
//! let workspace = Workspace::memory()?;
//! let events = ["free", "pro", "pro"].iter().enumerate().map(|(n, plan)| EventRecord {
//!     event_name: "Login".into(),
//!     event_time: "2024-05-01T08:00:00Z".parse().unwrap(),
//!     distinct_id: format!("user_{n}"),
//!     insert_id: None,
//!     properties: format!(r#"{{"plan": "{plan}"}}"#),
//! });
//! let events = events.collect::<Vec<_>>();
//! let metadata = TableMetadata::events("2024-05-02T00:00:00Z".parse().unwrap());
//! workspace.storage().create_events_table("events", events, &metadata, None)?;
//!
//! let by_text = "SELECT count(*) FROM events WHERE properties->>'$.plan' = 'pro'";
//! let by_column = "SELECT count(*) FROM events_flat WHERE plan = 'pro'";
//! assert_eq!(workspace.sql_scalar(by_text)?.as_i64(), Some(2));
//! assert_eq!(workspace.sql_scalar(by_column)?.as_i64(), Some(2));
//! # Ok(())
//! # }
//! ```

mod api;
mod channel;
mod error;
mod fetch;
pub mod inspect;
mod load;
mod memory;
mod storage;
mod stream;
mod types;
mod value;
mod workspace;

pub use error::{DefinitionPart, Error, ErrorKind, NoSnapshot, Result};
pub use fetch::{
    ChunkReport, Coverage, DayCoverage, DayReason, DayStatus, FailedRange, FetchEvents, FetchProfiles,
    FetchProgress, OnProfileProgress, OnProgress, PlannedChunk, ProfileProgress, ProfilesResult, StoredChunk,
    SyncOptions, SyncPlan, SyncResult, SyncState,
};
pub use load::{
    CsvColumns, FileReport, ImportOriginal, ImportedTable, Load, LoadFormat, LoadInput, LoadProgress,
    LoadResult, OnLoadProgress, Recognised, TimeUnit,
};
pub use memory::keep_freed_memory;
#[cfg(feature = "duckdb")]
pub use storage::NativeConnector;
pub use storage::{
    BatchSink, Connector, DayVerification, EventRecord, Finding, Interrupt, LOCAL_TIME, LogRecovery,
    MemoryOptions, OnReject, OriginalTable, ProfileRecord, Progress, Recovery, Repair, RepairStep, Returns,
    Rows, Snapshot, SnapshotOptions, SqlConnection, StatementKind, StorageEngine, TableRepair, Target,
    Verification, VerifyDepth, changed_setting, error_from_message, error_of_reader, fix_settings,
    insert_sql, is_json, json_field, may_change_fixed_setting, names_no_file, remark, remove_ephemeral_files,
    sweep_ephemeral_files,
};
pub use stream::{RowStream, StreamBuffer};
pub use types::{
    ColumnInfo, FetchResult, ListedKind, ListedTable, StorageMode, TableInfo, TableKind, TableMetadata,
    TableSchema, WorkspaceInfo,
};
pub use value::{Batches, SqlResult, Value, rows_of, value_at};
pub use workspace::{Project, Workspace, WorkspaceBuilder};

/// The Arrow that results are made of.
pub use arrow;
/// The API client that workspaces fetch with.
pub use mixpanel_client as client;
pub use mixpanel_client::engage::EngageRequest;
pub use mixpanel_client::export::ExportRequest;
pub use mixpanel_client::stream::{Shape, StreamBatch, StreamCounts};
/// Questions and answers of live queries.
pub use mixpanel_client::{discovery, live, report};

/// The examples of the README and of the guides, run as tests.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../../README.md")]
    struct Readme;

    #[doc = include_str!("../../../docs/guide/profiles.md")]
    struct Profiles;

    #[doc = include_str!("../../../docs/guide/storage-modes.md")]
    struct StorageModes;
}
