//! `/stream/query`: what some users did.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::ask;
use super::scope::Scope;
use crate::api::params::missing;
use crate::api::{Answer, Call, Refusal};

/// The events of users, in order of time. Properties are as they were sent, but for the user's name, which the
/// activity stream calls `$distinct_id`.
pub(super) fn activity(call: &Call<'_>) -> Result<Answer, Refusal> {
    let wanted = call.params.texts("distinct_ids")?.ok_or_else(|| missing("distinct_ids"))?;
    let range = ask::range(call)?;
    let scope = Scope::new(call.app, range);
    let users: HashSet<u32> = wanted.iter().filter_map(|id| scope.user(id)).collect();
    let events: Vec<Value> = scope
        .events()
        .filter(|(_, event)| users.contains(&event.user))
        .map(|(shard, event)| {
            let properties: Map<String, Value> = shard
                .properties(event)
                .iter()
                .map(|&(name, value)| {
                    let name = scope.property_name(name);
                    let name = if &*name == "distinct_id" { "$distinct_id" } else { &name };
                    (name.to_owned(), serde_json::from_str(shard.raw(value)).unwrap_or(Value::Null))
                })
                .collect();
            json!({"event": &*scope.event_name(event.name), "properties": properties})
        })
        .collect();
    Ok(Answer::json(&json!({"status": "ok", "results": {"events": events}})))
}
