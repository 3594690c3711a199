//! What the user typed, and nothing more: no environment, no files, no defaults that depend on them.

mod auth;
mod data;
mod discover;
mod fetch;
mod global;
pub(crate) mod inspect;
mod local;
mod output;
mod play;
mod profiles;
pub(crate) mod query;

use clap::{Parser, Subcommand};

use crate::error::EXIT_CODES;

pub(crate) use auth::{Auth, List as AuthList, Login, Named, Status as AuthStatus};
pub(crate) use data::{Connection, Database, Day, Reading};
pub(crate) use discover::{Completions, Doctor, Help, Man, Shell as ShellName};
pub(crate) use fetch::{Days, Fetch, FetchEvents, Look, OnReject, Sync};
pub(crate) use global::Global;
pub(crate) use local::{Answer, Info, Run, Schema, Shell, Sql, Tables};
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
    #[command(
        after_help = "Examples:\n  mp plan --from 2024-01-01 --to 2024-12-31\n  mp plan --format json --jq .requests"
    )]
    Plan(Look),
    /// Accounts: who we are at Mixpanel, and for which project
    #[command(subcommand)]
    Auth(Auth),
    /// Show what is here, day by day
    #[command(
        after_help = "Examples:\n  mp status\n  mp status purchases --from 30d --to yesterday --format json --jq .missing"
    )]
    Status(Look),
    /// Ask Mixpanel: segmentation, funnels, retention and other reports
    #[command(subcommand)]
    Query(Box<query::Query>),
    /// Look at what there is, at Mixpanel and in the local tables
    #[command(subcommand)]
    Inspect(Box<inspect::Inspect>),
    /// Ask the local data in SQL
    Sql(Sql),
    /// A prompt for SQL, with completion and history
    Shell(Shell),
    /// Run a saved query, or list them
    Run(Run),
    /// Show what a local database is and holds
    #[command(after_help = "Examples:\n  mp info\n  mp info --db demo.duckdb --format json")]
    Info(Info),
    /// List the tables
    #[command(after_help = "Examples:\n  mp tables\n  mp tables --db demo.duckdb --format csv")]
    Tables(Tables),
    /// Show the columns of a table
    Schema(Schema),
    /// Run a simulated Mixpanel to fetch from, until Ctrl-C
    Sim(Sim),
    /// Find out what is wrong with the setup, and how to mend it
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
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Args::command().debug_assert();
    }
}
