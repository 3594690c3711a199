//! Sync: only what is needed, and what becomes of ranges that fail.

use jiff::civil::Date;
use jiff::{Span, Timestamp};
use mixpanel_client::CancelToken;
use mixpanel_client::time::{ClockMode, ProjectClock};
use mixpanel_data::{DayStatus, ErrorKind, FetchEvents, StorageEngine, SyncOptions, SyncState, Workspace};
use mixpanel_sim::{Fault, SimConfig, Simulator};

use crate::support::{fingerprint, project, small_world, workspace};

/// A workspace whose clock says `now`.
fn at(simulator: &Simulator, now: Timestamp, clock: ProjectClock) -> Workspace {
    let mut project = project(simulator, CancelToken::new());
    project.clock = clock;
    Workspace::builder().project(project).now(move || now).storage(StorageEngine::memory().unwrap())
}

fn noon(day: Date) -> Timestamp {
    jiff::tz::Offset::UTC.to_timestamp(day.at(12, 0, 0, 0)).unwrap()
}

fn from(simulator: &Simulator) -> SyncOptions {
    SyncOptions { from: Some(simulator.world().first_day()), ..SyncOptions::default() }
}

#[test]
fn days_within_the_window_are_fetched_again_in_one_request() {
    let simulator = Simulator::start(small_world()).unwrap();
    let today = simulator.config().today;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let open = |now: Timestamp| {
        let project = project(&simulator, CancelToken::new());
        Workspace::builder().project(project).now(move || now).open(&path).unwrap()
    };
    let first = open(noon(today));
    assert_eq!(first.sync(&from(&simulator)).unwrap().state, SyncState::Complete);
    let before = fingerprint(first.storage(), "events");
    first.close();
    let requests = simulator.requests().len();

    // Half an hour later only today has changed.
    let soon = open(noon(today).checked_add(Span::new().minutes(30)).unwrap());
    let result = soon.sync(&SyncOptions::default()).unwrap();
    assert_eq!((result.requests, result.chunks[0].from), (1, today));
    soon.close();

    // Two hours later the days that late events may still change, in one request.
    let later = open(noon(today).checked_add(Span::new().hours(2)).unwrap());
    let coverage = later.coverage(&ProjectClock::default(), &SyncOptions::default()).unwrap();
    assert_eq!((coverage.count(DayStatus::Stale), coverage.count(DayStatus::Partial)), (5, 1));
    let result = later.sync(&SyncOptions::default()).unwrap();
    assert_eq!((result.requests, result.chunks[0].rows_by_day.len()), (1, 6));
    assert_eq!(fingerprint(later.storage(), "events"), before);
    assert_eq!(simulator.requests().len(), requests + 2);
}

/// An event that a phone sends three days after it happened.
#[test]
fn late_events_arrive_within_the_window() {
    let line = |id: &str| {
        format!(
            "{{\"event\":\"A\",\"properties\":{{\"time\":1750000000,\"distinct_id\":\"u\",\"$insert_id\":\"{id}\"}}}}\n"
        )
    };
    let simulator = Simulator::start(small_world()).unwrap();
    let day: Date = "2025-06-15".parse().unwrap();
    let path = tempfile::tempdir().unwrap();
    let path = path.path().join("data.duckdb");
    let sync = |days_later: i64, body: String| {
        simulator.clear_faults();
        simulator.fault(Fault::ReplaceBody(body.into()));
        let now = noon(day).checked_add(Span::new().hours(24 * days_later)).unwrap();
        let project = project(&simulator, CancelToken::new());
        let workspace = Workspace::builder().project(project).now(move || now).open(&path).unwrap();
        let options = SyncOptions { from: Some(day), to: Some(day), ..SyncOptions::default() };
        let requests = workspace.sync(&options).unwrap().requests;
        let rows = workspace.storage().execute_scalar("SELECT count(*) FROM events").unwrap();
        (requests, rows.as_i64().unwrap())
    };
    assert_eq!(sync(1, line("in time")), (1, 1));
    let both = line("late") + &line("in time");
    assert_eq!(sync(3, both.clone()), (1, 2));
    // A last look when the window is over, and then no more.
    assert_eq!(sync(7, both.clone() + &line("very late")), (1, 3));
    assert_eq!(sync(8, both), (0, 3));
}

#[test]
fn a_range_that_fails_is_cut_in_halves_down_to_the_bad_day() {
    let simulator = Simulator::start(small_world()).unwrap();
    let (first, last) = (simulator.world().first_day(), simulator.config().today.yesterday().unwrap());
    let bad = first.checked_add(Span::new().days(3)).unwrap();
    simulator.fault(Fault::terminated_early(0.5).on_day(bad).times(10_000));
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    let options = SyncOptions { to: Some(last), ..from(&simulator) };
    let result = workspace.sync(&options).unwrap();
    assert_eq!(result.state, SyncState::Partial);
    let failed: Vec<_> = result.failed.iter().map(|range| (range.from, range.to)).collect();
    assert_eq!(failed, [(bad, bad)]);
    assert!(matches!(result.failed[0].error.kind(), ErrorKind::Api { .. }));
    let coverage = workspace.coverage(&ProjectClock::default(), &options).unwrap();
    assert_eq!(coverage.ranges(DayStatus::Missing), [(bad, bad)]);

    // The day recovers: one request brings it.
    simulator.clear_faults();
    let before = simulator.requests().len();
    assert_eq!(workspace.sync(&options).unwrap().state, SyncState::Complete);
    let fetched_again =
        simulator.requests()[before..].iter().filter(|r| r.target.contains(&bad.to_string())).count();
    assert_eq!(fetched_again, 1);
    let unique = simulator.world().unique_count(first, last);
    assert_eq!(workspace.sql_scalar("SELECT count(*) FROM events").unwrap().as_i64(), Some(unique as i64));
}

#[test]
fn when_nothing_answers_the_budget_is_not_burnt() {
    let simulator = Simulator::start(small_world()).unwrap();
    simulator.fault(Fault::status(503).times(100_000));
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    let error = workspace.sync(&from(&simulator)).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Api { .. }), "{error:?}");
    assert_eq!(
        simulator.requests().len(),
        7,
        "one chunk with the client's retries, and a look at other days"
    );
}

#[test]
fn a_newest_day_that_always_fails_does_not_keep_the_others_out() {
    let simulator = Simulator::start(small_world()).unwrap();
    let (first, last) = (simulator.world().first_day(), simulator.config().today.yesterday().unwrap());
    simulator.fault(Fault::status(500).on_day(last).times(10_000));
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    let options = SyncOptions { to: Some(last), ..from(&simulator) };
    let result = workspace.sync(&options).unwrap();
    assert_eq!(result.state, SyncState::Partial);
    let failed: Vec<_> = result.failed.iter().map(|range| (range.from, range.to)).collect();
    assert_eq!(failed, [(last, last)]);
    let others = simulator.world().unique_count(first, last.yesterday().unwrap());
    assert_eq!(workspace.sql_scalar("SELECT count(*) FROM events").unwrap().as_i64(), Some(others as i64));
}

#[test]
fn days_beyond_the_plans_history_are_skipped_and_named() {
    let config = SimConfig { max_history_days: Some(6), ..small_world() };
    let simulator = Simulator::start(config).unwrap();
    let today = simulator.config().today;
    let folder = tempfile::tempdir().unwrap();
    let sync = |now: Timestamp| {
        let project = project(&simulator, CancelToken::new());
        let builder = Workspace::builder().project(project).now(move || now);
        let workspace = builder.open(folder.path().join("data.duckdb")).unwrap();
        let options = SyncOptions { to: Some(today), ..from(&simulator) };
        let result = workspace.sync(&options).unwrap();
        let coverage = workspace.coverage(&ProjectClock::default(), &options).unwrap();
        (result, coverage.ranges(DayStatus::Unavailable))
    };
    let (result, gone) = sync(noon(today));
    assert_eq!(result.state, SyncState::Complete);
    let first = simulator.world().first_day();
    assert_eq!(result.unavailable.first(), Some(&first));
    let days: usize = result.chunks.iter().map(|chunk| chunk.rows_by_day.len()).sum();
    assert_eq!(days + result.unavailable.len(), small_world().days as usize);
    assert_eq!(gone, [(first, *result.unavailable.last().unwrap())]);

    // They are not asked for again, until a month has passed.
    let asked = |simulator: &Simulator, from: usize| {
        simulator.requests()[from..].iter().filter(|request| request.status == 403).count()
    };
    let before = simulator.requests().len();
    let (result, same) = sync(noon(today).checked_add(Span::new().hours(12)).unwrap());
    assert_eq!((result.unavailable, same, asked(&simulator, before)), (vec![], gone, 0));
    sync(noon(today).checked_add(Span::new().hours(31 * 24)).unwrap());
    assert_eq!(asked(&simulator, before), 1);
}

#[test]
fn a_table_keeps_its_filters() {
    let simulator = Simulator::start(small_world()).unwrap();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    let purchases = SyncOptions { events: vec!["Purchase".into()], ..from(&simulator) };
    workspace.sync(&purchases).unwrap();
    workspace
        .sync(&SyncOptions { window_days: 400, max_age: Default::default(), ..SyncOptions::default() })
        .unwrap();
    let others = "SELECT count(*) FROM events WHERE event_name <> 'Purchase'";
    assert_eq!(workspace.sql_scalar(others).unwrap().as_i64(), Some(0));
    let other = SyncOptions { events: vec!["Sign Up".into()], ..SyncOptions::default() };
    assert!(matches!(workspace.sync(&other).unwrap_err().kind(), ErrorKind::FilterMismatch { .. }));
}

#[test]
fn a_plan_sends_nothing_and_a_year_of_small_days_takes_six_requests() {
    let simulator = Simulator::start(small_world()).unwrap();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    let clock = ProjectClock::default();
    let plan = workspace.plan(&clock, &from(&simulator)).unwrap();
    assert_eq!((plan.days(), plan.rows()), (small_world().days, None));
    workspace.fetch_events(&FetchEvents::days(plan.from, plan.from)).unwrap();
    let requests = simulator.requests().len();
    let known = workspace.plan(&clock, &SyncOptions::default()).unwrap();
    assert!(known.rows().is_some_and(|rows| rows > 0) && known.bytes().is_some());
    assert_eq!(simulator.requests().len(), requests);
    let year = SyncOptions {
        from: Some("2024-01-01".parse().unwrap()),
        to: Some("2024-12-30".parse().unwrap()),
        ..SyncOptions::default()
    };
    let year = Workspace::memory().unwrap().plan(&clock, &year).unwrap();
    assert_eq!((year.days(), year.requests.len()), (365, 6));
}

/// A first sync that is interrupted has said where it began: the next one needs
/// no word to go on.
#[test]
fn an_interrupted_sync_goes_on_without_being_told_where_it_began() {
    let simulator = Simulator::start(small_world()).unwrap();
    let last = simulator.config().today.yesterday().unwrap();
    // The first chunk comes, the second is refused for good.
    simulator.fault(Fault::status(400).after(1).times(1));
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    workspace.sync(&SyncOptions { to: Some(last), ..from(&simulator) }).unwrap_err();
    assert!(workspace.storage().table_exists("events").unwrap());
    let result = workspace.sync(&SyncOptions { to: Some(last), ..SyncOptions::default() }).unwrap();
    assert_eq!(result.from, simulator.world().first_day());
    let unique = simulator.world().unique_count(result.from, last);
    assert_eq!(workspace.sql_scalar("SELECT count(*) FROM events").unwrap().as_i64(), Some(unique as i64));
}

/// In both clock modes a day ends where the project's day ends, also when the
/// clocks change on it.
#[test]
fn day_borders_are_the_projects_when_clocks_change() {
    let zone = "America/New_York";
    for (mode, sim_mode) in [
        (ClockMode::Utc, mixpanel_sim::ClockMode::Utc),
        (ClockMode::LocalAsUtc, mixpanel_sim::ClockMode::LocalAsUtc),
    ] {
        for today in ["2025-03-12", "2025-11-05"] {
            let config = SimConfig {
                timezone: zone.into(),
                clock_mode: sim_mode,
                today: today.parse().unwrap(),
                ..small_world()
            };
            let simulator = Simulator::start(config).unwrap();
            let clock = ProjectClock::new(zone, mode).unwrap();
            let last = simulator.config().today.yesterday().unwrap();
            let workspace = at(&simulator, noon(simulator.config().today), clock.clone());
            let options = SyncOptions { to: Some(last), ..from(&simulator) };
            workspace.sync(&options).unwrap();
            let unique = simulator.world().unique_count(simulator.world().first_day(), last);
            let count = workspace.sql_scalar("SELECT count(*) FROM events").unwrap().as_i64();
            assert_eq!(count, Some(unique as i64), "{mode:?} {today}");
            let before = fingerprint(workspace.storage(), "events");
            // Each day again by itself: neither a row too many nor one too few.
            let each = FetchEvents {
                days_per_request: Some(1),
                ..FetchEvents::days(simulator.world().first_day(), last)
            };
            workspace.fetch_events(&each).unwrap();
            assert_eq!(fingerprint(workspace.storage(), "events"), before, "{mode:?} {today}");
            let coverage = workspace.coverage(&clock, &options).unwrap();
            assert_eq!(coverage.count(DayStatus::Missing), 0);
            let rows: u64 = simulator
                .world()
                .days()
                .iter()
                .filter(|day| day.date() <= last)
                .map(|day| day.unique())
                .sum();
            assert_eq!(coverage.rows(), rows);
        }
    }
}
