//! What is remembered of one family's requests, and how long the next one has to wait.

use serde::{Deserialize, Serialize};

use super::ApiFamily;
use super::headers::Said;
use super::moment::Moment;

/// The longest that anything read from a file or a header keeps us waiting: a
/// clock that was set wrong must not block a project for years.
pub(super) const LONGEST_BLOCK: u64 = 2 * 3_600_000;

/// How long a server's word about its limits holds. Who says nothing more is taken to have the
/// documented ones: a single odd header must not last.
pub(super) const WORD_HOLDS: u64 = 3_600_000;

/// The longest window that is believed, and the most places at once.
const LONGEST_WINDOW: u64 = 24 * 3_600_000;
const MOST_PLACES: u32 = 100;

/// More requests than this are no record of ours.
const MOST_REMEMBERED: usize = 10_000;

/// What counts as a second. A request needs a moment from here to the server, one more than another,
/// so requests that leave a second apart may arrive closer together.
const SECOND: u64 = 1_100;

/// A time of day that differs from the time that has passed by more than this was set.
const SET: u64 = 1_000;

/// All times are milliseconds since 1970, as the machine's clock has it at the moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Log {
    /// When requests were counted, in order: on leaving, or before that when a place was kept for them.
    pub(super) sent: Vec<u64>,
    /// When requests left in the last second.
    pub(super) left_at: Vec<u64>,
    pub(super) blocked_until: u64,
    /// The window that the server named, and until when that holds.
    pub(super) told: Option<Told>,
    /// How many more the server said it takes, and until when that holds.
    pub(super) left: Option<(u32, u64)>,
    /// How many the server said may run at once, and until when that holds.
    pub(super) places: Option<(u32, u64)>,
    /// A moment by both clocks, to notice that the time of day was set.
    pub(super) anchor: Option<Moment>,
}

/// A window that a server named.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) limit: u32,
    pub(super) window: u64,
    pub(super) until: u64,
}

impl Log {
    /// Forgets what no longer counts, and what makes no sense. What lies ahead was sent just now,
    /// as nothing is sent in the future.
    pub(super) fn tidy(&mut self, family: ApiFamily, moment: Moment) {
        self.follow(moment);
        let now = moment.wall;
        self.told = self.told.filter(|told| {
            told.until > now
                && told.until - now <= WORD_HOLDS
                && told.limit > 0
                && (1_000..=LONGEST_WINDOW).contains(&told.window)
        });
        let (_, window) = self.limits(family);
        let surplus = self.sent.len().saturating_sub(MOST_REMEMBERED);
        self.sent.drain(..surplus);
        self.sent.iter_mut().chain(&mut self.left_at).for_each(|at| *at = (*at).min(now));
        self.sent.retain(|at| now - *at < window);
        self.left_at.retain(|at| now - *at < SECOND);
        self.sent.sort_unstable();
        self.left_at.sort_unstable();
        self.blocked_until = self.blocked_until.min(now + LONGEST_BLOCK);
        self.left = self.left.filter(|(_, until)| (now + 1..=now + LONGEST_BLOCK).contains(until));
        self.places = self.places.filter(|(places, until)| {
            (now + 1..=now + WORD_HOLDS).contains(until) && (1..=MOST_PLACES).contains(places)
        });
    }

    /// Moves everything along with a time of day that was set.
    fn follow(&mut self, moment: Moment) {
        let Some(by) = self.anchor.and_then(|anchor| anchor.was_set_by(moment)) else {
            self.anchor = Some(moment);
            return;
        };
        if by.unsigned_abs() < SET {
            return;
        }
        let told = self.told.iter_mut().map(|told| &mut told.until);
        let left = self.left.iter_mut().chain(&mut self.places).map(|(_, until)| until);
        let times = self.sent.iter_mut().chain(&mut self.left_at).chain([&mut self.blocked_until]);
        times.chain(told).chain(left).for_each(|time| *time = time.saturating_add_signed(by));
        self.anchor = Some(moment);
    }

    /// How many requests which window allows, in milliseconds.
    pub(super) fn limits(&self, family: ApiFamily) -> (u32, u64) {
        let (limit, window) = family.quota();
        self.told.map_or((limit, window.as_millis() as u64), |told| (told.limit, told.window))
    }

    /// How many requests may run at once, where that is limited.
    pub(super) fn places(&self, family: ApiFamily) -> Option<u32> {
        family.concurrent().map(|usual| self.places.map_or(usual, |(places, _)| places))
    }

    /// How long to wait until a request may be counted, in milliseconds, and why.
    pub(super) fn wait(&self, family: ApiFamily, now: u64) -> (u64, &'static str) {
        let mut longest = (self.blocked_until.saturating_sub(now), "the server asked to wait");
        if let Some((0, until)) = self.left {
            longest = longest.max((until.saturating_sub(now), "the server takes no more for now"));
        }
        let (limit, window) = self.limits(family);
        let mut wait = self.until_free(limit, window, now);
        if let Some(told) = self.told {
            // By then its word holds no longer.
            let (usual, usual_window) = family.quota();
            let later = self.until_free(usual, usual_window.as_millis() as u64, now);
            wait = wait.min(later.max(told.until.saturating_sub(now)));
        }
        let why = if window == 3_600_000 {
            "the requests of this hour are used up"
        } else {
            "the requests of this window are used up"
        };
        longest.max((wait, why))
    }

    fn until_free(&self, limit: u32, window: u64, now: u64) -> u64 {
        let oldest = self.sent.len().checked_sub(limit as usize).and_then(|at| self.sent.get(at));
        oldest.map_or(0, |at| at.saturating_add(window).saturating_sub(now))
    }

    /// Counts a request.
    pub(super) fn count(&mut self, now: u64) {
        self.sent.push(now);
        if let Some((left, _)) = &mut self.left {
            *left = left.saturating_sub(1);
        }
    }

    /// Lets a request that was counted at `at` leave, if it may; or says how long it has to wait, in
    /// milliseconds.
    pub(super) fn leave(&mut self, family: ApiFamily, at: u64, now: u64) -> Result<(), u64> {
        let blocked = self.blocked_until.saturating_sub(now);
        if blocked > 0 {
            return Err(blocked);
        }
        if let Some(first) = self.left_at.len().checked_sub(family.per_second()) {
            let free = self.left_at[first].saturating_add(SECOND).saturating_sub(now);
            if free > 0 {
                return Err(free);
            }
        }
        self.left_at.push(now);
        // From now on it counts from when it left; also one that could not be written down before.
        self.uncount(at);
        self.sent.push(now);
        Ok(())
    }

    /// Takes a count back. Whether there was one.
    pub(super) fn uncount(&mut self, at: u64) -> bool {
        let place = self.sent.iter().rposition(|sent| *sent == at);
        place.map(|place| self.sent.remove(place)).is_some()
    }

    /// Takes note of what a server said.
    pub(super) fn hear(&mut self, said: &Said, now: u64) {
        let after = |wait: std::time::Duration| now + wait.as_millis().min(u128::from(LONGEST_BLOCK)) as u64;
        if let Some(wait) = said.retry_after {
            self.blocked_until = self.blocked_until.max(after(wait));
        }
        if let Some((limit, window)) = said.policy {
            self.told = Some(Told { limit, window: window.as_millis() as u64, until: now + WORD_HOLDS });
        }
        if let Some((left, reset)) = said.left {
            let window = self.told.map_or(3_600_000, |told| told.window);
            self.left = Some((left, reset.map_or(now + window.min(LONGEST_BLOCK), after)));
        }
        if let Some(places) = said.concurrent {
            self.places = Some((places, now + WORD_HOLDS));
        }
    }
}
