//! One line per cell: for rows that are too wide for a table.

use std::io::{self, Write};

use mixpanel_data::arrow::datatypes::SchemaRef;
use mixpanel_data::arrow::record_batch::RecordBatch;
use mixpanel_data::rows_of;

use super::width::{padded, width};
use super::{Head, Look, Out, Sink, clean};

/// Each row has a heading, then its cells, names to the right.
pub(super) struct Vertical {
    out: Out,
    heads: Vec<Head>,
    name: usize,
    row: u64,
    colour: bool,
}

impl Vertical {
    pub(super) fn new(out: Out, look: Look) -> Self {
        Vertical { out, heads: Vec::new(), name: 0, row: 0, colour: look.colour }
    }
}

impl Sink for Vertical {
    fn begin(&mut self, schema: &SchemaRef) -> io::Result<()> {
        self.heads = Head::all(schema);
        for head in &mut self.heads {
            head.name = clean(&head.name);
        }
        self.name = self.heads.iter().map(|head| width(&head.name)).max().unwrap_or(0);
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let (on, off) = if self.colour { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
        for row in rows_of(batch) {
            self.row += 1;
            writeln!(self.out, "─── row {} ───", self.row)?;
            for (value, head) in row.iter().zip(&self.heads) {
                let name = padded(&head.name, self.name, true);
                writeln!(self.out, "{on}{name}{off}: {}", head.shown(value))?;
            }
        }
        Ok(())
    }

    fn end(self: Box<Self>) -> io::Result<Out> {
        Ok(self.out)
    }
}
