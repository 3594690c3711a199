//! Words of `mp auth`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Connection, Output};

#[derive(Debug, Subcommand)]
pub(crate) enum Auth {
    /// Add an account, step by step, and check it with Mixpanel
    #[command(after_help = "\
Examples:
  mp auth login
  mp auth login work --username reader.mp-service-account --project-id 12345 --region eu
  pass mixpanel | mp auth login ci --username reader.mp-service-account --project-id 12345 --secret-stdin

Secrets are prompted for or read from standard input, never given by a flag, which other users could see.")]
    Login(Login),
    /// Add an account without checking it; only the secret is asked for, at a terminal
    #[command(after_help = "\
Examples:
  mp auth add work -u reader.mp-service-account -p 12345 -r eu
  mp auth add ci --username reader.mp-service-account --project-id 12345 --secret-stdin < secret.txt
  mp auth add work --username reader.mp-service-account --project-id 12345 \\
    --secret-command 'op read op://team/mixpanel/secret'")]
    Add(Add),
    /// Import the accounts of another configuration file, such as that of the Python original
    #[command(after_help = "\
Examples:
  mp auth import
  mp auth import ~/.mp/config.toml --format json")]
    Import(Import),
    /// List the accounts
    #[command(after_help = "Example:\n  mp auth list --format json")]
    List(List),
    /// Show an account, without its secret
    #[command(after_help = "Example:\n  mp auth show work")]
    Show(Named),
    /// Make an account the default
    #[command(after_help = "Example:\n  mp auth switch work")]
    Switch(Name),
    /// Remove an account, and its secret from the keyring
    #[command(after_help = "Examples:\n  mp auth remove work\n  mp auth remove work --force")]
    Remove(Remove),
    /// Show the effective settings and where each one comes from; no request is sent
    #[command(after_help = "Examples:\n  mp auth status\n  mp auth status --account work --format json")]
    Status(Status),
    /// Ask Mixpanel what the credentials are and what they may do
    #[command(after_help = "Examples:\n  mp auth test\n  mp auth test work --format json")]
    Test(Test),
}

/// An account, and where its secret is kept.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("project_id", |id| id.short('p').visible_alias("project")),
    mut_arg("region", |region| region.short('r'))
)]
pub(crate) struct Login {
    /// The name of the account [default: default]
    pub(crate) name: Option<String>,

    /// The user name of the service account; with --project-secret there is none
    #[arg(short, long, value_name = "USER")]
    pub(crate) username: Option<String>,

    /// Read the secret from standard input
    #[arg(long)]
    pub(crate) secret_stdin: bool,

    /// Do not store the secret: read it from this file whenever it is needed
    #[arg(long, value_name = "FILE", conflicts_with_all = ["secret_stdin", "secret_command", "keyring"])]
    pub(crate) secret_file: Option<PathBuf>,

    /// Do not store the secret: run this program, without a shell, and use what it prints
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["secret_stdin", "keyring"])]
    pub(crate) secret_command: Option<String>,

    /// Keep the secret in the keyring of the operating system, not in the configuration file
    #[arg(long)]
    pub(crate) keyring: bool,

    /// Use a project secret (the older API secret) instead of a user name and a project
    #[arg(long, conflicts_with = "username")]
    pub(crate) project_secret: bool,

    /// Make it the default account; the first one always is
    #[arg(short, long)]
    pub(crate) default: bool,

    /// Replace an account of this name
    #[arg(long)]
    pub(crate) replace: bool,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    #[command(flatten)]
    pub(crate) login: Login,

    /// Ask for what is missing, and for the secret in any case
    #[arg(short, long, conflicts_with_all = ["secret_stdin", "secret_file", "secret_command"])]
    pub(crate) interactive: bool,

    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// The file [default: ~/.mp/config.toml]
    pub(crate) file: Option<PathBuf>,

    /// Replace accounts of the same name
    #[arg(long)]
    pub(crate) replace: bool,

    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Named {
    /// The account [default: the one in use]
    pub(crate) name: Option<String>,

    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Name {
    /// The account
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    pub(crate) account: Name,

    /// Remove without asking; required when there is no terminal
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Test {
    /// The account [default: the one in use]
    pub(crate) name: Option<String>,

    #[command(flatten)]
    pub(crate) status: Status,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) output: Output,

    #[command(flatten)]
    pub(crate) connection: Connection,
}
