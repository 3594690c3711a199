//! Counting by a key and by buckets of time: the table behind most answers.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::ask::Counting;
use super::scope::Range;
use crate::api::Answer;
use crate::events::{Event, NOBODY};

/// Counts of events, or of users, by key and bucket.
pub(super) struct Tally {
    range: Range,
    counting: Counting,
    buckets: Vec<i64>,
    keys: HashMap<String, usize>,
    rows: Vec<Row>,
}

struct Row {
    key: String,
    cells: Vec<Cell>,
}

#[derive(Clone, Default)]
struct Cell {
    total: u64,
    users: HashSet<u32>,
}

/// A key with its number in every bucket.
pub(super) type Series = (String, Vec<f64>);

impl Tally {
    /// `buckets` begin where the range does, or before, and are in order.
    pub(super) fn new(range: Range, counting: Counting, buckets: Vec<i64>) -> Tally {
        Tally { range, counting, buckets, keys: HashMap::new(), rows: Vec::new() }
    }

    /// The place of a key, which then has a row even if nothing is counted for it.
    pub(super) fn row(&mut self, key: &str) -> usize {
        if let Some(&row) = self.keys.get(key) {
            return row;
        }
        let row = self.rows.len();
        self.keys.insert(key.to_owned(), row);
        self.rows.push(Row { key: key.to_owned(), cells: vec![Cell::default(); self.buckets.len()] });
        row
    }

    /// Counts an event of the range.
    pub(super) fn count(&mut self, row: usize, event: &Event) {
        debug_assert!(self.range.has(event.wall));
        let bucket = self.buckets.partition_point(|&bucket| bucket <= event.wall);
        let Some(cell) = bucket.checked_sub(1).map(|bucket| &mut self.rows[row].cells[bucket]) else {
            return;
        };
        cell.total += 1;
        if self.counting != Counting::General && event.user != NOBODY {
            cell.users.insert(event.user);
        }
    }

    /// The buckets.
    pub(super) fn buckets(&self) -> &[i64] {
        &self.buckets
    }

    /// The `limit` largest rows, the largest first; equal ones by key.
    pub(super) fn ranked(&self, limit: usize) -> Vec<Series> {
        let number = |cell: &Cell| match self.counting {
            Counting::General => cell.total as f64,
            Counting::Unique => cell.users.len() as f64,
            Counting::Average if cell.users.is_empty() => 0.0,
            Counting::Average => cell.total as f64 / cell.users.len() as f64,
        };
        let mut rows: Vec<(f64, Series)> = self
            .rows
            .iter()
            .map(|row| {
                let numbers: Vec<f64> = row.cells.iter().map(number).collect();
                (numbers.iter().sum(), (row.key.clone(), numbers))
            })
            .collect();
        rows.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.0.cmp(&b.1.0)));
        rows.truncate(limit);
        rows.into_iter().map(|(_, series)| series).collect()
    }
}

/// A number as JSON: whole ones without a fraction.
pub(super) fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 { json!(value as i64) } else { json!(value) }
}

/// `{"data": {"series": …, "values": …}, "legend_size": …}`, with or without buckets that are zero.
pub(super) fn chart(labels: &[String], series: &[Series], zeroes: bool) -> Answer {
    let mut values = Map::new();
    for (key, numbers) in series {
        let pairs = labels.iter().zip(numbers).filter(|(_, value)| zeroes || **value != 0.0);
        let dates: Map<String, Value> = pairs.map(|(label, &value)| (label.clone(), number(value))).collect();
        values.insert(key.clone(), Value::Object(dates));
    }
    Answer::json(&json!({"data": {"series": labels, "values": values}, "legend_size": series.len()}))
}

/// The same as text: a line for each bucket, a column for each key.
pub(super) fn csv(labels: &[String], series: &[Series]) -> Answer {
    let field = |text: &str| {
        if text.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    };
    let mut text = "date".to_owned();
    for (key, _) in series {
        text.push(',');
        text.push_str(&field(key));
    }
    text.push('\n');
    for (index, label) in labels.iter().enumerate() {
        text.push_str(label);
        for (_, numbers) in series {
            text.push_str(&format!(",{}", number(numbers[index])));
        }
        text.push('\n');
    }
    Answer::text("text/csv", text)
}
