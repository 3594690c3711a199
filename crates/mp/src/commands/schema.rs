//! `mp schema`: the columns of a table or view.

use clap::CommandFactory;
use mixpanel_data::Value;

use super::Reader;
use crate::args;
use crate::error::Error;
use crate::output::{self, Column, Format, List};

pub(crate) fn run(args: &args::Schema, reader: Reader<'_>) -> Result<(), Error> {
    let Some(table) = &args.table else {
        let words = args.cli.clone().unwrap_or_default().join(" ");
        let description = super::discover::describe(&args::Args::command(), &words)?;
        return output::object(&json(&args.local.output), reader.ui, &description, &[]);
    };
    of_table(table, &args.local, reader)
}

pub(crate) fn of_table(table: &str, local: &args::Local, reader: Reader<'_>) -> Result<(), Error> {
    let workspace = reader.signals.guard(reader.existing(&local.database, &local.reading)?);
    let schema = workspace.table_schema(table)?;
    let mut list = List::new([Column::text("column"), Column::text("type"), Column::boolean("nullable")]);
    for column in schema.columns {
        list.push([Value::Text(column.name), Value::Text(column.sql_type), Value::Boolean(column.nullable)]);
    }
    output::list(&local.output, reader.ui, &list)
}

/// The command line has no form but JSON.
fn json(output: &args::Output) -> args::Output {
    args::Output { format: output.format.or(Some(Format::Json)), ..output.clone() }
}
