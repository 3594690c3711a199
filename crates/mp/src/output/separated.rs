//! Text with something between columns: CSV, TSV, and bare values.

use std::io::{self, Write};

use mixpanel_data::arrow::datatypes::SchemaRef;
use mixpanel_data::arrow::record_batch::RecordBatch;
use mixpanel_data::{Value, rows_of};

use super::{Out, Sink, clean};

/// CSV or TSV with a header: NULL is an empty field, nested values are JSON text. In both, fields
/// with the separator, quotes or line breaks are in quotes (RFC 4180).
pub(super) struct Separated(csv::Writer<Out>);

impl Separated {
    pub(super) fn csv(out: Out) -> Self {
        Separated(csv::Writer::from_writer(out))
    }

    pub(super) fn tsv(out: Out) -> Self {
        Separated(csv::WriterBuilder::new().delimiter(b'\t').from_writer(out))
    }
}

impl Sink for Separated {
    fn begin(&mut self, schema: &SchemaRef) -> io::Result<()> {
        self.0.write_record(schema.fields().iter().map(|field| field.name().as_str())).map_err(cause)
    }

    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        for row in rows_of(batch) {
            self.0.write_record(row.iter().map(Value::to_text)).map_err(cause)?;
        }
        Ok(())
    }

    fn end(self: Box<Self>) -> io::Result<Out> {
        self.0.into_inner().map_err(|error| error.into_error())
    }
}

/// The failure of the stream itself, which tells a closed pipe from a full disk.
fn cause(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// Values only: no header, no quotes, tabs between columns, control characters escaped.
pub(super) struct Plain(Out);

impl Plain {
    pub(super) fn new(out: Out) -> Self {
        Plain(out)
    }
}

impl Sink for Plain {
    fn begin(&mut self, _: &SchemaRef) -> io::Result<()> {
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        for row in rows_of(batch) {
            let cells: Vec<String> = row.iter().map(|value| clean(&value.to_text())).collect();
            writeln!(self.0, "{}", cells.join("\t"))?;
        }
        Ok(())
    }

    fn end(self: Box<Self>) -> io::Result<Out> {
        Ok(self.0)
    }
}
