//! The formats, by name.

use std::path::Path;

use super::{Look, Out, Sink, clean, columnar, json, markdown, separated, table, vertical};
use crate::error::Error;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people: aligned columns
    Table,
    /// One array of objects
    Json,
    /// One object per line
    #[value(alias = "ndjson")]
    Jsonl,
    /// Comma-separated, with a header
    Csv,
    /// Tab-separated, with a header
    Tsv,
    /// A table for a Markdown document
    #[value(alias = "md")]
    Markdown,
    /// A Parquet file
    Parquet,
    /// An Arrow IPC stream
    Arrow,
    /// For people: one line per cell, for rows that are too wide
    Vertical,
    /// Bare values: no header, tabs between columns, one row per line
    Plain,
}

impl Format {
    /// What was asked for, else what the ending of the file says, else JSON for a filter, a table
    /// for people and JSON for programs.
    pub(super) fn choose(
        asked: Option<Format>,
        file: Option<&Path>,
        filtered: bool,
        to_terminal: bool,
    ) -> Format {
        let by_ending = || file.and_then(ending).and_then(|ending| Format::by_ending(&ending));
        // What a filter gives is text of no columns.
        let by_ending = || by_ending().filter(|format| !filtered || *format != Format::Table);
        let otherwise = if to_terminal && !filtered { Format::Table } else { Format::Json };
        asked.or_else(by_ending).unwrap_or(otherwise)
    }

    /// Refuses a file whose ending promises what it would not hold: a compressed file in any case,
    /// an ending that names none of our formats unless the format is given.
    pub(super) fn check(asked: Option<Format>, file: &Path) -> Result<(), Error> {
        let Some(ending) = ending(file) else { return Ok(()) };
        let shown = clean(&file.display().to_string());
        if COMPRESSED.contains(&ending.as_str()) {
            return Err(Error::setting(
                format!("{shown} would not be compressed, although its ending says so"),
                "--output - --format csv | gzip > FILE.csv.gz; Parquet files are compressed by themselves",
            ));
        }
        if asked.is_none() && Format::by_ending(&ending).is_none() {
            return Err(Error::setting(
                format!("the ending of {shown} says none of the formats that can be written"),
                "json, jsonl, csv, tsv, md, parquet, arrow or txt; or --format NAME, whatever the ending is",
            ));
        }
        Ok(())
    }

    fn by_ending(ending: &str) -> Option<Format> {
        Some(match ending.to_ascii_lowercase().as_str() {
            "json" => Format::Json,
            "jsonl" | "ndjson" => Format::Jsonl,
            "csv" => Format::Csv,
            "tsv" => Format::Tsv,
            "md" | "markdown" => Format::Markdown,
            "parquet" => Format::Parquet,
            "arrow" | "arrows" => Format::Arrow,
            "txt" => Format::Table,
            _ => return None,
        })
    }

    /// Whether a terminal would only show rubbish.
    pub(crate) fn is_binary(self) -> bool {
        matches!(self, Format::Parquet | Format::Arrow)
    }

    pub(super) fn is_json(self) -> bool {
        matches!(self, Format::Json | Format::Jsonl)
    }

    /// Where rows of this format go.
    pub(super) fn sink(self, out: Out, look: Look) -> Box<dyn Sink> {
        match self {
            Format::Table => Box::new(table::Table::new(out, look)),
            Format::Json => Box::new(json::Array::new(out)),
            Format::Jsonl => Box::new(json::Lines::new(out)),
            Format::Csv => Box::new(separated::Separated::csv(out, look.escape_formulas)),
            Format::Tsv => Box::new(separated::Separated::tsv(out, look.escape_formulas)),
            Format::Markdown => Box::new(markdown::Markdown::new(out)),
            Format::Parquet => Box::new(columnar::Parquet::new(out)),
            Format::Arrow => Box::new(columnar::Arrow::new(out)),
            Format::Vertical => Box::new(vertical::Vertical::new(out, look)),
            Format::Plain => Box::new(separated::Plain::new(out)),
        }
    }
}

/// Endings of files that other programs expect to be compressed.
const COMPRESSED: [&str; 8] = ["gz", "zst", "bz2", "xz", "br", "lz4", "zip", "7z"];

/// The ending of a file, in small letters.
fn ending(file: &Path) -> Option<String> {
    Some(file.extension()?.to_string_lossy().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_comes_before_the_ending_and_the_ending_before_the_terminal() {
        let file = Some(Path::new("a.PARQUET"));
        assert_eq!(Format::choose(Some(Format::Csv), file, false, true), Format::Csv);
        assert_eq!(Format::choose(None, file, false, true), Format::Parquet);
        assert_eq!(Format::choose(None, None, false, true), Format::Table);
        assert_eq!(Format::choose(None, None, false, false), Format::Json);
    }

    #[test]
    fn a_filter_does_not_change_what_an_ending_says() {
        assert_eq!(Format::choose(None, Some(Path::new("a.parquet")), true, false), Format::Parquet);
        assert_eq!(Format::choose(None, Some(Path::new("a.txt")), true, false), Format::Json);
        assert_eq!(Format::choose(None, None, true, true), Format::Json);
    }

    #[test]
    fn endings_that_promise_something_else_are_refused() {
        for name in ["a.csv.gz", "a.ZIP", "b.zst"] {
            assert!(Format::check(Some(Format::Csv), Path::new(name)).is_err(), "{name}");
        }
        for name in ["a.xlsx", "a.sql", "a.b"] {
            assert!(Format::check(None, Path::new(name)).is_err(), "{name}");
            assert!(Format::check(Some(Format::Csv), Path::new(name)).is_ok(), "{name}");
        }
        for name in ["a", "/dev/null", "a.CSV", "a.b/c", "a.txt"] {
            assert!(Format::check(None, Path::new(name)).is_ok(), "{name}");
        }
    }
}
