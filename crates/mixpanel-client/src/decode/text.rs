//! What a string literal says, and columns of text.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use memchr::memchr;

use super::scan::hex4;

/// Appends what the inside of a string literal says. The literal was read by the scanner; half a
/// surrogate pair, which the scanner reports, comes out as U+FFFD.
pub(crate) fn unescape(mut literal: &[u8], into: &mut Vec<u8>) {
    while let Some(backslash) = memchr(b'\\', literal) {
        into.extend_from_slice(&literal[..backslash]);
        let escape = &literal[backslash..];
        let (said, length) = match escape.get(1) {
            Some(b'u') => unicode(escape),
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(&itself) => (char::from(itself), 2),
            None => (char::REPLACEMENT_CHARACTER, 1),
        };
        into.extend_from_slice(said.encode_utf8(&mut [0; 4]).as_bytes());
        literal = escape.get(length..).unwrap_or_default();
    }
    into.extend_from_slice(literal);
}

/// The character that `\uXXXX`, or a pair of them, at the start of `escape` names.
fn unicode(escape: &[u8]) -> (char, usize) {
    let unit = |at: usize| escape.get(at + 2..at + 6).and_then(hex4);
    let first = unit(0).unwrap_or(0xD800);
    if let (0xD800..0xDC00, Some(b"\\u"), Some(second @ 0xDC00..0xE000)) = (first, escape.get(6..8), unit(6))
    {
        let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
}

/// Appends a literal, unescaping it only when it has to be.
#[inline]
pub(crate) fn decode(literal: &[u8], escaped: bool, into: &mut Vec<u8>) {
    if escaped { unescape(literal, into) } else { into.extend_from_slice(literal) }
}

/// A column of strings under construction.
#[derive(Debug)]
pub(crate) struct TextColumn {
    offsets: Vec<i32>,
    data: Vec<u8>,
}

impl Default for TextColumn {
    fn default() -> Self {
        Self::with_capacity(0, 0)
    }
}

/// No more is reserved for a column that is as long as the last one: that one may have held a single
/// value of any size.
const MOST_RESERVED: usize = 8 << 20;

impl TextColumn {
    pub(crate) fn with_capacity(rows: usize, bytes: usize) -> Self {
        let bytes = bytes.min(MOST_RESERVED);
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { offsets, data: Vec::with_capacity(bytes) }
    }

    /// How many bytes all its values have.
    pub(crate) fn bytes(&self) -> usize {
        self.data.len()
    }

    /// A value.
    pub(crate) fn get(&self, row: usize) -> &[u8] {
        &self.data[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }

    /// Takes the last value off.
    pub(crate) fn pop(&mut self) -> Vec<u8> {
        let end = self.offsets.pop().unwrap_or_default();
        let start = self.offsets.last().copied().unwrap_or_default();
        debug_assert_eq!(end as usize, self.data.len());
        self.data.split_off(start as usize)
    }

    /// Appends a value as it is.
    #[inline]
    pub(crate) fn push(&mut self, text: &[u8]) {
        self.data.extend_from_slice(text);
        self.close();
    }

    /// Appends what a string literal says.
    #[inline]
    pub(crate) fn push_literal(&mut self, literal: &[u8], escaped: bool) {
        decode(literal, escaped, &mut self.data);
        self.close();
    }

    /// Appends empty values until there are `rows`.
    #[inline]
    pub(crate) fn pad(&mut self, rows: usize) {
        let end = self.offset();
        self.offsets.resize(rows + 1, end);
    }

    #[inline]
    fn close(&mut self) {
        let end = self.offset();
        self.offsets.push(end);
    }

    /// The decoder keeps the text of a batch below 2 GiB, so that it always fits.
    #[inline]
    fn offset(&self) -> i32 {
        i32::try_from(self.data.len()).expect("a batch has less than 2 GiB of text")
    }

    /// The finished column.
    pub(crate) fn finish(self, nulls: Option<NullBuffer>) -> ArrayRef {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        Arc::new(StringArray::new(offsets, Buffer::from_vec(self.data), nulls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, AsArray};
    use proptest::prelude::*;

    fn said(literal: &str) -> String {
        let mut bytes = Vec::new();
        unescape(literal.as_bytes(), &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn every_escape() {
        assert_eq!(said(r#"a\"\\\/\b\f\n\r\tz"#), "a\"\\/\u{8}\u{c}\n\r\tz");
        assert_eq!(said(r"\u0000\u0041\u00e9\u20AC\ud83d\ude00!"), "\0Aé€😀!");
        assert_eq!(said(r"\ud83d\u0041"), "\u{fffd}A");
        assert_eq!(said("Ü"), "Ü");
    }

    #[test]
    fn nonsense_does_not_panic() {
        for literal in ["\\", "\\u", "\\u12", "\\ud83d\\u", "\\ud83d\\ude"] {
            said(literal);
        }
    }

    #[test]
    fn padding_is_empty() {
        let mut column = TextColumn::default();
        column.pad(2);
        column.push("é".as_bytes());
        column.push_literal(br"\u00e9", true);
        column.pad(5);
        assert_eq!(column.bytes(), 4);
        assert_eq!(column.get(3), "é".as_bytes());
        let array = column.finish(None);
        let values: Vec<_> = array.as_string::<i32>().iter().flatten().collect();
        assert_eq!(values, ["", "", "é", "é", ""]);
        assert_eq!(array.null_count(), 0);
    }

    proptest! {
        #[test]
        fn says_what_the_reference_says(text in any::<String>()) {
            let literal = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(said(&literal[1..literal.len() - 1]), text);
        }
    }
}
