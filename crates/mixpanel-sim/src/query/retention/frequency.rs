//! `/retention/addiction`: in how many hours or days of a period users were active.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::super::ask;
use super::super::scope::Scope;
use super::super::segment;
use super::super::time::{DAY_MS, HOUR_MS, Unit};
use super::count::{Name, Wanted};
use crate::api::params::missing;
use crate::api::{Answer, Call, Refusal, bad};
use crate::events::NOBODY;

/// A user's active parts of a period.
type Active = HashMap<u32, HashSet<i64>>;

pub(in crate::query) fn addiction(call: &Call<'_>) -> Result<Answer, Refusal> {
    let params = call.params;
    let range = ask::range(call)?;
    let unit = ask::unit(params, &[Unit::Day, Unit::Week, Unit::Month])?.ok_or_else(|| missing("unit"))?;
    let parts = [("hour", Unit::Hour), ("day", Unit::Day)];
    let part = params.choice("addiction_unit", &parts)?.ok_or_else(|| missing("addiction_unit"))?;
    if unit == part {
        return Err(bad("addiction_unit must be smaller than unit"));
    }
    let limit = ask::limit(params, usize::MAX, usize::MAX)?;
    let event = params.text("event")?;
    let (filter, on) = (ask::expression(params, "where")?, ask::expression(params, "on")?);
    let buckets = ask::buckets(range, unit)?;
    let scope = Scope::new(call.app, range);
    let name = event.map_or(Name::Any, |name| Name::Only(scope.event(&name)));
    let wanted = Wanted { name, filter: filter.map(|filter| Box::new(scope.bind(filter)) as _) };
    let segmented = on.is_some();
    let on = on.map(|on| scope.bind(on));

    let mut periods: Vec<BTreeMap<String, Active>> = buckets.iter().map(|_| BTreeMap::new()).collect();
    for (shard, event) in scope.events() {
        if event.user == NOBODY || !wanted.is(shard, event)? {
            continue;
        }
        let key = match &on {
            Some(on) => segment::key(&on.value(shard, event)?),
            None => String::new(),
        };
        let bucket = buckets.partition_point(|&bucket| bucket <= event.wall).saturating_sub(1);
        let active = periods[bucket].entry(key).or_default();
        active.entry(event.user).or_default().insert(part.floor(event.wall));
    }
    let actives = periods.iter().flatten().map(|(key, active)| (key.as_str(), active.len() as u64));
    let kept = segment::largest(actives, limit);

    let mut data = Map::new();
    for (&bucket, period) in buckets.iter().zip(&periods) {
        let part_ms = if part == Unit::Hour { HOUR_MS } else { DAY_MS };
        let length = ((unit.step(bucket, 1) - bucket) / part_ms) as usize;
        let value = if segmented {
            let segments = kept.iter().map(|key| (key.clone(), json!(at_least(period.get(key), length))));
            Value::Object(segments.collect())
        } else {
            json!(at_least(period.get(""), length))
        };
        data.insert(unit.label(bucket), value);
    }
    Ok(Answer::json(&json!({"data": data})))
}

/// How many users were active in at least 1, 2, … parts.
fn at_least(active: Option<&Active>, length: usize) -> Vec<u64> {
    let mut counts = vec![0; length];
    for parts in active.into_iter().flat_map(HashMap::values) {
        counts[..parts.len().min(length)].iter_mut().for_each(|count| *count += 1);
    }
    counts
}
