//! `mp shell`: a prompt for SQL.

mod commands;
mod complete;

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;
use std::time::Instant;

use mixpanel_data::StorageMode;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};

use super::Reader;
use super::catalog::Catalog;
use super::sql::statements::{self, Statement};
use super::sql::{answer, perform};
use crate::args;
use crate::config::state_folder;
use crate::error::{self, Error};
use crate::output::{Format, Page};
use crate::signals::Guarded;
use crate::ui::thousands;

use commands::{COMMANDS, Command};
use complete::Prompt;

const HISTORY: usize = 5_000;

pub(crate) fn run(args: &args::Shell, reader: Reader<'_>) -> Result<(), Error> {
    let workspace = reader.signals.guard(super::sql::open(&args.target, reader)?);
    let mut session = Session { workspace, reader, format: args.format, limit: None, timer: true };
    if !io::stdin().is_terminal() {
        return session.script();
    }
    // A query is stopped by Ctrl-C, and the shell is not.
    reader.signals.only_interrupt(true);
    let outcome = session.prompt();
    reader.signals.only_interrupt(false);
    outcome
}

struct Session<'a> {
    workspace: Guarded,
    reader: Reader<'a>,
    format: Option<Format>,
    limit: Option<usize>,
    timer: bool,
}

impl Session<'_> {
    /// Reads lines from a person.
    fn prompt(&mut self) -> Result<(), Error> {
        self.greet()?;
        let config = Config::builder()
            .max_history_size(HISTORY)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(terminal)?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .build();
        let mut editor: Editor<Prompt, FileHistory> = Editor::with_config(config).map_err(terminal)?;
        editor.set_helper(Some(Prompt { catalog: Catalog::read(self.workspace.storage()) }));
        let history = self.history();
        if let Some(path) = &history {
            // There is none yet at the first start.
            let _ = editor.load_history(path);
        }
        loop {
            match editor.readline("mp> ") {
                Ok(line) => {
                    if !line.trim().is_empty() {
                        editor.add_history_entry(line.as_str()).map_err(terminal)?;
                    }
                    match self.line(&line) {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(error) => self.tell(&error),
                    }
                }
                // Ctrl-C drops the line.
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => break,
                Err(error) => return Err(terminal(error)),
            }
        }
        if let Some(path) = &history {
            let _ = path.parent().map(std::fs::create_dir_all);
            if let Err(error) = editor.save_history(path) {
                self.reader.ui.say(&format!("the history could not be kept in {}: {error}", path.display()));
            }
        }
        Ok(())
    }

    /// Reads statements that somebody pipes in. The first failure is the end.
    fn script(&mut self) -> Result<(), Error> {
        self.timer = false;
        let signals = self.reader.signals;
        let mut pending = String::new();
        let mut lines = io::stdin().lock().lines();
        let mut next = || {
            let _asking = signals.while_asking();
            lines.next().transpose()
        };
        let unreadable = |source| Error::Read { path: "standard input".into(), source };
        while let Some(line) = next().map_err(unreadable)? {
            if pending.trim().is_empty() && line.starts_with('.') {
                if !self.line(&line)? {
                    return Ok(());
                }
                continue;
            }
            pending.push_str(&line);
            pending.push('\n');
            // Only these can end a statement, or a comment behind one; asking takes all that is pending.
            let may_end = line.contains(';') || line.contains("*/");
            if may_end && statements::is_complete(&pending) {
                let sql = std::mem::take(&mut pending);
                self.line(&sql)?;
            }
        }
        self.line(&pending).map(drop)
    }

    fn greet(&self) -> Result<(), Error> {
        let info = self.workspace.info()?;
        let place = match &info.path {
            Some(path) => path.display().to_string(),
            None => "memory; nothing is kept, no history either".to_owned(),
        };
        let ui = self.reader.ui;
        ui.say(&format!("mp {} on {place}", env!("CARGO_PKG_VERSION")));
        ui.say("SQL ends with a semicolon. Tab completes, .help lists the commands, Ctrl-D ends.");
        Ok(())
    }

    /// Where the history is kept; nowhere in memory mode.
    fn history(&self) -> Option<PathBuf> {
        let kept = self.workspace.storage().mode() != StorageMode::InMemory;
        state_folder(self.reader.env).filter(|_| kept).map(|folder| folder.join("history"))
    }

    /// Does what a line says; `false` at the end.
    fn line(&mut self, line: &str) -> Result<bool, Error> {
        if line.starts_with('.') {
            let command =
                commands::parse(line).map_err(|what| Error::setting(what, ".help lists the commands"))?;
            return self.command(command);
        }
        for statement in statements::split(line) {
            let started = Instant::now();
            let values = statement.values(&[])?;
            if gives_rows(&statement) {
                answer(self.workspace.storage(), &statement, &values, self.page()?)?;
            } else {
                perform(self.workspace.storage(), &statement, &values)?;
            }
            if self.timer {
                self.reader.ui.say(&format!("{:.3} s", started.elapsed().as_secs_f64()));
            }
        }
        Ok(true)
    }

    fn command(&mut self, command: Command) -> Result<bool, Error> {
        let ui = self.reader.ui;
        match command {
            Command::Quit => return Ok(false),
            Command::Help => {
                for (name, takes, does) in COMMANDS {
                    ui.say(&format!("{:<20} {does}", format!("{name} {takes}")));
                }
            }
            Command::Tables => self.ask("SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'main' ORDER BY starts_with(table_name, '_'), 1")?,
            Command::Schema(None) => self.ask("SELECT table_name AS \"table\", column_name AS \"column\", data_type AS type FROM information_schema.columns WHERE table_schema = 'main' AND NOT starts_with(table_name, '_') ORDER BY table_name, ordinal_position")?,
            Command::Schema(Some(table)) => {
                // The lookup tells a name that is not there; the statement names it quoted.
                let schema = self.workspace.table_schema(&table)?;
                let mut list = crate::output::List::new(["column", "type"].map(crate::output::Column::text));
                for column in schema.columns {
                    list.push([column.name, column.sql_type].map(mixpanel_data::Value::Text));
                }
                crate::output::list(&self.output(), ui, &list)?;
            }
            Command::Mode(Some(format)) => self.format = Some(format),
            Command::Mode(None) => {
                let format = self.format.unwrap_or(if ui.to_terminal { Format::Table } else { Format::Json });
                ui.say(&format!("{format:?}").to_lowercase());
            }
            Command::Limit(Some(0)) => self.limit = Some(usize::MAX),
            Command::Limit(Some(limit)) => self.limit = Some(limit),
            Command::Limit(None) => {
                let shown = self.limit.map_or_else(|| "1,000 on a terminal".to_owned(), |limit| thousands(limit as u64));
                ui.say(&shown);
            }
            Command::Timer(on) => self.timer = on,
        }
        Ok(true)
    }

    fn ask(&self, sql: &str) -> Result<(), Error> {
        let page = self.page()?;
        statements::split(sql)
            .iter()
            .take(1)
            .zip([page])
            .try_for_each(|(statement, page)| answer(self.workspace.storage(), statement, &[], page))
    }

    fn output(&self) -> args::Output {
        args::Output { format: self.format, ..args::Output::default() }
    }

    fn page(&self) -> Result<Page<'_>, Error> {
        Page::new(&self.output(), &args::Rows { limit: self.limit, all: false }, self.reader.ui)
    }

    /// A failure is told, and the prompt comes back.
    fn tell(&self, error: &Error) {
        let _ = error::report(error, self.reader.ui, None);
    }
}

/// Whether a statement has rows to print; it may change something all the same.
fn gives_rows(statement: &Statement) -> bool {
    let code = statement.sql.lines().filter(|line| !line.trim_start().starts_with("--"));
    let words = code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'));
    let mut words = words.filter(|word| !word.is_empty());
    let is = |word: &str, what: &str| word.eq_ignore_ascii_case(what);
    statement.is_query()
        || words.next().is_some_and(|first| is(first, "PRAGMA") || is(first, "EXECUTE"))
        || words.any(|word| is(word, "RETURNING"))
}

fn terminal(error: ReadlineError) -> Error {
    match error {
        ReadlineError::Io(source) => Error::Read { path: "the terminal".into(), source },
        other => Error::Read { path: "the terminal".into(), source: io::Error::other(other) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_with_rows_are_printed_whatever_they_change() {
        let gives = |sql: &str| gives_rows(&statements::split(sql)[0]);
        for rows in [
            "SELECT 1",
            "PRAGMA database_size",
            "-- a size\npragma database_size",
            "EXECUTE q(1)",
            "INSERT INTO a VALUES (1) RETURNING *",
            "DELETE FROM a\nreturning(b)",
        ] {
            assert!(gives(rows), "{rows}");
        }
        for none in ["CREATE TABLE a (b INTEGER)", "INSERT INTO a VALUES (1)", "SET threads = 1"] {
            assert!(!gives(none), "{none}");
        }
    }
}
