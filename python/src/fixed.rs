//! The settings that no SQL may change (`mixpanel_data::changed_setting`), for a connection of Python's
//! `duckdb` module.

use mixpanel_data::{Error, StatementKind, changed_setting, fix_settings, may_change_fixed_setting};
use pyo3::prelude::*;

use crate::connection::{extracted, kind_of, name_of_kind};
use crate::errors::raise;

/// The error for SQL that changes one of them: its statements that set something are run on a
/// connection of their own. What is not right in another way is found when it is run.
pub(crate) fn refused(connection: &Bound<'_, PyAny>, sql: &str) -> PyResult<Option<Error>> {
    let Ok(statements) = extracted(connection, sql) else { return Ok(None) };
    let other = connection.call_method0("cursor")?;
    let now = |name: &str| {
        let sql = format!("SELECT current_setting('{name}')");
        let row = other.call_method1("execute", (sql,)).and_then(|result| result.call_method0("fetchone"));
        row.and_then(|row| row.get_item(0)?.extract::<String>()).ok()
    };
    let mut found = None;
    for statement in &statements {
        if kind_of(&name_of_kind(statement)?) == StatementKind::Set {
            let _ = other.call_method1("execute", (statement,));
            found = changed_setting(now);
        }
        if found.is_some() {
            // What was set for all connections is set back.
            other.call_method1("execute", (fix_settings("GLOBAL"),))?;
            break;
        }
    }
    other.call_method0("close")?;
    Ok(found)
}

/// Raises QueryError for SQL that changes one of them.
#[pyfunction]
pub(crate) fn refuse_fixed_settings(connection: &Bound<'_, PyAny>, sql: &str) -> PyResult<()> {
    if !may_change_fixed_setting(sql) {
        return Ok(());
    }
    refused(connection, sql)?.map_or(Ok(()), |error| Err(raise(connection.py(), &error)))
}
