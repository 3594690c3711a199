//! Words of `mp inspect` about what there is at Mixpanel.

use clap::Subcommand;
use clap_complete::engine::ArgValueCandidates;
use mixpanel_client::CountType;
use mixpanel_client::discovery::{BookmarkType, EntityType};

use super::super::names::name;
use super::super::{Connection, Day, Output};
use crate::commands::discover::complete;

/// How to reach Mixpanel, and what becomes of the answer.
#[derive(Debug, clap::Args)]
pub(crate) struct Remote {
    #[command(flatten)]
    pub(crate) output: Output,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AtMixpanel {
    /// List the events of the project
    #[command(after_help = "Example:\n  mp inspect events --format plain")]
    Events(Remote),
    /// List the properties of an event
    #[command(after_help = "Example:\n  mp inspect properties -e Purchase")]
    Properties(Properties),
    /// List values of a property
    #[command(after_help = "Example:\n  mp inspect values -p plan -e Purchase --limit 20")]
    Values(Values),
    /// List the saved funnels
    #[command(after_help = "Example:\n  mp inspect funnels")]
    Funnels(Remote),
    /// List the saved cohorts
    #[command(after_help = "Example:\n  mp inspect cohorts --jq '.[] | select(.count > 100) | .id'")]
    Cohorts(Remote),
    /// List today's most frequent events, compared with yesterday
    #[command(after_help = "Example:\n  mp inspect top-events --type unique --limit 5")]
    TopEvents(TopEvents),
    /// List the saved reports
    #[command(after_help = "Example:\n  mp inspect bookmarks --type funnels")]
    Bookmarks(Bookmarks),
    /// List the schemas of the Lexicon
    #[command(after_help = "Example:\n  mp inspect lexicon-schemas --type event --format json")]
    LexiconSchemas(LexiconSchemas),
    /// Show one schema of the Lexicon
    #[command(after_help = "Example:\n  mp inspect lexicon-schema --type event --name Purchase")]
    LexiconSchema(LexiconSchema),
    /// List the annotations
    #[command(after_help = "Example:\n  mp inspect annotations --from 30d --to today")]
    Annotations(Annotations),
    /// Show the project's name, time zone and region
    #[command(after_help = "Example:\n  mp inspect project")]
    Project(Remote),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Properties {
    /// The event
    #[arg(short, long, value_name = "NAME", value_parser = name, add = ArgValueCandidates::new(complete::events))]
    pub(crate) event: String,

    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Values {
    /// The property
    #[arg(short, long, value_name = "NAME", value_parser = name, add = ArgValueCandidates::new(complete::properties))]
    pub(crate) property: String,

    /// Only of this event
    #[arg(short, long, value_name = "NAME", value_parser = name, add = ArgValueCandidates::new(complete::events))]
    pub(crate) event: Option<String>,

    /// At most this many, 1 to 10000
    #[arg(short, long, value_name = "N", default_value = "100")]
    pub(crate) limit: u32,

    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TopEvents {
    /// How to count: general (each event), unique (users) or average (events per user)
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "general")]
    pub(crate) count: CountType,

    /// At most this many, 1 to 5000
    #[arg(short, long, value_name = "N", default_value = "10")]
    pub(crate) limit: u32,

    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Bookmarks {
    /// insights, funnels, retention, flows or launch-analysis [default: all]
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<BookmarkType>,

    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LexiconSchemas {
    /// event or profile [default: all]
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<EntityType>,

    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LexiconSchema {
    /// event or profile
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    pub(crate) kind: EntityType,

    /// The name of the event; $user for profiles
    #[arg(short, long, value_name = "NAME")]
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Annotations {
    /// First day, inclusive
    #[arg(long, value_name = "DAY", requires = "to")]
    pub(crate) from: Option<Day>,

    /// Last day, inclusive
    #[arg(long, value_name = "DAY", requires = "from")]
    pub(crate) to: Option<Day>,

    #[command(flatten)]
    pub(crate) remote: Remote,
}
