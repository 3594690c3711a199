//! `mp import-original`: databases of the Python original.

use std::fs;

use serde_json::{Value, json};

use crate::support::{DB, Place};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What the original's storage engine makes of a fetch of events and one of profiles.
const ORIGINAL: &str = r#"
    CREATE TABLE o.events (event_name VARCHAR NOT NULL, event_time TIMESTAMP NOT NULL, distinct_id VARCHAR NOT NULL,
                           insert_id VARCHAR PRIMARY KEY, properties JSON);
    INSERT INTO o.events VALUES ('Buy', '2024-01-01 10:00:00', 'u1', 'i1', '{"plan": "pro"}'),
                                ('Buy', '2024-01-03 10:00:00', 'u2', 'i2', '{}');
    CREATE TABLE o.people (distinct_id VARCHAR PRIMARY KEY, properties JSON, last_seen TIMESTAMP);
    INSERT INTO o.people VALUES ('u1', '{"$name": "A"}', '2024-01-02 03:04:05');
    CREATE TABLE o._metadata (table_name VARCHAR PRIMARY KEY, type VARCHAR NOT NULL, fetched_at TIMESTAMP NOT NULL,
                              from_date DATE, to_date DATE, row_count INTEGER NOT NULL);
    INSERT INTO o._metadata VALUES ('events', 'events', '2024-02-01 00:00:00', '2024-01-01', '2024-01-04', 2),
                                   ('people', 'profiles', '2024-02-01 00:00:00', NULL, NULL, 1);
"#;

fn original(place: &Place) {
    let storage = mixpanel_data::StorageEngine::memory().unwrap();
    let attach = format!("ATTACH '{}' AS o; {ORIGINAL} DETACH o;", place.here("mixpanel.db").display());
    storage.execute(&attach).unwrap();
}

#[test]
fn an_original_database_says_what_it_is_and_what_to_do() {
    let place = Place::new();
    original(&place);
    let before = fs::read(place.here("mixpanel.db")).unwrap();
    fs::write(place.here("x.jsonl"), r#"{"event":"a","properties":{"time":1}}"#).unwrap();
    let words = ["Python original", "events, people", "mp import-original", "here/mixpanel.db` copies"];
    place.run(["load", "x.jsonl", "--db", "mixpanel.db"]).fails(1, &words);
    let run = place.run(["tables", "--db", "mixpanel.db"]);
    assert!(run.stderr.contains("mp import-original"), "{run:?}");
    assert_eq!(place.scalar("mixpanel.db", "SELECT count(*) FROM events"), 2);
    assert_eq!(fs::read(place.here("mixpanel.db")).unwrap(), before);
}

#[test]
fn its_tables_are_copied_and_their_days_are_loaded() {
    let place = Place::new();
    original(&place);
    let before = fs::read(place.here("mixpanel.db")).unwrap();
    let known = json(&place.ok(["import-original", "mixpanel.db", "--dry-run"]));
    assert_eq!((&known[0]["name"], &known[1]["name"]), (&json!("events"), &json!("people")), "{known}");
    assert!(!place.here(DB).exists());
    let copied = json(&place.ok(["import-original", "mixpanel.db", "--db", DB]));
    assert_eq!((&copied[0]["rows"], &copied[1]["rows"]), (&json!(2), &json!(1)), "{copied}");
    assert_eq!(place.scalar(DB, "SELECT plan FROM events_flat WHERE insert_id = 'i1'"), "pro");
    let status = json(&place.ok(["status", "--db", DB, "--to", "2024-01-04"]));
    assert_eq!((&status["loaded"], &status["missing"]), (&json!(2), &json!(2)), "{status}");
    let again = json(&place.ok(["import-original", "mixpanel.db", "-t", "events", "--db", DB]));
    assert_eq!((&again[0]["rows"], &again[0]["duplicates"]), (&json!(0), &json!(2)));
    assert_eq!(fs::read(place.here("mixpanel.db")).unwrap(), before);
    place.run(["import-original", "mixpanel.db", "--db", DB]).fails(1, &["people"]);
    place.run(["import-original", "mixpanel.db", "-t", "no", "--db", DB]).fails(4, &["no", "events"]);
    place.run(["import-original", "mixpanel.db", "--db", "mixpanel.db"]).fails(2, &["another file"]);
    place.run(["import-original", "no.db", "--db", DB]).fails(4, &["no.db"]);
    place
        .run(["import-original", DB, "--db", "b.duckdb"])
        .fails(1, &["not a database of the Python original"]);
}
