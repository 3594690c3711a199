//! The request budget: what Mixpanel allows, counted by everybody who asks.
//!
//! Mixpanel counts requests per project and family of APIs, over a sliding hour
//! and second (rate-limits reference). So do we, before a request is sent, in a
//! small file that all processes of a user share under a lock. What the server
//! says itself, in `Retry-After` and in the `RateLimit` headers, comes before
//! our own numbers.

mod headers;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::cancel::CancelToken;
use crate::error::{ErrorKind, Result};
use crate::retry::Clock;

pub(crate) use headers::Said;

/// Which of Mixpanel's budgets a request counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiFamily {
    /// Raw export: 60 requests an hour, 3 a second.
    Export,
    /// Everything under `/api/query`: 60 requests an hour.
    Query,
}

impl ApiFamily {
    fn name(self) -> &'static str {
        match self {
            Self::Export => "export",
            Self::Query => "query",
        }
    }

    fn per_second(self) -> usize {
        match self {
            Self::Export => 3,
            Self::Query => usize::MAX,
        }
    }
}

/// How the budget stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetState {
    /// Requests within the window.
    pub used: u32,
    /// Requests that the window allows.
    pub limit: u32,
    /// The window, usually an hour.
    pub window: Duration,
    /// How long until the next request may go; zero when at once.
    pub next: Duration,
}

/// What is remembered, in milliseconds since 1970.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Log {
    sent: Vec<u64>,
    blocked_until: u64,
    limit: u32,
    window: u64,
    /// How many more the server said it takes, and until when that holds.
    left: Option<(u32, u64)>,
}

impl Default for Log {
    fn default() -> Self {
        Self { sent: Vec::new(), blocked_until: 0, limit: 60, window: 3_600_000, left: None }
    }
}

/// The longest that anything read from a file or a header keeps us waiting: a
/// clock that was set wrong must not block a project for years.
const LONGEST_BLOCK: u64 = 2 * 3_600_000;

impl Log {
    /// Forgets what no longer counts, and what lies in the future.
    fn tidy(&mut self, now: u64) {
        let window = self.window;
        self.sent.retain(|at| *at <= now && now - *at < window);
        self.blocked_until = self.blocked_until.min(now + LONGEST_BLOCK);
        self.left = self.left.filter(|(_, until)| *until > now && *until <= now + LONGEST_BLOCK);
    }

    /// How long to wait before the next request, in milliseconds, and why.
    fn wait(&self, now: u64, per_second: usize) -> (u64, &'static str) {
        let mut longest = (self.blocked_until.saturating_sub(now), "the server asked to wait");
        if let Some((0, until)) = self.left {
            longest = longest.max((until.saturating_sub(now), "the server takes no more for now"));
        }
        let used = self.sent.len();
        if used >= self.limit as usize {
            let free = self.sent[used - self.limit as usize] + self.window;
            longest = longest.max((free.saturating_sub(now), "the requests of this hour are used up"));
        }
        let recent: Vec<u64> = self.sent.iter().copied().filter(|at| now - *at < 1_000).collect();
        if recent.len() >= per_second {
            let free = recent[recent.len() - per_second] + 1_000;
            longest = longest.max((free.saturating_sub(now), "the requests of this second are used up"));
        }
        longest
    }
}

/// A project's budget for one family of APIs.
#[derive(Debug)]
pub struct RequestBudget {
    family: ApiFamily,
    store: Store,
}

#[derive(Debug)]
enum Store {
    Memory(Mutex<Log>),
    /// The file, and the one whose lock guards it.
    Shared {
        file: PathBuf,
        lock: PathBuf,
    },
}

impl RequestBudget {
    /// A budget that only this process knows.
    pub fn in_memory(family: ApiFamily) -> Self {
        Self { family, store: Store::Memory(Mutex::default()) }
    }

    /// A budget that is shared through a file in `folder`, which is made if it
    /// is missing, for its owner only. `project` is hashed, so it may be a secret.
    ///
    /// # Errors
    /// [`ErrorKind::Setup`] if the folder cannot be made or written.
    pub fn in_folder(folder: &Path, project: &str, family: ApiFamily) -> Result<Self> {
        let failed = |error: std::io::Error| {
            let what = format!("request budget in {}", folder.display());
            crate::Error::new(ErrorKind::Setup { what }).with_source(error)
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let name = format!("{}-{:016x}", family.name(), xxh3_64(project.as_bytes()));
        let (file, lock) = (folder.join(format!("{name}.json")), folder.join(format!("{name}.lock")));
        let budget = Self { family, store: Store::Shared { file, lock } };
        budget.update(|_| ()).map_err(failed)?;
        Ok(budget)
    }

    /// How it stands.
    pub fn state(&self, now: SystemTime) -> BudgetState {
        let now = millis(now);
        let read = self.update(|log| {
            log.tidy(now);
            BudgetState {
                used: log.sent.len() as u32,
                limit: log.limit,
                window: Duration::from_millis(log.window),
                next: Duration::from_millis(log.wait(now, self.family.per_second()).0),
            }
        });
        read.unwrap_or(BudgetState {
            used: 0,
            limit: 60,
            window: Duration::from_secs(3600),
            next: Duration::ZERO,
        })
    }

    /// Takes a request out of the budget, and waits until there is one.
    /// `on_wait` is told how long and why, before each wait of a second and more.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`]; [`ErrorKind::BudgetExhausted`] if the wait would
    /// be longer than `patience`.
    pub(crate) fn take(
        &self,
        clock: &dyn Clock,
        cancel: &CancelToken,
        patience: Option<Duration>,
        mut on_wait: impl FnMut(Duration, &'static str),
    ) -> Result<()> {
        let mut told = false;
        loop {
            if cancel.is_cancelled() {
                return Err(ErrorKind::Cancelled.into());
            }
            let now = millis(clock.now());
            let wait = self.update(|log| {
                log.tidy(now);
                let (wait, why) = log.wait(now, self.family.per_second());
                if wait == 0 {
                    log.sent.push(now);
                    if let Some((left, _)) = &mut log.left {
                        *left = left.saturating_sub(1);
                    }
                }
                (wait, why)
            });
            // A file that cannot be read or written any more stops nobody.
            let Ok((wait @ 1.., why)) = wait else { return Ok(()) };
            let wait = Duration::from_millis(wait);
            if patience.is_some_and(|patience| wait > patience) {
                return Err(ErrorKind::BudgetExhausted { wait, why }.into());
            }
            if wait >= Duration::from_secs(1) && !std::mem::replace(&mut told, true) {
                on_wait(wait, why);
            }
            // In steps: others may be told to wait longer, or the clock be set.
            clock.sleep(wait.min(Duration::from_secs(30)), cancel);
        }
    }

    /// Takes note of what a server said with an answer.
    pub(crate) fn heard(&self, said: &Said, now: SystemTime) {
        if said.is_nothing() {
            return;
        }
        let now = millis(now);
        // Not being able to write it down is no reason to lose the answer.
        let _ = self.update(|log| {
            if let Some(wait) = said.retry_after {
                let until = now + wait.as_millis().min(u128::from(LONGEST_BLOCK)) as u64;
                log.blocked_until = log.blocked_until.max(until);
            }
            if let Some((limit, window)) = said.policy {
                (log.limit, log.window) = (limit, window.as_millis() as u64);
            }
            if let Some((left, reset)) = said.left {
                let until = now + reset.map_or(log.window, |reset| reset.as_millis() as u64);
                log.left = Some((left, until));
            }
        });
    }

    /// Reads, changes and writes the log, alone.
    fn update<T>(&self, change: impl FnOnce(&mut Log) -> T) -> std::io::Result<T> {
        let (file, lock) = match &self.store {
            Store::Memory(log) => return Ok(change(&mut log.lock().unwrap_or_else(PoisonError::into_inner))),
            Store::Shared { file, lock } => (file, lock),
        };
        let guard = private().open(lock)?;
        guard.lock()?;
        // A damaged file is one that knows nothing.
        let mut log =
            fs::read(file).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let result = change(&mut log);
        // Replaced as a whole: a process that is killed leaves the old or the new.
        let draft = file.with_extension("draft");
        let _ = fs::remove_file(&draft);
        let mut out: File = private().create_new(true).open(&draft)?;
        out.write_all(&serde_json::to_vec(&log)?)?;
        fs::rename(&draft, file)?;
        Ok(result)
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests;
