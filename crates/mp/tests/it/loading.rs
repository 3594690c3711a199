//! `mp load`: files that people have already.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{DB, Place, Run, Running, small_world};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn event(id: u32) -> String {
    let time = 1_704_067_200 + id;
    format!(
        r#"{{"event":"Buy","properties":{{"time":{time},"distinct_id":"u","$insert_id":"{id}","n":1.50}}}}"#
    )
}

fn events(ids: std::ops::Range<u32>) -> String {
    ids.map(|id| event(id) + "\n").collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn fed(place: &Place, args: &[&str], input: &[u8]) -> Run {
    let mut command = place.command(args);
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    running.child().stdin.take().unwrap().write_all(input).unwrap();
    running.end()
}

#[test]
fn files_folders_and_streams_are_loaded_once() {
    let place = Place::new();
    fs::create_dir(place.here("old")).unwrap();
    fs::write(place.here("old/1.jsonl"), events(0..10)).unwrap();
    fs::write(place.here("old/2.json.gz"), gzip(format!("[{},\n{}]", event(10), event(11)).as_bytes()))
        .unwrap();
    fs::write(place.here("old/notes.txt"), "not for us").unwrap();
    let result = json(&place.ok(["load", "old", "--db", DB]));
    assert_eq!((&result["rows"], &result["total_rows"]), (&json!(12), &json!(12)), "{result}");
    let files: Vec<&Value> = result["files"].as_array().unwrap().iter().map(|file| &file["file"]).collect();
    assert_eq!(files, ["old/1.jsonl", "old/2.json.gz"]);
    let run = fed(&place, &["load", "-", "--db", DB, "--format", "table"], &gzip(events(5..20).as_bytes()));
    assert_eq!(run.code, Some(0), "{run:?}");
    let lines: Vec<String> =
        run.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in ["rows added 8", "there already, or repeated 7", "days 2024-01-01 to 2024-01-01, loaded"] {
        assert!(lines.iter().any(|found| found == line), "{line}: {run:?}");
    }
    assert_eq!(place.scalar(DB, "SELECT count(*) FROM events_flat WHERE n = 1.5"), 20);
    let status = json(&place.ok(["status", "--db", DB, "--to", "2024-01-02"]));
    assert_eq!((&status["loaded"], &status["missing"]), (&json!(1), &json!(1)), "{status}");
}

#[test]
fn what_cannot_be_loaded_is_named_and_nothing_is_stored() {
    let place = Place::new();
    let packed = gzip(events(0..50).as_bytes());
    let cut = events(0..3);
    for (name, bytes, words) in [
        ("cut.jsonl", cut.as_bytes()[..cut.len() - 9].to_vec(), "line 3"),
        ("cut.gz", packed[..packed.len() / 2].to_vec(), "stops before the end"),
        ("rows.csv", b"what,when\nBuy,1\n".to_vec(), "\"what\", \"when\""),
        ("noise", vec![0x9f, 3, 200, 7, 10, 255, 0], "neither JSON"),
        ("page.json", b"<html>".to_vec(), "HTML"),
    ] {
        fs::write(place.here(name), bytes).unwrap();
        place.run(["load", name, "--db", DB]).fails(1, &[name, words, "--dry-run"]);
        let run = place.command(["--error-format", "json", "load", name, "--db", DB]).output().unwrap();
        let error = json(String::from_utf8(run.stderr).unwrap().trim());
        assert_eq!(error["error"]["code"], "NOT_LOADABLE", "{error}");
    }
    place.run(["load", "no-such-file", "--db", DB]).fails(4, &["there is no file no-such-file"]);
    place.run(["load", "noise"]).fails(2, &["--db"]);
    let db = place.here(DB);
    assert!(!db.exists() || json(&place.ok(["tables", "--db", DB])) == json!([]));
    fs::write(place.here("empty.jsonl"), "").unwrap();
    let run = place.run(["load", "empty.jsonl", "--db", DB]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("empty.jsonl has no events"), "{run:?}");
}

#[test]
fn columns_of_csv_are_named_and_shown_before_anything_is_stored() {
    let place = Place::new();
    let csv = "order;paid_at;customer;sum\n7;2024-01-01 01:30;u1;12.50\n8;soon;u2;3\n";
    fs::write(place.here("orders.csv"), csv).unwrap();
    let words = [
        "load",
        "orders.csv",
        "--db",
        DB,
        "--event-name",
        "Order",
        "--time-column",
        "paid_at",
        "--times-in",
        "Europe/Berlin",
        "--distinct-id-column",
        "customer",
        "--insert-id-column",
        "order",
    ];
    let shown = json(&place.ok([&words[..], &["--dry-run"]].concat()));
    assert_eq!(shown[0]["format"], "csv");
    let properties = json!({"time": 1_704_069_000, "distinct_id": "u1", "$insert_id": "7", "sum": 12.5});
    assert_eq!(shown[0]["events"], json!([{"event": "Order", "properties": properties}]), "{shown}");
    assert_eq!(shown[0]["rejects"][0][0], json!(3), "{shown}");
    assert!(!place.here(DB).exists());
    let run = place.run(words);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("1 line could not be stored"), "{run:?}");
    assert_eq!(place.scalar(DB, "SELECT event_time FROM events"), "2024-01-01T00:30:00");
    // Refused altogether, if that is wanted.
    let strict = [&words[..], &["--table", "strict", "--on-reject", "fail"]].concat();
    place.run(strict).fails(1, &["line 3"]);
}

#[test]
fn a_sync_leaves_loaded_days_and_fetches_them_when_told_to() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let (from, to) = (simulator.world().first_day().to_string(), simulator.world().last_day().to_string());
    let raw = place.ok(["fetch", "events", "--from", &from, "--to", &from, "--stdout", "--raw"]);
    fs::write(place.here("raw.jsonl"), raw).unwrap();
    let loaded = json(&place.ok(["load", "raw.jsonl", "--db", DB]));
    place.run(["sync", "--db", DB]).fails(3, &["are from files", "--from"]);
    let sync = ["sync", "--db", DB, "--from", &from, "--to", &to];
    let result = json(&place.ok(sync));
    assert_eq!((&result["days_loaded"], &result["days_fetched"]), (&json!(1), &json!(2)), "{result}");
    let run = place.run([&sync[..], &["--refetch-loaded"]].concat());
    let result = json(&run.stdout);
    assert_eq!((&result["days_loaded"], &result["days_fetched"]), (&json!(0), &json!(1)), "{result}");
    assert!(run.stderr.contains("Mixpanel's rows have taken the place"), "{run:?}");
    assert_eq!(result["rows"], loaded["rows"]);
}
