//! `mp sql`: a query in, rows out, as they come.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;

use mixpanel_data::{ErrorKind, StorageEngine, Value, Workspace, rows_of};

use super::Reader;
use crate::args;
use crate::config::existing_database;
use crate::error::Error;
use crate::output::{self, Column, Format, Sink};
use crate::ui::{Ui, thousands};

/// Rows of a table on a terminal, and in a file.
const ON_TERMINAL: usize = 1_000;
const IN_TABLE: usize = 10_000;

pub(crate) fn run(args: &args::Sql, reader: Reader<'_>) -> Result<(), Error> {
    let Reader { ui, signals, .. } = reader;
    let query = query(args)?;
    let format = Format::or_default(args.format, ui);
    let workspace = signals.guard(open(args, reader)?);
    signals.check()?;
    let storage = workspace.storage();
    let keeps_json = matches!(format, Format::Json | Format::Jsonl) && !args.write;
    let json = if keeps_json { json_columns(storage, &query) } else { Vec::new() };
    let mut out = output::stdout();
    let cut = print(storage, &query, &json, limit(args, format, ui), &mut *format.sink(&mut out, ui))?;
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

fn open(args: &args::Sql, reader: Reader<'_>) -> Result<Workspace, Error> {
    if args.memory {
        return Ok(Workspace::memory()?);
    }
    if args.write {
        let path = existing_database(args.database.db.as_deref(), reader.env)?;
        return Ok(Workspace::open(path, false)?);
    }
    reader.existing(&args.database, &args.reading)
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

/// Which columns of a query are JSON, as far as can be told without running it: the engine's
/// results call them text. In brackets, so that several statements are refused, not run.
fn json_columns(storage: &StorageEngine, query: &str) -> Vec<bool> {
    let query = query.trim_end_matches(|c: char| c == ';' || c.is_whitespace());
    match storage.execute_rows(&format!("DESCRIBE (\n{query}\n)"), &[]) {
        Ok(described) => described.rows.iter().map(|row| row[1].as_str() == Some("JSON")).collect(),
        // Not a plain query, or a wrong one, which running it will tell better.
        Err(_) => Vec::new(),
    }
}

/// Why rows stop before their end.
enum Stop {
    Enough,
    Output(io::Error),
}

/// What the two callbacks of a running query share.
struct Printer<'a> {
    sink: &'a mut dyn Sink,
    columns: Vec<Column>,
    /// The beginning waits for the first row, so that a query that fails has printed nothing.
    begun: bool,
    left: usize,
    stop: Option<Stop>,
}

impl Printer<'_> {
    fn row(&mut self, row: Vec<Value>) -> mixpanel_data::Result<()> {
        let Some(left) = self.left.checked_sub(1) else { return self.halt(Stop::Enough) };
        self.left = left;
        match self.begin().and_then(|()| self.sink.row(row)) {
            Ok(()) => Ok(()),
            Err(error) => self.halt(Stop::Output(error)),
        }
    }

    fn halt(&mut self, why: Stop) -> mixpanel_data::Result<()> {
        self.stop = Some(why);
        Err(ErrorKind::Cancelled.into())
    }

    fn begin(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            self.sink.begin(&self.columns)?;
        }
        Ok(())
    }
}

/// Runs the query and writes its rows; tells how many were shown if there were more.
fn print(
    storage: &StorageEngine,
    query: &str,
    json: &[bool],
    limit: usize,
    sink: &mut dyn Sink,
) -> Result<Option<usize>, Error> {
    let printer = Printer { sink, columns: Vec::new(), begun: false, left: limit, stop: None };
    // The callbacks take turns.
    let printer = RefCell::new(printer);
    let outcome = storage.execute_streaming(
        query,
        &mut |schema| {
            let fields = schema.fields().iter().enumerate();
            printer.borrow_mut().columns = fields
                .map(|(at, field)| Column { json: json.get(at) == Some(&true), ..Column::of(field) })
                .collect();
            Ok(())
        },
        &mut |batch| rows_of(&batch).into_iter().try_for_each(|row| printer.borrow_mut().row(row)),
    );
    let mut printer = printer.into_inner();
    let shown = match (outcome, printer.stop.take()) {
        (_, Some(Stop::Output(error))) => return Err(error.into()),
        (_, Some(Stop::Enough)) => Some(limit),
        (Err(error), None) => return Err(error.into()),
        (Ok(()), None) => None,
    };
    printer.begin()?;
    printer.sink.end()?;
    Ok(shown)
}
