//! Processes whose calls to the file system fail, or stop half-way and end
//! them; and what a loss of power would leave. By a small library (`shim.c`)
//! that is loaded before the C library.

#![cfg(target_os = "linux")]

mod kills;
mod power;
mod rot;
mod torn;
mod work;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use crate::bad_input::child;
use crate::support::{print_figure, random, setting};
use work::{Operation, Place};

/// What happens at a call that changes files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// So many bytes are written, and the process is killed.
    Cut(u64),
    Half,
    /// All but the last page.
    AllButAPage,
    /// The call fails, once.
    Once(i32),
    /// This one and all later ones that need room fail.
    From(i32),
}

impl How {
    const ALL: [How; 8] = [
        How::Cut(0),
        How::Cut(512),
        How::Cut(4096),
        How::Half,
        How::AllButAPage,
        How::Once(libc::EIO),
        How::Once(libc::ENOSPC),
        How::From(libc::ENOSPC),
    ];

    fn text(self) -> String {
        match self {
            How::Cut(bytes) => format!("kill:{bytes}"),
            How::Half => "kill:half".into(),
            How::AllButAPage => "kill:-4096".into(),
            How::Once(error) => format!("once:{error}"),
            How::From(error) => format!("from:{error}"),
        }
    }
}

/// The compiled library. It is made once for each version of its source.
fn shim() -> &'static Path {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/faults/shim.c");
        let made = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
        let status = Command::new(compiler)
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(made.path())
            .args([source, "-ldl", "-lpthread"])
            .status()
            .expect("a C compiler");
        assert!(status.success(), "shim.c does not compile");
        made.into_temp_path().keep().unwrap()
    })
}

/// A process that does `operation` on the database in `place`, with the library loaded.
fn process(operation: Operation, place: &Place, url: &str) -> Command {
    let mut command =
        child("faults::work::the_process", operation.name(), place.database().to_str().unwrap());
    command
        .env("LD_PRELOAD", shim())
        .env("FAULTS_DIR", place.folder())
        .env("MP_TEST_URL", url)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Does `operation` undisturbed; returns how many calls change files.
fn count_calls(operation: Operation, place: &Place, url: &str) -> u64 {
    let counts = tempfile::NamedTempFile::new().unwrap();
    let mut command = process(operation, place, url);
    let output = command.env("FAULTS_COUNT", counts.path()).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{operation:?}: {said}");
    std::fs::read_to_string(counts.path()).unwrap().trim().parse().unwrap()
}

fn with_fault(operation: Operation, place: &Place, url: &str, at: u64, how: How) -> ExitStatus {
    process(operation, place, url)
        .env("FAULTS_AT", at.to_string())
        .env("FAULTS_HOW", how.text())
        .status()
        .unwrap()
}

/// So many of a list, chosen by a seed.
fn sample<T: Clone>(all: &[T], count: usize, seed: u64) -> Vec<T> {
    let mut random = random(seed);
    let mut left: Vec<T> = all.to_vec();
    let mut chosen = Vec::new();
    while chosen.len() < count && !left.is_empty() {
        chosen.push(left.swap_remove((random() % left.len() as u64) as usize));
    }
    chosen
}

/// Calls `trial` with each number below `count`, on two threads. Returns what went wrong.
fn on_two_threads(count: usize, trial: impl Fn(usize) -> Option<String> + Sync) -> Vec<String> {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while let Some(number) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|n| *n < count) {
                    if let Some(failure) = trial(number) {
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    failures.into_inner().unwrap()
}

/// Prints the figure, and fails with what went wrong, if something did.
fn conclude(what: &str, trials: usize, failures: &[String], seed: u64, note: &str) {
    print_figure(what, trials, failures.len(), seed, note);
    assert!(failures.is_empty(), "{} of {trials} failed:\n{}", failures.len(), failures.join("\n"));
}
