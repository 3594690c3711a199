//! `mp reference DIR`, which is hidden: the pages of the reference that follow from the program.

use std::fmt::Write;
use std::fs;

use clap::{Arg, ArgAction, Command, CommandFactory};

use super::topics::TOPICS;
use crate::args::{self, Args};
use crate::error::{CODES, EXITS, Error};

const MADE: &str = "<!-- Made by `mp reference`; a test keeps it so. -->\n";

/// Writes the pages.
pub(crate) fn reference(args: &args::Man) -> Result<(), Error> {
    let unwritable = |source| Error::Write { path: args.folder.clone(), source };
    fs::create_dir_all(&args.folder).map_err(unwritable)?;
    let pages = [
        ("cli.md", command_line()),
        ("config.md", topic("Configuration", "config")),
        ("environment.md", topic("Environment", "environment")),
        ("exit-codes.md", exit_codes()),
        ("errors.md", errors()),
    ];
    for (name, text) in pages {
        fs::write(args.folder.join(name), text).map_err(unwritable)?;
    }
    Ok(())
}

fn topic(title: &str, name: &str) -> String {
    let text = TOPICS.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text);
    format!("{MADE}\n# {title}\n\n```text\n{text}\n```\n\n`mp help {name}` prints this page.\n")
}

fn exit_codes() -> String {
    let rows: String = EXITS.iter().map(|(code, meaning)| format!("| {code} | {meaning} |\n")).collect();
    format!("{MADE}\n# Exit codes\n\nThey do not change.\n\n| code | meaning |\n|---:|---|\n{rows}")
}

fn errors() -> String {
    let rows: String = CODES
        .iter()
        .map(|(code, exit, retryable)| {
            format!("| `{code}` | {exit} | {} |\n", if *retryable { "yes" } else { "" })
        })
        .collect();
    let page = topic("Errors", "errors");
    format!("{page}\n## All codes\n\n| code | exit code | may succeed later |\n|---|---:|---|\n{rows}")
}

fn command_line() -> String {
    let mut root = Args::command();
    root.build();
    let mut page = format!("{MADE}\n# Command line\n\n{}\n\n## Everywhere\n\n", plain(root.get_about()));
    arguments(&mut page, root.get_arguments().filter(|arg| arg.is_global_set()));
    walk(&mut page, &root, "mp");
    page
}

fn walk(page: &mut String, command: &Command, above: &str) {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && above_help(sub, above)) {
        let path = format!("{above} {}", sub.get_name());
        let about = plain(sub.get_long_about().or(sub.get_about()));
        let _ = write!(page, "\n## {path}\n\n{about}\n");
        if sub.get_subcommands().next().is_none() {
            let usage = sub.clone().bin_name(&path).render_usage().to_string();
            let _ = write!(page, "\n```text\n{}\n```\n\n", usage.trim_start_matches("Usage: "));
            arguments(page, sub.get_arguments().filter(|arg| !arg.is_global_set() && !arg.is_hide_set()));
        }
        if let Some(after) = sub.get_after_help() {
            let _ = write!(page, "\n```text\n{}\n```\n", after.to_string().trim_end());
        }
        walk(page, sub, &path);
    }
}

/// `help` below a command says nothing new.
fn above_help(command: &Command, above: &str) -> bool {
    above == "mp" || command.get_name() != "help"
}

fn arguments<'a>(page: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    let shown: Vec<&Arg> = arguments
        .filter(|arg| {
            !matches!(
                arg.get_action(),
                ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
            )
        })
        .collect();
    if shown.is_empty() {
        return;
    }
    page.push_str("| argument | meaning |\n|---|---|\n");
    for arg in shown {
        let value = arg.get_action().takes_values().then(|| {
            let name = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
            name.unwrap_or_else(|| arg.get_id().as_str().to_uppercase())
        });
        let name = match (arg.get_short(), arg.get_long(), value) {
            (_, None, value) => value.unwrap_or_default(),
            (Some(short), Some(long), Some(value)) => format!("-{short}, --{long} {value}"),
            (Some(short), Some(long), None) => format!("-{short}, --{long}"),
            (None, Some(long), Some(value)) => format!("--{long} {value}"),
            (None, Some(long), None) => format!("--{long}"),
        };
        let values: Vec<String> = arg
            .get_possible_values()
            .iter()
            .filter(|value| !value.is_hide_set())
            .map(|value| format!("`{}`", value.get_name()))
            .collect();
        let takes = arg.get_action().takes_values() && !values.is_empty();
        let values = if takes { format!(": {}", values.join(", ")) } else { String::new() };
        let _ = writeln!(
            page,
            "| `{name}` | {}{values} |",
            plain(arg.get_help()).replace('|', "\\|").replace('\n', " ")
        );
    }
}

fn plain(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(|text| text.to_string().trim().to_owned()).unwrap_or_default()
}
