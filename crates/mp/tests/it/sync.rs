//! `mp sync`, `mp plan` and `mp status`.

use mixpanel_sim::Fault;
use serde_json::{Value, json};

use crate::support::{DB, Place, simulator, unique_events};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_sync_fetches_what_is_missing_and_then_nothing() {
    let world = simulator(20, 100);
    let place = Place::at(&world);
    let (first, last) = (world.world().first_day(), world.config().today);
    let (from, to) = (first.to_string(), last.to_string());
    let range = ["--from", from.as_str(), "--to", to.as_str(), "--db", DB];
    let with = |command: &'static str| [&[command], &range[..]].concat();

    // A plan from nothing: no request, no credentials, no file.
    let plan = json(&Place::new().ok(with("plan")));
    assert_eq!(
        (&plan["days"], &plan["sizes_known"], &plan["rows"]),
        (&json!(20), &json!(false), &Value::Null)
    );
    let table = place.ok([&with("plan")[..], &["--format", "table"]].concat());
    assert!(table.contains("unknown until") && table.contains("up to 20"), "{table}");
    assert_eq!(world.requests().len(), 0);

    let result = json(&place.ok(with("sync")));
    assert_eq!((&result["state"], &result["days_fetched"]), (&json!("complete"), &json!(20)));
    assert_eq!(place.scalar(DB, "SELECT count(*) FROM events"), unique_events(&world));
    let requests = world.requests().len();

    let again = json(&place.ok(["sync", "--to", &to, "--db", DB]));
    assert_eq!((&again["requests"], &again["rows"]), (&json!(0), &json!(0)));
    assert_eq!(world.requests().len(), requests, "settled days cost nothing");

    // A hole is seen, planned with its size, and filled.
    let middle = first.checked_add(jiff::Span::new().days(7)).unwrap().to_string();
    place.ok([
        "sql",
        "--db",
        DB,
        "--write",
        &format!(
            "DELETE FROM _events WHERE CAST(event_time AS DATE) = '{middle}'; DELETE FROM _ledger WHERE day = '{middle}'"
        ),
    ]);
    let status = json(&place.ok(with("status")));
    assert_eq!((&status["missing"], &status["gaps"]), (&json!(1), &json!([[middle, middle]])));
    let calendar = place.ok([&with("status")[..], &["--format", "table"]].concat());
    assert!(calendar.contains("_ missing") && calendar.contains("Jun 2025") && calendar.contains(&middle));
    let plan = json(&place.ok([&with("sync")[..], &["--dry-run"]].concat()));
    assert_eq!((&plan["requests"], &plan["sizes_known"]), (&json!(1), &json!(true)));
    assert_eq!(world.requests().len(), requests);
    let filled = json(&place.ok(with("sync")));
    assert_eq!((&filled["requests"], &filled["days_fetched"]), (&json!(1), &json!(1)));
    assert_eq!(place.scalar(DB, "SELECT count(*) FROM events"), unique_events(&world));
    // In one line for people, nothing for cron.
    assert!(place.ok([&with("sync")[..], &["--format", "table"]].concat()).contains("nothing to fetch"));
}

#[test]
fn a_bad_day_leaves_the_rest_and_says_so() {
    let world = simulator(12, 50);
    let place = Place::at(&world);
    let (first, last) = (world.world().first_day(), world.config().today);
    let bad = first.checked_add(jiff::Span::new().days(4)).unwrap();
    // Not transient for that day, whatever the range that asks for it.
    world.fault(Fault::status(501).on_day(bad).times(1000));
    let (from, to) = (first.to_string(), last.to_string());
    let sync = ["sync", "--from", &from, "--to", &to, "--db", DB];
    let run = place.run(sync);
    // 501 means "never": it is not bisected, but reported at once.
    assert_ne!(run.code, Some(0), "{run:?}");
    world.clear_faults();
    let result = json(&place.ok(sync));
    assert_eq!(result["state"], "complete");
    assert_eq!(place.scalar(DB, "SELECT count(*) FROM events"), unique_events(&world));
}

#[test]
fn a_new_table_needs_a_first_day_and_bad_ranges_are_refused() {
    let world = simulator(5, 20);
    let place = Place::at(&world);
    place.run(["sync", "--db", DB]).fails(3, &["first day"]);
    place.run(["plan", "--db", "none.duckdb"]).fails(2, &["--from DAY"]);
    place.run(["status", "--db", DB]).fails(4, &["events"]);
    place
        .run(["sync", "--from", "2024-02-01", "--to", "2024-01-01", "--db", DB])
        .fails(3, &["after the last day"]);
    assert_eq!(world.requests().len(), 0);
}
