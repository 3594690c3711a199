//! Rows from Rust into DuckDB as a table: `SELECT * FROM mp_feed(number)`.
//!
//! The crate's appender copies values one by one on one thread. An `INSERT …
//! SELECT` over this table function lets DuckDB take whole Arrow columns as
//! they are, and convert, write and compress them on all of its threads.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_void};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use arrow::array::{Array, RecordBatch, RecordBatchReader, StructArray};
use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use duckdb::ffi;

use super::connection::is_json;
use super::database::{Database, RawConnection, check};

/// Rows that DuckDB takes at a time.
const VECTOR_ROWS: usize = 2_048;

/// The feeds that are open, by their number.
static OPEN: LazyLock<Mutex<HashMap<u64, Arc<Feed>>>> = LazyLock::new(Mutex::default);
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A stream of batches that a query may read, once.
struct Feed {
    schema: SchemaRef,
    threads: u64,
    reader: Mutex<Box<dyn RecordBatchReader + Send>>,
    error: Mutex<Option<ArrowError>>,
    converter: Converter,
}

/// What turns Arrow arrays into DuckDB's vectors.
struct Converter {
    connection: RawConnection,
    schema: ffi::duckdb_arrow_converted_schema,
}

// SAFETY: DuckDB only reads the schema and the connection's settings through it.
unsafe impl Send for Converter {}
// SAFETY: as above.
unsafe impl Sync for Converter {}

impl Drop for Converter {
    fn drop(&mut self) {
        // SAFETY: made by `duckdb_schema_from_arrow`, destroyed once.
        unsafe { ffi::duckdb_destroy_arrow_converted_schema(&mut self.schema) };
    }
}

/// An open feed; closed on drop.
pub(super) struct Opened {
    number: u64,
    feed: Arc<Feed>,
}

impl Opened {
    /// Opens a feed over `reader` for a query of `database`; if `ordered`, one
    /// thread reads it.
    pub(super) fn new(
        database: &Arc<Database>,
        reader: Box<dyn RecordBatchReader + Send>,
        ordered: bool,
    ) -> duckdb::Result<Self> {
        let schema = reader.schema();
        let connection = database.connect_raw()?;
        let mut exported = FFI_ArrowSchema::try_from(&*schema).map_err(|error| {
            duckdb::Error::DuckDBFailure(ffi::Error::new(ffi::DuckDBError), Some(error.to_string()))
        })?;
        let mut converted: ffi::duckdb_arrow_converted_schema = ptr::null_mut();
        // SAFETY: the connection is open and the schema valid; DuckDB copies what
        // it needs and leaves the schema's ownership with us.
        let failure = unsafe {
            ffi::duckdb_schema_from_arrow(connection.raw(), (&raw mut exported).cast(), &mut converted)
        };
        no_error(failure)?;
        let converter = Converter { connection, schema: converted };
        // As many threads as there are: DuckDB has its own limit.
        let threads = if ordered { 1 } else { 64 };
        let feed = Arc::new(Feed {
            schema,
            threads,
            reader: Mutex::new(reader),
            error: Mutex::default(),
            converter,
        });
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        lock(&OPEN).insert(number, Arc::clone(&feed));
        Ok(Opened { number, feed })
    }

    /// The table to select from.
    pub(super) fn table(&self) -> String {
        format!("mp_feed({}::UBIGINT)", self.number)
    }

    /// What the reader failed with, if that is why a query failed.
    pub(super) fn take_error(&self) -> Option<ArrowError> {
        lock(&self.feed.error).take()
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        lock(&OPEN).remove(&self.number);
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Turns DuckDB's error object into ours.
fn no_error(mut data: ffi::duckdb_error_data) -> duckdb::Result<()> {
    if data.is_null() {
        return Ok(());
    }
    // SAFETY: the object is valid, its message is a C string that lives as long;
    // it is destroyed once.
    unsafe {
        let message = CStr::from_ptr(ffi::duckdb_error_data_message(data)).to_string_lossy().into_owned();
        ffi::duckdb_destroy_error_data(&mut data);
        Err(duckdb::Error::DuckDBFailure(ffi::Error::new(ffi::DuckDBError), Some(message)))
    }
}

/// Makes `mp_feed` known to a database.
pub(super) fn register(connection: &RawConnection) -> duckdb::Result<()> {
    // SAFETY: the function object is made, filled and destroyed here; the
    // callbacks have the signatures that DuckDB calls.
    let state = unsafe {
        let mut function = ffi::duckdb_create_table_function();
        let mut number = ffi::duckdb_create_logical_type(ffi::DUCKDB_TYPE_DUCKDB_TYPE_UBIGINT);
        ffi::duckdb_table_function_set_name(function, c"mp_feed".as_ptr());
        ffi::duckdb_table_function_add_parameter(function, number);
        ffi::duckdb_table_function_set_bind(function, Some(bind));
        ffi::duckdb_table_function_set_init(function, Some(init));
        ffi::duckdb_table_function_set_local_init(function, Some(init_local));
        ffi::duckdb_table_function_set_function(function, Some(next_rows));
        let state = ffi::duckdb_register_table_function(connection.raw(), function);
        ffi::duckdb_destroy_logical_type(&mut number);
        ffi::duckdb_destroy_table_function(&mut function);
        state
    };
    check(state, "registering mp_feed")
}

/// The DuckDB type of a field; `None` for types that no table of ours has.
fn type_of(field: &Field) -> Option<ffi::duckdb_type> {
    Some(match field.data_type() {
        DataType::Boolean => ffi::DUCKDB_TYPE_DUCKDB_TYPE_BOOLEAN,
        DataType::Int32 => ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER,
        DataType::Int64 => ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT,
        DataType::Float64 => ffi::DUCKDB_TYPE_DUCKDB_TYPE_DOUBLE,
        DataType::Utf8 | DataType::Utf8View => ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR,
        DataType::Binary => ffi::DUCKDB_TYPE_DUCKDB_TYPE_BLOB,
        DataType::Date32 => ffi::DUCKDB_TYPE_DUCKDB_TYPE_DATE,
        DataType::Timestamp(TimeUnit::Microsecond, None) => ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP,
        _ => return None,
    })
}

/// Finds the feed and tells DuckDB its columns.
///
/// # Safety
/// Called by DuckDB with a valid `info`.
unsafe extern "C" fn bind(info: ffi::duckdb_bind_info) {
    // SAFETY: `info` is valid during the call; values and types are destroyed
    // here; the bind data is a boxed `Arc` that `drop_feed` takes back.
    unsafe {
        let mut value = ffi::duckdb_bind_get_parameter(info, 0);
        let number = ffi::duckdb_get_uint64(value);
        ffi::duckdb_destroy_value(&mut value);
        let Some(feed) = lock(&OPEN).get(&number).cloned() else {
            ffi::duckdb_bind_set_error(
                info,
                c"mp_feed is for this library's own use: there is no such feed".as_ptr(),
            );
            return;
        };
        for field in feed.schema.fields() {
            let (Some(kind), Ok(name)) = (type_of(field), CString::new(field.name().as_str())) else {
                ffi::duckdb_bind_set_error(info, c"mp_feed: a column of an unexpected type or name".as_ptr());
                return;
            };
            let mut logical = ffi::duckdb_create_logical_type(kind);
            if is_json(field) {
                ffi::duckdb_logical_type_set_alias(logical, c"JSON".as_ptr());
            }
            ffi::duckdb_bind_add_result_column(info, name.as_ptr(), logical);
            ffi::duckdb_destroy_logical_type(&mut logical);
        }
        ffi::duckdb_bind_set_bind_data(info, Box::into_raw(Box::new(feed)).cast(), Some(drop_feed));
    }
}

/// # Safety
/// `data` is the pointer that `bind` gave away.
unsafe extern "C" fn drop_feed(data: *mut c_void) {
    // SAFETY: see above; DuckDB calls it once.
    drop(unsafe { Box::from_raw(data.cast::<Arc<Feed>>()) });
}

/// # Safety
/// Called by DuckDB with a valid `info`.
unsafe extern "C" fn init(info: ffi::duckdb_init_info) {
    // SAFETY: `info` is valid, and its bind data are those that `bind` set.
    unsafe {
        let feed = &*ffi::duckdb_init_get_bind_data(info).cast::<Arc<Feed>>();
        ffi::duckdb_init_set_max_threads(info, feed.threads);
    }
}

/// What one of DuckDB's threads is working on.
#[derive(Default)]
struct Local {
    batch: Option<RecordBatch>,
    done: usize,
}

/// # Safety
/// Called by DuckDB with a valid `info`.
unsafe extern "C" fn init_local(info: ffi::duckdb_init_info) {
    let local = Box::into_raw(Box::<Local>::default());
    // SAFETY: `info` is valid; `drop_local` takes the box back.
    unsafe { ffi::duckdb_init_set_init_data(info, local.cast(), Some(drop_local)) };
}

/// # Safety
/// `data` is the pointer that `init_local` gave away.
unsafe extern "C" fn drop_local(data: *mut c_void) {
    // SAFETY: see above; DuckDB calls it once.
    drop(unsafe { Box::from_raw(data.cast::<Local>()) });
}

/// Fills `output` with the next rows, or leaves it empty at the end.
///
/// # Safety
/// Called by DuckDB with valid arguments.
unsafe extern "C" fn next_rows(info: ffi::duckdb_function_info, output: ffi::duckdb_data_chunk) {
    // SAFETY: the data are those that `bind` and `init_local` set; the local
    // ones belong to this thread.
    let (feed, local) = unsafe {
        (
            &*ffi::duckdb_function_get_bind_data(info).cast::<Arc<Feed>>(),
            &mut *ffi::duckdb_function_get_local_init_data(info).cast::<Local>(),
        )
    };
    // A panic must not cross into C++.
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let Some(rows) = local.next(feed)? else { return Ok(()) };
        // SAFETY: DuckDB passes a valid, empty chunk with the columns of `bind`.
        unsafe { feed.converter.fill(rows, output) }
    }));
    let message = match outcome {
        Ok(Ok(())) => return,
        Ok(Err(message)) => message,
        Err(_) => "a source of rows panicked".to_owned(),
    };
    let message = CString::new(message.replace('\0', " ")).unwrap_or_default();
    // SAFETY: `info` is valid, the text lives during the call.
    unsafe { ffi::duckdb_function_set_error(info, message.as_ptr()) };
}

impl Local {
    fn next(&mut self, feed: &Feed) -> Result<Option<RecordBatch>, String> {
        loop {
            if let Some(batch) = &self.batch {
                let rows = (batch.num_rows() - self.done).min(VECTOR_ROWS);
                if rows > 0 {
                    let slice = batch.slice(self.done, rows);
                    self.done += rows;
                    return Ok(Some(slice));
                }
            }
            (self.batch, self.done) = (None, 0);
            match lock(&feed.reader).next() {
                None => return Ok(None),
                Some(Ok(batch)) => self.batch = Some(batch),
                Some(Err(error)) => {
                    let message = error.to_string();
                    lock(&feed.error).get_or_insert(error);
                    return Err(message);
                }
            }
        }
    }
}

impl Converter {
    /// # Safety
    /// `output` is a chunk with the columns of this converter's schema.
    unsafe fn fill(&self, rows: RecordBatch, output: ffi::duckdb_data_chunk) -> Result<(), String> {
        let count = rows.num_rows();
        let columns = rows.num_columns();
        let mut array = FFI_ArrowArray::new(&StructArray::from(rows).to_data());
        let mut converted: ffi::duckdb_data_chunk = ptr::null_mut();
        // SAFETY: everything is valid for the calls. DuckDB takes the array over
        // and marks it released; the vectors keep what they refer to alive after
        // the converted chunk is destroyed.
        unsafe {
            no_error(ffi::duckdb_data_chunk_from_arrow(
                self.connection.raw(),
                (&raw mut array).cast(),
                self.schema,
                &mut converted,
            ))
            .map_err(|error| error.to_string())?;
            for column in 0..columns as u64 {
                ffi::duckdb_vector_reference_vector(
                    ffi::duckdb_data_chunk_get_vector(output, column),
                    ffi::duckdb_data_chunk_get_vector(converted, column),
                );
            }
            ffi::duckdb_data_chunk_set_size(output, count as u64);
            ffi::duckdb_destroy_data_chunk(&mut converted);
        }
        Ok(())
    }
}
