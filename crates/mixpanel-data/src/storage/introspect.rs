//! What there is: tables, columns, metadata.

use jiff::Timestamp;
use jiff::tz::Offset;

use super::claimed::{self, Records};
use super::ddl::{ident, literal};
use super::engine::StorageEngine;
use crate::error::{ErrorKind, Result};
use crate::types::{ColumnInfo, ListedKind, ListedTable, TableInfo, TableKind, TableMetadata, TableSchema};
use crate::value::Value;

impl StorageEngine {
    /// The tables of events and profiles, sorted by name, with the rows that they have.
    pub fn list_tables(&self) -> Result<Vec<TableInfo>> {
        let mut tables = self.recorded_tables()?;
        for table in &mut tables {
            table.row_count = self.rows_of(&table.name)?.unwrap_or(0);
        }
        Ok(tables)
    }

    /// These, and the tables and views that SQL or another program has made in the schema `main`,
    /// sorted by name. The library's own tables and its typed views are not listed.
    pub fn list_all_tables(&self) -> Result<Vec<ListedTable>> {
        let fetched = self.list_tables()?;
        let mut listed = self.with_reader(|connection| {
            let database = connection.rows("SELECT system.main.current_database()", &[])?;
            let database = database.first().map(|row| row[0].to_text()).unwrap_or_default();
            let mut listed = Vec::new();
            for (name, is_table) in claimed::all_relations(connection)? {
                if claimed::is_ours(&name, &fetched) {
                    continue;
                }
                let mut row_count = None;
                if is_table {
                    // In full: a temporary table may have the same name.
                    let place = format!("{}.main.{}", ident(&database), ident(&name));
                    let rows = connection.rows(&format!("SELECT count(*) FROM {place}"), &[])?;
                    row_count = rows.first().and_then(|row| row[0].as_i64()).map(i64::unsigned_abs);
                }
                let kind = if is_table { ListedKind::Table } else { ListedKind::View };
                listed.push(ListedTable { name, kind, row_count, fetched_at: None });
            }
            Ok(listed)
        })?;
        listed.extend(fetched.into_iter().map(ListedTable::from));
        listed.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(listed)
    }

    /// The tables of events and profiles, with the rows that were written.
    pub(super) fn recorded_tables(&self) -> Result<Vec<TableInfo>> {
        if !self.has_format()? {
            return Ok(Vec::new());
        }
        let rows =
            self.ask("SELECT table_name, type, row_count, fetched_at FROM _tables ORDER BY table_name", &[])?;
        Ok(rows.rows.iter().filter_map(|row| info(row)).collect())
    }

    /// Whether the database has our records: any DuckDB file can be opened
    /// read-only, and one of somebody else's has none, or others by these names.
    fn has_format(&self) -> Result<bool> {
        self.with_reader(|connection| Ok(matches!(claimed::records(connection)?, Records::Ours(_))))
    }

    /// One table; names are compared as DuckDB does, without regard to case.
    pub(crate) fn table(&self, name: &str) -> Result<TableInfo> {
        let tables = self.recorded_tables()?;
        let existing: Vec<String> = tables.iter().map(|table| table.name.clone()).collect();
        tables
            .into_iter()
            .find(|table| table.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| ErrorKind::TableNotFound { table: name.to_owned(), existing }.into())
    }

    /// Whether a table or view of this name exists, ours or not.
    pub fn table_exists(&self, name: &str) -> Result<bool> {
        self.with_reader(|connection| claimed::is_taken(connection, name))
    }

    /// The columns of a table or view.
    pub fn get_schema(&self, name: &str) -> Result<TableSchema> {
        let sql = format!(
            "SELECT column_name, data_type, is_nullable, table_name FROM system.main.duckdb_columns()
             WHERE schema_name = 'main' AND database_name = system.main.current_database()
               AND system.main.lower(table_name) = system.main.lower({}) ORDER BY column_index",
            literal(name)
        );
        let rows = self.with_reader(|connection| connection.rows(&sql, &[]))?;
        let Some(table_name) = rows.first().and_then(|row| row[3].as_str()).map(str::to_owned) else {
            let existing = self.list_tables()?.into_iter().map(|table| table.name).collect();
            return Err(ErrorKind::TableNotFound { table: name.to_owned(), existing }.into());
        };
        let column = |row: &Vec<Value>| ColumnInfo {
            name: row[0].to_text(),
            sql_type: row[1].to_text(),
            nullable: row[2] == Value::Boolean(true),
        };
        Ok(TableSchema { table_name, columns: rows.iter().map(column).collect() })
    }

    /// Where a table's rows come from.
    pub fn get_metadata(&self, name: &str) -> Result<TableMetadata> {
        let info = self.table(name)?;
        // By name: a file of an older format that is only read lacks some columns.
        let sql = format!("SELECT * FROM _tables WHERE table_name = {}", literal(&info.name));
        let known = self.ask(&sql, &[])?;
        let value = |name: &str| {
            let at = known.columns.iter().position(|column| column == name)?;
            known.rows.first().map(|row| &row[at])
        };
        let date = |name: &str| match value(name) {
            Some(Value::Date(date)) => Some(*date),
            _ => None,
        };
        let text = |name: &str| value(name)?.as_str().map(str::to_owned);
        let list = |name: &str| text(name).and_then(|text| serde_json::from_str(&text).ok());
        Ok(TableMetadata {
            kind: info.kind,
            fetched_at: info.fetched_at,
            from_date: date("from_date"),
            to_date: date("to_date"),
            filter_events: list("filter_events"),
            filter_where: text("filter_where"),
            filter_cohort_id: text("filter_cohort"),
            filter_output_properties: list("filter_output_properties"),
            filter_group_id: text("filter_group"),
            filter_behaviors: text("filter_behaviors"),
        })
    }

    /// Macros and types of the file that are called like DuckDB's own functions and
    /// types, sorted: in SQL they take their place, so a file that somebody else
    /// made may answer `count(*)` as it likes. Questions of this library do not go
    /// through them. Looking takes some hundredths of a second.
    pub fn shadowed_names(&self) -> Result<Vec<String>> {
        self.with_reader(claimed::shadowed)
    }

    /// When the database was created; `None` in memory.
    pub fn created_at(&self) -> Result<Option<Timestamp>> {
        if self.path().is_none() || !self.has_format()? {
            return Ok(None);
        }
        Ok(timestamp(&self.ask_scalar("SELECT min(created_at) FROM _format")?))
    }
}

fn info(row: &[Value]) -> Option<TableInfo> {
    Some(TableInfo {
        name: row[0].as_str()?.to_owned(),
        kind: TableKind::from_str(row[1].as_str()?)?,
        row_count: row[2].as_i64()? as u64,
        fetched_at: timestamp(&row[3])?,
    })
}

pub(super) fn timestamp(value: &Value) -> Option<Timestamp> {
    match value {
        Value::DateTime(value) => Offset::UTC.to_timestamp(*value).ok(),
        Value::Timestamp(value) => Some(*value),
        _ => None,
    }
}
