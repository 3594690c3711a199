//! The raw event export: request → body → plain bytes → whole lines → batches.
//!
//! [`Client::export`](crate::Client::export) gives an [`ExportBody`]; everything after it is a
//! pure iterator over blocks, so a stored body can be replayed through the same code:
//!
//! ```
//! use bytes::Bytes;
//! use mixpanel_client::export::{ContentEncoding, Line, Lines};
//!
//! let stored = b"{\"event\":\"a\",\"properties\":{}}\n";
//! let blocks = stored.chunks(7).map(|block| Ok(Bytes::copy_from_slice(block)));
//! let mut count = 0;
//! for block in Lines::decode(ContentEncoding::Identity, blocks) {
//!     count += block?.lines().filter(|(_, line)| matches!(line, Line::Data(_))).count();
//! }
//! assert_eq!(count, 1);
//! # Ok::<(), mixpanel_client::Error>(())
//! ```

mod body;
mod event;
mod gunzip;
mod lines;
mod pipe;
mod repeats;
mod request;

pub use body::ExportBody;
pub use event::{DecodeOptions, EventDecoder, RecordParts};
pub use gunzip::{ContentEncoding, Decompressed, Gunzip, RatioLimit};
pub use lines::{Line, LineBlock, LineIter, Lines};
pub use request::ExportRequest;

pub use crate::decode::{
    ColumnPlan, DecodedBatch, HeldEvent, PropertyColumn, PropertyStats, Reject, RejectReason, event_key,
    rebuild_column, rebuild_columns,
};

pub(crate) use body::{Opening, header, is_html, next_block, read_refusal, server_date};
