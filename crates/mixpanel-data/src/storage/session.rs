//! The settings that are fixed ([`super::fixed`]), for the DuckDB that is linked.

use std::ffi::{CStr, CString};
use std::ptr;
use std::sync::Arc;

use duckdb::{Connection, Result as DuckResult, ffi};

use super::database::{Database, RawConnection, check, take_text};
use super::fixed::{FIXED_SETTINGS, changed_setting, fix_settings, may_change_fixed_setting};
use crate::error::{Error, Result};

/// Whether DuckDB has the settings, that is, its ICU extension; sets them.
pub(super) fn settle(connection: &Connection) -> bool {
    connection.execute_batch(&fix_settings("GLOBAL")).is_ok()
}

/// The same for one connection, where only this connection can change it again.
pub(super) fn settle_session(connection: &Connection) -> DuckResult<()> {
    connection.execute_batch(&fix_settings("SESSION"))
}

/// The same for a connection of DuckDB's C interface. It fails where the configuration is locked, and
/// then nobody can change it.
pub(super) fn settle_raw(connection: &RawConnection) {
    query(connection, &fix_settings("SESSION"));
}

/// Makes the settings where there is no ICU, so that they can be asked for.
pub(super) fn register(connection: &RawConnection) -> DuckResult<()> {
    FIXED_SETTINGS.iter().try_for_each(|(name, value)| {
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
pub(super) fn refuse_changes(database: &Arc<Database>, sql: &str) -> Result<()> {
    if !may_change_fixed_setting(sql) {
        return Ok(());
    }
    let Ok(connection) = database.connect_raw() else { return Ok(()) };
    let Ok(text) = CString::new(sql) else { return Ok(()) };
    let Some(refused) = run_settings(&connection, &text) else { return Ok(()) };
    // What was set for all connections is set back.
    query(&connection, &fix_settings("GLOBAL"));
    Err(refused)
}

/// Runs the statements that set something, up to the first that changes a fixed setting.
fn run_settings(connection: &RawConnection, sql: &CStr) -> Option<Error> {
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
            sets.then(|| changed_setting(|name| setting(connection, name))).flatten()
        });
        ffi::duckdb_destroy_extracted(&mut extracted);
        found
    }
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
