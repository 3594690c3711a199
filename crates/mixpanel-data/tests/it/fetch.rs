//! Fetching over real HTTP: complete, once, or not at all.

use std::time::Duration;

use jiff::ToSpan;
use jiff::civil::Date;
use mixpanel_client::CancelToken;
use mixpanel_client::time::{ClockMode, ProjectClock};
use mixpanel_data::{ErrorKind, FetchEvents, StorageEngine, Value, Workspace};
use mixpanel_sim::{Fault, SimConfig, Simulator};

use crate::support::{fingerprint, now_of, project, small_world, workspace};

pub(crate) fn simulator() -> Simulator {
    Simulator::start(small_world()).unwrap()
}

/// The whole days of a simulator's history, without its partial today.
fn whole_days(simulator: &Simulator) -> (Date, Date) {
    (simulator.world().first_day(), simulator.config().today.yesterday().unwrap())
}

pub(crate) fn everything(simulator: &Simulator) -> FetchEvents {
    let (from, to) = whole_days(simulator);
    FetchEvents::days(from, to)
}

pub(crate) fn count(workspace: &Workspace, sql: &str) -> u64 {
    workspace.sql_scalar(sql).unwrap().as_i64().unwrap() as u64
}

#[test]
fn a_fetch_brings_every_event_exactly_once_in_each_mode() {
    let simulator = simulator();
    let (from, to) = whole_days(&simulator);
    let world = simulator.world();
    let (lines, unique) = (world.event_count(from, to), world.unique_count(from, to));
    assert!(unique < lines, "the world has duplicates");
    let folder = tempfile::tempdir().unwrap();
    let mut fingerprints = Vec::new();
    for storage in [
        StorageEngine::open(folder.path().join("a.duckdb")).unwrap(),
        StorageEngine::ephemeral().unwrap(),
        StorageEngine::memory().unwrap(),
    ] {
        let workspace = workspace(&simulator, storage);
        let mut progress = Vec::new();
        let result =
            workspace.fetch_events_with(&everything(&simulator), &mut |p| progress.push(*p)).unwrap();
        assert_eq!((result.lines, result.rows, result.total_rows), (lines, unique, unique));
        assert_eq!((result.duplicates, result.rejects), (lines - unique, 0));
        // Nothing is known: the newest day alone, then more.
        assert_eq!((result.requests, result.chunks.len()), (3, 3));
        for chunk in &result.chunks {
            assert_eq!(chunk.lines, chunk.rows + chunk.duplicates + chunk.rejects, "conservation");
        }
        assert!(result.bytes_decoded > result.bytes_received && result.bytes_received > 0);
        assert_eq!(progress.last().unwrap().rows, lines);
        assert_eq!(progress.last().unwrap().bytes_decoded, result.bytes_decoded);
        assert_eq!(count(&workspace, "SELECT count(*) FROM events"), unique);
        fingerprints.push(fingerprint(workspace.storage(), "events"));
    }
    assert!(fingerprints.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn the_ledger_says_what_is_here_day_by_day() {
    let simulator = simulator();
    let (from, _) = whole_days(&simulator);
    let today = simulator.config().today;
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    let result = workspace.fetch_events(&FetchEvents::days(from, today)).unwrap();
    let empty = simulator.world().days().iter().filter(|day| day.is_empty()).count() as u32;
    assert!(empty > 0, "the world has an empty day");
    assert_eq!((result.days_empty, result.days_partial), (empty, 1));
    let days = result.days_complete + result.days_empty + result.days_partial;
    assert_eq!(days, simulator.config().days);
    let ledger = workspace
        .sql_rows(
            "SELECT day, state, row_count, duplicates FROM _ledger WHERE table_name = 'events' ORDER BY day",
        )
        .unwrap();
    assert_eq!(ledger.len() as u32, days);
    for (row, day) in ledger.rows.iter().zip(simulator.world().days()) {
        assert_eq!(row[0], Value::Date(day.date()));
        let state = if day.date() == today {
            "partial"
        } else if day.is_empty() {
            "empty"
        } else {
            "complete"
        };
        assert_eq!(row[1], Value::Text(state.into()), "{}", day.date());
        assert_eq!(row[2].as_i64().unwrap() as u64, day.unique());
        assert_eq!(row[3].as_i64().unwrap() as u64, day.rows() - day.unique());
    }
    let per_day = "SELECT count(*) FROM _ledger l WHERE l.row_count <>
                   (SELECT count(*) FROM events e WHERE CAST(e.event_time AS DATE) = l.day)";
    assert_eq!(count(&workspace, per_day), 0);
}

#[test]
fn fetching_again_changes_nothing_and_extends() {
    let simulator = simulator();
    let (from, to) = whole_days(&simulator);
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    let middle = from.checked_add(4.days()).unwrap();
    workspace.fetch_events(&FetchEvents::days(from, middle)).unwrap();
    // Overlapping, twice.
    for _ in 0..2 {
        workspace.fetch_events(&FetchEvents::days(middle, to)).unwrap();
    }
    assert_eq!(count(&workspace, "SELECT count(*) FROM events"), simulator.world().unique_count(from, to));
    let before = fingerprint(workspace.storage(), "events");
    workspace.fetch_events(&everything(&simulator)).unwrap();
    assert_eq!(fingerprint(workspace.storage(), "events"), before);
    let metadata = workspace.storage().get_metadata("events").unwrap();
    assert_eq!((metadata.from_date, metadata.to_date), (Some(from), Some(to)));
}

#[test]
fn filters_are_the_tables_and_others_need_a_word() {
    let simulator = simulator();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    let all = everything(&simulator);
    let purchases = FetchEvents { events: vec!["Purchase".into()], ..all.clone() };
    let result = workspace.fetch_events(&purchases).unwrap();
    assert_eq!(count(&workspace, "SELECT count(*) FROM events WHERE event_name <> 'Purchase'"), 0);
    assert!(result.rows > 0);

    let pro = FetchEvents { filter: Some("properties[\"plan\"] == \"pro\"".into()), ..all.clone() };
    let error = workspace.fetch_events(&pro).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::FilterMismatch { existing, requested, .. }
            if existing.contains("Purchase") && requested.contains("plan")),
        "{error:?}"
    );
    let before = count(&workspace, "SELECT count(*) FROM events");
    workspace.fetch_events(&FetchEvents { append: true, ..pro.clone() }).unwrap();
    let expected =
        "SELECT count(*) FROM events WHERE event_name = 'Purchase' OR properties->>'$.plan' = 'pro'";
    assert!(count(&workspace, "SELECT count(*) FROM events") > before);
    assert_eq!(count(&workspace, "SELECT count(*) FROM events"), count(&workspace, expected));
    let hashes = "SELECT count(DISTINCT filter_hash) FROM _ledger";
    assert_eq!(count(&workspace, hashes), 2);
    // Days that are fetched again under the table's own filters leave the others' rows.
    let both = fingerprint(workspace.storage(), "events");
    workspace.fetch_events(&purchases).unwrap();
    assert_eq!(fingerprint(workspace.storage(), "events"), both);

    workspace.fetch_events(&FetchEvents { replace: true, ..all.clone() }).unwrap();
    let (from, to) = whole_days(&simulator);
    assert_eq!(count(&workspace, "SELECT count(*) FROM events"), simulator.world().unique_count(from, to));
    assert_eq!(count(&workspace, hashes), 1);
    workspace.fetch_events(&all).unwrap();
}

#[test]
fn a_property_that_a_replacement_lacks_is_unseen_from_then_on() {
    let simulator = simulator();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    workspace.fetch_events(&everything(&simulator)).unwrap();
    let amounts = "SELECT row_count, first_seen, last_seen FROM _properties WHERE name = 'amount'";
    assert!(workspace.sql_rows(amounts).unwrap().rows[0].iter().all(|value| !value.is_null()));
    let none = FetchEvents { events: vec!["No such event".into()], replace: true, ..everything(&simulator) };
    for _ in 0..2 {
        workspace.fetch_events(&none).unwrap();
        assert_eq!(
            workspace.sql_rows(amounts).unwrap().rows,
            [[Value::Integer(0), Value::Null, Value::Null]]
        );
    }
    workspace.fetch_events(&FetchEvents { replace: true, ..everything(&simulator) }).unwrap();
    assert!(workspace.sql_rows(amounts).unwrap().rows[0].iter().all(|value| !value.is_null()));
}

#[test]
fn a_sample_is_partial_and_never_replaces_what_is_complete() {
    let simulator = simulator();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    let sample = FetchEvents { limit: Some(50), ..everything(&simulator) };
    let result = workspace.fetch_events(&sample).unwrap();
    assert_eq!((result.lines, result.days_complete), (50, 0));
    // The same once more adds nothing, and the part that is here stays counted.
    workspace.fetch_events(&sample).unwrap();
    let counted = "SELECT CAST(sum(row_count) AS BIGINT) FROM _ledger WHERE state = 'partial'";
    assert_eq!(count(&workspace, counted), count(&workspace, "SELECT count(*) FROM events"));
    let full = workspace.fetch_events(&everything(&simulator)).unwrap();
    assert!(full.days_complete > 0);
    let before = fingerprint(workspace.storage(), "events");
    workspace.fetch_events(&sample).unwrap();
    assert_eq!(fingerprint(workspace.storage(), "events"), before);
    assert_eq!(count(&workspace, "SELECT count(*) FROM _ledger WHERE state = 'partial'"), 0);
}

/// Also when nothing is left of what was asked for.
#[test]
fn days_before_the_plans_history_are_no_error() {
    let config = SimConfig { max_history_days: Some(3), ..small_world() };
    let simulator = Simulator::start(config).unwrap();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    let (first, last) = (simulator.world().first_day(), simulator.world().last_day());
    let gone = FetchEvents::days(first, first.tomorrow().unwrap());
    let result = workspace.fetch_events(&gone).unwrap();
    assert_eq!((result.days_unavailable, result.rows, result.total_rows), (2, 0, 0));
    let here = workspace.fetch_events(&FetchEvents::days(last, last)).unwrap();
    assert!(here.total_rows > 0);
    assert_eq!(workspace.fetch_events(&gone).unwrap().total_rows, here.total_rows);
}

/// Whatever goes wrong on the way: the chunk is fetched again, and only a
/// complete one is stored.
#[test]
fn interrupted_downloads_start_again() {
    let simulator = simulator();
    let clean = workspace(&simulator, StorageEngine::memory().unwrap());
    clean.fetch_events(&everything(&simulator)).unwrap();
    let expected = fingerprint(clean.storage(), "events");
    for fault in [
        Fault::terminated_early(0.5),
        Fault::terminated_early(1.0),
        Fault::CutConnection { fraction: 0.3 },
        Fault::CutBeforeTrailer,
        Fault::CleanCloseMidLine { fraction: 0.6 },
        Fault::GzipNoTrailer,
        Fault::GzipBadCrc,
        Fault::NoFinalNewline,
        Fault::HtmlPage,
        Fault::InBandError { message: "out of order".into() },
        Fault::status(503),
        Fault::TooManyRequests { retry_after: None },
    ] {
        let name = fault.name();
        let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
        simulator.fault(fault.clone());
        workspace.fetch_events(&everything(&simulator)).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(simulator.waiting_faults(), 0, "{name}");
        assert_eq!(fingerprint(workspace.storage(), "events"), expected, "{name}");

        // For good: an error, and the table is as it was.
        simulator.fault(fault.times(100));
        let error = workspace.fetch_events(&everything(&simulator)).unwrap_err();
        simulator.clear_faults();
        assert!(matches!(error.kind(), ErrorKind::Api { .. }) && error.api().is_some(), "{name}: {error:?}");
        assert_eq!(fingerprint(workspace.storage(), "events"), expected, "{name}");
        // And a new table does not appear at all.
        let other = FetchEvents { table: "other".into(), ..everything(&simulator) };
        simulator.fault(Fault::terminated_early(0.9).times(100));
        workspace.fetch_events(&other).unwrap_err();
        simulator.clear_faults();
        assert!(!workspace.storage().table_exists("other").unwrap(), "{name}");
        assert!(!workspace.storage().table_exists("_other").unwrap(), "{name}");
    }
}

#[test]
fn permanent_refusals_are_reported_at_once() {
    let simulator = simulator();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    let bad = FetchEvents { filter: Some("properties[\"x\"] = ".into()), ..everything(&simulator) };
    let error = workspace.fetch_events(&bad).unwrap_err();
    let api = error.api().unwrap();
    assert!(matches!(api.kind(), mixpanel_client::ErrorKind::BadRequest { status: 400, .. }), "{api:?}");
    assert_eq!(simulator.requests().len(), 1);
    for status in [401, 402, 403] {
        simulator.fault(Fault::status(status).times(1));
        let error = workspace.fetch_events(&everything(&simulator)).unwrap_err();
        assert!(!error.is_retryable(), "{status}: {error:?}");
    }
    assert_eq!(simulator.requests().len(), 4);
    assert_eq!(workspace.tables().unwrap(), []);
}

#[test]
fn impossible_questions_cost_no_request() {
    let simulator = simulator();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    let all = everything(&simulator);
    let future = simulator.config().today.checked_add(2.days()).unwrap();
    for (wrong, word) in [
        (FetchEvents { from: all.to, to: all.from, ..all.clone() }, "after the last day"),
        (FetchEvents { to: future, ..all.clone() }, "in the future"),
        (FetchEvents { limit: Some(0), ..all.clone() }, "100,000"),
        (FetchEvents { append: true, replace: true, ..all.clone() }, "exclude"),
        (FetchEvents { table: "_x".into(), ..all.clone() }, "underscore"),
    ] {
        let error = workspace.fetch_events(&wrong).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
    assert_eq!(simulator.requests().len(), 0);
    let local = Workspace::memory().unwrap();
    assert!(matches!(local.fetch_events(&all).unwrap_err().kind(), ErrorKind::NoCredentials));
    workspace.sql("CREATE TABLE mine (x INTEGER)").unwrap();
    let error = workspace.fetch_events(&FetchEvents { table: "mine".into(), ..all }).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TableExists { .. }), "{error:?}");
}

#[test]
fn a_fetch_can_be_cancelled_and_leaves_nothing() {
    let simulator = simulator();
    simulator.fault(Fault::Stall { after_bytes: 2_000, delay: Duration::from_secs(30) });
    let cancel = CancelToken::new();
    let now = now_of(&simulator);
    let workspace = Workspace::builder()
        .project(project(&simulator, cancel.clone()))
        .now(move || now)
        .storage(StorageEngine::memory().unwrap());
    let started = std::time::Instant::now();
    std::thread::scope(|scope| {
        let fetch = scope.spawn(|| workspace.fetch_events(&everything(&simulator)));
        while simulator.requests().is_empty() {
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(100));
        cancel.cancel();
        let error = fetch.join().unwrap().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Cancelled), "{error:?}");
    });
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(workspace.tables().unwrap(), []);
}

#[test]
fn an_old_projects_times_become_utc_and_its_days_stay_its_own() {
    let zone = "America/New_York";
    let config =
        SimConfig { timezone: zone.into(), clock_mode: mixpanel_sim::ClockMode::LocalAsUtc, ..small_world() };
    let simulator = Simulator::start(config).unwrap();
    let mut project = project(&simulator, CancelToken::new());
    project.clock = ProjectClock::new(zone, ClockMode::LocalAsUtc).unwrap();
    let now = now_of(&simulator);
    let workspace =
        Workspace::builder().project(project).now(move || now).storage(StorageEngine::memory().unwrap());
    let all = everything(&simulator);
    workspace.fetch_events(&all).unwrap();
    let unique = simulator.world().unique_count(all.from, all.to);
    assert_eq!(count(&workspace, "SELECT count(*) FROM events"), unique);
    // The exported number is the local wall clock; the column is the instant.
    let wrong = "SELECT count(*) FROM events WHERE
                 event_time AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York'
                 <> make_timestamp(CAST(properties->>'$.time' AS BIGINT) * 1000)";
    assert_eq!(count(&workspace, wrong), 0);
    let before = fingerprint(workspace.storage(), "events");
    let middle = all.from.checked_add(3.days()).unwrap();
    workspace.fetch_events(&FetchEvents::days(middle, middle)).unwrap();
    assert_eq!(fingerprint(workspace.storage(), "events"), before, "a day's borders are the project's");
}

#[test]
fn an_empty_answer_is_an_empty_table() {
    let simulator = simulator();
    let empty = simulator.world().days().iter().find(|day| day.is_empty()).unwrap().date();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    let result = workspace.fetch_events(&FetchEvents::days(empty, empty)).unwrap();
    assert_eq!((result.lines, result.rows, result.days_empty), (0, 0, 1));
    assert_eq!(count(&workspace, "SELECT count(*) FROM events"), 0);
    let other = FetchEvents {
        table: "unknown".into(),
        events: vec!["No such event".into()],
        ..everything(&simulator)
    };
    assert_eq!(workspace.fetch_events(&other).unwrap().rows, 0);
}
