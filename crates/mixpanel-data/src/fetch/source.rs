//! A running export as a source of decoded batches. One thread decompresses and
//! splits into lines, another one decodes: each is about a core's worth.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use mixpanel_client::Result;
use mixpanel_client::export::{
    ColumnPlan, DecodeOptions, DecodedBatch, EventDecoder, ExportBody, Line, LineBlock, Reject, RejectReason,
};

use crate::storage::{BATCH_BYTES, BATCH_ROWS};

/// How many blocks of lines, half a megabyte each, wait for decoding.
const WAITING: usize = 8;

/// Lines, with the bytes received and decompressed up to them.
type Block = Result<(Option<LineBlock>, (u64, u64))>;

pub(super) struct ExportSource {
    blocks: Receiver<Block>,
    /// Bytes received and decompressed.
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
        options: DecodeOptions,
        hold_repeats: bool,
    ) -> Self {
        let mut decoder = EventDecoder::new(options);
        if hold_repeats {
            decoder.hold_repeats();
        }
        let (sender, blocks) = sync_channel(WAITING);
        threads.spawn(move || {
            let mut lines = body.into_lines();
            loop {
                let block = lines.next().transpose();
                let bytes = (lines.get_ref().get_ref().bytes_received(), lines.bytes_seen());
                let last = !matches!(block, Ok(Some(_)));
                if sender.send(block.map(|block| (block, bytes))).is_err() || last {
                    return;
                }
            }
        });
        ExportSource { blocks, bytes: (0, 0), ended: false, decoder, rest: None, rows: 0, first_reject: None }
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
        // A thread that ends without a word has panicked.
        let (block, bytes) =
            self.blocks.recv().unwrap_or_else(|_| Err(mixpanel_client::ErrorKind::Cancelled.into()))?;
        self.bytes = bytes;
        self.ended = block.is_none();
        Ok(block)
    }

    pub(super) fn set_plan(&mut self, plan: ColumnPlan) {
        self.decoder.set_plan(plan);
    }

    /// The next batch; `None` when the body is complete, and proven so.
    pub(super) fn next_batch(&mut self) -> Result<Option<DecodedBatch>> {
        while !self.is_full() {
            match self.rest.take() {
                Some((block, done)) => self.decode(block, done),
                None => match self.next_block()? {
                    Some(block) => self.decode(block, 0),
                    None => break,
                },
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

    fn is_full(&self) -> bool {
        self.decoder.rows() >= BATCH_ROWS || self.decoder.bytes() >= BATCH_BYTES
    }

    /// Decodes lines of a block until the batch is full; keeps what is left.
    fn decode(&mut self, block: LineBlock, done: usize) {
        let mut at = done;
        for (number, line) in block.lines().skip(done) {
            match line {
                Line::Data(line) => self.decoder.push(line, number),
                Line::Oversized { head, .. } => self.decoder.reject(number, RejectReason::TooLong, head),
            }
            at += 1;
            if self.is_full() {
                self.rest = Some((block.clone(), at));
                return;
            }
        }
    }
}

fn not_an_export(reject: &Reject) -> mixpanel_client::ErrorKind {
    let head = &reject.bytes[..reject.bytes.len().min(200)];
    let snippet = String::from_utf8_lossy(head).into_owned();
    mixpanel_client::ErrorKind::NotExport { content_type: None, snippet }
}
