//! `sync`: brings a table up to date with as few requests as that takes.
//!
//! Only days that are missing, partial or stale are fetched, whole days at a
//! time. (Asking only for events that were processed since, by
//! `mp_processing_time_ms`, would cost as many requests, and that it gives the
//! same cannot be proven without comparing.) What is committed stays, so a sync
//! that was interrupted goes on where it was.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;
use mixpanel_client::discovery::UnknownName;
use mixpanel_client::time::ProjectClock;
use serde::Serialize;

use super::OnProgress;
use super::coverage::{Coverage, DayStatus, Freshness, coverage, ledger_history};
use super::names::{Names, check_filters};
use super::pace;
use super::planner::{DayReason, PlanOptions, PlannedChunk, Planner};
use super::report::{ChunkReport, FailedRange};
use super::run::{Job, Placement, run};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::filters::Filters;
use crate::storage::{Definition, OnReject, StorageEngine, check_table_name};
use crate::types::TableKind;
use crate::workspace::Project;

/// What to bring up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncOptions {
    /// The table; `events` unless told otherwise. Made when it does not exist.
    pub table: String,
    /// First project day; for a table that exists, its first day unless told
    /// otherwise.
    pub from: Option<Date>,
    /// Last project day; today unless told otherwise.
    pub to: Option<Date>,
    /// Events of a new table (exact names); all of them when empty. A table that
    /// exists keeps its own.
    pub events: Vec<String>,
    /// Filter of a new table, in Mixpanel's expression language. A table that
    /// exists keeps its own.
    pub filter: Option<String>,
    /// Days after its end until which a day is fetched again, as late events
    /// may arrive.
    pub window_days: u32,
    /// Days within the window are fetched again when their copy is older.
    pub max_age: Duration,
    /// Whether days that were loaded from files are fetched, in the place of the files' rows.
    pub refetch_loaded: bool,
    /// What to do with lines that cannot be stored.
    pub on_reject: OnReject,
    /// How many downloads run at a time, 1 to 100; 4 unless told otherwise.
    pub concurrency: Option<usize>,
}

impl Default for SyncOptions {
    fn default() -> Self {
        let Freshness { window_days, max_age } = Freshness::default();
        SyncOptions {
            table: "events".to_owned(),
            from: None,
            to: None,
            events: Vec::new(),
            filter: None,
            window_days,
            max_age,
            refetch_loaded: false,
            on_reject: OnReject::default(),
            concurrency: None,
        }
    }
}

/// What a sync would fetch, before anything is spent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SyncPlan {
    /// The table.
    pub table: String,
    /// First project day looked at, inclusive.
    pub from: Date,
    /// Last project day looked at, inclusive.
    pub to: Date,
    /// The requests, newest days first. Those whose `rows` are unknown may
    /// become more when the days turn out to be big.
    pub requests: Vec<PlannedChunk>,
    /// Rows per second, as they came when the table was fetched last; `None` when that was not
    /// measured yet.
    pub rows_per_second: Option<f64>,
}

impl SyncPlan {
    /// How many days are to be fetched.
    pub fn days(&self) -> u32 {
        self.requests.iter().map(PlannedChunk::days).sum()
    }

    /// Rows that are expected; `None` when a request's size is unknown.
    pub fn rows(&self) -> Option<u64> {
        self.requests.iter().map(|request| request.rows).sum()
    }

    /// Bytes of text that are expected; `None` when a request's size is unknown.
    pub fn bytes(&self) -> Option<u64> {
        self.requests.iter().map(|request| request.bytes).sum()
    }
}

/// How a sync ended, apart from errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncState {
    /// Every day is as fresh as it can be.
    Complete,
    /// Some ranges could not be fetched; the next sync tries them again.
    Partial,
}

/// What a sync did.
#[derive(Debug)]
pub struct SyncResult {
    /// The table.
    pub table: String,
    /// The database file; none in memory.
    pub database: Option<PathBuf>,
    /// First project day looked at, inclusive.
    pub from: Date,
    /// Last project day looked at, inclusive.
    pub to: Date,
    /// How it ended.
    pub state: SyncState,
    /// What became of each chunk, in the order in which they were stored.
    pub chunks: Vec<ChunkReport>,
    /// Ranges that could not be fetched, and why.
    pub failed: Vec<FailedRange>,
    /// Days before the history that the project's plan keeps.
    pub unavailable: Vec<Date>,
    /// Days that were loaded from files and left as they are, see
    /// [`refetch_loaded`](SyncOptions::refetch_loaded).
    pub days_loaded: usize,
    /// Downloads that were begun.
    pub requests: u32,
    /// Rows in the table afterwards.
    pub total_rows: u64,
    /// Events of the table that nothing has come of, and that Mixpanel does not list. Days for
    /// which that is all of its events count as partial.
    pub unknown_names: Vec<UnknownName>,
    /// Wall-clock time.
    pub duration: Duration,
}

impl SyncResult {
    /// Rows stored by this sync; days that were fetched again count again.
    pub fn rows(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.rows).sum()
    }
}

/// A table as a sync finds it.
struct Target {
    table: String,
    events: Vec<String>,
    filter: Option<String>,
    days: (Date, Date),
}

fn target(
    storage: &StorageEngine,
    definition: &Definition,
    clock: &ProjectClock,
    now: Timestamp,
    options: &SyncOptions,
) -> Result<Target> {
    check_table_name(&options.table)?;
    check_filters(&options.events, options.filter.as_deref())?;
    let today = clock.day_of(now.as_microsecond());
    let to = options.to.unwrap_or(today);
    if to > today {
        let why = format!("{to} is in the future; today is {today} in the project's days");
        return Err(Error::argument("dates", why));
    }
    let range = |from: Date| match from <= to {
        true => Ok((from, to)),
        false => Err(Error::argument("dates", format!("the first day {from} is after the last day {to}"))),
    };
    let (events, filter) = (options.events.clone(), options.filter.clone());
    if !storage.table_exists(&options.table)? {
        let why = "a table that does not exist yet needs a first day";
        let from = options.from.ok_or_else(|| Error::argument("dates", why))?;
        return Ok(Target { table: options.table.clone(), events, filter, days: range(from)? });
    }
    let table = storage.require(&options.table, TableKind::Events)?;
    storage.check_definition(&table, definition)?;
    let known = storage.table_filters(&table)?;
    let asked = Filters::new(Some(&events), filter.as_deref());
    if (!events.is_empty() || filter.is_some()) && known.hash != asked.hash() {
        let requested = asked.text().to_owned();
        return Err(ErrorKind::FilterMismatch { table, existing: known.text, requested }.into());
    }
    let from = match options.from.or(known.from) {
        Some(from) => from,
        None => return Err(Error::argument("dates", no_first_day(storage, &table)?)),
    };
    Ok(Target { table, events: known.events, filter: known.filter, days: range(from)? })
}

/// Why it is not known from which day on a table is to be fetched.
fn no_first_day(storage: &StorageEngine, table: &str) -> Result<String> {
    Ok(match storage.first_and_last_day(table)? {
        Some((first, last)) => format!(
            "nothing was fetched into the table yet (its rows of {first} to {last} are from files), so it needs a \
             first day"
        ),
        None => "the table has no days of its own yet, so it needs a first day".to_owned(),
    })
}

/// The days to fetch, and why.
fn needs(days: &Coverage, refetch_loaded: bool) -> impl Iterator<Item = (Date, DayReason)> {
    days.days.iter().filter_map(move |day| match day.status {
        DayStatus::Missing => Some((day.day, DayReason::Missing)),
        DayStatus::Partial => Some((day.day, DayReason::Partial)),
        DayStatus::Changed => Some((day.day, DayReason::Changed)),
        DayStatus::Stale => Some((day.day, DayReason::Stale)),
        DayStatus::Loaded if refetch_loaded => Some((day.day, DayReason::Loaded)),
        DayStatus::Complete | DayStatus::Empty | DayStatus::Unavailable | DayStatus::Loaded => None,
    })
}

fn planner(
    storage: &StorageEngine,
    target: &Target,
    days: &Coverage,
    options: &SyncOptions,
) -> Result<Planner> {
    Ok(Planner::new(
        needs(days, options.refetch_loaded),
        ledger_history(storage, &target.table)?,
        PlanOptions::default(),
    ))
}

fn days_of_target(
    storage: &StorageEngine,
    clock: &ProjectClock,
    now: Timestamp,
    target: &Target,
    options: &SyncOptions,
) -> Result<Coverage> {
    let freshness = Freshness { window_days: options.window_days, max_age: options.max_age };
    coverage(storage, clock, now, &target.table, target.days, freshness)
}

/// What is here of the days that [`sync`] would look at.
pub(crate) fn coverage_of(
    storage: &StorageEngine,
    clock: &ProjectClock,
    now: Timestamp,
    options: &SyncOptions,
) -> Result<Coverage> {
    let first = match options.from {
        Some(from) => Some(from),
        // What was loaded from files was not asked for, but is here.
        None => {
            let asked = storage.table_filters(&options.table)?.from;
            let here = storage.first_and_last_day(&options.table)?.map(|(first, _)| first);
            [asked, here].into_iter().flatten().min()
        }
    };
    let options = &SyncOptions { from: first, ..options.clone() };
    let target = target(storage, &Definition::of_clock(clock), clock, now, options)?;
    days_of_target(storage, clock, now, &target, options)
}

/// What [`sync`] would fetch. Nothing is sent.
pub(crate) fn plan(
    storage: &StorageEngine,
    clock: &ProjectClock,
    now: Timestamp,
    options: &SyncOptions,
) -> Result<SyncPlan> {
    let target = target(storage, &Definition::of_clock(clock), clock, now, options)?;
    let rows_per_second = pace::measured(storage, &target.table);
    let days = days_of_target(storage, clock, now, &target, options)?;
    let mut planner = planner(storage, &target, &days, options)?;
    planner.set_pace(rows_per_second);
    let requests = planner.preview();
    let (from, to) = target.days;
    Ok(SyncPlan { table: target.table, from, to, requests, rows_per_second })
}

/// Brings a table up to date.
pub(crate) fn sync(
    storage: &StorageEngine,
    project: &Project,
    now: Timestamp,
    options: &SyncOptions,
    on_progress: OnProgress<'_>,
) -> Result<SyncResult> {
    let started = Instant::now();
    let (clock, definition) = (&project.clock, Definition::of_events(project));
    let target = target(storage, &definition, clock, now, options)?;
    let names = Names::new(storage, &project.client, &target.events);
    let job = Job {
        storage,
        client: &project.client,
        clock,
        now,
        table: &target.table,
        definition: &definition,
        asked: target.days,
        events: &target.events,
        names: &names,
        filter: target.filter.as_deref(),
        limit: None,
        placement: Placement::Days,
        on_reject: options.on_reject,
        concurrency: options.concurrency,
    };
    let days = days_of_target(storage, clock, now, &target, options)?;
    let days_loaded = if options.refetch_loaded { 0 } else { days.count(DayStatus::Loaded) };
    let mut outcome = run(&job, &mut planner(storage, &target, &days, options)?, on_progress)?;
    if outcome.chunks.is_empty() && !outcome.failed.is_empty() {
        // Nothing succeeded: that is a failure, not a part.
        return Err(outcome.failed.remove(0).error);
    }
    let known = storage.list_tables()?.into_iter().find(|table| table.name == target.table);
    let total_rows = known.map_or(0, |table| table.row_count);
    let state = if outcome.failed.is_empty() { SyncState::Complete } else { SyncState::Partial };
    Ok(SyncResult {
        table: target.table,
        database: storage.path().map(PathBuf::from),
        from: target.days.0,
        to: target.days.1,
        state,
        chunks: outcome.chunks,
        failed: outcome.failed,
        unavailable: outcome.unavailable,
        days_loaded,
        requests: outcome.requests,
        total_rows,
        unknown_names: names.unknown()?,
        duration: started.elapsed(),
    })
}
