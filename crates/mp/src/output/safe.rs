//! Nothing in the data steers a terminal or hides in it: control characters, those that turn the
//! direction of text, and those that nobody can see, become visible.

use std::io::{self, Write};

fn harmful(c: char) -> bool {
    c.is_control()
        // Marks, embeddings, overrides and isolates of direction; separators of lines.
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}')
        // Without width, and without a part in any script; the joiners U+200C and U+200D have one.
        || matches!(c, '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}')
        // Tags and other selectors, in which a text may be hidden.
        || matches!(c, '\u{e0000}'..='\u{e0fff}')
}

/// Makes such characters visible in a text of one line.
pub(crate) fn clean(text: &str) -> String {
    if !text.contains(harmful) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len() + 8), |mut shown, c| {
        if harmful(c) {
            shown.extend(c.escape_default())
        } else {
            shown.push(c)
        }
        shown
    })
}

/// Passes text on to a terminal, line feeds and tabs as they are, other such characters as `\u001b`,
/// which is their form in JSON too.
pub(super) struct Safe<W> {
    out: W,
    /// The beginning of a character that was cut.
    rest: Vec<u8>,
}

impl<W: Write> Safe<W> {
    pub(super) fn new(out: W) -> Self {
        Safe { out, rest: Vec::new() }
    }

    fn pass(&mut self, text: &str) -> io::Result<()> {
        let mut from = 0;
        for (at, c) in text.char_indices() {
            if harmful(c) && c != '\n' && c != '\t' {
                self.out.write_all(&text.as_bytes()[from..at])?;
                // As in JSON, where characters beyond the first 65,536 are two.
                let mut units = [0; 2];
                c.encode_utf16(&mut units).iter().try_for_each(|unit| write!(self.out, "\\u{unit:04x}"))?;
                from = at + c.len_utf8();
            }
        }
        self.out.write_all(&text.as_bytes()[from..])
    }
}

impl<W: Write> Write for Safe<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.rest.extend_from_slice(bytes);
        let held = std::mem::take(&mut self.rest);
        let whole = match std::str::from_utf8(&held) {
            Ok(_) => held.len(),
            // No error length: the end is the beginning of a character.
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => held.len(),
        };
        let (now, later) = held.split_at(whole);
        self.rest = later.to_vec();
        self.pass(&String::from_utf8_lossy(now))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(clean("plain ⭐ text"), "plain ⭐ text");
        assert_eq!(clean("a\nb\t\u{1b}[31m\u{7f}"), r"a\nb\t\u{1b}[31m\u{7f}");
        assert_eq!(clean("x\u{202e}y\u{2028}"), r"x\u{202e}y\u{2028}");
        assert_eq!(clean("\u{61c}a\u{feff}b\u{e0041}\u{200b}"), r"\u{61c}a\u{feff}b\u{e0041}\u{200b}");
        // Parts of words and of signs that people write.
        for text in ["می\u{200c}خواهم", "👩\u{200d}💻", "❤\u{fe0f}", "क\u{94d}\u{200d}ष"] {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn what_is_made_visible_is_still_json() {
        let text = serde_json::to_string("a\u{feff}\u{e0041}\u{61c}b").unwrap();
        let mut out = Vec::new();
        Safe::new(&mut out).write_all(text.as_bytes()).unwrap();
        assert!(out.is_ascii());
        let read: String = serde_json::from_slice(&out).unwrap();
        assert_eq!(read, "a\u{feff}\u{e0041}\u{61c}b");
    }

    #[test]
    fn a_terminal_sees_no_control_character_wherever_writes_are_cut() {
        let text = "ä\u{1b}[31m\u{9b}2J\u{202e}⭐\r\n\tend";
        for cut in 0..=text.len() {
            let mut out = Vec::new();
            let mut safe = Safe::new(&mut out);
            safe.write_all(&text.as_bytes()[..cut]).unwrap();
            safe.write_all(&text.as_bytes()[cut..]).unwrap();
            drop(safe);
            let seen = String::from_utf8(out).unwrap();
            assert_eq!(seen, "ä\\u001b[31m\\u009b2J\\u202e⭐\\u000d\n\tend", "cut at {cut}");
        }
    }
}
