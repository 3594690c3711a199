//! Talks to Mixpanel: credentials, regions, retries, the raw event export as a stream, and answers
//! in JSON.
//!
//! Requests enter, bytes and lines that are proven complete leave. The crate knows nothing about
//! storage, command lines, environment variables or printing; clock, random seed, credentials and
//! addresses are arguments. The network work is asynchronous inside, and the public face blocks.
//!
//! ```no_run
//! use jiff::civil::date;
//! use mixpanel_client::export::{ExportRequest, Line};
//! use mixpanel_client::{BaseUrls, Client, ClientOptions, Credentials, Region};
//!
//! # fn main() -> mixpanel_client::Result<()> {
//! let credentials = Credentials::service_account("reader.mp-service-account", "the secret");
//! let mut options = ClientOptions::new(credentials);
//! options.project_id = Some(12345);
//! options.base_urls = BaseUrls::for_region(Region::Eu);
//! let client = Client::new(options)?;
//!
//! let request = ExportRequest::days(date(2024, 1, 1), date(2024, 1, 1));
//! for block in client.export(&request)?.into_lines() {
//!     for (number, line) in block?.lines() {
//!         match line {
//!             Line::Data(json) => drop((number, json)),
//!             Line::Oversized { len, .. } => drop((number, len)),
//!         }
//!     }
//! }
//! // Only here is the body known to be complete.
//! # Ok(())
//! # }
//! ```
//!
//! A body is complete when HTTP's framing is finished, every gzip member has a trailer that fits,
//! the last byte is a line feed, and no line says that the export was `terminated early`.
//! Everything else is an [`Error`], and what had been read before it must be thrown away.

mod amount;
pub mod api;
pub mod budget;
mod cancel;
mod client;
mod credentials;
mod days;
mod decode;
pub mod discovery;
pub mod engage;
mod error;
pub mod export;
pub mod expression;
mod fault;
mod http;
pub mod live;
pub mod network;
mod observe;
mod redact;
mod region;
pub mod report;
pub mod retry;
mod runtime;
pub mod schema;
mod status;
pub mod stream;
pub mod table;
pub mod time;
mod words;

pub use amount::Amount;
pub use cancel::CancelToken;
pub use client::{Client, ClientOptions, MinRate};
pub use credentials::{Credentials, Secret};
pub use error::{Corruption, Error, ErrorKind, Phase, Result, Truncation};
pub use observe::{RequestNotice, RequestObserver};
pub use redact::RedactedUrl;
pub use region::{BaseUrls, Region};
pub use table::Tabular;
pub use words::{CountType, TimeUnit};
