//! The run of a fetch: chunks come down side by side, and go into the database
//! one after the other.
//!
//! ```text
//! planner ─▶ downloads (threads) ─▶ the first that has rows ─▶ one transaction ─▶ planner learns
//!                └── breaks off: again, then in halves, then reported ──┘
//! ```

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, Scope as Threads};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;
use mixpanel_client::Client;
use mixpanel_client::export::{ColumnPlan, DecodedBatch, ExportRequest};
use mixpanel_client::retry::RetryPolicy;
use mixpanel_client::time::ProjectClock;

use super::download::{Downloader, News, Opened, SharedPlan, Traffic, api_error};
use super::names::Names;
use super::pace::{self, Pace, Recent};
use super::planner::{PlannedChunk, Planner};
use super::report::{ChunkReport, FailedRange, RunOutcome, report};
use super::{FetchProgress, OnProgress, StoredChunk};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::chunk::{BatchSource, ChunkSpec, Create, DayRange, OnReject, Present, Scope};
use crate::storage::filters::Filters;
use crate::storage::{DEFAULT_MAX_COLUMNS, Definition, StorageEngine};
use crate::types::{TableKind, TableMetadata};

/// So many downloads run at a time, unless told otherwise. Mixpanel allows 100;
/// more than a few only wait for each other's rows to be written.
const DEFAULT_CONCURRENCY: usize = 4;

/// A third download begins only while those that run are expected to bring less text than this.
const MAX_AHEAD_BYTES: u64 = 256 << 20;

/// After so many chunks in a row that failed, each of them tried again as often
/// as the client's policy allows, the rest is not tried.
const MAX_FAILURES: u32 = 6;

/// Progress is told at most this often.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// What the rows of a fetch do to those that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Each chunk is all there is to know about its days.
    Days,
    /// The one chunk is the whole table from now on.
    Replace,
    /// Rows that are not there yet are added.
    Add,
}

/// What to fetch into which table, apart from the days.
pub(crate) struct Job<'a> {
    pub(crate) storage: &'a StorageEngine,
    pub(crate) client: &'a Client,
    pub(crate) clock: &'a ProjectClock,
    pub(crate) now: Timestamp,
    pub(crate) table: &'a str,
    /// What the table is, or will be, a copy of.
    pub(crate) definition: &'a Definition,
    /// First and last day of it all, kept with the table: an interrupted run
    /// still says what was asked for.
    pub(crate) asked: (Date, Date),
    pub(crate) events: &'a [String],
    /// What is known of the names of these events.
    pub(crate) names: &'a Names<'a>,
    pub(crate) filter: Option<&'a str>,
    pub(crate) limit: Option<u32>,
    pub(crate) placement: Placement,
    pub(crate) on_reject: OnReject,
    /// How many downloads run at a time, 1 to 100.
    pub(crate) concurrency: Option<usize>,
}

/// Fetches what the planner hands out. What is committed stays, whatever
/// happens to the rest.
///
/// # Errors
/// Only what makes going on senseless: refused credentials, cancellation, a
/// full disk, a line that must not be there ([`OnReject::Fail`]). Ranges that
/// fail by themselves are in the outcome.
pub(crate) fn run(job: &Job<'_>, planner: &mut Planner, on_progress: OnProgress<'_>) -> Result<RunOutcome> {
    let concurrency = job.concurrency.unwrap_or(DEFAULT_CONCURRENCY);
    if !(1..=100).contains(&concurrency) {
        return Err(Error::argument("concurrency", "Mixpanel allows 1 to 100 exports at a time"));
    }
    let traffic = Traffic::default();
    let (sender, news) = channel();
    // Downloads end with the run, even if it ends early.
    let cancel = job.client.retrier().cancel.child();
    let client = job.client.with_cancel(cancel.clone());
    let once = client.with_retry(RetryPolicy::never());
    let downloader = Downloader {
        client: &client,
        clock: job.clock,
        request: ExportRequest {
            events: job.events.to_vec(),
            where_: job.filter.map(str::to_owned),
            limit: job.limit,
            ..ExportRequest::days(Date::ZERO, Date::ZERO)
        },
        // Added rows are compared with those that are there, by SQL.
        hold_repeats: job.placement != Placement::Add,
        plan: SharedPlan::default(),
        traffic: &traffic,
        news: sender,
    };
    planner.set_pace(pace::measured(job.storage, job.table));
    let (result, (mut outcome, pace)) = thread::scope(|threads| {
        let mut run = Run {
            job,
            threads,
            downloader,
            planner,
            traffic: &traffic,
            outcome: RunOutcome::default(),
            concurrency,
            running: 0,
            stored_running: 0,
            expected: 0,
            failures: 0,
            doubtful: Vec::new(),
            once: &once,
            stopped: false,
            progress: FetchProgress::default(),
            pace: Pace::default(),
            recent: Recent::default(),
            committed: 0,
            started: Instant::now(),
            told: None,
            on_progress,
        };
        let result = run.drive(&news);
        cancel.cancel();
        // With it go the streams that nobody will read: their senders end.
        drop(news);
        run.tell(true);
        (result, (run.outcome, run.pace))
    });
    if result.is_ok() && !outcome.chunks.is_empty() {
        // The rows are in: what fails here only costs speed or space.
        let _ = job.storage.finish(job.table, TableKind::Events);
        let _ = pace::keep(job.storage, job.table, &pace);
    }
    if !outcome.unavailable.is_empty() && job.storage.table_exists(job.table)? {
        let filters = Filters::new(Some(job.events), job.filter);
        job.storage.record_unavailable(job.table, filters.hash(), &outcome.unavailable, job.now)?;
    }
    result?;
    outcome.requests = traffic.requests.load(Ordering::Relaxed);
    outcome.bytes_received = traffic.received.load(Ordering::Relaxed);
    outcome.bytes_decoded = traffic.decoded.load(Ordering::Relaxed);
    Ok(outcome)
}

struct Run<'r, 'p, 's> {
    job: &'r Job<'r>,
    threads: &'s Threads<'s, 'r>,
    downloader: Downloader<'r>,
    planner: &'r mut Planner,
    traffic: &'r Traffic,
    outcome: RunOutcome,
    concurrency: usize,
    running: usize,
    /// How many of them are stored already, and only have to say that they have ended.
    stored_running: usize,
    /// Bytes of text that are expected of those that run.
    expected: u64,
    /// Chunks that failed since the last one that did not.
    failures: u32,
    /// Chunks that failed before any succeeded. What runs beside them will tell
    /// whether it is their days or Mixpanel.
    doubtful: Vec<(PlannedChunk, mixpanel_client::Error)>,
    /// Tries nothing again: to find out whether other days answer.
    once: &'r Client,
    /// No further downloads are begun.
    stopped: bool,
    progress: FetchProgress,
    /// How fast rows come, over the whole run and lately.
    pace: Pace,
    recent: Recent,
    /// Rows of chunks that are in.
    committed: u64,
    started: Instant,
    told: Option<Instant>,
    on_progress: &'r mut (dyn FnMut(&FetchProgress) + 'p),
}

impl<'r> Run<'r, '_, '_> {
    /// Begins as many downloads as may run. Large chunks come one ahead of the one that is written:
    /// more would hold memory, and connections that nobody reads from for minutes.
    fn begin(&mut self) {
        while !self.stopped
            && self.doubtful.is_empty()
            && self.running < self.concurrency
            && (self.running < 2 || self.expected < MAX_AHEAD_BYTES)
            && let Some(chunk) = self.planner.next()
        {
            self.start(self.downloader.clone(), chunk);
        }
    }

    fn start(&mut self, downloader: Downloader<'r>, chunk: PlannedChunk) {
        self.running += 1;
        self.expected += chunk.bytes.unwrap_or_default();
        let (news, planned) = (downloader.news.clone(), chunk.clone());
        let started = thread::Builder::new().spawn_scoped(self.threads, move || downloader.run(chunk));
        if let Err(error) = started {
            let outcome = Err(mixpanel_client::Error::no_thread(error));
            let _ = news.send(News::Finished { chunk: planned, outcome });
        }
    }

    /// When the first chunk failed alone, asks once for other days, if there are any: it may be the
    /// chunk's days, and not Mixpanel.
    fn probe(&mut self) -> bool {
        if self.stopped {
            return false;
        }
        let [(first, _)] = &self.doubtful[..] else { return false };
        // Its days are not on their way any more, and hold nobody up.
        self.planner.lost(first);
        let Some(chunk) = self.planner.next() else { return false };
        self.start(Downloader { client: self.once, ..self.downloader.clone() }, chunk);
        true
    }

    fn drive(&mut self, news: &Receiver<News>) -> Result<()> {
        loop {
            self.begin();
            if self.running == 0 && !self.probe() {
                for (chunk, error) in std::mem::take(&mut self.doubtful) {
                    self.give_up(&chunk, error);
                }
                self.leave_rest();
                return Ok(());
            }
            match news.recv_timeout(PROGRESS_INTERVAL) {
                Ok(News::Opened(opened)) => self.write(*opened)?,
                Ok(News::Finished { chunk, outcome }) => {
                    self.running -= 1;
                    self.expected -= chunk.bytes.unwrap_or_default();
                    match outcome {
                        Ok(()) => self.stored_running = self.stored_running.saturating_sub(1),
                        Err(error) => self.failed(chunk, error)?,
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.tell(false),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn give_up(&mut self, chunk: &PlannedChunk, error: mixpanel_client::Error) {
        let error = api_error(name_of(chunk), error);
        self.outcome.failed.push(FailedRange { from: chunk.from, to: chunk.to, error });
        self.planner.lost(chunk);
    }

    /// Reports what was not tried, because nothing succeeded any more.
    fn leave_rest(&mut self) {
        for (from, to) in self.planner.rest() {
            let what = format!("the export of {from} to {to}, not tried after the failures before it,");
            self.outcome.failed.push(FailedRange { from, to, error: ErrorKind::Api { what }.into() });
        }
    }

    /// Puts a chunk into the database, in one transaction.
    fn write(&mut self, mut opened: Opened) -> Result<()> {
        let job = self.job;
        let filters = Filters::new(Some(job.events), job.filter);
        let (from, to) = (opened.chunk.from, opened.chunk.to);
        let present = Present::new(job.now, opened.date);
        let nothing = match self.says_nothing(&mut opened) {
            // The download says why, and what comes next.
            Err(_) if opened.stream.broken => return Ok(()),
            nothing => nothing?,
        };
        // Days that no event could come for are not known to be empty.
        let is_sample = job.limit.is_some() || nothing;
        let range = DayRange { from, to, clock: job.clock.clone(), present, is_sample };
        let metadata = TableMetadata {
            from_date: Some(job.asked.0),
            to_date: Some(job.asked.1),
            filter_events: (!job.events.is_empty()).then(|| job.events.to_vec()),
            filter_where: job.filter.map(str::to_owned),
            ..TableMetadata::events(present.time())
        };
        let spec = ChunkSpec {
            table: job.table,
            create: Create::Missing,
            scope: match job.placement {
                // Rows that were added under other filters are not in this chunk, and stay.
                Placement::Days if job.storage.has_other_filters(job.table, from, to, filters.hash())? => {
                    Scope::Add(Some(range.clone()))
                }
                Placement::Days => Scope::Days(range.clone()),
                Placement::Replace => Scope::Everything(Some(range.clone())),
                Placement::Add => Scope::Add(Some(range.clone())),
            },
            metadata: &metadata,
            filters: filters.text(),
            filter_hash: filters.hash(),
            origin: None,
            definition: job.definition,
            redefine: job.placement == Placement::Replace,
            max_columns: DEFAULT_MAX_COLUMNS,
            on_reject: job.on_reject,
            request_id: opened.request_id.take(),
            now: present.time(),
        };
        let loaded_replaced = match spec.scope {
            Scope::Days(_) => job.storage.loaded_rows(job.table, from, to)?,
            _ => 0,
        };
        self.progress.attempt = opened.attempt;
        let began = Instant::now();
        let mut source = Watched { run: self, inner: &mut opened, rows: 0 };
        let written = job.storage.write(&spec, &mut source, &mut |_| {});
        match written {
            Ok(written) => {
                let report = report(&spec, &range, &opened, loaded_replaced, &written);
                self.failures = 0;
                self.committed += report.lines;
                self.progress.rows = self.committed;
                self.progress.rows_stored = self.committed;
                self.pace.add(report.lines, began.elapsed());
                if let Some(pace) = self.pace.rows_per_second() {
                    self.planner.set_pace(Some(pace));
                }
                self.planner.stored(range.from, range.to);
                self.progress.days_done += report.rows_by_day.len() as u32;
                self.planner.observe(&report.rows_by_day, report.bytes_decoded);
                self.outcome.total_rows = written.total_rows;
                self.tell_stored(&report);
                self.outcome.chunks.push(report);
                let doubtful = std::mem::take(&mut self.doubtful);
                doubtful.into_iter().try_for_each(|(chunk, error)| self.failed(chunk, error))
            }
            // The download says why, and what comes next.
            Err(_) if opened.stream.broken => {
                self.progress.rows = self.committed;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Whether nothing came, and nothing could: no name is one of an event.
    fn says_nothing(&self, opened: &mut Opened) -> Result<bool> {
        Ok(!self.job.events.is_empty() && opened.stream.is_empty()? && self.job.names.none_is_known()?)
    }

    /// A chunk could not be downloaded, and was tried again enough.
    fn failed(&mut self, chunk: PlannedChunk, error: mixpanel_client::Error) -> Result<()> {
        use mixpanel_client::ErrorKind as Api;
        let what = name_of(&chunk);
        let today = self.job.clock.day_of(self.job.now.as_microsecond());
        match error.kind() {
            Api::Forbidden { history_days: Some(days), .. } => {
                let first = today.saturating_sub(jiff::Span::new().days(i64::from(*days)));
                if first > chunk.from && self.job.placement == Placement::Days {
                    let mut gone = self.planner.give_up_before(first);
                    self.planner.lost(&chunk);
                    gone.extend(days_of(chunk.from, chunk.to).filter(|day| *day < first));
                    gone.sort_unstable();
                    gone.dedup();
                    self.outcome.unavailable.extend(gone);
                    let rest = days_of(chunk.from, chunk.to).filter(|day| *day >= first);
                    self.planner.put_back(rest, chunk.reason);
                    return Ok(());
                }
                Err(api_error(what, error))
            }
            // A range of days that fails may hold one bad day. But when nothing
            // succeeds at all, or any more, it is Mixpanel or the way to it, and
            // every further request would be wasted.
            kind if kind.is_transient() && self.outcome.chunks.is_empty() && !answered(kind) => {
                self.doubtful.push((chunk, error));
                Ok(())
            }
            kind if kind.is_transient() => {
                self.failures += 1;
                self.stopped |= self.failures > MAX_FAILURES;
                let whole = self.job.placement != Placement::Days;
                if self.stopped || whole || !self.planner.split(&chunk) {
                    self.give_up(&chunk, error);
                }
                Ok(())
            }
            // Mixpanel refuses days that have not begun. When its clock is behind ours, that is why.
            Api::BadRequest { .. } => Err(api_error(self.with_clocks(what, chunk.to), error)),
            _ => Err(api_error(what, error)),
        }
    }

    /// What was asked for, and that it has not begun by the server's clock, if it has not.
    fn with_clocks(&self, what: String, last: Date) -> String {
        let server = self.job.client.server_date().and_then(|date| Timestamp::try_from(date).ok());
        match server {
            Some(server) if self.job.clock.day_of(server.as_microsecond()) < last => format!(
                "{what} (this computer's clock says {}, the server's {})",
                self.job.now.strftime("%F %R UTC"),
                server.strftime("%F %R UTC"),
            ),
            _ => what,
        }
    }

    fn tell_stored(&mut self, report: &ChunkReport) {
        let number = self.outcome.chunks.len() as u32 + 1;
        // The downloads of this chunk and of others that are stored still count among those that run.
        self.stored_running += 1;
        let coming = self.running.saturating_sub(self.stored_running) + self.planner.preview().len();
        let of = number + u32::try_from(coming).unwrap_or(u32::MAX - number);
        self.progress.stored =
            Some(StoredChunk { from: report.from, to: report.to, rows: report.rows, number, of });
        self.tell(true);
        self.progress.stored = None;
    }

    fn tell(&mut self, always: bool) {
        if !always && self.told.is_some_and(|told| told.elapsed() < PROGRESS_INTERVAL) {
            return;
        }
        self.told = Some(Instant::now());
        self.progress.bytes_received = self.traffic.received.load(Ordering::Relaxed);
        self.progress.bytes_decoded = self.traffic.decoded.load(Ordering::Relaxed);
        self.progress.elapsed = self.started.elapsed();
        self.look_ahead();
        (self.on_progress)(&self.progress);
    }
}

impl Run<'_, '_, '_> {
    /// How many rows there will be, and how long that takes.
    fn look_ahead(&mut self) {
        let FetchProgress { elapsed, rows, .. } = self.progress;
        self.recent.note(elapsed, rows);
        let expected = self.planner.rows_to_come().map(|rows| self.committed.saturating_add(rows));
        // More may come than days that are alike had.
        let expected = expected.map(|expected| expected.max(rows));
        self.progress.rows_expected = expected;
        self.progress.remaining =
            expected.and_then(|expected| self.recent.time_for(elapsed, rows, expected - rows));
    }
}

pub(super) fn days_of(from: Date, to: Date) -> impl Iterator<Item = Date> {
    from.series(jiff::Span::new().days(1)).take_while(move |day| *day <= to)
}

fn name_of(chunk: &PlannedChunk) -> String {
    match chunk.from == chunk.to {
        true => format!("the export of {}", chunk.from),
        false => format!("the export of {} to {}", chunk.from, chunk.to),
    }
}

/// Whether the server began to answer properly: then the range may be at fault.
fn answered(kind: &mixpanel_client::ErrorKind) -> bool {
    use mixpanel_client::ErrorKind as Api;
    matches!(kind, Api::Truncated { .. } | Api::Corrupt { .. } | Api::InBand { .. } | Api::NotExport { .. })
}

/// A download that tells how far it is.
struct Watched<'a, 'r, 'p, 's> {
    run: &'a mut Run<'r, 'p, 's>,
    inner: &'a mut Opened,
    rows: u64,
}

impl BatchSource for Watched<'_, '_, '_, '_> {
    fn next_batch(&mut self) -> Result<Option<DecodedBatch>> {
        let batch = self.inner.stream.next_batch()?;
        let Some(batch) = batch else {
            // While the database is still busy with the last rows, the next
            // download may begin: its size can be guessed now.
            let chunk = &self.inner.chunk;
            let each = self.rows / u64::from(chunk.days()).max(1);
            let guess = days_of(chunk.from, chunk.to).map(|day| (day, each)).collect();
            self.run.planner.observe(&guess, self.inner.stream.bytes.1);
            self.run.begin();
            return Ok(None);
        };
        self.rows += batch.rows.num_rows() as u64;
        self.run.progress.rows += batch.rows.num_rows() as u64;
        if let Some(time) = last_time(&batch) {
            self.run.progress.day = Some(self.run.job.clock.day_of(time));
        }
        self.run.tell(false);
        Ok(Some(batch))
    }

    fn set_plan(&mut self, plan: ColumnPlan) {
        self.inner.stream.set_plan(plan);
    }
}

/// Time of a batch's last row, microseconds UTC.
fn last_time(batch: &DecodedBatch) -> Option<i64> {
    use arrow::array::AsArray;
    let times = batch.rows.column_by_name(mixpanel_client::schema::EVENT_TIME)?;
    times.as_primitive::<arrow::datatypes::TimestampMicrosecondType>().values().last().copied()
}
