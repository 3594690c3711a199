//! Which rows a question is about, and properties as SQL.

use jiff::civil::Date;
use mixpanel_client::schema::ColumnKind;

use super::unknown::check_names;
use crate::error::{Error, Result};
use crate::storage::{from_text, ident, literal, physical};
use crate::types::TableKind;
use crate::value::Value;
use crate::workspace::Workspace;

/// The rows of a table of events that a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalScope {
    /// The table; `events` unless set.
    pub table: String,
    /// The first day, in the project's time zone if the workspace knows it, otherwise in UTC; the
    /// first there is unless set.
    pub from: Option<Date>,
    /// The last day, included; the last there is unless set.
    pub to: Option<Date>,
}

impl Default for LocalScope {
    fn default() -> Self {
        Self { table: "events".to_owned(), from: None, to: None }
    }
}

impl LocalScope {
    /// Some days of the table `events`.
    pub fn days(from: Date, to: Date) -> Self {
        Self { from: Some(from), to: Some(to), ..Self::default() }
    }

    /// All days of a table.
    pub fn table(table: impl Into<String>) -> Self {
        Self { table: table.into(), ..Self::default() }
    }
}

/// A scope as SQL.
pub(super) struct Rows {
    /// The table's own name.
    pub(super) table: String,
    /// The table with its columns and its texts, quoted.
    pub(super) source: String,
    /// The day of an event.
    pub(super) day: String,
    /// Conditions, the first of which is always true.
    pub(super) conditions: String,
}

impl Workspace {
    pub(super) fn rows(&self, scope: &LocalScope, events: &[&str]) -> Result<Rows> {
        let table = self.storage().require(&scope.table, TableKind::Events)?;
        check_names("events", events)?;
        if let (Some(from), Some(to)) = (scope.from, scope.to)
            && from > to
        {
            return Err(Error::argument(
                "dates",
                format!("the first day ({from}) is after the last day ({to})"),
            ));
        }
        let day = match self.project().map(|project| project.clock.timezone_name()) {
            None | Some("UTC") => "CAST(event_time AS DATE)".to_owned(),
            Some(zone) => {
                format!("CAST((event_time AT TIME ZONE 'UTC') AT TIME ZONE {} AS DATE)", literal(zone))
            }
        };
        let mut conditions = "true".to_owned();
        if let Some(from) = scope.from {
            conditions += &format!(" AND {day} >= DATE '{from}'");
        }
        if let Some(to) = scope.to {
            conditions += &format!(" AND {day} <= DATE '{to}'");
        }
        if !events.is_empty() {
            let names: Vec<String> = events.iter().map(|name| literal(name)).collect();
            conditions += &format!(" AND event_name IN ({})", names.join(", "));
        }
        let source = ident(&physical(&table));
        Ok(Rows { table, source, day, conditions })
    }

    /// A property as an expression over the table: its column, or read from the text; `NULL` where
    /// no event has it.
    pub(super) fn property_column(&self, table: &str, property: &str) -> Result<String> {
        let sql = format!(
            "SELECT column_name, kind, promoted FROM _properties WHERE table_name = {} AND name = {}",
            literal(table),
            literal(property)
        );
        let rows = self.storage().ask(&sql, &[])?.rows;
        let Some([column, kind, promoted]) = rows.first().map(Vec::as_slice) else {
            return Ok("NULL".to_owned());
        };
        if *promoted == Value::Boolean(true) {
            return Ok(ident(&column.to_text()));
        }
        Ok(from_text(property, kind.to_text().parse().unwrap_or(ColumnKind::Mixed)))
    }
}

pub(super) fn count(value: &Value) -> u64 {
    value.as_i64().and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
}

/// A part of a whole in percent; 0 of nothing.
pub(super) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}
