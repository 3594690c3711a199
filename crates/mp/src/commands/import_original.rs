//! `mp import-original`: tables of the Python original into a database of ours.

use std::fs;

use mixpanel_data::{FetchProgress, ImportOriginal, ImportedTable, OriginalTable, Value, Workspace};

use super::Reader;
use crate::args;
use crate::config::{Connection, load_database};
use crate::error::Error;
use crate::output::{self, Column, List};
use crate::ui::counted;

pub(crate) fn run(args: &args::ImportOriginal, reader: Reader<'_>) -> Result<(), Error> {
    let (env, ui, signals) = (reader.env, reader.ui, reader.signals);
    let original = match env.databases().existing(&args.file, true) {
        Err(error) if matches!(error.kind(), mixpanel_data::ErrorKind::DatabaseNotFound { .. }) => {
            let missing = mixpanel_data::ErrorKind::FileNotFound { path: args.file.clone() };
            return Err(mixpanel_data::Error::from(missing).into());
        }
        other => other?,
    };
    if args.dry_run {
        let tables = original.storage().original_tables()?.unwrap_or_default();
        if tables.is_empty() {
            ui.say("no table of the Python original is recorded in it");
        }
        return output::list(&args.home.output, ui, &known(&tables));
    }
    let path = load_database(&args.home.database, &args.home.connection, env)?;
    if fs::canonicalize(&path).is_ok_and(|path| fs::canonicalize(&args.file).is_ok_and(|file| file == path)) {
        return Err(Error::setting(
            "the original's tables cannot be copied into the file they are in",
            "--db with the path of another file; the original's is only read",
        ));
    }
    ui.detail(1, || format!("database {}", path.display()));
    let workspace = signals
        .guard(reader.patiently(args.waiting.wait, || env.databases().file(Workspace::builder(), &path))?);
    let import = ImportOriginal {
        tables: args.tables.clone(),
        clock: Connection::chosen_clock(&args.home.connection, env)?,
        on_reject: args.on_reject.into(),
        cancel: signals.cancel(),
    };
    let progress = ui.progress_of_files(1);
    let imported = workspace.import_original(original.storage(), &import, &mut |now| {
        progress.count(now.files.into());
        progress.update(&FetchProgress {
            rows: now.rows,
            bytes_decoded: now.bytes_decoded,
            days_done: now.files_done,
            rows_stored: now.rows_stored,
            elapsed: now.elapsed,
            attempt: 1,
            ..FetchProgress::default()
        });
    });
    progress.finish();
    let again = || "the same command goes on: events that are there are not stored twice".to_owned();
    let imported = imported.map_err(|error| progress.ended(error, again))?;
    for table in &imported {
        let recorded = table.original.row_count.filter(|rows| *rows != table.lines);
        if let Some(recorded) = recorded {
            ui.say(&format!(
                "{} has {}, though {recorded} were recorded",
                table.original.name,
                counted(table.lines, "row"),
            ));
        }
        if table.rejects > 0 {
            ui.say(&format!(
                "{} of {} could not be stored; kept in the table _quarantine",
                counted(table.rejects, "row"),
                table.original.name,
            ));
        }
    }
    ui.say(&format!("copied into {}; its days count as loaded, not as proven complete", path.display()));
    output::list(&args.home.output, ui, &copied(&imported))
}

fn cells(table: &OriginalTable) -> [Value; 6] {
    [
        Value::Text(table.name.clone()),
        Value::Text(table.kind.to_string()),
        table.from_date.map_or(Value::Null, |day| Value::Text(day.to_string())),
        table.to_date.map_or(Value::Null, |day| Value::Text(day.to_string())),
        table.fetched_at.map_or(Value::Null, Value::Timestamp),
        table.row_count.map_or(Value::Null, |rows| Value::Integer(rows.into())),
    ]
}

fn columns() -> [Column; 6] {
    [
        Column::text("name"),
        Column::text("type"),
        Column::text("from"),
        Column::text("to"),
        Column::timestamp("fetched_at"),
        Column::number("rows_recorded"),
    ]
}

fn known(tables: &[OriginalTable]) -> List {
    let mut list = List::new(columns());
    tables.iter().for_each(|table| list.push(cells(table)));
    list
}

fn copied(tables: &[ImportedTable]) -> List {
    let more = ["rows", "duplicates", "rejects", "days", "total_rows"].map(Column::number);
    let mut list = List::new(columns().into_iter().chain(more));
    for table in tables {
        let counts = [table.rows, table.duplicates, table.rejects, table.days, table.total_rows];
        let counts = counts.map(|count| Value::Integer(count.into()));
        list.push(cells(&table.original).into_iter().chain(counts));
    }
    list
}
