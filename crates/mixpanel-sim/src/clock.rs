//! The virtual clock, by which limits are counted and requests are stamped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::config::Pace;

/// Time as the simulated server sees it: a start within the world's `today`, plus what was added by advancing
/// it, plus (unless it is [`Pace::Manual`]) the real time that has passed.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Timestamp,
    started: Instant,
    pace: Pace,
    advanced_ns: AtomicU64,
}

impl Clock {
    pub(crate) fn new(start: Timestamp, pace: Pace) -> Clock {
        Clock { start, started: Instant::now(), pace, advanced_ns: AtomicU64::new(0) }
    }

    /// Time since the clock was made.
    pub(crate) fn elapsed(&self) -> Duration {
        let advanced = Duration::from_nanos(self.advanced_ns.load(Ordering::Acquire));
        match self.pace {
            Pace::RealTime => self.started.elapsed() + advanced,
            Pace::Manual => advanced,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let elapsed = jiff::SignedDuration::try_from(self.elapsed()).unwrap_or(jiff::SignedDuration::MAX);
        self.start.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    pub(crate) fn advance(&self, by: Duration) {
        let ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX / 4);
        self.advanced_ns.fetch_add(ns, Ordering::AcqRel);
    }
}
