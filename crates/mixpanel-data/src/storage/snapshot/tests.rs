use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mixpanel_client::CancelToken;

use super::blocks::Replica;
use super::logs::Logs;
use super::{Copying, SnapshotOptions, Taking};
use crate::StorageEngine;
use crate::error::{Error, ErrorKind, NoSnapshot};
use crate::storage::duckdb_file::{BLOCKS, Current, Headers, MetadataBlock, metadata_blocks, sound};
use crate::value::Value;

/// A database of a few megabytes in which blocks have been freed and used again.
fn database(folder: &Path) -> PathBuf {
    let path = folder.join("data.duckdb");
    let storage = StorageEngine::open(&path).unwrap();
    for round in 0..3 {
        storage
            .execute(&format!(
                "CREATE OR REPLACE TABLE numbers AS
                     SELECT i, hash(i + {round}) AS h, md5(CAST(i AS VARCHAR)) AS t FROM range(200_000) r(i);
                 CHECKPOINT;"
            ))
            .unwrap();
    }
    path
}

fn current(path: &Path) -> (File, Headers, Current) {
    let file = File::open(path).unwrap();
    let headers = Headers::read(&file).unwrap().unwrap();
    let current = headers.current().unwrap();
    (file, headers, current)
}

#[test]
fn the_layout_is_that_of_duckdbs_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    let (file, headers, before) = current(&path);
    assert!(!headers.encrypted());
    let mine = metadata_blocks(&file, &before).unwrap().unwrap();
    let mut block = vec![0; before.block_size];
    for MetadataBlock { number, .. } in &mine {
        file.read_exact_at(&mut block, BLOCKS + number * before.block_size as u64).unwrap();
        assert!(sound(&block), "block {number}");
    }
    drop(file);

    let storage = StorageEngine::open(&path).unwrap();
    let rows = storage.execute_rows("SELECT block_id FROM pragma_metadata_info()", &[]).unwrap().rows;
    let mut theirs: Vec<u64> = rows.iter().map(|row| row[0].as_i64().unwrap() as u64).collect();
    let mut mine: Vec<u64> = mine.iter().map(|block| block.number).collect();
    mine.sort_unstable();
    theirs.sort_unstable();
    assert_eq!(mine, theirs);
    let size = storage.execute_scalar("SELECT block_size FROM pragma_database_size()").unwrap();
    assert_eq!(size, Value::Integer(before.block_size as i128));
    storage.execute("CREATE TABLE more AS SELECT 1 AS n; CHECKPOINT;").unwrap();
    drop(storage);
    assert!(current(&path).2.iteration > before.iteration, "each checkpoint counts one up");
}

#[test]
fn a_header_or_block_in_the_middle_of_a_write_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    let (file, headers, now) = current(&path);
    let metadata = metadata_blocks(&file, &now).unwrap().unwrap();
    let target = folder.path().join("copy");
    let mut copy = Replica::create(&target).unwrap();
    copy.update(&file, &headers, &now, &|| true).unwrap();
    assert!(copy.metadata_is_sound(&now).unwrap());
    let torn = OpenOptions::new().write(true).open(&target).unwrap();
    for MetadataBlock { number, .. } in metadata {
        let place = BLOCKS + number * now.block_size as u64 + now.block_size as u64 / 2;
        let mut old = [0; 64];
        file.read_exact_at(&mut old, place).unwrap();
        let new: Vec<u8> = (1..65).collect();
        torn.write_all_at(&new, place).unwrap();
        assert!(!copy.metadata_is_sound(&now).unwrap(), "block {number}");
        torn.write_all_at(&old, place).unwrap();
    }
    assert!(copy.metadata_is_sound(&now).unwrap());

    for header in 0..3 {
        let bad = folder.path().join("bad");
        fs::copy(&path, &bad).unwrap();
        OpenOptions::new()
            .write(true)
            .open(&bad)
            .unwrap()
            .write_all_at(&[0x5a], header * 4096 + 100)
            .unwrap();
        assert!(Headers::read(&File::open(&bad).unwrap()).unwrap().is_none(), "header {header}");
    }
    fs::write(folder.path().join("short"), [0; 5000]).unwrap();
    assert!(Headers::read(&File::open(folder.path().join("short")).unwrap()).unwrap().is_none());
}

#[test]
fn nonsense_in_place_of_metadata_ends_the_reading() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    let (_, _, now) = current(&path);
    // Whatever stands in the blocks, there is an answer, and it is soon there.
    for fill in [0x00_u8, 0x01, 0x02, 0x3f, 0x7f, 0xff] {
        let bad = folder.path().join("bad");
        let size = fs::copy(&path, &bad).unwrap();
        let file = OpenOptions::new().read(true).write(true).open(&bad).unwrap();
        file.write_all_at(&vec![fill; (size - BLOCKS) as usize], BLOCKS).unwrap();
        let found = metadata_blocks(&file, &now).unwrap();
        assert!(found.is_none_or(|blocks| blocks.is_empty()), "{fill}");
    }
}

#[test]
fn a_later_pass_copies_what_has_changed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    let target = folder.path().join("copy");
    let mut copy = Replica::create(&target).unwrap();
    let (file, headers, now) = current(&path);
    let all = copy.update(&file, &headers, &now, &|| true).unwrap();
    assert_eq!(all + BLOCKS, fs::metadata(&path).unwrap().len());
    drop(file);
    assert_eq!(fs::read(&target).unwrap(), fs::read(&path).unwrap());

    let storage = StorageEngine::open(&path).unwrap();
    storage.execute("CREATE TABLE small AS SELECT range AS n FROM range(1000); CHECKPOINT;").unwrap();
    drop(storage);
    let (file, headers, now) = current(&path);
    let some = copy.update(&file, &headers, &now, &|| true).unwrap();
    assert!(0 < some && some < all / 2, "{some} of {all}");
    assert_eq!(fs::read(&target).unwrap(), fs::read(&path).unwrap());
    assert!(!path.with_extension("wal").exists());

    // A file that has become shorter.
    drop(file);
    let storage = StorageEngine::open(&path).unwrap();
    storage.execute("DROP TABLE numbers; CHECKPOINT; CHECKPOINT;").unwrap();
    drop(storage);
    let (file, headers, now) = current(&path);
    copy.update(&file, &headers, &now, &|| true).unwrap();
    assert_eq!(fs::read(&target).unwrap(), fs::read(&path).unwrap());
    assert!(copy.update(&file, &headers, &now, &|| false).is_err(), "it can be stopped");
}

#[test]
fn logs_may_grow_and_not_change() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("a.db"), folder.path().join("b.db"));
    let (log, second) = (folder.path().join("a.db.wal"), folder.path().join("a.db.wal.checkpoint"));
    let append = |path: &Path, text: &str| {
        OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    };
    fs::write(&log, "one two").unwrap();
    let copied = Logs::copy(&from, &to).unwrap();
    assert_eq!(fs::read(folder.path().join("b.db.wal")).unwrap(), b"one two");
    assert_eq!(copied.bytes(), 7);
    append(&log, " three");
    fs::write(&second, "more").unwrap();
    assert!(copied.still_hold().unwrap(), "what comes later is for later");

    let both = Logs::copy(&from, &to).unwrap();
    assert_eq!(both.bytes(), 13 + 4);
    fs::remove_file(&second).unwrap();
    assert!(!both.still_hold().unwrap(), "the second log is gone");
    // A commit failed, and another one of the same length succeeded.
    fs::write(&log, "one TWO three").unwrap();
    assert!(!copied.still_hold().unwrap());
    fs::write(&log, "one").unwrap();
    assert!(!copied.still_hold().unwrap());

    // What an earlier pass left must not be taken for a log.
    let one = Logs::copy(&from, &to).unwrap();
    assert!(one.still_hold().unwrap());
    assert!(!folder.path().join("b.db.wal.checkpoint").exists());
    // The same bytes in another file.
    fs::rename(&log, folder.path().join("old")).unwrap();
    fs::write(&log, "one").unwrap();
    assert!(!one.still_hold().unwrap());
}

/// A database that is open in this process, and a copy of it.
struct Scene {
    folder: tempfile::TempDir,
    path: PathBuf,
    writer: StorageEngine,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = database(folder.path());
        let writer = StorageEngine::open(&path).unwrap();
        // Checkpoints come when the test says so.
        writer
            .execute("SET wal_autocheckpoint = '1TB'; SET auto_checkpoint_skip_wal_threshold = 1000000000")
            .unwrap();
        Scene { folder, path, writer }
    }

    fn sql(&self, sql: &str) {
        self.writer.execute(sql).unwrap();
    }

    fn copy(&self) -> Copying<'_> {
        let target = self.folder.path().join("copy.duckdb");
        Copying::begin(&self.path, File::open(&self.path).unwrap(), target, false).unwrap()
    }

    /// Everything that is in the database, as numbers.
    fn content(storage: &StorageEngine) -> Vec<Vec<Value>> {
        let tables = "SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY 1";
        let tables = storage.execute_rows(tables, &[]).unwrap().rows;
        let content = |row: Vec<Value>| {
            let all = format!("SELECT count(*), bit_xor(hash(t)) FROM \"{}\" AS t", row[0].to_text());
            let mut found = storage.execute_rows(&all, &[]).unwrap().rows.remove(0);
            found.insert(0, row[0].clone());
            found
        };
        tables.into_iter().map(content).collect()
    }

    /// What the copy holds.
    fn copied(copying: &Copying<'_>) -> Vec<Vec<Value>> {
        Self::content(&StorageEngine::open_existing(&copying.target, true).unwrap())
    }
}

const ROWS: &str = "SELECT i, hash(i) AS h, md5(CAST(i AS VARCHAR)) AS t FROM range(200_000) r(i)";

#[test]
fn what_is_written_behind_the_log_does_not_matter() {
    // Each of these happens between the copying of the logs and of the blocks.
    for (what, before, between) in [
        ("nothing", "SELECT 1".to_owned(), "SELECT 1".to_owned()),
        ("a commit of whole blocks", "SELECT 1".to_owned(), format!("CREATE TABLE late AS {ROWS}")),
        (
            "blocks that are free again at once",
            "INSERT INTO numbers VALUES (-1, 1, 'x')".to_owned(),
            format!(
                "BEGIN; CREATE TABLE undone AS {ROWS}; ROLLBACK; BEGIN; CREATE TABLE undone AS {ROWS}; ROLLBACK"
            ),
        ),
        (
            "blocks of the log that a later transaction gives up",
            format!("CREATE TABLE logged AS {ROWS}"),
            format!("DROP TABLE logged; CREATE TABLE other AS {ROWS}; CREATE TABLE third AS {ROWS}"),
        ),
        (
            "blocks of the header that a later transaction gives up",
            "DELETE FROM numbers WHERE i < 10".to_owned(),
            format!("DROP TABLE numbers; CREATE TABLE other AS {ROWS}; CREATE TABLE third AS {ROWS}"),
        ),
    ] {
        let scene = Scene::new();
        scene.sql(&before);
        let expected = Scene::content(&scene.writer);
        let mut copying = scene.copy();
        let good = copying.pass(&mut 0, &|| true, || scene.sql(&between)).unwrap();
        assert!(good, "{what}");
        assert_eq!(Scene::copied(&copying), expected, "{what}");
        // And the next one sees what has come.
        let expected = Scene::content(&scene.writer);
        assert!(copying.pass(&mut 0, &|| true, || {}).unwrap(), "{what}");
        assert_eq!(Scene::copied(&copying), expected, "{what}");
    }
}

#[test]
fn a_checkpoint_in_between_means_another_pass() {
    for (before, between) in [
        ("SELECT 1".to_owned(), "CREATE TABLE late AS SELECT 1 AS n; CHECKPOINT".to_owned()),
        ("INSERT INTO numbers VALUES (-1, 1, 'x')".to_owned(), "CHECKPOINT".to_owned()),
        (
            format!("CREATE TABLE logged AS {ROWS}"),
            format!(
                "DROP TABLE logged; DROP TABLE numbers; CHECKPOINT; CREATE TABLE other AS {ROWS}; CHECKPOINT"
            ),
        ),
    ] {
        let scene = Scene::new();
        scene.sql(&before);
        let mut copying = scene.copy();
        let good = copying.pass(&mut 0, &|| true, || scene.sql(&between)).unwrap();
        assert!(!good, "{between}");
        let expected = Scene::content(&scene.writer);
        assert!(copying.pass(&mut 0, &|| true, || {}).unwrap(), "{between}");
        assert_eq!(Scene::copied(&copying), expected, "{between}");
    }
}

#[test]
fn a_log_cut_anywhere_is_a_committed_state() {
    let scene = Scene::new();
    for n in 0..3 {
        scene.sql(&format!("BEGIN; INSERT INTO numbers VALUES ({n}, 1, 'x'), ({n}, 2, 'y'); COMMIT"));
    }
    let mut copying = scene.copy();
    assert!(copying.pass(&mut 0, &|| true, || {}).unwrap());
    let log = copying.target.with_extension("duckdb.wal");
    let length = fs::metadata(&log).unwrap().len();
    let file = OpenOptions::new().write(true).open(&log).unwrap();
    let (mut last, mut seen) = (6, Vec::new());
    for cut in (0..length).rev().step_by(5) {
        file.set_len(cut).unwrap();
        let storage = StorageEngine::open_existing(&copying.target, true).unwrap();
        let rows =
            storage.execute_scalar("SELECT count(*) - 200_000 FROM numbers").unwrap().as_i64().unwrap();
        assert!(rows == last || rows == last - 2, "cut at {cut}: {rows} rows after {last}");
        last = rows;
        seen.push(rows);
    }
    seen.dedup();
    assert_eq!(seen, [4, 2, 0], "whole transactions, each of them once");
}

#[test]
fn a_failed_commit_or_a_half_written_block_means_another_pass() {
    let scene = Scene::new();
    scene.sql("INSERT INTO numbers VALUES (-1, 1, 'x')");
    let expected = Scene::content(&scene.writer);
    let mut copying = scene.copy();
    let open = |path: &Path| OpenOptions::new().read(true).write(true).open(path).unwrap();
    // A commit that fails cuts its records off.
    let log = open(&scene.path.with_extension("duckdb.wal"));
    let length = log.metadata().unwrap().len();
    let mut last = [0];
    log.read_exact_at(&mut last, length - 1).unwrap();
    assert!(!copying.pass(&mut 0, &|| true, || log.set_len(length - 1).unwrap()).unwrap());
    log.write_all_at(&last, length - 1).unwrap();
    assert!(copying.pass(&mut 0, &|| true, || {}).unwrap());

    // A checkpoint that is about to end writes blocks of metadata in place.
    let (_, _, now) = current(&scene.path);
    let file = open(&scene.path);
    let metadata = metadata_blocks(&file, &now).unwrap().unwrap();
    let place = BLOCKS + metadata[0].number * now.block_size as u64 + now.block_size as u64 / 2;
    let (mut old, new) = ([0; 64], Vec::from_iter(1..65));
    file.read_exact_at(&mut old, place).unwrap();
    assert!(!copying.pass(&mut 0, &|| true, || file.write_all_at(&new, place).unwrap()).unwrap());
    file.write_all_at(&old, place).unwrap();
    assert!(copying.pass(&mut 0, &|| true, || {}).unwrap());
    assert_eq!(Scene::copied(&copying), expected);
}

#[test]
fn another_file_in_its_place_means_another_pass() {
    let scene = Scene::new();
    let other = scene.folder.path().join("other");
    let mut copying = scene.copy();
    let replace = || {
        fs::copy(&scene.path, &other).unwrap();
        fs::rename(&other, &scene.path).unwrap();
    };
    assert!(!copying.pass(&mut 0, &|| true, replace).unwrap());
}

fn refusal(path: &Path, options: &SnapshotOptions) -> Error {
    match Taking::begin(path, options).and_then(|mut taking| taking.settle()) {
        Ok(()) => panic!("a snapshot was made"),
        Err(error) => error,
    }
}

#[test]
fn what_is_too_large_is_refused_before_it_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    let size = fs::metadata(&path).unwrap().len();
    let file = File::open(&path).unwrap();
    if super::can_share(&file, folder.path()) {
        return; // Nothing is copied here, and nothing is too large.
    }
    drop(file);
    let tight = SnapshotOptions::new().max_bytes(size - 1);
    assert!(matches!(
        refusal(&path, &tight).kind(),
        &ErrorKind::NoSnapshot { why: NoSnapshot::TooLarge { bytes, limit }, .. } if (bytes, limit) == (size, size - 1)
    ));
    drop(Taking::begin(&path, &SnapshotOptions::new().max_bytes(size)).unwrap());
    // The largest file that this file system can have, most of it a hole: more than is free.
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let huge = (30..60).rev().map(|bits| 1_u64 << bits).find(|&length| file.set_len(length).is_ok()).unwrap();
    if let ErrorKind::NoSnapshot { why: NoSnapshot::NoRoom { bytes, free, .. }, .. } =
        *refusal(&path, &SnapshotOptions::new().max_bytes(u64::MAX)).kind()
    {
        assert!(bytes >= huge && free < huge);
    } else {
        panic!("there is room for {huge} bytes");
    }
}

#[test]
fn copying_can_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    let token = CancelToken::new();
    token.cancel();
    assert!(matches!(refusal(&path, &SnapshotOptions::new().cancel(token)).kind(), ErrorKind::Cancelled));
}
