//! The export endpoint: who asks, for what, and the answer.
//!
//! A request passes, in this order: credentials (401, 403), limits (429; a request that fails later still
//! counts), parameters (400), the history gate (403), scripted faults, selection, encoding.

pub(crate) mod auth;
pub(crate) mod params;
mod select;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::json;

use crate::app::{App, Injected};
use crate::body::{Step, body};
use crate::expr::ExprError;
use crate::faults::Fault;
use crate::gzip;
use crate::limits::{Refused, Running};
use crate::random::{Random, mix};
use params::{Params, Query};

/// Bodies up to this length are never compressed.
pub(crate) const GZIP_ABOVE: usize = 1400;
const CHUNK_STREAM: u64 = 4;

/// A request that is not served, and why.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    error: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Refusal {
        Refusal { status, error: error.into() }
    }

    /// The JSON that goes with it; complaints about parameters repeat the request.
    fn into_response(self, uri: &Uri) -> Response {
        let body = match self.status {
            StatusCode::BAD_REQUEST => json!({"request": uri.to_string(), "error": self.error}),
            _ => json!({"error": self.error, "status": "error"}),
        };
        (self.status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
    }
}

pub(crate) async fn export(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Response {
    let query = Query::parse(uri.query().unwrap_or_default());
    if let Err(refusal) = auth::check(&app.config, &headers, &query) {
        return refusal.into_response(&uri);
    }
    let running = match app.limiter.admit(app.clock.elapsed()) {
        Ok(running) => running,
        Err(refused) => return too_many(&app, &refused),
    };
    let params = match Params::read(&query).and_then(|params| within_history(&app, params)) {
        Ok(params) => params,
        Err(refusal) => return refusal.into_response(&uri),
    };
    let fault = match app.faults.take(&headers, params.from, params.to) {
        Ok(fault) => fault,
        Err(reason) => return Refusal::new(StatusCode::BAD_REQUEST, reason).into_response(&uri),
    };
    let mut response = match fault.as_ref().and_then(Fault::replacement) {
        Some(response) => response,
        None => {
            if let Some(Fault::SlowFirstByte { delay }) = &fault {
                tokio::time::sleep(*delay).await;
            }
            let request =
                Request { gzip: accepts_gzip(&headers), uri, params, fault: fault.clone(), running };
            request.answer(app).await
        }
    };
    if let Some(fault) = fault {
        response.extensions_mut().insert(Injected(fault.name()));
    }
    response
}

fn within_history(app: &App, params: Params) -> Result<Params, Refusal> {
    let latest = app.config.today.max(app.world.last_day());
    if params.to > latest {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "to_date cannot be later than today"));
    }
    let days = |from: jiff::civil::Date, to| from.until(to).map_or(0, |span| span.get_days());
    if let Some(most) = app.config.max_range_days
        && i64::from(days(params.from, params.to)) >= i64::from(most)
    {
        let error = format!("Date range cannot be longer than {most} days");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, error));
    }
    if let Some(most) = app.config.max_history_days
        && i64::from(days(params.from, latest)) > i64::from(most)
    {
        let error = format!("Date range exceeds {most} days into the past");
        return Err(Refusal::new(StatusCode::FORBIDDEN, error));
    }
    Ok(params)
}

fn too_many(app: &App, refused: &Refused) -> Response {
    let seconds =
        refused.wait.filter(|_| app.config.limits.retry_after).map(|wait| wait.as_secs_f64().ceil());
    too_many_requests(seconds.map(|seconds| format!("{seconds:.0}")).as_deref())
}

/// The 429 of the export endpoint, the same for all limits.
pub(crate) fn too_many_requests(retry_after: Option<&str>) -> Response {
    let body = json!({"error": "too many export requests in progress for this project"}).to_string();
    let json = [(header::CONTENT_TYPE, "application/json")];
    let mut response = (StatusCode::TOO_MANY_REQUESTS, json, body).into_response();
    if let Some(value) = retry_after.and_then(|value| HeaderValue::from_str(value).ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

/// Whether `Accept-Encoding` allows gzip.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut codings = values.flat_map(|value| value.split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let refused = parts.any(|part| part.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)));
        (name.eq_ignore_ascii_case("gzip") || name == "*") && !refused
    })
}

/// A request that will be served.
struct Request {
    uri: Uri,
    params: Params,
    gzip: bool,
    fault: Option<Fault>,
    running: Running,
}

impl Request {
    async fn answer(self, app: Arc<App>) -> Response {
        let key = self.uri.to_string().bytes().fold(0, |key, byte| mix(key ^ u64::from(byte)));
        let random = Random::keyed(app.config.seed, CHUNK_STREAM, key);
        let Request { uri, params, gzip, fault, running } = self;
        let encoding = tokio::task::spawn_blocking(move || encode(&app, &params, gzip, fault.as_ref()));
        let Encoded { gzip, parts, fault } = match encoding.await {
            Ok(Ok(encoded)) => encoded,
            Ok(Err(error)) => {
                let error = format!("Invalid where expression: {error}");
                return Refusal::new(StatusCode::BAD_REQUEST, error).into_response(&uri);
            }
            Err(_) => {
                let error = "the simulator failed to produce this answer";
                return Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error).into_response(&uri);
            }
        };
        let steps = match fault {
            Some(fault) => fault.on_encoded(parts, gzip),
            None => parts.into_iter().map(Step::Data).collect(),
        };
        let mut response = Response::new(body(steps, random, Some(running)));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        if gzip {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

struct Encoded {
    gzip: bool,
    parts: Vec<Bytes>,
    fault: Option<Fault>,
}

/// Selects and encodes. Whole days come from the cache in either encoding; anything else is made now.
fn encode(app: &App, params: &Params, gzip: bool, fault: Option<&Fault>) -> Result<Encoded, ExprError> {
    let fault = fault.cloned();
    let changes_text = fault.as_ref().is_some_and(Fault::changes_text);
    if gzip && params.is_whole() && !changes_text {
        let days = app.world.range(params.from, params.to);
        let segments = app.world.segments(days);
        let plain_len: u64 = segments.iter().map(|segment| segment.plain_len()).sum();
        if plain_len > GZIP_ABOVE as u64 {
            return Ok(Encoded { gzip, parts: gzip::stream(segments), fault });
        }
    }
    let mut parts = select::select(&app.world, params)?;
    if let Some(fault) = fault.as_ref().filter(|_| changes_text) {
        parts = vec![fault.on_text(parts.concat().into())];
    }
    let plain_len: usize = parts.iter().map(Bytes::len).sum();
    let gzip = gzip && plain_len > GZIP_ABOVE;
    if gzip {
        parts = gzip::member(&parts.concat(), app.config.gzip_level);
    }
    Ok(Encoded { gzip, parts, fault })
}

/// An answer that is not an export.
pub(crate) fn plain_response(status: StatusCode, content_type: &str, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    if let Ok(value) = HeaderValue::from_str(content_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}
