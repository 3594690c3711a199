//! CSV with a header: NULL is an empty field, nested values are JSON text.

use std::io::{self, Write};

use mixpanel_data::Value;

use super::{Column, Sink};

pub(super) struct Csv<'a>(csv::Writer<&'a mut dyn Write>);

impl<'a> Csv<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Csv(csv::Writer::from_writer(out))
    }
}

impl Sink for Csv<'_> {
    fn begin(&mut self, columns: &[Column]) -> io::Result<()> {
        self.0.write_record(columns.iter().map(|column| column.name.as_str())).map_err(cause)
    }

    fn row(&mut self, row: Vec<Value>) -> io::Result<()> {
        self.0.write_record(row.iter().map(Value::to_text)).map_err(cause)
    }

    fn end(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The failure of the stream itself, which tells a closed pipe from a full disk.
fn cause(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
