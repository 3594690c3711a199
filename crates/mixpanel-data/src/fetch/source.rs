//! A running export as a source of decoded batches. One thread decompresses and
//! splits into lines, another one decodes: each is about a core's worth.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, Scope};

use mixpanel_client::Result;
use mixpanel_client::export::{
    ColumnPlan, DecodeOptions, DecodedBatch, Decompressed, EventDecoder, ExportBody, Line, LineBlock, Reject,
    RejectReason,
};

use crate::channel::{Receiver, channel};
use crate::storage::is_full;

/// Bytes of lines that wait for decoding, or one block of lines, which is half a megabyte unless a
/// line is longer.
const WAITING_BYTES: usize = 4 << 20;

/// Bytes of text that a download runs ahead before it is its turn to be written: several run side by
/// side, and only one of them is written.
const AHEAD_BYTES: u64 = 4 << 20;

/// Whether it is a download's turn to be written. Clones are one.
#[derive(Clone, Default)]
pub(super) struct Turn(Arc<(Mutex<bool>, Condvar)>);

impl Turn {
    /// It is, from now on.
    pub(super) fn begin(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    fn wait(&self) {
        let begun = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.0.1.wait_while(begun, |begun| !*begun).unwrap_or_else(PoisonError::into_inner));
    }
}

/// Plain blocks, of which only the first come before it is their turn.
struct Paced {
    blocks: Decompressed<ExportBody>,
    passed: u64,
    turn: Turn,
}

impl Iterator for Paced {
    type Item = <Decompressed<ExportBody> as Iterator>::Item;

    fn next(&mut self) -> Option<Self::Item> {
        if self.passed >= AHEAD_BYTES {
            self.turn.wait();
        }
        let block = self.blocks.next();
        self.passed += block.iter().flatten().map(|block| block.len() as u64).sum::<u64>();
        block
    }
}

/// Lines, with the bytes received and decompressed up to them.
type Block = Result<(Option<LineBlock>, (u64, u64))>;

pub(super) struct ExportSource {
    blocks: Receiver<Block>,
    /// Bytes received and decompressed.
    /// Why nobody reads the body.
    no_thread: Option<mixpanel_client::Error>,
    bytes: (u64, u64),
    ended: bool,
    decoder: EventDecoder,
    /// A block of which some lines are still to be decoded, and how many were.
    rest: Option<(LineBlock, usize)>,
    rows: u64,
    first_reject: Option<Reject>,
}

impl ExportSource {
    /// Begins to read the body, on a thread that ends with the body or with
    /// this. If `hold_repeats`, batches have possible repeats apart from their
    /// rows.
    pub(super) fn begin<'scope>(
        threads: &'scope Scope<'scope, '_>,
        body: ExportBody,
        turn: Turn,
        options: DecodeOptions,
        hold_repeats: bool,
    ) -> Self {
        let mut decoder = EventDecoder::new(options);
        if hold_repeats {
            decoder.hold_repeats();
        }
        let (sender, blocks) = channel(WAITING_BYTES);
        let reading = move || {
            let mut lines = body.into_lines_through(|blocks| Paced { blocks, passed: 0, turn });
            // None is made while others wait to be taken.
            while sender.wait_for_room() {
                let block = lines.next().transpose();
                let bytes = (lines.get_ref().blocks.get_ref().bytes_received(), lines.bytes_seen());
                let size = block.iter().flatten().map(LineBlock::bytes).sum::<u64>();
                let last = !matches!(block, Ok(Some(_)));
                if !sender.send(block.map(|block| (block, bytes)), size as usize) || last {
                    return;
                }
            }
        };
        let started = thread::Builder::new().spawn_scoped(threads, reading);
        ExportSource {
            blocks,
            no_thread: started.err().map(mixpanel_client::Error::no_thread),
            bytes: (0, 0),
            ended: false,
            decoder,
            rest: None,
            rows: 0,
            first_reject: None,
        }
    }

    /// Bytes received and decompressed so far.
    pub(super) fn bytes(&self) -> (u64, u64) {
        self.bytes
    }

    /// The next lines; `None` when the body is complete, and proven so.
    fn next_block(&mut self) -> Result<Option<LineBlock>> {
        if self.ended {
            return Ok(None);
        }
        // A thread that ends without a word has panicked, or there was none.
        let mut silent =
            || self.no_thread.take().unwrap_or_else(|| mixpanel_client::ErrorKind::Cancelled.into());
        let (block, bytes) = self.blocks.recv().unwrap_or_else(|| Err(silent()))?;
        self.bytes = bytes;
        self.ended = block.is_none();
        Ok(block)
    }

    pub(super) fn set_plan(&mut self, plan: ColumnPlan) {
        self.decoder.set_plan(plan);
    }

    /// The next batch; `None` when the body is complete, and proven so.
    pub(super) fn next_batch(&mut self) -> Result<Option<DecodedBatch>> {
        loop {
            let (block, done) = match self.rest.take() {
                Some(rest) => rest,
                None => match self.next_block()? {
                    Some(block) => (block, 0),
                    None => break,
                },
            };
            if self.decode(block, done) {
                break;
            }
        }
        let batch = self.decoder.finish_batch();
        self.rows += batch.rows.num_rows() as u64;
        if self.first_reject.is_none() {
            // An event is an event, whatever its day.
            let no_event = |reject: &&Reject| reject.reason != RejectReason::OtherDay;
            self.first_reject = batch.rejects.iter().find(no_event).cloned();
        }
        if batch.lines > 0 {
            return Ok(Some(batch));
        }
        match &self.first_reject {
            // Not one event in all of it: some proxy's or server's own text.
            Some(reject) if self.rows == 0 => Err(not_an_export(reject).into()),
            _ => Ok(None),
        }
    }

    /// Decodes lines of a block until the batch is full; keeps what is left. Whether it is full.
    fn decode(&mut self, block: LineBlock, done: usize) -> bool {
        for (at, (number, line)) in block.lines().enumerate().skip(done) {
            let size = if let Line::Data(line) = line { line.len() } else { 0 };
            if is_full(self.decoder.rows(), self.decoder.bytes(), size) {
                self.rest = Some((block.clone(), at));
                return true;
            }
            match line {
                Line::Data(line) => self.decoder.push(line, number),
                Line::Oversized { head, .. } => self.decoder.reject(number, RejectReason::TooLong, head),
            }
        }
        false
    }
}

fn not_an_export(reject: &Reject) -> mixpanel_client::ErrorKind {
    let head = &reject.bytes[..reject.bytes.len().min(200)];
    let snippet = String::from_utf8_lossy(head).into_owned();
    mixpanel_client::ErrorKind::NotExport { content_type: None, snippet }
}
