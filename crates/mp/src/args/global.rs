//! Words that every command takes: what is printed how, and which configuration.

use std::path::PathBuf;

use crate::config::Words;
use crate::ui::{Color, ErrorFormat, ProgressMode, Talk};

/// Words that every command takes.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// The account to use; overrides every other setting [env: MP_ACCOUNT] [default: that of `mp auth switch`]
    #[arg(short, long, global = true, value_name = "NAME", add = clap_complete::engine::ArgValueCandidates::new(crate::commands::discover::complete::accounts))]
    pub(crate) account: Option<String>,

    /// The configuration file [env: MP_CONFIG_PATH]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Print only results and errors; for a sync, only errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,

    /// Print more: each request and how long it took; given twice, also retries and their reasons
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,

    /// When to use colours: auto, always, never [env: NO_COLOR, CLICOLOR_FORCE]
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub(crate) color: Color,

    /// How to show progress: auto, plain, json, none
    #[arg(
        long,
        global = true,
        value_name = "HOW",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub(crate) progress: ProgressMode,

    /// How to print errors: text or json [env: MP_ERROR_FORMAT]
    #[arg(long, global = true, value_name = "HOW", hide_possible_values = true)]
    pub(crate) error_format: Option<ErrorFormat>,

    /// Begin each line on standard error with the time, in UTC: for logs [env: MP_TIMESTAMPS]
    #[arg(long, global = true)]
    pub(crate) timestamps: bool,
}

impl Global {
    /// What to print and how, by these words and by the environment.
    pub(crate) fn talk(&self, env: impl Fn(&str) -> Option<String>) -> Talk {
        let is_json = env("MP_ERROR_FORMAT").as_deref() == Some("json");
        let by_environment = if is_json { ErrorFormat::Json } else { ErrorFormat::Text };
        Talk {
            quiet: self.quiet,
            verbose: self.verbose,
            color: self.color,
            progress: self.progress,
            errors: self.error_format.unwrap_or(by_environment),
            timestamps: self.timestamps || env("MP_TIMESTAMPS").as_deref() == Some("1"),
        }
    }

    pub(crate) fn words(&self) -> Words {
        Words { config: self.config.clone(), account: self.account.clone() }
    }
}
