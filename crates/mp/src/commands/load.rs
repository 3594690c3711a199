//! `mp load`: files into a table.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use mixpanel_data::{CsvColumns, FetchProgress, Load, LoadInput, LoadProgress, LoadResult, Value, Workspace};

use super::{Reader, fetch, megabytes, place};
use crate::args;
use crate::config::{Connection, load_database};
use crate::error::Error;
use crate::output::{self, Column, List};
use crate::ui::{counted, rate, thousands};

pub(crate) fn run(args: &args::Load, reader: Reader<'_>) -> Result<(), Error> {
    let (env, ui, signals) = (reader.env, reader.ui, reader.signals);
    let load = Load {
        table: args.table.clone(),
        format: args.kind.map(args::LoadKind::into),
        columns: args.columns.wanted(),
        clock: Connection::chosen_clock(&args.home.connection, env)?,
        on_reject: args.on_reject.into(),
        cancel: signals.cancel(),
    };
    let inputs = || args.files.iter().map(|path| input(path)).collect::<Vec<_>>();
    let from_terminal =
        args.files.iter().any(|path| path == Path::new("-")) && std::io::stdin().is_terminal();
    // Nothing interrupts a read of what somebody types.
    let _asking = from_terminal.then(|| signals.while_asking());
    if args.dry_run {
        return preview(args, &load, inputs(), reader);
    }
    let path = load_database(&args.home.database, &args.home.connection, env)?;
    ui.detail(1, || format!("database {}", path.display()));
    let workspace = signals
        .guard(reader.patiently(args.waiting.wait, || env.databases().file(Workspace::builder(), &path))?);
    let progress = ui.progress_of_files(args.files.len());
    let result = workspace.load_with(&load, inputs(), &mut |now| {
        progress.count(now.files.into());
        progress.update(&shown(now));
    });
    progress.finish();
    let again = || "the same command goes on: what is there is not stored twice".to_owned();
    let result = result.map_err(|error| progress.ended(error, again))?;
    for file in &result.files {
        ui.detail(1, || {
            format!(
                "{}: {}; {}, {}, {:.2} s",
                file.file,
                file.recognised,
                counted(file.lines, "line"),
                counted(file.rows, "row"),
                file.duration.as_secs_f64(),
            )
        });
    }
    fetch::refused(ui, workspace.storage(), &result.table, result.rejects)?;
    remarks(&load, &result, reader);
    output::object(&args.home.output, ui, &result, &summary(&result))
}

fn input(path: &Path) -> LoadInput {
    if path == Path::new("-") {
        let name = "standard input".to_owned();
        return LoadInput::Reader { name, reader: Box::new(std::io::stdin()) };
    }
    LoadInput::path(path)
}

/// What must not be overlooked.
fn remarks(load: &Load, result: &LoadResult, reader: Reader<'_>) {
    let ui = reader.ui;
    if result.rows_in_fetched_days > 0 {
        ui.say(&format!(
            "{} went into days that were complete: Mixpanel's export of those days did not have them",
            counted(result.rows_in_fetched_days, "row"),
        ));
    }
    let is_csv = |file: &mixpanel_data::FileReport| file.recognised.starts_with("CSV");
    if load.columns != CsvColumns::default() && !result.files.iter().any(is_csv) {
        ui.say("no file was CSV, so what was said of columns had no effect");
    }
    for file in result.files.iter().filter(|file| file.lines == 0) {
        ui.say(&format!("{} has no events", file.file));
    }
}

/// The same for the bar, which knows rows.
fn shown(now: &LoadProgress) -> FetchProgress {
    let (read, total) = (now.bytes_read, now.bytes_total.filter(|_| now.bytes_read > 0));
    let part = total.map(|total| total.max(read) as f64 / read as f64);
    FetchProgress {
        rows: now.rows,
        bytes_received: read,
        bytes_decoded: now.bytes_decoded,
        days_done: now.files_done,
        rows_stored: now.rows_stored,
        rows_expected: part.map(|part| (now.rows as f64 * part) as u64),
        remaining: part.map(|part| Duration::from_secs_f64(now.elapsed.as_secs_f64() * (part - 1.0))),
        elapsed: now.elapsed,
        attempt: 1,
        ..FetchProgress::default()
    }
}

fn preview(args: &args::Load, load: &Load, inputs: Vec<LoadInput>, reader: Reader<'_>) -> Result<(), Error> {
    let mut list = List::new([
        Column::text("file"),
        Column::text("format"),
        Column::text("recognised"),
        Column::json("events"),
        Column::json("rejects"),
    ]);
    for file in Workspace::recognise(load, inputs)? {
        let events: Vec<serde_json::Value> = file
            .events
            .iter()
            .map(|event| serde_json::from_str(event).unwrap_or_else(|_| event.as_str().into()))
            .collect();
        let format = file.format.map(|format| serde_json::to_value(format).unwrap_or_default());
        list.push([
            Value::Text(file.file),
            format.and_then(|format| format.as_str().map(str::to_owned)).map_or(Value::Null, Value::Text),
            Value::Text(file.recognised),
            Value::Text(serde_json::Value::from(events).to_string()),
            Value::Text(serde_json::json!(file.rejects).to_string()),
        ]);
    }
    output::list(&args.home.output, reader.ui, &list)
}

fn summary(result: &LoadResult) -> Vec<(&'static str, String)> {
    let days = match (result.from_date, result.to_date) {
        (Some(first), Some(last)) => format!("{first} to {last}, loaded"),
        _ => "none".to_owned(),
    };
    let files = match &result.files[..] {
        [file] => format!("{}: {}", file.file, file.recognised),
        files => counted(files.len() as u64, "file"),
    };
    let speed = rate(result.lines as f64, result.duration) as u64;
    vec![
        ("database", place(result.database.as_deref())),
        ("table", result.table.clone()),
        ("files", files),
        ("days", days),
        ("rows added", thousands(result.rows)),
        ("there already, or repeated", thousands(result.duplicates)),
        ("lines rejected", thousands(result.rejects)),
        ("rows in the table", thousands(result.total_rows)),
        ("read", megabytes(result.bytes_read)),
        ("time", format!("{:.1} s, {} rows/s", result.duration.as_secs_f64(), thousands(speed))),
    ]
}
