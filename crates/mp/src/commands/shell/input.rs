//! Lines on their way to statements: what a prompt, a script and `.read` have in common.

use crate::commands::sql::statements::is_complete;

/// Something to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A command of the shell, which begins with a dot.
    Command(String),
    /// One or several statements.
    Sql(String),
}

/// Collects lines until they are whole.
#[derive(Debug, Default)]
pub(super) struct Input {
    pending: String,
}

impl Input {
    /// Takes a line, and gives what it completes.
    pub(super) fn push(&mut self, line: &str) -> Option<Piece> {
        // A file that was pasted begins with a byte order mark, and ends its lines in its own way.
        let line = line.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
        if self.is_empty() {
            let word = line.trim().trim_end_matches(';').trim_end();
            if line.starts_with('.') {
                return Some(Piece::Command(line.to_owned()));
            }
            // What other prompts understand.
            if ["exit", "quit", "\\q"].iter().any(|end| word.eq_ignore_ascii_case(end)) {
                return Some(Piece::Command(".quit".to_owned()));
            }
            if word.eq_ignore_ascii_case("help") {
                return Some(Piece::Command(".help".to_owned()));
            }
        }
        self.pending.push_str(line);
        self.pending.push('\n');
        // Only these can end a statement, or a comment behind one; asking takes all that is pending.
        let may_end = line.contains(';') || line.contains("*/");
        (may_end && is_complete(&self.pending)).then(|| Piece::Sql(std::mem::take(&mut self.pending)))
    }

    /// Whether no statement has begun.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.trim().is_empty()
    }

    /// What is left at the end, where the last semicolon may be missing.
    pub(super) fn rest(self) -> Option<Piece> {
        (!self.is_empty()).then_some(Piece::Sql(self.pending))
    }

    /// Forgets what has begun.
    pub(super) fn clear(&mut self) {
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_collected_until_a_statement_ends() {
        let mut input = Input::default();
        assert_eq!(input.push("\u{feff}SELECT 1,\r\n"), None);
        assert!(!input.is_empty());
        assert_eq!(input.push(".5;\r"), Some(Piece::Sql("SELECT 1,\n.5;\n".to_owned())));
        assert!(input.is_empty());
        assert_eq!(input.push("SELECT 'a;"), None);
        assert_eq!(input.rest(), Some(Piece::Sql("SELECT 'a;\n".to_owned())));
    }

    #[test]
    fn the_words_that_end_other_prompts_end_this_one() {
        for word in ["exit", "EXIT;", "quit", " quit ; ", "\\q", ".quit"] {
            let mut input = Input::default();
            assert_eq!(input.push(word), Some(Piece::Command(".quit".to_owned())), "{word}");
        }
        let mut input = Input::default();
        input.push("SELECT");
        assert_eq!(input.push("exit"), None, "a column may have this name");
    }
}
