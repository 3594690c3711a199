//! Rows made by hand, as an Arrow batch: so that they go the way of every other result.

use std::sync::Arc;

use mixpanel_data::Value;
use mixpanel_data::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use mixpanel_data::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use mixpanel_data::arrow::record_batch::RecordBatch;
use mixpanel_data::json_field;

use super::Page;
use crate::args;
use crate::error::Error;
use crate::ui::Ui;

/// A column of a list.
#[derive(Clone, Debug)]
pub(crate) struct Column(Field);

const UNIT: &str = "unit";
const SECOND_NAME: &str = "second_name";

impl Column {
    pub(crate) fn text(name: &str) -> Self {
        Column(Field::new(name, DataType::Utf8, true))
    }

    pub(crate) fn number(name: &str) -> Self {
        Column(Field::new(name, DataType::Int64, true))
    }

    pub(crate) fn float(name: &str) -> Self {
        Column(Field::new(name, DataType::Float64, true))
    }

    /// A number of bytes, which people see with its unit.
    #[cfg(test)]
    pub(crate) fn bytes(name: &str) -> Self {
        let unit = std::collections::HashMap::from([(UNIT.to_owned(), "B".to_owned())]);
        Column(Field::new(name, DataType::Int64, true).with_metadata(unit))
    }

    pub(crate) fn boolean(name: &str) -> Self {
        Column(Field::new(name, DataType::Boolean, true))
    }

    /// An instant.
    pub(crate) fn timestamp(name: &str) -> Self {
        Column(Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true))
    }

    /// The same under a second name too, in JSON: one that it had in an earlier version.
    pub(crate) fn also(self, name: &str) -> Self {
        let mut metadata = self.0.metadata().clone();
        metadata.insert(SECOND_NAME.to_owned(), name.to_owned());
        Column(self.0.with_metadata(metadata))
    }

    /// Text that is JSON.
    pub(crate) fn json(name: &str) -> Self {
        Column(json_field(name))
    }
}

pub(super) fn is_bytes(field: &Field) -> bool {
    field.metadata().get(UNIT).is_some_and(|unit| unit == "B")
}

pub(super) fn second_name(field: &Field) -> Option<String> {
    field.metadata().get(SECOND_NAME).cloned()
}

/// Rows with columns of known types. A value that is not of its column's type becomes NULL.
#[derive(Clone, Debug)]
pub(crate) struct List {
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
}

impl List {
    pub(crate) fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        List { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = Value>) {
        self.rows.push(row.into_iter().collect());
    }

    pub(crate) fn batch(&self) -> Result<RecordBatch, Error> {
        let fields: Vec<Field> = self.columns.iter().map(|column| column.0.clone()).collect();
        let arrays = fields.iter().enumerate().map(|(at, field)| self.array(at, field.data_type()));
        let arrays: Vec<ArrayRef> = arrays.collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
            .map_err(|error| Error::Output(std::io::Error::other(error)))
    }

    fn array(&self, at: usize, kind: &DataType) -> ArrayRef {
        let cells = self.rows.iter().map(|row| row.get(at).unwrap_or(&Value::Null));
        match kind {
            DataType::Int64 => Arc::new(cells.map(Value::as_i64).collect::<Int64Array>()),
            DataType::Float64 => Arc::new(cells.map(Value::as_f64).collect::<Float64Array>()),
            DataType::Boolean => Arc::new(cells.map(boolean).collect::<BooleanArray>()),
            DataType::Date32 => Arc::new(cells.map(days).collect::<Date32Array>()),
            DataType::Timestamp(..) => {
                let array = cells.map(micros).collect::<TimestampMicrosecondArray>();
                Arc::new(array.with_timezone("UTC"))
            }
            _ => {
                let text = |value: &Value| (!value.is_null()).then(|| value.to_text());
                Arc::new(cells.map(text).collect::<StringArray>())
            }
        }
    }
}

fn boolean(value: &Value) -> Option<bool> {
    if let Value::Boolean(value) = value { Some(*value) } else { None }
}

fn days(value: &Value) -> Option<i32> {
    let Value::Date(date) = value else { return None };
    let epoch = jiff::civil::date(1970, 1, 1);
    epoch.until(*date).ok().map(|span| span.get_days())
}

fn micros(value: &Value) -> Option<i64> {
    match value {
        Value::Timestamp(at) => Some(at.as_microsecond()),
        Value::DateTime(at) => {
            jiff::tz::Offset::UTC.to_timestamp(*at).ok().map(jiff::Timestamp::as_microsecond)
        }
        _ => None,
    }
}

/// Prints a list in the format that was asked for.
pub(crate) fn list(output: &args::Output, ui: &Ui, list: &List) -> Result<(), Error> {
    let batch = list.batch()?;
    let mut page = Page::new(output, &args::Rows::default(), ui)?;
    page.begin(batch.schema())?;
    page.batch(&batch)?;
    page.end()
}
