//! Databases of the Python original: named for what they are, and copied with what they know.

use std::path::Path;

use mixpanel_client::time::ProjectClock;
use mixpanel_data::{
    DayStatus, ErrorKind, ImportOriginal, StorageEngine, SyncOptions, TableKind, Value, Workspace,
};

use crate::support::*;

/// What the original's storage engine makes of two fetches, and of one that failed in the middle.
const ORIGINAL: &str = r#"
    CREATE TABLE o.events (event_name VARCHAR NOT NULL, event_time TIMESTAMP NOT NULL, distinct_id VARCHAR NOT NULL,
                           insert_id VARCHAR PRIMARY KEY, properties JSON);
    INSERT INTO o.events VALUES
        ('Buy', '2024-01-01 10:00:00', 'u1', 'i1', '{"plan": "pro", "n": 1.50}'),
        ('Buy', '2024-01-03 10:00:00', 'u2', 'i2', '{}'),
        ('Buy', '2024-01-03 11:00:00', '', 'i3', NULL),
        ('Odd', '2024-01-03 12:00:00', 'u', 'i4', '{"n": NaN}');
    CREATE TABLE o.half AS FROM o.events LIMIT 1;
    CREATE TABLE o.people (distinct_id VARCHAR PRIMARY KEY, properties JSON, last_seen TIMESTAMP);
    INSERT INTO o.people VALUES ('u1', '{"$name": "A"}', '2024-01-02 03:04:05'), ('u2', '{}', NULL);
    CREATE TABLE o._metadata (table_name VARCHAR PRIMARY KEY, type VARCHAR NOT NULL, fetched_at TIMESTAMP NOT NULL,
                              from_date DATE, to_date DATE, row_count INTEGER NOT NULL);
    INSERT INTO o._metadata VALUES ('events', 'events', '2024-02-01 00:00:00', '2024-01-01', '2024-01-04', 4),
                                   ('people', 'profiles', '2024-02-01 00:00:00', NULL, NULL, 2);
"#;

fn original(path: &Path) {
    let storage = StorageEngine::memory().unwrap();
    let attach = format!("ATTACH '{}' AS o; {ORIGINAL} DETACH o;", path.display());
    storage.execute(&attach).unwrap();
}

#[test]
fn it_is_named_for_what_it_is_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mixpanel.db");
    original(&path);
    let before = std::fs::read(&path).unwrap();
    let error = StorageEngine::open(&path).unwrap_err();
    let ErrorKind::OriginalDatabase { tables, .. } = error.kind() else { panic!("{error}") };
    assert_eq!(tables, &["events", "half", "people"]);
    let reading = StorageEngine::open_existing(&path, true).unwrap();
    let tables = reading.original_tables().unwrap().unwrap();
    let kinds: Vec<(&str, TableKind, Option<u64>)> =
        tables.iter().map(|table| (&*table.name, table.kind, table.row_count)).collect();
    assert_eq!(
        kinds,
        [
            ("events", TableKind::Events, Some(4)),
            ("half", TableKind::Events, None),
            ("people", TableKind::Profiles, Some(2)),
        ]
    );
    drop(reading);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(StorageEngine::memory().unwrap().original_tables().unwrap(), None);
}

#[test]
fn its_tables_are_copied_and_no_day_counts_as_complete() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mixpanel.db");
    original(&path);
    let from = StorageEngine::open_existing(&path, true).unwrap();
    let now = at("2024-06-01T12:00:00Z");
    let workspace = Workspace::builder().now(move || now).storage(StorageEngine::memory().unwrap());
    let storage = workspace.storage();
    let all = ImportOriginal::default();
    let imported = workspace.import_original(&from, &all, &mut |_| {}).unwrap();
    let counts: Vec<(u64, u64, u64)> =
        imported.iter().map(|table| (table.lines, table.rows, table.rejects)).collect();
    // What is no JSON goes to quarantine: the original let NaN pass.
    assert_eq!(counts, [(4, 3, 1), (1, 1, 0), (2, 2, 0)]);
    let rows = storage
        .execute_rows("SELECT event_time, distinct_id, insert_id, properties FROM events ORDER BY 1", &[])
        .unwrap();
    let first: Vec<String> = rows.rows[0].iter().map(Value::to_text).collect();
    assert_eq!(
        first,
        [
            "2024-01-01 10:00:00",
            "u1",
            "i1",
            r#"{"time":1704103200,"distinct_id":"u1","$insert_id":"i1","plan": "pro", "n": 1.50}"#,
        ]
    );
    let profile = storage
        .execute_rows("SELECT last_seen, \"$name\" FROM people_flat WHERE distinct_id = 'u1'", &[])
        .unwrap();
    assert_eq!(profile.rows[0].iter().map(Value::to_text).collect::<Vec<_>>(), ["2024-01-02 03:04:05", "A"]);
    let state =
        storage.execute_rows("SELECT table_name, state, filters FROM _ledger ORDER BY 1, day", &[]).unwrap();
    assert!(state.rows.iter().all(|row| row[1].as_str() == Some("loaded")));
    let said = state.rows[0][2].to_text();
    assert_eq!(said, "loaded from mixpanel.db, table events of the Python original, fetched 2024-02-01");
    // From where on it was asked for, its records know; a day without rows may be one of a gap.
    let coverage = workspace
        .coverage(
            &ProjectClock::default(),
            &SyncOptions { to: Some(jiff::civil::date(2024, 1, 4)), ..SyncOptions::default() },
        )
        .unwrap();
    let statuses: Vec<DayStatus> = coverage.days.iter().map(|day| day.status).collect();
    assert_eq!(statuses, [DayStatus::Loaded, DayStatus::Missing, DayStatus::Loaded, DayStatus::Missing]);

    let events = ImportOriginal { tables: vec!["events".into()], ..ImportOriginal::default() };
    let again = workspace.import_original(&from, &events, &mut |_| {}).unwrap();
    assert_eq!((again[0].rows, again[0].duplicates), (0, 3));
    // Profiles that are there may be newer.
    let error = workspace.import_original(&from, &all, &mut |_| {}).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TableExists { table } if table == "people"), "{error}");
    let none = ImportOriginal { tables: vec!["no".into()], ..ImportOriginal::default() };
    let error = workspace.import_original(&from, &none, &mut |_| {}).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TableNotFound { .. }), "{error}");
}
