//! `mp repair`: a copy of a damaged database with all that can be read of it.

use std::path::{Path, PathBuf};

use jiff::civil::Date;
use mixpanel_data::{Repair, TableRepair, Value};

use super::{Reader, shell_word};
use crate::args;
use crate::config::{Connection, existing_database};
use crate::error::Error;
use crate::output::{self, Column, List};
use crate::ui::thousands;

pub(crate) fn run(args: &args::Repair, reader: Reader<'_>) -> Result<(), Error> {
    let clock = Connection::clock(&args.connection, reader.env)?;
    let path = existing_database(args.database.db.as_deref(), reader.env)?;
    let copy = args.to.clone().unwrap_or_else(|| beside(&path));
    let repair = reader.env.databases().repair(&path, &copy, &clock)?;
    repair.steps.iter().for_each(|step| reader.ui.say(&step.to_string()));
    repair.tables.iter().for_each(|table| reader.ui.say(&summary(table)));
    match &repair.copy {
        None => reader.ui.say(&format!("{}: nothing is damaged, so no copy was made", path.display())),
        Some(copy) => {
            reader.ui.say(&format!(
                "the repaired copy is {}; {} is as it was",
                copy.display(),
                path.display()
            ));
        }
    }
    output::list(&args.output, reader.ui, &losses(&repair))?;
    match &repair.copy {
        Some(copy) if repair.lost_something() => Err(lost(&repair, copy)),
        _ => Ok(()),
    }
}

/// Where the copy goes unless told otherwise: `data.repaired.duckdb` beside `data.duckdb`.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(".repaired");
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// What is not in the copy.
fn losses(repair: &Repair) -> List {
    let mut list = List::new([
        Column::text("table"),
        Column::text("what"),
        Column::number("rows"),
        Column::text("next"),
    ]);
    for table in &repair.tables {
        let mut push = |what: String, rows: Value, next: &str| {
            list.push([
                Value::Text(table.table.clone()),
                Value::Text(what),
                rows,
                Value::Text(next.to_owned()),
            ]);
        };
        table.lost_days.iter().for_each(|day| push(day.to_string(), Value::Null, "mp sync"));
        if table.lost_rows > 0 {
            let next = if table.kind.is_some() { "fetch or add them again" } else { "" };
            push("rows".to_owned(), Value::Integer(table.lost_rows.into()), next);
        }
    }
    for what in &repair.left_out {
        list.push([Value::Null, Value::Text(what.clone()), Value::Null, Value::Text(String::new())]);
    }
    list
}

fn summary(table: &TableRepair) -> String {
    let s = |count: u64| if count == 1 { "" } else { "s" };
    let mut text = format!("{}: {} row{}", table.table, thousands(table.rows), s(table.rows));
    match &table.lost_days[..] {
        [] => {}
        days => text.push_str(&format!("; lost: {}", in_runs(days))),
    }
    if table.lost_rows > 0 {
        let rows = table.lost_rows;
        text.push_str(&format!("; {} row{} that no sync brings back are lost", thousands(rows), s(rows)));
    }
    text
}

/// Days, those without a gap as one.
fn in_runs(days: &[Date]) -> String {
    let mut runs: Vec<(Date, Date)> = Vec::new();
    for day in days {
        match runs.last_mut() {
            Some((_, to)) if to.tomorrow().ok() == Some(*day) => *to = *day,
            _ => runs.push((*day, *day)),
        }
    }
    let words = |(from, to): &(Date, Date)| match from == to {
        true => from.to_string(),
        false => format!("{from} to {to}"),
    };
    runs.iter().map(words).collect::<Vec<_>>().join(", ")
}

fn lost(repair: &Repair, copy: &Path) -> Error {
    let days = repair.lost_days();
    let mut parts = Vec::new();
    if days > 0 {
        parts.push(format!("{days} day{}", if days == 1 { "" } else { "s" }));
    }
    let rows: u64 = repair.tables.iter().map(|table| table.lost_rows).sum();
    if rows > 0 {
        parts.push(format!("{} other row{}", thousands(rows), if rows == 1 { "" } else { "s" }));
    }
    parts.extend(repair.left_out.iter().cloned());
    Error::Lost {
        what: parts.join(", "),
        copy: shell_word(&copy.display().to_string()),
        sync: repair.sync_brings_back(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_is_beside_the_file() {
        assert_eq!(beside(Path::new("a/data.duckdb")), Path::new("a/data.repaired.duckdb"));
        assert_eq!(beside(Path::new("data")), Path::new("data.repaired"));
    }

    #[test]
    fn days_without_a_gap_are_one_run() {
        let days = ["2025-02-27", "2025-02-28", "2025-03-01", "2025-03-03"].map(|day| day.parse().unwrap());
        assert_eq!(in_runs(&days), "2025-02-27 to 2025-03-01, 2025-03-03");
    }
}
