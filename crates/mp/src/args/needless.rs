//! Options of the Python original that are accepted so that its scripts run, and do nothing here that
//! is not done anyway. Help does not show them; who gives one is told why it is not needed.

use super::Output;
use crate::output::Format;
use crate::ui::Ui;

/// What `mp fetch` needs no longer.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Needless {
    /// Without effect: downloads run side by side anyway, as many as --concurrency says
    #[arg(short, long, hide = true)]
    pub(crate) parallel: bool,

    /// Without effect: batches are as large as memory allows, and a chunk is one transaction
    #[arg(long, value_name = "N", hide = true, value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: Option<u32>,

    /// The same as --progress none
    #[arg(long, hide = true)]
    no_progress: bool,
}

impl Needless {
    /// Says what has no effect, and gives the settings of the output from here on.
    pub(crate) fn heed(&self, ui: &Ui) -> Ui {
        if self.parallel {
            ui.say(
                "--parallel has no effect: downloads run side by side anyway; --concurrency N says how many",
            );
        }
        if self.batch_size.is_some() {
            ui.say("--batch-size has no effect: batches are as large as memory allows, and a chunk is one transaction");
        }
        if self.no_progress { ui.without_progress() } else { ui.clone() }
    }
}

/// As many downloads at a time as were asked for, or as many as there may be.
pub(crate) fn capped(asked: Option<usize>, most: usize, ui: &Ui) -> Option<usize> {
    if let Some(asked) = asked.filter(|asked| *asked > most) {
        ui.say(&format!("{most} downloads run at a time, not {asked}: Mixpanel allows no more"));
    }
    asked.map(|asked| asked.min(most))
}

/// Says which words about storing and printing have no effect on rows that are streamed.
pub(crate) fn not_streamed(concurrency: Option<usize>, chunk_days: Option<u32>, output: &Output, ui: &Ui) {
    if concurrency.is_some() {
        ui.say(
            "--concurrency (--workers) has no effect with --stdout: rows come in order, a request at a time",
        );
    }
    if chunk_days.is_some() {
        ui.say("--chunk-days has no effect with --stdout");
    }
    let lines = |format: &Format| match format {
        Format::Jsonl => true,
        Format::Plain => output.jq.is_some(),
        _ => false,
    };
    if output.format.is_some_and(|format| !lines(&format)) {
        ui.say("--format has no effect with --stdout: rows are JSON, one on a line; `mp sql` prints stored ones in any format");
    }
}
