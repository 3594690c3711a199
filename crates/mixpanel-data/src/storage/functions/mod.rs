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
//! Covered, each with `TIMESTAMPTZ` arguments: `AT TIME ZONE` (and
//! `timezone(zone, …)`) in both directions, `+` and `-` with an `INTERVAL`,
//! `-` between two of them, `date_trunc`, `date_part`, `extract` and the part
//! functions (`year(…)`, `hour(…)`, …), `date_diff`, `strftime`, `dayname`,
//! `monthname`; casts to `DATE` and `TIME` (see [`super::database`]); and `current_date`, `today()`, `current_localtimestamp()`.
//! Not covered: `SET TimeZone`, non-Gregorian calendars, `COLLATE` by locale,
//! `make_timestamptz`, `time_bucket`, `range` and `generate_series` over
//! `TIMESTAMPTZ`, `strptime` with `%Z`. For those, cast to `TIMESTAMP` first:
//! `time_bucket(INTERVAL 1 DAY, t AT TIME ZONE 'UTC')`.

mod interval;

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use duckdb::Connection;
use duckdb::vscalar::{ArrowFunctionSignature, VArrowScalar};
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp};

type Fallible<T> = Result<T, Box<dyn StdError>>;

/// Makes the functions known to the database that `connection` belongs to.
pub(super) fn register(connection: &Connection) -> duckdb::Result<()> {
    connection.register_scalar_function::<AtTimeZone>("timezone")?;
    interval::register(connection)?;
    for name in ["date_trunc", "datetrunc"] {
        connection.register_scalar_function::<DateTrunc>(name)?;
    }
    for name in ["date_part", "datepart"] {
        connection.register_scalar_function::<DatePart>(name)?;
    }
    for name in ["date_diff", "datediff"] {
        connection.register_scalar_function::<DateDiff>(name)?;
    }
    connection.register_scalar_function::<Strftime>("strftime")?;
    macro_rules! parts {
        ($($name:literal => $kind:ident),* $(,)?) => {
            $(connection.register_scalar_function::<Part<$kind>>($name)?;)*
        };
    }
    parts! {
        "year" => Year, "month" => Month, "day" => Day, "dayofmonth" => Day, "hour" => Hour,
        "minute" => Minute, "second" => Second, "millisecond" => Millisecond, "microsecond" => Microsecond,
        "dayofweek" => DayOfWeek, "weekday" => DayOfWeek, "isodow" => IsoDayOfWeek,
        "dayofyear" => DayOfYear, "week" => Week, "weekofyear" => Week, "quarter" => Quarter,
        "isoyear" => IsoYear, "yearweek" => YearWeek, "decade" => Decade, "century" => Century,
        "millennium" => Millennium,
    }
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

/// Looks zones up once per batch.
#[derive(Default)]
struct Zones(HashMap<String, TimeZone>);

impl Zones {
    fn get(&mut self, name: &str) -> Fallible<TimeZone> {
        if let Some(zone) = self.0.get(name) {
            return Ok(zone.clone());
        }
        let zone = TimeZone::get(name).map_err(|_| {
            format!("unknown time zone '{name}': use an IANA name such as 'America/New_York' or 'UTC'")
        })?;
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
        let times = input.column(1);
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
            signature(vec![DataType::Utf8, timestamptz()], timestamp()),
        ]
    }
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

struct DateTrunc;

impl VArrowScalar for DateTrunc {
    type State = ();

    fn invoke(_: &(), input: RecordBatch) -> Fallible<ArrayRef> {
        let parts = input.column(0).as_string::<i32>();
        let times = nulled(input.column(1), parts);
        Ok(zoned(map_instants(times.as_ref(), |row, value| truncate(parts.value(row), value))?))
    }

    fn signatures() -> Vec<ArrowFunctionSignature> {
        vec![signature(vec![DataType::Utf8, timestamptz()], timestamptz())]
    }
}

fn truncate(part: &str, value: i64) -> Fallible<i64> {
    let floor = |unit: i64| value - value.rem_euclid(unit);
    let date = civil(value)?.date();
    let year_start = |year: i16| -> Fallible<Date> { Ok(Date::new(year, 1, 1)?) };
    let start = match part_name(part)? {
        "microseconds" => return Ok(value),
        "milliseconds" => return Ok(floor(1000)),
        "second" => return Ok(floor(1_000_000)),
        "minute" => return Ok(floor(60_000_000)),
        "hour" => return Ok(floor(3_600_000_000)),
        "day" | "dow" | "isodow" | "doy" => date,
        "week" | "yearweek" => date.checked_sub(Span::new().days(date.weekday().to_monday_zero_offset()))?,
        "month" => date.first_of_month(),
        "quarter" => Date::new(date.year(), (date.month() - 1) / 3 * 3 + 1, 1)?,
        "year" => year_start(date.year())?,
        "isoyear" => {
            jiff::civil::ISOWeekDate::new(date.iso_week_date().year(), 1, jiff::civil::Weekday::Monday)?
                .date()
        }
        "decade" => year_start(date.year() / 10 * 10)?,
        "century" => year_start(date.year() / 100 * 100)?,
        "millennium" => year_start(date.year() / 1000 * 1000)?,
        other => return Err(format!("date_trunc does not know the part '{other}' of a TIMESTAMPTZ").into()),
    };
    micros(start.at(0, 0, 0, 0))
}

/// DuckDB's spellings of a part, folded into one.
fn part_name(part: &str) -> Fallible<&'static str> {
    Ok(match part.to_ascii_lowercase().as_str() {
        "microseconds" | "microsecond" | "us" | "usec" | "usecs" | "usecond" | "useconds" => "microseconds",
        "milliseconds" | "millisecond" | "ms" | "msec" | "msecs" => "milliseconds",
        "second" | "seconds" | "sec" | "secs" | "s" => "second",
        "minute" | "minutes" | "min" | "mins" | "m" => "minute",
        "hour" | "hours" | "hr" | "hrs" | "h" => "hour",
        "day" | "days" | "d" | "dayofmonth" => "day",
        "week" | "weeks" | "w" | "weekofyear" => "week",
        "month" | "months" | "mon" | "mons" => "month",
        "quarter" | "quarters" => "quarter",
        "year" | "years" | "yr" | "yrs" | "y" => "year",
        "decade" | "decades" | "dec" | "decs" => "decade",
        "century" | "centuries" | "cent" | "c" => "century",
        "millennium" | "millennia" | "millenium" | "mil" | "mils" => "millennium",
        "dow" | "dayofweek" | "weekday" => "dow",
        "isodow" => "isodow",
        "doy" | "dayofyear" => "doy",
        "isoyear" => "isoyear",
        "yearweek" => "yearweek",
        "epoch" => "epoch",
        "era" => "era",
        "timezone" | "timezone_hour" | "timezone_minute" => "timezone",
        other => return Err(format!("unknown date part '{other}'").into()),
    })
}

fn part_of(part: &str, value: i64) -> Fallible<i64> {
    let civil = civil(value)?;
    let (date, time) = (civil.date(), civil.time());
    let second_micros = i64::from(time.second()) * 1_000_000 + i64::from(time.subsec_nanosecond() / 1000);
    let iso = date.iso_week_date();
    let year = i64::from(date.year());
    Ok(match part_name(part)? {
        "microseconds" => second_micros,
        "milliseconds" => second_micros / 1000,
        "second" => time.second().into(),
        "minute" => time.minute().into(),
        "hour" => time.hour().into(),
        "day" => date.day().into(),
        "week" => iso.week().into(),
        "month" => date.month().into(),
        "quarter" => ((date.month() - 1) / 3 + 1).into(),
        "year" => year,
        "decade" => year / 10,
        "century" => (year - 1) / 100 + 1,
        "millennium" => (year - 1) / 1000 + 1,
        "dow" => date.weekday().to_sunday_zero_offset().into(),
        "isodow" => date.weekday().to_monday_one_offset().into(),
        "doy" => date.day_of_year().into(),
        "isoyear" => iso.year().into(),
        "yearweek" => i64::from(iso.year()) * 100 + i64::from(iso.week()),
        "epoch" => value.div_euclid(1_000_000),
        "era" => 1,
        _ => 0, // the offset of UTC
    })
}

fn map_to_integers(times: &dyn Array, mut f: impl FnMut(usize, i64) -> Fallible<i64>) -> Fallible<ArrayRef> {
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let mut out = Vec::with_capacity(times.len());
    for row in 0..times.len() {
        let present = times.is_valid(row) && !is_infinite(times.value(row));
        out.push(if present { Some(f(row, times.value(row))?) } else { None });
    }
    Ok(Arc::new(Int64Array::from(out)))
}

struct DatePart;

impl VArrowScalar for DatePart {
    type State = ();

    fn invoke(_: &(), input: RecordBatch) -> Fallible<ArrayRef> {
        let parts = input.column(0).as_string::<i32>();
        let times = nulled(input.column(1), parts);
        map_to_integers(times.as_ref(), |row, value| part_of(parts.value(row), value))
    }

    fn signatures() -> Vec<ArrowFunctionSignature> {
        vec![signature(vec![DataType::Utf8, timestamptz()], DataType::Int64)]
    }
}

/// A part that has a function of its own: `year(t)`.
trait PartKind: Send + Sync + 'static {
    const PART: &'static str;
}

macro_rules! part_kinds {
    ($($kind:ident = $part:literal),* $(,)?) => {
        $(struct $kind; impl PartKind for $kind { const PART: &'static str = $part; })*
    };
}

part_kinds! {
    Year = "year", Month = "month", Day = "day", Hour = "hour", Minute = "minute", Second = "second",
    Millisecond = "milliseconds", Microsecond = "microseconds", DayOfWeek = "dow", IsoDayOfWeek = "isodow",
    DayOfYear = "doy", Week = "week", Quarter = "quarter", IsoYear = "isoyear", YearWeek = "yearweek",
    Decade = "decade", Century = "century", Millennium = "millennium",
}

struct Part<K>(std::marker::PhantomData<K>);

impl<K: PartKind> VArrowScalar for Part<K> {
    type State = ();

    fn invoke(_: &(), input: RecordBatch) -> Fallible<ArrayRef> {
        map_to_integers(input.column(0).as_ref(), |_, value| part_of(K::PART, value))
    }

    fn signatures() -> Vec<ArrowFunctionSignature> {
        vec![signature(vec![timestamptz()], DataType::Int64)]
    }
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
        map_to_text(times.as_ref(), |row, value| {
            let zoned = Timestamp::from_microsecond(value)?.to_zoned(TimeZone::UTC);
            Ok(jiff::fmt::strtime::format(formats.value(row).as_bytes(), &zoned)?)
        })
    }

    fn signatures() -> Vec<ArrowFunctionSignature> {
        vec![
            signature(vec![timestamptz(), DataType::Utf8], DataType::Utf8),
            signature(vec![DataType::Utf8, timestamptz()], DataType::Utf8),
        ]
    }
}

struct DateDiff;

impl VArrowScalar for DateDiff {
    type State = ();

    fn invoke(_: &(), input: RecordBatch) -> Fallible<ArrayRef> {
        let parts = input.column(0).as_string::<i32>();
        let starts = nulled(input.column(1), parts);
        let starts = nulled(&starts, input.column(2));
        let ends = input.column(2).as_primitive::<TimestampMicrosecondType>();
        map_to_integers(starts.as_ref(), |row, start| boundaries(parts.value(row), start, ends.value(row)))
    }

    fn signatures() -> Vec<ArrowFunctionSignature> {
        vec![signature(vec![DataType::Utf8, timestamptz(), timestamptz()], DataType::Int64)]
    }
}

/// How many borders of `part` lie between two instants.
fn boundaries(part: &str, start: i64, end: i64) -> Fallible<i64> {
    let units = |unit: i64| end.div_euclid(unit) - start.div_euclid(unit);
    let year = |value| -> Fallible<i64> { part_of("year", value) };
    Ok(match part_name(part)? {
        "microseconds" => end - start,
        "milliseconds" => units(1000),
        "second" | "epoch" => units(1_000_000),
        "minute" => units(60_000_000),
        "hour" => units(3_600_000_000),
        "day" | "dow" | "isodow" | "doy" => units(86_400_000_000),
        "week" | "yearweek" => (truncate("week", end)? - truncate("week", start)?) / (7 * 86_400_000_000),
        "month" => (year(end)? - year(start)?) * 12 + part_of("month", end)? - part_of("month", start)?,
        "quarter" => (year(end)? - year(start)?) * 4 + part_of("quarter", end)? - part_of("quarter", start)?,
        "year" => year(end)? - year(start)?,
        other => part_of(other, end)? - part_of(other, start)?,
    })
}
