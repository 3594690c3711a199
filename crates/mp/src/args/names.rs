//! Names and expressions as they are typed: by themselves, or in a list with commas.
//!
//! What is empty is refused: it would be no filter at all, where one was meant. (A variable of the
//! shell that is not set is typed soon.)

use clap_complete::engine::ArgValueCandidates;

use crate::commands::discover::complete;

/// A name by itself, exactly as typed.
pub(crate) fn name(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("a name is missing".to_owned()) } else { Ok(text.to_owned()) }
}

/// A name between commas; spaces around it are none of it.
pub(crate) fn listed(text: &str) -> Result<String, String> {
    name(text.trim())
}

/// An expression in Mixpanel's language.
pub(crate) fn expression(text: &str) -> Result<String, String> {
    let why = "an expression is missing; leave the option out to filter nothing";
    if text.trim().is_empty() { Err(why.to_owned()) } else { Ok(text.to_owned()) }
}

/// Some events, or all.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Events {
    /// Only these events, comma-separated; may be given several times
    #[arg(short, long, value_name = "A,B", value_delimiter = ',', value_parser = listed, add = ArgValueCandidates::new(complete::events))]
    events: Vec<String>,

    /// Only this event; may be given several times, and the name may contain commas
    #[arg(long, value_name = "NAME", value_parser = name, add = ArgValueCandidates::new(complete::events))]
    event: Vec<String>,
}

impl Events {
    /// The names, each once; none for all events.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.events.iter().chain(&self.event) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Words {
        #[command(flatten)]
        events: Events,
    }

    fn names(words: &[&str]) -> Result<Vec<String>, String> {
        let words = std::iter::once("mp").chain(words.iter().copied());
        Words::try_parse_from(words).map(|words| words.events.names()).map_err(|error| error.to_string())
    }

    #[test]
    fn lists_are_trimmed_and_names_are_exact() {
        assert_eq!(
            names(&["--events", "Sign Up, Purchase ,Search"]).unwrap(),
            ["Sign Up", "Purchase", "Search"]
        );
        assert_eq!(names(&["-e", "A,B", "-e", "C", "-eD,E"]).unwrap(), ["A", "B", "C", "D", "E"]);
        assert_eq!(names(&["--event", "Plan, changed", "--event", " A"]).unwrap(), ["Plan, changed", " A"]);
        assert_eq!(names(&["--event", "B", "--events", "A,B,A"]).unwrap(), ["A", "B"]);
        assert!(names(&[]).unwrap().is_empty());
    }

    #[test]
    fn what_is_empty_is_refused() {
        for words in
            [["--events", ""], ["--events", " "], ["--events", "A,,B"], ["--events", "A,"], ["-e", " "]]
        {
            let error = names(&words).unwrap_err();
            assert!(error.contains("a name is missing"), "{words:?}: {error}");
        }
        assert!(expression(" ").is_err());
        assert_eq!(expression("a == 1").unwrap(), "a == 1");
    }
}
