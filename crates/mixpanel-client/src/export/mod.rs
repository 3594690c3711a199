//! The raw event export.

mod batch;
mod decode;
mod event;

pub use batch::{EventBatch, PropertyColumn, PropertyStats, Reject, RejectReason};
pub use decode::{event_key, rebuild_column, rebuild_columns};
pub use event::{ColumnPlan, DecodeOptions, EventDecoder};
