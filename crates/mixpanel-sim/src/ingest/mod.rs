//! Ingestion: what a program sends to the project, so that exports, profile pages and queries give it back.
//!
//! `import` and `track` take events (`validate`, `stamp`), `engage` and `groups` take changes of profiles
//! (`update`). These paths have no prefix, so they do not meet the queries of the same names. Identities are not
//! merged and addresses are not looked up: `ip` is dropped.

mod events;
mod profiles;
mod stamp;
mod update;
mod validate;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::api::decompressed;
use crate::app::{App, Injected};
use crate::export::params::Query;
use crate::faults::{Asked, Fault};
pub(crate) use stamp::Stamps;

/// A request's most records and most bytes, after decompression.
const MOST_RECORDS: usize = 2000;
const MOST_BYTES: usize = 10 << 20;
/// A picture of one transparent dot.
const DOT: &str = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";

pub(crate) fn routes() -> Router<Arc<App>> {
    let mut router = Router::new();
    for path in ["/import", "/import/"] {
        router = router.route(path, post(import));
    }
    for path in ["/track", "/track/"] {
        router = router.route(path, get(track).post(track));
    }
    for path in ["/engage", "/engage/"] {
        router = router.route(path, get(engage).post(engage));
    }
    for path in ["/groups", "/groups/"] {
        router = router.route(path, post(groups));
    }
    router
}

async fn import(State(app): State<Arc<App>>, request: Request) -> Response {
    receive(app, request, "ingestion/import", events::import).await
}

async fn track(State(app): State<Arc<App>>, request: Request) -> Response {
    receive(app, request, "ingestion/track", events::track).await
}

async fn engage(State(app): State<Arc<App>>, request: Request) -> Response {
    receive(app, request, "ingestion/engage", |app, sent| profiles::change(app, sent, profiles::Target::User))
        .await
}

async fn groups(State(app): State<Arc<App>>, request: Request) -> Response {
    receive(app, request, "ingestion/groups", |app, sent| {
        profiles::change(app, sent, profiles::Target::Group)
    })
    .await
}

/// A request with its body.
struct Sent {
    head: Parts,
    body: Bytes,
}

/// Why nothing of a request was taken in.
#[derive(Debug)]
struct Rejected {
    status: StatusCode,
    error: String,
}

impl Rejected {
    fn new(status: StatusCode, error: impl Into<String>) -> Rejected {
        Rejected { status, error: error.into() }
    }

    /// The answer of `import`, and of the others where they are strict.
    fn into_response(self) -> Response {
        coded(self.status, json!({"error": self.error}))
    }
}

async fn receive(
    app: Arc<App>,
    request: Request,
    endpoint: &'static str,
    work: fn(&App, &Sent) -> Response,
) -> Response {
    let (head, body) = request.into_parts();
    let asked = Asked { group: "ingestion", endpoint, days: None };
    let fault = match app.faults.take(&head.headers, &asked) {
        Ok(fault) => fault,
        Err(reason) => return Rejected::new(StatusCode::BAD_REQUEST, reason).into_response(),
    };
    if let Some(fault) = &fault
        && let Some(mut response) = replacement(fault)
    {
        response.extensions_mut().insert(Injected(fault.name()));
        return response;
    }
    if let Some(Fault::SlowFirstByte { delay }) = &fault {
        tokio::time::sleep(*delay).await;
    }
    let too_large = || {
        let error = format!("request exceeds max limit of {MOST_BYTES} bytes");
        Rejected::new(StatusCode::PAYLOAD_TOO_LARGE, error).into_response()
    };
    let Ok(body) = axum::body::to_bytes(body, MOST_BYTES).await else { return too_large() };
    let body = match decompressed(&head.headers, body) {
        Ok(body) if body.len() > MOST_BYTES => return too_large(),
        Ok(body) => body,
        Err(refusal) => return Rejected::new(refusal.status, refusal.error).into_response(),
    };
    let sent = Sent { head, body };
    let mut response = match tokio::task::spawn_blocking(move || work(&app, &sent)).await {
        Ok(response) => response,
        Err(_) => Rejected::new(StatusCode::INTERNAL_SERVER_ERROR, "the simulator failed to take this in")
            .into_response(),
    };
    if let Some(fault) = fault {
        response.extensions_mut().insert(Injected(fault.name()));
    }
    response
}

/// The answer that takes the place of the endpoint's.
fn replacement(fault: &Fault) -> Option<Response> {
    match fault {
        Fault::TooManyRequests { .. } | Fault::QueryLimit(_) => {
            let error = "Project exceeded rate limits. Please retry the request with exponential backoff.";
            Some(Rejected::new(StatusCode::TOO_MANY_REQUESTS, error).into_response())
        }
        other => other.replacement(),
    }
}

impl Sent {
    fn query(&self) -> Query<'_> {
        Query::parse(self.head.uri.query().unwrap_or_default())
    }

    fn flag(&self, name: &str) -> bool {
        self.query().get(name) == Some("1")
    }

    fn media_type(&self) -> &str {
        let value = self.head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        value.and_then(|text| text.split(';').next()).unwrap_or_default().trim()
    }

    /// The records: an array, one object, one object in each line, or any of these as `data` of a form or URL,
    /// plain or in base64.
    fn records(&self) -> Result<Vec<Value>, Rejected> {
        let records = self.parse().ok_or_else(|| {
            Rejected::new(StatusCode::BAD_REQUEST, "the request does not hold JSON records")
        })?;
        if records.len() > MOST_RECORDS {
            let error = format!("request exceeds max limit of {MOST_RECORDS} records, got {}", records.len());
            return Err(Rejected::new(StatusCode::PAYLOAD_TOO_LARGE, error));
        }
        Ok(records)
    }

    fn parse(&self) -> Option<Vec<Value>> {
        let body = std::str::from_utf8(&self.body).ok()?;
        if self.media_type().eq_ignore_ascii_case("application/x-ndjson") {
            let lines = body.split('\n').filter(|line| !line.trim().is_empty());
            return lines.map(|line| serde_json::from_str(line).ok()).collect();
        }
        let in_form = body.trim_start().starts_with("data=");
        let data = match in_form {
            true => Query::parse(body).get("data").map(str::to_owned),
            false if body.is_empty() => self.query().get("data").map(str::to_owned),
            false => Some(body.to_owned()),
        };
        let data = data?;
        let json = serde_json::from_str(&data).ok().or_else(|| {
            // A `+` of base64 that was not escaped has become a space.
            let bytes = STANDARD.decode(data.trim().replace(' ', "+")).ok()?;
            serde_json::from_slice(&bytes).ok()
        })?;
        match json {
            Value::Array(records) => Some(records),
            Value::Object(_) => Some(vec![json]),
            _ => None,
        }
    }

    /// The answer of the endpoints that programs in browsers use: `1` or `0`, with `verbose` the reason, too.
    fn verdict(&self, error: Option<&str>) -> Response {
        let status = u8::from(error.is_none());
        let (content_type, text) = if self.flag("verbose") {
            ("application/json", json!({"status": status, "error": error}).to_string())
        } else if self.flag("img") {
            let dot = STANDARD.decode(DOT).unwrap_or_default();
            return reply(StatusCode::OK, "image/gif", dot.into());
        } else if let Some(callback) = self.query().get("callback") {
            ("text/javascript", format!("{callback}({status});"))
        } else {
            ("text/plain", status.to_string())
        };
        reply(StatusCode::OK, content_type, text.into())
    }
}

/// What became of the records of a strict request.
struct Outcome {
    stored: usize,
    failed: Vec<Value>,
}

impl Outcome {
    fn into_response(self) -> Response {
        let stored = self.stored;
        if self.failed.is_empty() {
            return coded(StatusCode::OK, json!({"num_records_imported": stored}));
        }
        let error = "some data points in the request failed validation";
        let body = json!({"error": error, "num_records_imported": stored, "failed_records": self.failed});
        coded(StatusCode::BAD_REQUEST, body)
    }
}

/// JSON with the status in it, in numbers and in words.
fn coded(status: StatusCode, mut body: Value) -> Response {
    body["code"] = status.as_u16().into();
    let words = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Request Entity Too Large",
        other => other.canonical_reason().unwrap_or_default(),
    };
    body["status"] = words.into();
    reply(status, "application/json", body.to_string().into())
}

fn reply(status: StatusCode, content_type: &'static str, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
