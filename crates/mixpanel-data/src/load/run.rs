//! The run of a load: file after file, each in a transaction of its own.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;
use mixpanel_client::export::{ColumnPlan, DecodeOptions, EventDecoder};
use mixpanel_client::time::ProjectClock;

use super::fault::Fault;
use super::input::{Source, sources};
use super::lines::{Piece, read};
use super::recognise::{Found, HEAD, LoadFormat, recognise};
use super::source::FileSource;
use super::{FileReport, Load, LoadInput, LoadProgress, LoadResult, OnLoadProgress, Recognised};
use crate::error::{Error, Result};
use crate::storage::chunk::{ChunkSpec, Create, Loading, Scope, Written};
use crate::storage::filters::Filters;
use crate::storage::{DEFAULT_MAX_COLUMNS, DayState, Definition, OnReject, StorageEngine, check_table_name};
use crate::types::{TableKind, TableMetadata};

/// Progress is told at most this often.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Events and refused lines that a preview shows.
const SHOWN: usize = 3;

/// Loads files into a table.
pub(crate) fn load(
    storage: &StorageEngine,
    now: Timestamp,
    load: &Load,
    inputs: Vec<LoadInput>,
    on_progress: OnLoadProgress<'_>,
) -> Result<LoadResult> {
    let started = Instant::now();
    check_table_name(&load.table)?;
    let mut sources = sources(inputs)?;
    if sources.is_empty() {
        return Err(Error::argument("files", "there are none"));
    }
    let (table, clock) = place(storage, &load.table, load.clock.clone())?;
    // A file that is none of events is told before anything is stored.
    for source in sources.iter_mut().filter(|source| source.is_file()) {
        source.look(load, &clock)?;
    }
    let progress = LoadProgress {
        files: sources.len() as u32,
        bytes_total: sources.iter().map(|source| source.size).sum(),
        ..LoadProgress::default()
    };
    let mut run =
        Run { storage, load, table: &table, clock, now, started, progress, told: None, on_progress };
    let mut files = Vec::with_capacity(sources.len());
    let mut total_rows = None;
    for source in &mut sources {
        let (report, written) = run.file(source)?;
        total_rows = written.or(total_rows);
        files.push(report);
    }
    if total_rows.is_some() {
        // The rows are in: what fails here only costs speed or space.
        let _ = storage.finish(&table, TableKind::Events);
    }
    let known = storage.list_tables()?.into_iter().find(|known| known.name.eq_ignore_ascii_case(&table));
    let sum = |count: fn(&FileReport) -> u64| files.iter().map(count).sum::<u64>();
    Ok(LoadResult {
        total_rows: known.as_ref().map_or(0, |known| known.row_count),
        table: known.map_or(table, |known| known.name),
        database: storage.path().map(PathBuf::from),
        rows: sum(|file| file.rows),
        lines: sum(|file| file.lines),
        duplicates: sum(|file| file.duplicates),
        rejects: sum(|file| file.rejects),
        rows_in_fetched_days: sum(|file| file.rows_in_fetched_days),
        from_date: files.iter().filter_map(|file| file.from_date).min(),
        to_date: files.iter().filter_map(|file| file.to_date).max(),
        bytes_read: sum(|file| file.bytes_read),
        duration: started.elapsed(),
        loaded_at: now,
        files,
    })
}

/// The table, as it is called, and the clock that cuts its days.
pub(super) fn place(
    storage: &StorageEngine,
    table: &str,
    given: Option<ProjectClock>,
) -> Result<(String, ProjectClock)> {
    let Some(table) = storage.table_to_fetch_into(table, TableKind::Events)? else {
        return Ok((table.to_owned(), given.unwrap_or_default()));
    };
    let clock = match given {
        Some(clock) => clock,
        None => storage.recorded_clock(&table)?.unwrap_or_default(),
    };
    storage.check_definition(&table, &Definition::of_clock(&clock))?;
    Ok((table, clock))
}

impl Source {
    /// Opens the file, and tells what it is.
    fn look(&mut self, load: &Load, clock: &ProjectClock) -> Result<(super::input::Input, Found)> {
        let mut input = self.open(&load.cancel)?;
        let found = input
            .head(HEAD)
            .and_then(|(head, all)| recognise(&head, all, load.format, &load.columns, clock))
            .map_err(|fault| fault.about(&self.name))?;
        Ok((input, found))
    }
}

struct Run<'a, 'p> {
    storage: &'a StorageEngine,
    load: &'a Load,
    table: &'a str,
    clock: ProjectClock,
    now: Timestamp,
    started: Instant,
    progress: LoadProgress,
    told: Option<Instant>,
    on_progress: &'a mut (dyn FnMut(&LoadProgress) + 'p),
}

impl Run<'_, '_> {
    /// Puts a file into the database. Gives the rows of the table, if something was written.
    fn file(&mut self, source: &mut Source) -> Result<(FileReport, Option<u64>)> {
        let began = Instant::now();
        self.progress.file.clone_from(&source.name);
        let (input, found) = source.look(self.load, &self.clock)?;
        let mut report = FileReport {
            file: source.name.clone(),
            recognised: found.in_words(input.gzip),
            lines: 0,
            rows: 0,
            duplicates: 0,
            rejects: 0,
            rows_in_fetched_days: 0,
            from_date: None,
            to_date: None,
            days: 0,
            bytes_read: 0,
            bytes_decoded: 0,
            duration: Duration::ZERO,
        };
        let (before, bytes_before, text_before) =
            (self.progress.rows_stored, self.progress.bytes_read, self.progress.bytes_decoded);
        let mut written = None;
        if !matches!(found, Found::Nothing) {
            let table = self.table;
            let (clock, now, storage) = (self.clock.clone(), self.now, self.storage);
            let on_reject = self.load.on_reject;
            let mut told = |rows: u64, read: u64, decoded: u64| {
                self.progress.rows = before + rows;
                self.progress.bytes_read = bytes_before + read;
                self.progress.bytes_decoded = text_before + decoded;
                self.tell(false);
            };
            let (name, found) = (&report.file, &found);
            let (recorded, is_file) = (&source.recorded, source.is_file());
            let stored = thread::scope(|threads| {
                let (counters, decoder) = (input.counters(), decoder(&clock));
                let reading = move |send: &mut dyn FnMut(Piece) -> bool| read(input, found, send);
                let mut file = FileSource::begin(threads, name, decoder, counters, reading, &mut told)?;
                let origin = Filters::of_file(recorded);
                let into = Target { storage, table, clock: &clock, now, on_reject, asked: None };
                into.store(recorded, &origin, is_file, &mut file)
            })?;
            report.bytes_read = self.progress.bytes_read - bytes_before;
            report.bytes_decoded = self.progress.bytes_decoded - text_before;
            self.count(&mut report, &stored)?;
            self.progress.rows_stored = before + stored.lines - stored.rejects;
            written = Some(stored.total_rows);
        }
        report.duration = began.elapsed();
        self.progress.rows = self.progress.rows_stored;
        self.progress.files_done += 1;
        self.tell(true);
        Ok((report, written))
    }

    fn count(&self, report: &mut FileReport, written: &Written) -> Result<()> {
        report.lines = written.lines;
        report.rows = written.rows;
        report.duplicates = written.duplicates;
        report.rejects = written.rejects;
        report.days = written.days.len() as u64;
        let ends = (written.days.first_key_value(), written.days.last_key_value());
        let (Some((first, _)), Some((last, _))) = ends else { return Ok(()) };
        (report.from_date, report.to_date) = (Some(*first), Some(*last));
        let known = self.storage.ledger_days(self.table, *first, *last)?;
        let is_fetched = |day: &Date| {
            let state = known.get(day).and_then(|entry| entry.state);
            matches!(state, Some(DayState::Complete | DayState::Empty))
        };
        let fetched = written.days.iter().filter(|(day, _)| is_fetched(day));
        report.rows_in_fetched_days =
            fetched.map(|(_, count)| count.lines.saturating_sub(count.duplicates)).sum();
        Ok(())
    }

    fn tell(&mut self, always: bool) {
        if !always && self.told.is_some_and(|told| told.elapsed() < PROGRESS_INTERVAL) {
            return;
        }
        self.told = Some(Instant::now());
        self.progress.elapsed = self.started.elapsed();
        (self.on_progress)(&self.progress);
    }
}

/// A decoder of lines as exported.
pub(super) fn decoder(clock: &ProjectClock) -> EventDecoder {
    EventDecoder::new(DecodeOptions { clock: clock.clone(), plan: ColumnPlan::all(), within: None })
}

/// A table of events that rows are added to.
pub(super) struct Target<'a> {
    pub(super) storage: &'a StorageEngine,
    pub(super) table: &'a str,
    pub(super) clock: &'a ProjectClock,
    pub(super) now: Timestamp,
    pub(super) on_reject: OnReject,
    /// The days that were asked for once, if somebody knows.
    pub(super) asked: Option<(Date, Date)>,
}

impl Target<'_> {
    /// One transaction: the rows of a file beside those that are there. `is_file`: whether what came
    /// under this name before was an older state of the same.
    pub(super) fn store(
        &self,
        file: &str,
        origin: &Filters,
        is_file: bool,
        source: &mut FileSource<'_, EventDecoder>,
    ) -> Result<Written> {
        // A table that is made here has no filters: a fetch of its days brings all events of them.
        let filters = Filters::new(None, None);
        let metadata = TableMetadata {
            from_date: self.asked.map(|(from, _)| from),
            to_date: self.asked.map(|(_, to)| to),
            ..TableMetadata::events(self.now)
        };
        let spec = ChunkSpec {
            table: self.table,
            create: Create::Missing,
            scope: Scope::Load(Loading::of(file, is_file, self.clock, self.now)),
            metadata: &metadata,
            filters: filters.text(),
            filter_hash: filters.hash(),
            origin: Some(origin),
            definition: &Definition::of_clock(self.clock),
            redefine: false,
            max_columns: DEFAULT_MAX_COLUMNS,
            on_reject: self.on_reject,
            request_id: None,
            now: self.now,
        };
        self.storage.write(&spec, source, &mut |_| {})
    }
}

/// What files are, and their first events; nothing is stored. `clock` of the load counts, not that
/// of a table.
pub(crate) fn preview(load: &Load, inputs: Vec<LoadInput>) -> Result<Vec<Recognised>> {
    let clock = load.clock.clone().unwrap_or_default();
    sources(inputs)?.iter_mut().map(|source| preview_of(source, load, &clock)).collect()
}

fn preview_of(source: &mut Source, load: &Load, clock: &ProjectClock) -> Result<Recognised> {
    let (input, found) = source.look(load, clock)?;
    let gzip = input.gzip;
    let mut decoder = decoder(clock);
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    let mut enough = |piece: Piece| {
        for (number, line, refused) in piece.lines() {
            match refused {
                None => decoder.push(line, number),
                Some(reason) => decoder.reject(number, reason, line),
            }
            let batch = decoder.finish_batch();
            match batch.rejects.first() {
                Some(reject) if rejects.len() < SHOWN => rejects.push((number, reject.reason.to_string())),
                Some(_) => {}
                None => events.push(String::from_utf8_lossy(line.trim_ascii()).into_owned()),
            }
            if events.len() >= SHOWN {
                return false;
            }
        }
        true
    };
    match read(input, &found, &mut enough) {
        Ok(()) | Err(Fault::Cancelled) if !load.cancel.is_cancelled() => {}
        Ok(()) => {}
        Err(fault) => return Err(fault.about(&source.name)),
    }
    let format: Option<LoadFormat> = found.format();
    let recognised = found.in_words(gzip);
    Ok(Recognised { file: source.name.clone(), format, recognised, events, rejects })
}
