//! Which rows of a damaged table are read: by row number, by time, by day; and
//! whether they can be.

use std::collections::BTreeSet;

use jiff::civil::Date;
use mixpanel_client::time::ProjectClock;

use crate::error::Result;
use crate::storage::StorageEngine;
use crate::storage::chunk::start_of;
use crate::storage::ddl::ident;
use crate::storage::filling::within;
use crate::storage::records::{EventRecord, ProfileRecord};
use crate::storage::verify::readable;

/// What is read of a kind of rows: as records, and as one expression of the same columns.
pub(super) trait Selected {
    const SELECT: &'static str;
    const EXPRESSION: &'static str;
}

impl Selected for EventRecord {
    const SELECT: &'static str =
        "event_name, event_time, distinct_id, insert_id, CAST(properties AS VARCHAR) AS properties";
    const EXPRESSION: &'static str =
        "event_name, event_time, distinct_id, insert_id, CAST(properties AS VARCHAR)";
}

impl Selected for ProfileRecord {
    const SELECT: &'static str = "distinct_id, CAST(properties AS VARCHAR) AS properties, last_seen";
    const EXPRESSION: &'static str = "distinct_id, CAST(properties AS VARCHAR), last_seen";
}

/// The tables of a file, in its main schema.
pub(super) fn tables(source: &StorageEngine) -> Result<Vec<String>> {
    let sql = "SELECT table_name FROM duckdb_tables()
        WHERE NOT internal AND schema_name = 'main' AND database_name NOT IN ('system', 'temp') ORDER BY 1";
    Ok(source.ask(sql, &[])?.rows.iter().map(|row| row[0].to_text()).collect())
}

/// All columns of a row, as one expression.
pub(super) const WHOLE_ROW: &str = "_mp_row";

/// Whether these columns of these rows can be read.
pub(super) fn can_be_read(
    source: &StorageEngine,
    table: &str,
    columns: &str,
    condition: &str,
) -> Result<bool> {
    let sql = format!("SELECT bit_xor(hash({columns})) FROM {} {WHOLE_ROW}{condition}", ident(table));
    match source.ask_scalar(&sql) {
        Ok(_) => Ok(true),
        Err(error) => readable(error).map(|_| false),
    }
}

pub(super) fn rows_of((from, to): (i64, i64)) -> String {
    format!(" WHERE rowid >= {from} AND rowid < {to}")
}

/// Events from one time on and before another, microseconds UTC.
#[derive(Clone, Copy)]
pub(super) struct Span(Option<i64>, Option<i64>);

impl Span {
    pub(super) fn condition(self) -> String {
        match (self.0, self.1) {
            (None, None) => String::new(),
            (Some(from), None) => format!(" WHERE event_time >= make_timestamp({from})"),
            (None, Some(to)) => format!(" WHERE event_time < make_timestamp({to})"),
            (Some(from), Some(to)) => within((from, to)),
        }
    }

    /// Whether the other one is a part of this.
    pub(super) fn holds(self, other: &Span) -> bool {
        self.0.is_none_or(|from| other.0.is_some_and(|other| from <= other))
            && self.1.is_none_or(|to| other.1.is_some_and(|other| other <= to))
    }
}

/// The events of a day.
pub(super) fn on(day: Date, clock: &ProjectClock) -> Span {
    Span(Some(start_of(day, clock)), Some(start_of(day.tomorrow().unwrap_or(Date::MAX), clock)))
}

/// The events of all days but these.
pub(super) fn between(lost: &BTreeSet<Date>, clock: &ProjectClock) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut from = None;
    for day in lost {
        let Span(start, end) = on(*day, clock);
        if from.is_none() || from < start {
            spans.push(Span(from, start));
        }
        from = end;
    }
    spans.push(Span(from, None));
    spans
}
