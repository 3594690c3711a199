//! Text with something between columns: CSV, TSV, and bare values.

use std::io::{self, Write};

use mixpanel_data::arrow::datatypes::SchemaRef;
use mixpanel_data::arrow::record_batch::RecordBatch;
use mixpanel_data::{Value, rows_of};

use super::{Out, Sink, clean};

/// CSV or TSV with a header: NULL is an empty field, nested values are JSON text. In both, fields
/// with the separator, quotes or line breaks are in quotes (RFC 4180).
pub(super) struct Separated {
    writer: csv::Writer<Out>,
    escape_formulas: bool,
}

impl Separated {
    pub(super) fn csv(out: Out, escape_formulas: bool) -> Self {
        Separated { writer: csv::Writer::from_writer(out), escape_formulas }
    }

    pub(super) fn tsv(out: Out, escape_formulas: bool) -> Self {
        let writer = csv::WriterBuilder::new().delimiter(b'\t').from_writer(out);
        Separated { writer, escape_formulas }
    }

    /// A text as it is written: a spreadsheet takes one that begins so for a formula, and one with
    /// an apostrophe before it for text.
    fn cell(&self, text: String) -> String {
        let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']);
        if self.escape_formulas && is_formula { format!("'{text}") } else { text }
    }

    fn write(&mut self, cells: Vec<String>) -> io::Result<()> {
        self.writer.write_record(cells).map_err(cause)
    }
}

impl Sink for Separated {
    fn begin(&mut self, schema: &SchemaRef) -> io::Result<()> {
        self.write(schema.fields().iter().map(|field| self.cell(field.name().clone())).collect())
    }

    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        for row in rows_of(batch) {
            let cells = row.iter().map(|value| match value {
                Value::Text(text) => self.cell(text.clone()),
                // A minus is a number's own.
                other => other.to_text(),
            });
            self.write(cells.collect())?;
        }
        Ok(())
    }

    fn end(self: Box<Self>) -> io::Result<Out> {
        self.writer.into_inner().map_err(|error| error.into_error())
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
