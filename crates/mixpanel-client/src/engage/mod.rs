//! Profiles of users and groups: the engage query.
//!
//! [`Client::profiles`](crate::Client::profiles) gives [`ProfilePages`]; a [`ProfileDecoder`] turns
//! their results into batches.

mod ahead;
mod page;
mod pages;
mod profile;
mod request;

pub use page::Page;
pub use pages::ProfilePages;
pub use profile::{ProfileDecoder, ProfileParts};
pub use request::EngageRequest;
