//! What the processes do to a database, and what tells one state of it from another.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use mixpanel_client::CancelToken;
use mixpanel_data::{FetchEvents, FetchProfiles, StorageEngine, SyncOptions, TableKind, Workspace};
use mixpanel_sim::{SimConfig, Simulator};
use tempfile::TempDir;

use crate::bad_input::role;
use crate::profiles::crowd;
use crate::support::{event, events_metadata, project_at, workspace};

/// Every way in which a database is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Fetch,
    Sync,
    Replace,
    Append,
    Profiles,
    Widen,
    Checkpoint,
    Close,
}

impl Operation {
    pub(super) const ALL: [Operation; 9] = [
        Operation::Create,
        Operation::Fetch,
        Operation::Sync,
        Operation::Replace,
        Operation::Append,
        Operation::Profiles,
        Operation::Widen,
        Operation::Checkpoint,
        Operation::Close,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Operation::Create => "create",
            Operation::Fetch => "fetch",
            Operation::Sync => "sync",
            Operation::Replace => "replace",
            Operation::Append => "append",
            Operation::Profiles => "profiles",
            Operation::Widen => "widen",
            Operation::Checkpoint => "checkpoint",
            Operation::Close => "close",
        }
    }

    fn run(self, workspace: &Workspace, config: &SimConfig) {
        let days = |from: i64, to: i64| FetchEvents::days(day(config, from), day(config, to));
        match self {
            Operation::Create => drop(workspace.fetch_events(&days(2, 3)).unwrap()),
            Operation::Fetch => drop(workspace.fetch_events(&days(5, 6)).unwrap()),
            Operation::Sync => {
                let (from, to) = (Some(day(config, 2)), Some(day(config, 9)));
                drop(workspace.sync(&SyncOptions { from, to, ..SyncOptions::default() }).unwrap());
            }
            Operation::Replace => {
                let fetch = FetchEvents { table: "other".into(), replace: true, ..days(5, 6) };
                drop(workspace.fetch_events(&fetch).unwrap());
            }
            Operation::Append => {
                let filter = Some(r#"properties["$city"] != "nowhere""#.to_owned());
                let fetch = FetchEvents { table: "other".into(), append: true, filter, ..days(3, 4) };
                drop(workspace.fetch_events(&fetch).unwrap());
            }
            Operation::Profiles => drop(workspace.fetch_profiles(&FetchProfiles::default()).unwrap()),
            Operation::Widen => {
                let text = (0..500).map(|n| event("Wide", &format!("text {n}"), r#"{"size":"large"}"#));
                let storage = workspace.storage();
                storage
                    .append_events_table("wide", text.collect::<Vec<_>>(), &events_metadata(), None)
                    .unwrap();
            }
            Operation::Checkpoint => workspace.storage().execute("CHECKPOINT").unwrap(),
            Operation::Close => {}
        }
    }
}

fn day(config: &SimConfig, number: i64) -> Date {
    config
        .today
        .saturating_sub(jiff::Span::new().days(i64::from(config.days)))
        .saturating_add(jiff::Span::new().days(number))
}

/// The child: opens the file, does its work, closes it. It says that it is done with
/// each by a file, which is in the trace too.
#[test]
fn the_process() {
    let Some((name, path)) = role() else { return };
    let operation = Operation::ALL.into_iter().find(|operation| operation.name() == name).unwrap();
    let path = Path::new(&path);
    let config = crowd(600);
    let project = project_at(&std::env::var("MP_TEST_URL").unwrap(), &config, CancelToken::new(), |_| {});
    let noon = jiff::tz::Offset::UTC.to_timestamp(config.today.at(12, 0, 0, 0)).unwrap();
    let storage = StorageEngine::open(path).unwrap();
    let workspace = Workspace::builder().project(project).now(move || noon).storage(storage);
    operation.run(&workspace, &config);
    fs::write(path.with_file_name("ack-done"), "").unwrap();
    workspace.close();
    fs::write(path.with_file_name("ack-closed"), "").unwrap();
}

/// A folder with a database.
pub(super) struct Place(TempDir);

impl Place {
    pub(super) fn empty() -> Self {
        // Where files live in memory, waiting for the disk costs nothing: nobody takes the power away.
        let memory = Path::new("/dev/shm");
        Place(if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap())
    }

    pub(super) fn folder(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn database(&self) -> PathBuf {
        self.folder().join("data.duckdb")
    }

    pub(super) fn copy(&self) -> Self {
        let copy = Place::empty();
        for entry in fs::read_dir(self.folder()).unwrap().map(Result::unwrap) {
            if !entry.file_name().to_string_lossy().starts_with("ack-") {
                fs::copy(entry.path(), copy.folder().join(entry.file_name())).unwrap();
            }
        }
        copy
    }

    /// Whether the process had said that its work is done.
    pub(super) fn acknowledged(&self) -> bool {
        self.folder().join("ack-done").exists()
    }

    pub(super) fn without_journal(self) -> Self {
        let _ = fs::remove_file(self.folder().join("data.duckdb.journal"));
        self
    }
}

/// An operation, what it begins with, and what it may leave.
pub(super) struct Scene {
    pub(super) operation: Operation,
    pub(super) before: Place,
    pub(super) url: String,
    /// How many calls change files.
    pub(super) calls: u64,
    states: (State, State),
    _simulators: Vec<std::sync::Arc<Simulator>>,
}

/// Content by what must change as one.
pub(super) type State = BTreeMap<String, String>;

/// The simulators and the database that operations begin with.
pub(super) struct Stage {
    first: std::sync::Arc<Simulator>,
    second: std::sync::Arc<Simulator>,
    base: Place,
    logged: Place,
}

impl Stage {
    pub(super) fn new() -> Self {
        let start = |config| std::sync::Arc::new(Simulator::start(config).unwrap());
        let (first, second) = (start(crowd(600)), start(SimConfig { seed: 7, ..crowd(500) }));
        let (base, logged) = (Place::empty(), Place::empty());
        let workspace = workspace(&first, StorageEngine::open(base.database()).unwrap());
        let config = first.config();
        for table in ["events", "other"] {
            let days = FetchEvents::days(day(config, 2), day(config, 3));
            workspace.fetch_events(&FetchEvents { table: table.into(), ..days }).unwrap();
        }
        workspace.fetch_profiles(&FetchProfiles::default()).unwrap();
        let sizes = (0..2_000).map(|n| event("Wide", &n.to_string(), &format!(r#"{{"size":{n}}}"#)));
        let storage = workspace.storage();
        storage.create_events_table("wide", sizes.collect::<Vec<_>>(), &events_metadata(), None).unwrap();
        workspace.close();
        // The same with something in the log, as a killed process leaves it.
        let storage = StorageEngine::open(base.database()).unwrap();
        storage
            .execute("CREATE TABLE notes AS SELECT i, md5(CAST(i AS VARCHAR)) AS t FROM range(3000) r(i)")
            .unwrap();
        for name in ["data.duckdb", "data.duckdb.wal"] {
            fs::copy(base.folder().join(name), logged.folder().join(name)).unwrap();
        }
        storage.execute("DROP TABLE notes").unwrap();
        drop(storage);
        Stage { first, second, base, logged }
    }

    pub(super) fn scene(&self, operation: Operation) -> Scene {
        let simulator = if operation == Operation::Profiles { &self.second } else { &self.first };
        let before = match operation {
            Operation::Create => Place::empty(),
            Operation::Checkpoint | Operation::Close => self.logged.copy(),
            _ => self.base.copy(),
        };
        let url = simulator.base_url();
        let after = before.copy();
        let calls = super::count_calls(operation, &after, &url);
        let old = if operation == Operation::Create { State::new() } else { state(&before.copy()).unwrap() };
        let states = (old, state(&after).unwrap());
        assert!(states.0 != states.1 || matches!(operation, Operation::Checkpoint | Operation::Close));
        let simulators = vec![self.first.clone(), self.second.clone()];
        Scene { operation, before, url, calls, states, _simulators: simulators }
    }
}

/// What was found in a place after a fault.
#[derive(Debug)]
#[expect(dead_code, reason = "the texts are for `Debug`: they say what went wrong")]
pub(super) enum Found {
    Right,
    Unopenable(String),
    Wrong(String),
}

impl Scene {
    /// Opens what a fault left, and compares.
    pub(super) fn look(&self, place: &Place, acknowledged: bool) -> Found {
        if !place.database().exists() {
            let nothing_lost = self.operation == Operation::Create && !acknowledged;
            return if nothing_lost { Found::Right } else { Found::Wrong("the file is not there".into()) };
        }
        let found = match state(place) {
            Ok(found) => found,
            Err(error) => return Found::Unopenable(error),
        };
        let (old, new) = &self.states;
        if acknowledged && found != *new {
            return Found::Wrong(format!("confirmed, but not there: {}", difference(&found, new)));
        }
        // A day is as it was or as it will be; a table that is exchanged, as a whole.
        let keys = found.keys().chain(old.keys()).chain(new.keys());
        let mut kinds: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
        for key in keys {
            let value = found.get(key);
            let (is_old, is_new) = (value == old.get(key), value == new.get(key));
            if !is_old && !is_new {
                return Found::Wrong(format!(
                    "{key}: {value:?} is neither {:?} nor {:?}",
                    old.get(key),
                    new.get(key)
                ));
            }
            let table = key.split(' ').next().unwrap_or_default();
            let kind = kinds.entry(table).or_insert((true, true));
            *kind = (kind.0 && is_old, kind.1 && is_new);
        }
        let by_day = matches!(self.operation, Operation::Create | Operation::Fetch | Operation::Sync);
        match kinds.iter().find(|(_, kind)| !by_day && **kind == (false, false)) {
            Some((table, _)) => Found::Wrong(format!("{table} is partly old and partly new")),
            None => Found::Right,
        }
    }

    /// Does the operation again, undisturbed: it must end as if nothing had happened.
    pub(super) fn again(&self, place: &Place) -> Found {
        let command =
            super::process(self.operation, place, &self.url).stderr(std::process::Stdio::piped()).output();
        let output = command.unwrap();
        if !output.status.success() {
            return Found::Wrong(format!("the next run fails: {}", String::from_utf8_lossy(&output.stderr)));
        }
        match state(place) {
            Err(error) => Found::Unopenable(error),
            Ok(found) if found == self.states.1 => Found::Right,
            Ok(found) => Found::Wrong(format!("after the next run: {}", difference(&found, &self.states.1))),
        }
    }
}

fn difference(found: &State, wanted: &State) -> String {
    let keys = found.keys().chain(wanted.keys());
    let differs = keys.filter(|key| found.get(*key) != wanted.get(*key));
    differs
        .map(|key| format!("{key}: {:?}, not {:?}", found.get(key), wanted.get(key)))
        .collect::<Vec<_>>()
        .join("; ")
}

/// What is in the database of a place.
fn state(place: &Place) -> Result<State, String> {
    state_of(&StorageEngine::open(place.database()).map_err(|error| format!("{error:?}"))?)
}

/// Everything in a database: rows by table and day with their ledger entries, and
/// whether the typed columns say what the texts say.
pub(super) fn state_of(storage: &StorageEngine) -> Result<State, String> {
    let rows = |sql: &str| {
        let rows = storage.execute_rows(sql, &[]).map_err(|error| format!("{sql}: {error:?}"))?.rows;
        Ok::<_, String>(
            rows.iter()
                .map(|row| row.iter().map(|value| value.to_text()).collect::<Vec<_>>())
                .collect::<Vec<_>>(),
        )
    };
    let mut state = State::new();
    for table in storage.list_tables().map_err(|error| format!("{error:?}"))? {
        let name = &table.name;
        let sql = match table.kind {
            TableKind::Events => format!(
                "SELECT day, rows, hash, entries FROM
                    (SELECT CAST(event_time AS DATE) AS day, count(*) AS rows,
                        bit_xor(hash(event_name, event_time, distinct_id, insert_id, CAST(properties AS VARCHAR))) AS hash
                     FROM {name} GROUP BY 1)
                    FULL JOIN (SELECT day, string_agg(concat_ws(':', filter_hash, state, row_count, content_hash), ',' ORDER BY filter_hash)
                        AS entries FROM _ledger WHERE table_name = '{name}' GROUP BY 1) USING (day)"
            ),
            TableKind::Profiles => format!(
                "SELECT 'all', count(*), bit_xor(hash(distinct_id, CAST(properties AS VARCHAR), last_seen)),
                    (SELECT count(*) FROM _vanished_profiles) FROM {name}"
            ),
        };
        for mut row in rows(&sql)? {
            let key = row.remove(0);
            state.insert(format!("{name} {key}"), row.join(" "));
        }
    }
    let twice = "SELECT count(*) FROM _ledger GROUP BY table_name, day, filter_hash HAVING count(*) > 1";
    if !rows(twice)?.is_empty() {
        return Err("a day is in the ledger twice".into());
    }
    if state.contains_key("wide 2024-01-01") {
        let sql = "SELECT count(*) FROM wide JOIN wide_flat USING (insert_id)
            WHERE properties->>'$.size' IS DISTINCT FROM CAST(size AS VARCHAR)";
        let differs = &rows(sql)?[0][0];
        if differs != "0" {
            return Err(format!("{differs} typed values are not what the texts say"));
        }
    }
    let notes = "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'notes'";
    if rows(notes)?[0][0] == "1" {
        let row = &rows("SELECT count(*), bit_xor(hash(i, t)) FROM notes")?[0];
        state.insert("notes".into(), row.join(" "));
    }
    Ok(state)
}
