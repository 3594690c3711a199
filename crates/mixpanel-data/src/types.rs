//! The small types that describe tables, workspaces and results.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use mixpanel_client::discovery::UnknownName;
use serde::Serialize;

/// What the rows of a table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TableKind {
    /// Things that happened.
    Events,
    /// Users (or groups) and their properties.
    Profiles,
}

impl TableKind {
    pub(crate) fn from_str(text: &str) -> Option<Self> {
        match text {
            "events" => Some(TableKind::Events),
            "profiles" => Some(TableKind::Profiles),
            _ => None,
        }
    }
}

impl fmt::Display for TableKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TableKind::Events => "events",
            TableKind::Profiles => "profiles",
        })
    }
}

/// Where a table's rows come from: what was asked for, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableMetadata {
    /// Events or profiles.
    #[serde(rename = "type")]
    pub kind: TableKind,
    /// When the rows were fetched (an instant).
    pub fetched_at: Timestamp,
    /// First project day covered, inclusive; `None` for profiles.
    pub from_date: Option<Date>,
    /// Last project day covered, inclusive; `None` for profiles.
    pub to_date: Option<Date>,
    /// Event names asked for; `None` is all of them.
    pub filter_events: Option<Vec<String>>,
    /// The filter expression asked for.
    pub filter_where: Option<String>,
    /// The cohort asked for; of profiles.
    pub filter_cohort_id: Option<String>,
    /// The properties asked for, sorted; `None` is all of them. Of profiles.
    pub filter_output_properties: Option<Vec<String>>,
    /// The kind of group asked for; `None` is users. Of profiles.
    pub filter_group_id: Option<String>,
    /// The behaviors asked for, as the text of a JSON array; of profiles.
    pub filter_behaviors: Option<String>,
}

impl TableMetadata {
    /// Metadata for an events table with no dates and no filters.
    pub fn events(fetched_at: Timestamp) -> Self {
        TableMetadata {
            kind: TableKind::Events,
            fetched_at,
            from_date: None,
            to_date: None,
            filter_events: None,
            filter_where: None,
            filter_cohort_id: None,
            filter_output_properties: None,
            filter_group_id: None,
            filter_behaviors: None,
        }
    }

    /// Metadata for a profiles table without filters.
    pub fn profiles(fetched_at: Timestamp) -> Self {
        TableMetadata { kind: TableKind::Profiles, ..TableMetadata::events(fetched_at) }
    }
}

/// What a table in the list of all tables is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ListedKind {
    /// Events, fetched or loaded.
    Events,
    /// Profiles.
    Profiles,
    /// A table that SQL or another program has made.
    Table,
    /// A view that SQL or another program has made.
    View,
}

impl ListedKind {
    /// The word for it: `events`, `profiles`, `table` or `view`.
    pub fn as_str(self) -> &'static str {
        match self {
            ListedKind::Events => "events",
            ListedKind::Profiles => "profiles",
            ListedKind::Table => "table",
            ListedKind::View => "view",
        }
    }
}

impl fmt::Display for ListedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<TableKind> for ListedKind {
    fn from(kind: TableKind) -> Self {
        match kind {
            TableKind::Events => ListedKind::Events,
            TableKind::Profiles => ListedKind::Profiles,
        }
    }
}

/// One line of the list of all tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedTable {
    /// The table's name.
    pub name: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ListedKind,
    /// Rows stored; `None` for a view, because counting them would run its query.
    pub row_count: Option<u64>,
    /// When rows were last written (an instant); `None` for what was not fetched.
    pub fetched_at: Option<Timestamp>,
}

impl From<TableInfo> for ListedTable {
    fn from(table: TableInfo) -> Self {
        let TableInfo { name, kind, row_count, fetched_at } = table;
        ListedTable { name, kind: kind.into(), row_count: Some(row_count), fetched_at: Some(fetched_at) }
    }
}

/// One line of the list of tables of events and profiles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableInfo {
    /// The table's name.
    pub name: String,
    /// Events or profiles.
    #[serde(rename = "type")]
    pub kind: TableKind,
    /// Rows stored.
    pub row_count: u64,
    /// When rows were last written (an instant).
    pub fetched_at: Timestamp,
}

/// One column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnInfo {
    /// The column's name.
    pub name: String,
    /// DuckDB's name of the type: `VARCHAR`, `TIMESTAMP`, `BIGINT`, …
    #[serde(rename = "type")]
    pub sql_type: String,
    /// Whether the column may hold NULL.
    pub nullable: bool,
}

/// The columns of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableSchema {
    /// The table's name.
    pub table_name: String,
    /// Its columns, in order.
    pub columns: Vec<ColumnInfo>,
}

/// Where a workspace keeps its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorageMode {
    /// A file that stays.
    Persistent,
    /// A private temporary file, gone on close.
    Ephemeral,
    /// No file at all.
    InMemory,
}

impl fmt::Display for StorageMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StorageMode::Persistent => "persistent",
            StorageMode::Ephemeral => "ephemeral",
            StorageMode::InMemory => "in-memory",
        })
    }
}

/// What a workspace is and holds.
#[derive(Clone, Debug, Serialize)]
pub struct WorkspaceInfo {
    /// The database file; `None` in memory.
    pub path: Option<PathBuf>,
    /// Where the bytes live.
    pub mode: StorageMode,
    /// Mixpanel's project id; without credentials that of the tables, or empty if it is not recorded.
    pub project_id: String,
    /// Data residency region: `us`, `eu` or `in`; without credentials as the project id.
    pub region: String,
    /// The named account the credentials came from, if any.
    pub account: Option<String>,
    /// The tables, sorted by name.
    pub tables: Vec<String>,
    /// Size of the file and its write-ahead log in MB (10⁶ bytes); 0.0 in memory.
    pub size_mb: f64,
    /// When the database was created (an instant); `None` in memory.
    pub created_at: Option<Timestamp>,
    /// Bytes that DuckDB reports as used by its buffers; only in memory.
    pub memory_bytes: Option<u64>,
}

/// What a fetch did.
#[derive(Clone, Debug, Serialize)]
pub struct FetchResult {
    /// The table that was written.
    pub table: String,
    /// The database file; none in memory.
    pub database: Option<PathBuf>,
    /// Rows inserted (after removing duplicates).
    pub rows: u64,
    /// Lines that the API sent.
    pub lines: u64,
    /// Lines dropped because the same event came more than once.
    pub duplicates: u64,
    /// Lines that could not be stored; kept in `_quarantine`.
    pub rejects: u64,
    /// Rows in the table afterwards.
    pub total_rows: u64,
    /// First project day asked for, inclusive.
    pub from_date: Option<Date>,
    /// Last project day asked for, inclusive.
    pub to_date: Option<Date>,
    /// Days that are wholly here now.
    pub days_complete: u32,
    /// Days on which nothing happened.
    pub days_empty: u32,
    /// Days that are known to be incomplete (today, or a fetch with a limit).
    pub days_partial: u32,
    /// Days before the history that the project's plan keeps: not fetched.
    pub days_unavailable: u32,
    /// Bytes that came over the wire (compressed).
    pub bytes_received: u64,
    /// Bytes of JSON after decompression.
    pub bytes_decoded: u64,
    /// Downloads that were begun; one that broke off and was begun again counts twice. What was
    /// refused before its first byte, and tried again, is counted by `Client::requests_sent`.
    pub requests: u32,
    /// Wall-clock time.
    #[serde(serialize_with = "seconds")]
    pub duration: Duration,
    /// When the fetch began (an instant).
    pub fetched_at: Timestamp,
    /// Events asked for by name that nothing has come of, and that Mixpanel does not list. Days for
    /// which that is all names count as partial.
    pub unknown_names: Vec<UnknownName>,
    /// What became of each chunk, in the order in which they were stored.
    pub chunks: Vec<crate::fetch::ChunkReport>,
}

pub(crate) fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1000.0).round() / 1000.0)
}
