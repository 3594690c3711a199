//! Chunks side by side: 30 days, a request each, 20 ms before each answer.
//!
//! ```text
//! cargo bench --profile dev --workspace --bench parallel
//! ```
//!
//! The reference is one download at a time, in the same run.

use std::time::{Duration, Instant};

use mixpanel_client::{BaseUrls, Client, ClientOptions, Credentials};
use mixpanel_data::{FetchEvents, Project, Workspace};
use mixpanel_sim::{Fault, Limits, SimConfig, Simulator};

const DAYS: u32 = 30;

fn main() {
    // `cargo test --benches` passes no `--bench`: a short run shows that it works.
    let whole = std::env::args().any(|argument| argument == "--bench");
    let rounds = if whole { 5 } else { 1 };
    println!("{DAYS} days of 300 events, a request each, 20 ms before each answer, best of {rounds}");
    let config = SimConfig { days: DAYS, events_per_day: 300, limits: Limits::off(), ..SimConfig::default() };
    let simulator = Simulator::start(config).unwrap();
    simulator.world().prepare(simulator.world().first_day(), simulator.world().last_day());
    let one = best(&simulator, 1, rounds);
    for concurrency in [1, 2, 4, 8] {
        let time = if concurrency == 1 { one } else { best(&simulator, concurrency, rounds) };
        println!(
            "{concurrency} at a time {:>8.0} ms, speed-up {:.2}",
            time.as_secs_f64() * 1e3,
            one.as_secs_f64() / time.as_secs_f64()
        );
    }
}

/// The best time of a whole fetch into memory.
fn best(simulator: &Simulator, concurrency: usize, rounds: u32) -> Duration {
    (0..rounds).map(|_| fetch(simulator, concurrency)).min().unwrap()
}

fn fetch(simulator: &Simulator, concurrency: usize) -> Duration {
    let config = simulator.config();
    simulator.fault(Fault::SlowFirstByte { delay: Duration::from_millis(20) }.times(DAYS));
    let mut options =
        ClientOptions::new(Credentials::service_account(config.username.clone(), config.secret.clone()));
    options.project_id = Some(config.project_id);
    options.base_urls = BaseUrls::single_host(&simulator.base_url());
    let project = Project {
        client: Client::new(options).unwrap(),
        project_id: config.project_id.to_string(),
        region: "us".into(),
        account: None,
        clock: Default::default(),
    };
    let workspace = Workspace::builder().project(project).memory().unwrap();
    let days = FetchEvents::days(simulator.world().first_day(), config.today);
    let days = FetchEvents { days_per_request: Some(1), concurrency: Some(concurrency), ..days };
    let started = Instant::now();
    let result = workspace.fetch_events(&days).unwrap();
    assert_eq!((result.requests, simulator.waiting_faults()), (DAYS, 0));
    started.elapsed()
}
