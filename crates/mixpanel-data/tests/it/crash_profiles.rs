//! Fetches of profiles that are killed for real.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use mixpanel_client::CancelToken;
use mixpanel_data::{FetchProfiles, StorageEngine, Workspace};
use mixpanel_sim::{SimConfig, Simulator};

use crate::bad_input::{child, role};
use crate::profiles::{at, crowd, state};
use crate::support::{project_at, sequence};

/// A snapshot takes the place of another, and is killed at random moments. Whatever the moment: the next to
/// open the file finds the one or the other, with its ledger entry and those who have vanished, and nothing
/// between; and fetching again gives the new one.
#[test]
fn a_killed_fetch_of_profiles_leaves_the_old_snapshot_or_the_new() {
    const KILLS: u32 = 60;
    if let Some((url, path)) = role() {
        return fetch_once(&url, Path::new(&path));
    }
    let before = Simulator::start(crowd(6_000)).unwrap();
    let after = Simulator::start(SimConfig { seed: 7, ..crowd(5_000) }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (original, path) = (folder.path().join("original.duckdb"), folder.path().join("data.duckdb"));
    at(&before, &original).fetch_profiles(&FetchProfiles::default()).unwrap();
    let old = state(&at(&before, &original));
    std::fs::copy(&original, &path).unwrap();
    at(&after, &path).fetch_profiles(&FetchProfiles::default()).unwrap();
    let new = state(&at(&after, &path));
    assert_ne!(old, new);

    let test = "crash_profiles::a_killed_fetch_of_profiles_leaves_the_old_snapshot_or_the_new";
    let mut next = sequence();
    let restart = || {
        for name in ["data.duckdb", "data.duckdb.wal"] {
            let _ = std::fs::remove_file(folder.path().join(name));
        }
        std::fs::copy(&original, &path).unwrap();
        let mut command = child(test, &after.base_url(), path.to_str().unwrap());
        (Instant::now(), command.stdout(Stdio::null()).spawn().unwrap())
    };
    let (started, mut process) = restart();
    assert!(process.wait().unwrap().success());
    let took = started.elapsed();
    let (mut kills, mut found_old, mut found_new) = (0, 0, 0);
    while kills < KILLS {
        let (started, mut process) = restart();
        let patience = took.mul_f64((next() % 1000) as f64 / 1000.0);
        let ended = loop {
            match process.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if started.elapsed() >= patience => break None,
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        if ended.is_none() {
            // SIGKILL: no destructor, no handler.
            process.kill().unwrap();
            process.wait().unwrap();
            kills += 1;
        }
        let workspace = at(&after, &path);
        let found = state(&workspace);
        assert!(found == old || found == new, "kill {kills}: {found:?} is neither {old:?} nor {new:?}");
        match ended {
            Some(status) => assert!(status.success() && found == new, "{status}: {found:?}"),
            None if found == old => found_old += 1,
            None => found_new += 1,
        }
        if kills % 10 == 0 {
            workspace.fetch_profiles(&FetchProfiles::default()).unwrap();
            assert_eq!(state(&workspace)[..2], new[..2], "kill {kills}");
        }
    }
    assert!(found_old > 0);
    println!("{kills} kills: {found_old} times the old snapshot was found, {found_new} times the new one");
}

/// Fetches all profiles, and ends.
fn fetch_once(url: &str, path: &Path) {
    let config = crowd(5_000);
    let noon = jiff::tz::Offset::UTC.to_timestamp(config.today.at(12, 0, 0, 0)).unwrap();
    let project = project_at(url, &config, CancelToken::new(), |_| {});
    let storage = StorageEngine::open(path).unwrap();
    let workspace = Workspace::builder().project(project).now(move || noon).storage(storage);
    workspace.fetch_profiles(&FetchProfiles::default()).unwrap();
}
