//! A flag that stops work from another thread.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Stops requests, downloads and waits between retries, from any thread.
///
/// Clones share one flag. Once cancelled, a token stays cancelled. Everything
/// that listens to it ends with [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled),
/// usually within a few milliseconds.
#[derive(Clone, Default)]
pub struct CancelToken {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    cancelled: Mutex<bool>,
    /// Wakes threads.
    threads: Condvar,
    /// Wakes tasks.
    tasks: Notify,
    children: Mutex<Vec<Weak<Shared>>>,
}

impl Shared {
    fn cancel(&self) {
        *self.flag() = true;
        self.threads.notify_all();
        self.tasks.notify_waiters();
        let children = std::mem::take(&mut *self.children());
        children.iter().filter_map(Weak::upgrade).for_each(|child| child.cancel());
    }

    fn flag(&self) -> MutexGuard<'_, bool> {
        self.cancelled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn children(&self) -> MutexGuard<'_, Vec<Weak<Shared>>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CancelToken {
    /// Makes a token that nobody has cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels everything that listens to this token or to a clone of it.
    ///
    /// It takes a lock for a moment, so it belongs on a thread, not inside a raw signal handler.
    pub fn cancel(&self) {
        self.shared.cancel();
    }

    /// A token that is cancelled with this one, and can be cancelled without it.
    #[must_use]
    pub fn child(&self) -> Self {
        let child = Self::new();
        let mut children = self.shared.children();
        children.retain(|known| known.strong_count() > 0);
        children.push(Arc::downgrade(&child.shared));
        drop(children);
        // Cancelled in the meantime, it has forgotten its children already.
        if self.is_cancelled() {
            child.cancel();
        }
        child
    }

    /// Tells whether [`cancel`](Self::cancel) has been called.
    pub fn is_cancelled(&self) -> bool {
        *self.flag()
    }

    /// Blocks the thread for `duration`, or until the token is cancelled; tells whether it is.
    pub fn wait(&self, duration: Duration) -> bool {
        let start = Instant::now();
        let mut cancelled = self.flag();
        while !*cancelled {
            let Some(left) = duration.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) else {
                break;
            };
            (cancelled, _) =
                self.shared.threads.wait_timeout(cancelled, left).unwrap_or_else(PoisonError::into_inner);
        }
        *cancelled
    }

    /// Completes when the token is cancelled.
    pub(crate) async fn cancelled(&self) {
        let mut notified = std::pin::pin!(self.shared.tasks.notified());
        // Registers before looking at the flag, so that a cancel in between is not missed.
        notified.as_mut().enable();
        if !self.is_cancelled() {
            notified.await;
        }
    }

    fn flag(&self) -> MutexGuard<'_, bool> {
        self.shared.flag()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken").field("cancelled", &self.is_cancelled()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_follows_its_parent_and_not_the_other_way() {
        let parent = CancelToken::new();
        let (one, other) = (parent.child(), parent.child());
        one.cancel();
        assert!(one.is_cancelled() && !parent.is_cancelled() && !other.is_cancelled());
        let grandchild = other.child();
        parent.cancel();
        assert!(other.is_cancelled() && grandchild.is_cancelled());
        assert!(parent.child().is_cancelled());
    }

    #[test]
    fn clones_share_the_flag() {
        let token = CancelToken::new();
        let clone = token.clone();
        assert!(!clone.is_cancelled());
        token.cancel();
        assert!(clone.is_cancelled());
    }

    #[test]
    fn wait_ends_when_cancelled() {
        let token = CancelToken::new();
        let remote = token.clone();
        let start = Instant::now();
        let canceller = std::thread::spawn(move || remote.cancel());
        assert!(token.wait(Duration::from_secs(30)));
        assert!(start.elapsed() < Duration::from_secs(5));
        canceller.join().unwrap();
    }

    #[test]
    fn wait_without_cancel_tells_so() {
        assert!(!CancelToken::new().wait(Duration::from_millis(1)));
    }
}
