//! An independent reading of a world: its lines, without repeated rows, in plain vectors to count over.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use mixpanel_sim::World;
use serde_json::{Map, Value};

/// An event.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) event: String,
    /// Seconds.
    pub(crate) time: i64,
    pub(crate) user: String,
    pub(crate) properties: Map<String, Value>,
    /// Date and hour by the clock of the project.
    pub(crate) date: String,
    pub(crate) hour: i8,
}

/// All events of a world, by time, dated in a zone.
pub(crate) fn rows(world: &World, zone: &str) -> Vec<Row> {
    let zone = TimeZone::get(zone).unwrap();
    let mut newest: BTreeMap<String, (u64, usize, Row)> = BTreeMap::new();
    let mut place = 0;
    for day in world.days() {
        for line in day.jsonl().split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            let line: Value = serde_json::from_slice(line).unwrap();
            let properties = line["properties"].as_object().unwrap().clone();
            let key = format!(
                "{}|{}|{}|{}",
                line["event"], properties["time"], properties["distinct_id"], properties["$insert_id"]
            );
            let processed = properties["mp_processing_time_ms"].as_u64().unwrap();
            let time = properties["time"].as_i64().unwrap();
            let wall = Timestamp::from_second(time).unwrap().to_zoned(zone.clone());
            let row = Row {
                event: line["event"].as_str().unwrap().to_owned(),
                time,
                user: properties["distinct_id"].as_str().unwrap().to_owned(),
                properties,
                date: wall.date().to_string(),
                hour: wall.hour(),
            };
            place += 1;
            match newest.get_mut(&key) {
                Some(known) if known.0 < processed => *known = (processed, known.1, row),
                Some(_) => {}
                None => {
                    newest.insert(key, (processed, place, row));
                }
            }
        }
    }
    let mut rows: Vec<(u64, usize, Row)> = newest.into_values().collect();
    rows.sort_by_key(|(_, place, row)| (row.time, *place));
    rows.into_iter().map(|(_, _, row)| row).collect()
}

/// The events of some days.
pub(crate) fn within<'a>(rows: &'a [Row], from: &'a str, to: &'a str) -> impl Iterator<Item = &'a Row> {
    rows.iter().filter(move |row| *from <= *row.date && *row.date <= *to)
}

/// The dates from one to the other.
pub(crate) fn dates(from: &str, to: &str) -> Vec<String> {
    let mut dates = Vec::new();
    let (mut date, to): (Date, Date) = (from.parse().unwrap(), to.parse().unwrap());
    while date <= to {
        dates.push(date.to_string());
        date = date.tomorrow().unwrap();
    }
    dates
}

/// How many users there are among rows.
pub(crate) fn users<'a>(rows: impl Iterator<Item = &'a Row>) -> usize {
    rows.map(|row| row.user.as_str()).collect::<BTreeSet<_>>().len()
}

/// What a segment is called.
pub(crate) fn segment(value: Option<&Value>) -> String {
    match value {
        None => "undefined".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
