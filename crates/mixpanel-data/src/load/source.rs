//! A file as a source of decoded batches: one thread reads, the writer's decodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, Scope};

use mixpanel_client::engage::ProfileDecoder;
use mixpanel_client::export::{ColumnPlan, DecodedBatch, EventDecoder, Reject, RejectReason};

use super::fault::Fault;
use super::lines::Piece;
use crate::channel::{Receiver, channel};
use crate::error::{Error, Result};
use crate::storage::chunk::BatchSource;
use crate::storage::is_full;

/// Bytes of lines that wait for decoding, or one piece.
const WAITING_BYTES: usize = 4 << 20;

/// Told after each batch: rows so far, bytes read, bytes of text.
pub(super) type Told<'a> = &'a mut dyn FnMut(u64, u64, u64);

/// What the decoders of events and of profiles have in common.
pub(super) trait LineDecoder {
    fn rows(&self) -> usize;
    fn bytes(&self) -> usize;
    fn push(&mut self, line: &[u8], number: u64);
    fn reject(&mut self, number: u64, reason: RejectReason, line: &[u8]);
    fn set_plan(&mut self, plan: ColumnPlan);
    fn finish_batch(&mut self) -> DecodedBatch;
}

impl LineDecoder for EventDecoder {
    fn rows(&self) -> usize {
        self.rows()
    }

    fn bytes(&self) -> usize {
        self.bytes()
    }

    fn push(&mut self, line: &[u8], number: u64) {
        self.push(line, number);
    }

    fn reject(&mut self, number: u64, reason: RejectReason, line: &[u8]) {
        self.reject(number, reason, line);
    }

    fn set_plan(&mut self, plan: ColumnPlan) {
        self.set_plan(plan);
    }

    fn finish_batch(&mut self) -> DecodedBatch {
        self.finish_batch()
    }
}

impl LineDecoder for ProfileDecoder {
    fn rows(&self) -> usize {
        self.rows()
    }

    fn bytes(&self) -> usize {
        self.bytes()
    }

    fn push(&mut self, line: &[u8], number: u64) {
        self.push(line, number);
    }

    /// Profiles come whole, or not at all.
    fn reject(&mut self, number: u64, _: RejectReason, line: &[u8]) {
        self.push(line, number);
    }

    fn set_plan(&mut self, plan: ColumnPlan) {
        self.set_plan(plan);
    }

    fn finish_batch(&mut self) -> DecodedBatch {
        self.finish_batch()
    }
}

/// The bytes read and the bytes of text so far, counted by who reads.
pub(super) type Counters = (Arc<AtomicU64>, Arc<AtomicU64>);

/// The events of a file.
pub(super) struct FileSource<'a, D> {
    name: &'a str,
    pieces: Receiver<Result<Piece, Fault>>,
    ended: bool,
    decoder: D,
    /// A piece of which some lines are still to be decoded, and how many were.
    rest: Option<(Piece, usize)>,
    rows: u64,
    first_reject: Option<Reject>,
    counters: Counters,
    told: Told<'a>,
}

impl<'a, D: LineDecoder> FileSource<'a, D> {
    /// Begins to read, on a thread that ends with what it reads or with this. `read` hands out pieces,
    /// and is told whether anybody still wants them.
    pub(super) fn begin<'scope>(
        threads: &'scope Scope<'scope, '_>,
        name: &'a str,
        decoder: D,
        counters: Counters,
        read: impl FnOnce(&mut dyn FnMut(Piece) -> bool) -> Result<(), Fault> + Send + 'scope,
        told: Told<'a>,
    ) -> Result<Self> {
        let (sender, pieces) = channel(WAITING_BYTES);
        let reading = move || {
            let mut send = |piece: Piece| {
                let bytes = piece.bytes();
                // None is made while others wait to be taken.
                sender.send(Ok(piece), bytes) && sender.wait_for_room()
            };
            if let Err(fault) = read(&mut send) {
                let _ = sender.send(Err(fault), 0);
            }
        };
        thread::Builder::new().spawn_scoped(threads, reading).map_err(Error::no_thread)?;
        Ok(FileSource {
            name,
            pieces,
            ended: false,
            decoder,
            rest: None,
            rows: 0,
            first_reject: None,
            counters,
            told,
        })
    }

    /// The next lines; `None` when the file has been read to its end, and nothing was wrong with it.
    fn next_piece(&mut self) -> Result<Option<Piece>> {
        if self.ended {
            return Ok(None);
        }
        match self.pieces.recv().transpose() {
            Ok(piece) => {
                self.ended = piece.is_none();
                Ok(piece)
            }
            Err(fault) => Err(fault.about(self.name)),
        }
    }

    /// Decodes lines of a piece until the batch is full; keeps what is left. Whether it is full.
    fn decode(&mut self, piece: Piece, done: usize) -> bool {
        let mut at = done;
        let mut full = false;
        for (number, line, refused) in piece.lines().skip(done) {
            if is_full(self.decoder.rows(), self.decoder.bytes(), line.len()) {
                full = true;
                break;
            }
            match refused {
                None => self.decoder.push(line, number),
                Some(reason) => self.decoder.reject(number, reason, line),
            }
            at += 1;
        }
        if full {
            self.rest = Some((piece, at));
        }
        full
    }
}

impl<D: LineDecoder> BatchSource for FileSource<'_, D> {
    fn next_batch(&mut self) -> Result<Option<DecodedBatch>> {
        loop {
            let (piece, done) = match self.rest.take() {
                Some(rest) => rest,
                None => match self.next_piece()? {
                    Some(piece) => (piece, 0),
                    None => break,
                },
            };
            if self.decode(piece, done) {
                break;
            }
        }
        let batch = self.decoder.finish_batch();
        self.rows += batch.rows.num_rows() as u64;
        if self.first_reject.is_none() {
            self.first_reject = batch.rejects.first().cloned();
        }
        let (read, decoded) = &self.counters;
        (self.told)(self.rows, read.load(Ordering::Relaxed), decoded.load(Ordering::Relaxed));
        if batch.lines > 0 {
            return Ok(Some(batch));
        }
        match &self.first_reject {
            // Not one event in all of it: whatever it is, it is no file of events.
            Some(reject) if self.rows == 0 => {
                let why = format!("not one event is in it; {}", reject.reason);
                Err(Fault::line(reject.line, why).about(self.name))
            }
            _ => Ok(None),
        }
    }

    fn set_plan(&mut self, plan: ColumnPlan) {
        self.decoder.set_plan(plan);
    }
}
