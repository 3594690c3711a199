//! `mp tables`: the tables of a database.

use mixpanel_data::Value;

use super::Reader;
use crate::args;
use crate::error::Error;
use crate::output::{self, Column, List};

pub(crate) fn run(args: &args::Local, reader: Reader<'_>) -> Result<(), Error> {
    let ui = reader.ui;
    let workspace = reader.signals.guard(reader.existing(&args.database, &args.reading)?);
    let tables = workspace.tables()?;
    if tables.is_empty() && workspace.storage().original_tables()?.is_none() {
        ui.say("no tables yet: `mp fetch events --from DAY --to DAY` makes one");
    }
    let mut list = List::new([
        Column::text("name"),
        Column::text("type"),
        Column::number("row_count").also("rows"),
        Column::timestamp("fetched_at"),
    ]);
    for table in tables {
        list.push([
            Value::Text(table.name),
            Value::Text(table.kind.to_string()),
            table.row_count.map_or(Value::Null, |rows| Value::Integer(rows.into())),
            table.fetched_at.map_or(Value::Null, Value::Timestamp),
        ]);
    }
    output::list(&args.output, ui, &list)
}
