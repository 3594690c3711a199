//! One day of stored time, parsed for counting.
//!
//! In: lines. Out: events in order of time, without repeated rows, with their properties as numbers. Two rows are
//! the same event if event name, time, user and insert id agree; the one that was processed last is kept. Values
//! stay JSON text, each text once.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::Names;

/// The user of an event without one.
pub(crate) const NOBODY: u32 = u32::MAX;
/// The value of a property that is not there.
const ABSENT: u32 = u32::MAX;

/// An event; its properties are in the shard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    /// The stored time in milliseconds.
    pub(crate) time: i64,
    /// The clock on the project's wall at that time, in milliseconds as if it were UTC.
    pub(crate) wall: i64,
    /// The number of its name.
    pub(crate) name: u32,
    /// The number of its user, or [`NOBODY`].
    pub(crate) user: u32,
    first: u32,
    count: u32,
}

/// The events of a day.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    events: Vec<Event>,
    /// Numbers of a property's name and of its value.
    properties: Vec<(u32, u32)>,
    /// All values' JSON texts, one behind the other, and where each begins.
    text: String,
    starts: Vec<u32>,
}

impl Shard {
    pub(super) fn build<'a>(
        texts: impl Iterator<Item = &'a [u8]>,
        zone: &TimeZone,
        names: &RwLock<Names>,
    ) -> Shard {
        let mut builder = Builder::default();
        for text in texts {
            for line in text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
                builder.line(line);
            }
        }
        builder.finish(zone, names)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The events, by time; those of one moment in the order of their lines.
    pub(crate) fn events(&self) -> &[Event] {
        &self.events
    }

    /// Numbers of names and values of an event's properties.
    pub(crate) fn properties(&self, event: &Event) -> &[(u32, u32)] {
        &self.properties[event.first as usize..(event.first + event.count) as usize]
    }

    /// The JSON text of a value.
    pub(crate) fn raw(&self, value: u32) -> &str {
        let end = self.starts.get(value as usize + 1).map_or(self.text.len(), |&end| end as usize);
        &self.text[self.starts[value as usize] as usize..end]
    }

    /// The number of the value of an event's property.
    pub(crate) fn value(&self, event: &Event, property: u32) -> Option<u32> {
        // A name that is there twice has its last value, as with other JSON parsers.
        self.properties(event).iter().rev().find(|(name, _)| *name == property).map(|&(_, value)| value)
    }
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    properties: Pairs<'a>,
}

struct Pairs<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Pairs<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("properties")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::with_capacity(32);
                while let Some(Key(name)) = map.next_key()? {
                    pairs.push((name, map.next_value()?));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// A row while the shard is being made; numbers are the builder's own.
struct Draft {
    time: i64,
    processed: i64,
    name: u32,
    user: u32,
    first: u32,
    count: u32,
}

#[derive(Default)]
struct Builder<'a> {
    names: Local<'a>,
    properties: Local<'a>,
    values: HashMap<&'a str, u32>,
    texts: Vec<&'a str>,
    pairs: Vec<(u32, u32)>,
    drafts: Vec<Draft>,
    /// Name, time in milliseconds, user and insert id.
    seen: HashMap<(u32, i64, u32, u32), u32>,
}

/// Texts in the order in which they were met.
#[derive(Default)]
struct Local<'a> {
    ids: HashMap<Cow<'a, str>, u32>,
    texts: Vec<Cow<'a, str>>,
}

impl<'a> Local<'a> {
    fn id(&mut self, text: Cow<'a, str>) -> u32 {
        if let Some(&id) = self.ids.get(&text) {
            return id;
        }
        let id = self.texts.len() as u32;
        self.ids.insert(text.clone(), id);
        self.texts.push(text);
        id
    }
}

impl<'a> Builder<'a> {
    /// Takes a row in. A line that is no event is passed over: an export shows it, nothing can count it.
    fn line(&mut self, line: &'a [u8]) {
        let Ok(Row { event, properties }) = serde_json::from_slice::<Row<'a>>(line) else { return };
        let first = self.pairs.len() as u32;
        let (mut time, mut processed) = (None, 0);
        let (mut user, mut insert_id) = (ABSENT, ABSENT);
        for (name, value) in properties.0 {
            let value_id = self.value(value.get());
            match name.as_ref() {
                "time" => time = milliseconds(value.get()),
                "distinct_id" => user = value_id,
                "$insert_id" if !matches!(value.get(), "null" | "\"\"") => insert_id = value_id,
                "mp_processing_time_ms" => processed = value.get().parse().unwrap_or(0),
                _ => {}
            }
            let name = self.properties.id(name);
            self.pairs.push((name, value_id));
        }
        let Some(time) = time else { return self.pairs.truncate(first as usize) };
        let name = self.names.id(event);
        let count = self.pairs.len() as u32 - first;
        let draft = Draft { time, processed, name, user, first, count };
        let next = self.drafts.len() as u32;
        // Mixpanel's page on deduplication: the four together are the event, by the millisecond;
        // one that was sent without an insert id takes no part.
        let at = match insert_id {
            ABSENT => next,
            _ => *self.seen.entry((name, time, user, insert_id)).or_insert(next),
        };
        if at == next {
            self.drafts.push(draft);
        } else if self.drafts[at as usize].processed < processed {
            self.drafts[at as usize] = draft;
        }
    }

    fn value(&mut self, text: &'a str) -> u32 {
        let next = self.texts.len() as u32;
        let id = *self.values.entry(text).or_insert(next);
        if id == next {
            self.texts.push(text);
        }
        id
    }

    fn finish(self, zone: &TimeZone, names: &RwLock<Names>) -> Shard {
        let Builder { names: local_names, properties, texts, pairs, mut drafts, .. } = self;
        drafts.sort_by_key(|draft| draft.time);
        let mut users: HashMap<u32, u32> = HashMap::new();
        let (name_ids, property_ids) = {
            let mut names = names.write().unwrap_or_else(PoisonError::into_inner);
            for draft in &drafts {
                users.entry(draft.user).or_insert_with(|| {
                    let text = texts.get(draft.user as usize).and_then(|raw| identifier(raw));
                    text.map_or(NOBODY, |text| names.users.intern(&text))
                });
            }
            let name_ids: Vec<u32> = local_names.texts.iter().map(|text| names.events.intern(text)).collect();
            let property_ids: Vec<u32> =
                properties.texts.iter().map(|text| names.properties.intern(text)).collect();
            (name_ids, property_ids)
        };
        let offsets = Offsets::new(zone, &drafts);
        let mut shard = Shard::default();
        shard.properties.reserve_exact(pairs.len());
        shard.events.reserve_exact(drafts.len());
        for draft in &drafts {
            let first = shard.properties.len() as u32;
            let own = &pairs[draft.first as usize..(draft.first + draft.count) as usize];
            shard.properties.extend(own.iter().map(|&(name, value)| (property_ids[name as usize], value)));
            shard.events.push(Event {
                time: draft.time,
                wall: draft.time + offsets.at(draft.time),
                name: name_ids[draft.name as usize],
                user: users[&draft.user],
                first,
                count: draft.count,
            });
        }
        shard.starts.reserve_exact(texts.len());
        for text in texts {
            shard.starts.push(shard.text.len() as u32);
            shard.text.push_str(text);
        }
        shard.properties.shrink_to_fit();
        shard.text.shrink_to_fit();
        shard
    }
}

/// Stored times are seconds; numbers from 10^11 on are milliseconds.
fn milliseconds(raw: &str) -> Option<i64> {
    let number: f64 = raw.parse().ok()?;
    Some(if number.abs() >= 1e11 { number as i64 } else { (number * 1000.0).round() as i64 })
}

/// A user's identifier; an empty one is none.
fn identifier(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes().first()? {
        b'"' => serde_json::from_str::<Key<'_>>(raw).ok().map(|key| key.0).filter(|text| !text.is_empty()),
        b'-' | b'0'..=b'9' => Some(Cow::Borrowed(raw)),
        _ => None,
    }
}

/// The zone's offset during a day: one number, unless the clocks change.
enum Offsets<'a> {
    Fixed(i64),
    Changes(&'a TimeZone),
}

impl Offsets<'_> {
    fn new<'a>(zone: &'a TimeZone, sorted: &[Draft]) -> Offsets<'a> {
        let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return Offsets::Fixed(0) };
        let (begin, end) = (offset(zone, first.time), offset(zone, last.time));
        if begin == end { Offsets::Fixed(begin) } else { Offsets::Changes(zone) }
    }

    fn at(&self, time: i64) -> i64 {
        match self {
            Offsets::Fixed(offset) => *offset,
            Offsets::Changes(zone) => offset(zone, time),
        }
    }
}

fn offset(zone: &TimeZone, time: i64) -> i64 {
    Timestamp::from_millisecond(time).map_or(0, |at| i64::from(zone.to_offset(at).seconds()) * 1000)
}
