//! The program about itself: help, completions, manual pages, versions, findings.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{DB, Place, Run, fetch_all, small_world};

/// Every command, as the command line describes itself.
pub(crate) fn commands(place: &Place) -> Vec<Vec<String>> {
    fn walk(nodes: &Value, found: &mut Vec<Vec<String>>) {
        for node in nodes.as_array().unwrap() {
            let words = node["command"].as_str().unwrap().split(' ').skip(1).map(str::to_owned).collect();
            if node["commands"].as_array().unwrap().is_empty() {
                found.push(words);
            }
            walk(&node["commands"], found);
        }
    }
    let text: Value = serde_json::from_str(&place.ok(["schema", "--cli"])).unwrap();
    let mut found = Vec::new();
    walk(&text["commands"], &mut found);
    found
}

#[test]
fn help_of_every_command() {
    let place = Place::new();
    let mut text = place.ok(["--help"]);
    let all = commands(&place);
    assert!(all.len() > 15, "{all:?}");
    for words in all {
        text.push_str(&format!("\n\n$ mp {} --help\n", words.join(" ")));
        let help = place.ok(words.iter().map(String::as_str).chain(["--help"]));
        assert!(help.contains("Example"), "no example in the help of {words:?}");
        text.push_str(&help);
    }
    insta::assert_snapshot!("help", text);
}

#[test]
fn help_of_topics() {
    let place = Place::new();
    for topic in ["config", "environment", "exit-codes", "errors", "formats"] {
        assert!(place.ok(["help", topic]).lines().count() > 5, "{topic}");
    }
    assert!(place.ok(["help", "fetch", "events"]).contains("--from"));
    place.run(["help", "nothing"]).fails(2, &["nothing", "topics are"]);
}

#[test]
fn errors_as_people_see_them() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    place.ok(fetch_all(&simulator));
    let cases: [&[&str]; 9] = [
        &["sql", "--db", DB, "SELECT * FROM evnts"],
        &["sql", "--db", DB, "SELECT nope FROM events"],
        &["sql", "--db", "none.duckdb", "SELECT 1"],
        &["sql", "--db", DB, "CREATE TABLE x (a INTEGER)"],
        &["schema", "nothing", "--db", DB],
        &["fetch", "events", "--from", "2025-02-30", "--to", "2025-03-01"],
        &["--account", "nobody", "auth", "test"],
        &["sql", "--memory", "--jq", ".[", "SELECT 1"],
        &["run", "nothing"],
    ];
    let mut text = String::new();
    for words in cases {
        let Run { code, stderr, .. } = place.run(words);
        text.push_str(&format!("$ mp {}\n{stderr}exit {}\n\n", words.join(" "), code.unwrap()));
    }
    insta::assert_snapshot!("errors", text);
}

#[test]
fn versions_for_programs() {
    let place = Place::new();
    assert!(place.ok(["--version"]).starts_with("mp 0."));
    for words in [&["--version", "--format", "json"][..], &["--format=json", "-V"]] {
        let versions: Value = serde_json::from_str(&place.ok(words)).unwrap();
        assert!(versions["duckdb"].as_str().unwrap().starts_with('v'), "{versions}");
    }
}

#[test]
fn manual_pages_are_written() {
    let place = Place::new();
    place.ok(["man", "pages"]);
    let page = std::fs::read_to_string(place.here("pages/mp-fetch-events.1")).unwrap();
    assert!(page.contains(".TH") && page.contains("from"), "{page}");
    // What was there before is not counted.
    let pages = std::fs::read_dir(place.here("pages")).unwrap().count();
    std::fs::write(place.here("pages/other.1"), "").unwrap();
    let told = place.run(["man", "pages"]).stderr;
    assert!(told.contains(&format!("wrote {pages} pages")), "{told}");
}

#[test]
fn shells_get_completions_with_names_from_the_database() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    place.ok(fetch_all(&simulator));
    for shell in ["bash", "zsh", "fish", "powershell"] {
        assert!(place.ok(["completions", shell]).contains("COMPLETE"), "{shell}");
    }
    // What the registered function does when Tab is pressed.
    let complete = |words: &[&str]| {
        let mut command: Command = place.command(["--"]);
        command.args(words).env("COMPLETE", "fish");
        Run::of(command.output().unwrap()).stdout
    };
    assert!(complete(&["mp", "fet"]).contains("fetch"));
    assert!(complete(&["mp", "schema", "--db", DB, "events"]).contains("events_flat"));
    let events = complete(&["mp", "fetch", "events", "--db", DB, "--event", ""]);
    assert!(events.contains("Page View"), "{events}");
    // Without a database there is nothing to offer, and nothing to say.
    let run =
        Run::of(Place::new().command(["--", "mp", "schema", ""]).env("COMPLETE", "fish").output().unwrap());
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
}

#[test]
fn bash_takes_the_registration() {
    let place = Place::new();
    let script = place.ok(["completions", "bash"]);
    let mut bash = place.program(Path::new("bash"));
    std::fs::write(place.here("mp.bash"), script).unwrap();
    let run = Run::of(bash.args(["-c", "source ./mp.bash && complete -p mp"]).output().unwrap());
    assert!(run.stdout.contains("mp"), "{run:?}");
}

#[test]
fn the_doctor_finds_and_says_how_to_mend() {
    let place = Place::new();
    let text = place.ok(["doctor", "--format", "json"]);
    let findings: Vec<Value> = serde_json::from_str(&text).unwrap();
    let of = |check: &str| findings.iter().find(|finding| finding["check"] == check).unwrap();
    assert_eq!(of("engine")["state"], "ok");
    assert_eq!(of("credentials")["state"], "note");
    assert!(of("credentials")["fix"].as_str().unwrap().contains("mp auth login"));
    assert!(findings.iter().all(|finding| finding["state"] == "ok" || finding["fix"].is_string()), "{text}");
    // A secret alone is not enough to fetch.
    let place = Place::new().with("MP_SECRET", "a-secret-99");
    let text = place.ok(["doctor", "--format", "json"]);
    let findings: Vec<Value> = serde_json::from_str(&text).unwrap();
    let credentials = findings.iter().find(|finding| finding["check"] == "credentials").unwrap();
    assert_eq!(credentials["state"], "note");
    assert!(credentials["found"].as_str().unwrap().contains("no user name"), "{text}");
    // Broken things are found, mending them is told, and the exit code says so.
    let place = Place::new().config("secrt = 1\n").with("MP_DB", "text.duckdb");
    std::fs::write(place.here("text.duckdb"), "hello\n".repeat(3000)).unwrap();
    let run = place.run(["doctor", "--format", "json"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.contains("secrt") && run.stderr.contains("thing"), "{run:?}");
}
