//! Words of `mp load`: files that people have already.

use std::path::PathBuf;

use mixpanel_data::{CsvColumns, LoadFormat, TimeUnit};

use super::fetch::Home;
use super::{OnReject, Waiting};

/// The original's file is only read. Its days count as `loaded`, as it cannot tell whether they are
/// complete: `mp sync --refetch-loaded` puts Mixpanel's rows in their place.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mp import-original mixpanel.db --dry-run
  mp import-original mixpanel.db --db new.duckdb
  mp import-original mixpanel.db -t events -t purchases")]
pub(crate) struct ImportOriginal {
    /// The database of the Python original
    pub(crate) file: PathBuf,

    /// Only this table; may be given several times
    #[arg(short, long = "table", value_name = "NAME")]
    pub(crate) tables: Vec<String>,

    /// Show what is in it, and copy nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// What to do with rows that cannot be stored
    #[arg(long, value_name = "WHAT", default_value = "quarantine")]
    pub(crate) on_reject: OnReject,

    #[command(flatten)]
    pub(crate) waiting: Waiting,

    #[command(flatten)]
    pub(crate) home: Home,
}

/// Each file is stored completely or not at all, beside what is there: events that are there are not
/// stored twice, so the same file may be loaded again. Days that come from files count as `loaded`:
/// whether they are complete, nobody knows. `mp sync` leaves them as they are; a fetch of them puts
/// Mixpanel's rows in their place.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mp load events-2023.jsonl.gz
  mp load exports/ --table archive --db archive.duckdb
  zstd -dc events.jsonl.zst | mp load - --db archive.duckdb
  mp load orders.csv --event-name Order --time-column paid_at --times-in Europe/Berlin \\
      --distinct-id-column customer --insert-id-column order_no --dry-run

Files are raw exports (`event` and `properties`), one event on a line or all in an array; events with
their fields beside the properties, as Mixpanel's JSON pipelines and `mp fetch events --stdout` write
them; or CSV. Each may be compressed by gzip. Of a folder, files are taken whose names end in .jsonl,
.json, .ndjson, .csv or .tsv, also with .gz behind, in the order of their names.")]
pub(crate) struct Load {
    /// Files or folders; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// The table to write
    #[arg(short, long, value_name = "NAME", default_value = "events")]
    pub(crate) table: String,

    /// What the files are [default: told by their first bytes]
    #[arg(long = "as", value_name = "KIND")]
    pub(crate) kind: Option<Kind>,

    /// Show what the files are taken for, with their first events, and store nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// What to do with lines that cannot be stored
    #[arg(long, value_name = "WHAT", default_value = "quarantine")]
    pub(crate) on_reject: OnReject,

    #[command(flatten)]
    pub(crate) columns: Columns,

    #[command(flatten)]
    pub(crate) waiting: Waiting,

    #[command(flatten)]
    pub(crate) home: Home,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Events as the raw export has them
    Export,
    /// Events with their fields beside the properties, as JSON pipelines have them
    Records,
    /// A table with a header
    Csv,
}

impl From<Kind> for LoadFormat {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Export => LoadFormat::Export,
            Kind::Records => LoadFormat::Records,
            Kind::Csv => LoadFormat::Csv,
        }
    }
}

/// Which column is what.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Columns of CSV (the others are properties)")]
pub(crate) struct Columns {
    /// The column with the event's name [default: event, event_name]
    #[arg(long, value_name = "COLUMN", conflicts_with = "event_name")]
    event_column: Option<String>,

    /// The name of all events, where no column has it
    #[arg(long, value_name = "EVENT")]
    event_name: Option<String>,

    /// The column with the time [default: time, event_time, timestamp]
    #[arg(long, value_name = "COLUMN")]
    time_column: Option<String>,

    /// What the numbers of that column count, since 1970 [default: told by their size]
    #[arg(long, value_name = "UNIT")]
    time_unit: Option<Unit>,

    /// The zone of times that are written without one [default: as the project's clock shows them]
    #[arg(long, value_name = "ZONE")]
    times_in: Option<String>,

    /// The column with the user [default: distinct_id]
    #[arg(long, value_name = "COLUMN")]
    distinct_id_column: Option<String>,

    /// The column with what tells events apart [default: insert_id, $insert_id]
    #[arg(long, value_name = "COLUMN")]
    insert_id_column: Option<String>,

    /// What separates fields [default: one of , ; | and the tab]
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    delimiter: Option<u8>,

    /// Take every field as text, also what is written like a number
    #[arg(long)]
    all_text: bool,
}

impl Columns {
    pub(crate) fn wanted(&self) -> CsvColumns {
        CsvColumns {
            event: self.event_column.clone(),
            event_name: self.event_name.clone(),
            time: self.time_column.clone(),
            time_unit: self.time_unit.map(Unit::into),
            time_zone: self.times_in.clone(),
            distinct_id: self.distinct_id_column.clone(),
            insert_id: self.insert_id_column.clone(),
            delimiter: self.delimiter,
            all_text: self.all_text,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Unit {
    /// Seconds
    S,
    /// Milliseconds
    Ms,
    /// Microseconds
    Us,
    /// Nanoseconds
    Ns,
}

impl From<Unit> for TimeUnit {
    fn from(unit: Unit) -> Self {
        match unit {
            Unit::S => TimeUnit::Seconds,
            Unit::Ms => TimeUnit::Milliseconds,
            Unit::Us => TimeUnit::Microseconds,
            Unit::Ns => TimeUnit::Nanoseconds,
        }
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        _ if text == "tab" || text == "\\t" => Ok(b'\t'),
        [byte] if !byte.is_ascii_alphanumeric() && !b"\"\r\n".contains(byte) => Ok(*byte),
        _ => Err("one character such as , or ; or the word tab is wanted".to_owned()),
    }
}
