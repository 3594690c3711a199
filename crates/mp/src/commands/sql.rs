//! `mp sql`: a query in, rows out, as they come.

use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;

use mixpanel_data::{ErrorKind, StorageEngine, Workspace, rows_of};

use crate::args;
use crate::config::{Env, existing_database};
use crate::error::Error;
use crate::output::{self, Column, Format, Sink};
use crate::signals::Signals;
use crate::ui::{Ui, thousands};

/// Rows of a table on a terminal, and in a file.
const ON_TERMINAL: usize = 1_000;
const IN_TABLE: usize = 10_000;

pub(crate) fn run(args: &args::Sql, env: Env<'_>, ui: &Ui, signals: &Signals) -> Result<(), Error> {
    let query = query(args)?;
    let format = Format::or_default(args.format, ui);
    let workspace = signals.guard(open(args, env)?);
    signals.check()?;
    let mut out = output::stdout();
    let cut = print(workspace.storage(), &query, limit(args, format, ui), &mut *format.sink(&mut out, ui))?;
    out.flush()?;
    if let Some(shown) = cut {
        let shown = thousands(shown as u64);
        ui.say(&format!("showing the first {shown} rows: --limit N shows N, --all shows all"));
    }
    Ok(())
}

fn query(args: &args::Sql) -> Result<String, Error> {
    let text = match (&args.file, args.query.as_deref()) {
        (Some(path), _) => {
            std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.clone(), source })?
        }
        (None, Some(query)) if query != "-" => query.to_owned(),
        (None, None) if io::stdin().is_terminal() => {
            return Err(Error::setting(
                "no query",
                "mp sql \"SELECT …\", or -f FILE, or a query on standard input",
            ));
        }
        _ => {
            let path = PathBuf::from("standard input");
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map_err(|source| Error::Read { path, source })?;
            text
        }
    };
    match text.trim() {
        "" => Err(Error::setting("the query is empty", "mp sql \"SELECT count(*) FROM events\"")),
        trimmed => Ok(trimmed.to_owned()),
    }
}

fn open(args: &args::Sql, env: Env<'_>) -> Result<Workspace, Error> {
    if args.memory {
        return Ok(Workspace::memory()?);
    }
    let path = existing_database(args.database.db.as_deref(), env)?;
    Ok(Workspace::open(path, !args.write)?)
}

/// How many rows to show at most.
fn limit(args: &args::Sql, format: Format, ui: &Ui) -> usize {
    match (args.limit, format) {
        (Some(limit), _) => limit,
        (None, Format::Table) if !args.all => {
            if ui.to_terminal {
                ON_TERMINAL
            } else {
                IN_TABLE
            }
        }
        _ => usize::MAX,
    }
}

/// Runs the query and writes its rows; tells how many were shown if there were more.
fn print(
    storage: &StorageEngine,
    query: &str,
    limit: usize,
    sink: &mut dyn Sink,
) -> Result<Option<usize>, Error> {
    /// Why the rows stop before their end.
    enum Stop {
        Enough,
        Output(io::Error),
    }
    let mut stop = None;
    let mut shown = 0;
    // Two callbacks write to one sink, one after the other.
    let sink = std::cell::RefCell::new(sink);
    let halt = std::cell::RefCell::new(&mut stop);
    let give_up = |reason: Stop| -> mixpanel_data::Error {
        **halt.borrow_mut() = Some(reason);
        ErrorKind::Cancelled.into()
    };
    let outcome = storage.execute_streaming(
        query,
        &mut |schema| {
            let columns: Vec<Column> = schema.fields().iter().map(|field| Column::of(field)).collect();
            sink.borrow_mut().begin(&columns).map_err(|error| give_up(Stop::Output(error)))
        },
        &mut |batch| {
            for row in rows_of(&batch) {
                if shown == limit {
                    return Err(give_up(Stop::Enough));
                }
                shown += 1;
                sink.borrow_mut().row(row).map_err(|error| give_up(Stop::Output(error)))?;
            }
            Ok(())
        },
    );
    match (outcome, stop) {
        (_, Some(Stop::Output(error))) => Err(error.into()),
        (Err(error), None) => Err(error.into()),
        (Ok(()), None) => {
            sink.into_inner().end()?;
            Ok(None)
        }
        (_, Some(Stop::Enough)) => {
            sink.into_inner().end()?;
            Ok(Some(limit))
        }
    }
}
