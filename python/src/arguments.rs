//! The arguments of a question, by name, read when it is known what they should be.

use std::str::FromStr;

use jiff::civil::Date;
use mixpanel_data::ErrorKind;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::errors::{Failure, raise};
use crate::json;

/// Arguments as JSON values; `None` is as good as missing.
pub(crate) struct Arguments(Map<String, Value>);

impl Arguments {
    pub(crate) fn of(given: &Bound<'_, PyDict>) -> PyResult<Self> {
        let mut arguments = Map::new();
        for (name, value) in given.iter() {
            let name: String = name.extract()?;
            let mut text = Vec::new();
            let value = json::write(&value, &mut text)
                .map_err(|error| error.describe(&name))
                .and_then(|()| serde_json::from_slice(&text).map_err(|error| error.to_string()));
            let value = value.map_err(|why| {
                raise(given.py(), &ErrorKind::InvalidArgument { argument: "arguments", why }.into())
            })?;
            arguments.insert(name, value);
        }
        Ok(Arguments(arguments))
    }

    /// Anything that serde can read, if it is there.
    pub(crate) fn maybe<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>, Failure> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let wrong = |error: serde_json::Error| wrong(name, format!("{value}: {error}"));
                serde_json::from_value(value.clone()).map(Some).map_err(wrong)
            }
        }
    }

    /// Anything that serde can read.
    pub(crate) fn get<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, Failure> {
        self.maybe(name)?.ok_or_else(|| wrong(name, "it is missing"))
    }

    /// Anything that serde can read, or its usual value.
    pub(crate) fn usual<T: DeserializeOwned + Default>(&self, name: &'static str) -> Result<T, Failure> {
        Ok(self.maybe(name)?.unwrap_or_default())
    }

    /// Text.
    pub(crate) fn text(&self, name: &'static str) -> Result<String, Failure> {
        self.get(name)
    }

    /// A list of texts.
    pub(crate) fn texts(&self, name: &'static str) -> Result<Vec<String>, Failure> {
        self.usual(name)
    }

    /// One of a choice of words, if it is there.
    pub(crate) fn maybe_word<T>(&self, name: &'static str) -> Result<Option<T>, Failure>
    where
        T: FromStr<Err = mixpanel_client::Error>,
    {
        let word: Option<String> = self.maybe(name)?;
        word.map(|word| word.parse().map_err(|error: T::Err| wrong(name, error.to_string()))).transpose()
    }

    /// One of a choice of words.
    pub(crate) fn word<T: FromStr<Err = mixpanel_client::Error>>(
        &self,
        name: &'static str,
    ) -> Result<T, Failure> {
        self.maybe_word(name)?.ok_or_else(|| wrong(name, "it is missing"))
    }

    /// A day, if it is there.
    pub(crate) fn maybe_day(&self, name: &'static str) -> Result<Option<Date>, Failure> {
        let day: Option<String> = self.maybe(name)?;
        let parse = |text: String| {
            text.parse().map_err(|_| wrong(name, format!("{text:?} is not a day as YYYY-MM-DD")))
        };
        day.map(parse).transpose()
    }

    /// The first and the last day.
    pub(crate) fn days(&self) -> Result<(Date, Date), Failure> {
        let missing = |name| move || wrong(name, "it is missing");
        Ok((
            self.maybe_day("from_date")?.ok_or_else(missing("from_date"))?,
            self.maybe_day("to_date")?.ok_or_else(missing("to_date"))?,
        ))
    }
}

/// An argument that makes no sense.
pub(crate) fn wrong(argument: &'static str, why: impl Into<String>) -> Failure {
    Failure::Data(ErrorKind::InvalidArgument { argument, why: why.into() }.into())
}
