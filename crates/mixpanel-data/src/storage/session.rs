//! Settings of a session that have one value on every machine and in every
//! build: the time zone is UTC, the calendar the Gregorian.
//!
//! Dates, casts and comparisons would change their meaning with them, also
//! those of our own SQL. A zone is said in the query, by `AT TIME ZONE`.

use std::ffi::{CStr, CString};
use std::ptr;
use std::sync::Arc;

use duckdb::{Connection, Result as DuckResult, ffi};

use super::database::{Database, RawConnection, check, take_text};
use crate::error::{ErrorKind, Result};

/// Name and value. Both settings are ICU's; without it we make them.
const FIXED: [(&str, &str); 2] = [("TimeZone", "UTC"), ("Calendar", "gregorian")];

/// Whether DuckDB has the settings, that is, its ICU extension; sets them.
pub(super) fn settle(connection: &Connection) -> bool {
    connection.execute_batch(&statements("GLOBAL")).is_ok()
}

/// The same for one connection, where only this connection can change it again.
pub(super) fn settle_session(connection: &Connection) -> DuckResult<()> {
    connection.execute_batch(&statements("SESSION"))
}

/// The same for a connection of DuckDB's C interface. It fails where the configuration is locked, and
/// then nobody can change it.
pub(super) fn settle_raw(connection: &RawConnection) {
    query(connection, &statements("SESSION"));
}

fn statements(scope: &str) -> String {
    FIXED.iter().map(|(name, value)| format!("SET {scope} {name} = '{value}';")).collect()
}

/// Makes the settings where there is no ICU, so that they can be asked for.
pub(super) fn register(connection: &RawConnection) -> DuckResult<()> {
    FIXED.iter().try_for_each(|(name, value)| {
        let (name, value) = (CString::new(*name)?, CString::new(*value)?);
        // SAFETY: the objects are made and destroyed here, the texts are copied.
        let state = unsafe {
            let mut option = ffi::duckdb_create_config_option();
            let mut text = ffi::duckdb_create_logical_type(ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR);
            let mut default = ffi::duckdb_create_varchar(value.as_ptr());
            ffi::duckdb_config_option_set_name(option, name.as_ptr());
            ffi::duckdb_config_option_set_type(option, text);
            ffi::duckdb_config_option_set_default_value(option, default);
            ffi::duckdb_config_option_set_default_scope(
                option,
                ffi::duckdb_config_option_scope_DUCKDB_CONFIG_OPTION_SCOPE_SESSION,
            );
            let state = ffi::duckdb_register_config_option(connection.raw(), option);
            ffi::duckdb_destroy_value(&mut default);
            ffi::duckdb_destroy_logical_type(&mut text);
            ffi::duckdb_destroy_config_option(&mut option);
            state
        };
        check(state, "registering a setting")
    })
}

/// Refuses SQL that would change one of the settings.
///
/// Statements that set something are run on a connection of their own first,
/// since only DuckDB knows what they set.
pub(super) fn refuse_changes(database: &Arc<Database>, sql: &str) -> Result<()> {
    if !may_set(sql) {
        return Ok(());
    }
    let Ok(connection) = database.connect_raw() else { return Ok(()) };
    let Ok(text) = CString::new(sql) else { return Ok(()) };
    let changed = run_settings(&connection, &text);
    if changed.is_some() {
        // What was set for all connections is set back.
        query(&connection, &statements("GLOBAL"));
    }
    match changed {
        Some((name, value, wanted)) => Err(ErrorKind::FixedSetting { name, value, wanted }.into()),
        None => Ok(()),
    }
}

/// Whether to look closer.
fn may_set(sql: &str) -> bool {
    let lower = sql.to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    any(&["zone", "calendar"]) && any(&["set", "pragma"])
}

/// Runs the statements that set something. Returns the first setting that they
/// changed, with the value that it had to keep and the one it got.
fn run_settings(connection: &RawConnection, sql: &CStr) -> Option<(&'static str, &'static str, String)> {
    let mut extracted = ptr::null_mut();
    // SAFETY: the connection is open; what is made here is destroyed below.
    unsafe {
        let count = ffi::duckdb_extract_statements(connection.raw(), sql.as_ptr(), &mut extracted);
        let found = (0..count).find_map(|index| {
            let mut statement = ptr::null_mut();
            let prepared =
                ffi::duckdb_prepare_extracted_statement(connection.raw(), extracted, index, &mut statement);
            let sets = prepared == ffi::DuckDBSuccess
                && ffi::duckdb_prepared_statement_type(statement)
                    == ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_SET;
            if sets {
                let mut result = std::mem::zeroed();
                ffi::duckdb_execute_prepared(statement, &mut result);
                ffi::duckdb_destroy_result(&mut result);
            }
            ffi::duckdb_destroy_prepare(&mut statement);
            sets.then(|| changed(connection)).flatten()
        });
        ffi::duckdb_destroy_extracted(&mut extracted);
        found
    }
}

fn changed(connection: &RawConnection) -> Option<(&'static str, &'static str, String)> {
    FIXED.into_iter().find_map(|(name, value)| {
        let now = setting(connection, name)?;
        // DuckDB has several names for one zone.
        let same = now.eq_ignore_ascii_case(value) || ["Etc/UTC", "Etc/UCT"].contains(&now.as_str());
        (!same).then_some((name, value, now))
    })
}

fn setting(connection: &RawConnection, name: &str) -> Option<String> {
    let name = CString::new(name).ok()?;
    // SAFETY: the connection is open; what is made here is destroyed here.
    unsafe {
        let mut context = ptr::null_mut();
        ffi::duckdb_connection_get_client_context(connection.raw(), &mut context);
        let mut value = ffi::duckdb_client_context_get_config_option(context, name.as_ptr(), ptr::null_mut());
        let text = if value.is_null() { None } else { take_text(ffi::duckdb_get_varchar(value)) };
        ffi::duckdb_destroy_value(&mut value);
        ffi::duckdb_destroy_client_context(&mut context);
        text
    }
}

fn query(connection: &RawConnection, sql: &str) {
    let Ok(sql) = CString::new(sql) else { return };
    // SAFETY: the connection is open; the result is destroyed.
    unsafe {
        let mut result = std::mem::zeroed();
        ffi::duckdb_query(connection.raw(), sql.as_ptr(), &mut result);
        ffi::duckdb_destroy_result(&mut result);
    }
}
