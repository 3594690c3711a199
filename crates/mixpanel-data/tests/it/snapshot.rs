//! Reading what another process is writing.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::JoinHandle;

use mixpanel_client::CancelToken;
use mixpanel_data::{ErrorKind, FetchEvents, Project, StorageEngine, Value, Workspace};
use mixpanel_sim::{SimConfig, Simulator};

use crate::bad_input::{child, role};
use crate::support::{everything_below, project_at, small_world};

fn world() -> SimConfig {
    SimConfig { days: 12, events_per_day: 3_000, ..small_world() }
}

/// A process that writes without a pause, and says what it has committed.
struct Writer {
    process: Child,
    said: Arc<AtomicI64>,
    listener: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts it, and waits for its first words.
    fn start(test: &str, simulator: &Simulator, path: &Path, temporary: &Path) -> Self {
        let mut command = child(test, &simulator.base_url(), path.to_str().unwrap());
        let mut process = command.env("TMPDIR", temporary).stdout(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(AtomicI64::new(0));
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let number = |line: String| line.strip_prefix("committed ").and_then(|n| n.parse().ok());
        let first: i64 = lines.by_ref().find_map(number).expect("the writer ended");
        said.store(first, Ordering::SeqCst);
        let heard = said.clone();
        let listener = std::thread::spawn(move || {
            lines.filter_map(number).for_each(|number| heard.store(number, Ordering::SeqCst));
        });
        Writer { process, said, listener: Some(listener) }
    }

    fn said(&self) -> i64 {
        self.said.load(Ordering::SeqCst)
    }

    /// SIGKILL: no destructor, no handler.
    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.listener.take().map(JoinHandle::join);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the writer does until it is killed: days that replace each other, row
/// by row and by whole row groups, statements that are undone, tables that come
/// and go, and checkpoints at any time, also while all this happens.
fn write_for_ever(url: &str, path: &Path) -> ! {
    let config = world();
    let project: Project = project_at(url, &config, CancelToken::new(), |_| {});
    let noon = jiff::tz::Offset::UTC.to_timestamp(config.today.at(12, 0, 0, 0)).unwrap();
    let storage = StorageEngine::open(path).unwrap();
    storage.execute("CREATE TABLE IF NOT EXISTS progress(n BIGINT)").unwrap();
    let workspace = Workspace::builder().project(project).now(move || noon).storage(storage);
    let workspace = Arc::new(workspace);
    let mut number = 0_i64;
    loop {
        for first in 0..10_i32 {
            let from = config.first_day().checked_add(jiff::Span::new().days(first)).unwrap();
            let fetch = FetchEvents {
                days_per_request: Some(1),
                ..FetchEvents::days(from, from.tomorrow().unwrap())
            };
            let writing = workspace.clone();
            let other = std::thread::spawn(move || {
                let storage = writing.storage();
                let big = "SELECT i, md5(CAST(i AS VARCHAR)) AS t FROM range(150_000) r(i)";
                // Blocks that are written and free again at once.
                storage.execute(&format!("BEGIN; CREATE TABLE undone AS {big}; ROLLBACK;")).unwrap();
                storage.execute(&format!("CREATE OR REPLACE TABLE coming AS {big}")).unwrap();
                // It fails beside other transactions, which is as good.
                let _ = storage.execute("CHECKPOINT");
                storage.execute("DROP TABLE coming").unwrap();
            });
            workspace.fetch_events(&fetch).unwrap();
            other.join().unwrap();
            number += 1;
            workspace.storage().execute(&format!("INSERT INTO progress VALUES ({number})")).unwrap();
            println!("\ncommitted {number}");
        }
    }
}

/// Reads everything, and checks what a committed state has to obey. Returns the
/// number that the writer has written last.
fn check(storage: &StorageEngine) -> i64 {
    let value = |sql: &str| storage.execute_scalar(sql).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    let tables = storage
        .execute_rows("SELECT table_name FROM duckdb_tables() WHERE NOT internal AND NOT temporary", &[])
        .unwrap();
    for row in &tables.rows {
        let table = row[0].to_text();
        value(&format!("SELECT bit_xor(hash(COLUMNS(*))) FROM \"{table}\" AS t"));
    }
    let whole = "SELECT count(*) FROM
        (SELECT day, row_count FROM _ledger WHERE table_name = 'events' AND state <> 'empty') l
        FULL JOIN (SELECT CAST(event_time AS DATE) AS day, count(*) AS row_count FROM events GROUP BY 1) e
            USING (day) WHERE l.row_count IS DISTINCT FROM e.row_count";
    let twice = "SELECT count(*) FROM (SELECT 1 FROM events
        GROUP BY event_name, event_time, distinct_id, insert_id HAVING count(*) > 1)";
    let names: Vec<String> = tables.rows.iter().map(|row| row[0].to_text()).collect();
    if names.iter().any(|name| name == "_events") {
        assert_eq!(value(whole), Value::Integer(0), "days are wholly there");
        assert_eq!(value(twice), Value::Integer(0), "each event is there once");
    }
    if names.iter().any(|name| name == "coming") {
        assert_eq!(value("SELECT count(DISTINCT t) FROM coming"), Value::Integer(150_000));
    }
    assert!(names.iter().all(|name| name != "undone"), "what was undone is not there");
    value("SELECT coalesce(max(n), 0) FROM progress").as_i64().unwrap()
}

/// Takes a snapshot and checks it; returns its number and how many passes it took.
fn snapshot(path: &Path) -> (i64, u32) {
    let storage = StorageEngine::open_snapshot(path).unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!(storage.path(), Some(path));
    (check(&storage), storage.snapshot().unwrap().passes)
}

#[test]
fn snapshots_of_a_busy_writer_are_committed_states() {
    if let Some((url, path)) = role() {
        write_for_ever(&url, Path::new(&path));
    }
    let simulator = Simulator::start(world()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("busy.duckdb");
    let test = "snapshot::snapshots_of_a_busy_writer_are_committed_states";
    let (mut taken, mut again, mut last) = (0, 0, 0);
    for round in 0..2 {
        let mut writer = Writer::start(test, &simulator, &path, folder.path());
        let refused = StorageEngine::open_existing(&path, true).unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::DatabaseLocked { .. }), "{refused:?}");
        for _ in 0..20 {
            let before = writer.said();
            let (number, passes) = snapshot(&path);
            assert!(number >= before, "what was committed before is there: {number} < {before}");
            (taken, again) = (taken + 1, again + (passes - 1));
        }
        // Killed while snapshots are made.
        let stop = Arc::new(AtomicBool::new(false));
        let reader = {
            let (path, stop) = (path.clone(), stop.clone());
            std::thread::spawn(move || {
                let mut last = 0;
                while !stop.load(Ordering::SeqCst) {
                    let (number, _) = snapshot(&path);
                    assert!(number >= last, "nothing that was seen goes again: {number} < {last}");
                    last = number;
                }
            })
        };
        let said = writer.said();
        while writer.said() == said {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        writer.kill();
        stop.store(true, Ordering::SeqCst);
        reader.join().unwrap();
        // The snapshot of what the dead left is what its recovery gives.
        let after = check(&StorageEngine::open_snapshot(&path).unwrap());
        assert!(after >= writer.said(), "round {round}: {after} < {}", writer.said());
        let recovered = StorageEngine::open(&path).unwrap();
        assert_eq!(check(&recovered), after);
        recovered.execute("DELETE FROM progress").unwrap();
        last = after;
    }
    assert!(last > 0);
    println!("{taken} snapshots, {again} further passes");
    let left: Vec<_> = everything_below(folder.path())
        .into_iter()
        .filter(|path| path.to_string_lossy().contains("ephemeral"))
        .collect();
    assert_eq!(left, Vec::<PathBuf>::new(), "no copy is left");
}

#[test]
fn a_snapshot_is_read_only_and_goes_when_it_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my data.duckdb");
    let writer = StorageEngine::open(&path).unwrap();
    writer.execute("CREATE TABLE t AS SELECT 42 AS n").unwrap();
    // Within the process there is the engine itself; and handles would cost it its lock.
    let own = StorageEngine::open_snapshot(&path).unwrap_err();
    assert!(
        matches!(own.kind(), ErrorKind::DatabaseLocked { pid, .. } if *pid == Some(std::process::id())),
        "{own:?}"
    );
    writer.close();

    let storage = StorageEngine::open_snapshot(&path).unwrap();
    let file = storage.execute_scalar("SELECT path FROM duckdb_databases() WHERE NOT internal").unwrap();
    let copy = PathBuf::from(file.to_text());
    assert!(copy.exists() && copy != path);
    assert_eq!(storage.execute_scalar("SELECT current_database()").unwrap().to_text(), "my data");
    assert_eq!(storage.path(), Some(path.as_path()));
    assert!(storage.read_only());
    let error = storage.execute("INSERT INTO t VALUES (43)").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ReadOnly { .. }), "{error:?}");
    let mode = |path: &Path| std::os::unix::fs::MetadataExt::mode(&path.metadata().unwrap()) & 0o777;
    assert_eq!((mode(copy.parent().unwrap()), mode(&copy)), (0o700, 0o600));

    // The original is nobody's: it can be written, and the snapshot stays what it is.
    let writer = StorageEngine::open(&path).unwrap();
    writer.execute("INSERT INTO t VALUES (43)").unwrap();
    assert_eq!(storage.execute_scalar("SELECT sum(n) FROM t").unwrap(), Value::Integer(42));
    storage.close();
    assert!(!copy.parent().unwrap().exists());
    assert!(matches!(
        StorageEngine::open_snapshot(folder.path().join("none")).unwrap_err().kind(),
        ErrorKind::DatabaseNotFound { .. }
    ));
    std::fs::write(folder.path().join("text"), "no database").unwrap();
    assert!(matches!(
        StorageEngine::open_snapshot(folder.path().join("text")).unwrap_err().kind(),
        ErrorKind::NotADatabase { .. }
    ));
}
