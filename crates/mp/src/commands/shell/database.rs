//! The shell's database: open while a statement runs, and given back while a person thinks.
//!
//! A file that is open cannot be written by anybody else, and a prompt may be left alone for days.
//! So the file is closed between statements, unless the session holds something that would go with
//! it: temporary tables, settings, prepared statements, a transaction.

use std::path::PathBuf;

use jiff::Timestamp;
use mixpanel_data::{StatementKind, StorageMode, Workspace};

use crate::args;
use crate::commands::Reader;
use crate::commands::sql;
use crate::config::existing_database;
use crate::error::Error;
use crate::signals::Guarded;

/// What of a connection would be lost with it.
const TEMPORARY: &str = "SELECT (SELECT count(*) FROM duckdb_tables() WHERE temporary)
    + (SELECT count(*) FROM duckdb_views() WHERE temporary AND NOT internal)
    + (SELECT count(*) FROM duckdb_functions() WHERE database_name = 'temp' AND NOT internal
        AND function_name <> 'local_time')";

/// A database that is opened when it is needed.
pub(super) struct Database<'a> {
    target: &'a args::Target,
    reader: Reader<'a>,
    open: Option<Guarded>,
    opened: Timestamp,
    /// Whether the session holds something.
    holds: bool,
}

impl<'a> Database<'a> {
    pub(super) fn open(target: &'a args::Target, reader: Reader<'a>) -> Result<Self, Error> {
        let mut database = Database { target, reader, open: None, opened: Timestamp::now(), holds: false };
        database.workspace()?;
        Ok(database)
    }

    /// The database, opened again if it was given back.
    pub(super) fn workspace(&mut self) -> Result<&Workspace, Error> {
        if self.is_copy() && !self.holds {
            self.look_behind_copy()?;
        }
        let opened = match self.open.take() {
            Some(opened) => opened,
            None => {
                self.opened = Timestamp::now();
                self.reader.signals.guard(sql::open(self.target, self.reader)?)
            }
        };
        Ok(self.open.insert(opened))
    }

    /// Whether SQL is to reach nothing but the database.
    pub(super) fn is_sealed(&self) -> bool {
        self.target.sealed
    }

    /// A copy stands in for a file that is being written. Once that is over, the file itself is read.
    fn look_behind_copy(&mut self) -> Result<(), Error> {
        let path: PathBuf = existing_database(self.target.database.db.as_deref(), self.reader.env)?;
        if let Ok(workspace) = self.reader.env.databases().existing(&path, true) {
            self.open = None;
            self.open = Some(self.reader.signals.guard(sql::seal(self.target, workspace)?));
            return Ok(());
        }
        let taken = self.opened.strftime("%T UTC");
        self.reader.ui.say(&format!("reading the copy of {taken}; .refresh takes a new one"));
        Ok(())
    }

    /// Forgets a copy, so that what follows is read as it is then.
    pub(super) fn refresh(&mut self) -> Result<(), Error> {
        if self.holds {
            let hint = "end the shell and start it again";
            return Err(Error::setting(
                "the session has something to keep, which a new copy would lose",
                hint,
            ));
        }
        self.open = None;
        self.workspace().map(drop)
    }

    /// Takes note of statements that ran.
    pub(super) fn ran(&mut self, kinds: &[StatementKind]) {
        let before = self.holds;
        self.holds |= kinds.iter().any(|kind| match kind {
            StatementKind::Create => self.has_temporary(),
            StatementKind::Prepare
            | StatementKind::Set
            | StatementKind::Transaction
            | StatementKind::Attach
            | StatementKind::Load
            | StatementKind::Unknown => true,
            _ => false,
        });
        if self.holds && !before && self.is_file() {
            self.reader
                .ui
                .say("the database stays open from now on, so that the session keeps what this made");
        }
    }

    fn has_temporary(&self) -> bool {
        let Some(open) = &self.open else { return false };
        open.storage().execute_scalar(TEMPORARY).map_or(true, |count| count.as_i64() != Some(0))
    }

    fn is_copy(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.storage().snapshot().is_some())
    }

    fn is_file(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.storage().mode() == StorageMode::Persistent)
    }

    /// Lets others write the file, while nothing is to be done.
    pub(super) fn rest(&mut self) {
        if !self.holds && self.is_file() && !self.is_copy() {
            self.open = None;
        }
    }
}
