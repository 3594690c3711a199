//! Long calls: the work runs on a thread of its own, and the caller's thread
//! waits for it without the GIL, sees to Ctrl-C, and does what must be done on
//! the caller's thread: pulling its iterators and calling its callbacks.

use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
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
/// work has ended by then.
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    stop: &dyn Fn(),
    feed: &mut dyn Feed,
    work: impl FnOnce(Sender<Ask>) -> T + Send,
) -> PyResult<T> {
    let (asks, asked) = channel();
    let asked = Mutex::new(asked);
    thread::scope(|threads| {
        // Python's own error for the same, where it is one of `threading`.
        let worker = thread::Builder::new()
            .spawn_scoped(threads, move || work(asks))
            .map_err(|error| PyRuntimeError::new_err(format!("can't start new thread: {error}")))?;
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
        let result = py.detach(|| worker.join());
        match (raised, result) {
            (_, Err(panic)) => std::panic::resume_unwind(panic),
            (Some(error), _) => Err(error),
            (None, Ok(result)) => Ok(result),
        }
    })
}
