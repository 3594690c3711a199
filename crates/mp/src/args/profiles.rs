//! Words of `mp fetch profiles`, and of streaming rather than storing.

use mixpanel_data::{EngageRequest, Shape, StreamBuffer};

use super::fetch::Home;
use super::names::{expression, listed, name};
use super::{Needless, OnReject, Waiting};

#[derive(Debug, clap::Args)]
pub(crate) struct FetchProfiles {
    /// The table to write; it holds users, or groups of one kind
    #[arg(default_value = "profiles")]
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) which: Which,

    /// Keep profiles that are in the table but no longer exist
    #[arg(long, conflicts_with = "replace")]
    pub(crate) append: bool,

    /// Replace the whole table with what is fetched, even if that is only a selection
    #[arg(long)]
    pub(crate) replace: bool,

    /// What to do with results that cannot be stored
    #[arg(long, value_name = "WHAT", default_value = "quarantine")]
    pub(crate) on_reject: OnReject,

    /// How many pages are fetched in parallel, up to 5 [default: 5]
    #[arg(long, visible_alias = "workers", value_name = "N")]
    pub(crate) concurrency: Option<usize>,

    #[command(flatten)]
    pub(crate) stream: Stream,

    #[command(flatten)]
    pub(crate) waiting: Waiting,

    #[command(flatten)]
    pub(crate) needless: Needless,

    #[command(flatten)]
    pub(crate) home: Home,
}

/// Which profiles, and what of them.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which profiles")]
pub(crate) struct Which {
    /// Only profiles for which this is true, in Mixpanel's expression language
    #[arg(short, long = "where", value_name = "EXPR", value_parser = expression)]
    pub(crate) where_: Option<String>,

    /// Only members of this saved cohort
    #[arg(short, long, value_name = "ID", value_parser = name, conflicts_with = "behaviors")]
    pub(crate) cohort: Option<String>,

    /// With --cohort: also members that have no profile
    #[arg(long, requires = "cohort")]
    pub(crate) include_all_users: bool,

    /// Only these properties of each profile, comma-separated
    #[arg(short, long, value_name = "A,B", value_delimiter = ',', value_parser = listed)]
    pub(crate) output_properties: Vec<String>,

    /// Only this property of each profile; may be given several times, and the name may contain commas
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(crate) output_property: Vec<String>,

    /// Only the profile with this id
    #[arg(long, value_name = "ID", value_parser = name, conflicts_with = "distinct_ids")]
    pub(crate) distinct_id: Option<String>,

    /// Only the profile with this id; may be given several times
    #[arg(long, value_name = "ID", value_parser = name)]
    pub(crate) distinct_ids: Vec<String>,

    /// Profiles of groups of this kind (their data_group_id) rather than of users
    #[arg(short, long, value_name = "ID", value_parser = name)]
    pub(crate) group_id: Option<String>,

    /// What users did, to be used in --where: '[{"window":"30d","name":"b","event_selectors":[{"event":"E"}]}]'
    #[arg(long, value_name = "JSON", requires = "where_", value_parser = behaviors)]
    pub(crate) behaviors: Option<Behaviors>,

    /// The instant that the windows of behaviors end at, in seconds since 1970 [default: now]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) as_of_timestamp: Option<i64>,
}

/// The elements of a list.
#[derive(Clone, Debug)]
pub(crate) struct Behaviors(Vec<serde_json::Value>);

fn behaviors(text: &str) -> Result<Behaviors, String> {
    let list: Vec<serde_json::Value> =
        serde_json::from_str(text).map_err(|error| format!("it is not a JSON array: {error}"))?;
    if list.is_empty() { Err("the list is empty".to_owned()) } else { Ok(Behaviors(list)) }
}

impl Which {
    /// The same for the API.
    pub(crate) fn request(&self) -> EngageRequest {
        let ids = self.distinct_ids.clone();
        EngageRequest {
            where_: self.where_.clone(),
            cohort: self.cohort.clone(),
            include_all_users: self.include_all_users,
            output_properties: self.output_properties.iter().chain(&self.output_property).cloned().collect(),
            distinct_id: self.distinct_id.clone(),
            distinct_ids: (!ids.is_empty()).then_some(ids),
            data_group_id: self.group_id.clone(),
            behaviors: self.behaviors.as_ref().map(|list| list.0.clone()).unwrap_or_default(),
            as_of_timestamp: self.as_of_timestamp,
            page_size: None,
        }
    }
}

/// What has no meaning for rows that are not stored, in `mp fetch events` and `mp fetch profiles`.
const NOT_STREAMED: [&str; 6] = ["append", "replace", "on_reject", "db", "output", "wait"];

/// Rows on standard output, without a database.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Streaming")]
pub(crate) struct Stream {
    /// Print the rows as JSON, one per line, and store nothing; --jq filters each of them
    #[arg(long, conflicts_with_all = NOT_STREAMED)]
    pub(crate) stdout: bool,

    /// Print the lines that Mixpanel sends instead of the rows that would be stored
    #[arg(long, requires = "stdout")]
    pub(crate) raw: bool,

    /// Print rows as they come; by default they wait, in memory and then in a nameless temporary
    /// file, until they are known to be complete. A download that breaks off is then an error, and
    /// rows were printed that a second run prints again
    #[arg(long, requires = "stdout", conflicts_with = "in_memory")]
    pub(crate) unbuffered: bool,

    /// Hold rows back in memory only, at most 1 GB; nothing is written to disk
    #[arg(long, requires = "stdout")]
    pub(crate) in_memory: bool,
}

impl Stream {
    pub(crate) fn buffer(&self) -> StreamBuffer {
        match (self.unbuffered, self.in_memory) {
            (true, _) => StreamBuffer::Unbuffered,
            (false, true) => StreamBuffer::memory(),
            (false, false) => StreamBuffer::Usual,
        }
    }

    pub(crate) fn shape(&self) -> Shape {
        if self.raw { Shape::Raw } else { Shape::Record }
    }
}
