//! Fetching: what is asked for, how it is going, and the run itself.

pub(crate) mod coverage;
mod download;
mod events;
mod names;
mod pace;
pub(crate) mod planner;
mod profiles;
mod report;
mod run;
mod source;
pub(crate) mod sync;

use std::time::Duration;

use jiff::civil::Date;

pub use coverage::{Coverage, DayCoverage, DayStatus};
pub(crate) use download::api_error;
pub(crate) use events::{check_days, fetch_events};
pub use planner::{DayReason, PlannedChunk};
pub(crate) use profiles::fetch_profiles;
pub use profiles::{FetchProfiles, OnProfileProgress, ProfileProgress, ProfilesResult};
pub use report::{ChunkReport, FailedRange};
pub use sync::{SyncOptions, SyncPlan, SyncResult, SyncState};

use crate::storage::OnReject;

/// What to fetch. The days come in chunks, each of which is stored in one
/// transaction or not at all: a fetch that fails keeps what is complete, and
/// doing it again is safe.
///
/// Days are project days: UTC for projects created from 2023 on,
/// the project's own time zone for older ones (Mixpanel's export reference).
///
/// ```
/// use mixpanel_data::FetchEvents;
/// use jiff::civil::date;
///
/// let january = FetchEvents::days(date(2024, 1, 1), date(2024, 1, 31));
/// let purchases = FetchEvents {
///     table: "purchases".into(),
///     events: vec!["Purchase".into()],
///     filter: Some(r#"properties["amount"] > 10"#.into()),
///     ..january.clone()
/// };
/// # let _ = purchases;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchEvents {
    /// The table to write; `events` unless told otherwise. Made when it does
    /// not exist; otherwise the days asked for are refreshed in it.
    pub table: String,
    /// First project day, inclusive.
    pub from: Date,
    /// Last project day, inclusive.
    pub to: Date,
    /// Only these events (exact names); all of them when empty.
    pub events: Vec<String>,
    /// Only events for which this is true: Mixpanel's expression language,
    /// Mixpanel's parameter `where`.
    pub filter: Option<String>,
    /// At most this many events, 1 to 100,000. The days then count as partial.
    pub limit: Option<u32>,
    /// Adds to a table that was fetched with other filters, events that are not
    /// there yet. Without it, other filters are an error.
    pub append: bool,
    /// Swaps the whole table for the new data, once that is complete.
    pub replace: bool,
    /// What to do with lines that cannot be stored.
    pub on_reject: OnReject,
    /// How many downloads run at a time, 1 to 100; 4 unless told otherwise.
    pub concurrency: Option<usize>,
    /// So many days share a request; chosen by their size unless told otherwise.
    pub days_per_request: Option<u32>,
}

impl FetchEvents {
    /// All events of these days, into the table `events`.
    pub fn days(from: Date, to: Date) -> Self {
        FetchEvents {
            table: "events".to_owned(),
            from,
            to,
            events: Vec::new(),
            filter: None,
            limit: None,
            append: false,
            replace: false,
            on_reject: OnReject::default(),
            concurrency: None,
            days_per_request: None,
        }
    }
}

/// How a fetch is going.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchProgress {
    /// Rows written so far, duplicates included. They become visible chunk by
    /// chunk.
    pub rows: u64,
    /// Bytes over the wire so far, compressed.
    pub bytes_received: u64,
    /// Bytes of JSON so far.
    pub bytes_decoded: u64,
    /// The project day of the latest row.
    pub day: Option<Date>,
    /// Days that are in the database, for good.
    pub days_done: u32,
    /// Rows of theirs, duplicates included: what stays whatever happens to the rest.
    pub rows_stored: u64,
    /// Rows that there will be, as far as the days that are known tell.
    pub rows_expected: Option<u64>,
    /// How long the rest takes at the rate of the last half minute; nothing while nothing comes.
    pub remaining: Option<Duration>,
    /// Time since the fetch began.
    pub elapsed: Duration,
    /// Which attempt this is, from 1: an interrupted download starts again.
    pub attempt: u32,
    /// The chunk that has just been stored, told once.
    pub stored: Option<StoredChunk>,
}

/// A chunk that is in the database, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredChunk {
    /// First project day, inclusive.
    pub from: Date,
    /// Last project day, inclusive.
    pub to: Date,
    /// Rows stored.
    pub rows: u64,
    /// How many are stored, with this one.
    pub number: u32,
    /// How many there will be, as far as is planned by now.
    pub of: u32,
}

/// Called from time to time while a fetch is running, and when a chunk is stored.
pub type OnProgress<'a> = &'a mut dyn FnMut(&FetchProgress);
