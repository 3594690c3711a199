//! The router: the export endpoint, the simulator's own control endpoints, and the log of requests. All other
//! endpoints are found by `api`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use crate::clock::Clock;
use crate::config::{DateHeader, SimConfig};
use crate::engage::{Sessions, Sizes};
use crate::error::SimError;
use crate::events::Events;
use crate::export::params::Query;
use crate::export::{export, plain_response};
use crate::faults::{FaultQueue, ScriptedFault};
use crate::ingest::Stamps;
use crate::limits::{Limiter, Rates};
use crate::world::now;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: SimConfig,
    pub(crate) events: Events,
    pub(crate) clock: Clock,
    /// Counts exports.
    pub(crate) limiter: Limiter,
    /// Counts queries.
    pub(crate) query_limiter: Limiter,
    pub(crate) faults: FaultQueue,
    /// Results of profile queries.
    pub(crate) sessions: Sessions,
    /// Sizes of cohorts, where they are known.
    pub(crate) cohort_sizes: Sizes,
    /// Times of processing of what is sent in.
    pub(crate) stamps: Stamps,
    log: Mutex<Vec<RequestLog>>,
}

/// A request that was answered. Headers, and with them credentials, are never kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestLog {
    /// The method, such as `GET`.
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
    /// The status of the answer.
    pub status: u16,
    /// When it came, by the virtual clock.
    pub at: Timestamp,
    /// The scripted fault it met.
    pub fault: Option<&'static str>,
    /// Whether it took a place in an hourly budget, the export's or the Query API's.
    pub counted: bool,
}

/// Marks an answer that a fault was applied to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Injected(pub(crate) &'static str);

/// Marks an answer to a request that an hourly limit has counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted;

impl App {
    pub(crate) fn new(config: SimConfig) -> Result<App, SimError> {
        Ok(App {
            events: Events::new(&config)?,
            clock: Clock::new(now(&config)?, config.pace),
            limiter: Limiter::new(Rates::export(&config.limits)),
            query_limiter: Limiter::new(Rates::query(&config.limits)),
            faults: FaultQueue::default(),
            sessions: Sessions::new(config.seed, config.engage.session_lifetime),
            cohort_sizes: Sizes::default(),
            stamps: Stamps::default(),
            log: Mutex::default(),
            config,
        })
    }

    /// The date in the project's time zone.
    pub(crate) fn today(&self) -> Date {
        self.clock.now().to_zoned(self.events.zone().clone()).date()
    }

    /// The profile of a user, as `user["…"]` sees it.
    pub(crate) fn profile(&self, distinct_id: &str) -> Option<Map<String, Value>> {
        self.events.world.profile(distinct_id)
    }

    pub(crate) fn requests(&self) -> Vec<RequestLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn record(&self, entry: RequestLog) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }
}

pub(crate) fn router(app: Arc<App>) -> Router {
    let logged = Router::new()
        .route("/api/2.0/export", get(export))
        .route("/api/2.0/export/", get(export))
        .merge(crate::ingest::routes())
        .fallback(crate::api::dispatch)
        .method_not_allowed_fallback(not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), log));
    Router::new()
        .route("/sim/faults", post(add_faults).delete(clear_faults))
        .route("/sim/clock", post(advance))
        .route("/sim/requests", get(requests))
        .fallback_service(logged.with_state(Arc::clone(&app)))
        .with_state(app)
}

async fn log(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (method, target) = (request.method().to_string(), request.uri().to_string());
    let at = app.clock.now();
    if !app.config.latency.is_zero() {
        tokio::time::sleep(app.config.latency).await;
    }
    let mut response = next.run(request).await;
    if let Some(date) = date_header(&app).and_then(|date| HeaderValue::from_str(&date).ok()) {
        response.headers_mut().insert(header::DATE, date);
    }
    let fault = response.extensions().get::<Injected>().map(|injected| injected.0);
    let counted = response.extensions().get::<Counted>().is_some();
    app.record(RequestLog { method, target, status: response.status().as_u16(), at, fault, counted });
    response
}

/// The `Date` of an answer, where it is not left to the HTTP library.
fn date_header(app: &App) -> Option<String> {
    match &app.config.date_header {
        DateHeader::RealTime => None,
        DateHeader::Virtual => Some(app.clock.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()),
        DateHeader::Text(text) => Some(text.clone()),
    }
}

fn answer(status: StatusCode, body: &Value) -> Response {
    plain_response(status, "application/json", body.to_string())
}

pub(crate) async fn not_found(uri: Uri) -> Response {
    let error = format!("no such endpoint: {}", uri.path());
    answer(StatusCode::NOT_FOUND, &json!({"error": error, "status": "error"}))
}

pub(crate) async fn not_allowed() -> Response {
    answer(StatusCode::METHOD_NOT_ALLOWED, &json!({"error": "method not allowed", "status": "error"}))
}

/// `POST /sim/faults`: one fault or a list of them.
async fn add_faults(State(app): State<Arc<App>>, body: String) -> Response {
    let parsed = serde_json::from_str::<Value>(&body).map_err(|error| error.to_string()).and_then(|json| {
        let list = match json {
            Value::Array(list) => list,
            one => vec![one],
        };
        list.iter().map(ScriptedFault::from_json).collect::<Result<Vec<_>, _>>()
    });
    match parsed {
        Ok(faults) => {
            faults.into_iter().for_each(|fault| app.faults.push(fault));
            answer(StatusCode::OK, &json!({"waiting": app.faults.len()}))
        }
        Err(error) => answer(StatusCode::BAD_REQUEST, &json!({"error": error})),
    }
}

/// `DELETE /sim/faults`: forgets the faults that still wait.
async fn clear_faults(State(app): State<Arc<App>>) -> Response {
    app.faults.clear();
    answer(StatusCode::OK, &json!({"waiting": 0}))
}

/// `POST /sim/clock?advance_s=60`: moves the virtual clock; without a number, tells the time.
async fn advance(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let query = Query::parse(uri.query().unwrap_or_default());
    if let Some(text) = query.get("advance_s") {
        match text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
            Some(by) => app.clock.advance(by),
            None => {
                let error = "advance_s must be a number of seconds";
                return answer(StatusCode::BAD_REQUEST, &json!({"error": error}));
            }
        }
    }
    let (last_hour, running) = app.limiter.usage(app.clock.elapsed());
    let (queries, queries_running) = app.query_limiter.usage(app.clock.elapsed());
    let state = json!({
        "now": app.clock.now().to_string(),
        "requests_last_hour": last_hour,
        "running": running,
        "queries_last_hour": queries,
        "queries_running": queries_running,
    });
    answer(StatusCode::OK, &state)
}

/// `GET /sim/requests`: the log.
async fn requests(State(app): State<Arc<App>>) -> Response {
    let entries = app.requests().into_iter().map(|entry| {
        json!({
            "method": entry.method,
            "target": entry.target,
            "status": entry.status,
            "at": entry.at.to_string(),
            "fault": entry.fault,
            "counted": entry.counted,
        })
    });
    answer(StatusCode::OK, &Value::Array(entries.collect()))
}
