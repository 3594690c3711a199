//! SQL that somebody typed: what it may change, and how changed rows are noticed.

use jiff::civil::Date;
use mixpanel_client::time::ProjectClock;
use mixpanel_data::{DayStatus, ErrorKind, Result, StorageEngine, SyncOptions, Value, Workspace};

use crate::fetch::{count, everything, simulator};
use crate::support::{fingerprint, in_each_mode, workspace};

fn typed(storage: &StorageEngine, sql: &str) -> Result<Vec<Value>> {
    let mut first = Vec::new();
    storage.execute_protected(sql, &[], &mut |_| Ok(()), &mut |batch| {
        first.extend((0..batch.num_rows()).map(|row| mixpanel_data::value_at(batch.column(0), row)));
        Ok(())
    })?;
    Ok(first)
}

fn is_protected<T: std::fmt::Debug>(result: Result<T>) -> bool {
    matches!(result.unwrap_err().kind(), ErrorKind::Protected { .. })
}

/// All records, and what our tables and views are.
fn records(storage: &StorageEngine) -> Vec<Vec<Value>> {
    let mut all = Vec::new();
    for table in
        ["_tables", "_ledger", "_properties", "_quarantine", "_held", "_vanished_profiles", "_format"]
    {
        all.extend(storage.execute_rows(&format!("FROM {table} ORDER BY ALL"), &[]).unwrap().rows);
    }
    let names = "SELECT table_name, table_type FROM information_schema.tables ORDER BY ALL";
    all.extend(storage.execute_rows(names, &[]).unwrap().rows);
    all
}

#[test]
fn records_cannot_be_changed_by_any_statement() {
    let simulator = simulator();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    workspace.fetch_events(&everything(&simulator)).unwrap();
    let storage = workspace.storage();
    let before = records(storage);
    for sql in [
        "DELETE FROM _ledger",
        "delete from \"_LEDGER\" where row_count > 0",
        "/* hello */ UPDATE _tables SET row_count = 0",
        "WITH gone AS (SELECT 1) DELETE FROM main._ledger",
        "INSERT INTO _quarantine SELECT 'events', 'x', 1, 'x', ''::BLOB, now()::TIMESTAMP, NULL",
        "INSERT INTO _format VALUES (9, now()::TIMESTAMP, 'x') RETURNING *",
        "TRUNCATE _properties",
        "DROP TABLE _ledger",
        "ALTER TABLE _tables ADD COLUMN mine INTEGER",
        "ALTER TABLE _events RENAME TO mine",
        "DROP VIEW events_flat",
        "CREATE OR REPLACE VIEW events AS SELECT 1",
        "CREATE OR REPLACE TABLE _events AS SELECT 1",
        "MERGE INTO _ledger USING (SELECT 1) ON true WHEN MATCHED THEN DELETE",
        "EXPLAIN ANALYZE DELETE FROM _ledger",
    ] {
        assert!(is_protected(typed(storage, sql)), "{sql}");
        assert!(records(storage) == before, "{sql}");
    }
    typed(storage, "PREPARE harm AS DELETE FROM _ledger").unwrap();
    assert!(is_protected(typed(storage, "EXECUTE harm")));
    assert!(records(storage) == before);
    // A transaction of one's own goes with it.
    typed(storage, "BEGIN").unwrap();
    typed(storage, "CREATE TABLE mine AS SELECT 1 AS one").unwrap();
    let error = typed(storage, "DELETE FROM _ledger").unwrap_err();
    assert!(error.to_string().contains("rolled back"), "{error}");
    assert!(typed(storage, "FROM mine").is_err());
    assert!(records(storage) == before);
}

#[test]
fn everything_else_works_as_it_did() {
    in_each_mode(|storage| {
        let metadata = crate::support::events_metadata();
        let event = crate::support::event("A", "1", "{}");
        storage.create_events_table("events", vec![event], &metadata, None).unwrap();
        typed(storage, "CREATE TABLE mine AS SELECT * FROM range(5000) AS t(n)").unwrap();
        let returned = typed(storage, "INSERT INTO mine SELECT 7 RETURNING n").unwrap();
        assert_eq!(returned, [Value::Integer(7)]);
        // Whoever has enough of an answer has not taken the statement back.
        let mut rows = 0;
        let stopped = storage.execute_protected(
            "UPDATE mine SET n = n + 1 RETURNING n",
            &[],
            &mut |_| Ok(()),
            &mut |batch| {
                rows += batch.num_rows();
                Err(ErrorKind::Cancelled.into())
            },
        );
        assert!(matches!(stopped.unwrap_err().kind(), ErrorKind::Cancelled));
        assert!(rows > 0);
        assert_eq!(typed(storage, "SELECT min(n) FROM mine").unwrap(), [Value::Integer(1)]);
        for sql in [
            "SET threads = 2",
            "PRAGMA enable_object_cache",
            "CHECKPOINT",
            "VACUUM",
            "CREATE VIEW seen AS SELECT * FROM events",
            "DROP VIEW seen",
            "ATTACH ':memory:' AS other",
            "CREATE TABLE other.t AS SELECT 1 AS n",
            "USE other",
            "DELETE FROM t",
            "USE memory",
            "DETACH other",
        ] {
            let sql = if sql == "USE memory" {
                let main = storage.execute_scalar(
                    "SELECT database_name FROM duckdb_databases() WHERE NOT internal ORDER BY database_oid LIMIT 1",
                );
                format!("USE \"{}\"", main.unwrap().to_text())
            } else {
                sql.to_owned()
            };
            typed(storage, &sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        typed(storage, "BEGIN TRANSACTION").unwrap();
        typed(storage, "DELETE FROM mine").unwrap();
        typed(storage, "ROLLBACK").unwrap();
        assert_eq!(typed(storage, "SELECT count(*) FROM mine").unwrap(), [Value::Integer(5001)]);
        typed(storage, "BEGIN").unwrap();
        typed(storage, "DELETE FROM mine").unwrap();
        assert!(typed(storage, "SELECT nothing FROM mine").is_err());
        // The transaction has failed: it can only be ended.
        assert!(typed(storage, "DELETE FROM mine").is_err());
        typed(storage, "ROLLBACK").unwrap();
        assert_eq!(typed(storage, "SELECT count(*) FROM mine").unwrap(), [Value::Integer(5001)]);
    });
}

fn status(workspace: &Workspace, day: Date) -> (DayStatus, u64) {
    let coverage = workspace.coverage(&ProjectClock::default(), &SyncOptions::default()).unwrap();
    let day = coverage.days.iter().find(|known| known.day == day).unwrap();
    (day.status, day.rows)
}

#[test]
fn rows_that_have_gone_are_noticed_and_come_back() {
    let simulator = simulator();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    let fetch = everything(&simulator);
    workspace.fetch_events(&fetch).unwrap();
    let whole = fingerprint(workspace.storage(), "events");
    let day = fetch.from.tomorrow().unwrap();
    assert_eq!(workspace.storage().changed_rows().unwrap(), []);
    let gone =
        count(&workspace, &format!("SELECT count(*) FROM events WHERE CAST(event_time AS DATE) = '{day}'"));
    assert!(gone > 0);
    typed(workspace.storage(), &format!("DELETE FROM _events WHERE CAST(event_time AS DATE) = '{day}'"))
        .unwrap();

    assert_eq!(workspace.tables().unwrap()[0].row_count, Some(whole.0 as u64 - gone));
    assert_eq!(workspace.storage().changed_rows().unwrap(), [("events".to_owned(), -(gone as i64))]);
    assert_eq!(status(&workspace, day).0, DayStatus::Changed);
    let options = SyncOptions { to: Some(fetch.to), ..SyncOptions::default() };
    assert_eq!(workspace.plan(&ProjectClock::default(), &options).unwrap().days(), 1);
    workspace.sync(&options).unwrap();
    assert_eq!(fingerprint(workspace.storage(), "events"), whole);
    assert_eq!(workspace.storage().changed_rows().unwrap(), []);

    // Rows of one's own are told, and not taken away.
    typed(
        workspace.storage(),
        "INSERT INTO _events (event_name, event_time, distinct_id, insert_id, properties)
         SELECT 'Mine', event_time, 'me', 'mine', '{}' FROM _events LIMIT 1",
    )
    .unwrap();
    assert_eq!(workspace.storage().changed_rows().unwrap(), [("events".to_owned(), 1)]);
    assert_eq!(workspace.plan(&ProjectClock::default(), &options).unwrap().days(), 0);
}
