//! Text with something between columns: CSV, TSV, and bare values.

use std::io::{self, Write};

use mixpanel_data::arrow::datatypes::SchemaRef;
use mixpanel_data::arrow::record_batch::RecordBatch;
use mixpanel_data::{Value, rows_of};

use super::{Out, Sink, clean};

/// CSV or TSV with a header: NULL is an empty field and an empty text is a pair of quotes, nested
/// values are JSON text. In both, fields with the separator, quotes or line breaks are in quotes
/// (RFC 4180).
pub(super) struct Separated {
    out: Out,
    separator: u8,
    escape_formulas: bool,
}

impl Separated {
    pub(super) fn csv(out: Out, escape_formulas: bool) -> Self {
        Separated { out, separator: b',', escape_formulas }
    }

    pub(super) fn tsv(out: Out, escape_formulas: bool) -> Self {
        Separated { out, separator: b'\t', escape_formulas }
    }

    /// A text as it is written: a spreadsheet takes one that begins so for a formula, and one with
    /// an apostrophe before it for text.
    fn cell(&self, text: String) -> String {
        let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']);
        if self.escape_formulas && is_formula { format!("'{text}") } else { text }
    }

    /// Writes a record of fields; NULL is none.
    fn record(&mut self, fields: impl Iterator<Item = Option<String>>) -> io::Result<()> {
        let mut line = Vec::new();
        for (at, field) in fields.enumerate() {
            if at > 0 {
                line.push(self.separator);
            }
            if let Some(text) = field {
                push_field(&text, self.separator, &mut line);
            }
        }
        line.push(b'\n');
        self.out.write_all(&line)
    }
}

fn push_field(text: &str, separator: u8, line: &mut Vec<u8>) {
    let special = |byte: u8| byte == separator || matches!(byte, b'"' | b'\n' | b'\r');
    if !text.is_empty() && !text.bytes().any(special) {
        line.extend_from_slice(text.as_bytes());
        return;
    }
    line.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            line.push(b'"');
        }
        line.push(byte);
    }
    line.push(b'"');
}

impl Sink for Separated {
    fn begin(&mut self, schema: &SchemaRef) -> io::Result<()> {
        let names: Vec<_> =
            schema.fields().iter().map(|field| Some(self.cell(field.name().clone()))).collect();
        self.record(names.into_iter())
    }

    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        for row in rows_of(batch) {
            let fields: Vec<_> = row
                .iter()
                .map(|value| match value {
                    Value::Null => None,
                    Value::Text(text) => Some(self.cell(text.clone())),
                    // A minus is a number's own.
                    other => Some(other.to_text()),
                })
                .collect();
            self.record(fields.into_iter())?;
        }
        Ok(())
    }

    fn end(self: Box<Self>) -> io::Result<Out> {
        Ok(self.out)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn field(text: &str, separator: u8) -> String {
        let mut line = Vec::new();
        push_field(text, separator, &mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn only_what_must_be_is_in_quotes() {
        assert_eq!(["a", "a b", "-1.5", "a\tb"].map(|text| field(text, b',')), ["a", "a b", "-1.5", "a\tb"]);
        assert_eq!(field("", b','), "\"\"");
        assert_eq!(field("a,b", b','), "\"a,b\"");
        assert_eq!((field("a,b", b'\t'), field("a\tb", b'\t')), ("a,b".into(), "\"a\tb\"".into()));
        assert_eq!(field("say \"hi\"\r\n", b','), "\"say \"\"hi\"\"\r\n\"");
    }
}
