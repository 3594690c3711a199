//! Values at the ends of their types, as rows of plain values.

use mixpanel_data::{StorageEngine, Value};

#[test]
fn infinities_and_distant_days_are_what_duckdb_says() {
    let storage = StorageEngine::memory().unwrap();
    for value in [
        "'infinity'::DATE",
        "'-infinity'::DATE",
        "'infinity'::TIMESTAMP",
        "'-infinity'::TIMESTAMP",
        "'infinity'::TIMESTAMP_S",
        "'-infinity'::TIMESTAMP_S",
        "'infinity'::TIMESTAMP_MS",
        "'infinity'::TIMESTAMP_NS",
        "'-infinity'::TIMESTAMP_NS",
        "'infinity'::TIMESTAMPTZ",
        "DATE '9999-12-31'",
        "DATE '10000-01-01'",
        "DATE '12345-02-28'",
        "DATE '12344-02-29'",
        "DATE '290000-12-31'",
        "TIMESTAMP '9999-12-31 23:59:59'",
        "TIMESTAMP '12345-02-03 04:05:06'",
        "TIMESTAMPTZ '9999-12-31 12:00:00+00'",
        "DATE '20000-03-01 (BC)'",
    ] {
        let rows = storage.execute_rows(&format!("SELECT {value}, ({value})::VARCHAR"), &[]).unwrap();
        assert_eq!(rows.rows[0][0].to_text(), rows.rows[0][1].to_text(), "{value}");
    }
    let last = storage.execute_scalar("SELECT TIMESTAMP '9999-12-31 23:59:59'").unwrap();
    assert!(matches!(last, Value::DateTime(_)), "{last:?}");
}
