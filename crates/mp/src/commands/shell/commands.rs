//! The commands of the shell, which begin with a dot.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::output::Format;

/// Names, what they take, what they do.
pub(super) const COMMANDS: [(&str, &str, &str); 9] = [
    (".help", "", "this list"),
    (".tables", "", "the tables"),
    (".schema", "[TABLE]", "the columns of a table, or of all"),
    (".mode", "[FORMAT]", "how rows are printed: table, vertical, json, csv, …"),
    (".limit", "[N]", "how many rows are printed; 0 is all"),
    (".timer", "on|off", "whether the time of a statement is shown"),
    (".read", "FILE", "run the statements and commands of a file"),
    (".refresh", "", "read the database as it is now, if another process is writing it"),
    (".quit", "", "end the shell, as exit and Ctrl-D do"),
];

/// What a line with a dot asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    Tables,
    Schema(Option<String>),
    Mode(Option<Format>),
    Limit(Option<usize>),
    Timer(bool),
    Read(PathBuf),
    Refresh,
    Quit,
}

/// Reads a line that begins with a dot.
pub(super) fn parse(line: &str) -> Result<Command, String> {
    let line = line.trim().trim_end_matches(';').trim_end();
    let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let argument = Some(argument.trim()).filter(|argument| !argument.is_empty());
    // A file's name may have spaces in it.
    if name == ".read" {
        let path = argument.ok_or("`.read FILE`")?;
        let quoted = |quote| path.strip_prefix(quote).and_then(|path| path.strip_suffix(quote));
        return Ok(Command::Read(quoted('\'').or(quoted('"')).unwrap_or(path).into()));
    }
    if argument.is_some_and(|argument| argument.contains(char::is_whitespace)) {
        return Err(format!("{name} takes one word at most"));
    }
    match (name, argument) {
        (".help" | ".h", _) => Ok(Command::Help),
        (".quit" | ".exit" | ".q", _) => Ok(Command::Quit),
        (".refresh", None) => Ok(Command::Refresh),
        (".tables", None) => Ok(Command::Tables),
        (".schema", table) => Ok(Command::Schema(table.map(str::to_owned))),
        (".mode", None) => Ok(Command::Mode(None)),
        (".mode", Some(name)) => match Format::from_str(name, true) {
            Ok(format) if !format.is_binary() => Ok(Command::Mode(Some(format))),
            Ok(_) => Err(format!("a terminal cannot show {name}: `mp sql --output FILE` writes it")),
            Err(_) => Err(format!("there is no format {name}")),
        },
        (".limit", None) => Ok(Command::Limit(None)),
        (".limit", Some(number)) => number
            .parse()
            .map(|number| Command::Limit(Some(number)))
            .map_err(|_| format!("{number} is not a number")),
        (".timer", Some("on")) => Ok(Command::Timer(true)),
        (".timer", Some("off")) => Ok(Command::Timer(false)),
        (".timer", _) => Err("`.timer on` or `.timer off`".to_owned()),
        _ => Err(format!("there is no command {name}: `.help` lists them")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_and_wrong_ones_told() {
        assert_eq!(parse(".mode csv"), Ok(Command::Mode(Some(Format::Csv))));
        assert_eq!(parse(".schema events;"), Ok(Command::Schema(Some("events".into()))));
        assert_eq!(parse(".exit"), Ok(Command::Quit));
        assert_eq!(parse(".read my file.sql"), Ok(Command::Read("my file.sql".into())));
        assert_eq!(parse(".read 'my file.sql';"), Ok(Command::Read("my file.sql".into())));
        for (line, word) in
            [(".mode xml", "xml"), (".mode parquet", "--output"), (".nope", ".help"), (".limit x", "x")]
        {
            assert!(parse(line).unwrap_err().contains(word), "{line}");
        }
        for (name, ..) in COMMANDS {
            let argument = match name {
                ".timer" => " on",
                ".read" => " a file.sql",
                _ => "",
            };
            assert!(parse(&format!("{name}{argument}")).is_ok(), "{name}");
        }
    }
}
