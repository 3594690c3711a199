//! The parameters of a request: from its URL, from a form, from a JSON body.
//!
//! The body wins over the URL. Values of URL and form are texts; those of a JSON body are what they are. Where a
//! parameter has structure, a text that holds JSON does as well as the JSON itself, as clients send both.

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use jiff::civil::Date;
use serde_json::{Map, Value};

use super::refusal::{Refusal, bad};
use crate::export::params::Query;

/// Names and values.
#[derive(Debug, Default)]
pub(crate) struct Params(Map<String, Value>);

impl Params {
    /// Reads URL and body. A body of another type than form or JSON is left alone; the error is about JSON that
    /// is none.
    pub(crate) fn read(query: &str, headers: &HeaderMap, body: Bytes) -> Result<Params, Refusal> {
        let mut all = Map::new();
        take_pairs(&mut all, query);
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
        if body.is_empty() {
            return Ok(Params(all));
        }
        if media_type.eq_ignore_ascii_case("application/json") {
            let parsed: Value = serde_json::from_slice(&body)
                .map_err(|error| bad(format!("the body is not valid JSON: {error}")))?;
            match parsed {
                Value::Object(fields) => all.extend(fields),
                _ => return Err(bad("the body must be a JSON object")),
            }
        } else if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            let text = std::str::from_utf8(&body).map_err(|_| bad("the form is not UTF-8"))?;
            take_pairs(&mut all, text);
        }
        Ok(Params(all))
    }

    /// Whether there is a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A value as it came; null and an empty text are no values.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    /// A text; numbers and booleans are texts too.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
            Some(_) => Err(bad(format!("{name} must be a string"))),
        }
    }

    /// A text that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<String, Refusal> {
        self.text(name)?.ok_or_else(|| missing(name))
    }

    /// A whole number.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let wrong = || bad(format!("{name} must be an integer"));
        self.text(name)?.map(|text| text.trim().parse().map_err(|_| wrong())).transpose()
    }

    /// A truth value: `true`, `false`, `1` or `0`.
    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>, Refusal> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(Some(true)),
            "false" | "0" => Ok(Some(false)),
            _ => Err(bad(format!("{name} must be a boolean"))),
        }
    }

    /// A date, strictly `yyyy-mm-dd` and not before 2000.
    pub(crate) fn date(&self, name: &str) -> Result<Option<Date>, Refusal> {
        self.text(name)?.map(|text| crate::export::params::read_date(name, &text)).transpose()
    }

    /// A value with structure, given as such or as a text that holds it.
    pub(crate) fn json(&self, name: &str) -> Result<Option<Value>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => {
                let wrong = |error| bad(format!("{name} is not valid JSON: {error}"));
                serde_json::from_str(text).map(Some).map_err(wrong)
            }
            Some(value) => Ok(Some(value.clone())),
        }
    }

    /// A list of texts.
    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Refusal> {
        let wrong = || bad(format!("{name} must be a JSON array of strings"));
        let Some(value) = self.json(name).map_err(|_| wrong())? else { return Ok(None) };
        let items = value.as_array().ok_or_else(wrong)?;
        let texts = items.iter().map(|item| match item {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            _ => Err(wrong()),
        });
        texts.collect::<Result<Vec<_>, _>>().map(Some)
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Refusal> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|&(_, value)| Some(value)).ok_or_else(|| {
            let words: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            bad(format!("invalid {name} \"{text}\": must be one of {}", words.join(", ")))
        })
    }
}

/// What a request without a required parameter is told.
pub(crate) fn missing(name: &str) -> Refusal {
    bad(format!("Missing required parameter: {name}"))
}

fn take_pairs(all: &mut Map<String, Value>, text: &str) {
    let mut first = Map::new();
    for (name, value) in Query::parse(text).into_pairs() {
        // Of a name that is there twice the first value counts, as on the export endpoint.
        first.entry(name).or_insert(Value::String(value));
    }
    all.extend(first);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, content_type: &str, body: &str) -> Params {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        Params::read(query, &headers, Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    #[test]
    fn the_body_wins() {
        let params = read("page=1&x=a&x=b", "application/x-www-form-urlencoded", "page=2");
        assert_eq!(params.integer("page").unwrap(), Some(2));
        assert_eq!(params.text("x").unwrap().as_deref(), Some("a"));
        let params = read("page=1", "application/json; charset=utf-8", r#"{"page": 3}"#);
        assert_eq!(params.integer("page").unwrap(), Some(3));
        let params = read("page=1", "text/plain", "page=2");
        assert_eq!(params.integer("page").unwrap(), Some(1));
    }

    #[test]
    fn structure_comes_as_json_or_as_text() {
        for body in [r#"{"ids": ["a", 4]}"#, r#"{"ids": "[\"a\", 4]"}"#] {
            let params = read("", "application/json", body);
            assert_eq!(params.texts("ids").unwrap().unwrap(), ["a", "4"]);
        }
        let params = read("ids=a,b", "application/json", "");
        assert!(params.texts("ids").is_err());
        assert!(!read("ids=", "application/json", r#"{"b": null}"#).has("ids"));
    }
}
