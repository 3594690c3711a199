//! `mp verify`: what is stored, compared with what was received.

use mixpanel_data::{Finding, Value, Verification, VerifyDepth};

use super::Reader;
use crate::args;
use crate::config::Connection;
use crate::error::Error;
use crate::output::{self, Column, List};
use crate::ui::thousands;

pub(crate) fn run(args: &args::Verify, reader: Reader<'_>) -> Result<(), Error> {
    let depth = match (args.quick, args.read_data) {
        (true, _) => VerifyDepth::Quick,
        (_, true) => VerifyDepth::Data,
        _ => VerifyDepth::Content,
    };
    let clock = Connection::clock(&args.connection, reader.env)?;
    let workspace = reader.signals.guard(reader.existing(&args.database, &args.reading)?);
    let tables = workspace.storage().verify(&clock, depth)?;
    let mut list = List::new([
        Column::text("table"),
        Column::text("what"),
        Column::number("expected_rows"),
        Column::number("rows"),
        Column::text("finding"),
    ]);
    let mut wrong = 0;
    for table in &tables {
        wrong += findings(table, args.all_days, &mut list);
        reader.ui.say(&summary(table));
    }
    output::list(&args.output, reader.ui, &list)?;
    if wrong > 0 { Err(Error::Damaged { count: wrong }) } else { Ok(()) }
}

/// Lists what is wrong in a table, and all days if they are wanted. Returns how many things are wrong.
fn findings(table: &Verification, all_days: bool, list: &mut List) -> usize {
    let mut wrong = 0;
    let mut push = |what: &str, expected: Value, rows: u64, finding: &str| {
        list.push([
            Value::Text(table.table.clone()),
            Value::Text(what.to_owned()),
            expected,
            Value::Integer(rows.into()),
            Value::Text(finding.to_owned()),
        ]);
    };
    for day in &table.days {
        wrong += usize::from(!day.finding.is_good());
        if all_days || !day.finding.is_good() {
            let expected = Value::Integer(day.expected_rows.into());
            push(&day.day.to_string(), expected, day.rows, name(day.finding));
        }
    }
    for (column, rows) in &table.columns {
        wrong += 1;
        push(&format!("column {column}"), Value::Null, *rows, "rows that are not what the texts say");
    }
    if let Some(why) = &table.unreadable {
        wrong += 1;
        push("the table", Value::Integer(table.expected_rows.into()), table.rows, why);
    } else if table.rows != table.expected_rows && table.days.iter().all(|day| day.finding.is_good()) {
        wrong += 1;
        push("the table", Value::Integer(table.expected_rows.into()), table.rows, "other rows");
    }
    wrong
}

fn name(finding: Finding) -> &'static str {
    match finding {
        Finding::Right => "right",
        Finding::Counted => "right in number",
        Finding::OtherRows => "other rows",
        Finding::OtherContent => "other content",
        Finding::NoEntry => "not in the ledger",
        Finding::Unreadable => "not readable",
        _ => "unknown",
    }
}

/// One line for a table: also what could not be compared.
fn summary(table: &Verification) -> String {
    let days = |wanted: &dyn Fn(Finding) -> bool| table.days.iter().filter(|day| wanted(day.finding)).count();
    let (right, counted) =
        (days(&|finding| finding == Finding::Right), days(&|finding| finding == Finding::Counted));
    let wrong = days(&|finding| !finding.is_good());
    let s = if table.rows == 1 { "" } else { "s" };
    match table.days.len() {
        0 => format!("{}: {} row{s}, no days in the ledger", table.table, thousands(table.rows)),
        _ => format!(
            "{}: {} row{s}; days: {right} right, {counted} right in number, {wrong} wrong",
            table.table,
            thousands(table.rows)
        ),
    }
}
