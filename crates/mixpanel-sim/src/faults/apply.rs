//! What a fault does to an answer: replaces it, changes its text, or breaks its encoded form.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use memchr::{memchr, memchr_iter, memrchr};
use serde_json::json;

use super::Fault;
use crate::body::Step;
use crate::export::{plain_response, too_many_requests};
use crate::gzip::TRAILER_LEN;

const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Mixpanel</title></head><body>\n<h1>Please log in</h1>\n\
                    <p>Your session has ended.</p>\n</body></html>\n";

impl Fault {
    /// The answer that takes the place of the export, for faults of that kind.
    pub(crate) fn replacement(&self) -> Option<Response> {
        Some(match self {
            Fault::Status { status, body, retry_after, content_type } => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let response = plain_response(status, content_type, body.clone());
                with_header(response, header::RETRY_AFTER, retry_after.as_deref())
            }
            Fault::TooManyRequests { retry_after } => too_many_requests(retry_after.as_deref()),
            // What the Query API makes of it is the business of its own module.
            Fault::QueryLimit(_) => too_many_requests(None),
            Fault::InBandError { message } => {
                let body = json!({"error": message}).to_string();
                plain_response(StatusCode::OK, "text/plain", body)
            }
            Fault::HtmlPage => plain_response(StatusCode::OK, "text/html; charset=utf-8", PAGE.to_owned()),
            Fault::Redirect { location } => {
                let response = plain_response(StatusCode::FOUND, "text/plain", String::new());
                with_header(response, header::LOCATION, Some(location))
            }
            _ => return None,
        })
    }

    /// Whether [`Fault::on_text`] does anything.
    pub(crate) fn changes_text(&self) -> bool {
        matches!(
            self,
            Fault::TerminatedEarly { .. }
                | Fault::CleanCloseMidLine { .. }
                | Fault::InsertLines { .. }
                | Fault::ReplaceBody(_)
                | Fault::NoFinalNewline
        )
    }

    /// The text as the fault leaves it.
    pub(crate) fn on_text(&self, text: Bytes) -> Bytes {
        match self {
            Fault::TerminatedEarly { fraction, message } => {
                let end = memrchr(b'\n', &text[..portion(&text, *fraction)]).map_or(0, |at| at + 1);
                [&text[..end], message.as_bytes(), b"\n"].concat().into()
            }
            Fault::CleanCloseMidLine { fraction } => {
                let end = portion(&text, *fraction).min(text.len().saturating_sub(2));
                let line = memrchr(b'\n', &text[..end]).map_or(0, |at| at + 1);
                let rest = memchr(b'\n', &text[line..]).map_or(text.len(), |at| line + at);
                // Neither at the line's beginning nor at its end, or it would be no broken line.
                let inside = if rest - line < 2 { end } else { end.clamp(line + 1, rest - 1) };
                text.slice(..inside)
            }
            Fault::InsertLines { after_line, lines } => {
                let at = match after_line {
                    0 => 0,
                    line => memchr_iter(b'\n', &text).nth(line - 1).map_or(text.len(), |at| at + 1),
                };
                let mut changed = text[..at].to_vec();
                for line in lines {
                    changed.extend_from_slice(line);
                    changed.push(b'\n');
                }
                changed.extend_from_slice(&text[at..]);
                changed.into()
            }
            Fault::ReplaceBody(body) => body.clone(),
            Fault::NoFinalNewline => {
                let end = text.len() - usize::from(text.ends_with(b"\n"));
                text.slice(..end)
            }
            _ => text,
        }
    }

    /// How the encoded body is sent.
    pub(crate) fn on_encoded(&self, mut parts: Vec<Bytes>, gzip: bool) -> Vec<Step> {
        let length: usize = parts.iter().map(Bytes::len).sum();
        let data = |parts: Vec<Bytes>| parts.into_iter().map(Step::Data);
        match self {
            Fault::CutConnection { fraction } => {
                let kept = first(parts, (length as f64 * fraction) as usize);
                data(kept).chain([Step::Abort]).collect()
            }
            Fault::CutBeforeTrailer if gzip => {
                data(first(parts, length - TRAILER_LEN)).chain([Step::Abort]).collect()
            }
            Fault::GzipNoTrailer if gzip => data(first(parts, length - TRAILER_LEN)).collect(),
            Fault::GzipBadCrc if gzip => {
                // The trailer is wholly in the last part.
                if let Some(last) = parts.pop() {
                    let mut bytes = last.to_vec();
                    let at = bytes.len() - TRAILER_LEN;
                    bytes[at] ^= 0xff;
                    parts.push(bytes.into());
                }
                data(parts).collect()
            }
            Fault::Stall { after_bytes, delay } => {
                let rest = rest(parts.clone(), *after_bytes);
                let before = first(parts, *after_bytes);
                data(before).chain([Step::Wait(*delay)]).chain(data(rest)).collect()
            }
            _ => data(parts).collect(),
        }
    }
}

fn portion(text: &[u8], fraction: f64) -> usize {
    ((text.len() as f64 * fraction) as usize).min(text.len())
}

/// The first `length` bytes.
fn first(parts: Vec<Bytes>, length: usize) -> Vec<Bytes> {
    let mut left = length;
    let mut kept = Vec::new();
    for part in parts {
        let take = left.min(part.len());
        kept.push(part.slice(..take));
        left -= take;
    }
    kept
}

/// Everything but the first `length` bytes.
fn rest(parts: Vec<Bytes>, length: usize) -> Vec<Bytes> {
    let mut left = length;
    let mut kept = Vec::new();
    for part in parts {
        let skip = left.min(part.len());
        kept.push(part.slice(skip..));
        left -= skip;
    }
    kept
}

fn with_header(mut response: Response, name: header::HeaderName, value: Option<&str>) -> Response {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
        response.headers_mut().insert(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n";

    fn on_text(fault: Fault) -> String {
        String::from_utf8(fault.on_text(Bytes::from_static(TEXT)).to_vec()).unwrap()
    }

    #[test]
    fn a_clean_close_is_always_inside_a_line() {
        for percent in 0..=100 {
            let cut = on_text(Fault::CleanCloseMidLine { fraction: f64::from(percent) / 100.0 });
            let last = cut.rsplit('\n').next().unwrap();
            assert!(!last.is_empty() && serde_json::from_str::<serde_json::Value>(last).is_err(), "{cut:?}");
        }
    }

    #[test]
    fn texts() {
        assert_eq!(on_text(Fault::terminated_early(0.5)), "{\"a\":1}\nterminated early\n");
        assert_eq!(on_text(Fault::terminated_early(0.0)), "terminated early\n");
        assert_eq!(on_text(Fault::NoFinalNewline), "{\"a\":1}\n{\"b\":2}\n{\"c\":3}");
        let lines = vec![Bytes::from_static(b"x"), Bytes::from_static(b"y")];
        let inserted = on_text(Fault::InsertLines { after_line: 2, lines });
        assert_eq!(inserted, "{\"a\":1}\n{\"b\":2}\nx\ny\n{\"c\":3}\n");
    }
}
