//! Words of `mp fetch`, `sync`, `plan` and `status`: what comes home, and which days of it.

use clap::Subcommand;

use super::names::expression;
use super::{Connection, Database, Day, Events, FetchProfiles, Needless, Output, Reading, Stream, Waiting};

#[derive(Debug, Subcommand)]
pub(crate) enum Fetch {
    /// Fetch raw events in chunks of days; each chunk is stored completely or not at all
    #[command(after_help = "\
Examples:
  mp fetch events --from 2024-01-01 --to 2024-01-31
  mp fetch events purchases --from 7d --to yesterday -e Purchase
  mp fetch events --from 7d --to yesterday --stdout > week.jsonl

Credentials are those of `mp auth login`, or MP_USERNAME, MP_SECRET and MP_PROJECT_ID, or
MP_PROJECT_SECRET. Fetching days again replaces them.")]
    Events(Box<FetchEvents>),
    /// Fetch user or group profiles; all of them are stored, or nothing is changed
    #[command(after_help = "\
Examples:
  mp fetch profiles
  mp fetch profiles --where 'properties[\"plan\"] == \"pro\"' --output-properties '$email,plan'
  mp fetch profiles companies --group-id 4321
  mp fetch profiles --stdout | jq .distinct_id

A fetch of all profiles replaces the table; profiles that no longer exist are moved to
_vanished_profiles. A fetch of some profiles replaces only those. Either counts as one query,
however many pages it has.")]
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

    #[command(flatten)]
    pub(crate) events: Events,

    /// Only events for which this is true, in Mixpanel's expression language
    #[arg(short, long = "where", value_name = "EXPR", value_parser = expression)]
    pub(crate) where_: Option<String>,

    /// Fetch at most this many events, 1 to 100000; the days are then marked as partial
    #[arg(short, long, value_name = "N")]
    pub(crate) limit: Option<u32>,

    /// Add to a table that was fetched with other filters
    #[arg(long, conflicts_with = "replace")]
    pub(crate) append: bool,

    /// Replace the whole table with the new data, once that is complete
    #[arg(long)]
    pub(crate) replace: bool,

    /// How many days a request covers, 1 to 100 [default: chosen by the size of the days]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) chunk_days: Option<u32>,

    #[command(flatten)]
    pub(crate) taking: Taking,

    #[command(flatten)]
    pub(crate) stream: Stream,

    #[command(flatten)]
    pub(crate) waiting: Waiting,

    #[command(flatten)]
    pub(crate) needless: Needless,

    #[command(flatten)]
    pub(crate) home: Home,
}

/// From where to where, and how to print what is said of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Home {
    #[command(flatten)]
    pub(crate) database: Database,

    #[command(flatten)]
    pub(crate) output: Output,

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

    /// For how many days after it ended a day is fetched again, because events may arrive late
    #[arg(long, value_name = "DAYS", default_value_t = 5)]
    pub(crate) window: u32,

    #[command(flatten)]
    pub(crate) home: Home,
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
  0 * * * *  mp sync --quiet --timestamps --wait 600
  mp sync --all                             # each [[sync]] of the configuration file

Exit codes: 0 up to date, 11 some ranges failed and the rest is stored, otherwise the code of the error.")]
pub(crate) struct Sync {
    #[command(flatten)]
    pub(crate) days: Days,

    #[command(flatten)]
    pub(crate) events: Events,

    /// Only events for which this is true, in Mixpanel's expression language; for a new table
    #[arg(short, long = "where", value_name = "EXPR", value_parser = expression)]
    pub(crate) where_: Option<String>,

    #[command(flatten)]
    pub(crate) taking: Taking,

    /// Fetch days that were loaded from files, too: Mixpanel's rows take the place of the files'
    #[arg(long)]
    pub(crate) refetch_loaded: bool,

    /// Fetch all profiles, too, into this table [default: profiles]
    #[arg(long, value_name = "TABLE", num_args = 0..=1, require_equals = true, default_missing_value = "profiles")]
    pub(crate) profiles: Option<String>,

    /// Bring all up to date that the configuration file lists as [[sync]]; with --account, those of it.
    /// `mp help config` says how
    #[arg(long, conflicts_with_all = ["name", "from", "events", "event", "where_", "profiles", "dry_run", "Database", "Connection"])]
    pub(crate) all: bool,

    /// Show what would be fetched, and fetch nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// How events are taken in.
#[derive(Debug, clap::Args)]
pub(crate) struct Taking {
    /// What to do with lines that cannot be stored
    #[arg(long, value_name = "WHAT", default_value = "quarantine")]
    pub(crate) on_reject: OnReject,

    /// How many downloads run in parallel, up to 100 [default: 4]
    #[arg(long, visible_alias = "workers", value_name = "N")]
    pub(crate) concurrency: Option<usize>,
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
