//! A running export as a source of decoded batches.

use mixpanel_client::Result;
use mixpanel_client::export::{
    ColumnPlan, DecodeOptions, Decompressed, EventBatch, EventDecoder, ExportBody, Line, LineBlock, Lines,
    Reject, RejectReason,
};
use mixpanel_client::time::ProjectClock;

use crate::storage::{BATCH_BYTES, BATCH_ROWS};

pub(super) struct ExportSource {
    lines: Lines<Decompressed<ExportBody>>,
    decoder: EventDecoder,
    /// A block of which some lines are still to be decoded, and how many were.
    rest: Option<(LineBlock, usize)>,
    rows: u64,
    first_reject: Option<Reject>,
}

impl ExportSource {
    /// If `hold_repeats`, batches have possible repeats apart from their rows.
    pub(super) fn new(body: ExportBody, clock: ProjectClock, hold_repeats: bool) -> Self {
        let mut decoder = EventDecoder::new(DecodeOptions { clock, plan: ColumnPlan::all() });
        if hold_repeats {
            decoder.hold_repeats();
        }
        ExportSource { lines: body.into_lines(), decoder, rest: None, rows: 0, first_reject: None }
    }

    pub(super) fn bytes_received(&self) -> u64 {
        self.lines.get_ref().get_ref().bytes_received()
    }

    pub(super) fn bytes_decoded(&self) -> u64 {
        self.lines.bytes_seen()
    }

    pub(super) fn set_plan(&mut self, plan: ColumnPlan) {
        self.decoder.set_plan(plan);
    }

    /// The next batch; `None` when the body is complete, and proven so.
    pub(super) fn next_batch(&mut self) -> Result<Option<EventBatch>> {
        while !self.is_full() {
            match self.rest.take() {
                Some((block, done)) => self.decode(block, done),
                None => match self.lines.next() {
                    Some(block) => self.decode(block?, 0),
                    None => break,
                },
            }
        }
        let batch = self.decoder.finish_batch();
        self.rows += batch.rows.num_rows() as u64;
        if self.first_reject.is_none() {
            self.first_reject = batch.rejects.first().cloned();
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
