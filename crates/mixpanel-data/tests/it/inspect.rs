//! Local questions over small tables whose answers can be counted by hand.

use mixpanel_client::Tabular;
use mixpanel_client::time::ProjectClock;
use mixpanel_data::inspect::{ENGAGEMENT_BUCKETS, LocalScope};
use mixpanel_data::{ErrorKind, EventRecord, ListedTable, SyncOptions, TableKind, Value, Workspace};

use crate::support::{at, events_metadata, profile, profiles_metadata};

fn event(name: &str, user: &str, time: &str, properties: &str) -> EventRecord {
    EventRecord {
        event_name: name.into(),
        event_time: at(time),
        distinct_id: user.into(),
        insert_id: None,
        properties: properties.into(),
    }
}

fn workspace() -> Workspace {
    let workspace = Workspace::memory().unwrap();
    let events = vec![
        event("Buy", "ann", "2024-01-01T10:00:00Z", r#"{"amount": 10, "plan.x": "pro", "odd\"name": 1}"#),
        event("Buy", "ann", "2024-01-01T11:00:00Z", r#"{"amount": 20, "plan.x": "pro"}"#),
        event("Buy", "bob", "2024-01-02T10:00:00Z", r#"{"amount": "30", "plan.x": null}"#),
        event("View", "bob", "2024-01-02T11:00:00Z", r#"{"page": "home"}"#),
        event("View", "", "2024-01-03T11:00:00Z", r#"{"page": "home"}"#),
    ];
    workspace.storage().create_events_table("events", events, &events_metadata(), None).unwrap();
    workspace
}

#[test]
fn events_are_broken_down_by_name() {
    let workspace = workspace();
    let breakdown = workspace.event_breakdown("EVENTS").unwrap();
    assert_eq!((breakdown.table.as_str(), breakdown.total_events, breakdown.events.len()), ("events", 5, 2));
    let buy = &breakdown.events[0];
    assert_eq!((buy.event_name.as_str(), buy.count, buy.unique_users, buy.pct_of_total), ("Buy", 3, 2, 60.0));
    assert_eq!(buy.first_seen.to_string(), "2024-01-01T10:00:00");
    assert_eq!(breakdown.to_batch().num_rows(), 2);
    let error = workspace.event_breakdown("nothing").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TableNotFound { .. }));
    let profiles = vec![profile("ann", r#"{"plan": "pro"}"#)];
    workspace.storage().create_profiles_table("people", profiles, &profiles_metadata(), None).unwrap();
    assert!(matches!(
        workspace.event_breakdown("people").unwrap_err().kind(),
        ErrorKind::WrongTableKind { .. }
    ));
}

#[test]
fn empty_tables_have_empty_answers() {
    let workspace = Workspace::memory().unwrap();
    workspace
        .storage()
        .create_events_table("events", Vec::<EventRecord>::new(), &events_metadata(), None)
        .unwrap();
    let breakdown = workspace.event_breakdown("events").unwrap();
    assert_eq!((breakdown.total_events, breakdown.date_range), (0, None));
    let scope = LocalScope::default();
    assert!(workspace.property_distribution(&scope, "x", "y", 10).unwrap().values.is_empty());
    let figures = workspace.numeric_summary(&scope, "x", "y", &[50]).unwrap();
    assert_eq!((figures.count, figures.avg, figures.percentiles.len()), (0, None, 0));
    assert!(workspace.daily_counts(&scope, None).unwrap().counts.is_empty());
    let engagement = workspace.engagement_distribution(&scope, None, &ENGAGEMENT_BUCKETS).unwrap();
    assert_eq!((engagement.total_users, engagement.buckets[0].percentage), (0, 0.0));
    assert_eq!(
        workspace.property_coverage(&scope, "x", &["y"]).unwrap().coverage[0].coverage_percentage,
        0.0
    );
    assert_eq!(workspace.summarize("events").unwrap().row_count, 0);
    assert!(workspace.property_keys("events", None).unwrap().is_empty());
    assert_eq!(workspace.column_stats("events", "event_name", 5).unwrap().null_pct, 0.0);
}

#[test]
fn properties_have_keys_coverage_and_distributions_whatever_their_names() {
    let workspace = workspace();
    assert_eq!(workspace.property_keys("events", None).unwrap(), ["amount", "odd\"name", "page", "plan.x"]);
    assert_eq!(workspace.property_keys("events", Some("View")).unwrap(), ["page"]);
    let scope = LocalScope::default();
    let coverage = workspace.property_coverage(&scope, "Buy", &["plan.x", "odd\"name", "nowhere"]).unwrap();
    let defined: Vec<u64> = coverage.coverage.iter().map(|one| one.defined_count).collect();
    assert_eq!((coverage.total_events, defined), (3, vec![2, 1, 0]));
    let shares = workspace.property_distribution(&scope, "Buy", "plan.x", 10).unwrap();
    assert_eq!((shares.total_count, shares.values.len(), shares.values[0].percentage), (2, 1, 100.0));
    assert!(workspace.property_coverage(&scope, "Buy", &[]).is_err());
}

#[test]
fn numbers_and_texts_that_are_numbers_are_summed_up() {
    let figures = workspace().numeric_summary(&LocalScope::default(), "Buy", "amount", &[50, 100]).unwrap();
    assert_eq!((figures.count, figures.sum, figures.avg), (3, Some(60.0), Some(20.0)));
    assert_eq!((figures.percentiles[&50], figures.percentiles[&100]), (20.0, 30.0));
    assert!(workspace().numeric_summary(&LocalScope::default(), "Buy", "amount", &[101]).is_err());
}

#[test]
fn days_and_users_are_counted() {
    let workspace = workspace();
    let day = |text: &str| text.parse().unwrap();
    let scope = LocalScope::days(day("2024-01-01"), day("2024-01-02"));
    let counts = workspace.daily_counts(&scope, None).unwrap().counts;
    let counts: Vec<(String, &str, u64)> =
        counts.iter().map(|count| (count.date.to_string(), count.event.as_str(), count.count)).collect();
    assert_eq!(
        counts,
        [
            ("2024-01-01".to_owned(), "Buy", 2),
            ("2024-01-02".to_owned(), "Buy", 1),
            ("2024-01-02".to_owned(), "View", 1)
        ]
    );
    let only = workspace.daily_counts(&scope, Some(&["View"])).unwrap();
    assert_eq!(only.counts.len(), 1);
    let engagement = workspace.engagement_distribution(&LocalScope::default(), None, &[1, 2, 5]).unwrap();
    let buckets: Vec<(&str, u64)> =
        engagement.buckets.iter().map(|bucket| (bucket.bucket_label.as_str(), bucket.user_count)).collect();
    assert_eq!((engagement.total_users, buckets), (2, vec![("1", 0), ("2-4", 2), ("5+", 0)]));
    assert!(workspace.engagement_distribution(&LocalScope::default(), None, &[5, 2]).is_err());
    let backwards = LocalScope::days(day("2024-01-02"), day("2024-01-01"));
    assert!(matches!(
        workspace.daily_counts(&backwards, None).unwrap_err().kind(),
        ErrorKind::InvalidArgument { .. }
    ));
}

#[test]
fn columns_are_summarised() {
    let workspace = workspace();
    let summary = workspace.summarize("events").unwrap();
    let page = summary.columns.iter().find(|column| column.column_name == "page").unwrap();
    assert_eq!((summary.row_count, page.count, page.null_percentage), (5, 2, 60.0));
    let stats = workspace.column_stats("events", "plan.x", 5).unwrap();
    assert_eq!((stats.count, stats.null_count, stats.unique_count, stats.top_values[0].count), (2, 3, 1, 2));
    let stats = workspace.column_stats("events", "length(page)", 5).unwrap();
    assert_eq!(
        (stats.min, stats.max, stats.unique_pct),
        (Some(Value::Integer(4)), Some(Value::Integer(4)), 50.0)
    );
    assert!(matches!(
        workspace.column_stats("events", "no such", 5).unwrap_err().kind(),
        ErrorKind::Query { .. }
    ));
    let rows = workspace.sample("events", 2).unwrap();
    assert_eq!(rows.num_rows(), 2);
    assert!(workspace.sample("events", 0).is_err());
}

#[test]
fn expressions_may_be_over_the_text_too() {
    let workspace = workspace();
    let stats = workspace.column_stats("events", "properties->>'$.\"plan.x\"'", 5).unwrap();
    assert_eq!((stats.count, stats.top_values[0].value.clone()), (2, Value::Text("pro".into())));
    let stats = workspace.column_stats("events_flat", "page", 5).unwrap();
    assert_eq!((stats.table.as_str(), stats.count), ("events", 2));
    // What neither view has is told of the typed one.
    let error = workspace.column_stats("events", "page || properties->>'$.page'", 5).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Query { .. }), "{error}");
}

#[test]
fn tables_and_views_of_sql_are_looked_at_and_removed() {
    let workspace = workspace();
    let sql = |sql: &str| workspace.storage().execute(sql).unwrap();
    sql(
        "CREATE TABLE Plans AS SELECT 'pro' AS plan, 7 AS price, '{\"a\": 1, \"b\": null}'::JSON AS properties",
    );
    sql("CREATE VIEW buys AS SELECT * FROM events WHERE event_name = 'Buy'");
    assert_eq!(workspace.sample("plans", 5).unwrap().num_rows(), 1);
    assert_eq!(workspace.sample("events_flat", 2).unwrap().num_rows(), 2);
    let summary = workspace.summarize("plans").unwrap();
    assert_eq!((summary.table.as_str(), summary.row_count, summary.columns.len()), ("Plans", 1, 3));
    assert_eq!(workspace.summarize("buys").unwrap().row_count, 3);
    assert_eq!(workspace.summarize("events_flat").unwrap(), workspace.summarize("events").unwrap());
    let stats = workspace.column_stats("plans", "price * 2", 5).unwrap();
    assert_eq!((stats.max, stats.count), (Some(Value::Integer(14)), 1));
    assert_eq!(workspace.property_keys("plans", None).unwrap(), ["a", "b"]);
    assert_eq!(workspace.property_keys("buys", Some("Buy")).unwrap(), ["amount", "odd\"name", "plan.x"]);
    let none = workspace.sample("_events", 1).unwrap_err();
    assert!(matches!(none.kind(), ErrorKind::TableNotFound { .. }), "{none}");

    // All names have to be known before any goes; our records and typed views do not go by themselves.
    for name in ["nothing", "_events", "events_flat", "_tables"] {
        assert!(workspace.drop(&["plans", name]).is_err(), "{name}");
    }
    workspace.drop(&["PLANS", "buys"]).unwrap();
    assert!(workspace.summarize("plans").is_err() && workspace.summarize("buys").is_err());
    assert_eq!(workspace.event_breakdown("events").unwrap().total_events, 5);
}

#[test]
fn tables_and_views_of_sql_are_listed_and_stay_when_all_are_removed() {
    let workspace = workspace();
    let people = vec![profile("ann", r#"{"plan": "pro"}"#)];
    workspace.storage().create_profiles_table("people", people, &profiles_metadata(), None).unwrap();
    let sql = |sql: &str| workspace.storage().execute(sql).unwrap();
    sql("CREATE TABLE Plans AS SELECT range AS price FROM range(7)");
    sql("CREATE TABLE \"odd \"\" name\" (a INTEGER)");
    sql("CREATE VIEW buys AS SELECT * FROM events WHERE event_name = 'Buy'");
    sql("CREATE VIEW broken_flat AS SELECT * FROM Plans");
    // Not counted in place of the table of the same name, and not listed: what is temporary, what has
    // one of our names, and what is in other schemas.
    sql("CREATE TEMP TABLE plans AS SELECT 1 AS a; CREATE TEMP VIEW passing AS SELECT 1 AS a");
    sql("CREATE TABLE _mine (a INTEGER); CREATE SCHEMA other; CREATE TABLE other.elsewhere (a INTEGER)");
    let listed = || {
        let tables = workspace.tables().unwrap();
        let line = |table: &ListedTable| {
            let fetched = if table.fetched_at.is_some() { "fetched" } else { "never" };
            format!("{}: {} {:?} {fetched}", table.name, table.kind, table.row_count)
        };
        tables.iter().map(line).collect::<Vec<_>>()
    };
    let made = [
        "Plans: table Some(7) never",
        "broken_flat: view None never",
        "buys: view None never",
        "odd \" name: table Some(0) never",
    ];
    let all = [
        made[0],
        made[1],
        made[2],
        "events: events Some(5) fetched",
        made[3],
        "people: profiles Some(1) fetched",
    ];
    assert_eq!(listed(), all);
    // Nothing else takes them for tables that were fetched.
    let storage = workspace.storage();
    let names: Vec<String> = storage.list_tables().unwrap().into_iter().map(|table| table.name).collect();
    assert_eq!(names, ["events", "people"]);
    assert_eq!(workspace.info().unwrap().tables, ["events", "people"]);
    assert_eq!(storage.changed_rows().unwrap(), []);
    let options = SyncOptions { table: "Plans".into(), ..SyncOptions::default() };
    let status = workspace.coverage(&ProjectClock::default(), &options).unwrap_err();
    assert!(matches!(status.kind(), ErrorKind::TableNotFound { .. }), "{status}");
    assert!(storage.get_metadata("Plans").is_err());
    // A view that cannot be read any more is listed all the same.
    sql("DROP TABLE memory.main.Plans");
    workspace.drop_all(Some(TableKind::Profiles)).unwrap();
    assert_eq!(listed(), [made[1], made[2], all[3], made[3]]);
    workspace.drop_all(None).unwrap();
    assert_eq!(listed(), [made[1], made[2], made[3]]);
}

#[test]
fn keys_that_are_always_null_are_keys() {
    let workspace = Workspace::memory().unwrap();
    let events = vec![event("A", "u", "2024-01-01T10:00:00Z", r#"{"gone": null, "here": 1}"#)];
    workspace.storage().create_events_table("events", events, &events_metadata(), None).unwrap();
    assert_eq!(workspace.property_keys("events", None).unwrap(), ["gone", "here"]);
    assert_eq!(workspace.property_keys("events_flat", Some("A")).unwrap(), ["gone", "here"]);
    let people = vec![profile("ann", r#"{"plan": null}"#)];
    workspace.storage().create_profiles_table("people", people, &profiles_metadata(), None).unwrap();
    assert_eq!(workspace.property_keys("people", None).unwrap(), ["plan"]);
}

#[test]
fn questions_to_mixpanel_need_a_project() {
    let workspace = Workspace::memory().unwrap();
    assert!(matches!(workspace.events().unwrap_err().kind(), ErrorKind::NoCredentials));
    workspace.clear_discovery_cache();
}
