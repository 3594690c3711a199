//! A table is a copy of one project, under one clock: what is another one is refused.

use std::path::Path;

use jiff::civil::{Date, date};
use mixpanel_client::time::{ClockMode, ProjectClock};
use mixpanel_client::{BaseUrls, CancelToken, Client, ClientOptions, Credentials};
use mixpanel_data::{
    DefinitionPart, EngageRequest, ErrorKind, FetchEvents, FetchProfiles, Project, Result, SyncOptions,
    Workspace,
};
use mixpanel_sim::{SimConfig, Simulator};

use crate::fetch::{count, everything, simulator};
use crate::support::{fingerprint, now_of, project, small_world};

fn local(zone: &str) -> ProjectClock {
    ProjectClock::new(zone, ClockMode::LocalAsUtc).unwrap()
}

fn open(simulator: &Simulator, path: &Path, change: impl FnOnce(&mut Project)) -> Workspace {
    let mut project = project(simulator, CancelToken::new());
    change(&mut project);
    let now = now_of(simulator);
    Workspace::builder().project(project).now(move || now).open(path).unwrap()
}

fn with_clock(simulator: &Simulator, path: &Path, clock: ProjectClock) -> Workspace {
    open(simulator, path, |project| project.clock = clock)
}

fn other_part<T: std::fmt::Debug>(result: Result<T>) -> (DefinitionPart, String) {
    let error = result.unwrap_err();
    match error.kind() {
        ErrorKind::DefinitionMismatch { part, .. } => (*part, error.to_string()),
        other => panic!("{other:?}"),
    }
}

/// The case: 1,440 events, once as UTC and once by the wall clock of New York.
#[test]
fn another_clock_is_refused_and_nothing_is_lost_or_doubled() {
    let simulator = simulator();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let first = with_clock(&simulator, &path, ProjectClock::default());
    first.fetch_events(&everything(&simulator)).unwrap();
    let before = fingerprint(first.storage(), "events");
    first.close();
    let requests = simulator.requests().len();

    let clock = local("America/New_York");
    let other = with_clock(&simulator, &path, clock.clone());
    let fetch = everything(&simulator);
    let (from, options) = (Some(fetch.from), SyncOptions::default());
    let append = FetchEvents { events: vec!["Page View".into()], append: true, ..fetch.clone() };
    let sample = FetchEvents { limit: Some(10), ..fetch.clone() };
    for refused in [
        other_part(other.fetch_events(&fetch)),
        other_part(other.fetch_events(&append)),
        other_part(other.fetch_events(&sample)),
        other_part(other.sync(&options)),
        other_part(other.sync(&SyncOptions { from, ..options.clone() })),
        other_part(other.plan(&clock, &options)),
        other_part(other.coverage(&clock, &options)),
    ] {
        assert_eq!(refused.0, DefinitionPart::Clock);
        assert!(
            refused.1.contains("it has UTC, but the local time of America/New_York was asked for"),
            "{}",
            refused.1
        );
    }
    assert_eq!(simulator.requests().len(), requests, "nothing was asked for");
    assert_eq!(fingerprint(other.storage(), "events"), before);
    // Another table is another matter, and so is starting over.
    other.fetch_events(&FetchEvents { table: "wall".into(), ..fetch.clone() }).unwrap();
    let replaced = other.fetch_events(&FetchEvents { replace: true, ..fetch.clone() }).unwrap();
    assert_eq!(replaced.total_rows, before.0 as u64);
    assert_eq!(fingerprint(other.storage(), "events"), fingerprint(other.storage(), "wall"));
    other.fetch_events(&fetch).unwrap();
    other.close();

    // The same clock by another name is the same clock.
    with_clock(&simulator, &path, local("US/Eastern")).fetch_events(&fetch).unwrap();
    let back = with_clock(&simulator, &path, ProjectClock::default());
    assert_eq!(other_part(back.fetch_events(&fetch)).0, DefinitionPart::Clock);
    // The setting of the zone means nothing where times are UTC.
    let utc = FetchEvents { table: "utc".into(), ..fetch.clone() };
    back.fetch_events(&utc).unwrap();
    back.close();
    let tokyo = ProjectClock::new("Asia/Tokyo", ClockMode::Utc).unwrap();
    with_clock(&simulator, &path, tokyo).fetch_events(&utc).unwrap();
}

#[test]
fn another_project_or_region_is_refused() {
    let simulator = simulator();
    let second = Simulator::start(SimConfig { project_id: 777, seed: 7, ..small_world() }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let fetch = everything(&simulator);
    let profiles = FetchProfiles::default();
    let some = FetchProfiles {
        request: EngageRequest { distinct_ids: Some(vec!["user_1".into()]), ..EngageRequest::default() },
        ..profiles.clone()
    };
    let first = open(&simulator, &path, |_| {});
    first.fetch_events(&fetch).unwrap();
    first.fetch_profiles(&profiles).unwrap();
    let before = fingerprint(first.storage(), "events");
    let people = count(&first, "SELECT count(*) FROM profiles");
    first.close();

    let other = open(&second, &path, |_| {});
    for refused in [
        other_part(other.fetch_events(&fetch)),
        other_part(other.fetch_events(&FetchEvents { append: true, ..fetch.clone() })),
        other_part(other.sync(&SyncOptions::default())),
        other_part(other.fetch_profiles(&profiles)),
        other_part(other.fetch_profiles(&some)),
        other_part(other.fetch_profiles(&FetchProfiles { append: true, ..profiles.clone() })),
    ] {
        assert_eq!(refused.0, DefinitionPart::Project);
        let both = "it has project 12345 in region us, but project 777 in region us was asked for";
        assert!(refused.1.contains(both), "{}", refused.1);
    }
    assert!(second.requests().is_empty(), "nothing was asked for");
    // Each in a table of its own.
    other.fetch_events(&FetchEvents { table: "other".into(), ..fetch.clone() }).unwrap();
    other.fetch_profiles(&FetchProfiles { table: "other_people".into(), ..profiles.clone() }).unwrap();
    assert_eq!(fingerprint(other.storage(), "events"), before);
    assert_eq!(count(&other, "SELECT count(*) FROM profiles"), people);
    other.close();

    let moved = open(&simulator, &path, |project| project.region = "eu".into());
    let (part, error) = other_part(moved.fetch_events(&fetch));
    assert_eq!(part, DefinitionPart::Project);
    assert!(error.contains("in region us") && error.contains("in region eu"), "{error}");
    moved.close();

    // Whoever starts over has the other project, and nobody has vanished from it.
    let other = open(&second, &path, |_| {});
    other.fetch_events(&FetchEvents { replace: true, ..fetch.clone() }).unwrap();
    other.fetch_profiles(&FetchProfiles { replace: true, ..profiles.clone() }).unwrap();
    assert_eq!(fingerprint(other.storage(), "events"), fingerprint(other.storage(), "other"));
    assert_eq!(count(&other, "SELECT count(*) FROM _vanished_profiles"), 0);
    other.close();
    let back = open(&simulator, &path, |_| {});
    assert_eq!(other_part(back.sync(&SyncOptions::default())).0, DefinitionPart::Project);
    assert_eq!(other_part(back.fetch_profiles(&profiles)).0, DefinitionPart::Project);
}

/// Without a project id, the secret says which project it is; the id, when it comes, is taken over.
#[test]
fn projects_of_two_secrets_are_two_projects() {
    let simulator = simulator();
    let second = Simulator::start(SimConfig { project_secret: "another".into(), ..small_world() }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let by_secret = |simulator: &Simulator, id: Option<u64>| {
        let secret = simulator.config().project_secret.clone();
        let url = simulator.base_url();
        open(simulator, &path, |project| {
            let mut options = ClientOptions::new(Credentials::project_secret(secret));
            options.project_id = id;
            options.base_urls = BaseUrls::single_host(&url);
            project.client = Client::new(options).unwrap();
            project.project_id = id.map(|id| id.to_string()).unwrap_or_default();
        })
    };
    let fetch = everything(&simulator);
    let recorded = |workspace: &Workspace| {
        workspace.sql_scalar("SELECT project_id FROM _tables WHERE table_name = 'events'").unwrap().to_text()
    };
    let first = by_secret(&simulator, None);
    first.fetch_events(&fetch).unwrap();
    assert!(!recorded(&first).contains("sim-project-secret"));
    first.close();
    let other = by_secret(&second, None);
    assert_eq!(other_part(other.fetch_events(&fetch)).0, DefinitionPart::Project);
    other.close();
    let known = by_secret(&simulator, Some(12345));
    known.fetch_events(&fetch).unwrap();
    assert_eq!(recorded(&known), "12345");
    known.close();
    open(&simulator, &path, |_| {}).fetch_events(&fetch).unwrap();
}

/// What a file of an older format lacks.
fn forget(path: &Path) {
    let connection = duckdb::Connection::open(path).unwrap();
    let columns = ["project_id", "region", "data_view", "clock_mode", "timezone", "time_unit"];
    let sets = columns.map(|column| format!("{column} = NULL")).join(", ");
    connection.execute_batch(&format!("UPDATE _tables SET {sets}")).unwrap();
}

/// Events of three days, all days alike or not.
fn lines(day: Date, even: bool) -> Vec<String> {
    let midnight = jiff::tz::Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).unwrap().as_second();
    let hours = if even { 24 } else { 6 + 5 * i64::from(day.day() % 3) };
    (0..hours)
        .map(|hour| {
            let time = midnight + hour * 3600;
            format!(
                "{{\"event\":\"A\",\"properties\":{{\"time\":{time},\"distinct_id\":\"u\",\"$insert_id\":\"{time}\"}}}}"
            )
        })
        .collect()
}

#[test]
fn old_files_are_filled_by_the_clock_that_their_rows_show() {
    for even in [true, false] {
        let (from, to) = (date(2025, 6, 10), date(2025, 6, 20));
        let config = SimConfig { days: 1, events_per_day: 1, ..small_world() };
        let simulator = Simulator::start(config).unwrap();
        let all: Vec<String> = jiff::civil::Date::series(from, jiff::Span::new().days(1))
            .take_while(|day| *day <= to)
            .flat_map(|day| lines(day, even))
            .collect();
        simulator.add_events(&all).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let fetch = FetchEvents::days(from, to);
        for (was, other) in [
            (ProjectClock::default(), local("America/New_York")),
            (local("Asia/Tokyo"), ProjectClock::default()),
        ] {
            let path = folder.path().join(format!("{}.duckdb", was.timezone_name().replace('/', "-")));
            let first = with_clock(&simulator, &path, was.clone());
            let rows = first.fetch_events(&fetch).unwrap().total_rows;
            assert_eq!(rows, all.len() as u64);
            first.close();
            forget(&path);
            let wrong = with_clock(&simulator, &path, other.clone());
            for refused in [
                other_part(wrong.fetch_events(&fetch)),
                other_part(wrong.sync(&SyncOptions::default())),
                other_part(wrong.coverage(&other, &SyncOptions::default())),
            ] {
                assert_eq!(refused.0, DefinitionPart::Clock, "even {even}: {}", refused.1);
            }
            assert_eq!(count(&wrong, "SELECT count(*) FROM events"), rows);
            wrong.close();
            // By its own clock it goes on, and says from now on which one that is.
            let right = with_clock(&simulator, &path, was.clone());
            right.coverage(&was, &SyncOptions::default()).unwrap();
            right.fetch_events(&FetchEvents::days(to, to)).unwrap();
            let known = "SELECT concat_ws(' ', project_id, region, clock_mode, timezone) FROM _tables";
            let expected = match was.mode() {
                ClockMode::Utc => "12345 us utc UTC",
                ClockMode::LocalAsUtc => "12345 us local Asia/Tokyo",
            };
            assert_eq!(right.sql_scalar(known).unwrap().to_text(), expected);
            assert_eq!(count(&right, "SELECT count(*) FROM events"), rows);
        }
    }
}

/// Rows that somebody added or deleted are no other clock.
#[test]
fn changed_rows_of_old_files_are_no_reason_to_refuse_them() {
    let simulator = simulator();
    let folder = tempfile::tempdir().unwrap();
    for (at, change) in [
        "DELETE FROM _events WHERE rowid % 7 = 0",
        "INSERT INTO _events (event_name, event_time, distinct_id, insert_id, properties)
         SELECT event_name, event_time, distinct_id, insert_id || 'x', properties FROM _events WHERE rowid % 5 = 0",
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(format!("{at}.duckdb"));
        let first = open(&simulator, &path, |_| {});
        first.fetch_events(&everything(&simulator)).unwrap();
        let whole = fingerprint(first.storage(), "events");
        first.close();
        forget(&path);
        duckdb::Connection::open(&path).unwrap().execute_batch(change).unwrap();
        let again = open(&simulator, &path, |_| {});
        again.fetch_events(&everything(&simulator)).unwrap();
        assert_eq!(fingerprint(again.storage(), "events"), whole, "{change}");
    }
}

/// Records of a caller's own say nothing of where they are from, and change nothing about it.
#[test]
fn records_of_a_callers_own_leave_the_definition_alone() {
    let simulator = simulator();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let workspace = open(&simulator, &path, |_| {});
    workspace.fetch_events(&everything(&simulator)).unwrap();
    let event = crate::support::event("A", "1", "{}");
    let metadata = crate::support::events_metadata();
    workspace.storage().append_events_table("events", vec![event], &metadata, None).unwrap();
    let known = "SELECT concat_ws(' ', project_id, region, clock_mode, timezone) FROM _tables";
    assert_eq!(workspace.sql_scalar(known).unwrap().to_text(), "12345 us utc UTC");
}
