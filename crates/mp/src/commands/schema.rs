//! `mp schema`: the columns of a table or view.

use mixpanel_data::{ColumnInfo, Value};

use super::Reader;
use crate::args;
use crate::error::Error;
use crate::output::{self, Column, Format};

pub(crate) fn run(args: &args::Schema, reader: Reader<'_>) -> Result<(), Error> {
    let ui = reader.ui;
    let schema = reader.existing(&args.database, &args.reading)?.table_schema(&args.table)?;
    let columns = ["column", "type", "nullable"].map(Column::text);
    let row = |column: ColumnInfo| {
        vec![Value::Text(column.name), Value::Text(column.sql_type), Value::Boolean(column.nullable)]
    };
    output::rows(
        Format::or_default(args.format, ui),
        ui,
        &columns,
        schema.columns.into_iter().map(row).collect(),
    )?;
    Ok(())
}
