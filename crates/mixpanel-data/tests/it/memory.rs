//! Memory: anybody who holds a project's public token can send events of any size and shape, and
//! none of them may fill the memory of whoever fetches them.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use jiff::civil::Date;
use mixpanel_client::CancelToken;
use mixpanel_data::{EventRecord, FetchEvents, StorageEngine, Workspace};
use mixpanel_sim::{Fault, Limits, SimConfig, Simulator};

use crate::bad_input::{child, role};
use crate::support::{events_metadata, print_figure, project_at, setting};

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

const LAST: &str = "2025-06-30";

/// So many lines of a length, on each day from the first to the last.
type Bombs = (usize, usize, &'static str);

/// A process of its own fetches them; gives the most memory that it had, in bytes beside DuckDB's
/// limit. Two days come down side by side.
fn beside_after_fetching((count, length, first): Bombs) -> u64 {
    let simulator = Simulator::start(config()).unwrap();
    let days: BTreeSet<Date> = [first, LAST].map(|day| day.parse().unwrap()).into();
    for day in &days {
        simulator.fault(Fault::ReplaceBody(lines(*day, count, length).into()).on_day(*day));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let place = format!("{} {first}", simulator.base_url());
    let test = "memory::lines_of_any_length_stay_within_the_bound";
    let told = told_by(test, &place, path.to_str().unwrap());
    assert_eq!(told[1], (days.len() * count) as u64);
    let beside = told[0].saturating_sub(DUCKDB);
    println!("{count} lines of {length} bytes a day: {} MB beside DuckDB's limit", beside >> 20);
    beside
}

/// Of shorter lines, a day has so many that it shows when they are counted and not weighed.
#[cfg(target_os = "linux")]
#[test]
fn lines_of_any_length_stay_within_the_bound() {
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
    for (bombs, bound) in [
        ((4, 31 << 20, "2025-06-29"), BESIDE_LONGEST),
        ((100, 1 << 20, LAST), BESIDE),
        ((10_000, 16 << 10, LAST), BESIDE),
    ] {
        let beside = beside_after_fetching(bombs);
        assert!(beside < bound, "{bombs:?}: {beside} bytes");
    }
}

/// A process of its own summarizes a table of so many rows and properties; gives the same.
fn beside_after_a_summary(rows: u64, properties: u64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let event = |row: u64| {
        let text = "x".repeat(24);
        let properties: Vec<String> =
            (0..properties).map(|n| format!("\"p{n}\":\"{text}{}\"", row * n % 1_009)).collect();
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
        .create_events_table("events", (0..rows).map(event).collect::<Vec<_>>(), &events_metadata(), None)
        .unwrap();
    storage.close();
    let test = "memory::a_summary_of_hundreds_of_columns_stays_within_the_bound";
    let told = told_by(test, &rows.to_string(), path.to_str().unwrap());
    let columns = properties + 4;
    assert_eq!(told[1..], [columns, columns], "each column once, and each with all rows");
    let beside = told[0].saturating_sub(DUCKDB);
    println!("a summary of {rows} rows and {columns} columns: {} MB beside DuckDB's limit", beside >> 20);
    beside
}

#[cfg(target_os = "linux")]
#[test]
fn a_summary_of_hundreds_of_columns_stays_within_the_bound() {
    if let Some((rows, path)) = role() {
        let storage = open(&path);
        let workspace = Workspace::builder().storage(storage);
        let summary = workspace.summarize("events").unwrap();
        let rows: u64 = rows.parse().unwrap();
        let whole = summary.columns.iter().filter(|column| column.count == rows).count();
        println!("\ntold {} {} {whole}", peak(), summary.columns.len());
        return;
    }
    let beside = beside_after_a_summary(1_000, 396);
    assert!(beside < BESIDE, "{beside} bytes");
}

/// What was seen to fill the memory, as large as it was then.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "the large set: just prove"]
fn prove_memory_bombs() {
    let lines: [Bombs; 3] = [(20, 31 << 20, LAST), (600, 1 << 20, LAST), (20_000, 16 << 10, LAST)];
    let mut found: Vec<(String, u64)> = lines
        .map(|(count, length, day)| {
            (format!("{count} lines of {} kB", length >> 10), beside_after_fetching((count, length, day)))
        })
        .into();
    found.push(("a summary of 3000 rows and 1000 columns".into(), beside_after_a_summary(3_000, 996)));
    let over: Vec<_> = found.iter().filter(|(_, beside)| *beside >= BESIDE).collect();
    let note = found.iter().map(|(what, beside)| format!("{what}: {} MB", beside >> 20)).collect::<Vec<_>>();
    let what = "memory of bombs: under 400 MB beside DuckDB's limit of 1 GB";
    print_figure(what, found.len(), over.len(), 0, &note.join("; "));
    assert!(over.is_empty(), "{over:?}");
}

/// Answers each request with lines of about a kilobyte, so many bytes of them, made as they are sent.
fn serve_a_day(bytes: u64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            std::thread::spawn(move || send_a_day(connection.unwrap(), bytes));
        }
    });
    url
}

fn send_a_day(mut connection: TcpStream, bytes: u64) -> std::io::Result<()> {
    let (mut head, mut part) = (Vec::new(), [0; 1024]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = connection.read(&mut part)?;
        head.extend_from_slice(&part[..count]);
    }
    connection.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    let noise: Vec<u8> =
        (0..16_384_u32).map(|n| b'a' + (n.wrapping_mul(2_654_435_761) >> 24) as u8 % 26).collect();
    let (mut sent, mut n, mut lines) = (0, 0_u64, Vec::with_capacity(300 << 10));
    while sent < bytes {
        lines.clear();
        while lines.len() < 256 << 10 {
            let at = (n.wrapping_mul(7_919) % 15_000) as usize;
            let (time, user) = (1_751_241_600 + n % 86_400, n % 50_000);
            write!(
                lines,
                r#"{{"event":"Long","properties":{{"time":{time},"distinct_id":"u{user}","$insert_id":"{n:x}","n":{n},"text":""#
            )?;
            lines.extend_from_slice(&noise[at..at + 880]);
            lines.extend_from_slice(b"\"}}\n");
            n += 1;
        }
        write!(connection, "{:x}\r\n", lines.len())?;
        connection.write_all(&lines)?;
        connection.write_all(b"\r\n")?;
        sent += lines.len() as u64;
    }
    connection.write_all(b"0\r\n\r\n")
}

/// A day of so many bytes is fetched by a process of its own; gives the most memory that it took, and
/// the rows.
fn a_day_of(bytes: u64, test: &str) -> Option<(u64, u64)> {
    if let Some((url, path)) = role() {
        let project = project_at(&url, &config(), CancelToken::new(), |_| {});
        let now = || "2025-07-01T06:00:00Z".parse().unwrap();
        let workspace = Workspace::builder().project(project).now(now).storage(open(&path));
        let day = "2025-06-30".parse().unwrap();
        let fetched = workspace.fetch_events(&FetchEvents::days(day, day)).unwrap();
        println!("\ntold {} {}", peak(), fetched.rows);
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let told = told_by(test, &serve_a_day(bytes), folder.path().join("data.duckdb").to_str().unwrap());
    Some((told[0], told[1]))
}

#[cfg(target_os = "linux")]
#[test]
fn a_day_of_any_size_stays_within_the_bound() {
    let bytes = 150_000_000;
    let Some((peak, rows)) = a_day_of(bytes, "memory::a_day_of_any_size_stays_within_the_bound") else {
        return;
    };
    println!("{rows} rows, {bytes} bytes: {} MB beside DuckDB's limit", peak.saturating_sub(DUCKDB) >> 20);
    assert!(peak < DUCKDB + BESIDE && rows > 100_000, "{peak} bytes, {rows} rows");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "the large set: just prove"]
fn prove_a_day_of_ten_gigabytes() {
    let bytes = setting("MP_PROVE_BYTES", 10_000_000_000);
    // Its process runs the test that is not ignored.
    let test = "memory::a_day_of_any_size_stays_within_the_bound";
    let Some((peak, rows)) = a_day_of(bytes, test) else { return };
    let (beside, within) = (peak.saturating_sub(DUCKDB) >> 20, peak < DUCKDB + BESIDE);
    let note = format!("{rows} rows, {} MB: {beside} MB beside DuckDB's limit of 1 GB", bytes / 1_000_000);
    print_figure(
        "memory of a day of ten gigabytes: under 400 MB beside DuckDB's limit",
        1,
        usize::from(!within),
        0,
        &note,
    );
    assert!(within, "{note}");
}
