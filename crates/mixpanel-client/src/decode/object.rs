//! The properties object as a list of places in its text.

use super::names::{NameId, NameTable, spell};
use super::scan::{Malformed, Scanner, Value};
use super::text::decode;

/// One property of one event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) property: NameId,
    start: u32,
    end: u32,
    pub(crate) value: Value,
}

impl Slot {
    /// The value's text within the text that was scanned; of a string, what is between the quotes.
    #[inline]
    pub(crate) fn text<'a>(&self, scanned: &'a [u8]) -> &'a [u8] {
        &scanned[self.start as usize..self.end as usize]
    }

    /// The value's JSON text.
    pub(crate) fn exact<'a>(&self, scanned: &'a [u8]) -> &'a [u8] {
        let quote = usize::from(matches!(self.value, Value::String { .. }));
        &scanned[self.start as usize - quote..self.end as usize + quote]
    }
}

/// Reads the object that starts here, inside of `depth` others. `slots` becomes its members in
/// their order, without those that repeat the name of an earlier one: of duplicates, the first
/// counts. Texts must be shorter than 4 GiB.
#[inline]
pub(crate) fn read_object(
    scanner: &mut Scanner<'_>,
    depth: u32,
    names: &mut NameTable,
    scratch: &mut Vec<u8>,
    slots: &mut Vec<Slot>,
) -> Result<(), Malformed> {
    slots.clear();
    names.begin_event();
    if !scanner.eat(b'{') {
        return Err(Malformed);
    }
    if scanner.eat(b'}') {
        return Ok(());
    }
    let mut previous = None;
    loop {
        scanner.peek();
        let (expected, spelled) = names.expected(previous);
        let property = if scanner.eat_name(spelled) {
            expected
        } else {
            let key = scanner.key()?;
            let literal = scanner.bytes(key.start, key.end);
            let property = if key.escaped {
                scratch.clear();
                decode(literal, true, scratch);
                intern_escaped(scanner, names, scratch, literal)
            } else {
                names.intern(literal, literal)
            };
            names.followed_by(previous, property);
            property
        };
        previous = Some(property);
        let first = names.first_in_event(property);
        let (value, start, end) = scanner.value(depth + 1)?;
        if first {
            slots.push(Slot { property, start: start as u32, end: end as u32, value });
        }
        if !scanner.another(b'}')? {
            return Ok(());
        }
    }
}

/// The number of a name that is spelled with escapes. A spelling that names half of a surrogate pair
/// is not remembered: expected in the next text, it would be stepped over without being noticed.
#[cold]
fn intern_escaped(scanner: &Scanner<'_>, names: &mut NameTable, name: &[u8], literal: &[u8]) -> NameId {
    if scanner.lone_surrogate() {
        return names.intern(name, &spell(&String::from_utf8_lossy(name)));
    }
    names.intern(name, literal)
}

#[cfg(test)]
mod tests {
    use super::super::names::OF_EVENTS;
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, Malformed> {
        let (mut names, mut scratch, mut slots) = (NameTable::new(OF_EVENTS), Vec::new(), Vec::new());
        let mut seen = Vec::new();
        // The second time, every name is expected.
        for _ in 0..2 {
            let mut scanner = Scanner::new(text.as_bytes());
            read_object(&mut scanner, 0, &mut names, &mut scratch, &mut slots)?;
            assert!(scanner.at_end());
            let member = |slot: &Slot| {
                let exact = String::from_utf8_lossy(slot.exact(text.as_bytes())).into_owned();
                (names.name(slot.property).to_owned(), exact)
            };
            seen.push(slots.iter().map(member).collect::<Vec<_>>());
        }
        assert_eq!(seen[0], seen[1]);
        Ok(seen.swap_remove(0))
    }

    fn pairs(expected: &[(&str, &str)]) -> Result<Vec<(String, String)>, Malformed> {
        Ok(expected.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    #[test]
    fn members_in_order() {
        let text = "{ \"b\" : 1.50 ,\n\"a\":\"x\\n\",\"\": [ 1, {} ] , \"c d\":null,\"A\":{\"a\":2}}";
        let expected =
            [("b", "1.50"), ("a", r#""x\n""#), ("", "[ 1, {} ]"), ("c d", "null"), ("A", r#"{"a":2}"#)];
        assert_eq!(read(text), pairs(&expected));
        assert_eq!(read(" {\r\n} "), pairs(&[]));
    }

    #[test]
    fn of_duplicates_the_first() {
        assert_eq!(read(r#"{"a":1,"b":2,"a":3,"\u0061":4}"#), pairs(&[("a", "1"), ("b", "2")]));
        assert_eq!(read(r#"{"\u0061":4,"a":3}"#), pairs(&[("a", "4")]));
    }

    /// However often a name with half of a surrogate pair comes, it is noticed.
    #[test]
    fn halves_of_surrogate_pairs_in_names() {
        let (mut names, mut scratch, mut slots) = (NameTable::new(OF_EVENTS), Vec::new(), Vec::new());
        for (text, lone) in [
            (r#"{"a\ud83d":1,"b":2}"#, true),
            (r#"{"a\ud83d":1,"b":2}"#, true),
            (r#"{"a\ufffd":1,"b":2}"#, false),
            (r#"{"a\ud83d":1,"b":2}"#, true),
            ("{\"a\u{fffd}\":1}", false),
        ] {
            let mut scanner = Scanner::new(text.as_bytes());
            read_object(&mut scanner, 0, &mut names, &mut scratch, &mut slots).unwrap();
            assert_eq!(scanner.lone_surrogate(), lone, "{text}");
        }
        assert_eq!(names.len(), NameTable::new(OF_EVENTS).len() + 2);
    }

    #[test]
    fn broken_objects() {
        for text in ["", "[]", "{", "{,}", r#"{"a":1,}"#, r#"{"a"1}"#, r#"{"a":1 "b":2}"#, r#"{"a":[}"#] {
            assert_eq!(read(text), Err(Malformed), "{text}");
        }
    }
}
