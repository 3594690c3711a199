//! Pages fetched ahead by several threads, and taken in their order.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::cancel::CancelToken;

/// Fetches numbered things. At most twice as many as there are threads wait to be taken.
pub(super) struct Ahead<T> {
    shared: Arc<Shared<T>>,
    threads: Vec<JoinHandle<()>>,
    cancel: CancelToken,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    window: u64,
}

struct State<T> {
    /// The next one to fetch.
    next: u64,
    /// The first one that is not to be fetched for now.
    end: u64,
    /// The next one to be taken.
    wanted: u64,
    ready: BTreeMap<u64, T>,
    stopped: bool,
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        self.state().stopped = true;
        self.changed.notify_all();
    }
}

/// Stops everything when a thread panics, so that nobody waits for what will not come.
struct StopOnPanic<'a, T>(&'a Shared<T>);

impl<T> Drop for StopOnPanic<'_, T> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

impl<T: Send + 'static> Ahead<T> {
    /// Begins to fetch `first` and what follows it, up to `end`. `cancel` is cancelled when nobody
    /// wants any more; what `fetch` waits for should listen to it.
    pub(super) fn start(
        first: u64,
        end: u64,
        threads: usize,
        cancel: CancelToken,
        fetch: impl Fn(u64) -> T + Send + Sync + 'static,
    ) -> Self {
        let state = State { next: first, end, wanted: first, ready: BTreeMap::new(), stopped: false };
        let window = threads as u64 * 2;
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), window });
        let fetch = Arc::new(fetch);
        let worker = |_| {
            let (shared, fetch) = (Arc::clone(&shared), Arc::clone(&fetch));
            thread::spawn(move || work(&shared, &*fetch))
        };
        Self { threads: (0..threads).map(worker).collect(), shared, cancel }
    }

    /// Waits for a number, which is one more than the last time; none if a thread was lost.
    pub(super) fn take(&self, number: u64) -> Option<T> {
        let mut state = self.shared.state();
        state.wanted = number;
        state.end = state.end.max(number + 1);
        self.shared.changed.notify_all();
        loop {
            if let Some(found) = state.ready.remove(&number) {
                state.wanted = number + 1;
                drop(state);
                self.shared.changed.notify_all();
                return Some(found);
            }
            if state.stopped {
                return None;
            }
            state = self.shared.wait(state);
        }
    }
}

fn work<T>(shared: &Shared<T>, fetch: &impl Fn(u64) -> T) {
    let _guard = StopOnPanic(shared);
    loop {
        let number = {
            let mut state = shared.state();
            while !state.stopped && (state.next >= state.end || state.next >= state.wanted + shared.window) {
                state = shared.wait(state);
            }
            if state.stopped {
                return;
            }
            state.next += 1;
            state.next - 1
        };
        let fetched = fetch(number);
        shared.state().ready.insert(number, fetched);
        shared.changed.notify_all();
    }
}

impl<T> Drop for Ahead<T> {
    fn drop(&mut self) {
        self.shared.stop();
        self.cancel.cancel();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl<T> fmt::Debug for Ahead<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ahead").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn all_come_in_order_and_none_runs_too_far_ahead() {
        let (furthest, taken) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (far, seen) = (furthest.clone(), taken.clone());
        let ahead = Ahead::start(1, 50, 3, CancelToken::new(), move |number| {
            far.fetch_max(number.saturating_sub(seen.load(Ordering::SeqCst)), Ordering::SeqCst);
            number * 10
        });
        for number in 1..60 {
            assert_eq!(ahead.take(number), Some(number * 10));
            taken.store(number, Ordering::SeqCst);
        }
        assert!(furthest.load(Ordering::SeqCst) <= 7, "{furthest:?}");
    }

    #[test]
    fn a_lost_thread_is_noticed() {
        let ahead = Ahead::start(0, 9, 1, CancelToken::new(), |number| assert!(number < 2));
        assert_eq!((ahead.take(0), ahead.take(1), ahead.take(2)), (Some(()), Some(()), None));
    }

    #[test]
    fn dropping_it_cancels_what_is_running() {
        let cancel = CancelToken::new();
        let waiting = cancel.clone();
        let ahead = Ahead::start(0, 9, 2, cancel, move |_| waiting.wait(std::time::Duration::from_secs(60)));
        drop(ahead);
    }
}
