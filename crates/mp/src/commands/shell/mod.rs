//! `mp shell`: a prompt for SQL.

mod commands;
mod complete;
mod database;
mod input;

use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Instant;

use mixpanel_data::{StorageMode, Value};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};

use super::Reader;
use super::catalog::Catalog;
use super::sql::{answer, statements};
use crate::args;
use crate::config::state_folder;
use crate::error::{self, Error};
use crate::output::{Column, Format, List, Page};
use crate::text;
use crate::ui::thousands;

use commands::{COMMANDS, Command};
use complete::Prompt;
use database::Database;
use input::{Input, Piece};

const HISTORY: usize = 5_000;

/// At a new statement, and within one.
const PROMPTS: [&str; 2] = ["mp> ", "..> "];

/// How deep files may read files: one that reads itself comes to an end.
const DEEPEST: usize = 16;

const TABLES: &str = "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'main' \
    ORDER BY starts_with(table_name, '_'), 1";
const COLUMNS: &str = "SELECT table_name AS \"table\", column_name AS \"column\", data_type AS type \
    FROM information_schema.columns WHERE table_schema = 'main' AND NOT starts_with(table_name, '_') \
    ORDER BY table_name, ordinal_position";

pub(crate) fn run(args: &args::Shell, reader: Reader<'_>) -> Result<(), Error> {
    let database = Database::open(&args.target, reader)?;
    let mut session = Session { database, reader, format: args.format, limit: None, timer: true };
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
    database: Database<'a>,
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
        let catalog = Catalog::read(self.database.workspace()?.storage());
        editor.set_helper(Some(Prompt { catalog }));
        let history = self.history()?;
        if let Some(path) = &history {
            // There is none yet at the first start.
            let _ = editor.load_history(path);
        }
        let mut input = Input::default();
        'reading: loop {
            self.database.rest();
            match editor.readline(PROMPTS[usize::from(!input.is_empty())]) {
                Ok(text) => {
                    // What was pasted may be several lines.
                    for line in text.lines() {
                        let Some(piece) = input.push(line) else { continue };
                        let (Piece::Command(entry) | Piece::Sql(entry)) = &piece;
                        editor.add_history_entry(entry.trim_end()).map_err(terminal)?;
                        match self.perform(&piece, 0) {
                            Ok(true) => {}
                            Ok(false) => break 'reading,
                            Err(error) => self.tell(&error),
                        }
                    }
                }
                // Ctrl-C drops what has begun.
                Err(ReadlineError::Interrupted) => input.clear(),
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
        let mut lines = io::stdin().lock().lines();
        let mut next = || {
            let _asking = signals.while_asking();
            lines.next().transpose()
        };
        let unreadable = |source| Error::Read { path: "standard input".into(), source };
        let mut input = Input::default();
        while let Some(line) = next().map_err(unreadable)? {
            if let Some(piece) = input.push(&line)
                && !self.perform(&piece, 0)?
            {
                return Ok(());
            }
        }
        input.rest().map_or(Ok(()), |piece| self.perform(&piece, 0).map(drop))
    }

    /// `.read`: what a file says, as if it were typed. The first failure is the end.
    fn read(&mut self, path: &Path, depth: usize) -> Result<bool, Error> {
        if depth >= DEEPEST {
            let what = format!("{} is read within {DEEPEST} other files", path.display());
            return Err(Error::setting(what, "does it read itself?"));
        }
        let text = text::read(path)?;
        let mut input = Input::default();
        for (at, line) in text.lines().enumerate() {
            if let Some(piece) = input.push(line) {
                match self.perform(&piece, depth + 1) {
                    Ok(true) => {}
                    Ok(false) => return Ok(false),
                    Err(error) => {
                        self.reader.ui.say(&format!("{}, line {}:", path.display(), at + 1));
                        return Err(error);
                    }
                }
            }
        }
        input.rest().map_or(Ok(true), |piece| self.perform(&piece, depth + 1))
    }

    fn greet(&mut self) -> Result<(), Error> {
        let info = self.database.workspace()?.info()?;
        let place = match &info.path {
            Some(path) => path.display().to_string(),
            None => "memory; nothing is kept, no history either".to_owned(),
        };
        let ui = self.reader.ui;
        ui.say(&format!("mp {} on {place}", env!("CARGO_PKG_VERSION")));
        let shadowed = self.database.workspace()?.storage().shadowed_names()?;
        if !shadowed.is_empty() {
            ui.say(&super::shadows(&shadowed));
        }
        ui.say("SQL ends with a semicolon. Tab completes, .help lists the commands, Ctrl-D or exit ends.");
        Ok(())
    }

    /// Where the history is kept; nowhere in memory mode.
    fn history(&mut self) -> Result<Option<PathBuf>, Error> {
        let kept = self.database.workspace()?.storage().mode() != StorageMode::InMemory;
        Ok(state_folder(self.reader.env).filter(|_| kept).map(|folder| folder.join("history")))
    }

    /// Does what was said; `false` at the end.
    fn perform(&mut self, piece: &Piece, depth: usize) -> Result<bool, Error> {
        match piece {
            Piece::Command(line) => {
                let command =
                    commands::parse(line).map_err(|what| Error::setting(what, ".help lists the commands"))?;
                self.command(command, depth)
            }
            Piece::Sql(sql) => {
                statements::split(sql).iter().try_for_each(|statement| self.statement(statement))?;
                Ok(true)
            }
        }
    }

    fn statement(&mut self, statement: &statements::Statement) -> Result<(), Error> {
        if let Some(name) = statement.names.first() {
            let hint = format!(
                "the shell has none: write the value, or SET VARIABLE {name} = …; and getvariable('{name}')"
            );
            return Err(Error::setting(format!("the parameter ${name} has no value"), hint));
        }
        let started = Instant::now();
        self.ask(statement)?;
        if self.timer {
            self.reader.ui.say(&format!("{:.3} s", started.elapsed().as_secs_f64()));
        }
        Ok(())
    }

    /// Runs a statement, prints what it gives, and takes note of what it leaves behind.
    fn ask(&mut self, statement: &statements::Statement) -> Result<(), Error> {
        let (output, rows) = (self.output(), args::Rows { limit: self.limit, all: false });
        let ui = self.reader.ui;
        let mut page = || Ok(Page::new(&output, &rows, ui)?.in_shell());
        let storage = self.database.workspace()?.storage();
        let kinds = storage.statements(&statement.sql);
        let outcome = answer(storage, statement, &[], ui, &mut page);
        if let (Ok(_), Ok(kinds)) = (&outcome, kinds) {
            self.database.ran(&kinds);
        }
        outcome?.tell(ui);
        Ok(())
    }

    fn command(&mut self, command: Command, depth: usize) -> Result<bool, Error> {
        let ui = self.reader.ui;
        match command {
            Command::Quit => return Ok(false),
            Command::Help => {
                for (name, takes, does) in COMMANDS {
                    ui.say(&format!("{:<20} {does}", format!("{name} {takes}")));
                }
            }
            // What a file says would be seen in the errors about it.
            Command::Read(_) if self.database.is_sealed() => {
                return Err(Error::setting(
                    "a sealed shell reads no file",
                    "without --sealed it does; or the statements themselves",
                ));
            }
            Command::Read(path) => return self.read(&path, depth),
            Command::Refresh => self.database.refresh()?,
            Command::Tables => self.sql(TABLES)?,
            Command::Schema(None) => self.sql(COLUMNS)?,
            Command::Schema(Some(table)) => self.schema(&table)?,
            Command::Mode(Some(format)) => self.format = Some(format),
            Command::Mode(None) => {
                let format = self.format.unwrap_or(if ui.to_terminal { Format::Table } else { Format::Json });
                ui.say(&format!("{format:?}").to_lowercase());
            }
            Command::Limit(Some(0)) => self.limit = Some(usize::MAX),
            Command::Limit(Some(limit)) => self.limit = Some(limit),
            Command::Limit(None) => ui.say(&match self.limit {
                Some(usize::MAX) => "all rows".to_owned(),
                Some(limit) => thousands(limit as u64),
                None => "1,000 on a terminal, else all rows".to_owned(),
            }),
            Command::Timer(on) => self.timer = on,
        }
        Ok(true)
    }

    /// One statement of ours.
    fn sql(&mut self, sql: &str) -> Result<(), Error> {
        statements::split(sql).iter().try_for_each(|statement| self.ask(statement))
    }

    /// The columns of a table. The lookup tells a name that is not there.
    fn schema(&mut self, table: &str) -> Result<(), Error> {
        let schema = self.database.workspace()?.table_schema(table)?;
        let mut list = List::new(["column", "type"].map(Column::text));
        for column in schema.columns {
            list.push([column.name, column.sql_type].map(Value::Text));
        }
        crate::output::list(&self.output(), self.reader.ui, &list)
    }

    fn output(&self) -> args::Output {
        args::Output { format: self.format, ..args::Output::default() }
    }

    /// A failure is told, and the prompt comes back.
    fn tell(&self, error: &Error) {
        error::tell_in_shell(error, self.reader.ui);
    }
}

fn terminal(error: ReadlineError) -> Error {
    match error {
        ReadlineError::Io(source) => Error::Read { path: "the terminal".into(), source },
        other => Error::Read { path: "the terminal".into(), source: io::Error::other(other) },
    }
}
