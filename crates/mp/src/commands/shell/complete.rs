//! What may come next, at the prompt.

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper, Result};

use super::commands::COMMANDS;
use crate::commands::catalog::Catalog;

/// Words that belong together; single ones are in the catalog.
const PHRASES: [&str; 8] = [
    "GROUP BY",
    "ORDER BY",
    "PARTITION BY",
    "LEFT JOIN",
    "UNION ALL",
    "IS NOT NULL",
    "AT TIME ZONE",
    "NULLS LAST",
];

/// Completes from a catalog.
pub(super) struct Prompt {
    pub(super) catalog: Catalog,
}

/// Where the word under the cursor begins, and what may stand there.
fn candidates(catalog: &Catalog, line: &str) -> (usize, Vec<String>) {
    if let Some(rest) = line.strip_prefix('.') {
        let named = COMMANDS.iter().filter(|(name, ..)| name[1..].starts_with(rest));
        return (0, named.map(|(name, ..)| (*name).to_owned()).collect());
    }
    // An odd number of quotes: within a text.
    if line.matches('\'').count() % 2 == 1 {
        let start = line.rfind('\'').map_or(0, |at| at + 1);
        return (start, catalog.texts(&line[start..]));
    }
    let start = if line.matches('"').count() % 2 == 1 {
        line.rfind('"').unwrap_or(0)
    } else {
        let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        line.char_indices().rev().find(|(_, c)| !word(*c)).map_or(0, |(at, c)| at + c.len_utf8())
    };
    let beginning = &line[start..];
    let before = line[..start].split_whitespace().next_back().unwrap_or_default();
    if ["from", "join", "into"].contains(&before.to_lowercase().as_str()) {
        return (start, catalog.table_words(beginning));
    }
    let mut words = catalog.sql_words(beginning);
    if !beginning.is_empty() && !beginning.starts_with('"') {
        words.extend(spoken(PHRASES.iter().copied(), beginning));
        words.extend(spoken(catalog.keywords.iter().map(String::as_str), beginning));
        let functions = catalog.functions.iter().filter(|name| name.starts_with(&beginning.to_lowercase()));
        words.extend(functions.map(|name| format!("{name}(")));
    }
    (start, words)
}

/// Keywords that begin so, in capitals or not, as the beginning is.
fn spoken<'a>(words: impl Iterator<Item = &'a str>, beginning: &str) -> Vec<String> {
    let small = beginning.chars().any(char::is_lowercase);
    let found = words.filter(|word| word.to_uppercase().starts_with(&beginning.to_uppercase()));
    found.map(|word| if small { word.to_lowercase() } else { word.to_uppercase() }).collect()
}

impl Completer for Prompt {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> Result<(usize, Vec<Pair>)> {
        let (start, words) = candidates(&self.catalog, &line[..pos]);
        let pairs =
            words.into_iter().map(|word| Pair { display: crate::output::clean(&word), replacement: word });
        Ok((start, pairs.collect()))
    }
}

/// Each line is taken as it is; statements are put together from them.
impl Validator for Prompt {}

impl Hinter for Prompt {
    type Hint = String;
}

impl Highlighter for Prompt {}

impl Helper for Prompt {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_its_words() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let catalog = Catalog {
            tables: names(&["events"]),
            columns: names(&["event_name"]),
            events: names(&["Purchase"]),
            properties: names(&["plan"]),
            keywords: names(&["select", "qualify", "order"]),
            functions: names(&["date_trunc"]),
        };
        let offered = |line: &str| candidates(&catalog, line);
        assert_eq!(offered("SELECT * FROM ev"), (14, names(&["events"])));
        assert_eq!(offered("SELECT ev"), (7, names(&["events", "event_name"])));
        assert_eq!(offered("sel"), (0, names(&["select"])));
        assert_eq!(offered("FROM events QUA"), (12, names(&["QUALIFY"])));
        assert_eq!(offered("FROM events OR"), (12, names(&["ORDER BY", "ORDER"])));
        assert_eq!(offered("SELECT date_tr"), (7, names(&["date_trunc("])));
        assert_eq!(offered("WHERE event_name = 'Pur"), (20, names(&["Purchase"])));
        assert_eq!(offered("SELECT properties->>'$.p"), (21, names(&["$.plan"])));
        assert_eq!(offered(".mo"), (0, names(&[".mode"])));
    }
}
