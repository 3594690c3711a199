//! What the user typed, and nothing more: no environment, no files, no defaults that depend on them.

mod auth;
mod data;
mod discover;
mod fetch;
mod global;
pub(crate) mod inspect;
mod load;
mod local;
mod names;
mod needless;
mod output;
mod play;
mod profiles;
pub(crate) mod query;

use clap::{Parser, Subcommand};

use crate::error::EXIT_CODES;

pub(crate) use auth::{
    Add, Auth, Import, List as AuthList, Login, Name, Named, Remove, Status as AuthStatus, Test as AuthTest,
};
pub(crate) use data::{Connection, Database, Day, Reading, Waiting};
pub(crate) use discover::{Completions, Doctor, Help, Man, Shell as ShellName};
pub(crate) use fetch::{Days, Fetch, FetchEvents, Look, OnReject, Sync};
pub(crate) use global::Global;
pub(crate) use load::{ImportOriginal, Kind as LoadKind, Load};
pub(crate) use local::{Answer, Local, Repair, Run, Schema, Shell, Sql, Target, Verify};
pub(crate) use names::Events;
pub(crate) use needless::{Needless, capped, not_streamed};
pub(crate) use output::{Output, Plot, Rows};
pub(crate) use play::{Demo, Sim, World};
pub(crate) use profiles::{FetchProfiles, Stream};

/// A complete local copy of a Mixpanel project's events, in DuckDB.
#[derive(Debug, Parser)]
#[command(name = "mp", version, after_help = EXIT_CODES, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) global: Global,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Try it without an account: fetch 30 days from a simulated Mixpanel and run a few queries
    Demo(Demo),
    /// Fetch data from Mixpanel and store it
    #[command(subcommand)]
    Fetch(Fetch),
    /// Load events from files: exports, JSON pipelines, CSV
    Load(Box<Load>),
    /// Copy the tables of a database that the Python original made
    ImportOriginal(Box<ImportOriginal>),
    /// Bring a table up to date by fetching only the days that are missing, partial or stale
    Sync(Sync),
    /// Show what a sync would fetch, without spending a request
    ///
    /// No request is sent and no credentials are needed. Sizes are known from days that are here;
    /// where nothing is known the plan says so, and the requests may become more.
    #[command(
        after_help = "Examples:\n  mp plan --from 2024-01-01 --to 2024-12-31\n  mp plan --format json --jq .requests"
    )]
    Plan(Look),
    /// Manage accounts: credentials and the projects they belong to
    #[command(subcommand)]
    Auth(Auth),
    /// Show which days are stored, and how many events each has
    #[command(
        after_help = "Examples:\n  mp status\n  mp status purchases --from 30d --to yesterday --format json --jq .missing"
    )]
    Status(Look),
    /// Query Mixpanel: segmentation, funnels, retention and other reports
    #[command(subcommand)]
    Query(Box<query::Query>),
    /// Explore what is in Mixpanel and in the local tables
    #[command(subcommand)]
    Inspect(Box<inspect::Inspect>),
    /// Query the local database with SQL
    Sql(Sql),
    /// Open an SQL prompt with completion and history
    Shell(Shell),
    /// Run a saved query, or list them
    Run(Run),
    /// Show what a local database contains
    #[command(after_help = "Examples:\n  mp info\n  mp info --db demo.duckdb --format json")]
    Info(Local),
    /// List the tables, including tables and views made by SQL
    #[command(after_help = "Examples:\n  mp tables\n  mp tables --db demo.duckdb --format csv")]
    Tables(Local),
    /// Show the columns of a table
    Schema(Schema),
    /// Compare what is stored with what was received, day by day
    Verify(Verify),
    /// Make a copy of a damaged database, with all that can be read of it
    Repair(Repair),
    /// Run a simulated Mixpanel to fetch from, until Ctrl-C
    Sim(Sim),
    /// Check the setup, and say how to fix what is wrong
    Doctor(Doctor),
    /// Show the help of a command, or of a topic
    Help(Help),
    /// Print the completions of a shell
    Completions(Completions),
    /// Write manual pages
    Man(Man),
    /// Write the pages of the reference that follow from the program
    #[command(hide = true)]
    Reference(Man),
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_command_line_is_consistent() {
        super::Args::command().debug_assert();
    }

    /// Commands as the Python original had them, with every option in each form.
    const ORIGINAL: &str = "\
auth list -f csv
auth add n --username u --project 1 --region eu --default --secret-stdin --format json
auth add n -u u -p 1 -r eu -d -i -f json
auth remove n --force --format json
auth switch n -f json
auth show n -f json
auth test n -f json
fetch events t --from 2024-01-01 --to 2024-01-31 --events A,B --where w --limit 5 --replace --no-progress --workers 4 --chunk-days 7 --batch-size 1000 --format json --jq .
fetch events --from 2024-01-01 --to 2024-01-31 -e A,B -w w -l 5 --append -p -f json
fetch events --from 2024-01-01 --to 2024-01-31 --stdout --raw --parallel --jq . --no-progress
fetch profiles t --where w --cohort 1 --output-properties a,b --replace --no-progress --batch-size 100 --include-all-users --parallel --workers 5
fetch profiles -w w -o a -g 2 --behaviors [1] --as-of-timestamp 1 --append -p -f json --jq .
fetch profiles --distinct-id a --stdout --raw --jq .
fetch profiles -c 1 --distinct-ids a --distinct-ids b
query jql s.js --script x --param a=1 -P b=2
query jql -c x -f json --jq .
query sql SELECT --format csv
query sql SELECT -f csv
query sql --file q.sql --jq .
query sql -F q.sql -s -f json
query segmentation --event A --from 2024-01-01 --to 2024-01-31 --on p --unit week --where w
query segmentation -e A --from 2024-01-01 --to 2024-01-31 -o p -u month -w w
query funnel 12 --from 2024-01-01 --to 2024-01-31 --unit week --on p
query funnel 12 --from 2024-01-01 --to 2024-01-31 -u day -o p
query retention --born A --return B --from 2024-01-01 --to 2024-01-31 --born-where w --return-where w --interval 1 --intervals 10 --unit day
query retention -b A -r B --from 2024-01-01 --to 2024-01-31 -i 2 -n 4 -u week
query event-counts --events A,B --from 2024-01-01 --to 2024-01-31 --type unique --unit week
query event-counts -e A --from 2024-01-01 --to 2024-01-31 -t average -u day
query property-counts --event A --property p --from 2024-01-01 --to 2024-01-31 --type general --unit day --limit 5
query property-counts -e A -p p --from 2024-01-01 --to 2024-01-31 -t unique -u week -l 5
query activity-feed --users a,b --from 2024-01-01 --to 2024-01-31
query activity-feed -U a
query saved-report 12
query flows 12
query frequency --from 2024-01-01 --to 2024-01-31 --event A --unit week --addiction-unit day --where w
query frequency --from 2024-01-01 --to 2024-01-31 -e A -u month -w w
query segmentation-numeric --event A --on p --from 2024-01-01 --to 2024-01-31 --type unique --unit hour --where w
query segmentation-numeric -e A -o p --from 2024-01-01 --to 2024-01-31 -t unique -u day -w w
query segmentation-sum -e A -o p --from 2024-01-01 --to 2024-01-31 -u day -w w
query segmentation-average -e A -o p --from 2024-01-01 --to 2024-01-31 -u day -w w
inspect events --format plain
inspect properties --event A
inspect values --property p --event A --limit 5
inspect values -p p -e A -l 5
inspect funnels
inspect cohorts
inspect top-events --type average --limit 5
inspect top-events -t unique -l 5
inspect bookmarks --type funnels
inspect bookmarks -t launch-analysis
inspect lexicon-schemas --type event
inspect lexicon-schemas -t profile
inspect lexicon-schema --type event --name A
inspect lexicon-schema -t event -n A
inspect distribution -e A -p p --from 2024-01-01 --to 2024-01-31 --limit 5
inspect distribution -e A -p p --from 2024-01-01 --to 2024-01-31 -l 5
inspect numeric -e A -p p --from 2024-01-01 --to 2024-01-31 --percentiles 25,50
inspect daily --from 2024-01-01 --to 2024-01-31 --events A,B
inspect daily --from 2024-01-01 --to 2024-01-31 -e A
inspect engagement --from 2024-01-01 --to 2024-01-31 --events A,B --buckets 1,5
inspect coverage -e A -p a,b --from 2024-01-01 --to 2024-01-31
inspect coverage -e A --properties a,b --from 2024-01-01 --to 2024-01-31
inspect info
inspect tables
inspect schema --table t --sample
inspect schema -t t
inspect drop -t t --force -f json --jq .
inspect drop-all --type events --force --format json --jq .
inspect drop-all -t profiles
inspect sample --table t --rows 3
inspect sample -t t -n 3
inspect summarize -t t
inspect breakdown -t t
inspect keys -t t --event A
inspect keys -t t -e A
inspect column --table t --column c --top 3
inspect column -t t -c c";

    #[test]
    fn the_words_of_the_original_are_understood() {
        for line in ORIGINAL.lines() {
            let words = std::iter::once("mp").chain(line.split(' '));
            if let Err(error) = super::Args::try_parse_from(words) {
                panic!("mp {line}: {error}");
            }
        }
    }

    #[test]
    fn every_question_has_an_example_and_takes_a_format() {
        let mut root = super::Args::command();
        root.build();
        for group in ["query", "inspect"] {
            let group = root.find_subcommand(group).unwrap();
            for command in group.get_subcommands().filter(|command| !command.is_hide_set()) {
                let name = format!("mp {} {}", group.get_name(), command.get_name());
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("Example") && help.contains(&name), "{name}: {help:?}");
                let takes = |flag: &str| command.get_arguments().any(|arg| arg.get_long() == Some(flag));
                assert!(takes("format") && takes("jq"), "{name}");
            }
        }
    }
}
