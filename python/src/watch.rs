//! Long calls: the work runs on a thread of its own, and the caller's thread
//! waits for it without the GIL, sees to Ctrl-C, and does what must be done on
//! the caller's thread: pulling its iterators and calling its callbacks.

use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// How often Python gets to see its signals.
const SIGNALS: Duration = Duration::from_millis(50);
/// A statement that began just after it was to be stopped is stopped again
/// after so long. Not sooner: a rollback must not be disturbed.
const AGAIN: Duration = Duration::from_secs(2);

/// What the work asks of the caller's thread.
pub(crate) enum Ask {
    /// The next records.
    More,
    /// A call of the caller's own function.
    Call(Box<dyn FnOnce(Python<'_>) -> PyResult<()> + Send>),
}

/// Where the caller's records come from: hands over a block when it is asked to.
pub(crate) trait Feed {
    /// Sends the next block of records, or the end.
    fn more(&mut self, py: Python<'_>) -> PyResult<()>;
    /// No more: without an end, the work fails.
    fn hang_up(&mut self);
}

/// For work that needs no records.
pub(crate) struct NoFeed;

impl Feed for NoFeed {
    fn more(&mut self, _: Python<'_>) -> PyResult<()> {
        Ok(())
    }

    fn hang_up(&mut self) {}
}

/// Runs `work` and returns what it returns. `stop` makes it end early, from any
/// thread.
///
/// # Errors
/// What the caller's iterator or callback raised, or `KeyboardInterrupt`; the
/// work has ended by then. In a child that one of these forked, an error at
/// once: the work goes on in the parent alone.
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    stop: &dyn Fn(),
    feed: &mut dyn Feed,
    work: impl FnOnce(Sender<Ask>) -> T + Send,
) -> PyResult<T> {
    let (asks, asked) = channel();
    let asked = Mutex::new(asked);
    // SAFETY: this function does not return, nor unwind, while the thread lives.
    let worker = unsafe { Worker::start(move || work(asks)) }?;
    let mut raised: Option<PyErr> = None;
    let mut stopped = Instant::now();
    loop {
        let ask = py.detach(|| asked.lock().expect("this thread alone").recv_timeout(SIGNALS));
        let outcome = match ask {
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Ok(_) if raised.is_some() => Ok(()),
            Ok(Ask::More) => feed.more(py),
            Ok(Ask::Call(call)) => call(py),
        };
        let outcome = outcome.and_then(|()| py.check_signals());
        if worker.is_elsewhere() {
            // Whatever the thread had in its hands when the fork came is left as it is.
            std::mem::forget((worker, asked));
            return Err(outcome.err().unwrap_or_else(in_child));
        }
        let again = raised.is_some() && stopped.elapsed() >= AGAIN;
        if outcome.is_err() || again {
            feed.hang_up();
            stop();
            stopped = Instant::now();
        }
        if let Err(error) = outcome {
            raised.get_or_insert(error);
        }
    }
    let result = worker.join(py);
    match (raised, result) {
        (_, Err(panic)) => std::panic::resume_unwind(panic),
        (Some(error), _) => Err(error),
        (None, Ok(result)) => Ok(result),
    }
}

/// For a callback that forked, and returned in the child as if nothing had happened.
fn in_child() -> PyErr {
    PyRuntimeError::new_err(
        "this is a forked child, and what called the function that forked goes on in its parent alone: \
         end the child in that function, or start processes with the method \"spawn\"",
    )
}

/// A thread that borrows. `thread::scope` would wait for it in a forked child too, where it is not.
struct Worker<T> {
    handle: Option<JoinHandle<T>>,
    process: u32,
}

impl<T: Send> Worker<T> {
    /// # Safety
    /// What `work` borrows must live until this is dropped, or forgotten in a forked child.
    unsafe fn start(work: impl FnOnce() -> T + Send) -> PyResult<Self> {
        // SAFETY: `join` and `drop` wait for the thread, in the process that has it.
        let handle = unsafe { thread::Builder::new().spawn_unchecked(work) };
        // Python's own error for the same, where it is one of `threading`.
        let handle =
            handle.map_err(|error| PyRuntimeError::new_err(format!("can't start new thread: {error}")))?;
        Ok(Worker { handle: Some(handle), process: std::process::id() })
    }

    /// Whether this is a forked child of the process that has the thread.
    fn is_elsewhere(&self) -> bool {
        self.process != std::process::id()
    }

    /// Waits for its end, without the GIL, which it may need for that.
    fn join(mut self, py: Python<'_>) -> thread::Result<T> {
        let handle = self.handle.take().expect("there until it is joined");
        py.detach(|| handle.join())
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        // Only there when this thread unwinds.
        if let Some(handle) = self.handle.take() {
            let _ = Python::try_attach(|py| py.detach(|| handle.join().is_ok()));
        }
    }
}
