//! JSON: an array with one object a line, or just the objects.

use std::io::{self, Write};

use mixpanel_data::Value;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::{Column, Sink};

/// `[`, objects, `]`: one array that can be read line by line too.
pub(super) struct Array<'a> {
    out: &'a mut dyn Write,
    columns: Vec<Column>,
    empty: bool,
}

impl<'a> Array<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Array { out, columns: Vec::new(), empty: true }
    }
}

impl Sink for Array<'_> {
    fn begin(&mut self, columns: &[Column]) -> io::Result<()> {
        self.columns = distinct(columns);
        self.out.write_all(b"[")
    }

    fn row(&mut self, row: Vec<Value>) -> io::Result<()> {
        self.out.write_all(if self.empty { b"\n  " } else { b",\n  " })?;
        self.empty = false;
        Ok(serde_json::to_writer(&mut *self.out, &Object(&self.columns, &row))?)
    }

    fn end(&mut self) -> io::Result<()> {
        self.out.write_all(if self.empty { b"]\n" } else { b"\n]\n" })
    }
}

/// One object per line.
pub(super) struct Lines<'a> {
    out: &'a mut dyn Write,
    columns: Vec<Column>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Lines { out, columns: Vec::new() }
    }
}

impl Sink for Lines<'_> {
    fn begin(&mut self, columns: &[Column]) -> io::Result<()> {
        self.columns = distinct(columns);
        Ok(())
    }

    fn row(&mut self, row: Vec<Value>) -> io::Result<()> {
        serde_json::to_writer(&mut *self.out, &Object(&self.columns, &row))?;
        self.out.write_all(b"\n")
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Columns of one name would hide each other in an object.
fn distinct(columns: &[Column]) -> Vec<Column> {
    let mut taken: Vec<String> = Vec::with_capacity(columns.len());
    for column in columns {
        let names = (1..).map(|n| if n == 1 { column.name.clone() } else { format!("{}_{n}", column.name) });
        let free = |name: &String| {
            !taken.contains(name) && (*name == column.name || columns.iter().all(|other| other.name != *name))
        };
        taken.extend(names.into_iter().find(free));
    }
    columns.iter().zip(taken).map(|(column, name)| Column { name, ..column.clone() }).collect()
}

struct Object<'a>(&'a [Column], &'a [Value]);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.0.len()))?;
        for (column, value) in self.0.iter().zip(self.1) {
            match (column.json, value) {
                (true, Value::Text(text)) => match raw(text) {
                    Some(json) => object.serialize_entry(&column.name, &json)?,
                    None => object.serialize_entry(&column.name, text)?,
                },
                _ => object.serialize_entry(&column.name, value)?,
            }
        }
        object.end()
    }
}

/// JSON text as it is, in one line: line feeds in valid JSON only stand between values.
fn raw(text: &str) -> Option<Box<RawValue>> {
    let text = if text.contains(['\n', '\r']) { text.replace(['\n', '\r'], " ") } else { text.to_owned() };
    RawValue::from_string(text).ok()
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::written;
    use super::*;

    #[test]
    fn columns_of_one_name_all_appear() {
        let columns = ["a", "a", "a_2", "a"].map(Column::text);
        let row = (1..=4).map(Value::Integer).collect();
        assert_eq!(written(Format::Jsonl, &columns, vec![row]), "{\"a\":1,\"a_3\":2,\"a_2\":3,\"a_4\":4}\n");
    }

    #[test]
    fn json_stays_on_its_line_and_broken_json_is_text() {
        let columns = [Column { json: true, ..Column::text("j") }];
        let rows = vec![vec![Value::Text("{\n\"a\": \"\\n\"\n}".into())], vec![Value::Text("{oops".into())]];
        assert_eq!(written(Format::Jsonl, &columns, rows), "{\"j\":{ \"a\": \"\\n\" }}\n{\"j\":\"{oops\"}\n");
    }
}
