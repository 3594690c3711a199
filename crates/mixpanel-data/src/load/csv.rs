//! CSV: which column is what, and records as lines of an export. Pure.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use csv::{ByteRecord, ReaderBuilder, Terminator};
use jiff::tz::TimeZone;
use mixpanel_client::export::RejectReason;
use mixpanel_client::time::ProjectClock;

use super::fault::Fault;
use super::recognise::CsvColumns;
use super::time::Times;

const DELIMITERS: [u8; 4] = *b",;\t|";

/// Usual names of columns, in lower case.
const EVENT: [&str; 3] = ["event", "event_name", "event name"];
const TIME: [&str; 4] = ["time", "event_time", "timestamp", "$time"];
const DISTINCT_ID: [&str; 3] = ["distinct_id", "$distinct_id", "distinct id"];
const INSERT_ID: [&str; 3] = ["$insert_id", "insert_id", "insert id"];

/// A record has at most so many bytes: a quote that is never closed would take the rest of the file.
const MAX_RECORD: u64 = 32 << 20;

/// The columns of a file.
#[derive(Clone, Debug)]
pub(super) struct Header {
    delimiter: u8,
    columns: Vec<Column>,
    event_name: Option<String>,
    times: Times,
    all_text: bool,
    words: String,
}

/// What a column is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Column {
    Event,
    Time,
    DistinctId,
    InsertId,
    /// A property, with its name as JSON.
    Property(String),
}

impl Header {
    /// Finds the columns by the file's first line. `all`: the head is the whole file.
    pub(super) fn read(
        head: &[u8],
        all: bool,
        wanted: &CsvColumns,
        clock: &ProjectClock,
    ) -> Result<Self, Fault> {
        let end = head.iter().position(|byte| *byte == b'\n');
        if end.is_none() && !all {
            return Err(Fault::line(1, "it is no event, and too long for the header of a CSV file"));
        }
        let first = &head[..end.unwrap_or(head.len())];
        let delimiter = match wanted.delimiter {
            Some(delimiter) => delimiter,
            None => {
                let count = |delimiter: &u8| first.iter().filter(|byte| *byte == delimiter).count();
                // Of as many, the first in the list.
                *DELIMITERS.iter().rev().max_by_key(|delimiter| count(delimiter)).expect("there are some")
            }
        };
        let mut reader = reader(delimiter, head);
        let mut record = ByteRecord::new();
        let read = reader.read_byte_record(&mut record);
        let names: Option<Vec<String>> =
            record.iter().map(|name| String::from_utf8(name.to_vec()).ok()).collect();
        let (Ok(true), Some(mut names)) = (read, names) else {
            return Err(Fault::line(1, "it is neither JSON nor the header of a CSV file in UTF-8"));
        };
        if let Some(name) = names.last_mut().filter(|name| name.ends_with('\r')) {
            name.pop();
        }
        if let Some(name) = names.first_mut() {
            *name = name.trim_start_matches('\u{feff}').to_owned();
        }
        Header::of(&names, delimiter, wanted, clock)
    }

    fn of(names: &[String], delimiter: u8, wanted: &CsvColumns, clock: &ProjectClock) -> Result<Self, Fault> {
        let event = match &wanted.event_name {
            Some(_) => None,
            None => Some(find(names, wanted.event.as_deref(), &EVENT, "the event's name")?),
        };
        let time = find(names, wanted.time.as_deref(), &TIME, "the time");
        let (event, time) = match (event, time) {
            (Some(None), _) => return Err(missing(names, "the event's name", "event")),
            (_, Ok(None)) => return Err(missing(names, "the time", "time")),
            (event, time) => (event.flatten(), time?),
        };
        let distinct_id = find(names, wanted.distinct_id.as_deref(), &DISTINCT_ID, "the user")?;
        let insert_id = find(names, wanted.insert_id.as_deref(), &INSERT_ID, "the insert id")?;
        let zone = match &wanted.time_zone {
            None => None,
            Some(name) => Some(TimeZone::get(name).map_err(|_| {
                Fault::file(format!("there is no time zone {name:?}; they have names like Europe/Berlin"))
            })?),
        };
        let mut columns: Vec<Column> = Vec::with_capacity(names.len());
        for (at, name) in names.iter().enumerate() {
            let is = |found: Option<usize>| found == Some(at);
            columns.push(match () {
                () if is(event) => Column::Event,
                () if is(time) => Column::Time,
                () if is(distinct_id) => Column::DistinctId,
                () if is(insert_id) => Column::InsertId,
                () => {
                    let name = if name.is_empty() { format!("column_{}", at + 1) } else { name.clone() };
                    let column = Column::Property(serde_json::Value::from(name.as_str()).to_string());
                    if columns.contains(&column) {
                        return Err(Fault::line(1, format!("two columns are called {name:?}")));
                    }
                    column
                }
            });
        }
        let said = |found: Option<usize>| found.map(|at| format!("{:?}", names[at]));
        let properties = columns.iter().filter(|column| matches!(column, Column::Property(_))).count();
        let words = format!(
            "CSV: event {}, time {}, distinct_id {}, insert_id {}, {properties} {}",
            said(event)
                .unwrap_or_else(|| format!("is {:?}", wanted.event_name.as_deref().unwrap_or_default())),
            said(time).unwrap_or_default(),
            said(distinct_id).unwrap_or_else(|| "none".to_owned()),
            said(insert_id).unwrap_or_else(|| "none".to_owned()),
            if properties == 1 { "property" } else { "properties" },
        );
        let times = Times { unit: wanted.time_unit, zone, clock: clock.clone() };
        let (event_name, all_text) = (wanted.event_name.clone(), wanted.all_text);
        Ok(Header { delimiter, columns, event_name, times, all_text, words })
    }

    pub(super) fn in_words(&self) -> String {
        self.words.clone()
    }

    /// Writes a record as a line of an export. The text is there in any case.
    fn write(&self, record: &[&[u8]], into: &mut Vec<u8>) -> Result<(), RejectReason> {
        let mut problem =
            if record.len() == self.columns.len() { Ok(()) } else { Err(RejectReason::WrongFields) };
        let mut texts = Vec::with_capacity(record.len());
        for field in record {
            match std::str::from_utf8(field) {
                Ok(text) => texts.push(text),
                Err(_) => {
                    problem = Err(RejectReason::NotUtf8);
                    break;
                }
            }
        }
        if problem.is_err() {
            // As it was, more or less: the delimiter is known.
            for (at, field) in record.iter().enumerate() {
                if at > 0 {
                    into.push(self.delimiter);
                }
                into.extend_from_slice(field);
            }
            return problem;
        }
        let columns = || self.columns.iter().zip(&texts);
        let find = |wanted: &Column| columns().find(|(column, _)| *column == wanted).map(|(_, text)| *text);
        into.extend_from_slice(b"{\"event\":");
        push_text(self.event_name.as_deref().or_else(|| find(&Column::Event)).unwrap_or_default(), into);
        into.extend_from_slice(b",\"properties\":{\"time\":");
        let time = find(&Column::Time).unwrap_or_default();
        match self.times.number(time) {
            Some(number) => into.extend_from_slice(number.as_bytes()),
            None => {
                problem =
                    Err(if time.trim().is_empty() { RejectReason::NoTime } else { RejectReason::BadTime });
                push_text(time, into);
            }
        }
        for (column, name) in [(Column::DistinctId, "distinct_id"), (Column::InsertId, "$insert_id")] {
            if let Some(id) = find(&column).filter(|id| !id.is_empty()) {
                into.extend_from_slice(format!(",\"{name}\":").as_bytes());
                push_text(id, into);
            }
        }
        for (column, text) in columns() {
            let Column::Property(name) = column else { continue };
            if text.is_empty() {
                continue;
            }
            into.push(b',');
            into.extend_from_slice(name.as_bytes());
            into.push(b':');
            if !self.all_text && is_plain(text) {
                into.extend_from_slice(text.as_bytes());
            } else {
                push_text(text, into);
            }
        }
        into.extend_from_slice(b"}}");
        problem
    }
}

fn find(names: &[String], wanted: Option<&str>, usual: &[&str], what: &str) -> Result<Option<usize>, Fault> {
    if let Some(wanted) = wanted {
        return match names.iter().position(|name| name == wanted) {
            Some(at) => Ok(Some(at)),
            None => Err(Fault::line(
                1,
                format!("there is no column {wanted:?} for {what}; columns: {}", list(names)),
            )),
        };
    }
    let lower: Vec<String> = names.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
    Ok(usual.iter().find_map(|usual| lower.iter().position(|name| name == usual)))
}

fn missing(names: &[String], what: &str, column: &str) -> Fault {
    if names.len() == 1 {
        return Fault::line(1, "it is neither an event in JSON nor the header of a CSV file");
    }
    Fault::line(
        1,
        format!(
            "as the header of a CSV file it has no column for {what} ({column}); columns: {}",
            list(names)
        ),
    )
}

fn list(names: &[String]) -> String {
    let some: Vec<String> = names.iter().take(20).map(|name| format!("{name:?}")).collect();
    let more = if names.len() > 20 { ", …" } else { "" };
    format!("{}{more}", some.join(", "))
}

fn push_text(text: &str, into: &mut Vec<u8>) {
    serde_json::to_writer(into, text).expect("memory takes everything");
}

/// Whether a field is written as JSON writes a number or a boolean.
fn is_plain(text: &str) -> bool {
    let begins = text.starts_with(|first: char| first.is_ascii_digit() || first == '-');
    text == "true" || text == "false" || (begins && super::records::is_whole(text.as_bytes()))
}

fn reader<R: Read>(delimiter: u8, from: R) -> csv::Reader<R> {
    // A record ends with a line feed alone, so that each one is a known number of lines.
    let end = Terminator::Any(b'\n');
    ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .terminator(end)
        .from_reader(from)
}

/// The line that a record begins on, and why it is refused if it is.
type Written = (u64, Result<(), RejectReason>);

/// The records of a file, below its header.
pub(super) struct Records<'h, R> {
    header: &'h Header,
    reader: csv::Reader<Bounded<R>>,
    record: ByteRecord,
    read: Rc<Cell<u64>>,
}

impl<'h, R: Read> Records<'h, R> {
    pub(super) fn new(header: &'h Header, from: R) -> Self {
        let read = Rc::new(Cell::new(0));
        let reader = reader(header.delimiter, Bounded { inner: from, read: Rc::clone(&read) });
        let mut records = Records { header, reader, record: ByteRecord::new(), read };
        // The header was read already, from the same bytes.
        let _ = records.reader.read_byte_record(&mut records.record);
        records
    }

    /// Appends the next record, as a line of an export. Gives the line that it begins on, and why it
    /// is refused if it is; `None` at the end.
    pub(super) fn next(&mut self, into: &mut Vec<u8>) -> io::Result<Option<Written>> {
        loop {
            self.read.set(0);
            match self.reader.read_byte_record(&mut self.record) {
                Ok(false) => return Ok(None),
                // An empty line.
                Ok(true) if self.record.as_slice().trim_ascii().is_empty() && self.record.len() == 1 => {}
                Ok(true) => {
                    let feeds = self.record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
                    let line = self.line().saturating_sub(feeds + 1);
                    return Ok(Some((line, self.header.write(&without_return(&self.record), into))));
                }
                Err(error) => {
                    return Err(match error.into_kind() {
                        csv::ErrorKind::Io(error) => error,
                        other => io::Error::other(format!("{other:?}")),
                    });
                }
            }
        }
    }

    /// The line that was reached.
    pub(super) fn line(&self) -> u64 {
        self.reader.position().line()
    }
}

/// The fields; the carriage return before a line feed is of none.
fn without_return(record: &ByteRecord) -> Vec<&[u8]> {
    let mut fields: Vec<&[u8]> = record.iter().collect();
    if let Some(last) = fields.last_mut() {
        *last = last.strip_suffix(b"\r").unwrap_or(last);
    }
    fields
}

/// Counts what is read for a record, and ends where that is too much.
struct Bounded<R> {
    inner: R,
    read: Rc<Cell<u64>>,
}

/// A record that does not end.
pub(super) const ENDLESS: &str = "a record of more than 32 MB: a quote that is not closed?";

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.read.get() > MAX_RECORD {
            return Err(io::Error::other(ENDLESS));
        }
        let read = self.inner.read(into)?;
        self.read.set(self.read.get() + read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, wanted: &CsvColumns) -> Result<Vec<String>, String> {
        let clock = ProjectClock::default();
        let header = Header::read(text.as_bytes(), true, wanted, &clock).map_err(|fault| match fault {
            Fault::File { why, .. } => why,
            other => format!("{other:?}"),
        })?;
        let mut records = Records::new(&header, text.as_bytes());
        let mut lines = Vec::new();
        let mut line = Vec::new();
        while let Some((number, written)) = records.next(&mut line).unwrap() {
            let text = String::from_utf8_lossy(&line).into_owned();
            lines.push(match written {
                Ok(()) => format!("{number} {text}"),
                Err(reason) => format!("{number} {} {text}", reason.as_str()),
            });
            line.clear();
        }
        Ok(lines)
    }

    #[test]
    fn records_become_lines_of_an_export() {
        let text = "\u{feff}event,time,distinct_id,insert_id,amount,zip,note,paid\r\n\
                    Buy,2024-01-01 00:00:00,u1,i1,12.50,02139,\"says \"\"hi\"\",\nand more\",true\r\n\
                    Buy,1704067201,,,-3,-x,,TRUE\r\n\
                    Buy,soon,u,i,1,1,1,1\r\n\
                    Buy,,u,i,1,1,1,1\r\n\
                    short,1\r\n";
        let expected = [
            r#"2 {"event":"Buy","properties":{"time":1704067200,"distinct_id":"u1","$insert_id":"i1","amount":12.50,"zip":"02139","note":"says \"hi\",\nand more","paid":true}}"#,
            r#"4 {"event":"Buy","properties":{"time":1704067201,"amount":-3,"zip":"-x","paid":"TRUE"}}"#,
            r#"5 bad_time {"event":"Buy","properties":{"time":"soon","distinct_id":"u","$insert_id":"i","amount":1,"zip":1,"note":1,"paid":1}}"#,
            r#"6 no_time {"event":"Buy","properties":{"time":"","distinct_id":"u","$insert_id":"i","amount":1,"zip":1,"note":1,"paid":1}}"#,
            "7 wrong_fields short,1",
        ];
        assert_eq!(lines(text, &CsvColumns::default()).unwrap(), expected);
    }

    #[test]
    fn columns_are_named_where_their_names_do_not_tell() {
        let text = "what;when;who;n\nBuy;5000;u;007\n";
        let told = CsvColumns {
            event: Some("what".into()),
            time: Some("when".into()),
            time_unit: Some(super::super::TimeUnit::Milliseconds),
            distinct_id: Some("who".into()),
            all_text: true,
            ..CsvColumns::default()
        };
        let line = r#"2 {"event":"Buy","properties":{"time":5,"distinct_id":"u","n":"007"}}"#;
        assert_eq!(lines(text, &told).unwrap(), [line]);
        let constant = CsvColumns {
            event: None,
            event_name: Some("Order".into()),
            time: Some("when".into()),
            ..CsvColumns::default()
        };
        let line = r#"2 {"event":"Order","properties":{"time":5000,"what":"Buy","who":"u","n":"007"}}"#;
        assert_eq!(lines(text, &constant).unwrap(), [line]);
        let error = lines(text, &CsvColumns::default()).unwrap_err();
        assert!(error.contains("the event's name") && error.contains("\"what\", \"when\""), "{error}");
        let error = lines(text, &CsvColumns { event: Some("What".into()), ..told.clone() }).unwrap_err();
        assert!(error.contains("no column \"What\""), "{error}");
        let error = lines("event,time,a,a\n", &CsvColumns::default()).unwrap_err();
        assert!(error.contains("two columns are called \"a\""), "{error}");
        let error = lines("event,n\n", &CsvColumns::default()).unwrap_err();
        assert!(error.contains("no column for the time"), "{error}");
    }

    #[test]
    fn a_quote_that_is_never_closed_does_not_take_the_whole_file() {
        let header = Header::read(b"event,time\n", true, &CsvColumns::default(), &ProjectClock::default());
        let header = header.unwrap();
        let endless = io::Read::chain(&b"event,time\na,\""[..], io::repeat(b'x'));
        let mut records = Records::new(&header, endless);
        let error = records.next(&mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), ENDLESS);
    }
}
