//! What storage promises, the same in all three modes.

use mixpanel_data::{
    ErrorKind, EventRecord, ProfileRecord, Rows, StorageEngine, TableKind, TableMetadata, Value,
};

use crate::support::{at, event, events_metadata, in_each_mode, profile, profiles_metadata};

fn create(storage: &StorageEngine, events: Vec<EventRecord>) -> u64 {
    storage.create_events_table("events", events, &events_metadata(), None).unwrap()
}

fn scalar(storage: &StorageEngine, sql: &str) -> Value {
    storage.execute_scalar(sql).unwrap()
}

#[test]
fn the_plans_view_has_exactly_the_plans_columns() {
    in_each_mode(|storage| {
        create(storage, vec![event("A", "1", r#"{"plan":"pro"}"#)]);
        let schema = storage.get_schema("events").unwrap();
        let columns: Vec<_> = schema.columns.iter().map(|c| (c.name.as_str(), c.sql_type.as_str())).collect();
        let expected = [
            ("event_name", "VARCHAR"),
            ("event_time", "TIMESTAMP"),
            ("distinct_id", "VARCHAR"),
            ("insert_id", "VARCHAR"),
            ("properties", "JSON"),
        ];
        assert_eq!(columns, expected);
    });
}

#[test]
fn properties_are_kept_byte_for_byte() {
    let text = "{ \"a\" :1.50,\"b\":\"\\u00e9\u{2028}\",\"a\":2,\"n\":null , \"big\":123456789012345678901234567890}";
    in_each_mode(|storage| {
        create(storage, vec![event("A", "1", text)]);
        assert_eq!(
            scalar(storage, "SELECT CAST(properties AS VARCHAR) FROM events"),
            Value::Text(text.into())
        );
        assert_eq!(scalar(storage, "SELECT properties->>'$.b' FROM events"), Value::Text("é\u{2028}".into()));
        // Of duplicate keys the first counts, in the text as in the column.
        assert_eq!(scalar(storage, "SELECT a FROM events_flat"), Value::Double(1.5));
        let big = "123456789012345678901234567890".to_owned();
        assert_eq!(scalar(storage, "SELECT big FROM events_flat"), Value::Text(big));
    });
}

#[test]
fn duplicates_within_and_across_calls_are_one_row_and_the_newest_wins() {
    in_each_mode(|storage| {
        let version =
            |id: &str, at: u64| event("A", id, &format!(r#"{{"mp_processing_time_ms":{at},"v":{at}}}"#));
        let rows = create(storage, vec![version("1", 5), version("2", 1), version("1", 9), version("1", 7)]);
        assert_eq!(rows, 2);
        assert_eq!(scalar(storage, "SELECT v FROM events_flat WHERE insert_id = '1'"), Value::Integer(9));
        let newer = vec![version("2", 3), version("1", 2), version("3", 1)];
        let gained = storage.append_events_table("events", newer, &events_metadata(), None).unwrap();
        assert_eq!(gained, 1);
        let versions = storage.execute_rows("SELECT v FROM events_flat ORDER BY insert_id", &[]).unwrap();
        assert_eq!(versions.rows, [[Value::Integer(9)], [Value::Integer(3)], [Value::Integer(1)]]);
        assert_eq!(storage.list_tables().unwrap()[0].row_count, 3);
    });
}

#[test]
fn the_key_is_mixpanels_not_the_insert_id_alone() {
    in_each_mode(|storage| {
        let mut other_user = event("A", "same", "{}");
        other_user.distinct_id = "user_2".into();
        let mut other_time = event("A", "same", "{}");
        other_time.event_time = at("2024-01-01T12:00:01Z");
        let events = vec![event("A", "same", "{}"), event("B", "same", "{}"), other_user, other_time];
        assert_eq!(create(storage, events), 4);
    });
}

#[test]
fn events_without_insert_id_get_the_same_one_each_time() {
    in_each_mode(|storage| {
        let bare = |properties: &str| EventRecord { insert_id: None, ..event("A", "", properties) };
        assert_eq!(create(storage, vec![bare(r#"{"a":1,"b":2}"#), bare(r#"{"a":1}"#)]), 2);
        let again = vec![bare(r#"{"b":2,"a":1}"#)];
        assert_eq!(storage.append_events_table("events", again, &events_metadata(), None).unwrap(), 0);
    });
}

#[test]
fn profiles_are_replaced_by_later_ones() {
    in_each_mode(|storage| {
        let first = vec![profile("a", r#"{"v":1}"#), profile("b", r#"{"v":1}"#), profile("a", r#"{"v":2}"#)];
        assert_eq!(storage.create_profiles_table("profiles", first, &profiles_metadata(), None).unwrap(), 2);
        assert_eq!(scalar(storage, "SELECT v FROM profiles_flat WHERE distinct_id = 'a'"), Value::Integer(2));
        let later = vec![profile("b", r#"{"v":9}"#), profile("c", r#"{"v":1}"#)];
        assert_eq!(storage.append_profiles_table("profiles", later, &profiles_metadata(), None).unwrap(), 1);
        assert_eq!(scalar(storage, "SELECT v FROM profiles_flat WHERE distinct_id = 'b'"), Value::Integer(9));
        let nobody = ProfileRecord { last_seen: None, ..profile("d", "{}") };
        storage.append_profiles_table("profiles", vec![nobody], &profiles_metadata(), None).unwrap();
        assert_eq!(scalar(storage, "SELECT last_seen FROM profiles WHERE distinct_id = 'd'"), Value::Null);
    });
}

#[test]
fn a_bad_record_undoes_the_whole_call() {
    in_each_mode(|storage| {
        for bad in ["not json", "[1]", r#"{"a":"\ud800"}"#, "{} x", ""] {
            let events = vec![event("A", "1", "{}"), event("A", "2", bad)];
            let error = storage.create_events_table("events", events, &events_metadata(), None).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::InvalidRecord { row: 2, .. }), "{bad}: {error:?}");
            assert!(!storage.table_exists("events").unwrap());
            assert!(!storage.table_exists("_events").unwrap());
        }
        create(storage, vec![event("A", "1", "{}")]);
        let events = vec![event("A", "2", "{}"), event("A", "3", "nope")];
        storage.append_events_table("events", events, &events_metadata(), None).unwrap_err();
        assert_eq!(scalar(storage, "SELECT count(*) FROM events"), Value::Integer(1));
    });
}

#[test]
fn an_iterator_that_panics_leaves_nothing_and_the_engine_usable() {
    let storage = StorageEngine::memory().unwrap();
    let source = (0..100_000).map(|n| {
        assert!(n < 90_000, "on purpose");
        event("A", &n.to_string(), "{}")
    });
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        storage.create_events_table("events", Rows::records(source), &events_metadata(), None)
    }));
    assert!(result.is_err());
    assert!(!storage.table_exists("events").unwrap());
    assert_eq!(create(&storage, vec![event("A", "1", "{}")]), 1);
}

#[test]
fn names_and_kinds_are_checked() {
    in_each_mode(|storage| {
        let add = |name: &str| {
            storage.create_events_table(name, vec![event("A", "1", "{}")], &events_metadata(), None)
        };
        for bad in ["", "_events", "my-events", "a b", "events_flat", "ledger", "événements"] {
            let error = add(bad).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::InvalidTableName { .. }), "{bad}: {error:?}");
        }
        add("events").unwrap();
        assert!(matches!(add("events").unwrap_err().kind(), ErrorKind::TableExists { .. }));
        assert!(matches!(add("Events").unwrap_err().kind(), ErrorKind::TableExists { .. }));
        storage.execute("CREATE TABLE mine (x INTEGER)").unwrap();
        assert!(matches!(add("mine").unwrap_err().kind(), ErrorKind::TableExists { .. }));
        let error = storage.append_events_table("none", vec![], &events_metadata(), None).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::TableNotFound { .. }), "{error:?}");
        let error = storage
            .append_profiles_table("events", vec![profile("a", "{}")], &profiles_metadata(), None)
            .unwrap_err();
        let expected = (TableKind::Events, TableKind::Profiles);
        assert!(
            matches!(error.kind(), ErrorKind::WrongTableKind { holds, wanted, .. } if (*holds, *wanted) == expected)
        );
        let error = storage.create_events_table("x", vec![], &profiles_metadata(), None).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidArgument { .. }), "{error:?}");
    });
}

#[test]
fn an_empty_table_has_no_rows_and_all_columns() {
    in_each_mode(|storage| {
        assert_eq!(create(storage, vec![]), 0);
        assert_eq!(scalar(storage, "SELECT count(*) FROM events"), Value::Integer(0));
        assert_eq!(scalar(storage, "SELECT count(*) FROM events_flat"), Value::Integer(0));
        let gained = vec![event("A", "1", r#"{"late":1}"#)];
        assert_eq!(storage.append_events_table("events", gained, &events_metadata(), None).unwrap(), 1);
        assert_eq!(scalar(storage, "SELECT late FROM events_flat"), Value::Integer(1));
    });
}

#[test]
fn metadata_is_kept_and_spans_all_calls() {
    in_each_mode(|storage| {
        let january = TableMetadata {
            from_date: Some("2024-01-01".parse().unwrap()),
            to_date: Some("2024-01-31".parse().unwrap()),
            filter_events: Some(vec!["A".into()]),
            filter_where: Some("properties[\"x\"] == 1".into()),
            ..events_metadata()
        };
        storage.create_events_table("events", vec![event("A", "1", "{}")], &january, None).unwrap();
        assert_eq!(storage.get_metadata("events").unwrap(), january);
        let march = TableMetadata {
            from_date: Some("2024-03-01".parse().unwrap()),
            to_date: Some("2024-03-31".parse().unwrap()),
            fetched_at: at("2024-04-01T00:00:00Z"),
            ..events_metadata()
        };
        storage.append_events_table("events", vec![event("A", "2", "{}")], &march, None).unwrap();
        let merged = storage.get_metadata("events").unwrap();
        assert_eq!((merged.from_date, merged.to_date), (january.from_date, march.to_date));
        assert_eq!(merged.fetched_at, march.fetched_at);
        let rows = storage.execute_rows("SELECT table_name, type, row_count FROM _metadata", &[]).unwrap();
        assert_eq!(
            rows.rows,
            [[Value::Text("events".into()), Value::Text("events".into()), Value::Integer(2)]]
        );
        let error = storage.get_metadata("nothing").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::TableNotFound { existing, .. } if existing == &["events"]));
    });
}

#[test]
fn dropping_removes_every_trace() {
    in_each_mode(|storage| {
        create(storage, vec![event("A", "1", r#"{"a":1}"#)]);
        storage.drop_table("events").unwrap();
        for name in ["events", "events_flat", "_events"] {
            assert!(!storage.table_exists(name).unwrap(), "{name}");
        }
        assert_eq!(scalar(storage, "SELECT count(*) FROM _properties"), Value::Integer(0));
        assert!(matches!(storage.drop_table("events").unwrap_err().kind(), ErrorKind::TableNotFound { .. }));
        assert_eq!(create(storage, vec![event("A", "1", r#"{"a":"now a text"}"#)]), 1);
        assert_eq!(scalar(storage, "SELECT a FROM events_flat"), Value::Text("now a text".into()));
    });
}

#[test]
fn progress_counts_rows() {
    in_each_mode(|storage| {
        let mut told = Vec::new();
        let events = (0..40_000).map(|n| event("A", &n.to_string(), "{}"));
        let rows = storage
            .create_events_table(
                "events",
                Rows::records(events),
                &events_metadata(),
                Some(&mut |n| told.push(n)),
            )
            .unwrap();
        assert_eq!(rows, 40_000);
        assert!(told.len() > 1 && told.is_sorted() && told.last() == Some(&40_000), "{told:?}");
    });
}

#[test]
fn arrow_batches_are_as_good_as_records() {
    use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMillisecondArray};
    use std::sync::Arc;
    in_each_mode(|storage| {
        let texts = |values: &[&str]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
        let times: ArrayRef =
            Arc::new(TimestampMillisecondArray::from(vec![1_704_067_200_000, 1_704_067_200_500]));
        let batch = RecordBatch::try_from_iter([
            ("properties", texts(&[r#"{"n":1}"#, r#"{"n":2}"#])),
            ("event_name", texts(&["A", "B"])),
            ("event_time", times),
            ("distinct_id", texts(&["u", "v"])),
            ("insert_id", texts(&["1", "2"])),
        ])
        .unwrap();
        let rows = Rows::batches([batch.clone(), batch.slice(0, 1)]);
        assert_eq!(storage.create_events_table("events", rows, &events_metadata(), None).unwrap(), 2);
        assert_eq!(scalar(storage, "SELECT sum(n) FROM events_flat").as_f64(), Some(3.0));
        let time = scalar(storage, "SELECT CAST(max(event_time) AS VARCHAR) FROM events");
        assert_eq!(time, Value::Text("2024-01-01 00:00:00.5".into()));
        let without = batch.project(&[0, 1, 2]).unwrap();
        let error = storage
            .create_events_table("other", Rows::batches([without]), &events_metadata(), None)
            .unwrap_err();
        assert!(error.to_string().contains("distinct_id"), "{error}");
    });
}

#[test]
fn results_come_as_arrow_rows_and_scalars() {
    in_each_mode(|storage| {
        let sql = "SELECT range AS n, 'x' || range AS t, [range, NULL] AS l, {'a': range} AS s,
                          CAST(range AS DECIMAL(9, 2)) AS d, DATE '2024-02-29' AS day, INTERVAL 1 DAY AS i,
                          18446744073709551615::UBIGINT AS u, NULL AS nothing, 'nan'::DOUBLE AS nan
                   FROM range(3) ORDER BY n";
        assert_eq!(storage.execute_batches(sql).unwrap().num_rows(), 3);
        let rows = storage.execute_rows(sql, &[]).unwrap();
        assert_eq!(rows.len(), 3);
        let json = serde_json::to_value(&rows.rows[2]).unwrap();
        let expected = serde_json::json!([
            2, "x2", [2, null], {"a": 2}, 2.0, "2024-02-29", "1 days", 18_446_744_073_709_551_615u64, null, null
        ]);
        assert_eq!(json, expected);
        let bound =
            storage.execute_rows("SELECT ? + 1, ?", &[Value::Integer(41), Value::Text("t".into())]).unwrap();
        assert_eq!(bound.rows, [[Value::Integer(42), Value::Text("t".into())]]);
        assert_eq!(scalar(storage, "SELECT 1 WHERE false"), Value::Null);
        let error = storage.execute("SELECT * FROM nowhere").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Query { class, .. } if class == "Catalog"), "{error:?}");
        let error = storage.execute("SELEKT 1").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Query { class, .. } if class == "Parser"), "{error:?}");
    });
}

#[test]
fn a_running_query_can_be_interrupted() {
    let storage = StorageEngine::memory().unwrap();
    std::thread::scope(|scope| {
        let query = scope.spawn(|| {
            storage.execute_scalar("SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b")
        });
        while !query.is_finished() {
            storage.interrupt();
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let error = query.join().unwrap().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Cancelled), "{error:?}");
    });
    assert_eq!(scalar(&storage, "SELECT 1"), Value::Integer(1));
}

#[test]
fn readers_are_not_held_up_by_a_writer() {
    let storage = StorageEngine::memory().unwrap();
    create(&storage, vec![event("A", "0", "{}")]);
    let (entered, waiting) = std::sync::mpsc::channel();
    let (release, gate) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let storage = &storage;
        let writer = scope.spawn(move || {
            let events = (1..50_001).map(move |n| {
                if n == 50_000 {
                    entered.send(()).unwrap();
                    gate.recv().unwrap();
                }
                event("A", &n.to_string(), "{}")
            });
            storage.append_events_table("events", Rows::records(events), &events_metadata(), None)
        });
        waiting.recv().unwrap();
        // In the middle of the write: the last committed state, at once.
        assert_eq!(scalar(storage, "SELECT count(*) FROM events"), Value::Integer(1));
        release.send(()).unwrap();
        assert_eq!(writer.join().unwrap().unwrap(), 50_000);
    });
    assert_eq!(scalar(&storage, "SELECT count(*) FROM events"), Value::Integer(50_001));
}

#[test]
fn a_call_from_within_a_call_is_an_error_and_does_not_wait_for_itself() {
    in_each_mode(|storage| {
        create(storage, vec![event("A", "0", "{}")]);
        let nested = |error: mixpanel_data::Error, wanted: &str| {
            assert!(matches!(error.kind(), ErrorKind::Nested { purpose } if *purpose == wanted), "{error:?}");
        };
        // An iterator that writes. Reading is something else: it sees the last committed state.
        let rows = (1..4).map(|n| {
            nested(storage.drop_table("events").unwrap_err(), "write");
            assert_eq!(scalar(storage, "SELECT count(*) FROM events"), Value::Integer(1));
            event("A", &n.to_string(), "{}")
        });
        let gained =
            storage.append_events_table("events", Rows::records(rows), &events_metadata(), None).unwrap();
        assert_eq!(gained, 3);
        // Whoever receives a query's rows and asks the next one.
        let mut batches = 0;
        storage
            .execute_streaming("SELECT * FROM events", &mut |_| Ok(()), &mut |_| {
                batches += 1;
                nested(storage.execute_scalar("SELECT 1").unwrap_err(), "query");
                Ok(())
            })
            .unwrap();
        assert!(batches > 0);
        // One that closes the engine: the rows in hand are stored, and then it is closed.
        let rows = [()].into_iter().map(|()| {
            storage.close();
            event("B", "1", "{}")
        });
        let last = storage.append_events_table("events", Rows::records(rows), &events_metadata(), None);
        assert!(matches!(last, Err(error) if matches!(error.kind(), ErrorKind::Closed)));
        assert!(
            matches!(storage.execute_scalar("SELECT 1"), Err(error) if matches!(error.kind(), ErrorKind::Closed))
        );
    });
}

#[test]
fn a_call_that_waits_for_another_one_can_be_stopped() {
    let storage = StorageEngine::memory().unwrap();
    create(&storage, vec![event("A", "0", "{}")]);
    let (entered, waiting) = std::sync::mpsc::channel();
    let (release, gate) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let storage = &storage;
        let writer = scope.spawn(move || {
            let events = [()].into_iter().map(move |()| {
                entered.send(()).unwrap();
                gate.recv().unwrap();
                event("A", "1", "{}")
            });
            storage.append_events_table("events", Rows::records(events), &events_metadata(), None)
        });
        waiting.recv().unwrap();
        let second = scope.spawn(|| storage.drop_table("events"));
        // It may not wait yet; then it is told again.
        while !second.is_finished() {
            storage.interrupt();
            std::thread::yield_now();
        }
        let stopped = second.join().unwrap();
        release.send(()).unwrap();
        let _ = writer.join().unwrap();
        // While it waits, or in the question that it asks before.
        let told = |error: &mixpanel_data::Error| {
            matches!(error.kind(), ErrorKind::Cancelled) || error.to_string().contains("nterrupt")
        };
        assert!(stopped.as_ref().is_err_and(told), "{stopped:?}");
    });
    assert!(storage.table_exists("events").unwrap());
}
