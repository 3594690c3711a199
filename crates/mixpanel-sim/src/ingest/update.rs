//! One change of a profile: operations in, properties out.

use serde_json::{Map, Number, Value};

type Object = Map<String, Value>;

/// What a record does to a profile.
#[derive(Debug, Clone)]
pub(super) enum Operation<'a> {
    Set(&'a Object),
    SetOnce(&'a Object),
    Add(&'a Object),
    Append(&'a Object),
    Union(&'a Object),
    Remove(&'a Object),
    Unset(Vec<&'a str>),
    Delete,
}

/// An operation that takes names and values.
type OfValues<'a> = fn(&'a Object) -> Operation<'a>;

impl<'a> Operation<'a> {
    /// All operations of a record, in a fixed order; there must be one at least.
    pub(super) fn read_all(record: &'a Value) -> Result<Vec<Operation<'a>>, String> {
        let mut operations = Vec::new();
        let object = |name: &str| match record.get(name) {
            None => Ok(None),
            Some(value) => value.as_object().map(Some).ok_or_else(|| format!("{name}, must be an object")),
        };
        let kinds: [(&str, OfValues<'a>); 6] = [
            ("$set", Operation::Set),
            ("$set_once", Operation::SetOnce),
            ("$add", Operation::Add),
            ("$append", Operation::Append),
            ("$union", Operation::Union),
            ("$remove", Operation::Remove),
        ];
        for (name, kind) in kinds {
            operations.extend(object(name)?.map(kind));
        }
        for operation in &operations {
            operation.check()?;
        }
        if let Some(names) = record.get("$unset") {
            let names = names.as_array().and_then(|names| names.iter().map(Value::as_str).collect());
            operations.push(Operation::Unset(names.ok_or("$unset, must be a list of names")?));
        }
        if record.get("$delete").is_some() {
            operations.push(Operation::Delete);
        }
        if operations.is_empty() { Err("no operation, such as $set".to_owned()) } else { Ok(operations) }
    }

    fn check(&self) -> Result<(), String> {
        match self {
            Operation::Add(values) if !values.values().all(Value::is_number) => {
                Err("$add, all values must be numbers".to_owned())
            }
            Operation::Union(values) if !values.values().all(Value::is_array) => {
                Err("$union, all values must be lists".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// What becomes of a profile's properties; `None` is a profile that is not there.
    pub(super) fn apply(&self, profile: Option<Object>) -> Option<Object> {
        if matches!(self, Operation::Delete) {
            return None;
        }
        let mut properties = profile.unwrap_or_default();
        match self {
            Operation::Set(values) => {
                properties.extend(values.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            Operation::SetOnce(values) => {
                for (name, value) in *values {
                    properties.entry(name).or_insert_with(|| value.clone());
                }
            }
            Operation::Add(values) => {
                for (name, value) in *values {
                    add(properties.entry(name).or_insert_with(|| 0.into()), value);
                }
            }
            Operation::Append(values) => {
                for (name, value) in *values {
                    if let Some(list) = list(&mut properties, name) {
                        list.push(value.clone());
                    }
                }
            }
            Operation::Union(values) => {
                for (name, value) in *values {
                    let Some(list) = list(&mut properties, name) else { continue };
                    for item in value.as_array().into_iter().flatten() {
                        if !list.contains(item) {
                            list.push(item.clone());
                        }
                    }
                }
            }
            Operation::Remove(values) => {
                for (name, value) in *values {
                    if let Some(Value::Array(list)) = properties.get_mut(name) {
                        list.retain(|item| item != value);
                    }
                }
            }
            Operation::Unset(names) => {
                for name in names {
                    properties.shift_remove(*name);
                }
            }
            Operation::Delete => {}
        }
        Some(properties)
    }
}

/// Adds to a number; what is no number stays.
fn add(number: &mut Value, by: &Value) {
    let whole = number.as_i64().zip(by.as_i64()).and_then(|(a, b)| a.checked_add(b));
    let sum = match whole {
        Some(sum) => Some(sum.into()),
        None => {
            number.as_f64().zip(by.as_f64()).and_then(|(a, b)| Number::from_f64(a + b)).map(Value::Number)
        }
    };
    if let Some(sum) = sum {
        *number = sum;
    }
}

/// A list to add to, a new one if need be; what is no list stays.
fn list<'p>(properties: &'p mut Object, name: &str) -> Option<&'p mut Vec<Value>> {
    match properties.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
        Value::Array(list) => Some(list),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What a record makes of a profile.
    fn changed(profile: Value, record: Value) -> Value {
        let operations = Operation::read_all(&record).unwrap();
        let profile = operations.iter().fold(profile.as_object().cloned(), |profile, op| op.apply(profile));
        profile.map_or(Value::Null, Value::Object)
    }

    #[test]
    fn operations() {
        let old = json!({"a": 1, "n": 2, "l": [1, 2, 2], "t": "x"});
        for (record, new) in [
            (
                json!({"$set": {"a": null, "b": 2}}),
                json!({"a": null, "n": 2, "l": [1, 2, 2], "t": "x", "b": 2}),
            ),
            (
                json!({"$set_once": {"a": 9, "b": 2}}),
                json!({"a": 1, "n": 2, "l": [1, 2, 2], "t": "x", "b": 2}),
            ),
            (
                json!({"$add": {"n": -3, "m": 0.5, "t": 1}}),
                json!({"a": 1, "n": -1, "l": [1, 2, 2], "t": "x", "m": 0.5}),
            ),
            (
                json!({"$append": {"l": 2, "k": [3], "t": 1}}),
                json!({"a": 1, "n": 2, "l": [1, 2, 2, 2], "t": "x", "k": [[3]]}),
            ),
            (json!({"$union": {"l": [2, 3, 3]}}), json!({"a": 1, "n": 2, "l": [1, 2, 2, 3], "t": "x"})),
            (json!({"$remove": {"l": 2, "a": 1}}), json!({"a": 1, "n": 2, "l": [1], "t": "x"})),
            (json!({"$unset": ["a", "zzz"]}), json!({"n": 2, "l": [1, 2, 2], "t": "x"})),
            (json!({"$delete": ""}), Value::Null),
        ] {
            assert_eq!(changed(old.clone(), record.clone()), new, "{record}");
        }
        assert_eq!(changed(Value::Null, json!({"$add": {"n": 5}})), json!({"n": 5}));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for record in [
            json!({}),
            json!({"$set": []}),
            json!({"$add": {"a": "1"}}),
            json!({"$union": {"a": 1}}),
            json!({"$unset": {"a": 1}}),
            json!({"$unset": [1]}),
        ] {
            assert!(Operation::read_all(&record).is_err(), "{record}");
        }
    }
}
