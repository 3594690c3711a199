//! Addresses and server texts, made fit to be shown.

use std::fmt;

use reqwest::Url;

/// Query parameters that say nothing private.
const SHOWN: [&str; 5] = ["project_id", "from_date", "to_date", "limit", "time_in_ms"];

/// Longest text of a server that is kept in an error, in characters.
const MAX_TEXT: usize = 500;

/// An address whose user, password, fragment and private query values are masked.
///
/// It is masked when it is made, so there is no way back to the original.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedactedUrl(String);

impl RedactedUrl {
    pub(crate) fn new(url: &Url) -> Self {
        let mut text = format!("{}://{}{}", url.scheme(), host_of(url), url.path());
        for (index, (key, value)) in url.query_pairs().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            text.push_str(&key);
            text.push('=');
            text.push_str(if SHOWN.contains(&&*key) { &value } else { "***" });
        }
        Self(text)
    }

    /// The masked address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Host and, if it is not the scheme's usual one, port.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Cuts a server's text to a length that fits an error, and makes control characters harmless.
pub(crate) fn shown_text(text: &str) -> String {
    let mut shown = String::new();
    for (count, c) in text.trim().chars().enumerate() {
        if count == MAX_TEXT {
            shown.push('…');
            break;
        }
        shown.push(if c.is_control() { ' ' } else { c });
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_what_is_private() {
        let url = "https://u:CANARY@h.example:81/p/q?from_date=2024-01-01&where=CANARY&x=CANARY#CANARY";
        let shown = RedactedUrl::new(&Url::parse(url).unwrap()).to_string();
        assert_eq!(shown, "https://h.example:81/p/q?from_date=2024-01-01&where=***&x=***");
    }

    #[test]
    fn cuts_and_cleans_texts() {
        assert_eq!(shown_text(" a\n\u{1b}[31mb "), "a  [31mb");
        let long = shown_text(&"é".repeat(600));
        assert_eq!(long.chars().count(), 501);
        assert!(long.ends_with('…'));
    }
}
