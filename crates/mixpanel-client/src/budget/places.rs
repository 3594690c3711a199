//! Places for requests that run at the same time.
//!
//! A request that was broken off keeps its place for as long as it might have taken: the server may
//! still be working on it. So a place ends in two ways. Whoever has an answer frees it; whoever is
//! killed, cancelled or out of patience leaves the mark behind that was set at the beginning.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The longest that a mark is believed, in milliseconds.
const LONGEST: u64 = 15 * 60_000;

/// The places of one process.
pub(super) type Running = Arc<Mutex<Marks>>;

#[derive(Debug, Default)]
pub(super) struct Marks {
    next: u64,
    taken: Vec<Mark>,
}

/// A place that is in use, or whose request was broken off.
#[derive(Debug)]
struct Mark {
    number: u64,
    /// When it is free at the latest, if its request was broken off.
    until: u64,
    in_use: bool,
}

/// A request's right to run beside others. Dropped without [`free`](Self::free), it leaves its mark.
#[derive(Debug)]
pub(super) enum Place {
    Memory {
        running: Running,
        number: u64,
    },
    /// A file whose lock is held.
    Shared(File),
    /// Nobody counts.
    Free,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// At least one of them will be free when its request ends.
    Running,
    /// All belong to requests that were broken off; one is free by then.
    Until(u64),
}

impl Full {
    fn of(marks: impl Iterator<Item = Option<u64>>) -> Self {
        let mut soonest = None;
        for mark in marks {
            match (mark, soonest) {
                (None, _) => return Self::Running,
                (Some(until), None) => soonest = Some(until),
                (Some(until), Some(other)) => soonest = Some(until.min(other)),
            }
        }
        soonest.map_or(Self::Running, Self::Until)
    }
}

impl Place {
    /// Takes one of `places` in this process until `until`.
    pub(super) fn in_memory(running: &Running, places: u32, now: u64, until: u64) -> Result<Self, Full> {
        let mut marks = lock(running);
        marks.taken.retain(|mark| mark.in_use || holds(mark.until, now));
        if marks.taken.len() >= places as usize {
            return Err(Full::of(marks.taken.iter().map(|mark| (!mark.in_use).then_some(mark.until))));
        }
        marks.next += 1;
        let number = marks.next;
        marks.taken.push(Mark { number, until, in_use: true });
        Ok(Self::Memory { running: running.clone(), number })
    }

    /// Takes one of `places` files, named by their number, until `until`.
    pub(super) fn in_files(
        name: impl Fn(u32) -> std::path::PathBuf,
        places: u32,
        now: u64,
        until: u64,
    ) -> Result<Self, Full> {
        let mut marks = Vec::new();
        for place in 0..places {
            // A folder that cannot be used any more stops nobody.
            let Ok(mut file) = open(&name(place)) else { return Ok(Self::Free) };
            match file.try_lock() {
                Ok(()) => match mark(&mut file).filter(|until| holds(*until, now)) {
                    Some(until) => marks.push(Some(until)),
                    None => {
                        let _ = set(&mut file, &until.to_string());
                        return Ok(Self::Shared(file));
                    }
                },
                Err(TryLockError::WouldBlock) => marks.push(None),
                Err(TryLockError::Error(_)) => return Ok(Self::Free),
            }
        }
        Err(Full::of(marks.into_iter()))
    }

    /// The request has ended at the server, too.
    pub(super) fn free(self) {
        match &self {
            Self::Memory { running, number } => lock(running).taken.retain(|mark| mark.number != *number),
            // What cannot be written is a mark that stays for a while.
            Self::Shared(file) => drop(file.set_len(0)),
            Self::Free => {}
        }
    }
}

impl Drop for Place {
    /// After [`free`](Self::free) there is no such mark any more. The system gives the lock of a file
    /// back, also when the process dies.
    fn drop(&mut self) {
        if let Self::Memory { running, number } = self {
            let mut marks = lock(running);
            marks.taken.iter_mut().filter(|mark| mark.number == *number).for_each(|mark| mark.in_use = false);
        }
    }
}

/// Whether a mark still counts. What lies too far ahead is none of ours.
fn holds(until: u64, now: u64) -> bool {
    until > now && until - now <= LONGEST
}

fn lock(running: &Running) -> MutexGuard<'_, Marks> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Until when a request may run that did not say that it has ended.
fn mark(file: &mut File) -> Option<u64> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn set(file: &mut File, text: &str) -> std::io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.set_len(0)?;
    file.write_all(text.as_bytes())
}
