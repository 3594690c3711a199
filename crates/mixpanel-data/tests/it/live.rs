//! Live queries against the simulator, compared with plain counts over the same world's events,
//! fetched and stored. The counting here shares nothing with the simulator's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use jiff::civil::{Date, date};
use mixpanel_client::CancelToken;
use mixpanel_client::CountType;
use mixpanel_client::live::{FrequencyQuery, FunnelQuery, LengthUnit, RetentionQuery, SegmentationQuery};
use mixpanel_data::{FetchEvents, Value, Workspace};
use mixpanel_sim::{Limits, SimConfig, Simulator};

use crate::support::project;

/// 200,000 events at a simulator, and all of them at home.
struct World {
    _simulator: Simulator,
    workspace: Workspace,
    from: Date,
    to: Date,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let config =
        SimConfig { days: 40, total_events: Some(200_000), limits: Limits::off(), ..SimConfig::default() };
    let simulator = Simulator::start(config).unwrap();
    let (from, to) = (simulator.config().first_day(), simulator.config().today);
    let workspace = Workspace::builder().project(project(&simulator, CancelToken::new())).memory().unwrap();
    let fetched = workspace.fetch_events(&FetchEvents::days(from, to)).unwrap();
    assert!(fetched.rows > 190_000, "{fetched:?}");
    World { _simulator: simulator, workspace, from, to }
});

fn days_later(day: Date, days: i64) -> Date {
    day.saturating_add(jiff::Span::new().days(days))
}

fn whole(value: &Value) -> u64 {
    value.as_i64().unwrap() as u64
}

#[test]
fn segmentation_is_what_sql_counts() {
    let World { workspace, from, to, .. } = &*WORLD;
    let (from, to) = (*from, *to);
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

/// An event of a user: microseconds and name.
type Happened = (i64, String);

/// Each user's events, by time.
fn by_user(workspace: &Workspace) -> HashMap<String, Vec<Happened>> {
    let rows = workspace
        .sql_rows(
            "SELECT distinct_id, epoch_us(event_time), event_name FROM events
             WHERE distinct_id <> '' ORDER BY event_time",
        )
        .unwrap()
        .rows;
    let mut users: HashMap<String, Vec<Happened>> = HashMap::new();
    for row in rows {
        users.entry(row[0].to_text()).or_default().push((row[1].as_i64().unwrap(), row[2].to_text()));
    }
    users
}

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

fn day_of(micros: i64) -> Date {
    days_later(date(1970, 1, 1), micros.div_euclid(DAY))
}

/// How many steps a user takes who enters at one of these events. Mixpanel's rules: the window runs from the
/// first step, anything may come between steps, and steps less than two seconds apart may be in either order.
fn depth(events: &[Happened], entry: usize, steps: &[String], window: i64) -> usize {
    let began = events[entry].0;
    let mut left: Vec<&Happened> = events.iter().collect();
    left.remove(entry);
    let (mut reached, mut last) = (1, began);
    for step in &steps[1..] {
        let fits =
            |(time, name): &&Happened| name == step && *time >= last - 2 * SECOND && *time <= began + window;
        let Some(at) = left.iter().position(fits) else { break };
        last = left.remove(at).0.max(last);
        reached += 1;
    }
    reached
}

#[test]
fn a_funnel_is_what_a_walk_over_all_users_finds() {
    let World { workspace, from, .. } = &*WORLD;
    let from = *from;
    let (first, last) = (days_later(from, 3), days_later(from, 20));
    let users = by_user(workspace);
    for funnel in workspace.funnels().unwrap() {
        let mut query = FunnelQuery::new(funnel.funnel_id, first, last);
        query.length = Some((5, LengthUnit::Day));
        let live = workspace.funnel(&query).unwrap();
        assert_eq!(live.funnel_name.as_ref(), Some(&funnel.name));
        let steps: Vec<String> = live.steps.iter().map(|step| step.event.clone()).collect();
        let mut counted: BTreeMap<Date, Vec<u64>> = BTreeMap::new();
        for events in users.values() {
            // Each day is a funnel of its own, entered at the day's first event of the first step.
            let mut entered = BTreeSet::new();
            for (entry, (time, name)) in events.iter().enumerate() {
                let day = day_of(*time);
                if *name == steps[0] && (first..=last).contains(&day) && entered.insert(day) {
                    let reached = depth(events, entry, &steps, 5 * DAY);
                    let counts = counted.entry(day).or_insert_with(|| vec![0; steps.len()]);
                    counts[..reached].iter_mut().for_each(|count| *count += 1);
                }
            }
        }
        assert_eq!(live.dates.len(), 18);
        for (day, found) in &live.dates {
            let none = vec![0; steps.len()];
            let expected = counted.get(&day.parse().unwrap()).unwrap_or(&none);
            let found: Vec<u64> = found.iter().map(|step| step.count).collect();
            assert_eq!(found, *expected, "{} {day}", funnel.name);
        }
        assert!(live.steps[1].count > 0 && live.steps[0].count > live.steps[1].count, "{:?}", live.steps);
    }
}

#[test]
fn retention_is_what_a_walk_over_all_users_finds() {
    let World { workspace, from, .. } = &*WORLD;
    let from = *from;
    let (first, last) = (days_later(from, 2), days_later(from, 15));
    let (born, back) = ("Product Viewed", "Purchase");
    let mut query = RetentionQuery::new(born, back, first, last);
    query.interval_count = 7;
    let live = workspace.retention(&query).unwrap();
    let mut counted: BTreeMap<Date, (u64, Vec<u64>)> = BTreeMap::new();
    for events in by_user(workspace).values() {
        let within = |time: i64| (first..=last).contains(&day_of(time));
        let Some(start) = events.iter().position(|(time, name)| name == born && within(*time)) else {
            continue;
        };
        let birth = events[start].0;
        let returned: BTreeSet<i64> = events
            .iter()
            .filter(|(time, name)| name == back && *time >= birth)
            .map(|(time, _)| (time - birth).div_euclid(DAY))
            .collect();
        let cohort = counted.entry(day_of(birth)).or_insert_with(|| (0, vec![0; 8]));
        cohort.0 += 1;
        for interval in returned.into_iter().filter(|interval| *interval < 8) {
            cohort.1[interval as usize] += 1;
        }
    }
    assert_eq!(live.cohorts.len(), 14);
    for cohort in &live.cohorts {
        let none = (0, vec![0; 8]);
        let (size, counts) = counted.get(&cohort.date.parse().unwrap()).unwrap_or(&none);
        assert_eq!((cohort.size, &cohort.counts), (*size, counts), "{}", cohort.date);
    }
    assert!(live.cohorts.iter().map(|cohort| cohort.counts[1]).sum::<u64>() > 0);
}

#[test]
fn frequency_is_what_sql_counts() {
    let World { workspace, from, to, .. } = &*WORLD;
    let (from, to) = (*from, *to);
    let mut query = FrequencyQuery::new(from, to);
    query.event = Some("Product Viewed".to_owned());
    let live = workspace.frequency(&query).unwrap();
    let rows = workspace
        .sql_rows(
            "SELECT day, hours, count(*) FROM (
                 SELECT CAST(event_time AS DATE) AS day, distinct_id, count(DISTINCT date_trunc('hour', event_time)) AS hours
                 FROM events WHERE event_name = 'Product Viewed' AND distinct_id <> '' GROUP BY ALL)
             GROUP BY ALL",
        )
        .unwrap()
        .rows;
    let mut exactly: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for row in rows {
        exactly.entry(row[0].to_text()).or_insert_with(|| vec![0; 25])[row[1].as_i64().unwrap() as usize] +=
            whole(&row[2]);
    }
    assert_eq!(live.data.len(), 40);
    for (day, found) in &live.data {
        let none = vec![0; 25];
        let users = exactly.get(day).unwrap_or(&none);
        let at_least: Vec<u64> = (1..=24).map(|hours| users[hours..].iter().sum()).collect();
        assert_eq!(*found, at_least, "{day}");
    }
    assert!(live.data.values().any(|users| users[1] > 0));
}
