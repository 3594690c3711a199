//! Values of every JSON type, from an export through the database, with a
//! column or without, and out in every format for programs: equal to what was
//! sent. (Tables, pages and Markdown are for people; they escape and cut.)

use std::collections::BTreeMap;

use mixpanel_sim::Fault;
use serde_json::value::RawValue;

use crate::support::{DB, Place, simulator};

/// Numbers without a pattern, and always the same ones.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len() as u64) as usize]
    }

    fn number(&mut self) -> String {
        let exact =
            ["1.10", "-0", "-0.0", "12345678901234567890.50", "9223372036854775808", "1E5", "1e400", "0.1"];
        match self.below(2) {
            0 => self.one_of(&exact).to_owned(),
            _ => (self.below(1 << 40) as i64 - (1 << 39)).to_string(),
        }
    }

    /// A string as JSON writes it, some of it escaped without need.
    fn string(&mut self) -> String {
        let parts = [
            "a", "Z", " ", "é", "🙂", r"\u00e9", r#"\""#, r"\\", r"\/", r"\n", r"\r\n", r"\t", ",", ";", "{",
            "}]", ":", "=1", "-", "'", "|", "NULL", "null", "#", r"\u0001",
        ];
        let count = self.below(6);
        let text: String = (0..count).map(|_| self.one_of(&parts)).collect();
        format!("\"{text}\"")
    }

    fn nested(&mut self, depth: u64) -> String {
        let space = self.one_of(&["", " "]);
        let items: Vec<String> = (0..self.below(4)).map(|_| self.value(depth + 1)).collect();
        if self.below(2) == 0 {
            return format!("[{}]", items.join(&format!("{space},")));
        }
        let members: Vec<String> = items
            .iter()
            .enumerate()
            .map(|(n, item)| {
                let name = ["p", "j", "k", "é"][n];
                format!("\"{name}\"{space}:{item}")
            })
            .collect();
        format!("{{{}}}", members.join(&format!(",{space}")))
    }

    fn value(&mut self, depth: u64) -> String {
        match self.below(if depth > 3 { 4 } else { 6 }) {
            0 => self.number(),
            1 => self.one_of(&["true", "false", "null"]).to_owned(),
            2 | 3 => self.string(),
            _ => self.nested(depth),
        }
    }
}

/// An event's properties, as texts, by name: `p` has all types, each other one.
fn event(random: &mut Random) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("p", random.value(0)),
        ("j", random.nested(0)),
        ("n", (random.below(u64::MAX) as i64).to_string()),
        ("d", format!("{}.{}", random.below(1_000_000), random.below(1_000_000))),
        ("s", random.string()),
        ("b", random.one_of(&["true", "false"]).to_owned()),
    ])
}

/// What a program should read: texts as what they say, all else as it was sent.
fn said(text: &str) -> Option<String> {
    match text {
        "null" => None,
        text if text.starts_with('"') => Some(serde_json::from_str(text).unwrap()),
        text => Some(text.to_owned()),
    }
}

fn same(name: &str, got: Option<&str>, sent: &str) -> bool {
    let expected = said(sent);
    match (name, got, expected.as_deref()) {
        ("d", Some(got), Some(sent)) => got.parse::<f64>().unwrap() == sent.parse::<f64>().unwrap(),
        (_, got, expected) => got == expected,
    }
}

#[test]
fn every_value_comes_out_as_it_was_sent() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let events: Vec<_> = (0..300).map(|_| event(&mut random)).collect();
    let simulator = simulator(3, 60);
    let place = Place::at(&simulator);
    let day = simulator.world().first_day();
    let noon = day.at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_millisecond();
    // As many properties as there may be columns, in more rows than the others.
    let filler: String = (0..100).map(|n| format!(",\"filler_{n}\":1")).collect();
    for (table, rest) in [("columns", ""), ("computed", &filler[..])] {
        let line = |(at, event): (usize, &BTreeMap<&str, String>)| {
            let members: String =
                event.iter().rev().map(|(name, value)| format!(", \"{name}\" : {value}")).collect();
            let head = format!(r#""time":{noon},"distinct_id":"u","$insert_id":"{at:04}""#);
            format!("{{\"event\":\"A\",\"properties\":{{{head}{members}{rest}}}}}\n")
        };
        let more = format!(
            "{{\"event\":\"B\",\"properties\":{{\"time\":{noon},\"distinct_id\":\"u\",\"$insert_id\":\"z\"{rest}}}}}\n"
        );
        let body: String = events.iter().enumerate().map(line).chain([more]).collect();
        simulator.fault(Fault::ReplaceBody(body.into()));
        let (day, names) = (day.to_string(), "WHERE name IN ('p', 'j', 'n', 'd', 's', 'b')");
        place.ok(["fetch", "events", table, "--from", &day, "--to", &day, "--db", DB]);
        let sql = format!("SELECT count(*) FROM _properties {names} AND promoted AND table_name = '{table}'");
        let columns = place.ok(["sql", "--db", DB, &sql, "--format", "plain"]);
        assert_eq!(columns, if table == "columns" { "6\n" } else { "0\n" });
        check(&place, table, &events);
    }
}

fn check(place: &Place, table: &str, events: &[BTreeMap<&str, String>]) {
    let query =
        format!("SELECT p, j, n, d, s, b FROM {table}_flat WHERE event_name = 'A' ORDER BY insert_id");
    let file = format!("{table}.parquet");
    place.ok(["sql", "--db", DB, &query, "--output", &file]);
    let again = format!("FROM '{}'", place.here(&file).display());
    for (format, from) in [
        ("json", &query),
        ("jsonl", &query),
        ("csv", &query),
        ("tsv", &query),
        ("arrow", &query),
        ("json", &again),
    ] {
        let words = ["sql", "--db", DB, from, "--format", format];
        let output = place.command(words).output().unwrap();
        assert!(output.status.success(), "{format}: {output:?}");
        let rows = match format {
            "json" => objects(&serde_json::from_slice::<Vec<Box<RawValue>>>(&output.stdout).unwrap()),
            "jsonl" => {
                let lines = std::str::from_utf8(&output.stdout).unwrap().lines();
                objects(&lines.map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>())
            }
            "arrow" => arrow_rows(&output.stdout),
            _ => separated(&output.stdout, if format == "csv" { b',' } else { b'\t' }),
        };
        assert_eq!(rows.len(), events.len(), "{table} {format}");
        for (row, event) in rows.iter().zip(events) {
            for (name, sent) in event {
                let got = row[*name].as_deref();
                // An empty field is NULL and the empty text.
                let empty =
                    ["csv", "tsv"].contains(&format) && matches!(said(sent).as_deref(), None | Some(""));
                let right = if empty { got.is_none_or(str::is_empty) } else { same(name, got, sent) };
                assert!(right, "{table} {format} {from}: {name} was {sent}, is {got:?}");
            }
        }
    }
}

type Row = BTreeMap<String, Option<String>>;

/// Objects, with nested values byte for byte.
fn objects(rows: &[Box<RawValue>]) -> Vec<Row> {
    let row = |row: &RawValue| -> Row {
        let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(row.get()).unwrap();
        members.into_iter().map(|(name, value)| (name, said(value.get()))).collect()
    };
    rows.iter().map(|value| row(value)).collect()
}

fn separated(bytes: &[u8], delimiter: u8) -> Vec<Row> {
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(bytes);
    let heads = reader.headers().unwrap().clone();
    let row = |record: csv::StringRecord| {
        heads.iter().zip(&record).map(|(name, field)| (name.to_owned(), Some(field.to_owned()))).collect()
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

fn arrow_rows(bytes: &[u8]) -> Vec<Row> {
    let reader = arrow::ipc::reader::StreamReader::try_new(bytes, None).unwrap();
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let schema = batch.schema();
        for values in mixpanel_data::rows_of(&batch) {
            let cell = |value: &mixpanel_data::Value| (!value.is_null()).then(|| value.to_text());
            let names = schema.fields().iter().map(|field| field.name().clone());
            rows.push(names.zip(values.iter().map(cell)).collect());
        }
    }
    rows
}
