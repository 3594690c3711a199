//! Events with their fields beside the properties, as lines of an export. Pure.
//!
//! ```text
//! {"event_name":"a","time":1,"distinct_id":"u","insert_id":"i","properties":{"plan":"pro"}}
//! {"event":"a","properties":{"time":1,"distinct_id":"u","$insert_id":"i","plan":"pro"}}
//! ```
//!
//! The properties keep their exact text. A field is put in front of them only if they lack it, so
//! that what a stream of this library printed becomes the very event that it was printed from.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::time;

/// Fields, and the properties that they are.
const FIELDS: [(&str, &str); 6] = [
    ("time", "time"),
    ("event_time", "time"),
    ("distinct_id", "distinct_id"),
    ("insert_id", "$insert_id"),
    ("device_id", "$device_id"),
    ("user_id", "$user_id"),
];

/// The members of an object, in order, with their exact texts.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some(Name(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reading)
    }
}

/// A name that is borrowed where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Reading)
    }
}

/// Writes a record as a line of an export. `false`: it is no record, and nothing was written.
pub(super) fn write_export(record: &[u8], into: &mut Vec<u8>) -> bool {
    let Ok(Members(members)) = serde_json::from_slice(record) else { return false };
    let find = |name: &str| members.iter().find(|(known, _)| known == name).map(|(_, value)| value.get());
    let Some(event) = find("event_name").or_else(|| find("event")) else { return false };
    let properties = find("properties").unwrap_or("{}");
    // Warehouses write the object as a text.
    let unquoted: String;
    let properties = match properties.starts_with('"') {
        true => match serde_json::from_str::<String>(properties) {
            Ok(text) => {
                unquoted = text;
                unquoted.trim()
            }
            Err(_) => return false,
        },
        false if properties == "null" => "{}",
        false => properties,
    };
    let Ok(Members(known)) = serde_json::from_str(properties) else { return false };
    let has = |name: &str| known.iter().any(|(known, _)| known == name);
    let start = into.len();
    into.extend_from_slice(b"{\"event\":");
    into.extend_from_slice(event.as_bytes());
    into.extend_from_slice(b",\"properties\":{");
    let mut given: Vec<&str> = Vec::new();
    for (name, value) in &members {
        if matches!(&**name, "event_name" | "event" | "properties") {
            continue;
        }
        let field = FIELDS.iter().find(|(field, _)| field == name).map(|(_, property)| *property);
        let property = field.unwrap_or(name);
        let value = value.get();
        if value == "null" || has(property) || given.contains(&property) || is_made(property, value) {
            continue;
        }
        if into.last() != Some(&b'{') {
            into.push(b',');
        }
        serde_json::to_writer(&mut *into, property).expect("memory takes everything");
        into.push(b':');
        match property {
            "time" => match time_of(value) {
                Some(time) => into.extend_from_slice(time.as_bytes()),
                None => into.extend_from_slice(value.as_bytes()),
            },
            _ => into.extend_from_slice(value.as_bytes()),
        }
        given.push(property);
    }
    if given.is_empty() {
        // To the last byte.
        into.truncate(start);
        into.extend_from_slice(b"{\"event\":");
        into.extend_from_slice(event.as_bytes());
        into.extend_from_slice(b",\"properties\":");
        into.extend_from_slice(properties.as_bytes());
        into.push(b'}');
        return true;
    }
    let rest = &properties[1..properties.len() - 1];
    if !rest.trim().is_empty() {
        into.push(b',');
        into.extend_from_slice(rest.as_bytes());
    }
    into.extend_from_slice(b"}}");
    true
}

/// A time that is written as text, as the number that an export would have.
fn time_of(value: &str) -> Option<String> {
    let text: String = serde_json::from_str(value).ok()?;
    time::of_text(&text, None)
}

/// Whether this is an insert id that was made here for an event without one: then it is made again.
fn is_made(property: &str, value: &str) -> bool {
    let made = || {
        let hash = value.strip_prefix("\"mp-")?.strip_suffix('"')?;
        let (hash, number) = hash.split_at_checked(32)?;
        let numbered = number.is_empty()
            || number
                .strip_prefix('-')
                .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        Some(numbered && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    property == "$insert_id" && made().unwrap_or(false)
}

/// Whether a text is one JSON value, and nothing is missing of it.
pub(super) fn is_whole(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// The names in an object of which the end may be missing; not those of objects in it.
pub(super) fn top_level_names(object: &[u8]) -> Vec<String> {
    let (mut names, mut depth, mut at) = (Vec::new(), 0_usize, 0);
    while at < object.len() {
        match object[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let start = at;
                at += 1;
                while at < object.len() && object[at] != b'"' {
                    at += if object[at] == b'\\' { 2 } else { 1 };
                }
                let Some(text) = object.get(start..=at) else { break };
                let is_name = object[at + 1..].trim_ascii_start().first() == Some(&b':');
                if let (1, true, Ok(name)) = (depth, is_name, serde_json::from_slice(text)) {
                    names.push(name);
                }
            }
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(record: &str) -> Option<String> {
        let mut into = b"before".to_vec();
        let written = write_export(record.as_bytes(), &mut into);
        assert!(into.starts_with(b"before") && (written || into.len() == 6));
        written.then(|| String::from_utf8(into.split_off(6)).unwrap())
    }

    #[test]
    fn fields_become_properties_unless_they_are_there() {
        for (record, line) in [
            (
                r#"{"event_name":"a","time":1700000000,"distinct_id":"u","insert_id":"i","device_id":null,"user_id":"u","properties":{ "n": 1.50 }}"#,
                r#"{"event":"a","properties":{"time":1700000000,"distinct_id":"u","$insert_id":"i","$user_id":"u", "n": 1.50 }}"#,
            ),
            // A record of a stream: the properties have it all.
            (
                r#"{"event_name":"Say \"hi\"","event_time":"2020-10-13T17:48:31","distinct_id":"7","insert_id":"i","properties":{"time":1602611311,"distinct_id":7,"$insert_id":"i","a": 1.50}}"#,
                r#"{"event":"Say \"hi\"","properties":{"time":1602611311,"distinct_id":7,"$insert_id":"i","a": 1.50}}"#,
            ),
            // The original's: no time in the properties, and a zone.
            (
                r#"{"event_name":"a","event_time":"2020-10-13T17:48:31+00:00","distinct_id":"u","insert_id":"i","properties":{}}"#,
                r#"{"event":"a","properties":{"time":1602611311,"distinct_id":"u","$insert_id":"i"}}"#,
            ),
            (
                r#"{"event_name":"a","time":"2024-01-01 00:00:00.250 UTC","properties":"{\"plan\":\"pro\"}","extra":[1]}"#,
                r#"{"event":"a","properties":{"time":1704067200250,"extra":[1],"plan":"pro"}}"#,
            ),
            (
                r#"{"event_name":"a","insert_id":"mp-0123456789abcdef0123456789abcdef-2","properties":{"time":1}}"#,
                r#"{"event":"a","properties":{"time":1}}"#,
            ),
            (r#"{"event_name":"a","time":"soon"}"#, r#"{"event":"a","properties":{"time":"soon"}}"#),
        ] {
            assert_eq!(export(record).as_deref(), Some(line));
        }
        for none in [
            "",
            "{",
            "[]",
            r#"{"a":1}"#,
            r#"{"event_name":"a","properties":[]}"#,
            r#"{"event_name":"a","properties":"x"}"#,
        ] {
            assert_eq!(export(none), None, "{none}");
        }
    }

    #[test]
    fn names_of_a_cut_object_are_found() {
        let names = |text: &str| top_level_names(text.as_bytes());
        assert_eq!(names(r#"{"a":{"b":1},"c" : [{"d":1}],"e\n":"x\"y","f"#), ["a", "c", "e\n"]);
        assert_eq!(names(r#"{"a":1} {"b":2}"#), ["a"]);
        assert!(names("").is_empty() && names("{\"").is_empty() && names("{\"\\").is_empty());
    }
}
