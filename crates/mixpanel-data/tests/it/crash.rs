//! Processes that are killed for real.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use jiff::civil::Date;
use mixpanel_data::{FetchEvents, StorageEngine, SyncOptions, SyncState, Value};
use mixpanel_sim::{SimConfig, Simulator};

use crate::bad_input::{child, role};
use crate::support::{event, events_metadata, fingerprint, sequence, small_world, workspace};

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

/// A sync is killed at 200 random moments and started again each time. Whatever
/// the moment: a day is there as a whole with its ledger entry, or not at all;
/// what is committed is never asked for again; and the end is the same table.
#[test]
fn a_sync_killed_again_and_again_ends_in_the_same_table() {
    const KILLS: u32 = 200;
    if let Some((url, path)) = role() {
        return sync_once(&url, Path::new(&path));
    }
    let world = || SimConfig { days: 60, events_per_day: 1_000, ..small_world() };
    let simulator = Simulator::start(world()).unwrap();
    let (from, to) = (simulator.world().first_day(), simulator.config().today.yesterday().unwrap());
    simulator.world().prepare(from, to);
    let clean = workspace(&simulator, StorageEngine::memory().unwrap());
    clean.fetch_events(&FetchEvents::days(from, to)).unwrap();
    let complete = fingerprint(clean.storage(), "events");

    let folder = tempfile::tempdir().unwrap();
    let test = "crash::a_sync_killed_again_and_again_ends_in_the_same_table";
    let mut next = sequence();
    let (mut kills, mut copies) = (0, 0);
    let mut took = Duration::from_millis(800);
    while kills < KILLS {
        copies += 1;
        let path = folder.path().join(format!("{copies}.duckdb"));
        let mut committed: BTreeSet<Date> = BTreeSet::new();
        let mut seen = simulator.requests().len();
        loop {
            let started = Instant::now();
            let mut process = child(test, &simulator.base_url(), path.to_str().unwrap())
                .env("MP_TEST_DAYS", format!("{from} {to}"))
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            let patience = took.min(Duration::from_millis(500)).mul_f64((next() % 1000) as f64 / 1000.0);
            let ended = loop {
                match process.try_wait().unwrap() {
                    Some(status) => break Some(status),
                    None if started.elapsed() >= patience && kills < KILLS => break None,
                    None => std::thread::sleep(Duration::from_millis(2)),
                }
            };
            if ended.is_none() {
                // SIGKILL: no destructor, no handler.
                process.kill().unwrap();
                process.wait().unwrap();
                kills += 1;
            }
            let requests = simulator.requests();
            for request in &requests[seen..] {
                let again = committed.range(days_asked(&request.target)).next();
                assert_eq!(again, None, "copy {copies}, kill {kills}: {request:?}");
            }
            seen = requests.len();
            if path.exists() {
                let storage = StorageEngine::open(&path).unwrap_or_else(|e| panic!("kill {kills}: {e:?}"));
                committed = committed_days(&storage);
            }
            if let Some(status) = ended {
                assert!(status.success(), "copy {copies}, kill {kills}: {status}");
                took = started.elapsed().max(Duration::from_millis(300));
                break;
            }
        }
        let storage = StorageEngine::open(&path).unwrap();
        assert_eq!(committed.len(), 59);
        assert_eq!(fingerprint(&storage, "events"), complete, "copy {copies}");
        drop(storage);
        std::fs::remove_file(&path).unwrap();
    }
    println!("{kills} kills over {copies} copies, each the same table in the end");
}

/// The days that an export request is about.
pub(crate) fn days_asked(target: &str) -> std::ops::RangeInclusive<Date> {
    let day = |name: &str| {
        let value = target.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)).unwrap();
        value.parse().unwrap()
    };
    day("from_date=")..=day("to_date=")
}

/// The days in the ledger, each of which must be there as a whole.
fn committed_days(storage: &StorageEngine) -> BTreeSet<Date> {
    if storage.list_tables().unwrap().is_empty() {
        return BTreeSet::new();
    }
    let wrong = "SELECT count(*) FROM
        (SELECT day, row_count FROM _ledger WHERE state <> 'empty') l
        FULL JOIN (SELECT CAST(event_time AS DATE) AS day, count(*) AS row_count FROM events GROUP BY 1) e
            USING (day) WHERE l.row_count IS DISTINCT FROM e.row_count";
    assert_eq!(storage.execute_scalar(wrong).unwrap(), Value::Integer(0));
    let twice = "SELECT count(*) FROM (SELECT 1 FROM events
        GROUP BY event_name, event_time, distinct_id, insert_id HAVING count(*) > 1)";
    assert_eq!(storage.execute_scalar(twice).unwrap(), Value::Integer(0));
    assert_eq!(storage.execute_scalar("SELECT count(*) FROM _held").unwrap(), Value::Integer(0));
    let days = storage.execute_rows("SELECT day FROM _ledger", &[]).unwrap();
    let day = |row: &Vec<Value>| if let Value::Date(day) = row[0] { day } else { panic!("{row:?}") };
    days.rows.iter().map(day).collect()
}

/// Brings the days up to date, and ends.
fn sync_once(url: &str, path: &Path) {
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
    let options = SyncOptions { from: Some(from), to: Some(to), ..SyncOptions::default() };
    let result = workspace.sync(&options).unwrap();
    assert_eq!(result.state, SyncState::Complete);
}
