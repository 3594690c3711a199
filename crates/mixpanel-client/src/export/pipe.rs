//! A channel from a task to a thread, bounded in bytes rather than messages: blocks off the wire
//! have any size between one byte and some hundred kilobytes.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::error::{Error, ErrorKind, Result, Truncation};

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the reading thread.
    readable: Condvar,
    /// Wakes the writing task.
    writable: Notify,
    capacity: usize,
}

#[derive(Debug)]
struct State {
    blocks: VecDeque<Bytes>,
    queued: usize,
    received: u64,
    end: End,
}

/// Whether more blocks may come.
#[derive(Debug)]
enum End {
    Open,
    /// The writer has finished, well or not; taken by the reader.
    Finished(Option<Error>),
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a channel that holds up to `capacity` bytes, or one block if that is larger.
pub(crate) fn pipe(capacity: usize) -> (PipeWriter, PipeReader) {
    let state = State { blocks: VecDeque::new(), queued: 0, received: 0, end: End::Open };
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        readable: Condvar::new(),
        writable: Notify::new(),
        capacity,
    });
    (PipeWriter { shared: shared.clone() }, PipeReader { shared })
}

/// The task's side. Dropped without a [`finish`](Self::finish), it reports a lost connection.
#[derive(Debug)]
pub(crate) struct PipeWriter {
    shared: Arc<Shared>,
}

impl PipeWriter {
    /// Adds a block, once there is room for it.
    pub(crate) async fn push(&self, block: Bytes) {
        loop {
            {
                let mut state = self.shared.state();
                if state.blocks.is_empty() || state.queued + block.len() <= self.shared.capacity {
                    state.queued += block.len();
                    state.received += block.len() as u64;
                    state.blocks.push_back(block);
                    break;
                }
            }
            // A wake-up that comes before this line is stored, so it cannot be missed.
            self.shared.writable.notified().await;
        }
        self.shared.readable.notify_one();
    }

    /// How many bytes have passed.
    pub(crate) fn received(&self) -> u64 {
        self.shared.state().received
    }

    /// Marks the end. Only the first call counts.
    pub(crate) fn finish(&self, outcome: Result<()>) {
        let mut state = self.shared.state();
        if matches!(state.end, End::Open) {
            state.end = End::Finished(outcome.err());
        }
        drop(state);
        self.shared.readable.notify_one();
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        let bytes = self.received();
        self.finish(Err(ErrorKind::Truncated { what: Truncation::Connection, bytes }.into()));
    }
}

/// The thread's side.
#[derive(Debug)]
pub(crate) struct PipeReader {
    shared: Arc<Shared>,
}

impl PipeReader {
    /// Waits for a block; `None` after the proper end, or after an error has been given.
    pub(crate) fn next(&self) -> Option<Result<Bytes>> {
        let mut state = self.shared.state();
        loop {
            // An error goes before the blocks in front of it: they are worthless now.
            if let End::Finished(error) = &mut state.end {
                if let Some(error) = error.take() {
                    state.blocks.clear();
                    return Some(Err(error));
                }
                return state.blocks.pop_front().map(Ok);
            }
            if let Some(block) = state.blocks.pop_front() {
                state.queued -= block.len();
                drop(state);
                self.shared.writable.notify_one();
                return Some(Ok(block));
            }
            state = self.shared.readable.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How many bytes have been received from the network, delivered or not.
    pub(crate) fn received(&self) -> u64 {
        self.shared.state().received
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap()
    }

    #[test]
    fn writer_waits_for_room_in_bytes() {
        let runtime = runtime();
        let (writer, reader) = pipe(10);
        let task = runtime.spawn(async move {
            for _ in 0..5 {
                writer.push(Bytes::from_static(b"1234")).await;
            }
            writer.push(Bytes::from(vec![0; 100])).await;
            writer.finish(Ok(()));
        });
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(reader.received(), 8);
        let blocks: Vec<_> = std::iter::from_fn(|| reader.next()).map(|block| block.unwrap().len()).collect();
        assert_eq!(blocks, [4, 4, 4, 4, 4, 100]);
        runtime.block_on(task).unwrap();
    }

    #[test]
    fn error_overtakes_blocks_and_is_given_once() {
        let runtime = runtime();
        let (writer, reader) = pipe(10);
        runtime.block_on(writer.push(Bytes::from_static(b"1234")));
        writer.finish(Err(ErrorKind::Cancelled.into()));
        drop(writer);
        assert_eq!(*reader.next().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
        assert!(reader.next().is_none());
    }

    #[test]
    fn lost_writer_is_a_lost_connection() {
        let (writer, reader) = pipe(10);
        drop(writer);
        let error = reader.next().unwrap().unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Truncated { what: Truncation::Connection, bytes: 0 });
    }
}
