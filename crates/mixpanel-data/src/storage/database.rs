//! The database itself, opened through DuckDB's C interface.
//!
//! The Rust wrapper opens databases too, but gives no way to register casts,
//! and without ICU, which a DuckDB compiled from the crate's sources lacks, two
//! are missing that people write every day: `now()::DATE` and `now()::TIME`.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

use duckdb::{Connection, Error, Result, ffi};

/// An open database. Closed when the last connection is gone.
pub(super) struct Database {
    raw: ffi::duckdb_database,
    icu: bool,
}

// SAFETY: a DuckDB database may be used and closed from any thread; its own
// locks serialise what needs it.
unsafe impl Send for Database {}
// SAFETY: as above.
unsafe impl Sync for Database {}

impl Database {
    /// The version of the DuckDB that was loaded, such as `v2.0.1`.
    pub(super) fn version() -> String {
        // SAFETY: a static C string.
        unsafe { CStr::from_ptr(ffi::duckdb_library_version()) }.to_string_lossy().into_owned()
    }

    /// Opens the file at `path`, or a fresh database in memory.
    pub(super) fn open(path: Option<&Path>, settings: &[(&str, String)]) -> Result<Arc<Self>> {
        let path = match path {
            Some(path) => CString::new(path.as_os_str().as_bytes())?,
            None => c":memory:".to_owned(),
        };
        let config = Config::new(settings)?;
        let mut raw: ffi::duckdb_database = ptr::null_mut();
        let mut message = ptr::null_mut();
        // SAFETY: all pointers are valid for the call; `message`, when set, is a
        // C string that we free.
        let state = unsafe { ffi::duckdb_open_ext(path.as_ptr(), &mut raw, config.0, &mut message) };
        if state != ffi::DuckDBSuccess {
            return Err(Error::DuckDBFailure(ffi::Error::new(state), take_text(message)));
        }
        let mut database = Database { raw, icu: false };
        // The setting is ICU's. The session is in UTC on every machine.
        database.icu = database.connect()?.execute_batch("SET GLOBAL TimeZone = 'UTC'").is_ok();
        let database = Arc::new(database);
        let connection = database.connect_raw()?;
        if !database.icu {
            Self::register_casts(&connection)?;
        }
        super::feed::register(&connection)?;
        drop(connection);
        Ok(database)
    }

    /// Whether DuckDB brings its ICU extension, and with it everything about
    /// `TIMESTAMP WITH TIME ZONE` that [`super::functions`] stands in for.
    pub(super) fn has_icu(&self) -> bool {
        self.icu
    }

    /// A new connection. It must not outlive the database.
    pub(super) fn connect(&self) -> Result<Connection> {
        // SAFETY: the database is open.
        unsafe { Connection::open_from_raw(self.raw) }
    }

    /// A connection for DuckDB's C functions.
    pub(super) fn connect_raw(self: &Arc<Self>) -> Result<RawConnection> {
        let mut connection: ffi::duckdb_connection = ptr::null_mut();
        // SAFETY: the database is open; `RawConnection` keeps it so and disconnects.
        let state = unsafe { ffi::duckdb_connect(self.raw, &mut connection) };
        check(state, "connecting")?;
        Ok(RawConnection { connection, _database: Arc::clone(self) })
    }

    fn register_casts(connection: &RawConnection) -> Result<()> {
        let from = ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_TZ;
        let casts = [
            (ffi::DUCKDB_TYPE_DUCKDB_TYPE_DATE, to_date as Cast),
            (ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIME, to_time as Cast),
        ];
        casts.into_iter().try_for_each(|(to, cast)| {
            // SAFETY: the objects are made and destroyed here; the callback has
            // the signature that DuckDB calls, and the types it was written for.
            let state = unsafe {
                let mut function = ffi::duckdb_create_cast_function();
                let mut source = ffi::duckdb_create_logical_type(from);
                let mut target = ffi::duckdb_create_logical_type(to);
                ffi::duckdb_cast_function_set_source_type(function, source);
                ffi::duckdb_cast_function_set_target_type(function, target);
                ffi::duckdb_cast_function_set_function(function, Some(cast));
                let state = ffi::duckdb_register_cast_function(connection.raw(), function);
                ffi::duckdb_destroy_logical_type(&mut source);
                ffi::duckdb_destroy_logical_type(&mut target);
                ffi::duckdb_destroy_cast_function(&mut function);
                state
            };
            check(state, "registering a cast")
        })
    }
}

/// A connection as DuckDB's C functions know it. Closed on drop.
pub(super) struct RawConnection {
    connection: ffi::duckdb_connection,
    _database: Arc<Database>,
}

impl RawConnection {
    pub(super) fn raw(&self) -> ffi::duckdb_connection {
        self.connection
    }
}

impl Drop for RawConnection {
    fn drop(&mut self) {
        // SAFETY: opened by `connect_raw`, closed once, before the database.
        unsafe { ffi::duckdb_disconnect(&mut self.connection) };
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // SAFETY: opened by `open`, closed once.
        unsafe { ffi::duckdb_close(&mut self.raw) };
    }
}

/// DuckDB's settings for opening, freed on drop.
struct Config(ffi::duckdb_config);

impl Config {
    fn new(settings: &[(&str, String)]) -> Result<Self> {
        let mut config = Config(ptr::null_mut());
        // SAFETY: the pointer is valid for the call.
        check(unsafe { ffi::duckdb_create_config(&mut config.0) }, "making a configuration")?;
        for (name, value) in settings {
            let (c_name, c_value) = (CString::new(*name)?, CString::new(value.as_str())?);
            // SAFETY: the configuration and both texts are valid.
            let state = unsafe { ffi::duckdb_set_config(config.0, c_name.as_ptr(), c_value.as_ptr()) };
            check(state, &format!("setting {name} to '{value}'"))?;
        }
        Ok(config)
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: made by `new`, or null, which DuckDB accepts.
        unsafe { ffi::duckdb_destroy_config(&mut self.0) };
    }
}

pub(super) fn check(state: ffi::duckdb_state, what: &str) -> Result<()> {
    if state == ffi::DuckDBSuccess {
        return Ok(());
    }
    Err(Error::DuckDBFailure(ffi::Error::new(state), Some(format!("Invalid Input Error: {what} failed"))))
}

/// A message of DuckDB's, freed.
fn take_text(message: *mut std::os::raw::c_char) -> Option<String> {
    if message.is_null() {
        return None;
    }
    // SAFETY: DuckDB gave a C string that is ours to free.
    unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        ffi::duckdb_free(message.cast());
        Some(text)
    }
}

type Cast = unsafe extern "C" fn(
    ffi::duckdb_function_info,
    ffi::idx_t,
    ffi::duckdb_vector,
    ffi::duckdb_vector,
) -> bool;

/// Reads instants (microseconds) and writes what `f` makes of them; `None` and
/// NULL become NULL.
///
/// # Safety
/// `input` must be a vector of TIMESTAMPTZ and `output` one of `T`'s type, both
/// of at least `count` rows.
unsafe fn convert<T>(
    count: ffi::idx_t,
    input: ffi::duckdb_vector,
    output: ffi::duckdb_vector,
    f: impl Fn(i64) -> Option<T>,
) -> bool {
    // SAFETY: the caller's promise; validity masks are as long as the vectors.
    unsafe {
        let source = ffi::duckdb_vector_get_data(input).cast::<i64>();
        let target = ffi::duckdb_vector_get_data(output).cast::<T>();
        let validity = ffi::duckdb_vector_get_validity(input);
        for row in 0..count {
            let present = validity.is_null() || ffi::duckdb_validity_row_is_valid(validity, row);
            match present.then(|| source.add(row as usize).read()).and_then(&f) {
                Some(value) => target.add(row as usize).write(value),
                None => {
                    ffi::duckdb_vector_ensure_validity_writable(output);
                    ffi::duckdb_validity_set_row_invalid(ffi::duckdb_vector_get_validity(output), row);
                }
            }
        }
    }
    true
}

const DAY: i64 = 86_400_000_000;

/// The day in UTC; infinities stay infinite.
fn day(micros: i64) -> i32 {
    match micros {
        i64::MAX => i32::MAX,
        micros if micros == -i64::MAX => -i32::MAX,
        // The range of timestamps is 106 million days.
        micros => micros.div_euclid(DAY) as i32,
    }
}

unsafe extern "C" fn to_date(
    _: ffi::duckdb_function_info,
    count: ffi::idx_t,
    input: ffi::duckdb_vector,
    output: ffi::duckdb_vector,
) -> bool {
    // SAFETY: DuckDB calls this for TIMESTAMPTZ to DATE, a 32-bit number of days.
    unsafe { convert::<i32>(count, input, output, |micros| Some(day(micros))) }
}

unsafe extern "C" fn to_time(
    _: ffi::duckdb_function_info,
    count: ffi::idx_t,
    input: ffi::duckdb_vector,
    output: ffi::duckdb_vector,
) -> bool {
    // SAFETY: DuckDB calls this for TIMESTAMPTZ to TIME, 64-bit microseconds of the day.
    unsafe {
        convert::<i64>(count, input, output, |micros| {
            (!super::functions::is_infinite(micros)).then(|| micros.rem_euclid(DAY))
        })
    }
}
