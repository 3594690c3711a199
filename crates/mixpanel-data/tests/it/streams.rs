//! Streams without storage: what comes out, and what does not come twice.

use std::collections::BTreeMap;

use mixpanel_client::{CancelToken, ErrorKind as Api};
use mixpanel_data::{
    EngageRequest, Error, ErrorKind, ExportRequest, RowStream, Shape, StorageEngine, StreamBuffer, Workspace,
};
use mixpanel_sim::{Fault, SimConfig, Simulator};

use crate::profiles::crowd;
use crate::support::{everything_below, sequence, small_world, workspace};

fn in_memory(simulator: &Simulator) -> Workspace {
    workspace(simulator, StorageEngine::memory().unwrap())
}

fn all_days(simulator: &Simulator) -> ExportRequest {
    ExportRequest::days(simulator.world().first_day(), simulator.config().today)
}

/// All lines, or the error and the lines before it.
fn read(stream: RowStream, shape: Shape) -> (Vec<String>, Option<Error>) {
    let mut lines = Vec::new();
    for batch in stream {
        match batch {
            Ok(batch) => lines.extend(batch.json(shape)),
            Err(error) => return (lines, Some(error)),
        }
    }
    (lines, None)
}

fn counted(lines: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    lines.iter().for_each(|line| *counts.entry(line.as_str()).or_default() += 1);
    counts
}

fn events(
    workspace: &Workspace,
    request: &ExportRequest,
    buffer: &StreamBuffer,
) -> (Vec<String>, Option<Error>) {
    read(workspace.stream_events(request, buffer).unwrap(), Shape::Raw)
}

#[test]
fn records_are_what_a_fetch_stores() {
    let simulator = Simulator::start(small_world()).unwrap();
    let workspace = in_memory(&simulator);
    let request = all_days(&simulator);
    let (records, error) =
        read(workspace.stream_events(&request, &StreamBuffer::Usual).unwrap(), Shape::Record);
    assert!(error.is_none());
    workspace.fetch_events(&mixpanel_data::FetchEvents::days(request.from, request.to)).unwrap();
    let stored = workspace
        .sql_rows("SELECT event_name, epoch_us(event_time), distinct_id, insert_id, CAST(properties AS VARCHAR) FROM events")
        .unwrap();
    let stored: std::collections::BTreeSet<String> = stored
        .rows
        .iter()
        .map(|row| {
            let time = jiff::Timestamp::from_microsecond(row[1].as_i64().unwrap()).unwrap();
            let time = jiff::tz::Offset::UTC.to_datetime(time);
            let texts = [0, 2, 3].map(|at| serde_json::Value::from(row[at].to_text()).to_string());
            let [name, user, id] = texts;
            let properties = row[4].to_text();
            format!(
                r#"{{"event_name":{name},"event_time":"{time}","distinct_id":{user},"insert_id":{id},"properties":{properties}}}"#
            )
        })
        .collect();
    // The stream has an export's repeats too.
    let streamed: std::collections::BTreeSet<String> = records.into_iter().collect();
    assert!(stored.is_subset(&streamed));
    assert!(stored.len() > 3_000);
}

/// 100 downloads are cut at random places; each time the stream is whole, and has no row twice.
#[test]
fn a_stream_that_is_cut_at_100_places_is_the_clean_export() {
    let simulator = Simulator::start(SimConfig { days: 5, ..small_world() }).unwrap();
    let workspace = in_memory(&simulator);
    let request = all_days(&simulator);
    let clean = events(&workspace, &request, &StreamBuffer::Usual);
    assert!(clean.1.is_none() && clean.0.len() > 1_000);
    let mut random = sequence();
    let mut next = move || (random() % 10_000) as f64 / 10_000.0;
    let (mut duplicates, mut missing, mut cuts) = (0, 0, 0);
    while cuts < 100 {
        // Several in one run, some of them in a row.
        for _ in 0..4 {
            let fault = Fault::CutConnection { fraction: next() };
            simulator.fault(fault.after((next() * 2.0) as u32));
            cuts += 1;
        }
        let (lines, error) = events(&workspace, &request, &StreamBuffer::Usual);
        assert!(error.is_none(), "{error:?}");
        let (expected, got) = (counted(&clean.0), counted(&lines));
        for (line, count) in &expected {
            missing += count.saturating_sub(got.get(line).copied().unwrap_or(0));
        }
        for (line, count) in &got {
            duplicates += count.saturating_sub(expected.get(line).copied().unwrap_or(0));
        }
        assert_eq!(lines, clean.0, "the order is the same, too");
    }
    let broken = simulator.requests().len();
    println!("{cuts} cuts over {broken} requests: {duplicates} duplicates, {missing} missing rows");
    assert_eq!((duplicates, missing), (0, 0));
}

#[test]
fn an_unbuffered_stream_hands_rows_out_at_once_and_fails_loudly() {
    let simulator = Simulator::start(SimConfig { days: 3, events_per_day: 20_000, ..small_world() }).unwrap();
    let workspace = in_memory(&simulator);
    let request = all_days(&simulator);
    let (clean, error) = events(&workspace, &request, &StreamBuffer::Unbuffered);
    assert!(error.is_none());
    assert_eq!(clean, events(&workspace, &request, &StreamBuffer::Usual).0);
    simulator.fault(Fault::CutConnection { fraction: 0.8 });
    let (lines, error) = events(&workspace, &request, &StreamBuffer::Unbuffered);
    let error = error.expect("the cut is told");
    assert!(matches!(error.api().unwrap().kind(), Api::Truncated { .. }), "{error:?}");
    assert!(!lines.is_empty() && lines.len() < clean.len());
    assert_eq!(lines, clean[..lines.len()]);
}

#[test]
fn memory_only_writes_no_file_and_says_when_it_is_too_little() {
    let simulator = Simulator::start(SimConfig { days: 4, events_per_day: 1_500, ..small_world() }).unwrap();
    let workspace = in_memory(&simulator);
    let request = all_days(&simulator);
    let clean = events(&workspace, &request, &StreamBuffer::Usual).0;
    // A day fits, all four do not.
    let (lines, error) = events(&workspace, &request, &StreamBuffer::Memory(500_000));
    assert!(error.is_none(), "{error:?}");
    assert_eq!(lines, clean);
    let (lines, error) = events(&workspace, &request, &StreamBuffer::Memory(1_000));
    let error = error.expect("nothing fits");
    assert!(lines.is_empty());
    assert!(matches!(error.api().unwrap().kind(), Api::BufferFull { limit: 1_000 }), "{error:?}");
}

#[test]
fn what_spills_leaves_nothing_behind() {
    let simulator = Simulator::start(SimConfig { days: 3, ..small_world() }).unwrap();
    let client = crate::support::project(&simulator, CancelToken::new()).client;
    let folder = tempfile::tempdir().unwrap();
    let request = all_days(&simulator);
    let read = |bytes: usize| {
        let buffer = mixpanel_client::stream::Buffer::Spill { bytes, folder: folder.path().to_owned() };
        let options = mixpanel_client::stream::StreamOptions::new(buffer);
        let stream = client.stream_events(&request, options).unwrap();
        let lines: Vec<u8> = stream
            .flat_map(|batch| {
                assert!(everything_below(folder.path()).is_empty());
                batch.unwrap().json_lines(Shape::Raw)
            })
            .collect();
        lines
    };
    assert!(read(1) == read(1 << 30));
}

#[test]
fn filters_and_limits_reach_the_export() {
    let simulator = Simulator::start(small_world()).unwrap();
    let workspace = in_memory(&simulator);
    let purchases = ExportRequest { events: vec!["Purchase".into()], limit: Some(7), ..all_days(&simulator) };
    let (lines, error) = events(&workspace, &purchases, &StreamBuffer::Usual);
    assert!(error.is_none());
    assert_eq!(lines.len(), 7);
    assert!(lines.iter().all(|line| line.contains(r#""event":"Purchase""#)));
    let future = ExportRequest { to: simulator.config().today.tomorrow().unwrap(), ..all_days(&simulator) };
    let error = workspace.stream_events(&future, &StreamBuffer::Usual).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidArgument { argument: "dates", .. }));
}

#[test]
fn an_answer_that_is_no_export_is_an_error() {
    let simulator = Simulator::start(SimConfig { days: 1, ..small_world() }).unwrap();
    let workspace = in_memory(&simulator);
    simulator.fault(Fault::ReplaceBody("please log in\n".into()));
    let (lines, error) = events(&workspace, &all_days(&simulator), &StreamBuffer::Usual);
    assert!(lines.is_empty());
    assert!(matches!(error.unwrap().api().unwrap().kind(), Api::NotExport { .. }));
}

#[test]
fn profiles_come_once_though_their_session_expires() {
    let simulator = Simulator::start(crowd(2_500)).unwrap();
    let workspace = in_memory(&simulator);
    let read = |buffer: &StreamBuffer, shape| {
        read(workspace.stream_profiles(&EngageRequest::default(), buffer).unwrap(), shape)
    };
    let (clean, error) = read(&StreamBuffer::Usual, Shape::Raw);
    assert!(error.is_none());
    assert_eq!(clean.len(), 2_500);
    assert!(clean[0].starts_with(r#"{"$distinct_id":"#));
    let (records, _) = read(&StreamBuffer::Usual, Shape::Record);
    assert!(records[0].starts_with(r#"{"distinct_id":""#) && records[0].contains(r#","last_seen":"#));

    let gone = || Fault::status(400).on_endpoint("engage").after(2);
    simulator.fault(gone());
    let (lines, error) = read(&StreamBuffer::Usual, Shape::Raw);
    assert!(error.is_none());
    assert_eq!(lines, clean);
    simulator.fault(gone());
    let (lines, error) = read(&StreamBuffer::Unbuffered, Shape::Raw);
    assert!(matches!(error.unwrap().api().unwrap().kind(), Api::SessionExpired { .. }));
    assert!((1_000..2_500).contains(&lines.len()));
    assert_eq!(lines, clean[..lines.len()]);
}
