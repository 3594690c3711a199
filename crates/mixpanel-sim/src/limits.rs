//! Limits of requests: per hour, per second (the export only), and at the same time.
//!
//! Both windows roll: a request frees its place exactly one window after it was admitted. A refused request
//! takes no place.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::config::Limits;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// How many requests are admitted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rates {
    per_hour: u32,
    per_second: Option<u32>,
    concurrent: u32,
    enforced: bool,
}

impl Rates {
    /// Those of the export endpoint.
    pub(crate) fn export(limits: &Limits) -> Rates {
        let Limits { per_hour, per_second, concurrent, enforced, .. } = *limits;
        Rates { per_hour, per_second: Some(per_second), concurrent, enforced }
    }

    /// Those of the Query API.
    pub(crate) fn query(limits: &Limits) -> Rates {
        let Limits { query_per_hour, query_concurrent, enforced, .. } = *limits;
        Rates { per_hour: query_per_hour, per_second: None, concurrent: query_concurrent, enforced }
    }
}

/// Counts requests against [`Rates`].
#[derive(Debug)]
pub(crate) struct Limiter {
    rates: Rates,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// When the requests of the last hour were admitted, oldest first.
    admitted: VecDeque<Duration>,
    running: u32,
}

/// A request was refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// When a place will be free; unknown if too many requests are running.
    pub(crate) wait: Option<Duration>,
    /// How many requests were admitted in the hour before.
    pub(crate) last_hour: u32,
    pub(crate) running: u32,
}

/// A place among the running requests; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Running(Arc<Mutex<State>>);

impl Drop for Running {
    fn drop(&mut self) {
        lock(&self.0).running -= 1;
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Limiter {
    pub(crate) fn new(rates: Rates) -> Limiter {
        Limiter { rates, state: Arc::default() }
    }

    /// Admits a request at virtual time `now`, or says why not.
    pub(crate) fn admit(&self, now: Duration) -> Result<Running, Refused> {
        let mut state = lock(&self.state);
        while state.admitted.front().is_some_and(|&at| at + HOUR <= now) {
            state.admitted.pop_front();
        }
        let Rates { per_hour, per_second, concurrent, enforced } = self.rates;
        if enforced {
            let refused =
                |wait| Refused { wait, last_hour: state.admitted.len() as u32, running: state.running };
            if state.running >= concurrent {
                return Err(refused(None));
            }
            let windows = [(Some(per_hour), HOUR), (per_second, SECOND)];
            let wait = windows.iter().filter_map(|&(most, window)| state.wait(now, most?, window)).max();
            if wait.is_some() {
                return Err(refused(wait));
            }
        }
        state.admitted.push_back(now);
        state.running += 1;
        Ok(Running(Arc::clone(&self.state)))
    }

    /// How many requests were admitted in the hour before `now`, and how many are running.
    pub(crate) fn usage(&self, now: Duration) -> (usize, u32) {
        let state = lock(&self.state);
        (state.admitted.iter().filter(|&&at| at + HOUR > now).count(), state.running)
    }
}

impl State {
    /// How long a window that is full stays so.
    fn wait(&self, now: Duration, most: u32, window: Duration) -> Option<Duration> {
        let most = most as usize;
        if self.admitted.len() < most {
            return None;
        }
        // With `most` requests after it, the window is full until this one leaves it.
        let oldest = if most == 0 { now } else { self.admitted[self.admitted.len() - most] };
        (oldest + window).checked_sub(now).filter(|wait| !wait.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    #[test]
    fn three_per_second_in_a_rolling_window() {
        let limiter = Limiter::new(Rates::export(&Limits::default()));
        for at in [0, 400, 900] {
            limiter.admit(ms(at)).unwrap();
        }
        assert_eq!(limiter.admit(ms(950)).unwrap_err().wait, Some(ms(50)));
        limiter.admit(ms(1000)).unwrap();
        assert_eq!(limiter.admit(ms(1001)).unwrap_err().wait, Some(ms(399)));
    }

    #[test]
    fn sixty_per_hour_in_a_rolling_window() {
        let limiter = Limiter::new(Rates::export(&Limits::default()));
        for minute in 0..60 {
            limiter.admit(ms(minute * 30_000)).unwrap();
        }
        let at = ms(60 * 30_000);
        assert_eq!(limiter.admit(at).unwrap_err().wait, Some(ms(1_800_000)));
        assert_eq!(limiter.usage(at).0, 60);
        limiter.admit(ms(3_600_000)).unwrap();
        assert!(limiter.admit(ms(3_600_001)).is_err());
        limiter.admit(ms(3_630_000)).unwrap();
    }

    #[test]
    fn a_hundred_at_once() {
        let limits = Limits { per_hour: 1000, per_second: 1000, ..Limits::default() };
        let limiter = Limiter::new(Rates::export(&limits));
        let mut running: Vec<Running> = (0..100).map(|_| limiter.admit(ms(0)).unwrap()).collect();
        assert_eq!(limiter.admit(ms(0)).unwrap_err().wait, None);
        running.pop();
        let again = limiter.admit(ms(0)).unwrap();
        assert_eq!(limiter.usage(ms(0)).1, 100);
        drop((running, again));
        assert_eq!(limiter.usage(ms(0)).1, 0);
    }

    #[test]
    fn limits_can_be_off() {
        let limiter = Limiter::new(Rates::export(&Limits::off()));
        for _ in 0..500 {
            limiter.admit(ms(0)).unwrap();
        }
    }
}
