//! A chunk: what goes into a table in one transaction.

use std::collections::BTreeMap;

use arrow::array::Array;
use jiff::Timestamp;
use jiff::civil::Date;
use mixpanel_client::export::{ColumnPlan, DecodedBatch};
use mixpanel_client::time::{ClockMode, ProjectClock};

use super::definition::Definition;
use super::filters::Filters;
use super::ledger::DayCount;
use super::quarantine;
use crate::error::Result;
use crate::types::TableMetadata;

/// Where a chunk's batches come from.
pub(crate) trait BatchSource {
    /// The next batch; `None` when the chunk is complete and proven so.
    fn next_batch(&mut self) -> Result<Option<DecodedBatch>>;
    /// Which properties to build columns for, as soon as that can be.
    fn set_plan(&mut self, plan: ColumnPlan);
}

/// About how much memory a batch takes, in bytes.
pub(crate) fn memory_of(batch: &DecodedBatch) -> usize {
    let columns = batch.columns.iter().map(|column| column.values.get_array_memory_size());
    let rejects = batch.rejects.iter().map(|reject| reject.bytes.len() + 64);
    let held = batch.held.iter().map(|event| event.properties.len() + 256);
    batch.rows.get_array_memory_size() + columns.chain(rejects).chain(held).sum::<usize>()
}

/// What to do with the rows that are there.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    /// The chunk is everything there is to know about these project days.
    Days(DayRange),
    /// The chunk is the whole table from now on.
    Everything(Option<DayRange>),
    /// Rows that are not there yet are added.
    Add(Option<DayRange>),
    /// The same with rows of a file, of whatever days it has.
    Load(Loading),
    /// The chunk is a fetch of profiles.
    Profiles(Arrival),
}

/// What fetched profiles do to those that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// They are all there are: who is not among them has vanished, and is remembered.
    Snapshot,
    /// They are the whole table from now on, but not all there are. `forget`: those that vanished
    /// earlier were others, such as groups of another kind.
    Swap { forget: bool },
    /// They replace the profiles with the same ids, and no others. `whole`: they are all there are.
    Upsert { whole: bool },
}

/// A file whose rows are added.
#[derive(Clone, Debug)]
pub(crate) struct Loading {
    /// What it is called.
    pub(crate) file: String,
    /// Whether what came under this name before was an older state of the same. Of a stream, it need
    /// not have been.
    pub(crate) is_file: bool,
    /// All days, as the table's clock cuts them.
    pub(crate) range: DayRange,
}

impl Loading {
    /// A file that is loaded into a table with this clock.
    pub(crate) fn of(file: &str, is_file: bool, clock: &ProjectClock, now: Timestamp) -> Self {
        let present = Present::AtMost(now);
        let range =
            DayRange { from: Date::MIN, to: Date::MAX, clock: clock.clone(), present, is_sample: true };
        Loading { file: file.to_owned(), is_file, range }
    }
}

impl Scope {
    /// The days that were asked for.
    pub(crate) fn days(&self) -> Option<&DayRange> {
        match self {
            Scope::Days(range) => Some(range),
            Scope::Everything(range) | Scope::Add(range) => range.as_ref(),
            Scope::Load(loading) => Some(&loading.range),
            Scope::Profiles(_) => None,
        }
    }

    /// Whether nothing of what is there stays.
    pub(crate) fn replaces_all(&self) -> bool {
        match self {
            Scope::Everything(_) => true,
            Scope::Profiles(arrival) => !matches!(arrival, Arrival::Upsert { .. }),
            Scope::Days(_) | Scope::Add(_) | Scope::Load(_) => false,
        }
    }

    /// What the chunk is called in `_quarantine`.
    pub(crate) fn name(&self) -> String {
        if let Scope::Load(loading) = self {
            return loading.file.clone();
        }
        match self.days() {
            Some(range) => quarantine::name(&[(range.from, range.to)]),
            None if matches!(self, Scope::Profiles(_)) => "profiles".to_owned(),
            None => "records".to_owned(),
        }
    }
}

/// A run of project days, both ends inclusive.
#[derive(Clone, Debug)]
pub(crate) struct DayRange {
    pub(crate) from: Date,
    pub(crate) to: Date,
    pub(crate) clock: ProjectClock,
    /// Which of the days can be over.
    pub(crate) present: Present,
    /// Whether only a part of the days' events was asked for: then none of them is complete.
    pub(crate) is_sample: bool,
}

/// What time it was when days were fetched. A day that was not over then is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Present {
    /// At most this: neither our own clock nor the server's says more.
    AtMost(Timestamp),
    /// Our own clock says this, and the server says nothing. Clocks may be wrong, so a day counts
    /// as over when there are events of a later one, too.
    Alleged(Timestamp),
}

impl Present {
    /// What is known from our own clock and from the answer's `Date`.
    pub(crate) fn new(now: Timestamp, server: Option<Timestamp>) -> Self {
        server.map_or(Present::Alleged(now), |server| Present::AtMost(now.min(server)))
    }

    /// The time that rows of the answer are taken for fetched at.
    pub(crate) fn time(self) -> Timestamp {
        match self {
            Present::AtMost(time) | Present::Alleged(time) => time,
        }
    }
}

impl DayRange {
    /// The first day that cannot be complete. `newest` is the time of the newest event that is
    /// known, microseconds (UTC).
    pub(crate) fn open_from(&self, newest: Option<i64>) -> Date {
        if self.is_sample {
            return Date::MIN;
        }
        let by_clock = self.clock.day_of(self.present.time().as_microsecond());
        match self.present {
            Present::AtMost(_) => by_clock,
            Present::Alleged(_) => by_clock.min(newest.map_or(Date::MIN, |newest| self.clock.day_of(newest))),
        }
    }

    /// First microsecond (UTC) of the range, and the first one after it.
    pub(crate) fn bounds(&self) -> (i64, i64) {
        let after = self.to.tomorrow().unwrap_or(Date::MAX);
        (start_of(self.from, &self.clock), start_of(after, &self.clock))
    }
}

/// The time of an instant as an export has it, both in microseconds: the inverse of
/// [`ProjectClock::to_utc_micros`], but for wall times that occur twice.
pub(crate) fn exported(utc: i64, clock: &ProjectClock) -> i64 {
    match (clock.mode(), Timestamp::from_microsecond(utc)) {
        (ClockMode::LocalAsUtc, Ok(instant)) => {
            utc + i64::from(clock.timezone().to_offset(instant).seconds()) * 1_000_000
        }
        _ => utc,
    }
}

/// The first microsecond (UTC) of a project day.
pub(crate) fn start_of(day: Date, clock: &ProjectClock) -> i64 {
    let midnight = jiff::tz::Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).expect("a day of our era");
    clock.to_utc_micros(midnight.as_microsecond())
}

/// Whether a chunk may make its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Create {
    /// It is there.
    No,
    /// If it is missing.
    Missing,
    /// It must not be there.
    New,
}

/// What to do with lines that cannot be stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnReject {
    /// Keep them in `_quarantine`, with the reason, and go on.
    #[default]
    Quarantine,
    /// Undo the chunk, and say which line it was.
    Fail,
}

/// A chunk, apart from its rows.
pub(crate) struct ChunkSpec<'a> {
    pub(crate) table: &'a str,
    pub(crate) create: Create,
    pub(crate) scope: Scope,
    pub(crate) metadata: &'a TableMetadata,
    /// The filter set's canonical text and its hash.
    pub(crate) filters: &'a str,
    pub(crate) filter_hash: &'a str,
    /// The file that the rows are from, if they are from one: recorded in the place of the filters.
    pub(crate) origin: Option<&'a Filters>,
    /// What the rows are a copy of.
    pub(crate) definition: &'a Definition,
    /// Whether the table is a copy of that from now on, whatever it was.
    pub(crate) redefine: bool,
    pub(crate) max_columns: usize,
    pub(crate) on_reject: OnReject,
    pub(crate) request_id: Option<String>,
    pub(crate) now: Timestamp,
}

impl ChunkSpec<'_> {
    /// What the rows are recorded under, in the ledger and in `_quarantine`: hash and words.
    pub(crate) fn recorded(&self) -> (&str, &str) {
        match self.origin {
            Some(origin) => (origin.hash(), origin.text()),
            None => (self.filter_hash, self.filters),
        }
    }

    /// Whether rows keep the order in which they come: where the order says
    /// which of two rows of one key is the newer one.
    pub(crate) fn keeps_order(&self) -> bool {
        !matches!(self.scope, Scope::Days(_) | Scope::Everything(Some(_)))
    }
}

/// What a chunk did.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// Rows that are there now and were not before, or replaced ones.
    pub(crate) rows: u64,
    /// Lines or records that came in.
    pub(crate) lines: u64,
    pub(crate) duplicates: u64,
    pub(crate) rejects: u64,
    pub(crate) total_rows: u64,
    /// Profiles that were there and have been replaced, and those that have vanished.
    pub(crate) updated: u64,
    pub(crate) vanished: u64,
    pub(crate) days: BTreeMap<Date, DayCount>,
    /// The first day that cannot be complete.
    pub(crate) open_from: Date,
}
