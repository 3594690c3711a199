//! Streams: events and profiles as they come, block by block, without storing
//! them.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use mixpanel_client::CancelToken;
use mixpanel_data::{ExportRequest, Result, RowStream, Shape, StreamBuffer};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::raise;
use crate::fetch::date;
use crate::profiles::engage_request;
use crate::project::PyProject;
use crate::watch::{NoFeed, run};

/// Rows of a stream, block by block.
#[pyclass(frozen, module = "mixpanel_data._core")]
pub(crate) struct Stream {
    rows: Mutex<Option<RowStream>>,
    /// At the end: names that were asked for and are not there, in words.
    unknown: Mutex<Vec<String>>,
    shape: Shape,
    cancel: CancelToken,
}

#[pymethods]
impl Stream {
    /// The next rows, each a text of JSON; None at the end. After an error there
    /// is nothing more.
    fn block(&self, py: Python<'_>) -> PyResult<Option<Vec<String>>> {
        let next = run(py, &|| self.cancel.cancel(), &mut NoFeed, |asks| {
            let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
            let next = rows.as_mut().and_then(Iterator::next);
            let block = next.map(|batch| batch.map(|batch| batch.json(self.shape)));
            if !matches!(block, Some(Ok(_)))
                && let Some(ended) = rows.take()
                && block.is_none()
            {
                let unknown = ended.unknown_names().iter().map(ToString::to_string).collect();
                *self.unknown.lock().unwrap_or_else(PoisonError::into_inner) = unknown;
            }
            // Until here, the caller's thread sees to signals.
            drop(asks);
            block
        })?;
        next.transpose().map_err(|error| raise(py, &error))
    }

    /// At the end: names that were asked for and are not there, in words.
    fn unknown_names(&self) -> Vec<String> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // What is on its way is not waited for.
        self.cancel.cancel();
        let rows = self.rows.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        Python::try_attach(|py| py.detach(move || drop(rows)));
    }
}

/// Opens a stream of events.
#[pyfunction]
#[pyo3(signature = (project, from_date, to_date, *, events=Vec::new(), where_=None, limit=None, raw=false,
                    in_memory=false))]
#[expect(clippy::too_many_arguments, reason = "keyword arguments")]
pub(crate) fn stream_events(
    py: Python<'_>,
    project: &PyProject,
    from_date: &str,
    to_date: &str,
    events: Vec<String>,
    where_: Option<String>,
    limit: Option<u32>,
    raw: bool,
    in_memory: bool,
) -> PyResult<Stream> {
    let days = ExportRequest::days(date("from_date", from_date)?, date("to_date", to_date)?);
    // What is raw is as Mixpanel's own default has it.
    let request = ExportRequest { events, where_, limit, time_in_ms: !raw, ..days };
    let (project, cancel) = project.for_call()?;
    let opened = project.stream_events(&request, &buffer(in_memory), Timestamp::now());
    stream(py, opened, raw, cancel)
}

/// Opens a stream of profiles.
#[pyfunction]
#[pyo3(signature = (project, request, *, raw=false, in_memory=false))]
pub(crate) fn stream_profiles(
    py: Python<'_>,
    project: &PyProject,
    request: &Bound<'_, PyDict>,
    raw: bool,
    in_memory: bool,
) -> PyResult<Stream> {
    let request = engage_request(request)?;
    let (project, cancel) = project.for_call()?;
    let opened = project.stream_profiles(&request, &buffer(in_memory));
    stream(py, opened, raw, cancel)
}

/// Nothing has been sent so far: that is for the first block.
fn stream(py: Python<'_>, opened: Result<RowStream>, raw: bool, cancel: CancelToken) -> PyResult<Stream> {
    let rows = Mutex::new(Some(opened.map_err(|error| raise(py, &error))?));
    Ok(Stream {
        rows,
        unknown: Mutex::default(),
        shape: if raw { Shape::Raw } else { Shape::Record },
        cancel,
    })
}

fn buffer(in_memory: bool) -> StreamBuffer {
    if in_memory { StreamBuffer::memory() } else { StreamBuffer::Usual }
}
