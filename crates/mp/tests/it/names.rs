//! Names as they are typed: trimmed in lists, refused when empty, told when nothing has them.

use serde_json::{Value, json};

use crate::support::{DB, Place, fetch_all, small_world};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn lists_are_trimmed() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let with = |words: &[&str]| {
        let mut args = fetch_all(&simulator);
        args.extend(words.iter().map(|word| (*word).to_owned()));
        parsed(&place.ok(args))["rows"].clone()
    };
    let exact = with(&["one", "-e", "Purchase", "-e", "Page View"]);
    assert!(exact.as_u64().unwrap() > 0);
    assert_eq!(with(&["two", "--events", " Page View , Purchase "]), exact);
}

#[test]
fn what_is_empty_is_refused_everywhere() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let days = ["--from", "2025-06-28", "--to", "2025-06-28"];
    let empty: [&[&str]; 14] = [
        &["fetch", "events", "--events", ""],
        &["fetch", "events", "-e", " "],
        &["fetch", "events", "--where", ""],
        &["fetch", "events", "--stdout", "--events", "A,,B"],
        &["sync", "--events", "A, "],
        &["sync", "--where", " "],
        &["query", "segmentation", "-e", ""],
        &["query", "event-counts", "--events", ""],
        &["query", "frequency", "-e", ""],
        &["query", "retention", "--born", "", "--return", "Purchase"],
        &["query", "activity-feed", "--users", ""],
        &["inspect", "daily", "--events", ""],
        &["inspect", "engagement", "-e", ""],
        &["inspect", "coverage", "-e", "Purchase", "--properties", "plan,"],
    ];
    for words in empty {
        place.run(words.iter().chain(&days)).fails(2, &["is missing", "invalid value"]);
    }
    for words in [
        &["fetch", "profiles", "--where", ""][..],
        &["fetch", "profiles", "--distinct-ids", ""],
        &["fetch", "profiles", "--output-properties", "a,,b"],
    ] {
        place.run(words).fails(2, &["is missing", "invalid value"]);
    }
    place.run(["query", "event-counts"].iter().chain(&days)).fails(2, &["no event is named", "--events"]);
    assert!(simulator.requests().is_empty());
}

#[test]
fn names_that_are_not_there_are_told_in_every_format() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let project = "warning: Mixpanel lists no event `Purchse`; a similar name is `Purchase`\n";
    let world = simulator.world();
    let (from, to) = (world.first_day().to_string(), world.last_day().to_string());
    let days = ["--from", &from, "--to", &to];

    let mut args = fetch_all(&simulator);
    args.extend(["typo", "-e", "Purchse", "--quiet"].map(str::to_owned));
    let run = place.run(&args);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), project), "{run:?}");
    assert_eq!(parsed(&run.stdout)["unknown_names"][0]["similar"], json!(["Purchase"]));
    let run = place.run(["sync", "typo", "--db", DB, "--quiet", "--to", &to]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), project), "{run:?}");
    let run = place.run(["fetch", "events", "--stdout", "-e", "Purchse"].iter().chain(&days));
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", project), "{run:?}");

    for format in ["json", "csv", "table", "vertical", "plain", "markdown", "jsonl"] {
        let words = ["query", "segmentation", "-e", "Purchse", "--format", format];
        let run = place.run(words.iter().chain(&days));
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), project), "{format}: {run:?}");
    }
    let words = ["query", "event-counts", "--events", "Purchase,Serach", "--error-format", "json"];
    let run = place.run(words.iter().chain(&days));
    let notice = parsed(run.stderr.trim());
    assert_eq!(notice["notice"]["code"], "UNKNOWN_NAME");
    assert!(notice["notice"]["message"].as_str().unwrap().contains("`Search`"), "{notice}");
    assert_eq!(parsed(&run.stdout)["unknown_names"][0]["name"], "Serach");

    place.ok(fetch_all(&simulator));
    let run = place.run(["inspect", "daily", "--events", "Purchse", "--db", DB, "--format", "csv"]);
    assert_eq!(run.stderr, "warning: the table has no event `Purchse`; a similar name is `Purchase`\n");
    let run = place.run(["inspect", "distribution", "-e", "Purchase", "-p", "plna", "--db", DB]);
    assert!(run.stderr.contains("no property `plna`; similar names are `plan`"), "{run:?}");
}
