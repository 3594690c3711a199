//! Time-zone SQL with no network and no download, the same with and without ICU,
//! whatever the machine's zone is.

use std::process::Command;

use mixpanel_data::{ErrorKind, EventRecord, StorageEngine, Value};

use crate::support::{at, event, events_metadata, in_each_mode, sequence};

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
            "SELECT localtime, localtimestamp, current_time, current_timestamp, today()",
            "SELECT era(now()), timezone_hour(now()), timezone_minute(now()), epoch(now()), last_day(now())",
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
fn results_are_the_same_in_every_build() {
    let storage = StorageEngine::memory().unwrap();
    for (sql, expected) in [
        ("current_setting('TimeZone')", "UTC"),
        ("current_setting('Calendar')", "gregorian"),
        // Ordinary, in both directions.
        ("TIMESTAMP '2024-07-01 12:00:00' AT TIME ZONE 'America/New_York'", "2024-07-01 16:00:00+00"),
        ("TIMESTAMP '2024-07-01 12:00:00' AT TIME ZONE 'america/new_york'", "2024-07-01 16:00:00+00"),
        ("TIMESTAMPTZ '2024-07-01 12:00:00+00' AT TIME ZONE 'Asia/Kolkata'", "2024-07-01 17:30:00"),
        ("timezone('Europe/Berlin', TIMESTAMP '2024-01-15 08:00:00')", "2024-01-15 07:00:00+00"),
        ("DATE '2024-07-01' AT TIME ZONE 'America/New_York'", "2024-07-01 04:00:00+00"),
        // The hour that is skipped, and the hour that comes twice.
        ("TIMESTAMP '2024-03-10 02:30:00' AT TIME ZONE 'America/New_York'", "2024-03-10 07:30:00+00"),
        ("TIMESTAMP '2024-11-03 01:30:00' AT TIME ZONE 'America/New_York'", "2024-11-03 06:30:00+00"),
        ("TIMESTAMP '1965-06-01 12:00:00' AT TIME ZONE 'America/New_York'", "1965-06-01 16:00:00+00"),
        // Texts.
        ("'2024-07-01 12:00:00 America/New_York'::TIMESTAMPTZ", "2024-07-01 16:00:00+00"),
        ("TIMESTAMPTZ '2024-03-10 02:30:00 America/New_York'", "2024-03-10 07:30:00+00"),
        ("TIMESTAMPTZ '2024-11-03 01:30:00 America/New_York'", "2024-11-03 06:30:00+00"),
        ("'2024-07-01 12:00:00.5 utc'::TIMESTAMPTZ", "2024-07-01 12:00:00.5+00"),
        ("'2024-07-01 12:00:00+02'::TIMESTAMPTZ", "2024-07-01 10:00:00+00"),
        ("'2024-07-01T12:00:00Z'::TIMESTAMPTZ", "2024-07-01 12:00:00+00"),
        ("'1970-01-01 00:00:00'::TIMESTAMPTZ", "1970-01-01 00:00:00+00"),
        ("'1969-12-31 19:00:00 America/New_York'::TIMESTAMPTZ", "1970-01-01 00:00:00+00"),
        ("'epoch'::TIMESTAMPTZ", "1970-01-01 00:00:00+00"),
        ("'2024-07-01'::TIMESTAMPTZ", "2024-07-01 00:00:00+00"),
        ("'infinity'::TIMESTAMPTZ", "infinity"),
        ("TRY_CAST('2024-07-01 12:00:00 Mars/Olympus' AS TIMESTAMPTZ)", ""),
        ("TRY_CAST('2024-07-01 America/New_York' AS TIMESTAMPTZ)", ""),
        ("TRY_CAST('nonsense' AS TIMESTAMPTZ)", ""),
        ("NULL::VARCHAR::TIMESTAMPTZ", ""),
        // Plain times and days are UTC.
        ("'2024-07-01 12:00:00'::TIMESTAMP::TIMESTAMPTZ", "2024-07-01 12:00:00+00"),
        ("DATE '2024-07-01'::TIMESTAMPTZ", "2024-07-01 00:00:00+00"),
        ("TIMESTAMP '2024-01-01 05:00' >= TIMESTAMPTZ '2024-01-01 05:00:00+00'", "true"),
        ("TIMESTAMP '2024-01-01 04:59' >= TIMESTAMPTZ '2024-01-01 05:00:00+00'", "false"),
        ("TIMESTAMPTZ '2024-01-01 00:00:00+00' = DATE '2024-01-01'", "true"),
        ("TIMESTAMPTZ '2024-03-01 12:00:00+00' - DATE '2024-03-01'", "12:00:00"),
        ("TIMESTAMPTZ '2024-03-31 00:30:00+00' + INTERVAL 1 MONTH", "2024-04-30 00:30:00+00"),
        ("INTERVAL 90 MINUTE + TIMESTAMPTZ '2024-02-28 23:00:00+00'", "2024-02-29 00:30:00+00"),
        ("TIMESTAMPTZ '2024-03-01 00:00:00+00' - INTERVAL '1 day 1 hour'", "2024-02-28 23:00:00+00"),
        ("TIMESTAMPTZ '2024-03-05 12:00:00+00' - TIMESTAMPTZ '2024-03-01 10:30:00+00'", "4 days 01:30:00"),
        ("date_trunc('week', TIMESTAMPTZ '2024-02-29 13:14:15+00')", "2024-02-26 00:00:00+00"),
        ("date_trunc('quarter', TIMESTAMPTZ '2024-02-29 13:14:15+00')", "2024-01-01 00:00:00+00"),
        ("date_trunc('century', TIMESTAMPTZ '2024-02-29 13:14:15+00')", "2000-01-01 00:00:00+00"),
        ("date_part('hour', TIMESTAMPTZ '2024-02-29 13:14:15+00')", "13"),
        ("extract(year FROM TIMESTAMPTZ '2024-02-29 13:14:15+00')", "2024"),
        ("extract(dow FROM TIMESTAMPTZ '2024-03-03 13:14:15+00')", "0"),
        ("extract(timezone_hour FROM TIMESTAMPTZ '2024-03-03 13:14:15+05')", "0"),
        ("epoch(TIMESTAMPTZ '1969-12-31 23:59:58.5+00')", "-1.5"),
        ("week(TIMESTAMPTZ '2024-12-30 00:00:00+00')", "1"),
        ("yearweek(TIMESTAMPTZ '2024-12-30 00:00:00+00')", "202501"),
        ("dayname(TIMESTAMPTZ '2024-02-29 00:00:00+00')", "Thursday"),
        ("strftime(TIMESTAMPTZ '2024-02-29 13:14:15+00', '%Y/%m/%d %H:%M %Z%z')", "2024/02/29 13:14 UTC+00"),
        ("date_diff('day', TIMESTAMPTZ '2024-02-28 23:00:00+00', TIMESTAMPTZ '2024-03-01 01:00:00+00')", "2"),
        ("'infinity'::TIMESTAMPTZ + INTERVAL 1 DAY", "infinity"),
        ("NULL::TIMESTAMPTZ + INTERVAL 1 DAY", ""),
        ("TIMESTAMP '2024-07-01 12:00:00' AT TIME ZONE NULL", ""),
        ("CAST(TIMESTAMPTZ '2024-07-01 12:00:00+00' AS DATE)", "2024-07-01"),
        ("CAST(TIMESTAMPTZ '2024-07-01 12:00:00.25+00' AS TIME)", "12:00:00.25"),
        ("CAST(TIMESTAMPTZ 'infinity' AS DATE)", "infinity"),
        ("CAST(NULL::TIMESTAMPTZ AS DATE)", ""),
        ("CAST(TIMESTAMPTZ '2024-07-01 12:00:00+00' AS TIMESTAMP)", "2024-07-01 12:00:00"),
    ] {
        assert_eq!(ask(&storage, sql), expected, "{sql}");
    }
}

/// The session is in UTC, so that every function on an instant must give what
/// DuckDB's own function on the plain time gives.
#[test]
fn functions_on_instants_are_those_on_times_in_utc() {
    let storage = StorageEngine::memory().unwrap();
    let mut next = sequence();
    // Up to the year 2116; some on the borders of seconds, days and years.
    let mut times: Vec<i64> = (0..200).map(|_| (next() % 4_600_000_000_000_000) as i64).collect();
    times.extend((0..40).map(|year| year * 31_556_952_000_000 / 86_400_000_000 * 86_400_000_000));
    times.extend(
        ["1999-12-31T23:59:59.999999Z", "2000-01-01T00:00:00Z", "2024-02-29T12:00:00Z"]
            .map(|text| at(text).as_microsecond()),
    );
    let list: Vec<String> = times.iter().map(|micros| format!("({micros})")).collect();
    storage
        .execute(&format!(
            "CREATE TABLE t AS SELECT a, a::TIMESTAMPTZ AS z, b, b::TIMESTAMPTZ AS y FROM (
                 SELECT make_timestamp(m) AS a, lead(make_timestamp(m), 1, make_timestamp(m)) OVER () AS b
                 FROM (VALUES {}) AS v(m))",
            list.join(",")
        ))
        .unwrap();
    let parts = "year month day hour minute second millisecond microsecond week quarter dow isodow doy
                 isoyear yearweek decade century millennium era timezone timezone_hour timezone_minute";
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut both = |template: &str| {
        pairs.push((
            template.replace("$a", "z").replace("$b", "y"),
            template.replace("$a", "a").replace("$b", "b"),
        ));
    };
    for part in parts.split_whitespace() {
        both(&format!("date_part('{part}', $a)"));
        both(&format!("extract({part} FROM $a)"));
        if !part.starts_with("timezone") && !["era", "dow", "doy"].contains(&part) {
            both(&format!("{part}($a)"));
        }
        if !part.starts_with("timezone") && part != "era" {
            both(&format!("date_trunc('{part}', $a)::TIMESTAMP"));
        }
        // ICU counts Mondays between two times where the plain function counts whole weeks.
        if !["era", "timezone", "timezone_hour", "timezone_minute", "yearweek"].contains(&part) {
            both(&format!("date_diff('{part}', $a, $b)"));
        }
    }
    for template in [
        // The last bit of a double is not the same in DuckDB and its extension, and is a microsecond later.
        "CASE WHEN a < '2038-01-01' THEN CAST(round(epoch($a) * 1000000) AS BIGINT) END",
        "round(julian($a), 8)",
        "last_day($a)",
        "dayname($a)",
        "monthname($a)",
        "$a::DATE",
        "$a::TIME",
        "weekday($a)",
        "dayofyear($a)",
        "epoch_ms($a)",
        "nanosecond($a)",
    ] {
        both(template);
    }
    for specifiers in [
        "%a %A %w %u %d %-d %b %h %B %m %-m %y %-y %Y",
        "%H %-H %I %-I %p %M %-M %S %-S %g %f %n",
        "%j %-j %U %W %V %G %c | %x | %X | %%",
    ] {
        both(&format!("strftime($a, '{specifiers}')"));
    }
    for shift in ["1 month", "-1 month", "17 days 5 hours", "-3 years"] {
        both(&format!("($a + INTERVAL '{shift}')::TIMESTAMP"));
        both(&format!("($a - INTERVAL '{shift}')::TIMESTAMP"));
    }
    both("$a - $b");
    for (instant, time) in pairs {
        let sql = format!(
            "SELECT string_agg(a::VARCHAR || ' ' || b::VARCHAR || ': ' || ({instant})::VARCHAR || ', not ' || ({time})::VARCHAR, '; ' ORDER BY a)
             FROM t WHERE ({instant}) IS DISTINCT FROM ({time})"
        );
        let different = storage.execute_scalar(&sql).unwrap_or_else(|error| panic!("{instant}: {error}"));
        assert_eq!(different, Value::Null, "{instant} is not {time}");
    }
}

/// What one build does not have says what to write in its place, and that gives what the other has.
#[test]
fn what_is_not_there_says_what_to_write() {
    let storage = StorageEngine::memory().unwrap();
    storage.execute("CREATE TABLE t AS SELECT TIMESTAMPTZ '2024-02-29 13:14:15.5+00' AS t, TIMESTAMPTZ '2023-12-25 14:15:16+00' AS u").unwrap();
    for (here, instead, advice) in [
        (
            "time_bucket(INTERVAL 1 DAY, t)::TIMESTAMP",
            "time_bucket(INTERVAL 1 DAY, t::TIMESTAMP)",
            "time_bucket(width, t::TIMESTAMP)",
        ),
        ("age(t, u)", "age(t::TIMESTAMP, u::TIMESTAMP)", "age(t::TIMESTAMP, u::TIMESTAMP)"),
        (
            "date_sub('month', u, t)",
            "date_sub('month', u::TIMESTAMP, t::TIMESTAMP)",
            "date_sub(part, t::TIMESTAMP",
        ),
        (
            "date_part(['year', 'month'], t)",
            "date_part(['year', 'month'], t::TIMESTAMP)",
            "date_part([…], t::TIMESTAMP)",
        ),
        ("date_part('epoch', t)", "epoch(t)", "epoch(t)"),
        ("date_part('julian', t)", "julian(t)", "julian(t)"),
        (
            "make_timestamptz(2024, 7, 1, 12, 30, 15.5, 'Asia/Tokyo')",
            "make_timestamp(2024, 7, 1, 12, 30, 15.5) AT TIME ZONE 'Asia/Tokyo'",
            "make_timestamp(…) AT TIME ZONE zone",
        ),
        (
            "range(u, t, INTERVAL 1 DAY)::TIMESTAMP[]",
            "range(u::TIMESTAMP, t::TIMESTAMP, INTERVAL 1 DAY)",
            "range(t::TIMESTAMP",
        ),
    ] {
        let instead = storage.execute_scalar(&format!("SELECT ({instead})::VARCHAR FROM t")).unwrap();
        match storage.execute_scalar(&format!("SELECT ({here})::VARCHAR FROM t")) {
            Ok(value) => assert_eq!(value, instead, "{here}"),
            Err(error) => assert!(error.to_string().contains(&format!("write {advice}")), "{here}: {error}"),
        }
    }
    for icu in ["SELECT 'a' COLLATE de < 'b'", "SELECT count(*) > 100 FROM pg_timezone_names()"] {
        match storage.execute_scalar(icu) {
            Ok(value) => assert_eq!(value, Value::Boolean(true), "{icu}"),
            Err(error) => assert!(matches!(error.kind(), ErrorKind::NoIcu), "{icu}: {error}"),
        }
    }
}

#[test]
fn an_unknown_zone_is_a_clear_error() {
    let storage = StorageEngine::memory().unwrap();
    for sql in
        ["SELECT now() AT TIME ZONE 'Mars/Olympus'", "SELECT '2024-07-01 12:00:00 Mars/Olympus'::TIMESTAMPTZ"]
    {
        let error = storage.execute_scalar(sql).unwrap_err().to_string();
        assert!(error.contains("Unknown TimeZone 'Mars/Olympus'"), "{error}");
    }
}

#[test]
fn the_sessions_zone_and_calendar_cannot_be_changed() {
    in_each_mode(|storage| {
        let zone = || storage.execute_scalar("SELECT current_setting('TimeZone')").unwrap().to_text();
        for (sql, wanted) in [
            ("SET TimeZone = 'Asia/Tokyo'", "Asia/Tokyo"),
            ("set timezone to 'America/New_York'", "America/New_York"),
            ("SET GLOBAL TimeZone = 'Asia/Tokyo'", "Asia/Tokyo"),
            ("SET TIME ZONE 'Asia/Tokyo'", "Asia/Tokyo"),
            ("PRAGMA TimeZone = 'Asia/Tokyo'", "Asia/Tokyo"),
            (
                "SELECT 1; SET /* no */ \"TimeZone\" = 'Asia/Tokyo'; CREATE TABLE never AS SELECT now()::DATE",
                "Asia/Tokyo",
            ),
        ] {
            for error in [storage.execute(sql).unwrap_err(), storage.execute_rows(sql, &[]).unwrap_err()] {
                let ErrorKind::FixedSetting { name: "TimeZone", value: "UTC", wanted: got } = error.kind()
                else {
                    panic!("{sql}: {error}");
                };
                // Without ICU, `TIME ZONE` and names are taken as they are.
                assert_eq!(got, wanted, "{sql}");
            }
            assert_eq!(zone(), "UTC", "{sql}");
        }
        assert!(storage.execute("FROM never").is_err(), "nothing of a refused text is run");
        let error = storage.execute("SET Calendar = 'japanese'").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::FixedSetting { name: "Calendar", .. }), "{error}");
        for sql in [
            "SET TimeZone = 'UTC'",
            "SET TimeZone = 'Etc/UTC'",
            "RESET TimeZone",
            "SET Calendar = 'gregorian'",
        ] {
            storage.execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
            assert!(["UTC", "Etc/UTC"].contains(&zone().as_str()), "{sql}: {}", zone());
        }
        // Words in a text are no settings.
        let sql = "SELECT 'SET TimeZone = 1', now() AT TIME ZONE 'Asia/Tokyo' -- set the zone";
        storage.execute_scalar(sql).unwrap();
    });
}

/// Runs as it is, and in processes whose machine is elsewhere.
#[test]
fn the_machines_zone_makes_no_difference() {
    const NAME: &str = "time_zones::the_machines_zone_makes_no_difference";
    const ELSEWHERE: &str = "MIXPANEL_DATA_TEST_ELSEWHERE";
    let hourly = (0..10).map(|hour| EventRecord {
        event_time: at(&format!("2024-01-01T{hour:02}:00:00Z")),
        ..event("A", &hour.to_string(), "{}")
    });
    let storage = StorageEngine::memory().unwrap();
    storage.create_events_table("events", hourly.collect::<Vec<_>>(), &events_metadata(), None).unwrap();
    for (sql, expected) in [
        ("SELECT count(*) FROM events WHERE event_time >= TIMESTAMPTZ '2024-01-01 05:00:00+00'", "5"),
        ("SELECT count(DISTINCT (event_time AT TIME ZONE 'UTC')::DATE) FROM events", "1"),
        ("SELECT max(event_time::TIMESTAMPTZ)::VARCHAR FROM events", "2024-01-01 09:00:00+00"),
        ("SELECT hour(max(event_time AT TIME ZONE 'UTC'))::VARCHAR FROM events", "9"),
        ("SELECT abs(epoch(localtimestamp::TIMESTAMPTZ) - epoch(now())) < 60", "true"),
        ("SELECT abs(epoch(now()::TIMESTAMP) - epoch(now())) < 1", "true"),
        ("SELECT abs(epoch(created_at) - epoch(now())) < 600 FROM _format", "true"),
        ("SELECT strftime(to_timestamp(0), '%Y-%m-%d %H:%M')", "1970-01-01 00:00"),
        ("SELECT current_setting('TimeZone')", "UTC"),
    ] {
        assert_eq!(ask(&storage, sql), expected, "{sql}");
    }
    if std::env::var_os(ELSEWHERE).is_some() {
        return;
    }
    for zone in ["America/New_York", "Asia/Tokyo", "Asia/Kolkata"] {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env("TZ", zone)
            .env(ELSEWHERE, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&child.stdout);
        assert!(
            child.status.success() && text.contains("1 passed"),
            "TZ={zone}: {text}{}",
            String::from_utf8_lossy(&child.stderr)
        );
    }
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
    let texts = "SELECT count(*) FROM t WHERE (ts::VARCHAR || ' ' || zone)::TIMESTAMPTZ IS DISTINCT FROM ts AT TIME ZONE zone";
    assert_eq!(storage.execute_scalar(texts).unwrap(), Value::Integer(0));
}
