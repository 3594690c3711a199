//! Files of older formats: what was in them is there, and what they lacked comes when they are opened for writing.

use std::path::Path;

use jiff::civil::Date;
use mixpanel_data::{FetchEvents, FetchProfiles, StorageEngine, Value};
use mixpanel_sim::{SimConfig, Simulator};

use crate::profiles::crowd;
use crate::support::{fingerprint, profile, profiles_metadata, workspace};

/// What version 2 made in a new file, word for word.
const FORMAT_2: &str = "
BEGIN;
CREATE TABLE IF NOT EXISTS _format (version INTEGER NOT NULL, created_at TIMESTAMP NOT NULL, created_by VARCHAR);
INSERT INTO _format SELECT 2, CAST(now() AS TIMESTAMP), 'mixpanel_data 0.1.0'
    WHERE NOT EXISTS (FROM _format);
CREATE TABLE IF NOT EXISTS _tables (
    table_name VARCHAR NOT NULL, type VARCHAR NOT NULL, filter_hash VARCHAR NOT NULL, filters VARCHAR NOT NULL,
    filter_events VARCHAR, filter_where VARCHAR, created_at TIMESTAMP NOT NULL, fetched_at TIMESTAMP NOT NULL,
    from_date DATE, to_date DATE, row_count BIGINT NOT NULL, max_columns INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS _properties (
    table_name VARCHAR NOT NULL, name VARCHAR NOT NULL, column_name VARCHAR NOT NULL, kind VARCHAR NOT NULL,
    promoted BOOLEAN NOT NULL, row_count BIGINT NOT NULL, nulls BIGINT NOT NULL, booleans BIGINT NOT NULL,
    integers BIGINT NOT NULL, wide_integers BIGINT NOT NULL, floats BIGINT NOT NULL, huge_numbers BIGINT NOT NULL,
    strings BIGINT NOT NULL, objects BIGINT NOT NULL, arrays BIGINT NOT NULL,
    first_seen TIMESTAMP, last_seen TIMESTAMP);
CREATE TABLE IF NOT EXISTS _ledger (
    table_name VARCHAR NOT NULL, day DATE NOT NULL, filter_hash VARCHAR NOT NULL, state VARCHAR NOT NULL,
    row_count BIGINT NOT NULL, duplicates BIGINT NOT NULL, rejects BIGINT NOT NULL, bytes BIGINT NOT NULL,
    content_hash VARCHAR NOT NULL, fetched_at TIMESTAMP NOT NULL, request_id VARCHAR);
CREATE TABLE IF NOT EXISTS _quarantine (
    table_name VARCHAR NOT NULL, chunk VARCHAR NOT NULL, line BIGINT NOT NULL, reason VARCHAR NOT NULL,
    bytes BLOB NOT NULL, quarantined_at TIMESTAMP NOT NULL);
CREATE TABLE IF NOT EXISTS _held (
    table_name VARCHAR NOT NULL, line BIGINT NOT NULL, event_name VARCHAR NOT NULL, event_time TIMESTAMP NOT NULL,
    distinct_id VARCHAR NOT NULL, insert_id VARCHAR NOT NULL, properties VARCHAR NOT NULL, processed_ms BIGINT);
UPDATE _format SET version = 2 WHERE version < 2;
CREATE OR REPLACE VIEW _metadata AS
    SELECT table_name, type, fetched_at, from_date, to_date, row_count FROM _tables;
COMMIT;
";

/// The same of version 1, which had no `_held` yet.
fn format_1() -> String {
    let (begin, rest) = FORMAT_2.split_once("CREATE TABLE IF NOT EXISTS _held").unwrap();
    let (_, end) = rest.split_once(';').unwrap();
    format!("{begin}{end}")
        .replace("SELECT 2,", "SELECT 1,")
        .replace("UPDATE _format SET version = 2 WHERE version < 2;", "")
}

/// What version 3 made in a new file: it had what version 2 lacked, and no definition yet.
fn format_3() -> String {
    let profiles = "filter_cohort VARCHAR, filter_output_properties VARCHAR, filter_group VARCHAR, filter_behaviors VARCHAR";
    let vanished = "CREATE TABLE IF NOT EXISTS _vanished_profiles (
    table_name VARCHAR NOT NULL, distinct_id VARCHAR NOT NULL, vanished_at TIMESTAMP NOT NULL,
    last_seen TIMESTAMP, properties VARCHAR NOT NULL);";
    FORMAT_2
        .replace("SELECT 2,", "SELECT 3,")
        .replace("max_columns INTEGER NOT NULL);", &format!("max_columns INTEGER NOT NULL, {profiles});"))
        .replace("request_id VARCHAR);", "request_id VARCHAR, filters VARCHAR);")
        .replace("UPDATE _format SET version = 2 WHERE version < 2;", vanished)
}

/// Copies what a file of today holds into a file as an older version would have made it.
fn older(format: &str, today: &Path, path: &Path) {
    let connection = duckdb::Connection::open(path).unwrap();
    connection.execute_batch(format).unwrap();
    connection.execute_batch(&format!("ATTACH '{}' AS today (READ_ONLY)", today.display())).unwrap();
    let texts = |sql: &str| -> Vec<(String, String)> {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    for name in ["_tables", "_properties", "_ledger", "_quarantine"] {
        let columns = texts(&format!(
            "SELECT column_name, data_type FROM duckdb_columns()
             WHERE table_name = '{name}' AND database_name <> 'today' ORDER BY column_index"
        ));
        let columns: Vec<String> = columns.into_iter().map(|(column, _)| column).collect();
        let columns = columns.join(", ");
        connection.execute_batch(&format!("INSERT INTO {name} SELECT {columns} FROM today.{name}")).unwrap();
    }
    // Tables of rows and their views have not changed since version 1.
    for name in ["_events", "_people"] {
        let columns = texts(&format!(
            "SELECT column_name, data_type || CASE WHEN is_nullable THEN '' ELSE ' NOT NULL' END
             || CASE WHEN column_name = 'properties' THEN ' USING COMPRESSION zstd' ELSE '' END
             FROM duckdb_columns() WHERE table_name = '{name}' AND database_name = 'today' ORDER BY column_index"
        ));
        let columns: Vec<String> =
            columns.iter().map(|(name, kind)| format!("\"{}\" {kind}", name.replace('"', "\"\""))).collect();
        let create = format!("CREATE TABLE {name} ({})", columns.join(", "));
        connection.execute_batch(&format!("{create}; INSERT INTO {name} FROM today.{name}")).unwrap();
    }
    let views = texts(
        "SELECT view_name, sql FROM duckdb_views() WHERE database_name = 'today' AND NOT internal
         AND view_name <> '_metadata' ORDER BY view_name",
    );
    assert_eq!(views.len(), 4);
    for (_, sql) in views {
        connection.execute_batch(&sql.replace("today.", "")).unwrap();
    }
    connection.execute_batch("DETACH today").unwrap();
}

fn days(simulator: &Simulator) -> (Date, Date) {
    (simulator.world().first_day(), simulator.config().today)
}

/// Some days of events and some profiles, as they were before `_vanished_profiles`.
fn file_of_today(simulator: &Simulator, path: &Path) {
    let workspace = workspace(simulator, StorageEngine::open(path).unwrap());
    let (first, _) = days(simulator);
    workspace.fetch_events(&FetchEvents::days(first, first.tomorrow().unwrap())).unwrap();
    let people = ["user_1", "user_2"].map(|id| profile(id, r#"{"plan":"pro","$name":"Ada"}"#));
    workspace.storage().create_profiles_table("people", people.to_vec(), &profiles_metadata(), None).unwrap();
}

#[test]
fn rows_of_older_files_survive_and_tables_they_lacked_are_there() {
    for (version, format) in [(1, format_1()), (2, FORMAT_2.to_owned()), (3, format_3())] {
        let simulator = Simulator::start(SimConfig { days: 4, ..crowd(500) }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (today, path) = (folder.path().join("today.duckdb"), folder.path().join("old.duckdb"));
        file_of_today(&simulator, &today);
        older(&format, &today, &path);
        let expected = StorageEngine::open_existing(&today, true).unwrap();
        let rows = |storage: &StorageEngine| {
            let flat = "SELECT count(*), CAST(bit_xor(hash(COLUMNS(*))) AS VARCHAR) FROM";
            let flat = |view: &str| storage.execute_rows(&format!("{flat} {view}"), &[]).unwrap().rows;
            let people = "SELECT distinct_id, CAST(properties AS VARCHAR), last_seen FROM people ORDER BY 1";
            let ledger =
                "SELECT table_name, day, filter_hash, state, row_count, fetched_at FROM _ledger ORDER BY ALL";
            let people = storage.execute_rows(people, &[]).unwrap().rows;
            let ledger = storage.execute_rows(ledger, &[]).unwrap().rows;
            (fingerprint(storage, "events"), flat("events_flat"), flat("people_flat"), people, ledger)
        };
        let before = rows(&expected);
        assert!(before.0.0 > 100 && before.4.len() >= 2, "{before:?}");

        // Reading changes nothing.
        let bytes = std::fs::read(&path).unwrap();
        let storage = StorageEngine::open_existing(&path, true).unwrap();
        assert_eq!(rows(&storage), before, "format {version}, read only");
        assert_eq!(storage.list_tables().unwrap(), expected.list_tables().unwrap());
        assert_eq!(storage.get_metadata("events").unwrap(), expected.get_metadata("events").unwrap());
        drop(storage);
        assert!(std::fs::read(&path).unwrap() == bytes, "format {version}");

        let storage = StorageEngine::open(&path).unwrap();
        assert_eq!(rows(&storage), before, "format {version}");
        let format = storage.execute_rows("SELECT version FROM _format", &[]).unwrap().rows;
        assert_eq!(format, [[Value::Integer(4)]]);
        for table in ["_vanished_profiles", "_held"] {
            let count = storage.execute_scalar(&format!("SELECT count(*) FROM {table}")).unwrap();
            assert_eq!(count, Value::Integer(0), "{table}");
        }
        let known = "SELECT (SELECT count(*) FROM _ledger WHERE filters IS NOT NULL) > 0,
            (SELECT count(*) FROM _tables WHERE coalesce(project_id, region, clock_mode, timezone) IS NOT NULL) > 0";
        let known = storage.execute_rows(known, &[]).unwrap().rows;
        assert_eq!(known, [[Value::Boolean(version == 3), Value::Boolean(false)]], "format {version}");

        // The file is as good as a new one: events go on, profiles are replaced, and who is gone is known.
        let workspace = workspace(&simulator, storage);
        let (first, last) = days(&simulator);
        workspace.fetch_events(&FetchEvents::days(first, last)).unwrap();
        let filled = "SELECT concat_ws(' ', project_id, region, clock_mode, timezone) FROM _tables WHERE table_name = 'events'";
        let filled = workspace.sql_scalar(filled).unwrap();
        assert_eq!(filled.to_text(), "12345 us utc UTC", "format {version}");
        let all = crate::support::workspace(&simulator, StorageEngine::memory().unwrap());
        all.fetch_events(&FetchEvents::days(first, last)).unwrap();
        assert_eq!(fingerprint(workspace.storage(), "events"), fingerprint(all.storage(), "events"));
        let everybody = FetchProfiles { table: "people".into(), ..FetchProfiles::default() };
        let result = workspace.fetch_profiles(&everybody).unwrap();
        assert_eq!((result.rows, result.vanished, result.total_rows), (500, 2, 500), "format {version}");
        let gone = workspace.sql_rows("SELECT distinct_id FROM _vanished_profiles ORDER BY 1").unwrap().rows;
        assert_eq!(gone, [[Value::Text("user_1".into())], [Value::Text("user_2".into())]]);
    }
}

/// A view says how a property without a column is read, and older versions read some otherwise.
#[test]
fn typed_views_of_older_files_are_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.duckdb");
    let storage = StorageEngine::open(&path).unwrap();
    let people = [profile("user_1", r#"{"plan":"pro"}"#)];
    storage.create_profiles_table("people", people.to_vec(), &profiles_metadata(), None).unwrap();
    drop(storage);
    let connection = duckdb::Connection::open(&path).unwrap();
    connection
        .execute_batch("CREATE OR REPLACE VIEW people_flat AS SELECT distinct_id FROM _people; UPDATE _format SET version = 2")
        .unwrap();
    drop(connection);
    let storage = StorageEngine::open(&path).unwrap();
    let plan = storage.execute_scalar("SELECT plan FROM people_flat").unwrap();
    assert_eq!(plan, Value::Text("pro".into()));
}
