//! What a segment is called: the text of a value.

use std::collections::BTreeMap;

use crate::expr::Value;

/// The text of a value: numbers and truth values as in JSON, `undefined` for one that is missing, JSON for lists
/// and objects.
pub(super) fn key(value: &Value) -> String {
    match value {
        Value::Undefined => "undefined".to_owned(),
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::Text(text) => text.clone(),
        Value::Datetime(ms) => jiff::Timestamp::from_millisecond(*ms)
            .map_or_else(|_| "undefined".to_owned(), |at| at.strftime("%Y-%m-%dT%H:%M:%S").to_string()),
        Value::List(_) | Value::Object(_) => json(value).to_string(),
    }
}

/// The segments with the largest totals, the largest first; equal ones by name.
pub(super) fn largest<'a>(counts: impl Iterator<Item = (&'a str, u64)>, limit: usize) -> Vec<String> {
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for (key, count) in counts {
        *totals.entry(key).or_default() += count;
    }
    let mut ranked: Vec<(&str, u64)> = totals.into_iter().collect();
    ranked.sort_by_key(|&(_, total)| std::cmp::Reverse(total));
    ranked.into_iter().take(limit).map(|(key, _)| key.to_owned()).collect()
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Undefined | Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(value) => super::tally::number(*value),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Object(fields) => serde_json::Value::Object(
            fields.iter().map(|(name, value)| (name.clone(), json(value))).collect(),
        ),
        text @ (Value::Text(_) | Value::Datetime(_)) => key(text).into(),
    }
}
