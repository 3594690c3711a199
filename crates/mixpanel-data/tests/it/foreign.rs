//! Files that are not ours: other kinds, other programs' tables, links.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use mixpanel_data::{Error, ErrorKind, SnapshotOptions, StorageEngine, StorageMode, Value};

use crate::support::{event, events_metadata, profile, profiles_metadata};

type Open = fn(&Path) -> Result<StorageEngine, Error>;

/// Every way to open a path.
const WAYS: [(&str, Open); 4] = [
    ("open", |path| StorageEngine::open(path)),
    ("read-only", |path| StorageEngine::open_existing(path, true)),
    ("existing", |path| StorageEngine::open_existing(path, false)),
    ("snapshot", |path| StorageEngine::open_snapshot_with(path, &SnapshotOptions::default())),
];

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn pipe(path: &Path) {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

#[test]
fn pipes_sockets_devices_and_folders_are_named_and_stay() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    pipe(&at("pipe"));
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    fs::create_dir(at("folder")).unwrap();
    symlink("/dev/null", at("device")).unwrap();
    symlink("pipe", at("link")).unwrap();
    for (way, open) in WAYS {
        let cases = [
            ("pipe", "a named pipe"),
            ("link", "a named pipe"),
            ("socket", "a socket"),
            ("folder", "a folder"),
            ("device", "a device"),
        ];
        for (name, kind) in cases {
            let error = open(&at(name)).unwrap_err();
            let is_folder = matches!(error.kind(), ErrorKind::Io { .. }) && name == "folder";
            let is_other = matches!(error.kind(), ErrorKind::NotADatabase { .. });
            assert!(is_folder || is_other, "{way}: {error:?}");
            assert!(error.to_string().contains(kind), "{way}: {error}");
        }
    }
    assert_eq!(names(folder.path()), ["device", "folder", "link", "pipe", "socket"]);
    assert!(fs::symlink_metadata(at("pipe")).unwrap().file_type().is_fifo());
    assert!(fs::symlink_metadata(at("device")).unwrap().is_symlink());
}

#[test]
fn names_of_something_else_than_a_file_are_refused() {
    for name in
        ["s3://bucket/a.duckdb", "https://example.com/a.duckdb", "md:events", "motherduck:", ":memory:x", ""]
    {
        for (way, open) in WAYS {
            let error = open(Path::new(name)).unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::InvalidArgument { argument: "path", .. }),
                "{way} {name}: {error:?}"
            );
        }
    }
    assert!(!Path::new("s3:").exists() && !Path::new("md:events").exists());
}

#[test]
fn memory_is_memory_by_its_name_too() {
    for (_, open) in &WAYS[..3] {
        let storage = open(Path::new(":memory:")).unwrap();
        assert_eq!((storage.mode(), storage.path()), (StorageMode::InMemory, None));
        storage.create_events_table("events", vec![event("A", "1", "{}")], &events_metadata(), None).unwrap();
    }
    assert!(!Path::new(":memory:").exists());
}

#[test]
fn odd_names_are_names() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let odd = [
        "a?b=c.duckdb",
        "a*.duckdb",
        "it's.duckdb",
        "a\"b.duckdb",
        "a:b.duckdb",
        "a#b%20.duckdb",
        "a\nb",
        "--db",
        "é ü",
        "main",
        "temp",
        "system.duckdb",
        ".duckdb",
        "events.duckdb",
    ];
    for name in odd {
        let path = folder.path().join(name);
        let storage = StorageEngine::open(&path).unwrap_or_else(|error| panic!("{name:?}: {error}"));
        storage.create_events_table("events", vec![event("A", "1", "{}")], &events_metadata(), None).unwrap();
        drop(storage);
        assert!(path.is_file(), "{name:?}");
        let storage = StorageEngine::open_existing(&path, true).unwrap();
        assert_eq!(
            storage.execute_scalar("SELECT count(*) FROM events").unwrap(),
            Value::Integer(1),
            "{name:?}"
        );
        assert_eq!(storage.list_tables().unwrap().len(), 1, "{name:?}");
    }
    // What is no text makes DuckDB fail inside, so it is refused first.
    let path = folder.path().join(std::ffi::OsStr::from_bytes(b"a\xff.duckdb"));
    for make in [false, true] {
        if make {
            fs::copy(folder.path().join(odd[0]), &path).unwrap();
        }
        for (way, open) in WAYS {
            let error = open(&path).unwrap_err();
            let expected = ErrorKind::InvalidArgument { argument: "path", why: String::new() };
            assert_eq!(
                std::mem::discriminant(error.kind()),
                std::mem::discriminant(&expected),
                "{way}: {error:?}"
            );
        }
    }
    let long = folder.path().join("x".repeat(300));
    let error = StorageEngine::open(&long).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Io { .. }), "{error:?}");
}

#[test]
fn a_link_leads_to_the_file_and_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let (home, link) = (folder.path().join("home"), folder.path().join("link.duckdb"));
    fs::create_dir(&home).unwrap();
    let target = home.join("data.duckdb");
    symlink("home/data.duckdb", &link).unwrap();
    // Where nothing is yet, at a file without a byte, and at a database.
    for state in ["nothing", "empty", "database"] {
        if state == "empty" {
            fs::remove_file(&target).unwrap();
            fs::write(&target, "").unwrap();
        }
        let storage = StorageEngine::open(&link).unwrap();
        if state != "database" {
            storage
                .create_events_table("events", vec![event("A", "1", "{}")], &events_metadata(), None)
                .unwrap();
        }
        let events = vec![event("A", state, "{}")];
        storage.append_events_table("events", events, &events_metadata(), None).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "{state}");
        // The same file under its own name is the same database.
        let error = StorageEngine::open(&target).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::DatabaseLocked { .. }), "{error:?}");
        assert_eq!(storage.path().map(Path::to_path_buf), Some(fs::canonicalize(&target).unwrap()));
        drop(storage);
        assert_eq!(names(folder.path()), ["home", "link.duckdb"], "{state}");
        let storage = StorageEngine::open_existing(&target, true).unwrap();
        let expected = if state == "database" { 3 } else { 2 };
        assert_eq!(storage.execute_scalar("SELECT count(*) FROM events").unwrap(), Value::Integer(expected));
    }
}

#[test]
fn a_log_without_its_database_is_not_used_for_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let (path, log) = (folder.path().join("data.duckdb"), folder.path().join("data.duckdb.wal"));
    fs::write(&log, "what was committed last").unwrap();
    let error = StorageEngine::open(&path).unwrap_err();
    assert!(error.to_string().contains("data.duckdb.wal is the log of a database that is gone"), "{error}");
    assert_eq!(names(folder.path()), ["data.duckdb.wal"]);
    fs::remove_file(&log).unwrap();
    drop(StorageEngine::open(&path).unwrap());
}

#[test]
fn another_users_link_is_not_written_through() {
    // Only root can make a link that belongs to somebody else.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (link, target) = (folder.path().join("link"), folder.path().join("target"));
    symlink(&target, &link).unwrap();
    let somebody = rustix::fs::Uid::from_raw(12_345);
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::chownat(rustix::fs::CWD, &link, Some(somebody), None, flags).unwrap();
    assert_eq!(fs::symlink_metadata(&link).unwrap().uid(), 12_345);
    let error = StorageEngine::open(&link).unwrap_err();
    assert!(error.to_string().contains("another user's link"), "{error}");
    assert!(!target.exists());
}

/// A DuckDB file that another program made.
fn theirs(folder: &Path, sql: &str) -> PathBuf {
    let path = folder.join("theirs.duckdb");
    let _ = fs::remove_file(&path);
    let connection = duckdb::Connection::open(&path).unwrap();
    connection.execute_batch(sql).unwrap();
    connection.close().unwrap();
    path
}

#[test]
fn other_programs_tables_and_views_are_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let taken = [
        ("CREATE TABLE _events (x INTEGER); INSERT INTO _events VALUES (7)", "_events"),
        ("CREATE TABLE \"_Events\" AS SELECT 7 AS x", "_Events"),
        ("CREATE TABLE _events (event_name VARCHAR, x INTEGER)", "_events"),
        ("CREATE VIEW _events AS SELECT 7 AS x", "_events"),
        ("CREATE VIEW events AS SELECT 7 AS x", "events"),
        ("CREATE TABLE events AS SELECT 7 AS x", "events"),
        ("CREATE VIEW events_flat AS SELECT 7 AS x", "events_flat"),
        ("CREATE TABLE EVENTS_FLAT AS SELECT 7 AS x", "EVENTS_FLAT"),
    ];
    for (sql, name) in taken {
        let path = theirs(folder.path(), sql);
        let storage = StorageEngine::open(&path).unwrap();
        let before = storage.execute_rows(&format!("FROM \"{name}\""), &[]).unwrap().rows;
        let made = [
            storage.create_events_table("events", vec![event("A", "1", "{}")], &events_metadata(), None),
            storage.create_profiles_table("events", vec![profile("u", "{}")], &profiles_metadata(), None),
        ];
        for outcome in made {
            let error = outcome.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::TableExists { table } if table == name),
                "{sql}: {error:?}"
            );
        }
        assert_eq!(storage.execute_rows(&format!("FROM \"{name}\""), &[]).unwrap().rows, before, "{sql}");
        storage.create_events_table("mine", vec![event("A", "1", "{}")], &events_metadata(), None).unwrap();
    }
}

#[test]
fn what_an_unfinished_creation_left_is_no_hindrance() {
    let folder = tempfile::tempdir().unwrap();
    let storage = StorageEngine::open(folder.path().join("data.duckdb")).unwrap();
    let events = || vec![event("A", "1", r#"{"plan":"pro"}"#)];
    storage.create_events_table("events", events(), &events_metadata(), None).unwrap();
    storage
        .execute("DROP VIEW events; DROP VIEW events_flat; DELETE FROM _events; DELETE FROM _tables; DELETE FROM _properties; DELETE FROM _ledger")
        .unwrap();
    assert_eq!(storage.create_events_table("events", events(), &events_metadata(), None).unwrap(), 1);
}

#[test]
fn records_of_the_same_names_that_are_not_ours_are_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("CREATE TABLE _metadata (a INTEGER); INSERT INTO _metadata VALUES (1)", "_metadata"),
        ("CREATE TABLE _tables (a INTEGER)", "_tables"),
        ("CREATE TABLE _format (a INTEGER)", "_format"),
        ("CREATE VIEW _ledger AS SELECT 1 AS a", "_ledger"),
        (
            "CREATE TABLE _format AS SELECT 3 AS version, now()::TIMESTAMP AS created_at;
             CREATE VIEW _tables AS SELECT content FROM read_text('/etc/hostname')",
            "_tables",
        ),
    ];
    for (sql, name) in cases {
        let path = theirs(folder.path(), sql);
        let before = fs::read(&path).unwrap();
        let error = StorageEngine::open(&path).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::ForeignRecords { names, .. } if names == &[name]),
            "{sql}: {error:?}"
        );
        assert_eq!(fs::read(&path).unwrap(), before, "{sql}");
        // Anybody may read it, and none of it is taken for ours.
        let storage = StorageEngine::open_existing(&path, true).unwrap();
        assert_eq!(storage.list_tables().unwrap(), [], "{sql}");
        assert_eq!(storage.created_at().unwrap(), None, "{sql}");
    }
}

/// Rows are counted and compared by functions: by whose, is not left to the file.
#[test]
fn nothing_is_written_into_a_file_whose_macros_are_called_as_duckdbs_functions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.duckdb");
    let metadata = crate::support::events_metadata();
    let records = |id: &str| vec![crate::support::event("A", id, "{}")];
    let storage = StorageEngine::open(&path).unwrap();
    storage.create_events_table("events", records("1"), &metadata, None).unwrap();
    storage.execute("CREATE MACRO count(x) AS 7; CREATE MACRO lower(x) AS 'x'").unwrap();
    drop(storage);
    let storage = StorageEngine::open(&path).unwrap();
    let state = |storage: &StorageEngine| {
        storage.execute_rows("SELECT * FROM _events, _ledger, _tables", &[]).unwrap()
    };
    let before = state(&storage);
    let refused = [
        storage.append_events_table("events", records("2"), &metadata, None).map(drop),
        storage.create_events_table("other", records("2"), &metadata, None).map(drop),
        storage.drop_table("events"),
    ];
    for outcome in refused {
        let error = outcome.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::ForeignMacros { names, .. } if names == &["count", "lower"]),
            "{error:?}"
        );
        assert!(error.to_string().contains("count, lower"), "{error}");
    }
    assert_eq!(state(&storage), before);
    // What is in the way can be taken out of it.
    storage.execute("DROP MACRO count; DROP MACRO lower").unwrap();
    assert_eq!(storage.append_events_table("events", records("2"), &metadata, None).unwrap(), 1);
}
