//! Tells a front end of each request that was sent.
//!
//! What was asked, how long the answer took, and why it failed leave; secrets and private values do
//! not. Waits are told by [`RetryObserver`](crate::retry::RetryObserver).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::redact::RedactedUrl;

/// What a [`RequestObserver`] is told of a request, once it is known how it went.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RequestNotice<'a> {
    /// The method of HTTP.
    pub method: &'a str,
    /// Where it went.
    pub url: &'a RedactedUrl,
    /// From sending it to the end of the answer; for an export, to the first bytes of the body.
    pub elapsed: Duration,
    /// Why it failed, if it did.
    pub error: Option<&'a Error>,
}

/// Is told of each request, retries included, so that a front end can show them.
#[derive(Clone)]
pub struct RequestObserver(Arc<dyn Fn(RequestNotice<'_>) + Send + Sync>);

impl RequestObserver {
    /// Wraps a function. It is called on the thread that made the request, by several at a time.
    pub fn new(function: impl Fn(RequestNotice<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }

    pub(crate) fn tell(&self, notice: RequestNotice<'_>) {
        (self.0)(notice);
    }
}

impl fmt::Debug for RequestObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestObserver")
    }
}
