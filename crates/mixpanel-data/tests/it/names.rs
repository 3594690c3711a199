//! Names of events and properties: those that say nothing are refused, and those that nothing has
//! are told.

use mixpanel_client::CancelToken;
use mixpanel_client::Tabular;
use mixpanel_client::discovery::{NameSource, UnknownName};
use mixpanel_client::time::ProjectClock;
use mixpanel_data::inspect::{ENGAGEMENT_BUCKETS, LocalScope};
use mixpanel_data::{
    DayStatus, ErrorKind, ExportRequest, FetchEvents, StorageEngine, StreamBuffer, SyncOptions, Workspace,
};
use mixpanel_sim::Simulator;

use crate::support::{now_of, project_with, small_world, workspace};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn all_days(simulator: &Simulator, events: &[&str]) -> FetchEvents {
    // Today is never complete, whatever the names are.
    let last = simulator.config().today.yesterday().unwrap();
    FetchEvents { events: names(events), ..FetchEvents::days(simulator.world().first_day(), last) }
}

fn queries(simulator: &Simulator) -> usize {
    simulator.requests().iter().filter(|request| request.target.contains("events/names")).count()
}

fn told(unknown: &[UnknownName]) -> Vec<String> {
    unknown.iter().map(ToString::to_string).collect()
}

#[test]
fn a_name_that_mixpanel_does_not_list_is_told_and_its_days_are_not_complete() {
    let simulator = Simulator::start(small_world()).unwrap();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    let fetch = all_days(&simulator, &["Purchse"]);
    let fetched = workspace.fetch_events(&fetch).unwrap();
    let expected = ["Mixpanel lists no event `Purchse`; a similar name is `Purchase`"];
    assert_eq!((told(&fetched.unknown_names), fetched.rows), (names(&expected), 0));
    assert_eq!((fetched.days_complete, fetched.days_empty, fetched.days_partial), (0, 0, 11));
    assert_eq!(queries(&simulator), 1, "asked once");

    // A sync does not take the days for known, and says why.
    let last = Some(fetch.to);
    let options = SyncOptions { to: last, ..SyncOptions::default() };
    let coverage = workspace.coverage(&ProjectClock::default(), &options).unwrap();
    assert_eq!(coverage.count(DayStatus::Partial), 11);
    let synced = workspace.sync(&options).unwrap();
    assert_eq!(told(&synced.unknown_names), expected);
    assert!(synced.requests > 0);
}

#[test]
fn of_several_names_the_wrong_one_is_told() {
    let simulator = Simulator::start(small_world()).unwrap();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    let fetched = workspace.fetch_events(&all_days(&simulator, &["Purchase", "Serach"])).unwrap();
    assert_eq!(
        told(&fetched.unknown_names),
        ["Mixpanel lists no event `Serach`; a similar name is `Search`"]
    );
    assert!(fetched.rows > 0 && fetched.days_complete > 0 && fetched.days_partial == 0);
    // Everything is here, and it is told all the same.
    let options = SyncOptions { to: fetched.to_date, ..SyncOptions::default() };
    let synced = workspace.sync(&options).unwrap();
    assert_eq!((synced.requests, told(&synced.unknown_names).len()), (0, 1));
}

#[test]
fn a_name_that_is_right_costs_no_query_and_has_empty_days() {
    let simulator = Simulator::start(small_world()).unwrap();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    let fetched = workspace.fetch_events(&all_days(&simulator, &["Purchase"])).unwrap();
    assert!(fetched.rows > 0 && fetched.unknown_names.is_empty());
    assert_eq!(queries(&simulator), 0);
    // Nothing fulfils the condition; the event is known from the table that has it.
    let nothing = FetchEvents {
        table: "nothing".into(),
        filter: Some(r#"properties["plan"] == "no such plan""#.into()),
        ..all_days(&simulator, &["Purchase"])
    };
    let fetched = workspace.fetch_events(&nothing).unwrap();
    assert_eq!((fetched.rows, fetched.days_empty, fetched.days_partial), (0, 11, 0));
    assert!(fetched.unknown_names.is_empty());
    assert_eq!(queries(&simulator), 0);
}

#[test]
fn what_could_not_be_checked_is_told_too() {
    let simulator = Simulator::start(small_world()).unwrap();
    // Somebody who may export, and not query.
    let project = project_with(&simulator, CancelToken::new(), |options| {
        options.base_urls.query = "http://127.0.0.1:9".into();
    });
    let now = now_of(&simulator);
    let workspace =
        Workspace::builder().project(project).now(move || now).storage(StorageEngine::memory().unwrap());
    let fetched = workspace.fetch_events(&all_days(&simulator, &["Purchse"])).unwrap();
    assert_eq!(fetched.unknown_names[0].unknown_to, NameSource::Nobody);
    assert_eq!(
        told(&fetched.unknown_names),
        ["no event `Purchse` came, and whether there is one could not be checked"]
    );
}

#[test]
fn names_and_filters_that_say_nothing_are_refused_before_anything_is_sent() {
    let simulator = Simulator::start(small_world()).unwrap();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    let refused = |error: mixpanel_data::Error| {
        assert!(matches!(error.kind(), ErrorKind::InvalidArgument { .. }), "{error}");
        assert!(error.to_string().contains("empty"), "{error}");
    };
    for blank in ["", "  "] {
        let named = all_days(&simulator, &["Purchase", blank]);
        let filtered = FetchEvents { filter: Some(blank.into()), ..all_days(&simulator, &[]) };
        for fetch in [named, filtered] {
            refused(workspace.fetch_events(&fetch).unwrap_err());
            let request = ExportRequest {
                events: fetch.events.clone(),
                where_: fetch.filter.clone(),
                ..ExportRequest::days(fetch.from, fetch.to)
            };
            refused(workspace.stream_events(&request, &StreamBuffer::Usual).unwrap_err());
            let options = SyncOptions {
                from: Some(fetch.from),
                events: fetch.events,
                filter: fetch.filter,
                ..SyncOptions::default()
            };
            refused(workspace.sync(&options).unwrap_err());
        }
    }
    assert!(simulator.requests().is_empty());
    assert!(workspace.tables().unwrap().is_empty());
}

#[test]
fn streams_tell_names_that_did_not_come() {
    let simulator = Simulator::start(small_world()).unwrap();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    let days = all_days(&simulator, &["Purchase", "Serach"]);
    let request = ExportRequest { events: days.events, ..ExportRequest::days(days.from, days.to) };
    let mut stream = workspace.stream_events(&request, &StreamBuffer::Usual).unwrap();
    assert!(stream.by_ref().all(|batch| batch.is_ok()) && stream.counts().rows > 0);
    let unknown = stream.unknown_names();
    assert_eq!(told(&unknown), ["Mixpanel lists no event `Serach`; a similar name is `Search`"]);
}

#[test]
fn local_questions_tell_names_that_the_table_does_not_have() {
    let simulator = Simulator::start(small_world()).unwrap();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    workspace.fetch_events(&all_days(&simulator, &[])).unwrap();
    let scope = LocalScope::default();
    let event = "the table has no event `Purchse`; a similar name is `Purchase`".to_owned();
    let property = "the table has no property `plna`; similar names are `plan`, `Plan`".to_owned();

    let answer = workspace.property_distribution(&scope, "Purchse", "plna", 5).unwrap();
    assert_eq!(told(answer.unknown_names()), [event.clone(), property.clone()]);
    let answer = workspace.numeric_summary(&scope, "Purchse", "plna", &[50]).unwrap();
    assert_eq!(told(answer.unknown_names()), [event.clone(), property.clone()]);
    let answer = workspace.daily_counts(&scope, Some(&["Purchase", "Purchse"])).unwrap();
    assert_eq!(told(answer.unknown_names()), std::slice::from_ref(&event));
    let answer =
        workspace.engagement_distribution(&scope, Some(&["Purchse", "Search"]), &ENGAGEMENT_BUCKETS).unwrap();
    assert_eq!(told(answer.unknown_names()), std::slice::from_ref(&event));
    let answer = workspace.property_coverage(&scope, "Purchase", &["plan", "plna"]).unwrap();
    assert_eq!(told(answer.unknown_names()), std::slice::from_ref(&property));
    // The words are in what programs get, and only there where there is something to tell.
    let json = serde_json::to_value(&answer).unwrap();
    assert_eq!(json["unknown_names"][0]["similar"], serde_json::json!(["plan", "Plan"]));
    let known = workspace.property_coverage(&scope, "Purchase", &["plan"]).unwrap();
    assert_eq!(serde_json::to_value(&known).unwrap().get("unknown_names"), None);

    let error = workspace.property_keys("events", Some("Purchse")).unwrap_err();
    assert!(error.to_string().contains(&event), "{error}");
    for refused in [
        workspace.daily_counts(&scope, Some(&["Purchase", ""])).map(drop),
        workspace.property_coverage(&scope, "Purchase", &[" "]).map(drop),
    ] {
        assert!(matches!(refused.unwrap_err().kind(), ErrorKind::InvalidArgument { .. }));
    }
}
