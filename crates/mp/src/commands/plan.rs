//! `mp plan`: requests, rows, bytes and time of a sync, before anything is spent.

use std::time::Duration;

use jiff::Timestamp;
use mixpanel_client::time::ProjectClock;
use mixpanel_data::{DayReason, PlannedChunk, SyncOptions, SyncPlan};
use serde::Serialize;

use super::Reader;
use crate::args;
use crate::config::{Connection, local_database};
use crate::error::Error;
use crate::output;
use crate::ui::{Ui, counted, thousands};

/// Mixpanel's export limit (rate-limits reference).
const REQUESTS_PER_HOUR: u64 = 60;
/// What `mp` stores on two cores, as measured (docs/performance.md): for a table that was not fetched
/// on this machine yet.
const ROWS_PER_SECOND: f64 = 100_000.0;

pub(crate) fn run(args: &args::Days, reading: &args::Reading, reader: Reader<'_>) -> Result<(), Error> {
    let clock = Connection::clock(&args.home.connection, reader.env)?;
    show(args, &options(args, &clock), &clock, reading, reader)
}

/// Prints what a sync with these options would do.
pub(super) fn show(
    args: &args::Days,
    options: &SyncOptions,
    clock: &ProjectClock,
    reading: &args::Reading,
    reader: Reader<'_>,
) -> Result<(), Error> {
    let (env, ui) = (reader.env, reader.ui);
    let here = match local_database(&args.home.database, &args.home.connection, env) {
        Ok(path) => path.exists().then_some(path),
        Err(Error::NoDatabase { .. }) => None,
        Err(error) => return Err(error),
    };
    let workspace = reader.signals.guard(match here {
        Some(path) => reader.open(&path, reading)?,
        None if options.from.is_none() => {
            return Err(Error::setting("nothing is stored yet", "--from DAY says where to begin"));
        }
        None => env.databases().empty()?,
    });
    print(&workspace.plan(clock, options)?, &args.home.output, ui)
}

/// The part of a sync's options that says which days.
pub(super) fn options(days: &args::Days, clock: &ProjectClock) -> SyncOptions {
    let now = Timestamp::now();
    SyncOptions {
        table: days.name.clone(),
        from: days.from.map(|day| day.resolve(now, clock)),
        to: days.to.map(|day| day.resolve(now, clock)),
        window_days: days.window,
        ..SyncOptions::default()
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    table: &'a str,
    from: jiff::civil::Date,
    to: jiff::civil::Date,
    days: u32,
    /// At least so many; exactly, when the sizes are known.
    requests: usize,
    sizes_known: bool,
    rows: Option<u64>,
    bytes: Option<u64>,
    eta_seconds: Option<u64>,
    rows_per_second: f64,
    /// Whether that is how fast the table came when it was fetched last.
    rate_is_measured: bool,
    chunks: &'a [PlannedChunk],
}

/// How long it takes: requests beyond the first hour's wait for theirs, and rows take their time.
fn eta(plan: &SyncPlan) -> Option<Duration> {
    let hours = (plan.requests.len() as u64).saturating_sub(1) / REQUESTS_PER_HOUR;
    let rows = plan.rows()? as f64 / plan.rows_per_second.unwrap_or(ROWS_PER_SECOND);
    let rows = Duration::try_from_secs_f64(rows).ok()?;
    Some(rows + Duration::from_secs(hours * 3600 + plan.requests.len() as u64))
}

/// Bytes in the unit that suits them.
fn size(bytes: u64) -> String {
    match bytes as f64 {
        bytes if bytes < 1e9 => format!("about {:.1} MB", bytes / 1e6),
        bytes => format!("about {:.1} GB", bytes / 1e9),
    }
}

/// Prints a plan.
fn print(plan: &SyncPlan, output: &args::Output, ui: &Ui) -> Result<(), Error> {
    let eta = eta(plan);
    let shown = Shown {
        table: &plan.table,
        from: plan.from,
        to: plan.to,
        days: plan.days(),
        requests: plan.requests.len(),
        sizes_known: plan.rows().is_some(),
        rows: plan.rows(),
        bytes: plan.bytes(),
        eta_seconds: eta.map(|eta| eta.as_secs()),
        rows_per_second: plan.rows_per_second.unwrap_or(ROWS_PER_SECOND).round(),
        rate_is_measured: plan.rows_per_second.is_some(),
        chunks: &plan.requests,
    };
    let unknown = || "unknown until the first day is stored".to_owned();
    let count = |reason| {
        let of = plan.requests.iter().filter(|chunk| chunk.reason == reason);
        of.map(PlannedChunk::days).sum::<u32>()
    };
    let mut pairs = vec![
        ("table", plan.table.clone()),
        ("days", format!("{} to {}", plan.from, plan.to)),
        (
            "to fetch",
            format!(
                "{}: {} in requests for missing days, {} for partial, {} for stale{}",
                counted(u64::from(plan.days()), "day"),
                count(DayReason::Missing),
                count(DayReason::Partial),
                count(DayReason::Stale),
                match count(DayReason::Changed) {
                    0 => String::new(),
                    changed => format!(", {changed} with rows gone"),
                }
            ),
        ),
        (
            "requests",
            match plan.rows() {
                Some(_) => format!("{} of {REQUESTS_PER_HOUR} an hour", plan.requests.len()),
                None => format!("{} if the days are small, up to {}", plan.requests.len(), plan.days()),
            },
        ),
        ("rows", plan.rows().map_or_else(unknown, |rows| format!("about {}", thousands(rows)))),
        ("JSON", plan.bytes().map_or_else(unknown, size)),
        (
            "time",
            eta.map_or_else(unknown, |eta| {
                let (rate, why) = match plan.rows_per_second {
                    Some(rate) => (rate, "measured by the last fetch"),
                    None => (ROWS_PER_SECOND, "a guess until a first fetch has measured it"),
                };
                format!("about {} s, at {} rows/s, {why}", eta.as_secs(), thousands(rate.round() as u64))
            }),
        ),
    ];
    let ranges: Vec<String> = plan
        .requests
        .iter()
        .take(20)
        .map(|chunk| {
            let rows = chunk.rows.map_or_else(|| "?".to_owned(), thousands);
            format!(
                "{} to {}  {}  {rows} rows",
                chunk.from,
                chunk.to,
                counted(u64::from(chunk.days()), "day")
            )
        })
        .collect();
    pairs.extend(
        ranges.into_iter().enumerate().map(|(at, range)| (if at == 0 { "in order" } else { "" }, range)),
    );
    if plan.requests.len() > 20 {
        pairs.push(("", format!("and {} more", plan.requests.len() - 20)));
    }
    output::object(output, ui, &shown, &pairs)
}
