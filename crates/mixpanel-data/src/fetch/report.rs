//! What is told of a fetch when it is over: chunk by chunk what came, and what did not.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::Date;

use super::download::Opened;
use super::run::days_of;
use crate::error::Error;
use crate::storage::DayState;
use crate::storage::chunk::{ChunkSpec, DayRange, Written};

/// What became of one chunk: one transaction, fed by one request that succeeded.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ChunkReport {
    /// First project day, inclusive.
    pub from: Date,
    /// Last project day, inclusive.
    pub to: Date,
    /// Lines received. Always `rows + duplicates + rejects`.
    pub lines: u64,
    /// Rows stored.
    pub rows: u64,
    /// Lines dropped because the same event came more than once.
    pub duplicates: u64,
    /// Lines that could not be stored; kept in `_quarantine`.
    pub rejects: u64,
    /// Rows of these days that had been loaded from files, and have gone for Mixpanel's.
    pub loaded_replaced: u64,
    /// Downloads that were begun for it, broken ones included.
    pub requests: u32,
    /// Bytes over the wire (compressed).
    pub bytes_received: u64,
    /// Bytes of JSON.
    pub bytes_decoded: u64,
    /// Mixpanel's own name for the request, if it gave one.
    pub request_id: Option<String>,
    /// From the request to the commit.
    #[serde(serialize_with = "crate::types::seconds")]
    pub duration: Duration,
    /// Rows stored by project day; together they are `rows`.
    pub rows_by_day: BTreeMap<Date, u64>,
    #[serde(skip)]
    pub(crate) days_partial: u32,
    #[serde(skip)]
    pub(crate) days_empty: u32,
}

/// Days that could not be fetched, and why.
#[derive(Debug)]
pub struct FailedRange {
    /// First project day, inclusive.
    pub from: Date,
    /// Last project day, inclusive.
    pub to: Date,
    /// What happened at the last attempt.
    pub error: Error,
}

/// What a run did.
#[derive(Debug, Default)]
pub(crate) struct RunOutcome {
    pub(crate) chunks: Vec<ChunkReport>,
    pub(crate) failed: Vec<FailedRange>,
    /// Days before the history that the project's plan keeps.
    pub(crate) unavailable: Vec<Date>,
    pub(crate) requests: u32,
    pub(crate) bytes_received: u64,
    pub(crate) bytes_decoded: u64,
    pub(crate) total_rows: u64,
}

/// The report of a chunk that is in.
pub(super) fn report(
    spec: &ChunkSpec<'_>,
    range: &DayRange,
    opened: &Opened,
    loaded_replaced: u64,
    written: &Written,
) -> ChunkReport {
    let asked = || days_of(range.from, range.to);
    let count = |day: Date| written.days.get(&day).cloned().unwrap_or_default();
    let days = |state: DayState| {
        asked().filter(|day| count(*day).state(*day, written.open_from) == state).count() as u32
    };
    ChunkReport {
        from: range.from,
        to: range.to,
        lines: written.lines,
        rows: written.rows,
        duplicates: written.duplicates,
        rejects: written.rejects,
        loaded_replaced,
        requests: opened.attempt,
        bytes_received: opened.stream.bytes.0,
        bytes_decoded: opened.stream.bytes.1,
        request_id: spec.request_id.clone(),
        duration: opened.started.elapsed(),
        days_partial: days(DayState::Partial),
        days_empty: days(DayState::Empty),
        rows_by_day: asked()
            .map(|day| (day, count(day).lines.saturating_sub(count(day).duplicates)))
            .collect(),
    }
}
