//! A channel between two threads that is bounded in bytes, not in messages: what passes through it
//! is made of other people's events, and one of those may be a thousand times as large as the next.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    capacity: usize,
}

struct State<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    has_sender: bool,
    has_receiver: bool,
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while `busy`, and as long as somebody receives. Whether somebody does.
    fn wait_while(&self, busy: impl Fn(&State<T>) -> bool) -> Option<MutexGuard<'_, State<T>>> {
        let mut state = self.state();
        while state.has_receiver && busy(&state) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.has_receiver.then_some(state)
    }
}

/// Makes a channel that holds up to `capacity` bytes, or one item if that is larger.
pub(crate) fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let state = State { items: VecDeque::new(), bytes: 0, has_sender: true, has_receiver: true };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), capacity });
    (Sender(shared.clone()), Receiver(shared))
}

/// The side of the thread that makes things. Its end, for whatever reason, is that of the channel.
pub(crate) struct Sender<T>(Arc<Shared<T>>);

impl<T> Sender<T> {
    /// Waits until there is some room. Asked before something is made, it keeps one from being held
    /// in the hand while others wait. False when nobody receives any more.
    pub(crate) fn wait_for_room(&self) -> bool {
        self.0.wait_while(|state| state.bytes >= self.0.capacity).is_some()
    }

    /// Adds an item of so many bytes, once there is room for it. False when nobody receives any
    /// more.
    pub(crate) fn send(&self, item: T, bytes: usize) -> bool {
        let full = |state: &State<T>| !state.items.is_empty() && state.bytes + bytes > self.0.capacity;
        let Some(mut state) = self.0.wait_while(full) else { return false };
        state.items.push_back((item, bytes));
        state.bytes += bytes;
        drop(state);
        self.0.changed.notify_all();
        true
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.state().has_sender = false;
        self.0.changed.notify_all();
    }
}

/// The side of the thread that takes things.
pub(crate) struct Receiver<T>(Arc<Shared<T>>);

impl<T> Receiver<T> {
    /// Waits for the next item; `None` when there are no more and the sender is gone.
    pub(crate) fn recv(&self) -> Option<T> {
        let mut state = self.0.state();
        loop {
            if let Some((item, bytes)) = state.items.pop_front() {
                state.bytes -= bytes;
                drop(state);
                self.0.changed.notify_all();
                return Some(item);
            }
            if !state.has_sender {
                return None;
            }
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.has_receiver = false;
        let left = std::mem::take(&mut state.items);
        drop(state);
        self.0.changed.notify_all();
        // Not under the lock: it may be a lot, and dropping it may call into other code.
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::thread;

    /// Sends items of these sizes, and says how many bytes had gone in at most that had not been seen
    /// to come out.
    fn most_waiting(capacity: usize, sizes: &'static [usize]) -> i64 {
        let (sender, receiver) = channel(capacity);
        let (waiting, most) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
        let (here, highest) = (waiting.clone(), most.clone());
        let thread = thread::spawn(move || {
            for &size in sizes {
                assert!(sender.send(size, size));
                let size = size as i64;
                highest.fetch_max(here.fetch_add(size, Ordering::SeqCst) + size, Ordering::SeqCst);
            }
        });
        let mut taken = Vec::new();
        while taken.len() < sizes.len() {
            let size = receiver.recv().unwrap();
            waiting.fetch_sub(size as i64, Ordering::SeqCst);
            taken.push(size);
        }
        thread.join().unwrap();
        assert_eq!(taken, sizes);
        assert_eq!(receiver.recv(), None);
        most.load(Ordering::SeqCst)
    }

    #[test]
    fn no_more_bytes_wait_than_there_is_room_for() {
        assert!(most_waiting(10, &[4; 500]) <= 10 + 4, "an item may be taken before it is subtracted");
        assert!(most_waiting(10, &[100; 50]) <= 200);
    }

    #[test]
    fn one_item_that_is_larger_than_all_room_goes_through_alone() {
        let (sender, receiver) = channel(10);
        assert!(sender.send("large", 1_000));
        assert!(sender.0.state().bytes == 1_000 && receiver.recv() == Some("large"));
        assert!(sender.wait_for_room() && sender.send("a", 6) && sender.send("b", 4));
        assert_eq!((receiver.recv(), receiver.recv()), (Some("a"), Some("b")));
    }

    #[test]
    fn whoever_is_left_alone_is_told() {
        let (sender, receiver) = channel(1);
        assert!(sender.send(1, 1));
        let waiting = thread::spawn(move || (sender.wait_for_room(), sender.send(2, 1)));
        drop(receiver);
        assert_eq!(waiting.join().unwrap(), (false, false));
        let (sender, receiver) = channel::<u8>(1);
        let waiting = thread::spawn(move || receiver.recv());
        drop(sender);
        assert_eq!(waiting.join().unwrap(), None);
    }
}
