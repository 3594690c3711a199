//! Loading files: `Workspace::load` of the Rust library, for one call at a time.

use std::path::PathBuf;
use std::sync::Arc;

use mixpanel_client::CancelToken;
use mixpanel_data::{
    CsvColumns, Error, Load, LoadFormat, LoadInput, LoadProgress, LoadResult, TimeUnit, Workspace,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::engine::Engine;
use crate::errors::raise;
use crate::fetch::reject_rule;
use crate::json::to_python;
use crate::project::clock;
use crate::watch::{Ask, NoFeed, run};

/// Loads files into a table.
#[pyfunction]
#[pyo3(signature = (engine, table, files, options, progress=None))]
pub(crate) fn load_events<'py>(
    py: Python<'py>,
    engine: &Engine,
    table: String,
    files: Vec<PathBuf>,
    options: &Bound<'py, PyDict>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let load = Load { table, ..wanted(options)? };
    let storage = engine.to_write(py)?;
    let workspace = Workspace::builder().storage(Arc::clone(storage));
    let cancel = load.cancel.clone();
    let stop = || {
        cancel.cancel();
        storage.interrupt();
    };
    let done: Result<LoadResult, Error> = run(py, &stop, &mut NoFeed, |asks| {
        let progress = progress.map(Arc::new);
        let mut tell = |state: &LoadProgress| {
            let Some(progress) = &progress else { return };
            let (progress, state) = (Arc::clone(progress), state.clone());
            let call = move |py: Python<'_>| progress.call1(py, (described(py, &state)?,)).map(drop);
            let _ = asks.send(Ask::Call(Box::new(call)));
        };
        workspace.load_with(&load, files.into_iter().map(LoadInput::Path).collect(), &mut tell)
    })?;
    to_python(py, &done.map_err(|error| raise(py, &error))?)
}

fn wanted(options: &Bound<'_, PyDict>) -> PyResult<Load> {
    let mut load = Load::default();
    let mut columns = CsvColumns::default();
    let (mut zone, mut mode) = (String::new(), String::new());
    for (key, value) in options {
        if value.is_none() {
            continue;
        }
        match key.extract::<String>()?.as_str() {
            "format" => load.format = Some(format(&value.extract::<String>()?)?),
            "on_reject" => load.on_reject = reject_rule(&value.extract::<String>()?)?,
            "timezone" => zone = value.extract()?,
            "clock_mode" => mode = value.extract()?,
            "event_column" => columns.event = Some(value.extract()?),
            "event_name" => columns.event_name = Some(value.extract()?),
            "time_column" => columns.time = Some(value.extract()?),
            "time_unit" => columns.time_unit = Some(unit(&value.extract::<String>()?)?),
            "times_in" => columns.time_zone = Some(value.extract()?),
            "distinct_id_column" => columns.distinct_id = Some(value.extract()?),
            "insert_id_column" => columns.insert_id = Some(value.extract()?),
            "delimiter" => columns.delimiter = Some(delimiter(&value.extract::<String>()?)?),
            "all_text" => columns.all_text = value.extract()?,
            other => return Err(PyValueError::new_err(format!("unknown option {other}"))),
        }
    }
    // Unless it is told, the table's own clock counts.
    if !mode.is_empty() {
        load.clock = Some(clock(&zone, &mode)?);
    }
    Ok(Load { columns, cancel: CancelToken::new(), ..load })
}

fn format(text: &str) -> PyResult<LoadFormat> {
    Ok(match text {
        "export" => LoadFormat::Export,
        "records" => LoadFormat::Records,
        "csv" => LoadFormat::Csv,
        other => {
            let what = format!("format is \"export\", \"records\" or \"csv\", not {other:?}");
            return Err(PyValueError::new_err(what));
        }
    })
}

fn unit(text: &str) -> PyResult<TimeUnit> {
    Ok(match text {
        "s" => TimeUnit::Seconds,
        "ms" => TimeUnit::Milliseconds,
        "us" => TimeUnit::Microseconds,
        "ns" => TimeUnit::Nanoseconds,
        other => {
            let what = format!("time_unit is \"s\", \"ms\", \"us\" or \"ns\", not {other:?}");
            return Err(PyValueError::new_err(what));
        }
    })
}

fn delimiter(text: &str) -> PyResult<u8> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err(PyValueError::new_err(format!("delimiter is one character, not {text:?}"))),
    }
}

fn described<'py>(py: Python<'py>, state: &LoadProgress) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("file", &state.file)?;
    fields.set_item("files", state.files)?;
    fields.set_item("files_done", state.files_done)?;
    fields.set_item("rows", state.rows)?;
    fields.set_item("rows_stored", state.rows_stored)?;
    fields.set_item("bytes_read", state.bytes_read)?;
    fields.set_item("bytes_total", state.bytes_total)?;
    fields.set_item("elapsed_seconds", state.elapsed.as_secs_f64())?;
    Ok(fields)
}
