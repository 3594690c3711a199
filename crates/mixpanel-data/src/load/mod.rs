//! Loading: events that people have in files already, by the way that fetched events take.
//!
//! ```text
//! file ─▶ gunzip ─▶ what is it? ─▶ lines of an export ─▶ decode ─▶ batches ─▶ one transaction per file
//!         └────────── a thread of its own ──────────┘
//! ```
//!
//! Enter files, leave rows and entries of the ledger. Whatever a file is, its events become lines as
//! Mixpanel exports them, so that decoding, identity, quarantine and ledger are the ones of a fetch.

mod array;
mod csv;
mod fault;
mod input;
mod lines;
mod original;
mod recognise;
mod records;
mod run;
mod source;
mod time;

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use mixpanel_client::CancelToken;
use mixpanel_client::time::ProjectClock;
use serde::Serialize;

pub use input::LoadInput;
pub(crate) use original::import_original;
pub use original::{ImportOriginal, ImportedTable};
pub use recognise::{CsvColumns, LoadFormat, TimeUnit};
pub(crate) use run::{load, preview};

use crate::storage::OnReject;

/// What to load files into, and how to read them.
///
/// Each file is stored in one transaction, completely or not at all. Events are added to those that
/// are there by Mixpanel's identity: loading a file again changes nothing. A day's entry in the
/// ledger says that it was `loaded`, and from which file: whether that is all of the day, nobody
/// knows. A later fetch of the day puts Mixpanel's rows in the place of the file's.
///
/// ```no_run
/// use mixpanel_data::{Load, LoadInput, Workspace};
///
/// # fn main() -> mixpanel_data::Result<()> {
/// let workspace = Workspace::memory()?;
/// let result = workspace.load(&Load::default(), vec![LoadInput::path("events-2023.jsonl.gz")])?;
/// println!("{} rows", result.rows);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Load {
    /// The table to write; `events` unless told otherwise. Made when it does not exist.
    pub table: String,
    /// What the files are; recognised by their first bytes unless told.
    pub format: Option<LoadFormat>,
    /// Of CSV: which column is what.
    pub columns: CsvColumns,
    /// What times in the files mean; unless told, the clock of the table, and UTC for a new one.
    pub clock: Option<ProjectClock>,
    /// What to do with lines that cannot be stored.
    pub on_reject: OnReject,
    /// Stops it, from any thread.
    pub cancel: CancelToken,
}

impl Default for Load {
    fn default() -> Self {
        Load {
            table: "events".to_owned(),
            format: None,
            columns: CsvColumns::default(),
            clock: None,
            on_reject: OnReject::default(),
            cancel: CancelToken::new(),
        }
    }
}

/// How a load is going.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadProgress {
    /// The file that is being read.
    pub file: String,
    /// How many files there are, and how many of them are in the database, for good.
    pub files: u32,
    /// Files that are in the database, for good.
    pub files_done: u32,
    /// Rows so far, duplicates included. They become visible file by file.
    pub rows: u64,
    /// Rows of the files that are in, duplicates included.
    pub rows_stored: u64,
    /// Bytes read so far, compressed if they are.
    pub bytes_read: u64,
    /// Bytes of all files; `None` if one of them is a stream.
    pub bytes_total: Option<u64>,
    /// Bytes of text so far.
    pub bytes_decoded: u64,
    /// Time since the load began.
    pub elapsed: Duration,
}

/// Called from time to time while files are being loaded.
pub type OnLoadProgress<'a> = &'a mut dyn FnMut(&LoadProgress);

/// What became of a file. Always `lines = rows + duplicates + rejects`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileReport {
    /// The file.
    pub file: String,
    /// What it was taken for, in words.
    pub recognised: String,
    /// Lines, elements or records that it has.
    pub lines: u64,
    /// Rows that were added.
    pub rows: u64,
    /// Events that were there already, or came more than once.
    pub duplicates: u64,
    /// Lines that could not be stored; kept in `_quarantine`.
    pub rejects: u64,
    /// Rows that were added to days which were complete by a fetch: what Mixpanel's export of them lacked.
    pub rows_in_fetched_days: u64,
    /// First day of its events.
    pub from_date: Option<Date>,
    /// Last day of its events.
    pub to_date: Option<Date>,
    /// Days with events.
    pub days: u64,
    /// Bytes read, compressed if they are.
    pub bytes_read: u64,
    /// Bytes of text.
    pub bytes_decoded: u64,
    /// Wall-clock time.
    #[serde(serialize_with = "crate::types::seconds")]
    pub duration: Duration,
}

/// What a load did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadResult {
    /// The table that was written.
    pub table: String,
    /// The database file; none in memory.
    pub database: Option<PathBuf>,
    /// Rows that were added.
    pub rows: u64,
    /// Lines, elements or records of all files.
    pub lines: u64,
    /// Events that were there already, or came more than once.
    pub duplicates: u64,
    /// Lines that could not be stored; kept in `_quarantine`.
    pub rejects: u64,
    /// Rows that were added to days which were complete by a fetch.
    pub rows_in_fetched_days: u64,
    /// Rows in the table afterwards.
    pub total_rows: u64,
    /// First day of the files' events.
    pub from_date: Option<Date>,
    /// Last day of the files' events.
    pub to_date: Option<Date>,
    /// Bytes read, compressed if they are.
    pub bytes_read: u64,
    /// Wall-clock time.
    #[serde(serialize_with = "crate::types::seconds")]
    pub duration: Duration,
    /// When the load began (an instant).
    pub loaded_at: Timestamp,
    /// File by file, in the order in which they were stored.
    pub files: Vec<FileReport>,
}

/// What a file was recognised as.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recognised {
    /// The file.
    pub file: String,
    /// What it is; none of an empty one.
    pub format: Option<LoadFormat>,
    /// The same in words, with what its columns are.
    pub recognised: String,
    /// Its first events, as Mixpanel would export them.
    pub events: Vec<String>,
    /// The first lines that could not be stored: number, and why.
    pub rejects: Vec<(u64, String)>,
}
