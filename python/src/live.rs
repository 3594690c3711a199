//! Questions to Mixpanel, by name: what there is in a project, counts, reports.
//! Nothing is stored, and no database is needed.

use mixpanel_client::live::{
    EngageStatsQuery, EventCountsQuery, FrequencyQuery, FunnelQuery, NumericQuery, PropertyCountsQuery,
    RetentionQuery, SegmentationQuery, StatsAction,
};
use mixpanel_client::table::names_batch;
use mixpanel_client::{Client, Tabular};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::{Map, Value};

use crate::answer::{Answer, ArrowRows};
use crate::arguments::{Arguments, wrong};
use crate::errors::Failure;
use crate::project::PyProject;
use crate::watch::{NoFeed, run};

/// Asks Mixpanel a question; the arguments are those of the Python method of that
/// name.
#[pyfunction]
#[pyo3(signature = (project, question, arguments))]
pub(crate) fn ask_mixpanel<'py>(
    py: Python<'py>,
    project: &PyProject,
    question: &str,
    arguments: &Bound<'py, PyDict>,
) -> PyResult<(Bound<'py, PyAny>, ArrowRows)> {
    let arguments = Arguments::of(arguments)?;
    let (project, cancel) = project.for_call()?;
    let answered = run(py, &|| cancel.cancel(), &mut NoFeed, |asks| {
        let answered = discovery(&project.client, question, &arguments).transpose();
        let answered = answered.unwrap_or_else(|| query(&project.client, question, &arguments));
        // Until here, the caller's thread sees to signals.
        drop(asks);
        answered
    })?;
    answered.map_err(|failure| failure.raise(py))?.into_python(py)
}

/// What there is in a project; `None` if the question is another.
fn discovery(client: &Client, question: &str, given: &Arguments) -> Result<Option<Answer>, Failure> {
    let answer = match question {
        "events" => Answer::of_names("event", client.events()),
        "properties" => Answer::of_names("property", client.properties(&given.text("event")?)),
        "property_values" => {
            let event: Option<String> = given.maybe("event")?;
            let (name, limit) = (given.text("property_name")?, given.get("limit")?);
            Answer::of_names("value", client.property_values(&name, event.as_deref(), limit))
        }
        "top_events" => Answer::of(client.top_events(given.word("type")?, given.maybe("limit")?)),
        "funnels" => Answer::of(client.funnels()),
        "cohorts" => Answer::of(client.cohorts()),
        "list_bookmarks" => Answer::of(client.list_bookmarks(given.maybe_word("bookmark_type")?)),
        "lexicon_schemas" => Answer::of(client.lexicon_schemas(given.maybe_word("entity_type")?)),
        "lexicon_schema" => {
            Answer::of_one(client.lexicon_schema(given.word("entity_type")?, &given.text("name")?))
        }
        "annotations" => {
            let range = match (given.maybe_day("from_date")?, given.maybe_day("to_date")?) {
                (Some(from), Some(to)) => Some((from, to)),
                (None, None) => None,
                _ => return Err(wrong("dates", "give both from_date and to_date, or neither")),
            };
            Answer::of(client.annotations(range))
        }
        "me" => client.me().map_err(Failure::from).and_then(|me| {
            let value = serde_json::to_value(&me).map_err(Failure::unexpected)?;
            Ok(Answer::from_batch(value, me.projects.to_batch()))
        }),
        "project_info" => client.project_info().map_err(Failure::from).and_then(|project| {
            let mut value = serde_json::to_value(&project).map_err(Failure::unexpected)?;
            value["region"] = project.region().map(|region| region.as_str()).into();
            Ok(Answer::from_batch(value, vec![project].to_batch()))
        }),
        _ => return Ok(None),
    };
    answer.map(Some)
}

/// A request to an address of the project's, for what has no name here.
fn raw(client: &Client, given: &Arguments) -> Result<Answer, Failure> {
    let mut request = client.request_at(&given.text("url")?)?;
    let params: Map<String, Value> = given.usual("params")?;
    for (name, value) in &params {
        request = match value {
            Value::Null => request,
            Value::String(text) => request.param(name, text),
            other => request.param(name, other),
        };
    }
    let body: Option<Value> = given.maybe("body")?;
    match (given.text("method")?.to_ascii_uppercase().as_str(), body) {
        ("GET", None) => {}
        ("POST", None) => request = request.post_form([]),
        ("POST", Some(body)) => request = request.post_json(&body),
        ("GET", Some(_)) => return Err(wrong("json_body", "a GET has none")),
        (method, _) => return Err(wrong("method", format!("GET or POST, not {method}"))),
    }
    let value: Value = client.json(&request)?;
    Ok(Answer::from_batch(value, names_batch("none", &[])))
}

fn query(client: &Client, question: &str, given: &Arguments) -> Result<Answer, Failure> {
    match question {
        "request" => raw(client, given),
        "segmentation" => {
            let (from, to) = given.days()?;
            let mut query = SegmentationQuery::new(given.text("event")?, from, to);
            query.on = given.maybe("on")?;
            query.unit = given.word("unit")?;
            query.where_ = given.maybe("where")?;
            query.count = given.word("type")?;
            query.limit = given.maybe("limit")?;
            Answer::of(client.segmentation(&query))
        }
        "segmentation_numeric" => Answer::of(client.segmentation_numeric(&numeric(given)?)),
        "segmentation_sum" => Answer::of(client.segmentation_sum(&numeric(given)?)),
        "segmentation_average" => Answer::of(client.segmentation_average(&numeric(given)?)),
        "event_counts" => {
            let (from, to) = given.days()?;
            let mut query = EventCountsQuery::new(given.texts("events")?, from, to);
            query.count = given.word("type")?;
            query.unit = given.word("unit")?;
            Answer::of(client.event_counts(&query))
        }
        "property_counts" => {
            let (from, to) = given.days()?;
            let mut query =
                PropertyCountsQuery::new(given.text("event")?, given.text("property_name")?, from, to);
            query.count = given.word("type")?;
            query.unit = given.word("unit")?;
            query.values = given.texts("values")?;
            query.limit = given.maybe("limit")?;
            Answer::of(client.property_counts(&query))
        }
        "funnel" => {
            let (from, to) = given.days()?;
            let mut query = FunnelQuery::new(given.get("funnel_id")?, from, to);
            query.unit = given.maybe_word("unit")?;
            query.on = given.maybe("on")?;
            query.where_ = given.maybe("where")?;
            query.limit = given.maybe("limit")?;
            if let Some(length) = given.maybe("length")? {
                query.length = Some((length, given.word("length_unit")?));
            }
            Answer::of(client.funnel(&query))
        }
        "retention" => Answer::of(client.retention(&retention(given)?)),
        "frequency" => {
            let (from, to) = given.days()?;
            let mut query = FrequencyQuery::new(from, to);
            query.unit = given.word("unit")?;
            query.addiction_unit = given.word("addiction_unit")?;
            query.event = given.maybe("event")?;
            query.where_ = given.maybe("where")?;
            Answer::of(client.frequency(&query))
        }
        "activity_feed" => Answer::of(client.activity_feed(
            &given.texts("distinct_ids")?,
            given.maybe_day("from_date")?,
            given.maybe_day("to_date")?,
        )),
        "query_saved_report" => Answer::of(client.query_saved_report(
            given.get("bookmark_id")?,
            given.word("bookmark_type")?,
            given.maybe_day("from_date")?,
            given.maybe_day("to_date")?,
        )),
        "query_flows" => Answer::of(client.query_flows(given.get("bookmark_id")?)),
        "engage_stats" => Answer::of(client.engage_stats(&stats(given)?)),
        "query_insights" => Answer::of(client.query_insights(&given.get("report")?)),
        "query_funnel" => Answer::of(client.query_funnel(&given.get("report")?)),
        "query_retention" => Answer::of(client.query_retention(&given.get("report")?)),
        "query_flow" => Answer::of(client.query_flow(&given.get("report")?)),
        other => Err(wrong("question", format!("there is none called {other}"))),
    }
}

fn numeric(given: &Arguments) -> Result<NumericQuery, Failure> {
    let (from, to) = given.days()?;
    let mut query = NumericQuery::new(given.text("event")?, given.text("on")?, from, to);
    query.unit = given.word("unit")?;
    query.where_ = given.maybe("where")?;
    if let Some(count) = given.maybe_word("type")? {
        query.count = count;
    }
    Ok(query)
}

fn retention(given: &Arguments) -> Result<RetentionQuery, Failure> {
    let (from, to) = given.days()?;
    let mut query = RetentionQuery::new(given.text("born_event")?, given.text("return_event")?, from, to);
    query.born_where = given.maybe("born_where")?;
    query.return_where = given.maybe("return_where")?;
    query.unit = given.maybe_word("unit")?;
    query.interval = given.maybe("interval")?;
    query.interval_count = given.get("interval_count")?;
    query.on = given.maybe("on")?;
    Ok(query)
}

fn stats(given: &Arguments) -> Result<EngageStatsQuery, Failure> {
    let property = || given.text("property");
    let action = match given.text("action")?.as_str() {
        "count" => StatsAction::Count,
        "extremes" => StatsAction::Extremes(property()?),
        "percentile" => StatsAction::Percentile(property()?, given.get("percentile")?),
        "numeric_summary" => StatsAction::NumericSummary(property()?),
        other => {
            let known = "count, extremes, percentile or numeric_summary";
            return Err(wrong("action", format!("{other:?} is none of {known}")));
        }
    };
    let mut query = EngageStatsQuery::new(action);
    query.where_ = given.maybe("where")?;
    query.cohort_id = given.maybe("cohort_id")?;
    query.by_cohorts = given.usual("by_cohorts")?;
    query.group_id = given.maybe("group_id")?;
    query.as_of_timestamp = given.maybe("as_of_timestamp")?;
    query.include_all_users = given.usual("include_all_users")?;
    Ok(query)
}
