//! Fetching and syncing: `Workspace` of the Rust library, for one call at a time.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use mixpanel_data::discovery::UnknownName;
use mixpanel_data::{
    Error, FetchEvents, FetchProgress, OnReject, Result, SyncOptions, SyncResult, Workspace,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::Serialize;

use crate::engine::Engine;
use crate::errors::raise;
use crate::json::to_python;
use crate::project::{PyProject, clock};
use crate::watch::{Ask, NoFeed, run};

/// Fetches days of events into a table.
#[pyfunction]
#[pyo3(signature = (engine, project, table, from_date, to_date, *, events=Vec::new(), where_=None, limit=None,
                    append=false, replace=false, on_reject="quarantine", concurrency=None,
                    days_per_request=None, progress=None))]
#[expect(clippy::too_many_arguments, reason = "keyword arguments")]
pub(crate) fn fetch_events<'py>(
    py: Python<'py>,
    engine: &Engine,
    project: &PyProject,
    table: String,
    from_date: &str,
    to_date: &str,
    events: Vec<String>,
    where_: Option<String>,
    limit: Option<u32>,
    append: bool,
    replace: bool,
    on_reject: &str,
    concurrency: Option<usize>,
    days_per_request: Option<u32>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let fetch = FetchEvents {
        table,
        events,
        filter: where_,
        limit,
        append,
        replace,
        on_reject: reject_rule(on_reject)?,
        concurrency,
        days_per_request,
        ..FetchEvents::days(date("from_date", from_date)?, date("to_date", to_date)?)
    };
    let result = call(py, engine, project, progress, described, |workspace, on_progress| {
        workspace.fetch_events_with(&fetch, on_progress)
    })?;
    to_python(py, &result)
}

/// Brings a table up to date.
#[pyfunction]
#[pyo3(signature = (engine, project, options, progress=None))]
pub(crate) fn sync<'py>(
    py: Python<'py>,
    engine: &Engine,
    project: &PyProject,
    options: &Bound<'py, PyDict>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = sync_options(options)?;
    let result = call(py, engine, project, progress, described, |workspace, on_progress| {
        workspace.sync_with(&options, on_progress)
    })?;
    to_python(py, &Synced::of(&result))
}

/// What a sync would fetch.
#[pyfunction]
pub(crate) fn plan<'py>(
    py: Python<'py>,
    engine: &Engine,
    timezone: &str,
    clock_mode: &str,
    options: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let (clock, options) = (clock(timezone, clock_mode)?, sync_options(options)?);
    let shared = Arc::clone(engine.engine()?);
    let plan = engine.work(py, |_| Workspace::builder().storage(shared).plan(&clock, &options))?;
    to_python(py, &plan)
}

/// What is here of a table, day by day.
#[pyfunction]
pub(crate) fn coverage<'py>(
    py: Python<'py>,
    engine: &Engine,
    timezone: &str,
    clock_mode: &str,
    options: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let (clock, options) = (clock(timezone, clock_mode)?, sync_options(options)?);
    let shared = Arc::clone(engine.engine()?);
    let coverage = engine.work(py, |_| Workspace::builder().storage(shared).coverage(&clock, &options))?;
    to_python(py, &coverage)
}

/// Runs something that fetches, with progress and Ctrl-C. `described` says what
/// Python gets to see of the progress.
pub(crate) fn call<T: Send, S: Copy + Send + 'static>(
    py: Python<'_>,
    engine: &Engine,
    project: &PyProject,
    progress: Option<Py<PyAny>>,
    described: for<'py> fn(Python<'py>, &S) -> PyResult<Bound<'py, PyDict>>,
    work: impl FnOnce(&Workspace, &mut dyn FnMut(&S)) -> Result<T> + Send,
) -> PyResult<T> {
    let (project, cancel) = project.for_call()?;
    let storage = engine.to_write(py)?;
    let workspace = Workspace::builder().project(project).storage(Arc::clone(storage));
    let stop = || {
        cancel.cancel();
        storage.interrupt();
    };
    let done: Result<T, Error> = run(py, &stop, &mut NoFeed, |asks| {
        let progress = progress.map(Arc::new);
        let mut tell = |state: &S| {
            let Some(progress) = &progress else { return };
            let (progress, state) = (Arc::clone(progress), *state);
            let call = move |py: Python<'_>| progress.call1(py, (described(py, &state)?,)).map(drop);
            let _ = asks.send(Ask::Call(Box::new(call)));
        };
        work(&workspace, &mut tell)
    })?;
    done.map_err(|error| raise(py, &error))
}

fn described<'py>(py: Python<'py>, state: &FetchProgress) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("rows", state.rows)?;
    fields.set_item("bytes_received", state.bytes_received)?;
    fields.set_item("bytes_decoded", state.bytes_decoded)?;
    fields.set_item("day", state.day.map(|day| day.to_string()))?;
    fields.set_item("days_done", state.days_done)?;
    fields.set_item("rows_stored", state.rows_stored)?;
    fields.set_item("rows_expected", state.rows_expected)?;
    fields.set_item("remaining_seconds", state.remaining.map(|left| left.as_secs_f64()))?;
    fields.set_item("elapsed_seconds", state.elapsed.as_secs_f64())?;
    fields.set_item("attempt", state.attempt)?;
    if let Some(stored) = state.stored {
        let chunk = PyDict::new(py);
        chunk.set_item("from_date", stored.from.to_string())?;
        chunk.set_item("to_date", stored.to.to_string())?;
        chunk.set_item("rows", stored.rows)?;
        chunk.set_item("batch_index", stored.number - 1)?;
        chunk.set_item("total_batches", stored.of)?;
        fields.set_item("stored", chunk)?;
    }
    Ok(fields)
}

/// A sync's result, with errors as text.
#[derive(Serialize)]
struct Synced<'a> {
    table: &'a str,
    database: Option<&'a std::path::Path>,
    from: Date,
    to: Date,
    state: mixpanel_data::SyncState,
    rows: u64,
    chunks: &'a [mixpanel_data::ChunkReport],
    failed: Vec<Failed>,
    unavailable: &'a [Date],
    days_loaded: usize,
    unknown_names: &'a [UnknownName],
    requests: u32,
    total_rows: u64,
    duration: f64,
}

#[derive(Serialize)]
struct Failed {
    from: Date,
    to: Date,
    error: String,
}

impl<'a> Synced<'a> {
    fn of(result: &'a SyncResult) -> Self {
        let failed = result.failed.iter().map(|range| Failed {
            from: range.from,
            to: range.to,
            error: crate::errors::text(&range.error),
        });
        Synced {
            table: &result.table,
            database: result.database.as_deref(),
            from: result.from,
            to: result.to,
            state: result.state,
            rows: result.rows(),
            chunks: &result.chunks,
            failed: failed.collect(),
            unavailable: &result.unavailable,
            days_loaded: result.days_loaded,
            unknown_names: &result.unknown_names,
            requests: result.requests,
            total_rows: result.total_rows,
            duration: result.duration.as_secs_f64(),
        }
    }
}

fn sync_options(options: &Bound<'_, PyDict>) -> PyResult<SyncOptions> {
    let mut known = SyncOptions::default();
    for (name, value) in options.iter() {
        let name: String = name.extract()?;
        if value.is_none() {
            continue;
        }
        match name.as_str() {
            "table" => known.table = value.extract()?,
            "from_date" => known.from = Some(date("from_date", &value.extract::<String>()?)?),
            "to_date" => known.to = Some(date("to_date", &value.extract::<String>()?)?),
            "events" => known.events = value.extract()?,
            "where" => known.filter = Some(value.extract()?),
            "refetch_loaded" => known.refetch_loaded = value.extract()?,
            "window_days" => known.window_days = value.extract()?,
            "max_age_seconds" => {
                known.max_age = Duration::try_from_secs_f64(value.extract()?)
                    .map_err(|error| PyValueError::new_err(format!("max_age_seconds: {error}")))?;
            }
            "on_reject" => known.on_reject = reject_rule(&value.extract::<String>()?)?,
            "concurrency" => known.concurrency = Some(value.extract()?),
            other => return Err(PyValueError::new_err(format!("unknown option {other}"))),
        }
    }
    Ok(known)
}

pub(crate) fn reject_rule(text: &str) -> PyResult<OnReject> {
    match text {
        "quarantine" => Ok(OnReject::Quarantine),
        "fail" => Ok(OnReject::Fail),
        other => {
            Err(PyValueError::new_err(format!("on_reject is \"quarantine\" or \"fail\", not {other:?}")))
        }
    }
}

pub(crate) fn date(name: &str, text: &str) -> PyResult<Date> {
    let strict = text.len() == 10 && text.as_bytes()[4] == b'-';
    match text.parse() {
        Ok(date) if strict => Ok(date),
        _ => Err(PyValueError::new_err(format!("{name} is {text:?}, and must be a day as YYYY-MM-DD"))),
    }
}
