//! `mp`: a complete local copy of a Mixpanel project's events, on the command line.
//!
//! Words come in (`args`), are resolved against the environment (`config`), a command runs
//! (`commands`), and tables go out (`output`). stdout carries data, stderr carries talk.
//! Failures become an exit code and a hint in one table (`error`).
//!
//! This is the whole program but for its DuckDB, which its caller brings ([`main`]): the program
//! `mp` the one that it is linked with, the Python package that of Python's `duckdb` module.

mod args;
mod commands;
mod config;
mod databases;
mod dumps;
mod error;
mod memory;
mod output;
mod signals;
mod text;
mod ui;

use std::ffi::OsString;
use std::io::Write;
use std::sync::Arc;

use clap::Parser;
use mixpanel_data::Connector;

use args::{Args, Command, Fetch};
use commands::Reader;
use commands::discover::complete;
use config::Surroundings;
use databases::Databases;
use error::Error;
use signals::Signals;
use ui::{ErrorFormat, Talk, Ui};

#[global_allocator]
static ALLOCATOR: memory::Noting = memory::Noting;

/// Runs the program: `words` are the command line with the program's name in front, databases are
/// opened by `connector`. Gives the exit code.
///
/// It uses the process as its own: its environment, its standard streams, signals, the umask. To be
/// called once, while there is no other thread.
pub fn main(words: impl IntoIterator<Item = OsString>, connector: Arc<dyn Connector>) -> u8 {
    hold_standard_streams();
    let words: Vec<OsString> = words.into_iter().collect();
    let code = run(&words, &Databases::new(connector));
    // Where this is not the end of a Rust program, nobody else does it.
    let _ = std::io::stdout().flush();
    code
}

/// Sees to it that the three standard streams are open, so that no file of ours gets the number of
/// one, and its text. A Rust program's start does so; an interpreter's does not.
fn hold_standard_streams() {
    for number in 0..3 {
        // SAFETY: it only asks whether the descriptor is open.
        if unsafe { nix::libc::fcntl(number, nix::libc::F_GETFD) } == -1 {
            // The lowest number that is free is given, and that is this one.
            let nothing = std::fs::File::options().read(true).write(true).open("/dev/null");
            let _ = nothing.map(std::os::fd::IntoRawFd::into_raw_fd);
        }
    }
}

fn run(words: &[OsString], databases: &Databases) -> u8 {
    // Asked by every script that looks for `mp`: answered before anything is set up.
    if let Some(code) = version(words, databases) {
        return code;
    }
    // While there is only one thread to inherit from.
    let signals = Signals::take_over();
    dumps::forbid();
    memory::prepare();
    // What this program writes is for its user alone.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    mixpanel_data::keep_freed_memory();
    // What a killed run left behind, if anything.
    mixpanel_data::sweep_ephemeral_files();

    // A shell that completes a word asks by a variable, and ends here.
    match complete::answered(words, databases) {
        Ok(true) => return 0,
        Ok(false) => {}
        Err(error) => return refuse(&error, words),
    }
    let args = match Args::try_parse_from(words) {
        Ok(args) => args,
        Err(error) => return refuse(&error, words),
    };
    let talk = args.global.talk(variable);
    if talk.errors == ErrorFormat::Json {
        memory::tell_programs();
    }
    let ui = Ui::new(talk, variable);
    let env = Surroundings::of_process(args.global.words(), ui.mask().clone(), databases.clone());
    let outcome = command(&args, &env, &ui, &signals);
    env.cautions().iter().for_each(|caution| ui.caution(caution));
    match outcome {
        Ok(()) => 0,
        Err(error) => error::report(&error, &ui, signals.received()),
    }
}

/// `mp --version` alone, and `mp --version --format json`, which is not a command and takes a
/// format all the same. Everything else is the parser's.
fn version(words: &[OsString], databases: &Databases) -> Option<u8> {
    let (asked, rest): (Vec<&str>, Vec<&str>) = words
        .iter()
        .skip(1)
        .map(|word| word.to_str().unwrap_or_default())
        .partition(|word| matches!(*word, "--version" | "-V"));
    if asked.is_empty() {
        return None;
    }
    let outcome = match rest[..] {
        [] => {
            // There is nobody to tell when the stream is gone.
            let _ = writeln!(std::io::stdout(), "mp {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        ["--format", "json"] | ["--format=json"] => commands::discover::version(databases),
        _ => return None,
    };
    let ui = || Ui::new(Talk::default(), variable);
    Some(outcome.map_or_else(|error| error::report(&error, &ui(), None), |()| 0))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Help and versions go to standard output; wrong words are told as errors are wanted.
fn refuse(error: &clap::Error, words: &[OsString]) -> u8 {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let json = words.iter().any(|word| word == "--error-format=json")
        || words.windows(2).any(|pair| pair[0] == "--error-format" && pair[1] == "json")
        || variable("MP_ERROR_FORMAT").as_deref() == Some("json");
    if error.use_stderr() && json {
        let talk = Talk { errors: ErrorFormat::Json, ..Talk::default() };
        return error::report_usage(&Ui::new(talk, variable), &error.to_string());
    }
    // There is nobody to tell when the stream is gone.
    let _ = error.print();
    if error.use_stderr() { 2 } else { 0 }
}

fn command(args: &Args, env: &Surroundings, ui: &Ui, signals: &Signals) -> Result<(), Error> {
    let reader = Reader { env, ui, signals };
    match &args.command {
        Command::Demo(args) => commands::demo::run(args, reader),
        Command::Fetch(Fetch::Events(args)) => commands::fetch::run(args, env, ui, signals),
        Command::Fetch(Fetch::Profiles(args)) => commands::fetch_profiles::run(args, env, ui, signals),
        Command::Load(args) => commands::load::run(args, reader),
        Command::ImportOriginal(args) => commands::import_original::run(args, reader),
        Command::Sync(args) => commands::sync::run(args, env, ui, signals),
        Command::Plan(args) => commands::plan::run(&args.days, &args.reading, reader),
        Command::Auth(args) => commands::auth::run(args, reader),
        Command::Status(args) => commands::status::run(args, reader),
        Command::Query(query) => commands::query::run(query, reader),
        Command::Inspect(inspect) => commands::inspect::run(inspect, reader),
        Command::Sql(args) => commands::sql::run(args, reader),
        Command::Shell(args) => commands::shell::run(args, reader),
        Command::Run(args) => commands::sql::run_saved(args, reader),
        Command::Info(args) => commands::info::run(args, reader),
        Command::Tables(args) => commands::tables::run(args, reader),
        Command::Verify(args) => commands::verify::run(args, reader),
        Command::Repair(args) => commands::repair::run(args, reader),
        Command::Schema(args) => commands::schema::run(args, reader),
        Command::Doctor(args) => commands::doctor::run(args, reader),
        Command::Help(args) => commands::discover::help(args),
        Command::Completions(args) => commands::discover::completions(args),
        Command::Reference(args) => commands::discover::reference(args),
        Command::Man(args) => commands::discover::man(args, reader),
        Command::Sim(args) => commands::sim::run(args, ui, signals),
    }
}
