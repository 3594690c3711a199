//! The formats, by name.

use std::path::Path;

use super::{Look, Out, Sink, columnar, json, markdown, separated, table, vertical};

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
    /// What was asked for, else what the ending of the file says, else a table for people and JSON
    /// for programs.
    pub(super) fn choose(asked: Option<Format>, file: Option<&Path>, to_terminal: bool) -> Format {
        let by_ending = || file.and_then(Path::extension)?.to_str().and_then(Format::by_ending);
        let otherwise = if to_terminal { Format::Table } else { Format::Json };
        asked.or_else(by_ending).unwrap_or(otherwise)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_comes_before_the_ending_and_the_ending_before_the_terminal() {
        let file = Some(Path::new("a.PARQUET"));
        assert_eq!(Format::choose(Some(Format::Csv), file, true), Format::Csv);
        assert_eq!(Format::choose(None, file, true), Format::Parquet);
        assert_eq!(Format::choose(None, Some(Path::new("a.b")), true), Format::Table);
        assert_eq!(Format::choose(None, None, false), Format::Json);
    }
}
