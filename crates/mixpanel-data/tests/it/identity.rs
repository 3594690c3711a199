//! Which events are one and the same. The rules are Mixpanel's, from its page on
//! deduplication: name, time, user and insert id together, by the millisecond;
//! an event that came without an insert id takes no part.

use jiff::civil::date;
use mixpanel_data::{EventRecord, FetchEvents, StorageEngine, Value, Workspace};
use mixpanel_sim::{Fault, Simulator};

use crate::fetch::{count, everything, simulator};
use crate::support::{event, events_metadata, fingerprint, in_each_mode, workspace};

/// 2025-06-15 00:00:00 UTC.
const MIDNIGHT: i64 = 1_749_945_600;

fn line(time: i64, members: &str) -> String {
    format!(r#"{{"event":"A","properties":{{"time":{time},"distinct_id":"u"{members}}}}}"#)
}

/// Fetches a day whose export has these lines. Under another filter they are added
/// to what is there.
fn fetch(simulator: &Simulator, workspace: &Workspace, lines: &[String], append: bool) -> (u64, u64) {
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    simulator.fault(Fault::ReplaceBody(body.into()));
    let day = date(2025, 6, 15);
    let events = if append { vec!["A".to_owned()] } else { Vec::new() };
    let fetch = FetchEvents { append, events, ..FetchEvents::days(day, day) };
    let result = workspace.fetch_events(&fetch).unwrap();
    assert_eq!(result.lines, result.rows + result.duplicates + result.rejects, "conservation");
    (result.rows, result.duplicates)
}

fn times(workspace: &Workspace) -> Vec<String> {
    let rows =
        workspace.sql_rows("SELECT strftime(event_time, '%S.%g') FROM events ORDER BY 1").unwrap().rows;
    rows.iter().map(|row| row[0].to_text()).collect()
}

#[test]
fn events_without_an_insert_id_are_never_taken_for_each_other() {
    let time = MIDNIGHT * 1000;
    let bare = line(time, r#","n":1"#);
    let lines = [
        bare.clone(),
        // Equal to the last byte, and equal but for when they were processed.
        bare.clone(),
        bare.clone(),
        line(time, r#","n":1,"mp_processing_time_ms":5"#),
        line(time, r#","n":1,"mp_processing_time_ms":6"#),
        line(time, r#","$insert_id":null"#),
        line(time, r#","$insert_id":"""#),
        // These two are one.
        line(time, r#","$insert_id":"x","mp_processing_time_ms":5"#),
        line(time, r#","$insert_id":"x","mp_processing_time_ms":6"#),
    ];
    let simulator = simulator();
    let folder = tempfile::tempdir().unwrap();
    for storage in
        [StorageEngine::open(folder.path().join("a.duckdb")).unwrap(), StorageEngine::memory().unwrap()]
    {
        let workspace = workspace(&simulator, storage);
        assert_eq!(fetch(&simulator, &workspace, &lines, false), (8, 1));
        let first = fingerprint(workspace.storage(), "events");
        assert_eq!(first.0, 8);
        let key = "(event_name, event_time, distinct_id, insert_id)";
        assert_eq!(count(&workspace, &format!("SELECT count(DISTINCT {key}) FROM events")), 8);
        assert_eq!(count(&workspace, "SELECT row_count FROM _ledger WHERE row_count > 0"), 8);
        // The same rows again, in whatever order they come.
        let mut turned = lines.clone();
        turned.reverse();
        assert_eq!(fetch(&simulator, &workspace, &turned, false), (8, 1));
        assert_eq!(fingerprint(workspace.storage(), "events"), first);
        // All of them are there, so none is added; of four, one is new.
        assert_eq!(fetch(&simulator, &workspace, &lines, true), (0, 9));
        assert_eq!(fingerprint(workspace.storage(), "events"), first);
        // And none when the day is asked for again, beside rows of another filter.
        assert_eq!(fetch(&simulator, &workspace, &lines, false), (0, 9));
        assert_eq!(fingerprint(workspace.storage(), "events"), first);
        let four = [bare.clone(), bare.clone(), bare.clone(), bare.clone()];
        assert_eq!(fetch(&simulator, &workspace, &four, true), (1, 3));
        assert_eq!(count(&workspace, "SELECT count(*) FROM events WHERE insert_id LIKE 'mp-%'"), 8);
    }
}

#[test]
fn records_without_an_insert_id_are_never_taken_for_each_other() {
    in_each_mode(|storage| {
        let bare = || EventRecord { insert_id: None, ..event("A", "", r#"{"n":1}"#) };
        let rows = |events: Vec<EventRecord>| {
            storage.append_events_table("events", events, &events_metadata(), None).unwrap()
        };
        let three = vec![bare(), event("A", "x", "{}"), bare(), event("A", "x", "{}")];
        assert_eq!(storage.create_events_table("events", three, &events_metadata(), None).unwrap(), 3);
        assert_eq!(rows(vec![bare(), bare()]), 0);
        assert_eq!(rows(vec![bare(), bare(), bare()]), 1);
        let rows = storage.execute_scalar("SELECT count(DISTINCT insert_id) FROM events").unwrap();
        assert_eq!(rows, Value::Integer(4));
    });
}

#[test]
fn exports_are_asked_for_milliseconds_and_the_order_within_a_second_is_kept() {
    let simulator = simulator();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    workspace.fetch_events(&everything(&simulator)).unwrap();
    let requests = simulator.requests();
    assert!(requests.iter().all(|request| request.target.contains("time_in_ms=true")), "{requests:?}");
    let sql = "SELECT count(DISTINCT epoch_ms(event_time) % 1000) > 500 FROM events";
    assert_eq!(workspace.sql_scalar(sql).unwrap(), Value::Boolean(true));
    let wrong =
        "SELECT count(*) FROM events WHERE epoch_ms(event_time) <> CAST(properties->>'time' AS BIGINT)";
    assert_eq!(count(&workspace, wrong), 0);
}

#[test]
fn one_insert_id_at_two_milliseconds_is_two_events() {
    let time = MIDNIGHT * 1000;
    let id = r#","$insert_id":"x""#;
    let lines = [line(time + 7, id), line(time + 250, id), line(time + 7, id)];
    let simulator = simulator();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    assert_eq!(fetch(&simulator, &workspace, &lines, false), (2, 1));
    assert_eq!(times(&workspace), ["00.007", "00.250"]);
}

/// What was fetched before exports were asked for milliseconds is in whole seconds.
#[test]
fn an_event_in_whole_seconds_is_the_one_in_milliseconds() {
    let with = |id: &str| format!(r#","$insert_id":"{id}""#);
    let seconds =
        [line(MIDNIGHT, &with("x")), line(MIDNIGHT + 1, &with("y")), line(MIDNIGHT + 2, &with("z"))];
    let time = MIDNIGHT * 1000;
    let milliseconds = [
        line(time + 7, &with("x")),
        line(time + 250, &with("x")),
        line(time + 1000, &with("y")),
        line(time + 3999, &with("other")),
    ];
    let simulator = simulator();
    for append in [true, false] {
        let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
        assert_eq!(fetch(&simulator, &workspace, &seconds, false), (3, 0));
        assert_eq!(times(&workspace), ["00.000", "01.000", "02.000"]);
        fetch(&simulator, &workspace, &milliseconds, append);
        let mut expected = vec!["00.007", "00.250", "01.000", "03.999"];
        if append {
            // It is not among those that came, and stays as precise as it is.
            expected.insert(3, "02.000");
        }
        assert_eq!(times(&workspace), expected, "append: {append}");
    }
}
