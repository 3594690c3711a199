//! The export endpoint: who asks, for what, and the answer.
//!
//! A request passes, in this order: credentials (401, 403), limits (429; a request that fails later still
//! counts), parameters (400), the history gate (403), scripted faults, selection, encoding.

pub(crate) mod params;
mod select;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::json;

use crate::api::auth::{self, Project};
use crate::api::refusal::{Refusal, bad};
use crate::api::respond::{Flow, GZIP_ABOVE, accepts_gzip, stream};
use crate::app::{App, Counted, Injected};
use crate::body::Step;
use crate::expr::ExprError;
use crate::faults::{Asked, Fault};
use crate::gzip;
use crate::limits::{Refused, Running};
use params::{Params, Query};

pub(crate) async fn export(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Response {
    let query = Query::parse(uri.query().unwrap_or_default());
    if let Err(refusal) = auth::check(&app.config, &headers, Project::Parameter(query.get("project_id"))) {
        return refusal.into_response(&uri);
    }
    let running = match app.limiter.admit(app.clock.elapsed()) {
        Ok(running) => running,
        Err(refused) => return too_many(&app, &refused),
    };
    let mut response = match Params::read(&query).and_then(|params| within_history(&app, params)) {
        Ok(params) => admitted(app, &uri, &headers, params, running).await,
        Err(refusal) => refusal.into_response(&uri),
    };
    response.extensions_mut().insert(Counted);
    response
}

async fn admitted(
    app: Arc<App>,
    uri: &Uri,
    headers: &HeaderMap,
    params: Params,
    running: Running,
) -> Response {
    let asked = Asked { group: "export", endpoint: "export", days: Some((params.from, params.to)) };
    let fault = match app.faults.take(headers, &asked) {
        Ok(fault) => fault,
        Err(reason) => return bad(reason).into_response(uri),
    };
    let mut response = match fault.as_ref().and_then(Fault::replacement) {
        Some(response) => response,
        None => {
            if let Some(Fault::SlowFirstByte { delay }) = &fault {
                tokio::time::sleep(*delay).await;
            }
            let request = Request {
                gzip: accepts_gzip(headers),
                uri: uri.clone(),
                params,
                fault: fault.clone(),
                running,
            };
            request.answer(app).await
        }
    };
    if let Some(fault) = fault {
        response.extensions_mut().insert(Injected(fault.name()));
    }
    response
}

fn within_history(app: &App, params: Params) -> Result<Params, Refusal> {
    let latest = app.today().max(app.config.today).max(app.events.world.last_day());
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
        let flow = Flow::of(&app.config);
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
        let mut response = stream(steps, flow, &uri, Some(running), gzip);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
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
    let cached = params.is_whole() && !app.events.added.any(params.from, params.to);
    if gzip && cached && !changes_text {
        let days = app.events.world.range(params.from, params.to);
        let segments = app.events.world.segments(days, params.time_in_ms);
        let plain_len: u64 = segments.iter().map(|segment| segment.plain_len()).sum();
        if plain_len > GZIP_ABOVE as u64 {
            return Ok(Encoded { gzip, parts: gzip::stream(segments), fault });
        }
    }
    let mut parts = select::select(&app.events, params)?;
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
