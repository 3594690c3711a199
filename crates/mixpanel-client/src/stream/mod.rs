//! Events and profiles as streams, without storing them.
//!
//! A download that breaks off is worthless as a whole, and is begun again. What was handed out of it
//! by then would come twice. So a stream first downloads a chunk completely, into memory and beyond
//! a bound into a private file without a name, and hands its rows out once it is proven complete: a
//! chunk is some days of events, or all profiles that were asked for. [`Buffer::None`] hands
//! everything out at once; then a download that breaks off is the end of the stream, and an error.

mod events;
mod json;
mod profiles;
mod spool;

use std::path::PathBuf;

use crate::decode::DecodedBatch;

pub use events::{EventStream, StreamOptions};
pub use profiles::ProfileStream;

/// Where the rows of a stream wait until they are known to be complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Buffer {
    /// In memory, as they came over the wire, up to so many bytes for a chunk; what is larger fails
    /// with [`ErrorKind::BufferFull`](crate::ErrorKind::BufferFull).
    Memory {
        /// The bound.
        bytes: usize,
    },
    /// In memory, and beyond the bound in a file in this folder that has no name and that nobody
    /// else can open.
    Spill {
        /// The bound.
        bytes: usize,
        /// An existing folder.
        folder: PathBuf,
    },
    /// Nowhere: rows are handed out as they come. Those that came before an error may come again
    /// when the stream is begun again.
    None,
}

impl Buffer {
    /// The usual bound: 64 MB, compressed; some hundred thousand events.
    pub const BYTES: usize = 64 << 20;
}

/// Which rows are written as JSON, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// As they are stored: `event_name`, `event_time`, `distinct_id`, `insert_id` and `properties`
    /// of events; `distinct_id`, `last_seen` and `properties` of profiles.
    #[default]
    Record,
    /// As the API sends them.
    Raw,
}

/// Some rows of a stream.
#[derive(Debug)]
pub struct StreamBatch {
    /// The rows as columns. Rejects are not among them.
    pub decoded: DecodedBatch,
    /// The API's own text of each row, one on a line.
    raw: Vec<u8>,
}

impl StreamBatch {
    fn new(decoded: DecodedBatch, raw: Vec<u8>) -> Self {
        Self { decoded, raw }
    }

    /// The rows as lines of JSON, each with a line feed.
    pub fn json_lines(&self, shape: Shape) -> Vec<u8> {
        match shape {
            Shape::Record => json::records(&self.decoded.rows),
            Shape::Raw => self.raw.clone(),
        }
    }

    /// The rows as texts of JSON, one for each.
    pub fn json(&self, shape: Shape) -> Vec<String> {
        let lines = self.json_lines(shape);
        let text = |line: &[u8]| String::from_utf8_lossy(line).into_owned();
        lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(text).collect()
    }
}

/// What a stream has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCounts {
    /// Rows handed out.
    pub rows: u64,
    /// Lines or results that could not be read, and were left out.
    pub rejects: u64,
    /// Chunks that were handed out completely.
    pub chunks: u64,
}

/// Appends a text without line breaks. Between the tokens of JSON they are white space, and inside
/// of its strings they cannot be.
fn push_line(text: &[u8], into: &mut Vec<u8>) {
    let start = into.len();
    into.extend_from_slice(text);
    for byte in &mut into[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    into.push(b'\n');
}
