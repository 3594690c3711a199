//! An answer in JSON: all of it or an error.
//!
//! A response with status 200 enters, a value leaves. The text must be complete, of bounded size,
//! and no report of an error.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::credentials::Scrubber;
use crate::error::{ErrorKind, Phase, Result};
use crate::export::{ContentEncoding, Decompressed, header, is_html, next_block};
use crate::status::refusal;

/// The body of an answer, decompressed.
#[derive(Debug)]
pub(crate) struct Answer {
    body: Bytes,
    content_type: Option<String>,
}

/// How much of a body is looked at for a snippet, in bytes.
const SNIPPET: usize = 2_000;

impl Answer {
    /// Reads the body to its end, which must come before the deadline and within `limit` bytes,
    /// compressed and not.
    pub(crate) async fn read(
        mut response: Response,
        deadline: Instant,
        after: Duration,
        limit: usize,
        scrubber: &Scrubber,
    ) -> Result<Self> {
        let encoding = header(response.headers(), CONTENT_ENCODING.as_str());
        let encoding = ContentEncoding::from_header(encoding.as_deref())?;
        let content_type = header(response.headers(), CONTENT_TYPE.as_str()).map(|kind| scrubber.show(&kind));
        let mut blocks = Vec::new();
        let mut received = 0;
        let mut phase = Phase::FirstByte;
        while let Some(block) = next_block(&mut response, received as u64, deadline, phase, after).await? {
            received += block.len();
            if received > limit {
                return Err(ErrorKind::TooLarge { limit }.into());
            }
            blocks.push(block);
            phase = Phase::WholeBody;
        }
        let answer = Self { body: plain(encoding, blocks, limit)?.into(), content_type };
        if answer.content_type.as_deref().is_some_and(is_html) {
            return Err(answer.not_json(scrubber).into());
        }
        Ok(answer)
    }

    /// Reads the text as a value.
    pub(crate) fn parse<T: DeserializeOwned>(&self, scrubber: &Scrubber) -> Result<T> {
        if let Some(message) = self.error() {
            return Err(refused(&message, scrubber).into());
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let kind = match error.classify() {
                Category::Data => ErrorKind::UnexpectedAnswer {
                    what: scrubber.show(&error.to_string()),
                    snippet: self.snippet(scrubber),
                },
                Category::Io | Category::Syntax | Category::Eof => self.not_json(scrubber),
            };
            kind.into()
        })
    }

    /// The message of `{"error": "…"}`. It must be a text, or come with `"status": "error"`: the
    /// names of events and properties stand at the same place, and one may be called `error`.
    fn error(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Report<'a> {
            #[serde(borrow, default)]
            error: Option<&'a RawValue>,
            #[serde(borrow, default)]
            status: Option<&'a RawValue>,
        }
        if !self.body.trim_ascii_start().starts_with(b"{") {
            return None;
        }
        let Report { error, status } = serde_json::from_slice(&self.body).ok()?;
        let failed = status.is_some_and(|status| status.get() == "\"error\"");
        match error.map(RawValue::get) {
            Some(text) if text.starts_with('"') => serde_json::from_str(text).ok(),
            Some(other) if failed => Some(other.to_owned()),
            None if failed => Some("no explanation given".to_owned()),
            _ => None,
        }
    }

    /// The text.
    pub(crate) fn body(&self) -> Bytes {
        self.body.clone()
    }

    pub(crate) fn not_json(&self, scrubber: &Scrubber) -> ErrorKind {
        ErrorKind::NotJson { content_type: self.content_type.clone(), snippet: self.snippet(scrubber) }
    }

    fn snippet(&self, scrubber: &Scrubber) -> String {
        scrubber.show(&String::from_utf8_lossy(&self.body[..self.body.len().min(SNIPPET)]))
    }
}

/// What a report of an error within an answer means.
pub(crate) fn refused(message: &str, scrubber: &Scrubber) -> ErrorKind {
    refusal(200, scrubber.show(message), None)
}

fn plain(encoding: ContentEncoding, blocks: Vec<Bytes>, limit: usize) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    // An empty answer may name the encoding that it would have used.
    if blocks.is_empty() {
        return Ok(body);
    }
    for block in Decompressed::new(encoding, blocks.into_iter().map(Ok)) {
        let block = block?;
        if body.len() + block.len() > limit {
            return Err(ErrorKind::TooLarge { limit }.into());
        }
        body.extend_from_slice(&block);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(body: &str) -> Option<String> {
        Answer { body: Bytes::copy_from_slice(body.as_bytes()), content_type: None }.error()
    }

    #[test]
    fn errors_are_told_from_things_called_error() {
        assert_eq!(error(r#" {"request": "x", "error": "bad \"where\""}"#).unwrap(), "bad \"where\"");
        assert_eq!(error(r#"{"status": "error", "error": {"code": 1}}"#).unwrap(), r#"{"code": 1}"#);
        assert_eq!(error(r#"{"status": "error"}"#).unwrap(), "no explanation given");
        // A property of that name, an answer that says there is none, and other shapes.
        for fine in [
            r#"{"error": {"count": 295}, "plan": {"count": 1}}"#,
            r#"{"annotations": [], "error": false}"#,
            r#"{"status": "ok", "results": {"error": "x"}}"#,
            r#"["error"]"#,
            r#""error""#,
            "null",
            "",
        ] {
            assert_eq!(error(fine), None, "{fine}");
        }
    }
}
