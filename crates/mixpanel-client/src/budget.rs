//! The request budget: what Mixpanel allows, counted by everybody who asks.
//!
//! Mixpanel counts requests per project and family of APIs, over a sliding hour
//! and second, and some families also by how many run at once (rate-limits
//! reference). So do we, before a request is sent, in small files that all
//! processes of a user share under a lock. What the server says itself, in
//! `Retry-After` and in the `RateLimit` headers, comes before our own numbers.

mod headers;
mod log;
mod store;

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use xxhash_rust::xxh3::xxh3_64;

use crate::cancel::CancelToken;
use crate::client::ClientOptions;
use crate::credentials::Credentials;
use crate::error::{ErrorKind, Result};
use crate::retry::Clock;

pub(crate) use headers::Said;
use store::{Slot, Store};

/// Which of Mixpanel's budgets a request counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiFamily {
    /// Raw export: 60 requests an hour, 3 a second.
    Export,
    /// Everything under `/api/query`, and the first page of profiles: 60 requests an hour, 5 at
    /// once.
    Query,
    /// Schemas of the Lexicon: 5 requests a minute.
    Lexicon,
}

impl ApiFamily {
    /// All families.
    pub const ALL: [Self; 3] = [Self::Export, Self::Query, Self::Lexicon];

    fn name(self) -> &'static str {
        match self {
            Self::Export => "export",
            Self::Query => "query",
            Self::Lexicon => "lexicon",
        }
    }

    /// Requests that a window allows, unless the server says otherwise.
    fn quota(self) -> (u32, Duration) {
        match self {
            Self::Export | Self::Query => (60, Duration::from_secs(3600)),
            Self::Lexicon => (5, Duration::from_secs(60)),
        }
    }

    fn per_second(self) -> usize {
        match self {
            Self::Export => 3,
            Self::Query | Self::Lexicon => usize::MAX,
        }
    }

    /// How many may run at once, where we could reach the limit: 100 exports are beyond us.
    fn concurrent(self) -> Option<u32> {
        match self {
            Self::Query => Some(5),
            Self::Export | Self::Lexicon => None,
        }
    }

    /// Whether the server leaves requests out of its count that it refused for credentials, plan
    /// or limits. It is known of queries only.
    fn forgives_refusals(self) -> bool {
        self == Self::Query
    }
}

/// How the budget of a family stands.
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

/// How often to look whether another request has ended.
const LOOK: Duration = Duration::from_millis(50);

/// A project's budget for all families of APIs.
#[derive(Debug)]
pub struct RequestBudget {
    stores: [Store; 3],
}

/// What a request took out of the budget. While it is held, the request counts as running.
#[derive(Debug)]
pub(crate) struct Ticket {
    family: ApiFamily,
    /// When it was counted; not at all, when the books could not be written.
    at: Option<u64>,
    _slot: Slot,
}

impl RequestBudget {
    /// A budget that only this process knows.
    pub fn in_memory() -> Self {
        Self { stores: ApiFamily::ALL.map(Store::in_memory) }
    }

    /// A budget that is shared through files in `folder`, which is made if it
    /// is missing, for its owner only. `project` is hashed, so it may be a secret.
    ///
    /// # Errors
    /// [`ErrorKind::Setup`] if the folder cannot be made or written.
    pub fn in_folder(folder: &Path, project: &str) -> Result<Self> {
        let failed = |error: std::io::Error| {
            let what = format!("request budget in {}", folder.display());
            crate::Error::new(ErrorKind::Setup { what }).with_source(error)
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let project = format!("{:016x}", xxh3_64(project.as_bytes()));
        let stores = ApiFamily::ALL.map(|family| Store::in_folder(folder, &project, family));
        stores[0].update(|_| ()).map_err(failed)?;
        Ok(Self { stores })
    }

    /// The budget of the project that `options` reach, shared through files in `folder`; without
    /// one, or if it cannot be used, that of this process. A project secret stands for its project.
    pub fn of_project(folder: Option<&Path>, options: &ClientOptions) -> Self {
        let project = match (&options.credentials, options.project_id) {
            (Credentials::ProjectSecret { secret }, _) => secret.expose().to_owned(),
            (_, id) => id.unwrap_or_default().to_string(),
        };
        let project = format!("{} {project}", options.base_urls.export);
        folder.and_then(|folder| Self::in_folder(folder, &project).ok()).unwrap_or_else(Self::in_memory)
    }

    fn store(&self, family: ApiFamily) -> &Store {
        &self.stores[family as usize]
    }

    /// How it stands for a family.
    pub fn state(&self, family: ApiFamily, now: SystemTime) -> BudgetState {
        let now = millis(now);
        let read = self.store(family).update(|log| {
            // A look changes nothing: `now` may be older than what is in the books.
            let mut log = log.clone();
            log.tidy(now);
            BudgetState {
                used: log.sent.len() as u32,
                limit: log.limit,
                window: Duration::from_millis(log.window),
                next: Duration::from_millis(log.wait(now, family.per_second()).0),
            }
        });
        read.unwrap_or_else(|_| {
            let (limit, window) = family.quota();
            BudgetState { used: 0, limit, window, next: Duration::ZERO }
        })
    }

    /// Takes a request out of the budget, and waits until there is one.
    /// `on_wait` is told how long and why, before each wait of a second and more.
    /// Waiting for another request to end is not told, and not part of `patience`: it
    /// lasts as long as a request.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`]; [`ErrorKind::BudgetExhausted`] if the wait would
    /// be longer than `patience`.
    pub(crate) fn take(
        &self,
        family: ApiFamily,
        clock: &dyn Clock,
        cancel: &CancelToken,
        patience: Option<Duration>,
        mut on_wait: impl FnMut(Duration, &'static str),
    ) -> Result<Ticket> {
        let store = self.store(family);
        let mut told = false;
        loop {
            if cancel.is_cancelled() {
                return Err(ErrorKind::Cancelled.into());
            }
            let Some(slot) = self.slot(family) else {
                clock.sleep(LOOK, cancel);
                continue;
            };
            // The time is read once the books are ours: what others counted while
            // we waited for them must not lie in the future.
            let wait = store.update(|log| {
                let now = millis(clock.now());
                log.tidy(now);
                let (wait, why) = log.wait(now, family.per_second());
                if wait == 0 {
                    log.count(now);
                }
                (wait, why, now)
            });
            let (wait, why) = match wait {
                Ok((0, _, now)) => return Ok(Ticket { family, at: Some(now), _slot: slot }),
                // A file that cannot be read or written any more stops nobody.
                Err(_) => return Ok(Ticket { family, at: None, _slot: slot }),
                Ok((wait, why, _)) => (Duration::from_millis(wait), why),
            };
            // Others may run while this one waits.
            drop(slot);
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

    fn slot(&self, family: ApiFamily) -> Option<Slot> {
        let Some(usual) = family.concurrent() else { return Some(Slot::Free) };
        let store = self.store(family);
        let told = store.update(|log| log.concurrent).ok().flatten();
        store.slot(told.unwrap_or(usual))
    }

    /// Ends a request that the server refused: if it does not count such refusals, neither do we.
    pub(crate) fn refused(&self, ticket: Ticket, kind: &ErrorKind) {
        let free = matches!(
            kind,
            ErrorKind::Authentication { status: 401, .. }
                | ErrorKind::PlanLimit { .. }
                | ErrorKind::RateLimited { .. }
        );
        if let Some(at) = ticket.at.filter(|_| free && ticket.family.forgives_refusals()) {
            let _ = self.store(ticket.family).update(|log| log.uncount(at));
        }
    }

    /// Takes note of what a server said with an answer.
    pub(crate) fn heard(&self, family: ApiFamily, said: &Said, now: SystemTime) {
        if said.is_nothing() {
            return;
        }
        // Not being able to write it down is no reason to lose the answer.
        let _ = self.store(family).update(|log| log.hear(said, millis(now)));
    }
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests;
