//! Words of the commands about the program itself.

use std::path::PathBuf;

use super::{Database, Output};

/// Shows the help of a command, or a page about a topic.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mp help fetch events
  mp help exit-codes
  mp help config")]
pub(crate) struct Help {
    /// A command, or one of: config, environment, exit-codes, errors, formats
    pub(crate) words: Vec<String>,
}

/// Prints what a shell needs to complete commands, flags, and names of events and tables.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mp completions bash > ~/.local/share/bash-completion/completions/mp
  mp completions zsh > ~/.zfunc/_mp
  mp completions fish > ~/.config/fish/completions/mp.fish
  mp completions powershell >> $PROFILE")]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
    Elvish,
}

/// Writes a manual page for each command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mp man ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// The folder, which is made if it is not there
    pub(crate) folder: PathBuf,
}

/// Looks at the configuration, the folders and the database, and says how to mend what is wrong. No
/// request is sent: `mp auth test` asks Mixpanel.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  mp doctor\n  mp doctor --format json")]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) database: Database,

    #[command(flatten)]
    pub(crate) output: Output,
}
