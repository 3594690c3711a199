//! What `mp query` and `mp inspect` share: the way to Mixpanel, and results on their way out.

use jiff::Timestamp;
use mixpanel_client::time::ProjectClock;
use mixpanel_client::{Client, Tabular};
use mixpanel_data::arrow::datatypes::SchemaRef;
use mixpanel_data::arrow::record_batch::RecordBatch;
use serde::Serialize;

use super::Reader;
use crate::args::{self, Day};
use crate::config::Connection;
use crate::error::Error;
use crate::output::{self, Format, Page};
use crate::ui::Ui;

/// A project to ask.
pub(super) struct Asker {
    pub(super) client: Client,
    clock: ProjectClock,
    now: Timestamp,
}

impl Asker {
    pub(super) fn new(connection: &args::Connection, reader: Reader<'_>) -> Result<Self, Error> {
        let connection = Connection::resolve(connection, reader.env)?;
        let project = connection.project(reader.signals, reader.ui)?;
        Ok(Self { client: project.client, clock: project.clock, now: Timestamp::now() })
    }

    /// A day as typed, in the project's days.
    pub(super) fn day(&self, day: Day) -> jiff::civil::Date {
        day.resolve(self.now, &self.clock)
    }
}

/// Prints a result: all of it as JSON, its rows in every other format.
pub(super) fn result(
    output: &args::Output,
    plot: &args::Plot,
    ui: &Ui,
    result: &impl Tabular,
) -> Result<(), Error> {
    ui.unknown_names(result.unknown_names());
    let pictured = plot.plot || plot.svg.is_some() || plot.html.is_some() || plot.png.is_some();
    if pictured || !is_whole(output, ui) {
        let batch = result.to_batch();
        return rows(output, plot, ui, batch.schema(), &[batch]);
    }
    output::object(output, ui, result, &[])
}

/// Prints one thing of a kind that is listed elsewhere.
pub(super) fn one<T: Serialize>(output: &args::Output, ui: &Ui, thing: T) -> Result<(), Error>
where
    Vec<T>: Tabular,
{
    if is_whole(output, ui) {
        return output::object(output, ui, &thing, &[]);
    }
    let batch = vec![thing].to_batch();
    rows(output, &args::Plot::default(), ui, batch.schema(), &[batch])
}

/// Prints rows.
pub(super) fn rows(
    output: &args::Output,
    plot: &args::Plot,
    ui: &Ui,
    schema: SchemaRef,
    batches: &[RecordBatch],
) -> Result<(), Error> {
    let everything = args::Rows { limit: None, all: true };
    let mut page = Page::new(output, &everything, ui)?.with_pictures(plot);
    page.begin(schema)?;
    for batch in batches {
        page.batch(batch)?;
    }
    page.end()
}

/// Prints names, in a column of this name.
pub(super) fn names(output: &args::Output, ui: &Ui, column: &str, names: &[String]) -> Result<(), Error> {
    if is_whole(output, ui) {
        return output::object(output, ui, &names, &[]);
    }
    let batch = mixpanel_client::table::names_batch(column, names);
    rows(output, &args::Plot::default(), ui, batch.schema(), &[batch])
}

/// Whether a result is printed, or filtered, as the one thing that it is.
pub(super) fn is_whole(output: &args::Output, ui: &Ui) -> bool {
    match output::format_of(output, ui) {
        Format::Json => true,
        Format::Plain => output.jq.is_some(),
        _ => false,
    }
}
