//! One object: as JSON, as names and values for people, as one row in every other format.

use std::io::{self, Write};

use mixpanel_data::Value;
use serde::Serialize;
use serde_json::Value as Json;

use super::jq::{Jq, Style};
use super::page::destination;
use super::{Column, Format, List, Look, table};
use crate::args;
use crate::error::Error;
use crate::ui::Ui;

/// Prints one object. `pairs` are its names and values as people read them.
pub(crate) fn object(
    output: &args::Output,
    ui: &Ui,
    object: &impl Serialize,
    pairs: &[(&str, String)],
) -> Result<(), Error> {
    print(output, ui, object, pairs, || Ok(row(&serde_json::to_value(object).map_err(io::Error::from)?)))
}

/// Says what a command has changed: in words to people, as an object to programs, and to whoever asks
/// for one.
pub(crate) fn done(output: &args::Output, ui: &Ui, what: &impl Serialize, words: &str) -> Result<(), Error> {
    ui.say(words);
    if ui.to_terminal && !output.is_wanted() {
        return Ok(());
    }
    let json = serde_json::to_value(what).map_err(io::Error::from)?;
    object(output, ui, what, &pairs_of(&json))
}

/// The fields of an object as people read them; those without a value are left out.
pub(crate) fn pairs_of(object: &Json) -> Vec<(&str, String)> {
    let fields = object.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    fields.map(|(name, value)| (name.as_str(), text(value))).collect()
}

/// Prints one value: as an object with the field `value`; in formats with columns as the cell that it
/// is in any other result.
pub(crate) fn scalar(output: &args::Output, ui: &Ui, value: &Value) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Scalar<'a> {
        value: &'a Value,
    }
    print(output, ui, &Scalar { value }, &[("value", value.to_text())], || {
        let mut list = List::new([Column::text("value")]);
        list.push([value.clone()]);
        Ok(list)
    })
}

fn print(
    output: &args::Output,
    ui: &Ui,
    object: &impl Serialize,
    pairs: &[(&str, String)],
    row: impl FnOnce() -> Result<List, Error>,
) -> Result<(), Error> {
    let (format, mut out) = destination(output, ui)?;
    let look = Look::of(output, ui);
    if let Some(filter) = &output.jq {
        let filter = Jq::new(filter)?;
        let json = serde_json::to_vec(object).map_err(io::Error::from)?;
        filter.run(&json, &mut out, Style::of(format))?;
        return Ok(out.finish()?);
    }
    match format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, object).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        Format::Jsonl => {
            serde_json::to_writer(&mut out, object).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        Format::Table | Format::Vertical => table::pairs(&mut out, pairs, look)?,
        other => {
            let batch = row()?.batch()?;
            let mut sink = other.sink(out, look);
            sink.begin(&batch.schema())?;
            sink.batch(&batch)?;
            out = sink.end()?;
        }
    }
    Ok(out.finish()?)
}

/// The object's fields as columns; nested ones are JSON.
fn row(object: &Json) -> List {
    let Json::Object(fields) = object else {
        let mut list = List::new([Column::json("value")]);
        list.push([Value::Text(object.to_string())]);
        return list;
    };
    let column = |(name, value): (&String, &Json)| match value {
        Json::Bool(_) => Column::boolean(name),
        Json::Number(number) if number.is_i64() => Column::number(name),
        Json::Number(_) => Column::float(name),
        Json::Array(_) | Json::Object(_) => Column::json(name),
        Json::Null | Json::String(_) => Column::text(name),
    };
    let mut list = List::new(fields.iter().map(column));
    list.push(fields.values().map(|value| match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Boolean(*value),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Value::Integer(integer.into()),
            None => number.as_f64().map_or(Value::Null, Value::Double),
        },
        Json::String(text) => Value::Text(text.clone()),
        nested => Value::Text(nested.to_string()),
    }));
    list
}
