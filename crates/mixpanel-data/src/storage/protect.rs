//! SQL that somebody typed: it may make tables and change rows, but not this library's records.
//!
//! Which tables a statement writes to cannot be asked, and must not be guessed from its words. So it
//! runs in a transaction, and if the records differ behind it, all of it is undone.

use super::connection::{BatchSink, Collect, SqlConnection};
use super::ddl::{RECORDS, ident, literal};
use crate::error::{Error, ErrorKind, Result};
use crate::value::Value;

/// Runs one statement.
///
/// # Errors
/// [`Protected`](ErrorKind::Protected), when it would have changed the records; then nothing is
/// changed, and a transaction that the caller had begun is rolled back.
pub(super) fn run(
    connection: &mut dyn SqlConnection,
    sql: &str,
    params: &[Value],
    sink: &mut dyn BatchSink,
) -> Result<()> {
    match is_in_transaction(connection) {
        Ok(true) => run_within(connection, sql, params, sink),
        // DuckDB itself says whether it is a question: nothing else is one that can be asked about.
        Ok(false) if connection.rows(&format!("DESCRIBE (\n{sql}\n)"), params).is_err() => {
            run_alone(connection, sql, params, sink)
        }
        // A question, or a transaction that has failed already and can only be ended.
        _ => connection.query(sql, params, sink),
    }
}

/// Runs a statement in a transaction of its own.
fn run_alone(
    connection: &mut dyn SqlConnection,
    sql: &str,
    params: &[Value],
    sink: &mut dyn BatchSink,
) -> Result<()> {
    connection.execute("BEGIN")?;
    let before = fingerprint(connection);
    // Nothing is told before it is settled.
    let mut result = Collect::default();
    let run = before.and_then(|before| {
        connection.query(sql, params, &mut result)?;
        Ok(before)
    });
    match run {
        Ok(before) if fingerprint(connection).is_ok_and(|after| after == before) => {}
        // If that fails, it ended the transaction itself, and another writer was there since.
        Ok(_) => {
            if connection.execute("ROLLBACK").is_ok() {
                return Err(ErrorKind::Protected { in_transaction: false }.into());
            }
        }
        // It cannot run in a transaction, as `BEGIN` itself; what can change records can.
        Err(error) if is_of_transactions(&error) => {
            let _ = connection.execute("ROLLBACK");
            return connection.query(sql, params, sink);
        }
        Err(error) => {
            let _ = connection.execute("ROLLBACK");
            return Err(error);
        }
    }
    match connection.execute("COMMIT") {
        // It ended the transaction itself.
        Err(error) if is_of_transactions(&error) => {}
        committed => committed?,
    }
    result.replay(sink)
}

/// Runs a statement in the transaction that the caller has begun.
fn run_within(
    connection: &mut dyn SqlConnection,
    sql: &str,
    params: &[Value],
    sink: &mut dyn BatchSink,
) -> Result<()> {
    let before = fingerprint(connection)?;
    let outcome = connection.query(sql, params, sink);
    let is_changed = outcome.is_ok() && fingerprint(connection).ok().as_ref() != Some(&before);
    // If that fails, it was the end of the transaction, and others have written since.
    if is_changed && connection.execute("ROLLBACK").is_ok() {
        return Err(ErrorKind::Protected { in_transaction: true }.into());
    }
    outcome
}

/// Whether the caller has begun a transaction. Errors abort one, so it is not asked by `BEGIN`.
fn is_in_transaction(connection: &mut dyn SqlConnection) -> Result<bool> {
    let current = "SELECT txid_current()";
    Ok(connection.scalar(current, &[])? == connection.scalar(current, &[])?)
}

fn is_of_transactions(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Query { class, .. } if class.starts_with("Transaction"))
}

/// Contents of the records, and the definitions of our tables and views.
fn fingerprint(connection: &mut dyn SqlConnection) -> Result<Vec<Vec<Value>>> {
    // `USE` may have led elsewhere: the database that was opened is the first.
    let first =
        "SELECT database_name FROM duckdb_databases() WHERE NOT internal ORDER BY database_oid LIMIT 1";
    let database = connection.scalar(first, &[])?.to_text();
    let main = format!("{}.main", ident(&database));
    let mut parts: Vec<String> = RECORDS
        .iter()
        .map(|name| {
            let table = format!("{main}.{}", ident(&format!("_{name}")));
            format!(
                "SELECT '_{name}', count(*), CAST(bit_xor(hash(record)) AS VARCHAR) FROM {table} AS record"
            )
        })
        .collect();
    let ours = format!(
        "database_name = {} AND schema_name = 'main' AND (name IN ({}) OR name IN (SELECT unnest(
             [table_name, '_' || table_name, table_name || '_flat']) FROM {main}._tables))",
        literal(&database),
        RECORDS
            .iter()
            .chain(&["metadata"])
            .map(|name| literal(&format!("_{name}")))
            .collect::<Vec<_>>()
            .join(", "),
    );
    for (function, name) in [("duckdb_tables", "table_name"), ("duckdb_views", "view_name")] {
        parts.push(format!(
            "SELECT '{function}', count(*), CAST(bit_xor(hash(name, sql)) AS VARCHAR)
             FROM (SELECT {name} AS name, * FROM {function}()) WHERE {ours}"
        ));
    }
    connection.rows(&parts.join(" UNION ALL "), &[])
}
