//! One chunk on its way: request → gunzip → lines → decoded batches, on two
//! threads of its own, into a bounded channel.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use jiff::Timestamp;
use jiff::civil::Date;
use mixpanel_client::Client;
use mixpanel_client::export::{ColumnPlan, DecodeOptions, DecodedBatch, ExportRequest};
use mixpanel_client::time::ProjectClock;

use super::planner::PlannedChunk;
use super::source::{ExportSource, Turn};
use crate::channel::{self, Receiver, channel};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::chunk::{BatchSource, memory_of, start_of};

/// Bytes of batches that wait for the writer, or one batch. More made nothing faster (measured with 16
/// batches).
const WAITING_BYTES: usize = 12 << 20;

/// What a download says to the writer.
pub(super) enum News {
    /// The first bytes are here: rows follow on the stream.
    Opened(Box<Opened>),
    /// The chunk is finished, one way or the other.
    Finished { chunk: PlannedChunk, outcome: Result<(), mixpanel_client::Error> },
}

/// A download that has begun.
pub(super) struct Opened {
    pub(super) chunk: PlannedChunk,
    pub(super) request_id: Option<String>,
    /// When the answer began, by the server's clock.
    pub(super) date: Option<Timestamp>,
    pub(super) attempt: u32,
    pub(super) started: Instant,
    pub(super) stream: BatchStream,
}

/// Which columns the decoders build; told by the writer, read by all downloads.
#[derive(Clone, Default)]
pub(super) struct SharedPlan(Arc<Mutex<(u64, ColumnPlan)>>);

impl SharedPlan {
    fn set(&self, plan: ColumnPlan) {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.0 == 0 || shared.1 != plan {
            *shared = (shared.0 + 1, plan);
        }
    }

    /// The plan, if it is another one than number `seen`.
    fn newer_than(&self, seen: u64) -> Option<(u64, ColumnPlan)> {
        let shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (shared.0 != seen).then(|| shared.clone())
    }
}

/// Bytes so far, over all downloads of a fetch.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) received: AtomicU64,
    pub(super) decoded: AtomicU64,
    pub(super) requests: AtomicU32,
}

enum Item {
    Batch(DecodedBatch, (u64, u64)),
    /// The body was complete; bytes received and decoded.
    End((u64, u64)),
}

/// The writer's side of a download.
pub(super) struct BatchStream {
    receiver: Receiver<Item>,
    plan: SharedPlan,
    /// Bytes received and decoded so far.
    pub(super) bytes: (u64, u64),
    ended: bool,
    /// Until the first batch is asked for, the download does not run far ahead.
    turn: Turn,
    /// A batch that was looked at before its turn.
    peeked: Option<DecodedBatch>,
    /// The download ended before its end.
    pub(super) broken: bool,
}

impl BatchStream {
    /// Whether the download is complete, and has nothing in it.
    pub(super) fn is_empty(&mut self) -> Result<bool> {
        if self.peeked.is_none() {
            self.peeked = self.next_batch()?;
        }
        Ok(self.peeked.is_none())
    }
}

impl BatchSource for BatchStream {
    fn next_batch(&mut self) -> Result<Option<DecodedBatch>> {
        if let Some(batch) = self.peeked.take() {
            return Ok(Some(batch));
        }
        if self.ended {
            return Ok(None);
        }
        self.turn.begin();
        match self.receiver.recv() {
            Some(Item::Batch(batch, bytes)) => {
                self.bytes = bytes;
                Ok(Some(batch))
            }
            Some(Item::End(bytes)) => {
                (self.bytes, self.ended) = (bytes, true);
                Ok(None)
            }
            // The download broke off, and says why by itself.
            None => {
                self.broken = true;
                Err(ErrorKind::Cancelled.into())
            }
        }
    }

    fn set_plan(&mut self, plan: ColumnPlan) {
        self.plan.set(plan);
    }
}

/// What all downloads of a fetch share.
#[derive(Clone)]
pub(super) struct Downloader<'a> {
    pub(super) client: &'a Client,
    pub(super) clock: &'a ProjectClock,
    pub(super) request: ExportRequest,
    pub(super) hold_repeats: bool,
    pub(super) plan: SharedPlan,
    pub(super) traffic: &'a Traffic,
    pub(super) news: Sender<News>,
}

impl Downloader<'_> {
    /// Downloads a chunk, again if it breaks off, and reports the end.
    pub(super) fn run(self, chunk: PlannedChunk) {
        let mut attempts = 0;
        // A download that breaks off is worthless as a whole: the chunk starts
        // again, under the client's one retry policy.
        let outcome = self.client.retrier().run(|| {
            attempts += 1;
            self.attempt(&chunk, attempts)
        });
        let _ = self.news.send(News::Finished { chunk, outcome });
    }

    fn attempt(&self, chunk: &PlannedChunk, attempt: u32) -> Result<(), mixpanel_client::Error> {
        let started = Instant::now();
        self.traffic.requests.fetch_add(1, Ordering::Relaxed);
        let request = ExportRequest { from: chunk.from, to: chunk.to, ..self.request.clone() };
        let body = self.client.export(&request)?;
        let (sender, receiver) = channel(WAITING_BYTES);
        let turn = Turn::default();
        let opened = Opened {
            chunk: chunk.clone(),
            request_id: body.request_id().map(str::to_owned),
            date: body.date().and_then(|date| Timestamp::try_from(date).ok()),
            attempt,
            started,
            stream: BatchStream {
                receiver,
                plan: self.plan.clone(),
                bytes: (0, 0),
                ended: false,
                turn: turn.clone(),
                peeked: None,
                broken: false,
            },
        };
        if self.news.send(News::Opened(Box::new(opened))).is_err() {
            return Err(mixpanel_client::ErrorKind::Cancelled.into());
        }
        thread::scope(|threads| {
            let within = (
                start_of(chunk.from, self.clock),
                start_of(chunk.to.tomorrow().unwrap_or(Date::MAX), self.clock),
            );
            let options =
                DecodeOptions { clock: self.clock.clone(), plan: ColumnPlan::all(), within: Some(within) };
            let source = ExportSource::begin(threads, body, turn, options, self.hold_repeats);
            self.decode(source, &sender)
        })
    }

    fn decode(
        &self,
        mut source: ExportSource,
        sender: &channel::Sender<Item>,
    ) -> Result<(), mixpanel_client::Error> {
        let (mut version, mut told) = (0, (0, 0));
        loop {
            if let Some((newer, plan)) = self.plan.newer_than(version) {
                version = newer;
                source.set_plan(plan);
            }
            // None is made while others wait to be taken.
            let batch = if sender.wait_for_room() { source.next_batch()? } else { return Err(given_up()) };
            let bytes = source.bytes();
            self.traffic.received.fetch_add(bytes.0 - told.0, Ordering::Relaxed);
            self.traffic.decoded.fetch_add(bytes.1 - told.1, Ordering::Relaxed);
            told = bytes;
            let Some(batch) = batch else {
                let _ = sender.send(Item::End(bytes), 0);
                return Ok(());
            };
            let memory = memory_of(&batch);
            if !sender.send(Item::Batch(batch, bytes), memory) {
                return Err(given_up());
            }
        }
    }
}

/// The writer has given the chunk up, and knows why.
fn given_up() -> mixpanel_client::Error {
    mixpanel_client::ErrorKind::Cancelled.into()
}

impl Drop for BatchStream {
    /// A download that nobody reads must not wait for its turn.
    fn drop(&mut self) {
        self.turn.begin();
    }
}

/// An error of the client, as one of ours.
pub(crate) fn api_error(what: String, error: mixpanel_client::Error) -> Error {
    match error.kind() {
        mixpanel_client::ErrorKind::Cancelled => ErrorKind::Cancelled.into(),
        mixpanel_client::ErrorKind::InvalidRequest { what } => Error::argument("request", what.clone()),
        mixpanel_client::ErrorKind::Buffer => {
            let full = std::error::Error::source(&error)
                .and_then(|cause| cause.downcast_ref::<std::io::Error>())
                .filter(|cause| cause.kind() == std::io::ErrorKind::StorageFull);
            match full {
                Some(full) => ErrorKind::DiskFull { message: full.to_string() }.into(),
                None => {
                    let what = "the temporary file that holds rows until they are complete".to_owned();
                    Error::with_source(ErrorKind::Io { what }, error)
                }
            }
        }
        _ => Error::with_source(ErrorKind::Api { what }, error),
    }
}
