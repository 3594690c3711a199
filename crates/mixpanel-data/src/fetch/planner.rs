//! Which days share a request. Pure: it knows no database and no network.
//!
//! Requests are scarce (60 an hour), and a request that breaks off is lost as a
//! whole. So small days share one, and a big day stands alone. How big days are
//! is known from the ledger or learnt on the way: with nothing known the newest
//! day goes first and alone, and what is handed out before it is in grows with
//! what is known, eightfold at most.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Span;
use jiff::civil::Date;
use serde::Serialize;

/// Why a day is asked for; of several reasons in a request, the first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DayReason {
    /// Somebody asked for it.
    Requested,
    /// It was never fetched.
    Missing,
    /// It was not over when it was fetched, or only a part of it was.
    Partial,
    /// Rows of it have gone since it was fetched.
    Changed,
    /// It was fetched so early that events may have arrived since.
    Stale,
    /// Its rows came from files, and Mixpanel's were asked for in their place.
    Loaded,
}

/// One request: a run of project days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedChunk {
    /// First project day, inclusive.
    pub from: Date,
    /// Last project day, inclusive.
    pub to: Date,
    /// Why.
    pub reason: DayReason,
    /// Rows that are expected; `None` when nothing is known.
    pub rows: Option<u64>,
    /// Bytes of properties' text that are expected; `None` when nothing is known.
    pub bytes: Option<u64>,
}

impl PlannedChunk {
    /// How many days it spans.
    pub fn days(&self) -> u32 {
        days_between(self.from, self.to)
    }
}

/// Limits of a request.
#[derive(Clone, Debug)]
pub(crate) struct PlanOptions {
    /// Rows that a request of several days should have at most.
    pub(crate) target_rows: u64,
    /// Bytes of text that it should have at most.
    pub(crate) target_bytes: u64,
    /// Days that it has at most.
    pub(crate) max_days: u32,
    /// So many days share a request, whatever is known.
    pub(crate) fixed_days: Option<u32>,
}

/// A request of several days should take about so long, as it is lost as a whole when somebody stops
/// it or it breaks off.
const SECONDS: f64 = 10.0;
/// But all that is left should not take more requests than this for that reason: they are scarce.
const MOST_FOR_TIME: u64 = 20;
/// And fewer rows than this are not worth a request of their own.
const FEWEST_ROWS: u64 = 10_000;

impl Default for PlanOptions {
    fn default() -> Self {
        // Rows: what an interruption costs at most; with fewer than two full row
        // groups (245,760 rows) for each thread, DuckDB compresses rows twice.
        // Days: some servers refuse more than 100.
        PlanOptions { target_rows: 1_000_000, target_bytes: 1 << 30, max_days: 100, fixed_days: None }
    }
}

impl PlanOptions {
    /// Everything in one request.
    pub(crate) fn one_request() -> Self {
        PlanOptions { fixed_days: Some(u32::MAX), ..PlanOptions::default() }
    }
}

/// Rows and bytes of days, as far as they are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(pub(crate) BTreeMap<Date, (u64, u64)>);

impl History {
    /// What a day probably has: what it had, or the mean of the known days
    /// nearest to it, up to seven.
    fn estimate(&self, day: Date) -> Option<(u64, u64)> {
        if let Some(known) = self.0.get(&day) {
            return Some(*known);
        }
        let mut before = self.0.range(..day).rev().peekable();
        let mut after = self.0.range(day..).peekable();
        let mut nearest = Vec::with_capacity(7);
        while nearest.len() < 7 {
            let next = match (before.peek(), after.peek()) {
                (Some((b, _)), Some((a, _))) if days_between(**b, day) <= days_between(day, **a) => {
                    before.next()
                }
                (_, Some(_)) => after.next(),
                (Some(_), None) => before.next(),
                (None, None) => break,
            };
            nearest.extend(next.map(|(_, known)| *known));
        }
        let count = nearest.len() as u64;
        let sum = nearest.iter().fold((0, 0), |sum, known| (sum.0 + known.0, sum.1 + known.1));
        (count > 0).then(|| (sum.0 / count, sum.1 / count))
    }
}

/// Days that both ends of a range include.
fn days_between(from: Date, to: Date) -> u32 {
    from.until(to).map_or(0, |span| u32::try_from(span.get_days()).unwrap_or(0)) + 1
}

/// Hands out requests, newest days first, and learns from what came.
#[derive(Clone, Debug)]
pub(crate) struct Planner {
    days: BTreeMap<Date, DayReason>,
    /// Ranges that failed as a whole, in halves.
    halves: VecDeque<PlannedChunk>,
    history: History,
    options: PlanOptions,
    /// Days of unknown size that are on their way.
    outstanding: BTreeSet<Date>,
    /// Days that are not in the database yet, handed out or not.
    missing: BTreeSet<Date>,
    /// Rows per second, as far as that is known, and the most rows that were left so far.
    pace: Option<f64>,
    whole: u64,
}

impl Planner {
    pub(crate) fn new(
        days: impl IntoIterator<Item = (Date, DayReason)>,
        history: History,
        options: PlanOptions,
    ) -> Self {
        let days: BTreeMap<Date, DayReason> = days.into_iter().collect();
        let missing = days.keys().copied().collect();
        let (halves, outstanding) = (VecDeque::new(), BTreeSet::new());
        Planner { days, halves, history, options, outstanding, missing, pace: None, whole: 0 }
    }

    /// Learns how many rows come in a second.
    pub(crate) fn set_pace(&mut self, rows_per_second: Option<f64>) {
        self.pace = rows_per_second.filter(|pace| pace.is_finite() && *pace > 0.0);
    }

    /// Rows that a request of several days should have at most.
    fn target_rows(&mut self) -> u64 {
        let most = self.options.target_rows;
        let Some(pace) = self.pace else { return most };
        let left = self.days.keys().filter_map(|day| self.history.estimate(*day));
        let left: u64 = left.map(|(rows, _)| rows).fold(0, u64::saturating_add);
        self.whole = self.whole.max(left);
        ((pace * SECONDS) as u64).max(self.whole / MOST_FOR_TIME).max(FEWEST_ROWS).min(most)
    }

    /// Rows that are still to come, as far as can be told: `None` when nothing is known.
    pub(crate) fn rows_to_come(&self) -> Option<u64> {
        self.missing.iter().map(|day| self.history.estimate(*day).map(|(rows, _)| rows)).sum()
    }

    /// Days that are in the database now.
    pub(crate) fn stored(&mut self, from: Date, to: Date) {
        self.missing.retain(|day| *day < from || *day > to);
    }

    /// The next request; `None` when all days are handed out, or when more must
    /// be known first.
    pub(crate) fn next(&mut self) -> Option<PlannedChunk> {
        if let Some(half) = self.halves.pop_front() {
            return Some(half);
        }
        let to = *self.days.last_key_value()?.0;
        let most = match self.options.fixed_days {
            Some(days) => days,
            None => self.options.max_days.min(self.trusted()),
        };
        if most == 0 {
            return None;
        }
        let (mut from, mut count) = (to, 0);
        let (mut sum, target_rows) = ((0, 0), self.target_rows());
        for (day, _) in self.days.iter().rev() {
            let day = *day;
            let (rows, bytes) = self.history.estimate(day).unwrap_or_default();
            let with = (sum.0 + rows, sum.1 + bytes);
            let fits = self.options.fixed_days.is_some()
                || (with.0 <= target_rows && with.1 <= self.options.target_bytes);
            let next_to_it = count == 0 || day.tomorrow().ok() == Some(from);
            if count > 0 && (count == most || !fits || !next_to_it) {
                break;
            }
            (from, count, sum) = (day, count + 1, with);
        }
        let chosen: Vec<(Date, DayReason)> =
            self.days.range(from..=to).map(|(day, why)| (*day, *why)).collect();
        let reason = chosen.iter().map(|(_, why)| *why).min().expect("at least one day");
        let mut known = true;
        for (day, _) in &chosen {
            self.days.remove(day);
            known &= self.history.estimate(*day).is_some();
            if !self.history.0.contains_key(day) {
                self.outstanding.insert(*day);
            }
        }
        Some(PlannedChunk { from, to, reason, rows: known.then_some(sum.0), bytes: known.then_some(sum.1) })
    }

    /// How many days of unknown size may be handed out now.
    fn trusted(&self) -> u32 {
        let known = u32::try_from(self.history.0.len()).unwrap_or(u32::MAX);
        let outstanding = u32::try_from(self.outstanding.len()).unwrap_or(u32::MAX);
        known.saturating_mul(8).max(1).saturating_sub(outstanding)
    }

    /// Learns what days had.
    pub(crate) fn observe(&mut self, rows_by_day: &BTreeMap<Date, u64>, bytes: u64) {
        let rows: u64 = rows_by_day.values().sum();
        for (day, count) in rows_by_day {
            let share = if rows == 0 {
                0
            } else {
                (u128::from(bytes) * u128::from(*count) / u128::from(rows)) as u64
            };
            self.history.0.insert(*day, (*count, share));
            self.outstanding.remove(day);
        }
    }

    /// Days that were handed out and will not come.
    pub(crate) fn lost(&mut self, chunk: &PlannedChunk) {
        self.outstanding.retain(|day| *day < chunk.from || *day > chunk.to);
        self.stored(chunk.from, chunk.to);
    }

    /// Ranges that were not handed out, newest first.
    pub(crate) fn rest(&mut self) -> Vec<(Date, Date)> {
        let halves = std::mem::take(&mut self.halves);
        let mut ranges: Vec<(Date, Date)> = halves.iter().map(|half| (half.from, half.to)).collect();
        for day in std::mem::take(&mut self.days).into_keys().rev() {
            match ranges.last_mut() {
                Some((from, _)) if day.tomorrow().ok() == Some(*from) => *from = day,
                _ => ranges.push((day, day)),
            }
        }
        ranges
    }

    /// Puts a range that fails back in two halves, the newer one first. False
    /// when it is one day.
    pub(crate) fn split(&mut self, chunk: &PlannedChunk) -> bool {
        let days = chunk.days();
        if days < 2 {
            return false;
        }
        let middle = chunk.from.saturating_add(Span::new().days(i64::from(days / 2)));
        let older = PlannedChunk {
            to: middle.yesterday().unwrap_or(chunk.from),
            rows: None,
            bytes: None,
            ..chunk.clone()
        };
        let newer = PlannedChunk { from: middle, rows: None, bytes: None, ..chunk.clone() };
        self.halves.push_front(older);
        self.halves.push_front(newer);
        true
    }

    /// Drops days before `first`; returns them.
    pub(crate) fn give_up_before(&mut self, first: Date) -> Vec<Date> {
        self.missing = self.missing.split_off(&first);
        let later = self.days.split_off(&first);
        std::mem::replace(&mut self.days, later).into_keys().collect()
    }

    /// Takes days back that were handed out.
    pub(crate) fn put_back(&mut self, days: impl IntoIterator<Item = Date>, reason: DayReason) {
        for day in days {
            self.outstanding.remove(&day);
            self.missing.insert(day);
            self.days.insert(day, reason);
        }
    }

    /// Everything that is not handed out, as it would be if nothing surprising
    /// were learnt: unknown days count as empty.
    pub(crate) fn preview(&self) -> Vec<PlannedChunk> {
        let known = !self.history.0.is_empty();
        let mut plan = self.clone();
        let mut chunks = Vec::new();
        while let Some(mut chunk) = plan.next() {
            if !known {
                (chunk.rows, chunk.bytes) = (None, None);
            }
            let days = chunk.from.series(Span::new().days(1)).take_while(|day| *day <= chunk.to);
            let each = u64::from(chunk.days());
            let rows = days.map(|day| (day, chunk.rows.unwrap_or(0) / each)).collect();
            plan.observe(&rows, chunk.bytes.unwrap_or(0));
            chunks.push(chunk);
        }
        chunks
    }
}

#[cfg(test)]
#[path = "planner_tests.rs"]
mod tests;
