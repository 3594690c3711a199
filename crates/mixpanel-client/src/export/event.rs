//! Lines of an export become a batch of events.
//!
//! The export is JSON Lines: an object with the event's name and the object of its properties,
//! among them `time`, `distinct_id` and `$insert_id`. The decoder takes one line at a time. A line
//! that cannot be an event is put aside with the reason and never fails the batch.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, TimestampMicrosecondArray};

use super::repeats::Repeats;
use crate::decode::ColumnPlan;
use crate::decode::batch::{DecodedBatch, HeldEvent, RejectReason};
use crate::decode::identity::{key, made_insert_id};
use crate::decode::names::{DISTINCT, INSERT, OF_EVENTS, PROCESSED, TIME};
use crate::decode::number::Number;
use crate::decode::properties::Properties;
use crate::decode::reader::{Books, Found, Reader};
use crate::decode::scan::{StringText, Value};
use crate::decode::text::TextColumn;
use crate::schema::event_schema;
use crate::time::{LAST_MICROSECOND, OffsetWindow, ProjectClock};

/// What the decoder needs to know about the project and the table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DecodeOptions {
    /// What the exported times mean.
    pub clock: ProjectClock,
    /// Which properties become columns.
    pub plan: ColumnPlan,
    /// The time that was asked for: the first microsecond (UTC) of it, and the first one after it.
    /// Lines outside are refused as [`RejectReason::OtherDay`]; without it there is no outside.
    /// Events in parts ([`EventDecoder::push_record`]) were not asked for, and are not looked at.
    pub within: Option<(i64, i64)>,
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
    within: Option<(i64, i64)>,
    reader: Reader,
    properties: Properties,
    fixed: FixedColumns,
    keys: Vec<u64>,
    processed_ms: Vec<Option<i64>>,
    /// The keys so far, if repeats are held back.
    repeats: Option<Repeats>,
    held: Vec<HeldEvent>,
    books: Books,
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

/// When an event happened, as an instant and as exported, and when Mixpanel processed it.
struct Times {
    utc_us: i64,
    exported_us: i64,
    processed: Option<Value>,
}

/// From here on a time is in milliseconds: as seconds it would be the year 5138.
const FIRST_MILLISECOND: u64 = 100_000_000_000;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

impl EventDecoder {
    /// A decoder for one project and one table.
    pub fn new(options: DecodeOptions) -> Self {
        let mut reader = Reader::new(OF_EVENTS);
        let properties = Properties::new(&options.plan, &mut reader.names);
        Self {
            clock: options.clock,
            window: OffsetWindow::EMPTY,
            within: options.within,
            reader,
            properties,
            fixed: FixedColumns::default(),
            keys: Vec::new(),
            processed_ms: Vec::new(),
            repeats: None,
            held: Vec::new(),
            books: Books::default(),
        }
    }

    /// From now on, events that may be repeats of earlier ones go to
    /// [`DecodedBatch::held`] and not into the rows.
    pub fn hold_repeats(&mut self) {
        self.repeats = Some(Repeats::default());
    }

    /// Decodes one line, without its line feed. White space around the object is ignored, so is a
    /// byte order mark on the first line of a body (`line_number` 0 or 1).
    pub fn push(&mut self, line: &[u8], line_number: u64) {
        let names = self.reader.names.len();
        let held = self.held.len();
        let decoded = self.decode(line, line_number);
        if let Some(event) = self.held.get_mut(held) {
            event.line = line_number;
        }
        self.books.enter(decoded, line_number, line, 0, self.reader.names.len() - names);
    }

    /// Takes an event in parts. Its properties are columns just like those of a line; here they need
    /// not repeat the time and the ids.
    pub fn push_record(&mut self, record: &RecordParts<'_>, number: u64) {
        let names = self.reader.names.len();
        let decoded = self.decode_record(record);
        let new_names = self.reader.names.len() - names;
        self.books.enter(decoded, number, record.properties, record.event_name.len(), new_names);
    }

    fn decode_record(&mut self, record: &RecordParts<'_>) -> Result<(), RejectReason> {
        let text = record.properties;
        self.books.check_room(text)?;
        let (start, end) = self.reader.properties(text)?;
        if !(0..=LAST_MICROSECOND).contains(&record.time_us) {
            return Err(RejectReason::BadTime);
        }
        self.fixed.event_name.push(record.event_name.as_bytes());
        self.fixed.distinct_id.push(record.distinct_id.as_bytes());
        let made = record.insert_id.is_none();
        match record.insert_id {
            Some(id) => self.fixed.insert_id.push(id.as_bytes()),
            None => {
                let Reader { names, slots, scratch } = &mut self.reader;
                let id = made_insert_id(record.event_name.as_bytes(), slots, text, names, scratch);
                self.fixed.insert_id.push(id.as_bytes());
            }
        }
        let processed = self.reader.slots.iter().find(|slot| slot.property == PROCESSED);
        let processed = processed.map(|slot| slot.value);
        let times = Times { utc_us: record.time_us, exported_us: record.time_us, processed };
        self.finish_row(&text[start..end], &times, made, text);
        Ok(())
    }

    /// Counts a line that the caller refused, such as one too long to be kept in memory; `head` is
    /// as much of it as there is.
    #[cold]
    pub fn reject(&mut self, line_number: u64, reason: RejectReason, head: &[u8]) {
        self.books.reject(line_number, reason, head);
    }

    /// How many events the batch has so far.
    pub fn rows(&self) -> usize {
        self.keys.len()
    }

    /// About how many bytes the lines of the batch, refused ones included, take in memory; columns
    /// repeat parts of it. For cutting batches.
    pub fn bytes(&self) -> usize {
        self.books.bytes
    }

    /// Sets which properties become columns, from the next batch on: at once when the current batch
    /// has no event yet.
    pub fn set_plan(&mut self, plan: ColumnPlan) {
        self.books.set_plan(plan, self.rows(), &mut self.properties, &mut self.reader.names);
    }

    /// Takes the batch out. The decoder goes on with an empty one; it remembers names, and which
    /// properties got a column.
    pub fn finish_batch(&mut self) -> DecodedBatch {
        let rows = self.rows();
        let next = self.fixed.of_same_size(rows);
        let fixed = std::mem::replace(&mut self.fixed, next);
        let texts = fixed.properties.finish(None);
        let (columns, stats) = self.properties.finish(texts.as_string(), &mut self.reader.names);
        let arrays: Vec<ArrayRef> = vec![
            fixed.event_name.finish(None),
            Arc::new(TimestampMicrosecondArray::from(fixed.event_time)),
            fixed.distinct_id.finish(None),
            fixed.insert_id.finish(None),
            texts,
        ];
        let rows = RecordBatch::try_new(event_schema(), arrays).expect("five columns as the schema says");
        let (rejects, lines) = self.books.close(&mut self.properties, &mut self.reader.names);
        DecodedBatch {
            keys: std::mem::replace(&mut self.keys, Vec::with_capacity(rows.num_rows())),
            processed_ms: std::mem::replace(&mut self.processed_ms, Vec::with_capacity(rows.num_rows())),
            rows,
            columns,
            stats,
            held: std::mem::take(&mut self.held),
            rejects,
            lines,
        }
    }

    fn decode(&mut self, line: &[u8], line_number: u64) -> Result<(), RejectReason> {
        let line = if line_number <= 1 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
        self.books.check_room(line)?;
        let event = self.read(line)?;
        self.take_over(line, &event)
    }

    /// Reads and checks a whole line.
    fn read(&mut self, line: &[u8]) -> Result<Event, RejectReason> {
        let members = self.reader.members(line, b"event", b"properties")?;
        let Some((Value::String { escaped }, start, end)) = members.head else {
            return Err(RejectReason::NoEvent);
        };
        let Found::Object(first, last) = members.properties else { return Err(RejectReason::NoProperties) };
        Ok(Event { name: StringText { start, end, escaped }, properties: (first, last) })
    }

    /// Appends an event that was read, unless its time or user make no sense.
    fn take_over(&mut self, line: &[u8], event: &Event) -> Result<(), RejectReason> {
        let (mut time, mut distinct, mut insert, mut processed) = (None, None, None, None);
        for slot in &self.reader.slots {
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
        if self.within.is_some_and(|(from, until)| !(from..until).contains(&time_us)) {
            return Err(RejectReason::OtherDay);
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
        let mut made = false;
        match insert.map(|slot| (slot.value, slot.text(line))) {
            Some((Value::String { escaped }, text)) if !text.is_empty() => {
                self.fixed.insert_id.push_literal(text, escaped);
            }
            Some((Value::Number(_), text)) => self.fixed.insert_id.push(text),
            _ => {
                made = true;
                let name = self.fixed.event_name.get(row);
                let Reader { names, slots, scratch } = &mut self.reader;
                let id = made_insert_id(name, slots, line, names, scratch);
                self.fixed.insert_id.push(id.as_bytes());
            }
        }
        let texts = &line[event.properties.0..event.properties.1];
        let times = Times { utc_us: time_us, exported_us, processed: processed.map(|slot| slot.value) };
        self.finish_row(texts, &times, made, line);
        Ok(())
    }

    /// Adds what follows from the names and ids that were just appended. `scanned` is what `slots`
    /// point into.
    #[inline]
    fn finish_row(&mut self, properties: &[u8], times: &Times, made: bool, scanned: &[u8]) {
        let time_us = times.utc_us;
        let row = self.rows();
        let key = key(
            self.fixed.event_name.get(row),
            times.exported_us,
            self.fixed.distinct_id.get(row),
            self.fixed.insert_id.get(row),
            &mut self.reader.scratch,
        );
        let processed_ms = match times.processed {
            Some(Value::Number(Number::Integer(ms))) => Some(ms),
            _ => None,
        };
        if self.repeats.as_mut().is_some_and(|repeats| repeats.note(key)) {
            let held =
                HeldEvent { line: 0, event_time: time_us, made, processed_ms, key, ..HeldEvent::default() };
            return self.hold(properties, held);
        }
        self.fixed.event_time.push(time_us);
        self.fixed.properties.push(properties);
        self.keys.push(key);
        self.processed_ms.push(processed_ms);
        let Reader { names, slots, .. } = &self.reader;
        self.properties.add(row, Some(time_us), slots, scanned, names);
    }

    /// Takes the names and ids that were just appended off again.
    #[cold]
    fn hold(&mut self, properties: &[u8], held: HeldEvent) {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the scanner checks that");
        self.held.push(HeldEvent {
            event_name: text(self.fixed.event_name.pop()),
            distinct_id: text(self.fixed.distinct_id.pop()),
            insert_id: text(self.fixed.insert_id.pop()),
            properties: text(properties.to_vec()),
            ..held
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
