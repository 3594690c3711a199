//! Answers on their way to Python: plain values, and the table that they are.
//!
//! One way for all of them: what serde makes of a result, and its Arrow batches.
//! Which fields a result has is said in `mixpanel_data/*.py`.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchIterator};
use arrow::datatypes::SchemaRef;
use arrow::ffi_stream::FFI_ArrowArrayStream;
use mixpanel_client::Tabular;
use mixpanel_client::table::names_batch;
use mixpanel_data::Batches;
use pyo3::prelude::*;
use serde::Serialize;
use serde_json::Value;

use crate::errors::Failure;
use crate::json::to_python;
use crate::stream::capsule;

/// Rows of an answer, for everything that reads Arrow streams, as often as wanted.
#[pyclass(frozen, module = "mixpanel_data._core")]
pub(crate) struct ArrowRows {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

#[pymethods]
impl ArrowRows {
    /// The names of the columns, exactly: DuckDB tells no upper from lower case,
    /// and would rename some.
    #[getter]
    fn columns(&self) -> Vec<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__(&self, py: Python<'_>, requested_schema: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        // As it is: a consumer casts by itself, as the interface allows.
        drop(requested_schema);
        let batches = self.batches.clone().into_iter().map(Ok);
        let reader = RecordBatchIterator::new(batches, Arc::clone(&self.schema));
        capsule(py, FFI_ArrowArrayStream::new(Box::new(reader)))
    }
}

/// An answer: values, and rows.
pub(crate) struct Answer {
    value: Value,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl Answer {
    /// A result with a table of its own.
    pub(crate) fn of<T: Tabular, E: Into<Failure>>(result: Result<T, E>) -> Result<Self, Failure> {
        let result = result.map_err(|error| -> Failure { error.into() })?;
        let value = serde_json::to_value(&result).map_err(Failure::unexpected)?;
        Ok(Self::from_batch(value, result.to_batch()))
    }

    /// One thing, of which there may be a list elsewhere; its table has one row.
    pub(crate) fn of_one<T: Serialize, E: Into<Failure>>(thing: Result<T, E>) -> Result<Self, Failure>
    where
        Vec<T>: Tabular,
    {
        let thing = thing.map_err(|error| -> Failure { error.into() })?;
        let value = serde_json::to_value(&thing).map_err(Failure::unexpected)?;
        Ok(Self::from_batch(value, vec![thing].to_batch()))
    }

    /// A list of names.
    pub(crate) fn of_names<E: Into<Failure>>(
        column: &str,
        names: Result<Vec<String>, E>,
    ) -> Result<Self, Failure> {
        let names = names.map_err(|error| -> Failure { error.into() })?;
        let batch = names_batch(column, &names);
        Ok(Self::from_batch(names.into(), batch))
    }

    /// Rows alone.
    pub(crate) fn of_rows<E: Into<Failure>>(rows: Result<Batches, E>) -> Result<Self, Failure> {
        let Batches { schema, batches } = rows.map_err(|error| -> Failure { error.into() })?;
        Ok(Answer { value: Value::Null, schema, batches })
    }

    /// Values beside a batch.
    pub(crate) fn from_batch(value: Value, batch: RecordBatch) -> Self {
        Answer { value, schema: batch.schema(), batches: vec![batch] }
    }

    /// What Python gets.
    pub(crate) fn into_python(self, py: Python<'_>) -> PyResult<(Bound<'_, PyAny>, ArrowRows)> {
        let Answer { value, schema, batches } = self;
        Ok((to_python(py, &value)?, ArrowRows { schema, batches }))
    }
}
