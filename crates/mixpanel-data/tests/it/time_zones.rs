//! Time-zone SQL with no network, no download and no ICU.

use mixpanel_data::{StorageEngine, Value};

use crate::support::{event, events_metadata, in_each_mode};

fn ask(storage: &StorageEngine, sql: &str) -> String {
    storage
        .execute_scalar(&format!("SELECT CAST(({sql}) AS VARCHAR)"))
        .unwrap_or_else(|e| panic!("{sql}: {e}"))
        .to_text()
}

#[test]
fn the_expressions_that_people_write_work() {
    in_each_mode(|storage| {
        storage.create_events_table("events", vec![event("A", "1", "{}")], &events_metadata(), None).unwrap();
        for sql in [
            "SELECT count(*) FROM events WHERE event_time > now() - INTERVAL 7 DAY",
            "SELECT count(*) FROM events WHERE event_time < current_date",
            "SELECT now()::DATE = current_date AND now()::TIME IS NOT NULL",
            "SELECT count(*) FROM events WHERE event_time >= now() - INTERVAL '1 month'",
            "SELECT count(*) FROM events WHERE event_time BETWEEN current_date - 7 AND current_date",
        ] {
            storage.execute_scalar(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
        let local = "event_time AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York'";
        assert_eq!(ask(storage, &format!("SELECT {local} FROM events")), "2024-01-01 07:00:00");
        assert_eq!(
            ask(storage, "SELECT date_trunc('day', event_time AT TIME ZONE 'UTC') FROM events"),
            "2024-01-01 00:00:00+00"
        );
        let types = storage.execute_rows(&format!("SELECT typeof({local}), typeof(now() - INTERVAL 1 DAY), typeof(date_trunc('day', now())), typeof(current_date) FROM events"), &[]).unwrap();
        let names: Vec<String> = types.rows[0].iter().map(Value::to_text).collect();
        assert_eq!(names, ["TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE", "DATE"]);
    });
}

/// Expected values are those of DuckDB 2.0 with its ICU extension and
/// `SET TimeZone = 'UTC'`.
#[test]
fn results_are_those_of_icu() {
    let storage = StorageEngine::memory().unwrap();
    for (sql, expected) in [
        // Ordinary, in both directions.
        ("TIMESTAMP '2024-07-01 12:00:00' AT TIME ZONE 'America/New_York'", "2024-07-01 16:00:00+00"),
        ("TIMESTAMPTZ '2024-07-01 12:00:00+00' AT TIME ZONE 'Asia/Kolkata'", "2024-07-01 17:30:00"),
        ("timezone('Europe/Berlin', TIMESTAMP '2024-01-15 08:00:00')", "2024-01-15 07:00:00+00"),
        // The hour that is skipped, and the hour that comes twice.
        ("TIMESTAMP '2024-03-10 02:30:00' AT TIME ZONE 'America/New_York'", "2024-03-10 07:30:00+00"),
        ("TIMESTAMP '2024-11-03 01:30:00' AT TIME ZONE 'America/New_York'", "2024-11-03 06:30:00+00"),
        ("TIMESTAMP '1965-06-01 12:00:00' AT TIME ZONE 'America/New_York'", "1965-06-01 16:00:00+00"),
        ("TIMESTAMPTZ '2024-03-31 00:30:00+00' + INTERVAL 1 MONTH", "2024-04-30 00:30:00+00"),
        ("INTERVAL 90 MINUTE + TIMESTAMPTZ '2024-02-28 23:00:00+00'", "2024-02-29 00:30:00+00"),
        ("TIMESTAMPTZ '2024-03-01 00:00:00+00' - INTERVAL '1 day 1 hour'", "2024-02-28 23:00:00+00"),
        ("TIMESTAMPTZ '2024-03-05 12:00:00+00' - TIMESTAMPTZ '2024-03-01 10:30:00+00'", "4 days 01:30:00"),
        ("date_trunc('week', TIMESTAMPTZ '2024-02-29 13:14:15+00')", "2024-02-26 00:00:00+00"),
        ("date_trunc('month', TIMESTAMPTZ '2024-02-29 13:14:15+00')", "2024-02-01 00:00:00+00"),
        ("date_trunc('quarter', TIMESTAMPTZ '2024-02-29 13:14:15+00')", "2024-01-01 00:00:00+00"),
        ("date_trunc('hour', TIMESTAMPTZ '2024-02-29 13:14:15+00')", "2024-02-29 13:00:00+00"),
        ("date_trunc('century', TIMESTAMPTZ '2024-02-29 13:14:15+00')", "2000-01-01 00:00:00+00"),
        ("date_part('hour', TIMESTAMPTZ '2024-02-29 13:14:15+00')", "13"),
        ("extract(year FROM TIMESTAMPTZ '2024-02-29 13:14:15+00')", "2024"),
        ("extract(dow FROM TIMESTAMPTZ '2024-03-03 13:14:15+00')", "0"),
        ("week(TIMESTAMPTZ '2024-12-30 00:00:00+00')", "1"),
        ("yearweek(TIMESTAMPTZ '2024-12-30 00:00:00+00')", "202501"),
        ("dayname(TIMESTAMPTZ '2024-02-29 00:00:00+00')", "Thursday"),
        ("monthname(TIMESTAMPTZ '2024-02-29 00:00:00+00')", "February"),
        ("strftime(TIMESTAMPTZ '2024-02-29 13:14:15+00', '%Y/%m/%d %H:%M')", "2024/02/29 13:14"),
        ("date_diff('day', TIMESTAMPTZ '2024-02-28 23:00:00+00', TIMESTAMPTZ '2024-03-01 01:00:00+00')", "2"),
        (
            "date_diff('month', TIMESTAMPTZ '2023-11-30 00:00:00+00', TIMESTAMPTZ '2024-03-01 00:00:00+00')",
            "4",
        ),
        ("'infinity'::TIMESTAMPTZ + INTERVAL 1 DAY", "infinity"),
        ("NULL::TIMESTAMPTZ + INTERVAL 1 DAY", ""),
        ("TIMESTAMP '2024-07-01 12:00:00' AT TIME ZONE NULL", ""),
        ("TIMESTAMPTZ '2024-07-01 12:00:00+02'", "2024-07-01 10:00:00+00"),
        ("CAST(TIMESTAMPTZ '2024-07-01 12:00:00+00' AS DATE)", "2024-07-01"),
        ("CAST(TIMESTAMPTZ 'infinity' AS DATE)", "infinity"),
        ("CAST(NULL::TIMESTAMPTZ AS DATE)", ""),
        ("CAST(TIMESTAMPTZ '2024-07-01 12:00:00+00' AS TIMESTAMP)", "2024-07-01 12:00:00"),
    ] {
        assert_eq!(ask(&storage, sql), expected, "{sql}");
    }
}

#[test]
fn an_unknown_zone_is_a_clear_error() {
    let storage = StorageEngine::memory().unwrap();
    let error = storage.execute_scalar("SELECT now() AT TIME ZONE 'Mars/Olympus'").unwrap_err().to_string();
    assert!(error.contains("unknown time zone 'Mars/Olympus'"), "{error}");
}

#[test]
fn whole_columns_work_not_only_constants() {
    let storage = StorageEngine::memory().unwrap();
    storage
        .execute(
            "CREATE TABLE t AS SELECT CASE WHEN range % 7 = 0 THEN NULL
                 ELSE TIMESTAMP '2024-01-01' + range * INTERVAL 1 HOUR END AS ts,
                 CASE WHEN range % 2 = 0 THEN 'UTC' ELSE 'Asia/Tokyo' END AS zone FROM range(10000)",
        )
        .unwrap();
    let sql = "SELECT count(*) FROM t WHERE ts IS NOT NULL AND
               (ts AT TIME ZONE 'UTC') - (ts AT TIME ZONE zone) IS DISTINCT FROM
               CASE zone WHEN 'UTC' THEN INTERVAL 0 HOUR ELSE INTERVAL 9 HOUR END";
    assert_eq!(storage.execute_scalar(sql).unwrap(), Value::Integer(0));
    let nulls = "SELECT count(*) FROM t WHERE ((ts AT TIME ZONE 'UTC') + INTERVAL 1 DAY) IS NULL";
    assert_eq!(storage.execute_scalar(nulls).unwrap(), Value::Integer(1429));
}
