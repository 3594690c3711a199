//! Behaviours: how often each user did something in a window of time, counted from the events.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::events::{Event, Events, NOBODY, Names, Shard};
use crate::expr::{Context, Expr, ExprError};
use crate::profiles::Object;
use crate::world::in_parallel;

/// Something to count, under the name by which `behaviors["…"]` finds it.
#[derive(Debug)]
pub(crate) struct Behavior {
    name: String,
    window_ms: i64,
    selectors: Vec<Selector>,
}

/// An event that counts, and which of its occurrences.
#[derive(Debug)]
struct Selector {
    event: String,
    filter: Option<Expr>,
}

impl Behavior {
    /// Reads `[{"window":"30d","name":"b1","event_selectors":[{"event":"Purchase","selector":"…"}]}]`.
    pub(crate) fn read_all(json: &Value) -> Result<Vec<Behavior>, String> {
        let list = json.as_array().ok_or("behaviors must be a JSON array")?;
        list.iter().map(Behavior::read).collect()
    }

    fn read(json: &Value) -> Result<Behavior, String> {
        let name = json["name"].as_str().ok_or("a behavior needs a `name`")?.to_owned();
        let window = json["window"].as_str().and_then(window_ms);
        let window_ms = window.ok_or("a behavior needs a `window` such as \"30d\"")?;
        let selectors = json["event_selectors"].as_array().filter(|list| !list.is_empty());
        let selectors = selectors.ok_or("a behavior needs a list of `event_selectors`")?;
        let selectors = selectors.iter().map(Selector::read).collect::<Result<_, String>>()?;
        Ok(Behavior { name, window_ms, selectors })
    }
}

impl Selector {
    fn read(json: &Value) -> Result<Selector, String> {
        let event = json["event"].as_str().ok_or("an event selector needs an `event`")?.to_owned();
        let text = json["selector"].as_str().filter(|text| !text.is_empty());
        let filter = text.map(Expr::parse).transpose();
        Ok(Selector { event, filter: filter.map_err(|error| format!("Invalid selector: {error}"))? })
    }
}

/// `30d`, `24h`, `2w`.
fn window_ms(text: &str) -> Option<i64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at(unit_at);
    let hours = match unit {
        "h" => 1,
        "d" => 24,
        "w" => 7 * 24,
        _ => return None,
    };
    let count: i64 = count.parse().ok().filter(|&count| count > 0)?;
    count.checked_mul(hours * 3_600_000)
}

/// How often everybody did what was to be counted.
#[derive(Debug)]
pub(crate) struct Counts {
    names: Vec<String>,
    /// For each behaviour, by the user's number.
    counts: Vec<HashMap<u32, u64>>,
}

/// Counts in the windows that end at a moment, given as time is stored.
pub(crate) fn count(events: &Events, behaviors: &[Behavior], as_of_ms: i64) -> Result<Counts, ExprError> {
    let longest = behaviors.iter().map(|behavior| behavior.window_ms).max().unwrap_or(0);
    let day = |ms| {
        let at = Timestamp::from_millisecond(ms).unwrap_or_default();
        at.to_zoned(TimeZone::UTC).date()
    };
    // A day more on either side, whatever the project's time zone is.
    let from = day(as_of_ms.saturating_sub(longest)).yesterday().unwrap_or(jiff::civil::Date::MIN);
    let to = day(as_of_ms).tomorrow().unwrap_or(jiff::civil::Date::MAX);
    let shards = events.shards(from, to);
    let names = events.names();
    let of_shards = in_parallel(&shards, |shard| {
        let mut counts = vec![HashMap::new(); behaviors.len()];
        for (behavior, counts) in behaviors.iter().zip(&mut counts) {
            behavior.count(shard, &names, as_of_ms, counts)?;
        }
        Ok(counts)
    });
    let mut counts = vec![HashMap::new(); behaviors.len()];
    for shard in of_shards {
        for (total, part) in counts.iter_mut().zip(shard?) {
            for (user, count) in part {
                *total.entry(user).or_insert(0) += count;
            }
        }
    }
    Ok(Counts { names: behaviors.iter().map(|behavior| behavior.name.clone()).collect(), counts })
}

impl Behavior {
    fn count(
        &self,
        shard: &Shard,
        names: &Names,
        as_of_ms: i64,
        counts: &mut HashMap<u32, u64>,
    ) -> Result<(), ExprError> {
        let wanted: Vec<(u32, &Selector)> = self
            .selectors
            .iter()
            .filter_map(|selector| Some((names.events.get(&selector.event)?, selector)))
            .collect();
        let window = as_of_ms.saturating_sub(self.window_ms)..as_of_ms;
        for event in shard.events() {
            // Open at its beginning, closed at its end.
            if event.user == NOBODY || !window.contains(&(event.time - 1)) {
                continue;
            }
            for (name, selector) in &wanted {
                if *name == event.name && selector.keeps(shard, event, names)? {
                    *counts.entry(event.user).or_insert(0) += 1;
                    break;
                }
            }
        }
        Ok(())
    }
}

impl Selector {
    fn keeps(&self, shard: &Shard, event: &Event, names: &Names) -> Result<bool, ExprError> {
        let Some(filter) = &self.filter else { return Ok(true) };
        let mut properties = Object::new();
        for &(name, value) in shard.properties(event) {
            let value = serde_json::from_str(shard.raw(value)).unwrap_or(Value::Null);
            properties.insert(names.properties.text(name).to_string(), value);
        }
        filter.keeps(&Context::new(&self.event, &properties))
    }
}

impl Counts {
    /// The counts of one user by the behaviours' names; who did nothing has zeros.
    pub(crate) fn of(&self, user: Option<u32>) -> Object {
        let count =
            |counts: &HashMap<u32, u64>| user.and_then(|user| counts.get(&user)).copied().unwrap_or(0);
        self.names
            .iter()
            .zip(&self.counts)
            .map(|(name, counts)| (name.clone(), count(counts).into()))
            .collect()
    }

    /// Everybody who did any of it.
    pub(crate) fn users(&self) -> BTreeSet<u32> {
        self.counts.iter().flat_map(|counts| counts.keys().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows() {
        assert_eq!(window_ms("30d"), Some(30 * 86_400_000));
        assert_eq!(window_ms("36h"), Some(36 * 3_600_000));
        assert_eq!(window_ms("2w"), Some(14 * 86_400_000));
        for wrong in ["", "d", "0d", "-1d", "30", "30 d", "1y", "99999999999999999999d"] {
            assert_eq!(window_ms(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = |json: &str| Behavior::read_all(&serde_json::from_str(json).unwrap()).unwrap_err();
        assert!(error("{}").contains("array"));
        assert!(error(r#"[{"window":"1d"}]"#).contains("name"));
        assert!(error(r#"[{"name":"a"}]"#).contains("window"));
        assert!(error(r#"[{"name":"a","window":"1d","event_selectors":[]}]"#).contains("event_selectors"));
        let selector = r#"[{"name":"a","window":"1d","event_selectors":[{"event":"x","selector":"1 +"}]}]"#;
        assert!(error(selector).starts_with("Invalid selector"));
    }
}
