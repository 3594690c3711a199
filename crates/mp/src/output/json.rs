//! JSON: an array with one object a line, or just the objects.

use std::collections::HashSet;
use std::io::{self, Write};

use mixpanel_data::arrow::datatypes::SchemaRef;
use mixpanel_data::arrow::record_batch::RecordBatch;
use mixpanel_data::{Value, rows_of};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::{Head, Out, Sink};

/// `[`, objects, `]`: one array that can be read line by line too.
pub(super) struct Array {
    out: Out,
    heads: Vec<Head>,
    empty: bool,
}

impl Array {
    pub(super) fn new(out: Out) -> Self {
        Array { out, heads: Vec::new(), empty: true }
    }
}

impl Sink for Array {
    fn begin(&mut self, schema: &SchemaRef) -> io::Result<()> {
        self.heads = named(schema);
        self.out.write_all(b"[")
    }

    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        for row in rows_of(batch) {
            self.out.write_all(if self.empty { b"\n  " } else { b",\n  " })?;
            self.empty = false;
            serde_json::to_writer(&mut self.out, &Row(&self.heads, &row))?;
        }
        Ok(())
    }

    fn end(mut self: Box<Self>) -> io::Result<Out> {
        self.out.write_all(if self.empty { b"]\n" } else { b"\n]\n" })?;
        Ok(self.out)
    }
}

/// One object per line.
pub(super) struct Lines {
    out: Out,
    heads: Vec<Head>,
}

impl Lines {
    pub(super) fn new(out: Out) -> Self {
        Lines { out, heads: Vec::new() }
    }
}

impl Sink for Lines {
    fn begin(&mut self, schema: &SchemaRef) -> io::Result<()> {
        self.heads = named(schema);
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        for row in rows_of(batch) {
            serde_json::to_writer(&mut self.out, &Row(&self.heads, &row))?;
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    fn end(self: Box<Self>) -> io::Result<Out> {
        Ok(self.out)
    }
}

fn named(schema: &SchemaRef) -> Vec<Head> {
    let heads = Head::all(schema);
    let names = distinct(heads.iter().map(|head| head.name.as_str()));
    heads.into_iter().zip(names).map(|(head, name)| Head { name, ..head }).collect()
}

/// Names that differ: columns of one name would hide each other in an object.
pub(super) fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let names: Vec<&str> = names.collect();
    let given: HashSet<&str> = names.iter().copied().collect();
    let mut taken: HashSet<String> = HashSet::with_capacity(names.len());
    let mut unique = Vec::with_capacity(names.len());
    for name in names {
        let mut candidate = name.to_owned();
        let mut number = 1;
        while taken.contains(&candidate) || (number > 1 && given.contains(candidate.as_str())) {
            number += 1;
            candidate = format!("{name}_{number}");
        }
        taken.insert(candidate.clone());
        unique.push(candidate);
    }
    unique
}

/// One row as an object.
struct Row<'a>(&'a [Head], &'a [Value]);

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        for (head, value) in self.0.iter().zip(self.1) {
            match (head.json, value) {
                (true, Value::Text(text)) => match raw(text) {
                    Some(json) => object.serialize_entry(&head.name, &json)?,
                    None => object.serialize_entry(&head.name, text)?,
                },
                _ => object.serialize_entry(&head.name, value)?,
            }
            if let Some(also) = &head.also {
                object.serialize_entry(also, value)?;
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
    use super::*;

    #[test]
    fn names_become_distinct_and_keep_those_that_are() {
        assert_eq!(distinct(["a", "a", "a_2", "a"].into_iter()), ["a", "a_3", "a_2", "a_4"]);
    }

    #[test]
    fn json_stays_on_its_line_and_broken_json_is_text() {
        let heads = [Head { name: "j".into(), number: false, json: true, bytes: false, also: None }];
        let line = |text: &str| serde_json::to_string(&Row(&heads, &[Value::Text(text.into())])).unwrap();
        assert_eq!(line("{\n\"a\": \"\\n\"\n}"), r#"{"j":{ "a": "\n" }}"#);
        assert_eq!(line("{oops"), r#"{"j":"{oops"}"#);
    }
}
