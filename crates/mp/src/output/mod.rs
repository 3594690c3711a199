//! Results out: batches or objects enter, text or files of one [`Format`] leave.
//!
//! Every command prints through one of three doors: [`object()`] for one thing, [`list()`] for rows made
//! by hand, [`Page`] for a stream of Arrow batches. One renderer per format, each in a file of its
//! own, is fed batch by batch. What to say about a result is not the business of this module.

mod columnar;
mod format;
mod jq;
mod json;
mod list;
mod markdown;
mod object;
mod page;
mod place;
pub(crate) mod plot;
mod safe;
mod separated;
pub(crate) mod table;
mod vertical;
mod width;

use std::io;

use mixpanel_data::arrow::datatypes::{Field, SchemaRef};
use mixpanel_data::arrow::record_batch::RecordBatch;
use mixpanel_data::is_json;

use crate::args;
use crate::ui::Ui;

pub(crate) use format::Format;
pub(crate) use jq::RowFilter;
pub(crate) use list::{Column, List, list};
pub(crate) use object::{done, object, pairs_of, scalar};
pub(crate) use page::{Page, format_of};
pub(crate) use place::{Out, stdout};
pub(crate) use safe::clean;
pub(crate) use width::terminal_width;

/// Writes a result of one format, batch by batch. An empty result is `begin` and `end`.
pub(crate) trait Sink {
    /// The columns; called once, first.
    fn begin(&mut self, schema: &SchemaRef) -> io::Result<()>;
    /// Some rows.
    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()>;
    /// Everything is there; gives back where it went.
    fn end(self: Box<Self>) -> io::Result<Out>;
}

/// What text for people may use where it goes.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// Columns of the terminal, if it is one.
    room: Option<usize>,
    colour: bool,
    escape_formulas: bool,
}

impl Look {
    fn of(output: &args::Output, ui: &Ui) -> Self {
        let escape_formulas = output.escape_formulas;
        match output.file() {
            Some(_) => Look { room: None, colour: ui.colour_in_files, escape_formulas },
            None => Look { room: ui.to_terminal.then(terminal_width), colour: ui.colour, escape_formulas },
        }
    }
}

/// What a column is to those who write it as text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Head {
    name: String,
    /// Numbers are right-aligned.
    number: bool,
    /// The text is JSON, and stays JSON in JSON.
    json: bool,
    /// The figures are bytes; people get a unit.
    bytes: bool,
    /// A second name, which JSON has too.
    also: Option<String>,
}

impl Head {
    fn of(field: &Field) -> Self {
        Head {
            name: field.name().clone(),
            number: field.data_type().is_numeric(),
            json: is_json(field),
            bytes: list::is_bytes(field),
            also: list::second_name(field),
        }
    }

    fn all(schema: &SchemaRef) -> Vec<Head> {
        schema.fields().iter().map(|field| Head::of(field)).collect()
    }

    /// A cell as people read it.
    fn shown(&self, value: &mixpanel_data::Value) -> String {
        match value {
            mixpanel_data::Value::Null => "NULL".to_owned(),
            mixpanel_data::Value::Integer(bytes) if self.bytes => size(*bytes as f64),
            other => clean(&other.to_text()),
        }
    }
}

/// Bytes in the unit that suits them (powers of ten).
pub(crate) fn size(bytes: f64) -> String {
    match bytes.abs() {
        small if small < 1e3 => format!("{bytes} B"),
        medium if medium < 1e6 => format!("{:.1} kB", bytes / 1e3),
        large if large < 1e9 => format!("{:.1} MB", bytes / 1e6),
        _ => format!("{:.2} GB", bytes / 1e9),
    }
}

#[cfg(test)]
mod tests;
