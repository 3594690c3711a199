//! Clocks that are wrong: what is over is not said by this computer alone.

use jiff::civil::Date;
use jiff::{Span, Timestamp, ToSpan};
use mixpanel_client::CancelToken;
use mixpanel_client::time::ProjectClock;
use mixpanel_data::{DayStatus, FetchEvents, StorageEngine, SyncOptions, Value, Workspace};
use mixpanel_sim::{DateHeader, Pace, SimConfig, Simulator};

use crate::fetch::count;
use crate::support::{project, small_world};

/// A simulator whose morning of today is over, and whose answers say what time it is.
fn simulator(date_header: DateHeader) -> Simulator {
    Simulator::start(SimConfig { date_header, pace: Pace::Manual, ..small_world() }).unwrap()
}

fn open(simulator: &Simulator, path: &std::path::Path, now: Timestamp) -> Workspace {
    let project = project(simulator, CancelToken::new());
    Workspace::builder().project(project).now(move || now).open(path).unwrap()
}

fn hours(time: Timestamp, hours: i64) -> Timestamp {
    time.checked_add(Span::new().hours(hours)).unwrap()
}

fn state(workspace: &Workspace, day: Date) -> String {
    let sql = format!("SELECT state FROM _ledger WHERE day = DATE '{day}'");
    workspace.sql_scalar(&sql).unwrap().to_text()
}

fn evening(day: Date, id: &str) -> String {
    let time = jiff::tz::Offset::UTC.to_timestamp(day.at(21, 0, 0, 0)).unwrap().as_second();
    format!(
        "{{\"event\":\"Late\",\"properties\":{{\"time\":{time},\"distinct_id\":\"u\",\"$insert_id\":\"{id}\"}}}}"
    )
}

#[test]
fn a_clock_that_is_ahead_makes_no_day_complete() {
    for days_ahead in [1, 3, 400] {
        let simulator = simulator(DateHeader::Virtual);
        let today = simulator.config().today;
        let first = today.checked_sub(2.days()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.duckdb");
        let right = simulator.now();

        let wrong = open(&simulator, &path, hours(right, 24 * days_ahead));
        let result = wrong.fetch_events(&FetchEvents::days(first, today)).unwrap();
        assert_eq!((result.days_complete, result.days_partial), (2, 1), "{days_ahead} days ahead");
        assert_eq!(state(&wrong, today), "partial");
        let newest = wrong.sql_scalar(
            "SELECT max(fetched_at) <= make_timestamp(?) FROM _ledger"
                .replace('?', &right.as_microsecond().to_string())
                .as_str(),
        );
        assert_eq!(newest.unwrap(), Value::Boolean(true), "the ledger has the server's time");
        wrong.close();

        // The rest of the day happens; then the clock is right again.
        simulator.add_events(&[evening(today, "a"), evening(today, "b")]).unwrap();
        simulator.advance(std::time::Duration::from_secs(24 * 3600));
        let later = open(&simulator, &path, hours(right, 24));
        later.sync(&SyncOptions { to: Some(today), ..SyncOptions::default() }).unwrap();
        assert_eq!(count(&later, "SELECT count(*) FROM events WHERE event_name = 'Late'"), 2, "{days_ahead}");
        assert_eq!(state(&later, today), "complete");
    }
}

/// What older versions wrote with a clock that was ahead.
#[test]
fn days_that_were_fetched_in_the_future_are_asked_for_again() {
    let simulator = simulator(DateHeader::Virtual);
    let today = simulator.config().today;
    let first = today.checked_sub(2.days()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let now = simulator.now();
    let workspace = open(&simulator, &path, now);
    workspace.fetch_events(&FetchEvents::days(first, today)).unwrap();
    workspace.close();
    let ahead = hours(now, 400 * 24).as_microsecond();
    let sql = format!("UPDATE _ledger SET state = 'complete', fetched_at = make_timestamp({ahead})");
    duckdb::Connection::open(&path).unwrap().execute_batch(&sql).unwrap();

    let later = open(&simulator, &path, hours(now, 1));
    let options = SyncOptions::default();
    let coverage = later.coverage(&ProjectClock::default(), &options).unwrap();
    assert_eq!(coverage.count(DayStatus::Partial), 3, "{coverage:?}");
    assert_eq!(later.plan(&ProjectClock::default(), &options).unwrap().days(), 3);
    simulator.advance(std::time::Duration::from_secs(3600));
    later.sync(&options).unwrap();
    let coverage = later.coverage(&ProjectClock::default(), &options).unwrap();
    assert_eq!((coverage.count(DayStatus::Complete), coverage.count(DayStatus::Partial)), (2, 1));
    later.close();

    // A day that was complete before it was over cannot be.
    let early = now.as_microsecond() - 3 * 86_400_000_000;
    let sql = format!("UPDATE _ledger SET state = 'complete', fetched_at = make_timestamp({early})");
    duckdb::Connection::open(&path).unwrap().execute_batch(&sql).unwrap();
    let later = open(&simulator, &path, hours(now, 1));
    let coverage = later.coverage(&ProjectClock::default(), &options).unwrap();
    assert_eq!(coverage.count(DayStatus::Partial), 3, "{coverage:?}");
    later.close();

    // A minute is no future: clocks are set.
    let soon = now.as_microsecond() + 60_000_000;
    let sql = format!("UPDATE _ledger SET state = 'complete', fetched_at = make_timestamp({soon})");
    duckdb::Connection::open(&path).unwrap().execute_batch(&sql).unwrap();
    let later = open(&simulator, &path, now);
    let days = later.coverage(&ProjectClock::default(), &options).unwrap().days;
    assert_eq!(days[0].status, DayStatus::Complete);
}

#[test]
fn days_that_a_plan_lacked_in_the_future_are_asked_for_again() {
    let simulator = simulator(DateHeader::Virtual);
    let now = simulator.now();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let day = simulator.config().today.yesterday().unwrap();
    let workspace = open(&simulator, &path, now);
    workspace.fetch_events(&FetchEvents::days(day, day)).unwrap();
    workspace.close();
    let ahead = hours(now, 400 * 24).as_microsecond();
    let sql = format!("UPDATE _ledger SET state = 'unavailable', fetched_at = make_timestamp({ahead})");
    duckdb::Connection::open(&path).unwrap().execute_batch(&sql).unwrap();
    let workspace = open(&simulator, &path, now);
    let days = workspace.coverage(&ProjectClock::default(), &SyncOptions::default()).unwrap().days;
    assert_eq!(days[0].status, DayStatus::Missing);
}

#[test]
fn without_a_date_from_the_server_the_data_says_what_is_over() {
    let simulator = simulator(DateHeader::Text("soon".into()));
    let today = simulator.config().today;
    let now = simulator.now();
    let folder = tempfile::tempdir().unwrap();
    let ahead = open(&simulator, &folder.path().join("ahead.duckdb"), hours(now, 400 * 24));
    ahead.fetch_events(&FetchEvents::days(today.checked_sub(2.days()).unwrap(), today)).unwrap();
    assert_eq!(state(&ahead, today), "partial");
    assert_eq!(state(&ahead, today.yesterday().unwrap()), "complete");
    // Nothing newer is known: it may not be over.
    let before = today.checked_sub(3.days()).unwrap();
    let alone = open(&simulator, &folder.path().join("alone.duckdb"), hours(now, 400 * 24));
    alone.fetch_events(&FetchEvents::days(before, before)).unwrap();
    assert_eq!(state(&alone, before), "partial");
    alone.fetch_events(&FetchEvents::days(before.tomorrow().unwrap(), today)).unwrap();
    alone.fetch_events(&FetchEvents::days(before, before)).unwrap();
    assert_eq!(state(&alone, before), "complete");
}

#[test]
fn a_clock_that_is_behind_makes_no_day_complete_that_it_does_not_know_to_be_over() {
    let simulator = simulator(DateHeader::Virtual);
    let today = simulator.config().today;
    let folder = tempfile::tempdir().unwrap();
    let behind = open(&simulator, &folder.path().join("data.duckdb"), hours(simulator.now(), -24));
    let yesterday = today.yesterday().unwrap();
    behind.fetch_events(&FetchEvents::days(yesterday, yesterday)).unwrap();
    assert_eq!(state(&behind, yesterday), "partial");
}

#[test]
fn days_that_have_not_begun_for_mixpanel_are_refused_with_both_clocks() {
    let simulator = simulator(DateHeader::Virtual);
    let workspace = Workspace::builder();
    let now = hours(simulator.now(), 48);
    let workspace = workspace
        .project(project(&simulator, CancelToken::new()))
        .now(move || now)
        .storage(StorageEngine::memory().unwrap());
    let from = simulator.world().first_day();
    let error = workspace.sync(&SyncOptions { from: Some(from), ..SyncOptions::default() }).unwrap_err();
    let message = error.to_string();
    let clocks = [now, simulator.now()].map(|time| time.strftime("%F %R UTC").to_string());
    assert!(
        message.contains("this computer's clock says") && clocks.iter().all(|clock| message.contains(clock)),
        "{message}"
    );
}
