//! `mp query` and `mp inspect` against a simulator, and over fetched days.

use mixpanel_sim::Simulator;
use serde_json::Value;

use crate::support::{DB, Place, fetch_all, simulator, small_world};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The days of a simulator's world, as flags.
pub(crate) fn days(simulator: &Simulator) -> [String; 4] {
    let world = simulator.world();
    ["--from".to_owned(), world.first_day().to_string(), "--to".to_owned(), world.last_day().to_string()]
}

/// A question about all days.
fn asked(place: &Place, simulator: &Simulator, words: &[&str]) -> String {
    let days = days(simulator);
    place.ok(words.iter().copied().chain(days.iter().map(String::as_str)))
}

#[test]
fn names_are_listed_in_every_format() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let names: Vec<String> =
        serde_json::from_str(&place.ok(["inspect", "events", "--format", "json"])).unwrap();
    assert!(names.len() > 5 && names.is_sorted(), "{names:?}");
    let csv = place.ok(["inspect", "events", "--format", "csv"]);
    assert_eq!(csv.lines().next(), Some("event"));
    assert_eq!(csv.lines().count(), names.len() + 1);
    let first = place.ok(["inspect", "events", "--jq", ".[0]"]);
    assert_eq!(json(&first), names[0]);
    let properties = json(&place.ok(["inspect", "properties", "-e", &names[0]]));
    assert!(properties.as_array().unwrap().len() > 10, "all of them, not ten: {properties}");
}

/// Every question, with the words that it needs.
pub(crate) const QUESTIONS: [&[&str]; 16] = [
    &["query", "segmentation", "-e", "Purchase"],
    &["query", "segmentation", "-e", "Purchase", "--on", "$browser", "--unit", "week", "--type", "unique"],
    &["query", "funnel", "7501", "--length", "2", "--length-unit", "hour", "--on", "$browser"],
    &["query", "retention", "--born", "Page View", "--return", "Purchase", "-n", "3", "--interval", "1"],
    &["query", "event-counts", "--events", "Purchase,Search"],
    &["query", "property-counts", "-e", "Purchase", "-p", "$browser", "--value", "Chrome"],
    &["query", "saved-report", "7501", "--type", "funnels"],
    &["query", "frequency", "-e", "Page View"],
    &["query", "segmentation-numeric", "-e", "Product Viewed", "--on", "price"],
    &["query", "segmentation-sum", "-e", "Product Viewed", "--on", "price"],
    &["query", "segmentation-average", "-e", "Product Viewed", "--on", "price"],
    &["inspect", "distribution", "-e", "Purchase", "-p", "$browser", "--db", DB],
    &["inspect", "numeric", "-e", "Product Viewed", "-p", "price", "--db", DB],
    &["inspect", "daily", "-e", "Purchase", "--db", DB],
    &["inspect", "engagement", "--events", "Purchase,Search", "--db", DB],
    &["inspect", "coverage", "-e", "Purchase", "--property", "$browser", "--db", DB],
];

/// The same, where there are no dates.
pub(crate) const TIMELESS: [&[&str]; 24] = [
    &["query", "saved-report", "8801"],
    &["query", "saved-report", "8804"],
    &["query", "flows", "8805"],
    &["query", "engage-stats"],
    &["query", "engage-stats", "--action", "percentile", "-p", "age", "--percentile", "90"],
    &["query", "engage-stats", "--action", "numeric-summary", "-p", "age", "--cohort", "4001"],
    &["query", "sql", "SELECT 1 AS one"],
    &["inspect", "properties", "-e", "Purchase"],
    &["inspect", "values", "-p", "$browser", "-e", "Purchase"],
    &["inspect", "funnels"],
    &["inspect", "cohorts"],
    &["inspect", "top-events", "--type", "unique", "--limit", "5"],
    &["inspect", "bookmarks", "--type", "insights"],
    &["inspect", "lexicon-schemas", "--type", "event"],
    &["inspect", "annotations"],
    &["inspect", "project"],
    &["inspect", "info", "--db", DB],
    &["inspect", "tables", "--db", DB],
    &["inspect", "schema", "-t", "events_flat", "--db", DB],
    &["inspect", "sample", "-t", "events", "-n", "2", "--db", DB],
    &["inspect", "summarize", "-t", "events", "--db", DB],
    &["inspect", "breakdown", "-t", "events", "--db", DB],
    &["inspect", "keys", "-t", "events", "-e", "Purchase", "--db", DB],
    &["inspect", "column", "-t", "events", "-c", "$browser", "--top", "3", "--db", DB],
];

#[test]
fn every_question_has_an_answer_in_every_format() {
    let simulator = simulator(3, 600);
    let place = Place::at(&simulator).with("MP_DB", DB);
    place.ok(fetch_all(&simulator));
    let days = days(&simulator);
    let dated = QUESTIONS.iter().map(|words| [words, &days.each_ref().map(String::as_str)[..]].concat());
    for words in dated.chain(TIMELESS.iter().map(|words| words.to_vec())) {
        let ask = |more: &[&str]| place.ok(words.iter().chain(more));
        let whole = json(&ask(&[]));
        let is_empty = whole.as_array().is_some_and(Vec::is_empty);
        assert!(!is_empty && (whole.is_array() || whole.is_object()), "{words:?}: {whole}");
        // The rows are the same ones in every format.
        let rows = ask(&["--format", "jsonl"]);
        let rows: Vec<Value> = rows.lines().map(json).collect();
        assert!(!rows.is_empty() && rows.iter().all(Value::is_object), "{words:?}");
        let csv = ask(&["--format", "csv"]);
        let columns: Vec<String> = rows[0].as_object().unwrap().keys().cloned().collect();
        // A column of these has a second name in JSON.
        let second = usize::from(["tables", "schema"].contains(&words[1]));
        let heads = csv.lines().next().unwrap().matches(',').count() + 1;
        assert_eq!(heads + second, columns.len(), "{words:?}");
        assert!(csv.lines().count() > rows.len(), "{words:?}");
        let table = ask(&["--format", "table"]);
        assert!(table.lines().count() > 1, "{words:?}: {table}");
        let kind = if whole.is_array() { "\"array\"" } else { "\"object\"" };
        assert_eq!(ask(&["--jq", "type"]).trim(), kind, "{words:?}");
    }
}

#[test]
fn a_report_in_a_file_is_asked_and_saved_nowhere() {
    let simulator = simulator(3, 600);
    let place = Place::at(&simulator);
    let world = simulator.world();
    let time = format!(r#"{{"between": {{"from": "{}", "to": "{}"}}}}"#, world.first_day(), world.last_day());
    let report = format!(
        r#"{{"funnel": {{"steps": [{{"event": "Search"}}, {{"event": "Purchase"}}],
            "window": {{"count": 7, "unit": "day"}}, "unit": "day", "time": {time}}}}}"#
    );
    std::fs::write(place.here("report.json"), &report).unwrap();
    let answer = json(&place.ok(["query", "report", "report.json"]));
    assert_eq!(answer["report_type"], "funnels");
    assert!(answer["bookmark_id"].is_null(), "{answer}");
    for (text, said) in [
        ("not json", "is no report"),
        ("{}", "is no report"),
        (r#"{"funnels": {}}"#, "unknown variant"),
        (r#"{"funnel": {"steps": []}}"#, "is no report"),
    ] {
        std::fs::write(place.here("report.json"), text).unwrap();
        place
            .run(["query", "report", "report.json"])
            .fails(2, &["report.json", said, "mp query report --help"]);
    }
}

#[test]
fn pictures_are_drawn_of_answers() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let plot = asked(&place, &simulator, &["query", "segmentation", "-e", "Purchase", "--plot"]);
    assert!(plot.lines().count() > 3, "{plot}");
    asked(&place, &simulator, &["query", "segmentation", "-e", "Purchase", "--svg", "picture.svg"]);
    assert!(std::fs::read_to_string(place.here("picture.svg")).unwrap().starts_with("<svg"));
}

#[test]
fn what_jql_did_is_said_where_it_was() {
    let place = Place::new();
    for words in [vec!["query", "jql"], vec!["query", "jql", "script.js", "--param", "a=1"]] {
        place.run(words).fails(2, &["has ended JQL", "mp sql", "mp inspect distribution"]);
    }
}

#[test]
fn a_scalar_is_a_scalar() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    place.ok(fetch_all(&simulator));
    let count = place.scalar(DB, "SELECT count(*) FROM events");
    let query = "SELECT count(*), 1 FROM events";
    assert_eq!(json(&place.ok(["query", "sql", "--scalar", query, "--db", DB]))["value"], count);
    std::fs::write(place.here("query.sql"), query).unwrap();
    assert_eq!(json(&place.ok(["query", "sql", "-s", "-F", "query.sql", "--db", DB]))["value"], count);
    assert_eq!(
        place.ok(["query", "sql", "-s", query, "--db", DB, "--format", "plain"]).trim(),
        count.to_string()
    );
}

#[test]
fn segmentation_counts_what_was_fetched() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    place.ok(fetch_all(&simulator));
    let event =
        place.scalar(DB, "SELECT event_name FROM events GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1");
    let event = event.as_str().unwrap();
    let live = json(&asked(&place, &simulator, &["query", "segmentation", "-e", event]));
    let count = place.scalar(DB, &format!("SELECT count(*) FROM events WHERE event_name = '{event}'"));
    assert_eq!((&live["total"], &live["total_of"]), (&count, &"events".into()));
    let csv = asked(&place, &simulator, &["query", "segmentation", "--format", "csv", "-e", event]);
    assert_eq!(csv.lines().next(), Some("date,segment,count"));
    let daily = json(&place.ok(["inspect", "daily", "--events", event, "--db", DB]));
    let sum: i64 = daily["counts"].as_array().unwrap().iter().map(|day| day["count"].as_i64().unwrap()).sum();
    assert_eq!(Value::from(sum), count);
    let counts =
        json(&asked(&place, &simulator, &["query", "event-counts", "-e", event, "--event", "no, such"]));
    assert_eq!(counts["total"], count);
}

#[test]
fn local_tables_are_inspected_without_credentials() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    place.ok(fetch_all(&simulator));
    let bare = place.with("MP_SECRET", "").with("MP_USERNAME", "");
    let breakdown = json(&bare.ok(["inspect", "breakdown", "-t", "events", "--db", DB]));
    assert_eq!(breakdown["total_events"], bare.scalar(DB, "SELECT count(*) FROM events"));
    let keys = json(&bare.ok(["inspect", "keys", "-t", "events", "--db", DB]));
    let distinct = "SELECT count(DISTINCT name) FROM (SELECT unnest(json_keys(properties)) AS name FROM events) \
         WHERE name NOT IN ('time', 'distinct_id', '$insert_id')";
    assert_eq!(bare.scalar(DB, distinct), keys.as_array().unwrap().len());
    let sample = json(&bare.ok(["inspect", "sample", "-t", "events", "-n", "2", "--db", DB]));
    assert!(sample[1]["properties"].is_object(), "JSON stays JSON: {sample}");
    bare.run(["inspect", "breakdown", "-t", "nothing", "--db", DB]).fails(4, &["nothing"]);
    bare.run(["inspect", "events"]).fails(6, &["MP_USERNAME"]);
}

#[test]
fn tables_are_dropped_by_force_only() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    place.ok(fetch_all(&simulator));
    place.run(["inspect", "drop", "-t", "events", "--db", DB]).fails(2, &["nothing was removed", "--force"]);
    place.ok(["inspect", "drop", "-t", "events", "--force", "--db", DB]);
    place.run(["inspect", "drop", "-t", "events", "--force", "--db", DB]).fails(4, &["events"]);
    place.ok(fetch_all(&simulator));
    place.ok(["inspect", "drop-all", "--type", "profiles", "--force", "--db", DB]);
    assert_eq!(json(&place.ok(["inspect", "tables", "--db", DB])).as_array().unwrap().len(), 1);
    place.ok(["inspect", "drop-all", "--force", "--db", DB]);
    assert_eq!(json(&place.ok(["inspect", "tables", "--db", DB])).as_array().unwrap().len(), 0);
}

#[test]
fn tables_and_views_of_sql_are_listed_and_not_taken_for_fetched_ones() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    place.ok(fetch_all(&simulator));
    let write = |sql: &str| place.ok(["sql", "--write", sql, "--db", DB]);
    write("CREATE TABLE plans AS SELECT 'pro' AS plan");
    write("CREATE VIEW buys AS SELECT * FROM events WHERE event_name = 'Purchase'");
    let csv = place.ok(["tables", "--db", DB, "--format", "csv"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!((lines.len(), lines[0]), (4, "name,type,row_count,fetched_at"), "{csv}");
    assert_eq!((lines[1], lines[3]), ("buys,view,,", "plans,table,1,"), "{csv}");
    assert!(lines[2].starts_with("events,events,"), "{csv}");
    let view = serde_json::json!({"name": "buys", "type": "view", "row_count": null, "rows": null, "fetched_at": null});
    assert_eq!(json(&place.ok(["tables", "--db", DB]))[0], view);
    assert_eq!(json(&place.ok(["info", "--db", DB]))["tables"], serde_json::json!(["events"]));
    place.run(["status", "plans", "--db", DB]).fails(4, &["plans"]);
    place.ok(["verify", "--db", DB]);
    let dropped = place.ok(["inspect", "drop-all", "--force", "--db", DB]);
    assert_eq!(json(&dropped), serde_json::json!({"dropped_count": 1}));
    assert_eq!(
        json(&place.ok(["tables", "--db", DB, "--jq", "map(.name)"])),
        serde_json::json!(["buys", "plans"])
    );
}

#[test]
fn questions_that_cannot_be_right_end_with_3() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let fails = |words: &[&str], said: &[&str]| {
        let days = days(&simulator);
        place.run(words.iter().copied().chain(days.iter().map(String::as_str))).fails(3, said);
    };
    fails(
        &["query", "retention", "--born", "a", "--return", "b", "--unit", "day", "--interval", "2"],
        &["either a unit (day) or an interval (2 days)"],
    );
    fails(&["query", "segmentation", "-e", "a", "--on", "b", "--limit", "10001"], &["between 1 and 10000"]);
    fails(&["query", "frequency", "--unit", "day", "--addiction-unit", "day"], &["a day has one day"]);
    fails(
        &["query", "segmentation-sum", "-e", "a", "--on", "b", "--unit", "week"],
        &["hour or day, not week"],
    );
    let backwards = ["query", "segmentation", "-e", "a", "--from", "2024-01-02", "--to", "2024-01-01"];
    place.run(backwards).fails(3, &["after the last day"]);
    place
        .run(["query", "segmentation", "-e", "a", "--from", "7d", "--to", "today", "--unit", "year"])
        .fails(2, &["hour, day, week, month"]);
    place.run(["query", "report", "missing.json"]).fails(4, &["missing.json"]);
    assert!(simulator.requests().is_empty());
}
