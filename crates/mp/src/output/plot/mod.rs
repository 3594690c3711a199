//! Pictures of results: rows enter, a drawing in the terminal, an SVG, an HTML page or a PNG leave.
//!
//! [`natural()`] decides what a result looks like; [`terminal`] draws it in characters, [`render`] with
//! `plotters`. Nothing here asks the database.

pub(crate) mod bars;
mod braille;
mod glyphs;
mod natural;
mod render;
mod series;
mod terminal;

use std::path::PathBuf;

use mixpanel_data::arrow::datatypes::{DataType, SchemaRef};
use mixpanel_data::arrow::record_batch::RecordBatch;
use mixpanel_data::{Batches, Value, rows_of};

use super::{clean, terminal_width};
use crate::args;
use crate::error::Error;
use crate::ui::Ui;

use natural::natural;

/// More rows than these are not drawn: no screen shows them.
const MOST_ROWS: usize = 100_000;

/// What a column holds, as far as a picture cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Time,
    Number,
    Text,
}

/// A result to be drawn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    pub(crate) names: Vec<String>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) rows: Vec<Vec<Value>>,
}

/// Collects the rows of a result for pictures of it.
pub(crate) struct Pictures {
    in_terminal: bool,
    files: Vec<(File, PathBuf)>,
    frame: Frame,
}

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum File {
    Svg,
    Html,
    Png,
}

impl Pictures {
    /// What was asked for; `None` when that is nothing.
    pub(crate) fn wanted(plot: &args::Plot) -> Option<Self> {
        let files = [(File::Svg, &plot.svg), (File::Html, &plot.html), (File::Png, &plot.png)];
        let files: Vec<(File, PathBuf)> =
            files.into_iter().filter_map(|(kind, path)| Some((kind, path.clone()?))).collect();
        let wanted = plot.plot || !files.is_empty();
        wanted.then(|| Pictures { in_terminal: plot.plot, files, frame: Frame::default() })
    }

    /// Whether the picture takes the place of the rows.
    pub(crate) fn replace_rows(&self) -> bool {
        self.in_terminal
    }

    pub(crate) fn begin(&mut self, schema: &SchemaRef) {
        for field in schema.fields() {
            self.frame.names.push(clean(field.name()));
            self.frame.kinds.push(match field.data_type() {
                DataType::Date32 | DataType::Timestamp(..) => Kind::Time,
                kind if kind.is_numeric() => Kind::Number,
                _ => Kind::Text,
            });
        }
    }

    pub(crate) fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        if self.frame.rows.len() + batch.num_rows() > MOST_ROWS {
            let hint = "aggregate first, for instance: SELECT event_time::DATE AS day, count(*) FROM events GROUP BY ALL";
            return Err(Error::setting(format!("more than {MOST_ROWS} rows cannot be drawn"), hint));
        }
        self.frame.rows.extend(rows_of(batch));
        Ok(())
    }

    /// Draws everything that was asked for; gives the text for the terminal.
    pub(crate) fn draw(self, ui: &Ui) -> Result<Option<String>, Error> {
        let drawing = natural(&self.frame)?;
        for note in &drawing.notes {
            ui.say(note);
        }
        for (kind, path) in &self.files {
            if let Some(note) = render::file(&drawing, *kind, path)? {
                ui.say(&note);
            }
            ui.say(&format!("drew {}", path.display()));
        }
        Ok(self.in_terminal.then(|| terminal::draw(&drawing, self.width(ui), ui.colour)))
    }

    fn width(&self, ui: &Ui) -> usize {
        if ui.to_terminal { terminal_width() } else { 80 }
    }
}

/// The picture of a whole result, for the terminal.
pub(crate) fn of(result: &Batches, ui: &Ui) -> Result<String, Error> {
    let mut pictures = Pictures { in_terminal: true, files: Vec::new(), frame: Frame::default() };
    pictures.begin(&result.schema);
    result.batches.iter().try_for_each(|batch| pictures.batch(batch))?;
    // The rows stand beside it, and say what it does not show.
    let drawing = natural(&pictures.frame)?;
    Ok(terminal::draw(&drawing, pictures.width(ui), ui.colour))
}

/// A figure with as many digits as it needs.
pub(super) fn figure(value: f64) -> String {
    if value == value.trunc() && value.abs() < 1e15 {
        let digits = crate::ui::thousands(value.abs() as u64);
        return if value < 0.0 { format!("-{digits}") } else { digits };
    }
    format!("{value:.1}")
}
