//! What decoding gives: rows, columns, counts and refused lines.

use std::fmt;

use arrow::array::{ArrayRef, RecordBatch};

use crate::schema::ColumnKind;

/// Decoded events or profiles, and everything that was learned from their texts.
#[derive(Debug)]
pub struct DecodedBatch {
    /// The columns of [`event_fields`](crate::schema::event_fields) or
    /// [`profile_fields`](crate::schema::profile_fields), one row each, in the order of the texts.
    pub rows: RecordBatch,
    /// The properties that have a column and a value in this batch, in the order in which the
    /// decoder first met them.
    pub columns: Vec<PropertyColumn>,
    /// Every property in this batch, with or without a column, in the same order.
    pub stats: Vec<PropertyStats>,
    /// Per row, the hash of what identifies it: [`event_key`](crate::export::event_key), or the hash
    /// (XXH3) of a profile's distinct id.
    pub keys: Vec<u64>,
    /// Per event, `mp_processing_time_ms` when it is an integer: when Mixpanel took it in, in
    /// milliseconds since 1970, UTC. Of rows with one identity the highest counts. Empty for profiles.
    pub processed_ms: Vec<Option<i64>>,
    /// Events that may be repeats of earlier ones, if the decoder holds them back. They are in no
    /// other field but `lines`.
    pub held: Vec<HeldEvent>,
    /// The lines that are no events, or the results that are no profiles.
    pub rejects: Vec<Reject>,
    /// How many lines or results there were: rows, held events and rejects.
    pub lines: u64,
}

/// An event that may be the same as an earlier one of its export, by
/// [`event_key`](crate::export::event_key); rarely, it only looks so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeldEvent {
    /// The number of its line, as given by the caller.
    pub line: u64,
    /// As in the column of that name, and so are the others.
    pub event_name: String,
    /// Microseconds since 1970, UTC.
    pub event_time: i64,
    /// Whose event it is.
    pub distinct_id: String,
    /// What tells it from others.
    pub insert_id: String,
    /// Whether the insert id was made here: then the event is no repeat, but a twin.
    pub made: bool,
    /// The text of the properties object.
    pub properties: String,
    /// When Mixpanel took it in, in milliseconds since 1970, UTC.
    pub processed_ms: Option<i64>,
    /// The hash of its identity.
    pub key: u64,
}

/// A property's values.
#[derive(Debug, Clone)]
pub struct PropertyColumn {
    /// The property's name, exactly as sent.
    pub name: String,
    /// The kind that holds all of the batch's values, and at least the one the plan gave.
    pub kind: ColumnKind,
    /// As long as the batch has rows, of [`ColumnKind::arrow_type`]; null where an event lacks the
    /// property or has it as JSON null.
    pub values: ArrayRef,
}

/// What a batch has of one property. Not counted are `time`, `distinct_id` and `$insert_id` of events,
/// and `$last_seen` of profiles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PropertyStats {
    /// The property's name, exactly as sent.
    pub name: String,
    /// Rows that have a value for it; JSON null is none.
    pub rows: u64,
    /// Rows that have it as JSON null.
    pub nulls: u64,
    /// `true` and `false`.
    pub booleans: u64,
    /// Numbers without fraction and exponent.
    pub integers: u64,
    /// Those of the integers that fit 64 bits, and that a double would round (beyond ±2^53).
    pub wide_integers: u64,
    /// All other numbers.
    pub floats: u64,
    /// Those of all numbers that neither 64-bit type can hold.
    pub huge_numbers: u64,
    /// Strings.
    pub strings: u64,
    /// Objects.
    pub objects: u64,
    /// Arrays.
    pub arrays: u64,
    /// The time of the earliest event that has the property, null or not, or the earliest
    /// `$last_seen` of a profile that has it: microseconds, UTC. [`i64::MAX`] if none has a time.
    pub first_seen_us: i64,
    /// The latest such time; [`i64::MIN`] if none has one.
    pub last_seen_us: i64,
}

impl PropertyStats {
    /// The kind of a column for exactly these values; none when there are only nulls.
    pub fn kind(&self) -> Option<ColumnKind> {
        let seen = [
            (self.booleans, ColumnKind::Boolean),
            (self.integers, ColumnKind::BigInt),
            (self.floats, ColumnKind::Double),
            (self.strings, ColumnKind::Varchar),
            (self.objects + self.arrays, ColumnKind::Json),
            (self.huge_numbers, ColumnKind::Mixed),
        ];
        let kinds = seen.into_iter().filter(|(count, _)| *count > 0).map(|(_, kind)| kind);
        match kinds.reduce(ColumnKind::join) {
            Some(ColumnKind::Double) if self.wide_integers > 0 => Some(ColumnKind::Mixed),
            kind => kind,
        }
    }

    /// Adds what another batch has of the same property.
    pub fn merge(&mut self, other: &PropertyStats) {
        self.rows += other.rows;
        self.nulls += other.nulls;
        self.booleans += other.booleans;
        self.integers += other.integers;
        self.wide_integers += other.wide_integers;
        self.floats += other.floats;
        self.huge_numbers += other.huge_numbers;
        self.strings += other.strings;
        self.objects += other.objects;
        self.arrays += other.arrays;
        self.first_seen_us = self.first_seen_us.min(other.first_seen_us);
        self.last_seen_us = self.last_seen_us.max(other.last_seen_us);
    }
}

/// A line that is no event, or a result that is no profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Its number, as given by the caller.
    pub line: u64,
    /// Why it is none.
    pub reason: RejectReason,
    /// Its text, or the first [`MAX_BYTES`](Self::MAX_BYTES) of it.
    pub bytes: Vec<u8>,
}

impl Reject {
    /// How much of a line is kept.
    pub const MAX_BYTES: usize = 64 * 1024;

    pub(crate) fn new(line: u64, reason: RejectReason, bytes: &[u8]) -> Self {
        Self { line, reason, bytes: bytes[..bytes.len().min(Self::MAX_BYTES)].to_vec() }
    }
}

/// Why a line is no event, or a result no profile. When there are several reasons, the first in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectReason {
    /// Longer than the limit, so that it was not looked at.
    TooLong,
    /// Not UTF-8.
    NotUtf8,
    /// Not one JSON value, or nested too deep.
    NotJson,
    /// A string has half of a surrogate pair.
    LoneSurrogate,
    /// Not an object with a string as `event`.
    NoEvent,
    /// No object as `properties`.
    NoProperties,
    /// `time` is missing or null.
    NoTime,
    /// `time` is no number, or outside of the years 1970 to 9999.
    BadTime,
    /// The event is of another day than those that were asked for.
    OtherDay,
    /// The distinct id is neither string nor number.
    BadDistinctId,
    /// A profile without `$distinct_id`.
    NoDistinctId,
    /// A record of a CSV file with more or fewer fields than its header.
    WrongFields,
}

impl RejectReason {
    /// The word that stands for the reason in a table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::NotUtf8 => "not_utf8",
            Self::NotJson => "not_json",
            Self::LoneSurrogate => "lone_surrogate",
            Self::NoEvent => "no_event",
            Self::NoProperties => "no_properties",
            Self::NoTime => "no_time",
            Self::BadTime => "bad_time",
            Self::BadDistinctId => "bad_distinct_id",
            Self::OtherDay => "other_day",
            Self::NoDistinctId => "no_distinct_id",
            Self::WrongFields => "wrong_fields",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "it is longer than the limit",
            Self::NotUtf8 => "it is not valid UTF-8",
            Self::NotJson => "it is not valid JSON, or nested deeper than 128 levels",
            Self::LoneSurrogate => "a \\u escape names half of a surrogate pair, which is no character",
            Self::NoEvent => "there is no \"event\" with the event's name as a string",
            Self::NoProperties => "there is no object with the properties",
            Self::NoTime => "the properties have no \"time\"",
            Self::BadTime => "\"time\" is not a number of seconds or milliseconds between 1970 and 9999",
            Self::BadDistinctId => "the distinct id is neither a string nor a number",
            Self::OtherDay => "its \"time\" is of another day than those that were asked for",
            Self::NoDistinctId => "there is no \"$distinct_id\"",
            Self::WrongFields => "it has more or fewer fields than the header",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats() -> PropertyStats {
        PropertyStats {
            name: "p".into(),
            rows: 0,
            nulls: 0,
            booleans: 0,
            integers: 0,
            wide_integers: 0,
            floats: 0,
            huge_numbers: 0,
            strings: 0,
            objects: 0,
            arrays: 0,
            first_seen_us: 5,
            last_seen_us: 5,
        }
    }

    #[test]
    fn kinds_follow_from_counts() {
        assert_eq!(PropertyStats { nulls: 3, ..stats() }.kind(), None);
        assert_eq!(
            PropertyStats { integers: 3, wide_integers: 1, ..stats() }.kind(),
            Some(ColumnKind::BigInt)
        );
        assert_eq!(PropertyStats { integers: 3, floats: 1, ..stats() }.kind(), Some(ColumnKind::Double));
        let rounded = PropertyStats { integers: 3, wide_integers: 1, floats: 1, ..stats() };
        assert_eq!(rounded.kind(), Some(ColumnKind::Mixed));
        assert_eq!(PropertyStats { integers: 1, huge_numbers: 1, ..stats() }.kind(), Some(ColumnKind::Mixed));
        assert_eq!(PropertyStats { objects: 1, arrays: 1, ..stats() }.kind(), Some(ColumnKind::Json));
        assert_eq!(PropertyStats { strings: 1, booleans: 1, ..stats() }.kind(), Some(ColumnKind::Mixed));
    }

    #[test]
    fn batches_add_up() {
        let mut sum = PropertyStats { rows: 1, integers: 1, ..stats() };
        let other =
            PropertyStats { rows: 2, floats: 2, nulls: 1, first_seen_us: 1, last_seen_us: 9, ..stats() };
        sum.merge(&other);
        assert_eq!((sum.rows, sum.nulls, sum.first_seen_us, sum.last_seen_us), (3, 1, 1, 9));
        assert_eq!(sum.kind(), Some(ColumnKind::Double));
    }

    #[test]
    fn rejects_are_cut() {
        let reject = Reject::new(7, RejectReason::NotJson, &vec![b'x'; 100_000]);
        assert_eq!(reject.bytes.len(), Reject::MAX_BYTES);
        assert_eq!(reject.reason.as_str(), "not_json");
    }
}
