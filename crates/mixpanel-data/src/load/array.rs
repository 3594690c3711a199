//! The elements of a JSON array, cut out of blocks by quotes and brackets alone, so that one that is
//! wrong costs no other. Pure.

use mixpanel_client::export::RejectReason;

use super::fault::Fault;
use super::lines::Cut;

/// An element has at most so many bytes; of longer ones the beginning is kept.
const MAX_ELEMENT: usize = 32 << 20;
const KEPT: usize = 4096;

/// Where in the text we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before the array.
    Before,
    /// In the array, before an element or the end.
    Open,
    /// Behind a comma.
    Comma,
    /// In an element.
    Element,
    /// Behind an element.
    Behind,
    /// Behind the array.
    After,
}

/// Cuts an array into its elements.
#[derive(Debug)]
pub(super) struct Elements {
    at: At,
    depth: usize,
    quoted: bool,
    escaped: bool,
    /// The element so far.
    element: Vec<u8>,
    length: u64,
    /// How many elements began, and on which line we are.
    pub(super) count: u64,
    line: u64,
}

impl Elements {
    pub(super) fn new() -> Self {
        Elements {
            at: At::Before,
            depth: 0,
            quoted: false,
            escaped: false,
            element: Vec::new(),
            length: 0,
            count: 0,
            line: 1,
        }
    }

    /// Takes a block, and adds the elements that end in it.
    pub(super) fn take(&mut self, block: &[u8], cut: &mut Cut) -> Result<(), Fault> {
        let mut start = 0;
        for (here, byte) in block.iter().enumerate() {
            if *byte == b'\n' {
                self.line += 1;
            }
            if self.at == At::Element {
                if self.ends(*byte) {
                    self.keep(&block[start..here]);
                    self.finish(cut);
                    // What ends a number is not of it.
                    self.between(*byte)?;
                } else if self.depth == 0 && !self.quoted && matches!(byte, b'}' | b']' | b'"') {
                    self.keep(&block[start..=here]);
                    self.finish(cut);
                }
                continue;
            }
            self.between(*byte)?;
            if self.at == At::Element {
                start = here;
                self.count += 1;
                self.opens(*byte);
            }
        }
        if self.at == At::Element {
            self.keep(&block[start..]);
        }
        Ok(())
    }

    /// A byte outside of elements.
    fn between(&mut self, byte: u8) -> Result<(), Fault> {
        self.at = match (self.at, byte) {
            (at, b' ' | b'\t' | b'\r' | b'\n') => at,
            // A byte order mark.
            (At::Before, 0xEF | 0xBB | 0xBF) => At::Before,
            (At::Before, b'[') => At::Open,
            (At::Open | At::Behind, b']') => At::After,
            (At::Behind, b',') => At::Comma,
            (At::Open | At::Comma, b',' | b']') => return Err(self.fault("an element is missing")),
            (At::Open | At::Comma, _) => At::Element,
            (At::Behind, _) => return Err(self.fault("a comma or the end of the array is missing")),
            (At::Before, _) => return Err(self.fault("no array begins here")),
            (At::After, _) => return Err(self.fault("something follows the end of the array")),
            (At::Element, _) => At::Element,
        };
        Ok(())
    }

    /// The first byte of an element.
    fn opens(&mut self, byte: u8) {
        (self.depth, self.quoted, self.escaped, self.length) = (0, byte == b'"', false, 0);
        if matches!(byte, b'{' | b'[') {
            self.depth = 1;
        }
    }

    /// A further byte of an element. Whether the element ended before it: numbers and words do.
    fn ends(&mut self, byte: u8) -> bool {
        if self.quoted {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.quoted = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.quoted = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth > 0 => self.depth -= 1,
            b',' | b']' | b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 => return true,
            _ => {}
        }
        false
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        if self.length <= MAX_ELEMENT as u64 {
            self.element.extend_from_slice(bytes);
        } else {
            let room = KEPT.saturating_sub(self.element.len());
            self.element.extend_from_slice(&bytes[..room.min(bytes.len())]);
            self.element.truncate(KEPT);
            self.element.shrink_to_fit();
        }
    }

    fn finish(&mut self, cut: &mut Cut) {
        let refused = (self.length > MAX_ELEMENT as u64).then_some(RejectReason::TooLong);
        cut.add(self.count, &self.element, refused);
        self.element.clear();
        self.at = At::Behind;
    }

    /// The end of the text, which has to be behind the array.
    pub(super) fn end(&self) -> Result<(), Fault> {
        match self.at {
            At::After => Ok(()),
            At::Element => Err(self.fault(&format!(
                "the file stops in the middle of element {} of its array: it is cut",
                self.count
            ))),
            _ => Err(self.fault("the file stops before the end of its array: it is cut")),
        }
    }

    fn fault(&self, why: &str) -> Fault {
        Fault::line(self.line, why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The elements, in blocks of every size.
    fn elements(text: &str) -> Result<Vec<String>, String> {
        let mut first = None;
        for size in 1..=text.len().max(1) {
            let (mut elements, mut cut) = (Elements::new(), Cut::default());
            let mut taken = Ok(());
            for block in text.as_bytes().chunks(size) {
                taken = taken.and_then(|()| elements.take(block, &mut cut));
            }
            let result = taken.and_then(|()| elements.end()).map_err(|fault| format!("{fault:?}"));
            let found =
                cut.iter().map(|(number, text, _)| (number, String::from_utf8_lossy(text).into_owned()));
            let found: Vec<(u64, String)> = found.collect();
            assert!(found.iter().map(|(number, _)| *number).eq(1..=found.len() as u64));
            let result = result.map(|()| found.into_iter().map(|(_, text)| text).collect::<Vec<_>>());
            assert_eq!(first.get_or_insert_with(|| result.clone()), &result, "blocks of {size}");
        }
        first.unwrap()
    }

    #[test]
    fn elements_are_cut_out_whatever_is_in_them() {
        let text = "\u{feff} [ {\"a\":\"]},{\\\"\\\\\"} ,\n[1,[2]],\"x, y\", 12.5 ,true,{}\n] \n";
        let expected = [r#"{"a":"]},{\"\\"}"#, "[1,[2]]", "\"x, y\"", "12.5", "true", "{}"];
        assert_eq!(elements(text).unwrap(), expected);
        assert_eq!(elements("[]").unwrap(), Vec::<String>::new());
        assert_eq!(elements("[1]").unwrap(), ["1"]);
    }

    #[test]
    fn an_array_that_is_cut_or_followed_by_something_is_refused_with_the_line() {
        for (text, words) in [
            ("[{\"a\":1},\n{\"b\":", "Some(2), why: \"the file stops in the middle of element 2"),
            ("[{\"a\":1},", "before the end of its array"),
            ("[{\"a\":1}", "before the end of its array"),
            ("[", "before the end of its array"),
            ("[{}]\n{}", "Some(2), why: \"something follows"),
            ("[{} {}]", "a comma"),
            ("[{},]", "an element is missing"),
            ("[,{}]", "an element is missing"),
        ] {
            let error = elements(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn an_element_of_any_length_takes_no_more_than_the_limit() {
        let (mut elements, mut cut) = (Elements::new(), Cut::default());
        elements.take(b"[\"", &mut cut).unwrap();
        let block = vec![b'x'; 1 << 20];
        for _ in 0..40 {
            elements.take(&block, &mut cut).unwrap();
        }
        elements.take(b"\",{}]", &mut cut).unwrap();
        elements.end().unwrap();
        let found: Vec<_> = cut.iter().map(|(number, text, refused)| (number, text.len(), refused)).collect();
        assert_eq!(found, [(1, KEPT, Some(RejectReason::TooLong)), (2, 2, None)]);
    }
}
