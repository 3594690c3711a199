//! The command line as JSON, for programs that write command lines.

use clap::{Arg, ArgAction, Command};
use mixpanel_data::discovery::similar;
use serde_json::{Value, json};

use crate::error::{CODES, EXITS, Error};

/// Describes the program, or one of its commands by its words, and all below it.
pub(crate) fn describe(program: &Command, words: &str) -> Result<Value, Error> {
    let words = words.split_whitespace().skip_while(|word| *word == program.get_name());
    let mut path = program.get_name().to_owned();
    let mut found = program;
    for word in words {
        let known = || found.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help");
        let Some(sub) = found.get_subcommands().find(|sub| sub.get_name() == word) else {
            let names: Vec<String> = known().map(|sub| sub.get_name().to_owned()).collect();
            let like = similar(word, &names);
            let (which, offered) = if like.is_empty() { ("", names) } else { ("perhaps ", like) };
            let hint = if offered.is_empty() {
                format!("`{path}` has none below it")
            } else {
                format!("{which}{}", offered.join(", "))
            };
            return Err(Error::setting(format!("there is no command `{path} {word}`"), hint));
        };
        path = format!("{path} {word}");
        found = sub;
    }
    let above = path.rsplit_once(' ').map_or("", |(above, _)| above);
    Ok(if std::ptr::eq(found, program) { whole(program) } else { node(found, above) })
}

fn whole(command: &Command) -> Value {
    let exits: serde_json::Map<String, Value> =
        EXITS.iter().map(|(code, meaning)| (code.to_string(), json!(meaning))).collect();
    json!({
        "name": command.get_name(),
        "version": env!("CARGO_PKG_VERSION"),
        "about": text(command.get_about()),
        "exit_codes": exits,
        "error_codes": CODES.iter().map(|(code, exit, retryable)| json!({
            "code": code, "exit_code": exit, "retryable": retryable,
        })).collect::<Vec<_>>(),
        "global": command.get_arguments().filter(|arg| arg.is_global_set()).map(argument).collect::<Vec<_>>(),
        "commands": command.get_subcommands().filter(|sub| !sub.is_hide_set()).map(|sub| node(sub, "mp")).collect::<Vec<_>>(),
    })
}

fn node(command: &Command, above: &str) -> Value {
    let path = format!("{above} {}", command.get_name());
    let below: Vec<Value> = command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
        .map(|sub| node(sub, &path))
        .collect();
    let own = |arg: &&Arg| {
        !arg.is_global_set()
            && !matches!(
                arg.get_action(),
                ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
            )
    };
    json!({
        "command": path,
        "about": text(command.get_about()),
        "description": text(command.get_long_about()),
        "examples": text(command.get_after_help()),
        "arguments": command.get_arguments().filter(own).map(argument).collect::<Vec<_>>(),
        "commands": below,
    })
}

fn argument(arg: &Arg) -> Value {
    let takes_value = arg.get_action().takes_values();
    let values: Vec<String> =
        arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    json!({
        "name": arg.get_id().as_str(),
        "long": arg.get_long().map(|long| format!("--{long}")),
        "short": arg.get_short().map(|short| format!("-{short}")),
        "aliases": aliases(arg),
        "hidden": arg.is_hide_set(),
        "positional": arg.is_positional(),
        "required": arg.is_required_set(),
        "repeatable": matches!(arg.get_action(), ArgAction::Append | ArgAction::Count),
        "value": takes_value.then(|| arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string)),
        "values": if takes_value { values } else { Vec::new() },
        "default": if takes_value { defaults.first() } else { None },
        "help": text(arg.get_help()),
    })
}

/// Other words for the same.
fn aliases(arg: &Arg) -> Vec<String> {
    let long = arg.get_all_aliases().unwrap_or_default().into_iter().map(|long| format!("--{long}"));
    let short = arg.get_all_short_aliases().unwrap_or_default().into_iter().map(|short| format!("-{short}"));
    long.chain(short).collect()
}

fn text(styled: Option<&clap::builder::StyledStr>) -> Option<String> {
    styled.map(|text| text.to_string().trim().to_owned())
}
