//! The test strategy of the plan for in-memory storage, over all three modes
//! where it makes sense.

use mixpanel_data::{ErrorKind, EventRecord, ProfileRecord, StorageEngine, StorageMode, Value, Workspace};

use crate::support::{at, event, events_metadata, in_each_mode, profiles_metadata};

#[test]
fn each_mode_creates_a_working_database() {
    in_each_mode(|storage| {
        storage.execute("CREATE TABLE test (id INTEGER); INSERT INTO test VALUES (1)").unwrap();
        assert_eq!(storage.execute_scalar("SELECT id FROM test").unwrap(), Value::Integer(1));
    });
}

#[test]
fn only_memory_has_no_path() {
    let memory = StorageEngine::memory().unwrap();
    assert_eq!((memory.path(), memory.mode()), (None, StorageMode::InMemory));
    let ephemeral = StorageEngine::ephemeral().unwrap();
    assert!(ephemeral.path().unwrap().starts_with(std::env::temp_dir()));
    assert_eq!(ephemeral.mode(), StorageMode::Ephemeral);
}

#[test]
fn databases_are_independent() {
    for make in [StorageEngine::memory, StorageEngine::ephemeral] {
        let (one, other) = (make().unwrap(), make().unwrap());
        one.execute("CREATE TABLE test (id INTEGER)").unwrap();
        let sql = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'test'";
        assert_eq!(other.execute_scalar(sql).unwrap(), Value::Integer(0));
    }
}

#[test]
fn events_tables_can_be_created() {
    in_each_mode(|storage| {
        let events = vec![event("Test", "event_1", r#"{"key": "value"}"#)];
        assert_eq!(storage.create_events_table("events", events, &events_metadata(), None).unwrap(), 1);
        assert_eq!(storage.execute_scalar("SELECT COUNT(*) FROM events").unwrap(), Value::Integer(1));
    });
}

#[test]
fn closing_is_idempotent_and_final() {
    in_each_mode(|storage| {
        storage.close();
        storage.close();
        let error = storage.execute("SELECT 1").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Closed), "{error:?}");
        let events = vec![event("Test", "1", "{}")];
        let error = storage.create_events_table("events", events, &events_metadata(), None).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Closed), "{error:?}");
    });
}

#[test]
fn an_ephemeral_folder_goes_on_close_on_drop_and_on_panic() {
    let closed = StorageEngine::ephemeral().unwrap();
    let path = closed.path().unwrap().to_path_buf();
    closed.execute("CREATE TABLE test AS SELECT range AS id FROM range(1000)").unwrap();
    assert!(path.exists());
    closed.close();
    assert!(!path.parent().unwrap().exists());

    let dropped = StorageEngine::ephemeral().unwrap();
    let path = dropped.path().unwrap().to_path_buf();
    drop(dropped);
    assert!(!path.parent().unwrap().exists());

    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let storage = StorageEngine::ephemeral().unwrap();
        sender.send(storage.path().unwrap().to_path_buf()).unwrap();
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    let path = receiver.recv().unwrap();
    assert!(thread.join().is_err());
    assert!(!path.parent().unwrap().exists());
}

#[test]
fn introspection_works() {
    in_each_mode(|storage| {
        assert_eq!(storage.list_tables().unwrap(), []);
        let events = vec![event("Test", "event_1", "{}")];
        storage.create_events_table("my_events", events, &events_metadata(), None).unwrap();
        let tables = storage.list_tables().unwrap();
        assert_eq!(tables.len(), 1);
        assert_eq!(tables[0].name, "my_events");
        assert_eq!(storage.get_schema("my_events").unwrap().table_name, "my_events");
    });
}

#[test]
fn workspace_info_says_where_the_bytes_live() {
    let memory = Workspace::memory().unwrap();
    let info = memory.info().unwrap();
    assert_eq!((info.path, info.size_mb, info.created_at), (None, 0.0, None));
    assert!(info.memory_bytes.is_some());

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let persistent = Workspace::builder().open(&path).unwrap();
    let info = persistent.info().unwrap();
    assert_eq!(info.path.as_deref(), Some(path.as_path()));
    assert!(info.size_mb > 0.0 && info.created_at.is_some() && info.memory_bytes.is_none());

    let ephemeral = Workspace::ephemeral().unwrap().info().unwrap();
    assert!(ephemeral.path.is_some() && ephemeral.size_mb > 0.0 && ephemeral.created_at.is_some());
}

#[test]
fn workspace_sql_works() {
    for workspace in [Workspace::memory().unwrap(), Workspace::ephemeral().unwrap()] {
        workspace.sql("CREATE TABLE test (id INTEGER)").unwrap();
        workspace.sql("INSERT INTO test VALUES (1)").unwrap();
        assert_eq!(workspace.sql_scalar("SELECT COUNT(*) FROM test").unwrap(), Value::Integer(1));
        let rows = workspace.sql_rows("SELECT id, id + 1 AS next FROM test").unwrap();
        assert_eq!(rows.columns, ["id", "next"]);
        assert_eq!(rows.rows, [[Value::Integer(1), Value::Integer(2)]]);
    }
}

#[test]
fn the_full_workflow() {
    in_each_mode(|storage| {
        let events: Vec<EventRecord> = (0..100)
            .map(|n| EventRecord {
                event_name: format!("Event_{n}"),
                event_time: at("2024-12-24T00:00:00Z"),
                distinct_id: format!("user_{n}"),
                insert_id: Some(format!("event_{n}")),
                properties: format!(r#"{{"index": {n}}}"#),
            })
            .collect();
        let profiles: Vec<ProfileRecord> = (0..50)
            .map(|n| ProfileRecord {
                distinct_id: format!("user_{n}"),
                properties: format!(r#"{{"name": "User {n}"}}"#),
                last_seen: Some(at("2024-12-24T00:00:00Z")),
            })
            .collect();
        storage.create_events_table("events", events, &events_metadata(), None).unwrap();
        storage.create_profiles_table("profiles", profiles, &profiles_metadata(), None).unwrap();
        let count = |table: &str| storage.execute_scalar(&format!("SELECT COUNT(*) FROM {table}")).unwrap();
        assert_eq!(count("events"), Value::Integer(100));
        assert_eq!(count("profiles"), Value::Integer(50));
        let joined = storage
            .execute_batches(
                "SELECT e.event_name, p.properties->>'$.name' as user_name
                 FROM events e JOIN profiles p ON e.distinct_id = p.distinct_id LIMIT 5",
            )
            .unwrap();
        assert_eq!(joined.num_rows(), 5);
        let by_column = "SELECT name FROM profiles_flat WHERE distinct_id = 'user_7'";
        assert_eq!(storage.execute_scalar(by_column).unwrap(), Value::Text("User 7".into()));
    });
}
