//! Python values as JSON text, and JSON values as Python objects.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDate, PyDict, PyFloat, PyInt, PyList, PyMapping, PyMemoryView, PyString,
    PyTuple,
};
use serde::Serialize;

/// How deep values may be nested; the decoder has the same limit.
const MAX_DEPTH: u32 = 127;

/// Why a value has no JSON form, and where it is.
pub(crate) struct NotJson {
    /// From the inside out.
    path: Vec<String>,
    why: String,
}

impl NotJson {
    fn new(why: impl Into<String>) -> Self {
        NotJson { path: Vec::new(), why: why.into() }
    }

    fn within(mut self, key: impl Into<String>) -> Self {
        // Of a deep nest, the outermost keys are enough.
        if self.path.len() > 8 {
            self.path.remove(0);
        }
        self.path.push(key.into());
        self
    }

    /// `properties.address.zip is NaN, …`, for a value called `name`.
    pub(crate) fn describe(&self, name: &str) -> String {
        let path: String = self.path.iter().rev().map(|key| format!(".{key}")).collect();
        format!("{name}{path} {}", self.why)
    }
}

/// Writes a value as JSON.
pub(crate) fn write(value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> Result<(), NotJson> {
    write_at(value, out, 0)
}

fn write_at(value: &Bound<'_, PyAny>, out: &mut Vec<u8>, depth: u32) -> Result<(), NotJson> {
    if depth > MAX_DEPTH {
        return Err(NotJson::new(format!("is nested deeper than {} levels", MAX_DEPTH + 1)));
    }
    if let Ok(text) = value.cast::<PyString>() {
        write_text(text, out)
    } else if value.is_none() {
        out.extend_from_slice(b"null");
        Ok(())
    } else if let Ok(value) = value.cast::<PyBool>() {
        out.extend_from_slice(if value.is_true() { b"true" } else { b"false" });
        Ok(())
    } else if let Ok(value) = value.cast::<PyInt>() {
        write_integer(value, out)
    } else if let Ok(value) = value.cast::<PyFloat>() {
        write_number(value.value(), out)
    } else if let Ok(members) = value.cast::<PyDict>() {
        write_members(members.iter(), out, depth)
    } else if let Ok(items) = value.cast::<PyList>() {
        write_items(items.iter(), out, depth)
    } else if let Ok(items) = value.cast::<PyTuple>() {
        write_items(items.iter(), out, depth)
    } else {
        write_other(value, out, depth)
    }
}

fn write_text(text: &Bound<'_, PyString>, out: &mut Vec<u8>) -> Result<(), NotJson> {
    let text = text.to_str().map_err(|_| NotJson::new("has a lone surrogate, which is no text"))?;
    serde_json::to_writer(out, text).map_err(|error| NotJson::new(error.to_string()))
}

fn write_integer(value: &Bound<'_, PyInt>, out: &mut Vec<u8>) -> Result<(), NotJson> {
    if let Ok(small) = value.extract::<i64>() {
        return serde_json::to_writer(out, &small).map_err(|error| NotJson::new(error.to_string()));
    }
    // Of any size; Python itself refuses to write more than 4,300 digits. By
    // `int`, since a subclass may print itself otherwise.
    let text = value.py().get_type::<PyInt>().call_method1("__repr__", (value,));
    let text = text.and_then(|text| text.extract::<String>());
    out.extend_from_slice(text.map_err(|_| NotJson::new("has too many digits"))?.as_bytes());
    Ok(())
}

fn write_number(value: f64, out: &mut Vec<u8>) -> Result<(), NotJson> {
    if value.is_finite() {
        return serde_json::to_writer(out, &value).map_err(|error| NotJson::new(error.to_string()));
    }
    let name = if value.is_nan() { "NaN" } else { "infinite" };
    Err(NotJson::new(format!("is {name}, which JSON has no word for; use None")))
}

fn write_members<'py>(
    members: impl Iterator<Item = (Bound<'py, PyAny>, Bound<'py, PyAny>)>,
    out: &mut Vec<u8>,
    depth: u32,
) -> Result<(), NotJson> {
    out.push(b'{');
    for (at, (key, value)) in members.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        match key.cast::<PyString>() {
            Ok(key) => write_text(key, out).map_err(|error| error.within("<key>"))?,
            // As Python's own json does.
            Err(_) if key.is_instance_of::<PyInt>() && !key.is_instance_of::<PyBool>() => {
                write_text(&key.str().map_err(|_| NotJson::new("has a key with too many digits"))?, out)?;
            }
            Err(_) => {
                return Err(NotJson::new(format!("has a key that is no text but {}", type_name(&key))));
            }
        }
        out.push(b':');
        write_at(&value, out, depth + 1).map_err(|error| error.within(key.to_string()))?;
    }
    out.push(b'}');
    Ok(())
}

fn write_items<'py>(
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    out: &mut Vec<u8>,
    depth: u32,
) -> Result<(), NotJson> {
    out.push(b'[');
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_at(&item, out, depth + 1).map_err(|error| error.within(at.to_string()))?;
    }
    out.push(b']');
    Ok(())
}

/// Dates as ISO 8601, decimals as numbers, UUIDs as text, NumPy's scalars as
/// what they hold, other mappings as objects.
fn write_other(value: &Bound<'_, PyAny>, out: &mut Vec<u8>, depth: u32) -> Result<(), NotJson> {
    let failed = |_: PyErr| NotJson::new(format!("is a {} that cannot be read", type_name(value)));
    if value.is_instance_of::<PyBytes>()
        || value.is_instance_of::<PyByteArray>()
        || value.is_instance_of::<PyMemoryView>()
    {
        return Err(NotJson::new("is bytes, which JSON has no form for; decode or encode them first"));
    }
    if value.is_instance_of::<PyDate>() {
        if value.ne(value).map_err(failed)? {
            return Err(NotJson::new("is NaT, which is no time; use None"));
        }
        let text =
            value.call_method0("isoformat").and_then(|text| text.extract::<String>()).map_err(failed)?;
        return serde_json::to_writer(out, &text).map_err(|error| NotJson::new(error.to_string()));
    }
    let full = full_type_name(value);
    match full.as_str() {
        "decimal.Decimal" => {
            let finite =
                value.call_method0("is_finite").and_then(|is| is.extract::<bool>()).map_err(failed)?;
            if !finite {
                return Err(NotJson::new("is a Decimal that is no number; use None"));
            }
            let text = value.str().map_err(failed)?.to_string().replace('E', "e");
            out.extend_from_slice(text.as_bytes());
            Ok(())
        }
        "uuid.UUID" => write_text(&value.str().map_err(failed)?, out),
        _ if full.starts_with("numpy.") && value.hasattr("item").unwrap_or(false) => {
            let plain = value.call_method0("tolist").map_err(failed)?;
            match full_type_name(&plain).starts_with("numpy.") {
                true => Err(NotJson::new(format!("is a {}, which JSON has no form for", type_name(value)))),
                false => write_at(&plain, out, depth + 1),
            }
        }
        _ => match value.cast::<PyMapping>() {
            Ok(mapping) => {
                let copy = PyDict::new(value.py());
                copy.update(mapping).map_err(failed)?;
                write_members(copy.iter(), out, depth)
            }
            Err(_) => Err(NotJson::new(format!("is a {}, which JSON has no form for", type_name(value)))),
        },
    }
}

/// What a value's type is called: `set`.
pub(crate) fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map(|name| name.to_string()).unwrap_or_else(|_| "object".into())
}

fn full_type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().fully_qualified_name().map(|name| name.to_string()).unwrap_or_default()
}

/// Anything that serde can describe, as dicts, lists, texts and numbers.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    let text = serde_json::to_string(value).map_err(|error| PyTypeError::new_err(error.to_string()))?;
    // Python's own reader keeps whole numbers of any size.
    py.import("json")?.call_method1("loads", (text,))
}
