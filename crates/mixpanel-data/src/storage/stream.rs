//! A bounded channel of batches, from the thread that makes them to the
//! `INSERT` that takes them.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use crate::error::{Error, ErrorKind};

/// How many batches wait at most.
const WAITING: usize = 2;

enum Item {
    Batch(RecordBatch),
    /// There are no more; without it, the stream has broken off.
    End,
}

/// Makes a channel for batches of one schema.
pub(super) fn stream(schema: SchemaRef) -> (BatchSender, BatchReader) {
    let (sender, receiver) = sync_channel(WAITING);
    (BatchSender(sender), BatchReader { schema, receiver, ended: false })
}

pub(super) struct BatchSender(SyncSender<Item>);

impl BatchSender {
    /// Waits for room. False when nobody takes batches any more.
    pub(super) fn send(&self, batch: RecordBatch) -> bool {
        self.0.send(Item::Batch(batch)).is_ok()
    }

    /// Says that this was all. Dropping the sender instead makes the `INSERT` fail.
    pub(super) fn finish(self) -> bool {
        self.0.send(Item::End).is_ok()
    }
}

pub(super) struct BatchReader {
    schema: SchemaRef,
    receiver: Receiver<Item>,
    ended: bool,
}

impl Iterator for BatchReader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.receiver.recv() {
            Ok(Item::Batch(batch)) => Some(Ok(batch)),
            Ok(Item::End) => {
                self.ended = true;
                None
            }
            Err(_) => {
                self.ended = true;
                // Whoever dropped the sender knows why, and tells it.
                let broken = Error::new(ErrorKind::Cancelled);
                Some(Err(ArrowError::ExternalError(Box::new(broken))))
            }
        }
    }
}

impl RecordBatchReader for BatchReader {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }
}
