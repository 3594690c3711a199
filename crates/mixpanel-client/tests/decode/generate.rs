//! Lines of all sorts: events, damaged events, and heaps of tokens.

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Property names. What values a name has depends on its first letter, so that all kinds of columns
/// come up.
pub(crate) const KEYS: [&str; 12] =
    ["int", "int2", "num", "bool", "str", "json", "x", "X", "", "é\"\\\n", "mp_processing_time_ms", "null"];

/// The JSON text of a string, spelled plainly or with escapes.
fn literal(text: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (text, 0..3).prop_map(|(text, style)| match style {
        0 => serde_json::to_string(&text).unwrap(),
        1 => {
            let mut units = [0; 2];
            let escape = |unit: &u16| format!("\\u{unit:04X}");
            let escaped = |c: char| c.encode_utf16(&mut units).iter().map(escape).collect::<String>();
            format!("\"{}\"", text.chars().map(escaped).collect::<String>())
        }
        _ => serde_json::to_string(&text).unwrap().replace('/', "\\/"),
    })
}

fn string() -> impl Strategy<Value = String> {
    literal(prop_oneof!["[ -~]{0,40}", any::<String>(), "(true|12|null|undefined|é|\u{2028})"])
}

fn integer() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (-1_000i64..1_000).prop_map(|integer| integer.to_string()),
        1 => any::<i64>().prop_map(|integer| integer.to_string()),
        1 => select(&["9007199254740992", "9007199254740993", "-9007199254740993", "9223372036854775807"][..])
            .prop_map(str::to_owned),
    ]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (-1_000i64..1_000).prop_map(|integer| integer.to_string()),
        3 => r"-?(0|[1-9][0-9]{0,9})\.[0-9]{1,5}",
        1 => r"-?(0|[1-9][0-9]{0,20})\.[0-9]{1,40}",
        1 => r"-?(0|[1-9][0-9]{0,5})(\.[0-9]{1,3})?[eE][+-]?[0-9]{1,2}",
    ]
}

fn odd_number() -> impl Strategy<Value = String> {
    prop_oneof![
        select(
            &["-0", "-0.0", "1e400", "-1e400", "9223372036854775808", "-9223372036854775809", "1E-999"][..]
        )
        .prop_map(str::to_owned),
        (-(1i128 << 70)..1i128 << 70).prop_map(|integer| integer.to_string()),
    ]
}

fn boolean() -> impl Strategy<Value = String> {
    any::<bool>().prop_map(|boolean| boolean.to_string())
}

fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just(""), 1 => select(&[" ", "\t", "  ", "\r", "\n"][..])]
}

/// Any value, nested some levels.
pub(crate) fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![Just("null".to_owned()), boolean(), integer(), number(), odd_number(), string()];
    leaf.prop_recursive(4, 24, 4, |inner| prop_oneof![container(inner.clone()), inner])
}

fn container(inner: impl Strategy<Value = String> + Clone) -> impl Strategy<Value = String> {
    let members = prop::collection::vec((literal("[a-c]{0,1}"), space(), inner.clone()), 0..4);
    prop_oneof![
        (prop::collection::vec(inner, 0..4), space())
            .prop_map(|(items, space)| format!("[{space}{}{space}]", items.join(","))),
        (members, space()).prop_map(|(members, space)| {
            let members: Vec<_> =
                members.iter().map(|(key, s, value)| format!("{key}{s}:{s}{value}")).collect();
            format!("{{{space}{}{space}}}", members.join(","))
        }),
    ]
}

fn member() -> impl Strategy<Value = (String, String)> {
    let keyed = select(&KEYS[..]).prop_flat_map(|key| {
        let values = match key.get(..1).unwrap_or_default() {
            "i" | "m" => integer().boxed(),
            "n" if key == "null" => Just("null".to_owned()).boxed(),
            "n" => number().boxed(),
            "b" => boolean().boxed(),
            "s" => string().boxed(),
            "j" => container(value().boxed()).boxed(),
            _ => value().boxed(),
        };
        let values = prop_oneof![12 => values, 1 => Just("null".to_owned())];
        (literal(Just(key.to_owned())), values)
    });
    prop_oneof![12 => keyed, 1 => (literal(any::<String>()), value())]
}

fn time() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => (0i64..4_000_000_000).prop_map(|time| time.to_string()),
        2 => (0i64..4_000_000_000_000).prop_map(|time| time.to_string()),
        1 => r"[1-9][0-9]{8,12}\.[0-9]{1,6}",
        1 => value(),
    ]
}

/// An event, now and then with something wrong about what it says.
fn line() -> impl Strategy<Value = String> {
    let user = prop_oneof![8 => string(), 1 => value()];
    let fixed = |name: &'static str, value: BoxedStrategy<String>, weight: u32| {
        let member = value.prop_map(move |value| vec![(format!("\"{name}\""), value)]);
        prop_oneof![weight => member, 1 => Just(Vec::new())]
    };
    let members = prop::collection::vec(member(), 0..12);
    let insert = string().boxed();
    let fixed = (
        fixed("time", time().boxed(), 30),
        fixed("distinct_id", user.boxed(), 8),
        fixed("$insert_id", insert, 8),
    );
    let properties = (fixed, members, space()).prop_flat_map(|((time, user, insert), members, space)| {
        let mut all = [time, user, insert].concat();
        all.extend(members);
        let joined = move |all: Vec<(String, String)>| {
            let members: Vec<_> =
                all.iter().map(|(key, value)| format!("{key}{space}:{space}{value}")).collect();
            format!("{{{space}{}{space}}}", members.join(&format!("{space},{space}")))
        };
        prop_oneof![2 => Just(all.clone()), 1 => Just(all).prop_shuffle()].prop_map(joined)
    });
    let name = prop_oneof![20 => string(), 1 => value()];
    (name, properties, space(), 0..12, value()).prop_map(
        |(name, properties, space, style, other)| match style {
            0 => format!(r#"{{"properties":{properties},{space}"event":{name}}}{space}"#),
            1 => format!(r#"{{"event":{name},"properties":{properties},"event":1,"properties":{other}}}"#),
            2 => {
                format!(r#"{space}{{"other":{other},"\u0065vent":{name},"properties"{space}:{properties}}}"#)
            }
            3 => format!(r#"{{"event":{name},"properties":{other}}}"#),
            4 => format!(r#"{{"event":{name},"properties":{properties}}}{space}{other}"#),
            5 => other,
            _ => format!(r#"{{"event":{name},"properties":{properties}}}"#),
        },
    )
}

/// Up to so many lines.
pub(crate) fn lines(most: usize) -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(line().prop_map(String::into_bytes), 0..most)
}

/// A line with some bytes changed, taken out or put in.
pub(crate) fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let byte =
        prop_oneof![3 => select(&b"\"\\{}[]:,0123456789-+.eEutfnd \t\n\0\x1f\x7f"[..]), 1 => any::<u8>()];
    let changes = prop::collection::vec((any::<Index>(), byte, 0..5), 1..4);
    (line(), changes).prop_map(|(line, changes)| {
        let mut line = line.into_bytes();
        for (index, byte, how) in changes {
            let at = index.index(line.len() + 1);
            match how {
                0 => line.truncate(at),
                1 => line.insert(at, byte),
                2 => drop(line.drain(at.min(line.len().saturating_sub(1))..line.len().min(at + 1))),
                3 => drop(line.splice(at..at, br"\ud83d".iter().copied())),
                _ => {
                    if let Some(old) = line.get_mut(at) {
                        *old = byte;
                    }
                }
            }
        }
        line
    })
}

/// Pieces of JSON in any order.
pub(crate) fn tokens() -> impl Strategy<Value = Vec<u8>> {
    let token = select(
        &[
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"",
            "\\",
            "\"event\":",
            "\"properties\":{",
            "\"time\":1",
            "\"e\"",
            "0",
            "-",
            "1.5",
            "e5",
            "true",
            "null",
            "\\u",
            "d800",
            "\\udc00",
            "é",
            "\u{feff}",
            " ",
            "\"\":",
            "\u{1}",
        ][..],
    );
    prop::collection::vec(token, 0..14).prop_map(|tokens| tokens.concat().into_bytes())
}
