//! SQL text as a list of statements, and named parameters as numbered ones. Pure: text in, text out.

use mixpanel_data::Value;

use crate::error::Error;

/// One statement, ready to run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Statement {
    /// The text, with `$1`, `$2` … for the parameters.
    pub(crate) sql: String,
    /// The parameters' names, in the order of their numbers.
    pub(crate) names: Vec<String>,
}

impl Statement {
    /// The values of its parameters.
    pub(crate) fn values(&self, given: &[(String, Value)]) -> Result<Vec<Value>, Error> {
        let value = |name: &String| {
            let found = given.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            found.ok_or_else(|| {
                Error::setting(format!("the parameter ${name} has no value"), format!("-p {name}=VALUE"))
            })
        };
        self.names.iter().map(value).collect()
    }
}

/// Cuts SQL at the semicolons between statements. Statements of nothing but comments are left out.
pub(crate) fn split(sql: &str) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut current = Statement { sql: String::new(), names: Vec::new() };
    let mut has_words = false;
    let mut rest = sql;
    let mut push = |statement: &mut Statement, has_words: &mut bool| {
        let done = std::mem::replace(statement, Statement { sql: String::new(), names: Vec::new() });
        if std::mem::take(has_words) {
            statements.push(Statement { sql: done.sql.trim().to_owned(), ..done });
        }
    };
    while !rest.is_empty() {
        let (token, kind) = next(rest, current.sql.chars().next_back());
        rest = &rest[token.len()..];
        match kind {
            Kind::End => push(&mut current, &mut has_words),
            // A comment may hold anything, also what looks like a parameter.
            Kind::Blank => current.sql.push_str(token),
            Kind::Mark => current.sql.push(' '),
            Kind::Parameter => {
                has_words = true;
                let name = &token[1..];
                let at = current.names.iter().position(|known| known == name).unwrap_or_else(|| {
                    current.names.push(name.to_owned());
                    current.names.len() - 1
                });
                current.sql.push_str(&format!("${}", at + 1));
            }
            Kind::Other => {
                has_words = true;
                current.sql.push_str(token);
            }
        }
    }
    push(&mut current, &mut has_words);
    statements
}

/// Whether a text ends within a statement: what a prompt has to know.
pub(crate) fn is_complete(sql: &str) -> bool {
    let mut rest = sql;
    let mut before = None;
    let mut ended = false;
    while !rest.is_empty() {
        let (token, kind) = next(rest, before);
        // A quote or a comment without an end takes all the rest.
        let open = token.len() == rest.len() && is_open(token);
        match kind {
            Kind::End => ended = true,
            Kind::Blank | Kind::Mark if !open => {}
            _ => ended = false,
        }
        before = token.chars().next_back();
        rest = &rest[token.len()..];
    }
    ended
}

fn is_open(token: &str) -> bool {
    let quoted = |quote: char| token.starts_with(quote) && (token.len() == 1 || !token.ends_with(quote));
    quoted('\'')
        || quoted('"')
        || (token.starts_with("/*") && !token.ends_with("*/"))
        || (token.starts_with('$')
            && dollar_tag(token).is_some_and(|tag| token.len() < 2 * tag.len() || !token.ends_with(tag)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    End,
    Blank,
    /// A byte order mark, as files that were put together have it in their middle.
    Mark,
    Parameter,
    Other,
}

/// The byte order mark of Unicode.
const MARK: char = '\u{feff}';

fn next(text: &str, before: Option<char>) -> (&str, Kind) {
    let up_to = |end: Option<usize>| &text[..end.unwrap_or(text.len())];
    let Some(first) = text.chars().next() else { return (text, Kind::Blank) };
    let in_word = before.is_some_and(is_word);
    match first {
        ';' => (&text[..1], Kind::End),
        MARK => (up_to(Some(MARK.len_utf8())), Kind::Mark),
        '-' if text.starts_with("--") => (up_to(text.find(['\n', '\r'])), Kind::Blank),
        '/' if text.starts_with("/*") => (up_to(end_of_comment(text)), Kind::Blank),
        '\'' => {
            let escapes = matches!(before, Some('e' | 'E'));
            (up_to(end_of_quoted(text, '\'', escapes)), Kind::Other)
        }
        '"' => (up_to(end_of_quoted(text, '"', false)), Kind::Other),
        '$' if !in_word => {
            if let Some(tag) = dollar_tag(text) {
                let end = text[tag.len()..].find(tag).map(|at| at + 2 * tag.len());
                return (up_to(end), Kind::Other);
            }
            let name = text[1..].find(|c: char| !is_word(c)).map_or(text.len(), |at| at + 1);
            let named = text[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            (&text[..name], if named { Kind::Parameter } else { Kind::Other })
        }
        c if c.is_whitespace() => (up_to(text.find(|c: char| !c.is_whitespace())), Kind::Blank),
        c if is_word(c) => (up_to(text.find(|c: char| !is_word(c) && c != '$')), Kind::Other),
        c => (&text[..c.len_utf8()], Kind::Other),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// `$$` or `$tag$`, which open a text.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = text[1..].find('$')? + 2;
    let name = &text[1..end - 1];
    (name.chars().all(is_word) && !name.starts_with(|c: char| c.is_ascii_digit())).then(|| &text[..end])
}

fn end_of_quoted(text: &str, quote: char, escapes: bool) -> Option<usize> {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if escapes && c == '\\' {
            chars.next();
        } else if c == quote {
            if chars.peek().is_some_and(|(_, next)| *next == quote) {
                chars.next();
            } else {
                return Some(at + 1);
            }
        }
    }
    None
}

/// Comments nest, as in PostgreSQL's parser, which DuckDB's came from.
fn end_of_comment(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<String> {
        split(sql).into_iter().map(|statement| statement.sql).collect()
    }

    #[test]
    fn statements_are_cut_between_and_never_within() {
        let sql = "SELECT ';' , \"a;b\", $$x;y$$, $t$;$t$, E'\\';' /* ; /* ; */ ; */ ; -- ; \n ; FROM b";
        let cut = texts(sql);
        assert_eq!(cut.len(), 2, "{cut:?}");
        assert!(cut[0].starts_with("SELECT ';'") && cut[0].ends_with("*/"), "{cut:?}");
        assert!(cut[1].ends_with("FROM b"));
        assert_eq!(texts("  ; -- nothing\n;"), Vec::<String>::new());
        assert_eq!(texts("SELECT 'it''s; fine'"), ["SELECT 'it''s; fine'"]);
    }

    #[test]
    fn parameters_become_numbers_and_only_where_they_are_parameters() {
        let sql = "SELECT $a, $b, $a, '$a', \"$browser\", x$a, $$ $a $$, $1 -- $c";
        let statement = split(sql).remove(0);
        assert_eq!(statement.names, ["a", "b"]);
        assert_eq!(statement.sql, "SELECT $1, $2, $1, '$a', \"$browser\", x$a, $$ $a $$, $1 -- $c");
        let given = [("a".to_owned(), Value::Integer(1)), ("b".to_owned(), Value::Null)];
        assert_eq!(statement.values(&given).unwrap(), [Value::Integer(1), Value::Null]);
        assert!(statement.values(&given[..1]).is_err());
    }

    #[test]
    fn a_prompt_knows_when_a_statement_is_complete() {
        for open in
            ["SELECT 1", "SELECT ';", "SELECT 1 /* ;", "SELECT $$;", "SELECT \"a;", "SELECT 1; SELECT 2", ""]
        {
            assert!(!is_complete(open), "{open}");
        }
        for complete in ["SELECT 1;", "SELECT ';';  ", "SELECT 1; -- done", "SELECT $$;$$;"] {
            assert!(is_complete(complete), "{complete}");
        }
    }
}
