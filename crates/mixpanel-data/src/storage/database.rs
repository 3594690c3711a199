//! The database itself, opened through DuckDB's C interface.
//!
//! The Rust wrapper opens databases too, but gives no way to register casts,
//! and without ICU, which a DuckDB compiled from the crate's sources lacks, two
//! are missing that people write every day: `now()::DATE` and `now()::TIME`.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use duckdb::{Connection, Error, Result, ffi};

use super::connection::Interrupt;
use super::functions::casts;
use super::session;

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
        database.icu = session::settle(&database.connect()?);
        let database = Arc::new(database);
        let connection = database.connect_raw()?;
        if !database.icu {
            session::register(&connection)?;
        }
        casts::register(&connection, !database.icu)?;
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
        let connection = unsafe { Connection::open_from_raw(self.raw)? };
        // Fails where the configuration is locked, and then nobody can change it.
        let _ = session::settle_session(&connection);
        Ok(connection)
    }

    /// A connection for DuckDB's C functions.
    pub(super) fn connect_raw(self: &Arc<Self>) -> Result<RawConnection> {
        let mut connection: ffi::duckdb_connection = ptr::null_mut();
        // SAFETY: the database is open; `RawConnection` keeps it so and disconnects.
        let state = unsafe { ffi::duckdb_connect(self.raw, &mut connection) };
        check(state, "connecting")?;
        let shared = Arc::new(Interruptible(Mutex::new(connection)));
        Ok(RawConnection { connection, shared, _database: Arc::clone(self) })
    }
}

/// A connection as DuckDB's C functions know it. Closed on drop.
pub(super) struct RawConnection {
    connection: ffi::duckdb_connection,
    shared: Arc<Interruptible>,
    _database: Arc<Database>,
}

// SAFETY: a connection may be used from any thread, by one at a time, which `&mut` and the engine's
// locks see to.
unsafe impl Send for RawConnection {}

impl RawConnection {
    pub(super) fn raw(&self) -> ffi::duckdb_connection {
        self.connection
    }

    /// A handle by which another thread stops what the connection is doing.
    pub(super) fn interrupt_handle(&self) -> Arc<Interruptible> {
        Arc::clone(&self.shared)
    }
}

/// A connection that can be interrupted as long as it is open.
pub(super) struct Interruptible(Mutex<ffi::duckdb_connection>);

// SAFETY: interrupting is made to be called from other threads; the lock keeps closing apart from it.
unsafe impl Send for Interruptible {}
// SAFETY: as above.
unsafe impl Sync for Interruptible {}

impl Interrupt for Interruptible {
    fn interrupt(&self) {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !connection.is_null() {
            // SAFETY: it is open, and is not closed while we hold the lock.
            unsafe { ffi::duckdb_interrupt(*connection) };
        }
    }
}

impl Drop for RawConnection {
    fn drop(&mut self) {
        let mut connection = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: opened by `connect_raw`, closed once, before the database; the call leaves null.
        unsafe { ffi::duckdb_disconnect(&mut *connection) };
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
pub(super) fn take_text(message: *mut std::os::raw::c_char) -> Option<String> {
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
