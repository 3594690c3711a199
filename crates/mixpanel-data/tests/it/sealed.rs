//! The sandbox: what SQL that nobody vouches for can do in a sealed database.

use std::fs;
use std::path::Path;

use mixpanel_data::{ErrorKind, SnapshotOptions, StorageEngine, Value};

use crate::support::{event, events_metadata};

const CANARY: &str = "canary-7f3a";

fn filled(path: &Path) -> StorageEngine {
    let storage = StorageEngine::open(path).unwrap();
    let events = (0..1_000).map(|n| event("A", &n.to_string(), r#"{"plan":"pro"}"#)).collect::<Vec<_>>();
    storage.create_events_table("events", events, &events_metadata(), None).unwrap();
    storage
}

/// The same rows in each place that can be sealed.
fn sealed_in_each_place(folder: &Path, test: impl Fn(&StorageEngine)) {
    let path = folder.join("data.duckdb");
    drop(filled(&path));
    let memory = StorageEngine::memory().unwrap();
    let events = vec![event("A", "1", "{}")];
    memory.create_events_table("events", events, &events_metadata(), None).unwrap();
    let snapshot = StorageEngine::open_snapshot_with(&path, &SnapshotOptions::default()).unwrap();
    for storage in [memory, snapshot, StorageEngine::open_existing(&path, true).unwrap()] {
        assert!(!storage.is_sealed());
        storage.seal().unwrap();
        storage.seal().unwrap();
        assert!(storage.is_sealed());
        test(&storage);
    }
}

#[test]
fn a_sealed_database_answers_queries() {
    let folder = tempfile::tempdir().unwrap();
    sealed_in_each_place(folder.path(), |storage| {
        for query in [
            "SELECT count(*) FROM events",
            "FROM events_flat LIMIT 1",
            "-- a remark; with a semicolon\n(SELECT 1);",
            "WITH a AS (SELECT 1 AS b) SELECT b FROM a",
            "DESCRIBE events",
            "SUMMARIZE events",
            "SHOW TABLES",
            "VALUES (1)",
            "PIVOT events ON event_name IN ('A') USING count(*)",
            "SELECT now() - INTERVAL 1 DAY, event_time AT TIME ZONE 'America/New_York' FROM events",
            "SELECT list_transform([1, 2], lambda x: x + 1)",
        ] {
            let rows = storage.execute_rows(query, &[]).unwrap_or_else(|error| panic!("{query}: {error}"));
            assert!(!rows.rows.is_empty(), "{query}");
        }
        assert_eq!(
            storage.execute_rows("SELECT $1 + 1", &[Value::Integer(1)]).unwrap().rows[0][0].as_i64(),
            Some(2)
        );
        // The library's own questions too.
        assert_eq!(storage.list_tables().unwrap().len(), 1);
        assert_eq!(storage.get_schema("events").unwrap().columns.len(), 5);
        assert!(storage.get_metadata("events").is_ok());
    });
}

#[test]
fn sql_in_a_sealed_database_reads_no_file_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret.txt");
    fs::write(&secret, CANARY).unwrap();
    let (file, out) = (secret.display().to_string(), folder.path().join("out").display().to_string());
    let attacks = [
        format!("SELECT content FROM read_text('{file}')"),
        format!("SELECT * FROM read_blob('{file}')"),
        format!("SELECT * FROM read_csv('{file}', header = false)"),
        format!("FROM '{file}'"),
        format!("SELECT * FROM glob('{}/*')", folder.path().display()),
        format!("SELECT * FROM query('SELECT content FROM read_text(''{file}'')')"),
        format!(
            "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('FROM read_text(''{file}'')'))"
        ),
        format!("WITH a AS (SELECT content FROM read_text('{file}')) SELECT * FROM a"),
        format!("SELECT (SELECT content FROM read_text('{file}'))"),
        "FROM read_text('https://example.com/')".into(),
        "FROM 's3://bucket/a.parquet'".into(),
        format!("COPY (SELECT 1) TO '{out}'"),
        format!("COPY events TO '{out}' (FORMAT parquet)"),
        format!("EXPORT DATABASE '{out}'"),
        format!("ATTACH '{out}'"),
        "ATTACH ':memory:' AS other".into(),
        "INSTALL httpfs".into(),
        "LOAD httpfs".into(),
        format!("LOAD '{out}'"),
        "SET enable_external_access = true".into(),
        "SET lock_configuration = false".into(),
        "RESET disabled_filesystems".into(),
        "SET threads = 1".into(),
        "SET VARIABLE a = 1".into(),
        "PRAGMA enable_profiling".into(),
        "CALL pragma_version()".into(),
        "SELECT * FROM enable_logging()".into(),
        format!("SELECT * FROM enable_logging(storage := 'file', storage_config := {{'path': '{out}'}})"),
        "CREATE TEMP TABLE a AS SELECT 1".into(),
        "CREATE TABLE a AS SELECT 1".into(),
        "CREATE MACRO count(x) AS 1".into(),
        "CREATE SECRET (TYPE s3)".into(),
        "INSERT INTO _events SELECT * FROM _events".into(),
        "DELETE FROM _events".into(),
        "DROP VIEW events".into(),
        "UPDATE _tables SET row_count = 0".into(),
        "BEGIN".into(),
        "CHECKPOINT".into(),
        "VACUUM".into(),
        "PREPARE a AS SELECT 1".into(),
        "EXECUTE a".into(),
        "EXPLAIN ANALYZE SELECT 1".into(),
        "USE memory".into(),
        "SELECT 1; SELECT 2".into(),
        format!("SELECT 1; COPY (SELECT 1) TO '{out}'"),
        ";".into(),
        String::new(),
        "-- nothing".into(),
    ];
    sealed_in_each_place(folder.path(), |storage| {
        let rows = || storage.execute_scalar("SELECT count(*) FROM events").unwrap();
        let before = rows();
        for attack in &attacks {
            for error in [
                storage.execute_rows(attack, &[]).map(drop),
                storage.execute(attack),
                storage.execute_scalar(attack).map(drop),
                storage.execute_batches(attack).map(drop),
                storage.execute_streaming(attack, &mut |_| Ok(()), &mut |_| Ok(())),
            ] {
                let error = error.expect_err(attack);
                assert!(!error.to_string().contains(CANARY), "{attack}: {error}");
                assert!(
                    !matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Closed),
                    "{attack}: {error}"
                );
            }
        }
        assert_eq!(rows(), before);
        let written =
            storage.append_events_table("events", vec![event("B", "b", "{}")], &events_metadata(), None);
        assert!(matches!(written.unwrap_err().kind(), ErrorKind::ReadOnly { .. }));
        assert!(storage.drop_table("events").is_err());
    });
    let mut names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    assert_eq!(names, ["data.duckdb", "secret.txt"]);
}

#[test]
fn the_kind_of_refusal_is_told() {
    let folder = tempfile::tempdir().unwrap();
    sealed_in_each_place(folder.path(), |storage| {
        for (sql, word) in [
            ("DELETE FROM events", "only queries"),
            ("SELECT 1; SELECT 2", "these are 2"),
            ("-- nothing", "no query"),
            ("SELECT * FROM read_text('/etc/hostname')", "LocalFileSystem"),
        ] {
            let error = storage.execute_rows(sql, &[]).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Sealed { .. }), "{sql}: {error:?}");
            assert!(error.to_string().contains(word), "{sql}: {error}");
        }
        let error = storage.execute_rows("SELEC 1", &[]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Query { class, .. } if class == "Parser"), "{error:?}");
    });
}

#[test]
fn what_is_open_for_writing_is_not_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let storage = filled(&folder.path().join("data.duckdb"));
    let error = storage.seal().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidArgument { .. }), "{error:?}");
    storage.execute("SET threads = 1; CREATE TABLE mine AS SELECT 1").unwrap();
}

#[test]
fn a_query_that_would_spill_is_out_of_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    drop(filled(&path));
    let storage = StorageEngine::open_existing(&path, true).unwrap();
    storage.execute("SET memory_limit = '60MB'; SET threads = 1").unwrap();
    storage.seal().unwrap();
    let sql =
        "SELECT md5(i::VARCHAR) AS a, i FROM range(2_000_000) t(i) ORDER BY a DESC LIMIT 5 OFFSET 1_900_000";
    let error = storage.execute_rows(sql, &[]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::OutOfMemory { spilling: false, .. }), "{error:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// A file that somebody else made may redefine what our questions are made of.
#[test]
fn our_questions_do_not_go_through_macros_and_types_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let storage = filled(&path);
    let honest = |storage: &StorageEngine| {
        let tables = storage.list_tables().unwrap();
        let schema = storage.get_schema("events").unwrap();
        (tables, schema.columns.len(), storage.table_exists("EVENTS").unwrap(), storage.created_at().unwrap())
    };
    let before = honest(&storage);
    assert_eq!(storage.shadowed_names().unwrap(), [""; 0]);
    storage
        .execute(
            "CREATE MACRO count(x) AS 7;
             CREATE MACRO lower(x) AS 'lowered';
             CREATE MACRO max(x) AS 'max';
             CREATE MACRO current_database() AS 'elsewhere';
             CREATE MACRO json_serialize_sql(x) AS '{\"error\": false, \"statements\": [1]}';
             CREATE MACRO duckdb_tables() AS TABLE SELECT 'evil' AS table_name;
             CREATE MACRO duckdb_columns() AS TABLE SELECT 'evil' AS table_name;
             CREATE MACRO mine(x) AS x;
             CREATE TYPE JSON AS INTEGER;",
        )
        .unwrap();
    drop(storage);
    let storage = StorageEngine::open_existing(&path, true).unwrap();
    assert_eq!(honest(&storage), before);
    let shadowed = storage.shadowed_names().unwrap();
    let expected = [
        "count",
        "current_database",
        "duckdb_columns",
        "duckdb_tables",
        "json",
        "json_serialize_sql",
        "lower",
        "max",
    ];
    assert_eq!(shadowed, expected);
    // A user's SQL means what the file says; it is told by name.
    assert_eq!(
        storage.execute_scalar("SELECT count(event_name) FROM events LIMIT 1").unwrap(),
        Value::Integer(7)
    );
    // The sandbox does not ask the file what a statement is.
    storage.seal().unwrap();
    let error = storage.execute("SET threads = 1").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Sealed { .. }), "{error:?}");
}
