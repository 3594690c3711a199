//! Talking to Mixpanel: requests in, typed values and Arrow batches out.

pub mod export;
pub mod schema;
pub mod time;
