//! The inside of a chunk's transaction: rows in, and the books kept on them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::thread;

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::TimestampMicrosecondType;
use jiff::civil::Date;
use mixpanel_client::export::{DecodedBatch, HeldEvent, Reject};
use mixpanel_client::schema::{EVENT_TIME, PROPERTIES};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::catalog::Catalog;
use super::chunk::{ChunkSpec, DayRange, OnReject, Present, Scope, Written, start_of};
use super::connection::{SqlConnection, Target};
use super::ddl::{self, ident, physical};
use super::dedup::{number_twins, remove_duplicates};
use super::difference;
use super::held;
use super::layout::Layout;
use super::ledger::{self, DayCount};
use super::profiles;
use super::quarantine;
use super::stream::{BatchSender, stream};
use super::writer::Batches;
use crate::error::{Error, ErrorKind, Result};
use crate::types::TableKind;

/// Refused lines and possible repeats are written down when there are this many
/// bytes of them: between two `INSERT`s of one transaction.
const MAX_WAITING_BYTES: usize = 8 << 20;

/// In microseconds.
const SECOND: i64 = 1_000_000;

/// The state of one transaction.
pub(super) struct Filling<'a> {
    spec: &'a ChunkSpec<'a>,
    kind: TableKind,
    catalog: Catalog,
    view_changed: bool,
    /// Promoted properties with values that their column cannot hold.
    stale: HashSet<String>,
    /// Promoted properties with values in this chunk.
    used: BTreeSet<String>,
    /// Refused lines and possible repeats that are not written down yet.
    waiting: Vec<Reject>,
    held: Vec<HeldEvent>,
    waiting_bytes: usize,
    /// The last refused line that was there before.
    last_reject: i64,
    /// Earliest and latest event time among the new rows, microseconds UTC.
    span: Option<(i64, i64)>,
    days: BTreeMap<Date, DayCount>,
    /// The last row of those that were there, where they stay.
    last_row: i64,
    /// Of fetched profiles: the counts, and what became of them.
    profiles: DayCount,
    replaced: profiles::Replaced,
    /// Rows that are lacking, and still are when the chunk is in.
    left_behind: i64,
    appended: u64,
    lines: u64,
    rejects: u64,
    repeats: u64,
}

/// Why no more batches were sent.
enum Stop {
    /// There are none, or the next one waits for another `INSERT`.
    Next(Option<DecodedBatch>),
    /// Nobody takes them: the `INSERT` knows why.
    Closed,
}

impl<'a> Filling<'a> {
    pub(super) fn new(spec: &'a ChunkSpec<'a>, catalog: Catalog, view_changed: bool) -> Self {
        Filling {
            spec,
            kind: spec.metadata.kind,
            catalog,
            view_changed,
            stale: HashSet::new(),
            used: BTreeSet::new(),
            waiting: Vec::new(),
            held: Vec::new(),
            waiting_bytes: 0,
            last_reject: -1,
            span: None,
            days: BTreeMap::new(),
            last_row: -1,
            profiles: DayCount::default(),
            replaced: profiles::Replaced::default(),
            left_behind: 0,
            appended: 0,
            lines: 0,
            rejects: 0,
            repeats: 0,
        }
    }

    /// Says which properties are to be expected, so that one `INSERT` is enough.
    pub(super) fn expect<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        let known = names.filter(|name| self.catalog.is_promoted(name));
        self.used.extend(known.map(str::to_owned));
    }

    pub(super) fn fill(
        &mut self,
        connection: &mut dyn SqlConnection,
        batches: &mut Batches<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Written> {
        let table = ident(&physical(self.spec.table));
        held::prepare(connection)?;
        self.left_behind = difference::left_behind(connection, self.spec, &table)?;
        self.remove_old(connection, &table)?;
        let mut next = self.take(batches)?;
        while let Some(first) = next {
            next = self.insert(connection, first, batches, progress)?;
            self.write_down(connection)?;
        }
        self.write_down(connection)?;
        self.take_back(connection)?;
        let removed = self.remove_duplicates(connection, &table)?;
        self.check(connection, &table, removed)?;
        self.record(connection, &table)
    }

    /// Old rows of the chunk's days go.
    fn remove_old(&mut self, connection: &mut dyn SqlConnection, table: &str) -> Result<()> {
        self.last_reject = quarantine::last_line(connection)?;
        match &self.spec.scope {
            Scope::Days(range) => {
                connection.execute(&format!("DELETE FROM {table}{}", within(range.bounds())))
            }
            Scope::Everything(_) => connection.execute(&format!("DELETE FROM {table}")),
            // Profiles go when it is known who came.
            Scope::Add(_) | Scope::Load(_) | Scope::Profiles(_) => {
                self.last_row = profiles::last_row(connection, table)?;
                Ok(())
            }
        }
    }

    /// One `INSERT`: DuckDB writes on its own threads while this one decodes or
    /// waits, and learns. Returns the batch that the next one begins with.
    fn insert(
        &mut self,
        connection: &mut dyn SqlConnection,
        first: DecodedBatch,
        batches: &mut Batches<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Option<DecodedBatch>> {
        let name = physical(self.spec.table);
        let ordered = self.spec.keeps_order();
        let layout = Layout::new(&first.rows.schema(), &self.catalog, &self.used);
        let (sender, reader) = stream(layout.schema());
        let before = self.appended;
        let (stop, inserted) = thread::scope(|scope| -> Result<_> {
            let insert = move || connection.insert(Target::Main(&name), Box::new(reader), ordered);
            let inserting = thread::Builder::new().spawn_scoped(scope, insert).map_err(Error::no_thread)?;
            let stop = self.send(&layout, first, batches, sender, progress);
            Ok((stop, inserting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
        })?;
        match (stop?, inserted?) {
            (Stop::Next(next), rows) if rows == self.appended - before => Ok(next),
            (_, rows) => {
                let what = format!("{} rows were handed over, {rows} arrived", self.appended - before);
                Err(ErrorKind::Inconsistent { what }.into())
            }
        }
    }

    fn send(
        &mut self,
        layout: &Layout,
        first: DecodedBatch,
        batches: &mut Batches<'_>,
        sender: BatchSender,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Stop> {
        let mut next = Some(first);
        loop {
            let Some(batch) = next.take() else {
                return Ok(if sender.finish() { Stop::Next(None) } else { Stop::Closed });
            };
            let full = self.waiting_bytes > MAX_WAITING_BYTES;
            if !layout.holds(&batch, &self.catalog) || (full && self.appended > 0) {
                return Ok(if sender.finish() { Stop::Next(Some(batch)) } else { Stop::Closed });
            }
            if batch.rows.num_rows() > 0 {
                if !sender.send(layout.fit(&batch, &mut self.stale)) {
                    return Ok(Stop::Closed);
                }
                self.appended += batch.rows.num_rows() as u64;
                progress(self.appended);
            }
            // None is made, or held, while others wait to be taken.
            drop(batch);
            if !sender.wait_for_room() {
                return Ok(Stop::Closed);
            }
            next = self.take(batches)?;
        }
    }

    /// The next batch, with everything noted that is to be known of it.
    fn take(&mut self, batches: &mut Batches<'_>) -> Result<Option<DecodedBatch>> {
        let Some(mut batch) = batches.next()? else { return Ok(None) };
        self.lines += batch.lines;
        self.rejects += batch.rejects.len() as u64;
        if let (OnReject::Fail, Some(reject)) = (self.spec.on_reject, batch.rejects.first()) {
            let chunk = self.spec.scope.name();
            return Err(
                ErrorKind::Rejected { chunk, line: reject.line, why: reject.reason.to_string() }.into()
            );
        }
        self.waiting_bytes += batch.rejects.iter().map(|reject| reject.bytes.len() + 64).sum::<usize>();
        self.waiting_bytes += batch.held.iter().map(|event| event.properties.len() + 256).sum::<usize>();
        self.waiting.append(&mut batch.rejects);
        self.repeats += batch.held.len() as u64;
        for event in &batch.held {
            if let Some(range) = self.spec.scope.days() {
                let content = xxh3_64_with_seed(event.properties.as_bytes(), event.key);
                let count = self.days.entry(range.clock.day_of(event.event_time)).or_default();
                count.add(event.properties.len(), content);
                count.duplicates += 1;
            }
        }
        self.held.append(&mut batch.held);
        self.view_changed |= self.catalog.observe(&batch.stats);
        for seen in batch.stats.iter().filter(|seen| seen.rows > 0) {
            if !self.used.contains(&seen.name) && self.catalog.is_promoted(&seen.name) {
                self.used.insert(seen.name.clone());
            }
        }
        let texts = batch.rows.column_by_name(PROPERTIES).expect("a fixed column").as_string::<i32>();
        let contents: Vec<u64> = (0..batch.rows.num_rows())
            .map(|row| xxh3_64_with_seed(texts.value(row).as_bytes(), batch.keys[row]))
            .collect();
        self.count_days(&batch, texts, &contents);
        Ok(Some(batch))
    }

    /// Compares possible repeats with the rows; those that are none count as rows.
    fn take_back(&mut self, connection: &mut dyn SqlConnection) -> Result<()> {
        if self.repeats == 0 {
            return connection.execute("DROP TABLE temp.mp_held");
        }
        let meets = self.span.map_or_else(String::new, |(low, high)| within((low, high + 1)));
        let (fresh, changed) = held::compare(connection, self.spec.table, &mut self.catalog, &meets)?;
        self.view_changed |= changed;
        for (time, count) in fresh {
            self.repeats -= count;
            self.appended += count;
            if let Some(range) = self.spec.scope.days() {
                self.days.entry(range.clock.day_of(time)).or_default().duplicates -= count;
            }
        }
        Ok(())
    }

    fn count_days(&mut self, batch: &DecodedBatch, texts: &StringArray, contents: &[u64]) {
        if let Scope::Profiles(_) = self.spec.scope {
            (0..contents.len()).for_each(|row| self.profiles.add(texts.value(row).len(), contents[row]));
        }
        let Some(times) = batch.rows.column_by_name(EVENT_TIME) else { return };
        let times = times.as_primitive::<TimestampMicrosecondType>().values();
        if let (Some(low), Some(high)) = (times.iter().min(), times.iter().max()) {
            let (first, last) = self.span.unwrap_or((*low, *high));
            self.span = Some((first.min(*low), last.max(*high)));
        }
        let Some(range) = self.spec.scope.days() else { return };
        // Rows come in runs of one day: the calendar is asked once for each run.
        let mut known: Option<(i64, i64, Date)> = None;
        let mut count = DayCount::default();
        for (row, time) in times.iter().enumerate() {
            if !known.is_some_and(|(start, end, _)| (start..end).contains(time)) {
                if let Some((_, _, day)) = known {
                    self.days.entry(day).or_default().merge(&std::mem::take(&mut count));
                }
                known = Some(day_around(*time, range));
            }
            count.add(texts.value(row).len(), contents[row]);
        }
        if let Some((_, _, day)) = known {
            self.days.entry(day).or_default().merge(&count);
        }
    }

    /// Keeps refused lines, with the reason, and puts possible repeats aside.
    fn write_down(&mut self, connection: &mut dyn SqlConnection) -> Result<()> {
        held::store(connection, &std::mem::take(&mut self.held))?;
        let rejects = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        if rejects.is_empty() {
            return Ok(());
        }
        let count = rejects.len();
        let chunk = self.spec.scope.name();
        let now = self.spec.now.as_microsecond();
        let columns: [(&str, ArrayRef); 7] = [
            ("table_name", Arc::new(StringArray::from(vec![self.spec.table; count]))),
            ("chunk", Arc::new(StringArray::from(vec![chunk.as_str(); count]))),
            ("line", Arc::new(rejects.iter().map(|reject| Some(reject.line as i64)).collect::<Int64Array>())),
            (
                "reason",
                Arc::new(rejects.iter().map(|reject| Some(reject.reason.as_str())).collect::<StringArray>()),
            ),
            (
                "bytes",
                Arc::new(rejects.iter().map(|reject| Some(&reject.bytes[..])).collect::<BinaryArray>()),
            ),
            ("quarantined_at", Arc::new(TimestampMicrosecondArray::from(vec![now; count]))),
            ("filter_hash", Arc::new(StringArray::from(vec![self.spec.recorded().0; count]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
        connection.append(Target::Main("_quarantine"), batch)?;
        Ok(())
    }

    /// Of the rows with one key, all but the newest go, where the decoder did
    /// not see to it. Returns how many went.
    fn remove_duplicates(&mut self, connection: &mut dyn SqlConnection, table: &str) -> Result<u64> {
        if let Scope::Profiles(arrival) = self.spec.scope {
            self.replaced = profiles::replace(connection, self.spec, arrival, table, self.last_row)?;
            self.profiles.duplicates = self.replaced.duplicates;
            return Ok(self.replaced.duplicates);
        }
        if matches!(self.spec.scope, Scope::Days(_) | Scope::Everything(Some(_))) {
            return Ok(0);
        }
        let meets = match self.span {
            _ if self.kind == TableKind::Profiles => String::new(),
            // Whole seconds: a row may be less precise than the one that it repeats.
            Some((low, high)) => {
                within((low - low.rem_euclid(SECOND), high - high.rem_euclid(SECOND) + SECOND))
            }
            None => return Ok(0),
        };
        if self.kind == TableKind::Events {
            number_twins(connection, table, self.last_row)?;
        }
        let removed = remove_duplicates(connection, self.spec, &self.catalog, table, &meets)?;
        if let Some(range) = self.spec.scope.days() {
            for time in removed.iter().flatten() {
                self.days.entry(range.clock.day_of(*time)).or_default().duplicates += 1;
            }
        }
        Ok(removed.len() as u64)
    }

    /// Nothing may get lost between the wire and the table.
    fn check(&mut self, connection: &mut dyn SqlConnection, table: &str, removed: u64) -> Result<()> {
        if self.lines != self.appended + self.repeats + self.rejects {
            let what = format!(
                "{} lines gave {} rows, {} repeats and {} rejects",
                self.lines, self.appended, self.repeats, self.rejects
            );
            return Err(ErrorKind::Inconsistent { what }.into());
        }
        self.appended -= removed;
        self.repeats += removed;
        let these = match &self.spec.scope {
            // A row of another day would be missing here.
            Scope::Days(range) => within(range.bounds()),
            Scope::Profiles(_) => profiles::newer_than(self.last_row),
            _ => return Ok(()),
        };
        let stored = connection.scalar(&format!("SELECT count(*) FROM {table}{these}"), &[])?;
        if stored.as_i64() != Some(self.appended as i64) {
            let what = format!("{} rows went in, {} are stored", self.appended, stored.to_text());
            return Err(ErrorKind::Inconsistent { what }.into());
        }
        Ok(())
    }

    fn record(&mut self, connection: &mut dyn SqlConnection, table: &str) -> Result<Written> {
        let spec = self.spec;
        for name in &self.stale {
            let property = self.catalog.get_mut(name).expect("a property of this table");
            property.promoted = false;
            property.kind = property.stats.kind().map_or(property.kind, |kind| kind.join(property.kind));
            self.view_changed = true;
        }
        self.catalog.store(connection, spec.table)?;
        let total_rows = connection.scalar(&format!("SELECT count(*) FROM {table}"), &[])?;
        let total_rows = total_rows.as_i64().unwrap_or_default() as u64;
        let mut open_from = Date::MAX;
        quarantine::settle(connection, spec, self.last_reject)?;
        if let Scope::Load(_) = &spec.scope {
            ledger::record_loaded(connection, spec, &self.days)?;
        } else if let Some(range) = spec.scope.days() {
            open_from = range.open_from(self.newest(connection, table, range)?);
            for day in range.from.series(jiff::Span::new().days(1)).take_while(|day| *day <= range.to) {
                self.days.entry(day).or_default();
            }
            ledger::record_days(connection, spec, range, &self.days, open_from)?;
        }
        ledger::record_profiles(connection, spec, &self.profiles, self.rejects)?;
        ledger::record_table(connection, spec, total_rows.saturating_add_signed(self.left_behind))?;
        if spec.scope.days().is_some() {
            quarantine::count_in_ledger(connection, spec.table)?;
        }
        if self.view_changed {
            connection.execute(&ddl::create_view(spec.table, self.kind))?;
            let flat = ddl::create_flat_view(spec.table, self.kind, &self.catalog.by_frequency());
            connection.execute(&flat)?;
        }
        Ok(Written {
            rows: self.appended,
            lines: self.lines,
            duplicates: self.repeats,
            rejects: self.rejects,
            total_rows,
            updated: self.replaced.updated,
            vanished: self.replaced.vanished,
            days: std::mem::take(&mut self.days),
            open_from,
        })
    }

    /// The time of the newest event, where that has to tell which days are over.
    fn newest(
        &self,
        connection: &mut dyn SqlConnection,
        table: &str,
        range: &DayRange,
    ) -> Result<Option<i64>> {
        if matches!(range.present, Present::AtMost(_)) {
            return Ok(None);
        }
        let newest = connection.scalar(&format!("SELECT epoch_us(max(event_time)) FROM {table}"), &[])?;
        Ok(newest.as_i64())
    }
}

/// SQL for `event_time` within [from, to), microseconds UTC.
pub(super) fn within((from, to): (i64, i64)) -> String {
    format!(" WHERE event_time >= make_timestamp({from}) AND event_time < make_timestamp({to})")
}

/// The project day of an instant, with a stretch of time around the instant
/// that is all of that day.
pub(super) fn day_around(time: i64, range: &DayRange) -> (i64, i64, Date) {
    let day = range.clock.day_of(time);
    let (start, end) =
        (start_of(day, &range.clock), start_of(day.tomorrow().unwrap_or(Date::MAX), &range.clock));
    // Where clocks are set back at midnight, wall times repeat: no stretch then.
    let whole = range.clock.day_of(start) == day
        && range.clock.day_of(end - 1) == day
        && (start..end).contains(&time);
    if whole { (start, end, day) } else { (time, time + 1, day) }
}
