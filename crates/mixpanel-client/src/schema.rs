//! The columns of tables of events and of profiles. No other file defines one.
//!
//! Some columns are there for every row; besides them a property may get a typed column of its
//! own, whose type follows from the values seen ([`ColumnKind`]).

use std::fmt;
use std::str::FromStr;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// The name of the event, as sent by the application.
pub const EVENT_NAME: &str = "event_name";
/// When it happened: an instant, as microseconds since 1970 in UTC.
pub const EVENT_TIME: &str = "event_time";
/// Who did it; empty when Mixpanel knows no user.
pub const DISTINCT_ID: &str = "distinct_id";
/// What tells apart two events of one name, user and time.
pub const INSERT_ID: &str = "insert_id";
/// The properties object, byte for byte as exported.
pub const PROPERTIES: &str = "properties";

/// When a profile was last updated: an instant, as microseconds since 1970 in UTC.
pub const LAST_SEEN: &str = "last_seen";

/// The Arrow type of [`EVENT_TIME`] and [`LAST_SEEN`]: microseconds without a zone, and the instant they name is UTC.
pub const EVENT_TIME_TYPE: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// The five columns every event has, in table order. None of them is ever null.
pub fn event_fields() -> [Field; 5] {
    [
        Field::new(EVENT_NAME, DataType::Utf8, false),
        Field::new(EVENT_TIME, EVENT_TIME_TYPE, false),
        Field::new(DISTINCT_ID, DataType::Utf8, false),
        Field::new(INSERT_ID, DataType::Utf8, false),
        Field::new(PROPERTIES, DataType::Utf8, false),
    ]
}

/// [`event_fields`] as a schema.
pub fn event_schema() -> SchemaRef {
    Schema::new(event_fields().to_vec()).into()
}

/// The three columns every profile has, in table order. Only [`LAST_SEEN`] may be null.
pub fn profile_fields() -> [Field; 3] {
    [
        Field::new(DISTINCT_ID, DataType::Utf8, false),
        Field::new(PROPERTIES, DataType::Utf8, false),
        Field::new(LAST_SEEN, EVENT_TIME_TYPE, true),
    ]
}

/// [`profile_fields`] as a schema.
pub fn profile_schema() -> SchemaRef {
    Schema::new(profile_fields().to_vec()).into()
}

/// The type of a property's column, from the values the property had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ColumnKind {
    /// Only `true` and `false`.
    Boolean,
    /// Only integers that 64 signed bits hold.
    BigInt,
    /// Numbers, at least one of them with a fraction or an exponent.
    Double,
    /// Only strings.
    Varchar,
    /// Only objects and arrays, kept as their exact text.
    Json,
    /// Values of different types, or numbers that neither 64-bit type can hold. Strings are kept as
    /// what they say, everything else as its exact JSON text.
    Mixed,
}

impl ColumnKind {
    /// Every kind, from the narrowest on.
    pub const ALL: [ColumnKind; 6] =
        [Self::Boolean, Self::BigInt, Self::Double, Self::Varchar, Self::Json, Self::Mixed];

    /// The kind that can hold the values of both.
    ///
    /// Integers and other numbers meet in [`Double`](Self::Double), all other differences in
    /// [`Mixed`](Self::Mixed). The order of joining makes no difference. Whether a particular
    /// integer survives the way into a double is not decided here: the decoder looks at the values
    /// and goes to `Mixed` when one would not.
    #[must_use]
    pub fn join(self, other: ColumnKind) -> ColumnKind {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::BigInt, Self::Double) | (Self::Double, Self::BigInt) => Self::Double,
            _ => Self::Mixed,
        }
    }

    /// The column's type in SQL.
    pub fn sql_type(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::BigInt => "BIGINT",
            Self::Double => "DOUBLE",
            Self::Varchar | Self::Mixed => "VARCHAR",
            Self::Json => "JSON",
        }
    }

    /// The column's type in Arrow.
    pub fn arrow_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::BigInt => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Varchar | Self::Json | Self::Mixed => DataType::Utf8,
        }
    }

    /// The word that stands for the kind in a catalog; [`FromStr`] reads it back.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::BigInt => "bigint",
            Self::Double => "double",
            Self::Varchar => "varchar",
            Self::Json => "json",
            Self::Mixed => "mixed",
        }
    }
}

impl fmt::Display for ColumnKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no [`ColumnKind`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a kind of column (boolean, bigint, double, varchar, json or mixed)")]
pub struct UnknownKind(String);

impl FromStr for ColumnKind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == word);
        known.ok_or_else(|| UnknownKind(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for kind in ColumnKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("Boolean".parse::<ColumnKind>().is_err());
    }

    #[test]
    fn joining_has_no_order() {
        for a in ColumnKind::ALL {
            assert_eq!(a.join(a), a);
            assert_eq!(a.join(ColumnKind::Mixed), ColumnKind::Mixed);
            for b in ColumnKind::ALL {
                assert_eq!(a.join(b), b.join(a));
                for c in ColumnKind::ALL {
                    assert_eq!(a.join(b).join(c), a.join(b.join(c)));
                }
            }
        }
    }

    #[test]
    fn numbers_meet_in_double() {
        assert_eq!(ColumnKind::BigInt.join(ColumnKind::Double), ColumnKind::Double);
        assert_eq!(ColumnKind::BigInt.join(ColumnKind::Boolean), ColumnKind::Mixed);
        assert_eq!(ColumnKind::Json.join(ColumnKind::Varchar), ColumnKind::Mixed);
    }

    #[test]
    fn five_columns_without_nulls() {
        let names = [EVENT_NAME, EVENT_TIME, DISTINCT_ID, INSERT_ID, PROPERTIES];
        assert_eq!(event_fields().each_ref().map(|field| field.name().as_str()), names);
        assert!(event_schema().fields().iter().all(|field| !field.is_nullable()));
    }
}
