//! [`SqlConnection`] over the DuckDB that this crate is linked with, or that is compiled into it.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatchReader;
use duckdb::Connection;
use duckdb::types::{TimeUnit, Value as DuckValue};

use super::connection::{BatchSink, Interrupt, SqlConnection, Target, error_of_reader, insert_sql};
use super::database::Database;
use super::feed::Opened;
use super::session::refuse_changes;
use crate::error::{Error, ErrorKind, Result};
use crate::value::Value;

pub(super) struct Bundled {
    // Before the database, which must be there when it is closed.
    connection: Connection,
    database: Arc<Database>,
}

/// The first connection writes, and lets all threads do so; readers keep their
/// order. A row group is compressed and written as soon as it is full: by default
/// each thread collects five of them first, which takes twice the memory.
const WRITER: &str = "SET SESSION preserve_insertion_order = false;
                      SET SESSION write_buffer_row_group_count = 1;";

/// The DuckDB that the C interface of the `duckdb` crate was written for: a
/// library that is linked may be exchanged after the build.
const SERIES: &str = "v2.0.";

/// Opens a database. `path` None is a fresh in-memory one.
pub(super) fn open(path: Option<&Path>, settings: &[(&str, String)]) -> Result<Bundled> {
    let version = Database::version();
    if !version.starts_with(SERIES) {
        return Err(ErrorKind::WrongDuckDb { found: version, needed: SERIES.trim_end_matches('.') }.into());
    }
    let database = Database::open(path, settings).map_err(classify)?;
    let connection = database.connect().map_err(classify)?;
    if !database.has_icu() {
        super::functions::register(&connection).map_err(classify)?;
    }
    connection.execute_batch(WRITER).map_err(classify)?;
    Ok(Bundled { connection, database })
}

impl SqlConnection for Bundled {
    fn execute(&mut self, sql: &str) -> Result<()> {
        refuse_changes(&self.database, sql)?;
        self.connection.execute_batch(sql).map_err(classify)
    }

    fn query(&mut self, sql: &str, params: &[Value], sink: &mut dyn BatchSink) -> Result<()> {
        refuse_changes(&self.database, sql)?;
        let mut statement = self.connection.prepare(sql).map_err(classify)?;
        let params: Vec<DuckValue> = params.iter().map(parameter).collect::<Result<_>>()?;
        let stream = statement.stream_arrow(duckdb::params_from_iter(params)).map_err(classify)?;
        sink.schema(stream.get_schema())?;
        for batch in stream {
            sink.batch(batch.map_err(classify)?)?;
        }
        Ok(())
    }

    fn insert(
        &mut self,
        target: Target<'_>,
        rows: Box<dyn RecordBatchReader + Send>,
        ordered: bool,
    ) -> Result<u64> {
        let schema = rows.schema();
        let feed = Opened::new(&self.database, rows, ordered).map_err(classify)?;
        let sql = insert_sql(target, &schema, &feed.table());
        let inserted = self.connection.execute(&sql, []);
        match (inserted, feed.take_error()) {
            (_, Some(error)) => Err(error_of_reader(error)),
            (inserted, None) => Ok(inserted.map_err(classify)? as u64),
        }
    }

    fn cursor(&self) -> Result<Box<dyn SqlConnection>> {
        let connection = self.database.connect().map_err(classify)?;
        Ok(Box::new(Bundled { connection, database: Arc::clone(&self.database) }))
    }

    fn interrupt_handle(&self) -> Arc<dyn Interrupt> {
        Arc::new(Handle(self.connection.interrupt_handle()))
    }
}

struct Handle(Arc<duckdb::InterruptHandle>);

impl Interrupt for Handle {
    fn interrupt(&self) {
        self.0.interrupt();
    }
}

fn parameter(value: &Value) -> Result<DuckValue> {
    Ok(match value {
        Value::Null => DuckValue::Null,
        Value::Boolean(value) => DuckValue::Boolean(*value),
        Value::Integer(value) => match i64::try_from(*value) {
            Ok(small) => DuckValue::BigInt(small),
            Err(_) => DuckValue::HugeInt(*value),
        },
        Value::Double(value) => DuckValue::Double(*value),
        Value::Text(text) | Value::Decimal(text) => DuckValue::Text(text.clone()),
        Value::Blob(bytes) => DuckValue::Blob(bytes.clone()),
        Value::Date(date) => DuckValue::Text(date.to_string()),
        Value::Time(time) => DuckValue::Text(time.to_string()),
        Value::DateTime(value) => DuckValue::Timestamp(
            TimeUnit::Microsecond,
            jiff::tz::Offset::UTC
                .to_timestamp(*value)
                .map_err(|error| Error::argument("parameter", error.to_string()))?
                .as_microsecond(),
        ),
        Value::Timestamp(value) => DuckValue::Timestamp(TimeUnit::Microsecond, value.as_microsecond()),
        Value::Interval { .. } | Value::List(_) | Value::Map(_) => {
            return Err(Error::argument("parameter", "intervals, lists and maps cannot be bound"));
        }
    })
}

/// Sorts a DuckDB error by the class that its message begins with.
pub(super) fn classify(error: duckdb::Error) -> Error {
    let duckdb::Error::DuckDBFailure(_, Some(message)) = &error else {
        let kind = ErrorKind::Query { class: String::new(), message: error.to_string() };
        return Error::with_source(kind, error);
    };
    super::connection::error_from_message(message)
}
