//! Words of `mp query`: questions that Mixpanel answers.

use std::path::PathBuf;

use clap::Subcommand;
use clap_complete::engine::ArgValueCandidates;
use mixpanel_client::live::{LengthUnit, RetentionKind, SavedReportType};
use mixpanel_client::{CountType, TimeUnit};

use super::local::{Ended, LocalSql};
use super::names::{expression, listed, name};
use super::{Connection, Day, Events, Output, Plot};
use crate::commands::discover::complete;

/// What all questions have: how to reach Mixpanel, and what becomes of the answer.
#[derive(Debug, clap::Args)]
pub(crate) struct Live {
    #[command(flatten)]
    pub(crate) output: Output,

    #[command(flatten)]
    pub(crate) plot: Plot,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// A range of days.
#[derive(Debug, clap::Args)]
pub(crate) struct Range {
    /// First day, inclusive: YYYY-MM-DD, today, yesterday, or 7d for seven days ago
    #[arg(long, value_name = "DAY")]
    pub(crate) from: Day,

    /// Last day, inclusive
    #[arg(long, value_name = "DAY")]
    pub(crate) to: Day,
}

/// An event, on some days.
#[derive(Debug, clap::Args)]
pub(crate) struct EventDays {
    /// The event
    #[arg(short, long, value_name = "NAME", value_parser = name, add = ArgValueCandidates::new(complete::events))]
    pub(crate) event: String,

    #[command(flatten)]
    pub(crate) range: Range,
}

/// Which events count.
#[derive(Debug, clap::Args)]
pub(crate) struct Condition {
    /// Only events for which this is true, in Mixpanel's expression language
    #[arg(short, long = "where", value_name = "EXPR", value_parser = expression)]
    pub(crate) where_: Option<String>,
}

/// Which events count, and by what they are told apart.
#[derive(Debug, clap::Args)]
pub(crate) struct Cut {
    /// Break down by this property, or expression
    #[arg(short, long, value_name = "PROPERTY", value_parser = name, add = ArgValueCandidates::new(complete::properties))]
    pub(crate) on: Option<String>,

    #[command(flatten)]
    pub(crate) condition: Condition,
}

/// What is counted, and in which steps of time.
#[derive(Debug, clap::Args)]
pub(crate) struct Counting {
    /// How to count: general (each event), unique (users) or average (events per user)
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "general")]
    pub(crate) count: CountType,

    /// hour, day, week or month
    #[arg(short, long, default_value = "day")]
    pub(crate) unit: TimeUnit,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Query {
    /// Count an event by day, and by the values of a property
    #[command(after_help = "\
Example:
  mp query segmentation -e Purchase --from 30d --to yesterday --on plan --format csv")]
    Segmentation(Segmentation),
    /// Show how many users complete each step of a saved funnel; `mp inspect funnels` lists them
    #[command(after_help = "\
Example:
  mp query funnel 7501 --from 30d --to yesterday --on '$browser'")]
    Funnel(Funnel),
    /// Show how many users come back, period by period
    #[command(after_help = "\
Example:
  mp query retention --born 'Signed Up' --return Purchase --from 30d --to yesterday --unit week")]
    Retention(Retention),
    /// Count several events by day
    #[command(after_help = "\
Examples:
  mp query event-counts --events Search,Purchase --from 7d --to yesterday
  mp query event-counts -e 'Plan, changed' --from 7d --to yesterday --type unique")]
    EventCounts(EventCounts),
    /// Count an event by the values of a property
    #[command(after_help = "\
Example:
  mp query property-counts -e Purchase -p plan --from 7d --to yesterday --limit 5")]
    PropertyCounts(PropertyCounts),
    /// Show the events of some users
    #[command(after_help = "\
Example:
  mp query activity-feed --users user_1,user_2 --from 7d --to today --format jsonl")]
    ActivityFeed(ActivityFeed),
    /// Run a saved report; `mp inspect bookmarks` lists them
    #[command(after_help = "\
Example:
  mp query saved-report 123456 --type insights")]
    SavedReport(SavedReport),
    /// Run a saved flows report
    #[command(after_help = "\
Example:
  mp query flows 123456")]
    Flows(Flows),
    /// Show in how many hours of a day, or days of a week, users are active
    #[command(after_help = "\
Example:
  mp query frequency --from 30d --to yesterday --unit week --addiction-unit day -e Purchase")]
    Frequency(Frequency),
    /// Count an event by ranges of a numeric property
    #[command(after_help = "\
Example:
  mp query segmentation-numeric -e Purchase --on amount --from 7d --to yesterday")]
    SegmentationNumeric(Ranges),
    /// Sum a property by day
    #[command(after_help = "\
Example:
  mp query segmentation-sum -e Purchase --on amount --from 7d --to yesterday")]
    SegmentationSum(Numeric),
    /// Average a property by day
    #[command(after_help = "\
Example:
  mp query segmentation-average -e Purchase --on amount --from 7d --to yesterday")]
    SegmentationAverage(Numeric),
    /// Compute a statistic over profiles
    #[command(after_help = "\
Examples:
  mp query engage-stats --where 'properties[\"plan\"] == \"pro\"'
  mp query engage-stats --action percentile --property age --percentile 90")]
    EngageStats(EngageStats),
    /// Run a report that is defined in a file and not saved in Mixpanel
    ///
    /// The file has one definition in JSON: an object with one key, `insights`, `funnel`, `retention`
    /// or `flow`.
    #[command(after_help = "\
Example:
  echo '{\"funnel\": {\"steps\": [{\"event\": \"Search\"}, {\"event\": \"Purchase\"}],
    \"window\": {\"count\": 7, \"unit\": \"day\"}, \"unit\": \"day\",
    \"time\": {\"last\": {\"count\": 30, \"unit\": \"day\"}}}}' | mp query report -")]
    Report(Report),
    /// Query the local database with SQL, as `mp sql` does; here -f is the format, and -F a file
    #[command(after_help = "\
Examples:
  mp query sql --scalar 'SELECT count(*) FROM events'
  mp query sql -F report.sql -f csv")]
    Sql(Box<LocalSql>),
    /// Mixpanel has ended JQL; `mp sql` and five questions of `mp inspect` do what scripts did
    #[command(hide = true)]
    Jql(Ended),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Segmentation {
    #[command(flatten)]
    pub(crate) of: EventDays,

    #[command(flatten)]
    pub(crate) counting: Counting,

    #[command(flatten)]
    pub(crate) cut: Cut,

    /// At most this many segments, 1 to 10000 [default: Mixpanel's 60]
    #[arg(short, long, value_name = "N", requires = "on")]
    pub(crate) limit: Option<u32>,

    #[command(flatten)]
    pub(crate) live: Live,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Funnel {
    /// The number of the funnel
    pub(crate) id: u64,

    #[command(flatten)]
    pub(crate) range: Range,

    /// day, week or month [default: day]
    #[arg(short, long)]
    pub(crate) unit: Option<TimeUnit>,

    #[command(flatten)]
    pub(crate) cut: Cut,

    /// How long users have to complete it [default: as saved]
    #[arg(long, value_name = "N")]
    pub(crate) length: Option<u32>,

    /// second, minute, hour or day
    #[arg(long, value_name = "UNIT", default_value = "day", requires = "length")]
    pub(crate) length_unit: LengthUnit,

    #[command(flatten)]
    pub(crate) live: Live,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Retention {
    /// The event that makes a user part of a cohort
    #[arg(short, long, value_name = "NAME", value_parser = name, add = ArgValueCandidates::new(complete::events))]
    pub(crate) born: String,

    /// The event that counts as coming back
    #[arg(short, long = "return", value_name = "NAME", value_parser = name, add = ArgValueCandidates::new(complete::events))]
    pub(crate) return_: String,

    #[command(flatten)]
    pub(crate) range: Range,

    /// Only first events for which this is true
    #[arg(long, value_name = "EXPR", value_parser = expression)]
    pub(crate) born_where: Option<String>,

    /// Only returns for which this is true
    #[arg(long, value_name = "EXPR", value_parser = expression)]
    pub(crate) return_where: Option<String>,

    /// The length of a period in days, 1 to 90 [default: as --unit says]
    #[arg(short, long, value_name = "DAYS")]
    pub(crate) interval: Option<u32>,

    /// How many periods there are after the first
    #[arg(short = 'n', long, value_name = "N", default_value = "10")]
    pub(crate) intervals: u32,

    /// The length of a period: day, week or month [default: day]
    #[arg(short, long)]
    pub(crate) unit: Option<TimeUnit>,

    /// birth (first time) or compounded (each time)
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "birth")]
    pub(crate) kind: RetentionKind,

    #[command(flatten)]
    pub(crate) live: Live,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EventCounts {
    #[command(flatten)]
    pub(crate) events: Events,

    #[command(flatten)]
    pub(crate) range: Range,

    #[command(flatten)]
    pub(crate) counting: Counting,

    #[command(flatten)]
    pub(crate) live: Live,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PropertyCounts {
    #[command(flatten)]
    pub(crate) of: EventDays,

    /// The property
    #[arg(short, long, value_name = "NAME", value_parser = name, add = ArgValueCandidates::new(complete::properties))]
    pub(crate) property: String,

    #[command(flatten)]
    pub(crate) counting: Counting,

    /// Only this value; may be given several times
    #[arg(long, value_name = "VALUE")]
    pub(crate) value: Vec<String>,

    /// At most this many values, 1 to 10000
    #[arg(short, long, value_name = "N", default_value = "10")]
    pub(crate) limit: u32,

    #[command(flatten)]
    pub(crate) live: Live,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ActivityFeed {
    /// The users, comma-separated
    #[arg(short = 'U', long, value_name = "A,B", value_delimiter = ',', value_parser = listed, required_unless_present = "user")]
    pub(crate) users: Vec<String>,

    /// A user; may be given several times, and the id may contain commas
    #[arg(long, value_name = "ID", value_parser = name)]
    pub(crate) user: Vec<String>,

    /// First day, inclusive [default: 29 days before the last]
    #[arg(long, value_name = "DAY")]
    pub(crate) from: Option<Day>,

    /// Last day, inclusive [default: today]
    #[arg(long, value_name = "DAY")]
    pub(crate) to: Option<Day>,

    #[command(flatten)]
    pub(crate) live: Live,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SavedReport {
    /// The number of the report
    pub(crate) id: u64,

    /// insights, funnels, retention or flows
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "insights")]
    pub(crate) kind: SavedReportType,

    /// First day of a funnel, inclusive [default: 29 days before the last]
    #[arg(long, value_name = "DAY")]
    pub(crate) from: Option<Day>,

    /// Last day of a funnel, inclusive [default: today]
    #[arg(long, value_name = "DAY")]
    pub(crate) to: Option<Day>,

    #[command(flatten)]
    pub(crate) live: Live,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Flows {
    /// The number of the report
    pub(crate) id: u64,

    #[command(flatten)]
    pub(crate) live: Live,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Frequency {
    #[command(flatten)]
    pub(crate) range: Range,

    /// The event [default: any]
    #[arg(short, long, value_name = "NAME", value_parser = name, add = ArgValueCandidates::new(complete::events))]
    pub(crate) event: Option<String>,

    /// The period: day, week or month
    #[arg(short, long, default_value = "day")]
    pub(crate) unit: TimeUnit,

    /// What is counted within a period: hour or day
    #[arg(long, value_name = "UNIT", default_value = "hour")]
    pub(crate) addiction_unit: TimeUnit,

    #[command(flatten)]
    pub(crate) condition: Condition,

    #[command(flatten)]
    pub(crate) live: Live,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Numeric {
    #[command(flatten)]
    pub(crate) of: EventDays,

    /// The property, or an expression
    #[arg(short, long, value_name = "PROPERTY", value_parser = name, add = ArgValueCandidates::new(complete::properties))]
    pub(crate) on: String,

    /// hour or day
    #[arg(short, long, default_value = "day")]
    pub(crate) unit: TimeUnit,

    #[command(flatten)]
    pub(crate) condition: Condition,

    #[command(flatten)]
    pub(crate) live: Live,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Ranges {
    #[command(flatten)]
    pub(crate) numeric: Numeric,

    /// How to count: general (each event), unique (users) or average (events per user)
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "general")]
    pub(crate) count: CountType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum StatsAction {
    Count,
    Extremes,
    Percentile,
    NumericSummary,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EngageStats {
    /// What to compute
    #[arg(long, value_name = "ACTION", default_value = "count")]
    pub(crate) action: StatsAction,

    /// The property, for everything but count
    #[arg(short, long, value_name = "NAME", required_if_eq_any = [("action", "extremes"), ("action", "percentile"), ("action", "numeric-summary")])]
    pub(crate) property: Option<String>,

    /// Which percentile, above 0 and up to 100
    #[arg(long, value_name = "N", required_if_eq("action", "percentile"))]
    pub(crate) percentile: Option<f64>,

    /// Only profiles for which this is true, in Mixpanel's expression language
    #[arg(short, long = "where", value_name = "EXPR", value_parser = expression)]
    pub(crate) where_: Option<String>,

    /// Only users of this cohort
    #[arg(short, long, value_name = "ID")]
    pub(crate) cohort: Option<u64>,

    #[command(flatten)]
    pub(crate) live: Live,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Report {
    /// The file; `-` is standard input
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) live: Live,
}
