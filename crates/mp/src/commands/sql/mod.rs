//! `mp sql` and `mp run`: statements in, rows out, as they come.

mod answer;
mod saved;
pub(crate) mod statements;

use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use mixpanel_data::{Value, Workspace, value_at};

use super::Reader;
use crate::args;
use crate::config::existing_database;
use crate::error::Error;
use crate::output::{self, Page};
use crate::signals::Signals;
use crate::ui::Ui;

pub(crate) use answer::{answer, marked, perform};
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
    let Some((last, before)) = statements.split_last() else {
        return Err(Error::setting("the query is empty", "mp sql \"SELECT count(*) FROM events\""));
    };
    let given: Vec<(String, Value)> = args.param.clone();
    let used = |name: &String| statements.iter().any(|statement| statement.names.contains(name));
    if let Some((name, _)) = given.iter().find(|(name, _)| !used(name)) {
        return Err(Error::setting(
            format!("the query has no parameter ${name}"),
            "leave the -p out, or use it",
        ));
    }
    let values = |statement: &statements::Statement| statement.values(&given);
    statements.iter().try_for_each(|statement| values(statement).map(drop))?;
    let results = before.iter().filter(|statement| statement.is_query()).count() + 1;
    let plot = &args.plot;
    let drawn = plot.svg.is_some() || plot.html.is_some() || plot.png.is_some();
    if results > 1 && (args.output.is_one_file() || drawn) {
        let hint = "one query for each file, or a format of lines on standard output";
        return Err(Error::setting(format!("{results} results do not fit in one file"), hint));
    }
    // What is wrong with the output is told before the query is run.
    let mut page = Some(page_of(args, ui)?);
    let workspace = signals.guard(open(&args.target, reader)?);
    let storage = workspace.storage();
    for statement in before {
        signals.check()?;
        let started = std::time::Instant::now();
        if statement.is_query() {
            let page = match page.take() {
                Some(page) => page,
                None => page_of(args, ui)?,
            };
            answer(storage, statement, &values(statement)?, page)?;
        } else {
            perform(storage, statement, &values(statement)?)?;
        }
        ui.detail(1, || told(&statement.sql, started));
    }
    signals.check()?;
    let page = match page.take() {
        Some(page) => page,
        None => page_of(args, ui)?,
    };
    let started = std::time::Instant::now();
    answer(storage, last, &values(last)?, page)?;
    ui.detail(1, || told(&last.sql, started));
    Ok(())
}

fn page_of<'a>(args: &args::Answer, ui: &'a Ui) -> Result<Page<'a>, Error> {
    Ok(Page::new(&args.output, &args.rows, ui)?.with_pictures(&args.plot))
}

fn told(sql: &str, started: std::time::Instant) -> String {
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{:.3} s  {}", started.elapsed().as_secs_f64(), crate::output::clean(&line))
}

fn query(args: &args::Sql, signals: &Signals) -> Result<String, Error> {
    let file = args.file.as_deref().filter(|path| *path != Path::new("-"));
    let text = match (file, args.query.as_deref()) {
        (Some(path), _) => {
            std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?
        }
        (None, Some(query)) if query != "-" => query.to_owned(),
        (None, None) if args.file.is_none() && io::stdin().is_terminal() => {
            return Err(Error::setting(
                "no query",
                "mp sql \"SELECT …\", or -f FILE, or a query on standard input; `mp shell` is a prompt",
            ));
        }
        _ => {
            let path = PathBuf::from("standard input");
            let mut text = String::new();
            let _asking = signals.while_asking();
            io::stdin().read_to_string(&mut text).map_err(|source| Error::Read { path, source })?;
            text
        }
    };
    match text.trim() {
        "" => Err(Error::setting("the query is empty", "mp sql \"SELECT count(*) FROM events\"")),
        trimmed => Ok(trimmed.to_owned()),
    }
}

/// Opens what SQL is run on.
pub(crate) fn open(target: &args::Target, reader: Reader<'_>) -> Result<Workspace, Error> {
    if target.memory {
        return Ok(reader.env.databases().empty()?);
    }
    if target.write {
        let path = existing_database(target.database.db.as_deref(), reader.env)?;
        return Ok(super::opened(reader.env.databases().existing(&path, false)?, reader.ui));
    }
    reader.existing(&target.database, &target.reading)
}
