//! What all endpoints but the export have in common: paths, credentials, limits, faults, added events.

use std::time::Duration;

use mixpanel_sim::{Fault, Limits, QueryLimit, SimConfig, Simulator};
use serde_json::{Value, json};

use crate::support::*;

fn names(simulator: &Simulator) -> Answer {
    ask(simulator, "events/names", &[("type", "general")])
}

#[test]
fn all_spellings_of_a_path() {
    let simulator = start(small());
    let authorization = basic("sim-project-secret", "");
    let headers = [("Authorization", authorization.as_str())];
    let expected = names(&simulator).json();
    assert!(expected.as_array().unwrap().len() > 10);
    for path in ["/api/query/events/names", "/api/2.0/events/names", "/api/2.0/events/names/"] {
        let answer = get(&simulator, &format!("{path}?type=general&query_origin=test"), &headers);
        assert_eq!(answer.json(), expected, "{path}");
    }
    assert_eq!(send(&simulator, "DELETE", "/api/query/events/names", &headers, "").status, 405);
    assert_eq!(get(&simulator, "/api/query/events/nothing", &headers).status, 404);
}

#[test]
fn credentials() {
    let simulator = start(SimConfig { bearer_token: Some("t0ken".to_owned()), ..small() });
    let status = |authorization: &str, query: &str| {
        let target = format!("/api/query/events/names?type=general{query}");
        let answer = get(&simulator, &target, &[("Authorization", authorization)]);
        if answer.status != 200 {
            assert!(!answer.error().is_empty());
        }
        answer.status
    };
    let account = basic("demo.sim.mp-service-account", "sim-secret");
    assert_eq!(status(&account, "&project_id=12345"), 200);
    assert_eq!(status(&account, ""), 400);
    assert_eq!(status(&account, "&project_id=1"), 403);
    assert_eq!(status(&basic("sim-project-secret", ""), ""), 200);
    assert_eq!(status("Bearer t0ken", "&project_id=12345"), 200);
    assert_eq!(status("Bearer t0ken", ""), 400);
    assert_eq!(status("Bearer other", "&project_id=12345"), 401);
    assert_eq!(status(&basic("demo.sim.mp-service-account", "x"), "&project_id=12345"), 401);
    assert!(!format!("{:?}", simulator.requests()).contains("t0ken"));
}

#[test]
fn a_plan_without_the_query_api_has_only_the_export() {
    let simulator = start(SimConfig { has_query_api: false, limits: Limits::default(), ..small() });
    for _ in 0..70 {
        assert_eq!(names(&simulator).status, 402);
    }
    assert_eq!(export(&simulator, "2025-06-20", "2025-06-20", &[]).status, 200);
    assert_eq!(simulator.queries_last_hour(), 0);
}

#[test]
fn sixty_queries_an_hour_beside_the_exports() {
    let simulator = start_limited(Limits { per_hour: 1, ..Limits::default() });
    assert_eq!(export(&simulator, "2025-06-20", "2025-06-20", &[]).status, 200);
    assert_eq!(ask(&simulator, "events/names", &[]).status, 400);
    for _ in 0..59 {
        assert_eq!(names(&simulator).status, 200);
    }
    simulator.advance(Duration::from_secs(1000));
    for _ in 0..3 {
        let refused = names(&simulator);
        assert_eq!(refused.status, 429);
        assert_eq!(refused.header("retry-after"), Some("2600"));
        let policy = r#""project";q=60;w=3600, "project-concurrency";q=5;qu="concurrent-requests""#;
        assert_eq!(refused.header("ratelimit-policy"), Some(policy));
        let state = r#""project";r=0;t=2600, "project-concurrency";r=5"#;
        assert_eq!(refused.header("ratelimit"), Some(state));
        let body: Value = serde_json::from_slice(&refused.body()).unwrap();
        assert!(body["request"].as_str().unwrap().starts_with("/api/query/events/names?"));
        let error = body["error"].as_str().unwrap();
        assert!(error.starts_with("Query rate limit exceeded for project_id: 12345. This request exceeded"));
        assert!(error.contains("(61/60 queries running in the last hour)"));
    }
    // Neither refused nor unauthorised queries count.
    assert_eq!(get(&simulator, "/api/query/events/names", &[]).status, 401);
    assert_eq!(simulator.queries_last_hour(), 60);
    assert_eq!(export(&simulator, "2025-06-20", "2025-06-20", &[]).status, 429);
    simulator.advance(Duration::from_secs(2600));
    assert_eq!(names(&simulator).status, 200);
    let counted = simulator.requests().iter().filter(|entry| entry.counted).count();
    assert_eq!(counted, 62);
}

#[test]
fn five_queries_at_once() {
    let simulator = start_limited(Limits::default());
    let slow = Fault::SlowFirstByte { delay: Duration::from_millis(400) };
    simulator.fault(slow.times(5).on_endpoint("events/names"));
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..6).map(|_| scope.spawn(|| names(&simulator))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let refused: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert_eq!(refused.len(), 1);
    let state = r#""project";r=55, "project-concurrency";r=0;t=10"#;
    assert_eq!(refused[0].header("ratelimit"), Some(state));
    assert_eq!(refused[0].header("retry-after"), Some("10"));
    assert!(refused[0].error().contains("(6/5 queries running concurrently)"));
    assert_eq!(names(&simulator).status, 200);
}

#[test]
fn faults_hit_the_endpoint_they_name() {
    let simulator = start(small());
    simulator.fault(Fault::status(503));
    simulator.fault(Fault::status(402).on_endpoint("events"));
    assert_eq!(names(&simulator).status, 402);
    assert_eq!(names(&simulator).status, 200);
    assert_eq!(export(&simulator, "2025-06-20", "2025-06-20", &[]).status, 503);
    let text = Fault::InBandError { message: "Extra inputs are not permitted".to_owned() };
    simulator.fault(text.on_endpoint("query"));
    assert_eq!(names(&simulator).json()["error"], "Extra inputs are not permitted");
    for limit in [QueryLimit::Hourly, QueryLimit::Concurrency, QueryLimit::LoadShedding] {
        simulator.fault(Fault::QueryLimit(limit).on_endpoint("query"));
        let answer = names(&simulator);
        assert_eq!(answer.status, 429);
        assert_eq!(answer.header("retry-after").is_some(), limit != QueryLimit::LoadShedding);
        assert_eq!(answer.header("ratelimit").is_some(), limit != QueryLimit::LoadShedding);
    }
    simulator.fault(Fault::CutConnection { fraction: 0.5 }.on_endpoint("query"));
    assert!(!names(&simulator).complete);
    let header = [("X-Sim-Fault", "query_limit:concurrency")];
    let scripted = ask_with(&simulator, "events/names", &[("type", "general")], &header);
    assert!(scripted.header("ratelimit").unwrap().contains(r#""project-concurrency";r=0"#));
    let script = r#"{"fault": "status", "status": 502, "body": "<html>Bad Gateway</html>",
                     "content_type": "text/html", "endpoint": "events/names"}"#;
    assert_eq!(send(&simulator, "POST", "/sim/faults", &[], script).status, 200);
    let answer = names(&simulator);
    assert_eq!((answer.status, answer.header("content-type")), (502, Some("text/html")));
    let faults: Vec<_> = simulator.requests().iter().filter_map(|entry| entry.fault).collect();
    assert_eq!(faults.len(), 9);
}

#[test]
fn answers_are_compressed_like_exports() {
    let simulator = start(small());
    let parameters = [
        ("event", r#"["Page View"]"#),
        ("type", "general"),
        ("unit", "hour"),
        ("from_date", "2025-06-10"),
        ("to_date", "2025-06-20"),
    ];
    let plain = ask(&simulator, "events", &parameters);
    let packed = ask_with(&simulator, "events", &parameters, &[("Accept-Encoding", "gzip")]);
    assert!(!plain.is_gzip() && packed.is_gzip());
    assert_eq!(plain.json(), packed.json());
    assert!(
        !ask_with(&simulator, "events/top", &[("type", "unique")], &[("Accept-Encoding", "gzip")]).is_gzip()
    );
}

fn event(name: &str, time: i64, user: &str, id: &str, processed: i64, plan: &str) -> String {
    json!({"event": name, "properties": {"time": time, "distinct_id": user, "$insert_id": id,
           "mp_processing_time_ms": processed, "plan": plan}})
    .to_string()
}

#[test]
fn added_events_are_exported_as_they_are_and_counted_once() {
    let simulator = start(small());
    let segments = |day: &str| {
        let parameters =
            [("event", "Added"), ("from_date", day), ("to_date", day), ("on", r#"properties["plan"]"#)];
        ask(&simulator, "segmentation", &parameters).json()["data"]["values"].clone()
    };
    let before = export(&simulator, "2025-06-20", "2025-06-20", &[]).events().len();
    assert_eq!(segments("2025-06-20"), json!({}));
    // 2025-06-20T12:00:00Z; the second row is a later version of the first.
    let rows = [
        event("Added", 1_750_420_800, "u1", "a", 10, "old"),
        event("Added", 1_750_420_800, "u1", "a", 30, "new"),
        event("Added", 1_750_420_800, "u1", "a", 20, "middle"),
        event("Added", 1_750_420_800, "u1", "b", 10, "new"),
        // Before the world's first day.
        event("Added", 1_735_732_800, "u1", "c", 10, "early"),
    ];
    simulator.add_events(&rows).unwrap();
    assert_eq!(segments("2025-06-20"), json!({"new": {"2025-06-20": 2}}));
    assert_eq!(segments("2025-01-01"), json!({"early": {"2025-01-01": 1}}));
    let all = export(&simulator, "2025-06-20", "2025-06-20", &[]);
    assert_eq!(all.events().len(), before + 4);
    let packed = export_with(&simulator, "2025-06-20", "2025-06-20", &[], &[("Accept-Encoding", "gzip")]);
    assert!(packed.is_gzip() && packed.plain() == all.body());
    let only = export(&simulator, "2025-01-01", "2025-06-20", &[("event", r#"["Added"]"#)]);
    assert_eq!(only.events().len(), 5);
    // A second delivery to the same day is seen, too.
    simulator.add_events(&[event("Added", 1_750_420_801, "u2", "d", 10, "new")]).unwrap();
    assert_eq!(segments("2025-06-20"), json!({"new": {"2025-06-20": 3}}));
    assert!(simulator.add_events(&["{\"event\":\"x\",\"properties\":{}}"]).is_err());
    assert!(simulator.add_events(&["nonsense"]).is_err());
}

#[test]
fn history_beyond_the_plan_is_refused() {
    let simulator = start(SimConfig { max_history_days: Some(10), ..small() });
    let range = |from: &str| {
        ask(
            &simulator,
            "segmentation",
            &[("event", "Purchase"), ("from_date", from), ("to_date", "2025-07-01")],
        )
    };
    assert_eq!(range("2025-06-21").status, 200);
    let refused = range("2025-06-20");
    assert_eq!(refused.status, 403);
    assert_eq!(refused.error(), "Date range exceeds 10 days into the past");
}
