//! The endpoint against the published OpenAPI description: parameters, responses, and what its prose promises.

use mixpanel_sim::{Limits, Simulator};
use serde_json::Value;

use crate::support::*;

fn description() -> Value {
    let text = include_str!("../openapi/export.openapi.yaml");
    serde_norway::from_str(text).expect("the OpenAPI file")
}

fn operation() -> Value {
    description()["paths"]["/export"]["get"].clone()
}

/// Requests the operation with the given query parameters and headers, as the project.
fn call(simulator: &Simulator, parameters: &[(String, String)], headers: &[(String, String)]) -> Answer {
    let base = description()["servers"][0]["url"].as_str().unwrap().to_owned();
    let path = base.split(".com").nth(1).expect("a path on the server").to_owned();
    let pairs: Vec<(&str, &str)> =
        parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let authorization = basic("sim-project-secret", "");
    let mut all = vec![("Authorization", authorization.as_str())];
    all.extend(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    get(simulator, &format!("{path}/export?{}", query(&pairs)), &all)
}

/// A valid value for a documented parameter, from its own example where there is one.
fn valid(parameter: &Value) -> String {
    let schema = &parameter["schema"];
    match (parameter["name"].as_str().unwrap(), schema["type"].as_str().unwrap()) {
        ("project_id", _) => "12345".to_owned(),
        ("from_date", _) => "2025-06-20".to_owned(),
        ("to_date", _) => "2025-06-21".to_owned(),
        ("where", _) => r#"properties["plan"] == "pro""#.to_owned(),
        (_, "integer") => "7".to_owned(),
        (_, "boolean") => "true".to_owned(),
        (_, "string") if schema["example"].is_string() => schema["example"].as_str().unwrap().to_owned(),
        (_, "string") if schema["enum"].is_array() => schema["enum"][0].as_str().unwrap().to_owned(),
        (name, kind) => panic!("the description has a new parameter: {name} of type {kind}"),
    }
}

/// A request with exactly these parameters, sorted by where they belong.
fn request(simulator: &Simulator, parameters: &[(&Value, String)]) -> Answer {
    let of = |place: &str| -> Vec<(String, String)> {
        let here = parameters.iter().filter(|(parameter, _)| parameter["in"] == place);
        here.map(|(parameter, value)| (parameter["name"].as_str().unwrap().to_owned(), value.clone()))
            .collect()
    };
    call(simulator, &of("query"), &of("header"))
}

fn parameters(operation: &Value) -> Vec<(&Value, String)> {
    operation["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|parameter| (parameter, valid(parameter)))
        .collect()
}

fn is_required(parameter: &Value) -> bool {
    parameter["required"] == true
}

#[test]
fn every_documented_parameter_is_accepted() {
    let simulator = start(small());
    let operation = operation();
    let all = parameters(&operation);
    assert_eq!(all.len(), 8, "the description has changed");
    assert_eq!(request(&simulator, &all).status, 200);
    for (optional, value) in all.iter().filter(|(parameter, _)| !is_required(parameter)) {
        let mut some: Vec<_> = all.iter().filter(|(p, _)| is_required(p)).cloned().collect();
        some.push((optional, value.clone()));
        assert_eq!(request(&simulator, &some).status, 200, "{}", optional["name"]);
    }
}

#[test]
fn required_parameters_are_demanded() {
    let simulator = start(small());
    let operation = operation();
    let all = parameters(&operation);
    let required: Vec<_> = all.iter().filter(|(parameter, _)| is_required(parameter)).collect();
    assert_eq!(required.len(), 2);
    for (missing, _) in required {
        let others: Vec<_> = all.iter().filter(|(p, _)| p["name"] != missing["name"]).cloned().collect();
        let answer = request(&simulator, &others);
        assert_eq!(answer.status, 400);
        assert!(answer.error().contains(missing["name"].as_str().unwrap()));
    }
}

#[test]
fn types_are_enforced() {
    let simulator = start(small());
    let operation = operation();
    let all = parameters(&operation);
    let mut checked = 0;
    for index in 0..all.len() {
        let (parameter, _) = all[index];
        let wrong = match (parameter["schema"]["type"].as_str().unwrap(), parameter["name"].as_str().unwrap())
        {
            ("integer", _) => "seven",
            ("boolean", _) => "perhaps",
            ("string", "from_date" | "to_date") => "06/20/2025",
            ("string", "event") => "signup",
            ("string", "where") => "properties[",
            _ => continue,
        };
        let mut changed = all.clone();
        changed[index].1 = wrong.to_owned();
        assert_eq!(request(&simulator, &changed).status, 400, "{}", parameter["name"]);
        checked += 1;
    }
    assert_eq!(checked, 7);
    // What the prose says about `limit`.
    let limit = all.iter().position(|(parameter, _)| parameter["name"] == "limit").unwrap();
    let prose = all[limit].0["description"].as_str().unwrap();
    assert!(prose.contains("cannot be over 100000"));
    let mut changed = all.clone();
    for (value, status) in [("100000", 200), ("100001", 400)] {
        changed[limit].1 = value.to_owned();
        assert_eq!(request(&simulator, &changed).status, status);
    }
}

#[test]
fn the_response_has_the_documented_type_and_shape() {
    let simulator = start(small());
    let operation = operation();
    let responses = operation["responses"].as_object().unwrap();
    assert_eq!(responses.keys().collect::<Vec<_>>(), ["200"]);
    let content = responses["200"]["content"].as_object().unwrap();
    let (media_type, documented) = content.iter().next().unwrap();
    let all = parameters(&operation);
    let answer = request(&simulator, &all.into_iter().filter(|(p, _)| is_required(p)).collect::<Vec<_>>());
    assert_eq!(answer.header("content-type"), Some(media_type.as_str()));
    // Each served line has at least the fields of the documented lines, with values of the same types.
    let example = documented["schema"]["example"].as_str().unwrap();
    let example: Value = serde_json::from_str(example.lines().next().unwrap()).unwrap();
    let events = answer.events();
    assert!(events.len() > 50);
    for event in &events {
        has_shape(event, &example);
        assert_eq!(event.as_object().unwrap().len(), 2);
        let id = event["properties"]["$insert_id"].as_str().unwrap();
        assert_eq!(id.len(), example["properties"]["$insert_id"].as_str().unwrap().len());
    }
}

fn has_shape(found: &Value, example: &Value) {
    match example {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| has_shape(&found[name], value)),
        Value::String(_) => assert!(found.is_string()),
        Value::Number(_) => assert!(found.is_u64()),
        _ => {}
    }
}

#[test]
fn compression_follows_the_documented_rule() {
    let simulator = start(small());
    let operation = operation();
    let all = parameters(&operation);
    let header = all.iter().find(|(parameter, _)| parameter["in"] == "header").unwrap();
    assert!(header.0["description"].as_str().unwrap().contains("> 1400 bytes"));
    let limit = all.iter().find(|(parameter, _)| parameter["name"] == "limit").unwrap();
    let required: Vec<_> = all.iter().filter(|(p, _)| is_required(p)).cloned().collect();
    for rows in ["1", "2", "3", "10", "100"] {
        let mut with = required.clone();
        with.push((limit.0, rows.to_owned()));
        let plain = request(&simulator, &with);
        with.push(header.clone());
        let negotiated = request(&simulator, &with);
        assert!(!plain.is_gzip());
        assert_eq!(negotiated.is_gzip(), plain.body().len() > 1400);
        assert_eq!(negotiated.plain(), plain.body());
    }
}

#[test]
fn limits_are_the_documented_ones() {
    let operation = operation();
    let prose = operation["description"].as_str().unwrap();
    // The numbers in the sentence about limits, in their order.
    let sentence = prose.split("rate limit of").nth(1).unwrap().split('.').next().unwrap();
    let numbers: Vec<u32> = sentence
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse().unwrap())
        .collect();
    let limits = Limits::default();
    assert_eq!(numbers, [limits.per_hour, limits.per_second, limits.concurrent]);
    assert!(limits.enforced && prose.contains("a 429 error"));
    let simulator = start_limited(limits);
    let all = parameters(&operation);
    let statuses: Vec<u16> = (0..4).map(|_| request(&simulator, &all).status).collect();
    assert_eq!(statuses, [200, 200, 200, 429]);
}
