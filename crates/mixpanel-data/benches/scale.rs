//! Time and memory as the number of events, or of their properties, grows.
//!
//! ```text
//! cargo bench --profile dev --workspace --bench scale              # 1, 5 and 20 million events
//! cargo bench --profile dev --workspace --bench scale -- columns   # 25, 100 and 500 properties
//! ```
//!
//! Each load runs in a process of its own, into a file, with DuckDB's memory
//! limit at 1 GB. The first one is the reference of the others.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use mixpanel_client::export::ExportRequest;
use mixpanel_client::{BaseUrls, Client, ClientOptions, Credentials};
use mixpanel_data::{FetchEvents, Project, Workspace};
use mixpanel_sim::{Limits, SimConfig, Simulator, Source};

/// DuckDB's limit, in bytes.
const MEMORY_LIMIT: f64 = 1e9;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.first().is_some_and(|first| first == "load") {
        return load(&arguments[1], &arguments[2], arguments[3].parse().unwrap());
    }
    // `cargo test --benches` passes no `--bench`: a short run shows that it works.
    let whole = std::env::args().any(|argument| argument == "--bench");
    let columns = arguments.iter().any(|argument| argument == "columns");
    println!("DuckDB's memory limit is {:.0} MB", MEMORY_LIMIT / 1e6);
    println!(
        "{:<28}{:>9}{:>9}{:>12}{:>8}{:>10}{:>14}{:>10}{:>14}",
        "load", "wall s", "CPU s", "events/s", "ratio", "peak MB", "beside limit", "file MB", "bytes/event"
    );
    let mut reference = None;
    if columns || !whole {
        let events = if whole { 300_000 } else { 500 };
        for properties in [25, 100, 500] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("events.jsonl"), sparse(events, properties)).unwrap();
            let source = Source::Recorded(folder.path().to_owned());
            let config = SimConfig { source, gzip_level: 1, limits: Limits::off(), ..SimConfig::default() };
            measure(&format!("25 of {properties} properties"), config, events, &mut reference);
        }
    }
    if !columns || !whole {
        reference = None;
        let millions: &[u64] = if whole { &[1, 5, 20] } else { &[] };
        let sizes = millions.iter().map(|millions| millions * 1_000_000).chain((!whole).then_some(3_000));
        for events in sizes {
            let users = Some((events / 20).min(1_000_000) as u32);
            let config = SimConfig { total_events: Some(events), users, ..SimConfig::million() };
            measure(&format!("{events} events"), config, events, &mut reference);
        }
    }
}

/// Loads a world in another process, and prints what that took.
fn measure(name: &str, config: SimConfig, events: u64, reference: &mut Option<f64>) {
    let simulator = Simulator::start(config).unwrap();
    warm(&simulator);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    rustix::fs::sync();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["load", &simulator.base_url(), path.to_str().unwrap(), &events.to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let figures: Vec<f64> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let [wall, cpu, peak] = figures[..] else { panic!("{text}") };
    let size = std::fs::metadata(&path).unwrap().len() as f64;
    let rate = events as f64 / wall;
    println!(
        "{name:<28}{wall:>9.2}{cpu:>9.2}{rate:>12.0}{:>8.2}{:>10.0}{:>14.0}{:>10.0}{:>14.0}",
        rate / *reference.get_or_insert(rate),
        peak / 1e6,
        (peak - MEMORY_LIMIT) / 1e6,
        size / 1e6,
        size / events as f64,
    );
}

/// Lets the simulator compress each day, which it does once.
fn warm(simulator: &Simulator) {
    let client = client(simulator.base_url());
    for day in simulator.world().days() {
        let body = client.export(&ExportRequest::days(day.date(), day.date())).unwrap();
        body.for_each(|block| drop(block.unwrap()));
    }
}

fn client(url: String) -> Client {
    let config = SimConfig::default();
    let mut options = ClientOptions::new(Credentials::service_account(config.username, config.secret));
    options.project_id = Some(config.project_id);
    options.base_urls = BaseUrls::single_host(&url);
    Client::new(options).unwrap()
}

/// The loading process: prints wall seconds, processor seconds and peak bytes.
fn load(url: &str, path: &str, events: u64) {
    mixpanel_data::keep_freed_memory();
    let project = Project {
        client: client(url.to_owned()),
        project_id: SimConfig::default().project_id.to_string(),
        region: "us".into(),
        account: None,
        clock: Default::default(),
    };
    let workspace = Workspace::builder().project(project).open(path).unwrap();
    workspace.storage().execute(&format!("SET memory_limit = '{MEMORY_LIMIT}B'")).unwrap();
    let today = SimConfig::default().today;
    let first = today.saturating_sub(jiff::Span::new().days(29));
    let started = Instant::now();
    let result = workspace.fetch_events(&FetchEvents::days(first, today)).unwrap();
    assert_eq!((result.lines, result.rejects), (events, 0));
    let wall = started.elapsed().as_secs_f64();
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: f64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("{wall} {} {}", processor_seconds(), peak * 1024.0);
}

fn processor_seconds() -> f64 {
    // SAFETY: a zeroed rusage is valid, and the call fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// Events of the last days, each with 25 properties out of `properties`.
fn sparse(events: u64, properties: u64) -> String {
    let last = SimConfig::default().today.at(0, 0, 0, 0);
    let end = jiff::tz::Offset::UTC.to_timestamp(last).unwrap().as_second();
    let mut number = 88_172_645_463_325_252_u64;
    let mut random = |below: u64| {
        // Xorshift: the same numbers in each run.
        number ^= number << 13;
        number ^= number >> 7;
        number ^= number << 17;
        number % below
    };
    let mut text = String::new();
    for event in 0..events {
        let time = end - (event * 86_400 * 20 / events) as i64;
        let user = random(20_000);
        let _ = write!(
            text,
            "{{\"event\":\"Event {}\",\"properties\":{{\"time\":{time},\"distinct_id\":\"user-{user}\",\
             \"$insert_id\":\"{event:032x}\",\"mp_processing_time_ms\":{}",
            random(20),
            time * 1000
        );
        // Spread, each one once; an odd step, so that all kinds occur.
        let (step, start) = ((properties / 25 - 1).max(1), random(properties));
        for index in 0..25 {
            let property = (start + index * step) % properties;
            let _ = match property % 4 {
                0 => write!(text, ",\"property {property}\":{}", random(100_000)),
                1 => write!(text, ",\"property {property}\":{}.25", random(1_000)),
                2 => write!(text, ",\"property {property}\":{}", random(2) == 0),
                _ => write!(text, ",\"property {property}\":\"value {} of many\"", random(500)),
            };
        }
        text.push_str("}}\n");
    }
    text
}
