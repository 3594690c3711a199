//! Damaged files, repaired on a copy: what is there afterwards is right, what is not
//! is named, and a sync brings exactly that back.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use mixpanel_client::time::ProjectClock;
use mixpanel_data::{
    ErrorKind, FetchEvents, FetchProfiles, Repair, RepairStep, StorageEngine, SyncOptions, SyncState, Value,
    VerifyDepth,
};
use mixpanel_sim::{SimConfig, Simulator};

use crate::crash::days_asked;
use crate::profiles::crowd;
use crate::support::{event, events_metadata, fingerprint, workspace};

const BLOCKS: u64 = 3 * 4096;
const BLOCK: u64 = 256 << 10;

/// A folder with a database, and where its rows come from.
struct Scene {
    folder: tempfile::TempDir,
    simulator: Simulator,
    events: (i64, String),
    profiles: Value,
}

const PROFILES: &str =
    "SELECT CAST(bit_xor(hash(distinct_id, CAST(properties AS VARCHAR), last_seen)) AS VARCHAR)
    FROM profiles";

impl Scene {
    /// Some days of events, each a chunk of its own; profiles; a table and a view of the user's own.
    fn new() -> Self {
        let simulator = Simulator::start(SimConfig { events_per_day: 1_500, ..crowd(400) }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let fetcher = workspace(&simulator, StorageEngine::open(folder.path().join("data.duckdb")).unwrap());
        let last = simulator.config().today.yesterday().unwrap();
        let first = last.saturating_sub(jiff::Span::new().days(5));
        let days = FetchEvents::days(first, last);
        fetcher.fetch_events(&FetchEvents { days_per_request: Some(1), ..days }).unwrap();
        fetcher.fetch_profiles(&FetchProfiles::default()).unwrap();
        let storage = fetcher.storage();
        storage
            .execute("CREATE TABLE notes AS SELECT i, md5(CAST(i AS VARCHAR)) AS t FROM range(9000) r(i)")
            .unwrap();
        storage.execute("CREATE VIEW daily AS SELECT CAST(event_time AS DATE) AS day, count(*) AS n FROM events GROUP BY 1").unwrap();
        storage.execute("CHECKPOINT").unwrap();
        let (events, profiles) = (fingerprint(storage, "events"), storage.execute_scalar(PROFILES).unwrap());
        fetcher.close();
        Scene { folder, simulator, events, profiles }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn database(&self) -> PathBuf {
        self.path("data.duckdb")
    }

    /// Repairs the database, which must stay as it is.
    fn repair(&self) -> Result<Repair, mixpanel_data::Error> {
        let copy = self.path("copy.duckdb");
        let _ = fs::remove_file(&copy);
        let all = || {
            let mut all: Vec<_> =
                fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
            all.retain(|path| *path != copy);
            all.sort();
            all.into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect::<Vec<_>>()
        };
        let before = all();
        let repair = StorageEngine::repair(self.database(), &copy, &ProjectClock::default());
        assert!(all() == before, "something but the copy was touched");
        assert_eq!(repair.as_ref().is_ok_and(|repair| repair.copy.is_some()), copy.exists());
        repair
    }

    /// Checks that the copy is right, that a sync fetches the days that are said to be lost and no
    /// others, and that everything is there then. Returns how many days were lost.
    fn check(&self, repair: &Repair, what: &str) -> usize {
        let Some(copy) = &repair.copy else { return 0 };
        let storage = StorageEngine::open(copy).unwrap();
        assert_eq!(storage.recovery(), None, "{what}");
        let found = storage.verify(&ProjectClock::default(), VerifyDepth::Data).unwrap();
        assert!(found.iter().all(|table| table.is_good()), "{what}: {found:?}");
        assert_eq!(storage.changed_rows().unwrap(), [], "{what}");
        let table = |name: &str| repair.tables.iter().find(|table| table.table == name).unwrap();
        let lost: BTreeSet<Date> = table("events").lost_days.iter().copied().collect();
        assert_eq!(table("events").lost_rows, 0, "{what}: {repair:?}");
        let synced = workspace(&self.simulator, storage);
        let seen = self.simulator.requests().len();
        let to = self.simulator.config().today.yesterday().ok();
        let result = synced.sync(&SyncOptions { to, ..SyncOptions::default() }).unwrap();
        assert_eq!(result.state, SyncState::Complete);
        let asked: BTreeSet<Date> = self.simulator.requests()[seen..]
            .iter()
            .filter(|request| request.target.contains("from_date="))
            .flat_map(|request| {
                let days = days_asked(&request.target);
                let (from, to) = (*days.start(), *days.end());
                from.series(jiff::Span::new().days(1)).take_while(move |day| *day <= to)
            })
            .collect();
        assert_eq!(asked, lost, "{what}");
        assert_eq!(fingerprint(synced.storage(), "events"), self.events, "{what}");
        let profiles = synced.storage().execute_scalar(PROFILES).unwrap();
        assert_eq!(profiles == self.profiles, table("profiles").lost_rows == 0, "{what}: {repair:?}");
        let notes = repair.tables.iter().find(|table| table.table == "notes");
        if !repair.left_out.iter().any(|what| what.contains("notes") || what.contains("older state")) {
            let rows = synced.storage().execute_scalar("SELECT count(*) FROM notes").unwrap();
            let whole = notes.is_none_or(|notes| notes.lost_rows == 0);
            assert_eq!(rows == Value::Integer(9000), whole, "{what}: {repair:?}");
        }
        let daily = synced.storage().execute_scalar("SELECT sum(n) FROM daily");
        let has_view =
            !repair.left_out.iter().any(|what| what.contains("daily") || what.contains("older state"));
        assert!(daily.is_ok() || !has_view, "{what}: {daily:?}");
        lost.len()
    }
}

fn spoil(path: &Path, at: u64, change: impl Fn(&mut [u8]), length: usize) -> Vec<u8> {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, at).unwrap();
    let old = bytes.clone();
    change(&mut bytes);
    file.write_all_at(&bytes, at).unwrap();
    old
}

fn restore(path: &Path, at: u64, old: &[u8]) {
    File::options().write(true).open(path).unwrap().write_all_at(old, at).unwrap();
}

#[test]
fn nothing_is_made_of_a_file_that_is_whole_and_nothing_is_replaced() {
    let scene = Scene::new();
    assert_eq!(scene.repair().unwrap().copy, None);
    fs::write(scene.path("mine"), "mine").unwrap();
    let clock = ProjectClock::default();
    let error = StorageEngine::repair(scene.database(), scene.path("mine"), &clock).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidArgument { argument: "copy", .. }), "{error:?}");
    assert_eq!(fs::read_to_string(scene.path("mine")).unwrap(), "mine");
    let error = StorageEngine::repair(scene.path("no"), scene.path("copy"), &clock).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::DatabaseNotFound { .. }), "{error:?}");
    let error = StorageEngine::repair(scene.path("mine"), scene.path("copy"), &clock).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotADatabase { .. }), "{error:?}");
    let writer = StorageEngine::open(scene.database()).unwrap();
    let error = StorageEngine::repair(scene.database(), scene.path("copy"), &clock).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::DatabaseLocked { .. }), "{error:?}");
    drop(writer);
    let names = fs::read_dir(scene.folder.path()).unwrap().count();
    assert_eq!(names, 2, "the file, and `mine`");
}

/// In each block in turn, whatever it holds: a bit, and a stretch that nothing can bring back.
#[test]
fn of_a_damaged_block_all_is_saved_that_can_be_and_a_sync_brings_the_rest() {
    let scene = Scene::new();
    let path = scene.database();
    let blocks = (fs::metadata(&path).unwrap().len() - BLOCKS) / BLOCK;
    let (mut exact, mut in_part, mut nothing, mut unused, mut corrected) = (0, 0, 0, 0, 0);
    for block in 0..blocks {
        let at = BLOCKS + block * BLOCK;
        // The lower bits of a word are told by the checksum, but in blocks that are mostly zeros:
        // the same change of another word explains it as well.
        let old = spoil(&path, at + 8 + 40 * 8, |byte| byte[0] ^= 4, 1);
        let what = format!("a bit of block {block}");
        match scene.repair() {
            Ok(repair) => {
                let lost = scene.check(&repair, &what);
                if repair.steps == [RepairStep::Corrected { places: 1 }] {
                    assert_eq!((lost, repair.lost_something()), (0, false), "{what}: {repair:?}");
                    corrected += 1;
                }
            }
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::NotADatabase { .. }), "{what}: {error:?}")
            }
        }
        restore(&path, at + 8 + 40 * 8, &old);
        for (from, length) in [(64, 512), (100_000, 4096), (200_000, 30_000)] {
            let old = spoil(&path, at + from, |bytes| bytes.fill(0x5a), length);
            let what = format!("{length} bytes of block {block}");
            match scene.repair() {
                Ok(repair) if repair.copy.is_none() => unused += 1,
                Ok(repair) => match scene.check(&repair, &what) {
                    0 => exact += 1,
                    _ => in_part += 1,
                },
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::NotADatabase { .. }), "{what}: {error:?}");
                    nothing += 1;
                }
            }
            restore(&path, at + from, &old);
        }
    }
    println!(
        "{blocks} blocks: {corrected} bits put right; of worse damage {exact} without loss, {in_part} in part, \
         {nothing} not, {unused} of no importance"
    );
    assert!(corrected * 2 > blocks, "{corrected} of {blocks}");
    assert!(exact > 0 && in_part > 0 && nothing < 2 * exact.min(in_part), "{exact} {in_part} {nothing}");
}

#[test]
fn headers_are_made_anew_where_the_rest_says_what_they_were() {
    let scene = Scene::new();
    let path = scene.database();
    for (at, length, steps) in [
        (1, 1, 1), // the main header's checksum
        // An odd number of words: the same change of two is none to the checksum.
        (600, 504, 1), // where the main header has nothing
        (8, 60, 1),    // its name, version and flags
        (4096 + 9, 1, 1),
        (8192 + 9, 1, 1),
        (4096 + 512, 504, 1),
        (8192 + 2048, 2040, 1),
    ] {
        let old = spoil(&path, at, |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 0x20), length);
        let what = format!("{length} bytes at {at}");
        assert!(StorageEngine::open(&path).is_err(), "{what}: the damage is one");
        let repair = scene.repair().unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(repair.steps.len(), steps, "{what}: {repair:?}");
        assert_eq!(scene.check(&repair, &what), 0, "{what}: {repair:?}");
        restore(&path, at, &old);
    }
    // One of two headers gone altogether: the other one counts, or an older state does.
    for at in [4096, 8192] {
        let old = spoil(&path, at, |bytes| bytes.fill(0), 4096);
        match scene.repair() {
            Ok(repair) => {
                let header = repair.steps.iter().any(|step| matches!(step, RepairStep::Header { .. }));
                assert!(header, "{repair:?}");
                scene.check(&repair, &format!("header at {at}"));
            }
            Err(error) => assert!(matches!(error.kind(), ErrorKind::NotADatabase { .. }), "{error:?}"),
        }
        restore(&path, at, &old);
    }
}

/// The end of the file is missing, more and more of it.
#[test]
fn a_file_that_was_cut_off_keeps_what_is_in_front() {
    let scene = Scene::new();
    let path = scene.database();
    let whole = fs::read(&path).unwrap();
    let (mut saved, mut nothing) = (0, 0);
    for part in 1..12 {
        let length = whole.len() as u64 - BLOCK * part / 2;
        File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
        match scene.repair() {
            Ok(repair) => {
                scene.check(&repair, &format!("cut at {length}"));
                saved += 1;
            }
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::NotADatabase { .. }), "{length}: {error:?}");
                nothing += 1;
            }
        }
        fs::write(&path, &whole).unwrap();
    }
    // Where the list of tables was at the end, there is nothing to begin with.
    println!("{saved} saved, {nothing} not");
}

/// What had been committed to the log before its damage is kept, and days of the rest are named.
#[test]
fn a_damaged_log_is_used_and_the_days_behind_its_damage_are_named() {
    let simulator = Simulator::start(SimConfig { events_per_day: 60, ..crowd(50) }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (made, path) = (folder.path().join("made.duckdb"), folder.path().join("data.duckdb"));
    let last = simulator.config().today.yesterday().unwrap();
    let first = last.saturating_sub(jiff::Span::new().days(7));
    let fetcher = workspace(&simulator, StorageEngine::open(&made).unwrap());
    fetcher.fetch_events(&FetchEvents::days(first, last)).unwrap();
    let clean = fingerprint(fetcher.storage(), "events");
    let storage = fetcher.storage();
    // As if each day had been a transaction of its own, and the process killed behind the last.
    storage.execute("CREATE TABLE rows AS FROM _events; CREATE TABLE days AS FROM _ledger; DELETE FROM _events; DELETE FROM _ledger; CHECKPOINT;").unwrap();
    for day in first.series(jiff::Span::new().days(1)).take_while(|day| *day <= last) {
        storage
            .execute(&format!(
                "BEGIN; INSERT INTO _events FROM rows WHERE CAST(event_time AS DATE) = '{day}';
                 INSERT INTO _ledger FROM days WHERE day = '{day}';
                 UPDATE _tables SET row_count = (SELECT count(*) FROM _events); COMMIT;"
            ))
            .unwrap();
    }
    let log = |path: &Path| path.with_extension("duckdb.wal");
    fs::copy(&made, &path).unwrap();
    fs::copy(log(&made), log(&path)).unwrap();
    let whole = fs::read(log(&path)).unwrap();
    let (mut exact, mut named) = (0, 0);
    for part in 1..10 {
        let at = whole.len() as u64 * part / 10;
        for cut in [false, true] {
            if cut {
                File::options().write(true).open(log(&path)).unwrap().set_len(at).unwrap();
            } else {
                spoil(&log(&path), at, |bytes| bytes.fill(0x5a), 40);
            }
            let copy = folder.path().join("copy.duckdb");
            let _ = fs::remove_file(&copy);
            let repair = StorageEngine::repair(&path, &copy, &ProjectClock::default()).unwrap();
            let opened = if repair.copy.is_some() { &copy } else { &path };
            let synced = workspace(&simulator, StorageEngine::open(opened).unwrap());
            let missing = synced.storage().execute_scalar("SELECT 8 - count(*) FROM _ledger").unwrap();
            let lost: Vec<Date> = repair.tables.iter().flat_map(|table| table.lost_days.clone()).collect();
            if cut {
                // Nobody can see that there was more: what a killed process leaves looks the same.
                assert!(lost.is_empty(), "{repair:?}");
            } else {
                assert_eq!(Value::Integer(lost.len() as i128), missing, "at {at}: {repair:?}");
                named += usize::from(!lost.is_empty());
                exact += usize::from(lost.is_empty());
            }
            synced.sync(&SyncOptions { to: Some(last), ..SyncOptions::default() }).unwrap();
            assert_eq!(fingerprint(synced.storage(), "events"), clean, "at {at}");
            synced.close();
            fs::copy(&made, &path).unwrap();
            fs::write(log(&path), &whole).unwrap();
        }
    }
    assert!(named > 0, "{named} named, {exact} without loss");
}

/// Rows that a caller added cannot be fetched: those that can be read are kept, and how many are
/// lost is said.
#[test]
fn rows_that_no_fetch_brings_are_kept_as_far_as_they_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let storage = StorageEngine::open(&path).unwrap();
    let noise = |n: u64| {
        (0..8)
            .map(|k| format!("{:016x}", (n * 8 + k).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .collect::<String>()
    };
    let records: Vec<_> = (0..20_000)
        .map(|n| event("A", &n.to_string(), &format!(r#"{{"noise":"{}","n":{n}}}"#, noise(n))))
        .collect();
    storage.create_events_table("records", records, &events_metadata(), None).unwrap();
    storage.close();
    let whole = fs::metadata(&path).unwrap().len();
    let (mut kept, mut all) = (0, 0);
    for block in 0..(whole - BLOCKS) / BLOCK {
        let at = BLOCKS + block * BLOCK + 50_000;
        let old = spoil(&path, at, |bytes| bytes.fill(0x5a), 4096);
        let copy = folder.path().join("copy.duckdb");
        let _ = fs::remove_file(&copy);
        if let Ok(Repair { copy: Some(_), tables, .. }) =
            StorageEngine::repair(&path, &copy, &ProjectClock::default())
        {
            let opened = StorageEngine::open(&copy).unwrap();
            let rows =
                opened.execute_scalar("SELECT count(*) FROM records").unwrap().as_i64().unwrap() as u64;
            assert_eq!(
                (tables[0].rows, tables[0].rows + tables[0].lost_rows),
                (rows, 20_000),
                "block {block}"
            );
            let wrong = "SELECT count(*) FROM records_flat JOIN records USING (insert_id)
                WHERE n <> CAST(insert_id AS BIGINT) OR noise <> properties->>'$.noise'";
            assert_eq!(opened.execute_scalar(wrong).unwrap(), Value::Integer(0));
            kept += usize::from(rows > 0 && rows < 20_000);
            all += usize::from(rows == 20_000);
        }
        restore(&path, at, &old);
    }
    println!("{kept} in part, {all} whole");
    assert!(kept > 0);
}
