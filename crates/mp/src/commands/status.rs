//! `mp status`: what is here of a table, as a calendar.

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use mixpanel_data::{Coverage, DayStatus};
use serde::Serialize;

use super::{Reader, plan};
use crate::args;
use crate::config::{Connection, local_database};
use crate::error::Error;
use crate::output;
use crate::ui::thousands;

const STATUSES: [(DayStatus, char, &str); 8] = [
    (DayStatus::Complete, '█', "complete"),
    (DayStatus::Empty, '·', "empty"),
    (DayStatus::Partial, '▒', "partial"),
    (DayStatus::Stale, '▓', "stale"),
    (DayStatus::Changed, '?', "with rows gone"),
    (DayStatus::Unavailable, '×', "beyond the plan's history"),
    (DayStatus::Loaded, '+', "loaded from files"),
    (DayStatus::Missing, '_', "missing"),
];

pub(crate) fn run(look: &args::Look, reader: Reader<'_>) -> Result<(), Error> {
    let (args, env, ui) = (&look.days, reader.env, reader.ui);
    let clock = Connection::clock(&args.home.connection, env)?;
    let path = local_database(&args.home.database, &args.home.connection, env)?;
    let workspace = reader.signals.guard(reader.open(&path, &look.reading)?);
    let coverage = workspace.coverage(&clock, &plan::options(args, &clock))?;
    let source = workspace.storage().source_of(&coverage.table)?;
    let rejects = workspace.storage().refused_lines(&coverage.table)?.values().sum();
    if args.home.output.is_table(ui) {
        use std::io::Write;
        let mut out = output::stdout();
        write!(out, "{}", calendar(&coverage))?;
        out.flush()?;
    }
    let shown = Shown::of(&coverage, source.as_deref(), rejects);
    output::object(&args.home.output, ui, &shown, &summary(&coverage, source.as_deref(), rejects))
}

#[derive(Serialize)]
struct Shown<'a> {
    table: &'a str,
    /// What it is a copy of.
    source: Option<&'a str>,
    from: Date,
    to: Date,
    complete: usize,
    empty: usize,
    partial: usize,
    stale: usize,
    changed: usize,
    unavailable: usize,
    loaded: usize,
    missing: usize,
    rows: u64,
    rejects: u64,
    last_fetch: Option<Timestamp>,
    gaps: Vec<(Date, Date)>,
    days: &'a [mixpanel_data::DayCoverage],
}

impl<'a> Shown<'a> {
    fn of(coverage: &'a Coverage, source: Option<&'a str>, rejects: u64) -> Self {
        Shown {
            table: &coverage.table,
            source,
            from: coverage.from,
            to: coverage.to,
            complete: coverage.count(DayStatus::Complete),
            empty: coverage.count(DayStatus::Empty),
            partial: coverage.count(DayStatus::Partial),
            stale: coverage.count(DayStatus::Stale),
            changed: coverage.count(DayStatus::Changed),
            unavailable: coverage.count(DayStatus::Unavailable),
            loaded: coverage.count(DayStatus::Loaded),
            missing: coverage.count(DayStatus::Missing),
            rows: coverage.rows(),
            rejects,
            last_fetch: last_fetch(coverage),
            gaps: coverage.ranges(DayStatus::Missing),
            days: &coverage.days,
        }
    }
}

fn last_fetch(coverage: &Coverage) -> Option<Timestamp> {
    coverage.days.iter().filter_map(|day| day.fetched_at).max()
}

/// A line for each month, a sign for each day, a space before each Monday.
fn calendar(coverage: &Coverage) -> String {
    let mut text = String::new();
    let mut month = None;
    for day in &coverage.days {
        let date = day.day;
        if month != Some((date.year(), date.month())) {
            month = Some((date.year(), date.month()));
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&date.strftime("%b %Y  ").to_string());
            // Days of the month before the range begins keep their place.
            for before in 1..date.day() {
                let earlier = date.with().day(before).build().unwrap_or(date);
                gap(&mut text, earlier);
                text.push(' ');
            }
        }
        gap(&mut text, date);
        let sign =
            STATUSES.iter().find(|(status, ..)| *status == day.status).map_or('?', |(_, sign, _)| *sign);
        text.push(sign);
    }
    let legend: Vec<String> = STATUSES.iter().map(|(_, sign, name)| format!("{sign} {name}")).collect();
    text.push_str(&format!("\n\n{}\n\n", legend.join("   ")));
    text
}

fn gap(text: &mut String, day: Date) {
    if day.weekday() == Weekday::Monday && day.day() > 1 {
        text.push(' ');
    }
}

fn summary(coverage: &Coverage, source: Option<&str>, rejects: u64) -> Vec<(&'static str, String)> {
    let counts: Vec<String> = STATUSES
        .iter()
        .map(|(status, _, name)| (coverage.count(*status), name))
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    let gaps: Vec<String> =
        coverage.ranges(DayStatus::Missing).iter().map(|(from, to)| format!("{from} to {to}")).collect();
    vec![
        ("table", coverage.table.clone()),
        ("copy of", source.unwrap_or("not recorded").to_owned()),
        ("days", format!("{} to {}: {}", coverage.from, coverage.to, counts.join(", "))),
        ("missing", if gaps.is_empty() { "none".to_owned() } else { gaps.join(", ") }),
        ("rows", thousands(coverage.rows())),
        ("lines in quarantine", thousands(rejects)),
        (
            "last fetch",
            last_fetch(coverage).map_or("never".to_owned(), |at| at.strftime("%F %T UTC").to_string()),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use mixpanel_data::DayCoverage;

    #[test]
    fn the_calendar_has_a_sign_for_each_day() {
        let day = |day, status| DayCoverage { day, status, rows: 1, fetched_at: None };
        let coverage = Coverage {
            table: "events".into(),
            from: date(2024, 2, 27),
            to: date(2024, 3, 2),
            days: vec![
                day(date(2024, 2, 27), DayStatus::Complete),
                day(date(2024, 2, 28), DayStatus::Missing),
                day(date(2024, 2, 29), DayStatus::Empty),
                day(date(2024, 3, 1), DayStatus::Stale),
                day(date(2024, 3, 2), DayStatus::Partial),
            ],
        };
        let text = calendar(&coverage);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("Feb 2024 ") && lines[0].ends_with("█_·"), "{text}");
        assert_eq!(lines[1], "Mar 2024  ▓▒");
        // 26 days before the 27th, four Mondays among the days up to it.
        assert_eq!(lines[0].chars().count(), "Feb 2024  ".len() + 29 + 4);
    }
}
