//! `mp sync`: a table brought up to date.

use std::path::Path;

use jiff::Span;
use jiff::civil::Date;
use mixpanel_data::discovery::UnknownName;
use mixpanel_data::{SyncOptions, SyncPlan, SyncResult, SyncState, Workspace};
use serde::Serialize;

use super::{Reader, fetch, place, plan};
use crate::args;
use crate::config::{Connection, Env, target_database};
use crate::error::Error;
use crate::output;
use crate::signals::Signals;
use crate::ui::{Ui, counted as number_of, thousands};

pub(crate) fn run(args: &args::Sync, env: Env<'_>, ui: &Ui, signals: &Signals) -> Result<(), Error> {
    let days = &args.days;
    let clock = Connection::clock(&days.home.connection, env)?;
    let options = SyncOptions {
        events: args.events.names(),
        filter: args.where_.clone(),
        on_reject: args.taking.on_reject.into(),
        concurrency: args.taking.concurrency,
        refetch_loaded: args.refetch_loaded,
        ..plan::options(days, &clock)
    };
    let reader = Reader { env, ui, signals };
    if args.dry_run {
        return plan::show(days, &options, &clock, &args::Reading::default(), reader);
    }
    let connection = Connection::resolve(&days.home.connection, env)?;
    let path = target_database(days.home.database.db.as_deref(), connection.project_id, env)?;
    let project = connection.project(signals, ui)?;
    let client = project.client.clone();
    ui.detail(1, || format!("database {}", path.display()));
    let builder = Workspace::builder().project(project);
    let workspace =
        signals.guard(reader.patiently(args.waiting.wait, || env.databases().file(builder.clone(), &path))?);
    let (first, last) = counted(&workspace.plan(&clock, &options)?);
    let unrecorded = fetch::is_unrecorded(&workspace, &options.table)?;
    let progress = ui.progress(first, last);
    progress.watch(&client);
    let result = workspace.sync_with(&options, &mut |now| progress.update(now));
    progress.finish();
    let again = || "the same command goes on from there".to_owned();
    let result = result.map_err(|error| progress.ended(error, again))?;
    fetch::chunks(ui, &result.chunks);
    fetch::adopted(ui, &workspace, &result.table, unrecorded)?;
    fetch::replaced_loaded(ui, &result.chunks);
    fetch::refused(ui, workspace.storage(), &result.table, rejects(&result))?;
    ui.unknown_names(&result.unknown_names);
    // A quiet sync that went well has nothing to say, unless it is asked for a format.
    if !ui.is_quiet() || days.home.output.is_wanted() {
        output::object(&days.home.output, ui, &Shown::of(&result), &summary(&result))?;
    }
    partial(result)
}

/// As many days as the plan fetches, up to its last one: what the progress is measured by.
fn counted(plan: &SyncPlan) -> (Date, Date) {
    let before = i64::from(plan.days()).saturating_sub(1);
    (plan.to.saturating_sub(Span::new().days(before)), plan.to)
}

/// Some ranges failed: that is the end of a program that has printed what it did.
fn partial(mut result: SyncResult) -> Result<(), Error> {
    if result.state == SyncState::Complete {
        return Ok(());
    }
    let first = result.failed.remove(0);
    let more = match result.failed.len() {
        0 => String::new(),
        more => format!(" and {more} more ranges"),
    };
    Err(Error::Partial { what: format!("{} to {}{more}", first.from, first.to), source: first.error })
}

#[derive(Serialize)]
struct Failed {
    from: Date,
    to: Date,
    error: String,
}

#[derive(Serialize)]
struct Shown<'a> {
    table: &'a str,
    database: Option<&'a Path>,
    state: SyncState,
    from: Date,
    to: Date,
    days_fetched: usize,
    rows: u64,
    rejects: u64,
    days_loaded: usize,
    total_rows: u64,
    requests: u32,
    failed: Vec<Failed>,
    unavailable: &'a [Date],
    unknown_names: &'a [UnknownName],
    seconds: f64,
    chunks: &'a [mixpanel_data::ChunkReport],
}

impl<'a> Shown<'a> {
    fn of(result: &'a SyncResult) -> Self {
        let failed = result.failed.iter().map(|range| Failed {
            from: range.from,
            to: range.to,
            error: range.error.to_string(),
        });
        Shown {
            table: &result.table,
            database: result.database.as_deref(),
            state: result.state,
            from: result.from,
            to: result.to,
            days_fetched: days(result),
            rows: result.rows(),
            rejects: rejects(result),
            days_loaded: result.days_loaded,
            total_rows: result.total_rows,
            requests: result.requests,
            failed: failed.collect(),
            unavailable: &result.unavailable,
            unknown_names: &result.unknown_names,
            seconds: result.duration.as_secs_f64(),
            chunks: &result.chunks,
        }
    }
}

fn rejects(result: &SyncResult) -> u64 {
    result.chunks.iter().map(|chunk| chunk.rejects).sum()
}

fn days(result: &SyncResult) -> usize {
    result.chunks.iter().map(|chunk| chunk.rows_by_day.len()).sum()
}

fn summary(result: &SyncResult) -> Vec<(&'static str, String)> {
    let state = match (result.state, result.chunks.is_empty()) {
        (SyncState::Complete, true) => "up to date: nothing to fetch",
        (SyncState::Complete, false) => "up to date",
        (SyncState::Partial, _) => "partly: some ranges failed",
    };
    let mut pairs = vec![
        ("database", place(result.database.as_deref())),
        ("table", result.table.clone()),
        ("state", state.to_owned()),
        ("days", format!("{} to {}, {} of them fetched", result.from, result.to, days(result))),
        ("rows fetched", thousands(result.rows())),
        ("rows in the table", thousands(result.total_rows)),
        ("requests", result.requests.to_string()),
        ("time", format!("{:.1} s", result.duration.as_secs_f64())),
    ];
    if result.days_loaded > 0 {
        let days = number_of(result.days_loaded as u64, "day");
        pairs.push(("from files", format!("{days}, left as they are; --refetch-loaded fetches them")));
    }
    if let (Some(first), Some(last)) = (result.unavailable.first(), result.unavailable.last()) {
        pairs.push(("not in the plan", format!("{first} to {last}: older than the history it keeps")));
    }
    pairs
}
