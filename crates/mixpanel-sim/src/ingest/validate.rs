//! Which events `import` refuses, and why.

use serde_json::{Map, Value};

/// Identifiers that stand for nobody.
const NOBODIES: [&str; 17] = [
    "00000000-0000-0000-0000-000000000000",
    "anon",
    "anonymous",
    "nil",
    "none",
    "null",
    "n/a",
    "na",
    "undefined",
    "unknown",
    "<nil>",
    "0",
    "-1",
    "true",
    "false",
    "[]",
    "{}",
];
const MOST_PROPERTIES: usize = 255;
const MOST_EVENT_BYTES: usize = 1 << 20;
const MOST_NESTED_BYTES: usize = 8 << 10;
const MOST_DEPTH: usize = 3;
/// 1971-01-01.
const EARLIEST_MS: i64 = 31_536_000_000;
const HOUR_MS: i64 = 3_600_000;
/// Numbers from here on are milliseconds.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// An event that may be stored.
pub(super) struct Valid<'a> {
    pub(super) event: &'a str,
    pub(super) time_ms: i64,
    pub(super) properties: &'a Map<String, Value>,
    /// The size of its JSON text.
    pub(super) bytes: usize,
}

/// The field that is wrong, and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) field: &'static str,
    pub(super) message: String,
}

fn wrong<T>(field: &'static str, message: impl std::fmt::Display) -> Result<T, Wrong> {
    Err(Wrong { field, message: format!("'{field}' is invalid: {message}") })
}

/// Checks a record of `import` at true time `now_ms`.
pub(super) fn validate(record: &Value, now_ms: i64) -> Result<Valid<'_>, Wrong> {
    let Some(event) = record["event"].as_str().filter(|name| !name.is_empty()) else {
        return wrong("event", "must be a non-empty string");
    };
    let Some(properties) = record["properties"].as_object() else {
        return wrong("properties", "must be an object");
    };
    let bytes = record.to_string().len();
    if bytes >= MOST_EVENT_BYTES {
        return wrong("properties", "the event must be smaller than 1 MB");
    }
    let Some(time) = properties.get("time").and_then(Value::as_i64) else {
        return wrong("properties.time", "must be specified as seconds since epoch");
    };
    let time_ms = milliseconds(time);
    if time_ms < EARLIEST_MS || time_ms > now_ms + HOUR_MS {
        return wrong("properties.time", "must be after 1971-01-01 and not in the future");
    }
    match properties.get("distinct_id") {
        Some(Value::String(id)) if !NOBODIES.contains(&id.to_lowercase().as_str()) => {}
        Some(Value::String(id)) => {
            return wrong("properties.distinct_id", format!("{id:?} stands for nobody in particular"));
        }
        _ => return wrong("properties.distinct_id", "must be a string"),
    }
    match properties.get("$insert_id").and_then(Value::as_str) {
        Some(id) if is_insert_id(id) => {}
        _ => return wrong("properties.$insert_id", "must be 1 to 36 letters, digits or '-'"),
    }
    if properties.len() >= MOST_PROPERTIES {
        return wrong("properties", format!("must have fewer than {MOST_PROPERTIES} properties"));
    }
    for (name, value) in properties {
        check(name, value)?;
    }
    Ok(Valid { event, time_ms, properties, bytes })
}

/// Whether a text can identify an event.
pub(super) fn is_insert_id(text: &str) -> bool {
    (1..=36).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A time in seconds or milliseconds.
pub(super) fn milliseconds(time: i64) -> i64 {
    if time.unsigned_abs() >= MILLISECONDS_FROM.unsigned_abs() { time } else { time * 1000 }
}

fn check(name: &str, value: &Value) -> Result<(), Wrong> {
    if matches!(name, "bucket" | "$bucket") {
        return wrong("properties", format!("{name:?} is a reserved name"));
    }
    if !value.is_array() && !value.is_object() {
        return Ok(());
    }
    if value.to_string().len() > MOST_NESTED_BYTES {
        return wrong("properties", format!("{name:?} is larger than 8 KB"));
    }
    let most = depth(value).ok_or_else(|| Wrong {
        field: "properties",
        message: format!("'properties' is invalid: {name:?} has a list or object of 255 or more"),
    })?;
    if most > MOST_DEPTH {
        return wrong("properties", format!("{name:?} is nested more than {MOST_DEPTH} deep"));
    }
    Ok(())
}

/// How deep a value is nested; none if one of its parts has too many parts.
fn depth(value: &Value) -> Option<usize> {
    let deepest = |inner: &mut dyn Iterator<Item = &Value>| {
        inner.map(depth).try_fold(0, |most, depth| depth.map(|depth| most.max(depth)))
    };
    match value {
        Value::Array(items) if items.len() >= MOST_PROPERTIES => None,
        Value::Object(fields) if fields.len() >= MOST_PROPERTIES => None,
        Value::Array(items) => Some(1 + deepest(&mut items.iter())?),
        Value::Object(fields) => Some(1 + deepest(&mut fields.values())?),
        _ => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW_MS: i64 = 1_751_364_000_000;

    /// The field that is refused when the good event's properties are changed like this.
    fn refused(change: impl FnOnce(&mut Value)) -> Option<&'static str> {
        let mut record = json!({
            "event": "e",
            "properties": {"time": 1_751_300_000, "distinct_id": "u", "$insert_id": "a-1"},
        });
        change(&mut record);
        validate(&record, NOW_MS).err().map(|wrong| wrong.field)
    }

    #[test]
    fn good_events_pass() {
        assert_eq!(refused(|_| {}), None);
        assert_eq!(refused(|record| record["properties"]["distinct_id"] = json!("")), None);
        assert_eq!(refused(|record| record["properties"]["time"] = json!(1_751_300_000_123u64)), None);
        assert_eq!(refused(|record| record["properties"]["x"] = json!({"a": {"b": [1]}})), None);
    }

    #[test]
    fn each_rule_refuses() {
        let set =
            |name: &'static str, value: Value| refused(move |record| record["properties"][name] = value);
        assert_eq!(refused(|record| record["event"] = json!("")), Some("event"));
        assert_eq!(refused(|record| record["event"] = json!(1)), Some("event"));
        assert_eq!(refused(|record| record["properties"] = json!([])), Some("properties"));
        for time in [json!("2025"), json!(1.5), json!(31_000_000), json!(1_751_368_000), Value::Null] {
            assert_eq!(set("time", time), Some("properties.time"));
        }
        for id in [json!(5), json!("Anonymous"), json!("0"), Value::Null] {
            assert_eq!(set("distinct_id", id), Some("properties.distinct_id"));
        }
        for id in [json!(""), json!("a_b"), json!("a".repeat(37)), json!(7)] {
            assert_eq!(set("$insert_id", id), Some("properties.$insert_id"));
        }
        assert_eq!(set("bucket", json!(1)), Some("properties"));
        assert_eq!(set("deep", json!([[[[1]]]])), Some("properties"));
        assert_eq!(set("wide", json!(vec![1; 255])), Some("properties"));
        assert_eq!(set("long", json!(["x".repeat(8192)])), Some("properties"));
        assert_eq!(set("huge", json!("x".repeat(1 << 20))), Some("properties"));
        let many =
            |record: &mut Value| (0..252).for_each(|i| record["properties"][format!("p{i}")] = json!(i));
        assert_eq!(refused(many), Some("properties"));
    }
}
