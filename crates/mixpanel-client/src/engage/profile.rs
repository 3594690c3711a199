//! Results of an engage query become a batch of profiles.
//!
//! A result is an object with `$distinct_id` and the object `$properties`. The decoder takes one at
//! a time; one that cannot be a profile is put aside with the reason and never fails the batch.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, TimestampMicrosecondArray};
use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{Timestamp, civil};
use xxhash_rust::xxh3::xxh3_64;

use crate::decode::batch::{DecodedBatch, RejectReason};
use crate::decode::names::{LAST_SEEN, OF_PROFILES};
use crate::decode::properties::{ColumnPlan, Properties};
use crate::decode::reader::{Books, Found, Reader};
use crate::decode::scan::Value;
use crate::decode::text::{TextColumn, decode};
use crate::schema::profile_schema;
use crate::time::LAST_MICROSECOND;

/// The parts of a profile that does not come from the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfileParts<'a> {
    /// Whose profile it is.
    pub distinct_id: &'a str,
    /// When it was last updated: microseconds since 1970, UTC.
    pub last_seen_us: Option<i64>,
    /// The text of a JSON object.
    pub properties: &'a [u8],
}

/// Turns results into batches. It knows no files and no network, and it never fails.
///
/// The properties become columns as those of events do. `$last_seen` is the column `last_seen`
/// instead: null where it is absent or no time. The text of the properties is kept as it is.
///
/// ```
/// use mixpanel_client::engage::ProfileDecoder;
/// use mixpanel_client::export::ColumnPlan;
///
/// let mut decoder = ProfileDecoder::new(&ColumnPlan::all());
/// let result = br#"{"$distinct_id": 17, "$properties": {"$last_seen": "2024-06-09T23:08:40", "plan": "pro"}}"#;
/// decoder.push(result, 1);
/// decoder.push(b"{}", 2);
/// let batch = decoder.finish_batch();
/// assert_eq!((batch.rows.num_rows(), batch.rejects.len()), (1, 1));
/// assert_eq!(batch.columns[0].name, "plan");
/// ```
#[derive(Debug)]
pub struct ProfileDecoder {
    reader: Reader,
    properties: Properties,
    distinct_id: TextColumn,
    texts: TextColumn,
    last_seen: Vec<Option<i64>>,
    keys: Vec<u64>,
    books: Books,
    scratch: Vec<u8>,
}

/// Where the text of a properties object is, and in what.
struct Text<'a> {
    whole: &'a [u8],
    place: (usize, usize),
}

impl ProfileDecoder {
    /// A decoder for one table.
    pub fn new(plan: &ColumnPlan) -> Self {
        let mut reader = Reader::new(OF_PROFILES);
        let properties = Properties::new(plan, &mut reader.names);
        Self {
            reader,
            properties,
            distinct_id: TextColumn::default(),
            texts: TextColumn::default(),
            last_seen: Vec::new(),
            keys: Vec::new(),
            books: Books::default(),
            scratch: Vec::new(),
        }
    }

    /// Decodes one result.
    pub fn push(&mut self, result: &[u8], number: u64) {
        let names = self.reader.names.len();
        let decoded = self.decode(result);
        self.books.enter(decoded, number, result, 0, self.reader.names.len() - names);
    }

    /// Takes a profile in parts. Its properties need not repeat the id and the time.
    pub fn push_record(&mut self, record: &ProfileParts<'_>, number: u64) {
        let names = self.reader.names.len();
        let decoded = self.decode_record(record);
        let new_names = self.reader.names.len() - names;
        self.books.enter(decoded, number, record.properties, record.distinct_id.len(), new_names);
    }

    /// How many profiles the batch has so far.
    pub fn rows(&self) -> usize {
        self.keys.len()
    }

    /// About how many bytes the batch takes in memory, refused results included.
    pub fn bytes(&self) -> usize {
        self.books.bytes
    }

    /// Sets which properties become columns, from the next batch on: at once when the current batch
    /// has no profile yet.
    pub fn set_plan(&mut self, plan: ColumnPlan) {
        self.books.set_plan(plan, self.rows(), &mut self.properties, &mut self.reader.names);
    }

    /// Takes the batch out. The decoder goes on with an empty one; it remembers names, and which
    /// properties got a column.
    pub fn finish_batch(&mut self) -> DecodedBatch {
        let rows = self.rows();
        let take = |column: &mut TextColumn| {
            let next = TextColumn::with_capacity(rows, column.bytes());
            std::mem::replace(column, next).finish(None)
        };
        let (ids, texts) = (take(&mut self.distinct_id), take(&mut self.texts));
        let (columns, stats) = self.properties.finish(texts.as_string(), &mut self.reader.names);
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(std::mem::take(&mut self.last_seen)));
        let rows =
            RecordBatch::try_new(profile_schema(), vec![ids, texts, times]).expect("as the schema says");
        let (rejects, lines) = self.books.close(&mut self.properties, &mut self.reader.names);
        let (keys, processed_ms, held) = (std::mem::take(&mut self.keys), Vec::new(), Vec::new());
        DecodedBatch { rows, columns, stats, keys, processed_ms, held, rejects, lines }
    }

    fn decode(&mut self, result: &[u8]) -> Result<(), RejectReason> {
        self.books.check_room(result)?;
        let members = self.reader.members(result, b"$distinct_id", b"$properties")?;
        let (id, start, end) = members.head.ok_or(RejectReason::NoDistinctId)?;
        let id_text = &result[start..end];
        let text = match members.properties {
            Found::Object(start, end) => Text { whole: result, place: (start, end) },
            // Of an id that Mixpanel knows without a profile.
            Found::Missing | Found::Null => {
                self.reader.slots.clear();
                Text { whole: b"{}", place: (0, 2) }
            }
            Found::Other => return Err(RejectReason::NoProperties),
        };
        match id {
            Value::String { escaped } => self.distinct_id.push_literal(id_text, escaped),
            Value::Number(_) => self.distinct_id.push(id_text),
            Value::Null => return Err(RejectReason::NoDistinctId),
            _ => return Err(RejectReason::BadDistinctId),
        }
        let seen = self.reader.slots.iter().find(|slot| slot.property == LAST_SEEN);
        let last_seen = seen.and_then(|slot| match slot.value {
            Value::String { escaped } => {
                self.scratch.clear();
                decode(slot.text(text.whole), escaped, &mut self.scratch);
                time_of(&self.scratch)
            }
            _ => None,
        });
        self.finish_row(&text, last_seen);
        Ok(())
    }

    fn decode_record(&mut self, record: &ProfileParts<'_>) -> Result<(), RejectReason> {
        self.books.check_room(record.properties)?;
        let place = self.reader.properties(record.properties)?;
        self.distinct_id.push(record.distinct_id.as_bytes());
        self.finish_row(&Text { whole: record.properties, place }, record.last_seen_us);
        Ok(())
    }

    /// Adds the profile whose id was just appended, and whose properties were read last.
    fn finish_row(&mut self, text: &Text<'_>, last_seen: Option<i64>) {
        let row = self.rows();
        self.texts.push(&text.whole[text.place.0..text.place.1]);
        self.last_seen.push(last_seen);
        self.keys.push(xxh3_64(self.distinct_id.get(row)));
        let Reader { names, slots, .. } = &self.reader;
        self.properties.add(row, last_seen, slots, text.whole, names);
    }
}

/// Microseconds since 1970 of a `$last_seen`, such as `2008-06-09T23:08:40`: a date with or without
/// a time of day, in UTC unless it names its own offset. None for anything else, and for times
/// outside of the years 1970 to 9999.
fn time_of(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let wall = || -> Option<Timestamp> {
        let wall = text.parse::<DateTime>().or_else(|_| text.parse().map(civil::Date::into)).ok()?;
        Offset::UTC.to_timestamp(wall).ok()
    };
    let time = text.parse::<Timestamp>().ok().or_else(wall)?.as_microsecond();
    (0..=LAST_MICROSECOND).contains(&time).then_some(time)
}

#[cfg(test)]
#[path = "profile_tests.rs"]
mod tests;
