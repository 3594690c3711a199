//! `mp verify`, and what is said of files that had to be repaired.

use std::fs;

use serde_json::{Value, json};

use crate::support::{DB, Place, fetch_all, small_world};

#[test]
fn what_was_fetched_is_right_and_what_was_changed_is_named() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    place.ok(fetch_all(&simulator));
    for depth in [&["--quick"][..], &[], &["--read-data"]] {
        let found = place.ok([&["verify", "--db", DB, "--format", "json"], depth].concat());
        assert_eq!(serde_json::from_str::<Value>(&found).unwrap(), json!([]), "{depth:?}");
    }
    let all = place.ok(["verify", "--db", DB, "--format", "json", "--all-days"]);
    let all: Vec<Value> = serde_json::from_str(&all).unwrap();
    let right = all.iter().find(|day| day["finding"] == "right").unwrap();
    let day = right["what"].as_str().unwrap();
    place.ok([
        "sql",
        "--write",
        "--db",
        DB,
        &format!("DELETE FROM _events WHERE CAST(event_time AS DATE) = '{day}'"),
    ]);
    let run = place.run(["verify", "--db", DB, "--format", "csv"]);
    assert!(
        run.stdout.contains(&format!("events,{day},{},0,other rows", right["expected_rows"])),
        "{}",
        run.stdout
    );
    assert_eq!(run.code, Some(1));
    for word in ["1 finding is not as received", "mp sync", "1 wrong"] {
        assert!(run.stderr.contains(word), "{word:?} is missing in {}", run.stderr);
    }
}

#[test]
fn a_repaired_file_is_said_to_be_one() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    place.ok(fetch_all(&simulator));
    // The log of another database's state, as a copied file leaves it beside it.
    let log = place.here("data.duckdb.wal");
    fs::write(&log, [0x5a; 4_000]).unwrap();
    let run = place.run(["sql", "--db", DB, "--format", "csv", "SELECT count(*) > 0 AS there FROM events"]);
    assert!(
        run.stdout.contains("true") && run.stderr.contains("was repaired"),
        "{}{}",
        run.stdout,
        run.stderr
    );
    assert!(place.here("data.duckdb.wal.damaged-1").exists());
    let again = place.run(["sql", "--db", DB, "SELECT count(*) FROM events"]);
    assert!(!again.stderr.contains("repaired"), "{}", again.stderr);
}
