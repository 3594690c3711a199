//! `mp fetch events`: days of raw events into a table.

use jiff::Timestamp;
use jiff::civil::Date;
use mixpanel_data::{ChunkReport, ExportRequest, FetchEvents, FetchResult, Shape, StorageEngine, Workspace};

use super::{Reader, fetch_stream, place, shell_word};
use crate::args;
use crate::config::{Connection, Env, target_database};
use crate::error::Error;
use crate::output;
use crate::signals::Signals;
use crate::ui::{Ui, counted, megabytes, rate, thousands};

pub(crate) fn run(args: &args::FetchEvents, env: Env<'_>, ui: &Ui, signals: &Signals) -> Result<(), Error> {
    let connection = Connection::resolve(&args.home.connection, env)?;
    let project_id = connection.project_id;
    let now = Timestamp::now();
    let (from, to) = (args.from.resolve(now, &connection.clock), args.to.resolve(now, &connection.clock));
    let progress = ui.progress(from, to);
    let project = connection.project(signals, ui)?;
    progress.watch(&project.client);
    if args.stream.stdout {
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
        return fetch_stream::print(stream, &args.stream, ui);
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
        concurrency: args.taking.concurrency,
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
            "{} days are older than the history that the project's plan keeps; they were skipped",
            result.days_unavailable
        ));
    }
    ui.unknown_names(&result.unknown_names);
    output::object(&args.home.output, ui, &result, &summary(&result))
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
                "{} to {}: {} lines, {} MB, {} MB of JSON, {:.2} s, {} requests{}",
                chunk.from,
                chunk.to,
                thousands(chunk.lines),
                megabytes(chunk.bytes_received),
                megabytes(chunk.bytes_decoded),
                chunk.duration.as_secs_f64(),
                chunk.requests,
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
        ("requests", format!("{} for {} chunks", result.requests, result.chunks.len())),
        ("time", format!("{:.1} s, {} rows/s", result.duration.as_secs_f64(), thousands(speed))),
    ]
}
