//! Casts of `TIMESTAMP WITH TIME ZONE` that DuckDB leaves to its ICU extension.

use std::ffi::CString;
use std::os::raw::c_char;

use duckdb::{Result, ffi};
use jiff::tz::Offset;
use jiff::{Timestamp, civil};

use super::super::database::{RawConnection, check};
use super::{is_infinite, zone};

type Cast = unsafe extern "C" fn(
    ffi::duckdb_function_info,
    ffi::idx_t,
    ffi::duckdb_vector,
    ffi::duckdb_vector,
) -> bool;

use ffi::{
    DUCKDB_TYPE_DUCKDB_TYPE_DATE as DATE, DUCKDB_TYPE_DUCKDB_TYPE_TIME as TIME,
    DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_TZ as TIMESTAMP_TZ, DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR as VARCHAR,
};

/// Registers what no build has (to `TIME`) and, `without_icu`, the others.
pub(in super::super) fn register(connection: &RawConnection, without_icu: bool) -> Result<()> {
    register_one(connection, TIMESTAMP_TZ, TIME, to_time)?;
    if without_icu {
        register_one(connection, TIMESTAMP_TZ, DATE, to_date)?;
        register_one(connection, VARCHAR, TIMESTAMP_TZ, from_text)?;
    }
    Ok(())
}

fn register_one(
    connection: &RawConnection,
    from: ffi::duckdb_type,
    to: ffi::duckdb_type,
    cast: Cast,
) -> Result<()> {
    // SAFETY: the objects are made and destroyed here; the callback has the
    // signature that DuckDB calls, and the types it was written for.
    let state = unsafe {
        let mut function = ffi::duckdb_create_cast_function();
        let mut source = ffi::duckdb_create_logical_type(from);
        let mut target = ffi::duckdb_create_logical_type(to);
        ffi::duckdb_cast_function_set_source_type(function, source);
        ffi::duckdb_cast_function_set_target_type(function, target);
        ffi::duckdb_cast_function_set_function(function, Some(cast));
        let state = ffi::duckdb_register_cast_function(connection.raw(), function);
        ffi::duckdb_destroy_logical_type(&mut source);
        ffi::duckdb_destroy_logical_type(&mut target);
        ffi::duckdb_destroy_cast_function(&mut function);
        state
    };
    check(state, "registering a cast")
}

/// Reads values of type `S` and writes what `f` makes of them; `None` and NULL
/// become NULL.
///
/// # Safety
/// `input` must be a vector of `S`'s type and `output` one of `T`'s, both of at
/// least `count` rows.
unsafe fn convert<S, T>(
    count: ffi::idx_t,
    input: ffi::duckdb_vector,
    output: ffi::duckdb_vector,
    mut f: impl FnMut(ffi::idx_t, S) -> Option<T>,
) {
    // SAFETY: the caller's promise; validity masks are as long as the vectors.
    unsafe {
        let source = ffi::duckdb_vector_get_data(input).cast::<S>();
        let target = ffi::duckdb_vector_get_data(output).cast::<T>();
        let validity = ffi::duckdb_vector_get_validity(input);
        for row in 0..count {
            let present = validity.is_null() || ffi::duckdb_validity_row_is_valid(validity, row);
            let value = present.then(|| source.add(row as usize).read());
            match value.and_then(|value| f(row, value)) {
                Some(value) => target.add(row as usize).write(value),
                None => {
                    ffi::duckdb_vector_ensure_validity_writable(output);
                    ffi::duckdb_validity_set_row_invalid(ffi::duckdb_vector_get_validity(output), row);
                }
            }
        }
    }
}

const DAY: i64 = 86_400_000_000;

/// The day in UTC; infinities stay infinite.
fn day(micros: i64) -> i32 {
    match micros {
        i64::MAX => i32::MAX,
        micros if micros == -i64::MAX => -i32::MAX,
        // The range of timestamps is 106 million days.
        micros => micros.div_euclid(DAY) as i32,
    }
}

unsafe extern "C" fn to_date(
    _: ffi::duckdb_function_info,
    count: ffi::idx_t,
    input: ffi::duckdb_vector,
    output: ffi::duckdb_vector,
) -> bool {
    // SAFETY: DuckDB calls this for TIMESTAMPTZ to DATE, a 32-bit number of days.
    unsafe { convert::<i64, i32>(count, input, output, |_, micros| Some(day(micros))) }
    true
}

unsafe extern "C" fn to_time(
    _: ffi::duckdb_function_info,
    count: ffi::idx_t,
    input: ffi::duckdb_vector,
    output: ffi::duckdb_vector,
) -> bool {
    // SAFETY: DuckDB calls this for TIMESTAMPTZ to TIME, 64-bit microseconds of the day.
    unsafe {
        convert::<i64, i64>(count, input, output, |_, micros| {
            (!is_infinite(micros)).then(|| micros.rem_euclid(DAY))
        });
    }
    true
}

/// Text to an instant: DuckDB's own cast, and where that fails because a zone's
/// name stands at the end, the wall time of that zone.
unsafe extern "C" fn from_text(
    info: ffi::duckdb_function_info,
    count: ffi::idx_t,
    input: ffi::duckdb_vector,
    output: ffi::duckdb_vector,
) -> bool {
    let mut all = true;
    // SAFETY: DuckDB calls this for VARCHAR to TIMESTAMPTZ, 64-bit microseconds.
    // A string is read while its vector lives; messages are copied.
    unsafe {
        convert::<ffi::duckdb_string_t, i64>(count, input, output, |row, mut text| {
            let start = ffi::duckdb_string_t_data(&mut text).cast::<u8>();
            let bytes = std::slice::from_raw_parts(start, ffi::duckdb_string_t_length(text) as usize);
            match instant(&String::from_utf8_lossy(bytes)) {
                Ok(micros) => Some(micros),
                Err(message) => {
                    all = false;
                    let message = CString::new(message).unwrap_or_default();
                    ffi::duckdb_cast_function_set_row_error(info, message.as_ptr(), row, output);
                    None
                }
            }
        });
    }
    all
}

fn instant(text: &str) -> Result<i64, String> {
    if let Some(micros) = by_duckdb(text, ffi::duckdb_get_timestamp_tz) {
        return Ok(micros);
    }
    let bad = || {
        format!(
            "invalid timestamp field format: \"{text}\", expected format is \
             (YYYY-MM-DD HH:MM[:SS[.US]][±HH[:MM[:SS]]| ZONE])"
        )
    };
    let (wall, name) = text.trim_end().rsplit_once(' ').ok_or_else(bad)?;
    // A wall time with an offset would be shifted twice; a date alone is no time.
    let has_time = wall.contains(':') && !wall.contains(['+', 'Z', 'z']) && wall.matches('-').count() == 2;
    if !has_time || !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return Err(bad());
    }
    let micros = by_duckdb(wall, ffi::duckdb_get_timestamp).ok_or_else(bad)?;
    let zone = zone(name).map_err(|error| error.to_string())?;
    let wall = wall_time(micros).ok_or_else(bad)?;
    zone.to_ambiguous_timestamp(wall).later().map(Timestamp::as_microsecond).map_err(|_| bad())
}

fn wall_time(micros: i64) -> Option<civil::DateTime> {
    Some(Offset::UTC.to_datetime(Timestamp::from_microsecond(micros).ok()?))
}

type Read = unsafe extern "C" fn(ffi::duckdb_value) -> ffi::duckdb_timestamp;

/// What DuckDB's own cast makes of a text.
fn by_duckdb(text: &str, read: Read) -> Option<i64> {
    match cast(text, read) {
        // What fails is zero too, in any year.
        0 => {
            let other_year = text.replacen("1970", "1972", 1).replacen("1969", "1972", 1);
            (text.trim().eq_ignore_ascii_case("epoch") || cast(&other_year, read) != 0).then_some(0)
        }
        micros => Some(micros),
    }
}

fn cast(text: &str, read: Read) -> i64 {
    // SAFETY: the text is valid for its length and copied; the value is made and
    // destroyed here.
    unsafe {
        let mut value =
            ffi::duckdb_create_varchar_length(text.as_ptr().cast::<c_char>(), text.len() as ffi::idx_t);
        let read = read(value);
        ffi::duckdb_destroy_value(&mut value);
        read.micros
    }
}
