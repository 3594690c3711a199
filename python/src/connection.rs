//! [`SqlConnection`] over a connection of Python's `duckdb` module.
//!
//! SQL and Arrow streams enter, Arrow batches leave. The GIL is taken to start a
//! statement and given up while DuckDB works: results are pulled, and rows are
//! handed over, without it. Which statements there are is not decided here.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Int64Array, RecordBatch, RecordBatchReader};
use arrow::datatypes::{DataType, Field, Schema};
use mixpanel_data::{
    BatchSink, Connector, Error, ErrorKind, Interrupt, Result, Returns, SqlConnection, StatementKind, Target,
    Value, error_from_message, fix_settings, insert_sql, may_change_fixed_setting,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::{fixed, stream};

/// For the first connection, the one that writes: a row group is compressed as soon as it is full.
const FIRST: &str = "SET SESSION write_buffer_row_group_count = 1";

/// Names in our SQL are tables, never a caller's Python variables.
const INTERNAL: &str = "SET SESSION python_enable_replacements = false";

/// Opens databases with the `duckdb` module, and remembers the latest connection.
#[derive(Default)]
pub(crate) struct ModuleConnector {
    latest: Mutex<Option<Py<PyAny>>>,
}

impl ModuleConnector {
    /// The connection that was opened last.
    pub(crate) fn take(&self) -> Option<Py<PyAny>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Connector for ModuleConnector {
    fn connect(&self, path: Option<&Path>, settings: &[(&str, String)]) -> Result<Box<dyn SqlConnection>> {
        let connection = attach(|py| {
            let config = PyDict::new(py);
            let mut read_only = false;
            for (name, value) in settings {
                match (*name, value.as_str()) {
                    ("access_mode", "READ_ONLY") => read_only = true,
                    _ => config.set_item(name, value)?,
                }
            }
            let place = match path {
                Some(path) => path.as_os_str().into_pyobject(py)?.into_any(),
                None => ":memory:".into_pyobject(py)?.into_any(),
            };
            let connection = py.import("duckdb")?.call_method1("connect", (place, read_only, config))?;
            connection.call_method1("execute", (INTERNAL,))?;
            connection.call_method1("execute", (fix_settings("GLOBAL"),))?;
            connection.call_method1("execute", (FIRST,))?;
            Ok(connection.unbind())
        })
        .map_err(|error| taken(error, path))?;
        let shared = attach(|py| Ok(connection.clone_ref(py)))?;
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(shared);
        Ok(Box::new(ModuleConnection { connection, free: false }))
    }
}

/// DuckDB knows the files that this process has open, and refuses a second
/// database on one of them: whoever opened it, it is in use.
fn taken(error: Error, path: Option<&Path>) -> Error {
    match (error.kind(), path) {
        (ErrorKind::Query { message, .. }, Some(path)) if message.contains("different configuration") => {
            let pid = Some(std::process::id());
            ErrorKind::DatabaseLocked { path: path.to_path_buf(), pid, command: None }.into()
        }
        _ => error,
    }
}

/// A `duckdb.DuckDBPyConnection`, closed on drop.
struct ModuleConnection {
    connection: Py<PyAny>,
    /// Whether rows need not keep their order at the moment.
    free: bool,
}

impl ModuleConnection {
    /// Runs a statement that has no rows to return: it tells how many it changed, or nothing.
    fn change(&mut self, sql: &str, params: &[Value], sink: &mut dyn BatchSink) -> Result<()> {
        let count = self.call(|py, connection| {
            let result = connection.call_method1("execute", (sql, parameters(py, params)?))?;
            let row = result.call_method0("fetchone")?;
            if row.is_none() { Ok(None) } else { row.get_item(0)?.extract::<i64>().map(Some) }
        })?;
        let Some(count) = count else { return sink.returns(Returns::Nothing) };
        sink.returns(Returns::Changed)?;
        let schema = Arc::new(Schema::new(vec![Field::new("Count", DataType::Int64, true)]));
        sink.schema(Arc::clone(&schema))?;
        let counts = Arc::new(Int64Array::from(vec![count]));
        let batch = RecordBatch::try_new(schema, vec![counts]).map_err(mixpanel_data::error_of_reader)?;
        sink.batch(batch)
    }

    fn call<T>(&self, f: impl for<'py> FnOnce(Python<'py>, &Bound<'py, PyAny>) -> PyResult<T>) -> Result<T> {
        attach(|py| f(py, self.connection.bind(py)))
    }

    /// Refuses SQL that would change a setting which has one value everywhere.
    fn refuse_changes(&self, sql: &str) -> Result<()> {
        if !may_change_fixed_setting(sql) {
            return Ok(());
        }
        self.call(|_, connection| fixed::refused(connection, sql))?.map_or(Ok(()), Err)
    }

    /// Lets all threads store rows for the time of `f`, or one of them in order.
    fn in_order<T>(&mut self, ordered: bool, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if ordered {
            self.keep_order()?;
            return f(self);
        }
        // In a sealed database settings cannot be changed: rows keep their order.
        if self.execute("SET SESSION preserve_insertion_order = false").is_ok() {
            self.free = true;
        }
        let result = f(self);
        // In a transaction that failed it cannot be set back; then it is set
        // before order counts again.
        let _ = self.keep_order();
        result
    }

    fn keep_order(&mut self) -> Result<()> {
        if self.free {
            self.execute("SET SESSION preserve_insertion_order = true")?;
            self.free = false;
        }
        Ok(())
    }
}

impl SqlConnection for ModuleConnection {
    fn execute(&mut self, sql: &str) -> Result<()> {
        self.refuse_changes(sql)?;
        self.call(|_, connection| connection.call_method1("execute", (sql,)).map(drop))
    }

    fn query(&mut self, sql: &str, params: &[Value], sink: &mut dyn BatchSink) -> Result<()> {
        self.refuse_changes(sql)?;
        if self.call(|_, connection| only_counts(connection, sql))? {
            return self.change(sql, params, sink);
        }
        let stream = self.call(|py, connection| {
            let options = PyDict::new(py);
            if !params.is_empty() {
                options.set_item("params", parameters(py, params)?)?;
            }
            let relation = connection
                .call_method("sql", (sql,), Some(&options))
                .map_err(|error| with_place(connection, sql, &options, error))?;
            if relation.is_none() {
                return Ok(None);
            }
            stream::take(&relation.call_method0("__arrow_c_stream__")?).map(Some)
        })?;
        let Some(stream) = stream else { return sink.returns(Returns::Nothing) };
        let reader = stream::reader(stream)?;
        sink.returns(Returns::Rows)?;
        sink.schema(reader.schema())?;
        for batch in reader {
            sink.batch(batch.map_err(stream::error_of_duckdb)?)?;
        }
        Ok(())
    }

    fn statements(&mut self, sql: &str) -> Result<Vec<StatementKind>> {
        let kinds = self.call(|_, connection| {
            extracted(connection, sql)?
                .iter()
                .map(|statement| name_of_kind(statement).map(|name| kind_of(&name)))
                .collect()
        })?;
        Some(kinds)
            .filter(|kinds: &Vec<_>| !kinds.is_empty())
            .ok_or_else(|| error_from_message("Parser Error: there is no statement"))
    }

    fn insert(
        &mut self,
        target: Target<'_>,
        rows: Box<dyn RecordBatchReader + Send>,
        ordered: bool,
    ) -> Result<u64> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let schema = rows.schema();
        let (capsule, failure) = stream::export(rows)?;
        let source = format!("mp_feed_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let sql = insert_sql(target, &schema, &source);
        let statement = |this: &mut Self| {
            this.call(|py, connection| {
                connection.call_method1("register", (&source, capsule.bind(py)))?;
                let inserted = connection
                    .call_method1("execute", (sql,))
                    .and_then(|result| result.call_method0("fetchone"))
                    .and_then(|row| row.get_item(0)?.extract::<u64>());
                // In a transaction that failed it cannot be done, nor needs to be:
                // the stream is used up, and goes with the connection.
                let _ = connection.call_method1("unregister", (&source,));
                inserted
            })
        };
        let inserted = self.in_order(ordered, statement);
        match failure.take() {
            Some(error) => Err(mixpanel_data::error_of_reader(error)),
            None => inserted,
        }
    }

    fn cursor(&self) -> Result<Box<dyn SqlConnection>> {
        let connection = self.call(|_, connection| {
            let cursor = connection.call_method0("cursor")?;
            // In a sealed database it cannot be set.
            let _ = cursor.call_method1("execute", (INTERNAL,));
            Ok(cursor.unbind())
        })?;
        Ok(Box::new(ModuleConnection { connection, free: false }))
    }

    fn interrupt_handle(&self) -> Arc<dyn Interrupt> {
        let connection = Python::try_attach(|py| self.connection.clone_ref(py));
        Arc::new(Handle(connection))
    }
}

impl Drop for ModuleConnection {
    fn drop(&mut self) {
        // Nothing can be done about a failure; the interpreter may be gone, too. An exception that is on
        // its way, and lets go of this, goes on.
        let _ = self.call(|py, connection| {
            let pending = PyErr::take(py);
            let closed = connection.call_method0("close").map(drop);
            if let Some(pending) = pending {
                pending.restore(py);
            }
            closed
        });
    }
}

struct Handle(Option<Py<PyAny>>);

impl Interrupt for Handle {
    fn interrupt(&self) {
        let Some(connection) = &self.0 else { return };
        // A connection that is closed has nothing to interrupt.
        let _ = attach(|py| connection.call_method0(py, "interrupt").map(drop));
    }
}

/// Runs `f` with the interpreter; Python's exceptions become errors.
fn attach<T>(f: impl for<'py> FnOnce(Python<'py>) -> PyResult<T>) -> Result<T> {
    let outcome = Python::try_attach(|py| f(py).map_err(|error| error_of_python(py, &error)));
    outcome.unwrap_or_else(|| Err(ErrorKind::Closed.into()))
}

/// The error of a query, with the place in it: a relation's error has none, that of an `EXPLAIN` has, and
/// the rest of its line with it.
fn with_place<'py>(
    connection: &Bound<'py, PyAny>,
    sql: &str,
    options: &Bound<'py, PyDict>,
    error: PyErr,
) -> PyErr {
    let py = connection.py();
    let message = error.value(py).to_string();
    if message.contains("\nLINE ") || extracted(connection, sql).map_or(true, |found| found.len() != 1) {
        return error;
    }
    let parameters =
        options.get_item("params").ok().flatten().unwrap_or_else(|| PyList::empty(py).into_any());
    let explained = connection.call_method1("execute", (format!("EXPLAIN {sql}"), parameters));
    explained.err().filter(|found| found.value(py).to_string().starts_with(&message)).unwrap_or(error)
}

/// What an exception of the `duckdb` module says.
fn error_of_python(py: Python<'_>, error: &PyErr) -> Error {
    let message = error.value(py).to_string();
    let class = error.get_type(py);
    let ours = class.getattr("__module__").and_then(|name| name.extract::<String>()).unwrap_or_default();
    if ours.contains("duckdb") {
        return error_from_message(&message);
    }
    let class = class.name().map(|name| name.to_string()).unwrap_or_default();
    ErrorKind::Query { class, message }.into()
}

/// By this connection: the module's own function opens a database of its own, whose threads a forked
/// child would look for.
pub(crate) fn extracted<'py>(connection: &Bound<'py, PyAny>, sql: &str) -> PyResult<Vec<Bound<'py, PyAny>>> {
    connection.call_method1("extract_statements", (sql,))?.extract()
}

/// The name of a statement's kind, as the module has it.
pub(crate) fn name_of_kind(statement: &Bound<'_, PyAny>) -> PyResult<String> {
    statement.getattr("type")?.getattr("name")?.extract()
}

/// Whether the last statement changes something, and has no rows to return. A text that only looks
/// as if it had some does no harm: such a statement goes the other way.
fn only_counts(connection: &Bound<'_, PyAny>, sql: &str) -> PyResult<bool> {
    let statements = extracted(connection, sql)?;
    let Some(last) = statements.last() else { return Ok(false) };
    let query: String = last.getattr("query")?.extract()?;
    let text = query.to_lowercase();
    Ok(match kind_of(&name_of_kind(last)?) {
        StatementKind::Change => !text.contains("returning"),
        StatementKind::Create => true,
        StatementKind::Copy => !text.contains("return_"),
        StatementKind::Execute => match prepared(connection, &query)? {
            // What was prepared is not an EXECUTE itself.
            Some(statement) => only_counts(connection, &statement)?,
            None => false,
        },
        _ => false,
    })
}

/// The text of the statement that an EXECUTE names.
fn prepared(connection: &Bound<'_, PyAny>, execute: &str) -> PyResult<Option<String>> {
    let Some(rest) = execute.trim_start().get("EXECUTE".len()..) else { return Ok(None) };
    let found = "SELECT name, statement FROM duckdb_prepared_statements()";
    let all: Vec<(String, String)> =
        connection.call_method1("execute", (found,))?.call_method0("fetchall")?.extract()?;
    let rest = rest.trim_start();
    let named = |name: &str| {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        let end = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        let plain = rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
            && rest.get(name.len()..).is_none_or(end);
        rest.starts_with(&quoted) || plain
    };
    Ok(all.into_iter().find(|(name, _)| named(name)).map(|(_, statement)| statement))
}

pub(crate) fn kind_of(name: &str) -> StatementKind {
    match name {
        "SELECT" => StatementKind::Select,
        "EXPLAIN" => StatementKind::Explain,
        "CALL" => StatementKind::Call,
        "EXECUTE" => StatementKind::Execute,
        "INSERT" | "UPDATE" | "DELETE" | "MERGE_INTO" => StatementKind::Change,
        "CREATE" | "CREATE_FUNC" => StatementKind::Create,
        "ALTER" | "DROP" => StatementKind::Alter,
        "COPY" | "EXPORT" | "COPY_DATABASE" => StatementKind::Copy,
        "PREPARE" => StatementKind::Prepare,
        "SET" | "VARIABLE_SET" | "PRAGMA" => StatementKind::Set,
        "TRANSACTION" => StatementKind::Transaction,
        "ATTACH" | "DETACH" => StatementKind::Attach,
        "LOAD" | "UPDATE_EXTENSIONS" => StatementKind::Load,
        "VACUUM" | "ANALYZE" => StatementKind::Maintain,
        _ => StatementKind::Unknown,
    }
}

fn parameters<'py>(py: Python<'py>, params: &[Value]) -> PyResult<Bound<'py, PyList>> {
    let params = params.iter().map(|value| parameter(py, value)).collect::<PyResult<Vec<_>>>()?;
    PyList::new(py, params)
}

fn parameter<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Boolean(value) => value.into_pyobject(py)?.to_owned().into_any(),
        Value::Integer(value) => value.into_pyobject(py)?.into_any(),
        Value::Double(value) => value.into_pyobject(py)?.into_any(),
        Value::Text(text) | Value::Decimal(text) => text.into_pyobject(py)?.into_any(),
        Value::Blob(bytes) => pyo3::types::PyBytes::new(py, bytes).into_any(),
        Value::Date(date) => {
            let class = py.import("datetime")?.getattr("date")?;
            class.call1((date.year(), date.month(), date.day()))?
        }
        // Written out; the SQL says what it is.
        Value::Time(_) => value.to_text().into_pyobject(py)?.into_any(),
        Value::DateTime(value) => datetime(py, *value)?,
        Value::Timestamp(value) => datetime(py, jiff::tz::Offset::UTC.to_datetime(*value))?,
        Value::Interval { .. } | Value::List(_) | Value::Map(_) => {
            let why = "intervals, lists and maps cannot be bound";
            return Err(pyo3::exceptions::PyTypeError::new_err(why));
        }
    })
}

/// A TIMESTAMP: without a zone, to the microsecond.
fn datetime<'py>(py: Python<'py>, value: jiff::civil::DateTime) -> PyResult<Bound<'py, PyAny>> {
    let (date, time) = (value.date(), value.time());
    let parts = (date.year(), date.month(), date.day(), time.hour(), time.minute(), time.second());
    let micros = time.subsec_nanosecond() / 1_000;
    let class = py.import("datetime")?.getattr("datetime")?;
    class.call1((parts.0, parts.1, parts.2, parts.3, parts.4, parts.5, micros))
}
