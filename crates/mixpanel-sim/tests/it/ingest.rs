//! What is sent in comes out again: in exports, on profile pages, in queries.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mixpanel_sim::{ClockMode, Pace, SimConfig, Simulator};
use serde_json::{Value, json};

use crate::people::*;
use crate::support::*;

/// 2025-06-20T12:00:00Z
const NOON: i64 = 1_750_420_800;

fn world() -> SimConfig {
    SimConfig { pace: Pace::Manual, ..small() }
}

fn event(name: &str, time: i64, user: &str, insert_id: &str) -> Value {
    json!({"event": name, "properties": {"time": time, "distinct_id": user, "$insert_id": insert_id}})
}

/// A POST of a text with the service account's credentials.
fn import_text(simulator: &Simulator, target: &str, content_type: &str, body: &str) -> Answer {
    let authorization = basic("demo.sim.mp-service-account", "sim-secret");
    send(
        simulator,
        "POST",
        target,
        &[("Authorization", &authorization), ("Content-Type", content_type)],
        body,
    )
}

fn import(simulator: &Simulator, events: &[Value]) -> Answer {
    let body = Value::from(events).to_string();
    import_text(simulator, "/import?strict=1&project_id=12345", "application/json", &body)
}

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body()).expect("JSON")
}

/// The rows of an event in an export of a day.
fn rows(simulator: &Simulator, day: &str, name: &str, more: &[(&str, &str)]) -> Vec<Value> {
    let names = json!([name]).to_string();
    let mut all = vec![("event", names.as_str())];
    all.extend_from_slice(more);
    export(simulator, day, day, &all).events()
}

/// How many of an event there are on a day, as a query counts.
fn counted(simulator: &Simulator, day: &str, name: &str) -> Value {
    let parameters = [("event", name), ("from_date", day), ("to_date", day), ("unit", "day")];
    ask(simulator, "segmentation", &parameters).json()["data"]["values"][name][day].clone()
}

#[test]
fn imported_events_are_exported_with_what_the_server_adds() {
    let simulator = start(world());
    let sent = json!({
        "event": "Täst \"event\" 🎈",
        "properties": {
            "time": NOON, "distinct_id": "u 1", "$insert_id": "abc-1", "ip": "1.2.3.4", "token": "x",
            "amount": 12.5, "nested": {"a": [1, {"b": null}]}, "long": "é".repeat(300),
        },
    });
    let before = export(&simulator, "2025-06-20", "2025-06-20", &[]).body();
    let answer = import(&simulator, std::slice::from_ref(&sent));
    assert_eq!(body(&answer), json!({"code": 200, "num_records_imported": 1, "status": "OK"}));
    let rows = rows(&simulator, "2025-06-20", "Täst \"event\" 🎈", &[]);
    let now = simulator.now().as_millisecond();
    let expected = json!([{
        "event": "Täst \"event\" 🎈",
        "properties": {
            "time": NOON, "distinct_id": "u 1", "$insert_id": "abc-1", "amount": 12.5,
            "nested": {"a": [1, {"b": null}]}, "long": "é".repeat(127), "$import": true,
            "$mp_api_endpoint": "api.mixpanel.com", "$mp_api_timestamp_ms": now,
            "$mp_event_size": sent.to_string().len(), "mp_processing_time_ms": now,
        },
    }]);
    assert_eq!(Value::from(rows), expected);
    // The rest of the day is untouched, compressed or not.
    let gzip = [("Accept-Encoding", "gzip")];
    for headers in [&[][..], &gzip[..]] {
        let whole = export_with(&simulator, "2025-06-20", "2025-06-20", &[], headers);
        assert!(whole.plain().starts_with(&before) && whole.plain().len() > before.len());
    }
    assert_eq!(counted(&simulator, "2025-06-20", "Täst \"event\" 🎈"), 1);
}

#[test]
fn late_events_land_on_their_own_day() {
    let simulator = start(world());
    // Before the world began, on one of its days, and on its last.
    for day in ["2024-02-29", "2025-06-11", "2025-07-01"] {
        let time = day.parse::<jiff::civil::Date>().unwrap().at(3, 0, 0, 0).in_tz("UTC").unwrap();
        assert_ne!(counted(&simulator, day, "Late"), 1);
        import(&simulator, &[event("Late", time.timestamp().as_second(), "u", "l-1")]);
        assert_eq!(rows(&simulator, day, "Late", &[]).len(), 1);
        assert_eq!(counted(&simulator, day, "Late"), 1);
    }
    assert_eq!(export(&simulator, "2024-02-28", "2024-03-01", &[]).events().len(), 1);
}

#[test]
fn repeats_are_exported_and_counted_once() {
    let simulator = start(world());
    let mut first = event("Twice", NOON, "u", "t-1");
    first["properties"]["version"] = json!(1);
    let mut second = first.clone();
    second["properties"]["version"] = json!(2);
    import(&simulator, &[first]);
    assert_eq!(counted(&simulator, "2025-06-20", "Twice"), 1);
    import(&simulator, &[second, event("Twice", NOON, "u", "t-2")]);
    let rows = rows(&simulator, "2025-06-20", "Twice", &[]);
    assert_eq!(rows.len(), 3);
    let processed: Vec<i64> =
        rows.iter().map(|row| row["properties"]["mp_processing_time_ms"].as_i64().unwrap()).collect();
    assert!(processed.is_sorted() && processed[0] < processed[1]);
    assert_eq!(counted(&simulator, "2025-06-20", "Twice"), 2);
    // The version that came last is the one that queries see.
    let versions = [("event", "Twice"), ("from_date", "2025-06-20"), ("to_date", "2025-06-20")];
    let by_version = [&versions[..], &[("on", r#"properties["version"]"#)]].concat();
    let values = ask(&simulator, "segmentation", &by_version).json()["data"]["values"].clone();
    assert!(values.get("1").is_none() && values["2"]["2025-06-20"] == 1, "{values}");
}

#[test]
fn good_events_are_stored_beside_bad_ones() {
    let simulator = start(world());
    let mut bad_time = event("Mixed", NOON, "u", "m-2");
    bad_time["properties"]["time"] = json!("yesterday");
    let batch = [
        event("Mixed", NOON, "u", "m-1"),
        bad_time,
        event("", NOON, "u", "m-3"),
        event("Mixed", NOON, "null", "m-4"),
    ];
    let answer = import(&simulator, &batch);
    assert_eq!(answer.status, 400);
    let answer = body(&answer);
    assert_eq!((&answer["code"], &answer["status"]), (&json!(400), &json!("Bad Request")));
    assert_eq!(answer["num_records_imported"], 1);
    assert_eq!(answer["error"], "some data points in the request failed validation");
    let failed = answer["failed_records"].as_array().unwrap();
    let fields: Vec<_> =
        failed.iter().map(|one| (one["index"].as_u64().unwrap(), one["field"].as_str().unwrap())).collect();
    assert_eq!(fields, [(1, "properties.time"), (2, "event"), (3, "properties.distinct_id")]);
    assert_eq!(failed[0]["$insert_id"], "m-2");
    assert_eq!(rows(&simulator, "2025-06-20", "Mixed", &[]).len(), 1);
    // Without `strict`, what is wrong is dropped without a word.
    let text = Value::from(&batch[..]).to_string();
    let lax = import_text(&simulator, "/import?strict=0&project_id=12345", "application/json", &text);
    assert_eq!(body(&lax), json!({"code": 200, "num_records_imported": 1, "status": "OK"}));
}

#[test]
fn lines_and_gzip_are_taken_too() {
    let simulator = start(world());
    let lines = format!("{}\n{}\n", event("Lines", NOON, "a", "l-1"), event("Lines", NOON, "b", "l-2"));
    let target = "/import/?strict=1&project_id=12345";
    let answer = import_text(&simulator, target, "application/x-ndjson", &lines);
    assert_eq!(body(&answer)["num_records_imported"], 2);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(Value::from(vec![event("Lines", NOON, "c", "l-3")]).to_string().as_bytes()).unwrap();
    let authorization = basic("sim-project-token", "");
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json"),
        ("Content-Encoding", "gzip"),
    ];
    let zipped = send_bytes(&simulator, "POST", "/import?strict=1", &headers, &encoder.finish().unwrap());
    assert_eq!(body(&zipped)["num_records_imported"], 1);
    assert_eq!(rows(&simulator, "2025-06-20", "Lines", &[]).len(), 3);
}

#[test]
fn imports_without_the_right_to_are_refused() {
    let simulator = start(world());
    let send_as = |authorization: &str, target: &str| {
        let headers = [("Authorization", authorization), ("Content-Type", "application/json")];
        let answer = send(&simulator, "POST", target, &headers, "[]");
        (answer.status, body(&answer)["error"].as_str().unwrap_or_default().to_owned())
    };
    let account = basic("demo.sim.mp-service-account", "sim-secret");
    assert_eq!(send_as(&account, "/import?project_id=12345").0, 200);
    assert_eq!(send_as(&basic("sim-project-secret", ""), "/import").0, 200);
    assert_eq!(
        send_as(&basic("x", "y"), "/import?project_id=12345"),
        (401, "Invalid credentials".to_owned())
    );
    let without = send_as(&account, "/import");
    assert!(without.0 == 401 && without.1.starts_with("Unauthorized, invalid project secret"));
    assert_eq!(send_as(&account, "/import?project_id=6").0, 403);
    let many = Value::from(vec![event("Many", NOON, "u", "m"); 2001]);
    let answer = import_text(&simulator, "/import?project_id=12345", "application/json", &many.to_string());
    assert_eq!((answer.status, &body(&answer)["status"]), (413, &json!("Request Entity Too Large")));
    assert!(rows(&simulator, "2025-06-20", "Many", &[]).is_empty());
    for wrong in ["", "{", "7"] {
        let answer = import_text(&simulator, "/import?project_id=12345", "application/json", wrong);
        assert_eq!(answer.status, 400, "{wrong:?}");
    }
    assert_eq!(send(&simulator, "GET", "/import", &[], "").status, 405);
}

#[test]
fn milliseconds_are_kept_for_those_who_ask() {
    let simulator = start(world());
    import(
        &simulator,
        &[event("Precise", NOON * 1000 + 123, "u", "p-1"), event("Precise", NOON, "u", "p-2")],
    );
    let times = |more: &[(&str, &str)]| -> Vec<i64> {
        let rows = rows(&simulator, "2025-06-20", "Precise", more);
        rows.iter().map(|row| row["properties"]["time"].as_i64().unwrap()).collect()
    };
    assert_eq!(times(&[]), [NOON, NOON]);
    assert_eq!(times(&[("time_in_ms", "true")]), [NOON * 1000 + 123, NOON * 1000]);
    let whole = export(&simulator, "2025-06-20", "2025-06-20", &[]).events();
    assert!(whole.iter().all(|row| row["properties"]["time"].as_i64().unwrap() < 10_000_000_000));
}

#[test]
fn old_projects_store_the_wall_clock() {
    let zone = "America/New_York".to_owned();
    let simulator = start(SimConfig { timezone: zone, clock_mode: ClockMode::LocalAsUtc, ..world() });
    // 02:00 UTC is 22:00 on the day before.
    let time = NOON - 10 * 3600;
    import(&simulator, &[event("Shifted", time, "u", "s-1")]);
    let rows = rows(&simulator, "2025-06-19", "Shifted", &[]);
    assert_eq!(rows[0]["properties"]["time"], time - 4 * 3600);
    assert_eq!(counted(&simulator, "2025-06-19", "Shifted"), 1);
}

#[test]
fn tracked_events_come_by_form_or_json() {
    let simulator = start(world());
    let now = simulator.now().as_second();
    let tracked = |user: &str| json!({"event": "Tracked", "properties": {"token": "sim-project-token", "time": now, "distinct_id": user}});
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let json_type = ("Content-Type", "application/json");
    let track = |target: &str, header: (&str, &str), body: &str| {
        let answer = send(&simulator, "POST", target, &[header], body);
        (answer.status, answer.header("content-type").unwrap().to_owned(), answer.text())
    };
    let one = (200, "text/plain".to_owned(), "1".to_owned());
    assert_eq!(track("/track", json_type, &json!([tracked("a"), tracked("b")]).to_string()), one);
    assert_eq!(track("/track/", form, &query(&[("data", &tracked("c").to_string())])), one);
    assert_eq!(
        get(&simulator, &format!("/track?{}", query(&[("data", &tracked("d").to_string())])), &[]).text(),
        "1"
    );
    assert_eq!(track("/track", form, &query(&[("data", &STANDARD.encode(tracked("e").to_string()))])), one);
    let rows = rows(&simulator, "2025-07-01", "Tracked", &[]);
    assert_eq!(rows.len(), 5);
    for row in &rows {
        let properties = &row["properties"];
        assert!(properties.get("token").is_none() && properties.get("$import").is_none());
        assert_eq!(properties["$insert_id"].as_str().unwrap().len(), 36);
    }
    // Old ones, other projects' and ignored ones are accepted and dropped.
    let old = [now - 6 * 86_400, i64::MIN].map(|time| ("time", json!(time)));
    for (name, value) in old.into_iter().chain([("token", json!("other")), ("$ignore", json!(true))]) {
        let mut dropped = tracked("x");
        dropped["properties"][name] = value;
        assert_eq!(track("/track", json_type, &json!([dropped]).to_string()), one);
    }
    assert_eq!(counted(&simulator, "2025-07-01", "Tracked"), 5);
    // What lies in the future has happened now.
    let mut future = tracked("f");
    future["properties"]["time"] = json!(now + 86_400);
    track("/track", json_type, &json!([future]).to_string());
    assert_eq!(counted(&simulator, "2025-07-01", "Tracked"), 6);

    let verbose =
        |body: &str| serde_json::from_str::<Value>(&track("/track?verbose=1", json_type, body).2).unwrap();
    assert_eq!(verbose(&json!([tracked("v")]).to_string()), json!({"status": 1, "error": null}));
    assert_eq!(
        verbose(r#"[{"event": "x", "properties": {}}]"#),
        json!({"status": 0, "error": "token, missing or empty"})
    );
    assert_eq!(track("/track", json_type, "nonsense").2, "0");
    let picture = send(&simulator, "POST", "/track?img=1", &[json_type], &json!([tracked("v")]).to_string());
    assert_eq!(picture.header("content-type"), Some("image/gif"));
    assert_eq!(track("/track?callback=f", json_type, &json!([tracked("v")]).to_string()).2, "f(1);");
}

/// Updates of profiles, which must be accepted.
fn update(simulator: &Simulator, path: &str, mut records: Value) {
    for record in records.as_array_mut().unwrap() {
        record["$token"] = json!("sim-project-token");
    }
    let answer = send(simulator, "POST", path, &[("Content-Type", "application/json")], &records.to_string());
    assert_eq!((answer.status, answer.text().as_str()), (200, "1"));
}

fn profile(simulator: &Simulator, id: Value) -> Value {
    page(simulator, &json!({"distinct_id": id}))["results"][0]["$properties"].clone()
}

#[test]
fn profiles_are_changed_added_and_deleted() {
    let simulator = start(world());
    let total = || page(&simulator, &json!({}))["total"].as_u64().unwrap();
    let before = total();
    update(
        &simulator,
        "/engage",
        json!([
            {"$distinct_id": "new 🙂", "$set": {"plan": "pro", "n": 1, "tags": ["a"]}},
            {"$distinct_id": "new 🙂", "$add": {"n": 2}, "$union": {"tags": ["a", "b"]}, "$set_once": {"plan": "free", "x": null}},
            {"$distinct_id": "new 🙂", "$append": {"tags": "b"}},
            {"$distinct_id": 77, "$set": {"kind": "number"}, "$ignore_time": true},
            {"$distinct_id": "user-000001", "$set": {"plan": "changed"}, "$unset": ["$city"], "$time": NOON},
            {"$distinct_id": "user-000002", "$delete": null},
        ]),
    );
    let seen = simulator.now().strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let expected = json!({"plan": "pro", "n": 3, "tags": ["a", "b", "b"], "x": null, "$last_seen": seen});
    assert_eq!(profile(&simulator, json!("new 🙂")), expected);
    assert_eq!(profile(&simulator, json!(77)), json!({"kind": "number"}));
    let changed = profile(&simulator, json!("user-000001"));
    assert_eq!(
        (&changed["plan"], &changed["$last_seen"]),
        (&json!("changed"), &json!("2025-06-20T12:00:00"))
    );
    assert!(changed.get("$city").is_none() && changed.get("$email").is_some());
    assert_eq!(page(&simulator, &json!({"distinct_id": "user-000002"}))["results"], json!([]));
    assert_eq!(total(), before + 1);
    assert_eq!(all(&simulator, &json!({})).len() as u64, before + 1);
    // Filters see it, those of exports too.
    let filter = json!({"where": r#"properties["plan"] == "changed""#});
    assert_eq!(ids(&all(&simulator, &filter)), ["user-000001"]);
    let users = r#"user["plan"] == "changed""#;
    let events = export(&simulator, "2025-06-02", "2025-07-01", &[("where", users)]).events();
    assert!(
        !events.is_empty() && events.iter().all(|event| event["properties"]["distinct_id"] == "user-000001")
    );
    // A deleted profile can come back.
    update(&simulator, "/engage/", json!([{"$distinct_id": "user-000002", "$set": {"a": 1}}]));
    assert_eq!(profile(&simulator, json!("user-000002"))["a"], 1);
    assert_eq!(total(), before + 2);
}

#[test]
fn a_session_does_not_see_later_changes() {
    let simulator = start(SimConfig { profiles: Some(2_500), ..world() });
    let first = page(&simulator, &json!({}));
    let next = json!({"page": 1, "session_id": first["session_id"]});
    let before = page(&simulator, &next)["results"].clone();
    let victims: Vec<Value> =
        before.as_array().unwrap().iter().take(3).map(|result| result["$distinct_id"].clone()).collect();
    update(
        &simulator,
        "/engage",
        json!([
            {"$distinct_id": victims[0], "$delete": ""},
            {"$distinct_id": victims[1], "$set": {"changed": true}},
            {"$distinct_id": "somebody new", "$set": {"changed": true}},
        ]),
    );
    assert_eq!(page(&simulator, &next)["results"], before);
    assert_eq!(page(&simulator, &json!({}))["total"], 2500);
    assert_eq!(page(&simulator, &json!({"where": r#"properties["changed"] == true"#}))["total"], 2);
}

#[test]
fn bad_updates_are_told_where_asked() {
    let simulator = start(world());
    let records = json!([
        {"$token": "sim-project-token", "$distinct_id": "ok", "$set": {"a": 1}},
        {"$token": "sim-project-token", "$set": {"a": 1}},
        {"$token": "sim-project-token", "$distinct_id": "b", "$add": {"a": "1"}},
        {"$distinct_id": "c", "$set": {"a": 1}},
    ]);
    let json_type = [("Content-Type", "application/json")];
    let strict = send(&simulator, "POST", "/engage?strict=1", &json_type, &records.to_string());
    assert_eq!(strict.status, 400);
    let strict = body(&strict);
    assert_eq!(strict["num_records_imported"], 1);
    let failed: Vec<u64> = strict["failed_records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["index"].as_u64().unwrap())
        .collect();
    assert_eq!(failed, [1, 2, 3]);
    // One good record is enough for a 1, none is not.
    assert_eq!(send(&simulator, "POST", "/engage", &json_type, &records.to_string()).text(), "1");
    let bad = records[3].to_string();
    assert_eq!(send(&simulator, "POST", "/engage", &json_type, &bad).text(), "0");
    let verbose = body(&send(&simulator, "POST", "/engage?verbose=1", &json_type, &bad));
    assert_eq!(verbose, json!({"status": 0, "error": "$token, missing or empty"}));
    // Another project's token is accepted, and nothing happens.
    let other = json!({"$token": "other", "$distinct_id": "elsewhere", "$set": {"a": 1}}).to_string();
    assert_eq!(send(&simulator, "POST", "/engage", &json_type, &other).text(), "1");
    assert_eq!(page(&simulator, &json!({"distinct_id": "elsewhere"}))["total"], 0);
}

#[test]
fn the_list_of_cohorts_counts_what_has_changed() {
    let simulator = start(world());
    let paying = || {
        let list = json_of(&post(&simulator, "/api/query/cohorts/list", &json!({})));
        let cohorts = list.as_array().unwrap();
        cohorts.iter().find(|cohort| cohort["name"] == "Paying customers").unwrap()["count"].as_u64().unwrap()
    };
    let before = paying();
    assert_eq!(paying(), before);
    update(&simulator, "/engage", json!([{"$distinct_id": "new", "$set": {"plan": "pro"}}]));
    assert_eq!(paying(), before + 1);
    update(&simulator, "/engage", json!([{"$distinct_id": "new", "$delete": ""}]));
    assert_eq!(paying(), before);
}

#[test]
fn groups_are_changed_under_their_key() {
    let simulator = start(world());
    update(
        &simulator,
        "/groups",
        json!([
            {"$group_key": "team", "$group_id": "red", "$set": {"size": 3}},
            {"$group_key": "company_id", "$group_id": "company-00001", "$set": {"plan": "changed"}},
            {"$group_key": "company_id", "$group_id": "company-00002", "$delete": ""},
        ]),
    );
    let of = |key: &str, more: Value| {
        let mut body = more;
        body["data_group_id"] = json!(simulator.data_group_id(key).to_string());
        page(&simulator, &body)["results"].clone()
    };
    assert_eq!(of("team", json!({})), json!([{"$distinct_id": "red", "$properties": {"size": 3}}]));
    let changed = of("company_id", json!({"distinct_id": "company-00001"}));
    assert_eq!(changed[0]["$properties"]["plan"], "changed");
    assert_eq!(of("company_id", json!({"distinct_id": "company-00002"})), json!([]));
    assert_eq!(page(&simulator, &json!({"distinct_id": "red"}))["total"], 0);
}

#[test]
fn faults_reach_ingestion() {
    let simulator = start(world());
    let headers = [("Content-Type", "application/json"), ("X-Sim-Fault", "too_many_requests")];
    let answer = send(&simulator, "POST", "/import?project_id=12345", &headers, "[]");
    assert_eq!((answer.status, &body(&answer)["status"]), (429, &json!("Too Many Requests")));
}
