//! From the text of an event to columns.
//!
//! A line is read once: [`scan`] walks and checks the JSON text, [`object`] turns the properties
//! into a list of [`object::Slot`]s that point into the line, and only when the whole line has
//! proven sound do [`column`]s take the values over. A line that is refused halfway therefore
//! leaves no trace.

pub(super) mod column;
pub(super) mod identity;
pub(super) mod names;
pub(super) mod number;
pub(super) mod object;
pub(super) mod properties;
mod rebuild;
mod run;
pub(super) mod scan;
pub(super) mod text;

pub use identity::event_key;
pub use rebuild::{rebuild_column, rebuild_columns};
