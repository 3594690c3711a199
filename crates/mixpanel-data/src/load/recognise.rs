//! What a file is, by its first bytes. Pure.

use mixpanel_client::time::ProjectClock;
use serde::Serialize;

use super::csv::Header;
use super::fault::Fault;
use super::records::top_level_names;

/// What a file is, apart from its compression, and from whether it is lines or an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LoadFormat {
    /// Events as Mixpanel's raw export has them, and as its import takes them: `event` and `properties`.
    Export,
    /// Events with the fixed fields beside the properties: `event_name`, `time` (or `event_time`),
    /// `distinct_id`, `insert_id`, `properties`. Mixpanel's JSON pipelines write them, and this
    /// library's streams.
    Records,
    /// A table with a header: some columns are the fixed fields, the others properties.
    Csv,
}

/// What the numbers in a column of times count, since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Nanoseconds.
    Nanoseconds,
}

/// Which column of a CSV file is what. Columns are found by their usual names unless told; all others
/// are properties.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsvColumns {
    /// The column with the event's name: `event` or `event_name` unless told.
    pub event: Option<String>,
    /// The name of all events, where no column has it.
    pub event_name: Option<String>,
    /// The column with the time: `time`, `event_time` or `timestamp` unless told.
    pub time: Option<String>,
    /// What its numbers count; told by their size unless given.
    pub time_unit: Option<TimeUnit>,
    /// The zone of times that are written without one, such as `Europe/Berlin`; the clock of the
    /// project unless told.
    pub time_zone: Option<String>,
    /// The column with the user: `distinct_id` unless told.
    pub distinct_id: Option<String>,
    /// The column with what tells events apart: `insert_id` or `$insert_id` unless told.
    pub insert_id: Option<String>,
    /// What separates fields; one of `,` `;` `|` and the tab unless told.
    pub delimiter: Option<u8>,
    /// Whether every field is text. Otherwise what is written like a number, or `true` or `false`, is
    /// one.
    pub all_text: bool,
}

/// How the events of a file lie in it.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// There is nothing in it.
    Nothing,
    /// One on each line.
    Lines(LoadFormat),
    /// The elements of an array.
    Array(LoadFormat),
    /// Records under a header.
    Csv(Box<Header>),
}

impl Found {
    pub(super) fn format(&self) -> Option<LoadFormat> {
        match self {
            Found::Nothing => None,
            Found::Lines(format) | Found::Array(format) => Some(*format),
            Found::Csv(_) => Some(LoadFormat::Csv),
        }
    }

    /// What it is, in words.
    pub(super) fn in_words(&self, gzip: bool) -> String {
        let compressed = if gzip { ", gzip" } else { "" };
        let words = match self {
            Found::Nothing => "nothing in it".to_owned(),
            Found::Lines(format) => format!("{}, one on a line", kind(*format)),
            Found::Array(format) => format!("{}, in an array", kind(*format)),
            Found::Csv(header) => header.in_words(),
        };
        format!("{words}{compressed}")
    }
}

fn kind(format: LoadFormat) -> &'static str {
    match format {
        LoadFormat::Export => "events of Mixpanel's raw export",
        LoadFormat::Records => "events with their fields beside the properties (JSON pipelines)",
        LoadFormat::Csv => "CSV",
    }
}

/// So much of a file is looked at.
pub(super) const HEAD: usize = 64 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// First bytes of files that are no text, and what to do with them.
const OTHERS: [(&[u8], &str); 13] = [
    (b"PK\x03\x04", "it is a ZIP archive: unpack it first"),
    (b"PAR1", "it is a Parquet file: DuckDB writes it as JSON lines by COPY (FROM 'x.parquet') TO 'x.jsonl'"),
    (b"\x28\xB5\x2F\xFD", "it is compressed by zstd: unpack it first (zstd -d), or pipe it into `-`"),
    (b"BZh", "it is compressed by bzip2: unpack it first, or pipe it into `-`"),
    (b"\xFD7zXZ\x00", "it is compressed by xz: unpack it first, or pipe it into `-`"),
    (b"SQLite format 3", "it is a SQLite database"),
    (b"Obj\x01", "it is an Avro file"),
    (b"ORC", "it is an ORC file"),
    (b"ARROW1", "it is an Arrow file"),
    (b"\x1f\x8b", "it is compressed twice"),
    (b"\xFF\xFE", "it is text in UTF-16: save it as UTF-8"),
    (b"\xFE\xFF", "it is text in UTF-16: save it as UTF-8"),
    (b"%PDF", "it is a PDF"),
];

/// Tells what a file is. `all`: the head is the whole file.
pub(super) fn recognise(
    head: &[u8],
    all: bool,
    wanted: Option<LoadFormat>,
    columns: &CsvColumns,
    clock: &ProjectClock,
) -> Result<Found, Fault> {
    if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(Fault::file(*what));
    }
    if head.get(8..12) == Some(b"DUCK") {
        return Err(Fault::file("it is a DuckDB database"));
    }
    let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head);
    let blank = text.len() - text.trim_ascii_start().len();
    let line = 1 + text[..blank].iter().filter(|byte| **byte == b'\n').count() as u64;
    let text = &text[blank..];
    match (text.first(), wanted) {
        (None, _) if all => Ok(Found::Nothing),
        (None, _) => Err(Fault::file("it begins with nothing but white space")),
        (_, Some(LoadFormat::Csv)) => csv(head, all, columns, clock),
        (Some(b'['), _) => {
            let first = text[1..].trim_ascii_start();
            match (first.first(), wanted) {
                (Some(b'{'), None) => Ok(Found::Array(shape(first, line, "its first element")?)),
                // An array of nothing is no event, and no mistake.
                (Some(b']') | None, None) => Ok(Found::Array(LoadFormat::Export)),
                (_, Some(format)) => Ok(Found::Array(format)),
                _ => Err(Fault::line(line, "it is an array, but not of objects")),
            }
        }
        (Some(b'{'), Some(format)) => Ok(Found::Lines(format)),
        (Some(b'{'), None) => {
            let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
            if text[..end].trim_ascii() == b"{" {
                return Err(Fault::line(
                    line,
                    "an object begins that is written over several lines; one event on each line, or an array of \
                     them, is wanted (`jq -c .` writes it so)",
                ));
            }
            Ok(Found::Lines(shape(&text[..end], line, "the object")?))
        }
        (Some(b'<'), _) => Err(Fault::line(line, "it is HTML or XML, and not events")),
        (_, Some(_)) => Err(Fault::line(line, "it is no JSON")),
        (_, None) => csv(head, all, columns, clock),
    }
}

fn csv(head: &[u8], all: bool, columns: &CsvColumns, clock: &ProjectClock) -> Result<Found, Fault> {
    Ok(Found::Csv(Box::new(Header::read(head, all, columns, clock)?)))
}

/// What kind of events the first one is.
fn shape(object: &[u8], line: u64, what: &str) -> Result<LoadFormat, Fault> {
    let names = top_level_names(object);
    let has = |name: &str| names.iter().any(|known| known == name);
    if has("event") && !has("event_name") {
        return Ok(LoadFormat::Export);
    }
    if has("event_name") {
        return Ok(LoadFormat::Records);
    }
    let why = if has("$distinct_id") || (has("distinct_id") && has("properties")) {
        format!("{what} is a profile, not an event")
    } else if has("resolved_distinct_id") {
        format!("{what} says which ids are one user, and is not an event")
    } else if has("error") {
        format!("{what} is an error that Mixpanel answered in place of events")
    } else if names.is_empty() {
        format!("{what} is empty, or no JSON")
    } else {
        let some: Vec<String> = names.iter().take(8).map(|name| format!("{name:?}")).collect();
        let more = if names.len() > 8 { ", …" } else { "" };
        format!("{what} has no \"event\" and no \"event_name\"; it has {}{more}", some.join(", "))
    };
    Err(Fault::line(line, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(head: &[u8]) -> Result<String, String> {
        let found = recognise(head, true, None, &CsvColumns::default(), &ProjectClock::default());
        match found {
            Ok(found) => Ok(found.in_words(false)),
            Err(Fault::File { line, why }) => Err(format!("{} {why}", line.unwrap_or(0))),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn files_of_events_are_recognised() {
        let files: [(&[u8], &str); 10] = [
            (b"{\"event\":\"a\",\"properties\":{}}\n", "raw export, one on a line"),
            (b"\xEF\xBB\xBF\n {\"properties\":{\"event_name\":1},\"event\":\"a\"}", "raw export, one"),
            (b"[\n {\"event\":\"a\"", "raw export, in an array"),
            (b"{\"event_name\":\"a\",\"time\":1}\n", "JSON pipelines), one on a line"),
            (b"[{\"event_name\":\"a\"}]", "JSON pipelines), in an array"),
            (b"[]", "in an array"),
            (b"event,time,plan\na,1700000000,pro\n", "CSV"),
            (b"Event Name;Time;Distinct ID\n", "CSV"),
            (b"", "nothing in it"),
            (b" \n\n", "nothing in it"),
        ];
        for (head, words) in files {
            let found = found(head).unwrap();
            assert!(found.contains(words), "{found}");
        }
    }

    #[test]
    fn what_is_none_is_named_with_its_line() {
        let duckdb = [&[0; 8][..], b"DUCK"].concat();
        let files: [(&[u8], &str); 12] = [
            (b"PK\x03\x04rest", "ZIP"),
            (b"PAR1rest", "Parquet"),
            (b"\n\n<html>", "3 it is HTML"),
            (b"{\n  \"event\": \"a\"\n}\n", "1 an object begins"),
            (b"\n{\"$distinct_id\":\"a\",\"$properties\":{}}", "2 the object is a profile"),
            (b"{\"distinct_id\":\"a\",\"properties\":{}}", "profile"),
            (b"{\"a\":{\"event\":1},\"b\":2}", "has no \"event\" and no \"event_name\"; it has \"a\", \"b\""),
            (b"[1,2]", "not of objects"),
            (b"{\"error\":\"no\"}", "Mixpanel answered"),
            (b"Dear all,\nhere are the events\n", "1 "),
            (b"name,when\n", "1 "),
            (&duckdb, "DuckDB"),
        ];
        for (head, words) in files {
            let error = found(head).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
