//! A moment by two clocks: the time of day, which anybody may set, and how long the machine has been
//! running, which nobody can.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::retry::Clock;

/// Milliseconds, both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moment {
    /// The time of day, since 1970.
    pub(super) wall: u64,
    /// Which run of the machine, and how long it lasts so far; where that is known.
    pub(super) uptime: Option<(u64, u64)>,
}

impl Moment {
    pub(super) fn of(clock: &dyn Clock) -> Self {
        let uptime = clock.uptime().map(|uptime| (uptime.run, uptime.since.as_millis() as u64));
        Self { uptime, ..Self::at(clock.now()) }
    }

    /// A moment of which only the time of day is known.
    pub(super) fn at(now: SystemTime) -> Self {
        let wall = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        Self { wall, uptime: None }
    }

    /// By how much the time of day was set since this moment; `None` where nobody knows, as after the
    /// machine was started again.
    pub(super) fn was_set_by(self, now: Self) -> Option<i64> {
        let ((run, then), (same, since)) = (self.uptime?, now.uptime?);
        let passed = since.checked_sub(then).filter(|_| run == same)?;
        let expected = self.wall.saturating_add(passed);
        i64::try_from(i128::from(now.wall) - i128::from(expected)).ok()
    }
}
