//! Pages fetched ahead by several threads, and taken in their order.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::cancel::CancelToken;

/// Fetches numbered things. At most twice as many as there are threads wait to be taken, and no more
/// bytes than there is room for, as far as can be told before they are here: each is taken to be as
/// large as the largest so far.
pub(super) struct Ahead<T> {
    shared: Arc<Shared<T>>,
    threads: Vec<JoinHandle<()>>,
    cancel: CancelToken,
}

/// What to fetch ahead.
pub(super) struct Plan<T> {
    /// The first number, and the one behind the last.
    pub(super) first: u64,
    pub(super) end: u64,
    pub(super) threads: usize,
    /// Bytes that may wait or be on their way.
    pub(super) capacity: usize,
    /// How large one is, as far as is known before the first.
    pub(super) expected: usize,
    pub(super) size: fn(&T) -> usize,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    window: u64,
    /// Bytes that may wait or be on their way.
    capacity: usize,
    size: fn(&T) -> usize,
}

struct State<T> {
    /// The next one to fetch.
    next: u64,
    /// The first one that is not to be fetched for now.
    end: u64,
    /// The next one to be taken.
    wanted: u64,
    ready: BTreeMap<u64, T>,
    /// Bytes that wait, how many fetches are running, and the largest so far.
    waiting: usize,
    running: usize,
    largest: usize,
    stopped: bool,
}

impl<T> State<T> {
    /// Whether the next one may be fetched now. The one that is wanted always may.
    fn may_fetch(&self, window: u64, capacity: usize) -> bool {
        let expected = self.waiting.saturating_add(self.largest.saturating_mul(self.running + 1));
        self.next < self.end
            && (self.next <= self.wanted || (self.next < self.wanted + window && expected <= capacity))
    }
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
    /// Begins to fetch what `plan` says. `cancel` is cancelled when nobody wants any more; what `fetch`
    /// waits for should listen to it.
    pub(super) fn start(
        plan: Plan<T>,
        cancel: CancelToken,
        fetch: impl Fn(u64) -> T + Send + Sync + 'static,
    ) -> Self {
        let Plan { first, end, threads, capacity, expected, size } = plan;
        let state = State {
            next: first,
            end,
            wanted: first,
            ready: BTreeMap::new(),
            waiting: 0,
            running: 0,
            largest: expected,
            stopped: false,
        };
        let window = threads as u64 * 2;
        let (state, changed) = (Mutex::new(state), Condvar::new());
        let shared = Arc::new(Shared { state, changed, window, capacity, size });
        let fetch = Arc::new(fetch);
        let worker = |_| {
            let (shared, fetch) = (Arc::clone(&shared), Arc::clone(&fetch));
            thread::Builder::new().spawn(move || work(&shared, &*fetch)).ok()
        };
        // Fewer do too, where the system provides no more.
        let threads: Vec<_> = (0..threads).filter_map(worker).collect();
        if threads.is_empty() {
            shared.state().stopped = true;
        }
        Self { threads, shared, cancel }
    }

    /// Waits for a number, which is one more than the last time; none if a thread was lost.
    pub(super) fn take(&self, number: u64) -> Option<T> {
        let mut state = self.shared.state();
        state.wanted = number;
        state.end = state.end.max(number + 1);
        self.shared.changed.notify_all();
        loop {
            if let Some(found) = state.ready.remove(&number) {
                state.waiting = state.waiting.saturating_sub((self.shared.size)(&found));
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
            while !state.stopped && !state.may_fetch(shared.window, shared.capacity) {
                state = shared.wait(state);
            }
            if state.stopped {
                return;
            }
            state.next += 1;
            state.running += 1;
            state.next - 1
        };
        let fetched = fetch(number);
        let size = (shared.size)(&fetched);
        let mut state = shared.state();
        state.running -= 1;
        state.waiting += size;
        state.largest = state.largest.max(size);
        state.ready.insert(number, fetched);
        drop(state);
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

    fn plan<T>(first: u64, end: u64, threads: usize) -> Plan<T> {
        Plan { first, end, threads, capacity: usize::MAX, expected: 0, size: |_| 0 }
    }

    /// Pages of 30 bytes, and room for 100: whatever the threads do, no more than three wait or are on
    /// their way, and all of them come.
    #[test]
    fn large_ones_run_less_far_ahead() {
        for (expected, most) in [(30, 3), (1_000, 2)] {
            let (alive, highest) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
            let (now, high) = (alive.clone(), highest.clone());
            let plan = Plan { capacity: 100, expected, size: |_: &u64| 30, ..plan(0, 40, 5) };
            let ahead = Ahead::start(plan, CancelToken::new(), move |number| {
                high.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                number
            });
            for number in 0..40 {
                assert_eq!(ahead.take(number), Some(number));
                alive.fetch_sub(1, Ordering::SeqCst);
            }
            drop(ahead);
            // One more may begin between the taking of one and our count of it.
            assert!(highest.load(Ordering::SeqCst) <= most + 1, "{highest:?}");
        }
    }

    #[test]
    fn all_come_in_order_and_none_runs_too_far_ahead() {
        let (furthest, taken) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (far, seen) = (furthest.clone(), taken.clone());
        let ahead = Ahead::start(plan(1, 50, 3), CancelToken::new(), move |number| {
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
        let ahead = Ahead::start(plan(0, 9, 1), CancelToken::new(), |number| assert!(number < 2));
        assert_eq!((ahead.take(0), ahead.take(1), ahead.take(2)), (Some(()), Some(()), None));
    }

    #[test]
    fn dropping_it_cancels_what_is_running() {
        let cancel = CancelToken::new();
        let waiting = cancel.clone();
        let ahead =
            Ahead::start(plan(0, 9, 2), cancel, move |_| waiting.wait(std::time::Duration::from_secs(60)));
        drop(ahead);
    }
}
