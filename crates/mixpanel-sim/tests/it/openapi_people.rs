//! Profiles, cohorts, lexicon, annotations and ingestion against the published OpenAPI descriptions: what is
//! answered has the documented shape, and what is documented is taken.

use mixpanel_sim::Simulator;
use serde_json::{Value, json};

use crate::people::*;
use crate::schema::Description;
use crate::support::*;

/// Fails where an answer is not what the description says about its status.
fn conforms(description: &Description, operation: &str, answer: &Answer) {
    let responses = &description.0.pointer(operation).unwrap_or_else(|| panic!("{operation}"))["responses"];
    let documented = description.resolve(&responses[answer.status.to_string()]);
    let content =
        documented["content"].as_object().unwrap_or_else(|| panic!("{operation}: {}", answer.status));
    let (media_type, content) = content.iter().next().expect("a type");
    assert_eq!(answer.header("content-type"), Some(media_type.as_str()), "{operation}");
    let value: Value = serde_json::from_slice(&answer.plain()).expect("JSON");
    assert_eq!(description.violations(&content["schema"], &value), Vec::<String>::new(), "{operation}");
}

fn query_description() -> Description {
    let mut description = Description::parse(include_str!("../openapi/query.openapi.yaml"));
    // The schema has an integer; clients have seen texts, too.
    let id = "/paths/~1engage/post/responses/200/content/application~1json/schema/properties/results/items\
              /properties/$distinct_id";
    *description.0.pointer_mut(id).expect("an id") = json!({});
    description
}

#[test]
fn profiles_and_cohorts_have_the_documented_shape() {
    let simulator = start(small());
    let description = query_description();
    conforms(&description, "/paths/~1engage/post", &post(&simulator, "/api/query/engage", &json!({})));
    let cohorts = post(&simulator, "/api/query/cohorts/list", &json!({}));
    conforms(&description, "/paths/~1cohorts~1list/post", &cohorts);
    // Every documented parameter is taken in the documented form.
    let form =
        "/paths/~1engage/post/requestBody/content/application~1x-www-form-urlencoded/schema/properties";
    let parameters = description.0.pointer(form).unwrap().as_object().unwrap();
    let session = page(&simulator, &json!({}))["session_id"].as_str().unwrap().to_owned();
    for name in parameters.keys() {
        let value = match name.as_str() {
            "distinct_id" => "user-000001",
            "distinct_ids" => r#"["user-000001", "user-000002"]"#,
            "data_group_id" => "1234567890",
            "where" => r#"properties["plan"] == "pro""#,
            "output_properties" => r#"["$last_name", "$email"]"#,
            "session_id" => &session,
            "page" => "0",
            "behaviors" => r#"[{"window":"30d","name":"b","event_selectors":[{"event":"Purchase"}]}]"#,
            "as_of_timestamp" => "1751364000",
            "filter_by_cohort" => r#"{"id":4001}"#,
            "include_all_users" => "false",
            other => panic!("the description has a new parameter: {other}"),
        };
        let authorization = basic("sim-project-secret", "");
        let headers = [
            ("Authorization", authorization.as_str()),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        let answer = send(&simulator, "POST", "/api/query/engage", &headers, &query(&[(name, value)]));
        conforms(&description, "/paths/~1engage/post", &answer);
    }
    assert_eq!(parameters.len(), 11);
}

fn app(simulator: &Simulator, path: &str) -> Answer {
    let authorization = basic("demo.sim.mp-service-account", "sim-secret");
    get(simulator, &format!("/api/app/projects/{path}"), &[("Authorization", &authorization)])
}

#[test]
fn the_lexicon_has_the_documented_shape() {
    let simulator = start(small());
    let description = Description::parse(include_str!("../openapi/lexicon-schemas.openapi.yaml"));
    let base = "/paths/~1projects~1{projectId}~1schemas";
    conforms(&description, &format!("{base}/get"), &app(&simulator, "12345/schemas"));
    conforms(&description, &format!("{base}/get"), &app(&simulator, "6/schemas"));
    for kind in ["event", "profile"] {
        let operation = format!("{base}~1{{entityType}}/get");
        conforms(&description, &operation, &app(&simulator, &format!("12345/schemas/{kind}")));
    }
    let one = app(&simulator, "12345/schemas/event/Purchase");
    conforms(&description, &format!("{base}~1{{entityType}}~1{{name}}/get"), &one);
    let schema = json!({"$ref": "#/components/schemas/Schema"});
    assert_eq!(description.violations(&schema, &one.json()["results"]), Vec::<String>::new());
}

#[test]
fn annotations_have_the_documented_shape() {
    let simulator = start(small());
    let description = Description::parse(include_str!("../openapi/annotations.openapi.yaml"));
    let base = "/paths/~1projects~1{projectId}~1annotations";
    let list = app(&simulator, "12345/annotations?fromDate=2025-01-01&toDate=2025-07-01");
    conforms(&description, &format!("{base}/get"), &list);
    conforms(&description, &format!("{base}/get"), &app(&simulator, "6/annotations"));
    let id = &list.json()["results"][0]["id"];
    let one = app(&simulator, &format!("12345/annotations/{id}"));
    conforms(&description, &format!("{base}~1{{annotationId}}/get"), &one);
    conforms(&description, &format!("{base}~1tags/get"), &app(&simulator, "12345/annotations/tags"));
}

#[test]
fn ingestion_answers_as_documented() {
    let simulator = start(small());
    let description = Description::parse(include_str!("../openapi/ingestion.openapi.yaml"));
    let account = basic("demo.sim.mp-service-account", "sim-secret");
    let import = |authorization: &str, body: &Value| {
        let headers = [("Authorization", authorization), ("Content-Type", "application/json")];
        send(&simulator, "POST", "/import?strict=1&project_id=12345", &headers, &body.to_string())
    };
    let good = json!({
        "event": "e", "properties": {"time": 1_751_300_000, "distinct_id": "u", "$insert_id": "i-1"},
    });
    for (authorization, body, status) in [
        (account.as_str(), json!([good]), 200),
        (account.as_str(), json!([good, {"event": "e"}]), 400),
        ("Basic x", json!([good]), 401),
        (account.as_str(), json!(vec![good.clone(); 2001]), 413),
    ] {
        let answer = import(authorization, &body);
        assert_eq!(answer.status, status);
        conforms(&description, "/paths/~1import/post", &answer);
    }
    // Every documented change of a profile is taken.
    let mut changes = 0;
    for (path, operation) in description.0["paths"].as_object().unwrap() {
        let Some((endpoint, _)) = path.split_once('#') else { continue };
        let items = &operation["post"]["requestBody"]["content"]["application/json"]["schema"]["items"];
        let mut record = json!({});
        if items.is_null() {
            // Batches are described in words.
            record = json!({
                "$token": "sim-project-token", "$distinct_id": "x", "$group_key": "x", "$group_id": "x", "$set": {},
            });
        }
        for (name, field) in items["properties"].as_object().into_iter().flatten() {
            record[name] = match (name.as_str(), field["type"].as_str()) {
                ("$token", _) => json!("sim-project-token"),
                ("$unset", _) => json!(["a"]),
                ("$union", _) => json!({"a": ["x"]}),
                ("$add", _) => json!({"n": 1}),
                (_, Some("object")) => json!({"a": "x"}),
                _ => json!("x"),
            };
        }
        let body = json!([record]).to_string();
        let answer = send(&simulator, "POST", endpoint, &[("Content-Type", "application/json")], &body);
        conforms(&description, &format!("/paths/{}/post", path.replace('/', "~1")), &answer);
        assert_eq!(answer.text(), "1", "{path}: {body}");
        changes += 1;
    }
    assert!(changes >= 14, "{changes}");
}
