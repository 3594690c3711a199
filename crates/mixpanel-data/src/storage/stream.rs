//! A bounded channel of batches, from the thread that makes them to the
//! `INSERT` that takes them.

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use crate::channel::{Receiver, Sender, channel};
use crate::error::{Error, ErrorKind};

/// Bytes of batches that wait at most, or one batch.
const WAITING_BYTES: usize = 16 << 20;

enum Item {
    Batch(RecordBatch),
    /// There are no more; without it, the stream has broken off.
    End,
}

/// Makes a channel for batches of one schema.
pub(super) fn stream(schema: SchemaRef) -> (BatchSender, BatchReader) {
    let (sender, receiver) = channel(WAITING_BYTES);
    (BatchSender(sender), BatchReader { schema, receiver, ended: false })
}

pub(super) struct BatchSender(Sender<Item>);

impl BatchSender {
    /// Waits for some room, before the next batch is made. False when nobody takes batches any more.
    pub(super) fn wait_for_room(&self) -> bool {
        self.0.wait_for_room()
    }

    /// Waits for room. False when nobody takes batches any more.
    pub(super) fn send(&self, batch: RecordBatch) -> bool {
        let bytes = batch.get_array_memory_size();
        self.0.send(Item::Batch(batch), bytes)
    }

    /// Says that this was all. Dropping the sender instead makes the `INSERT` fail.
    pub(super) fn finish(self) -> bool {
        self.0.send(Item::End, 0)
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
            Some(Item::Batch(batch)) => Some(Ok(batch)),
            Some(Item::End) => {
                self.ended = true;
                None
            }
            None => {
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
