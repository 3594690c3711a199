//! What we have to know of DuckDB's files: bytes in, what they are out. Nothing
//! here writes.

mod correct;
mod layout;
mod log;

pub(super) use correct::{corrected, seal};
pub(super) use layout::{
    BLOCKS, Current, HEADER, Headers, MetadataBlock, metadata_blocks, place_of, read_up_to, sound,
};
pub(super) use log::{Log, LogEnd, corrected_records};
