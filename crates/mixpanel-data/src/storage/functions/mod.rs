//! Time-zone SQL that works offline.
//!
//! DuckDB keeps everything about `TIMESTAMP WITH TIME ZONE` beyond storing and
//! printing it in its ICU extension, which the published Rust crate does not
//! contain and which must not be downloaded behind a user's back. This module
//! registers the missing functions, over [`jiff`] and its built-in copy of the
//! IANA time zone database. No file is read and nothing is fetched.
//!
//! The session's time zone is UTC and cannot be changed.
//!
//! What is covered is listed in the guide (`docs/guide/time-zones.md`), and the
//! same there as with ICU, since all of it is what DuckDB's functions on plain
//! `TIMESTAMP`s give in UTC: the test `time_zones.rs` compares them. What only ICU
//! has is refused with what to write in its place ([`refused`]).

pub(super) mod casts;
mod format;
mod interval;
mod parts;
mod refused;

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Date32Type, TimeUnit, TimestampMicrosecondType};
use duckdb::Connection;
use duckdb::vscalar::{ArrowFunctionSignature, VArrowScalar};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

type Fallible<T> = Result<T, Box<dyn StdError>>;

/// Makes the functions known to the database that `connection` belongs to.
pub(super) fn register(connection: &Connection) -> duckdb::Result<()> {
    connection.register_scalar_function::<AtTimeZone>("timezone")?;
    interval::register(connection)?;
    refused::register(connection)?;
    parts::register(connection)?;
    connection.register_scalar_function::<Strftime>("strftime")?;
    connection.register_scalar_function::<Name<DayName>>("dayname")?;
    connection.register_scalar_function::<Name<MonthName>>("monthname")
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

fn timestamptz() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn signature(parameters: Vec<DataType>, result: DataType) -> ArrowFunctionSignature {
    ArrowFunctionSignature::exact(parameters, result)
}

/// DuckDB's `infinity` and `-infinity` pass through every function unchanged.
pub(super) fn is_infinite(micros: i64) -> bool {
    micros == i64::MAX || micros == -i64::MAX
}

/// The UTC calendar reading of an instant.
fn civil(micros: i64) -> Fallible<DateTime> {
    Ok(Offset::UTC.to_datetime(Timestamp::from_microsecond(micros)?))
}

fn micros(civil: DateTime) -> Fallible<i64> {
    Ok(Offset::UTC.to_timestamp(civil)?.as_microsecond())
}

/// Applies `f` to each present instant; NULL and infinities stay.
fn map_instants(input: &dyn Array, mut f: impl FnMut(usize, i64) -> Fallible<i64>) -> Fallible<ArrayRef> {
    let input = input.as_primitive::<TimestampMicrosecondType>();
    let mut out = Vec::with_capacity(input.len());
    for row in 0..input.len() {
        out.push(match input.is_valid(row).then(|| input.value(row)) {
            Some(value) if is_infinite(value) => Some(value),
            Some(value) => Some(f(row, value)?),
            None => None,
        });
    }
    Ok(Arc::new(TimestampMicrosecondArray::from(out)))
}

/// Gives a TIMESTAMPTZ result the type that was declared.
fn zoned(array: ArrayRef) -> ArrayRef {
    Arc::new(array.as_primitive::<TimestampMicrosecondType>().clone().with_timezone("UTC"))
}

fn zone(name: &str) -> Fallible<TimeZone> {
    TimeZone::get(name).map_err(|_| {
        format!("Unknown TimeZone '{name}': use an IANA name such as 'America/New_York' or 'UTC'").into()
    })
}

/// Looks zones up once per batch.
#[derive(Default)]
struct Zones(HashMap<String, TimeZone>);

impl Zones {
    fn get(&mut self, name: &str) -> Fallible<TimeZone> {
        if let Some(zone) = self.0.get(name) {
            return Ok(zone.clone());
        }
        let zone = zone(name)?;
        self.0.insert(name.to_owned(), zone.clone());
        Ok(zone)
    }
}

/// `t AT TIME ZONE zone`, which DuckDB's parser turns into `timezone(zone, t)`.
///
/// A wall-clock reading that occurs twice means the later instant, one that is
/// skipped is read with the offset before the change: what ICU does, so that
/// the Rust and the Python build agree.
struct AtTimeZone;

impl VArrowScalar for AtTimeZone {
    type State = ();

    fn invoke(_: &(), input: RecordBatch) -> Fallible<ArrayRef> {
        let names = input.column(0).as_string::<i32>();
        let times = &midnights(input.column(1));
        let to_instant = matches!(times.data_type(), DataType::Timestamp(_, None));
        let mut zones = Zones::default();
        let times = nulled(times, names);
        let out = map_instants(times.as_ref(), |row, value| {
            let zone = zones.get(names.value(row))?;
            if to_instant {
                Ok(zone.to_ambiguous_timestamp(civil(value)?).later()?.as_microsecond())
            } else {
                micros(zone.to_datetime(Timestamp::from_microsecond(value)?))
            }
        })?;
        Ok(if to_instant { zoned(out) } else { out })
    }

    fn signatures() -> Vec<ArrowFunctionSignature> {
        vec![
            signature(vec![DataType::Utf8, timestamp()], timestamptz()),
            signature(vec![DataType::Utf8, DataType::Date32], timestamptz()),
            signature(vec![DataType::Utf8, timestamptz()], timestamp()),
        ]
    }
}

/// Days as their first moments; times as they are.
fn midnights(times: &ArrayRef) -> ArrayRef {
    let Some(days) = times.as_primitive_opt::<Date32Type>() else { return times.clone() };
    let start = |day: i32| match day {
        i32::MAX => i64::MAX,
        day if day == -i32::MAX => -i64::MAX,
        day => i64::from(day) * 86_400_000_000,
    };
    Arc::new(days.iter().map(|day| day.map(start)).collect::<TimestampMicrosecondArray>())
}

/// `times`, NULL also where `other` is NULL.
fn nulled(times: &ArrayRef, other: &dyn Array) -> ArrayRef {
    if other.null_count() == 0 {
        return times.clone();
    }
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let values =
        (0..times.len()).map(|row| (times.is_valid(row) && other.is_valid(row)).then(|| times.value(row)));
    Arc::new(values.collect::<TimestampMicrosecondArray>())
}

/// Calls `f` for each present instant and collects texts.
fn map_to_text(times: &dyn Array, mut f: impl FnMut(usize, i64) -> Fallible<String>) -> Fallible<ArrayRef> {
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let mut out: Vec<Option<String>> = Vec::with_capacity(times.len());
    for row in 0..times.len() {
        let present = times.is_valid(row) && !is_infinite(times.value(row));
        out.push(if present { Some(f(row, times.value(row))?) } else { None });
    }
    Ok(Arc::new(StringArray::from(out)))
}

/// `dayname(t)`, `monthname(t)`: English names.
trait NameKind: Send + Sync + 'static {
    const FORMAT: &'static str;
}

struct DayName;
struct MonthName;

impl NameKind for DayName {
    const FORMAT: &'static str = "%A";
}

impl NameKind for MonthName {
    const FORMAT: &'static str = "%B";
}

struct Name<K>(std::marker::PhantomData<K>);

impl<K: NameKind> VArrowScalar for Name<K> {
    type State = ();

    fn invoke(_: &(), input: RecordBatch) -> Fallible<ArrayRef> {
        map_to_text(input.column(0).as_ref(), |_, value| Ok(civil(value)?.strftime(K::FORMAT).to_string()))
    }

    fn signatures() -> Vec<ArrowFunctionSignature> {
        vec![signature(vec![timestamptz()], DataType::Utf8)]
    }
}

struct Strftime;

impl VArrowScalar for Strftime {
    type State = ();

    fn invoke(_: &(), input: RecordBatch) -> Fallible<ArrayRef> {
        let (times, formats) = match input.column(0).data_type() {
            DataType::Utf8 => (input.column(1), input.column(0)),
            _ => (input.column(0), input.column(1)),
        };
        let formats = formats.as_string::<i32>();
        let times = nulled(times, formats);
        map_to_text(times.as_ref(), |row, value| format::strftime(formats.value(row), civil(value)?))
    }

    fn signatures() -> Vec<ArrowFunctionSignature> {
        vec![
            signature(vec![timestamptz(), DataType::Utf8], DataType::Utf8),
            signature(vec![DataType::Utf8, timestamptz()], DataType::Utf8),
        ]
    }
}
