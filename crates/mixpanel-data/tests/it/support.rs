//! What several tests need.

use std::path::Path;

use jiff::Timestamp;
use mixpanel_client::time::ProjectClock;
use mixpanel_client::{BaseUrls, CancelToken, Client, ClientOptions, Credentials};
use mixpanel_data::{EventRecord, ProfileRecord, Project, StorageEngine, TableMetadata, Workspace};
use mixpanel_sim::{SimConfig, Simulator};

/// Runs a test in each of the three modes.
pub(crate) fn in_each_mode(test: impl Fn(&StorageEngine)) {
    let folder = tempfile::tempdir().unwrap();
    test(&StorageEngine::open(folder.path().join("data.duckdb")).unwrap());
    test(&StorageEngine::ephemeral().unwrap());
    test(&StorageEngine::memory().unwrap());
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn event(name: &str, id: &str, properties: &str) -> EventRecord {
    EventRecord {
        event_name: name.into(),
        event_time: at("2024-01-01T12:00:00Z"),
        distinct_id: "user_1".into(),
        insert_id: Some(id.into()),
        properties: properties.into(),
    }
}

pub(crate) fn profile(id: &str, properties: &str) -> ProfileRecord {
    ProfileRecord {
        distinct_id: id.into(),
        properties: properties.into(),
        last_seen: Some(at("2024-01-01T12:00:00Z")),
    }
}

pub(crate) fn events_metadata() -> TableMetadata {
    TableMetadata::events(at("2024-01-02T00:00:00Z"))
}

pub(crate) fn profiles_metadata() -> TableMetadata {
    TableMetadata::profiles(at("2024-01-02T00:00:00Z"))
}

/// A small simulated project.
pub(crate) fn small_world() -> SimConfig {
    SimConfig { days: 12, events_per_day: 300, limits: mixpanel_sim::Limits::off(), ..SimConfig::default() }
}

/// How to reach a simulator, with quick retries.
pub(crate) fn project(simulator: &Simulator, cancel: CancelToken) -> Project {
    project_with(simulator, cancel, |_| {})
}

/// The same, with other options.
pub(crate) fn project_with(
    simulator: &Simulator,
    cancel: CancelToken,
    change: impl FnOnce(&mut ClientOptions),
) -> Project {
    project_at(&simulator.base_url(), simulator.config(), cancel, change)
}

/// The same, for a simulator in another process.
pub(crate) fn project_at(
    url: &str,
    config: &SimConfig,
    cancel: CancelToken,
    change: impl FnOnce(&mut ClientOptions),
) -> Project {
    let credentials = Credentials::service_account(config.username.clone(), config.secret.clone());
    let mut options = ClientOptions::new(credentials);
    options.project_id = Some(config.project_id);
    options.base_urls = BaseUrls::single_host(url);
    options.retry.base = std::time::Duration::from_millis(1);
    options.retry.cap = std::time::Duration::from_millis(5);
    options.retry.rate_limit_base = std::time::Duration::from_millis(1);
    options.retry.rate_limit_cap = std::time::Duration::from_millis(5);
    options.cancel = cancel;
    change(&mut options);
    Project {
        client: Client::new(options).unwrap(),
        project_id: config.project_id.to_string(),
        region: "us".into(),
        account: None,
        clock: ProjectClock::default(),
    }
}

/// Noon of the simulator's today.
pub(crate) fn now_of(simulator: &Simulator) -> Timestamp {
    let noon = simulator.config().today.at(12, 0, 0, 0);
    jiff::tz::Offset::UTC.to_timestamp(noon).unwrap()
}

/// A workspace on `storage` that fetches from `simulator`.
pub(crate) fn workspace(simulator: &Simulator, storage: StorageEngine) -> Workspace {
    let now = now_of(simulator);
    Workspace::builder().project(project(simulator, CancelToken::new())).now(move || now).storage(storage)
}

/// Numbers without a pattern, and always the same ones.
pub(crate) fn sequence() -> impl FnMut() -> u64 {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    }
}

/// An order-independent fingerprint of a table's rows.
pub(crate) fn fingerprint(storage: &StorageEngine, table: &str) -> (i64, String) {
    let sql = format!(
        "SELECT count(*), CAST(bit_xor(hash(event_name, event_time, distinct_id, insert_id, CAST(properties AS VARCHAR)))
             AS VARCHAR) FROM {table}"
    );
    let rows = storage.execute_rows(&sql, &[]).unwrap().rows;
    (rows[0][0].as_i64().unwrap(), rows[0][1].to_text())
}

/// Every file and folder below `path`.
pub(crate) fn everything_below(path: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    entries
        .flatten()
        .flat_map(|entry| {
            let below = if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                everything_below(&entry.path())
            } else {
                Vec::new()
            };
            std::iter::once(entry.path()).chain(below)
        })
        .collect()
}

/// A figure for `docs/reliability.md`: what was tried how often, and how often it failed. `ci/prove.py` reads it.
pub(crate) fn print_figure(what: &str, trials: usize, failures: usize, seed: u64, note: &str) {
    println!("\nfigure | {what} | trials {trials} | failures {failures} | seed {seed} | {note}");
}

/// Numbers from a seed.
pub(crate) fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

/// The seed, and how many trials: set by `just prove`, or the small set's.
pub(crate) fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().expect("a number"))
}
