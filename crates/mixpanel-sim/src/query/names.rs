//! `/events/names` and `/events/top`: which events there are.

use std::collections::{HashMap, HashSet};

use jiff::ToSpan;
use serde_json::{Value, json};

use super::ask::{self, Counting};
use super::scope::{Range, Scope};
use crate::api::params::missing;
use crate::api::{Answer, Call, Refusal};
use crate::events::NOBODY;

/// More names than this are never listed.
const MOST_NAMES: usize = 5000;

/// Names of events, the most frequent first; by default of the last 31 days.
pub(super) fn names(call: &Call<'_>) -> Result<Answer, Refusal> {
    let counting = Counting::read(call.params)?.ok_or_else(|| missing("type"))?;
    let limit = ask::limit(call.params, 255, usize::MAX)?.min(MOST_NAMES);
    let recent = ask::last_days(call.app, 31);
    let from = call.params.date("from_date")?.unwrap_or(recent.from);
    let to = call.params.date("to_date")?.unwrap_or(recent.to);
    let range = ask::checked(call.app, from, to)?;
    let mut ranked = ranked(&Scope::new(call.app, range), counting);
    ranked.truncate(limit);
    let names: Vec<Value> = ranked.into_iter().map(|(name, _)| Value::String(name)).collect();
    Ok(Answer::json(&Value::Array(names)))
}

/// The events of today, and how their numbers differ from yesterday's.
pub(super) fn top(call: &Call<'_>) -> Result<Answer, Refusal> {
    let counting = Counting::read(call.params)?.ok_or_else(|| missing("type"))?;
    let limit = ask::limit(call.params, 100, usize::MAX)?;
    let today = call.app.today();
    let yesterday = today.saturating_sub(1.day());
    let before: HashMap<String, f64> =
        ranked(&Scope::new(call.app, Range { from: yesterday, to: yesterday }), counting)
            .into_iter()
            .collect();
    let mut now = ranked(&Scope::new(call.app, Range { from: today, to: today }), counting);
    now.truncate(limit);
    let events: Vec<Value> = now
        .into_iter()
        .map(|(event, amount)| {
            // An event that is new has grown by all of itself.
            let before = before.get(&event).copied().unwrap_or(0.0);
            let change = if before == 0.0 { 1.0 } else { (amount - before) / before };
            // The documented type is a whole number, of averages too.
            json!({"amount": amount.round() as i64, "event": event, "percent_change": change})
        })
        .collect();
    let kind = call.params.text("type")?;
    Ok(Answer::json(&json!({"events": events, "type": kind})))
}

/// Events and their numbers, the largest first; equal ones by name.
fn ranked(scope: &Scope<'_>, counting: Counting) -> Vec<(String, f64)> {
    let mut totals: HashMap<u32, u64> = HashMap::new();
    let mut users: HashMap<u32, HashSet<u32>> = HashMap::new();
    for (_, event) in scope.events() {
        *totals.entry(event.name).or_default() += 1;
        if counting != Counting::General && event.user != NOBODY {
            users.entry(event.name).or_default().insert(event.user);
        }
    }
    let unique = |name: &u32| users.get(name).map_or(0, HashSet::len) as f64;
    let amount = |name: &u32, total: u64| match counting {
        Counting::General => total as f64,
        Counting::Unique => unique(name),
        Counting::Average => total as f64 / unique(name).max(1.0),
    };
    let mut ranked: Vec<(String, f64)> = totals
        .iter()
        .map(|(name, &total)| (scope.event_name(*name).to_string(), amount(name, total)))
        .collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    ranked
}
