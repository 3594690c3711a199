//! Which events a table has.

use jiff::civil::DateTime;
use serde::Serialize;

use super::scope::{LocalScope, count, percent};
use crate::error::Result;
use crate::value::Value;
use crate::workspace::Workspace;

/// The events of a table by name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventBreakdown {
    /// The table.
    pub table: String,
    /// All events.
    pub total_events: u64,
    /// All users that did anything.
    pub total_users: u64,
    /// The times of the first and the last event, UTC; none in an empty table.
    pub date_range: Option<(DateTime, DateTime)>,
    /// One for each name, the most frequent first.
    pub events: Vec<EventStats>,
}

/// The events of one name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventStats {
    /// The name.
    pub event_name: String,
    /// How many.
    pub count: u64,
    /// How many users.
    pub unique_users: u64,
    /// The time of the first, UTC.
    pub first_seen: DateTime,
    /// The time of the last, UTC.
    pub last_seen: DateTime,
    /// The part of all events, in percent.
    pub pct_of_total: f64,
}

impl Workspace {
    /// The events of a table by name: how many, by how many users, when.
    ///
    /// # Errors
    /// [`TableNotFound`](crate::ErrorKind::TableNotFound);
    /// [`WrongTableKind`](crate::ErrorKind::WrongTableKind) for profiles.
    pub fn event_breakdown(&self, table: &str) -> Result<EventBreakdown> {
        let rows = self.rows(&LocalScope::table(table), &[])?;
        let source = &rows.source;
        let totals = format!(
            "SELECT count(*), count(DISTINCT nullif(distinct_id, '')), min(event_time), max(event_time) FROM {source}"
        );
        let totals = &self.storage().ask(&totals, &[])?.rows[0];
        let total_events = count(&totals[0]);
        let each = format!(
            "SELECT event_name, count(*), count(DISTINCT nullif(distinct_id, '')), min(event_time), max(event_time)
             FROM {source} GROUP BY event_name ORDER BY 2 DESC, 1"
        );
        let each = self.storage().ask(&each, &[])?.rows;
        let stats = |row: &Vec<Value>| {
            Some(EventStats {
                event_name: row[0].to_text(),
                count: count(&row[1]),
                unique_users: count(&row[2]),
                first_seen: time(&row[3])?,
                last_seen: time(&row[4])?,
                pct_of_total: percent(count(&row[1]), total_events),
            })
        };
        Ok(EventBreakdown {
            table: rows.table,
            total_events,
            total_users: count(&totals[1]),
            date_range: time(&totals[2]).zip(time(&totals[3])),
            events: each.iter().filter_map(stats).collect(),
        })
    }
}

fn time(value: &Value) -> Option<DateTime> {
    match value {
        Value::DateTime(time) => Some(*time),
        _ => None,
    }
}
