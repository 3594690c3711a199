//! Processes that are killed for real.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use jiff::civil::Date;
use mixpanel_data::{FetchEvents, StorageEngine};
use mixpanel_sim::Simulator;

use crate::bad_input::{child, role};
use crate::support::{event, events_metadata, fingerprint, small_world, workspace};

/// Starts a child that opens an ephemeral database; returns it and the folder.
fn ephemeral_child(test: &str) -> (Child, PathBuf) {
    let mut process = child(test, "owner", "").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    let path = lines.find_map(|line| line.strip_prefix("path ").map(PathBuf::from)).unwrap();
    (process, path.parent().unwrap().to_path_buf())
}

#[test]
fn remains_of_the_dead_are_swept_and_the_living_left_alone() {
    if role().is_some() {
        let storage = StorageEngine::ephemeral().unwrap();
        let events = (0..5000).map(|n| event("A", &n.to_string(), "{}")).collect::<Vec<_>>();
        storage.create_events_table("events", events, &events_metadata(), None).unwrap();
        println!("\npath {}", storage.path().unwrap().display());
        std::thread::sleep(Duration::from_secs(120));
        return;
    }
    let test = "crash::remains_of_the_dead_are_swept_and_the_living_left_alone";
    let (mut dead, dead_folder) = ephemeral_child(test);
    let (mut alive, alive_folder) = ephemeral_child(test);
    // SIGKILL: no destructor, no handler.
    dead.kill().unwrap();
    dead.wait().unwrap();
    let mine = StorageEngine::ephemeral().unwrap();
    assert!(!dead_folder.exists(), "the remains are gone");
    assert!(alive_folder.join("data.duckdb").exists(), "the sibling's file is there");
    mine.close();
    alive.kill().unwrap();
    alive.wait().unwrap();
    mixpanel_data::sweep_ephemeral_files();
    assert!(!alive_folder.exists());
}

/// A writer is killed again and again, at any moment, on one file. After each
/// kill a chunk is there as a whole with its ledger entries, or not at all.
#[test]
fn a_killed_fetch_leaves_whole_chunks_only() {
    if let Some((url, path)) = role() {
        fetch_for_ever(&url, Path::new(&path));
    }
    let simulator = Simulator::start(small_world()).unwrap();
    let (from, to) = (simulator.world().first_day(), simulator.config().today.yesterday().unwrap());
    let clean = workspace(&simulator, StorageEngine::memory().unwrap());
    clean.fetch_events(&FetchEvents::days(from, to)).unwrap();
    let complete = fingerprint(clean.storage(), "events");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let test = "crash::a_killed_fetch_leaves_whole_chunks_only";
    let start = || {
        child(test, &simulator.base_url(), path.to_str().unwrap())
            .env("MP_TEST_DAYS", format!("{from} {to}"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let kill = |mut process: Child| {
        process.kill().unwrap();
        process.wait().unwrap();
    };
    // Before the first commit, and at moments of opening and creating.
    for round in 1..=4 {
        let process = start();
        std::thread::sleep(Duration::from_millis(8 * round * round));
        kill(process);
        if path.exists() {
            let storage =
                StorageEngine::open(&path).unwrap_or_else(|error| panic!("round {round}: {error:?}"));
            check_whole(&storage, &complete);
        }
    }
    // From then on: how long a fetch takes here, and kills at all its moments.
    let mut process = start();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut committed = || lines.by_ref().find(|line| line == "committed").map(|_| Instant::now());
    let (first, second) = (committed().unwrap(), committed().unwrap());
    kill(process);
    for round in 0..10 {
        let mut process = start();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "committed"), "round {round}");
        std::thread::sleep((second - first) * round / 9);
        kill(process);
        let storage = StorageEngine::open(&path).unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        assert_eq!(storage.list_tables().unwrap().len(), 1, "round {round}");
        check_whole(&storage, &complete);
    }
}

/// The table is there as a whole, with its ledger and both views, or not at all.
fn check_whole(storage: &StorageEngine, complete: &(i64, String)) {
    if storage.list_tables().unwrap().is_empty() {
        return;
    }
    assert_eq!(&fingerprint(storage, "events"), complete);
    for sql in ["SELECT CAST(sum(row_count) AS BIGINT) FROM _ledger", "SELECT count(*) FROM events_flat"] {
        assert_eq!(storage.execute_scalar(sql).unwrap().as_i64(), Some(complete.0), "{sql}");
    }
}

/// Replaces the same days until killed.
fn fetch_for_ever(url: &str, path: &Path) -> ! {
    use mixpanel_client::time::ProjectClock;
    use mixpanel_client::{BaseUrls, Client, ClientOptions, Credentials};
    let config = small_world();
    let mut options = ClientOptions::new(Credentials::service_account(config.username, config.secret));
    options.project_id = Some(config.project_id);
    options.base_urls = BaseUrls::single_host(url);
    let project = mixpanel_data::Project {
        client: Client::new(options).unwrap(),
        project_id: String::new(),
        region: String::new(),
        account: None,
        clock: ProjectClock::default(),
    };
    let days = std::env::var("MP_TEST_DAYS").unwrap();
    let (from, to) = days.split_once(' ').unwrap();
    let (from, to): (Date, Date) = (from.parse().unwrap(), to.parse().unwrap());
    let workspace = mixpanel_data::Workspace::builder().project(project).open(path).unwrap();
    loop {
        workspace.fetch_events(&FetchEvents::days(from, to)).unwrap();
        println!("\ncommitted");
    }
}
