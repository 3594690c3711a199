//! A caller's rows on their way to the writer: dicts of any iterator become
//! records, Arrow streams become batches. What the rows mean is decided there.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};

use arrow::array::RecordBatch;
use arrow::ffi_stream::RecordBatchStreamReader;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use mixpanel_data::{Error, ErrorKind, EventRecord, ProfileRecord, Result};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyDict, PyInt, PyIterator, PyMapping, PyString};

use crate::json;
use crate::watch::{Ask, Feed};

/// Records that are made before the writer gets to see them.
const BLOCK: usize = 2_048;

/// A block on its way, and the end of all blocks.
pub(crate) enum Block<T> {
    Items(Vec<T>),
    End,
}

/// The caller's side: makes blocks of what `next` gives.
pub(crate) struct Source<T, N> {
    next: N,
    blocks: Option<Sender<Block<T>>>,
}

/// The writer's side: an iterator that asks for blocks. Ahead of time, so that
/// records are made while others are written.
pub(crate) struct Arriving<T> {
    asks: Sender<Ask>,
    blocks: Receiver<Block<T>>,
    ready: VecDeque<T>,
    ended: bool,
}

/// What will arrive, once it is asked for.
pub(crate) struct Ahead<T>(Receiver<Block<T>>);

impl<T> Ahead<T> {
    /// Asks for the first blocks.
    pub(crate) fn begin(self, asks: Sender<Ask>) -> Arriving<T> {
        for _ in 0..2 {
            let _ = asks.send(Ask::More);
        }
        Arriving { asks, blocks: self.0, ready: VecDeque::new(), ended: false }
    }
}

/// A source and what arrives of it.
pub(crate) fn pipe<T, N>(next: N) -> (Source<T, N>, Ahead<T>)
where
    N: FnMut(Python<'_>) -> PyResult<Block<T>>,
{
    let (sender, blocks) = channel();
    (Source { next, blocks: Some(sender) }, Ahead(blocks))
}

impl<T, N: FnMut(Python<'_>) -> PyResult<Block<T>>> Feed for Source<T, N> {
    fn more(&mut self, py: Python<'_>) -> PyResult<()> {
        let Some(blocks) = &self.blocks else { return Ok(()) };
        let block = (self.next)(py)?;
        let last = matches!(block, Block::End);
        let _ = blocks.send(block);
        if last {
            self.blocks = None;
        }
        Ok(())
    }

    fn hang_up(&mut self) {
        self.blocks = None;
    }
}

impl<T> Iterator for Arriving<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && !self.ended {
            match self.blocks.recv() {
                Ok(Block::Items(items)) => {
                    self.ready = items.into();
                    let _ = self.asks.send(Ask::More);
                }
                Ok(Block::End) => self.ended = true,
                // The caller's side failed, and says why by itself.
                Err(_) => {
                    self.ended = true;
                    return Some(Err(ErrorKind::Cancelled.into()));
                }
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

/// Blocks of records from a Python iterator.
pub(crate) fn from_iterator<'py, T: FromPython>(
    rows: Bound<'py, PyIterator>,
) -> impl FnMut(Python<'_>) -> PyResult<Block<T>> + use<'py, T> {
    let mut rows = Some(rows);
    let mut taken = 0;
    move |_| {
        let Some(iterator) = &mut rows else { return Ok(Block::End) };
        let mut items = Vec::with_capacity(BLOCK);
        for row in iterator.by_ref().take(BLOCK) {
            taken += 1;
            items.push(T::from_python(&row?, taken)?);
        }
        if items.len() < BLOCK {
            rows = None;
        }
        Ok(if items.is_empty() { Block::End } else { Block::Items(items) })
    }
}

/// Blocks of one batch from an Arrow stream, which is read without the GIL.
pub(crate) fn from_arrow(
    mut reader: RecordBatchStreamReader,
) -> impl FnMut(Python<'_>) -> PyResult<Block<RecordBatch>> {
    move |py| match py.detach(|| reader.next()) {
        None => Ok(Block::End),
        Some(Ok(batch)) => Ok(Block::Items(vec![batch])),
        Some(Err(error)) => Err(crate::errors::raise(py, &bad_stream(&error.to_string()))),
    }
}

/// An Arrow stream of the caller's that breaks off.
pub(crate) fn bad_stream(why: &str) -> Error {
    ErrorKind::InvalidArgument { argument: "data", why: format!("its Arrow stream failed: {why}") }.into()
}

/// A record made from a Python mapping.
pub(crate) trait FromPython: Sized + Send {
    /// `row` is the record's position, from 1, for errors.
    fn from_python(item: &Bound<'_, PyAny>, row: u64) -> PyResult<Self>;
}

impl FromPython for EventRecord {
    fn from_python(item: &Bound<'_, PyAny>, row: u64) -> PyResult<Self> {
        let fields = Fields::of(item, row)?;
        Ok(EventRecord {
            event_name: fields.text("event_name")?,
            event_time: fields.time("event_time")?.ok_or_else(|| fields.bad("event_time", "is None"))?,
            distinct_id: fields.text("distinct_id")?,
            insert_id: fields.optional_text("insert_id")?,
            properties: fields.object("properties")?,
        })
    }
}

impl FromPython for ProfileRecord {
    fn from_python(item: &Bound<'_, PyAny>, row: u64) -> PyResult<Self> {
        let fields = Fields::of(item, row)?;
        Ok(ProfileRecord {
            distinct_id: fields.text("distinct_id")?,
            properties: fields.object("properties")?,
            last_seen: fields.time("last_seen")?,
        })
    }
}

/// A record's fields, and how to complain about them.
struct Fields<'py> {
    fields: Bound<'py, PyDict>,
    row: u64,
}

impl<'py> Fields<'py> {
    fn of(item: &Bound<'py, PyAny>, row: u64) -> PyResult<Self> {
        if let Ok(fields) = item.cast::<PyDict>() {
            return Ok(Fields { fields: fields.clone(), row });
        }
        let fields = PyDict::new(item.py());
        match item.cast::<PyMapping>() {
            Ok(mapping) => {
                fields.update(mapping)?;
                Ok(Fields { fields, row })
            }
            Err(_) => {
                let this = Fields { fields, row };
                let why = format!("it is a {}, not a dict", json::type_name(item));
                Err(this.invalid(None, why))
            }
        }
    }

    fn get(&self, name: &'static str) -> PyResult<Bound<'py, PyAny>> {
        self.fields.get_item(name)?.ok_or_else(|| self.invalid(Some(name), format!("it has no {name}")))
    }

    fn bad(&self, name: &'static str, what: impl std::fmt::Display) -> PyErr {
        self.invalid(Some(name), format!("{name} {what}"))
    }

    fn invalid(&self, field: Option<&str>, why: String) -> PyErr {
        let py = self.fields.py();
        let error = Error::from(ErrorKind::InvalidRecord { row: self.row, why });
        let raised = crate::errors::raise(py, &error);
        // The exception has a place for it; without, the message says it too.
        let _ = field.map(|field| raised.value(py).call_method1("_in_field", (field,)));
        raised
    }

    fn text(&self, name: &'static str) -> PyResult<String> {
        let why = "is None, and must be text";
        self.optional_text(name)?.ok_or_else(|| self.bad(name, why))
    }

    /// Text; whole numbers are taken as text, too.
    fn optional_text(&self, name: &'static str) -> PyResult<Option<String>> {
        let value = self.get(name)?;
        if let Ok(text) = value.cast::<PyString>() {
            let why = "has a lone surrogate, which is no text";
            return text.to_str().map(|text| Some(text.to_owned())).map_err(|_| self.bad(name, why));
        }
        if value.is_none() {
            return Ok(None);
        }
        if value.is_exact_instance_of::<PyInt>() {
            return match value.str() {
                Ok(text) => Ok(Some(text.to_string())),
                Err(_) => Err(self.bad(name, "has too many digits")),
            };
        }
        Err(self.bad(name, format_args!("is a {}, and must be text", json::type_name(&value))))
    }

    /// The text of a JSON object: of a mapping, or the text itself.
    fn object(&self, name: &'static str) -> PyResult<String> {
        let value = self.get(name)?;
        if let Ok(text) = value.cast::<PyString>() {
            let why = "has a lone surrogate, which is no text";
            return text.to_str().map(str::to_owned).map_err(|_| self.bad(name, why));
        }
        if value.is_none() {
            return Ok("{}".to_owned());
        }
        if value.cast::<PyMapping>().is_err() {
            return Err(self.bad(name, format_args!("is a {}, and must be a dict", json::type_name(&value))));
        }
        let mut text = Vec::with_capacity(512);
        json::write(&value, &mut text).map_err(|error| self.invalid(Some(name), error.describe(name)))?;
        String::from_utf8(text).map_err(|error| self.bad(name, error))
    }

    /// An instant: of a datetime, where one without a zone is UTC, or of ISO
    /// 8601 text.
    fn time(&self, name: &'static str) -> PyResult<Option<Timestamp>> {
        let value = self.get(name)?;
        if value.is_none() {
            return Ok(None);
        }
        if value.is_instance_of::<PyDateTime>() {
            return match instant_of(&value) {
                Ok(instant) => Ok(Some(instant)),
                Err(_) => Err(self.bad(name, format_args!("is {value}, which is no instant"))),
            };
        }
        if let Ok(text) = value.cast::<PyString>() {
            let why = "is text that is no ISO 8601 time";
            return match parse_instant(&text.to_string_lossy()) {
                Some(instant) => Ok(Some(instant)),
                None => Err(self.bad(name, why)),
            };
        }
        let what = json::type_name(&value);
        Err(self.bad(
            name,
            format_args!("is a {what}, and must be a datetime (without a zone it is UTC) or ISO 8601 text"),
        ))
    }
}

/// A datetime's instant, exact to the microsecond.
fn instant_of(value: &Bound<'_, PyAny>) -> PyResult<Timestamp> {
    let get = |name: &str| -> PyResult<i32> { value.getattr(name)?.extract() };
    let wall = DateTime::new(
        get("year")? as i16,
        get("month")? as i8,
        get("day")? as i8,
        get("hour")? as i8,
        get("minute")? as i8,
        get("second")? as i8,
        get("microsecond")? * 1_000,
    );
    let invalid = |error: jiff::Error| PyTypeError::new_err(error.to_string());
    let utc = Offset::UTC.to_timestamp(wall.map_err(invalid)?).map_err(invalid)?;
    let offset = value.call_method0("utcoffset")?;
    if offset.is_none() {
        return Ok(utc);
    }
    let part = |name: &str| -> PyResult<i64> { offset.getattr(name)?.extract() };
    let micros = (part("days")? * 86_400 + part("seconds")?) * 1_000_000 + part("microseconds")?;
    utc.checked_sub(SignedDuration::from_micros(micros)).map_err(invalid)
}

/// ISO 8601 text; without an offset it is UTC.
pub(crate) fn parse_instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse::<Timestamp>().ok().or_else(|| Offset::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok())
}
