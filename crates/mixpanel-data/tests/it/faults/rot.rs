//! Bytes that rot: a bit that is another one, an end that is missing, in the file
//! and in its log. What is read then is right, or it is refused, or what is missing
//! is said; never wrong without a word.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Stdio;

use mixpanel_data::StorageEngine;

use super::work::{Operation, Place, Stage, State, state_of};
use super::{print_figure, random, setting};
use crate::bad_input::{child, role};

/// The child: reads all there is. DuckDB may end the process that opens a damaged
/// file, so it is one of its own.
#[test]
fn the_reader() {
    let Some((_, path)) = role() else { return };
    let storage = match StorageEngine::open_existing(Path::new(&path), false) {
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
    Repaired,
    Read(State),
}

fn read(place: &Place) -> Answer {
    let mut command = child("faults::rot::the_reader", "read", place.database().to_str().unwrap());
    let output = command.stderr(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let says = |word: &str| text.lines().any(|line| line.split(' ').next() == Some(word));
    if says("repaired") {
        return Answer::Repaired;
    }
    if !says("read") {
        return Answer::Refused;
    }
    let line = |line: &str| {
        let (key, value) = line.strip_prefix("= ")?.split_once('\t')?;
        Some((key.to_owned(), value.to_owned()))
    };
    Answer::Read(text.lines().filter_map(line).collect())
}

fn prove(trials: usize, seed: u64) {
    let stage = Stage::new();
    // With something in the log.
    let original = stage.scene(Operation::Close).before;
    let Answer::Read(expected) = read(&original.copy()) else { panic!("the original is not read") };
    let mut random = random(seed);
    let (mut refused, mut repaired, mut right, mut wrong) = (0, 0, 0, Vec::new());
    for trial in 0..trials {
        let place = original.copy();
        let name = if trial % 2 == 0 { "data.duckdb" } else { "data.duckdb.wal" };
        let path = place.folder().join(name);
        let length = fs::metadata(&path).unwrap().len();
        let (at, bit) = (random() % length, random() % 8);
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let what = if trial % 10 < 8 {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 1 << bit], at).unwrap();
            format!("bit {bit} of byte {at} of {name}")
        } else {
            file.set_len(at).unwrap();
            format!("{name} cut at {at}")
        };
        match read(&place) {
            Answer::Refused => refused += 1,
            Answer::Repaired => repaired += 1,
            Answer::Read(state) if state == expected => right += 1,
            // What a killed process leaves looks the same: the log ends in the middle of a transaction.
            Answer::Read(state) if what.contains("wal cut") && is_older(&state, &expected) => right += 1,
            Answer::Read(state) => wrong.push(format!("{what}: {state:?}")),
        }
    }
    println!("{right} right, {refused} refused, {repaired} repaired and said, {} wrong", wrong.len());
    print_figure("bit flips and cuts in file and log: no wrong answer", trials, wrong.len(), seed);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether a state lacks only what was in the log.
fn is_older(state: &State, expected: &State) -> bool {
    let mut older = expected.clone();
    older.remove("notes");
    *state == older
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
