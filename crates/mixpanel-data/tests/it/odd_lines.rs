//! Lines that are damaged, that come in several versions, or that are no events.

use jiff::ToSpan;
use jiff::civil::Date;
use mixpanel_data::{ErrorKind, FetchEvents, StorageEngine, Value};
use mixpanel_sim::Fault;

use crate::fetch::{count, everything, simulator};
use crate::support::workspace;

/// Lines as they should not be: counted, kept, and in nobody's way.
#[test]
fn bad_lines_are_quarantined_and_nothing_is_lost() {
    let good = |id: &str, extra: &str| {
        format!(
            "{{\"event\":\"A\",\"properties\":{{\"time\":1750000000,\"distinct_id\":\"u\",\"$insert_id\":\"{id}\"{extra}}}}}"
        )
    };
    let huge = format!(",\"text\":\"{}\"", "x".repeat(20_000_000));
    let kept: Vec<Vec<u8>> = vec![
        good("plain", "").into_bytes(),
        good("huge", &huge).into_bytes(),
        good("nul-escape", r#","t":"a\u0000b""#).into_bytes(),
        good("big", r#","n":9223372036854775808,"m":1e400"#).into_bytes(),
        good("twice", r#","a":1,"a":2"#).into_bytes(),
        good("crlf", "\r").replace("\r", "").into_bytes(),
        br#"{"event":"A","properties":{"time":1750000000123,"distinct_id":"u","$insert_id":"ms"}}"#.to_vec(),
        br#"{"event":"A","properties":{"time":1750000000,"distinct_id":null,"$insert_id":"null-user"}}"#.to_vec(),
        br#"{"event":"A","properties":{"time":1750000000,"distinct_id":12345678901234567890,"$insert_id":"numeric-user"}}"#.to_vec(),
        br#"{"event":"A","properties":{"time":1750000000,"distinct_id":"u"}}"#.to_vec(),
    ];
    let refused: Vec<(&str, Vec<u8>)> = vec![
        ("not_json", b"{\"event\":\"A\",\"properties\":{\"time\":175".to_vec()),
        ("not_json", good("nul", ",\"t\":\"a\0b\"").into_bytes()),
        ("not_utf8", b"{\"event\":\"A\xff\",\"properties\":{\"time\":1750000000}}".to_vec()),
        ("lone_surrogate", good("half", r#","t":"\ud800""#).into_bytes()),
        ("no_event", br#"{"properties":{"time":1750000000}}"#.to_vec()),
        ("no_properties", br#"{"event":"A"}"#.to_vec()),
        ("no_time", br#"{"event":"A","properties":{"distinct_id":"u"}}"#.to_vec()),
        ("bad_time", br#"{"event":"A","properties":{"time":"1750000000"}}"#.to_vec()),
        ("bad_distinct_id", br#"{"event":"A","properties":{"time":1750000000,"distinct_id":{}}}"#.to_vec()),
    ];
    let mut body = Vec::new();
    for line in kept.iter().chain(refused.iter().map(|(_, line)| line)) {
        body.extend_from_slice(line);
        body.push(b'\n');
    }
    let simulator = simulator();
    let day: Date = "2025-06-15".parse().unwrap();
    let workspace = workspace(&simulator, StorageEngine::ephemeral().unwrap());
    for _ in 0..2 {
        simulator.fault(Fault::ReplaceBody(body.clone().into()));
        // The second time through the chunk's days are replaced, the quarantine too.
        let days = FetchEvents::days(day, day.checked_add(10.days()).unwrap());
        let result = workspace.fetch_events(&FetchEvents { days_per_request: Some(11), ..days }).unwrap();
        assert_eq!(result.lines, (kept.len() + refused.len()) as u64);
        assert_eq!(result.lines, result.rows + result.duplicates + result.rejects, "conservation");
        assert_eq!(result.rejects, refused.len() as u64);
        assert_eq!(result.rows, kept.len() as u64);
    }
    let quarantine = workspace.sql_rows("SELECT line, reason, bytes FROM _quarantine ORDER BY line").unwrap();
    assert_eq!(quarantine.len(), refused.len());
    for (n, (row, (reason, line))) in quarantine.rows.iter().zip(&refused).enumerate() {
        assert_eq!(row[0], Value::Integer((kept.len() + n + 1) as i128));
        assert_eq!(row[1], Value::Text((*reason).into()), "{}", String::from_utf8_lossy(line));
        assert_eq!(row[2], Value::Blob(line.clone()));
    }
    let text = |sql: &str| workspace.sql_scalar(sql).unwrap();
    assert_eq!(
        text("SELECT length(text) FROM events_flat WHERE insert_id = 'huge'"),
        Value::Integer(20_000_000)
    );
    assert_eq!(text("SELECT t FROM events_flat WHERE insert_id = 'nul-escape'"), Value::Text("a\0b".into()));
    assert_eq!(
        text("SELECT n FROM events_flat WHERE insert_id = 'big'"),
        Value::Text("9223372036854775808".into())
    );
    assert_eq!(text("SELECT a FROM events_flat WHERE insert_id = 'twice'"), Value::Integer(1));
    assert_eq!(
        text("SELECT epoch_ms(event_time) FROM events WHERE insert_id = 'ms'"),
        Value::Integer(1_750_000_000_123)
    );
    assert_eq!(
        text("SELECT distinct_id FROM events WHERE insert_id = 'null-user'"),
        Value::Text(String::new())
    );
    let numeric = text("SELECT distinct_id FROM events WHERE insert_id = 'numeric-user'");
    assert_eq!(numeric, Value::Text("12345678901234567890".into()));
    // Every stored text is JSON that DuckDB can read.
    assert_eq!(text("SELECT count(*) FROM events WHERE NOT json_valid(properties)"), Value::Integer(0));
    assert_eq!(text("SELECT count(properties->>'$.t') FROM events"), Value::Integer(1));
}

/// Of an event's versions the one processed last stays, wherever it stands, and
/// also when a value of it fits no column that its older version made.
#[test]
fn the_version_processed_last_stays_with_all_its_values() {
    let line = |id: &str, processed: u64, n: &str| {
        format!(
            "{{\"event\":\"A\",\"properties\":{{\"time\":1750000000,\"distinct_id\":\"u\",\"$insert_id\":\"{id}\",\
             \"mp_processing_time_ms\":{processed},\"n\":{n}}}}}\n"
        )
    };
    let body = [
        line("a", 1, "1"),
        line("b", 9, "2"),
        line("c", 5, "3"),
        line("a", 2, "\"text\""),
        line("b", 3, "20"),
        line("c", 6, "30"),
        line("c", 6, "300"),
    ];
    let simulator = simulator();
    let folder = tempfile::tempdir().unwrap();
    for storage in
        [StorageEngine::open(folder.path().join("a.duckdb")).unwrap(), StorageEngine::memory().unwrap()]
    {
        let workspace = workspace(&simulator, storage);
        simulator.fault(Fault::ReplaceBody(body.concat().into()));
        let day: Date = "2025-06-15".parse().unwrap();
        let result = workspace.fetch_events(&FetchEvents::days(day, day)).unwrap();
        assert_eq!((result.lines, result.rows, result.duplicates), (7, 3, 4));
        let rows = workspace.sql_rows("SELECT insert_id, n FROM events_flat ORDER BY insert_id").unwrap();
        let text = |text: &str| Value::Text(text.into());
        let expected = [("a", "text"), ("b", "2"), ("c", "30")].map(|(id, n)| vec![text(id), text(n)]);
        assert_eq!(rows.rows, expected);
        assert_eq!(count(&workspace, "SELECT count(*) FROM _held"), 0);
        assert_eq!(count(&workspace, "SELECT count(*) FROM _properties WHERE name = 'n' AND promoted"), 1);
    }
}

/// The same when the older version came with another fetch, under other filters.
#[test]
fn a_newer_version_replaces_what_another_filter_brought() {
    let line = |processed: u64| {
        format!(
            "{{\"event\":\"A\",\"properties\":{{\"time\":1750000000,\"distinct_id\":\"u\",\"$insert_id\":\"a\",\
             \"mp_processing_time_ms\":{processed}}}}}\n"
        )
    };
    let simulator = simulator();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    let day: Date = "2025-06-15".parse().unwrap();
    let fetch = FetchEvents::days(day, day);
    let other = FetchEvents { events: vec!["A".into()], append: true, ..fetch.clone() };
    let newest = "SELECT CAST(properties->>'$.mp_processing_time_ms' AS BIGINT) FROM events";
    for (fetch, body, duplicates, kept) in [
        (&fetch, vec![line(1)], 0, 1),
        (&other, vec![line(2), line(3)], 2, 3),
        (&other, vec![line(2)], 1, 3),
        (&fetch, vec![line(4), line(3)], 2, 4),
    ] {
        simulator.fault(Fault::ReplaceBody(body.concat().into()));
        let result = workspace.fetch_events(fetch).unwrap();
        assert_eq!((result.duplicates, result.total_rows), (duplicates, 1), "{body:?}");
        assert_eq!(count(&workspace, newest), kept, "{body:?}");
    }
}

#[test]
fn a_body_without_a_single_event_is_refused() {
    let simulator = simulator();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    simulator.fault(Fault::ReplaceBody("all is well\n".into()).times(100));
    let error = workspace.fetch_events(&everything(&simulator)).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Api { .. }), "{error:?}");
    assert_eq!(workspace.tables().unwrap(), []);
}
