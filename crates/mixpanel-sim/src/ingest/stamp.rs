//! What the server adds to an event, and the line that is stored.

use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Map, Value};

use crate::random::Random;

const INSERT_ID_STREAM: u64 = 8;
const MOST_TEXT: usize = 255;
/// Never stored.
const DROPPED: [&str; 2] = ["token", "ip"];

/// Times of processing. No two records share one, so that of two versions the later one is known.
#[derive(Debug, Default)]
pub(crate) struct Stamps(AtomicI64);

impl Stamps {
    /// The time of processing of a record that comes at `now_ms`.
    pub(super) fn next(&self, now_ms: i64) -> i64 {
        let after = |last: i64| now_ms.max(last + 1);
        match self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |last| Some(after(last))) {
            Ok(last) | Err(last) => after(last),
        }
    }
}

/// An event that is taken in.
pub(super) struct Arrival<'a> {
    pub(super) event: &'a str,
    /// As the project stores it.
    pub(super) stored_ms: i64,
    pub(super) properties: &'a Map<String, Value>,
    pub(super) bytes: usize,
    pub(super) imported: bool,
    pub(super) received_ms: i64,
    pub(super) processed_ms: i64,
}

impl Arrival<'_> {
    /// The stored line, without its line feed.
    pub(super) fn line(self, seed: u64) -> Vec<u8> {
        let mut properties = Map::new();
        // Milliseconds are kept where there are any; an export tells seconds unless it is asked for more.
        let whole = self.stored_ms % 1000 == 0;
        let time = if whole { self.stored_ms / 1000 } else { self.stored_ms };
        properties.insert("time".to_owned(), time.into());
        let id = self.properties.get("distinct_id").cloned().unwrap_or_else(|| "".into());
        properties.insert("distinct_id".to_owned(), id);
        if !self.properties.contains_key("$insert_id") {
            properties.insert("$insert_id".to_owned(), insert_id(seed, self.processed_ms).into());
        }
        for (name, value) in self.properties {
            if !DROPPED.contains(&name.as_str()) && !properties.contains_key(name) {
                properties.insert(name.clone(), cut(value));
            }
        }
        if self.imported {
            properties.insert("$import".to_owned(), true.into());
        }
        properties.insert("$mp_api_endpoint".to_owned(), "api.mixpanel.com".into());
        properties.insert("$mp_api_timestamp_ms".to_owned(), self.received_ms.into());
        properties.insert("$mp_event_size".to_owned(), self.bytes.into());
        properties.insert("mp_processing_time_ms".to_owned(), self.processed_ms.into());
        let mut line = Map::new();
        line.insert("event".to_owned(), self.event.into());
        line.insert("properties".to_owned(), properties.into());
        Value::Object(line).to_string().into_bytes()
    }
}

/// Texts longer than 255 bytes are cut, also inside lists and objects.
fn cut(value: &Value) -> Value {
    match value {
        Value::String(text) if text.len() > MOST_TEXT => {
            let end = (0..=MOST_TEXT).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
            text[..end].into()
        }
        Value::Array(items) => items.iter().map(cut).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), cut(value))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

/// 36 letters, as the server makes them up for events without an identifier.
fn insert_id(seed: u64, processed_ms: i64) -> String {
    let mut random = Random::keyed(seed, INSERT_ID_STREAM, processed_ms as u64);
    (0..36).map(|_| char::from(b'a' + random.below(26) as u8)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_processing_rise() {
        let stamps = Stamps::default();
        assert_eq!([5, 5, 3, 100, 100].map(|now| stamps.next(now)), [5, 6, 7, 100, 101]);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let long = "é".repeat(200);
        let short = cut(&serde_json::json!([long, {"a": "ok"}]));
        assert_eq!(short[0].as_str().unwrap().len(), 254);
        assert_eq!(short[1]["a"], "ok");
    }
}
