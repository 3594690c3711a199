//! Databases of the Python original: what they look like, and what they say of their tables. Reads
//! only.
//!
//! Each of its tables is an ordinary one: events with a primary key on `insert_id`, profiles with one
//! on `distinct_id`. `_metadata` is a table with a row for each of them. A fetch that failed in the
//! middle leaves a table without one.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::claimed::{self, Records};
use super::connection::SqlConnection;
use super::engine::StorageEngine;
use super::introspect::timestamp;
use crate::error::Result;
use crate::types::TableKind;
use crate::value::Value;

/// A table of the Python original's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OriginalTable {
    /// Its name.
    pub name: String,
    /// Events or profiles.
    #[serde(rename = "type")]
    pub kind: TableKind,
    /// When it was fetched (an instant); none of a table whose fetch failed in the middle.
    pub fetched_at: Option<Timestamp>,
    /// First day that was asked for, as far as is known; there may be gaps.
    pub from_date: Option<Date>,
    /// Last day that was asked for.
    pub to_date: Option<Date>,
    /// Rows, as they were recorded.
    pub row_count: Option<u64>,
}

/// The columns of its tables, in order.
const METADATA: &str = "table_name type fetched_at from_date to_date row_count";
const EVENTS: &str = "event_name event_time distinct_id insert_id properties";
const PROFILES: &str = "distinct_id properties last_seen";

/// All tables of the file with their columns.
const COLUMNS: &str = "
    SELECT c.table_name, system.main.string_agg(c.column_name, ' ' ORDER BY c.column_index)
    FROM system.main.duckdb_columns() c
    JOIN system.main.duckdb_tables() t ON t.table_oid = c.table_oid AND t.database_oid = c.database_oid
    WHERE NOT c.internal AND c.schema_name = 'main' AND c.database_name = system.main.current_database()
    GROUP BY 1 ORDER BY 1";

/// The tables of a file that the original made; `None` of any other. `recorded` says whether it has to
/// have records of them, by which one knows it for certain.
pub(super) fn tables(
    connection: &mut dyn SqlConnection,
    recorded: bool,
) -> Result<Option<Vec<OriginalTable>>> {
    let columns: Vec<(String, String)> =
        connection.rows(COLUMNS, &[])?.iter().map(|row| (row[0].to_text(), row[1].to_text())).collect();
    let has = |name: &str, list: &str| columns.iter().any(|(table, found)| table == name && found == list);
    let has_records = has("_metadata", METADATA);
    if recorded && !has_records {
        return Ok(None);
    }
    let mut tables = Vec::new();
    if has_records {
        let rows = connection.rows(
            "SELECT table_name, type, fetched_at, from_date, to_date, row_count FROM _metadata ORDER BY table_name",
            &[],
        )?;
        tables.extend(rows.iter().filter_map(|row| recorded_table(row)));
        // Whose table is gone.
        tables.retain(|table: &OriginalTable| columns.iter().any(|(name, _)| *name == table.name));
    }
    for (name, list) in &columns {
        let kind = match list.as_str() {
            EVENTS => TableKind::Events,
            PROFILES => TableKind::Profiles,
            _ => continue,
        };
        if !tables.iter().any(|table| table.name == *name) {
            let (fetched_at, from_date, to_date, row_count) = (None, None, None, None);
            tables.push(OriginalTable {
                name: name.clone(),
                kind,
                fetched_at,
                from_date,
                to_date,
                row_count,
            });
        }
    }
    tables.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Some(tables))
}

fn recorded_table(row: &[Value]) -> Option<OriginalTable> {
    let date = |value: &Value| match value {
        Value::Date(date) => Some(*date),
        _ => None,
    };
    Some(OriginalTable {
        name: row[0].as_str()?.to_owned(),
        kind: TableKind::from_str(row[1].as_str()?)?,
        fetched_at: timestamp(&row[2]),
        from_date: date(&row[3]),
        to_date: date(&row[4]),
        row_count: row[5].as_i64().map(i64::unsigned_abs),
    })
}

impl StorageEngine {
    /// The tables of a database that the Python original made, sorted by name; `None` if it is
    /// another one. [`Workspace::import_original`](crate::Workspace::import_original) copies them.
    pub fn original_tables(&self) -> Result<Option<Vec<OriginalTable>>> {
        self.with_reader(|connection| match claimed::records(connection)? {
            Records::Foreign(_) => tables(connection, true),
            Records::None | Records::Ours(_) => Ok(None),
        })
    }

    /// The same without records: tables that look like those of the original.
    pub(crate) fn tables_like_the_originals(&self) -> Result<Vec<OriginalTable>> {
        self.with_reader(|connection| match claimed::records(connection)? {
            Records::Ours(_) => Ok(Vec::new()),
            Records::None | Records::Foreign(_) => Ok(tables(connection, false)?.unwrap_or_default()),
        })
    }
}
