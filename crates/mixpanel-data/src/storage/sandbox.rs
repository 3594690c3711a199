//! The one sandbox: a database that answers SQL which nobody vouches for, such as
//! an agent's.
//!
//! Settings keep SQL from files, the network and the settings themselves;
//! [`admit`] lets one parsed query through at a time. What a statement is, is
//! DuckDB's parser's word, and not that of its first letters.

use std::sync::atomic::Ordering;

use serde_json::Value as Json;

use super::connection::SqlConnection;
use super::engine::StorageEngine;
use crate::error::{Error, ErrorKind, Result};
use crate::value::Value;

/// To be run after opening: given at open, the database's own path and the folder
/// for spilling would be on DuckDB's list of what stays allowed. The last one makes
/// the others final.
pub(super) const SETTINGS: &str = "SET temp_directory = '';
     SET enable_external_access = false;
     SET disabled_filesystems = 'LocalFileSystem';
     SET lock_configuration = true;";

impl StorageEngine {
    /// Seals the database, for good: from now on its SQL reads no file, reaches no
    /// network, changes no setting and no row, and answers one query at a time
    /// (`SELECT`, `FROM`, `DESCRIBE`, `SUMMARIZE` and the like). Nothing spills to
    /// disk any more. To be called on a database that is open for reading only, or
    /// in memory, once that is filled.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) on a database that is open
    /// for writing.
    pub fn seal(&self) -> Result<()> {
        if self.is_sealed() {
            return Ok(());
        }
        if !self.read_only() && self.path().is_some() {
            let why = "it is open for writing; only what is open for reading, or in memory, can be sealed";
            return Err(Error::argument("database", why));
        }
        self.with_reader(|connection| {
            // Where DuckDB is Python's, and only there, SQL finds variables of the caller's.
            let _ = connection.execute("SET GLOBAL python_enable_replacements = false");
            let _ = connection.execute("SET SESSION python_enable_replacements = false");
            connection.execute(SETTINGS)
        })?;
        self.sealed.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether [`seal`](Self::seal) was called.
    pub fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    /// Checks SQL as a sealed database does before it runs it; any SQL passes one
    /// that is not sealed. For callers that run it on a connection of their own.
    ///
    /// # Errors
    /// [`Sealed`](ErrorKind::Sealed), and what the parser says.
    pub fn admit(&self, sql: &str) -> Result<()> {
        if !self.is_sealed() {
            return Ok(());
        }
        self.with_reader(|connection| admit(connection, sql))
    }
}

/// Lets one query through, and nothing else.
pub(super) fn admit(connection: &mut dyn SqlConnection, sql: &str) -> Result<()> {
    let refuse = |what: String| Err(ErrorKind::Sealed { what }.into());
    // The function's own name: the file may hold a macro that is called like it.
    let parse = "SELECT system.main.json_serialize_sql(?)";
    let answer = connection.scalar(parse, &[Value::Text(sql.to_owned())])?;
    let parsed: Json = answer.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let text = |key: &str| parsed.get(key).and_then(Json::as_str).unwrap_or_default();
    match (parsed.get("error").and_then(Json::as_bool), text("error_type")) {
        (Some(false), _) => {}
        (Some(true), "parser") => {
            let message = text("error_message").to_owned();
            return Err(ErrorKind::Query { class: "Parser".into(), message }.into());
        }
        _ => return refuse("only queries are answered (SELECT, FROM, DESCRIBE, SUMMARIZE)".to_owned()),
    }
    match parsed.get("statements").and_then(Json::as_array).map_or(0, Vec::len) {
        1 => Ok(()),
        0 => refuse("there is no query".to_owned()),
        count => refuse(format!("one query is answered at a time, and these are {count}")),
    }
}
