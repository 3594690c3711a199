//! `mp sync`: a table brought up to date, or all that the configuration file lists.

mod all;

use std::path::Path;

use jiff::civil::Date;
use jiff::{Span, Timestamp};
use mixpanel_data::discovery::UnknownName;
use mixpanel_data::{FetchProfiles, ProfilesResult, SyncOptions, SyncPlan, SyncResult, SyncState, Workspace};
use serde::Serialize;

use super::{Reader, fetch, fetch_profiles, place, plan};
use crate::args;
use crate::config::{Connection, Env, target_database};
use crate::error::Error;
use crate::output;
use crate::signals::Signals;
use crate::ui::{Ui, counted as number_of, thousands};

pub(crate) fn run(args: &args::Sync, env: Env<'_>, ui: &Ui, signals: &Signals) -> Result<(), Error> {
    let reader = Reader { env, ui, signals };
    if args.all {
        return all::run(args, reader);
    }
    let days = &args.days;
    let clock = Connection::clock(&days.home.connection, env)?;
    let options = SyncOptions {
        events: args.events.names(),
        filter: args.where_.clone(),
        on_reject: args.taking.on_reject.into(),
        concurrency: args::capped(args.taking.concurrency, fetch::MOST_DOWNLOADS, ui),
        refetch_loaded: args.refetch_loaded,
        ..plan::options(days, &clock)
    };
    if args.dry_run {
        if args.profiles.is_some() {
            ui.say("the plan is of events alone; all profiles are one query");
        }
        return plan::show(days, &options, &clock, &args::Reading::default(), reader);
    }
    let job = Job {
        options,
        profiles: args.profiles.as_deref(),
        db: days.home.database.db.as_deref(),
        connection: &days.home.connection,
        wait: args.waiting.wait,
    };
    let done = job.run(reader)?;
    // A quiet sync that went well has nothing to say, unless it is asked for a format.
    if !ui.is_quiet() || days.home.output.is_wanted() {
        output::object(&days.home.output, ui, &Shown::of(&done), &summary(&done))?;
    }
    done.profiles.transpose()?;
    partial(done.events)
}

/// A table to bring up to date, and one of profiles if that is wanted.
struct Job<'a> {
    options: SyncOptions,
    profiles: Option<&'a str>,
    db: Option<&'a Path>,
    connection: &'a args::Connection,
    wait: u64,
}

/// What came of it. Profiles that could not be fetched do not undo the events.
struct Done {
    events: SyncResult,
    profiles: Option<Result<ProfilesResult, Error>>,
}

impl Done {
    fn fetched_profiles(&self) -> Option<&ProfilesResult> {
        self.profiles.as_ref().and_then(|profiles| profiles.as_ref().ok())
    }
}

impl Job<'_> {
    fn run(&self, reader: Reader<'_>) -> Result<Done, Error> {
        let (env, ui, signals) = (reader.env, reader.ui, reader.signals);
        let clock = Connection::clock(self.connection, env)?;
        let connection = Connection::resolve(self.connection, env)?;
        let path = target_database(self.db, connection.project_id, env)?;
        let project = connection.project(signals, ui)?;
        let client = project.client.clone();
        ui.detail(1, || format!("database {}", path.display()));
        let builder = Workspace::builder().project(project);
        let workspace =
            signals.guard(reader.patiently(self.wait, || env.databases().file(builder.clone(), &path))?);
        let (first, last) = counted(&workspace.plan(&clock, &self.options)?);
        let unrecorded = fetch::is_unrecorded(&workspace, &self.options.table)?;
        let progress = ui.progress(first, last);
        progress.watch(&client);
        let result = workspace.sync_with(&self.options, &mut |now| progress.update(now));
        progress.finish();
        let again = || "the same command goes on from there".to_owned();
        let events = result.map_err(|error| progress.ended(error, again))?;
        fetch::chunks(ui, &events.chunks);
        fetch::adopted(ui, &workspace, &events.table, unrecorded)?;
        fetch::replaced_loaded(ui, &events.chunks);
        fetch::refused(ui, workspace.storage(), &events.table, rejects(&events))?;
        ui.unknown_names(&events.unknown_names);
        let profiles = self.profiles.map(|table| {
            let today = clock.day_of(Timestamp::now().as_microsecond());
            let progress = ui.progress(today, today);
            progress.watch(&client);
            let wanted = FetchProfiles {
                table: table.to_owned(),
                on_reject: self.options.on_reject,
                ..FetchProfiles::default()
            };
            fetch_profiles::bring(&workspace, &wanted, &progress, ui)
        });
        Ok(Done { events, profiles })
    }
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
    /// Only where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    profiles: Option<&'a ProfilesResult>,
}

impl<'a> Shown<'a> {
    fn of(done: &'a Done) -> Self {
        let result = &done.events;
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
            profiles: done.fetched_profiles(),
        }
    }
}

fn rejects(result: &SyncResult) -> u64 {
    result.chunks.iter().map(|chunk| chunk.rejects).sum()
}

fn days(result: &SyncResult) -> usize {
    result.chunks.iter().map(|chunk| chunk.rows_by_day.len()).sum()
}

fn summary(done: &Done) -> Vec<(&'static str, String)> {
    let result = &done.events;
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
    if let Some(profiles) = done.fetched_profiles() {
        let rows = number_of(profiles.total_rows, "profile");
        pairs.push(("profiles", format!("{rows} in the table {}", profiles.table)));
    }
    pairs
}
