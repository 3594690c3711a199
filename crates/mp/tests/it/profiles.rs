//! `mp fetch profiles`, and streams on standard output.

use mixpanel_sim::{Fault, Limits, SimConfig, Simulator};
use serde_json::{Value, json};

use crate::support::{DB, Place};

fn crowd() -> Simulator {
    let config = SimConfig {
        days: 3,
        events_per_day: 400,
        users: Some(100),
        profiles: Some(2_500),
        limits: Limits::off(),
        ..SimConfig::default()
    };
    Simulator::start(config).unwrap()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// All days of the simulator's world.
fn days(simulator: &Simulator) -> [String; 2] {
    let (from, to) = (simulator.world().first_day(), simulator.world().last_day());
    [format!("--from={from}"), format!("--to={to}")]
}

#[test]
fn profiles_come_home_and_can_be_asked() {
    let simulator = crowd();
    let place = Place::at(&simulator);
    let result: Value = serde_json::from_str(&place.ok(["fetch", "profiles", "--db", DB])).unwrap();
    assert_eq!(
        (&result["rows"], &result["snapshot"], &result["pages"]),
        (&json!(2500), &json!(true), &json!(3))
    );
    assert_eq!(place.scalar(DB, "SELECT count(*) FROM profiles_flat WHERE distinct_id <> ''"), 2500);
    let pro =
        ["fetch", "profiles", "pros", "--where", r#"properties["plan"] == "pro""#, "-o", "plan", "--db", DB];
    place.ok(pro);
    assert_eq!(place.scalar(DB, "SELECT count(*) FROM pros WHERE properties->>'$.plan' <> 'pro'"), 0);
    // The table is of other properties.
    assert_eq!(place.run(["fetch", "profiles", "pros", "--db", DB]).code, Some(3));
    place.ok(["fetch", "profiles", "pros", "--replace", "--db", DB]);
    assert_eq!(place.scalar(DB, "SELECT count(*) FROM pros"), 2500);
}

#[test]
fn a_stream_is_json_on_standard_output_and_leaves_no_file() {
    let simulator = crowd();
    let place = Place::at(&simulator);
    let before = place.files();
    let records = lines(&place.ok(["fetch", "profiles", "--stdout"]));
    assert_eq!(records.len(), 2500);
    assert!(records[0]["distinct_id"].is_string() && records[0]["properties"].is_object());
    let raw = lines(&place.ok(["fetch", "profiles", "--stdout", "--raw", "--in-memory"]));
    assert_eq!((raw.len(), &raw[7]["$properties"]), (2500, &records[7]["properties"]));
    let one = ["fetch", "profiles", "--stdout", "--distinct-id", records[3]["distinct_id"].as_str().unwrap()];
    assert_eq!(lines(&place.ok(one)), [records[3].clone()]);

    let [from, to] = days(&simulator);
    let events =
        lines(&place.ok(["fetch", "events", &from, &to, "--stdout", "--events", "Purchase", "--limit", "5"]));
    assert_eq!(events.len(), 5);
    assert!(events.iter().all(|event| event["event_name"] == "Purchase" && event["event_time"].is_string()));
    let raw = lines(&place.ok(["fetch", "events", &from, &to, "--stdout", "--raw"]));
    assert!(raw.iter().all(|event| event["event"].is_string() && event["properties"]["time"].is_number()));
    assert_eq!(place.files(), before);
}

#[test]
fn a_stream_that_is_cut_is_printed_once_or_fails_loudly() {
    let simulator = crowd();
    let place = Place::at(&simulator);
    let [from, to] = days(&simulator);
    let clean = place.ok(["fetch", "events", &from, &to, "--stdout", "--raw"]);
    simulator.fault(Fault::CutConnection { fraction: 0.7 });
    // The wait before the next attempt is real, so there is one.
    assert!(place.ok(["fetch", "events", &from, &to, "--stdout", "--raw"]) == clean);
    simulator.fault(Fault::CutConnection { fraction: 0.7 });
    let run = place.run(["fetch", "events", &from, &to, "--stdout", "--raw", "--unbuffered"]);
    assert_eq!(run.code, Some(10), "{}", run.stderr);
    assert!(clean.starts_with(&run.stdout) && run.stdout.len() < clean.len());
}

#[test]
fn wrong_words_and_refusals_have_their_exit_codes() {
    let simulator = crowd();
    let place = Place::at(&simulator);
    for wrong in [
        vec!["--raw"],
        vec!["--unbuffered"],
        vec!["--stdout", "--db", DB],
        vec!["--stdout", "--append"],
        vec!["--stdout", "--replace"],
        vec!["--stdout", "--on-reject", "fail"],
        vec!["--include-all-users"],
        vec!["--distinct-id", "a", "--distinct-ids", "b"],
        vec!["--where", "true", "--behaviors", "not json"],
        vec!["--behaviors", "[{}]"],
    ] {
        let args = ["fetch", "profiles"].into_iter().chain(wrong.iter().copied());
        assert_eq!(place.run(args).code, Some(2), "{wrong:?}");
    }
    let days = ["fetch", "events", "--from", "2025-01-01", "--to", "2025-01-01", "--stdout"];
    for wrong in [&["--append"][..], &["--replace"], &["--on-reject", "fail"]] {
        let args = days.iter().chain(wrong).copied();
        place.run(args).fails(2, &["--stdout", wrong[0]]);
    }
    // What only makes no difference is said, and done.
    let run = place.run(["fetch", "profiles", "--stdout", "--concurrency", "2"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("--concurrency (--workers) has no effect with --stdout"), "{run:?}");
    let odd = ["fetch", "profiles", "--where", "true", "--behaviors", "[{}]", "--db", DB];
    assert_eq!(place.run(odd).code, Some(3));
    simulator.fault(Fault::status(402).on_endpoint("engage"));
    let run = place.run(["fetch", "profiles", "--db", DB]);
    assert_eq!(run.code, Some(10), "{}", run.stderr);
    assert!(run.stderr.contains("plan"), "{}", run.stderr);
}
