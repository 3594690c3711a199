//! What lines say, read with `serde_json` and the rules written down a second time, plainly.

use std::borrow::Cow;
use std::fmt;

use mixpanel_client::export::{PropertyStats, RejectReason};
use mixpanel_client::schema::ColumnKind;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An event, with the texts of its properties.
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) time_us: i64,
    pub(crate) distinct_id: String,
    pub(crate) insert_id: Option<String>,
    pub(crate) properties: String,
    pub(crate) processed_ms: Option<i64>,
    /// Without duplicates.
    pub(crate) members: Vec<(String, String)>,
}

/// The members of an object with their texts; of duplicates the first.
struct Members(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members: Vec<(String, String)> = Vec::new();
                while let Some((name, raw)) = map.next_entry::<Cow<'_, str>, &RawValue>()? {
                    if members.iter().all(|(seen, _)| *seen != name) {
                        members.push((name.into_owned(), raw.get().to_owned()));
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

fn get<'a>(members: &'a [(String, String)], name: &str) -> Option<&'a str> {
    members.iter().find(|(own, _)| own == name).map(|(_, raw)| &raw[..])
}

/// Whether a JSON text escapes half a surrogate pair. Backslashes occur in strings only.
fn has_lone_surrogate(text: &str) -> bool {
    let mut units = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (unit, length) = match (first, rest.as_bytes().get(1)) {
            ('\\', Some(b'u')) => (u16::from_str_radix(&rest[2..6], 16).unwrap(), 6),
            ('\\', _) => (0, 2),
            _ => (0, first.len_utf8()),
        };
        units.push(unit);
        rest = &rest[length..];
    }
    char::decode_utf16(units).any(|unit| unit.is_err())
}

/// Reads a line that has no byte order mark.
pub(crate) fn read(line: &[u8]) -> Result<Event, RejectReason> {
    let text = std::str::from_utf8(line).map_err(|_| RejectReason::NotUtf8)?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|_| RejectReason::NotJson)?;
    if has_lone_surrogate(text) {
        return Err(RejectReason::LoneSurrogate);
    }
    let members = serde_json::from_str::<Members>(text).map_err(|_| RejectReason::NoEvent)?.0;
    let name = get(&members, "event").ok_or(RejectReason::NoEvent)?;
    let name = serde_json::from_str(name).map_err(|_| RejectReason::NoEvent)?;
    let properties = get(&members, "properties").ok_or(RejectReason::NoProperties)?;
    let members = serde_json::from_str::<Members>(properties).map_err(|_| RejectReason::NoProperties)?.0;
    let time = get(&members, "time").filter(|time| *time != "null").ok_or(RejectReason::NoTime)?;
    let time_us = micros(time).ok_or(RejectReason::BadTime)?;
    let distinct_id = match get(&members, "distinct_id") {
        None | Some("null") => String::new(),
        Some(raw) if class(raw) == Class::String || is_number(raw) => said(raw),
        Some(_) => return Err(RejectReason::BadDistinctId),
    };
    let insert_id = get(&members, "$insert_id")
        .filter(|raw| class(raw) == Class::String || is_number(raw))
        .map(said)
        .filter(|id| !id.is_empty());
    let processed_ms = get(&members, "mp_processing_time_ms")
        .filter(|raw| matches!(class(raw), Class::Integer))
        .and_then(|raw| raw.parse().ok());
    Ok(Event {
        name,
        time_us,
        distinct_id,
        insert_id,
        properties: properties.to_owned(),
        processed_ms,
        members,
    })
}

fn micros(raw: &str) -> Option<i64> {
    if !is_number(raw) {
        return None;
    }
    let micros = if raw.contains(['.', 'e', 'E']) {
        let time: f64 = raw.parse().ok()?;
        (time * if time.abs() >= 1e11 { 1e3 } else { 1e6 }).round() as i128
    } else {
        let time: i128 = raw.parse().ok()?;
        time.checked_mul(if time.abs() >= 100_000_000_000 { 1_000 } else { 1_000_000 })?
    };
    let end: i128 = 253_402_300_800_000_000;
    (0..end).contains(&micros).then_some(micros as i64)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Null,
    Boolean,
    Integer,
    Float,
    HugeInteger,
    HugeFloat,
    String,
    Object,
    Array,
}

fn is_number(raw: &str) -> bool {
    raw.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

fn class(raw: &str) -> Class {
    match raw.as_bytes()[0] {
        b'n' => Class::Null,
        b't' | b'f' => Class::Boolean,
        b'"' => Class::String,
        b'{' => Class::Object,
        b'[' => Class::Array,
        _ if raw == "-0" => Class::Float,
        _ if raw.contains(['.', 'e', 'E']) => {
            if raw.parse::<f64>().unwrap().is_finite() {
                Class::Float
            } else {
                Class::HugeFloat
            }
        }
        _ => {
            if raw.parse::<i64>().is_ok() {
                Class::Integer
            } else {
                Class::HugeInteger
            }
        }
    }
}

/// Strings as what they say, all else as its text.
fn said(raw: &str) -> String {
    serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned())
}

/// A double with all its bits.
pub(crate) fn exact(double: f64) -> String {
    format!("{double} {:x}", double.to_bits())
}

/// All values of one property: row, text, and the time of the event.
#[derive(Default)]
pub(crate) struct Property<'a> {
    pub(crate) values: Vec<(usize, &'a str, i64)>,
}

impl Property<'_> {
    fn count(&self, wanted: &[Class]) -> u64 {
        self.values.iter().filter(|(_, raw, _)| wanted.contains(&class(raw))).count() as u64
    }

    fn wide(&self) -> u64 {
        let wide = |raw: &str| raw.parse::<i64>().is_ok_and(|value| value.unsigned_abs() > 1 << 53);
        self.values.iter().filter(|(_, raw, _)| class(raw) == Class::Integer && wide(raw)).count() as u64
    }

    pub(crate) fn stats(&self, name: &str) -> PropertyStats {
        let nulls = self.count(&[Class::Null]);
        PropertyStats {
            name: name.to_owned(),
            rows: self.values.len() as u64 - nulls,
            nulls,
            booleans: self.count(&[Class::Boolean]),
            integers: self.count(&[Class::Integer, Class::HugeInteger]),
            wide_integers: self.wide(),
            floats: self.count(&[Class::Float, Class::HugeFloat]),
            huge_numbers: self.count(&[Class::HugeInteger, Class::HugeFloat]),
            strings: self.count(&[Class::String]),
            objects: self.count(&[Class::Object]),
            arrays: self.count(&[Class::Array]),
            first_seen_us: self.values.iter().map(|(.., time)| *time).min().unwrap(),
            last_seen_us: self.values.iter().map(|(.., time)| *time).max().unwrap(),
        }
    }

    /// The kind of the column; none when all values are null.
    pub(crate) fn kind(&self, floor: Option<ColumnKind>) -> Option<ColumnKind> {
        let mut kinds: Vec<_> = self
            .values
            .iter()
            .filter_map(|(_, raw, _)| match class(raw) {
                Class::Null => None,
                Class::Boolean => Some(ColumnKind::Boolean),
                Class::Integer => Some(ColumnKind::BigInt),
                Class::Float => Some(ColumnKind::Double),
                Class::String => Some(ColumnKind::Varchar),
                Class::Object | Class::Array => Some(ColumnKind::Json),
                Class::HugeInteger | Class::HugeFloat => Some(ColumnKind::Mixed),
            })
            .collect();
        if kinds.is_empty() {
            return None;
        }
        kinds.extend(floor);
        kinds.sort();
        kinds.dedup();
        Some(match kinds[..] {
            [one] => {
                if one == ColumnKind::Double && self.wide() > 0 {
                    ColumnKind::Mixed
                } else {
                    one
                }
            }
            [ColumnKind::BigInt, ColumnKind::Double] if self.wide() == 0 => ColumnKind::Double,
            _ => ColumnKind::Mixed,
        })
    }

    /// The column's values, as the tests render them.
    pub(crate) fn column(&self, kind: ColumnKind, rows: usize) -> Vec<Option<String>> {
        let mut column = vec![None; rows];
        for (row, raw, _) in self.values.iter().filter(|(_, raw, _)| *raw != "null") {
            column[*row] = Some(match kind {
                ColumnKind::Boolean | ColumnKind::BigInt => (*raw).to_owned(),
                ColumnKind::Double => exact(raw.parse().unwrap()),
                ColumnKind::Varchar | ColumnKind::Json | ColumnKind::Mixed => said(raw),
            });
        }
        column
    }
}
