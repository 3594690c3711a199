//! A stream of batches on its way out: to its place, in its format, no more rows than wanted.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use mixpanel_data::arrow::datatypes::SchemaRef;
use mixpanel_data::arrow::record_batch::RecordBatch;

use super::jq::{Jq, Style};
use super::plot::Pictures;
use super::{Format, Look, Out, Sink, columnar};
use crate::args;
use crate::error::Error;
use crate::ui::{Ui, thousands};

/// Rows on a terminal, unless told otherwise.
pub(crate) const ON_TERMINAL: usize = 1_000;

/// The format that a result will have.
pub(crate) fn format_of(output: &args::Output, ui: &Ui) -> Format {
    let file = output.file();
    Format::choose(output.format, file, output.jq.is_some(), ui.to_terminal && file.is_none())
}

/// Opens the place where a result goes, and says in which format.
pub(super) fn destination(output: &args::Output, ui: &Ui) -> Result<(Format, Out), Error> {
    let file = output.file();
    let to_terminal = ui.to_terminal && file.is_none();
    if let Some(file) = file {
        Format::check(output.format, file)?;
    }
    let format = format_of(output, ui);
    if output.jq.is_some() && !format.is_json() && format != Format::Plain {
        let hint = "--format json, jsonl or plain, or without --jq";
        return Err(Error::setting("--jq makes JSON, which this format cannot hold", hint));
    }
    if format.is_binary() && to_terminal {
        let name = if format == Format::Parquet { "parquet" } else { "arrow" };
        let hint = format!("--output FILE.{name}, or a pipe");
        return Err(Error::setting(format!("a terminal cannot show {name}"), hint));
    }
    let out = match file {
        Some(path) => Out::file(path)?,
        // Tables escape cell by cell, and bring colours of their own.
        None => Out::standard(!matches!(format, Format::Table | Format::Vertical)),
    };
    Ok((format, out))
}

/// A result on its way out: [`begin`](Self::begin), [`batch`](Self::batch) …, [`end`](Self::end).
///
/// Nothing is written before the first row or the end, so that a query that fails has printed
/// nothing.
pub(crate) struct Page<'a> {
    ui: &'a Ui,
    look: Look,
    stage: Stage,
    limit: usize,
    /// Whether the limit is one that nobody asked for.
    by_default: bool,
    shown: usize,
    cut: bool,
    in_shell: bool,
    to_terminal: bool,
    pictures: Option<Pictures>,
}

enum Stage {
    /// Where it will go.
    Ready(Format, Out, Option<Jq>),
    /// The columns are known, and no row has come yet.
    Named(Box<dyn Sink>, SchemaRef, Option<Filtering>),
    Open(Box<dyn Sink>, Option<Filtering>),
    Done,
}

/// The result as JSON, for a filter.
struct Filtering {
    filter: Jq,
    style: Style,
    /// Whether each row is filtered by itself.
    by_row: bool,
    json: Shared,
    out: Out,
}

/// A buffer that a sink fills and we empty.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> Page<'a> {
    /// Opens the place where the result goes.
    pub(crate) fn new(output: &args::Output, rows: &args::Rows, ui: &'a Ui) -> Result<Self, Error> {
        let filter = output.jq.as_deref().map(Jq::new).transpose()?;
        let (format, out) = destination(output, ui)?;
        let to_terminal = ui.to_terminal && output.file().is_none();
        let default = if to_terminal { ON_TERMINAL } else { usize::MAX };
        let limit = if rows.all { usize::MAX } else { rows.limit.unwrap_or(default) };
        let by_default = rows.limit.is_none();
        let stage = Stage::Ready(format, out, filter);
        let look = Look::of(output, ui);
        let (shown, cut, in_shell, pictures) = (0, false, false, None);
        Ok(Page { ui, look, stage, limit, by_default, shown, cut, in_shell, to_terminal, pictures })
    }

    /// Whether a person reads it as it comes.
    pub(crate) fn is_on_terminal(&self) -> bool {
        self.to_terminal
    }

    /// The same at a prompt, where more rows are asked for by a command.
    pub(crate) fn in_shell(mut self) -> Self {
        self.in_shell = true;
        self
    }

    /// The same with pictures of the result, which show all rows, however many are printed.
    pub(crate) fn with_pictures(mut self, plot: &args::Plot) -> Self {
        self.pictures = Pictures::wanted(plot);
        self
    }

    /// The columns.
    pub(crate) fn begin(&mut self, schema: SchemaRef) -> Result<(), Error> {
        let Stage::Ready(format, out, filter) = std::mem::replace(&mut self.stage, Stage::Done) else {
            return Ok(());
        };
        if format == Format::Parquet {
            columnar::check(&schema)?;
        }
        if let Some(pictures) = &mut self.pictures {
            pictures.begin(&schema);
        }
        self.stage = match filter {
            None => Stage::Named(format.sink(out, self.look), schema, None),
            Some(filter) => {
                let (style, by_row) = (Style::of(format), format == Format::Jsonl);
                let json = Shared::default();
                let form = if by_row { Format::Jsonl } else { Format::Json };
                let sink = form.sink(Out::to(json.clone()), self.look);
                Stage::Named(sink, schema, Some(Filtering { filter, style, by_row, json, out }))
            }
        };
        Ok(())
    }

    /// Some rows.
    pub(crate) fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        if let Some(pictures) = &mut self.pictures {
            pictures.batch(batch)?;
            if pictures.replace_rows() {
                return Ok(());
            }
        }
        let room = self.limit - self.shown;
        self.cut |= batch.num_rows() > room;
        let rows = batch.num_rows().min(room);
        if rows == 0 {
            return Ok(());
        }
        self.shown += rows;
        self.open()?;
        if let Stage::Open(sink, filtering) = &mut self.stage {
            sink.batch(&batch.slice(0, rows))?;
            if let Some(filtering) = filtering.as_mut().filter(|filtering| filtering.by_row) {
                filtering.run()?;
            }
        }
        Ok(())
    }

    /// Whether more rows came than are wanted, so that the query can stop. Pictures want all.
    pub(crate) fn is_full(&self) -> bool {
        self.cut && self.pictures.is_none()
    }

    /// Ends the result, and says so if there is more than was shown.
    pub(crate) fn end(mut self) -> Result<(), Error> {
        if let Some(pictures) = self.pictures.take()
            && let Some(text) = pictures.draw(self.ui)?
        {
            let mut out = super::stdout();
            out.write_all(text.as_bytes())?;
            return Ok(out.flush()?);
        }
        self.open()?;
        let Stage::Open(sink, filtering) = self.stage else { return Ok(()) };
        let out = match (sink.end()?, filtering) {
            (out, None) => out,
            (_, Some(mut filtering)) => {
                filtering.run()?;
                filtering.out
            }
        };
        out.finish()?;
        if self.cut {
            let rows = thousands(self.shown as u64);
            let hint = match (self.in_shell, self.by_default) {
                (true, _) => ".limit N shows N, .limit 0 shows all",
                (false, true) => "--limit N shows N, --all shows all",
                (false, false) => "--limit N shows more",
            };
            self.ui.truncated(self.shown, &format!("showing the first {rows} rows: {hint}"));
        }
        Ok(())
    }

    fn open(&mut self) -> Result<(), Error> {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Named(mut sink, schema, filtering) => {
                sink.begin(&schema)?;
                Stage::Open(sink, filtering)
            }
            other => other,
        };
        Ok(())
    }
}

impl Filtering {
    fn run(&mut self) -> Result<(), Error> {
        let json = self.json.take();
        if self.by_row {
            let lines = json.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            for line in lines {
                self.filter.run(line, &mut self.out, self.style)?;
            }
        } else {
            self.filter.run(&json, &mut self.out, self.style)?;
        }
        Ok(())
    }
}
