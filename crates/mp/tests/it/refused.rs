//! What Mixpanel refuses, what is not there, and names and ids that are odd: a clear outcome each.

use std::collections::BTreeSet;

use mixpanel_sim::{Fault, Limits, SimConfig, Simulator};
use serde_json::{Value, json};

use crate::support::{DB, Place, fetch_all, simulator, small_world};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn days(simulator: &Simulator) -> [String; 2] {
    let world = simulator.world();
    [format!("--from={}", world.first_day()), format!("--to={}", world.last_day())]
}

/// Words with the days of the simulator's world.
fn dated(simulator: &Simulator, words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).chain(days(simulator)).collect()
}

fn refusal(status: u16, error: &str) -> Fault {
    let (body, content_type) = (json!({"error": error}).to_string(), "application/json".to_owned());
    Fault::Status { status, body, retry_after: None, content_type }
}

fn crowd(profiles: u32) -> Simulator {
    let config = SimConfig {
        days: 3,
        events_per_day: 200,
        users: Some(100),
        profiles: Some(profiles),
        limits: Limits::off(),
        ..SimConfig::default()
    };
    Simulator::start(config).unwrap()
}

#[test]
fn a_plan_without_the_api_is_told() {
    let config = SimConfig {
        days: 3,
        events_per_day: 60,
        has_query_api: false,
        limits: Limits::off(),
        ..SimConfig::default()
    };
    let simulator = Simulator::start(config).unwrap();
    let place = Place::at(&simulator);
    let words = ["plan does not include this API", "must include this API"];
    place.run(["inspect", "events"]).fails(10, &words);
    place.run(dated(&simulator, &["query", "segmentation", "-e", "Purchase"])).fails(10, &words);
    place.run(["fetch", "profiles", "--db", DB]).fails(10, &words);
    place.run(["fetch", "profiles", "--stdout"]).fails(10, &words);
    // The export is another API.
    place.ok(fetch_all(&simulator));
}

#[test]
fn history_and_permissions_have_codes_of_their_own() {
    let config = SimConfig {
        days: 10,
        events_per_day: 60,
        max_history_days: Some(3),
        limits: Limits::off(),
        ..SimConfig::default()
    };
    let simulator = Simulator::start(config).unwrap();
    let place = Place::at(&simulator);
    let question = dated(&simulator, &["query", "segmentation", "-e", "Purchase"]);
    place.run(&question).fails(3, &["3 days", "a later --from"]);
    for endpoint in ["segmentation", "engage", "export"] {
        let forbidden = refusal(403, "permission denied");
        match endpoint {
            "export" => simulator.fault(forbidden),
            _ => simulator.fault(forbidden.on_endpoint(endpoint)),
        }
    }
    let denied = ["permission denied", "may see this project"];
    place.run(&question).fails(6, &denied);
    place.run(["fetch", "profiles", "--db", DB]).fails(6, &denied);
    place.run(fetch_all(&simulator)).fails(6, &denied);
    assert_eq!(simulator.waiting_faults(), 0);
}

#[test]
fn what_is_not_there_ends_with_4() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    place.run(dated(&simulator, &["query", "funnel", "1"])).fails(4, &["not found", "mp inspect"]);
    place.run(["query", "saved-report", "1"]).fails(4, &["not found"]);
    place.run(["query", "flows", "1"]).fails(4, &["not found"]);
    place.run(["inspect", "lexicon-schema", "-t", "event", "-n", "No such"]).fails(4, &["not found"]);
    place
        .run(["inspect", "properties", "-e", "purchase"])
        .fails(4, &["no event `purchase`", "Purchase", "mp inspect events"]);
    place.run(["fetch", "profiles", "--cohort", "1", "--db", DB]).fails(3, &["cohort 1"]);
}

#[test]
fn limits_beyond_the_ceiling_are_not_sent() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    for words in [
        dated(&simulator, &["fetch", "events", "--limit", "100001", "--db", DB]),
        dated(&simulator, &["query", "segmentation", "-e", "a", "--on", "b", "--limit", "10001"]),
        dated(&simulator, &["query", "property-counts", "-e", "a", "-p", "b", "--limit", "10001"]),
        dated(&simulator, &["query", "property-counts", "-e", "a", "-p", "b", "--limit", "0"]),
        dated(&simulator, &["query", "funnel", "7501", "--length", "91"]),
        dated(&simulator, &["query", "retention", "--born", "a", "--return", "b", "--interval", "91"]),
        ["inspect", "values", "-p", "a", "--limit", "10001"].map(str::to_owned).to_vec(),
        ["inspect", "top-events", "--limit", "5001"].map(str::to_owned).to_vec(),
    ] {
        place.run(&words).fails(3, &[]);
    }
    assert!(simulator.requests().is_empty(), "{:?}", simulator.requests());
}

/// An event and a property whose names are as odd as they come.
const EVENT: &str = r#"Plan, "changed" \ 100%.done"#;
const PROPERTY: &str = r#"a "quoted".name, with \ and '"#;

fn odd_world() -> Simulator {
    let simulator = simulator(2, 50);
    let noon = simulator.world().first_day().at(12, 0, 0, 0);
    let noon = jiff::tz::Offset::UTC.to_timestamp(noon).unwrap().as_second();
    let lines: Vec<String> = (0..7)
        .map(|number| {
            let properties = json!({
                "time": noon + number, "distinct_id": format!("user, {}", number % 2), "$insert_id": format!("i{number}"),
                "mp_processing_time_ms": (noon + number) * 1000, PROPERTY: if number < 4 { "x.y" } else { "it's" },
                "amount": number,
            });
            json!({"event": EVENT, "properties": properties}).to_string()
        })
        .collect();
    simulator.add_events(&lines).unwrap();
    simulator
}

#[test]
fn commas_quotes_and_dots_in_names_are_part_of_the_name() {
    let simulator = odd_world();
    let place = Place::at(&simulator);
    let ask = |words: &[&str]| parsed(&place.ok(dated(&simulator, words)));
    assert_eq!(
        ask(&["query", "event-counts", "--event", EVENT, "-e", "Purchase"])["series"][EVENT]
            .as_object()
            .unwrap()
            .values()
            .map(|count| count.as_u64().unwrap())
            .sum::<u64>(),
        7
    );
    let by = ask(&["query", "segmentation", "-e", EVENT, "--on", PROPERTY]);
    let totals = |segment: &str| -> u64 {
        by["series"][segment].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
    };
    assert_eq!((totals("x.y"), totals("it's")), (4, 3), "{by}");
    let counts = ask(&["query", "property-counts", "-e", EVENT, "-p", PROPERTY, "--value", "it's"]);
    assert_eq!(counts["series"].as_object().unwrap().len(), 1, "{counts}");
    let properties = parsed(&place.ok(["inspect", "properties", "-e", EVENT]));
    assert!(properties.as_array().unwrap().contains(&json!(PROPERTY)), "{properties}");
    let values = parsed(&place.ok(["inspect", "values", "-p", PROPERTY, "-e", EVENT]));
    let values: BTreeSet<&str> =
        values.as_array().unwrap().iter().map(|value| value.as_str().unwrap()).collect();
    assert_eq!(values, ["it's", "x.y"].into());
    let feed = ask(&["query", "activity-feed", "--user", "user, 1"]);
    assert_eq!(feed["event_count"], 3, "{feed}");

    // The same at home.
    let fetch = dated(&simulator, &["fetch", "events", "--event", EVENT, "--db", DB]);
    assert_eq!(parsed(&place.ok(fetch))["rows"], 7);
    let here = |words: &[&str]| parsed(&place.ok(words.iter().copied().chain(["--db", DB])));
    let found = here(&["inspect", "distribution", "-e", EVENT, "-p", PROPERTY]);
    assert_eq!((&found["values"][0]["value"], &found["values"][0]["count"]), (&json!("x.y"), &json!(4)));
    assert_eq!(
        here(&["inspect", "coverage", "-e", EVENT, "--property", PROPERTY])["coverage"][0]["defined_count"],
        7
    );
    assert_eq!(here(&["inspect", "column", "-t", "events", "-c", PROPERTY])["count"], 7);
    assert!(
        here(&["inspect", "keys", "-t", "events", "-e", EVENT])
            .as_array()
            .unwrap()
            .contains(&json!(PROPERTY))
    );
}

#[test]
fn empty_results_are_results() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let nowhere = |words: &[&str]| dated(&simulator, words);
    for words in [
        nowhere(&["query", "segmentation", "-e", "No such event"]),
        nowhere(&["query", "segmentation", "-e", "No such event", "--on", "$browser"]),
        nowhere(&["query", "event-counts", "-e", "No such event"]),
        nowhere(&["query", "property-counts", "-e", "No such event", "-p", "x"]),
        nowhere(&["query", "segmentation-numeric", "-e", "No such event", "--on", "x"]),
        nowhere(&["query", "segmentation-sum", "-e", "No such event", "--on", "x"]),
        nowhere(&["query", "segmentation-average", "-e", "No such event", "--on", "x"]),
        nowhere(&["query", "retention", "--born", "No such event", "--return", "Purchase"]),
        nowhere(&["query", "frequency", "-e", "No such event"]),
        nowhere(&["query", "funnel", "7501", "--where", "properties[\"x\"] == 1"]),
        nowhere(&["query", "funnel", "7501", "--where", "properties[\"x\"] == 1", "--on", "y"]),
        nowhere(&["query", "activity-feed", "--users", "nobody"]),
        nowhere(&["inspect", "annotations"]),
        ["inspect", "values", "-p", "No such property"].map(str::to_owned).to_vec(),
        ["inspect", "bookmarks", "--type", "launch-analysis"].map(str::to_owned).to_vec(),
        ["query", "engage-stats", "--cohort", "4004"].map(str::to_owned).to_vec(),
        ["query", "engage-stats", "--action", "extremes", "-p", "x"].map(str::to_owned).to_vec(),
    ] {
        for format in ["json", "jsonl", "csv", "table"] {
            let text = place.ok(words.iter().map(String::as_str).chain(["--format", format]));
            match format {
                "json" => drop(parsed(&text)),
                "jsonl" => text.lines().for_each(|line| drop(parsed(line))),
                // There is a header, at least.
                _ => assert!(!text.trim().is_empty(), "{words:?}, {format}"),
            }
        }
    }
    // A day without events, and a table without rows.
    let none = dated(&simulator, &["fetch", "events", "-e", "No such event", "--db", DB]);
    assert_eq!(parsed(&place.ok(none))["rows"], 0);
    for words in [
        &["inspect", "sample", "-t", "events"][..],
        &["inspect", "summarize", "-t", "events"],
        &["inspect", "breakdown", "-t", "events"],
        &["inspect", "keys", "-t", "events"],
        &["inspect", "column", "-t", "events", "-c", "event_name"],
        &["inspect", "daily"],
        &["inspect", "engagement"],
        &["inspect", "distribution", "-e", "x", "-p", "y"],
        &["inspect", "numeric", "-e", "x", "-p", "y"],
        &["inspect", "coverage", "-e", "x", "-p", "y"],
    ] {
        for format in ["json", "csv", "table"] {
            let text = place.ok(words.iter().copied().chain(["--db", DB, "--format", format]));
            assert!(!text.trim().is_empty(), "{words:?}, {format}");
        }
    }
    assert_eq!(place.ok(dated(&simulator, &["fetch", "events", "-e", "No such event", "--stdout"])), "");
}

#[test]
fn an_empty_cohort_is_an_empty_table_and_takes_nothing_away() {
    let simulator = crowd(120);
    let place = Place::at(&simulator);
    let fetched = |words: &[&str]| parsed(&place.ok(words.iter().copied().chain(["--db", DB])));
    let empty = fetched(&["fetch", "profiles", "atlantis", "--cohort", "4004"]);
    assert_eq!((&empty["rows"], &empty["total_rows"]), (&json!(0), &json!(0)));
    fetched(&["fetch", "profiles"]);
    let some = fetched(&["fetch", "profiles", "--cohort", "4004"]);
    assert_eq!((&some["rows"], &some["total_rows"]), (&json!(0), &json!(120)));
    assert_eq!(place.ok(["fetch", "profiles", "--cohort", "4004", "--stdout"]), "");
}

#[test]
fn odd_profiles_keep_their_ids_and_need_no_last_seen() {
    let simulator = crowd(3_000);
    let place = Place::at(&simulator);
    place.ok(["fetch", "profiles", "--db", DB]);
    let count = |sql: &str| place.scalar(DB, sql).as_i64().unwrap();
    assert!(count("SELECT count(*) FROM profiles WHERE last_seen IS NULL") > 0);
    let digits = "SELECT distinct_id FROM profiles WHERE distinct_id SIMILAR TO '[0-9]+' LIMIT 50";
    let ids = parsed(&place.ok(["sql", "--db", DB, digits, "--jq", "map(.distinct_id)"]));
    let flags: Vec<String> = ids
        .as_array()
        .unwrap()
        .iter()
        .map(|id| format!("--distinct-ids={}", id.as_str().expect("ids are texts here")))
        .collect();
    let stream = |more: &[&str]| -> Vec<Value> {
        let words = ["fetch", "profiles", "--stdout"].iter().chain(more).map(|word| (*word).to_owned());
        place.ok(words.chain(flags.iter().cloned())).lines().map(parsed).collect()
    };
    let (records, raw) = (stream(&[]), stream(&["--raw"]));
    assert_eq!((records.len(), raw.len()), (flags.len(), flags.len()));
    assert!(records.iter().all(|record| record["distinct_id"].is_string()), "as texts");
    assert!(raw.iter().any(|result| result["$distinct_id"].is_number()), "as they came");
}

#[test]
fn many_ids_are_asked_for_in_batches() {
    let simulator = crowd(3_000);
    let place = Place::at(&simulator);
    place.ok(["fetch", "profiles", "all", "--db", DB]);
    let ids = parsed(&place.ok([
        "sql",
        "--db",
        DB,
        "SELECT distinct_id FROM \"all\" WHERE distinct_id <> '' ORDER BY 1 LIMIT 2500",
        "--jq",
        "map(.distinct_id)",
    ]));
    let ids: Vec<&str> = ids.as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    assert_eq!(ids.len(), 2_500);
    let flags = ids.iter().map(|id| format!("--distinct-ids={id}"));
    let before = simulator.queries_last_hour();
    let result = parsed(
        &place.ok(["fetch", "profiles", "some", "--db", DB].map(str::to_owned).into_iter().chain(flags)),
    );
    assert_eq!((&result["rows"], &result["total_rows"]), (&json!(2_500), &json!(2_500)));
    assert_eq!(simulator.queries_last_hour() - before, 2);
}

#[test]
fn a_session_that_expires_begins_again_and_is_told() {
    let simulator = crowd(2_500);
    let place = Place::at(&simulator);
    let clean = place.ok(["fetch", "profiles", "--stdout"]);
    let expired =
        || refusal(400, "request for page in uncached query for params").on_endpoint("engage").after(1);
    // The wait before the next attempt is real, so there is one.
    simulator.fault(expired());
    let run = place.run(["fetch", "profiles", "--db", DB]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("session") && run.stderr.contains("attempt 2"), "{run:?}");
    assert_eq!(
        (&parsed(&run.stdout)["rows"], &parsed(&run.stdout)["duplicates"]),
        (&json!(2_500), &json!(0))
    );
    simulator.fault(expired());
    let again = place.ok(["fetch", "profiles", "--stdout"]);
    assert!(again == clean, "no row twice, none missing");
}
