//! What may come next, at the prompt.

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper, Result};

use super::commands::COMMANDS;
use crate::commands::catalog::Catalog;
use crate::commands::sql::statements::is_complete;

const KEYWORDS: [&str; 28] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "HAVING",
    "JOIN",
    "LEFT JOIN",
    "USING",
    "AS",
    "AND",
    "OR",
    "NOT",
    "NULL",
    "IS",
    "IN",
    "LIKE",
    "BETWEEN",
    "DISTINCT",
    "COUNT",
    "SUM",
    "WITH",
    "UNION ALL",
    "CASE",
    "DESCRIBE",
    "SUMMARIZE",
    "EXPLAIN",
];

/// Completes from a catalog, and asks for more until a statement is complete.
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
    if !beginning.is_empty() {
        let keywords = KEYWORDS.iter().filter(|word| word.starts_with(&beginning.to_uppercase()));
        words.extend(keywords.map(|word| (*word).to_owned()));
    }
    (start, words)
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

impl Validator for Prompt {
    fn validate(&self, context: &mut ValidationContext<'_>) -> Result<ValidationResult> {
        let input = context.input();
        let done = input.trim().is_empty() || input.starts_with('.') || is_complete(input);
        Ok(if done { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

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
        };
        let offered = |line: &str| candidates(&catalog, line);
        assert_eq!(offered("SELECT * FROM ev"), (14, names(&["events"])));
        assert_eq!(offered("SELECT ev"), (7, names(&["events", "event_name"])));
        assert_eq!(offered("sel"), (0, names(&["SELECT"])));
        assert_eq!(offered("WHERE event_name = 'Pur"), (20, names(&["Purchase"])));
        assert_eq!(offered("SELECT properties->>'$.p"), (21, names(&["$.plan"])));
        assert_eq!(offered(".mo"), (0, names(&[".mode"])));
    }
}
