//! `mp`: a complete local copy of a Mixpanel project's events, on the command line.
//!
//! Words come in ([`args`]), are resolved against the environment ([`config`]), a command runs
//! ([`commands`]), and tables go out ([`output`]). stdout carries data, stderr carries talk.
//! Failures become an exit code and a hint in one table ([`error`]).

mod args;
mod commands;
mod config;
mod error;
mod output;
mod signals;
mod ui;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command, Fetch};
use commands::Reader;
use error::Error;
use signals::Signals;
use ui::Ui;

fn main() -> ExitCode {
    // First of all, while there is only one thread to inherit from.
    let signals = Signals::take_over();
    // What this program writes is for its user alone.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    mixpanel_data::keep_freed_memory();
    // What a killed run left behind, if anything.
    mixpanel_data::sweep_ephemeral_files();

    let args = Args::parse();
    let ui = Ui::new(args.quiet);
    match run(&args, &ui, &signals) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error::report(&error, &ui, signals.received()),
    }
}

fn run(args: &Args, ui: &Ui, signals: &Signals) -> Result<(), Error> {
    let env = &|name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let reader = Reader { env, ui, signals };
    match &args.command {
        Command::Demo(args) => commands::demo::run(args, ui, signals),
        Command::Fetch(Fetch::Events(args)) => commands::fetch::run(args, env, ui, signals),
        Command::Fetch(Fetch::Profiles(args)) => commands::fetch_profiles::run(args, env, ui, signals),
        Command::Sync(args) => commands::sync::run(args, env, ui, signals),
        Command::Plan(args) => commands::plan::run(&args.days, &args.reading, reader),
        Command::Status(args) => commands::status::run(args, reader),
        Command::Sql(args) => commands::sql::run(args, reader),
        Command::Info(args) => commands::info::run(args, reader),
        Command::Tables(args) => commands::tables::run(args, reader),
        Command::Schema(args) => commands::schema::run(args, reader),
        Command::Sim(args) => commands::sim::run(args, ui, signals),
    }
}
