//! Profiles into a table, and what a request for profiles is made of.

use mixpanel_data::{EngageRequest, FetchProfiles, ProfileProgress};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arguments::Arguments;
use crate::engine::Engine;
use crate::errors::Failure;
use crate::fetch::{call, reject_rule};
use crate::json::to_python;
use crate::project::PyProject;

/// Fetches profiles into a table.
#[pyfunction]
#[pyo3(signature = (engine, project, table, request, *, append=false, replace=false, on_reject="quarantine",
                    concurrency=None, progress=None))]
#[expect(clippy::too_many_arguments, reason = "keyword arguments")]
pub(crate) fn fetch_profiles<'py>(
    py: Python<'py>,
    engine: &Engine,
    project: &PyProject,
    table: String,
    request: &Bound<'py, PyDict>,
    append: bool,
    replace: bool,
    on_reject: &str,
    concurrency: Option<usize>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let request = engage_request(request)?;
    let on_reject = reject_rule(on_reject)?;
    let fetch = FetchProfiles { table, request, append, replace, on_reject, concurrency };
    let result = call(py, engine, project, progress, described, |workspace, on_progress| {
        workspace.fetch_profiles_with(&fetch, on_progress)
    })?;
    to_python(py, &result)
}

fn described<'py>(py: Python<'py>, state: &ProfileProgress) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("results", state.results)?;
    fields.set_item("total", state.total)?;
    fields.set_item("pages", state.pages)?;
    fields.set_item("bytes_decoded", state.bytes_decoded)?;
    fields.set_item("elapsed_seconds", state.elapsed.as_secs_f64())?;
    fields.set_item("attempt", state.attempt)?;
    Ok(fields)
}

/// A request with the names that Python has for its parts.
pub(crate) fn engage_request(given: &Bound<'_, PyDict>) -> PyResult<EngageRequest> {
    let read = |given: &Arguments| -> Result<EngageRequest, Failure> {
        Ok(EngageRequest {
            where_: given.maybe("where")?,
            cohort: given.maybe("cohort_id")?,
            include_all_users: given.usual("include_all_users")?,
            output_properties: given.texts("output_properties")?,
            distinct_id: given.maybe("distinct_id")?,
            distinct_ids: given.maybe("distinct_ids")?,
            data_group_id: given.maybe("group_id")?,
            behaviors: given.usual("behaviors")?,
            as_of_timestamp: given.maybe("as_of_timestamp")?,
            page_size: None,
        })
    };
    read(&Arguments::of(given)?).map_err(|failure| failure.raise(given.py()))
}
