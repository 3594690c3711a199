//! Questions about the local tables, by name. Nothing is sent.

use std::sync::Arc;

use mixpanel_data::Workspace;
use mixpanel_data::inspect::LocalScope;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::answer::{Answer, ArrowRows};
use crate::arguments::{Arguments, wrong};
use crate::engine::Engine;
use crate::errors::Failure;
use crate::project::PyProject;
use crate::watch::{NoFeed, run};

/// Asks a question about local tables; the arguments are those of the Python
/// method of that name. A project says what a day is.
#[pyfunction]
#[pyo3(signature = (engine, project, question, arguments))]
pub(crate) fn ask_local<'py>(
    py: Python<'py>,
    engine: &Engine,
    project: Option<&PyProject>,
    question: &str,
    arguments: &Bound<'py, PyDict>,
) -> PyResult<(Bound<'py, PyAny>, ArrowRows)> {
    let arguments = Arguments::of(arguments)?;
    let storage = engine.engine()?;
    let mut builder = Workspace::builder();
    if let Some(project) = project {
        builder = builder.project(project.for_call()?.0);
    }
    let workspace = builder.storage(Arc::clone(storage));
    let answered = run(py, &|| storage.interrupt(), &mut NoFeed, |asks| {
        let answered = answer(&workspace, question, &arguments);
        // Until here, the caller's thread sees to signals.
        drop(asks);
        answered
    })?;
    answered.map_err(|failure| failure.raise(py))?.into_python(py)
}

fn answer(workspace: &Workspace, question: &str, given: &Arguments) -> Result<Answer, Failure> {
    match question {
        "sample" => Answer::of_rows(workspace.sample(&given.text("table")?, given.get("n")?)),
        "summarize" => Answer::of(workspace.summarize(&given.text("table")?)),
        "event_breakdown" => Answer::of(workspace.event_breakdown(&given.text("table")?)),
        "property_keys" => {
            let event: Option<String> = given.maybe("event")?;
            Answer::of_names("property", workspace.property_keys(&given.text("table")?, event.as_deref()))
        }
        "column_stats" => Answer::of(workspace.column_stats(
            &given.text("table")?,
            &given.text("column")?,
            given.get("top_n")?,
        )),
        "property_distribution" => Answer::of(workspace.property_distribution(
            &scope(given)?,
            &given.text("event")?,
            &given.text("property")?,
            given.get("limit")?,
        )),
        "numeric_summary" => {
            let percentiles: Vec<u8> = given.usual("percentiles")?;
            Answer::of(workspace.numeric_summary(
                &scope(given)?,
                &given.text("event")?,
                &given.text("property")?,
                &percentiles,
            ))
        }
        "daily_counts" => {
            let events: Option<Vec<String>> = given.maybe("events")?;
            let events = events.as_deref().map(borrowed);
            Answer::of(workspace.daily_counts(&scope(given)?, events.as_deref()))
        }
        "engagement_distribution" => {
            let events: Option<Vec<String>> = given.maybe("events")?;
            let events = events.as_deref().map(borrowed);
            let buckets: Vec<u64> = given.usual("buckets")?;
            Answer::of(workspace.engagement_distribution(&scope(given)?, events.as_deref(), &buckets))
        }
        "property_coverage" => {
            let properties = given.texts("properties")?;
            Answer::of(workspace.property_coverage(
                &scope(given)?,
                &given.text("event")?,
                &borrowed(&properties),
            ))
        }
        other => Err(wrong("question", format!("there is none called {other}"))),
    }
}

fn borrowed(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

fn scope(given: &Arguments) -> Result<LocalScope, Failure> {
    let mut scope = LocalScope::table(given.text("table")?);
    scope.from = given.maybe_day("from_date")?;
    scope.to = given.maybe_day("to_date")?;
    Ok(scope)
}
