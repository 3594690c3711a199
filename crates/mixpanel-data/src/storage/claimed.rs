//! Names that are somebody else's: a DuckDB file may hold tables and views that
//! are called as ours would be. They are looked for before ours are made, and
//! are never replaced.
//!
//! Functions are named with their catalog: the file may hold macros of the same
//! name.

use super::connection::SqlConnection;
use super::ddl::{self, ident, literal, physical};
use crate::error::{ErrorKind, Result};
use crate::types::{TableInfo, TableKind};
use crate::value::Value;

/// Tables and views of the file with one of these names: name, and whether it is a table.
fn relations(connection: &mut dyn SqlConnection, names: &[String]) -> Result<Vec<(String, bool)>> {
    let wanted: Vec<String> = names.iter().map(|name| literal(&name.to_ascii_lowercase())).collect();
    relations_where(connection, &format!("system.main.lower(a.name) IN ({})", wanted.join(", ")))
}

fn relations_where(connection: &mut dyn SqlConnection, condition: &str) -> Result<Vec<(String, bool)>> {
    let of = |function: &str, column: &str, is_table: bool| {
        format!(
            "SELECT r.{column} AS name, {is_table} AS is_table FROM system.main.{function}() r
             WHERE NOT r.internal AND NOT r.temporary AND r.schema_name = 'main'
               AND r.database_name = system.main.current_database()"
        )
    };
    let sql = format!(
        "SELECT a.name, a.is_table FROM ({} UNION ALL {}) a WHERE {condition} ORDER BY 1",
        of("duckdb_tables", "table_name", true),
        of("duckdb_views", "view_name", false)
    );
    let rows = connection.rows(&sql, &[])?;
    Ok(rows.into_iter().map(|row| (row[0].to_text(), row[1] == Value::Boolean(true))).collect())
}

/// All tables and views of the file, ours too: name, and whether it is a table.
pub(super) fn all_relations(connection: &mut dyn SqlConnection) -> Result<Vec<(String, bool)>> {
    relations_where(connection, "true")
}

/// Whether a name belongs to this library: its metadata, and the rows and views of the tables
/// that it has recorded.
pub(super) fn is_ours(name: &str, recorded: &[TableInfo]) -> bool {
    let is = |table: &TableInfo| {
        name.eq_ignore_ascii_case(&table.name) || name.eq_ignore_ascii_case(&format!("{}_flat", table.name))
    };
    name.starts_with('_') || recorded.iter().any(is)
}

/// Whether a table or view of this name exists, without regard to case.
pub(super) fn is_taken(connection: &mut dyn SqlConnection, name: &str) -> Result<bool> {
    Ok(!relations(connection, &[name.to_owned()])?.is_empty())
}

/// The table or view of this name, as it is written, and whether it is a table.
pub(super) fn relation(connection: &mut dyn SqlConnection, name: &str) -> Result<Option<(String, bool)>> {
    Ok(relations(connection, &[name.to_owned()])?.into_iter().next())
}

/// Whose records a file has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Records {
    /// It has none: a new file, or one that another program made.
    None,
    /// Ours, of this format.
    Ours(u32),
    /// Tables or views that have the names of our records, and are not ours.
    Foreign(Vec<String>),
}

/// Looks for our records in a file.
pub(super) fn records(connection: &mut dyn SqlConnection) -> Result<Records> {
    let names: Vec<String> = ddl::RESERVED.iter().map(|name| physical(name)).collect();
    let found = relations(connection, &names)?;
    if found.is_empty() {
        return Ok(Records::None);
    }
    let version_row = |connection: &mut dyn SqlConnection| {
        // Wrong columns are an error of the binder, and nothing is read. Any other failure, such as
        // being stopped, says nothing about whose they are.
        let sql = "SELECT version, created_at FROM _format ORDER BY version DESC LIMIT 1";
        match connection.rows(sql, &[]) {
            Ok(rows) => Ok(Some(rows)),
            Err(error) => match error.kind() {
                ErrorKind::Query { class, .. } if class == "Binder" => Ok(None),
                _ => Err(error),
            },
        }
    };
    let is = |name: &str, table: bool| found.iter().any(|(at, is_table)| at == name && *is_table == table);
    let row = if is("_format", true) { version_row(connection)? } else { None };
    let version = row.map(|rows| rows.first().map_or(Some(0), |row| row[0].as_i64()));
    let version = version.flatten().and_then(|version| u32::try_from(version).ok());
    // What ours are as: a view that is called `_tables` could say anything.
    let is_foreign = |name: &str, is_table: bool| is_table == (name == "_metadata");
    let foreign: Vec<String> = found
        .iter()
        .filter(|(name, is_table)| version.is_none() || is_foreign(name, *is_table))
        .map(|(name, _)| name.clone())
        .collect();
    match version {
        Some(version) if foreign.is_empty() => Ok(Records::Ours(version)),
        _ => Ok(Records::Foreign(foreign)),
    }
}

/// Macros and types of the file that are called like DuckDB's own functions and types, sorted.
pub(super) fn shadowed(connection: &mut dyn SqlConnection) -> Result<Vec<String>> {
    const SHADOWED: &str = "
        WITH names AS (
            SELECT f.database_name, f.internal, system.main.lower(f.function_name) AS name
            FROM system.main.duckdb_functions() f
            UNION ALL SELECT t.database_name, t.internal, system.main.lower(t.type_name)
            FROM system.main.duckdb_types() t)
        SELECT DISTINCT n.name FROM names n WHERE n.database_name = system.main.current_database()
            AND NOT n.internal AND n.name IN (SELECT i.name FROM names i WHERE i.database_name = 'system')
        ORDER BY 1";
    Ok(connection.rows(SHADOWED, &[])?.iter().map(|row| row[0].to_text()).collect())
}

/// Checks that a table and its views can be made without replacing anybody's.
/// What a creation that never finished left of ours is no hindrance: its table
/// has our columns, and no row.
///
/// # Errors
/// [`TableExists`](ErrorKind::TableExists), with the name that is taken.
pub(super) fn check_free(connection: &mut dyn SqlConnection, table: &str, kind: TableKind) -> Result<()> {
    let (rows, flat) = (physical(table), format!("{table}_flat"));
    for (name, is_table) in relations(connection, &[table.to_owned(), flat, rows.clone()])? {
        let is_leftover =
            is_table && name.eq_ignore_ascii_case(&rows) && is_unfinished(connection, &rows, kind)?;
        if !is_leftover {
            return Err(ErrorKind::TableExists { table: name }.into());
        }
    }
    Ok(())
}

/// Whether a table has the fixed columns of ours, and no row.
fn is_unfinished(connection: &mut dyn SqlConnection, rows: &str, kind: TableKind) -> Result<bool> {
    let sql = format!(
        "SELECT c.column_name FROM system.main.duckdb_columns() c
         WHERE NOT c.internal AND c.schema_name = 'main' AND c.database_name = system.main.current_database()
           AND system.main.lower(c.table_name) IN ({})
         ORDER BY c.column_index",
        literal(&rows.to_ascii_lowercase())
    );
    let names: Vec<String> = connection.rows(&sql, &[])?.iter().map(|row| row[0].to_text()).collect();
    let fixed = kind.shape().columns.iter().map(|(name, _)| *name);
    let begins = fixed.enumerate().all(|(at, name)| names.get(at).is_some_and(|found| found == name));
    let any = format!("SELECT 1 FROM {} LIMIT 1", ident(rows));
    Ok(begins && connection.rows(&any, &[])?.is_empty())
}
