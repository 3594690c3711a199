//! Operations in any order, against a model that fits on a page: for each table, which
//! days are there. Whatever is done, fails or stops, each day is as the one clean fetch
//! has it, or it is not there at all; and the ledger says which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::civil::Date;
use mixpanel_client::CancelToken;
use mixpanel_client::retry::RetryPolicy;
use mixpanel_client::time::ProjectClock;
use mixpanel_data::{FetchEvents, StorageEngine, SyncOptions, VerifyDepth, Workspace};
use mixpanel_sim::{Fault, SimConfig, Simulator};

use crate::support::{now_of, print_figure, project_with, random, setting, small_world};

const TABLES: [&str; 2] = ["events", "other"];
const DAYS: u64 = 7;

/// Count and hash of a day's rows.
type Content = (i64, String);

/// What a table should hold: the days that were fetched, and those of them that somebody has
/// taken rows from.
#[derive(Clone, Debug, Default, PartialEq)]
struct Table {
    days: BTreeSet<Date>,
    damaged: BTreeSet<Date>,
    first: Option<Date>,
}

type Model = BTreeMap<&'static str, Table>;

struct World {
    simulator: Simulator,
    first: Date,
    clean: BTreeMap<Date, Content>,
}

impl World {
    fn new(seed: u64) -> Self {
        let config = SimConfig { seed, days: 9, events_per_day: 25, users: Some(20), ..small_world() };
        let simulator = Simulator::start(config).unwrap();
        let first = simulator.world().first_day();
        let clean = crate::support::workspace(&simulator, StorageEngine::memory().unwrap());
        clean.fetch_events(&FetchEvents::days(first, day(first, DAYS - 1))).unwrap();
        let clean = contents(clean.storage(), "events");
        World { simulator, first, clean }
    }

    fn open(&self, path: &Path) -> Workspace {
        let now = now_of(&self.simulator);
        let project =
            project_with(&self.simulator, CancelToken::new(), |options| options.retry = RetryPolicy::never());
        Workspace::builder().project(project).now(move || now).storage(StorageEngine::open(path).unwrap())
    }
}

fn day(first: Date, number: u64) -> Date {
    first.saturating_add(jiff::Span::new().days(number as i64))
}

fn contents(storage: &StorageEngine, table: &str) -> BTreeMap<Date, Content> {
    if !storage.table_exists(table).unwrap() {
        return BTreeMap::new();
    }
    let sql = format!(
        "SELECT CAST(event_time AS DATE), count(*), CAST(bit_xor(hash(event_name, event_time, distinct_id, insert_id,
            CAST(properties AS VARCHAR))) AS VARCHAR) FROM {table} GROUP BY 1"
    );
    let rows = storage.execute_rows(&sql, &[]).unwrap().rows;
    rows.iter()
        .map(|row| (row[0].to_text().parse().unwrap(), (row[1].as_i64().unwrap(), row[2].to_text())))
        .collect()
}

fn ledger(storage: &StorageEngine, table: &str) -> BTreeSet<Date> {
    let sql =
        format!("SELECT day FROM _ledger WHERE table_name = '{table}' AND state IN ('complete', 'empty')");
    let rows = storage.execute_rows(&sql, &[]).unwrap().rows;
    let days: BTreeSet<Date> = rows.iter().map(|row| row[0].to_text().parse().unwrap()).collect();
    assert_eq!(days.len(), rows.len(), "a day is in the ledger twice");
    days
}

/// A run of operations on a database of its own.
struct Run<'a, R> {
    world: &'a World,
    random: R,
    folder: tempfile::TempDir,
    copies: u32,
    workspace: Workspace,
    model: Model,
    done: Vec<String>,
}

impl<'a, R: FnMut() -> u64> Run<'a, R> {
    fn new(world: &'a World, random: R) -> Self {
        let memory = Path::new("/dev/shm");
        let folder =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let workspace = world.open(&folder.path().join("0.duckdb"));
        Run { world, random, folder, copies: 0, workspace, model: Model::new(), done: Vec::new() }
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.random)() % bound
    }

    fn range(&mut self) -> (Date, Date) {
        let (a, b) = (self.below(DAYS), self.below(DAYS));
        (day(self.world.first, a.min(b)), day(self.world.first, a.max(b)))
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(format!("{}.duckdb", self.copies))
    }

    /// Does something; says what is wrong afterwards.
    fn step(&mut self) -> Option<String> {
        let table = TABLES[self.below(2) as usize];
        let (from, to) = self.range();
        let days_each = 1 + self.below(3) as u32;
        let fetch = FetchEvents {
            table: table.to_owned(),
            days_per_request: Some(days_each),
            concurrency: Some(1 + self.below(2) as usize),
            ..FetchEvents::days(from, to)
        };
        let asked: BTreeSet<Date> =
            from.series(jiff::Span::new().days(1)).take_while(|day| *day <= to).collect();
        let before = self.model.clone();
        let what = self.below(12);
        self.done.push(format!("{what}: {table} {from} to {to} by {days_each}"));
        let mut broke_off = false;
        match what {
            0..=2 => {
                self.workspace.fetch_events(&fetch).unwrap();
                self.fetched(table, &asked);
            }
            3 => {
                self.workspace
                    .fetch_events(&FetchEvents { replace: true, days_per_request: None, ..fetch })
                    .unwrap();
                self.model.insert(table, Table::default());
                self.fetched(table, &asked);
            }
            4 | 5 => self.sync(table, from, to),
            6 => {
                let events: Vec<String> = vec![];
                let again = FetchEvents { append: true, events, days_per_request: None, ..fetch };
                if before.contains_key(table) {
                    self.workspace.fetch_events(&again).unwrap();
                    self.fetched(table, &asked);
                }
            }
            7 => {
                // An answer that breaks off, or is no answer: tried once, and given up.
                let day = day(from, self.below(asked.len() as u64));
                let fault = match self.below(5) {
                    0 => Fault::CutConnection { fraction: self.below(100) as f64 / 100.0 },
                    1 => Fault::terminated_early(self.below(100) as f64 / 100.0),
                    2 => Fault::CleanCloseMidLine { fraction: 0.5 },
                    3 => Fault::GzipBadCrc,
                    _ => Fault::status(503),
                };
                self.world.simulator.fault(fault.on_day(day).times(2));
                broke_off = true;
                let _ = self.workspace.fetch_events(&fetch);
                self.world.simulator.clear_faults();
            }
            8 if before.contains_key(table) => {
                self.workspace.storage().drop_table(table).unwrap();
                self.model.remove(table);
            }
            9 => self.take_rows(table, from),
            10 => {
                self.workspace.close();
                self.workspace = self.world.open(&self.path());
            }
            _ => self.lose_process(),
        }
        self.compare(table, &before, &asked, broke_off)
    }

    fn fetched(&mut self, table: &'static str, asked: &BTreeSet<Date>) {
        let known = self.model.entry(table).or_default();
        known.days.extend(asked);
        known.damaged.retain(|day| !asked.contains(day));
        known.first = known.first.into_iter().chain(asked.first().copied()).min();
    }

    fn sync(&mut self, table: &'static str, from: Date, to: Date) {
        let known = self.model.get(table).cloned();
        // Without a first day, from the table's own.
        let first = known.as_ref().and_then(|known| known.first).filter(|first| *first <= to);
        let from = if self.below(2) == 0 && first.is_some() { None } else { Some(from) };
        let options = SyncOptions { table: table.to_owned(), from, to: Some(to), ..SyncOptions::default() };
        self.workspace.sync(&options).unwrap();
        let from = from.or(first).unwrap();
        let asked = from.series(jiff::Span::new().days(1)).take_while(|day| *day <= to).collect();
        self.fetched(table, &asked);
    }

    /// Somebody removes rows of a day, by SQL.
    fn take_rows(&mut self, table: &'static str, day: Date) {
        let Some(known) = self.model.get_mut(table).filter(|known| known.days.contains(&day)) else { return };
        let sql = format!("DELETE FROM _{table} WHERE CAST(event_time AS DATE) = '{day}'");
        self.workspace.storage().execute(&sql).unwrap();
        known.damaged.insert(day);
    }

    /// The process is killed: what it leaves is on the disk, and another one goes on.
    fn lose_process(&mut self) {
        let old = self.path();
        self.copies += 1;
        let new = self.path();
        for suffix in ["", ".wal", ".journal"] {
            let (from, to) = (format!("{}{suffix}", old.display()), format!("{}{suffix}", new.display()));
            if Path::new(&from).exists() {
                fs::copy(from, to).unwrap();
            }
        }
        self.workspace.close();
        self.workspace = self.world.open(&new);
    }

    fn compare(
        &mut self,
        table: &'static str,
        before: &Model,
        asked: &BTreeSet<Date>,
        broke_off: bool,
    ) -> Option<String> {
        let storage = self.workspace.storage();
        for name in TABLES {
            let (found, known) = (contents(storage, name), ledger(storage, name));
            if broke_off && name == table {
                // Each day as it was, or as it was to be.
                let old = before.get(name).cloned().unwrap_or_default();
                for day in known.difference(&old.days) {
                    if !asked.contains(day) {
                        return Some(format!("{name}: {day} was not asked for"));
                    }
                }
                let now = self.model.entry(name).or_default();
                now.days.clone_from(&known);
                let whole = |day: &Date| found.get(day) == self.world.clean.get(day);
                now.damaged = old.damaged.iter().copied().filter(|day| !whole(day)).collect();
                if storage.table_exists(name).unwrap() {
                    now.first = now.first.into_iter().chain(asked.first().copied()).min();
                } else {
                    self.model.remove(name);
                }
            }
            let Some(expected) = self.model.get(name) else {
                if !found.is_empty() || !known.is_empty() {
                    return Some(format!("{name} should not be there: {found:?}, {known:?}"));
                }
                continue;
            };
            if known != expected.days {
                return Some(format!("{name}: the ledger has {known:?}, not {:?}", expected.days));
            }
            for (day, content) in &self.world.clean {
                let is = found.get(day);
                let should =
                    (expected.days.contains(day) && !expected.damaged.contains(day)).then_some(content);
                if is != should {
                    return Some(format!("{name} {day}: {is:?}, not {should:?}"));
                }
            }
        }
        None
    }

    /// In the end, everything is fetched: then it is the clean copy, and verified.
    fn end(&mut self) -> Option<String> {
        let (from, to) = (self.world.first, day(self.world.first, DAYS - 1));
        for name in TABLES {
            self.done.push(format!("at the end, {name}"));
            let options = SyncOptions {
                table: name.to_owned(),
                from: Some(from),
                to: Some(to),
                ..SyncOptions::default()
            };
            self.workspace.sync(&options).unwrap();
            let found = contents(self.workspace.storage(), name);
            if found != self.world.clean {
                return Some(format!("{name} is not the clean copy: {found:?}"));
            }
        }
        let verified = self.workspace.storage().verify(&ProjectClock::default(), VerifyDepth::Data).unwrap();
        (!verified.iter().all(|table| table.is_good())).then(|| format!("{verified:?}"))
    }
}

/// Runs sequences of operations on two threads, each with a simulator of its own.
fn prove(sequences: usize, seed: u64) -> (Vec<String>, usize) {
    let (next, steps, failures) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|threads| {
        for thread in 0..2 {
            let (next, steps, failures) = (&next, &steps, &failures);
            threads.spawn(move || {
                let mut world = World::new(seed + thread);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= sequences {
                        return;
                    }
                    // Its log of requests grows.
                    if number % 500 == 499 {
                        world = World::new(seed + thread + number as u64);
                    }
                    let mut random = random(seed.wrapping_add(number as u64).wrapping_mul(0x9e37_79b9));
                    for _ in 0..8 {
                        random();
                    }
                    let length = 2 + random() % 7;
                    let mut run = Run::new(&world, random);
                    let mut wrong = None;
                    for _ in 0..length {
                        steps.fetch_add(1, Ordering::Relaxed);
                        wrong = wrong.or_else(|| run.step());
                    }
                    if let Some(wrong) = wrong.or_else(|| run.end()) {
                        failures
                            .lock()
                            .unwrap()
                            .push(format!("sequence {number}: {wrong}\n  {:?}", run.done));
                    }
                    run.workspace.close();
                }
            });
        }
    });
    (failures.into_inner().unwrap(), steps.into_inner())
}

fn conclude(sequences: usize) {
    let seed = setting("MP_PROVE_SEED", 1);
    let (failures, steps) = prove(sequences, seed);
    let note =
        format!("{steps} operations: fetch, sync, replace, append, drop, SQL, faults, killed, reopened");
    print_figure("sequences of operations against a model", sequences, failures.len(), seed, &note);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn operations_in_any_order_end_as_the_model_says() {
    conclude(40);
}

#[test]
#[ignore = "the large set: just prove"]
fn prove_sequences() {
    conclude(setting("MP_PROVE_SEQUENCES", 10_000) as usize);
}
