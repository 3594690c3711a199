//! Asking for profiles, for the tests of several files.

use mixpanel_sim::Simulator;
use serde_json::{Map, Value, json};

use crate::support::*;

/// A POST of JSON to a query endpoint by the service account.
pub(crate) fn post(simulator: &Simulator, path: &str, body: &Value) -> Answer {
    let config = simulator.config();
    let authorization = basic(&config.username, &config.secret);
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    send(simulator, "POST", &format!("{path}?project_id=12345"), &headers, &body.to_string())
}

/// The JSON of an answer that must be good.
pub(crate) fn json_of(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    serde_json::from_slice(&answer.plain()).expect("JSON")
}

/// One page of profiles.
pub(crate) fn page(simulator: &Simulator, body: &Value) -> Value {
    json_of(&post(simulator, "/api/query/engage", body))
}

/// All results, page by page.
pub(crate) fn all(simulator: &Simulator, body: &Value) -> Vec<Value> {
    let first = page(simulator, body);
    let mut results = first["results"].as_array().expect("results").clone();
    let size = first["page_size"].as_u64().expect("a size") as usize;
    for number in 1.. {
        if results.len() < number * size {
            break;
        }
        let mut body = body.clone();
        body["page"] = json!(number);
        body["session_id"] = first["session_id"].clone();
        results.extend(page(simulator, &body)["results"].as_array().expect("results").clone());
    }
    assert_eq!(first["total"], results.len());
    results
}

/// The identifier as text.
pub(crate) fn id(result: &Value) -> String {
    result["$distinct_id"].as_str().map_or_else(|| result["$distinct_id"].to_string(), str::to_owned)
}

pub(crate) fn ids(results: &[Value]) -> Vec<String> {
    results.iter().map(id).collect()
}

pub(crate) fn properties(result: &Value) -> &Map<String, Value> {
    result["$properties"].as_object().expect("properties")
}
