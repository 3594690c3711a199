//! The threads that do the network work behind a blocking face.

use std::future::Future;
use std::io;
use std::sync::mpsc;
use std::thread;

use tokio::task::JoinHandle;

use crate::error::{Error, Result};

/// A tokio runtime that may be used, and dropped, on any thread, including another runtime's.
#[derive(Debug)]
pub(crate) struct Runtime {
    inner: Option<tokio::runtime::Runtime>,
    handle: tokio::runtime::Handle,
}

impl Runtime {
    pub(crate) fn new(threads: usize) -> Result<Self> {
        can_have(threads.max(1) + 1).map_err(Error::no_thread)?;
        let inner = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("mixpanel-http")
            .enable_all()
            .build()
            .map_err(Error::no_thread)?;
        Ok(Self { handle: inner.handle().clone(), inner: Some(inner) })
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.handle.spawn(task)
    }

    /// Runs a task to its end while this thread waits.
    ///
    /// It waits on a channel and not in `block_on`, which panics inside of another runtime.
    pub(crate) fn wait<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> T {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.spawn(async move {
            let _ = sender.send(task.await);
        });
        receiver.recv().expect("the network task panicked")
    }
}

/// Makes so many threads for a moment: where the system gives none, tokio panics.
fn can_have(threads: usize) -> io::Result<()> {
    let mut made = Vec::new();
    let outcome = (0..threads).try_for_each(|_| {
        made.push(thread::Builder::new().spawn(thread::park)?);
        Ok(())
    });
    for thread in made {
        thread.thread().unpark();
        let _ = thread.join();
    }
    outcome
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            inner.shutdown_background();
        }
    }
}
