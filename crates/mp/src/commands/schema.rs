//! `mp schema`: the columns of a table or view.

use clap::CommandFactory;
use mixpanel_data::{ColumnInfo, Value};
use serde::Serialize;

use super::Reader;
use super::ask::is_whole;
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

fn of_table(table: &str, local: &args::Local, reader: Reader<'_>) -> Result<(), Error> {
    let workspace = reader.signals.guard(reader.existing(&local.database, &local.reading)?);
    let schema = workspace.table_schema(table)?;
    output::list(&local.output, reader.ui, &columns(schema.columns))
}

/// `mp inspect schema`: as JSON one object with the columns in it, else the same rows.
pub(crate) fn as_one(table: &str, local: &args::Local, reader: Reader<'_>) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Shown<'a> {
        table: &'a str,
        columns: &'a [ColumnInfo],
    }
    let workspace = reader.signals.guard(reader.existing(&local.database, &local.reading)?);
    let schema = workspace.table_schema(table)?;
    if is_whole(&local.output, reader.ui) {
        let shown = Shown { table: &schema.table_name, columns: &schema.columns };
        return output::object(&local.output, reader.ui, &shown, &[]);
    }
    output::list(&local.output, reader.ui, &columns(schema.columns))
}

fn columns(columns: Vec<ColumnInfo>) -> List {
    let heads = [Column::text("column").also("name"), Column::text("type"), Column::boolean("nullable")];
    let mut list = List::new(heads);
    for column in columns {
        list.push([Value::Text(column.name), Value::Text(column.sql_type), Value::Boolean(column.nullable)]);
    }
    list
}

/// The command line has no form but JSON.
fn json(output: &args::Output) -> args::Output {
    args::Output { format: output.format.or(Some(Format::Json)), ..output.clone() }
}
