//! The one place that sends a request, and what it needs for that.
//!
//! A prepared request enters; a response with status 200 leaves, or an error that says what the
//! server meant. The body is somebody else's.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION,
    RETRY_AFTER,
};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::time::{Instant, timeout_at};

use crate::budget::{ApiFamily, Departure, RequestBudget, Said};
use crate::client::Timeouts;
use crate::credentials::Scrubber;
use crate::error::{Error, ErrorKind, Phase, Result, Truncation};
use crate::export::{read_refusal, server_date};
use crate::observe::RequestObserver;
use crate::redact::host_of;
use crate::region::ParsedUrls;
use crate::retry::{Clock, parse_retry_after};
use crate::status::{MAX_REPORT, Report, refusal};

/// How long the explanation of a refusal may take to arrive.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(10);

/// What a request needs.
#[derive(Debug)]
pub(crate) struct Http {
    pub(crate) client: reqwest::Client,
    pub(crate) authorization: HeaderValue,
    pub(crate) scrubber: Scrubber,
    pub(crate) urls: ParsedUrls,
    pub(crate) project_id: Option<u64>,
    /// What tells the project of a project secret from others.
    pub(crate) project_mark: Option<String>,
    /// Whether the project goes with each query.
    pub(crate) names_project: bool,
    pub(crate) timeouts: Timeouts,
    pub(crate) budget: Option<Arc<RequestBudget>>,
    pub(crate) max_budget_wait: Option<Duration>,
    pub(crate) sent: AtomicU64,
    /// The latest `Date` of an answer, seconds since 1970; 0 while there is none.
    pub(crate) server_date: AtomicU64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Option<RequestObserver>,
}

/// A request, ready to be sent as often as it takes.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: Url,
    /// Content type and bytes.
    pub(crate) body: Option<(&'static str, Bytes)>,
    /// What it counts against, if it does.
    pub(crate) family: Option<ApiFamily>,
    /// Limit from sending to the first byte, or to the end of a short answer.
    pub(crate) patience: Duration,
}

impl Http {
    /// An address below a base, with the project where the API wants it in the query.
    pub(crate) fn url<'a>(
        &self,
        base: &Url,
        path: impl IntoIterator<Item = &'a str>,
        project: bool,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Url {
        let mut url = base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let id = self.project_id.filter(|_| project && self.names_project).map(|id| id.to_string());
        let mut pairs = pairs.into_iter().peekable();
        // An empty query would still be a question mark.
        if id.is_some() || pairs.peek().is_some() {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(id.iter().map(|id| ("project_id", id)));
            query.extend_pairs(pairs);
        }
        url
    }

    /// Sends one request and gives the response if its status is 200. Every request of this
    /// crate goes through here.
    pub(crate) async fn send(
        &self,
        outgoing: &Outgoing,
        departure: Option<&Arc<Departure>>,
        deadline: Instant,
    ) -> Result<Response> {
        let host = host_of(&outgoing.url);
        let mut request = self
            .client
            .request(outgoing.method.clone(), outgoing.url.clone())
            .header(AUTHORIZATION, self.authorization.clone())
            .header(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        if let Some((content_type, bytes)) = &outgoing.body {
            request = request.header(CONTENT_TYPE, *content_type).body(bytes.clone());
        }
        let mut response = match timeout_at(deadline, Departure::with(departure, request.send())).await {
            Err(_) => {
                return Err(ErrorKind::Timeout { phase: Phase::FirstByte, after: outgoing.patience }.into());
            }
            Ok(Err(error)) => return Err(transport(error, host, self.timeouts.connect)),
            Ok(Ok(response)) => response,
        };
        if let Some(date) = server_date(response.headers()) {
            let seconds = date.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            self.server_date.store(seconds, Ordering::Relaxed);
        }
        let status = response.status();
        let retry_after = text(response.headers(), RETRY_AFTER)
            .and_then(|value| parse_retry_after(value, self.clock.now()));
        if let (Some(budget), Some(family)) = (&self.budget, outgoing.family) {
            let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
            let asked = retry_after.filter(|_| status == StatusCode::TOO_MANY_REQUESTS);
            let said = Said::new(asked, header("ratelimit"), header("ratelimit-policy"));
            budget.heard(family, &said, &*self.clock);
        }
        if status == StatusCode::OK {
            return Ok(response);
        }
        if status.is_redirection() {
            let host = text(response.headers(), LOCATION).and_then(|location| {
                let target = response.url().join(location).ok()?;
                target.has_host().then(|| host_of(&target))
            });
            return Err(ErrorKind::Redirected { status: status.as_u16(), host }.into());
        }
        let gzip = text(response.headers(), CONTENT_ENCODING).is_some_and(|value| value.contains("gzip"));
        let body = read_refusal(&mut response, MAX_REPORT, REFUSAL_PATIENCE).await;
        let message = Report::from_body(&body, gzip, &self.scrubber);
        Err(refusal(status.as_u16(), message, retry_after).into())
    }
}

fn text(headers: &HeaderMap, name: reqwest::header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Sorts the failures of a request that got no answer.
fn transport(error: reqwest::Error, host: String, after: Duration) -> Error {
    let kind = if lacks_means(&error) {
        ErrorKind::Setup { what: format!("a connection to {host}") }
    } else if error.is_connect() && error.is_timeout() {
        ErrorKind::Timeout { phase: Phase::Connect, after }
    } else if error.is_connect() && is_untrusted(&error) {
        ErrorKind::Tls { host }
    } else if error.is_connect() {
        ErrorKind::Connect { host }
    } else {
        ErrorKind::Truncated { what: Truncation::Connection, bytes: 0 }
    };
    Error::new(kind).with_source(error.without_url())
}

/// No memory (ENOMEM), too many files open in the system (ENFILE), in the process (EMFILE): numbers
/// that Linux and macOS share.
const LACKING: [i32; 3] = [12, 23, 24];

/// Whether this computer had too little for a connection: trying again would not help.
fn lacks_means(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        let lacks = |error: &io::Error| {
            error.kind() == io::ErrorKind::OutOfMemory
                || error.raw_os_error().is_some_and(|code| LACKING.contains(&code))
        };
        if inner.downcast_ref().is_some_and(lacks) {
            return true;
        }
        cause = inner.source();
    }
    false
}

/// TLS reports what it does not accept as invalid data, wrapped in several layers.
fn is_untrusted(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.downcast_ref().is_some_and(is_invalid_data) {
            return true;
        }
        cause = inner.source();
    }
    false
}

/// An I/O error may hold another one, which its `source` steps over.
fn is_invalid_data(error: &io::Error) -> bool {
    let held = error.get_ref().and_then(|held| held.downcast_ref());
    error.kind() == io::ErrorKind::InvalidData || held.is_some_and(is_invalid_data)
}
