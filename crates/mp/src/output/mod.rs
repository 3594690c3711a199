//! Results out: one sink per format, fed row by row.

pub(crate) mod chart;
mod csv;
mod json;
pub(crate) mod table;

use std::io::{self, Write};

use mixpanel_data::Value;
use mixpanel_data::arrow::datatypes::Field;
use serde::Serialize;

use crate::ui::Ui;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people: aligned columns
    Table,
    /// One array of objects
    Json,
    /// One object per line
    Jsonl,
    /// Comma-separated, with a header
    Csv,
}

impl Format {
    /// What was asked for; else a table for people and JSON for programs.
    pub(crate) fn or_default(format: Option<Format>, ui: &Ui) -> Format {
        format.unwrap_or(if ui.to_terminal { Format::Table } else { Format::Json })
    }

    /// The same for results that are one object: `table` or `json`.
    pub(crate) fn of_object(name: Option<&str>, ui: &Ui) -> Format {
        let named = name.map(|name| if name == "json" { Format::Json } else { Format::Table });
        Format::or_default(named, ui)
    }

    /// Where rows of this format go.
    pub(crate) fn sink<'a>(self, out: &'a mut dyn Write, ui: &Ui) -> Box<dyn Sink + 'a> {
        match self {
            Format::Table => Box::new(table::Table::new(out, ui)),
            Format::Json => Box::new(json::Array::new(out)),
            Format::Jsonl => Box::new(json::Lines::new(out)),
            Format::Csv => Box::new(csv::Csv::new(out)),
        }
    }
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// Numbers are right-aligned.
    pub(crate) number: bool,
    /// The text is JSON, and stays JSON in JSON.
    pub(crate) json: bool,
}

impl Column {
    pub(crate) fn text(name: &str) -> Self {
        Column { name: name.to_owned(), number: false, json: false }
    }

    pub(crate) fn number(name: &str) -> Self {
        Column { number: true, ..Column::text(name) }
    }

    pub(crate) fn of(field: &Field) -> Self {
        let number = field.data_type().is_numeric();
        Column { number, ..Column::text(field.name()) }
    }
}

/// Writes a result, row by row. An empty result is `begin` and `end`.
pub(crate) trait Sink {
    fn begin(&mut self, columns: &[Column]) -> io::Result<()>;
    fn row(&mut self, row: Vec<Value>) -> io::Result<()>;
    fn end(&mut self) -> io::Result<()>;
}

/// Standard output, buffered. Errors surface at the flush, which is the caller's to do.
pub(crate) fn stdout() -> io::BufWriter<io::StdoutLock<'static>> {
    io::BufWriter::with_capacity(64 * 1024, io::stdout().lock())
}

/// Writes a whole small result.
pub(crate) fn rows(format: Format, ui: &Ui, columns: &[Column], rows: Vec<Vec<Value>>) -> io::Result<()> {
    let mut out = stdout();
    let mut sink = format.sink(&mut out, ui);
    sink.begin(columns)?;
    rows.into_iter().try_for_each(|row| sink.row(row))?;
    sink.end()?;
    drop(sink);
    out.flush()
}

/// Writes one object: as JSON, or as a table of names and values.
pub(crate) fn object(
    format: Format,
    ui: &Ui,
    object: &impl Serialize,
    pairs: &[(&str, String)],
) -> io::Result<()> {
    let mut out = stdout();
    match format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, object)?;
            writeln!(out)?;
        }
        _ => table::pairs(&mut out, pairs, ui)?,
    }
    out.flush()
}

/// Makes control characters, and those that turn the direction of text, visible: data must not
/// steer a terminal.
pub(crate) fn clean(text: &str) -> String {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(harmful) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len() + 8), |mut shown, c| {
        if harmful(c) {
            shown.extend(c.escape_default())
        } else {
            shown.push(c)
        }
        shown
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a sink makes of columns and rows.
    pub(crate) fn written(format: Format, columns: &[Column], rows: Vec<Vec<Value>>) -> String {
        let mut out = Vec::new();
        let mut sink = format.sink(&mut out, &Ui::new(true));
        sink.begin(columns).unwrap();
        rows.into_iter().for_each(|row| sink.row(row).unwrap());
        sink.end().unwrap();
        drop(sink);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(clean("plain ⭐ text"), "plain ⭐ text");
        assert_eq!(clean("a\nb\t\u{1b}[31m\u{7f}"), r"a\nb\t\u{1b}[31m\u{7f}");
        assert_eq!(clean("x\u{202e}y\u{2028}"), r"x\u{202e}y\u{2028}");
    }

    #[test]
    fn every_format_has_a_form_for_nothing() {
        let columns = [Column::text("name"), Column::number("n")];
        assert_eq!(written(Format::Json, &columns, vec![]), "[]\n");
        assert_eq!(written(Format::Jsonl, &columns, vec![]), "");
        assert_eq!(written(Format::Csv, &columns, vec![]), "name,n\n");
        let table = written(Format::Table, &columns, vec![]);
        assert!(table.contains("name") && table.contains(" n "), "{table}");
    }

    #[test]
    fn every_format_writes_odd_values() {
        let columns = [Column::text("t"), Column::number("x"), Column { json: true, ..Column::text("j") }];
        let row = vec![
            Value::Text("a\"b,\u{1b}é".into()),
            Value::Double(f64::NAN),
            Value::Text(r#"{"n": 12345678901234567890123, "s": "é"}"#.into()),
        ];
        let rows = vec![row, vec![Value::Null, Value::Double(1.5), Value::Null]];
        let json = written(Format::Json, &columns, rows.clone());
        assert_eq!(
            json,
            "[\n  {\"t\":\"a\\\"b,\\u001bé\",\"x\":null,\"j\":{\"n\": 12345678901234567890123, \"s\": \"é\"}},\n  \
             {\"t\":null,\"x\":1.5,\"j\":null}\n]\n"
        );
        let lines = written(Format::Jsonl, &columns, rows.clone());
        assert_eq!(lines.lines().count(), 2);
        let csv = written(Format::Csv, &columns, rows.clone());
        assert!(csv.starts_with("t,x,j\n\"a\"\"b,\u{1b}é\",NaN,\"{\"\"n\"\": 123"), "{csv}");
        assert!(csv.ends_with("\n,1.5,\n"), "{csv}");
        let table = written(Format::Table, &columns, rows);
        assert!(
            table.contains(r#"a"b,\u{1b}é"#) && table.contains("NULL") && table.contains("NaN"),
            "{table}"
        );
    }
}
