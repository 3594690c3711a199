//! What an HTTP answer means: from a status and a body to an error.

use std::io::Read as _;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::credentials::Scrubber;
use crate::error::ErrorKind;

/// The most that is read of the body of a refusal, in bytes, compressed and not.
pub(crate) const MAX_REPORT: usize = 64 * 1024;

/// The words of a server that refused something.
pub(crate) struct Report;

impl Report {
    /// Reads the body of a refusal: a JSON object with `error`, or plain text; both occur
    /// (Mixpanel's export reference, and its older query answers).
    pub(crate) fn from_body(body: &[u8], gzip: bool, scrubber: &Scrubber) -> String {
        let plain = if gzip { inflate(body) } else { body.to_vec() };
        let text = String::from_utf8_lossy(&plain);
        let from_json = serde_json::from_str(&text).ok().and_then(|object| Self::from_object(&object));
        let message = scrubber.show(&from_json.unwrap_or_else(|| text.into_owned()));
        if message.is_empty() { "no explanation given".to_owned() } else { message }
    }

    /// Reads a line of an export as an error report: `error` at the top, and no event. Lines that
    /// do not begin like one are not parsed.
    pub(crate) fn from_line(line: &[u8], scrubber: &Scrubber) -> Option<String> {
        const OPENINGS: [&[u8]; 4] = [b"\"error\"", b"\"request\"", b"\"status\"", b"\"code\""];
        let inside = line.strip_prefix(b"{")?.trim_ascii_start();
        if !OPENINGS.iter().any(|opening| inside.starts_with(opening)) {
            return None;
        }
        let object: Map<String, Value> = serde_json::from_slice(line).ok()?;
        if object.contains_key("event") {
            return None;
        }
        Self::from_object(&object).map(|message| scrubber.show(&message))
    }

    fn from_object(object: &Map<String, Value>) -> Option<String> {
        match object.get("error")? {
            Value::String(message) => Some(message.clone()),
            other => Some(other.to_string()),
        }
    }
}

/// Decompresses as much of a refusal as there is; a cut one still says something.
fn inflate(body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut decoder = flate2::read::MultiGzDecoder::new(body).take(MAX_REPORT as u64);
    match decoder.read_to_end(&mut plain) {
        Err(_) if plain.is_empty() => body.to_vec(),
        _ => plain,
    }
}

/// Finds how far back the plan reaches in a message such as `Date range exceeds 90 days into the
/// past`. It has been seen with status 403, and in older times with 400 and 200.
pub(crate) fn history_days(message: &str) -> Option<u32> {
    const OPENING: &str = "date range exceeds ";
    let lower = message.to_ascii_lowercase();
    let (days, _) = lower[lower.find(OPENING)? + OPENING.len()..].split_once(" day")?;
    days.trim().parse().ok()
}

/// Decides what a refusal means: a status other than 200, or 200 with an error in the answer.
pub(crate) fn refusal(status: u16, message: String, retry_after: Option<Duration>) -> ErrorKind {
    let history_days = history_days(&message);
    match status {
        401 => ErrorKind::Authentication { status, message },
        // The export answers bad credentials with 400 at times.
        200 | 400 if message.contains("Unable to authenticate request") => {
            ErrorKind::Authentication { status, message }
        }
        402 => ErrorKind::PlanLimit { message },
        403 => ErrorKind::Forbidden { status, message, history_days },
        404 => ErrorKind::NotFound { message },
        // It came with 200 and 400 in older times.
        200 | 400 if history_days.is_some() => ErrorKind::Forbidden { status, message, history_days },
        429 => ErrorKind::RateLimited { retry_after, message },
        408 | 425 | 500.. => ErrorKind::Server { status, message, retry_after },
        200 if message.contains("rate limit exceeded") => ErrorKind::RateLimited { retry_after, message },
        200 | 400..=499 => ErrorKind::BadRequest { status, message },
        _ => ErrorKind::NotExport { content_type: None, snippet: message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_all_shapes_of_refusals() {
        let read = |body: &str| Report::from_body(body.as_bytes(), false, &Scrubber::default());
        assert_eq!(read(r#"{"error": "bad where"}"#), "bad where");
        assert_eq!(read(r#"{"request": "/api/2.0/export?x", "error": "bad date"}"#), "bad date");
        assert_eq!(read(r#"{"status": "error", "error": {"code": 1}}"#), r#"{"code":1}"#);
        assert_eq!(read("to_date cannot be later than today\n"), "to_date cannot be later than today");
        assert_eq!(read(r#"{"other": 1}"#), r#"{"other": 1}"#);
        assert_eq!(read(" \n"), "no explanation given");
        assert_eq!(read(&"x".repeat(9000)).chars().count(), 501);
    }

    #[test]
    fn reads_compressed_refusals_even_if_cut() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, br#"{"error": "bad where"}"#).unwrap();
        let body = encoder.finish().unwrap();
        let read = |body: &[u8]| Report::from_body(body, true, &Scrubber::default());
        assert_eq!(read(&body), "bad where");
        assert!(!read(&body[..body.len() - 4]).is_empty());
        assert_eq!(read(b"not gzip at all"), "not gzip at all");
    }

    #[test]
    fn only_error_reports_are_reports() {
        let read = |line: &str| Report::from_line(line.as_bytes(), &Scrubber::default());
        assert_eq!(read(r#"{"error": "x"}"#).as_deref(), Some("x"));
        assert_eq!(read(r#"{ "request": "y", "error": "x"}"#).as_deref(), Some("x"));
        assert_eq!(read(r#"{"error": "x", "event": "a"}"#), None);
        assert_eq!(read(r#"{"properties": {}, "error": "x"}"#), None);
        assert_eq!(read(r#"{"status": "ok"}"#), None);
        assert_eq!(read(r#"{"error": "x""#), None);
        assert_eq!(read("error"), None);
    }

    #[test]
    fn finds_the_history_limit() {
        assert_eq!(history_days("Date range exceeds 90 days into the past"), Some(90));
        assert_eq!(history_days("oh: date range exceeds 365 days"), Some(365));
        assert_eq!(history_days("date range exceeds many days"), None);
        assert_eq!(history_days("permission denied"), None);
    }

    #[test]
    fn statuses_map_to_kinds() {
        let kind = |status| refusal(status, "m".into(), None);
        assert!(matches!(kind(400), ErrorKind::BadRequest { .. }));
        assert!(matches!(kind(401), ErrorKind::Authentication { .. }));
        assert!(matches!(kind(402), ErrorKind::PlanLimit { .. }));
        assert!(matches!(kind(403), ErrorKind::Forbidden { history_days: None, .. }));
        assert!(matches!(kind(404), ErrorKind::NotFound { .. }));
        assert!(matches!(kind(429), ErrorKind::RateLimited { .. }));
        assert!(matches!(kind(204), ErrorKind::NotExport { .. }));
        for status in [408, 425, 500, 502, 503, 504, 599] {
            assert!(kind(status).is_transient(), "{status}");
        }
        assert!(!kind(501).is_transient());
        let refused = refusal(400, "Unable to authenticate request: x".into(), None);
        assert!(matches!(refused, ErrorKind::Authentication { status: 400, .. }));
        let gate = refusal(400, "Date range exceeds 365 days into the past".into(), None);
        assert!(matches!(gate, ErrorKind::Forbidden { history_days: Some(365), .. }));
    }
}
