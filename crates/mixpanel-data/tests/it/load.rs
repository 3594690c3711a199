//! Files that people have already: the same rows as by a fetch, once, and said to be from files.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::civil::date;
use mixpanel_client::time::{ClockMode, ProjectClock};
use mixpanel_client::{CancelToken, export::ExportRequest};
use mixpanel_data::{
    CsvColumns, DayStatus, ErrorKind, FetchEvents, Load, LoadFormat, LoadInput, LoadResult, OnReject, Shape,
    StorageEngine, StreamBuffer, SyncOptions, Value, Workspace,
};
use mixpanel_sim::Simulator;

use crate::support::*;

fn load(workspace: &Workspace, file: &Path) -> LoadResult {
    workspace.load(&Load::default(), vec![LoadInput::path(file)]).unwrap()
}

fn workspace() -> Workspace {
    let now = at("2024-06-01T12:00:00Z");
    Workspace::builder().now(move || now).storage(StorageEngine::memory().unwrap())
}

fn reader(text: impl Into<Vec<u8>>) -> LoadInput {
    LoadInput::Reader { name: "stream".into(), reader: Box::new(std::io::Cursor::new(text.into())) }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// An event of an export. Midnight of 2024-01-01 is second 1,704,067,200.
fn line(name: &str, time: u64, id: &str, rest: &str) -> String {
    format!(
        r#"{{"event":"{name}","properties":{{"time":{time},"distinct_id":"u","$insert_id":"{id}"{rest}}}}}"#
    )
}

const MIDNIGHT: u64 = 1_704_067_200;

/// A raw export of some days, as a user would have kept it.
fn export(workspace: &Workspace, from: jiff::civil::Date, to: jiff::civil::Date, shape: Shape) -> Vec<u8> {
    let request = ExportRequest { time_in_ms: true, ..ExportRequest::days(from, to) };
    let mut lines = Vec::new();
    for batch in workspace.stream_events(&request, &StreamBuffer::Usual).unwrap() {
        for line in batch.unwrap().json(shape) {
            lines.extend(format!("{line}\n").into_bytes());
        }
    }
    lines
}

/// What the ledger says of a table's days: day, state, rows, filters.
fn ledger(storage: &StorageEngine) -> Vec<(String, String, i64, String)> {
    let sql = "SELECT day, state, row_count, filters FROM _ledger ORDER BY day, filters";
    let rows = storage.execute_rows(sql, &[]).unwrap().rows;
    let row =
        |row: &Vec<Value>| (row[0].to_text(), row[1].to_text(), row[2].as_i64().unwrap(), row[3].to_text());
    rows.iter().map(row).collect()
}

fn count(storage: &StorageEngine, sql: &str) -> i64 {
    storage.execute_scalar(sql).unwrap().as_i64().unwrap()
}

#[test]
fn every_kind_of_file_gives_the_rows_of_a_fetch() {
    let simulator = Simulator::start(small_world()).unwrap();
    let world = simulator.world();
    let (from, to) = (world.first_day(), world.last_day());
    let fetched = crate::support::workspace(&simulator, StorageEngine::memory().unwrap());
    fetched.fetch_events(&FetchEvents::days(from, to)).unwrap();
    let expected = fingerprint(fetched.storage(), "events");

    let raw = export(&fetched, from, to, Shape::Raw);
    let records = export(&fetched, from, to, Shape::Record);
    let lines: Vec<&[u8]> = raw.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let array = [b"[\n".as_slice(), &lines.join(&b",\n"[..]), b"\n]"].concat();
    let half = lines.len() / 2;
    let members = [lines[..half].join(&b'\n'), lines[half..].join(&b'\n')];
    let members = [gzip(&[&members[0][..], b"\n"].concat()), gzip(&members[1])].concat();
    // In no order at all.
    let mut shuffled = lines.clone();
    let mut next = sequence();
    for at in (1..shuffled.len()).rev() {
        shuffled.swap(at, next() as usize % (at + 1));
    }
    let folder = tempfile::tempdir().unwrap();
    let files: [(&str, Vec<u8>); 6] = [
        ("export.jsonl", raw.clone()),
        ("export.json", array),
        ("export.jsonl.gz", members),
        ("shuffled.ndjson", shuffled.join(&b'\n')),
        ("records.jsonl", records),
        ("pipeline.json.gz", gzip(&pipeline(&lines))),
    ];
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let workspace = workspace();
        let result = load(&workspace, &path);
        assert_eq!(result.lines, result.rows + result.duplicates + result.rejects, "{name}");
        assert_eq!((result.from_date, result.to_date, result.rejects), (Some(from), Some(to), 0), "{name}");
        if name.starts_with("pipeline") {
            // Its properties are put together in another order.
            assert_eq!(count(workspace.storage(), "SELECT count(*) FROM events"), expected.0, "{name}");
        } else {
            assert_eq!(fingerprint(workspace.storage(), "events"), expected, "{name}");
        }
        let again = load(&workspace, &path);
        assert_eq!((again.rows, again.duplicates), (0, result.lines), "{name}");
        let verified = workspace.storage().verify(&ProjectClock::default(), Default::default()).unwrap();
        assert!(verified[0].is_good(), "{name}: {verified:?}");
    }
}

/// The same events as Mixpanel's JSON pipelines write them.
fn pipeline(lines: &[&[u8]]) -> Vec<u8> {
    let mut text = Vec::new();
    for line in lines {
        let event: serde_json::Value = serde_json::from_slice(line).unwrap();
        let mut properties = event["properties"].as_object().unwrap().clone();
        let mut take = |name: &str| properties.shift_remove(name).unwrap_or_default();
        let (time, id, insert) = (take("time"), take("distinct_id"), take("$insert_id"));
        let record = serde_json::json!({
            "device_id": null, "distinct_id": id, "event_name": event["event"], "insert_id": insert,
            "properties": properties, "time": time, "user_id": null,
        });
        serde_json::to_writer(&mut text, &record).unwrap();
        text.push(b'\n');
    }
    text
}

#[test]
fn a_loaded_day_says_where_it_is_from_and_a_fetch_takes_its_place() {
    let simulator = Simulator::start(small_world()).unwrap();
    let world = simulator.world();
    let (first, second) = (world.first_day(), world.first_day().tomorrow().unwrap());
    let workspace = crate::support::workspace(&simulator, StorageEngine::memory().unwrap());
    let mut file = export(&workspace, first, second, Shape::Raw);
    let stray = start(first) + 60;
    file.extend(format!("{}\n", line("not Mixpanel's", stray, "x", "")).bytes());
    let result = workspace.load(&Load::default(), vec![reader(file)]).unwrap();
    assert_eq!(result.rows_in_fetched_days, 0);
    let storage = workspace.storage();
    let known = ledger(storage);
    assert_eq!(known.len(), 2);
    assert!(known.iter().all(|(_, state, rows, filters)| {
        state == "loaded" && *rows > 0 && filters == "loaded from stream"
    }));
    let options = SyncOptions { from: Some(first), to: Some(second), ..SyncOptions::default() };
    let clock = ProjectClock::default();
    let coverage = workspace.coverage(&clock, &options).unwrap();
    assert_eq!(coverage.ranges(DayStatus::Loaded), [(first, second)]);
    // From its first day, although nothing was ever asked for.
    let whole = workspace.coverage(&clock, &SyncOptions { from: None, ..options.clone() }).unwrap();
    assert_eq!(whole.from, first);

    // A sync leaves such days as they are, and says so.
    let synced = workspace.sync(&options).unwrap();
    assert_eq!((synced.requests, synced.days_loaded), (0, 2));
    // Which day it is to begin with, nobody knows.
    let error = workspace.sync(&SyncOptions::default()).unwrap_err();
    assert!(error.to_string().contains("are from files"), "{error}");

    let fetched = workspace.fetch_events(&FetchEvents::days(first, first)).unwrap();
    assert_eq!(fetched.chunks[0].loaded_replaced, known[0].2 as u64);
    assert_eq!(count(storage, "SELECT count(*) FROM events WHERE event_name = 'not Mixpanel''s'"), 0);
    let states: Vec<String> = ledger(storage).into_iter().map(|(_, state, ..)| state).collect();
    assert_eq!(states, ["complete", "loaded"]);
    let synced = workspace.sync(&SyncOptions { refetch_loaded: true, ..options }).unwrap();
    assert_eq!((synced.requests, synced.days_loaded), (1, 0));
    let states: Vec<String> = ledger(storage).into_iter().map(|(_, state, ..)| state).collect();
    assert_eq!(states, ["complete", "complete"]);

    let plain = crate::support::workspace(&simulator, StorageEngine::memory().unwrap());
    plain.fetch_events(&FetchEvents::days(first, second)).unwrap();
    assert_eq!(fingerprint(storage, "events"), fingerprint(plain.storage(), "events"));
}

fn start(day: jiff::civil::Date) -> u64 {
    let midnight = jiff::tz::Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).unwrap();
    midnight.as_second().unsigned_abs()
}

#[test]
fn files_do_not_double_what_was_fetched_and_what_they_add_is_told() {
    let simulator = Simulator::start(small_world()).unwrap();
    let day = simulator.world().first_day();
    let workspace = crate::support::workspace(&simulator, StorageEngine::memory().unwrap());
    workspace.fetch_events(&FetchEvents::days(day, day)).unwrap();
    let storage = workspace.storage();
    let before = fingerprint(storage, "events");
    let mut file = export(&workspace, day, day, Shape::Raw);
    let result = workspace.load(&Load::default(), vec![reader(file.clone())]).unwrap();
    assert_eq!((result.rows, result.rows_in_fetched_days), (0, 0));
    assert_eq!(fingerprint(storage, "events"), before);
    // In whole seconds, the same events are no others.
    let seconds = String::from_utf8(file.clone()).unwrap();
    let seconds: Vec<String> = seconds.lines().map(in_seconds).collect();
    let result = workspace.load(&Load::default(), vec![reader(seconds.join("\n"))]).unwrap();
    assert_eq!(result.rows, 0);
    assert_eq!(fingerprint(storage, "events"), before);

    file.extend(format!("{}\n", line("late", start(day) + 1, "late", "")).bytes());
    let result = workspace.load(&Load::default(), vec![reader(file)]).unwrap();
    assert_eq!((result.rows, result.rows_in_fetched_days), (1, 1));
    assert_eq!(count(storage, "SELECT count(*) FROM events"), before.0 + 1);
    let coverage = workspace
        .coverage(&ProjectClock::default(), &SyncOptions { to: Some(day), ..SyncOptions::default() })
        .unwrap();
    assert_eq!((coverage.days[0].status, coverage.days[0].rows), (DayStatus::Complete, before.0 as u64 + 1));
}

/// The same line with its time in whole seconds.
fn in_seconds(line: &str) -> String {
    let mut event: serde_json::Value = serde_json::from_str(line).unwrap();
    let time = event["properties"]["time"].as_u64().unwrap();
    event["properties"]["time"] = (time / 1000).into();
    event.to_string()
}

#[test]
fn events_without_an_insert_id_are_as_many_as_in_the_file_however_often_it_is_loaded() {
    let bare = r#"{"event":"a","properties":{"time":1704067200,"distinct_id":"u","n":1}}"#;
    let file = format!("{bare}\n{bare}\n{bare}\n{}", line("b", MIDNIGHT, "1", ""));
    let workspace = workspace();
    for (rows, there) in [(4, 4), (0, 4)] {
        let result = workspace.load(&Load::default(), vec![reader(file.clone())]).unwrap();
        assert_eq!((result.rows, result.total_rows), (rows, there));
    }
    // A file with fewer of them brings none, one with more brings the others.
    let more = format!("{bare}\n{bare}\n{bare}\n{bare}\n");
    for (file, there) in [(format!("{bare}\n"), 4), (more, 5)] {
        assert_eq!(workspace.load(&Load::default(), vec![reader(file)]).unwrap().total_rows, there);
    }
}

#[test]
fn what_is_cut_or_damaged_is_refused_as_a_whole_and_the_line_is_named() {
    let good = [line("a", MIDNIGHT, "1", ""), line("a", MIDNIGHT, "2", ""), line("a", MIDNIGHT, "3", "")];
    let text = good.join("\n");
    let packed = gzip(text.as_bytes());
    let two = [gzip(format!("{text}\n").as_bytes()), packed[..packed.len() - 1].to_vec()].concat();
    let mut flipped = packed.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 1;
    for (file, at, words) in [
        (text.as_bytes()[..text.len() - 5].to_vec(), Some(3), "stops in the middle of this line"),
        (packed[..packed.len() - 9].to_vec(), None, "gzip data stops before the end"),
        (two, None, "gzip data stops before the end"),
        (flipped, None, "damaged"),
        (format!("{text}\nterminated early\n").into_bytes(), Some(4), "terminated early"),
        (format!("{text}\n{{\"error\": \"too many\"}}\n").into_bytes(), Some(4), "too many"),
        (format!("[{}", good.join(",\n")).into_bytes(), Some(3), "before the end of its array"),
        (b"{\"event\":1,\"properties\":{}}\n".to_vec(), Some(1), "not one event"),
        (b"a,b\n1,2\n".to_vec(), Some(1), "no column for the event's name"),
    ] {
        let workspace = workspace();
        let error = workspace.load(&Load::default(), vec![reader(file)]).unwrap_err();
        let ErrorKind::NotLoadable { file, line, why } = error.kind() else { panic!("{error}") };
        assert_eq!((file.as_str(), *line), ("stream", at), "{why}");
        assert!(why.contains(words), "{why}");
        assert!(!workspace.storage().table_exists("events").unwrap(), "{why}");
    }
}

#[test]
fn cut_at_every_byte_a_file_is_refused_or_whole_lines_of_it() {
    let lines = [line("a", MIDNIGHT, "1", ""), line("b", MIDNIGHT, "2", r#","x":{"y":[1]}"#)];
    let text = format!("{}\n", lines.join("\n"));
    for end in 1..text.len() {
        let workspace = workspace();
        let stored = workspace.load(&Load::default(), vec![reader(&text.as_bytes()[..end])]);
        let whole = [lines[0].len(), lines[0].len() + 1, text.len() - 1];
        match stored {
            Ok(result) => assert!(whole.contains(&end) && result.rejects == 0, "{end}: {result:?}"),
            Err(error) => assert!(
                !whole.contains(&end) && matches!(error.kind(), ErrorKind::NotLoadable { .. }),
                "{end}: {error}"
            ),
        }
    }
}

#[test]
fn a_file_that_is_none_of_events_is_told_before_anything_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let good = write("1.jsonl", &line("a", MIDNIGHT, "1", ""));
    let bad = write("2.jsonl", "{\"$distinct_id\":\"u\",\"$properties\":{}}\n");
    let workspace = workspace();
    let both = || vec![LoadInput::path(&good), LoadInput::path(&bad)];
    let error = workspace.load(&Load::default(), both()).unwrap_err();
    assert!(
        error.to_string().contains("2.jsonl cannot be loaded: line 1: the object is a profile"),
        "{error}"
    );
    assert!(!workspace.storage().table_exists("events").unwrap());
    // A folder is its files in order; an empty one among them is no mistake.
    write("2.jsonl", "");
    write("notes.txt", "hello");
    let result = workspace.load(&Load::default(), vec![LoadInput::path(folder.path())]).unwrap();
    let name = |file: &str| file.rsplit('/').next().unwrap().to_owned();
    let files: Vec<(String, u64)> = result.files.iter().map(|file| (name(&file.file), file.rows)).collect();
    assert_eq!(files, [("1.jsonl".to_owned(), 1), ("2.jsonl".to_owned(), 0)]);
    // What a later file lacks costs the earlier ones nothing.
    write("2.jsonl", &format!("{}\n{{", line("a", MIDNIGHT, "2", "")));
    let error = workspace.load(&Load::default(), vec![LoadInput::path(folder.path())]).unwrap_err();
    assert!(error.to_string().contains("2.jsonl cannot be loaded: line 2"), "{error}");
    assert_eq!(count(workspace.storage(), "SELECT count(*) FROM events"), 1);
    let missing = workspace.load(&Load::default(), vec![LoadInput::path(folder.path().join("no"))]);
    assert!(matches!(missing.unwrap_err().kind(), ErrorKind::FileNotFound { .. }));
}

#[test]
fn lines_that_are_no_events_go_to_quarantine_once() {
    let file = format!("{}\n{{\"event\":\"a\"}}\nnonsense\n", line("a", MIDNIGHT, "1", ""));
    let workspace = workspace();
    let storage = workspace.storage();
    for _ in 0..2 {
        let result = workspace.load(&Load::default(), vec![reader(file.clone())]).unwrap();
        assert_eq!(result.rejects, 2);
        let rows =
            storage.execute_rows("SELECT chunk, line, reason FROM _quarantine ORDER BY line", &[]).unwrap();
        let found: Vec<String> = rows
            .rows
            .iter()
            .map(|row| row.iter().map(Value::to_text).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(found, ["stream 2 no_properties", "stream 3 not_json"]);
    }
    // Another stream is another one, whatever it is called; two files of one name are two.
    workspace
        .load(
            &Load::default(),
            vec![reader("{\"event\":\"a\"}\n".to_owned() + &line("a", MIDNIGHT, "2", ""))],
        )
        .unwrap();
    assert_eq!(count(storage, "SELECT count(*) FROM _quarantine"), 3);
    let folder = tempfile::tempdir().unwrap();
    for name in ["one", "two"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("x.jsonl"), &file).unwrap();
    }
    for _ in 0..2 {
        workspace.load(&Load::default(), vec![LoadInput::path(folder.path())]).unwrap();
        assert_eq!(count(storage, "SELECT count(*) FROM _quarantine"), 7);
    }
    // A file that was mended has none any more.
    fs::write(folder.path().join("one/x.jsonl"), line("a", MIDNIGHT, "1", "")).unwrap();
    load(&workspace, &folder.path().join("one/x.jsonl"));
    assert_eq!(count(storage, "SELECT count(*) FROM _quarantine"), 5);
    let strict = Load { on_reject: OnReject::Fail, table: "strict".into(), ..Load::default() };
    let error = workspace.load(&strict, vec![reader(file)]).unwrap_err();
    assert!(error.to_string().contains("line 2 of stream"), "{error}");
    assert!(!storage.table_exists("strict").unwrap());
}

#[test]
fn csv_becomes_events_with_typed_properties() {
    let file = "when;who;order;amount;zip\n2024-01-01 01:30:00;u1;o1;12.50;02139\n2024-01-02;u2;o2;3;10115\n\
                soon;u3;o3;1;1\n";
    let columns = CsvColumns {
        event_name: Some("Order".into()),
        time: Some("when".into()),
        time_zone: Some("Europe/Berlin".into()),
        distinct_id: Some("who".into()),
        insert_id: Some("order".into()),
        ..CsvColumns::default()
    };
    let workspace = workspace();
    let wanted = Load { columns, ..Load::default() };
    let result = workspace.load(&wanted, vec![reader(file)]).unwrap();
    assert_eq!((result.rows, result.rejects), (2, 1));
    assert!(result.files[0].recognised.starts_with("CSV: event is \"Order\", time \"when\""), "{result:?}");
    let sql = "SELECT event_time, distinct_id, insert_id, amount, zip FROM events_flat ORDER BY 1";
    let rows = workspace.sql_rows(sql).unwrap();
    let rows: Vec<String> =
        rows.rows.iter().map(|row| row.iter().map(Value::to_text).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(rows, ["2024-01-01 00:30:00 u1 o1 12.5 02139", "2024-01-01 23:00:00 u2 o2 3.0 10115"]);
    let preview = Workspace::recognise(&wanted, vec![reader(file)]).unwrap();
    assert_eq!(preview[0].format, Some(LoadFormat::Csv));
    assert_eq!((preview[0].events.len(), preview[0].rejects.len()), (2, 1));
}

#[test]
fn a_table_keeps_its_clock() {
    let local = ProjectClock::new("America/New_York", ClockMode::LocalAsUtc).unwrap();
    let workspace = workspace();
    let file = line("a", MIDNIGHT, "1", "");
    let as_local = Load { clock: Some(local.clone()), ..Load::default() };
    workspace.load(&as_local, vec![reader(file.clone())]).unwrap();
    // Midnight there is five o'clock in UTC, on the day that the export counts it by.
    let time = workspace.sql_scalar("SELECT event_time FROM events").unwrap();
    assert_eq!(time.to_text(), "2024-01-01 05:00:00");
    assert_eq!(ledger(workspace.storage())[0].0, "2024-01-01");
    // Unless told, times mean what the table's mean.
    assert_eq!(workspace.load(&Load::default(), vec![reader(file.clone())]).unwrap().rows, 0);
    let utc = Load { clock: Some(ProjectClock::default()), ..Load::default() };
    let error = workspace.load(&utc, vec![reader(file.clone())]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::DefinitionMismatch { .. }), "{error}");
    // A CSV file's instants are the same events.
    let csv = "event,time,distinct_id,insert_id\na,2024-01-01T05:00:00Z,u,1\n";
    assert_eq!(workspace.load(&Load::default(), vec![reader(csv)]).unwrap().rows, 0);
    let verified = workspace.storage().verify(&local, Default::default()).unwrap();
    assert!(verified[0].is_good(), "{verified:?}");
}

#[test]
fn a_load_that_is_stopped_keeps_whole_files() {
    let folder = tempfile::tempdir().unwrap();
    for file in 0..3 {
        let lines: Vec<String> =
            (0..20_000).map(|n| line("a", MIDNIGHT + n, &format!("{file}-{n}"), "")).collect();
        fs::write(folder.path().join(format!("{file}.jsonl")), lines.join("\n")).unwrap();
    }
    let workspace = workspace();
    let cancel = CancelToken::new();
    let wanted = Load { cancel: cancel.clone(), ..Load::default() };
    let mut stored = 0;
    let error = workspace
        .load_with(&wanted, vec![LoadInput::path(folder.path())], &mut |now| {
            stored = now.rows_stored;
            if now.files_done == 1 {
                cancel.cancel();
            }
        })
        .unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Cancelled), "{error}");
    assert_eq!(stored, 20_000);
    assert_eq!(count(workspace.storage(), "SELECT count(*) FROM events"), 20_000);
    let result = workspace.load(&Load::default(), vec![LoadInput::path(folder.path())]).unwrap();
    assert_eq!((result.rows, result.total_rows), (40_000, 60_000));
}

#[test]
fn one_event_of_long_ago_does_not_make_its_table_begin_there() {
    let simulator = Simulator::start(small_world()).unwrap();
    let day = simulator.world().last_day();
    let workspace = crate::support::workspace(&simulator, StorageEngine::memory().unwrap());
    workspace.load(&Load::default(), vec![reader(line("a", 0, "1", ""))]).unwrap();
    assert_eq!(ledger(workspace.storage())[0].0, "1970-01-01");
    workspace.fetch_events(&FetchEvents::days(day, day)).unwrap();
    let plan = workspace.plan(&ProjectClock::default(), &SyncOptions::default()).unwrap();
    assert_eq!((plan.from, date(1970, 1, 1) < day), (day, true));
}
