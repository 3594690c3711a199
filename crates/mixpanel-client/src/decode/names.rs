//! The property names met so far, each with a small number.

use std::hash::{BuildHasher, RandomState};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The number of a property name.
pub(crate) type NameId = u32;

/// `time`, always the first name.
pub(crate) const TIME: NameId = 0;
/// `distinct_id`.
pub(crate) const DISTINCT: NameId = 1;
/// `$insert_id`.
pub(crate) const INSERT: NameId = 2;
/// `mp_processing_time_ms`.
pub(crate) const PROCESSED: NameId = 3;
/// `$last_seen`, the first name among those of profiles.
pub(crate) const LAST_SEEN: NameId = 0;

/// Names that always have the same number: the first ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reserved {
    names: &'static [&'static str],
    /// How many of them are fixed columns, and so no properties.
    fixed: NameId,
}

/// Those of events.
pub(crate) const OF_EVENTS: Reserved =
    Reserved { names: &["time", "distinct_id", "$insert_id", "mp_processing_time_ms"], fixed: 3 };
/// Those of profiles.
pub(crate) const OF_PROFILES: Reserved = Reserved { names: &["$last_seen"], fixed: 1 };

#[derive(Debug)]
struct Name {
    name: Box<str>,
    /// What the scanner compares with when it expects this name.
    spelled: Spelled,
    hash: u64,
    /// The name that came after this one the last time.
    next: NameId,
    /// The last event that had it.
    event: u64,
}

/// A name as it was first spelled in JSON, with its quotes and the colon.
#[derive(Debug)]
pub(crate) struct Spelled {
    text: Box<[u8]>,
    /// The first bytes of the text, and which bytes those are: most names are compared by one
    /// instruction, without a call.
    head: u128,
    mask: u128,
}

impl Spelled {
    /// The name whose string literal has this inside.
    fn new(literal: &[u8]) -> Self {
        let mut text = Vec::with_capacity(literal.len() + 3);
        text.push(b'"');
        text.extend_from_slice(literal);
        text.extend_from_slice(b"\":");
        let mut head = [0; 16];
        let mut mask = [0; 16];
        for (place, &byte) in text.iter().take(16).enumerate() {
            (head[place], mask[place]) = (byte, 0xFF);
        }
        Self { text: text.into(), head: u128::from_le_bytes(head), mask: u128::from_le_bytes(mask) }
    }

    /// How long the spelling is, when `text` starts with it.
    #[inline]
    pub(crate) fn leads(&self, text: &[u8]) -> Option<usize> {
        let length = self.text.len();
        let same = match text.first_chunk::<16>() {
            Some(first) => {
                u128::from_le_bytes(*first) & self.mask == self.head
                    && (length <= 16 || text.get(16..length).is_some_and(|rest| *rest == self.text[16..]))
            }
            None => text.starts_with(&self.text),
        };
        same.then_some(length)
    }
}

/// All names; open addressing over their hashes.
///
/// Exporters write the properties of an event in a steady order, so the name that followed this one
/// last time is tried first: one comparison instead of reading and hashing the name.
#[derive(Debug)]
pub(crate) struct NameTable {
    names: Vec<Name>,
    /// Numbers of names plus one, 0 for free; a power of two of them, at most half in use.
    places: Vec<u32>,
    /// Names come from the outside, so what they hash to must not be known there.
    seed: u64,
    first: NameId,
    event: u64,
    reserved: Reserved,
}

impl NameTable {
    pub(crate) fn new(reserved: Reserved) -> Self {
        let seed = RandomState::new().hash_one(0u8);
        let (names, places) = (Vec::new(), vec![0; 256]);
        let mut table = Self { names, places, seed, first: 0, event: 0, reserved };
        for name in reserved.names {
            table.intern(name.as_bytes(), &spell(name));
        }
        table
    }

    /// Forgets all names but the reserved ones; gives what was known.
    pub(crate) fn start_over(&mut self) -> NameTable {
        std::mem::replace(self, NameTable::new(self.reserved))
    }

    /// How many names, the first ones, are fixed columns.
    #[inline]
    pub(crate) fn fixed(&self) -> NameId {
        self.reserved.fixed
    }

    /// How many names there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn name(&self, id: NameId) -> &str {
        &self.names[id as usize].name
    }

    /// Starts the next event: no name was seen in it yet.
    #[inline]
    pub(crate) fn begin_event(&mut self) {
        self.event += 1;
    }

    /// Marks the name as seen in this event: whether it is the first time.
    #[inline]
    pub(crate) fn first_in_event(&mut self, id: NameId) -> bool {
        std::mem::replace(&mut self.names[id as usize].event, self.event) != self.event
    }

    /// Which name to expect behind `previous`, and how it is spelled.
    #[inline]
    pub(crate) fn expected(&self, previous: Option<NameId>) -> (NameId, &Spelled) {
        let id = previous.map_or(self.first, |id| self.names[id as usize].next);
        (id, &self.names[id as usize].spelled)
    }

    /// Remembers which name came behind `previous`.
    #[inline]
    pub(crate) fn followed_by(&mut self, previous: Option<NameId>, id: NameId) {
        *previous.map_or(&mut self.first, |previous| &mut self.names[previous as usize].next) = id;
    }

    /// The number of a name, a new one if need be. `literal` is how the name is spelled here: the
    /// inside of its string literal.
    pub(crate) fn intern(&mut self, name: &[u8], literal: &[u8]) -> NameId {
        let hash = self.hash(name);
        match self.probe(name, hash) {
            Ok(id) => id,
            Err(place) => self.add(name, literal, hash, place),
        }
    }

    #[cold]
    fn add(&mut self, name: &[u8], literal: &[u8], hash: u64, place: usize) -> NameId {
        let id = NameId::try_from(self.names.len()).expect("names take memory, far less than 2^32 fit");
        let spelled = Spelled::new(literal);
        let name = String::from_utf8_lossy(name).into();
        self.names.push(Name { name, spelled, hash, next: 0, event: 0 });
        self.places[place] = id + 1;
        if self.names.len() * 2 > self.places.len() {
            self.grow();
        }
        id
    }

    fn grow(&mut self) {
        self.places = vec![0; self.places.len() * 2];
        for id in 0..self.names.len() {
            let mut place = self.places_from(self.names[id].hash);
            while self.places[place] != 0 {
                place = (place + 1) & (self.places.len() - 1);
            }
            self.places[place] = id as u32 + 1;
        }
    }

    #[inline]
    fn hash(&self, name: &[u8]) -> u64 {
        xxh3_64_with_seed(name, self.seed)
    }

    #[inline]
    fn places_from(&self, hash: u64) -> usize {
        hash as usize & (self.places.len() - 1)
    }

    /// Where the name is, or the free place it would go to.
    #[inline]
    fn probe(&self, name: &[u8], hash: u64) -> Result<NameId, usize> {
        let mut place = self.places_from(hash);
        loop {
            let Some(id) = self.places[place].checked_sub(1) else { return Err(place) };
            let found = &self.names[id as usize];
            if found.hash == hash && found.name.as_bytes() == name {
                return Ok(id);
            }
            place = (place + 1) & (self.places.len() - 1);
        }
    }
}

/// The inside of the shortest string literal that says `name`.
pub(crate) fn spell(name: &str) -> Vec<u8> {
    let literal = serde_json::Value::from(name).to_string().into_bytes();
    literal[1..literal.len() - 1].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay() {
        let mut table = NameTable::new(OF_EVENTS);
        let names: Vec<String> = (0..5_000).map(|n| format!("property {n}")).collect();
        let ids: Vec<_> = names.iter().map(|name| table.intern(name.as_bytes(), &spell(name))).collect();
        for (name, id) in names.iter().zip(ids) {
            assert_eq!((table.intern(name.as_bytes(), b""), table.name(id)), (id, name.as_str()));
        }
        assert_eq!(table.len(), 5_004);
        assert_eq!(table.intern(b"distinct_id", b""), DISTINCT);
        assert_eq!(table.intern(b"property", b"property"), 5_004);
    }

    #[test]
    fn once_per_event() {
        let mut table = NameTable::new(OF_EVENTS);
        for _ in 0..2 {
            table.begin_event();
            assert!(table.first_in_event(TIME));
            assert!(!table.first_in_event(TIME));
            assert!(table.first_in_event(PROCESSED));
        }
    }

    #[test]
    fn expects_what_came_last_time() {
        let mut table = NameTable::new(OF_EVENTS);
        let quoted = table.intern(b"a\"b", &spell("a\"b"));
        table.followed_by(None, INSERT);
        table.followed_by(Some(INSERT), quoted);
        let expected = |previous, text: &[u8]| {
            let (id, spelled) = table.expected(previous);
            (id, spelled.leads(text))
        };
        assert_eq!(expected(None, br#""$insert_id":""#), (INSERT, Some(13)));
        assert_eq!(expected(Some(INSERT), br#""a\"b":1}"#), (quoted, Some(7)));
        assert_eq!(expected(Some(INSERT), br#""a\"c":1}"#), (quoted, None));
    }

    #[test]
    fn spellings_of_all_lengths() {
        for length in 0..40 {
            let spelled = Spelled::new(&vec![b'x'; length]);
            let text = [b"\"".as_slice(), &vec![b'x'; length], b"\":12345678901234567890"].concat();
            for end in 0..text.len() {
                let expected = (end >= length + 3).then_some(length + 3);
                assert_eq!(spelled.leads(&text[..end]), expected);
            }
            for place in 0..length + 3 {
                let mut other = text.clone();
                other[place] = b'y';
                assert_eq!(spelled.leads(&other), None);
            }
        }
    }
}
