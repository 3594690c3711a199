//! From an answer's text to what goes over the wire: faults, compression, chunks.

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use bytes::Bytes;

use crate::body::{Step, body};
use crate::config::SimConfig;
use crate::faults::Fault;
use crate::gzip;
use crate::limits::Running;
use crate::random::{Random, mix};

/// Bodies up to this length are never compressed.
pub(crate) const GZIP_ABOVE: usize = 1400;
const CHUNK_STREAM: u64 = 4;

/// A text with its type.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) text: Bytes,
}

impl Answer {
    pub(crate) fn json(value: &serde_json::Value) -> Answer {
        Answer { status: StatusCode::OK, content_type: "application/json", text: value.to_string().into() }
    }

    pub(crate) fn text(content_type: &'static str, text: impl Into<Bytes>) -> Answer {
        Answer { status: StatusCode::OK, content_type, text: text.into() }
    }
}

/// In what pieces, and how fast, bodies are sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flow {
    seed: u64,
    bytes_per_second: Option<u32>,
}

impl Flow {
    pub(crate) fn of(config: &SimConfig) -> Flow {
        Flow { seed: config.seed, bytes_per_second: config.bytes_per_second }
    }
}

/// How an answer is to be sent.
pub(crate) struct Delivery<'a> {
    pub(crate) uri: &'a Uri,
    pub(crate) flow: Flow,
    pub(crate) gzip_level: u32,
    pub(crate) accepts_gzip: bool,
    pub(crate) fault: Option<&'a Fault>,
    pub(crate) running: Option<Running>,
}

impl Delivery<'_> {
    /// Compresses and cuts, as the fault has it.
    pub(crate) fn send(self, answer: Answer) -> Response {
        let text = match self.fault {
            Some(fault) => fault.on_text(answer.text),
            None => answer.text,
        };
        let gzip = self.accepts_gzip && text.len() > GZIP_ABOVE;
        let parts = if gzip { gzip::member(&text, self.gzip_level) } else { vec![text] };
        let steps = match self.fault {
            Some(fault) => fault.on_encoded(parts, gzip),
            None => parts.into_iter().map(Step::Data).collect(),
        };
        let mut response = stream(steps, self.flow, self.uri, self.running, gzip);
        *response.status_mut() = answer.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
        response
    }
}

/// A response in chunks whose sizes follow from the seed and the request.
pub(crate) fn stream(
    steps: Vec<Step>,
    flow: Flow,
    uri: &Uri,
    running: Option<Running>,
    gzip: bool,
) -> Response {
    let key = uri.to_string().bytes().fold(0, |key, byte| mix(key ^ u64::from(byte)));
    let mut response = Response::new(body(
        steps,
        Random::keyed(flow.seed, CHUNK_STREAM, key),
        flow.bytes_per_second,
        running,
    ));
    if gzip {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Whether `Accept-Encoding` allows gzip.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut codings = values.flat_map(|value| value.split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let refused = parts.any(|part| part.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)));
        (name.eq_ignore_ascii_case("gzip") || name == "*") && !refused
    })
}
