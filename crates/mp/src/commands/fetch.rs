//! `mp fetch events`: days of raw events into a table.

use jiff::Timestamp;
use mixpanel_data::{ChunkReport, ExportRequest, FetchEvents, FetchResult, Workspace};

use super::fetch_stream;
use crate::args;
use crate::config::{Connection, Env, target_database};
use crate::error::Error;
use crate::output;
use crate::signals::Signals;
use crate::ui::{Ui, megabytes, rate, thousands};

pub(crate) fn run(args: &args::FetchEvents, env: Env<'_>, ui: &Ui, signals: &Signals) -> Result<(), Error> {
    let connection = Connection::resolve(&args.home.connection, env)?;
    let project_id = connection.project_id;
    let now = Timestamp::now();
    let (from, to) = (args.from.resolve(now, &connection.clock), args.to.resolve(now, &connection.clock));
    let events = || args.events.iter().chain(&args.event).filter(|name| !name.is_empty()).cloned().collect();
    let progress = ui.progress(from, to);
    let project = connection.project(signals, ui)?;
    progress.watch(&project.client);
    if args.stream.stdout {
        let request = ExportRequest {
            events: events(),
            where_: args.where_.clone(),
            limit: args.limit,
            ..ExportRequest::days(from, to)
        };
        let stream = project.stream_events(&request, &args.stream.buffer(), now)?;
        // Rows may go to the same terminal.
        progress.finish();
        return fetch_stream::print(stream, &args.stream, ui);
    }
    let path = target_database(args.home.database.db.as_deref(), project_id, env)?;
    ui.detail(1, || format!("database {}", path.display()));
    let workspace =
        signals.guard(super::opened(env.databases().file(Workspace::builder().project(project), &path)?, ui));

    let fetch = FetchEvents {
        table: args.name.clone(),
        events: events(),
        filter: args.where_.clone(),
        limit: args.limit,
        append: args.append,
        replace: args.replace,
        on_reject: args.taking.on_reject.into(),
        concurrency: args.taking.concurrency,
        ..FetchEvents::days(from, to)
    };
    let result = workspace.fetch_events_with(&fetch, &mut |now| progress.update(now));
    progress.finish();
    let result = result?;
    chunks(ui, &result.chunks);
    if result.rejects > 0 {
        ui.say(&format!(
            "{} lines could not be stored; they are kept in the table _quarantine",
            thousands(result.rejects)
        ));
    }
    if result.days_unavailable > 0 {
        ui.say(&format!(
            "{} days are older than the history that the project's plan keeps; they were skipped",
            result.days_unavailable
        ));
    }
    output::object(&args.home.output, ui, &result, &summary(&result))
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
