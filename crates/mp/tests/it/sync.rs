//! `mp sync`, `mp plan` and `mp status`.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use mixpanel_sim::Fault;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{DB, Place, simulator, unique_events, until};

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
    let gone = format!("DELETE FROM _events WHERE CAST(event_time AS DATE) = '{middle}'");
    let books = format!("DELETE FROM _ledger WHERE day = '{middle}'");
    place
        .run(["sql", "--db", DB, "--write", &books])
        .fails(3, &["SQL may read this library's records", "nothing was changed"]);
    place.run(["sql", "--db", DB, &gone]).fails(1, &["read-only", "mp sync"]);
    place.ok(["sql", "--db", DB, "--write", &gone]);
    let status = json(&place.ok(with("status")));
    assert_eq!((&status["changed"], &status["missing"]), (&json!(1), &json!(0)), "{status}");
    let doctor = place.run(["doctor", "--db", DB]);
    assert!(doctor.stdout.contains("rows fewer in events than were fetched"), "{doctor:?}");
    // Another program may do anything.
    let other = mixpanel_data::StorageEngine::open(place.here(DB)).unwrap();
    other.execute(&books).unwrap();
    drop(other);
    let status = json(&place.ok(with("status")));
    assert_eq!((&status["missing"], &status["gaps"]), (&json!(1), &json!([[middle, middle]])));
    let calendar = place.ok([&with("status")[..], &["--format", "table"]].concat());
    assert!(calendar.contains("_ missing") && calendar.contains("Jun 2025") && calendar.contains(&middle));
    let plan = json(&place.ok([&with("sync")[..], &["--dry-run"]].concat()));
    assert_eq!((&plan["requests"], &plan["sizes_known"]), (&json!(1), &json!(true)));
    assert_eq!(world.requests().len(), requests);
    // A dry run fails where the sync would.
    for more in [&["-e", "Purchase"][..], &["-e", "Purchase", "--dry-run"]] {
        place.run([&with("sync")[..], more].concat()).fails(3, &["Purchase", "--replace"]);
    }
    assert_eq!(world.requests().len(), requests);
    let filled = json(&place.ok(with("sync")));
    assert_eq!((&filled["requests"], &filled["days_fetched"]), (&json!(1), &json!(1)));
    assert_eq!(place.scalar(DB, "SELECT count(*) FROM events"), unique_events(&world));
    // In one line for people, nothing for cron.
    assert!(place.ok([&with("sync")[..], &["--format", "table"]].concat()).contains("nothing to fetch"));
    let quiet = place.run([&with("sync")[..], &["--quiet"]].concat());
    assert_eq!((quiet.code, &*quiet.stdout, &*quiet.stderr), (Some(0), "", ""));
}

#[test]
fn progress_counts_the_days_that_are_to_be_fetched() {
    let world = simulator(3, 50);
    let place = Place::at(&world);
    let (first, last) = (world.world().first_day().to_string(), world.config().today.to_string());
    place.ok(["sync", "--from", &first, "--to", &first, "--db", DB]);
    let run = place.run(["--progress", "json", "sync", "--to", &last, "--db", DB]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let told = run.stderr.lines().rfind(|line| line.contains("\"progress\"")).unwrap();
    let progress = &json(told)["progress"];
    assert_eq!((&progress["days"], &progress["days_done"]), (&json!(2), &json!(2)), "{told}");
}

#[test]
fn a_bad_day_leaves_the_rest_and_says_so() {
    let world = simulator(3, 50);
    let place = Place::at(&world);
    let (first, last) = (world.world().first_day(), world.config().today);
    let fault = Fault::Status {
        status: 503,
        // Longer than anybody waits.
        retry_after: Some("86400".to_owned()),
        body: "not today".to_owned(),
        content_type: "text/plain".to_owned(),
    };
    world.fault(fault.on_day(first).times(1000));
    let (from, to) = (first.to_string(), last.to_string());
    let sync = ["sync", "--from", &from, "--to", &to, "--db", DB];
    let run = place.run(sync);
    assert_eq!(run.code, Some(11), "{run:?}");
    let result = json(&run.stdout);
    assert_eq!((&result["state"], &result["days_fetched"]), (&json!("partial"), &json!(2)));
    assert_eq!((&result["failed"][0]["from"], &result["failed"][0]["to"]), (&json!(from), &json!(from)));
    assert!(run.stderr.contains(&format!("error: {from} to {from} could not be fetched")), "{run:?}");
    // With nothing else to fetch, nothing could be fetched.
    let again = ["sync", "--from", &from, "--to", &from, "--db", DB, "--quiet"];
    place.run(again).fails(10, &["503"]);

    world.clear_faults();
    let result = json(&place.ok(sync));
    assert_eq!((&result["state"], &result["days_fetched"]), (&json!("complete"), &json!(1)));
    assert_eq!(place.scalar(DB, "SELECT count(*) FROM events"), unique_events(&world));
}

#[test]
fn a_server_that_says_never_is_not_asked_again() {
    let world = simulator(12, 50);
    let place = Place::at(&world);
    let (first, last) = (world.world().first_day(), world.config().today);
    world.fault(Fault::status(501).on_day(last).times(1000));
    let (from, to) = (first.to_string(), last.to_string());
    place.run(["sync", "--from", &from, "--to", &to, "--db", DB]).fails(10, &["501"]);
    assert_eq!(world.requests().len(), 1);
}

#[test]
fn a_stopped_sync_keeps_its_chunks_and_goes_on_from_there() {
    let world = simulator(12, 200);
    let place = Place::at(&world);
    let (first, last) = (world.world().first_day(), world.config().today);
    // Some chunks come, then one hangs.
    let stall = Fault::Stall { after_bytes: 5_000, delay: Duration::from_secs(120) };
    world.fault(stall.on_day(first));
    let (from, to) = (first.to_string(), last.to_string());
    let sync = ["sync", "--from", &from, "--to", &to, "--db", DB];
    let child = place.start(sync);
    let asked = format!("from_date={from}");
    let hanging = until("the last request", || {
        world.requests().into_iter().find(|request| request.target.contains(&asked))
    });
    // Everything newer is stored; the snapshot of a busy database tells.
    let to_date = hanging.target.split("to_date=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let missing = format!(
        "SELECT count(*) FROM range(DATE '{to_date}' + 1, DATE '{to}' + 1, INTERVAL 1 DAY) AS days(day)
             WHERE CAST(day AS DATE) NOT IN (SELECT day FROM _ledger)"
    );
    until("the chunks before it", || {
        let run = place.run(["sql", "--db", DB, "--format", "csv", "--quiet", &missing]);
        (run.code == Some(0) && run.stdout.ends_with("\n0\n")).then_some(())
    });
    // Another sync of the same copy is told so, or waits if it is asked to.
    place.run(sync).fails(7, &["in use"]);
    let mut waiting = place.start([&sync[..], &["--wait", "60"]].concat());
    let mut told = String::new();
    BufReader::new(waiting.child().stderr.take().unwrap()).read_line(&mut told).unwrap();
    assert!(told.contains("waiting for up to 60 s"), "{told}");
    let before = world.requests().len();

    let started = Instant::now();
    child.signal(Signal::SIGINT);
    let run = child.end();
    assert_eq!((run.code, &*run.stdout), (Some(130), ""), "{run:?}");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());

    let run = waiting.end();
    assert_eq!(run.code, Some(0), "{run:?}");
    let result = json(&run.stdout);
    assert_eq!((&result["state"], &result["requests"]), (&json!("complete"), &json!(1)));
    assert_eq!(world.requests().len(), before + 1, "chunks that were stored are not asked for again");
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
