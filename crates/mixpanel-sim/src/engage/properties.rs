//! `engage/properties`: which properties profiles have, how many have them, and of which type they mostly are.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::params::Question;
use crate::api::{Answer, Call, Refusal};
use crate::profiles::Key;
use crate::world::in_parallel;

const CHUNK: usize = 2048;
const TYPES: [&str; 5] = ["string", "number", "boolean", "list", "object"];

/// How many profiles have a property, by type; nulls count for none of them.
#[derive(Debug, Default, Clone)]
struct Tally {
    all: u64,
    types: [u64; TYPES.len()],
}

pub(super) fn properties(call: &Call<'_>) -> Result<Answer, Refusal> {
    let profiles = call.app.events.world.profiles();
    let question = Question::read(call.params, profiles, "where")?;
    let snapshot = match &question.subject {
        Some(subject) => profiles.snapshot(subject),
        None => profiles.nobody(),
    };
    let keys = snapshot.keys();
    let chunks: Vec<&[Key]> = keys.chunks(CHUNK).collect();
    let parts = in_parallel(&chunks, |chunk| {
        let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
        for &key in *chunk {
            for (name, value) in snapshot.properties(key) {
                tallies.entry(name).or_default().add(&value);
            }
        }
        tallies
    });
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for (name, part) in parts.into_iter().flatten() {
        let tally = tallies.entry(name).or_default();
        tally.all += part.all;
        tally.types.iter_mut().zip(part.types).for_each(|(total, count)| *total += count);
    }
    let results: Map<String, Value> = tallies
        .into_iter()
        .map(|(name, tally)| (name, json!({"count": tally.all, "type": tally.name()})))
        .collect();
    Ok(Answer::json(&json!({"results": results, "status": "ok"})))
}

impl Tally {
    fn add(&mut self, value: &Value) {
        self.all += 1;
        let place = match value {
            Value::Null => return,
            Value::String(_) => 0,
            Value::Number(_) => 1,
            Value::Bool(_) => 2,
            Value::Array(_) => 3,
            Value::Object(_) => 4,
        };
        self.types[place] += 1;
    }

    /// The most frequent type, the first one if several are.
    fn name(&self) -> &'static str {
        let most = self.types.iter().copied().max().unwrap_or(0);
        let place = self.types.iter().position(|&count| count == most && most > 0);
        place.map_or("unknown", |place| TYPES[place])
    }
}
