//! Words of `mp inspect` about the local tables.

use clap::Subcommand;
use clap_complete::engine::ArgValueCandidates;

use super::super::names::{listed, name};
use super::super::{Database, Day, Events, Local, Output, Waiting};
use crate::commands::discover::complete;

#[derive(Debug, Subcommand)]
pub(crate) enum Here {
    /// Count the values of a property, in the local data
    #[command(after_help = "Example:\n  mp inspect distribution -e Purchase -p plan --from 30d --to today")]
    Distribution(Distribution),
    /// Summarize a numeric property, in the local data
    #[command(after_help = "Example:\n  mp inspect numeric -e Purchase -p amount --percentiles 50,99")]
    Numeric(Numeric),
    /// Count events by day, in the local data
    #[command(after_help = "Example:\n  mp inspect daily --events Search,Purchase --from 7d --to today")]
    Daily(Daily),
    /// Count users by their number of events, in the local data
    #[command(after_help = "Example:\n  mp inspect engagement --buckets 1,2,10,100")]
    Engagement(Engagement),
    /// Show how many events have each property, in the local data
    #[command(after_help = "Example:\n  mp inspect coverage -e Purchase -p plan,amount")]
    Coverage(Coverage),
    /// Show what a local database contains; the same as `mp info`
    #[command(after_help = "Example:\n  mp inspect info")]
    Info(Local),
    /// List the local tables; the same as `mp tables`
    #[command(after_help = "Example:\n  mp inspect tables")]
    Tables(Local),
    /// Show the columns of a local table, as `mp schema TABLE` does; in JSON as one object
    #[command(after_help = "Example:\n  mp inspect schema -t events_flat")]
    Schema(Columns),
    /// Show some rows of a local table, chosen at random
    #[command(after_help = "Example:\n  mp inspect sample -t events --rows 3 --format vertical")]
    Sample(Sample),
    /// Summarize every column of a local table
    #[command(after_help = "Example:\n  mp inspect summarize -t events")]
    Summarize(Table),
    /// Count the events of a local table by name
    #[command(after_help = "Example:\n  mp inspect breakdown -t events")]
    Breakdown(Table),
    /// List the properties of a local table
    #[command(after_help = "Example:\n  mp inspect keys -t events -e Purchase")]
    Keys(Keys),
    /// Summarize a column of a local table, or an SQL expression
    #[command(after_help = "Example:\n  mp inspect column -t events -c plan --top 5")]
    Column(Column),
    /// Remove a local table
    #[command(after_help = "Example:\n  mp inspect drop -t events --force")]
    Drop(Drop),
    /// Remove all tables of events and profiles; tables made by SQL stay
    #[command(after_help = "Example:\n  mp inspect drop-all --type profiles --force")]
    DropAll(DropAll),
}

/// Which local events.
#[derive(Debug, clap::Args)]
pub(crate) struct Scope {
    /// The table
    #[arg(short, long, value_name = "NAME", default_value = "events", add = ArgValueCandidates::new(complete::tables))]
    pub(crate) table: String,

    /// First day, inclusive, UTC [default: all that is there]
    #[arg(long, value_name = "DAY")]
    pub(crate) from: Option<Day>,

    /// Last day, inclusive, UTC
    #[arg(long, value_name = "DAY")]
    pub(crate) to: Option<Day>,

    #[command(flatten)]
    pub(crate) local: Local,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Distribution {
    /// The event
    #[arg(short, long, value_name = "NAME", value_parser = name, add = ArgValueCandidates::new(complete::events))]
    pub(crate) event: String,

    /// The property
    #[arg(short, long, value_name = "NAME", value_parser = name, add = ArgValueCandidates::new(complete::properties))]
    pub(crate) property: String,

    /// At most this many values
    #[arg(short, long, value_name = "N", default_value = "20")]
    pub(crate) limit: usize,

    #[command(flatten)]
    pub(crate) scope: Scope,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Numeric {
    /// The event
    #[arg(short, long, value_name = "NAME", value_parser = name, add = ArgValueCandidates::new(complete::events))]
    pub(crate) event: String,

    /// The property
    #[arg(short, long, value_name = "NAME", value_parser = name, add = ArgValueCandidates::new(complete::properties))]
    pub(crate) property: String,

    /// Which percentiles, comma-separated
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_value = "25,50,75,90,95,99")]
    pub(crate) percentiles: Vec<u8>,

    #[command(flatten)]
    pub(crate) scope: Scope,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Daily {
    #[command(flatten)]
    pub(crate) events: Events,

    #[command(flatten)]
    pub(crate) scope: Scope,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Engagement {
    #[command(flatten)]
    pub(crate) events: Events,

    /// The smallest number of events in each bucket, comma-separated
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_value = "1,2,5,10,25,50,100")]
    pub(crate) buckets: Vec<u64>,

    #[command(flatten)]
    pub(crate) scope: Scope,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Coverage {
    /// The event
    #[arg(short, long, value_name = "NAME", value_parser = name, add = ArgValueCandidates::new(complete::events))]
    pub(crate) event: String,

    /// The properties, comma-separated
    #[arg(short, long, value_name = "A,B", value_delimiter = ',', value_parser = listed, required_unless_present = "property", add = ArgValueCandidates::new(complete::properties))]
    pub(crate) properties: Vec<String>,

    /// A property; may be given several times, and the name may contain commas
    #[arg(long, value_name = "NAME", value_parser = name, add = ArgValueCandidates::new(complete::properties))]
    pub(crate) property: Vec<String>,

    #[command(flatten)]
    pub(crate) scope: Scope,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Table {
    /// The table
    #[arg(short, long, value_name = "NAME", add = ArgValueCandidates::new(complete::tables))]
    pub(crate) table: String,

    #[command(flatten)]
    pub(crate) local: Local,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Columns {
    #[command(flatten)]
    pub(crate) table: Table,

    /// Without effect: `mp inspect sample` shows rows
    #[arg(long, hide = true)]
    pub(crate) sample: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Sample {
    /// The table
    #[arg(short, long, value_name = "NAME", add = ArgValueCandidates::new(complete::tables))]
    pub(crate) table: String,

    /// How many rows
    #[arg(short = 'n', long, value_name = "N", default_value = "10")]
    pub(crate) rows: usize,

    #[command(flatten)]
    pub(crate) local: Local,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Keys {
    /// The table
    #[arg(short, long, value_name = "NAME", add = ArgValueCandidates::new(complete::tables))]
    pub(crate) table: String,

    /// Only of this event
    #[arg(short, long, value_name = "NAME", value_parser = name, add = ArgValueCandidates::new(complete::events))]
    pub(crate) event: Option<String>,

    #[command(flatten)]
    pub(crate) local: Local,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Column {
    /// The table
    #[arg(short, long, value_name = "NAME", add = ArgValueCandidates::new(complete::tables))]
    pub(crate) table: String,

    /// The column, or an SQL expression over the columns
    #[arg(short, long, value_name = "COLUMN")]
    pub(crate) column: String,

    /// How many of the most frequent values
    #[arg(long, value_name = "N", default_value = "10")]
    pub(crate) top: usize,

    #[command(flatten)]
    pub(crate) local: Local,
}

/// Where something is removed.
#[derive(Debug, clap::Args)]
pub(crate) struct Removal {
    /// Remove without asking; required when there is no terminal
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) output: Output,

    #[command(flatten)]
    pub(crate) database: Database,

    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Drop {
    /// The table
    #[arg(short, long, value_name = "NAME", add = ArgValueCandidates::new(complete::tables))]
    pub(crate) table: String,

    #[command(flatten)]
    pub(crate) removal: Removal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Events,
    Profiles,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DropAll {
    /// Only tables of events, or of profiles
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<Kind>,

    #[command(flatten)]
    pub(crate) removal: Removal,
}
