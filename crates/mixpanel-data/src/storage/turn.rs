//! One connection for several threads: each call has its turn.
//!
//! A mutex, with two differences. A call from within another call of the same thread, by a caller's
//! iterator or callback, is an error where a mutex would wait for ever. And those who wait can be
//! told to give up, as a statement that runs can.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use super::connection::SqlConnection;
use crate::error::{ErrorKind, Result};

/// A connection, and whose turn it is.
pub(super) struct Turns {
    state: Mutex<State>,
    changed: Condvar,
    /// What calls do with it, for the error of a nested one.
    purpose: &'static str,
}

struct State {
    /// Away while somebody has it, and for good after closing.
    connection: Option<Box<dyn SqlConnection>>,
    /// Who has it.
    taken_by: Option<ThreadId>,
    closed: bool,
    /// How often those who waited were told to give up.
    given_up: u64,
}

impl Turns {
    pub(super) fn new(connection: Box<dyn SqlConnection>, purpose: &'static str) -> Self {
        let connection = Some(connection);
        let state = Mutex::new(State { connection, taken_by: None, closed: false, given_up: 0 });
        Turns { state, changed: Condvar::new(), purpose }
    }

    /// Waits for the turn.
    ///
    /// # Errors
    /// `Closed`; `Nested` when this thread has it already; `Cancelled` by [`give_up`](Self::give_up).
    pub(super) fn take(&self) -> Result<Turn<'_>> {
        let mut state = self.state();
        let told = state.given_up;
        loop {
            if state.closed {
                return Err(ErrorKind::Closed.into());
            }
            if let Some(connection) = state.connection.take() {
                state.taken_by = Some(thread::current().id());
                return Ok(Turn { turns: self, connection: Some(connection) });
            }
            if state.taken_by == Some(thread::current().id()) {
                return Err(ErrorKind::Nested { purpose: self.purpose }.into());
            }
            if state.given_up != told {
                return Err(ErrorKind::Cancelled.into());
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets those fail who wait at the moment.
    pub(super) fn give_up(&self) {
        self.state().given_up += 1;
        self.changed.notify_all();
    }

    /// Closes the connection when its turn is over, after `last`. Whether it is: from within a turn of
    /// this very thread that cannot be waited for, and the connection is closed, without `last`, when
    /// that ends.
    pub(super) fn close(&self, last: impl FnOnce(&mut dyn SqlConnection)) -> bool {
        let mut state = self.state();
        state.closed = true;
        self.changed.notify_all();
        loop {
            if let Some(mut connection) = state.connection.take() {
                // Without the lock: it may take a while.
                state.taken_by = Some(thread::current().id());
                drop(state);
                last(connection.as_mut());
                drop(connection);
                self.state().taken_by = None;
                self.changed.notify_all();
                return true;
            }
            match state.taken_by {
                None => return true,
                Some(thread) if thread == thread::current().id() => return false,
                Some(_) => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection, until this is dropped.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    connection: Option<Box<dyn SqlConnection>>,
}

impl Deref for Turn<'_> {
    type Target = dyn SqlConnection;

    fn deref(&self) -> &Self::Target {
        self.connection.as_deref().expect("there until drop")
    }
}

impl DerefMut for Turn<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.connection.as_deref_mut().expect("there until drop")
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut connection = self.connection.take();
        let closed = self.turns.state().closed;
        if closed {
            // Before the others see that the turn is over: files may go then.
            drop(connection.take());
        }
        let mut state = self.turns.state();
        state.connection = connection;
        state.taken_by = None;
        drop(state);
        self.turns.changed.notify_all();
    }
}
