//! Query results as plain Rust values, for callers who want rows, not Arrow.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, IntervalUnit, SchemaRef, TimeUnit};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// One cell of a result.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// BOOLEAN.
    Boolean(bool),
    /// Any integer type up to 128 bits.
    Integer(i128),
    /// REAL or DOUBLE.
    Double(f64),
    /// DECIMAL, as exact text.
    Decimal(String),
    /// VARCHAR, JSON, UUID, ENUM.
    Text(String),
    /// BLOB.
    Blob(Vec<u8>),
    /// DATE.
    Date(Date),
    /// TIME.
    Time(Time),
    /// TIMESTAMP: no zone; UTC by this crate's convention.
    DateTime(DateTime),
    /// TIMESTAMP WITH TIME ZONE: an instant.
    Timestamp(Timestamp),
    /// INTERVAL as DuckDB keeps it: months, days, microseconds.
    Interval {
        /// Months.
        months: i32,
        /// Days.
        days: i32,
        /// Microseconds.
        micros: i64,
    },
    /// LIST or ARRAY.
    List(Vec<Value>),
    /// STRUCT or MAP, in order.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// The integer in this cell, if it holds one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Integer(value) => i64::try_from(*value).ok(),
            _ => None,
        }
    }

    /// The number in this cell as a float, if it is a number.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Integer(value) => Some(*value as f64),
            Value::Double(value) => Some(*value),
            Value::Decimal(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The text in this cell, if it holds text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether the cell is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The cell as text for people: NULL is empty, nested values are JSON.
    pub fn to_text(&self) -> String {
        match self {
            Value::Null => String::new(),
            Value::Boolean(value) => value.to_string(),
            Value::Integer(value) => value.to_string(),
            Value::Double(value) => double_text(*value),
            Value::Decimal(text) | Value::Text(text) => text.clone(),
            Value::Blob(bytes) => {
                bytes.iter().fold(String::from("\\x"), |text, byte| text + &format!("{byte:02x}"))
            }
            Value::Date(date) => date.to_string(),
            Value::Time(time) => time.to_string(),
            Value::DateTime(value) => value.to_string().replace('T', " "),
            Value::Timestamp(value) => value.to_string(),
            Value::Interval { months, days, micros } => interval_text(*months, *days, *micros),
            Value::List(_) | Value::Map(_) => serde_json::to_string(self).unwrap_or_default(),
        }
    }
}

fn double_text(value: f64) -> String {
    if value.is_finite() && value == value.trunc() && value.abs() < 1e15 {
        format!("{value:.1}")
    } else {
        value.to_string()
    }
}

fn interval_text(months: i32, days: i32, micros: i64) -> String {
    let mut parts = Vec::new();
    if months != 0 {
        parts.push(format!("{months} months"));
    }
    if days != 0 {
        parts.push(format!("{days} days"));
    }
    if micros != 0 || parts.is_empty() {
        let sign = if micros < 0 { "-" } else { "" };
        let total = micros.unsigned_abs();
        let (seconds, fraction) = (total / 1_000_000, total % 1_000_000);
        let mut text = format!("{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        if fraction != 0 {
            text.push_str(&format!(".{fraction:06}"));
        }
        parts.push(text);
    }
    parts.join(" ")
}

/// JSON form: NaN and infinities become `null`, whole numbers and decimals of any size are numbers
/// with all their digits, times are ISO 8601 text.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Boolean(value) => serializer.serialize_bool(*value),
            Value::Integer(value) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(small), _) => serializer.serialize_i64(small),
                (_, Ok(large)) => serializer.serialize_u64(large),
                _ => number(&value.to_string(), serializer),
            },
            Value::Decimal(text) => number(text, serializer),
            Value::Double(value) if value.is_finite() => serializer.serialize_f64(*value),
            Value::Double(_) => serializer.serialize_unit(),
            Value::DateTime(value) => serializer.serialize_str(&value.to_string()),
            Value::List(values) => {
                let mut out = serializer.serialize_seq(Some(values.len()))?;
                for value in values {
                    out.serialize_element(value)?;
                }
                out.end()
            }
            Value::Map(entries) => {
                let mut out = serializer.serialize_map(Some(entries.len()))?;
                for (name, value) in entries {
                    out.serialize_entry(name, value)?;
                }
                out.end()
            }
            other => serializer.serialize_str(&other.to_text()),
        }
    }
}

/// A number of any size, digit by digit; text where it is none.
fn number<S: Serializer>(digits: &str, serializer: S) -> Result<S::Ok, S::Error> {
    match serde_json::value::RawValue::from_string(digits.to_owned()) {
        Ok(number) => number.serialize(serializer),
        Err(_) => serializer.serialize_str(digits),
    }
}

/// A whole result: column names and rows.
#[derive(Clone, Debug, PartialEq)]
pub struct SqlResult {
    /// Column names, in order.
    pub columns: Vec<String>,
    /// The rows; each has one value a column.
    pub rows: Vec<Vec<Value>>,
}

impl SqlResult {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// A whole result as Arrow.
#[derive(Clone, Debug)]
pub struct Batches {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows, in order.
    pub batches: Vec<RecordBatch>,
}

impl Batches {
    /// How many rows there are.
    pub fn num_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The same result as plain values.
    pub fn to_rows(&self) -> SqlResult {
        let columns = self.schema.fields().iter().map(|field| field.name().clone()).collect();
        let rows = self.batches.iter().flat_map(rows_of).collect();
        SqlResult { columns, rows }
    }
}

/// The rows of one batch as plain values.
pub fn rows_of(batch: &RecordBatch) -> Vec<Vec<Value>> {
    (0..batch.num_rows())
        .map(|row| batch.columns().iter().map(|column| value_at(column.as_ref(), row)).collect())
        .collect()
}

/// The value at `row` of an Arrow array of any type that DuckDB returns.
pub fn value_at(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    macro_rules! integer {
        ($type:ty) => {
            Value::Integer(array.as_primitive::<$type>().value(row).into())
        };
    }
    match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => Value::Boolean(array.as_boolean().value(row)),
        DataType::Int8 => integer!(Int8Type),
        DataType::Int16 => integer!(Int16Type),
        DataType::Int32 => integer!(Int32Type),
        DataType::Int64 => integer!(Int64Type),
        DataType::UInt8 => integer!(UInt8Type),
        DataType::UInt16 => integer!(UInt16Type),
        DataType::UInt32 => integer!(UInt32Type),
        DataType::UInt64 => integer!(UInt64Type),
        DataType::Float32 => Value::Double(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => Value::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => {
            let value = array.as_primitive::<Decimal128Type>().value(row);
            if *scale == 0 { Value::Integer(value) } else { Value::Decimal(decimal_text(value, *scale)) }
        }
        DataType::Utf8 => Value::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::LargeUtf8 => Value::Text(array.as_string::<i64>().value(row).to_owned()),
        DataType::Utf8View => Value::Text(array.as_string_view().value(row).to_owned()),
        DataType::Binary => Value::Blob(array.as_binary::<i32>().value(row).to_vec()),
        DataType::LargeBinary => Value::Blob(array.as_binary::<i64>().value(row).to_vec()),
        DataType::Date32 => date(array.as_primitive::<Date32Type>().value(row)),
        DataType::Time64(TimeUnit::Microsecond) => {
            let micros = array.as_primitive::<Time64MicrosecondType>().value(row);
            Value::Time(Time::midnight().wrapping_add(SignedDuration::from_micros(micros)))
        }
        DataType::Timestamp(unit, zone) => {
            let micros = match unit {
                TimeUnit::Second => {
                    micros_of(array.as_primitive::<TimestampSecondType>().value(row), 1_000_000)
                }
                TimeUnit::Millisecond => {
                    micros_of(array.as_primitive::<TimestampMillisecondType>().value(row), 1_000)
                }
                TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().value(row),
                TimeUnit::Nanosecond => match array.as_primitive::<TimestampNanosecondType>().value(row) {
                    i64::MAX => i64::MAX,
                    nanos if nanos <= -i64::MAX => nanos,
                    nanos => nanos.div_euclid(1000),
                },
            };
            instant(micros, zone.is_some())
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let value = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            Value::Interval { months: value.months, days: value.days, micros: value.nanoseconds / 1000 }
        }
        DataType::List(_) => list(array.as_list::<i32>().value(row).as_ref()),
        DataType::LargeList(_) => list(array.as_list::<i64>().value(row).as_ref()),
        DataType::FixedSizeList(_, _) => list(array.as_fixed_size_list().value(row).as_ref()),
        DataType::Struct(fields) => {
            let array = array.as_struct();
            let entries = fields.iter().zip(array.columns());
            Value::Map(
                entries
                    .map(|(field, column)| (field.name().clone(), value_at(column.as_ref(), row)))
                    .collect(),
            )
        }
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let pair = |at| (value_at(keys.as_ref(), at).to_text(), value_at(values.as_ref(), at));
            Value::Map((0..entries.len()).map(pair).collect())
        }
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            value_at(dictionary.values().as_ref(), dictionary.normalized_keys()[row])
        }
        _ => other(array, row),
    }
}

fn list(values: &dyn Array) -> Value {
    Value::List((0..values.len()).map(|at| value_at(values, at)).collect())
}

/// DuckDB's infinities are the two ends of the numbers.
fn infinity(negative: bool) -> Value {
    Value::Text(if negative { "-infinity" } else { "infinity" }.into())
}

fn date(days: i32) -> Value {
    if days == i32::MAX || days <= -i32::MAX {
        return infinity(days < 0);
    }
    let epoch = Date::constant(1970, 1, 1);
    let date = jiff::Span::new().try_days(days).and_then(|span| epoch.checked_add(span));
    date.map_or_else(|_| Value::Text(distant_date(days)), Value::Date)
}

/// A day of the years beyond 9999, as DuckDB writes it: the calendar repeats every 400 years.
fn distant_date(days: i32) -> String {
    const ERA: i32 = 146_097;
    // From 2000-01-01 on, which begins an era.
    let since = days - 10_957;
    let near = Date::constant(2000, 1, 1).saturating_add(jiff::Span::new().days(since.rem_euclid(ERA)));
    let year = i32::from(near.year()) + since.div_euclid(ERA) * 400;
    let (year, mark) = if year > 0 { (year, "") } else { (1 - year, " (BC)") };
    format!("{year:04}-{:02}-{:02}{mark}", near.month(), near.day())
}

fn instant(micros: i64, zoned: bool) -> Value {
    const DAY: i64 = 86_400_000_000;
    if micros == i64::MAX || micros <= -i64::MAX {
        return infinity(micros < 0);
    }
    if let (true, Ok(timestamp)) = (zoned, Timestamp::from_microsecond(micros)) {
        return Value::Timestamp(timestamp);
    }
    let day = i32::try_from(micros.div_euclid(DAY)).expect("64 bits of microseconds are fewer days");
    let time = Time::midnight().wrapping_add(SignedDuration::from_micros(micros.rem_euclid(DAY)));
    match date(day) {
        Value::Date(date) if !zoned => Value::DateTime(date.to_datetime(time)),
        date => Value::Text(format!("{} {time}{}", date.to_text(), if zoned { "+00" } else { "" })),
    }
}

/// A larger unit in microseconds; what does not fit is one of the infinities.
fn micros_of(value: i64, unit: i64) -> i64 {
    value.saturating_mul(unit)
}

fn decimal_text(value: i128, scale: i8) -> String {
    let scale = scale.max(0) as u32;
    let power = 10u128.pow(scale);
    let digits = value.unsigned_abs();
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}.{:0width$}", digits / power, digits % power, width = scale as usize)
}

/// Types without a variant of their own, as Arrow's display text.
fn other(array: &dyn Array, row: usize) -> Value {
    let options = arrow::util::display::FormatOptions::default();
    match arrow::util::display::ArrayFormatter::try_new(array, &options) {
        Ok(formatter) => Value::Text(formatter.value(row).to_string()),
        Err(_) => Value::Text(format!("<{}>", array.data_type())),
    }
}
