//! The request budget: what Mixpanel allows, counted by everybody who asks.
//!
//! Mixpanel counts requests per project and family of APIs, over a sliding hour
//! and second, and some families also by how many run at once (rate-limits
//! reference). So do we, in small files that all processes of a user share under
//! a lock. What the server says itself, in `Retry-After` and in the `RateLimit`
//! headers, comes before our own numbers for a while.
//!
//! A request is counted twice. Its place in the hour is taken before a connection
//! is made for it, so that nobody else takes it. Its second is that in which it
//! leaves, when the connection stands (`Departure`): handshakes take one time
//! and another, and the server counts what arrives.

mod departure;
mod headers;
mod log;
mod moment;
mod places;
mod store;

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use xxhash_rust::xxh3::xxh3_64;

use crate::cancel::CancelToken;
use crate::client::ClientOptions;
use crate::credentials::Credentials;
use crate::error::{ErrorKind, Phase, Result};
use crate::retry::Clock;

pub(crate) use departure::{Departure, Departures};
pub(crate) use headers::Said;
use log::Log;
use moment::Moment;
use places::{Full, Place};
use store::Store;

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
    /// When it was counted; 0 when that could not be written down.
    at: AtomicU64,
    place: Mutex<Option<Place>>,
}

impl Ticket {
    /// The request has ended at the server too, or never came there.
    pub(crate) fn end(&self) {
        if let Some(place) = self.place.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
            place.free();
        }
    }
}

impl RequestBudget {
    /// A budget that only this process knows.
    pub fn in_memory() -> Self {
        Self { stores: ApiFamily::ALL.map(|_| Store::in_memory()) }
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
        let mut log = self.store(family).look();
        let moment = Moment::at(now);
        log.tidy(family, moment);
        let (limit, window) = log.limits(family);
        BudgetState {
            used: u32::try_from(log.sent.len()).unwrap_or(u32::MAX),
            limit,
            window: Duration::from_millis(window),
            next: Duration::from_millis(log.wait(family, moment.wall).0),
        }
    }

    /// Takes a request out of the budget, and waits until there is one. It may run for as long as
    /// `lasts`. `on_wait` is told how long and why, before the first wait of a second and more.
    /// Waiting for another request to end is not told, and not part of `patience`: it
    /// lasts as long as a request.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`]; [`ErrorKind::BudgetExhausted`] if the wait would
    /// be longer than `patience`.
    pub(crate) fn take(
        &self,
        family: ApiFamily,
        lasts: Duration,
        clock: &dyn Clock,
        cancel: &CancelToken,
        patience: Option<Duration>,
        mut on_wait: impl FnMut(Duration, &'static str),
    ) -> Result<Ticket> {
        let mut told = false;
        loop {
            if cancel.is_cancelled() {
                return Err(ErrorKind::Cancelled.into());
            }
            let (wait, why, pause) = match self.try_take(family, lasts, clock) {
                Ok(ticket) => return Ok(ticket),
                Err(Wait::Running) => {
                    clock.sleep(LOOK, cancel);
                    continue;
                }
                // Another one may end earlier.
                Err(Wait::BrokenOff(wait)) => {
                    (wait, "requests that were broken off may still be running", LOOK)
                }
                // In steps: others may be told to wait longer, or the clock be set.
                Err(Wait::Limit(wait, why)) => (wait, why, wait.min(Duration::from_secs(30))),
            };
            if patience.is_some_and(|patience| wait > patience) {
                return Err(ErrorKind::BudgetExhausted { wait, why }.into());
            }
            if wait >= Duration::from_secs(1) && !std::mem::replace(&mut told, true) {
                on_wait(wait, why);
            }
            clock.sleep(pause, cancel);
        }
    }

    /// Takes a request out of the budget, if there is one. Places are given back before anybody
    /// waits: others may run meanwhile.
    fn try_take(&self, family: ApiFamily, lasts: Duration, clock: &dyn Clock) -> Result<Ticket, Wait> {
        let store = self.store(family);
        let place = self.place(family, lasts, clock)?;
        // The time is read once the records are ours: what others counted while
        // we waited for them must not lie in the future.
        let counted = store.update(|log| {
            let moment = Moment::of(clock);
            log.tidy(family, moment);
            let (wait, why) = log.wait(family, moment.wall);
            if wait == 0 {
                log.count(moment.wall);
            }
            (wait, why, moment.wall)
        });
        let at = match counted {
            Ok((0, _, now)) => now,
            // A file that cannot be read or written any more stops nobody.
            Err(_) => 0,
            Ok((wait, why, _)) => {
                place.free();
                return Err(Wait::Limit(Duration::from_millis(wait), why));
            }
        };
        Ok(Ticket { family, at: AtomicU64::new(at), place: Mutex::new(Some(place)) })
    }

    fn place(&self, family: ApiFamily, lasts: Duration, clock: &dyn Clock) -> Result<Place, Wait> {
        if family.concurrent().is_none() {
            return Ok(Place::Free);
        }
        let moment = Moment::of(clock);
        let mut log: Log = self.store(family).look();
        log.tidy(family, moment);
        let Some(places) = log.places(family) else { return Ok(Place::Free) };
        let now = moment.wall;
        let until = now.saturating_add(lasts.as_millis() as u64);
        self.store(family).place(places, now, until).map_err(|full| match full {
            Full::Running => Wait::Running,
            Full::Until(until) => Wait::BrokenOff(Duration::from_millis(until.saturating_sub(now))),
        })
    }

    /// Lets a request leave now, if it may; or says how long it has to wait.
    fn leave(&self, ticket: &Ticket, clock: &dyn Clock) -> Result<(), Duration> {
        let family = ticket.family;
        let left = self.store(family).update(|log| {
            let moment = Moment::of(clock);
            log.tidy(family, moment);
            let left = log.leave(family, ticket.at.load(Ordering::SeqCst), moment.wall);
            left.map(|()| moment.wall)
        });
        match left {
            Ok(Ok(now)) => {
                ticket.at.store(now, Ordering::SeqCst);
                Ok(())
            }
            Ok(Err(wait)) => Err(Duration::from_millis(wait)),
            Err(_) => Ok(()),
        }
    }

    /// Gives a request back that never left.
    pub(crate) fn give_back(&self, ticket: &Ticket) {
        ticket.end();
        self.uncount(ticket);
    }

    /// Ends a request that failed. If the server does not count such refusals, neither do we; and what
    /// was broken off may still be running there.
    pub(crate) fn failed(&self, ticket: &Ticket, kind: &ErrorKind) {
        let broken_off = match kind {
            ErrorKind::Timeout { phase, .. } => *phase != Phase::Connect,
            kind => *kind == ErrorKind::Cancelled,
        };
        if !broken_off {
            ticket.end();
        }
        let free = matches!(
            kind,
            ErrorKind::Authentication { status: 401, .. }
                | ErrorKind::PlanLimit { .. }
                | ErrorKind::RateLimited { .. }
        );
        if free && ticket.family.forgives_refusals() {
            self.uncount(ticket);
        }
    }

    fn uncount(&self, ticket: &Ticket) {
        let at = ticket.at.load(Ordering::SeqCst);
        let _ = self.store(ticket.family).update(|log| log.uncount(at));
    }

    /// Takes note of what a server said with an answer.
    pub(crate) fn heard(&self, family: ApiFamily, said: &Said, clock: &dyn Clock) {
        if said.is_nothing() {
            return;
        }
        // Not being able to write it down is no reason to lose the answer.
        let _ = self.store(family).update(|log| {
            let moment = Moment::of(clock);
            log.tidy(family, moment);
            log.hear(said, moment.wall);
        });
    }
}

/// Why a request has to wait.
enum Wait {
    /// For one of those that run.
    Running,
    /// For the time that one that was broken off may take at most.
    BrokenOff(Duration),
    /// For a limit.
    Limit(Duration, &'static str),
}

#[cfg(test)]
mod tests;
