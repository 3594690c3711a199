//! Repair of a damaged database, on a copy: the original is read, and nothing else.
//!
//! A ladder, and each rung is taken only if the one before does not do:
//!
//! 1. What can be put right exactly: a checkpoint that was cut off, by its journal;
//!    a wrong bit, by the checksum; a header, by its twin; a log, up to the damage.
//! 2. Metadata that cannot be put right gets another checksum, so that DuckDB opens
//!    the file. From there on nothing is believed that the rows do not prove: a day
//!    counts if the hash of its rows is that of the ledger.
//! 3. If everything in the file can be read then, the copy is that file.
//! 4. If not, the copy is a new database, and all that can be read goes into it. Days
//!    that cannot be are named and are not in its ledger, so that a sync fetches
//!    them, and only them.

mod files;
mod rows;
mod salvage;

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use mixpanel_client::time::ProjectClock;
use rustix::fs::{FlockOperation, fcntl_lock};
use serde::Serialize;

use self::salvage::Salvage;
use super::StorageEngine;
use super::definition::{Clock, Definition};
use super::format;
use super::journal::sync_folder_of;
use super::making::rename_new;
use super::mode::{Claim, EphemeralDir, sweep_folder};
use super::open::{Connector, common_settings, connect, set_private};
use super::place::{Found, Place, folder_of, open_regular};
use super::recovery::{LogRecovery, Recovery};
use super::verify::{Finding, VerifyDepth, readable};
use crate::error::{Error, ErrorKind, Result};
use crate::types::TableKind;

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Repair {
    /// The repaired copy. `None` when nothing was damaged: then none was made.
    pub copy: Option<PathBuf>,
    /// What was done, in order.
    pub steps: Vec<RepairStep>,
    /// The tables of the copy.
    pub tables: Vec<TableRepair>,
    /// What of the file is not in the copy, apart from rows of its tables.
    pub left_out: Vec<String>,
}

/// What became of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TableRepair {
    /// The table.
    pub table: String,
    /// What it holds; `None` for a table of the user's own.
    pub kind: Option<TableKind>,
    /// The rows it has in the copy.
    pub rows: u64,
    /// Project days that are lost. They are not in the copy's ledger, and a sync fetches them.
    pub lost_days: Vec<Date>,
    /// Rows that are lost apart from these days: no sync fetches them.
    pub lost_rows: u64,
}

/// Something that a repair did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RepairStep {
    /// Blocks of a checkpoint that was cut off were put back.
    Restored {
        /// How many.
        blocks: u64,
    },
    /// Blocks, headers or records of the log with one wrong bit were put right.
    Corrected {
        /// How many.
        places: u64,
    },
    /// The main header was made anew.
    MainHeader,
    /// One of the two headers was replaced by the other.
    Header {
        /// Whether the other may be of an older state.
        older: bool,
    },
    /// Damaged blocks of metadata got another checksum; only rows that prove themselves were taken.
    Metadata {
        /// How many.
        blocks: u64,
    },
    /// The log was used up to where it is damaged.
    Log {
        /// How many transactions are left out, as far as can be seen.
        transactions: u64,
    },
    /// The log could not be used.
    LogLeftOut,
    /// Rows were copied into a new database.
    Copied,
}

impl fmt::Display for RepairStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |count: u64| if count == 1 { "" } else { "s" };
        match self {
            RepairStep::Restored { blocks } => {
                write!(f, "a checkpoint was cut off: {blocks} block{} put back", s(*blocks))
            }
            RepairStep::Corrected { places } => {
                write!(f, "{places} wrong bit{} put right, by the checksum", s(*places))
            }
            RepairStep::MainHeader => f.write_str("the main header was damaged: made anew"),
            RepairStep::Header { older: false } => f.write_str("a header was damaged: the other one counts"),
            RepairStep::Header { older: true } => {
                f.write_str("a header was damaged: the other one counts, which is of an older state")
            }
            RepairStep::Metadata { blocks } => write!(
                f,
                "{blocks} block{} of metadata damaged: read all the same; of days that were fetched, those were taken \
                 that prove themselves; rows of other tables are as they were read",
                s(*blocks)
            ),
            RepairStep::Log { transactions } => write!(
                f,
                "the log was damaged: used up to there, {transactions} transaction{} left out",
                s(*transactions)
            ),
            RepairStep::LogLeftOut => f.write_str("the log could not be used: left out"),
            RepairStep::Copied => f.write_str("what could be read was copied into a new database"),
        }
    }
}

impl Repair {
    /// Days of all tables that are lost, and that a sync fetches.
    pub fn lost_days(&self) -> usize {
        self.tables.iter().map(|table| table.lost_days.len()).sum()
    }

    /// Whether a sync may bring back what is lost: days that are named, or what was done last.
    pub fn sync_brings_back(&self) -> bool {
        self.lost_days() > 0 || self.steps.iter().any(|step| step.leaves_out().is_some())
    }

    /// Whether something is lost.
    pub fn lost_something(&self) -> bool {
        !self.left_out.is_empty()
            || self.tables.iter().any(|table| !table.lost_days.is_empty() || table.lost_rows > 0)
    }
}

impl RepairStep {
    /// What a step leaves out, whatever that was.
    fn leaves_out(self) -> Option<String> {
        match self {
            RepairStep::Log { transactions: 1 } => Some("the last transaction of the log".to_owned()),
            RepairStep::Log { transactions } => {
                Some(format!("the last {} transactions of the log", transactions.max(1)))
            }
            RepairStep::LogLeftOut => Some("the transactions of the log".to_owned()),
            RepairStep::Header { older: true } => Some("what was written after the older state".to_owned()),
            _ => None,
        }
    }
}

/// What is believed of what can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Trust {
    /// All of it: each block has the checksum that was written.
    #[default]
    Checksums,
    /// What does not contradict the ledger: bits were put right.
    Corrected,
    /// What the hash of the ledger proves.
    Nothing,
}

impl Trust {
    fn takes(self, finding: Finding) -> bool {
        match self {
            Trust::Checksums => finding != Finding::Unreadable,
            Trust::Corrected => finding.is_good() || finding == Finding::NoEntry,
            Trust::Nothing => finding == Finding::Right,
        }
    }
}

#[cfg(feature = "duckdb")]
impl StorageEngine {
    /// Repairs a copy of a damaged database, at `copy`, where nothing may be yet. The
    /// file at `path` is not touched. `clock` says to which day a row belongs, for
    /// tables that do not record it themselves.
    ///
    /// # Errors
    /// [`DatabaseLocked`](ErrorKind::DatabaseLocked) while somebody writes the file,
    /// [`NotADatabase`](ErrorKind::NotADatabase) when nothing of it can be read,
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) when there is something at
    /// `copy`, and those of [`open`](Self::open).
    pub fn repair(path: impl AsRef<Path>, copy: impl AsRef<Path>, clock: &ProjectClock) -> Result<Repair> {
        Self::repair_with(&super::NativeConnector, path.as_ref(), copy.as_ref(), clock)
    }
}

impl StorageEngine {
    /// [`repair`](Self::repair) over a caller's own DuckDB.
    pub fn repair_with(
        connector: &dyn Connector,
        path: &Path,
        copy: &Path,
        clock: &ProjectClock,
    ) -> Result<Repair> {
        let place = Place::look(path)?;
        if place.found == Found::Nothing {
            return Err(ErrorKind::DatabaseNotFound { path: path.to_path_buf() }.into());
        }
        let target = Place::look(copy)?;
        if target.found != Found::Nothing {
            let why = format!("there is a file already: {}", target.path.display());
            return Err(Error::argument("copy", why));
        }
        target.may_be_made()?;
        let folder = folder_of(&target.path);
        std::fs::create_dir_all(folder).map_err(|error| Error::io("creating folder", folder, error))?;
        sweep_folder(folder);
        let workshop = EphemeralDir::create_in(folder)?;
        let work = workshop.file(OsStr::new("damaged.duckdb"));
        copy_quiet(&place.path, &work)?;
        let job = Job { connector, path: &place.path, workshop: &workshop, work, clock };
        let (mut repair, made) = job.run()?;
        if let Some(made) = made {
            set_private(&made)?;
            let io = |error| Error::io("creating", &target.path, error);
            File::open(&made).and_then(|file| file.sync_all()).map_err(io)?;
            rename_new(&made, &target.path).map_err(io)?;
            sync_folder_of(&target.path).map_err(io)?;
            repair.copy = Some(target.path);
        }
        Ok(repair)
    }
}

/// Copies a database that nobody is writing.
fn copy_quiet(path: &Path, work: &Path) -> Result<()> {
    // Closing a handle of ours would give up the locks that this process has on the file (POSIX).
    let _claim = Claim::take(path, false)?;
    let file = open_regular(path)?;
    if fcntl_lock(&file, FlockOperation::NonBlockingLockShared).is_err() {
        return Err(ErrorKind::DatabaseLocked { path: path.to_path_buf(), pid: None, command: None }.into());
    }
    files::copy(path, work).map_err(|error| Error::io("copying", path, error))
}

/// A repair in its folder.
struct Job<'a> {
    connector: &'a dyn Connector,
    /// The original, for messages.
    path: &'a Path,
    workshop: &'a EphemeralDir,
    work: PathBuf,
    clock: &'a ProjectClock,
}

impl Job<'_> {
    /// What was done, and the file that is to be the copy.
    fn run(&self) -> Result<(Repair, Option<PathBuf>)> {
        let mended = files::mend(&self.work, &self.template()?)
            .map_err(|error| Error::io("repairing a copy of", self.path, error))?
            .ok_or_else(|| self.nothing("its headers make no sense"))?;
        let trust = mended.trust;
        let mut repair = Repair { steps: mended.steps, ..Repair::default() };
        let source = self.open(&mut repair.steps)?;
        if let Some(Recovery { log: Some(log), .. }) = source.recovery() {
            repair.steps.extend(log_step(log));
        }
        let left_out: Vec<String> = repair.steps.iter().filter_map(|step| step.leaves_out()).collect();
        let is_whole = match self.is_whole(&source, trust) {
            Ok(is_whole) => is_whole,
            Err(error) => readable(error).map(|_| false)?,
        };
        let mut lost_entries = false;
        let made = if is_whole {
            repair.tables = whole_tables(&source)?;
            source.close();
            if repair.steps.is_empty() {
                return Ok((repair, None));
            }
            // What is in the log goes into the file, which has to be alone in its new place.
            StorageEngine::open_with(self.connector, &self.work)?.close();
            self.work.clone()
        } else {
            repair.steps.push(RepairStep::Copied);
            let made = self.workshop.file(OsStr::new("repaired.duckdb"));
            let target = StorageEngine::open_with(self.connector, &made)?;
            let mut salvage = Salvage::new(&source, &target, self.clock, trust);
            repair.tables = salvage.run(&self.work).map_err(|error| self.explain(error))?;
            lost_entries = salvage.lost_entries;
            repair.left_out = salvage.left_out;
            source.close();
            target.close();
            made
        };
        if !left_out.is_empty() || lost_entries {
            self.name_missing_days(&made, &mut repair)?;
        }
        repair.left_out.splice(0..0, left_out);
        Ok((repair, Some(made)))
    }

    /// The main header that this DuckDB writes.
    fn template(&self) -> Result<Vec<u8>> {
        let path = self.workshop.file(OsStr::new("new.duckdb"));
        let mut connection = connect(self.connector, &path, common_settings())?;
        connection.execute(&format!("{} CHECKPOINT;", format::create()))?;
        drop(connection);
        files::main_header(&path).map_err(|error| Error::io("reading", &path, error))
    }

    /// Opens the copy as far as it was put right; without its log, if that is the trouble.
    fn open(&self, steps: &mut Vec<RepairStep>) -> Result<StorageEngine> {
        let open = || StorageEngine::open_existing_with(self.connector, &self.work, true);
        let why = match open() {
            Ok(engine) => return Ok(engine),
            Err(error) => readable(error)?,
        };
        let io = |error| Error::io("repairing a copy of", self.path, error);
        if !files::remove_logs(&self.work).map_err(io)? {
            return Err(self.nothing(&why));
        }
        match open() {
            Ok(engine) => {
                steps.push(RepairStep::LogLeftOut);
                Ok(engine)
            }
            Err(error) => {
                readable(error)?;
                Err(self.nothing(&why))
            }
        }
    }

    fn nothing(&self, why: &str) -> Error {
        let message = format!("it is damaged, and nothing of it can be read: {why}");
        ErrorKind::NotADatabase { path: self.path.to_path_buf(), message }.into()
    }

    /// An error about the copy, told of the original.
    fn explain(&self, error: Error) -> Error {
        match readable(error) {
            Ok(why) => self.nothing(&why),
            Err(error) => error,
        }
    }

    /// Whether everything in the file can be read, and can be believed.
    fn is_whole(&self, source: &StorageEngine, trust: Trust) -> Result<bool> {
        for table in rows::tables(source)? {
            if !rows::can_be_read(source, &table, rows::WHOLE_ROW, "")? {
                return Ok(false);
            }
        }
        if trust == Trust::Checksums {
            return Ok(true);
        }
        for table in source.list_tables()? {
            let clock = clock_of(source, &table.name, self.clock);
            let entries = source.entries("_ledger", &table.name)?;
            let found = source.verify_table(&table, &entries, &clock, VerifyDepth::Data)?;
            let days = found.days.iter().all(|day| trust.takes(day.finding));
            if !days || !found.columns.is_empty() || found.unreadable.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What was left out may have had days: those within the reach of a table that was fetched, and
    /// not in its ledger.
    fn name_missing_days(&self, made: &Path, repair: &mut Repair) -> Result<()> {
        let made = StorageEngine::open_existing_with(self.connector, made, true)?;
        for table in repair.tables.iter_mut().filter(|table| table.kind == Some(TableKind::Events)) {
            let metadata = made.get_metadata(&table.table)?;
            let (Some(from), Some(to)) = (metadata.from_date, metadata.to_date) else { continue };
            let known = made.ledger_days(&table.table, from, to)?;
            let definition = made.with_reader(|connection| Definition::load(connection, &table.table))?;
            if known.is_empty() && definition.project.is_none() {
                // A caller's own.
                continue;
            }
            let days = from.series(jiff::Span::new().days(1)).take_while(|day| *day <= to);
            table.lost_days = days.filter(|day| !known.contains_key(day)).collect();
        }
        made.close();
        Ok(())
    }
}

fn log_step(log: &LogRecovery) -> Option<RepairStep> {
    match log {
        // The file has it already.
        LogRecovery::OtherState { newer: false, .. } => None,
        // Not confirmed, if power was lost. If a byte rotted, it was.
        LogRecovery::Unfinished { .. } => Some(RepairStep::Log { transactions: 1 }),
        LogRecovery::Damaged { transactions, .. } => Some(RepairStep::Log { transactions: *transactions }),
        LogRecovery::OtherState { .. } => Some(RepairStep::LogLeftOut),
    }
}

fn whole_tables(source: &StorageEngine) -> Result<Vec<TableRepair>> {
    let tables = source.list_tables()?.into_iter().map(|table| TableRepair {
        table: table.name,
        kind: Some(table.kind),
        rows: table.row_count,
        lost_days: Vec::new(),
        lost_rows: 0,
    });
    Ok(tables.collect())
}

/// The clock that a table was filled with; the given one, if that was not written down.
fn clock_of(source: &StorageEngine, table: &str, otherwise: &ProjectClock) -> ProjectClock {
    let known = source.with_reader(|connection| Definition::load(connection, table));
    let clock = known.ok().and_then(|definition| definition.clock.as_ref().map(Clock::project_clock));
    clock.unwrap_or_else(|| otherwise.clone())
}
