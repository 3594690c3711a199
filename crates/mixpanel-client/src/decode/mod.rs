//! From the text of an event or a profile to columns.
//!
//! A text is read once: [`scan`] walks and checks the JSON, [`object`] turns the properties into a
//! list of [`object::Slot`]s that point into the text, and only when the whole text has proven
//! sound do [`column`]s take the values over. A text that is refused halfway therefore leaves no
//! trace.

pub(crate) mod batch;
pub(crate) mod column;
pub(crate) mod identity;
pub(crate) mod names;
pub(crate) mod number;
pub(crate) mod object;
pub(crate) mod properties;
pub(crate) mod reader;
mod rebuild;
mod run;
pub(crate) mod scan;
pub(crate) mod text;

pub use batch::{DecodedBatch, HeldEvent, PropertyColumn, PropertyStats, Reject, RejectReason};
pub use identity::event_key;
pub use properties::ColumnPlan;
pub use rebuild::{rebuild_column, rebuild_columns};
