//! Words about how results are printed. Every command that prints data has [`Output`].

use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser};

use crate::output::Format;
use crate::ui::Ui;

/// Where a result goes, and in which form.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Output {
    /// The output format [default: by the ending of FILE; else table on a terminal, json elsewhere]
    #[arg(short, long, value_name = "FORMAT", hide_possible_values = true, long_help = FORMATS)]
    pub(crate) format: Option<Format>,

    /// Write to this file; it appears only when it is complete
    #[arg(long, value_name = "FILE", value_parser = local_file())]
    pub(crate) output: Option<PathBuf>,

    /// Apply a jq filter to the JSON; with jsonl, to each line
    #[arg(long, value_name = "FILTER")]
    pub(crate) jq: Option<String>,

    /// In CSV and TSV, put a ' before text that a spreadsheet would run as a formula (= + - @)
    #[arg(long)]
    pub(crate) escape_formulas: bool,
}

/// A path of this machine; addresses are refused, as a folder `s3:` is never meant.
fn local_file() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| mixpanel_data::names_no_file(&path).map_or(Ok(path), Err))
}

/// Names of standard output. Opened as files, they would cut off what is in them.
const STANDARD_OUTPUT: [&str; 4] = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

const FORMATS: &str = "\
The output format [default: by the ending of FILE; else table on a terminal, json elsewhere]

  table     for people: aligned columns
  vertical  for people: one line per cell
  plain     bare values: no header, tabs between columns
  json      one array of objects
  jsonl     one object per line
  csv, tsv  with a header
  markdown  a table for a document
  parquet   a Parquet file
  arrow     an Arrow IPC stream";

impl Output {
    /// The file to write; `-` and the names that the system has for it are standard output.
    pub(crate) fn file(&self) -> Option<&Path> {
        let standard = |path: &&Path| STANDARD_OUTPUT.iter().any(|name| path.as_os_str() == *name);
        self.output.as_deref().filter(|path| !standard(path))
    }

    /// Whether a result was asked for in so many words.
    pub(crate) fn is_wanted(&self) -> bool {
        self.format.is_some() || self.output.is_some() || self.jq.is_some()
    }

    /// Whether one file, or one stream of a binary format, takes the result.
    pub(crate) fn is_one_file(&self) -> bool {
        self.file().is_some() || self.format.is_some_and(Format::is_binary)
    }

    /// Whether people will read a table on standard output.
    pub(crate) fn is_table(&self, ui: &Ui) -> bool {
        let default = ui.to_terminal && self.jq.is_none();
        self.file().is_none() && self.format.map_or(default, |format| format == Format::Table)
    }
}

/// Pictures of a result, as its columns suggest: a time and numbers are lines, names and numbers bars,
/// a column `step` a funnel, columns `day_0`, `day_1` … a heat map.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Pictures")]
pub(crate) struct Plot {
    /// Draw the result as a chart instead of printing rows
    #[arg(long, conflicts_with_all = ["format", "jq", "output"])]
    pub(crate) plot: bool,

    /// Also draw the chart into an SVG file
    #[arg(long, value_name = "FILE", value_parser = local_file())]
    pub(crate) svg: Option<PathBuf>,

    /// Also draw the chart into an HTML page
    #[arg(long, value_name = "FILE", value_parser = local_file())]
    pub(crate) html: Option<PathBuf>,

    /// Also draw the chart into a PNG file
    #[arg(long, value_name = "FILE", value_parser = local_file())]
    pub(crate) png: Option<PathBuf>,
}

impl Plot {
    /// Whether a file takes the picture.
    pub(crate) fn draws_file(&self) -> bool {
        self.svg.is_some() || self.html.is_some() || self.png.is_some()
    }
}

/// How many rows of a long result are printed.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Rows {
    /// Print at most this many rows [default: all; on a terminal 1000]
    #[arg(short, long, value_name = "N")]
    pub(crate) limit: Option<usize>,

    /// Print all rows, also on a terminal
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
}
