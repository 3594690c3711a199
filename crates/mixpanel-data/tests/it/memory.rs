//! Memory: anybody who holds a project's public token can send events of any size and shape, and
//! none of them may fill the memory of whoever fetches them.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

use jiff::civil::Date;
use mixpanel_client::CancelToken;
use mixpanel_data::{EventRecord, FetchEvents, StorageEngine, Workspace};
use mixpanel_sim::{Fault, Limits, SimConfig, Simulator};

use crate::bad_input::{child, role};
use crate::support::{events_metadata, project_at};

/// DuckDB's own limit in these tests, and what may be beside it (ARCHITECTURE.md, Memory).
const DUCKDB: u64 = 1 << 30;
const BESIDE: u64 = 400 << 20;
const BESIDE_LONGEST: u64 = 600 << 20;

fn config() -> SimConfig {
    SimConfig { days: 3, events_per_day: 10, limits: Limits::off(), gzip_level: 1, ..SimConfig::default() }
}

/// Lines of about this length. What they hold compresses well, though not as well as a
/// decompression bomb, which is refused for what it is.
fn lines(day: Date, count: usize, length: usize) -> Vec<u8> {
    let noise: String =
        (0..4_096_u32).map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 24) as u8 % 26)).collect();
    let text = noise.repeat(length / noise.len());
    let time = day.at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_second();
    let mut body = Vec::with_capacity(count * (length + 200));
    for n in 0..count {
        writeln!(
            body,
            r#"{{"event":"Bomb","properties":{{"time":{time},"distinct_id":"u","$insert_id":"{n}","text":"{text}"}}}}"#
        )
        .unwrap();
    }
    body
}

/// The most memory that this process has had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

fn open(path: &str) -> StorageEngine {
    let storage = StorageEngine::open(Path::new(path)).unwrap();
    storage.execute(&format!("SET memory_limit = '{DUCKDB}B'; SET threads = 2")).unwrap();
    storage
}

/// Runs this test again in a process of its own, and gives what it printed behind `told`.
fn told_by(test: &str, role: &str, argument: &str) -> Vec<u64> {
    let output = child(test, role, argument).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let told = text.lines().find_map(|line| line.strip_prefix("told ")).map(str::to_owned);
    let told = told.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    told.split(' ').map(|number| number.parse().unwrap()).collect()
}

/// Two days of them come down side by side; of shorter lines, a day has so many that it shows when
/// they are counted and not weighed.
#[cfg(target_os = "linux")]
#[test]
fn lines_of_any_length_stay_within_the_bound() {
    const LAST: &str = "2025-06-30";
    if let Some((place, path)) = role() {
        let (url, first) = place.split_once(' ').unwrap();
        let storage = open(&path);
        let project = project_at(url, &config(), CancelToken::new(), |_| {});
        let workspace = Workspace::builder()
            .project(project)
            .now(|| "2025-07-01T06:00:00Z".parse().unwrap())
            .storage(storage);
        let days = FetchEvents::days(first.parse().unwrap(), LAST.parse().unwrap());
        let fetched = workspace.fetch_events(&FetchEvents { days_per_request: Some(1), ..days }).unwrap();
        println!("\ntold {} {}", peak(), fetched.rows);
        return;
    }
    let test = "memory::lines_of_any_length_stay_within_the_bound";
    for (count, length, first, bound) in [
        (4, 31 << 20, "2025-06-29", BESIDE_LONGEST),
        (100, 1 << 20, LAST, BESIDE),
        (10_000, 16 << 10, LAST, BESIDE),
    ] {
        let simulator = Simulator::start(config()).unwrap();
        let days: Vec<Date> = [first, LAST].map(|day| day.parse().unwrap()).to_vec();
        let days: BTreeSet<Date> = days.into_iter().collect();
        for day in &days {
            simulator.fault(Fault::ReplaceBody(lines(*day, count, length).into()).on_day(*day));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.duckdb");
        let place = format!("{} {first}", simulator.base_url());
        let told = told_by(test, &place, path.to_str().unwrap());
        let beside = told[0].saturating_sub(DUCKDB) >> 20;
        println!("{count} lines of {length} bytes a day: {beside} MB beside DuckDB's limit");
        assert!(told[0] < DUCKDB + bound, "{count} lines of {length} bytes: {beside} MB beside the limit");
        assert_eq!(told[1], (days.len() * count) as u64);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_summary_of_hundreds_of_columns_stays_within_the_bound() {
    const ROWS: u64 = 1_000;
    if let Some((_, path)) = role() {
        let storage = open(&path);
        let workspace = Workspace::builder().storage(storage);
        let summary = workspace.summarize("events").unwrap();
        let whole = summary.columns.iter().filter(|column| column.count == ROWS).count() as u64;
        println!("\ntold {} {} {whole}", peak(), summary.columns.len());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let event = |row: u64| {
        let text = "x".repeat(24);
        let properties: Vec<String> =
            (0..396).map(|n| format!("\"p{n}\":\"{text}{}\"", row * n % 1_009)).collect();
        EventRecord {
            event_name: "Wide".into(),
            event_time: "2024-05-01T08:00:00Z".parse().unwrap(),
            distinct_id: row.to_string(),
            insert_id: Some(row.to_string()),
            properties: format!("{{{}}}", properties.join(",")),
        }
    };
    let storage = StorageEngine::open(&path).unwrap();
    storage
        .create_events_table("events", (0..ROWS).map(event).collect::<Vec<_>>(), &events_metadata(), None)
        .unwrap();
    storage.close();
    let test = "memory::a_summary_of_hundreds_of_columns_stays_within_the_bound";
    let told = told_by(test, "summary", path.to_str().unwrap());
    let beside = told[0].saturating_sub(DUCKDB) >> 20;
    println!("a summary of 400 columns: {beside} MB beside DuckDB's limit");
    assert!(told[0] < DUCKDB + BESIDE, "{beside} MB beside the limit");
    assert_eq!(told[1..], [400, 400], "each column once, and each with all rows");
}
