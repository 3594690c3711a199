//! Logs that are damaged, cut, or not the file's own.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mixpanel_data::{LogRecovery, Recovery, StorageEngine, Value};

fn log_of(path: &Path) -> PathBuf {
    path.with_extension("duckdb.wal")
}

/// A database with five transactions in its log, as a killed process leaves it;
/// and how long the log was behind each.
fn logged(folder: &Path) -> (PathBuf, Vec<u64>) {
    let (made, path) = (folder.join("made.duckdb"), folder.join("data.duckdb"));
    let storage = StorageEngine::open(&made).unwrap();
    storage.execute("CREATE TABLE numbers AS SELECT 0 AS i; CHECKPOINT;").unwrap();
    let mut lengths = Vec::new();
    for n in 1..=5 {
        storage.execute(&format!("INSERT INTO numbers VALUES ({n})")).unwrap();
        lengths.push(fs::metadata(log_of(&made)).unwrap().len());
    }
    fs::copy(&made, &path).unwrap();
    fs::copy(log_of(&made), log_of(&path)).unwrap();
    (path, lengths)
}

fn last_number(storage: &StorageEngine) -> Value {
    storage.execute_scalar("SELECT max(i) FROM numbers").unwrap()
}

fn flip(path: &Path, place: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, place).unwrap();
    file.write_all_at(&[byte[0] ^ 1], place).unwrap();
}

/// The bytes of a log that was put aside.
fn kept(recovery: &Recovery) -> Vec<u8> {
    match recovery.log.as_ref().unwrap() {
        LogRecovery::Unfinished { kept }
        | LogRecovery::Damaged { kept, .. }
        | LogRecovery::OtherState { kept, .. } => fs::read(kept).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Also for readers, also when it is the length of a record that is wrong, which
/// DuckDB takes for the end of the log.
#[test]
fn what_was_committed_before_the_damage_is_opened_and_the_rest_is_counted() {
    for read_only in [false, true] {
        for (transaction, within) in [(1, 0), (1, 20), (3, 20), (4, 0), (4, 20)] {
            let folder = tempfile::tempdir().unwrap();
            let (path, lengths) = logged(folder.path());
            flip(&log_of(&path), lengths[transaction - 1] + within);
            let damaged = fs::read(log_of(&path)).unwrap();
            let storage = StorageEngine::open_existing(&path, read_only).unwrap();
            let recovery = storage.recovery().unwrap().clone();
            assert_eq!(last_number(&storage), Value::Integer(transaction as i128));
            assert_eq!(kept(&recovery), damaged, "nothing is thrown away");
            match recovery.log.as_ref().unwrap() {
                LogRecovery::Unfinished { .. } => {
                    assert_eq!((transaction, recovery.lost_something()), (4, false))
                }
                LogRecovery::Damaged { transactions, .. } => {
                    assert_eq!(*transactions, 5 - transaction as u64);
                    assert!(
                        recovery.lost_something() && recovery.to_string().contains("are lost"),
                        "{recovery}"
                    );
                }
                other => panic!("{other:?}"),
            }
            drop(storage);
            let again = StorageEngine::open(&path).unwrap();
            assert_eq!((again.recovery(), last_number(&again)), (None, Value::Integer(transaction as i128)));
        }
    }
}

/// After a loss of power, a log that was deleted may be there again.
#[test]
fn a_log_of_another_state_is_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = logged(folder.path());
    let (old_file, old_log) = (fs::read(&path).unwrap(), fs::read(log_of(&path)).unwrap());
    let storage = StorageEngine::open(&path).unwrap();
    for n in 6..9 {
        storage.execute(&format!("INSERT INTO numbers VALUES ({n}); CHECKPOINT;")).unwrap();
    }
    storage.execute("INSERT INTO numbers VALUES (9)").unwrap();
    let new_log = fs::read(log_of(&path)).unwrap();
    drop(storage);

    fs::write(log_of(&path), &old_log).unwrap();
    let storage = StorageEngine::open_existing(&path, true).unwrap();
    let recovery = storage.recovery().unwrap();
    assert!(matches!(recovery.log, Some(LogRecovery::OtherState { newer: false, .. })), "{recovery:?}");
    assert_eq!((kept(recovery), last_number(&storage)), (old_log, Value::Integer(9)));
    assert!(!recovery.lost_something());
    drop(storage);

    // A copy of the file from before, beside the newer log.
    fs::write(&path, &old_file).unwrap();
    fs::write(log_of(&path), &new_log).unwrap();
    let storage = StorageEngine::open(&path).unwrap();
    let recovery = storage.recovery().unwrap();
    assert!(matches!(recovery.log, Some(LogRecovery::OtherState { newer: true, .. })), "{recovery:?}");
    assert_eq!((kept(recovery), last_number(&storage)), (new_log, Value::Integer(0)));
    assert!(recovery.lost_something());
}

/// What a killed process usually leaves is no repair: the transaction that was not
/// finished had not been confirmed.
#[test]
fn a_log_that_ends_in_the_middle_is_nothing_to_speak_of() {
    let folder = tempfile::tempdir().unwrap();
    let (path, lengths) = logged(folder.path());
    File::options().write(true).open(log_of(&path)).unwrap().set_len(lengths[4] - 3).unwrap();
    let storage = StorageEngine::open(&path).unwrap();
    assert_eq!((storage.recovery(), last_number(&storage)), (None, Value::Integer(4)));
}
