//! What is remembered of one family's requests, and how long the next one has to wait.

use serde::{Deserialize, Serialize};

use super::ApiFamily;
use super::headers::Said;

/// The longest that anything read from a file or a header keeps us waiting: a
/// clock that was set wrong must not block a project for years.
pub(super) const LONGEST_BLOCK: u64 = 2 * 3_600_000;

/// How far ahead a request may lie and still be one that was sent: clocks are
/// corrected by little all the time, and another process may be a moment ahead.
const CORRECTION: u64 = 60_000;

/// All times are milliseconds since 1970, `sent` in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Log {
    pub(super) sent: Vec<u64>,
    pub(super) blocked_until: u64,
    pub(super) limit: u32,
    pub(super) window: u64,
    /// How many more the server said it takes, and until when that holds.
    pub(super) left: Option<(u32, u64)>,
    /// How many the server said may run at once.
    #[serde(default)]
    pub(super) concurrent: Option<u32>,
}

impl Log {
    pub(super) fn new(family: ApiFamily) -> Self {
        let (limit, window) = family.quota();
        let window = window.as_millis() as u64;
        Self { sent: Vec::new(), blocked_until: 0, limit, window, left: None, concurrent: None }
    }

    /// Forgets what no longer counts, and what lies far in the future. What lies
    /// ahead by little was sent just now.
    pub(super) fn tidy(&mut self, now: u64) {
        let window = self.window;
        self.sent.retain_mut(|at| {
            if *at > now && *at - now <= CORRECTION {
                *at = now;
            }
            *at <= now && now - *at < window
        });
        self.blocked_until = self.blocked_until.min(now + LONGEST_BLOCK);
        self.left = self.left.filter(|(_, until)| *until > now && *until <= now + LONGEST_BLOCK);
    }

    /// How long to wait before the next request, in milliseconds, and why.
    pub(super) fn wait(&self, now: u64, per_second: usize) -> (u64, &'static str) {
        let mut longest = (self.blocked_until.saturating_sub(now), "the server asked to wait");
        if let Some((0, until)) = self.left {
            longest = longest.max((until.saturating_sub(now), "the server takes no more for now"));
        }
        let used = self.sent.len();
        if used >= self.limit as usize {
            let free = self.sent[used - self.limit as usize] + self.window;
            let why = if self.window == 3_600_000 {
                "the requests of this hour are used up"
            } else {
                "the requests of this window are used up"
            };
            longest = longest.max((free.saturating_sub(now), why));
        }
        let recent: Vec<u64> = self.sent.iter().copied().filter(|at| now - *at < 1_000).collect();
        if recent.len() >= per_second {
            let free = recent[recent.len() - per_second] + 1_000;
            longest = longest.max((free.saturating_sub(now), "the requests of this second are used up"));
        }
        longest
    }

    /// Counts a request.
    pub(super) fn count(&mut self, now: u64) {
        self.sent.push(now);
        if let Some((left, _)) = &mut self.left {
            *left = left.saturating_sub(1);
        }
    }

    /// Takes a count back.
    pub(super) fn uncount(&mut self, at: u64) {
        if let Some(place) = self.sent.iter().rposition(|sent| *sent == at) {
            self.sent.remove(place);
        }
    }

    /// Takes note of what a server said.
    pub(super) fn hear(&mut self, said: &Said, now: u64) {
        if let Some(wait) = said.retry_after {
            let until = now + wait.as_millis().min(u128::from(LONGEST_BLOCK)) as u64;
            self.blocked_until = self.blocked_until.max(until);
        }
        if let Some((limit, window)) = said.policy {
            (self.limit, self.window) = (limit, window.as_millis() as u64);
        }
        if let Some((left, reset)) = said.left {
            let until = now + reset.map_or(self.window, |reset| reset.as_millis() as u64);
            self.left = Some((left, until));
        }
        if said.concurrent.is_some() {
            self.concurrent = said.concurrent;
        }
    }
}
