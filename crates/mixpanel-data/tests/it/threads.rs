//! Several threads of one process, which meet at one file or one table.

use std::path::Path;
use std::sync::Barrier;
use std::thread;

use jiff::ToSpan;
use mixpanel_data::{ErrorKind, FetchEvents, StorageEngine};
use mixpanel_sim::Simulator;

use crate::fetch::count;
use crate::support::{event, events_metadata, small_world, workspace};

#[test]
fn two_fetches_into_one_new_table_keep_each_others_rows() {
    let simulator = Simulator::start(small_world()).unwrap();
    let (first, last) = (simulator.world().first_day(), simulator.world().last_day());
    let middle = first.checked_add(5.days()).unwrap();
    let halves = [FetchEvents::days(first, middle), FetchEvents::days(middle.tomorrow().unwrap(), last)];
    let whole = workspace(&simulator, StorageEngine::memory().unwrap());
    let expected = whole.fetch_events(&FetchEvents::days(first, last)).unwrap().total_rows;
    for _ in 0..5 {
        let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
        let start = Barrier::new(2);
        thread::scope(|scope| {
            for half in &halves {
                scope.spawn(|| {
                    start.wait();
                    workspace.fetch_events(half).unwrap();
                });
            }
        });
        assert_eq!(count(&workspace, "SELECT count(*) FROM events"), expected);
        assert_eq!(workspace.table_schema("events_flat").unwrap().table_name, "events_flat");
    }
}

#[test]
fn of_two_that_make_one_table_one_is_told() {
    for _ in 0..5 {
        let storage = StorageEngine::memory().unwrap();
        let start = Barrier::new(2);
        let made: Vec<_> = thread::scope(|scope| {
            let make = |id: &'static str| {
                let (storage, start) = (&storage, &start);
                scope.spawn(move || {
                    start.wait();
                    let records = vec![event("A", id, "{}")];
                    storage.create_events_table("events", records, &events_metadata(), None)
                })
            };
            [make("one"), make("two")].map(|thread| thread.join().unwrap()).into()
        });
        let refused: Vec<_> = made.iter().filter_map(|made| made.as_ref().err()).collect();
        assert_eq!(refused.len(), 1, "{made:?}");
        assert!(matches!(refused[0].kind(), ErrorKind::TableExists { .. }), "{made:?}");
        assert_eq!(storage.execute_scalar("SELECT count(*) FROM events").unwrap().as_i64(), Some(1));
    }
}

/// DuckDB's lock is one of processes: two handles of one would write over each other.
#[test]
fn of_many_that_open_one_new_file_one_gets_it() {
    let open_at_once = |path: &Path| {
        let start = Barrier::new(8);
        let opened: Vec<_> = thread::scope(|scope| {
            let open = |_| {
                scope.spawn(|| {
                    start.wait();
                    StorageEngine::open(path)
                })
            };
            let threads: Vec<_> = (0..8).map(open).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(opened.iter().filter(|opened| opened.is_ok()).count(), 1, "{opened:?}");
        for error in opened.iter().filter_map(|opened| opened.as_ref().err()) {
            assert!(matches!(error.kind(), ErrorKind::DatabaseLocked { .. }), "{error:?}");
        }
    };
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        open_at_once(&folder.path().join("missing.duckdb"));
        let empty = folder.path().join("empty.duckdb");
        std::fs::write(&empty, "").unwrap();
        open_at_once(&empty);
    }
}
