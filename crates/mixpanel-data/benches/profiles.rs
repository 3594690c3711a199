//! Profiles into a file: pages side by side against one page at a time, in the same run.
//!
//! ```text
//! cargo bench --profile dev --workspace --bench profiles              # 200,000 profiles
//! cargo bench --profile dev --workspace --bench profiles -- 1000000   # another number
//! ```
//!
//! Each fetch runs in a process of its own. The simulator answers within this machine, so there is
//! a second pair with 50 ms before each answer, about what Mixpanel takes to begin one.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mixpanel_client::budget::{ApiFamily, RequestBudget};
use mixpanel_client::{BaseUrls, Client, ClientOptions, Credentials};
use mixpanel_data::{FetchProfiles, Project, Workspace};
use mixpanel_sim::{Fault, Limits, SimConfig, Simulator};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.first().is_some_and(|first| first == "load") {
        return load(&arguments[1], &arguments[2], arguments[3].parse().unwrap());
    }
    // `cargo test --benches` passes no `--bench`: a short run shows that it works.
    let whole = std::env::args().any(|argument| argument == "--bench");
    let asked = arguments.iter().find_map(|argument| argument.parse().ok());
    let profiles: u32 = asked.unwrap_or(if whole { 200_000 } else { 2_500 });
    let config = SimConfig {
        days: 2,
        events_per_day: 100,
        profiles: Some(profiles),
        limits: Limits::off(),
        ..SimConfig::default()
    };
    let simulator = Simulator::start(config).unwrap();
    println!("{profiles} profiles, pages of 1,000");
    println!(
        "{:<28}{:>9}{:>13}{:>8}{:>10}{:>10}{:>10}{:>9}",
        "pages at a time", "wall s", "profiles/s", "ratio", "peak MB", "file MB", "requests", "counted"
    );
    for delay in [0, 50] {
        let mut reference = None;
        for concurrency in [1, 5] {
            let name = format!("{concurrency}{}", if delay > 0 { ", 50 ms before each" } else { "" });
            measure(&name, &simulator, profiles, concurrency, delay, &mut reference);
        }
    }
}

/// Fetches in another process, and prints what that took.
fn measure(
    name: &str,
    simulator: &Simulator,
    profiles: u32,
    concurrency: usize,
    delay: u64,
    reference: &mut Option<f64>,
) {
    let requests = profiles.div_ceil(1_000) + 1;
    if delay > 0 {
        let slow = Fault::SlowFirstByte { delay: Duration::from_millis(delay) };
        simulator.fault(slow.on_endpoint("engage").times(requests));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["load", &simulator.base_url(), path.to_str().unwrap(), &concurrency.to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let figures: Vec<f64> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let [wall, peak, rows, sent, counted] = figures[..] else { panic!("{text}") };
    assert_eq!(rows, f64::from(profiles));
    let rate = rows / wall;
    println!(
        "{name:<28}{wall:>9.2}{rate:>13.0}{:>8.2}{:>10.0}{:>10.1}{sent:>10}{counted:>9}",
        rate / *reference.get_or_insert(rate),
        peak / 1e6,
        std::fs::metadata(&path).unwrap().len() as f64 / 1e6,
    );
}

/// The fetching process: prints wall seconds, peak bytes, rows, requests, and what they counted.
fn load(url: &str, path: &str, concurrency: usize) {
    mixpanel_data::keep_freed_memory();
    let config = SimConfig::default();
    let budget = Arc::new(RequestBudget::in_memory());
    let mut options = ClientOptions::new(Credentials::service_account(config.username, config.secret));
    options.project_id = Some(config.project_id);
    options.base_urls = BaseUrls::single_host(url);
    options.budget = Some(budget.clone());
    let project = Project {
        client: Client::new(options).unwrap(),
        project_id: config.project_id.to_string(),
        region: "us".into(),
        account: None,
        clock: Default::default(),
    };
    let workspace = Workspace::builder().project(project).open(path).unwrap();
    let fetch = FetchProfiles { concurrency: Some(concurrency), ..FetchProfiles::default() };
    let started = Instant::now();
    let result = workspace.fetch_profiles(&fetch).unwrap();
    let wall = started.elapsed().as_secs_f64();
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: f64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    let counted = budget.state(ApiFamily::Query, SystemTime::now()).used;
    println!("{wall} {} {} {} {counted}", peak * 1024.0, result.rows, result.requests);
}
