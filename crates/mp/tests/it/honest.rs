//! Outputs hold what their names, and their figures, say.

use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{DB, Place, Run, fetch_all, small_world};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn sql(words: &[&str]) -> String {
    Place::new().ok([&["sql", "--memory"], words].concat())
}

#[test]
fn a_file_is_not_what_its_ending_does_not_say() {
    let place = Place::new();
    let query = "SELECT 1 AS x";
    let refused = |words: &[&str], told: &str| {
        place.run([&["sql", "--memory", query], words].concat()).fails(2, &[told]);
    };
    refused(&["--output", "a.parquet", "--jq", "."], "--jq makes JSON");
    refused(&["--output", "a.csv", "--jq", "."], "--jq makes JSON");
    refused(&["--output", "a.csv.gz"], "would not be compressed");
    refused(&["--output", "a.csv.gz", "--format", "csv"], "would not be compressed");
    refused(&["--output", "a.xlsx"], "the ending of a.xlsx says none of the formats");
    assert!(place.files().is_empty(), "{:?}", place.files());
    // What is said in so many words is done.
    place.ok(["sql", "--memory", query, "--output", "a.log", "--format", "csv"]);
    assert_eq!(fs::read_to_string(place.here("a.log")).unwrap(), "x\n1\n");
    place.ok(["sql", "--memory", query, "--output", "a.json", "--jq", ".[0].x"]);
    assert_eq!(fs::read_to_string(place.here("a.json")).unwrap(), "1\n");
}

#[test]
fn a_database_is_never_an_output() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    place.ok(fetch_all(&simulator));
    let count = place.scalar(DB, "SELECT count(*) FROM events");
    for words in [
        &["sql", "SELECT 1 AS x, 2 AS y", "--db", DB, "--output", DB, "--format", "csv"][..],
        &["tables", "--db", DB, "--output", DB, "--format", "json"],
        &["status", "--db", DB, "--output", DB, "--format", "csv"],
        &["sql", "SELECT 'a' AS x, 2 AS y", "--memory", "--svg", DB],
        &["sql", "SELECT 'a' AS x, 2 AS y", "--memory", "--png", DB],
    ] {
        let run = place.run(words);
        assert_eq!(run.code, Some(2), "{words:?}: {run:?}");
        assert!(run.stderr.contains("is a DuckDB database"), "{words:?}: {run:?}");
    }
    assert_eq!(place.scalar(DB, "SELECT count(*) FROM events"), count);
}

#[test]
fn standard_output_by_another_name_is_not_cut_off() {
    let place = Place::new();
    for name in ["-", "/dev/stdout", "/dev/fd/1"] {
        fs::write(place.here("log"), "before\n").unwrap();
        let log = fs::OpenOptions::new().append(true).open(place.here("log")).unwrap();
        let mut command =
            place.command(["sql", "--memory", "SELECT 1 AS x", "--format", "csv", "--output", name]);
        let run = Run::of(command.stdout(Stdio::from(log)).output().unwrap());
        assert_eq!(run.code, Some(0), "{name}: {run:?}");
        assert_eq!(fs::read_to_string(place.here("log")).unwrap(), "before\nx\n1\n", "{name}");
    }
    fs::write(place.here("log"), "before\n").unwrap();
    let log = fs::OpenOptions::new().append(true).open(place.here("log")).unwrap();
    let words = ["sql", "--memory", "SELECT 1 AS x", "--format", "csv", "--output", "/dev/stderr"];
    let run = Run::of(place.command(words).stderr(Stdio::from(log)).output().unwrap());
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run:?}");
    assert_eq!(fs::read_to_string(place.here("log")).unwrap(), "before\nx\n1\n");
}

#[test]
fn numbers_are_numbers_with_all_their_digits() {
    let query = "SELECT 1.20::DECIMAL(9,2) AS s, 170141183460469231731687303715884105727::HUGEINT AS h, \
                 -12345678901234567890.123456789::DECIMAL(38,9) AS d";
    let line =
        "{\"s\":1.20,\"h\":170141183460469231731687303715884105727,\"d\":-12345678901234567890.123456789}\n";
    assert_eq!(sql(&[query, "--format", "jsonl"]), line);
    assert_eq!(sql(&[query, "--jq", ".[0].s + 1"]), "2.2\n");
    assert_eq!(sql(&[query, "--jq", ".[0].d"]), "-12345678901234567890.123456789\n");
    let csv = "s,h,d\n1.20,170141183460469231731687303715884105727,-12345678901234567890.123456789\n";
    assert_eq!(sql(&[query, "--format", "csv"]), csv);
}

#[test]
fn null_is_not_the_empty_text() {
    let query = "SELECT '' AS a, NULL AS b, 'x' AS c UNION ALL SELECT NULL, '', NULL ORDER BY c NULLS LAST";
    assert_eq!(sql(&[query, "--format", "csv"]), "a,b,c\n\"\",,x\n,\"\",\n");
    assert_eq!(sql(&[query, "--format", "tsv"]), "a\tb\tc\n\"\"\t\tx\n\t\"\"\t\n");
    // DuckDB reads back what went out.
    let place = Place::new();
    place.ok(["sql", "--memory", query, "--output", "a.csv"]);
    let back = "SELECT a, b, c FROM read_csv('a.csv', allow_quoted_nulls = false, all_varchar = true)";
    let rows = parsed(&place.ok(["sql", "--memory", back, "--format", "json"]));
    assert_eq!(rows, json!([{"a": "", "b": null, "c": "x"}, {"a": null, "b": "", "c": null}]));
}

#[test]
fn a_time_is_written_alike_by_every_command() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    place.ok(fetch_all(&simulator));
    let world = simulator.world();
    let (from, to) = (world.first_day().to_string(), world.last_day().to_string());
    let streamed = place.ok(["fetch", "events", "--stdout", "--from", &from, "--to", &to]);
    let streamed: std::collections::BTreeSet<String> =
        streamed.lines().map(|line| parsed(line)["event_time"].as_str().unwrap().to_owned()).collect();
    let stored = place.ok(["sql", "--db", DB, "--format", "jsonl", "SELECT DISTINCT event_time FROM events"]);
    let stored: std::collections::BTreeSet<String> =
        stored.lines().map(|line| parsed(line)["event_time"].as_str().unwrap().to_owned()).collect();
    assert_eq!(streamed, stored);
    assert!(!stored.is_empty() && stored.iter().all(|time| !time.ends_with('Z')));
}

#[test]
fn figures_of_days_are_rows() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let fetched = parsed(&place.ok(fetch_all(&simulator)));
    assert!(fetched["duplicates"].as_u64().unwrap() > 0, "the world has repeats: {fetched}");
    for chunk in fetched["chunks"].as_array().unwrap() {
        let by_day: u64 =
            chunk["rows_by_day"].as_object().unwrap().values().map(|rows| rows.as_u64().unwrap()).sum();
        assert_eq!(by_day, chunk["rows"]);
    }
    // Rows that were added under other filters are rows of their days, too.
    let part = |words: &[&str]| {
        let mut args = fetch_all(&simulator);
        args.extend(words.iter().map(|word| (*word).to_owned()));
        place.ok(args);
    };
    part(&["two", "-e", "Purchase"]);
    part(&["two", "-e", "Search", "--append"]);
    let status = parsed(&place.ok(["status", "two", "--db", DB, "--format", "json"]));
    assert_eq!(status["rows"], place.scalar(DB, "SELECT count(*) FROM two"));
    let days = status["days"].as_array().unwrap();
    let sum: u64 = days.iter().map(|day| day["rows"].as_u64().unwrap()).sum();
    assert_eq!(sum, status["rows"]);
}

#[test]
fn a_column_of_large_numbers_keeps_them() {
    let simulator = small_world();
    let at = Place::at(&simulator);
    at.ok(fetch_all(&simulator));
    let column = "9007199254740993 + length(event_name)";
    let stats = parsed(&at.ok(["inspect", "column", "-t", "events", "-c", column, "--db", DB]));
    let query = format!("SELECT min({column}) AS low FROM events");
    assert_eq!(stats["min"], at.scalar(DB, &query));
    assert!(stats["max"].is_i64() && stats["max"].as_i64().unwrap() > 9_007_199_254_740_993);
}

#[test]
fn the_command_line_can_be_asked_for_one_command() {
    let place = Place::new();
    let all = place.ok(["schema", "--cli"]);
    let one = place.ok(["schema", "--cli", "fetch", "events"]);
    assert_eq!(parsed(&one)["command"], "mp fetch events");
    assert!(one.len() * 10 < all.len(), "{} of {} bytes", one.len(), all.len());
    assert_eq!(place.ok(["schema", "--cli", "mp fetch events"]), one);
    let group = parsed(&place.ok(["schema", "--cli", "fetch"]));
    assert_eq!(group["commands"].as_array().unwrap().len(), 2);
    // What is told of a command is what is told of it among all.
    let fetch = parsed(&all)["commands"]
        .as_array()
        .unwrap()
        .iter()
        .find(|command| command["command"] == "mp fetch")
        .cloned();
    assert_eq!(fetch.unwrap(), group);
    place.run(["schema", "--cli", "ftech"]).fails(2, &["there is no command `mp ftech`", "fetch"]);
    place.run(["schema", "--cli", "fetch", "everything"]).fails(2, &["events, profiles"]);
}

#[test]
fn a_fetch_says_which_database_it_filled() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let fetched = parsed(&place.ok(fetch_all(&simulator)));
    assert!(fetched["database"].as_str().unwrap().ends_with(DB), "{fetched}");
    let mut words = fetch_all(&simulator);
    words.extend(["--format", "table"].map(str::to_owned));
    let told = place.ok(words);
    assert!(told.lines().any(|line| line.starts_with("database ") && line.ends_with(DB)), "{told}");
    let profiles = place.ok(["fetch", "profiles", "--db", DB, "--jq", ".database", "--format", "plain"]);
    assert!(profiles.trim().ends_with(DB), "{profiles}");
    let to = simulator.world().last_day().to_string();
    let synced = place.ok(["sync", "--db", DB, "--to", &to, "--jq", ".database", "--format", "plain"]);
    assert!(synced.trim().ends_with(DB), "{synced}");
}
