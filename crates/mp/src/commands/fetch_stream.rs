//! `mp fetch … --stdout`: rows as JSON lines on standard output, nothing stored.

use std::io::Write;

use mixpanel_data::RowStream;

use crate::args;
use crate::error::Error;
use crate::output::{self, RowFilter};
use crate::ui::{Ui, counted};

/// Prints all rows of a stream, or what a filter makes of each. Without a buffer, each batch is
/// printed when it is there.
pub(super) fn print(
    mut stream: RowStream,
    words: &args::Stream,
    output: &args::Output,
    ui: &Ui,
) -> Result<(), Error> {
    let filter = RowFilter::wanted(output)?;
    let mut out = output::Out::standard(true);
    for batch in stream.by_ref() {
        // Rows that were proven complete are printed before an error is told.
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => {
                out.flush()?;
                return Err(error.into());
            }
        };
        let lines = batch.json_lines(words.shape());
        match &filter {
            Some(filter) => filter.run(&lines, &mut out)?,
            None => out.write_all(&lines)?,
        }
        if words.unbuffered {
            out.flush()?;
        }
    }
    out.flush()?;
    let counts = stream.counts();
    if counts.rejects > 0 {
        ui.say(&format!("{} could not be read and left out", counted(counts.rejects, "row")));
    }
    ui.unknown_names(&stream.unknown_names());
    Ok(())
}
