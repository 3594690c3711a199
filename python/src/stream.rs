//! Arrow streams across the border, by the C stream interface in PyCapsules.
//! Buffers change hands; no row is copied.

use std::ffi::CStr;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use mixpanel_data::{Error, ErrorKind, Result, error_from_message};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

/// The name of stream capsules, by Arrow's PyCapsule interface.
const NAME: &CStr = c"arrow_array_stream";

/// Takes the stream out of a capsule, which is empty afterwards.
pub(crate) fn take(capsule: &Bound<'_, PyAny>) -> PyResult<FFI_ArrowArrayStream> {
    let capsule = capsule
        .cast::<PyCapsule>()
        .map_err(|_| PyTypeError::new_err("__arrow_c_stream__ did not return a PyCapsule"))?;
    let stream = capsule.pointer_checked(Some(NAME))?.cast::<FFI_ArrowArrayStream>().as_ptr();
    // SAFETY: a capsule of this name holds a valid stream, by the interface's
    // definition. `from_raw` moves it out and leaves an empty one behind.
    let stream = unsafe { FFI_ArrowArrayStream::from_raw(stream) };
    if stream.release().is_none() {
        return Err(PyTypeError::new_err("this Arrow stream was read already"));
    }
    Ok(stream)
}

/// Reads a stream of DuckDB's.
pub(crate) fn reader(stream: FFI_ArrowArrayStream) -> Result<RecordBatchStreamReader> {
    RecordBatchStreamReader::try_new(stream).map_err(error_of_duckdb)
}

/// What DuckDB says through a stream.
pub(crate) fn error_of_duckdb(error: ArrowError) -> Error {
    match error {
        ArrowError::CDataInterface(message) => error_from_message(&message),
        other => ErrorKind::Query { class: "Arrow".into(), message: other.to_string() }.into(),
    }
}

/// What a reader failed with: a stream can only carry text.
#[derive(Clone, Default)]
pub(crate) struct Failure(Arc<Mutex<Option<ArrowError>>>);

impl Failure {
    pub(crate) fn take(&self) -> Option<ArrowError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, error: ArrowError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// Puts a reader into a capsule. It is pulled from DuckDB's threads, one at a
/// time, without the GIL.
pub(crate) fn export(rows: Box<dyn RecordBatchReader + Send>) -> Result<(Py<PyAny>, Failure)> {
    let failure = Failure::default();
    let stream = FFI_ArrowArrayStream::new(Box::new(Told { rows, failure: failure.clone() }));
    let capsule = Python::try_attach(|py| capsule(py, stream))
        .ok_or(ErrorKind::Closed)?
        .map_err(|error| ErrorKind::Query { class: "Python".into(), message: error.to_string() })?;
    Ok((capsule, failure))
}

/// A capsule with a stream.
pub(crate) fn capsule(py: Python<'_>, stream: FFI_ArrowArrayStream) -> PyResult<Py<PyAny>> {
    Ok(PyCapsule::new_with_value(py, stream, NAME)?.into_any().unbind())
}

/// A reader that keeps its error for those who know Rust.
struct Told {
    rows: Box<dyn RecordBatchReader + Send>,
    failure: Failure,
}

impl Iterator for Told {
    type Item = std::result::Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next().map(|item| {
            item.map_err(|error| {
                let text = ArrowError::CDataInterface(error.to_string());
                self.failure.set(error);
                text
            })
        })
    }
}

impl RecordBatchReader for Told {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}
