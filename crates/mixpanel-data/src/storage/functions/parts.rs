//! Parts of instants: `date_part`, `date_trunc`, `date_diff`, and the parts that
//! have functions of their own.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use duckdb::Connection;
use duckdb::vscalar::{ArrowFunctionSignature, VArrowScalar};
use jiff::Span;
use jiff::civil::{Date, ISOWeekDate, Weekday};

use super::{Fallible, civil, is_infinite, map_instants, micros, nulled, signature, timestamptz, zoned};

pub(super) fn register(connection: &Connection) -> duckdb::Result<()> {
    for name in ["date_trunc", "datetrunc"] {
        connection.register_scalar_function::<DateTrunc>(name)?;
    }
    for name in ["date_part", "datepart"] {
        connection.register_scalar_function::<DatePart>(name)?;
    }
    for name in ["date_diff", "datediff"] {
        connection.register_scalar_function::<DateDiff>(name)?;
    }
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
        "millennium" => Millennium, "era" => Era, "timezone" => Offset0, "timezone_hour" => Offset0,
        "timezone_minute" => Offset0,
    }
    connection.register_scalar_function::<Exact<Epoch>>("epoch")?;
    connection.register_scalar_function::<Exact<Julian>>("julian")?;
    connection.register_scalar_function::<LastDay>("last_day")
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
        "second" | "epoch" => return Ok(floor(1_000_000)),
        "minute" => return Ok(floor(60_000_000)),
        "hour" => return Ok(floor(3_600_000_000)),
        "day" | "dow" | "isodow" | "doy" => date,
        "week" | "yearweek" => date.checked_sub(Span::new().days(date.weekday().to_monday_zero_offset()))?,
        "month" => date.first_of_month(),
        "quarter" => Date::new(date.year(), (date.month() - 1) / 3 * 3 + 1, 1)?,
        "year" => year_start(date.year())?,
        "isoyear" => ISOWeekDate::new(date.iso_week_date().year(), 1, Weekday::Monday)?.date(),
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
        "julian" => "julian",
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
        // The others are integers, and one function has one type.
        "epoch" => {
            return Err(
                "date_part of 'epoch' is not there for TIMESTAMP WITH TIME ZONE; write epoch(t)".into()
            );
        }
        "julian" => {
            return Err(
                "date_part of 'julian' is not there for TIMESTAMP WITH TIME ZONE; write julian(t)".into()
            );
        }
        "era" => i64::from(year > 0),
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
    Decade = "decade", Century = "century", Millennium = "millennium", Era = "era", Offset0 = "timezone",
}

struct Part<K>(PhantomData<K>);

impl<K: PartKind> VArrowScalar for Part<K> {
    type State = ();

    fn invoke(_: &(), input: RecordBatch) -> Fallible<ArrayRef> {
        map_to_integers(input.column(0).as_ref(), |_, value| part_of(K::PART, value))
    }

    fn signatures() -> Vec<ArrowFunctionSignature> {
        vec![signature(vec![timestamptz()], DataType::Int64)]
    }
}

/// A number with a fraction: `epoch(t)`, `julian(t)`.
trait ExactKind: Send + Sync + 'static {
    fn of(micros: i64) -> f64;
}

struct Epoch;
struct Julian;

impl ExactKind for Epoch {
    fn of(micros: i64) -> f64 {
        micros as f64 / 1e6
    }
}

impl ExactKind for Julian {
    /// Days since noon, 24 November 4714 BC, as DuckDB counts them: from midnight.
    fn of(micros: i64) -> f64 {
        2_440_588.0 + micros as f64 / 86_400e6
    }
}

struct Exact<K>(PhantomData<K>);

impl<K: ExactKind> VArrowScalar for Exact<K> {
    type State = ();

    fn invoke(_: &(), input: RecordBatch) -> Fallible<ArrayRef> {
        let times = input.column(0).as_primitive::<TimestampMicrosecondType>();
        let numbers = times.iter().map(|time| time.filter(|time| !is_infinite(*time)).map(K::of));
        Ok(Arc::new(numbers.collect::<Float64Array>()))
    }

    fn signatures() -> Vec<ArrowFunctionSignature> {
        vec![signature(vec![timestamptz()], DataType::Float64)]
    }
}

struct LastDay;

impl VArrowScalar for LastDay {
    type State = ();

    fn invoke(_: &(), input: RecordBatch) -> Fallible<ArrayRef> {
        let times = input.column(0).as_primitive::<TimestampMicrosecondType>();
        let last = |time: i64| -> Fallible<i32> {
            let last = civil(time)?.date().last_of_month().at(0, 0, 0, 0);
            Ok(i32::try_from(micros(last)?.div_euclid(86_400_000_000))?)
        };
        let days = times.iter().map(|time| time.filter(|time| !is_infinite(*time)).map(last).transpose());
        Ok(Arc::new(days.collect::<Fallible<Date32Array>>()?))
    }

    fn signatures() -> Vec<ArrowFunctionSignature> {
        vec![signature(vec![timestamptz()], DataType::Date32)]
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
        // Whole weeks between two days, as DuckDB counts them.
        "week" => units(86_400_000_000) / 7,
        "yearweek" => (truncate("week", end)? - truncate("week", start)?) / (7 * 86_400_000_000),
        "month" => (year(end)? - year(start)?) * 12 + part_of("month", end)? - part_of("month", start)?,
        "quarter" => (year(end)? - year(start)?) * 4 + part_of("quarter", end)? - part_of("quarter", start)?,
        "year" => year(end)? - year(start)?,
        "decade" => year(end)? / 10 - year(start)? / 10,
        "century" => year(end)? / 100 - year(start)? / 100,
        "millennium" => year(end)? / 1000 - year(start)? / 1000,
        other => part_of(other, end)? - part_of(other, start)?,
    })
}
