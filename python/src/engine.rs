//! The storage engine as Python holds it: opened, asked, written, closed.
//!
//! Every call gives up the GIL before it takes one of the engine's locks, so a
//! thread that has such a lock can always get the GIL.

use std::cell::RefCell;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::ffi_stream::RecordBatchStreamReader;
use mixpanel_data::{
    ErrorKind, EventRecord, MemoryOptions, ProfileRecord, Progress, Result, Rows, SnapshotOptions,
    StorageEngine, StorageMode, TableKind, TableMetadata,
};
use pyo3::exceptions::{PyRuntimeError, PyUserWarning, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator};

use crate::connection::ModuleConnector;
use crate::errors::raise;
use crate::json::{self, to_python};
use crate::records::{Ahead, Arriving, bad_stream, from_arrow, from_iterator, parse_instant, pipe};
use crate::stream;
use crate::watch::{Ask, Feed, NoFeed, run};

thread_local! {
    /// The engines whose writes this thread feeds at the moment.
    static FEEDING: RefCell<Vec<*const StorageEngine>> = const { RefCell::new(Vec::new()) };
}

/// That this thread feeds a write, until it is dropped.
struct Feeding;

impl Feeding {
    fn of(engine: &Arc<StorageEngine>) -> Self {
        FEEDING.with_borrow_mut(|all| all.push(Arc::as_ptr(engine)));
        Feeding
    }
}

impl Drop for Feeding {
    fn drop(&mut self) {
        FEEDING.with_borrow_mut(|all| all.pop());
    }
}

/// One DuckDB database, with the connection that the user works on.
#[pyclass(frozen, module = "mixpanel_data._core")]
pub(crate) struct Engine {
    engine: Option<Arc<StorageEngine>>,
    /// The user's own connection to the database.
    connection: Py<PyAny>,
    /// The process that opened it.
    process: u32,
}

impl Drop for Engine {
    fn drop(&mut self) {
        let engine = self.engine.take();
        if self.process != std::process::id() {
            // In a forked child: DuckDB's threads are not here, and the files
            // are the parent's. Nothing of it may be closed or removed.
            std::mem::forget(engine);
            return;
        }
        Python::try_attach(|py| py.detach(move || drop(engine)));
    }
}

impl Engine {
    fn build(
        py: Python<'_>,
        open: impl FnOnce(&ModuleConnector) -> Result<StorageEngine> + Send,
    ) -> PyResult<Self> {
        let connector = ModuleConnector::default();
        let opened = run(py, &|| {}, &mut NoFeed, |_| open(&connector))?;
        let engine = opened.map_err(|error| raise(py, &error))?;
        if let (Some(recovery), Some(path)) = (engine.recovery(), engine.path()) {
            let text = CString::new(format!("{} was repaired: {recovery}", path.display()))?;
            PyErr::warn(py, &py.get_type::<PyUserWarning>(), &text, 1)?;
        }
        let connection = connector.take();
        let main = connection.ok_or_else(|| PyRuntimeError::new_err("no connection was opened"))?;
        let connection = main.call_method0(py, "cursor")?;
        connection.call_method1(py, "execute", (mixpanel_data::LOCAL_TIME,))?;
        engine.protect_log();
        Ok(Engine { engine: Some(Arc::new(engine)), connection, process: std::process::id() })
    }

    /// The engine, in the process that opened it.
    pub(crate) fn engine(&self) -> PyResult<&Arc<StorageEngine>> {
        if self.process != std::process::id() {
            let why = format!(
                "this database was opened by process {}, and this is its forked child {}: open it again here, \
                 read-only, or start processes with the method \"spawn\"",
                self.process,
                std::process::id()
            );
            return Err(PyRuntimeError::new_err(why));
        }
        Ok(self.engine.as_ref().expect("there until drop"))
    }

    /// The engine, to be written.
    ///
    /// # Errors
    /// From within the iterator or the callback of another write, which would be waited for: the
    /// threads of the two are not the same, so that the engine itself does not notice.
    pub(crate) fn to_write(&self, py: Python<'_>) -> PyResult<&Arc<StorageEngine>> {
        let engine = self.engine()?;
        if FEEDING.with_borrow(|all| all.contains(&Arc::as_ptr(engine))) {
            return Err(raise(py, &ErrorKind::Nested { purpose: "write" }.into()));
        }
        Ok(engine)
    }

    /// Runs something short or long on the engine.
    pub(crate) fn work<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&StorageEngine) -> Result<T> + Send,
    ) -> PyResult<T> {
        let engine = self.engine()?;
        let done = run(py, &|| engine.interrupt(), &mut NoFeed, |asks| {
            let done = work(engine);
            // Until here, the caller's thread sees to signals.
            drop(asks);
            done
        })?;
        done.map_err(|error| raise(py, &error))
    }

    /// Writes what a feed hands over.
    fn write<T: Send>(
        &self,
        py: Python<'_>,
        feed: &mut dyn Feed,
        progress: Option<Py<PyAny>>,
        ahead: Ahead<T>,
        write: impl FnOnce(&StorageEngine, Arriving<T>, Option<Progress<'_>>) -> Result<u64> + Send,
    ) -> PyResult<u64> {
        let engine = self.to_write(py)?;
        let _feeding = Feeding::of(engine);
        let written = run(py, &|| engine.interrupt(), feed, |asks| {
            let rows = ahead.begin(asks.clone());
            let progress = progress.map(Arc::new);
            let mut tell = |rows: u64| {
                if let Some(progress) = &progress {
                    let progress = Arc::clone(progress);
                    let call = move |py: Python<'_>| progress.call1(py, (rows,)).map(drop);
                    let _ = asks.send(Ask::Call(Box::new(call)));
                }
            };
            write(engine, rows, Some(&mut tell))
        })?;
        written.map_err(|error| raise(py, &error))
    }
}

/// How long a statement that was told to stop may take to do so.
const PATIENCE: Duration = Duration::from_secs(10);

impl Engine {
    /// Closes the user's connection. What it is busy with, in another thread, is stopped first:
    /// DuckDB closes no connection that is in use.
    fn close_connection(&self, py: Python<'_>) -> PyResult<()> {
        let began = Instant::now();
        loop {
            let Err(error) = self.connection.call_method0(py, "close") else { return Ok(()) };
            let busy = error.get_type(py).name()? == "ResourceInUseException";
            if !busy || began.elapsed() > PATIENCE {
                return Err(error);
            }
            self.connection.call_method0(py, "interrupt")?;
            py.detach(|| std::thread::sleep(Duration::from_millis(10)));
            py.check_signals()?;
        }
    }
}

#[pymethods]
impl Engine {
    /// Opens or creates the file at `path`.
    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        Self::build(py, |connector| StorageEngine::open_with(connector, &path))
    }

    /// Opens a file that exists.
    #[staticmethod]
    fn open_existing(py: Python<'_>, path: PathBuf, read_only: bool) -> PyResult<Self> {
        Self::build(py, |connector| StorageEngine::open_existing_with(connector, &path, read_only))
    }

    /// Opens a copy of a file that another process may be writing.
    #[staticmethod]
    fn open_snapshot(py: Python<'_>, path: PathBuf, max_bytes: Option<u64>) -> PyResult<Self> {
        let mut options = SnapshotOptions::default();
        if let Some(bytes) = max_bytes {
            options = options.max_bytes(bytes);
        }
        Self::build(py, |connector| StorageEngine::open_snapshot_on(connector, &path, &options))
    }

    /// What to write in the place of SQL that failed with this message of DuckDB's.
    fn suggestion(&self, py: Python<'_>, sql: &str, message: &str) -> PyResult<Option<String>> {
        let engine = Arc::clone(self.engine()?);
        let error = mixpanel_data::error_from_message(message);
        Ok(py.detach(move || engine.suggest(sql, &error)))
    }

    /// Makes a temporary file.
    #[staticmethod]
    fn ephemeral(py: Python<'_>) -> PyResult<Self> {
        Self::build(py, |connector| StorageEngine::ephemeral_with(connector))
    }

    /// Makes a database in memory.
    #[staticmethod]
    fn memory(
        py: Python<'_>,
        spill_to: Option<PathBuf>,
        memory_limit: Option<u64>,
        threads: Option<u32>,
        sealed: bool,
    ) -> PyResult<Self> {
        let mut options = MemoryOptions::new();
        if let Some(folder) = spill_to {
            options = options.spill_to(folder);
        }
        if let Some(bytes) = memory_limit {
            options = options.memory_limit(bytes);
        }
        if let Some(threads) = threads {
            options = options.threads(threads);
        }
        if sealed {
            options = options.sealed();
        }
        Self::build(py, |connector| StorageEngine::memory_on(connector, &options))
    }

    /// Lets SQL reach nothing but the database from now on.
    fn seal(&self, py: Python<'_>) -> PyResult<()> {
        self.work(py, StorageEngine::seal)
    }

    /// Checks a query as a sealed database does.
    fn admit(&self, py: Python<'_>, sql: String) -> PyResult<()> {
        self.work(py, |engine| engine.admit(&sql))
    }

    #[getter]
    fn is_sealed(&self) -> PyResult<bool> {
        Ok(self.engine()?.is_sealed())
    }

    /// The user's connection.
    #[getter]
    fn connection(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.engine()?;
        Ok(self.connection.clone_ref(py))
    }

    /// The file, if there is one.
    #[getter]
    fn path(&self) -> PyResult<Option<&Path>> {
        Ok(self.engine()?.path())
    }

    /// `persistent`, `ephemeral` or `in-memory`.
    #[getter]
    fn mode(&self) -> PyResult<String> {
        Ok(self.engine()?.mode().to_string())
    }

    #[getter]
    fn read_only(&self) -> PyResult<bool> {
        Ok(self.engine()?.read_only())
    }

    /// Before the user's connection writes.
    fn protect_log(&self) -> PyResult<()> {
        self.engine()?.protect_log();
        Ok(())
    }

    fn size_bytes(&self) -> PyResult<u64> {
        Ok(self.engine()?.size_bytes())
    }

    fn memory_bytes(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        self.work(py, |engine| match engine.mode() {
            StorageMode::InMemory => engine.memory_bytes().map(Some),
            _ => Ok(None),
        })
    }

    fn created_at(&self, py: Python<'_>) -> PyResult<Option<String>> {
        Ok(self.work(py, StorageEngine::created_at)?.map(|at| at.to_string()))
    }

    /// Stops whatever statement of the library is running, from any thread.
    fn interrupt(&self, py: Python<'_>) -> PyResult<()> {
        let engine = self.engine()?;
        py.detach(|| engine.interrupt());
        Ok(())
    }

    /// Closes the database. In a forked child it does nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if self.engine().is_err() {
            return Ok(());
        }
        let engine = self.to_write(py)?;
        let closed = self.close_connection(py);
        run(py, &|| engine.interrupt(), &mut NoFeed, |_| engine.close())?;
        closed
    }

    fn list_tables<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let tables = self.work(py, StorageEngine::list_tables)?;
        to_python(py, &tables)
    }

    fn list_all_tables<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let tables = self.work(py, StorageEngine::list_all_tables)?;
        to_python(py, &tables)
    }

    fn table_exists(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        self.work(py, |engine| engine.table_exists(name))
    }

    fn get_schema<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let schema = self.work(py, |engine| engine.get_schema(name))?;
        to_python(py, &schema)
    }

    fn get_metadata<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let metadata = self.work(py, |engine| engine.get_metadata(name))?;
        to_python(py, &metadata)
    }

    fn drop_table(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        self.to_write(py)?;
        self.work(py, |engine| engine.drop_table(name))
    }

    /// Writes the records of an iterator of dicts.
    fn write_records(
        &self,
        py: Python<'_>,
        name: &str,
        create: bool,
        rows: Bound<'_, PyIterator>,
        metadata: &Bound<'_, PyDict>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<u64> {
        let metadata = &metadata_of(metadata)?;
        match metadata.kind {
            TableKind::Events => {
                let (mut feed, ahead) = pipe(from_iterator::<EventRecord>(rows));
                self.write(py, &mut feed, progress, ahead, |engine, rows, progress| {
                    write_events(engine, name, create, Rows::try_records(rows), metadata, progress)
                })
            }
            TableKind::Profiles => {
                let (mut feed, ahead) = pipe(from_iterator::<ProfileRecord>(rows));
                self.write(py, &mut feed, progress, ahead, |engine, rows, progress| {
                    write_profiles(engine, name, create, Rows::try_records(rows), metadata, progress)
                })
            }
        }
    }

    /// Writes the batches of an object with `__arrow_c_stream__`.
    fn write_arrow(
        &self,
        py: Python<'_>,
        name: &str,
        create: bool,
        data: &Bound<'_, PyAny>,
        metadata: &Bound<'_, PyDict>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<u64> {
        let metadata = &metadata_of(metadata)?;
        let stream = stream::take(&data.call_method0("__arrow_c_stream__")?)?;
        let reader = py
            .detach(|| RecordBatchStreamReader::try_new(stream))
            .map_err(|error| raise(py, &bad_stream(&error.to_string())))?;
        let (mut feed, ahead) = pipe(from_arrow(reader));
        self.write(py, &mut feed, progress, ahead, |engine, batches, progress| match metadata.kind {
            TableKind::Events => {
                write_events(engine, name, create, Rows::try_batches(batches), metadata, progress)
            }
            TableKind::Profiles => {
                write_profiles(engine, name, create, Rows::try_batches(batches), metadata, progress)
            }
        })
    }
}

fn write_events<'a>(
    engine: &StorageEngine,
    name: &str,
    create: bool,
    rows: Rows<'a, EventRecord>,
    metadata: &TableMetadata,
    progress: Option<Progress<'_>>,
) -> Result<u64> {
    match create {
        true => engine.create_events_table(name, rows, metadata, progress),
        false => engine.append_events_table(name, rows, metadata, progress),
    }
}

fn write_profiles<'a>(
    engine: &StorageEngine,
    name: &str,
    create: bool,
    rows: Rows<'a, ProfileRecord>,
    metadata: &TableMetadata,
    progress: Option<Progress<'_>>,
) -> Result<u64> {
    match create {
        true => engine.create_profiles_table(name, rows, metadata, progress),
        false => engine.append_profiles_table(name, rows, metadata, progress),
    }
}

/// Metadata as `TableMetadata.to_dict()` writes them.
fn metadata_of(fields: &Bound<'_, PyDict>) -> PyResult<TableMetadata> {
    fn get<'py, T: FromPyObjectOwned<'py>>(fields: &Bound<'py, PyDict>, name: &str) -> PyResult<Option<T>> {
        match fields.get_item(name)?.filter(|value| !value.is_none()) {
            Some(value) => value.extract().map(Some).map_err(Into::into),
            None => Ok(None),
        }
    }
    let invalid =
        |name: &str, value: &str| PyValueError::new_err(format!("invalid metadata: {name} is {value:?}"));
    let kind: String = get(fields, "type")?.unwrap_or_default();
    let fetched_at: String = get(fields, "fetched_at")?.unwrap_or_default();
    let at = parse_instant(&fetched_at).ok_or_else(|| invalid("fetched_at", &fetched_at))?;
    let day = |name: &str| -> PyResult<Option<jiff::civil::Date>> {
        let text: Option<String> = get(fields, name)?;
        text.map(|text| text.parse().map_err(|_| invalid(name, &text))).transpose()
    };
    let behaviors: Option<Bound<'_, PyAny>> = get(fields, "filter_behaviors")?;
    let behaviors = behaviors.map(|behaviors| {
        let mut text = Vec::new();
        json::write(&behaviors, &mut text)
            .map_err(|error| PyValueError::new_err(error.describe("filter_behaviors")))?;
        Ok::<_, PyErr>(String::from_utf8_lossy(&text).into_owned())
    });
    let base = match kind.as_str() {
        "events" => TableMetadata::events(at),
        "profiles" => TableMetadata::profiles(at),
        _ => return Err(invalid("type", &kind)),
    };
    Ok(TableMetadata {
        from_date: day("from_date")?,
        to_date: day("to_date")?,
        filter_events: get(fields, "filter_events")?,
        filter_where: get(fields, "filter_where")?,
        filter_cohort_id: get(fields, "filter_cohort_id")?,
        filter_output_properties: get(fields, "filter_output_properties")?,
        filter_group_id: get(fields, "filter_group_id")?,
        filter_behaviors: behaviors.transpose()?,
        ..base
    })
}
