//! `fetch_events`: days of raw events into a table.

use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;
use jiff::civil::Date;

use super::coverage::ledger_history;
use super::names::{Names, check_filters};
use super::planner::{DayReason, PlanOptions, Planner};
use super::report::{FailedRange, RunOutcome};
use super::run::{Job, Placement, days_of, run};
use super::{FetchEvents, OnProgress};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::filters::Filters;
use crate::storage::{Definition, StorageEngine, check_table_name};
use crate::types::{FetchResult, TableKind};
use crate::workspace::Project;

pub(crate) fn fetch_events(
    storage: &StorageEngine,
    project: &Project,
    now: Timestamp,
    fetch: &FetchEvents,
    on_progress: OnProgress<'_>,
) -> Result<FetchResult> {
    let started = Instant::now();
    check(fetch, project.clock.day_of(now.as_microsecond()))?;
    let definition = Definition::of_events(project);
    let (table, placement) = place(storage, &definition, fetch)?;
    let names = Names::new(storage, &project.client, &fetch.events);
    let job = Job {
        storage,
        client: &project.client,
        clock: &project.clock,
        now,
        table: &table,
        definition: &definition,
        asked: (fetch.from, fetch.to),
        events: &fetch.events,
        names: &names,
        filter: fetch.filter.as_deref(),
        limit: fetch.limit,
        placement,
        on_reject: fetch.on_reject,
        concurrency: fetch.concurrency,
    };
    let mut options = PlanOptions::default();
    if let Some(days) = fetch.days_per_request {
        options.fixed_days = Some(days.max(1));
    }
    if placement != Placement::Days || fetch.limit.is_some() {
        // One request: the rows come together or not at all.
        options = PlanOptions::one_request();
    }
    let history = ledger_history(storage, &table)?;
    let days = days_of(fetch.from, fetch.to).map(|day| (day, DayReason::Requested));
    let mut outcome = run(&job, &mut Planner::new(days, history, options), on_progress)?;
    if !outcome.failed.is_empty() {
        let failed = outcome.failed.remove(0);
        return Err(incomplete(fetch, failed, &outcome));
    }
    Ok(FetchResult {
        unknown_names: names.unknown()?,
        ..result(storage, &table, fetch, outcome, now, started)?
    })
}

/// What could not be fetched, and what is there all the same.
fn incomplete(fetch: &FetchEvents, failed: FailedRange, outcome: &RunOutcome) -> Error {
    let stored: usize = outcome.chunks.iter().map(|chunk| chunk.rows_by_day.len()).sum();
    if stored == 0 {
        return failed.error;
    }
    let asked = days_of(fetch.from, fetch.to).count();
    let range = if failed.from == failed.to {
        failed.from.to_string()
    } else {
        format!("{} to {}", failed.from, failed.to)
    };
    let more = match outcome.failed.len() {
        0 => String::new(),
        more => format!(" and {more} more ranges"),
    };
    let what = format!("the export of {range}{more} (the other {stored} of {asked} days are stored)");
    failed.error.about(what)
}

/// What can be said to be wrong before anything is sent.
fn check(fetch: &FetchEvents, today: Date) -> Result<()> {
    check_table_name(&fetch.table)?;
    check_days(fetch.from, fetch.to, today)?;
    check_filters(&fetch.events, fetch.filter.as_deref())?;
    if fetch.append && fetch.replace {
        return Err(Error::argument("options", "append and replace exclude each other"));
    }
    if fetch.limit.is_some_and(|limit| !(1..=100_000).contains(&limit)) {
        return Err(Error::argument("limit", "Mixpanel allows 1 to 100,000"));
    }
    Ok(())
}

/// Whether days can be asked for.
pub(crate) fn check_days(from: Date, to: Date, today: Date) -> Result<()> {
    if from > to {
        let why = format!("the first day {from} is after the last day {to}");
        return Err(Error::argument("dates", why));
    }
    if to > today {
        let why = format!("{to} is in the future; today is {today} in the project's days");
        return Err(Error::argument("dates", why));
    }
    Ok(())
}

/// Where the rows go: a new table, days of an existing one, or beside what is
/// there.
fn place(
    storage: &StorageEngine,
    definition: &Definition,
    fetch: &FetchEvents,
) -> Result<(String, Placement)> {
    let Some(table) = storage.table_to_fetch_into(&fetch.table, TableKind::Events)? else {
        return Ok((fetch.table.clone(), Placement::Days));
    };
    if fetch.replace {
        return Ok((table, Placement::Replace));
    }
    storage.check_definition(&table, definition)?;
    let filters = Filters::new(Some(&fetch.events), fetch.filter.as_deref());
    let known = storage.table_filters(&table)?;
    match (known.hash == filters.hash(), fetch.limit, fetch.append) {
        (true, None, _) => Ok((table, Placement::Days)),
        // A sample must not push out what is complete.
        (true, Some(_), _) | (false, _, true) => Ok((table, Placement::Add)),
        (false, _, false) => {
            let requested = filters.text().to_owned();
            Err(ErrorKind::FilterMismatch { table, existing: known.text, requested }.into())
        }
    }
}

fn result(
    storage: &StorageEngine,
    table: &str,
    fetch: &FetchEvents,
    outcome: RunOutcome,
    now: Timestamp,
    started: Instant,
) -> Result<FetchResult> {
    let chunks = &outcome.chunks;
    let sum = |count: fn(&super::ChunkReport) -> u64| chunks.iter().map(count).sum::<u64>();
    let days: u32 = chunks.iter().map(|chunk| chunk.rows_by_day.len() as u32).sum();
    let days_partial = chunks.iter().map(|chunk| chunk.days_partial).sum();
    let days_empty = chunks.iter().map(|chunk| chunk.days_empty).sum();
    // Days that Mixpanel no longer keeps may have been all that was asked for.
    let known = storage.list_tables()?.into_iter().find(|known| known.name.eq_ignore_ascii_case(table));
    let total_rows = match (&known, chunks.is_empty()) {
        (Some(known), true) => known.row_count,
        _ => outcome.total_rows,
    };
    Ok(FetchResult {
        table: known.map_or_else(|| table.to_owned(), |known| known.name),
        database: storage.path().map(PathBuf::from),
        rows: sum(|chunk| chunk.rows),
        lines: sum(|chunk| chunk.lines),
        duplicates: sum(|chunk| chunk.duplicates),
        rejects: sum(|chunk| chunk.rejects),
        total_rows,
        from_date: Some(fetch.from),
        to_date: Some(fetch.to),
        days_complete: days - days_partial - days_empty,
        days_empty,
        days_partial,
        days_unavailable: outcome.unavailable.len() as u32,
        bytes_received: outcome.bytes_received,
        bytes_decoded: outcome.bytes_decoded,
        requests: outcome.requests,
        duration: started.elapsed(),
        fetched_at: now,
        unknown_names: Vec::new(),
        chunks: outcome.chunks,
    })
}
