//! Requests that are answered in JSON: the query, engage and app APIs.
//!
//! An [`ApiRequest`] says what to ask; [`Client::json`](crate::Client::json) sends it and gives the
//! answer. What the questions are is not known here.
//!
//! ```no_run
//! use mixpanel_client::api::ApiRequest;
//! # fn names(client: &mixpanel_client::Client) -> mixpanel_client::Result<()> {
//! let request = ApiRequest::query("events/names").param("type", "general").param("limit", 5000);
//! let names: Vec<String> = client.json(&request)?;
//! # Ok(())
//! # }
//! ```

mod answer;
mod request;

pub(crate) use answer::{Answer, refused};
pub use request::ApiRequest;
