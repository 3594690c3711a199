//! What makes two exported events the same one.

use std::fmt::Write;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::names::NameTable;
use super::object::Slot;

/// A 64-bit hash (XXH3) of Mixpanel's identity of an event: its name, time, user and insert id.
///
/// `exported_us` is the time as exported, in microseconds, before any change of clocks; an export
/// in milliseconds and one in seconds agree on it when the event fell on a whole second.
pub fn event_key(event_name: &str, exported_us: i64, distinct_id: &str, insert_id: &str) -> u64 {
    let mut scratch = Vec::new();
    key(event_name.as_bytes(), exported_us, distinct_id.as_bytes(), insert_id.as_bytes(), &mut scratch)
}

/// [`event_key`] with a buffer to work in.
#[inline]
pub(crate) fn key(
    event_name: &[u8],
    exported_us: i64,
    distinct_id: &[u8],
    insert_id: &[u8],
    scratch: &mut Vec<u8>,
) -> u64 {
    scratch.clear();
    scratch.extend_from_slice(&exported_us.to_le_bytes());
    // With two lengths written down, no two identities give the same bytes.
    scratch.extend_from_slice(&(event_name.len() as u32).to_le_bytes());
    scratch.extend_from_slice(&(distinct_id.len() as u32).to_le_bytes());
    scratch.extend_from_slice(event_name);
    scratch.extend_from_slice(distinct_id);
    scratch.extend_from_slice(insert_id);
    xxh3_64(scratch)
}

/// The insert id of an event that was exported without one: always the same for the same event.
///
/// It is a hash of the event's name and all its properties in the order of their names, with their
/// exact texts. That includes when Mixpanel processed the event: events without an insert id take
/// no part in Mixpanel's deduplication, so two that were sent are two. What is equal to the last
/// byte is told apart by counting, where rows are stored.
#[cold]
pub(crate) fn made_insert_id(
    event_name: &[u8],
    slots: &[Slot],
    scanned: &[u8],
    names: &NameTable,
    scratch: &mut Vec<u8>,
) -> String {
    let mut members: Vec<(&str, &[u8])> =
        slots.iter().map(|slot| (names.name(slot.property), slot.exact(scanned))).collect();
    members.sort_unstable();
    scratch.clear();
    let mut part = |bytes: &[u8]| {
        scratch.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        scratch.extend_from_slice(bytes);
    };
    part(event_name);
    for (name, exact) in members {
        part(name.as_bytes());
        part(exact);
    }
    let mut id = String::with_capacity(35);
    // Writing to a string cannot fail.
    let _ = write!(id, "mp-{:032x}", xxh3_128(scratch));
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts() {
        let keys = [
            event_key("a", 1, "b", "c"),
            event_key("b", 1, "b", "c"),
            event_key("a", 2, "b", "c"),
            event_key("a", 1, "c", "c"),
            event_key("a", 1, "b", "d"),
            event_key("ab", 1, "", "c"),
            event_key("a", 1, "bc", ""),
            event_key("", 1, "ab", "c"),
        ];
        for (place, one) in keys.iter().enumerate() {
            assert!(!keys[..place].contains(one), "{place}");
        }
    }

    #[test]
    fn keys_never_change() {
        // Stored identities must keep meaning the same event.
        assert_eq!(event_key("Signed up", 1_602_611_311_000_000, "u1", "i1"), 1_315_608_207_039_188_057);
    }
}
