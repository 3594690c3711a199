//! What loading and asking costs, against DuckDB by itself in the same run.
//!
//! ```text
//! cargo bench --profile dev --workspace --bench load            # the million-event world
//! cargo bench --profile dev --workspace --bench load -- 200000  # a smaller one
//! ```
//!
//! The simulator serves 30 days over loopback HTTP, gzipped at level 6; each loader runs
//! in a process of its own, so that its memory is its own. The reference is
//! DuckDB's own `read_json` over the same days as local gzip files: no HTTP, no
//! proof of completeness, no dedup, no typed columns.

mod floor;
mod loaders;
mod queries;

use std::path::Path;
use std::process::Command;

use mixpanel_sim::{Limits, SimConfig, Simulator};

/// How often the reference and the persistent load take turns.
const ROUNDS: usize = 3;

/// Compressed as a server does it: level 6 is the default of every gzip.
fn config(events: u64) -> SimConfig {
    SimConfig { total_events: Some(events), gzip_level: 6, limits: Limits::off(), ..SimConfig::million() }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let Some(role) = arguments.first().filter(|first| first.parse::<u64>().is_err()) {
        return loaders::run(role, &arguments[1..]);
    }
    // `cargo test --benches` passes no `--bench`: a short run shows that it works.
    let whole = std::env::args().any(|argument| argument == "--bench");
    let events =
        arguments.first().map_or(if whole { 1_000_000 } else { 3_000 }, |text| text.parse().unwrap());

    let simulator = Simulator::start(config(events)).unwrap();
    let world = simulator.world();
    world.prepare(world.first_day(), world.last_day());
    let folder = tempfile::tempdir().unwrap();
    let (json_bytes, gzip_bytes) = write_days(&simulator, folder.path());
    println!(
        "{events} events, {} days, {:.0} MB of JSON ({:.0} bytes each), {:.0} MB gzipped",
        world.days().len(),
        mb(json_bytes),
        json_bytes as f64 / events as f64,
        mb(gzip_bytes),
    );

    let files = folder.path().join("*.jsonl.gz").display().to_string();
    let url = simulator.base_url();
    let path = |name: &str| folder.path().join(name).display().to_string();
    // The simulator compresses each day once; that is not to be part of anybody's time.
    child(&["memory", &url, &path("warm"), &events.to_string()]);
    let count = child(&["count", &files, &path("count.duckdb")]);
    println!(
        "\n{:<44}{:>9}{:>9}{:>12}{:>11}{:>10}{:>8}",
        "loader", "wall s", "CPU s", "events/s", "peak MB", "file MB", "ratio"
    );
    // Machines have moods: the two that the ratio is about take turns, and the middle one counts.
    let (mut references, mut persistents) = (Vec::new(), Vec::new());
    for round in 0..if whole { ROUNDS } else { 1 } {
        references.push(child(&["reference", &files, &path(&format!("reference{round}.duckdb"))]));
        persistents.push(child(&["persistent", &url, &path(&format!("ours{round}")), &events.to_string()]));
    }
    let rounds: Vec<String> = references
        .iter()
        .zip(&persistents)
        .map(|(reference, ours)| format!("{:.2}", reference.get("wall") / ours.get("wall")))
        .collect();
    let reference = middle(references);
    let mut ours = vec![("persistent", middle(persistents))];
    for mode in ["ephemeral", "memory"] {
        ours.push((mode, child(&[mode, &url, &path(mode), &events.to_string()])));
    }
    line("read_json, count only", &count, &reference, events);
    line("read_json into five columns (reference)", &reference, &reference, events);
    for (mode, report) in &ours {
        line(&format!("fetch_events, {mode}: HTTP, dedup, typed"), report, &reference, events);
    }
    println!("ratio of the persistent load in each of {} rounds: {}", rounds.len(), rounds.join(", "));

    floor(&files, &ours[0].1, events);
    row_by_row(&files, &path("rows.duckdb"), &ours[0].1, events);

    println!(
        "\n{:<26}{:>12}{:>14}{:>14}{:>16}{:>16}",
        "mode", "start ms", "load s", "size MB", "5 queries ms", "over text ms"
    );
    for (mode, report) in &ours {
        println!(
            "{mode:<26}{:>12.1}{:>14.2}{:>14.0}{:>16.0}{:>16.0}",
            report.get("start_ms"),
            report.get("wall"),
            report.get("file") / 1e6,
            report.get("typed_ms"),
            report.get("text_ms")
        );
    }

    let persistent = &ours[0].1;
    println!("\nGROUP BY plan over {events} events, persistent file, best of 5");
    println!(
        "{:<48}{:>10.1} ms",
        "properties->>'$.plan' on the reference's JSON",
        reference.get("plan_text_ms")
    );
    println!("{:<48}{:>10.1} ms", "properties->>'$.plan' on `events`", persistent.get("plan_text_ms"));
    println!("{:<48}{:>10.1} ms", "plan on `events_flat`", persistent.get("plan_typed_ms"));
    println!(
        "typed column is {:.0} times faster than the text of the same table, {:.0} times the reference's",
        persistent.get("plan_text_ms") / persistent.get("plan_typed_ms"),
        reference.get("plan_text_ms") / persistent.get("plan_typed_ms"),
    );
}

/// Where processor time goes: what reading alone takes, against all of it.
fn floor(files: &str, ours: &Report, events: u64) {
    let (gunzip, decode) = (child(&["gunzip", files]), child(&["decode", files]));
    println!("\n{:<44}{:>9}{:>12}{:>16}", "processor time, one thread", "CPU s", "us/event", "of the fetch");
    for (name, report) in [
        ("gunzip alone, CRC and length checked", &gunzip),
        ("gunzip, lines, typed Arrow columns", &decode),
        ("fetch_events, persistent", ours),
    ] {
        let cpu = report.get("cpu");
        println!(
            "{name:<44}{cpu:>9.2}{:>12.2}{:>15.0}%",
            cpu / events as f64 * 1e6,
            100.0 * cpu / ours.get("cpu")
        );
    }
    println!(
        "the fetch takes {:.1} times the processor time of gunzip alone, {:.1} times that of gunzip and parsing",
        ours.get("cpu") / gunzip.get("cpu"),
        ours.get("cpu") / decode.get("cpu"),
    );
}

/// The way of the Python original, on the first events of the first day.
fn row_by_row(files: &str, path: &str, ours: &Report, events: u64) {
    let rows = events.min(10_000);
    let slow = child(&["rows", files, path, &rows.to_string()]);
    let (theirs, ours) = (slow.get("rows") / slow.get("wall"), events as f64 / ours.get("wall"));
    println!(
        "\nINSERT OR IGNORE row by row, 1,000 a transaction, primary key, {} rows: {theirs:.0} rows/s; \
         fetch_events, persistent: {:.0} times as fast",
        slow.get("rows"),
        ours / theirs
    );
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Writes each day as a gzip file, with the bytes that an export of it sends; returns plain and
/// compressed sizes.
fn write_days(simulator: &Simulator, folder: &Path) -> (u64, u64) {
    let mut sizes = (0, 0);
    for day in simulator.world().days().iter().filter(|day| !day.jsonl().is_empty()) {
        let packed = simulator.world().gzip(day.date(), day.date()).concat();
        sizes = (sizes.0 + day.jsonl().len() as u64, sizes.1 + packed.len() as u64);
        std::fs::write(folder.join(format!("{}.jsonl.gz", day.date())), packed).unwrap();
    }
    sizes
}

/// What a loader printed: `name value` pairs.
struct Report(Vec<(String, f64)>);

impl Report {
    fn get(&self, name: &str) -> f64 {
        self.0.iter().find(|(known, _)| known == name).map_or(f64::NAN, |(_, value)| *value)
    }
}

/// The one with the middle wall time.
fn middle(mut reports: Vec<Report>) -> Report {
    reports.sort_by(|a, b| a.get("wall").total_cmp(&b.get("wall")));
    reports.swap_remove(reports.len() / 2)
}

fn child(arguments: &[&str]) -> Report {
    // What the one before has left to write is not to be part of this one's time.
    rustix::fs::sync();
    let output = Command::new(std::env::current_exe().unwrap()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    Report(pairs.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
}

fn line(name: &str, report: &Report, reference: &Report, events: u64) {
    println!(
        "{name:<44}{:>9.2}{:>9.2}{:>12.0}{:>11.0}{:>10.0}{:>8.2}",
        report.get("wall"),
        report.get("cpu"),
        events as f64 / report.get("wall"),
        report.get("peak") / 1e6,
        report.get("file") / 1e6,
        reference.get("wall") / report.get("wall"),
    );
}
