//! [`SqlConnection`] over the DuckDB that this crate is linked with, or that is compiled into it.

use std::ffi::CStr;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatchReader;
use duckdb::ffi;

use super::connection::{
    BatchSink, Interrupt, SqlConnection, StatementKind, Target, error_from_message, error_of_reader,
    insert_sql,
};
use super::database::{Database, RawConnection};
use super::feed::Opened;
use super::session::{refuse_changes, settle_raw};
use super::statement::{Statements, c_text};
use crate::error::{Error, ErrorKind, Result};
use crate::value::Value;

pub(super) struct Bundled {
    connection: RawConnection,
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
    if !database.has_icu() {
        super::functions::register(&database.connect().map_err(classify)?).map_err(classify)?;
    }
    let connection = database.connect_raw().map_err(classify)?;
    settle_raw(&connection);
    execute(&connection, WRITER)?;
    Ok(Bundled { connection, database })
}

impl SqlConnection for Bundled {
    fn execute(&mut self, sql: &str) -> Result<()> {
        refuse_changes(&self.database, sql)?;
        execute(&self.connection, sql)
    }

    fn query(&mut self, sql: &str, params: &[Value], sink: &mut dyn BatchSink) -> Result<()> {
        refuse_changes(&self.database, sql)?;
        let statement = Statements::parse(&self.connection, sql)?.prepare_last()?;
        for (at, value) in params.iter().enumerate() {
            statement.bind(at as u64 + 1, value)?;
        }
        let answer = statement.run(true)?;
        sink.returns(answer.returns())?;
        let mut rows = answer.rows()?;
        sink.schema(rows.schema())?;
        while let Some(batch) = rows.next()? {
            sink.batch(batch)?;
        }
        Ok(())
    }

    fn statements(&mut self, sql: &str) -> Result<Vec<StatementKind>> {
        Ok(Statements::parse(&self.connection, sql)?.kinds())
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
        let insert = || Ok(Statements::parse(&self.connection, &sql)?.prepare_last()?.run(false)?.changed());
        let inserted = insert();
        match feed.take_error() {
            Some(error) => Err(error_of_reader(error)),
            None => inserted,
        }
    }

    fn cursor(&self) -> Result<Box<dyn SqlConnection>> {
        let connection = self.database.connect_raw().map_err(classify)?;
        settle_raw(&connection);
        Ok(Box::new(Bundled { connection, database: Arc::clone(&self.database) }))
    }

    fn interrupt_handle(&self) -> Arc<dyn Interrupt> {
        self.connection.interrupt_handle()
    }
}

/// Runs statements for their effect.
fn execute(connection: &RawConnection, sql: &str) -> Result<()> {
    let text = c_text(sql)?;
    // SAFETY: the connection is open, the text is a C string; all-zero bytes are an empty result,
    // which the call fills in, also when it fails, and which is destroyed once.
    unsafe {
        let mut result: ffi::duckdb_result = std::mem::zeroed();
        let state = ffi::duckdb_query(connection.raw(), text.as_ptr(), &mut result);
        let message = ffi::duckdb_result_error(&mut result);
        let outcome = match state {
            ffi::DuckDBSuccess => Ok(()),
            _ if message.is_null() => Err(error_from_message("a statement failed without a reason")),
            _ => Err(error_from_message(&CStr::from_ptr(message).to_string_lossy())),
        };
        ffi::duckdb_destroy_result(&mut result);
        outcome
    }
}

/// Sorts a DuckDB error by the class that its message begins with.
pub(super) fn classify(error: duckdb::Error) -> Error {
    let duckdb::Error::DuckDBFailure(_, Some(message)) = &error else {
        let kind = ErrorKind::Query { class: String::new(), message: error.to_string() };
        return Error::with_source(kind, error);
    };
    super::connection::error_from_message(message)
}
