//! A table for a Markdown document.

use std::io::{self, Write};

use mixpanel_data::arrow::datatypes::SchemaRef;
use mixpanel_data::arrow::record_batch::RecordBatch;
use mixpanel_data::rows_of;

use super::{Head, Out, Sink, clean};

/// Row by row: a Markdown table needs no aligned source.
pub(super) struct Markdown {
    out: Out,
    heads: Vec<Head>,
}

impl Markdown {
    pub(super) fn new(out: Out) -> Self {
        Markdown { out, heads: Vec::new() }
    }
}

fn cell(text: &str) -> String {
    clean(text).replace('\\', "\\\\").replace('|', "\\|")
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.collect();
    format!("| {} |", cells.join(" | "))
}

impl Sink for Markdown {
    fn begin(&mut self, schema: &SchemaRef) -> io::Result<()> {
        self.heads = Head::all(schema);
        let rule = |head: &Head| if head.number { "---:" } else { "---" }.to_owned();
        writeln!(self.out, "{}", line(self.heads.iter().map(|head| cell(&head.name))))?;
        writeln!(self.out, "{}", line(self.heads.iter().map(rule)))
    }

    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        for row in rows_of(batch) {
            let cells = row.iter().zip(&self.heads);
            let cells = cells.map(
                |(value, head)| {
                    if value.is_null() { String::new() } else { cell(&head.shown(value)) }
                },
            );
            writeln!(self.out, "{}", line(cells))?;
        }
        Ok(())
    }

    fn end(self: Box<Self>) -> io::Result<Out> {
        Ok(self.out)
    }
}
