//! Sessions: the results behind a `session_id`, from which pages are served.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::select::Selection;
use crate::random::Random;

const SESSION_STREAM: u64 = 7;

/// All sessions that have not expired.
#[derive(Debug)]
pub(crate) struct Sessions {
    seed: u64,
    lifetime: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    begun: u64,
    sessions: HashMap<String, Arc<Session>>,
}

/// One result, kept for its pages.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    /// The parameters that the result is for.
    pub(crate) fingerprint: String,
    /// Whether pages beyond the first may be asked for.
    pub(crate) pageable: bool,
    pub(crate) selection: Selection,
    begun: Duration,
}

impl Sessions {
    pub(crate) fn new(seed: u64, lifetime: Duration) -> Sessions {
        Sessions { seed, lifetime, state: Mutex::default() }
    }

    /// Begins a session at virtual time `now`.
    pub(crate) fn begin(
        &self,
        now: Duration,
        fingerprint: String,
        pageable: bool,
        selection: Selection,
    ) -> Arc<Session> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.sessions.retain(|_, session| now < session.begun + self.lifetime);
        state.begun += 1;
        let id = self.id(state.begun);
        let session = Session { id: id.clone(), fingerprint, pageable, selection, begun: now };
        let session = Arc::new(session);
        state.sessions.insert(id, Arc::clone(&session));
        session
    }

    /// A session that has not expired at virtual time `now`.
    pub(crate) fn find(&self, now: Duration, id: &str) -> Option<Arc<Session>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.sessions.get(id).filter(|session| now < session.begun + self.lifetime).cloned()
    }

    /// Ten digits and six letters, as real ones have.
    fn id(&self, number: u64) -> String {
        let mut random = Random::keyed(self.seed, SESSION_STREAM, number);
        let digits = random.between(1_000_000_000, 9_999_999_999);
        let letters = (0..6).map(|_| char::from(b'A' + random.below(26) as u8));
        format!("{digits}-{}", letters.collect::<String>())
    }
}
