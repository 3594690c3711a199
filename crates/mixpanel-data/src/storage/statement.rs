//! Statements and their results, through DuckDB's C interface.
//!
//! SQL and values enter; record batches leave, and what kind of statement it was. The Rust wrapper
//! tells neither that kind nor whether a result is one of rows or a count of changed ones.

use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::sync::Arc;

use arrow::array::{RecordBatch, StructArray};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi};
use duckdb::ffi;

use super::connection::{Returns, StatementKind, error_from_message};
use super::database::RawConnection;
use crate::error::{Error, Result};
use crate::value::Value;

/// The statements of a text, as DuckDB's parser cuts them.
pub(super) struct Statements<'a> {
    connection: &'a RawConnection,
    raw: ffi::duckdb_extracted_statements,
    count: u64,
}

impl<'a> Statements<'a> {
    /// Parses a text. One without a statement is an error, as DuckDB has it.
    pub(super) fn parse(connection: &'a RawConnection, sql: &str) -> Result<Self> {
        let text = c_text(sql)?;
        let mut raw = ptr::null_mut();
        // SAFETY: the connection is open, the text is a C string; `raw` is ours to destroy.
        let count = unsafe { ffi::duckdb_extract_statements(connection.raw(), text.as_ptr(), &mut raw) };
        let statements = Statements { connection, raw, count };
        if count == 0 {
            // SAFETY: the object is valid or null; its message lives as long.
            let message = (!raw.is_null())
                .then(|| unsafe { text_of(ffi::duckdb_extract_statements_error(raw)) })
                .flatten();
            let message = message.unwrap_or_else(|| "Parser Error: there is no statement".to_owned());
            return Err(error_from_message(&message));
        }
        Ok(statements)
    }

    /// Prepares each, and tells its kind. What refers to something that an earlier one makes
    /// cannot be prepared before that has run.
    pub(super) fn kinds(&self) -> Vec<StatementKind> {
        let kind = |at| self.prepare(at).map_or(StatementKind::Unknown, |statement| statement.kind());
        (0..self.count).map(kind).collect()
    }

    /// Runs all but the last one, and prepares that.
    pub(super) fn prepare_last(&self) -> Result<Prepared> {
        for at in 0..self.count - 1 {
            self.prepare(at)?.run(false)?;
        }
        self.prepare(self.count - 1)
    }

    fn prepare(&self, at: u64) -> Result<Prepared> {
        let mut statement = Prepared(ptr::null_mut());
        // SAFETY: all objects are valid, and `at` is below the count.
        let state = unsafe {
            ffi::duckdb_prepare_extracted_statement(self.connection.raw(), self.raw, at, &mut statement.0)
        };
        if state == ffi::DuckDBSuccess { Ok(statement) } else { Err(statement.error()) }
    }
}

impl Drop for Statements<'_> {
    fn drop(&mut self) {
        // SAFETY: made by `parse`, destroyed once; null is accepted.
        unsafe { ffi::duckdb_destroy_extracted(&mut self.raw) };
    }
}

/// A prepared statement.
pub(super) struct Prepared(ffi::duckdb_prepared_statement);

impl Prepared {
    fn error(&self) -> Error {
        // SAFETY: the object is valid or null; its message lives as long.
        let message = (!self.0.is_null()).then(|| unsafe { text_of(ffi::duckdb_prepare_error(self.0)) });
        error_from_message(&message.flatten().unwrap_or_else(|| "a statement cannot be prepared".to_owned()))
    }

    /// What it is.
    pub(super) fn kind(&self) -> StatementKind {
        // SAFETY: the statement is prepared.
        kind_of(unsafe { ffi::duckdb_prepared_statement_type(self.0) })
    }

    /// Gives a parameter its value; the first one is 1.
    pub(super) fn bind(&self, at: u64, value: &Value) -> Result<()> {
        let varchar = |text: &str| {
            // SAFETY: DuckDB copies the text, which has this length.
            unsafe {
                ffi::duckdb_bind_varchar_length(self.0, at, text.as_ptr().cast::<c_char>(), text.len() as u64)
            }
        };
        let timestamp = |instant: jiff::Timestamp| {
            let instant = ffi::duckdb_timestamp { micros: instant.as_microsecond() };
            // SAFETY: a plain value.
            unsafe { ffi::duckdb_bind_timestamp(self.0, at, instant) }
        };
        // SAFETY: the statement is prepared, the values are plain or copied.
        let state = unsafe {
            match value {
                Value::Null => ffi::duckdb_bind_null(self.0, at),
                Value::Boolean(value) => ffi::duckdb_bind_boolean(self.0, at, *value),
                Value::Integer(value) => match i64::try_from(*value) {
                    Ok(small) => ffi::duckdb_bind_int64(self.0, at, small),
                    Err(_) => {
                        let large =
                            ffi::duckdb_hugeint { lower: *value as u64, upper: (*value >> 64) as i64 };
                        ffi::duckdb_bind_hugeint(self.0, at, large)
                    }
                },
                Value::Double(value) => ffi::duckdb_bind_double(self.0, at, *value),
                Value::Text(text) | Value::Decimal(text) => varchar(text),
                Value::Date(date) => {
                    let days = (*date - jiff::civil::date(1970, 1, 1)).get_days();
                    ffi::duckdb_bind_date(self.0, at, ffi::duckdb_date { days })
                }
                Value::Time(time) => {
                    let since = time.duration_since(jiff::civil::Time::midnight());
                    let micros = i64::try_from(since.as_micros()).unwrap_or_default();
                    ffi::duckdb_bind_time(self.0, at, ffi::duckdb_time { micros })
                }
                Value::Blob(bytes) => {
                    ffi::duckdb_bind_blob(self.0, at, bytes.as_ptr().cast(), bytes.len() as u64)
                }
                Value::DateTime(value) => timestamp(
                    jiff::tz::Offset::UTC
                        .to_timestamp(*value)
                        .map_err(|error| Error::argument("parameter", error.to_string()))?,
                ),
                Value::Timestamp(value) => timestamp(*value),
                Value::Interval { .. } | Value::List(_) | Value::Map(_) => {
                    return Err(Error::argument("parameter", "intervals, lists and maps cannot be bound"));
                }
            }
        };
        if state == ffi::DuckDBSuccess { Ok(()) } else { Err(self.error()) }
    }

    /// Runs it; a result that streams is computed as it is read.
    pub(super) fn run(&self, streaming: bool) -> Result<Answer> {
        // SAFETY: all-zero bytes are an empty result, which the call fills in, also when it fails;
        // `Answer` destroys it.
        unsafe {
            let mut result: ffi::duckdb_result = std::mem::zeroed();
            let state = if streaming {
                ffi::duckdb_execute_prepared_streaming(self.0, &mut result)
            } else {
                ffi::duckdb_execute_prepared(self.0, &mut result)
            };
            let mut answer = Answer { result, options: ptr::null_mut() };
            if state == ffi::DuckDBSuccess {
                return Ok(answer);
            }
            Err(answer.error().unwrap_or_else(|| error_from_message("a statement failed without a reason")))
        }
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // SAFETY: made by DuckDB, destroyed once; null is accepted.
        unsafe { ffi::duckdb_destroy_prepare(&mut self.0) };
    }
}

/// What running a statement gave.
pub(super) struct Answer {
    result: ffi::duckdb_result,
    options: ffi::duckdb_arrow_options,
}

impl Answer {
    fn error(&mut self) -> Option<Error> {
        // SAFETY: the result is valid; its message lives as long.
        unsafe { text_of(ffi::duckdb_result_error(&mut self.result)) }.map(|text| error_from_message(&text))
    }

    /// What the statement gives back.
    pub(super) fn returns(&self) -> Returns {
        // SAFETY: the result is valid; the call only reads it.
        match unsafe { ffi::duckdb_result_return_type(self.result) } {
            ffi::duckdb_result_type_DUCKDB_RESULT_TYPE_CHANGED_ROWS => Returns::Changed,
            ffi::duckdb_result_type_DUCKDB_RESULT_TYPE_NOTHING => Returns::Nothing,
            _ => Returns::Rows,
        }
    }

    /// How many rows the statement changed. For a result that does not stream.
    pub(super) fn changed(&mut self) -> u64 {
        // SAFETY: the result is valid.
        unsafe { ffi::duckdb_rows_changed(&mut self.result) }
    }

    /// The columns, and the rows to come.
    pub(super) fn rows(mut self) -> Result<RowsOf> {
        let mut exported = FFI_ArrowSchema::empty();
        // SAFETY: the result is valid; names and types live across the call, after which the types
        // are destroyed; the schema is filled in for us to release.
        unsafe {
            self.options = ffi::duckdb_result_get_arrow_options(&mut self.result);
            let count = ffi::duckdb_column_count(&mut self.result);
            let mut types = Types::with_capacity(count);
            let mut names: Vec<*const c_char> = Vec::new();
            for at in 0..count {
                let kind = ffi::duckdb_column_logical_type(&mut self.result, at);
                types.0.push(kind);
                if is_variant(kind) {
                    return Err(error_from_message(&format!(
                        "Not implemented Error: column {} is a VARIANT, which has no Arrow type: cast it, for instance to JSON",
                        at + 1
                    )));
                }
                names.push(ffi::duckdb_column_name(&mut self.result, at));
            }
            no_error(ffi::duckdb_to_arrow_schema(
                self.options,
                types.0.as_mut_ptr(),
                names.as_mut_ptr(),
                count,
                (&raw mut exported).cast(),
            ))?;
        }
        let schema = Arc::new(Schema::try_from(&exported).map_err(of_arrow)?);
        Ok(RowsOf { answer: self, exported, schema, done: false })
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: both were made by DuckDB and are destroyed once; null is accepted.
        unsafe {
            ffi::duckdb_destroy_arrow_options(&mut self.options);
            ffi::duckdb_destroy_result(&mut self.result);
        }
    }
}

/// The rows of a result, batch by batch.
pub(super) struct RowsOf {
    answer: Answer,
    exported: FFI_ArrowSchema,
    schema: SchemaRef,
    done: bool,
}

impl RowsOf {
    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The next batch; none at the end, and after an error.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.done {
            return Ok(None);
        }
        let batch = self.fetch();
        self.done = !matches!(batch, Ok(Some(_)));
        batch
    }

    fn fetch(&mut self) -> Result<Option<RecordBatch>> {
        // SAFETY: the result is valid; the chunk is destroyed here, and the array is filled in for
        // us to release, with the types of the exported schema.
        unsafe {
            let mut chunk = ffi::duckdb_fetch_chunk(self.answer.result);
            if chunk.is_null() || ffi::duckdb_data_chunk_get_size(chunk) == 0 {
                ffi::duckdb_destroy_data_chunk(&mut chunk);
                return self.answer.error().map_or(Ok(None), Err);
            }
            let mut array = FFI_ArrowArray::empty();
            let failure =
                ffi::duckdb_data_chunk_to_arrow(self.answer.options, chunk, (&raw mut array).cast());
            ffi::duckdb_destroy_data_chunk(&mut chunk);
            no_error(failure)?;
            let data = from_ffi(array, &self.exported).map_err(of_arrow)?;
            Ok(Some(RecordBatch::from(StructArray::from(data))))
        }
    }
}

/// Logical types, destroyed on drop.
struct Types(Vec<ffi::duckdb_logical_type>);

impl Types {
    fn with_capacity(count: u64) -> Self {
        Types(Vec::with_capacity(count as usize))
    }
}

impl Drop for Types {
    fn drop(&mut self) {
        for kind in &mut self.0 {
            // SAFETY: given by DuckDB for us to destroy, once.
            unsafe { ffi::duckdb_destroy_logical_type(kind) };
        }
    }
}

/// Whether a type is VARIANT, or has one within.
///
/// # Safety
/// `kind` must be a valid logical type.
unsafe fn is_variant(kind: ffi::duckdb_logical_type) -> bool {
    let within = |mut child: ffi::duckdb_logical_type| {
        // SAFETY: the child is ours, and destroyed once.
        unsafe {
            let found = is_variant(child);
            ffi::duckdb_destroy_logical_type(&mut child);
            found
        }
    };
    // SAFETY: the caller's promise; each question fits the type it is asked of.
    unsafe {
        match ffi::duckdb_get_type_id(kind) {
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARIANT => true,
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_LIST => within(ffi::duckdb_list_type_child_type(kind)),
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_ARRAY => within(ffi::duckdb_array_type_child_type(kind)),
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_MAP => within(ffi::duckdb_map_type_value_type(kind)),
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_STRUCT => (0..ffi::duckdb_struct_type_child_count(kind))
                .any(|at| within(ffi::duckdb_struct_type_child_type(kind, at))),
            _ => false,
        }
    }
}

fn kind_of(kind: ffi::duckdb_statement_type) -> StatementKind {
    match kind {
        ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_SELECT => StatementKind::Select,
        ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_EXPLAIN => StatementKind::Explain,
        ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_CALL => StatementKind::Call,
        ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_EXECUTE => StatementKind::Execute,
        ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_INSERT
        | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_UPDATE
        | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_DELETE
        | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_MERGE_INTO => StatementKind::Change,
        ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_CREATE
        | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_CREATE_FUNC => StatementKind::Create,
        ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_ALTER
        | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_DROP => StatementKind::Alter,
        ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_COPY
        | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_EXPORT
        | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_COPY_DATABASE => StatementKind::Copy,
        ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_PREPARE => StatementKind::Prepare,
        ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_SET
        | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_VARIABLE_SET
        | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_PRAGMA => StatementKind::Set,
        ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_TRANSACTION => StatementKind::Transaction,
        ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_ATTACH
        | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_DETACH => StatementKind::Attach,
        ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_LOAD
        | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_UPDATE_EXTENSIONS => StatementKind::Load,
        ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_VACUUM
        | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_ANALYZE => StatementKind::Maintain,
        _ => StatementKind::Unknown,
    }
}

/// SQL as a C string.
pub(super) fn c_text(sql: &str) -> Result<CString> {
    CString::new(sql).map_err(|_| Error::argument("sql", "it has a character NUL in it"))
}

/// # Safety
/// `text` must be null or a C string.
unsafe fn text_of(text: *const c_char) -> Option<String> {
    // SAFETY: the caller's promise.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// Turns DuckDB's error object into ours.
///
/// # Safety
/// `data` must be null or an error object that is ours to destroy.
unsafe fn no_error(mut data: ffi::duckdb_error_data) -> Result<()> {
    if data.is_null() {
        return Ok(());
    }
    // SAFETY: the caller's promise; the message lives as long as the object.
    unsafe {
        let failed = ffi::duckdb_error_data_has_error(data);
        let message = text_of(ffi::duckdb_error_data_message(data)).unwrap_or_default();
        ffi::duckdb_destroy_error_data(&mut data);
        if failed { Err(error_from_message(&message)) } else { Ok(()) }
    }
}

fn of_arrow(error: arrow::error::ArrowError) -> Error {
    super::connection::error_of_reader(error)
}
