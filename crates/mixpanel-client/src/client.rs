//! The client: what it is made of, and the one loop that every request goes through.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use reqwest::header::HeaderValue;
use reqwest::{Certificate, Method, NoProxy, Proxy, Response};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::api::{Answer, ApiRequest};
use crate::budget::{ApiFamily, Departure, Departures, RequestBudget};
use crate::cancel::CancelToken;
use crate::credentials::{Credentials, Scrubber, Secret};
use crate::discovery::Cache;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{ExportBody, ExportRequest, Opening};
use crate::http::{Http, Outgoing};
use crate::observe::{RequestNotice, RequestObserver};
use crate::redact::RedactedUrl;
use crate::region::{BaseUrls, ParsedUrls};
use crate::retry::{Clock, Jitter, Retrier, RetryObserver, RetryPolicy, SystemClock};
use crate::runtime::Runtime;

/// What the client calls itself if nobody says otherwise.
const USER_AGENT: &str = concat!("mixpanel-data/", env!("CARGO_PKG_VERSION"));

/// Everything a [`Client`] depends on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientOptions {
    /// Who we are.
    pub credentials: Credentials,
    /// The project. A service account needs it for everything; a project secret, which stands for
    /// its project, needs it where it is part of the address: bookmarks, schemas, annotations.
    pub project_id: Option<u64>,
    /// Where to send requests.
    pub base_urls: BaseUrls,
    /// What we call ourselves in the `User-Agent` header.
    pub user_agent: Option<String>,
    /// The address of an HTTP proxy. It is a secret because it may contain a password. The
    /// environment is not consulted.
    pub proxy: Option<Secret>,
    /// Hosts that are reached without the proxy, separated by commas: names, which stand for what is
    /// below them too, addresses, networks such as `10.0.0.0/8`, or `*`.
    pub no_proxy: Option<String>,
    /// Certificates (PEM) of authorities to trust besides those of the system.
    pub root_certificates: Option<Vec<u8>>,
    /// Limit for a connection and its TLS handshake.
    pub connect_timeout: Duration,
    /// Limit from sending a request to the first byte of the body. Mixpanel may work for minutes
    /// on a big day before it answers.
    pub first_byte_timeout: Duration,
    /// Limit from sending a request of the query and app APIs to the end of its answer.
    pub query_timeout: Duration,
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
    /// Is told of each request.
    pub request_observer: Option<RequestObserver>,
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
            no_proxy: None,
            root_certificates: None,
            connect_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(600),
            query_timeout: Duration::from_secs(180),
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
            request_observer: None,
            io_threads: 2,
        }
    }

    fn http_client(&self, urls: &ParsedUrls) -> Result<reqwest::Client> {
        // One for the process. Where the program has chosen one already, that one stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
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
            // Instead of a limit of its own: the layer has it.
            .connector_layer(Departures { connect: self.connect_timeout })
            .user_agent(self.user_agent.as_deref().unwrap_or(USER_AGENT));
        if let Some(proxy) = &self.proxy {
            // The cause is dropped: it might repeat the address.
            let proxy = Proxy::all(proxy.expose()).map_err(|_| setup("proxy address"))?;
            let without = self.no_proxy.as_deref().and_then(NoProxy::from_string);
            builder = builder.proxy(proxy.no_proxy(without));
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
    pub(crate) query: Duration,
    pub(crate) idle: Duration,
    pub(crate) body: Duration,
    pub(crate) min_rate: MinRate,
}

/// Talks to one Mixpanel project. Clones share threads, randomness, and what
/// [`discovery`](crate::discovery) has learnt.
#[derive(Clone, Debug)]
pub struct Client {
    http: Arc<Http>,
    runtime: Arc<Runtime>,
    retrier: Retrier,
    /// What discovery has learnt.
    pub(crate) known: Arc<Cache>,
}

impl Client {
    /// Checks the options and starts the network threads. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] if credentials, project or addresses cannot be used;
    /// [`ErrorKind::Setup`] if the system does not provide what is needed.
    pub fn new(options: ClientOptions) -> Result<Self> {
        if options.credentials.needs_project_id() && options.project_id.is_none() {
            let what = "a service account needs a project id".to_owned();
            return Err(ErrorKind::InvalidRequest { what }.into());
        }
        Self::of_account(options)
    }

    /// The same without a project, for what an account may ask about itself.
    pub(crate) fn of_account(options: ClientOptions) -> Result<Self> {
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
            project_id: options.project_id,
            project_mark: options.credentials.project_mark(),
            names_project: options.credentials.needs_project_id(),
            timeouts: Timeouts {
                connect: options.connect_timeout,
                first_byte: options.first_byte_timeout,
                query: options.query_timeout,
                idle: options.idle_timeout,
                body: options.body_timeout,
                min_rate: options.min_rate,
            },
            budget: options.budget,
            max_budget_wait: options.max_budget_wait,
            sent: AtomicU64::new(0),
            server_date: AtomicU64::new(0),
            clock: options.clock.clone(),
            observer: options.request_observer,
        };
        let retrier = Retrier {
            policy: options.retry,
            clock: options.clock,
            jitter: Jitter::seeded(options.seed),
            cancel: options.cancel,
            observer: options.observer,
        };
        let runtime = Arc::new(Runtime::new(options.io_threads)?);
        Ok(Self { http: Arc::new(http), runtime, retrier, known: Arc::default() })
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

    /// What the server's clock said in its last answer, a refusal included; `None` while it has
    /// not said anything.
    pub fn server_date(&self) -> Option<SystemTime> {
        let seconds = self.http.server_date.load(Ordering::Relaxed);
        (seconds > 0).then(|| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    /// Gives a client that listens to another token, and shares everything else.
    pub fn with_cancel(&self, cancel: CancelToken) -> Self {
        let mut other = self.clone();
        other.retrier.cancel = cancel;
        other
    }

    /// Gives a client that tries again under another policy, and shares everything else.
    pub fn with_retry(&self, policy: RetryPolicy) -> Self {
        let mut other = self.clone();
        other.retrier.policy = policy;
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
        let http = &self.http;
        let pairs = request.query_pairs();
        let pairs = pairs.iter().map(|(key, value)| (*key, value.as_str()));
        let outgoing = Outgoing {
            method: Method::GET,
            url: http.url(&http.urls.export, ["export"], true, pairs),
            body: None,
            family: Some(ApiFamily::Export),
            patience: http.timeouts.first_byte,
        };
        let label = RedactedUrl::new(&outgoing.url);
        let opening = self.retrier.run(|| {
            self.attempt(&outgoing, &label, |http, response, deadline| async move {
                Opening::read(response, deadline, http.timeouts.first_byte, &http.scrubber).await
            })
        })?;
        let Http { scrubber, timeouts, .. } = &**http;
        Ok(opening.start(&self.runtime, label, scrubber.clone(), self.retrier.cancel.clone(), *timeouts))
    }

    /// Asks the query, engage or app API, and reads the whole answer.
    ///
    /// Failures are retried as the policy allows, all of them: what these requests do can be done
    /// twice. Status 200 with `{"error": "…"}` is a failure as well.
    ///
    /// `T` may be a [`RawValue`](serde_json::value::RawValue) in a box, for the text of the answer.
    ///
    /// # Errors
    ///
    /// Any [`ErrorKind`] except those about exports.
    pub fn json<T: DeserializeOwned>(&self, request: &ApiRequest) -> Result<T> {
        self.answer(request, |answer, scrubber| answer.parse(scrubber))
    }

    /// A request for [`json`](Self::json) to a whole address, such as
    /// `https://mixpanel.com/api/app/me`: for what has no name here. The project goes with it where the
    /// API wants it in the query.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] for an address that is none of the project's own: whoever it is
    /// would get the credentials.
    pub fn request_at(&self, address: &str) -> Result<ApiRequest> {
        ApiRequest::at(address, &self.http.urls)
    }

    /// Asks, and reads the answer in a way of one's own; what `read` fails with may be retried.
    pub(crate) fn answer<T>(
        &self,
        request: &ApiRequest,
        read: impl Fn(&Answer, &Scrubber) -> Result<T>,
    ) -> Result<T> {
        let outgoing = request.prepare(&self.http)?;
        let label = RedactedUrl::new(&outgoing.url);
        let (limit, patience) = (request.body_limit(), outgoing.patience);
        self.retrier.run(|| {
            let answer = self.attempt(&outgoing, &label, move |http, response, deadline| async move {
                Answer::read(response, deadline, patience, limit, &http.scrubber).await
            })?;
            read(&answer, &self.http.scrubber).map_err(|error| error.with_url(label.clone()))
        })
    }

    /// The project, if one is set.
    pub fn project_id(&self) -> Option<u64> {
        self.http.project_id
    }

    /// What tells the project of a project secret from others; see [`Credentials::project_mark`].
    pub fn project_mark(&self) -> Option<&str> {
        self.http.project_mark.as_deref()
    }

    /// Where time comes from.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.http.clock
    }

    /// One request: counted, sent, and read as far as `read` does.
    fn attempt<T, R>(
        &self,
        outgoing: &Outgoing,
        label: &RedactedUrl,
        read: impl Fn(Arc<Http>, Response, Instant) -> R + Clone + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        R: Future<Output = Result<T>> + Send,
    {
        loop {
            let departure = self.take_from_budget(outgoing)?;
            self.http.sent.fetch_add(1, Ordering::Relaxed);
            let started = self.http.clock.monotonic();
            let outcome = self.exchange(outgoing, departure.clone(), read.clone());
            if let Some(departure) = &departure {
                if departure.is_missed() && !self.retrier.cancel.is_cancelled() {
                    // It never left: it takes its turn again.
                    departure.budget.give_back(&departure.ticket);
                    self.http.sent.fetch_sub(1, Ordering::Relaxed);
                    continue;
                }
                match &outcome {
                    Ok(_) => departure.ticket.end(),
                    // No connection, no request: nobody has counted it.
                    Err(_) if !departure.has_left() => departure.budget.give_back(&departure.ticket),
                    Err(error) => departure.budget.failed(&departure.ticket, error.kind()),
                }
            }
            let outcome =
                outcome.map_err(|error| self.http.scrubber.scrub_error(error).with_url(label.clone()));
            if let Some(observer) = &self.http.observer {
                let elapsed = self.http.clock.monotonic().saturating_sub(started);
                let (method, error) = (outgoing.method.as_str(), outcome.as_ref().err());
                observer.tell(RequestNotice { method, url: label, elapsed, error });
            }
            return outcome;
        }
    }

    /// Sends and reads on the network's threads, until it is done or cancelled.
    fn exchange<T, R>(
        &self,
        outgoing: &Outgoing,
        departure: Option<Arc<Departure>>,
        read: impl FnOnce(Arc<Http>, Response, Instant) -> R + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        R: Future<Output = Result<T>> + Send,
    {
        let (http, outgoing, cancel) = (self.http.clone(), outgoing.clone(), self.retrier.cancel.clone());
        self.runtime.wait(async move {
            let deadline = Instant::now() + outgoing.patience;
            let exchange = async {
                let response = http.send(&outgoing, departure.as_ref(), deadline).await?;
                read(http.clone(), response, deadline).await
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => Err(Error::from(ErrorKind::Cancelled)),
                outcome = exchange => outcome,
            }
        })
    }

    /// Takes a request out of the budget. The observer is told of waits.
    fn take_from_budget(&self, outgoing: &Outgoing) -> Result<Option<Arc<Departure>>> {
        let (Some(budget), Some(family)) = (&self.http.budget, outgoing.family) else { return Ok(None) };
        let Retrier { clock, cancel, observer, .. } = &self.retrier;
        let started = clock.monotonic();
        let (lasts, patience) = (outgoing.patience, self.http.max_budget_wait);
        let ticket = budget.take(family, lasts, &**clock, cancel, patience, |wait, why| {
            if let Some(observer) = observer {
                observer.tell(&ErrorKind::BudgetExhausted { wait, why }.into(), 0, wait);
            }
        });
        crate::retry::waited_for_turn(clock.monotonic().saturating_sub(started));
        ticket.map(|ticket| Some(Departure::new(budget.clone(), ticket, clock.clone(), cancel.clone())))
    }
}
