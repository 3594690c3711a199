//! One statement run, its rows printed as they come.

use std::cell::RefCell;
use std::sync::Arc;

use mixpanel_data::arrow::datatypes::{DataType, Schema, SchemaRef};
use mixpanel_data::{ErrorKind, StorageEngine, Value, json_field};

use super::statements::Statement;
use crate::error::Error;
use crate::output::Page;

/// Runs a statement and prints what it gives.
pub(crate) fn answer(
    storage: &StorageEngine,
    statement: &Statement,
    values: &[Value],
    page: Page<'_>,
) -> Result<(), Error> {
    let json = json_columns(storage, statement, values);
    // The two callbacks take turns, and what stops them is not always an error of the engine.
    let state = RefCell::new((page, None::<Error>));
    let stop = || -> mixpanel_data::Result<()> { Err(ErrorKind::Cancelled.into()) };
    let outcome = storage.execute_protected(
        &statement.sql,
        values,
        &mut |schema| {
            let (page, failed) = &mut *state.borrow_mut();
            page.begin(marked(&schema, &json)).or_else(|error| {
                *failed = Some(error);
                stop()
            })
        },
        &mut |batch| {
            let (page, failed) = &mut *state.borrow_mut();
            match page.batch(&batch) {
                Ok(()) if page.is_full() => stop(),
                Ok(()) => Ok(()),
                Err(error) => {
                    *failed = Some(error);
                    stop()
                }
            }
        },
    );
    let (page, failed) = state.into_inner();
    match (failed, outcome) {
        (Some(error), _) => Err(error),
        (None, Err(error)) if !page.is_full() => Err(error.into()),
        (None, _) => page.end(),
    }
}

/// Runs a statement for its effect.
pub(crate) fn perform(storage: &StorageEngine, statement: &Statement, values: &[Value]) -> Result<(), Error> {
    Ok(storage.execute_protected(&statement.sql, values, &mut |_| Ok(()), &mut |_| Ok(()))?)
}

/// Which columns of a query are JSON, as far as can be told without running it: the engine's
/// results call them text. In brackets, so that nothing but a query is run.
fn json_columns(storage: &StorageEngine, statement: &Statement, values: &[Value]) -> Vec<bool> {
    if !statement.is_query() {
        return Vec::new();
    }
    match storage.execute_rows(&format!("DESCRIBE (\n{}\n)", statement.sql), values) {
        Ok(described) => described.rows.iter().map(|row| row[1].as_str() == Some("JSON")).collect(),
        // Not a plain query, or a wrong one, which running it will tell better.
        Err(_) => Vec::new(),
    }
}

/// The columns, with those that are JSON marked as such.
pub(crate) fn marked(schema: &SchemaRef, json: &[bool]) -> SchemaRef {
    if !json.contains(&true) {
        return Arc::clone(schema);
    }
    let fields = schema.fields().iter().enumerate().map(|(at, field)| {
        if json.get(at) == Some(&true) && field.data_type() == &DataType::Utf8 {
            Arc::new(json_field(field.name()))
        } else {
            Arc::clone(field)
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
