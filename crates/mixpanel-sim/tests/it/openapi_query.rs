//! The Query API against the published OpenAPI description: every operation, parameter and response.

use serde_json::{Value, json};

use crate::schema::Description;
use crate::support::*;

/// Operations that other tests look at (profiles, cohorts) or that Mixpanel has retired.
const ELSEWHERE: [&str; 3] = ["/engage", "/cohorts/list", "/jql"];

fn description() -> Description {
    let mut description = Description::parse(include_str!("../openapi/query.openapi.yaml"));
    // Where the schema contradicts the description's own words or the numbers that it is about:
    let funnel = "/paths/~1funnels/get/responses/200/content/application~1json/schema/properties/data\
                  /additionalProperties/properties/steps/items/properties";
    for time in ["avg_time", "avg_time_from_start"] {
        // "null for step 0".
        description.0.pointer_mut(funnel).expect("steps")[time]["nullable"] = json!(true);
    }
    // Sums of amounts have fractions.
    let sums = "/paths/~1segmentation~1sum/get/responses/200/content/application~1json/schema/properties/results\
                /additionalProperties";
    *description.0.pointer_mut(sums).expect("sums") = json!({"type": "number"});
    description
}

/// A served operation: its path, and its parameters with their schemas followed.
struct Operation<'a> {
    path: &'a str,
    parameters: Vec<&'a Value>,
    response: &'a Value,
}

fn operations(description: &Description) -> Vec<Operation<'_>> {
    let mut operations = Vec::new();
    for (path, methods) in description.0["paths"].as_object().unwrap() {
        if ELSEWHERE.contains(&path.as_str()) {
            continue;
        }
        let methods = methods.as_object().unwrap();
        assert_eq!(methods.keys().collect::<Vec<_>>(), ["get"], "{path}");
        let operation = &methods["get"];
        let parameters = operation["parameters"].as_array().unwrap();
        operations.push(Operation {
            path: &path[1..],
            parameters: parameters.iter().map(|parameter| description.resolve(parameter)).collect(),
            response: &operation["responses"]["200"]["content"]["application/json"]["schema"],
        });
    }
    assert_eq!(operations.len(), 16, "the description has changed");
    operations
}

/// A value that is valid for a documented parameter.
fn valid(path: &str, parameter: &Value) -> String {
    let value = match (parameter["name"].as_str().unwrap(), path) {
        ("project_id", _) => "12345",
        ("workspace_id", _) => "7",
        ("event", "events") => r#"["Purchase", "Page View"]"#,
        ("event" | "born_event", _) => "Purchase",
        ("from_date", _) => "2025-06-10",
        ("to_date", _) => "2025-06-20",
        ("on", _) => r#"properties["amount"]"#,
        ("where" | "born_where", _) => r#"properties["mp_lib"] == "web""#,
        ("name", _) => "payment_method",
        ("values", _) => r#"["card"]"#,
        ("distinct_ids", _) => r#"["user-000001", "user-000002"]"#,
        ("bookmark_id", _) => "8801",
        ("funnel_id", _) => "7501",
        ("unit", _) => "day",
        ("addiction_unit", _) => "hour",
        ("format", _) => "json",
        ("unbounded_retention", _) => "true",
        ("length", _) => "20",
        ("limit" | "interval" | "interval_count", _) => "3",
        (_, _) => parameter["schema"]["enum"][0].as_str().expect("a new parameter"),
    };
    value.to_owned()
}

type Values<'a> = Vec<(&'a str, String)>;

fn call(simulator: &mixpanel_sim::Simulator, path: &str, values: &Values<'_>) -> Answer {
    let authorization = basic("sim-project-secret", "");
    let pairs: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    get(simulator, &format!("/api/query/{path}?{}", query(&pairs)), &[("Authorization", &authorization)])
}

impl Operation<'_> {
    fn required(&self) -> Values<'_> {
        let required = self.parameters.iter().filter(|parameter| parameter["required"] == true);
        required.map(|parameter| self.with_value(parameter)).collect()
    }

    fn optional(&self) -> impl Iterator<Item = &Value> {
        self.parameters.iter().copied().filter(|parameter| parameter["required"] != true)
    }

    fn with_value<'a>(&self, parameter: &'a Value) -> (&'a str, String) {
        (parameter["name"].as_str().unwrap(), valid(self.path, parameter))
    }

    /// What is always sent along with some optional parameters.
    fn needed(&self) -> Values<'_> {
        let mut values = self.required();
        if self.path == "retention" {
            // "Required when retention_type is birth", which is the default.
            values.push(("born_event", "Purchase".to_owned()));
        }
        values
    }
}

#[test]
fn responses_are_what_the_schemas_say_for_every_parameter() {
    let simulator = start(small());
    let description = description();
    for operation in operations(&description) {
        let base = operation.needed();
        let check = |values: &Values<'_>| {
            let answer = call(&simulator, operation.path, values).json();
            let found = description.violations(operation.response, &answer);
            assert!(found.is_empty(), "{} {values:?}: {found:?}", operation.path);
            answer
        };
        let answer = check(&base);
        assert_ne!(answer, json!({}), "{}", operation.path);
        for parameter in operation.optional() {
            let mut values = base.clone();
            // With `on`, funnels and retention are nested by segment, which the description leaves out.
            if parameter["name"] == "on"
                && ["funnels", "retention", "retention/addiction"].contains(&operation.path)
            {
                continue;
            }
            values.retain(|(name, _)| parameter["name"] != *name);
            values.push(operation.with_value(parameter));
            check(&values);
        }
    }
}

#[test]
fn required_parameters_are_demanded() {
    let simulator = start(small());
    let description = description();
    for operation in operations(&description) {
        let needed = operation.needed();
        for (missing, _) in operation.required() {
            // The project's secret names the project, and properties can be asked for across events.
            if missing == "project_id" || (operation.path, missing) == ("events/properties/values", "event") {
                continue;
            }
            let others = needed.iter().filter(|(name, _)| *name != missing).cloned().collect();
            let answer = call(&simulator, operation.path, &others);
            let either = operation.path.starts_with("events") && missing == "to_date";
            if either {
                assert_eq!(answer.status, 200, "{} without {missing}", operation.path);
                continue;
            }
            assert_eq!(answer.status, 400, "{} without {missing}", operation.path);
            assert!(answer.error().contains(missing), "{}", answer.error());
        }
    }
}

#[test]
fn types_and_enumerations_are_enforced() {
    let simulator = start(small());
    let description = description();
    let mut checked = 0;
    for operation in operations(&description) {
        for parameter in &operation.parameters {
            let schema = &parameter["schema"];
            let (name, _) = operation.with_value(parameter);
            let wrong = match (schema["type"].as_str().unwrap(), name) {
                ("integer", _) => "seven",
                ("boolean", _) => "perhaps",
                ("string", _) if schema["enum"].is_array() => "something else",
                ("string", "from_date" | "to_date") => "06/20/2025",
                ("string", "on" | "where" | "born_where") => "properties[",
                ("array", _) | ("string", "distinct_ids") => "no list",
                _ => continue,
            };
            let mut values = operation.needed();
            values.retain(|(known, _)| *known != name);
            values.push((name, wrong.to_owned()));
            let answer = call(&simulator, operation.path, &values);
            assert_eq!(answer.status, 400, "{} {name}={wrong}", operation.path);
            assert!(!answer.error().is_empty());
            checked += 1;
        }
    }
    assert!(checked > 70, "{checked}");
}

#[test]
fn limits_are_the_documented_ones() {
    let description = description();
    let prose = description.0["paths"]["/segmentation"]["get"]["description"].as_str().unwrap();
    let numbers: Vec<u32> =
        prose.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect();
    let limits = mixpanel_sim::Limits::default();
    assert_eq!(numbers, [limits.query_per_hour, limits.query_concurrent]);
}
