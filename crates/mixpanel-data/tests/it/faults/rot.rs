//! Bytes that rot: a bit that is another one, an end that is missing, in the file
//! and in its log. What is read then is right, or it is refused, or what is missing
//! is said; never wrong without a word. And what is refused is repaired on a copy: the
//! copy is right in all that it has.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use mixpanel_client::time::ProjectClock;
use mixpanel_data::StorageEngine;

use super::work::{Operation, Place, Stage, State, state_of};
use super::{conclude, on_two_threads, random, setting};
use crate::bad_input::{child, role};

/// The child: reads all there is, or repairs it. DuckDB may end the process that opens a
/// damaged file, so it is one of its own.
#[test]
fn the_reader() {
    let Some((what, path)) = role() else { return };
    let copy = Path::new(&path).with_file_name("copy.duckdb");
    if what == "repair" {
        match StorageEngine::repair(&path, &copy, &ProjectClock::default()) {
            Ok(repair) => println!("\nrepair {:?}", repair.steps),
            Err(error) => return println!("\nrefused {error}"),
        }
    }
    let opened = if copy.exists() { &copy } else { Path::new(&path) };
    let storage = match StorageEngine::open_existing(opened, false) {
        Ok(storage) => storage,
        Err(error) => return println!("\nrefused {error}"),
    };
    let said = storage.recovery().is_some();
    match state_of(&storage) {
        Ok(state) => {
            println!("\n{}", if said { "repaired" } else { "read" });
            state.iter().for_each(|(key, value)| println!("= {key}\t{value}"));
        }
        Err(error) => println!("\nrefused {error}"),
    }
    std::io::stdout().flush().unwrap();
    // The file is thrown away: closing it well is not needed.
    std::process::exit(0);
}

enum Answer {
    Refused,
    /// By itself, at the opening.
    Repaired,
    Read(State),
    /// The process came to its end without a word.
    Crashed,
}

fn read(place: &Place, what: &str) -> Answer {
    let mut command = child("faults::rot::the_reader", what, place.database().to_str().unwrap());
    let output = command.stderr(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let says = |word: &str| text.lines().any(|line| line.split(' ').next() == Some(word));
    if says("repaired") {
        return Answer::Repaired;
    }
    if says("refused") {
        return Answer::Refused;
    }
    if !says("read") {
        return Answer::Crashed;
    }
    let line = |line: &str| {
        let (key, value) = line.strip_prefix("= ")?.split_once('\t')?;
        Some((key.to_owned(), value.to_owned()))
    };
    Answer::Read(text.lines().filter_map(line).collect())
}

/// Spoils a byte or an end; says what was done.
fn spoil(place: &Place, number: usize, random: &mut impl FnMut() -> u64) -> String {
    let name = if number.is_multiple_of(2) { "data.duckdb" } else { "data.duckdb.wal" };
    let path = place.folder().join(name);
    let length = fs::metadata(&path).unwrap().len();
    let (at, bit) = (random() % length, random() % 8);
    let file = File::options().read(true).write(true).open(&path).unwrap();
    if number % 10 >= 8 {
        file.set_len(at).unwrap();
        return format!("{name} cut at {at}");
    }
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1 << bit], at).unwrap();
    format!("bit {bit} of byte {at} of {name}")
}

fn prove(trials: usize, seed: u64) {
    let stage = Stage::new();
    // With something in the log.
    let original = stage.scene(Operation::Close).before;
    let Answer::Read(expected) = read(&original.copy(), "read") else { panic!("the original is not read") };
    let counts: [AtomicUsize; 7] = Default::default();
    let [right, refused, repaired, whole, in_part, not, crashed] = &counts;
    let count = |count: &AtomicUsize| {
        count.fetch_add(1, Ordering::Relaxed);
    };
    let failures = on_two_threads(trials, |number| {
        let mut random = random(seed.wrapping_add(number as u64).wrapping_mul(0x2545_f491));
        for _ in 0..8 {
            random();
        }
        let place = original.copy();
        let what = spoil(&place, number, &mut random);
        match read(&place, "read") {
            Answer::Repaired => count(repaired),
            Answer::Read(state) if state == expected => count(right),
            // What a killed process leaves looks the same: the log ends in the middle of a transaction.
            Answer::Read(state) if what.contains("wal cut") && lacks_only_notes(&state, &expected) => {
                count(right)
            }
            Answer::Read(state) => return Some(format!("{what}: {state:?}")),
            Answer::Refused | Answer::Crashed => {
                count(refused);
                match read(&place, "repair") {
                    Answer::Read(state) if state == expected => count(whole),
                    Answer::Read(state) if is_part(&state, &expected) => count(in_part),
                    Answer::Read(state) => return Some(format!("{what}, repaired: {state:?}")),
                    Answer::Refused => count(not),
                    Answer::Repaired => return Some(format!("{what}: a repaired copy had to be repaired")),
                    Answer::Crashed => count(crashed),
                }
            }
        }
        None
    });
    let n = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    let note = format!(
        "{} right, {} repaired when opened, {} refused; of these `mp repair` saved {} whole and {} in part, \
         {} not, {} ended the process",
        n(right),
        n(repaired),
        n(refused),
        n(whole),
        n(in_part),
        n(not),
        n(crashed)
    );
    conclude("bit flips and missing ends in file and log: no wrong answer", trials, &failures, seed, &note);
}

/// Whether a state lacks only what was in the log.
fn lacks_only_notes(state: &State, expected: &State) -> bool {
    let mut older = expected.clone();
    older.remove("notes");
    *state == older
}

/// Whether all that is there is as it was: days and tables may lack, entries of the ledger may, and
/// rows of a caller's may.
fn is_part(state: &State, expected: &State) -> bool {
    state.iter().all(|(key, value)| {
        expected.get(key).is_some_and(|expected| {
            // The entry stands last.
            let entry = if value.ends_with(' ') { expected.strip_prefix(value.as_str()) } else { None };
            expected == value || entry.is_some_and(|entry| !entry.contains(' '))
        }) || ["wide", "notes", "profiles"].iter().any(|name| key.starts_with(name))
    })
}

#[test]
fn rotten_bytes_give_no_wrong_answer() {
    prove(24, setting("MP_PROVE_SEED", 1));
}

#[test]
#[ignore = "the large set: just prove"]
fn prove_rotten_bytes() {
    prove(setting("MP_PROVE_ROT", 1_000) as usize, setting("MP_PROVE_SEED", 1));
}
