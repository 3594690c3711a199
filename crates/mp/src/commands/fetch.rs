//! `mp fetch events`: days of raw events into a table.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use mixpanel_data::{ChunkReport, ExportRequest, FetchEvents, FetchResult, Shape, StorageEngine, Workspace};
use serde::Serialize;

use super::{Reader, fetch_stream, place, shell_word};
use crate::args;
use crate::config::{Connection, Env, target_database};
use crate::error::Error;
use crate::output;
use crate::signals::Signals;
use crate::ui::{Ui, counted, megabytes, rate, thousands};

/// The most downloads that run at a time.
pub(super) const MOST_DOWNLOADS: usize = 100;

pub(crate) fn run(args: &args::FetchEvents, env: Env<'_>, ui: &Ui, signals: &Signals) -> Result<(), Error> {
    let ui = &args.needless.heed(ui);
    let connection = Connection::resolve(&args.home.connection, env)?;
    let project_id = connection.project_id;
    let now = Timestamp::now();
    let (from, to) = (args.from.resolve(now, &connection.clock), args.to.resolve(now, &connection.clock));
    let progress = ui.progress(from, to);
    let project = connection.project(signals, ui)?;
    progress.watch(&project.client);
    if args.stream.stdout {
        args::not_streamed(args.taking.concurrency, args.chunk_days, &args.home.output, ui);
        let request = ExportRequest {
            events: args.events.names(),
            where_: args.where_.clone(),
            limit: args.limit,
            // What is raw is as Mixpanel's own default has it.
            time_in_ms: !matches!(args.stream.shape(), Shape::Raw),
            ..ExportRequest::days(from, to)
        };
        let stream = project.stream_events(&request, &args.stream.buffer(), now)?;
        // Rows may go to the same terminal.
        progress.finish();
        return fetch_stream::print(stream, &args.stream, &args.home.output, ui);
    }
    if args.chunk_days.is_some() && (args.append || args.replace || args.limit.is_some()) {
        ui.say("--chunk-days has no effect with --append, --replace or --limit: one request covers all days");
    }
    let path = target_database(args.home.database.db.as_deref(), project_id, env)?;
    ui.detail(1, || format!("database {}", path.display()));
    let builder = Workspace::builder().project(project);
    let reader = Reader { env, ui, signals };
    let workspace =
        signals.guard(reader.patiently(args.waiting.wait, || env.databases().file(builder.clone(), &path))?);

    let fetch = FetchEvents {
        table: args.name.clone(),
        events: args.events.names(),
        filter: args.where_.clone(),
        limit: args.limit,
        append: args.append,
        replace: args.replace,
        on_reject: args.taking.on_reject.into(),
        concurrency: args::capped(args.taking.concurrency, MOST_DOWNLOADS, ui),
        days_per_request: args.chunk_days,
        ..FetchEvents::days(from, to)
    };
    let unrecorded = is_unrecorded(&workspace, &args.name)?;
    let result = workspace.fetch_events_with(&fetch, &mut |now| progress.update(now));
    progress.finish();
    let result = result.map_err(|error| progress.ended(error, || how_to_go_on(args, from, to)))?;
    chunks(ui, &result.chunks);
    adopted(ui, &workspace, &result.table, unrecorded)?;
    replaced_loaded(ui, &result.chunks);
    refused(ui, workspace.storage(), &result.table, result.rejects)?;
    if result.days_unavailable > 0 {
        ui.say(&format!(
            "{} skipped: older than the history that the project's plan keeps",
            counted(result.days_unavailable as u64, "day")
        ));
    }
    ui.unknown_names(&result.unknown_names);
    let days = result.from_date.zip(result.to_date);
    let batches = args.needless.parallel.then_some(result.chunks.len() as u64).map(Parts::batches);
    let told = Fetched::new("events", &result, result.duration, days, batches);
    output::object(&args.home.output, ui, &told, &summary(&result))
}

/// What a fetch did, with the names that the Python original has for it beside ours.
#[derive(Serialize)]
pub(super) struct Fetched<'a, T> {
    #[serde(flatten)]
    result: &'a T,
    r#type: &'static str,
    duration_seconds: f64,
    date_range: Option<(Date, Date)>,
    #[serde(flatten)]
    parts: Option<Parts>,
}

impl<'a, T> Fetched<'a, T> {
    pub(super) fn new(
        kind: &'static str,
        result: &'a T,
        duration: Duration,
        days: Option<(Date, Date)>,
        parts: Option<Parts>,
    ) -> Self {
        let duration_seconds = (duration.as_secs_f64() * 1000.0).round() / 1000.0;
        Fetched { result, r#type: kind, duration_seconds, date_range: days, parts }
    }
}

/// What the original says of the parts of a fetch with `--parallel`. Here a part that fails is an
/// error of the fetch, so that none has failed when this is told.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Parts {
    Batches {
        successful_batches: u64,
        failed_batches: u64,
        failed_date_ranges: [(Date, Date); 0],
        has_failures: bool,
    },
    Pages {
        successful_pages: u64,
        failed_pages: u64,
        failed_page_indices: [u64; 0],
        has_failures: bool,
    },
}

impl Parts {
    fn batches(successful: u64) -> Self {
        Parts::Batches {
            successful_batches: successful,
            failed_batches: 0,
            failed_date_ranges: [],
            has_failures: false,
        }
    }

    pub(super) fn pages(successful: u64) -> Self {
        Parts::Pages {
            successful_pages: successful,
            failed_pages: 0,
            failed_page_indices: [],
            has_failures: false,
        }
    }
}

/// Whether there is a table of which nobody knows what it is a copy of: from an older version.
pub(super) fn is_unrecorded(workspace: &Workspace, table: &str) -> Result<bool, Error> {
    let storage = workspace.storage();
    Ok(storage.table_exists(table)? && storage.source_of(table)?.is_none())
}

/// Says what such a table is taken for from now on.
pub(super) fn adopted(ui: &Ui, workspace: &Workspace, table: &str, unrecorded: bool) -> Result<(), Error> {
    if let (true, Some(source)) = (unrecorded, workspace.storage().source_of(table)?) {
        ui.say(&format!(
            "it was not recorded what the table {table} is a copy of; from now on it is {source}, and others are \
             refused"
        ));
    }
    Ok(())
}

/// Says that rows from files have gone for those of a fetch.
pub(super) fn replaced_loaded(ui: &Ui, chunks: &[ChunkReport]) {
    let rows = chunks.iter().map(|chunk| chunk.loaded_replaced).sum();
    if rows > 0 {
        ui.say(&format!(
            "Mixpanel's rows have taken the place of {} that had been loaded from files",
            counted(rows, "row")
        ));
    }
}

/// Says that lines could not be stored, and what it may mean that they are of other days.
pub(super) fn refused(ui: &Ui, storage: &StorageEngine, table: &str, count: u64) -> Result<(), Error> {
    if count == 0 {
        return Ok(());
    }
    let (lines, are) = if count == 1 { ("line", "it is") } else { ("lines", "they are") };
    ui.say(&format!("{} {lines} could not be stored; {are} kept in the table _quarantine", thousands(count)));
    if let Some(others) = storage.refused_lines(table)?.get("other_day") {
        ui.say(&format!(
            "of the lines in _quarantine, {} came with days that they are not of: if these are many, check \
             --clock-mode and --timezone",
            thousands(*others)
        ));
    }
    Ok(())
}

/// The command that fetches the days that are missing, and no others.
fn how_to_go_on(args: &args::FetchEvents, from: Date, to: Date) -> String {
    let db =
        args.home.database.db.as_ref().map(|db| format!(" --db {}", shell_word(&db.display().to_string())));
    format!("mp sync {} --from {from} --to {to}{} fetches the other days", args.name, db.unwrap_or_default())
}

/// For those who asked for more: what came of the requests, chunk by chunk.
pub(super) fn chunks(ui: &Ui, chunks: &[ChunkReport]) {
    for chunk in chunks {
        ui.detail(1, || {
            format!(
                "{} to {}: {}, {} MB, {} MB of JSON, {:.2} s, {}{}",
                chunk.from,
                chunk.to,
                counted(chunk.lines, "line"),
                megabytes(chunk.bytes_received),
                megabytes(chunk.bytes_decoded),
                chunk.duration.as_secs_f64(),
                counted(u64::from(chunk.requests), "request"),
                chunk.request_id.as_ref().map(|id| format!(", request id {id}")).unwrap_or_default(),
            )
        });
    }
}

fn summary(result: &FetchResult) -> Vec<(&'static str, String)> {
    let days = |date: Option<jiff::civil::Date>| date.map(|date| date.to_string()).unwrap_or_default();
    let speed = rate(result.lines as f64, result.duration) as u64;
    vec![
        ("database", place(result.database.as_deref())),
        ("table", result.table.clone()),
        ("days", format!("{} to {}", days(result.from_date), days(result.to_date))),
        (
            "",
            format!(
                "{} complete, {} empty, {} partial",
                result.days_complete, result.days_empty, result.days_partial
            ),
        ),
        ("rows", thousands(result.rows)),
        ("duplicates dropped", thousands(result.duplicates)),
        ("lines rejected", thousands(result.rejects)),
        ("rows in the table", thousands(result.total_rows)),
        (
            "received",
            format!(
                "{} MB, {} MB of JSON",
                megabytes(result.bytes_received),
                megabytes(result.bytes_decoded)
            ),
        ),
        ("requests", format!("{} for {}", result.requests, counted(result.chunks.len() as u64, "chunk"))),
        ("time", format!("{:.1} s, {} rows/s", result.duration.as_secs_f64(), thousands(speed))),
    ]
}
