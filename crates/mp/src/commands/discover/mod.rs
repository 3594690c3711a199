//! The program about itself: help, completions, manual pages, its versions, its command line as JSON.

pub(crate) mod complete;
mod describe;
mod reference;
mod topics;

use std::io::Write;

use clap::{Command, CommandFactory};
use clap_complete::env::Shells;
use serde_json::json;

use super::Reader;
use crate::args::{self, Args};
use crate::databases::Databases;
use crate::error::Error;
use crate::output;

pub(crate) use describe::describe;
pub(crate) use reference::reference;
pub(crate) use topics::TOPICS;

/// The variable by which a shell asks for completions.
const ASKS: &str = "COMPLETE";

/// `mp help`
pub(crate) fn help(args: &args::Help) -> Result<(), Error> {
    let mut out = output::stdout();
    if let [word] = &args.words[..]
        && let Some((_, text)) = TOPICS.iter().find(|(name, _)| name == word)
    {
        writeln!(out, "{}", text.trim_end())?;
        return Ok(out.flush()?);
    }
    let mut command = Args::command();
    command.build();
    for word in &args.words {
        command = match command.find_subcommand(word) {
            Some(found) => found.clone(),
            None => {
                let topics: Vec<&str> = TOPICS.iter().map(|(name, _)| *name).collect();
                let hint = format!("`mp --help` lists the commands; topics are {}", topics.join(", "));
                return Err(Error::setting(format!("there is no command or topic {word:?}"), hint));
            }
        };
    }
    writeln!(out, "{}", command.render_long_help().to_string().trim_end())?;
    if args.words.is_empty() {
        let topics: Vec<&str> = TOPICS.iter().map(|(name, _)| *name).collect();
        writeln!(out, "\nTopics, with `mp help TOPIC`: {}", topics.join(", "))?;
    }
    Ok(out.flush()?)
}

/// `mp completions`
pub(crate) fn completions(args: &args::Completions) -> Result<(), Error> {
    let name = match args.shell {
        args::ShellName::Bash => "bash",
        args::ShellName::Zsh => "zsh",
        args::ShellName::Fish => "fish",
        args::ShellName::Powershell => "powershell",
        args::ShellName::Elvish => "elvish",
    };
    let mut out = output::stdout();
    if let Some(shell) = Shells::builtins().completer(name) {
        shell.write_registration(ASKS, "mp", "mp", "mp", &mut out)?;
    }
    Ok(out.flush()?)
}

/// `mp man`
pub(crate) fn man(args: &args::Man, reader: Reader<'_>) -> Result<(), Error> {
    let unwritable = |source| Error::Write { path: args.folder.clone(), source };
    std::fs::create_dir_all(&args.folder).map_err(unwritable)?;
    clap_mangen::generate_to(Args::command(), &args.folder).map_err(unwritable)?;
    let pages = pages_of(&Args::command());
    reader.ui.say(&format!("wrote {pages} pages to {}", args.folder.display()));
    Ok(())
}

/// A command has a page, and so has each of those below it that is shown.
fn pages_of(command: &Command) -> usize {
    1 + command.get_subcommands().filter(|below| !below.is_hide_set()).map(pages_of).sum::<usize>()
}

/// `mp --version --format json`: the versions of everything that decides about results.
pub(crate) fn version(databases: &Databases) -> Result<(), Error> {
    let duckdb = databases.empty()?.sql_scalar("SELECT version()")?;
    let versions = json!({
        "mp": env!("CARGO_PKG_VERSION"),
        "duckdb": duckdb.to_text(),
        "arrow": mixpanel_data::arrow::ARROW_VERSION,
        "os": std::env::consts::OS,
        "arch": std::env::consts::ARCH,
    });
    let mut out = output::stdout();
    serde_json::to_writer_pretty(&mut out, &versions).map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(out.flush()?)
}
