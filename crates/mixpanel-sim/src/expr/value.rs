//! The values expressions compute with.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// A value of the expression language.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A property that is not there, or the result of an operation that makes no sense.
    Undefined,
    /// A JSON null.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number; all are doubles.
    Number(f64),
    /// A string.
    Text(String),
    /// An instant, in milliseconds since the epoch.
    Datetime(i64),
    /// A list.
    List(Vec<Value>),
    /// An object, as names and values in their order.
    Object(Vec<(String, Value)>),
}

/// Numbers from here on are epoch milliseconds, smaller ones epoch seconds (which here means the year 5138).
const MILLISECONDS_FROM: f64 = 1e11;

impl Value {
    /// The value of a JSON text.
    pub fn from_json(json: &serde_json::Value) -> Value {
        match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(*value),
            serde_json::Value::Number(value) => value.as_f64().map_or(Value::Undefined, Value::Number),
            serde_json::Value::String(value) => Value::Text(value.clone()),
            serde_json::Value::Array(items) => Value::List(items.iter().map(Value::from_json).collect()),
            serde_json::Value::Object(fields) => Value::Object(
                fields.iter().map(|(name, value)| (name.clone(), Value::from_json(value))).collect(),
            ),
        }
    }

    /// What messages call this kind of value.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Undefined => "undefined",
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "a string",
            Value::Datetime(_) => "a datetime",
            Value::List(_) => "a list",
            Value::Object(_) => "an object",
        }
    }

    /// A field of an object; anything else has none.
    pub(super) fn field(&self, name: &str) -> Value {
        match self {
            Value::Object(fields) => fields
                .iter()
                .find(|(field, _)| field == name)
                .map_or(Value::Undefined, |(_, value)| value.clone()),
            _ => Value::Undefined,
        }
    }

    /// Equality as `==` sees it: values of different types are unequal, except that an instant equals a number
    /// or text that names it.
    pub(super) fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Datetime(a), b) | (b, Value::Datetime(a)) => b.instant() == Some(*a),
            (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b)),
            (a, b) => a == b,
        }
    }

    /// This value as an instant in milliseconds, if it can be read as one.
    pub(super) fn instant(&self) -> Option<i64> {
        match self {
            Value::Datetime(ms) => Some(*ms),
            Value::Number(number) if number.abs() >= MILLISECONDS_FROM => Some(*number as i64),
            Value::Number(number) => Some((number * 1000.0).round() as i64),
            Value::Text(text) => parse_instant(text),
            _ => None,
        }
    }
}

/// An ISO date, a date with a time (read as UTC), or one with an offset.
fn parse_instant(text: &str) -> Option<i64> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant.as_millisecond());
    }
    let wall = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(DateTime::from)).ok()?;
    wall.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp().as_millisecond())
}
