//! What we have to know of DuckDB's files: bytes in, what they are out. Nothing
//! here writes.

mod layout;
mod log;

pub(super) use layout::{
    BLOCKS, Current, Headers, MetadataBlock, metadata_blocks, place_of, read_up_to, sound,
};
pub(super) use log::{Log, LogEnd};
