//! Rows compared with the ledger: what is right is said to be right, and each kind
//! of damage is found where it is.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use mixpanel_client::time::{ClockMode, ProjectClock};
use mixpanel_data::{FetchEvents, FetchProfiles, Finding, StorageEngine, Verification, VerifyDepth};
use mixpanel_sim::{SimConfig, Simulator};

use crate::profiles::crowd;
use crate::support::{event, events_metadata, workspace};

const DEPTHS: [VerifyDepth; 3] = [VerifyDepth::Quick, VerifyDepth::Content, VerifyDepth::Data];

/// A database with events, profiles and records.
fn filled(path: &Path, clock: &ProjectClock) -> Simulator {
    let simulator = Simulator::start(SimConfig { events_per_day: 60, ..crowd(300) }).unwrap();
    let mut project = crate::support::project(&simulator, Default::default());
    project.clock = clock.clone();
    let now = crate::support::now_of(&simulator);
    let storage = StorageEngine::open(path).unwrap();
    let workspace = mixpanel_data::Workspace::builder().project(project).now(move || now).storage(storage);
    let last = simulator.config().today.yesterday().unwrap();
    let first = last.saturating_sub(jiff::Span::new().days(5));
    workspace.fetch_events(&FetchEvents::days(first, last)).unwrap();
    workspace.fetch_profiles(&FetchProfiles::default()).unwrap();
    let records = (0..50).map(|n| event("A", &n.to_string(), r#"{"plan":"pro"}"#)).collect::<Vec<_>>();
    workspace.storage().create_events_table("records", records, &events_metadata(), None).unwrap();
    simulator
}

fn events(storage: &StorageEngine, depth: VerifyDepth) -> Verification {
    let all = storage.verify(&ProjectClock::default(), depth).unwrap();
    assert!(all.iter().filter(|table| table.table != "events").all(Verification::is_good), "{all:?}");
    all.into_iter().find(|table| table.table == "events").unwrap()
}

#[test]
fn what_was_received_is_right_on_every_clock() {
    let local = ProjectClock::new("America/New_York", ClockMode::LocalAsUtc).unwrap();
    for clock in [ProjectClock::default(), local] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.duckdb");
        filled(&path, &clock);
        let storage = StorageEngine::open_existing(&path, true).unwrap();
        for depth in DEPTHS {
            let tables = storage.verify(&clock, depth).unwrap();
            assert!(tables.len() == 3 && tables.iter().all(Verification::is_good), "{tables:?}");
            let right = tables[0].days.iter().filter(|day| day.finding == Finding::Right).count();
            assert!(tables[0].days.len() >= 5 && (depth == VerifyDepth::Quick) == (right == 0), "{tables:?}");
        }
    }
}

/// Each change by SQL is found, by the depth that says it finds it, on its day.
#[test]
fn rows_that_were_changed_lost_or_added_are_found_on_their_day() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let simulator = filled(&path, &ProjectClock::default());
    let storage = StorageEngine::open(&path).unwrap();
    let good = events(&storage, VerifyDepth::Content);
    let day = good.days.iter().find(|day| day.finding == Finding::Right).unwrap().day;
    let on_day = format!("(SELECT min(rowid) FROM _events WHERE CAST(event_time AS DATE) = '{day}')");
    let other_day = simulator.config().today.saturating_sub(jiff::Span::new().days(30));
    drop(storage);
    let original = fs::read(&path).unwrap();
    let changes = [
        (format!("DELETE FROM _events WHERE rowid = {on_day}"), Finding::OtherRows, 0, day),
        (
            format!("INSERT INTO _events BY NAME SELECT * FROM _events WHERE rowid = {on_day}"),
            Finding::OtherRows,
            0,
            day,
        ),
        (
            format!("UPDATE _events SET event_name = 'X' WHERE rowid = {on_day}"),
            Finding::OtherContent,
            1,
            day,
        ),
        (
            format!(
                r#"UPDATE _events SET properties = replace(CAST(properties AS VARCHAR), '"time":1', '"time":2')::JSON WHERE rowid = {on_day}"#
            ),
            Finding::OtherContent,
            1,
            day,
        ),
        (
            format!("UPDATE _events SET event_time = '{other_day} 12:00:00' WHERE rowid = {on_day}"),
            Finding::NoEntry,
            0,
            other_day,
        ),
    ];
    for (change, finding, from, where_) in changes {
        fs::write(&path, &original).unwrap();
        let storage = StorageEngine::open(&path).unwrap();
        storage.execute(&change).unwrap();
        for (at, depth) in DEPTHS.into_iter().enumerate() {
            let found = events(&storage, depth);
            assert_eq!(found.is_good(), at < from, "{change}, {depth:?}: {found:?}");
            let wrong = found.days.iter().find(|day| day.day == where_);
            assert!(at < from || wrong.is_some_and(|day| day.finding == finding), "{change}: {found:?}");
        }
    }
    // A typed column that is not what the text says.
    fs::write(&path, &original).unwrap();
    let storage = StorageEngine::open(&path).unwrap();
    let column = "SELECT column_name FROM _properties WHERE table_name = 'events' AND promoted AND strings > 50 LIMIT 1";
    let column = storage.execute_scalar(column).unwrap().to_text();
    storage.execute(&format!("UPDATE _events SET \"{column}\" = NULL")).unwrap();
    assert!(events(&storage, VerifyDepth::Content).is_good());
    let found = events(&storage, VerifyDepth::Data);
    assert!(!found.is_good() && found.columns.keys().eq([&column]), "{found:?}");
}

/// A block that rots makes days unreadable, which are named, and the others are read.
#[test]
fn blocks_that_rot_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let simulator = Simulator::start(SimConfig { events_per_day: 3_000, ..crowd(300) }).unwrap();
    let fetcher = workspace(&simulator, StorageEngine::open(&path).unwrap());
    let last = simulator.config().today.yesterday().unwrap();
    let first = last.saturating_sub(jiff::Span::new().days(3));
    fetcher.fetch_events(&FetchEvents::days(first, last)).unwrap();
    fetcher.close();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let (mut named, mut refused, mut unnoticed) = (0, 0, 0);
    let blocks = (file.metadata().unwrap().len() - 12_288) / (256 << 10);
    for block in 0..blocks {
        let place = 12_288 + block * (256 << 10) + 1_000;
        let mut old = [0; 8];
        file.read_exact_at(&mut old, place).unwrap();
        file.write_all_at(&old.map(|byte| byte ^ 0x55), place).unwrap();
        let found = StorageEngine::open_existing(&path, true)
            .and_then(|storage| storage.verify(&ProjectClock::default(), VerifyDepth::Data));
        match found {
            Err(_) => refused += 1,
            Ok(tables) if tables[0].is_good() => unnoticed += 1,
            Ok(tables) => {
                let table = &tables[0];
                assert!(table.unreadable.is_some(), "{table:?}");
                let days = table.days.iter().filter(|day| day.finding == Finding::Unreadable).count();
                assert!(days > 0, "{table:?}");
                named += 1;
            }
        }
        file.write_all_at(&old, place).unwrap();
    }
    println!(
        "{blocks} blocks: {named} found with their days, {refused} refused, {unnoticed} of no importance"
    );
    assert!(named > 0);
}
