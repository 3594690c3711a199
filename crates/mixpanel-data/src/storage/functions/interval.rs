//! `TIMESTAMPTZ` with `INTERVAL`, and the clock: functions whose arguments or
//! whose lack of arguments the Arrow form of DuckDB's callbacks cannot express.

use std::error::Error as StdError;

use duckdb::Connection;
use duckdb::core::{DataChunkHandle, FlatVector, LogicalTypeId};
use duckdb::vscalar::{ScalarFunctionSignature, VScalar};
use duckdb::vtab::arrow::WritableVector;
use jiff::{Span, Timestamp};

use super::{Fallible, civil, is_infinite, micros};

pub(super) fn register(connection: &Connection) -> duckdb::Result<()> {
    connection.register_scalar_function::<Plus>("+")?;
    connection.register_scalar_function::<MinusInterval>("-")?;
    connection.register_scalar_function::<MinusInstant>("-")?;
    for name in ["current_date", "today"] {
        connection.register_scalar_function::<Today>(name)?;
    }
    connection.register_scalar_function::<LocalTimestamp>("current_localtimestamp")?;
    connection.register_scalar_function::<LocalTime>("current_localtime")?;
    connection.register_scalar_function::<CurrentTime>("get_current_time")
}

/// DuckDB's physical INTERVAL.
#[derive(Clone, Copy)]
#[repr(C)]
struct RawInterval {
    months: i32,
    days: i32,
    micros: i64,
}

/// What a vector of DuckDB holds physically.
///
/// # Safety
/// Implemented only for types whose layout is that of the named logical type.
unsafe trait Physical: Copy {
    const TYPES: &'static [LogicalTypeId];
}

// SAFETY: DuckDB keeps timestamps as 64-bit microseconds.
unsafe impl Physical for i64 {
    const TYPES: &'static [LogicalTypeId] = &[LogicalTypeId::TimestampTZ, LogicalTypeId::Timestamp];
}

// SAFETY: DuckDB's `interval_t` is { int32 months; int32 days; int64 micros }.
unsafe impl Physical for RawInterval {
    const TYPES: &'static [LogicalTypeId] = &[LogicalTypeId::Interval];
}

/// The value at a row, or `None` for NULL.
fn read<T: Physical>(vector: &FlatVector<'_>, row: usize) -> Option<T> {
    assert!(T::TYPES.contains(&vector.logical_type().id()), "a vector of another type");
    assert!(row < vector.capacity());
    if vector.row_is_null(row as u64) {
        return None;
    }
    // SAFETY: the type was checked above, the row lies inside the vector, and a
    // row that is not NULL is initialised.
    Some(unsafe { vector.as_mut_ptr::<T>().add(row).read() })
}

/// Writes one value a row; `None` is NULL.
fn write<T: Copy>(out: &mut FlatVector<'_>, values: &[Option<T>]) {
    for (row, value) in values.iter().enumerate() {
        match value {
            Some(value) => {
                assert!(row < out.capacity());
                // SAFETY: the row lies inside the vector, and each caller below
                // passes the physical type of the result it declared.
                unsafe { out.as_mut_ptr::<T>().add(row).write(*value) };
            }
            None => out.set_null(row),
        }
    }
}

fn shift(value: i64, interval: RawInterval, sign: i64) -> Fallible<i64> {
    if is_infinite(value) {
        return Ok(value);
    }
    let months = Span::new().try_months(sign * i64::from(interval.months))?;
    let days = Span::new().try_days(sign * i64::from(interval.days))?;
    let moved = micros(civil(value)?.checked_add(months)?.checked_add(days)?)?;
    moved.checked_add(sign * interval.micros).ok_or_else(|| "timestamp out of range".into())
}

/// Whole days and the rest, as DuckDB subtracts two plain timestamps.
fn difference(end: i64, start: i64) -> Fallible<RawInterval> {
    const DAY: i64 = 86_400_000_000;
    if is_infinite(start) || is_infinite(end) {
        return Err("cannot subtract infinite timestamps".into());
    }
    let micros = end.checked_sub(start).ok_or("timestamp difference out of range")?;
    Ok(RawInterval { months: 0, days: i32::try_from(micros / DAY)?, micros: micros % DAY })
}

fn binary<A: Physical, B: Physical, R: Copy>(
    input: &DataChunkHandle,
    out: &mut dyn WritableVector,
    f: impl Fn(A, B) -> Fallible<R>,
) -> Result<(), Box<dyn StdError>> {
    let (left, right) = (input.flat_vector(0), input.flat_vector(1));
    let mut values = Vec::with_capacity(input.len());
    for row in 0..input.len() {
        values.push(match (read::<A>(&left, row), read::<B>(&right, row)) {
            (Some(left), Some(right)) => Some(f(left, right)?),
            _ => None,
        });
    }
    write(&mut out.flat_vector(), &values);
    Ok(())
}

fn exact(parameters: &[LogicalTypeId], result: LogicalTypeId) -> ScalarFunctionSignature {
    ScalarFunctionSignature::exact(parameters.iter().map(|id| (*id).into()).collect(), result.into())
}

use LogicalTypeId::{Date, Interval, Time, TimeTZ, Timestamp as TimestampType, TimestampTZ};

struct Plus;

impl VScalar for Plus {
    type State = ();

    fn invoke(_: &(), input: &mut DataChunkHandle, out: &mut dyn WritableVector) -> Fallible<()> {
        if input.flat_vector(0).logical_type().id() == Interval {
            binary(input, out, |interval: RawInterval, time: i64| shift(time, interval, 1))
        } else {
            binary(input, out, |time: i64, interval: RawInterval| shift(time, interval, 1))
        }
    }

    fn signatures() -> Vec<ScalarFunctionSignature> {
        vec![exact(&[TimestampTZ, Interval], TimestampTZ), exact(&[Interval, TimestampTZ], TimestampTZ)]
    }
}

struct MinusInterval;

impl VScalar for MinusInterval {
    type State = ();

    fn invoke(_: &(), input: &mut DataChunkHandle, out: &mut dyn WritableVector) -> Fallible<()> {
        binary(input, out, |time: i64, interval: RawInterval| shift(time, interval, -1))
    }

    fn signatures() -> Vec<ScalarFunctionSignature> {
        vec![exact(&[TimestampTZ, Interval], TimestampTZ)]
    }
}

struct MinusInstant;

impl VScalar for MinusInstant {
    type State = ();

    fn invoke(_: &(), input: &mut DataChunkHandle, out: &mut dyn WritableVector) -> Fallible<()> {
        binary(input, out, |end: i64, start: i64| difference(end, start))
    }

    fn signatures() -> Vec<ScalarFunctionSignature> {
        vec![exact(&[TimestampTZ, TimestampTZ], Interval)]
    }
}

/// `current_date`: today in UTC, constant within a statement.
struct Today;

impl VScalar for Today {
    type State = ();

    fn invoke(_: &(), input: &mut DataChunkHandle, out: &mut dyn WritableVector) -> Fallible<()> {
        let days = i32::try_from(Timestamp::now().as_second().div_euclid(86_400))?;
        write(&mut out.flat_vector(), &vec![Some(days); input.len().max(1)]);
        Ok(())
    }

    fn signatures() -> Vec<ScalarFunctionSignature> {
        vec![exact(&[], Date)]
    }
}

/// `current_localtimestamp()`: now in UTC, without a zone.
struct LocalTimestamp;

impl VScalar for LocalTimestamp {
    type State = ();

    fn invoke(_: &(), input: &mut DataChunkHandle, out: &mut dyn WritableVector) -> Fallible<()> {
        let now = Timestamp::now().as_microsecond();
        write(&mut out.flat_vector(), &vec![Some(now); input.len().max(1)]);
        Ok(())
    }

    fn signatures() -> Vec<ScalarFunctionSignature> {
        vec![exact(&[], TimestampType)]
    }
}

fn time_of_day() -> i64 {
    Timestamp::now().as_microsecond().rem_euclid(86_400_000_000)
}

/// `current_localtime()`, `localtime`: the time of day in UTC.
struct LocalTime;

impl VScalar for LocalTime {
    type State = ();

    fn invoke(_: &(), input: &mut DataChunkHandle, out: &mut dyn WritableVector) -> Fallible<()> {
        write(&mut out.flat_vector(), &vec![Some(time_of_day()); input.len().max(1)]);
        Ok(())
    }

    fn signatures() -> Vec<ScalarFunctionSignature> {
        vec![exact(&[], Time)]
    }
}

/// `get_current_time()`, `current_time`: the same, with the offset of UTC.
struct CurrentTime;

impl VScalar for CurrentTime {
    type State = ();

    fn invoke(_: &(), input: &mut DataChunkHandle, out: &mut dyn WritableVector) -> Fallible<()> {
        /// DuckDB keeps the offset in the lower 24 bits, as seconds below this one.
        const NO_OFFSET: i64 = 16 * 60 * 60 - 1;
        let bits = time_of_day() << 24 | NO_OFFSET;
        write(&mut out.flat_vector(), &vec![Some(bits); input.len().max(1)]);
        Ok(())
    }

    fn signatures() -> Vec<ScalarFunctionSignature> {
        vec![exact(&[], TimeTZ)]
    }
}
