//! One answer of an engage query, cut into its results.
//!
//! The envelope is read and checked here; what is inside of a result is not, so that one bad
//! profile does not cost a page. Results are told apart by their quotes and brackets alone.

use bytes::Bytes;
use memchr::{memchr2, memchr3};

use crate::decode::number::Number;
use crate::decode::scan::{Malformed, Scanner, Value};
use crate::decode::text::decode;

/// A page of results.
#[derive(Debug, Clone)]
pub struct Page {
    body: Bytes,
    /// Offsets of the results.
    results: Vec<(usize, usize)>,
    pub(crate) session_id: Option<String>,
    pub(crate) page_size: Option<u64>,
    pub(crate) total: Option<u64>,
    /// The number of the first result within its query, from 1.
    pub(crate) first: u64,
}

/// Why an answer is no page of results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoPage {
    /// It is not whole, or not JSON.
    Malformed,
    /// It reports an error instead.
    Error(String),
}

impl From<Malformed> for NoPage {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl Page {
    /// The results, each with its number within the query, from 1.
    pub fn results(&self) -> impl ExactSizeIterator<Item = (u64, &[u8])> {
        let number =
            |(at, &(start, end)): (usize, &(usize, usize))| (self.first + at as u64, &self.body[start..end]);
        self.results.iter().enumerate().map(number)
    }

    /// The results, each as a part of the answer that lives on.
    pub(crate) fn texts(&self) -> impl Iterator<Item = Bytes> {
        self.results.iter().map(|&(start, end)| self.body.slice(start..end))
    }

    /// How many results it has.
    pub fn len(&self) -> usize {
        self.results.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.results.is_empty()
    }

    /// The size of the answer in bytes.
    pub fn bytes(&self) -> u64 {
        self.body.len() as u64
    }

    /// About how much memory it takes, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.body.len() + self.results.len() * size_of::<(usize, usize)>()
    }

    /// Cuts an answer into its results.
    pub(crate) fn read(body: Bytes) -> Result<Self, NoPage> {
        let mut page = Self {
            body: body.clone(),
            results: Vec::new(),
            session_id: None,
            page_size: None,
            total: None,
            first: 1,
        };
        let mut scanner = Scanner::new(&body);
        let (mut error, mut found) = (None, false);
        if !scanner.eat(b'{') {
            return Err(NoPage::Malformed);
        }
        let mut more = !scanner.eat(b'}');
        while more {
            let key = scanner.key()?;
            match scanner.bytes(key.start, key.end) {
                b"results" if !found && scanner.peek() == b'[' => {
                    let end = split(&body, scanner.at(), &mut page.results).ok_or(NoPage::Malformed)?;
                    scanner.go_to(end);
                    found = true;
                }
                name => {
                    let (value, start, end) = scanner.other_value(1)?;
                    match (name, value) {
                        (b"session_id", Value::String { escaped }) => {
                            page.session_id = Some(text(&body[start..end], escaped));
                        }
                        (b"session_id", Value::Number(_)) => {
                            page.session_id = Some(text(&body[start..end], false))
                        }
                        (b"page_size", value) => page.page_size = count(value),
                        (b"total", value) => page.total = count(value),
                        (b"error", Value::Null) => {}
                        (b"error", Value::String { escaped }) => {
                            error = Some(text(&body[start..end], escaped))
                        }
                        (b"error", _) => error = Some(text(&body[start..end], false)),
                        _ => {}
                    }
                }
            }
            more = scanner.another(b'}')?;
        }
        match error {
            _ if !scanner.at_end() => Err(NoPage::Malformed),
            Some(message) => Err(NoPage::Error(message)),
            None if found => Ok(page),
            None => Err(NoPage::Malformed),
        }
    }
}

fn count(value: Value) -> Option<u64> {
    match value {
        Value::Number(Number::Integer(count)) => u64::try_from(count).ok(),
        _ => None,
    }
}

fn text(literal: &[u8], escaped: bool) -> String {
    let mut said = Vec::new();
    decode(literal, escaped, &mut said);
    String::from_utf8_lossy(&said).into_owned()
}

/// Finds the elements of the array that opens at `start`; gives the offset behind it.
fn split(body: &[u8], start: usize, results: &mut Vec<(usize, usize)>) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += body.get(at..)?.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if body.get(at) == Some(&b']') && results.is_empty() {
            return Some(at + 1);
        }
        let end = end_of_element(body, at)?;
        results.push((at, end));
        at = end + body.get(end..)?.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        match body.get(at) {
            Some(b',') => at += 1,
            Some(b']') => return Some(at + 1),
            _ => return None,
        }
    }
}

/// The offset behind the element that begins at `at`.
fn end_of_element(body: &[u8], mut at: usize) -> Option<usize> {
    let (open, close) = match body.get(at)? {
        b'{' => (b'{', b'}'),
        b'[' => (b'[', b']'),
        b'"' => return end_of_string(body, at),
        b',' | b']' => return None,
        _ => return Some(at + memchr2(b',', b']', &body[at..])?),
    };
    let mut depth = 0_usize;
    loop {
        at += memchr3(b'"', open, close, body.get(at..)?)?;
        match body[at] {
            b'"' => at = end_of_string(body, at)?,
            byte => {
                at += 1;
                depth = if byte == open { depth + 1 } else { depth - 1 };
                if depth == 0 {
                    return Some(at);
                }
            }
        }
    }
}

/// The offset behind the string whose opening quote is at `at`.
fn end_of_string(body: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at += memchr2(b'"', b'\\', body.get(at..)?)?;
        if body[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(body: &str) -> Result<Page, NoPage> {
        Page::read(Bytes::copy_from_slice(body.as_bytes()))
    }

    fn results(page: &Page) -> Vec<(u64, &str)> {
        page.results().map(|(number, text)| (number, std::str::from_utf8(text).unwrap())).collect()
    }

    #[test]
    fn the_documented_answer_is_read() {
        let page = read(
            r#"{"page":0,"page_size":1000,"session_id":"1234567890-EXAMPL","status":"ok","total":2,
                "results":[{"$distinct_id":"u1","$properties":{"$email":"a@x.io"}}, {"$distinct_id":2}]}"#,
        )
        .unwrap();
        assert_eq!(page.session_id.as_deref(), Some("1234567890-EXAMPL"));
        assert_eq!((page.page_size, page.total, page.len()), (Some(1000), Some(2), 2));
        let expected =
            [(1, r#"{"$distinct_id":"u1","$properties":{"$email":"a@x.io"}}"#), (2, r#"{"$distinct_id":2}"#)];
        assert_eq!(results(&page), expected);
    }

    #[test]
    fn results_are_told_apart_whatever_is_in_them() {
        let elements = [
            r#"{"a":"}]\"{","b":[{"c":"\\"}]}"#,
            "null",
            "[1,[2,\"]\"],{}]",
            r#"",]""#,
            "17",
            r#"{"not": json, ][ }"#,
            &format!(r#"{{"deep":{}{}}}"#, "[".repeat(500), "]".repeat(500)),
        ];
        for separator in [",", " , ", "\n,\n"] {
            let page = read(&format!("{{\"results\": [ {} ] }}", elements.join(separator))).unwrap();
            let trimmed: Vec<_> =
                page.results().map(|(_, text)| std::str::from_utf8(text).unwrap().trim()).collect();
            assert_eq!(trimmed, elements);
        }
        assert!(read(r#"{"results":[]}"#).unwrap().is_empty());
    }

    #[test]
    fn errors_inside_an_answer_are_errors() {
        assert_eq!(read(r#"{"error":"no \"x\""}"#).unwrap_err(), NoPage::Error("no \"x\"".into()));
        assert_eq!(read(r#"{"results":[],"error":"x"}"#).unwrap_err(), NoPage::Error("x".into()));
        assert_eq!(read(r#"{"error":{"a":1}}"#).unwrap_err(), NoPage::Error(r#"{"a":1}"#.into()));
        assert!(read(r#"{"results":[],"error":null}"#).is_ok());
    }

    #[test]
    fn every_cut_answer_is_noticed() {
        let whole =
            r#"{"page":0,"results":[{"$distinct_id":"a,b]}","$properties":{}},null],"session_id":"s"}"#;
        assert!(read(whole).is_ok());
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]).unwrap_err(), NoPage::Malformed, "{}", &whole[..end]);
        }
        for wrong in [
            "[]",
            "{}",
            r#"{"results":{}}"#,
            r#"{"results":[,]}"#,
            r#"{"results":[1,]}"#,
            r#"{"results":[1]}x"#,
        ] {
            assert_eq!(read(wrong).unwrap_err(), NoPage::Malformed, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_serde_reads_is_split_alike(values in proptest::collection::vec(
            prop_oneof![any::<i64>().prop_map(serde_json::Value::from), ".*".prop_map(serde_json::Value::from),
                proptest::collection::vec((".*", ".*"), 0..4).prop_map(|members| {
                    members.into_iter().map(|(name, value)| (name, value.into())).collect::<serde_json::Map<_, _>>().into()
                })], 0..6)) {
            let body = serde_json::json!({ "results": values }).to_string();
            let page = read(&body).unwrap();
            let split: Vec<serde_json::Value> =
                page.results().map(|(_, text)| serde_json::from_slice(text).unwrap()).collect();
            prop_assert_eq!(split, values);
        }

        #[test]
        fn no_bytes_make_it_panic(tail in ".*") {
            let _ = read(&tail);
            let _ = read(&format!("{{\"results\":[{tail}"));
        }
    }
}
