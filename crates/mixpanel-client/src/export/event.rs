//! Lines of an export become a batch of events.
//!
//! The export is JSON Lines: an object with the event's name and the object of its properties,
//! among them `time`, `distinct_id` and `$insert_id`. The decoder takes one line at a time. A line
//! that cannot be an event is put aside with the reason and never fails the batch.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, TimestampMicrosecondArray};

use super::batch::{EventBatch, HeldEvent, Reject, RejectReason};
use super::decode::identity::{key, made_insert_id};
use super::decode::names::{DISTINCT, INSERT, NameTable, PROCESSED, TIME};
use super::decode::number::Number;
use super::decode::object::{Slot, read_object};
use super::decode::properties::Properties;
use super::decode::scan::{Malformed, Scanner, StringText, Value};
use super::decode::text::{TextColumn, decode};
use super::repeats::Repeats;
use crate::schema::{ColumnKind, event_schema};
use crate::time::{OffsetWindow, ProjectClock};

/// Which properties become columns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnPlan {
    /// Properties that have a column already, with its kind: batches give at least that kind.
    pub known: Vec<(String, ColumnKind)>,
    /// How many other properties may get a column, in the order of their first value. They keep it
    /// until the next plan.
    pub room: usize,
}

impl ColumnPlan {
    /// A column for every property, as far as any event table has that many (2,048).
    pub fn all() -> Self {
        Self { known: Vec::new(), room: 2_048 }
    }
}

/// What the decoder needs to know about the project and the table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DecodeOptions {
    /// What the exported times mean.
    pub clock: ProjectClock,
    /// Which properties become columns.
    pub plan: ColumnPlan,
}

/// The parts of an event that does not come from an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordParts<'a> {
    /// The event's name.
    pub event_name: &'a str,
    /// When it happened: microseconds since 1970, UTC. No clock is applied to it.
    pub time_us: i64,
    /// Whose event it is.
    pub distinct_id: &'a str,
    /// What tells it from others; without one, a hash of the event takes its place.
    pub insert_id: Option<&'a str>,
    /// The text of a JSON object.
    pub properties: &'a [u8],
}

/// Turns lines into batches. It knows no files and no network, and it never fails.
///
/// A batch has no size of its own: the caller cuts it by [`rows`](Self::rows) and
/// [`bytes`](Self::bytes). Some thousand rows decode fastest, as they stay in the processor's caches.
/// At 2 GiB the batch is full, and lines are refused as [`RejectReason::TooLong`].
#[derive(Debug)]
pub struct EventDecoder {
    clock: ProjectClock,
    window: OffsetWindow,
    names: NameTable,
    properties: Properties,
    next_plan: Option<ColumnPlan>,
    fixed: FixedColumns,
    keys: Vec<u64>,
    processed_ms: Vec<Option<i64>>,
    /// The keys so far, if repeats are held back.
    repeats: Option<Repeats>,
    held: Vec<HeldEvent>,
    rejects: Vec<Reject>,
    lines: u64,
    bytes: usize,
    slots: Vec<Slot>,
    scratch: Vec<u8>,
}

#[derive(Debug, Default)]
struct FixedColumns {
    event_name: TextColumn,
    event_time: Vec<i64>,
    distinct_id: TextColumn,
    insert_id: TextColumn,
    properties: TextColumn,
}

/// The parts of a line that are an event.
struct Event {
    name: StringText,
    /// Offsets of the properties object.
    properties: (usize, usize),
}

/// Text beyond which no batch goes, as 32-bit offsets end at 2 GiB. Callers cut far earlier.
const MAX_BATCH_BYTES: usize = i32::MAX as usize;
/// What a row takes besides its text; above the length of an insert id that had to be made.
const ROW_BYTES: usize = 64;
/// What a property name takes when it is new.
const NAME_BYTES: usize = 256;

/// 9999-12-31T23:59:59.999999 UTC.
const LAST_MICROSECOND: i64 = 253_402_300_799_999_999;
/// From here on a time is in milliseconds: as seconds it would be the year 5138.
const FIRST_MILLISECOND: u64 = 100_000_000_000;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

impl EventDecoder {
    /// A decoder for one project and one table.
    pub fn new(options: DecodeOptions) -> Self {
        let mut names = NameTable::new();
        let properties = Properties::new(&options.plan, &mut names);
        Self {
            clock: options.clock,
            window: OffsetWindow::EMPTY,
            names,
            properties,
            next_plan: None,
            fixed: FixedColumns::default(),
            keys: Vec::new(),
            processed_ms: Vec::new(),
            repeats: None,
            held: Vec::new(),
            rejects: Vec::new(),
            lines: 0,
            bytes: 0,
            slots: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// From now on, events that may be repeats of earlier ones go to
    /// [`EventBatch::held`] and not into the rows.
    pub fn hold_repeats(&mut self) {
        self.repeats = Some(Repeats::default());
    }

    /// Decodes one line, without its line feed. White space around the object is ignored, so is a
    /// byte order mark on the first line of a body (`line_number` 0 or 1).
    pub fn push(&mut self, line: &[u8], line_number: u64) {
        let names = self.names.len();
        let held = self.held.len();
        let decoded = self.decode(line, line_number);
        if let Some(event) = self.held.get_mut(held) {
            event.line = line_number;
        }
        self.bytes += (self.names.len() - names) * NAME_BYTES;
        match decoded {
            Ok(()) => {
                self.lines += 1;
                self.bytes += line.len() + ROW_BYTES;
            }
            Err(reason) => self.reject(line_number, reason, line),
        }
    }

    /// Takes an event in parts. Its properties are columns just like those of a line; here they need
    /// not repeat the time and the ids.
    pub fn push_record(&mut self, record: &RecordParts<'_>, number: u64) {
        let names = self.names.len();
        let decoded = self.decode_record(record);
        self.bytes += (self.names.len() - names) * NAME_BYTES;
        match decoded {
            Ok(()) => {
                self.lines += 1;
                self.bytes += record.properties.len() + record.event_name.len() + ROW_BYTES;
            }
            Err(reason) => self.reject(number, reason, record.properties),
        }
    }

    fn decode_record(&mut self, record: &RecordParts<'_>) -> Result<(), RejectReason> {
        let text = record.properties;
        if self.bytes.saturating_add(text.len()) > MAX_BATCH_BYTES - ROW_BYTES {
            return Err(RejectReason::TooLong);
        }
        if std::str::from_utf8(text).is_err() {
            return Err(RejectReason::NotUtf8);
        }
        let mut scanner = Scanner::new(text);
        if scanner.peek() != b'{' {
            return Err(RejectReason::NoProperties);
        }
        let start = scanner.at();
        read_object(&mut scanner, 1, &mut self.names, &mut self.scratch, &mut self.slots)
            .map_err(|Malformed| RejectReason::NotJson)?;
        let end = scanner.at();
        if !scanner.at_end() {
            return Err(RejectReason::NotJson);
        }
        if scanner.lone_surrogate() {
            return Err(RejectReason::LoneSurrogate);
        }
        if !(0..=LAST_MICROSECOND).contains(&record.time_us) {
            return Err(RejectReason::BadTime);
        }
        self.fixed.event_name.push(record.event_name.as_bytes());
        self.fixed.distinct_id.push(record.distinct_id.as_bytes());
        match record.insert_id {
            Some(id) => self.fixed.insert_id.push(id.as_bytes()),
            None => {
                let name = record.event_name.as_bytes();
                let id = made_insert_id(name, &self.slots, text, &self.names, &mut self.scratch);
                self.fixed.insert_id.push(id.as_bytes());
            }
        }
        let processed = self.slots.iter().find(|slot| slot.property == PROCESSED).map(|slot| slot.value);
        self.finish_row(&text[start..end], record.time_us, record.time_us, processed, text);
        Ok(())
    }

    /// Counts a line that the caller refused, such as one too long to be kept in memory; `head` is
    /// as much of it as there is.
    #[cold]
    pub fn reject(&mut self, line_number: u64, reason: RejectReason, head: &[u8]) {
        let reject = Reject::new(line_number, reason, head);
        self.lines += 1;
        self.bytes += reject.bytes.len() + ROW_BYTES;
        self.rejects.push(reject);
    }

    /// How many events the batch has so far.
    pub fn rows(&self) -> usize {
        self.keys.len()
    }

    /// About how many bytes the lines of the batch, refused ones included, take in memory; columns
    /// repeat parts of it. For cutting batches.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sets which properties become columns, from the next batch on: at once when the current batch
    /// has no event yet.
    pub fn set_plan(&mut self, plan: ColumnPlan) {
        if self.rows() == 0 {
            self.properties = Properties::new(&plan, &mut self.names);
        } else {
            self.next_plan = Some(plan);
        }
    }

    /// Takes the batch out. The decoder goes on with an empty one; it remembers names, and which
    /// properties got a column.
    pub fn finish_batch(&mut self) -> EventBatch {
        let rows = self.rows();
        let next = self.fixed.of_same_size(rows);
        let fixed = std::mem::replace(&mut self.fixed, next);
        let texts = fixed.properties.finish(None);
        let (columns, stats) = self.properties.finish(texts.as_string(), &mut self.names);
        let arrays: Vec<ArrayRef> = vec![
            fixed.event_name.finish(None),
            Arc::new(TimestampMicrosecondArray::from(fixed.event_time)),
            fixed.distinct_id.finish(None),
            fixed.insert_id.finish(None),
            texts,
        ];
        let rows = RecordBatch::try_new(event_schema(), arrays).expect("five columns as the schema says");
        if let Some(plan) = self.next_plan.take() {
            self.properties = Properties::new(&plan, &mut self.names);
        }
        self.bytes = 0;
        EventBatch {
            keys: std::mem::replace(&mut self.keys, Vec::with_capacity(rows.num_rows())),
            processed_ms: std::mem::replace(&mut self.processed_ms, Vec::with_capacity(rows.num_rows())),
            rows,
            columns,
            stats,
            held: std::mem::take(&mut self.held),
            rejects: std::mem::take(&mut self.rejects),
            lines: std::mem::take(&mut self.lines),
        }
    }

    fn decode(&mut self, line: &[u8], line_number: u64) -> Result<(), RejectReason> {
        let line = if line_number <= 1 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
        if self.bytes.saturating_add(line.len()) > MAX_BATCH_BYTES - ROW_BYTES {
            return Err(RejectReason::TooLong);
        }
        let event = self.read(line)?;
        self.take_over(line, &event)
    }

    /// Reads and checks a whole line. Its properties are in `slots` afterwards.
    fn read(&mut self, line: &[u8]) -> Result<Event, RejectReason> {
        let mut scanner = Scanner::new(line);
        let members = self.members(&mut scanner);
        let (name, properties) = match members {
            Ok(members) if scanner.at_end() => members,
            _ if std::str::from_utf8(line).is_err() => return Err(RejectReason::NotUtf8),
            _ => return Err(RejectReason::NotJson),
        };
        if scanner.lone_surrogate() {
            return Err(RejectReason::LoneSurrogate);
        }
        let name = name.flatten().ok_or(RejectReason::NoEvent)?;
        let properties = properties.flatten().ok_or(RejectReason::NoProperties)?;
        Ok(Event { name, properties })
    }

    /// Reads the object of a line: what its first `event` and its first `properties` are, with
    /// nothing inside when they are of another type. A line that is no object has neither.
    #[expect(clippy::type_complexity, reason = "two optional members, each possibly unfit")]
    fn members(
        &mut self,
        scanner: &mut Scanner<'_>,
    ) -> Result<(Option<Option<StringText>>, Option<Option<(usize, usize)>>), Malformed> {
        let (mut name, mut properties) = (None, None);
        if scanner.peek() != b'{' {
            scanner.other_value(0)?;
            return Ok((name, properties));
        }
        scanner.eat(b'{');
        if scanner.eat(b'}') {
            return Ok((name, properties));
        }
        loop {
            let key = scanner.key()?;
            let mut member = scanner.bytes(key.start, key.end);
            if key.escaped {
                self.scratch.clear();
                decode(member, true, &mut self.scratch);
                member = b"";
            }
            let member = if key.escaped { &self.scratch[..] } else { member };
            let (is_event, is_properties) = (member == b"event", member == b"properties");
            if is_properties && properties.is_none() && scanner.peek() == b'{' {
                let start = scanner.at();
                read_object(scanner, 1, &mut self.names, &mut self.scratch, &mut self.slots)?;
                properties = Some(Some((start, scanner.at())));
            } else {
                let (value, start, end) = scanner.other_value(1)?;
                if is_event && name.is_none() {
                    name = Some(match value {
                        Value::String { escaped } => Some(StringText { start, end, escaped }),
                        _ => None,
                    });
                } else if is_properties && properties.is_none() {
                    properties = Some(None);
                }
            }
            if !scanner.another(b'}')? {
                return Ok((name, properties));
            }
        }
    }

    /// Appends an event that was read, unless its time or user make no sense.
    fn take_over(&mut self, line: &[u8], event: &Event) -> Result<(), RejectReason> {
        let (mut time, mut distinct, mut insert, mut processed) = (None, None, None, None);
        for slot in &self.slots {
            match slot.property {
                TIME => time = Some(*slot),
                DISTINCT => distinct = Some(*slot),
                INSERT => insert = Some(*slot),
                PROCESSED => processed = Some(*slot),
                _ => {}
            }
        }
        let exported_us = time.map_or(Err(RejectReason::NoTime), |slot| exported_micros(slot.value))?;
        let time_us = self.clock.to_utc_within(&mut self.window, exported_us);
        if !(0..=LAST_MICROSECOND).contains(&time_us) {
            return Err(RejectReason::BadTime);
        }
        match distinct.map(|slot| (slot.value, slot)) {
            None | Some((Value::Null, _)) => self.fixed.distinct_id.push(b""),
            Some((Value::String { escaped }, slot)) => {
                self.fixed.distinct_id.push_literal(slot.text(line), escaped);
            }
            Some((Value::Number(_), slot)) => self.fixed.distinct_id.push(slot.text(line)),
            Some(_) => return Err(RejectReason::BadDistinctId),
        }
        // From here on the event is in.
        let row = self.rows();
        let name = &line[event.name.start..event.name.end];
        self.fixed.event_name.push_literal(name, event.name.escaped);
        match insert.map(|slot| (slot.value, slot.text(line))) {
            Some((Value::String { escaped }, text)) if !text.is_empty() => {
                self.fixed.insert_id.push_literal(text, escaped);
            }
            Some((Value::Number(_), text)) => self.fixed.insert_id.push(text),
            _ => {
                let name = self.fixed.event_name.get(row);
                let id = made_insert_id(name, &self.slots, line, &self.names, &mut self.scratch);
                self.fixed.insert_id.push(id.as_bytes());
            }
        }
        let texts = &line[event.properties.0..event.properties.1];
        self.finish_row(texts, time_us, exported_us, processed.map(|slot| slot.value), line);
        Ok(())
    }

    /// Adds what follows from the names and ids that were just appended. `scanned` is what `slots`
    /// point into.
    #[inline]
    fn finish_row(
        &mut self,
        properties: &[u8],
        time_us: i64,
        exported_us: i64,
        processed: Option<Value>,
        scanned: &[u8],
    ) {
        let row = self.rows();
        let key = key(
            self.fixed.event_name.get(row),
            exported_us,
            self.fixed.distinct_id.get(row),
            self.fixed.insert_id.get(row),
            &mut self.scratch,
        );
        let processed_ms = match processed {
            Some(Value::Number(Number::Integer(ms))) => Some(ms),
            _ => None,
        };
        if self.repeats.as_mut().is_some_and(|repeats| repeats.note(key)) {
            return self.hold(properties, time_us, processed_ms, key);
        }
        self.fixed.event_time.push(time_us);
        self.fixed.properties.push(properties);
        self.keys.push(key);
        self.processed_ms.push(processed_ms);
        self.properties.add(row, time_us, &self.slots, scanned, &self.names);
    }

    /// Takes the names and ids that were just appended off again.
    #[cold]
    fn hold(&mut self, properties: &[u8], event_time: i64, processed_ms: Option<i64>, key: u64) {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the scanner checks that");
        self.held.push(HeldEvent {
            line: 0,
            event_name: text(self.fixed.event_name.pop()),
            event_time,
            distinct_id: text(self.fixed.distinct_id.pop()),
            insert_id: text(self.fixed.insert_id.pop()),
            properties: text(properties.to_vec()),
            processed_ms,
            key,
        });
    }
}

impl FixedColumns {
    /// Empty columns with as much room as these need, as batches are usually alike.
    fn of_same_size(&self, rows: usize) -> Self {
        let alike = |column: &TextColumn| TextColumn::with_capacity(rows, column.bytes());
        Self {
            event_name: alike(&self.event_name),
            event_time: Vec::with_capacity(rows),
            distinct_id: alike(&self.distinct_id),
            insert_id: alike(&self.insert_id),
            properties: alike(&self.properties),
        }
    }
}

/// Microseconds since 1970 of an exported `time`: seconds, or milliseconds as an export with
/// `time_in_ms` writes them; with or without a fraction.
fn exported_micros(time: Value) -> Result<i64, RejectReason> {
    let micros = match time {
        Value::Null => return Err(RejectReason::NoTime),
        Value::Number(Number::Integer(time)) => {
            let unit = if time.unsigned_abs() >= FIRST_MILLISECOND { 1_000 } else { 1_000_000 };
            time.checked_mul(unit)
        }
        Value::Number(Number::Double(time)) => {
            let unit = if time.abs() >= FIRST_MILLISECOND as f64 { 1e3 } else { 1e6 };
            // A cast of what does not fit gives the nearest end, which is out of range.
            Some((time * unit).round() as i64)
        }
        _ => None,
    };
    micros.filter(|micros| (0..=LAST_MICROSECOND).contains(micros)).ok_or(RejectReason::BadTime)
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
