//! Text to tokens.

use super::ExprError;

/// A token and where it begins, in characters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Number(f64),
    Text(String),
    /// A keyword, function, selector or variable; keywords are lower case.
    Word(String),
    /// An operator or bracket.
    Symbol(&'static str),
}

/// Longest first, so that `>=` is not read as `>`.
const SYMBOLS: [&str; 17] =
    ["==", "!=", ">=", "<=", ">", "<", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", "."];

pub(super) fn lex(text: &str) -> Result<Vec<Token>, ExprError> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        if c.is_whitespace() {
            at += 1;
            continue;
        }
        let digit_follows = chars.get(at + 1).is_some_and(char::is_ascii_digit);
        let (kind, end) = if c == '"' || c == '\'' {
            string(&chars, at)?
        } else if c.is_ascii_digit() || (c == '.' && digit_follows) {
            number(&chars, at)?
        } else if c.is_alphabetic() || c == '_' || c == '$' {
            let end = end_of(&chars, at, |c| c.is_alphanumeric() || c == '_' || c == '$');
            (Kind::Word(chars[at..end].iter().collect()), end)
        } else {
            symbol(&chars, at)?
        };
        tokens.push(Token { at, kind });
        at = end;
    }
    Ok(tokens)
}

fn end_of(chars: &[char], from: usize, belongs: impl Fn(char) -> bool) -> usize {
    from + chars[from..].iter().take_while(|&&c| belongs(c)).count()
}

fn error(at: usize, reason: impl Into<String>) -> ExprError {
    ExprError::Syntax { at, reason: reason.into() }
}

/// A string in double or single quotes; a backslash makes the next character literal, except `\n`, `\t`, `\r`.
fn string(chars: &[char], start: usize) -> Result<(Kind, usize), ExprError> {
    let quote = chars[start];
    let mut text = String::new();
    let mut at = start + 1;
    loop {
        match chars.get(at) {
            None => return Err(error(start, "string is not closed")),
            Some(&c) if c == quote => return Ok((Kind::Text(text), at + 1)),
            Some('\\') => {
                let escaped = *chars.get(at + 1).ok_or_else(|| error(start, "string is not closed"))?;
                text.push(match escaped {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other => other,
                });
                at += 2;
            }
            Some(&c) => {
                text.push(c);
                at += 1;
            }
        }
    }
}

/// A decimal number with an optional fraction and exponent.
fn number(chars: &[char], start: usize) -> Result<(Kind, usize), ExprError> {
    let digits = |from: usize| end_of(chars, from.min(chars.len()), |c| c.is_ascii_digit());
    let mut end = digits(start);
    if chars.get(end) == Some(&'.') {
        end = digits(end + 1);
    }
    if matches!(chars.get(end), Some('e' | 'E')) {
        let sign = usize::from(matches!(chars.get(end + 1), Some('+' | '-')));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    let text: String = chars[start..end].iter().collect();
    if chars.get(end).is_some_and(|c| c.is_alphanumeric() || *c == '_') {
        return Err(error(start, format!("`{text}` runs into a word")));
    }
    let value = text.parse().map_err(|_| error(start, format!("`{text}` is not a number")))?;
    Ok((Kind::Number(value), end))
}

fn symbol(chars: &[char], at: usize) -> Result<(Kind, usize), ExprError> {
    let here = |symbol: &&&str| symbol.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c));
    match SYMBOLS.iter().find(here) {
        Some(symbol) => Ok((Kind::Symbol(symbol), at + symbol.len())),
        None if chars[at] == '=' => Err(error(at, "`=` is not an operator, use `==`")),
        None => Err(error(at, format!("unexpected `{}`", chars[at]))),
    }
}
