//! A validating reader of JSON text.
//!
//! It accepts exactly the grammar of RFC 8259 in UTF-8, moves forward only, allocates nothing and
//! does not recurse, so that nesting costs no stack. Outside of strings the grammar leaves no place
//! for anything but ASCII, so strings are where the encoding is checked.

use super::names::Spelled;
use super::number::{Number, NumberText};
use super::run::plain_run;

/// How many objects and arrays may be open at once, the outermost included.
pub(crate) const MAX_DEPTH: u32 = 128;

/// The text is not JSON in UTF-8, or is nested deeper than [`MAX_DEPTH`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The inside of a string literal: offsets of its first byte and of its closing quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StringText {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Whether it contains a backslash, so that it says something else than its bytes.
    pub(crate) escaped: bool,
}

/// A value as far as its column needs to know it. Texts stay where they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    Null,
    Boolean(bool),
    Number(Number),
    String { escaped: bool },
    Object,
    Array,
}

/// A position in a text.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    /// A `\u` escape named half a surrogate pair, which is legal JSON and yet no character.
    lone_surrogate: bool,
}

impl<'a> Scanner<'a> {
    /// At the start of `text`.
    #[inline]
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, lone_surrogate: false }
    }

    /// The offset of the next byte.
    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Goes on at an offset: what is before it was read by other means.
    pub(crate) fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    /// Whether half a surrogate pair was met so far.
    #[inline]
    pub(crate) fn lone_surrogate(&self) -> bool {
        self.lone_surrogate
    }

    #[inline]
    pub(crate) fn bytes(&self, start: usize, end: usize) -> &'a [u8] {
        &self.text[start..end]
    }

    /// The next byte that is not white space, left unread; 0 at the end of the text.
    #[inline]
    pub(crate) fn peek(&mut self) -> u8 {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(&byte) => return byte,
                None => return 0,
            }
        }
    }

    /// Steps over `byte` when it comes next, white space aside.
    #[inline]
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte;
        if found {
            self.at += 1;
        }
        found
    }

    /// Steps over exactly this text when it comes next.
    #[inline]
    fn eat_text(&mut self, expected: &[u8]) -> bool {
        let found = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(expected));
        if found {
            self.at += expected.len();
        }
        found
    }

    /// Steps over this name and its colon when they come next.
    #[inline]
    pub(crate) fn eat_name(&mut self, name: &Spelled) -> bool {
        let length = self.text.get(self.at..).and_then(|rest| name.leads(rest));
        self.at += length.unwrap_or(0);
        length.is_some()
    }

    /// Whether only white space is left.
    #[inline]
    pub(crate) fn at_end(&mut self) -> bool {
        self.peek();
        self.at == self.text.len()
    }

    /// Reads `,` or `close` behind a member: whether another member follows.
    #[inline]
    pub(crate) fn another(&mut self, close: u8) -> Result<bool, Malformed> {
        let byte = self.peek();
        if byte == b',' || byte == close {
            self.at += 1;
            return Ok(byte == b',');
        }
        Err(Malformed)
    }

    /// Reads the name of a member and the colon behind it.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<StringText, Malformed> {
        if !self.eat(b'"') {
            return Err(Malformed);
        }
        let key = self.string_body()?;
        if self.eat(b':') { Ok(key) } else { Err(Malformed) }
    }

    /// Reads a value of which `depth` containers are open around it. Returns it with the offsets of
    /// its text; those of a string lie inside the quotes.
    ///
    /// For the one caller that reads nearly all values; inlined, so that the value stays in
    /// registers, which is worth a tenth of the whole decoding.
    #[inline(always)]
    pub(crate) fn value(&mut self, depth: u32) -> Result<(Value, usize, usize), Malformed> {
        let first = self.peek();
        let start = self.at;
        let value = match first {
            b'"' => {
                self.at += 1;
                let text = self.string_body()?;
                return Ok((Value::String { escaped: text.escaped }, text.start, text.end));
            }
            b'-' | b'0'..=b'9' => {
                let number = NumberText::read(self.text, self.at).ok_or(Malformed)?;
                self.at = number.end();
                Value::Number(number.value(&self.text[start..self.at]))
            }
            b't' => self.word(b"true", Value::Boolean(true))?,
            b'f' => self.word(b"false", Value::Boolean(false))?,
            b'n' => self.word(b"null", Value::Null)?,
            b'{' => {
                self.skip_container(depth)?;
                Value::Object
            }
            b'[' => {
                self.skip_container(depth)?;
                Value::Array
            }
            _ => return Err(Malformed),
        };
        Ok((value, start, self.at))
    }

    /// [`value`](Self::value), for everybody else.
    #[inline(never)]
    pub(crate) fn other_value(&mut self, depth: u32) -> Result<(Value, usize, usize), Malformed> {
        self.value(depth)
    }

    #[inline]
    fn word(&mut self, word: &[u8], value: Value) -> Result<Value, Malformed> {
        if self.eat_text(word) { Ok(value) } else { Err(Malformed) }
    }

    /// Steps over the object or array that starts here, checking all of it. The kinds of the open
    /// containers are the bits of a word (1: an object), innermost lowest.
    fn skip_container(&mut self, outside: u32) -> Result<(), Malformed> {
        let mut open: u128 = 0;
        let mut depth = 0;
        loop {
            // A value starts here.
            let first = self.peek();
            if first == b'{' || first == b'[' {
                if outside + depth >= MAX_DEPTH {
                    return Err(Malformed);
                }
                self.at += 1;
                depth += 1;
                let object = first == b'{';
                open = open << 1 | u128::from(object);
                if !self.eat(if object { b'}' } else { b']' }) {
                    if object {
                        self.key()?;
                    }
                    continue;
                }
                open >>= 1;
                depth -= 1;
            } else {
                self.skip_scalar(first)?;
            }
            // A value ended here, and perhaps containers with it.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let object = open & 1 == 1;
                if self.another(if object { b'}' } else { b']' })? {
                    if object {
                        self.key()?;
                    }
                    break;
                }
                open >>= 1;
                depth -= 1;
            }
        }
    }

    #[inline]
    fn skip_scalar(&mut self, first: u8) -> Result<(), Malformed> {
        match first {
            b'"' => {
                self.at += 1;
                self.string_body()?;
            }
            b'-' | b'0'..=b'9' => self.at = NumberText::read(self.text, self.at).ok_or(Malformed)?.end(),
            b't' if self.eat_text(b"true") => {}
            b'f' if self.eat_text(b"false") => {}
            b'n' if self.eat_text(b"null") => {}
            _ => return Err(Malformed),
        }
        Ok(())
    }

    /// Reads the rest of a string whose opening quote is behind us.
    #[inline]
    fn string_body(&mut self) -> Result<StringText, Malformed> {
        let start = self.at;
        let (end, ascii) = plain_run(self.text, start);
        if ascii && self.text.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(StringText { start, end, escaped: false });
        }
        self.unusual_body(start)
    }

    /// The same for a string with escapes or characters beyond ASCII, which are checked here.
    fn unusual_body(&mut self, start: usize) -> Result<StringText, Malformed> {
        let mut escaped = false;
        let mut all_ascii = true;
        loop {
            let (end, ascii) = plain_run(self.text, self.at);
            self.at = end;
            all_ascii &= ascii;
            match self.text.get(end) {
                Some(b'"') => {
                    self.at += 1;
                    if !all_ascii && std::str::from_utf8(&self.text[start..end]).is_err() {
                        return Err(Malformed);
                    }
                    return Ok(StringText { start, end, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.at += 1;
                    self.escape()?;
                }
                _ => return Err(Malformed),
            }
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self) -> Result<(), Malformed> {
        let letter = *self.text.get(self.at).ok_or(Malformed)?;
        self.at += 1;
        match letter {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => {
                let unit = self.hex()?;
                if !(0xD800..0xE000).contains(&unit) {
                    return Ok(());
                }
                // The first half must be followed at once by a second one.
                let paired = unit < 0xDC00 && self.eat_text(b"\\u") && {
                    let next = self.hex()?;
                    let second = (0xDC00..0xE000).contains(&next);
                    if !second {
                        self.at -= 6; // what follows stands for itself, and may start a pair
                    }
                    second
                };
                self.lone_surrogate |= !paired;
                Ok(())
            }
            _ => Err(Malformed),
        }
    }

    fn hex(&mut self) -> Result<u32, Malformed> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(Malformed)?;
        self.at += 4;
        hex4(digits).ok_or(Malformed)
    }
}

/// Four hexadecimal digits.
pub(super) fn hex4(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Result<Value, Malformed> {
        let mut scanner = Scanner::new(text.as_bytes());
        let (value, ..) = scanner.value(0)?;
        if scanner.at_end() { Ok(value) } else { Err(Malformed) }
    }

    #[test]
    fn nesting_up_to_the_limit() {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert!(whole(&nested(MAX_DEPTH as usize)).is_ok());
            assert_eq!(whole(&nested(MAX_DEPTH as usize + 1)), Err(Malformed));
            assert_eq!(whole(&nested(1_000_000)), Err(Malformed));
        }
        assert!(whole(&"[".repeat(100)).is_err());
    }

    #[test]
    fn accepts_and_refuses_what_the_grammar_does() {
        let texts = [
            "{}",
            "[]",
            "[[],{}]",
            r#"{"a":{"b":[1,{"c":null}]},"d":[true,false]}"#,
            " [ 1 , 2 ] ",
            "{\"a\" : 1 }",
            r#""\u0000""#,
            r#""\"\\\/\b\f\n\r\t""#,
            "\"\u{7f}\u{2028}\"",
            "\"\t\"",
            r#""\x""#,
            r#""\u12g4""#,
            r#""\u12"#,
            "\"",
            "[1,]",
            "[,1]",
            "{,}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{a:1}"#,
            "[1 2]",
            "{]",
            "[}",
            "tru",
            "nul",
            "nulll",
            "[1]]",
            "",
            " ",
            "[\u{a0}1]",
            "[1\u{0}]",
            "\u{feff}1",
            "'a'",
            "[//c\n1]",
            "NaN",
            "-Infinity",
            "[0x1]",
        ];
        for text in texts {
            let expected = serde_json::from_str::<serde_json::Value>(text).is_ok();
            assert_eq!(whole(text).is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn halves_of_surrogate_pairs_are_noticed() {
        let cases = [
            (r#""\ud83d\ude00""#, false),
            (r#""\uD83D\uDE00\ud83d\ude00""#, false),
            (r#""\ud83d""#, true),
            (r#""\ude00""#, true),
            (r#""\ud83dx""#, true),
            (r#""\ud83d\n""#, true),
            (r#""\ud83d\ud83d\ude00""#, true),
            (r#""\ud83d\u0041""#, true),
            (r#"{"a":[{"\udfff":1}]}"#, true),
            (r#""\ud7ff\ue000""#, false),
        ];
        for (text, lone) in cases {
            let mut scanner = Scanner::new(text.as_bytes());
            assert!(scanner.value(0).is_ok());
            assert_eq!(scanner.lone_surrogate(), lone, "{text}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(text).is_err(), lone, "{text}");
        }
    }
}
