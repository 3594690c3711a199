//! What the user typed, and nothing more: no environment, no files, no defaults that depend on them.

mod profiles;

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Parser, Subcommand};
use jiff::civil::Date;
use jiff::{Span, Timestamp};
use mixpanel_client::time::ProjectClock;

use crate::error::EXIT_CODES;
use crate::output::Format;

pub(crate) use profiles::{FetchProfiles, Stream};

/// A complete local copy of a Mixpanel project's events, in DuckDB.
#[derive(Debug, Parser)]
#[command(name = "mp", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Say nothing but results and errors; of a sync, nothing but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// See it work, without an account: 30 days from a simulated Mixpanel, and what they tell
    Demo(Demo),
    /// Bring data home from Mixpanel
    #[command(subcommand)]
    Fetch(Fetch),
    /// Bring a table up to date: only days that are missing, partial or stale
    Sync(Sync),
    /// Show what a sync would fetch, before any request is spent
    ///
    /// No request is sent and no credentials are needed. Sizes are known from days that are here;
    /// where nothing is known the plan says so, and the requests may become more.
    Plan(Look),
    /// Show what is here, day by day
    Status(Look),
    /// Ask the local data in SQL
    Sql(Sql),
    /// Show what a local database is and holds
    Info(Info),
    /// List the tables
    Tables(Tables),
    /// Show the columns of a table
    Schema(Schema),
    /// Run a simulated Mixpanel to fetch from, until Ctrl-C
    Sim(Sim),
}

/// Where the demo keeps its data; the default is the file `demo.duckdb` in this folder.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Keep everything in memory: no file is written
    #[arg(long, conflicts_with_all = ["ephemeral", "db"])]
    pub(crate) memory: bool,

    /// Use a private temporary file that goes at the end
    #[arg(long, conflicts_with = "db")]
    pub(crate) ephemeral: bool,

    /// The database file [default: demo.duckdb in this folder]
    #[arg(long, value_name = "PATH")]
    pub(crate) db: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) world: World,
}

/// The shape of the simulated data.
#[derive(Debug, clap::Args)]
pub(crate) struct World {
    /// How many days of history there are
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub(crate) days: u32,

    /// How many events a day has on average
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=5_000_000))]
    pub(crate) events_per_day: u32,

    /// Which world: two seeds have nothing in common but their shape
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub(crate) seed: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Fetch {
    /// Fetch raw events, chunk by chunk: each is stored completely or not at all
    #[command(after_help = "\
Examples:
  mp fetch events --from 2024-01-01 --to 2024-01-31
  mp fetch events purchases --from 7d --to yesterday -e Purchase
  mp fetch events --from 7d --to yesterday --stdout > week.jsonl

Credentials come from the environment: MP_USERNAME and MP_SECRET of a service account with
MP_PROJECT_ID, or MP_PROJECT_SECRET. Fetching days again replaces them.")]
    Events(Box<FetchEvents>),
    /// Fetch profiles of users or groups: all of them are stored, or nothing is changed
    #[command(after_help = "\
Examples:
  mp fetch profiles
  mp fetch profiles --where 'properties[\"plan\"] == \"pro\"' --output-properties '$email,plan'
  mp fetch profiles companies --group-id 4321
  mp fetch profiles --stdout | jq .distinct_id

A fetch of all profiles replaces the table; who exists no longer goes to _vanished_profiles. A fetch
of some replaces those it finds. It counts as one query, however many pages there are.")]
    Profiles(Box<FetchProfiles>),
}

#[derive(Debug, clap::Args)]
pub(crate) struct FetchEvents {
    /// The table to write
    #[arg(default_value = "events")]
    pub(crate) name: String,

    /// First day, inclusive: YYYY-MM-DD, today, yesterday, or 7d for seven days ago
    #[arg(long, value_name = "DAY")]
    pub(crate) from: Day,

    /// Last day, inclusive
    #[arg(long, value_name = "DAY")]
    pub(crate) to: Day,

    /// Only these events, comma-separated
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) events: Vec<String>,

    /// Only this event; may be given several times, and the name may contain commas
    #[arg(short, long, value_name = "NAME")]
    pub(crate) event: Vec<String>,

    /// Only events for which this is true, in Mixpanel's expression language
    #[arg(short, long = "where", value_name = "EXPR")]
    pub(crate) where_: Option<String>,

    /// At most this many events, 1 to 100000; the days then count as partial
    #[arg(short, long, value_name = "N")]
    pub(crate) limit: Option<u32>,

    /// Add to a table that was fetched with other filters
    #[arg(long, conflicts_with = "replace")]
    pub(crate) append: bool,

    /// Swap the whole table for the new data, once that is complete
    #[arg(long)]
    pub(crate) replace: bool,

    /// What to do with lines that cannot be stored
    #[arg(long, value_name = "WHAT", default_value = "quarantine")]
    pub(crate) on_reject: OnReject,

    /// How many downloads run at a time, 1 to 100 [default: 4]
    #[arg(long, value_name = "N")]
    pub(crate) concurrency: Option<usize>,

    #[command(flatten)]
    pub(crate) stream: Stream,

    #[command(flatten)]
    pub(crate) database: Database,

    /// How to print the result [default: table on a terminal, else json]
    #[arg(long, value_parser = ["table", "json"])]
    pub(crate) format: Option<String>,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Which days of which table, where it is, and how to print what is said of them.
#[derive(Debug, clap::Args)]
pub(crate) struct Days {
    /// The table
    #[arg(default_value = "events")]
    pub(crate) name: String,

    /// First day, inclusive: YYYY-MM-DD, today, yesterday, or 7d for seven days ago
    /// [default: the table's first day]
    #[arg(long, value_name = "DAY")]
    pub(crate) from: Option<Day>,

    /// Last day, inclusive [default: today]
    #[arg(long, value_name = "DAY")]
    pub(crate) to: Option<Day>,

    /// Days after its end until which a day is fetched again, as late events may arrive
    #[arg(long, value_name = "DAYS", default_value_t = 5)]
    pub(crate) window: u32,

    #[command(flatten)]
    pub(crate) database: Database,

    /// How to print it [default: table on a terminal, else json]
    #[arg(long, value_parser = ["table", "json"])]
    pub(crate) format: Option<String>,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// A look at days, without fetching any.
#[derive(Debug, clap::Args)]
pub(crate) struct Look {
    #[command(flatten)]
    pub(crate) days: Days,

    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// Days that are complete are not fetched again, except within the window of late events, once
/// an hour. What is stored stays when a sync is interrupted; the next one goes on from there.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mp sync --from 2024-01-01                 # the first time
  mp sync                                   # from then on, for instance from cron:
  0 * * * *  mp sync --quiet --wait 600

Exit codes: 0 up to date, 11 some ranges failed and the rest is stored, else as of the error.")]
pub(crate) struct Sync {
    #[command(flatten)]
    pub(crate) days: Days,

    /// Only these events, comma-separated; for a new table
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) events: Vec<String>,

    /// Only this event, for a new table; may be given several times
    #[arg(short, long, value_name = "NAME")]
    pub(crate) event: Vec<String>,

    /// Only events for which this is true, in Mixpanel's expression language; for a new table
    #[arg(short, long = "where", value_name = "EXPR")]
    pub(crate) where_: Option<String>,

    /// What to do with lines that cannot be stored
    #[arg(long, value_name = "WHAT", default_value = "quarantine")]
    pub(crate) on_reject: OnReject,

    /// How many downloads run at a time, 1 to 100 [default: 4]
    #[arg(long, value_name = "N")]
    pub(crate) concurrency: Option<usize>,

    /// Show what would be fetched, and fetch nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Wait so long for another process that has the database open
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) wait: u64,
}

/// What to do with lines that cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnReject {
    /// Keep them in the table _quarantine, with the reason, and go on
    Quarantine,
    /// Store nothing of their chunk, and say which line it was
    Fail,
}

impl From<OnReject> for mixpanel_data::OnReject {
    fn from(choice: OnReject) -> Self {
        match choice {
            OnReject::Quarantine => mixpanel_data::OnReject::Quarantine,
            OnReject::Fail => mixpanel_data::OnReject::Fail,
        }
    }
}

/// Which project, and how to reach it. Secrets are never given as flags.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// The project [env: MP_PROJECT_ID]
    #[arg(long, value_name = "ID")]
    pub(crate) project_id: Option<String>,

    /// The project's region: us, eu or in [env: MP_REGION] [default: us]
    #[arg(long)]
    pub(crate) region: Option<String>,

    /// Another server, for instance that of `mp sim` [env: MP_BASE_URL]
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,

    /// The project's time zone [env: MP_TIMEZONE] [default: UTC]
    #[arg(long, value_name = "ZONE")]
    pub(crate) timezone: Option<String>,

    /// What the project's times are: utc, or local for projects made before 2023 [env: MP_CLOCK_MODE]
    #[arg(long, value_name = "MODE")]
    pub(crate) clock_mode: Option<String>,
}

/// Which database.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Database {
    /// The database file [env: MP_DB] [default: the project's, in the user's data folder]
    #[arg(long, value_name = "PATH")]
    pub(crate) db: Option<PathBuf>,
}

/// What to do when another process is writing the database.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
#[command(next_help_heading = "While another process is writing")]
pub(crate) struct Reading {
    /// Fail (exit code 7), instead of reading a copy of the last committed state
    #[arg(long)]
    pub(crate) no_snapshot: bool,

    /// The largest copy in gigabytes; where the file system can share bytes, any size is free
    /// [env: MP_MAX_COPY] [default: 4]
    #[arg(long, value_name = "GB")]
    pub(crate) max_copy: Option<f64>,
}

/// Reads the query from the argument, from a file, or from standard input.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mp sql \"SELECT event_name, count(*) FROM events GROUP BY ALL\"
  mp sql -f report.sql --format csv > report.csv
  echo 'SELECT plan, count(*) FROM events_flat GROUP BY ALL' | mp sql")]
pub(crate) struct Sql {
    /// The query; `-` or nothing reads standard input
    #[arg(conflicts_with = "file")]
    pub(crate) query: Option<String>,

    /// Read the query from a file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) database: Database,

    #[command(flatten)]
    pub(crate) reading: Reading,

    /// Use an empty database in memory
    #[arg(long, conflicts_with = "db")]
    pub(crate) memory: bool,

    /// Open the database for writing too
    #[arg(long, conflicts_with = "memory")]
    pub(crate) write: bool,

    /// How to print the rows [default: table on a terminal, else json]
    #[arg(long)]
    pub(crate) format: Option<Format>,

    /// Print at most this many rows [default: all; in tables 10000, on a terminal 1000]
    #[arg(short, long, value_name = "N")]
    pub(crate) limit: Option<usize>,

    /// Print all rows
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Info {
    #[command(flatten)]
    pub(crate) database: Database,

    #[command(flatten)]
    pub(crate) reading: Reading,

    /// How to print it [default: table on a terminal, else json]
    #[arg(long, value_parser = ["table", "json"])]
    pub(crate) format: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Tables {
    #[command(flatten)]
    pub(crate) database: Database,

    #[command(flatten)]
    pub(crate) reading: Reading,

    /// How to print the list [default: table on a terminal, else json]
    #[arg(long)]
    pub(crate) format: Option<Format>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Schema {
    /// The table, or one of its views: `events`, `events_flat`
    pub(crate) table: String,

    #[command(flatten)]
    pub(crate) database: Database,

    #[command(flatten)]
    pub(crate) reading: Reading,

    /// How to print the list [default: table on a terminal, else json]
    #[arg(long)]
    pub(crate) format: Option<Format>,
}

/// Prints its address on standard output, and what to set in the environment on standard error.
#[derive(Debug, clap::Args)]
pub(crate) struct Sim {
    /// The port on the loopback interface; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) port: u16,

    #[command(flatten)]
    pub(crate) world: World,

    /// Serve recorded exports (*.jsonl, *.json, *.jsonl.gz) from this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,

    /// The project's time zone
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub(crate) timezone: String,

    /// Do not apply Mixpanel's request limits
    #[arg(long)]
    pub(crate) no_limits: bool,

    /// A million events of 1 KB over 30 days, without limits
    #[arg(long, conflicts_with_all = ["folder", "days", "events_per_day"])]
    pub(crate) million: bool,
}

/// A day as typed: a date, or so many days ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Day {
    On(Date),
    Ago(u16),
}

impl Day {
    /// The date, seen from `now` in the project's days.
    pub(crate) fn resolve(self, now: Timestamp, clock: &ProjectClock) -> Date {
        match self {
            Day::On(date) => date,
            Day::Ago(days) => clock.day_of(now.as_microsecond()).saturating_sub(Span::new().days(days)),
        }
    }
}

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = |text: &str, lengths: [usize; 3]| {
            let parts: Vec<&str> = text.split('-').collect();
            parts.iter().map(|part| part.len()).eq(lengths)
                && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
        };
        match text {
            "today" => return Ok(Day::Ago(0)),
            "yesterday" => return Ok(Day::Ago(1)),
            _ => {}
        }
        if let Some(days) = text.strip_suffix('d').and_then(|days| days.parse().ok()) {
            return Ok(Day::Ago(days));
        }
        if !digits(text, [4, 2, 2]) {
            return Err("expected YYYY-MM-DD, today, yesterday, or 7d for seven days ago".to_owned());
        }
        text.parse().map(Day::On).map_err(|_| "there is no such day".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use jiff::civil::date;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn days_are_read_strictly() {
        assert_eq!("2024-02-29".parse(), Ok(Day::On(date(2024, 2, 29))));
        assert_eq!("yesterday".parse(), Ok(Day::Ago(1)));
        assert_eq!("30d".parse(), Ok(Day::Ago(30)));
        for wrong in ["", "2024-1-1", "20240101", "2024-02-30", "2024-13-01", "+024-01-01", "d", "-1d", "1 d"]
        {
            assert!(wrong.parse::<Day>().is_err(), "{wrong:?}");
        }
        assert!("01/02/2024".parse::<Day>().unwrap_err().contains("YYYY-MM-DD"));
    }

    #[test]
    fn days_ago_count_in_the_projects_days() {
        let now: Timestamp = "2024-03-01T02:00:00Z".parse().unwrap();
        let utc = ProjectClock::default();
        assert_eq!(Day::Ago(0).resolve(now, &utc), date(2024, 3, 1));
        assert_eq!(Day::Ago(1).resolve(now, &utc), date(2024, 2, 29));
    }
}
