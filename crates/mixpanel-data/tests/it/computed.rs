//! Properties without a column: read many at a time, and what they say does not change by it.

use mixpanel_data::inspect::LocalScope;
use mixpanel_data::{EventRecord, Value, Workspace};

use crate::support::{at, events_metadata};

/// Values of all kinds by name; most of them are null or missing in most events.
fn event(number: usize, properties: String) -> EventRecord {
    EventRecord {
        event_name: "Buy".into(),
        event_time: at("2024-01-01T10:00:00Z"),
        distinct_id: format!("user_{number}"),
        insert_id: Some(number.to_string()),
        properties,
    }
}

/// As many properties as asked for, none of which gets a column.
fn workspace(properties: usize) -> Workspace {
    let workspace = Workspace::memory().unwrap();
    let value = |row: usize, at: usize| match (row + at) % 9 {
        0 => "null".to_owned(),
        1 => format!("{at}"),
        2 => format!("{at}.5"),
        3 => "true".to_owned(),
        4 => format!("\"text {at} \\u00fc \\\" \\/ ~\""),
        5 => format!("[{at}, null, {{\"a\": 1}}]"),
        6 => format!("{{\"b\": \"{at}\"}}"),
        7 => "\"\"".to_owned(),
        _ => "12345678901234567890".to_owned(),
    };
    let row = |row: usize| {
        let pairs = (0..properties).filter(|at| !(row * 7 + at).is_multiple_of(5)).map(|at| {
            // Names that need escapes in a path, and kinds that stay of one type.
            let name = match at % 4 {
                0 => format!("p{at}"),
                1 => format!("a/b~{at}"),
                2 => format!("$with space '{at}'"),
                _ => format!("ü.{at}"),
            };
            let value = if at % 3 == 0 { value(row, at) } else { value(at, 0) };
            format!("{}: {value}", serde_json::Value::from(name))
        });
        event(row, format!("{{{}}}", pairs.collect::<Vec<_>>().join(", ")))
    };
    let events: Vec<EventRecord> = (0..40).map(row).collect();
    workspace.storage().create_events_table("events", events, &events_metadata(), None).unwrap();
    // None has a column, as if each were rare.
    workspace
}

/// Each column of the typed view is what one look at the text gives.
#[test]
fn many_at_a_time_say_the_same_as_one_by_one() {
    let workspace = workspace(300);
    let storage = workspace.storage();
    // What is mixed or nested is read by itself, and has tests of its own.
    let computed = storage
        .execute_rows(
            "SELECT name, column_name, data_type FROM _properties JOIN duckdb_columns() USING (column_name)
             WHERE duckdb_columns.table_name = 'events_flat' AND NOT promoted AND kind NOT IN ('mixed', 'json')
             ORDER BY name",
            &[],
        )
        .unwrap()
        .rows;
    assert!(computed.len() > 30, "{} are computed", computed.len());
    for row in computed {
        let [name, column, kind] = [0, 1, 2].map(|at| row[at].to_text());
        let path = format!("/{}", name.replace('~', "~0").replace('/', "~1")).replace('\'', "''");
        let column = column.replace('"', "\"\"");
        let sql = format!(
            "SELECT count(*) FROM (SELECT insert_id, \"{column}\" AS v FROM events_flat) AS flat
             JOIN (SELECT insert_id, TRY_CAST(properties->>'{path}' AS {kind}) AS v FROM events) AS single
                 USING (insert_id)
             WHERE flat.v IS DISTINCT FROM single.v"
        );
        assert_eq!(storage.execute_scalar(&sql).unwrap(), Value::Integer(0), "{name} ({kind})");
    }
}

/// The text of a row is parsed a few times, however many columns are asked for.
#[test]
fn the_text_is_parsed_a_few_times_only() {
    let workspace = workspace(900);
    let plan = workspace
        .storage()
        .execute_rows("EXPLAIN SELECT * FROM events_flat", &[])
        .unwrap()
        .rows
        .iter()
        .map(|row| row[1].to_text())
        .collect::<String>();
    let definition = workspace
        .storage()
        .execute_scalar("SELECT sql FROM duckdb_views() WHERE view_name = 'events_flat'")
        .unwrap()
        .to_text();
    let parses = definition.matches("json_extract").count();
    assert!((2..=16).contains(&parses), "{parses} parses");
    assert!(!plan.is_empty());
}

/// The view has the most frequent thousand; questions have them all.
#[test]
fn a_property_beyond_the_thousandth_can_be_asked_for() {
    let workspace = Workspace::memory().unwrap();
    let numbers =
        |from: usize| (from..1_100).map(|at| format!("\"n{at}\": {at}")).collect::<Vec<_>>().join(", ");
    let events = vec![
        event(1, format!("{{{}}}", numbers(0))),
        event(2, format!("{{{}, \"rare\": 40}}", numbers(0))),
        event(3, "{\"rare\": 2.5}".to_owned()),
        event(4, "{\"other\": \"x\"}".to_owned()),
    ];
    workspace.storage().create_events_table("events", events, &events_metadata(), None).unwrap();
    let in_view =
        "SELECT count(*) FROM duckdb_columns() WHERE table_name = 'events_flat' AND column_name = 'other'";
    assert_eq!(workspace.sql_scalar(in_view).unwrap(), Value::Integer(0), "it is not in the view");
    let scope = LocalScope::default();
    let shares = workspace.property_distribution(&scope, "Buy", "other", 5).unwrap();
    assert_eq!((shares.total_count, shares.values[0].value.clone()), (1, Value::Text("x".into())));
    let figures = workspace.numeric_summary(&scope, "Buy", "rare", &[50]).unwrap();
    assert_eq!((figures.count, figures.min, figures.max), (2, Some(2.5), Some(40.0)));
    let coverage = workspace.property_coverage(&scope, "Buy", &["other", "n1099", "rare"]).unwrap();
    let defined: Vec<u64> = coverage.coverage.iter().map(|property| property.defined_count).collect();
    assert_eq!(defined, [1, 2, 2]);
}
