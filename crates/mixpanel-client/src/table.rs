//! Results as tables: one trait for all, and the builder they share.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use serde::Serialize;
use serde_json::Value;

use crate::amount::Amount;
use crate::discovery::UnknownName;

/// A result that can be shown as a table, besides being serialised.
///
/// Command lines, Python and notebooks treat all results alike through it.
pub trait Tabular: Serialize {
    /// The result as rows and columns. Days are `Date32`, hours and instants are timestamps, and
    /// columns of nested values are JSON texts, marked as Arrow's extension type `arrow.json`.
    fn to_batch(&self) -> RecordBatch;

    /// What has to be said beside the rows: names that were asked for and are not there.
    fn unknown_names(&self) -> &[UnknownName] {
        &[]
    }
}

/// One row of a list of things.
pub(crate) trait Rows: Serialize + Sized {
    fn columns(rows: &[Self]) -> Columns;
}

impl<T: Rows> Tabular for Vec<T> {
    fn to_batch(&self) -> RecordBatch {
        T::columns(self).finish()
    }
}

/// A list of names as a table of one column.
pub fn names_batch(column: &str, names: &[String]) -> RecordBatch {
    Columns::new().text(column, names.iter().map(String::as_str)).finish()
}

/// Makes a batch column by column; all must have as many rows.
#[derive(Debug, Default)]
pub struct Columns {
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
}

impl Columns {
    /// No columns yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn add(mut self, field: Field, array: ArrayRef) -> Self {
        self.fields.push(field);
        self.arrays.push(array);
        self
    }

    fn array(self, name: &str, array: ArrayRef) -> Self {
        let field = Field::new(name, array.data_type().clone(), true);
        self.add(field, array)
    }

    /// Texts.
    pub fn text<'a>(self, name: &str, values: impl IntoIterator<Item = &'a str>) -> Self {
        self.array(name, Arc::new(StringArray::from_iter_values(values)))
    }

    /// Texts, where there are any.
    pub fn maybe_text<'a>(self, name: &str, values: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        self.array(name, Arc::new(values.into_iter().collect::<StringArray>()))
    }

    /// Whole numbers, where there are any.
    pub fn whole(self, name: &str, values: impl IntoIterator<Item = Option<i64>>) -> Self {
        self.array(name, Arc::new(values.into_iter().collect::<Int64Array>()))
    }

    /// Counts.
    pub fn count(self, name: &str, values: impl IntoIterator<Item = u64>) -> Self {
        self.whole(name, values.into_iter().map(|count| i64::try_from(count).ok()))
    }

    /// Numbers, where there are any.
    pub fn number(self, name: &str, values: impl IntoIterator<Item = Option<f64>>) -> Self {
        self.array(name, Arc::new(values.into_iter().collect::<Float64Array>()))
    }

    /// Whole numbers if all of them are, floats otherwise.
    pub fn amounts(self, name: &str, values: impl IntoIterator<Item = Amount>) -> Self {
        let values: Vec<Amount> = values.into_iter().collect();
        match values.iter().map(|amount| amount.whole()).collect::<Option<Vec<i64>>>() {
            Some(whole) => self.whole(name, whole.into_iter().map(Some)),
            None => self.number(name, values.into_iter().map(|amount| Some(amount.0))),
        }
    }

    /// Truth values, where there are any.
    pub fn flag(self, name: &str, values: impl IntoIterator<Item = Option<bool>>) -> Self {
        self.array(name, Arc::new(values.into_iter().collect::<BooleanArray>()))
    }

    /// Instants, UTC.
    pub fn instants(self, name: &str, values: impl IntoIterator<Item = Timestamp>) -> Self {
        let micros = values.into_iter().map(|at| Some(at.as_microsecond()));
        let array = micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC");
        self.array(name, Arc::new(array))
    }

    /// Labels of buckets of time: days, or times of day, or else the texts as they are.
    pub fn buckets<'a>(self, name: &str, labels: impl IntoIterator<Item = &'a str>) -> Self {
        let labels: Vec<&str> = labels.into_iter().collect();
        if let Some(days) = labels.iter().map(|label| day(label)).collect::<Option<Vec<i32>>>() {
            return self.array(name, Arc::new(Date32Array::from(days)));
        }
        match labels.iter().map(|label| moment(label)).collect::<Option<Vec<i64>>>() {
            Some(moments) => self.array(name, Arc::new(TimestampMicrosecondArray::from(moments))),
            None => self.text(name, labels),
        }
    }

    /// Nested values as JSON texts.
    pub fn json<'a>(self, name: &str, values: impl IntoIterator<Item = &'a Value>) -> Self {
        let texts: StringArray =
            values.into_iter().map(|value| (!value.is_null()).then(|| value.to_string())).collect();
        let mark = ("ARROW:extension:name".to_owned(), "arrow.json".to_owned());
        let field = Field::new(name, DataType::Utf8, true).with_metadata(HashMap::from([mark]));
        self.add(field, Arc::new(texts))
    }

    /// Values of one kind as a column of that kind: numbers, truth values, texts, or else JSON.
    pub fn values<'a>(self, name: &str, values: impl Iterator<Item = &'a Value> + Clone) -> Self {
        let mut set = values.clone().filter(|value| !value.is_null()).peekable();
        let is_empty = set.peek().is_none();
        if is_empty || set.clone().all(Value::is_string) {
            self.maybe_text(name, values.map(Value::as_str))
        } else if set.clone().all(Value::is_boolean) {
            self.flag(name, values.map(Value::as_bool))
        } else if set.clone().all(Value::is_i64) {
            self.whole(name, values.map(Value::as_i64))
        } else if set.all(Value::is_number) {
            self.number(name, values.map(Value::as_f64))
        } else {
            self.json(name, values)
        }
    }

    /// The batch.
    ///
    /// # Panics
    ///
    /// If the columns are not of equal length.
    pub fn finish(self) -> RecordBatch {
        let schema = Arc::new(Schema::new(self.fields));
        RecordBatch::try_new(schema, self.arrays).expect("columns of equal length, with their own types")
    }
}

/// Days since 1970.
fn day(label: &str) -> Option<i32> {
    // A date with a time after it is not a day.
    let date = (label.len() == 10).then(|| label.parse::<Date>().ok())??;
    let since = date.to_datetime(jiff::civil::Time::midnight()).to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    i32::try_from(since.timestamp().as_second() / 86_400).ok()
}

/// Microseconds since 1970 of a wall clock, without a zone. An offset, as `/insights` gives it, is
/// left out: it is the project's own.
fn moment(label: &str) -> Option<i64> {
    let wall = label.get(..19).unwrap_or(label).parse::<DateTime>().ok()?;
    Some(wall.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kind(labels: &[&str]) -> DataType {
        Columns::new().buckets("date", labels.iter().copied()).finish().schema().field(0).data_type().clone()
    }

    #[test]
    fn buckets_of_time_are_dates_or_timestamps() {
        assert_eq!(kind(&["2024-01-31", "2024-02-29"]), DataType::Date32);
        let naive = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None);
        assert_eq!(kind(&["2024-01-31 13:00:00"]), naive);
        assert_eq!(kind(&["2020-08-31T00:00:00-07:00"]), naive);
        assert_eq!(kind(&["2024-01-31", "all"]), DataType::Utf8);
        assert_eq!(day("1970-01-02"), Some(1));
        assert_eq!(moment("1970-01-01 01:00:00"), Some(3_600_000_000));
    }

    #[test]
    fn values_of_one_kind_are_a_column_of_that_kind() {
        let kind = |values: Value| {
            let values = values.as_array().unwrap().clone();
            Columns::new().values("x", values.iter()).finish().schema().field(0).clone()
        };
        assert_eq!(*kind(json!([1, null])).data_type(), DataType::Int64);
        assert_eq!(*kind(json!([1, 0.5])).data_type(), DataType::Float64);
        assert_eq!(*kind(json!([true])).data_type(), DataType::Boolean);
        assert_eq!(*kind(json!([null])).data_type(), DataType::Utf8);
        let mixed = kind(json!([1, "a", {"b": 2}]));
        assert_eq!(mixed.metadata()["ARROW:extension:name"], "arrow.json");
    }
}
