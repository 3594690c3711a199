//! What can go wrong between us and Mixpanel.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

pub use crate::fault::{Corruption, Phase, Truncation};
use crate::redact::RedactedUrl;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync>;

/// A failure: what kind, whether trying again can help, and what caused it.
///
/// `Display` speaks for this level only; causes are reached through
/// [`source`](std::error::Error::source). No text in it holds a credential.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    given_up: bool,
    attempts: u32,
    url: Option<RedactedUrl>,
    source: Option<Source>,
}

/// The kinds of failure, with their facts. Each tells whether it is *transient*, that is, whether
/// the same request may succeed later without anyone changing anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Refused by our own checks; nothing was sent. Not transient.
    #[error("invalid request: {what}")]
    InvalidRequest {
        /// What is wrong with it.
        what: String,
    },
    /// The client could not be set up (certificates, proxy address, threads). Not transient.
    #[error("cannot set up the HTTP client: {what}")]
    Setup {
        /// The part that failed.
        what: String,
    },
    /// The credentials were not accepted: status 401, or a 400 that says it could not
    /// authenticate the request. Not transient.
    #[error("authentication failed (HTTP {status}): {message}")]
    Authentication {
        /// The HTTP status.
        status: u16,
        /// What the server said.
        message: String,
    },
    /// The project's plan does not include this API (status 402). Not transient.
    #[error("the project's plan does not include this API: {message}")]
    PlanLimit {
        /// What the server said.
        message: String,
    },
    /// Not permitted (status 403), or dates beyond the history that the plan keeps. Not transient.
    #[error("not permitted (HTTP {status}): {message}")]
    Forbidden {
        /// The HTTP status: 403, or whatever the message about the plan's history came with.
        status: u16,
        /// What the server said.
        message: String,
        /// For dates beyond the plan's history: how many days back it reaches.
        history_days: Option<u32>,
    },
    /// There is no such thing (status 404): a funnel, a bookmark, a cohort, a schema. Not transient.
    #[error("not found: {message}")]
    NotFound {
        /// What the server said.
        message: String,
    },
    /// The project has no event of this name. Not transient.
    #[error("there is no event `{event}`{}", did_you_mean(.similar))]
    EventNotFound {
        /// The name asked for.
        event: String,
        /// Up to five names that are like it, the likeliest first.
        similar: Vec<String>,
    },
    /// The server refused the request as such: another 4xx status, or status 200 with an error in
    /// the answer of a query. Not transient.
    #[error("the server refused the request (HTTP {status}): {message}")]
    BadRequest {
        /// The HTTP status.
        status: u16,
        /// What the server said.
        message: String,
    },
    /// Too many requests (status 429). Transient.
    #[error("rate limit reached{}: {message}", wait_hint(*.retry_after))]
    RateLimited {
        /// How long the server asked us to wait, counted from its answer.
        retry_after: Option<Duration>,
        /// What the server said.
        message: String,
    },
    /// The server failed or asked to come back later (5xx, 408, 425). Transient, except 501 and 505.
    #[error("the server failed (HTTP {status}): {message}")]
    Server {
        /// The HTTP status.
        status: u16,
        /// What the server said.
        message: String,
        /// How long the server asked us to wait, counted from its answer.
        retry_after: Option<Duration>,
    },
    /// No connection: unknown host, refused, unreachable. Transient.
    #[error("cannot connect to {host}")]
    Connect {
        /// Host name and, if it is not the usual one, port.
        host: String,
    },
    /// The connection could not be made secure, for instance a certificate that is not trusted.
    /// Not transient.
    #[error("no secure connection to {host}")]
    Tls {
        /// Host name and, if it is not the usual one, port.
        host: String,
    },
    /// The server was silent for too long. Transient.
    #[error("timed out after {:.1} s {phase}", .after.as_secs_f64())]
    Timeout {
        /// What we were waiting for.
        phase: Phase,
        /// The limit that was passed.
        after: Duration,
    },
    /// The body stopped before its end; what was read of it is worthless. Transient, except for
    /// [`Truncation::Unprovable`], which is how that server or proxy works.
    #[error("the body is incomplete after {bytes} bytes: {what}")]
    Truncated {
        /// How it shows.
        what: Truncation,
        /// How many bytes had arrived, at the level that noticed (compressed or not).
        bytes: u64,
    },
    /// The body is damaged. Transient, except for a decompression bomb.
    #[error("the body is damaged after {bytes} compressed bytes: {what}")]
    Corrupt {
        /// How it shows.
        what: Corruption,
        /// How many compressed bytes had been read.
        bytes: u64,
    },
    /// Status 200, but a line of an export reports an error. Transient.
    #[error("the server reported an error inside its answer: {message}")]
    InBand {
        /// What the server said.
        message: String,
    },
    /// Status 2xx, but not an export, for instance the HTML page of a proxy. Transient.
    #[error("the answer is not an export ({}): {snippet}", .content_type.as_deref().unwrap_or("no content type"))]
    NotExport {
        /// The content type, if the server gave one and it is known here.
        content_type: Option<String>,
        /// How the body begins.
        snippet: String,
    },
    /// Status 200, but not JSON, for instance the HTML page of a proxy. Transient.
    #[error("the answer is not JSON ({}): {snippet}", .content_type.as_deref().unwrap_or("no content type"))]
    NotJson {
        /// The content type, if the server gave one.
        content_type: Option<String>,
        /// How the body begins.
        snippet: String,
    },
    /// The answer is JSON, but not what this request is answered with. Not transient.
    #[error("the answer has an unexpected shape ({what}): {snippet}")]
    UnexpectedAnswer {
        /// What is wrong with it.
        what: String,
        /// How the body begins.
        snippet: String,
    },
    /// The answer is larger than we are ready to hold in memory. Not transient.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The body has an encoding that we did not ask for. Not transient.
    #[error("the body has the unexpected content encoding `{encoding}`")]
    UnexpectedEncoding {
        /// The value of `Content-Encoding`.
        encoding: String,
    },
    /// The server wanted to send us elsewhere. Redirects are never followed, so that credentials
    /// stay with the host they are meant for. Not transient.
    #[error("the server redirects (HTTP {status}) to {}", .host.as_deref().unwrap_or("nowhere"))]
    Redirected {
        /// The HTTP status.
        status: u16,
        /// The host it named.
        host: Option<String>,
    },
    /// The pages that follow the first of a request for profiles cannot be had any more: the session
    /// has expired. Transient, from the first page on.
    #[error("the session of profiles ended before page {page}: {message}")]
    SessionExpired {
        /// The page that was asked for, from 0.
        page: u64,
        /// What the server said.
        message: String,
    },
    /// There were fewer profiles than the first page had promised. Transient.
    #[error("only {received} of {total} profiles came")]
    MissingResults {
        /// How many came.
        received: u64,
        /// How many were promised.
        total: u64,
    },
    /// A stream's rows do not fit where they have to wait until they are proven complete. Not transient.
    #[error("the rows of a request take more than {limit} bytes, and may not wait on disk")]
    BufferFull {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The file in which a stream's rows wait until they are proven complete. Not transient.
    #[error("the temporary file of the stream failed")]
    Buffer,
    /// Our own count says that Mixpanel would refuse, for longer than we were to wait. Nothing was
    /// sent. Not transient: it will not pass while we try.
    #[error("{why}, for another {} s", .wait.as_secs() + 1)]
    BudgetExhausted {
        /// How long until the next request may go.
        wait: Duration,
        /// Which limit it is.
        why: &'static str,
    },
    /// Stopped by a [`CancelToken`](crate::CancelToken). Not transient.
    #[error("cancelled")]
    Cancelled,
}

/// Names that may have been meant, as the end of a sentence.
pub(crate) fn did_you_mean(similar: &[String]) -> String {
    match similar {
        [] => String::new(),
        [name] => format!("; a similar name is `{name}`"),
        names => format!("; similar names are `{}`", names.join("`, `")),
    }
}

fn wait_hint(retry_after: Option<Duration>) -> String {
    match retry_after {
        Some(wait) => {
            format!(", try again in {} s", wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)))
        }
        None => String::new(),
    }
}

impl ErrorKind {
    /// Tells whether the same request may succeed later without anyone changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::InBand { .. }
            | Self::NotExport { .. }
            | Self::NotJson { .. }
            | Self::SessionExpired { .. }
            | Self::MissingResults { .. } => true,
            Self::Server { status, .. } => !matches!(status, 501 | 505),
            Self::Truncated { what, .. } => *what != Truncation::Unprovable,
            Self::Corrupt { what, .. } => *what != Corruption::Bomb,
            Self::InvalidRequest { .. }
            | Self::Setup { .. }
            | Self::Authentication { .. }
            | Self::PlanLimit { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::EventNotFound { .. }
            | Self::BadRequest { .. }
            | Self::UnexpectedAnswer { .. }
            | Self::TooLarge { .. }
            | Self::BufferFull { .. }
            | Self::Buffer
            | Self::Tls { .. }
            | Self::UnexpectedEncoding { .. }
            | Self::Redirected { .. }
            | Self::BudgetExhausted { .. }
            | Self::Cancelled => false,
        }
    }
}

impl Error {
    /// Makes an error of a kind.
    pub fn new(kind: ErrorKind) -> Self {
        Self(Box::new(Inner { kind, given_up: false, attempts: 0, url: None, source: None }))
    }

    /// A thread that the system did not provide.
    pub fn no_thread(error: std::io::Error) -> Self {
        Error::new(ErrorKind::Setup { what: "a thread".to_owned() }).with_source(error)
    }

    /// Adds the cause.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The kind, with its facts.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Tells whether trying again now makes sense: the kind is transient, and no retry loop has
    /// already given up on it. So loops can be nested without multiplying their attempts.
    pub fn is_retryable(&self) -> bool {
        self.is_transient() && !self.0.given_up
    }

    /// Tells whether the failure may pass by itself, however often it has been tried already.
    pub fn is_transient(&self) -> bool {
        self.0.kind.is_transient()
    }

    /// How long the server asked us to wait before the next attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.0.kind {
            ErrorKind::RateLimited { retry_after, .. } | ErrorKind::Server { retry_after, .. } => retry_after,
            _ => None,
        }
    }

    /// How often it was tried; 0 if it did not go through a retry loop.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// The address of the request, if one was made.
    pub fn url(&self) -> Option<&RedactedUrl> {
        self.0.url.as_ref()
    }

    pub(crate) fn with_url(mut self, url: RedactedUrl) -> Self {
        self.0.url = Some(url);
        self
    }

    pub(crate) fn after_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// Marks that a retry loop will not try again.
    pub(crate) fn give_up(mut self) -> Self {
        self.0.given_up = true;
        self
    }

    /// Rewrites every text that came from a server.
    pub(crate) fn map_texts(&mut self, map: impl Fn(String) -> String) {
        match &mut self.0.kind {
            ErrorKind::Authentication { message: text, .. }
            | ErrorKind::PlanLimit { message: text }
            | ErrorKind::Forbidden { message: text, .. }
            | ErrorKind::NotFound { message: text }
            | ErrorKind::SessionExpired { message: text, .. }
            | ErrorKind::BadRequest { message: text, .. }
            | ErrorKind::RateLimited { message: text, .. }
            | ErrorKind::Server { message: text, .. }
            | ErrorKind::InBand { message: text }
            | ErrorKind::UnexpectedEncoding { encoding: text } => *text = map(std::mem::take(text)),
            ErrorKind::UnexpectedAnswer { what, snippet } => {
                *what = map(std::mem::take(what));
                *snippet = map(std::mem::take(snippet));
            }
            ErrorKind::NotExport { content_type, snippet } | ErrorKind::NotJson { content_type, snippet } => {
                *snippet = map(std::mem::take(snippet));
                *content_type = content_type.take().map(map);
            }
            ErrorKind::Redirected { host, .. } => *host = host.take().map(map),
            ErrorKind::InvalidRequest { .. }
            | ErrorKind::Setup { .. }
            | ErrorKind::Connect { .. }
            | ErrorKind::Tls { .. }
            | ErrorKind::Timeout { .. }
            | ErrorKind::Truncated { .. }
            | ErrorKind::Corrupt { .. }
            | ErrorKind::TooLarge { .. }
            | ErrorKind::EventNotFound { .. }
            | ErrorKind::MissingResults { .. }
            | ErrorKind::BufferFull { .. }
            | ErrorKind::Buffer
            | ErrorKind::BudgetExhausted { .. }
            | ErrorKind::Cancelled => {}
        }
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.kind.fmt(f)?;
        if self.0.attempts > 1 {
            write!(f, " (tried {} times)", self.0.attempts)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, given_up, attempts, url, source } = &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("given_up", given_up)
            .field("attempts", attempts)
            .field("url", url)
            .field("source", source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_word() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn given_up_is_transient_but_not_retryable() {
        let error = Error::new(ErrorKind::Connect { host: "h".into() });
        assert!(error.is_retryable());
        let error = error.after_attempts(3).give_up();
        assert!(error.is_transient() && !error.is_retryable());
        assert_eq!(error.to_string(), "cannot connect to h (tried 3 times)");
    }

    #[test]
    fn display_speaks_for_its_own_level() {
        let kind = ErrorKind::Truncated { what: Truncation::Connection, bytes: 7 };
        let error = Error::new(kind).with_source("inner cause");
        assert_eq!(error.to_string(), "the body is incomplete after 7 bytes: the connection was lost");
        assert_eq!(error.source().unwrap().to_string(), "inner cause");
    }

    #[test]
    fn rate_limit_tells_when() {
        let kind = |retry_after| ErrorKind::RateLimited { retry_after, message: "slow down".into() };
        let wait = Some(Duration::from_millis(29_001));
        assert_eq!(kind(wait).to_string(), "rate limit reached, try again in 30 s: slow down");
        assert_eq!(kind(None).to_string(), "rate limit reached: slow down");
    }
}
