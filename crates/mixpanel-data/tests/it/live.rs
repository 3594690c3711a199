//! A live query against the simulator, compared with plain counts over the same world's events,
//! fetched and stored. The counting here shares nothing with the simulator's.

use std::collections::BTreeMap;

use jiff::civil::Date;
use mixpanel_client::CancelToken;
use mixpanel_client::CountType;
use mixpanel_client::live::SegmentationQuery;
use mixpanel_data::{FetchEvents, Value, Workspace};
use mixpanel_sim::{Limits, SimConfig, Simulator};

use crate::support::project;

/// 200,000 events, and all of them at home.
fn world() -> (Simulator, Workspace, Date, Date) {
    let config =
        SimConfig { days: 40, total_events: Some(200_000), limits: Limits::off(), ..SimConfig::default() };
    let simulator = Simulator::start(config).unwrap();
    let (from, to) = (simulator.config().first_day(), simulator.config().today);
    let workspace = Workspace::builder().project(project(&simulator, CancelToken::new())).memory().unwrap();
    workspace.fetch_events(&FetchEvents::days(from, to)).unwrap();
    (simulator, workspace, from, to)
}

fn whole(value: &Value) -> u64 {
    value.as_i64().unwrap() as u64
}

#[test]
fn segmentation_is_what_sql_counts() {
    let (_simulator, workspace, from, to) = world();
    let event = workspace.event_breakdown("events").unwrap().events[0].event_name.clone();
    let sql = |figure: &str, group: &str| -> BTreeMap<(String, String), u64> {
        let query = format!(
            "SELECT CAST(event_time AS DATE), {group}, {figure} FROM events_flat
             WHERE event_name = '{}' GROUP BY ALL",
            event.replace('\'', "''")
        );
        let rows = workspace.sql_rows(&query).unwrap().rows;
        rows.iter().map(|row| ((row[0].to_text(), row[1].to_text()), whole(&row[2]))).collect()
    };
    for (count, figure) in
        [(CountType::General, "count(*)"), (CountType::Unique, "count(DISTINCT nullif(distinct_id, ''))")]
    {
        let mut query = SegmentationQuery::new(event.clone(), from, to);
        query.count = count;
        let live = workspace.segmentation(&query).unwrap();
        let counted = sql(figure, "'all'");
        assert!(counted.len() > 30);
        for (day, amount) in &live.series[&event] {
            let expected = counted.get(&(day.clone(), "all".to_owned())).copied().unwrap_or(0);
            assert_eq!(amount.whole(), Some(expected as i64), "{count} {day}");
        }
        assert_eq!(live.series[&event].len(), 40);
    }
    let property = "$browser";
    let mut query = SegmentationQuery::new(event.clone(), from, to);
    query.on = Some(property.to_owned());
    query.limit = Some(1_000);
    let live = workspace.segmentation(&query).unwrap();
    let counted = sql("count(*)", &format!("coalesce(CAST(\"{property}\" AS VARCHAR), 'undefined')"));
    let mut seen = 0;
    for (segment, dates) in &live.series {
        for (day, amount) in dates {
            let expected = counted.get(&(day.clone(), segment.clone())).copied().unwrap_or(0);
            assert_eq!(amount.whole(), Some(expected as i64), "{segment} {day}");
            seen += expected;
        }
    }
    assert_eq!(seen, counted.values().sum::<u64>());
    assert_eq!(live.total.unwrap().whole(), Some(seen as i64));
}
