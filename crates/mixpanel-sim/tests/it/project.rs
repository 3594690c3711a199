//! The App API: account, workspaces, lexicon, annotations, saved reports.

use mixpanel_sim::{SimConfig, Simulator};
use serde_json::{Value, json};

use crate::support::*;

fn app(simulator: &Simulator, path: &str) -> Answer {
    let authorization = basic("demo.sim.mp-service-account", "sim-secret");
    get(simulator, &format!("/api/app/{path}"), &[("Authorization", &authorization)])
}

/// The `results` of an answer in the usual envelope.
fn results(simulator: &Simulator, path: &str) -> Value {
    let answer = app(simulator, path).json();
    assert_eq!(answer["status"], "ok", "{path}");
    answer["results"].clone()
}

fn refused(simulator: &Simulator, path: &str) -> u16 {
    let answer = app(simulator, path);
    let body: Value = serde_json::from_slice(&answer.body()).unwrap();
    assert_eq!(body["status"], "error", "{path}");
    assert!(body["error"].is_string());
    answer.status
}

#[test]
fn me_tells_zone_and_region_of_the_project() {
    let config = SimConfig { timezone: "Europe/Berlin".into(), domain: "eu.mixpanel.com".into(), ..small() };
    let simulator = start(config);
    let me = results(&simulator, "me");
    let project = &me["projects"]["12345"];
    assert_eq!(
        (&project["timezone"], &project["domain"]),
        (&json!("Europe/Berlin"), &json!("eu.mixpanel.com"))
    );
    assert!(me["organizations"].get(project["organization_id"].to_string()).is_some());
    let workspaces = results(&simulator, "projects/12345/workspaces/public");
    let workspaces = workspaces.as_array().unwrap();
    assert_eq!(workspaces.iter().filter(|workspace| workspace["is_default"] == true).count(), 1);
    for workspace in workspaces {
        assert_eq!(workspace["project_id"], 12345);
        assert_eq!(&me["workspaces"][workspace["id"].to_string()], workspace);
    }
}

#[test]
fn another_projects_server_does_not_know_the_account() {
    let other = SimConfig { project_id: 6, username: "other".into(), secret: "other".into(), ..small() };
    let simulator = start(other);
    assert_eq!(refused(&simulator, "me"), 401);
    let simulator = start(small());
    assert_eq!(refused(&simulator, "projects/6/schemas"), 403);
    assert_eq!(get(&simulator, "/api/app/me", &[]).status, 401);
    let secret = basic("sim-project-secret", "");
    assert_eq!(get(&simulator, "/api/app/me", &[("Authorization", &secret)]).status, 401);
    assert_eq!(refused(&simulator, "projects/12345/dashboards"), 404);
    let authorization = basic("demo.sim.mp-service-account", "sim-secret");
    let headers = [("Authorization", authorization.as_str())];
    assert_eq!(send(&simulator, "POST", "/api/app/projects/12345/schemas", &headers, "").status, 405);
}

#[test]
fn the_app_api_takes_nothing_from_the_budget() {
    let simulator =
        start_limited(mixpanel_sim::Limits { query_per_hour: 1, ..mixpanel_sim::Limits::default() });
    for _ in 0..3 {
        results(&simulator, "me");
    }
    assert_eq!(simulator.queries_last_hour(), 0);
}

#[test]
fn schemas_are_found_by_type_and_name() {
    let simulator = start(small());
    let all = results(&simulator, "projects/12345/schemas/");
    let all = all.as_array().unwrap();
    for entry in all {
        let kind = entry["entityType"].as_str().unwrap();
        let name = entry["name"].as_str().unwrap();
        let of_type = results(&simulator, &format!("projects/12345/schemas/{kind}"));
        assert!(of_type.as_array().unwrap().contains(entry));
        let named = query(&[("entity_name", name)]);
        assert_eq!(results(&simulator, &format!("projects/12345/schemas/{kind}?{named}")), json!([entry]));
        let encoded = &query(&[("", name)])[1..];
        let one = results(&simulator, &format!("projects/12345/schemas/{kind}/{encoded}"));
        assert_eq!(one, entry["schemaJson"]);
    }
    assert_eq!(results(&simulator, "projects/12345/schemas/event?entity_name=nothing"), json!([]));
    assert_eq!(refused(&simulator, "projects/12345/schemas/event/nothing"), 404);
    assert_eq!(refused(&simulator, "projects/12345/schemas/cohort"), 400);
}

#[test]
fn annotations_are_listed_by_date() {
    let simulator = start(SimConfig { timezone: "Europe/Berlin".into(), ..small() });
    let all = results(&simulator, "projects/12345/annotations");
    let all = all.as_array().unwrap();
    assert!(all.len() >= 3);
    let between = results(&simulator, "projects/12345/annotations?fromDate=2025-06-03&toDate=2025-06-17");
    let day = |annotation: &&Value| annotation["date"].as_str().unwrap()[..10].to_owned();
    let expected: Vec<&Value> =
        all.iter().filter(|one| ("2025-06-03"..="2025-06-17").contains(&day(one).as_str())).collect();
    assert!(!expected.is_empty() && expected.len() < all.len());
    assert_eq!(between, json!(expected));
    assert_eq!(results(&simulator, "projects/12345/annotations?fromDate=2030-01-01"), json!([]));
    assert!(all[0]["date"].as_str().unwrap().ends_with("+02:00"));
    let first = &all[0];
    assert_eq!(&results(&simulator, &format!("projects/12345/annotations/{}", first["id"])), first);
    assert_eq!(refused(&simulator, "projects/12345/annotations/1"), 404);
    assert_eq!(refused(&simulator, "projects/12345/annotations?fromDate=3.6.2025"), 400);
    let tags = app(&simulator, "projects/12345/annotations/tags").json();
    for tag in first["tags"].as_array().unwrap() {
        let known = tags.as_array().unwrap().iter().find(|known| known["id"] == tag["id"]).unwrap();
        assert_eq!((&known["name"], &known["has_annotations"]), (&tag["name"], &json!(true)));
    }
    let secret = basic("sim-project-secret", "");
    let old = get(
        &simulator,
        "/api/2.0/annotations?from_date=2025-01-01&to_date=2025-07-01",
        &[("Authorization", &secret)],
    );
    assert_eq!(old.json()["annotations"].as_array().unwrap().len(), all.len());
}

#[test]
fn bookmarks_are_the_reports_that_queries_serve() {
    let simulator = start(small());
    let all = results(&simulator, "projects/12345/bookmarks?v=2")["results"].clone();
    let all = all.as_array().unwrap();
    assert_eq!(&results(&simulator, "projects/12345/bookmarks"), &json!(all));
    for kind in ["insights", "funnels", "retention", "flows", "launch-analysis"] {
        let of_kind =
            results(&simulator, &format!("projects/12345/bookmarks?v=2&type={kind}"))["results"].clone();
        let expected: Vec<&Value> = all.iter().filter(|bookmark| bookmark["type"] == kind).collect();
        assert_eq!(of_kind, json!(expected));
        assert_eq!(expected.is_empty(), kind == "launch-analysis");
    }
    assert_eq!(refused(&simulator, "projects/12345/bookmarks?type=pie"), 400);
    for bookmark in all {
        let id = bookmark["id"].to_string();
        let (endpoint, more) = match bookmark["type"].as_str().unwrap() {
            "flows" => ("arb_funnels", ("query_type", "flows_sankey")),
            _ => ("insights", ("workspace_id", "1")),
        };
        let answer = ask(&simulator, endpoint, &[("bookmark_id", &id), more]);
        assert_eq!(answer.status, 200, "{bookmark}: {}", answer.text());
    }
}
