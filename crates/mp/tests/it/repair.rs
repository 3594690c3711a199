//! `mp repair`: what can be read of a damaged file is in the copy, and the way on is said.

use std::fs;

use serde_json::{Value, json};

use crate::support::{DB, Place, fetch_all, small_world};

const COPY: &str = "data.repaired.duckdb";

#[test]
fn a_damaged_file_gets_a_copy_and_a_sync_brings_the_lost_days() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    place.ok(fetch_all(&simulator));
    let rows = place.scalar(DB, "SELECT count(*) FROM events");
    let run = place.run(["repair", "--db", DB, "--format", "json"]);
    assert_eq!((run.code, run.stdout.trim()), (Some(0), "[]"), "{run:?}");
    assert!(run.stderr.contains("nothing is damaged"), "{run:?}");
    assert!(!place.here(COPY).exists());

    let whole = fs::read(place.here(DB)).unwrap();
    let mut seen = false;
    for block in 0..(whole.len() - 12_288) / (256 << 10) {
        let mut bad = whole.clone();
        bad[12_288 + block * (256 << 10) + 5_000..][..4_096].fill(0x5a);
        fs::write(place.here(DB), &bad).unwrap();
        let _ = fs::remove_file(place.here(COPY));
        let run = place.run(["repair", "--db", DB, "--format", "json"]);
        assert!(fs::read(place.here(DB)).unwrap() == bad, "the damaged file is as it was");
        let listed: Vec<Value> = serde_json::from_str(&run.stdout).unwrap_or_default();
        if run.code != Some(1) || listed.is_empty() {
            continue;
        }
        for word in ["lost: ", "copied into a new database", COPY, "is as it was", "mp sync --db"] {
            assert!(run.stderr.contains(word), "{word:?} is missing in {}", run.stderr);
        }
        assert!(
            listed.iter().all(|row| row["table"] == json!("events") && row["next"] == json!("mp sync")),
            "{listed:?}"
        );
        // Nothing is written over.
        place.run(["repair", "--db", DB]).fails(3, &[COPY]);
        place.ok(["sync", "--db", COPY, "--to", "2025-06-30"]);
        assert_eq!(place.scalar(COPY, "SELECT count(*) FROM events"), rows);
        place.ok(["verify", "--read-data", "--db", COPY]);
        seen = true;
        break;
    }
    assert!(seen, "no block whose damage loses days");
    place.run(["repair", "--db", "no.duckdb"]).fails(4, &["no.duckdb"]);
}
