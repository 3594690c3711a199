//! `mp sql` and `mp run`: statements in, rows out, as they come.

mod answer;
pub(crate) mod parameters;
mod saved;
pub(crate) mod statements;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use mixpanel_data::{Value, Workspace, value_at};

use statements::Statement;

use super::Reader;
use crate::args;
use crate::config::existing_database;
use crate::error::Error;
use crate::output::{self, Format, Page};
use crate::signals::Signals;
use crate::text;
use crate::ui::Ui;

pub(crate) use answer::{answer, marked};
pub(crate) use saved::all as saved_names;

pub(crate) fn run(args: &args::Sql, reader: Reader<'_>) -> Result<(), Error> {
    let text = query(args, reader.signals)?;
    if let Some(name) = &args.save {
        let path = saved::save(name, &text, reader.env)?;
        reader.ui.say(&format!("saved as {}; `mp run {name}` runs it", path.display()));
    }
    execute(&text, &args.answer, reader)
}

/// `mp query sql --scalar`: the first cell of the result.
pub(crate) fn scalar(args: &args::Sql, reader: Reader<'_>) -> Result<(), Error> {
    let workspace = reader.signals.guard(open(&args.answer.target, reader)?);
    let mut first = None;
    let query = query(args, reader.signals)?;
    workspace.storage().execute_protected(&query, &[], &mut |_| Ok(()), &mut |batch| {
        if first.is_none() && batch.num_rows() > 0 && batch.num_columns() > 0 {
            first = Some(value_at(batch.column(0), 0));
        }
        Ok(())
    })?;
    let value = first.unwrap_or(Value::Null);
    output::scalar(&args.answer.output, reader.ui, &value)
}

/// `mp run`
pub(crate) fn run_saved(args: &args::Run, reader: Reader<'_>) -> Result<(), Error> {
    match &args.name {
        None => saved::list(args, reader),
        Some(name) => execute(&saved::load(name, reader.env)?, &args.answer, reader),
    }
}

/// Runs all statements of a text, one after the other, in one session.
fn execute(text: &str, args: &args::Answer, reader: Reader<'_>) -> Result<(), Error> {
    let Reader { ui, signals, .. } = reader;
    let statements = statements::split(text);
    if statements.is_empty() {
        return Err(Error::setting("the query is empty", "mp sql \"SELECT count(*) FROM events\""));
    }
    let given: Vec<(String, Value)> = args.param.clone();
    let used = |name: &String| statements.iter().any(|statement| statement.names.contains(name));
    if let Some((name, _)) = given.iter().find(|(name, _)| !used(name)) {
        return Err(Error::setting(
            format!("the query has no parameter ${name}"),
            "leave the -p out, or use it",
        ));
    }
    let values: Vec<Vec<Value>> =
        statements.iter().map(|statement| statement.values(&given)).collect::<Result<_, _>>()?;
    // What is wrong with the output is told before the query is run.
    let mut first = Some(page_of(args, ui)?);
    let workspace = signals.guard(open(&args.target, reader)?);
    let storage = workspace.storage();
    let one_file = args.output.is_one_file() || args.plot.draws_file();
    if one_file {
        let sure = |statement: &Statement| {
            storage
                .statements(&statement.sql)
                .is_ok_and(|kinds| kinds.last().is_some_and(|kind| kind.is_question()))
        };
        check_room(statements.iter().filter(|statement| sure(statement)).count())?;
    }
    let mut results = 0;
    for (statement, values) in statements.iter().zip(&values) {
        signals.check()?;
        let started = std::time::Instant::now();
        let mut page = || {
            results += 1;
            if one_file {
                check_room(results)?;
            }
            first.take().map_or_else(|| page_of(args, ui), Ok)
        };
        answer(storage, statement, values, ui, &mut page)?.tell(ui);
        ui.detail(1, || told(&statement.sql, started));
    }
    if let (0, Some(file)) = (results, args.output.file()) {
        ui.say(&format!("there are no rows, so {} was not written", file.display()));
    }
    Ok(())
}

/// Several results do not go into one file.
fn check_room(results: usize) -> Result<(), Error> {
    if results < 2 {
        return Ok(());
    }
    let hint = "one query for each file, or a format of lines on standard output";
    Err(Error::setting(format!("{results} results do not fit in one file"), hint))
}

fn page_of<'a>(args: &args::Answer, ui: &'a Ui) -> Result<Page<'a>, Error> {
    Ok(Page::new(&args.output, &args.rows, ui)?.with_pictures(&args.plot))
}

fn told(sql: &str, started: std::time::Instant) -> String {
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{:.3} s  {}", started.elapsed().as_secs_f64(), crate::output::clean(&line))
}

fn query(args: &args::Sql, signals: &Signals) -> Result<String, Error> {
    if let (Some(_), Some(file)) = (&args.query, &args.file) {
        let file = file.display().to_string();
        let hint = match Format::from_str(&file, true) {
            Ok(_) => format!("-f names a file here; for the format, use --format {file}"),
            Err(_) => "one of them; several statements may stand in either".to_owned(),
        };
        return Err(Error::setting("both a query and a file were given", hint));
    }
    let file = args.file.as_deref().filter(|path| *path != Path::new("-"));
    let text = match (file, args.query.as_deref()) {
        (Some(path), _) => text::read(path)?,
        (None, Some(query)) if query != "-" => query.to_owned(),
        (None, None) if args.file.is_none() && io::stdin().is_terminal() => {
            return Err(Error::setting(
                "no query",
                "mp sql \"SELECT …\", or -f FILE, or a query on standard input; `mp shell` is a prompt",
            ));
        }
        _ => {
            let _asking = signals.while_asking();
            text::read_all(io::stdin().lock())
                .map_err(|source| Error::Read { path: PathBuf::from("standard input"), source })?
        }
    };
    match text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}') {
        "" => Err(Error::setting("the query is empty", "mp sql \"SELECT count(*) FROM events\"")),
        trimmed => Ok(trimmed.to_owned()),
    }
}

/// Opens what SQL is run on.
pub(crate) fn open(target: &args::Target, reader: Reader<'_>) -> Result<Workspace, Error> {
    seal(target, open_unsealed(target, reader)?)
}

/// A workspace that was opened for this target, sealed if that was asked for.
pub(crate) fn seal(target: &args::Target, workspace: Workspace) -> Result<Workspace, Error> {
    if target.sealed {
        workspace.storage().seal()?;
    }
    Ok(workspace)
}

fn open_unsealed(target: &args::Target, reader: Reader<'_>) -> Result<Workspace, Error> {
    if target.memory {
        return Ok(reader.env.databases().empty()?);
    }
    if target.write {
        let path = existing_database(target.database.db.as_deref(), reader.env)?;
        return reader.patiently(target.wait, || reader.env.databases().existing(&path, false));
    }
    reader.existing(&target.database, &target.reading)
}
