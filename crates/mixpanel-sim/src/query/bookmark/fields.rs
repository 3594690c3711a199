//! Reading objects strictly: a field that nobody knows is an error that says where it is.

use serde_json::{Map, Value};

use crate::api::{Refusal, bad};

/// An object and where it is in the bookmark.
pub(in crate::query) struct Fields<'a> {
    fields: &'a Map<String, Value>,
    path: String,
}

static NULL: Value = Value::Null;

impl<'a> Fields<'a> {
    /// An object with fields that mean something, fields that are only for display, and fields that must be empty
    /// because the simulator does not know what they ask for.
    pub(in crate::query) fn read(
        value: &'a Value,
        path: impl Into<String>,
        known: &[&str],
        display: &[&str],
        unsupported: &[&str],
    ) -> Result<Fields<'a>, Refusal> {
        let path = path.into();
        let fields = value.as_object().ok_or_else(|| bad(format!("{path}: must be an object")))?;
        for (name, value) in fields {
            let name = name.as_str();
            if unsupported.contains(&name) && !is_empty(value) {
                return Err(bad(format!("{path}.{name}: not supported by the simulator")));
            }
            if !known.contains(&name) && !display.contains(&name) && !unsupported.contains(&name) {
                return Err(bad(format!("{path}.{name}: Extra inputs are not permitted")));
            }
        }
        Ok(Fields { fields, path })
    }

    pub(in crate::query) fn get(&self, name: &str) -> &'a Value {
        self.fields.get(name).unwrap_or(&NULL)
    }

    pub(in crate::query) fn path(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    pub(in crate::query) fn error(&self, name: &str, reason: &str) -> Refusal {
        bad(format!("{}.{name}: {reason}", self.path))
    }

    /// A text; null is none.
    pub(in crate::query) fn text(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        match self.get(name) {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text)),
            _ => Err(self.error(name, "must be a string")),
        }
    }

    pub(in crate::query) fn required(&self, name: &str) -> Result<&'a str, Refusal> {
        self.text(name)?.ok_or_else(|| self.error(name, "Field required"))
    }

    /// One of a few words.
    pub(in crate::query) fn choice<T: Copy>(
        &self,
        name: &str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, Refusal> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let found = words.iter().find(|(word, _)| *word == text).map(|&(_, value)| Some(value));
        found.ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.error(name, &format!("\"{text}\" is not one of {}", words.join(", ")))
        })
    }

    pub(in crate::query) fn integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        match self.get(name) {
            Value::Null => Ok(None),
            value => value.as_i64().map(Some).ok_or_else(|| self.error(name, "must be an integer")),
        }
    }

    pub(in crate::query) fn boolean(&self, name: &str) -> Result<bool, Refusal> {
        match self.get(name) {
            Value::Null => Ok(false),
            Value::Bool(value) => Ok(*value),
            _ => Err(self.error(name, "must be a boolean")),
        }
    }

    /// A list with the paths of its items; null is an empty one.
    pub(in crate::query) fn list(&self, name: &str) -> Result<Vec<(String, &'a Value)>, Refusal> {
        match self.get(name) {
            Value::Null => Ok(Vec::new()),
            Value::Array(items) => {
                let path = |index: usize| format!("{}.{name}.{index}", self.path);
                Ok(items.iter().enumerate().map(|(index, item)| (path(index), item)).collect())
            }
            _ => Err(self.error(name, "must be a list")),
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Number(_) => false,
    }
}
