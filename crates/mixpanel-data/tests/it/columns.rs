//! The typed view: every property under its own name, always right, whether it
//! has a column or is computed from the text.

use mixpanel_data::{EventRecord, Rows, StorageEngine, Value};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{event, events_metadata, in_each_mode};

fn create(storage: &StorageEngine, texts: &[&str]) {
    storage.create_events_table("events", numbered(0, texts), &events_metadata(), None).unwrap();
}

fn append(storage: &StorageEngine, first: usize, texts: &[&str]) {
    storage.append_events_table("events", numbered(first, texts), &events_metadata(), None).unwrap();
}

fn numbered(first: usize, texts: &[&str]) -> Vec<EventRecord> {
    let number = |(n, text): (usize, &&str)| event("A", &format!("{:06}", first + n), text);
    texts.iter().enumerate().map(number).collect()
}

fn column(storage: &StorageEngine, name: &str) -> Vec<Value> {
    let sql = format!("SELECT \"{}\" FROM events_flat ORDER BY insert_id", name.replace('"', "\"\""));
    storage.execute_rows(&sql, &[]).unwrap().rows.into_iter().map(|mut row| row.remove(0)).collect()
}

fn type_of(storage: &StorageEngine, table: &str, name: &str) -> Option<String> {
    let schema = storage.get_schema(table).unwrap();
    schema.columns.into_iter().find(|column| column.name == name).map(|column| column.sql_type)
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

#[test]
fn each_kind_has_its_type() {
    in_each_mode(|storage| {
        let values = r#"{"i":1,"f":1.5,"b":true,"s":"x","o":{"a":[1]},"l":[1,"x"],"n":null}"#;
        create(storage, &[values, r#"{"i":-5,"f":2}"#]);
        let expected = [
            ("i", "BIGINT"),
            ("f", "DOUBLE"),
            ("b", "BOOLEAN"),
            ("s", "VARCHAR"),
            ("o", "JSON"),
            ("l", "JSON"),
        ];
        for (name, sql_type) in expected {
            assert_eq!(type_of(storage, "events_flat", name).as_deref(), Some(sql_type), "{name}");
        }
        assert_eq!(type_of(storage, "events_flat", "n"), None, "only nulls so far");
        assert_eq!(column(storage, "f"), [Value::Double(1.5), Value::Double(2.0)]);
        assert_eq!(column(storage, "l")[0], text(r#"[1,"x"]"#));
        assert_eq!(column(storage, "i"), [Value::Integer(1), Value::Integer(-5)]);
    });
}

#[test]
fn a_value_that_does_not_fit_widens_the_column_and_loses_nothing() {
    in_each_mode(|storage| {
        create(storage, &[r#"{"v":1}"#, r#"{"v":2}"#, "{}"]);
        assert_eq!(type_of(storage, "_events", "v").as_deref(), Some("BIGINT"));
        append(storage, 10, &[r#"{"v":2.50}"#]);
        assert_eq!(type_of(storage, "_events", "v").as_deref(), Some("DOUBLE"));
        assert_eq!(
            column(storage, "v"),
            [Value::Double(1.0), Value::Double(2.0), Value::Null, Value::Double(2.5)]
        );
        append(storage, 20, &[r#"{"v":"12 EUR"}"#, r#"{"v":{"a": 1}}"#, r#"{"v":null}"#]);
        assert_eq!(type_of(storage, "_events", "v").as_deref(), Some("VARCHAR"));
        let exact = ["1", "2", "", "2.50", "12 EUR", r#"{"a": 1}"#, ""]
            .map(|t| if t.is_empty() { Value::Null } else { text(t) });
        assert_eq!(column(storage, "v"), exact);
        assert!(
            storage.execute_scalar("SELECT bool_and(promoted) FROM _properties").unwrap()
                == Value::Boolean(true)
        );
    });
}

#[test]
fn integers_beyond_64_bits_stay_exact() {
    in_each_mode(|storage| {
        create(storage, &[r#"{"id":9223372036854775807}"#]);
        append(storage, 1, &[r#"{"id":9223372036854775808}"#, r#"{"id":-1e400}"#]);
        assert_eq!(column(storage, "id"), ["9223372036854775807", "9223372036854775808", "-1e400"].map(text));
    });
}

#[test]
fn awkward_names_are_columns_too() {
    let names = [
        "$browser",
        "with space",
        "dot.ted",
        "qu\"ote",
        "sl/ash",
        "til~de",
        "日本語",
        "Plan",
        "plan",
        "event_name",
        "🙂",
        "properties",
        "rowid",
        "select",
        "it's",
    ];
    let object =
        serde_json::Map::from_iter(names.iter().map(|name| ((*name).to_owned(), format!("<{name}>").into())));
    let line = serde_json::to_string(&object).unwrap();
    in_each_mode(|storage| {
        create(storage, &[&line]);
        // Once as columns, once computed from the text.
        for promoted in [true, false] {
            if !promoted {
                demote_everything(storage);
            }
            let columns =
                storage.execute_rows("SELECT name, column_name FROM _properties", &[]).unwrap().rows;
            assert_eq!(columns.len(), names.len());
            for row in columns {
                let (name, column_name) = (row[0].to_text(), row[1].to_text());
                assert_eq!(column(storage, &column_name), [text(&format!("<{name}>"))], "{name} {promoted}");
            }
        }
        assert_eq!(
            type_of(storage, "events_flat", "plan_2")
                .or(type_of(storage, "events_flat", "Plan_2"))
                .as_deref(),
            Some("VARCHAR")
        );
    });
}

/// Appends so many properties that no column is left, after taking all columns
/// away: what was a column is computed from then on.
fn demote_everything(storage: &StorageEngine) {
    storage.execute("UPDATE _properties SET promoted = false").unwrap();
    let names: Vec<String> = (0..100).map(|n| format!("\"filler_{n}\":1")).collect();
    let filler = format!("{{{}}}", names.join(","));
    let mut filled = event("filler", "f", &filler);
    filled.distinct_id = "filler".into();
    storage.append_events_table("events", vec![filled], &events_metadata(), None).unwrap();
    storage.execute("DELETE FROM _events WHERE event_name = 'filler'").unwrap();
    storage.execute("DELETE FROM _properties WHERE name LIKE 'filler%'").unwrap();
}

#[test]
fn names_stay_across_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let storage = StorageEngine::open(&path).unwrap();
    create(&storage, &[r#"{"Plan":"upper"}"#]);
    drop(storage);
    let storage = StorageEngine::open(&path).unwrap();
    append(&storage, 1, &[r#"{"plan":"lower","Plan":"upper"}"#]);
    drop(storage);
    let storage = StorageEngine::open_existing(&path, true).unwrap();
    assert_eq!(column(&storage, "Plan"), [text("upper"), text("upper")]);
    assert_eq!(column(&storage, "plan_2"), [Value::Null, text("lower")]);
}

#[test]
fn at_most_a_hundred_columns_and_the_rest_is_computed() {
    in_each_mode(|storage| {
        let often: Vec<String> = (0..100).map(|n| format!("\"often_{n}\":{n}")).collect();
        let rare: Vec<String> = (0..40).map(|n| format!("\"rare_{n}\":{n}.5")).collect();
        let all = format!("{{{},{}}}", rare.join(","), often.join(","));
        let some = format!("{{{}}}", often.join(","));
        create(storage, &[&all, &some, &some]);
        assert_eq!(storage.get_schema("_events").unwrap().columns.len(), 5 + 100);
        assert_eq!(type_of(storage, "_events", "rare_0"), None);
        assert_eq!(type_of(storage, "events_flat", "rare_0").as_deref(), Some("DOUBLE"));
        assert_eq!(column(storage, "rare_7"), [Value::Double(7.5), Value::Null, Value::Null]);
        assert_eq!(column(storage, "often_7"), vec![Value::Integer(7); 3]);
        // Most frequent first.
        let flat = storage.get_schema("events_flat").unwrap().columns;
        assert!(flat[4].name.starts_with("often") && flat.last().unwrap().name.starts_with("rare"));
    });
}

#[test]
fn a_property_that_first_comes_late_in_a_large_call_is_still_right() {
    let storage = StorageEngine::memory().unwrap();
    let events = (0..70_000).map(|n| {
        let text = match n {
            69_000 => r#"{"n":"a word","late":1}"#.to_owned(),
            69_001 => r#"{"n":1.25,"late":"two"}"#.to_owned(),
            _ => format!("{{\"n\":{n}}}"),
        };
        event("A", &format!("{n:06}"), &text)
    });
    storage.create_events_table("events", Rows::records(events), &events_metadata(), None).unwrap();
    let values = column(&storage, "n");
    assert_eq!(values.len(), 70_000);
    assert_eq!(
        [&values[0], &values[68_999], &values[69_000], &values[69_001]],
        [&text("0"), &text("68999"), &text("a word"), &text("1.25")]
    );
    let late: Vec<Value> = column(&storage, "late").into_iter().filter(|value| !value.is_null()).collect();
    assert_eq!(late, [text("1"), text("two")]);
    assert_eq!(type_of(&storage, "_events", "n").as_deref(), Some("VARCHAR"));
}

#[test]
fn the_catalog_counts_what_was_seen() {
    in_each_mode(|storage| {
        create(storage, &[r#"{"p":1}"#, r#"{"p":"x"}"#, r#"{"p":null}"#, "{}"]);
        let counts = storage
            .execute_rows("SELECT kind, row_count, nulls, integers, strings, promoted FROM _properties WHERE name = 'p'", &[])
            .unwrap();
        let one = Value::Integer(1);
        let expected =
            [text("mixed"), Value::Integer(2), one.clone(), one.clone(), one, Value::Boolean(true)];
        assert_eq!(counts.rows, [expected]);
    });
}

/// As many properties as there may be columns, so that no other gets one.
fn all_columns() -> String {
    let names: Vec<String> = (0..100).map(|n| format!("\"filler_{n}\":1")).collect();
    format!("{{{}}}", names.join(","))
}

/// What a value's text says, with or without a column of its own.
#[test]
fn a_computed_property_is_the_same_as_a_column() {
    let texts = [
        r#"{"p":1.10,"q":{"a" : 1.10},"r":1,"s":"x"}"#,
        r#"{"p":12345678901234567890.50,"q":["caf\u00e9", 1E5 , -0.0],"r":2.50}"#,
        r#"{"n":{"p":1.1,"q":1},"p":1.100,"q":[]}"#,
        r#"{ "x" : [ {"p":3} , "}]" ] , "p" : "caf\u00e9 \"p\":1.1," , "q" : {"q":[1 , {"b":"]"}]} }"#,
        r#"{"\u0070":1.20,"p":9,"q":{},"z":"\"q\":{\"a\":1}"}"#,
        r#"{"p":true,"q":{"é":"\n"}}"#,
        r#"{"p":null,"q":null}"#,
        r#"{"p":1e400,"q":[[[[[1.0]]]]]}"#,
        "{}",
        r#"{"p":"","q":[null]}"#,
    ];
    let mut seen: Vec<Vec<Vec<Value>>> = Vec::new();
    for promoted in [true, false] {
        let storage = StorageEngine::memory().unwrap();
        create(&storage, &[]);
        if !promoted {
            append(&storage, 900, &[&all_columns(), &all_columns()]);
        }
        append(&storage, 0, &texts);
        storage.execute("DELETE FROM _events WHERE insert_id >= '000900'").unwrap();
        let sql = "SELECT bool_and(promoted), bool_or(promoted) FROM _properties WHERE name IN ('p', 'q', 'r', 's')";
        assert_eq!(storage.execute_rows(sql, &[]).unwrap().rows, [vec![Value::Boolean(promoted); 2]]);
        for (name, sql_type) in [("p", "VARCHAR"), ("q", "JSON"), ("r", "DOUBLE"), ("s", "VARCHAR")] {
            assert_eq!(
                type_of(&storage, "events_flat", name).as_deref(),
                Some(sql_type),
                "{name} {promoted}"
            );
        }
        seen.push(["p", "q", "r", "s"].iter().map(|name| column(&storage, name)).collect());
    }
    assert_eq!(seen[0], seen[1]);
    let p = ["1.10", "12345678901234567890.50", "1.100", "caf\u{e9} \"p\":1.1,", "1.20", "true"].map(text);
    assert_eq!(seen[1][0][..6], p);
    assert_eq!(seen[1][0][6..], [Value::Null, text("1e400"), Value::Null, text("")]);
    let q = [r#"{"a" : 1.10}"#, r#"["caf\u00e9", 1E5 , -0.0]"#, "[]", r#"{"q":[1 , {"b":"]"}]}"#].map(text);
    assert_eq!(seen[1][1][..4], q);
}

/// A JSON value of any type, as somebody may write it.
fn any_value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        (-1000i64..1000).prop_map(|n| format!("{n}.50")),
        any::<bool>().prop_map(|b| b.to_string()),
        "[a-zé🙂\"\\\\{}\\[\\],: ]{0,8}".prop_map(|t| serde_json::to_string(&t).unwrap()),
        Just("123456789012345678901234567890".to_owned()),
        Just("12345678901234567890.50".to_owned()),
        Just("1E400".to_owned()),
        Just(r#""\u00e9\/""#.to_owned()),
    ];
    leaf.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(" , "))),
            (inner.clone(), inner).prop_map(|(a, b)| format!("{{\"p\" : {a},\"k\":{b}}}")),
        ]
    })
}

/// Any property values, in any split into calls, with a column or without: the
/// typed view says what the text says.
#[test]
fn the_typed_view_agrees_with_the_text() {
    let value = any_value();
    let call = prop::collection::vec(prop::option::of(value), 1..6);
    let calls = prop::collection::vec(call, 1..5);
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    runner
        .run(&(calls, any::<bool>()), |(calls, promoted)| {
            let storage = StorageEngine::memory().unwrap();
            create(&storage, &[]);
            if !promoted {
                append(&storage, 900_000, &[&all_columns(), &all_columns()]);
                storage.execute("DELETE FROM _events").unwrap();
            }
            let mut expected = Vec::new();
            for call in &calls {
                let texts: Vec<String> = call
                    .iter()
                    .map(|value| {
                        value
                            .as_ref()
                            .map_or("{}".into(), |value| format!("{{\"before\":[{value}],\"p\": {value} }}"))
                    })
                    .collect();
                append(&storage, expected.len(), &texts.iter().map(String::as_str).collect::<Vec<_>>());
                expected.extend(call.iter().cloned());
            }
            if expected.iter().flatten().all(|value| value == "null") {
                return Ok(());
            }
            let of_p = |what: &str| {
                storage.execute_scalar(&format!("SELECT {what} FROM _properties WHERE name = 'p'")).unwrap()
            };
            prop_assert_eq!(of_p("promoted"), Value::Boolean(promoted));
            let kind = of_p("kind").to_text();
            for (stored, sent) in column(&storage, "p").iter().zip(&expected) {
                let sent = sent.as_deref().filter(|sent| *sent != "null");
                let right = match (stored, sent) {
                    (Value::Null, None) => true,
                    (Value::Integer(n), Some(sent)) => kind == "bigint" && n.to_string() == sent,
                    (Value::Double(x), Some(sent)) => kind == "double" && sent.parse::<f64>().unwrap() == *x,
                    (Value::Boolean(b), Some(sent)) => b.to_string() == sent,
                    (Value::Text(t), Some(sent)) => {
                        *t == sent || serde_json::from_str::<String>(sent).is_ok_and(|decoded| decoded == *t)
                    }
                    _ => false,
                };
                prop_assert!(right, "kind {kind}: sent {sent:?}, stored {stored:?}");
            }
            Ok(())
        })
        .unwrap();
}
