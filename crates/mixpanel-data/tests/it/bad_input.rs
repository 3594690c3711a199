//! Files that are not what they should be, and disks that are full.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use mixpanel_data::{Error, ErrorKind, StorageEngine, Value};

use crate::support::{event, events_metadata};

fn open_error(path: &Path) -> Error {
    let before = fs::read(path).ok();
    let error = StorageEngine::open(path).unwrap_err();
    assert_eq!(fs::read(path).ok(), before, "the file was touched");
    error
}

fn filled(path: &Path) -> StorageEngine {
    let storage = StorageEngine::open(path).unwrap();
    let events = (0..20_000).map(|n| event("A", &n.to_string(), r#"{"plan":"pro"}"#)).collect::<Vec<_>>();
    storage.create_events_table("events", events, &events_metadata(), None).unwrap();
    storage
}

#[test]
fn foreign_files_are_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    for content in [&b"just a text\n"[..], b"SQLite format 3\0 and so on", &[0u8; 20_000]] {
        fs::write(&path, content).unwrap();
        let error = open_error(&path);
        assert!(matches!(error.kind(), ErrorKind::NotADatabase { .. }), "{error:?}");
    }
}

#[test]
fn an_empty_file_becomes_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reserved");
    fs::write(&path, "").unwrap();
    drop(filled(&path));
    let storage = StorageEngine::open_existing(&path, true).unwrap();
    assert_eq!(storage.execute_scalar("SELECT count(*) FROM events").unwrap(), Value::Integer(20_000));
}

#[test]
fn a_damaged_database_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    drop(filled(&path));
    let good = fs::read(&path).unwrap();
    // The three headers at the start, each with a checksum.
    for at in [9, 4100, 8200] {
        let mut bad = good.clone();
        bad[at] ^= 0xff;
        bad[4096..12_288].iter_mut().step_by(97).for_each(|byte| *byte ^= 0x55);
        fs::write(&path, &bad).unwrap();
        let error = open_error(&path);
        assert!(matches!(error.kind(), ErrorKind::NotADatabase { .. }), "{error:?}");
    }
    fs::write(&path, &good).unwrap();
    let storage = StorageEngine::open(&path).unwrap();
    assert_eq!(storage.execute_scalar("SELECT count(*) FROM events").unwrap(), Value::Integer(20_000));
}

#[test]
fn a_file_from_the_future_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let storage = filled(&path);
    storage.execute("UPDATE _format SET version = 99").unwrap();
    drop(storage);
    let error = StorageEngine::open(&path).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NewerFormat { found: 99, supported: 4, .. }), "{error:?}");
}

#[test]
fn paths_that_cannot_be_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = StorageEngine::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("is a folder"), "{error}");
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = StorageEngine::open(file.join("data.duckdb")).unwrap_err();
    assert!(error.to_string().contains("file"), "{error}");
    let missing = folder.path().join("missing.duckdb");
    for read_only in [true, false] {
        let error = StorageEngine::open_existing(&missing, read_only).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::DatabaseNotFound { .. }), "{error:?}");
    }
    assert!(!missing.exists());
}

#[test]
fn parent_folders_are_made_and_the_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/data.duckdb");
    let storage = filled(&path);
    let modes = || {
        let entries = fs::read_dir(path.parent().unwrap()).unwrap().flatten();
        entries.map(|entry| entry.metadata().unwrap().permissions().mode() & 0o777).collect::<Vec<_>>()
    };
    assert_eq!(modes(), [0o600; 2], "the file and its journal, and no log after a write");
    drop(storage);
    let names: Vec<_> =
        fs::read_dir(path.parent().unwrap()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(names, ["data.duckdb"], "nothing else is left");
}

#[test]
fn a_folder_without_permission_is_named() {
    if rustix::process::geteuid().is_root() {
        // Permission bits do not bind root: use a folder that nobody can write.
        let error = StorageEngine::open("/proc/data.duckdb").unwrap_err();
        assert!(error.to_string().contains("/proc"), "{error}");
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let error = StorageEngine::open(folder.path().join("data.duckdb")).unwrap_err();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(matches!(error.kind(), ErrorKind::PermissionDenied { .. }), "{error:?}");
}

#[test]
fn one_process_cannot_open_a_file_twice_for_writing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let first = filled(&path);
    for attempt in [StorageEngine::open(&path), StorageEngine::open_existing(&path, true)] {
        let error = attempt.unwrap_err();
        let own = Some(std::process::id());
        assert!(matches!(error.kind(), ErrorKind::DatabaseLocked { pid, .. } if *pid == own), "{error:?}");
        assert!(error.is_retryable());
    }
    first.close();
    drop(StorageEngine::open(&path).unwrap());
}

#[test]
fn many_may_read_and_none_of_them_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    drop(filled(&path));
    let before = fs::read(&path).unwrap();
    let readers: Vec<_> = (0..3).map(|_| StorageEngine::open_existing(&path, true).unwrap()).collect();
    for reader in &readers {
        assert!(reader.read_only());
        assert_eq!(reader.execute_scalar("SELECT count(*) FROM events").unwrap(), Value::Integer(20_000));
        assert_eq!(reader.list_tables().unwrap().len(), 1);
        let sql = "SELECT current_date - 1 < now() - INTERVAL 1 HOUR";
        assert_eq!(reader.execute_scalar(sql).unwrap(), Value::Boolean(true));
        let writes = [
            reader.execute("DELETE FROM _events").unwrap_err(),
            reader.append_events_table("events", vec![], &events_metadata(), None).unwrap_err(),
            reader.drop_table("events").unwrap_err(),
        ];
        for error in writes {
            assert!(matches!(error.kind(), ErrorKind::ReadOnly { .. }), "{error:?}");
        }
    }
    drop(readers);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn any_duckdb_file_can_be_read_and_gets_our_records_when_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("theirs.duckdb");
    let theirs = duckdb::Connection::open(&path).unwrap();
    theirs.execute_batch("CREATE TABLE events (x INTEGER); INSERT INTO events VALUES (7)").unwrap();
    theirs.close().unwrap();
    let reader = StorageEngine::open_existing(&path, true).unwrap();
    assert_eq!(reader.list_tables().unwrap(), []);
    assert_eq!(reader.execute_scalar("SELECT x FROM events").unwrap(), Value::Integer(7));
    drop(reader);
    let writer = StorageEngine::open(&path).unwrap();
    let error = writer.create_events_table("events", vec![], &events_metadata(), None).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TableExists { .. }), "{error:?}");
    writer.create_events_table("mine", vec![event("A", "1", "{}")], &events_metadata(), None).unwrap();
    assert_eq!(writer.execute_scalar("SELECT x FROM events").unwrap(), Value::Integer(7));
}

/// The part of a test that runs in a process of its own.
pub(crate) fn child(test: &str, role: &str, argument: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env("MP_TEST_ROLE", role);
    command.env("MP_TEST_ARGUMENT", argument);
    command
}

/// What this process is to do, when it is such a child.
pub(crate) fn role() -> Option<(String, String)> {
    Some((std::env::var("MP_TEST_ROLE").ok()?, std::env::var("MP_TEST_ARGUMENT").ok()?))
}

#[test]
fn a_file_in_use_by_another_process_is_locked_and_the_holder_named() {
    if let Some((_, path)) = role() {
        let _held = filled(Path::new(&path));
        println!("\nready");
        std::thread::sleep(std::time::Duration::from_secs(60));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let test = "bad_input::a_file_in_use_by_another_process_is_locked_and_the_holder_named";
    let mut holder = child(test, "holder", path.to_str().unwrap()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "ready"));
    for attempt in [StorageEngine::open(&path), StorageEngine::open_existing(&path, true)] {
        let error = attempt.unwrap_err();
        let expected = Some(holder.id());
        assert!(
            matches!(error.kind(), ErrorKind::DatabaseLocked { pid, .. } if *pid == expected),
            "{error:?}"
        );
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
    let storage = StorageEngine::open(&path).unwrap();
    assert_eq!(storage.execute_scalar("SELECT count(*) FROM events").unwrap(), Value::Integer(20_000));
}

/// A limit on file size stands for a full disk: writes fail part of the way.
#[test]
fn a_full_disk_is_a_clear_error_and_loses_nothing() {
    if let Some((limit, path)) = role() {
        let limit: u64 = limit.parse().unwrap();
        // SAFETY: called with valid arguments, in a process made for this.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            libc::setrlimit(libc::RLIMIT_FSIZE, &libc::rlimit { rlim_cur: limit, rlim_max: limit });
        }
        let storage = StorageEngine::open(&path).unwrap();
        let noise = |n: u64| {
            (0..40)
                .map(|k| format!("{:016x}", (n * 41 + k).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
                .collect::<String>()
        };
        let events =
            (0..200_000).map(|n| event("B", &format!("b{n}"), &format!(r#"{{"noise":"{}"}}"#, noise(n))));
        let rows = mixpanel_data::Rows::records(events);
        match storage.append_events_table("events", rows, &events_metadata(), None) {
            Err(error) if matches!(error.kind(), ErrorKind::DiskFull { .. }) => println!("\ndisk full"),
            other => println!("\nunexpected: {other:?}"),
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    drop(filled(&path));
    let size = fs::metadata(&path).unwrap().len();
    let test = "bad_input::a_full_disk_is_a_clear_error_and_loses_nothing";
    for room in [300_000, 3_000_000, 20_000_000] {
        let output = child(test, &(size + room).to_string(), path.to_str().unwrap()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            text.contains("\ndisk full"),
            "room {room}: {text} {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let storage = StorageEngine::open(&path).unwrap();
        assert_eq!(storage.execute_scalar("SELECT count(*) FROM events").unwrap(), Value::Integer(20_000));
    }
    // With room again, all is well.
    let storage = StorageEngine::open(&path).unwrap();
    storage.append_events_table("events", vec![event("B", "b", "{}")], &events_metadata(), None).unwrap();
    assert_eq!(storage.execute_scalar("SELECT count(*) FROM events").unwrap(), Value::Integer(20_001));
}
