//! The client: what it is made of, and the one place that sends a request.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::{Certificate, Proxy, Response, StatusCode, Url};
use tokio::time::{Instant, timeout_at};

use crate::budget::{RequestBudget, Said};
use crate::cancel::CancelToken;
use crate::credentials::{Credentials, Scrubber, Secret};
use crate::error::{Error, ErrorKind, Phase, Result, Truncation};
use crate::export::{ExportBody, ExportRequest, Opening, read_refusal};
use crate::redact::{RedactedUrl, host_of};
use crate::region::{BaseUrls, ParsedUrls};
use crate::retry::{Clock, Jitter, Retrier, RetryObserver, RetryPolicy, SystemClock, parse_retry_after};
use crate::runtime::Runtime;
use crate::status::{MAX_REPORT, Report, refusal};

/// What the client calls itself if nobody says otherwise.
const USER_AGENT: &str = concat!("mixpanel-data/", env!("CARGO_PKG_VERSION"));

/// How long the explanation of a refusal may take to arrive.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(10);

/// Everything a [`Client`] depends on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientOptions {
    /// Who we are.
    pub credentials: Credentials,
    /// The project; required with a service account, and only sent with one.
    pub project_id: Option<u64>,
    /// Where to send requests.
    pub base_urls: BaseUrls,
    /// What we call ourselves in the `User-Agent` header.
    pub user_agent: Option<String>,
    /// The address of an HTTP proxy. It is a secret because it may contain a password. The
    /// environment is not consulted.
    pub proxy: Option<Secret>,
    /// Certificates (PEM) of authorities to trust besides those of the system.
    pub root_certificates: Option<Vec<u8>>,
    /// Limit for a connection and its TLS handshake.
    pub connect_timeout: Duration,
    /// Limit from sending a request to the first byte of the body. Mixpanel may work for minutes
    /// on a big day before it answers.
    pub first_byte_timeout: Duration,
    /// Limit for silence within a body.
    pub idle_timeout: Duration,
    /// Limit for all the time a body keeps us waiting, so that a server that drips does not hold
    /// us for ever.
    pub body_timeout: Duration,
    /// A body that comes slower than this is given up, and asked for again.
    pub min_rate: MinRate,
    /// What every request is counted against before it is sent; nothing is counted without one.
    pub budget: Option<Arc<RequestBudget>>,
    /// The longest wait for the budget; none is too long unless told otherwise.
    pub max_budget_wait: Option<Duration>,
    /// How often and how long to try again.
    pub retry: RetryPolicy,
    /// Seed of the randomness in waits.
    pub seed: u64,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Stops everything.
    pub cancel: CancelToken,
    /// Is told before each wait.
    pub observer: Option<RetryObserver>,
    /// Threads for the network.
    pub io_threads: usize,
}

impl ClientOptions {
    /// Starts from the usual values: United States, no project, system clock.
    pub fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            project_id: None,
            base_urls: BaseUrls::default(),
            user_agent: None,
            proxy: None,
            root_certificates: None,
            connect_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(600),
            idle_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(6 * 3600),
            min_rate: MinRate::default(),
            budget: None,
            max_budget_wait: None,
            retry: RetryPolicy::default(),
            seed: 0,
            clock: Arc::new(SystemClock::new()),
            cancel: CancelToken::new(),
            observer: None,
            io_threads: 2,
        }
    }

    fn project_pair(&self) -> Result<Option<String>> {
        if !self.credentials.needs_project_id() {
            return Ok(None);
        }
        let missing =
            || ErrorKind::InvalidRequest { what: "a service account needs a project id".to_owned() };
        let id = self.project_id.ok_or_else(missing)?;
        Ok(Some(id.to_string()))
    }

    fn http_client(&self, urls: &ParsedUrls) -> Result<reqwest::Client> {
        let mut builder = reqwest::Client::builder()
            // Credentials stay with the host they are meant for.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            // The only retry loop is ours. A pooled connection that went stale would be retried
            // unseen, so connections are not pooled; an export outweighs a handshake.
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            // Bodies are decompressed, and checked, in this crate.
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .no_proxy()
            .connect_timeout(self.connect_timeout)
            .user_agent(self.user_agent.as_deref().unwrap_or(USER_AGENT));
        if let Some(proxy) = &self.proxy {
            // The cause is dropped: it might repeat the address.
            builder = builder.proxy(Proxy::all(proxy.expose()).map_err(|_| setup("proxy address"))?);
        }
        if let Some(pem) = &self.root_certificates {
            let roots = Certificate::from_pem_bundle(pem)
                .map_err(|error| setup("root certificates").with_source(error))?;
            builder = builder.tls_certs_merge(roots);
        } else if !urls.needs_tls {
            // A machine without a certificate store can still talk to a simulator.
            builder = builder.tls_certs_only([]);
        }
        builder.build().map_err(|error| setup("connections").with_source(error))
    }
}

fn setup(what: &str) -> Error {
    ErrorKind::Setup { what: what.to_owned() }.into()
}

/// How fast a body must come at least, averaged over a stretch of waiting for the network; time
/// in which we read slowly does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinRate {
    /// Bytes over the wire per second.
    pub bytes_per_second: u64,
    /// The stretch.
    pub over: Duration,
}

impl Default for MinRate {
    fn default() -> Self {
        Self { bytes_per_second: 1_000, over: Duration::from_secs(120) }
    }
}

/// Limits on waiting for a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) first_byte: Duration,
    pub(crate) idle: Duration,
    pub(crate) body: Duration,
    pub(crate) min_rate: MinRate,
}

/// Talks to one Mixpanel project. Clones share connections, threads and randomness.
#[derive(Clone, Debug)]
pub struct Client {
    http: Arc<Http>,
    runtime: Arc<Runtime>,
    retrier: Retrier,
}

/// What a request needs.
#[derive(Debug)]
struct Http {
    client: reqwest::Client,
    authorization: HeaderValue,
    scrubber: Scrubber,
    urls: ParsedUrls,
    project_id: Option<String>,
    timeouts: Timeouts,
    budget: Option<Arc<RequestBudget>>,
    max_budget_wait: Option<Duration>,
    sent: AtomicU64,
    clock: Arc<dyn Clock>,
}

impl Client {
    /// Checks the options and starts the network threads. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] if credentials, project or addresses cannot be used;
    /// [`ErrorKind::Setup`] if the system does not provide what is needed.
    pub fn new(options: ClientOptions) -> Result<Self> {
        options.credentials.validate()?;
        let urls = options.base_urls.parse()?;
        let client = options.http_client(&urls)?;
        let mut authorization = HeaderValue::from_str(options.credentials.authorization().expose())
            .expect("base64 is a valid header value");
        authorization.set_sensitive(true);
        let http = Http {
            client,
            authorization,
            scrubber: options.credentials.scrubber(),
            urls,
            project_id: options.project_pair()?,
            timeouts: Timeouts {
                connect: options.connect_timeout,
                first_byte: options.first_byte_timeout,
                idle: options.idle_timeout,
                body: options.body_timeout,
                min_rate: options.min_rate,
            },
            budget: options.budget,
            max_budget_wait: options.max_budget_wait,
            sent: AtomicU64::new(0),
            clock: options.clock.clone(),
        };
        let retrier = Retrier {
            policy: options.retry,
            clock: options.clock,
            jitter: Jitter::seeded(options.seed),
            cancel: options.cancel,
            observer: options.observer,
        };
        Ok(Self { http: Arc::new(http), runtime: Arc::new(Runtime::new(options.io_threads)?), retrier })
    }

    /// The retry loop of this client, to put around work that is larger than a request.
    pub fn retrier(&self) -> &Retrier {
        &self.retrier
    }

    /// What its requests are counted against.
    pub fn budget(&self) -> Option<&RequestBudget> {
        self.http.budget.as_deref()
    }

    /// How many requests this client and its clones have sent, retries included.
    pub fn requests_sent(&self) -> u64 {
        self.http.sent.load(Ordering::Relaxed)
    }

    /// Takes a request out of the budget. The observer is told of waits.
    fn take_from_budget(&self) -> Result<()> {
        let Some(budget) = &self.http.budget else { return Ok(()) };
        let Retrier { clock, cancel, observer, .. } = &self.retrier;
        budget.take(&**clock, cancel, self.http.max_budget_wait, |wait, why| {
            if let Some(observer) = observer {
                observer.tell(&ErrorKind::BudgetExhausted { wait, why }.into(), 0, wait);
            }
        })
    }

    /// Gives a client that listens to another token, and shares everything else.
    pub fn with_cancel(&self, cancel: CancelToken) -> Self {
        let mut other = self.clone();
        other.retrier.cancel = cancel;
        other
    }

    /// Asks for raw events, and returns when the first bytes of the answer are here.
    ///
    /// Failures up to that point are retried as the policy allows. Later ones surface in the
    /// body, and mean that all of it must be asked for again.
    ///
    /// # Errors
    ///
    /// Any [`ErrorKind`] except those about the content of a body.
    pub fn export(&self, request: &ExportRequest) -> Result<ExportBody> {
        request.validate()?;
        let url = self.http.url(&self.http.urls.export, "export", request.query_pairs());
        let label = RedactedUrl::new(&url);
        let cancel = &self.retrier.cancel;
        let opening = self.retrier.run(|| {
            self.take_from_budget()?;
            self.http.sent.fetch_add(1, Ordering::Relaxed);
            let attempt = attempt(self.http.clone(), url.clone(), cancel.clone());
            let outcome = self.runtime.wait(attempt);
            outcome.map_err(|error| self.http.scrubber.scrub_error(error).with_url(label.clone()))
        })?;
        let Http { scrubber, timeouts, .. } = &*self.http;
        Ok(opening.start(&self.runtime, label, scrubber.clone(), cancel.clone(), *timeouts))
    }
}

/// One request, until the first bytes of its answer.
async fn attempt(http: Arc<Http>, url: Url, cancel: CancelToken) -> Result<Opening> {
    let after = http.timeouts.first_byte;
    let deadline = Instant::now() + after;
    let exchange = async {
        let response = http.send(url, deadline).await?;
        Opening::read(response, deadline, after, &http.scrubber).await
    };
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(ErrorKind::Cancelled.into()),
        outcome = exchange => outcome,
    }
}

impl Http {
    fn url(&self, base: &Url, path: &str, pairs: Vec<(&'static str, String)>) -> Url {
        let mut url = base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(path);
        }
        {
            let mut query = url.query_pairs_mut();
            if let Some(id) = &self.project_id {
                query.append_pair("project_id", id);
            }
            query.extend_pairs(pairs);
        }
        url
    }

    /// Sends one request and gives the response if its status is 200. Every request of this
    /// crate goes through here.
    async fn send(&self, url: Url, deadline: Instant) -> Result<Response> {
        let host = host_of(&url);
        let request = self
            .client
            .get(url)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let mut response = match timeout_at(deadline, request.send()).await {
            Err(_) => {
                return Err(
                    ErrorKind::Timeout { phase: Phase::FirstByte, after: self.timeouts.first_byte }.into()
                );
            }
            Ok(Err(error)) => return Err(transport(error, host, self.timeouts.connect)),
            Ok(Ok(response)) => response,
        };
        let status = response.status();
        let retry_after = text(response.headers(), RETRY_AFTER)
            .and_then(|value| parse_retry_after(value, self.clock.now()));
        if let Some(budget) = &self.budget {
            let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
            let asked = retry_after.filter(|_| status == StatusCode::TOO_MANY_REQUESTS);
            let said = Said::new(asked, header("ratelimit"), header("ratelimit-policy"));
            budget.heard(&said, self.clock.now());
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
    let kind = if error.is_connect() && error.is_timeout() {
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
