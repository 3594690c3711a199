//! `/events` and what is below `/events/properties`: counts of events and of the values of a property.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::ask::{self, Counting};
use super::scope::{Scope, value};
use super::segment;
use super::tally::{Tally, chart, csv};
use super::time::Unit;
use crate::api::params::missing;
use crate::api::{Answer, Call, Params, Refusal, bad};

const UNITS: [Unit; 5] = [Unit::Minute, Unit::Hour, Unit::Day, Unit::Week, Unit::Month];
/// How far back properties and values are looked for, in days.
const RECENT: i64 = 31;

/// `/events`: several events by time.
pub(super) fn events(call: &Call<'_>) -> Result<Answer, Refusal> {
    let params = call.params;
    let wanted = params.texts("event")?.ok_or_else(|| missing("event"))?;
    let Asked { counting, unit, as_csv } = Asked::read(params)?;
    let range = ask::range_or_interval(call, unit)?;
    let scope = Scope::new(call.app, range);
    let mut tally = Tally::new(range, counting, ask::buckets(range, unit)?);
    let mut rows = HashMap::new();
    for name in &wanted {
        let row = tally.row(name);
        if let Some(number) = scope.event(name) {
            rows.insert(number, row);
        }
    }
    for (_, event) in scope.events() {
        if let Some(&row) = rows.get(&event.name) {
            tally.count(row, event);
        }
    }
    Ok(finish(&tally, unit, as_csv, usize::MAX))
}

/// `/events/properties`: one event by time and by the values of a property.
pub(super) fn properties(call: &Call<'_>) -> Result<Answer, Refusal> {
    let params = call.params;
    let name = params.required("event")?;
    let property = params.required("name")?;
    let values = params.texts("values")?;
    let Asked { counting, unit, as_csv } = Asked::read(params)?;
    let limit = ask::limit(params, 255, 10_000)?;
    let range = ask::range_or_interval(call, unit)?;
    let scope = Scope::new(call.app, range);
    let mut tally = Tally::new(range, counting, ask::buckets(range, unit)?);
    let (number, property) = (scope.event(&name), scope.property(&property));
    for (shard, event) in scope.events().filter(|(_, event)| Some(event.name) == number) {
        // Events without the property have no value to be counted under.
        let Some(value) = property.and_then(|property| value(shard, event, property)) else { continue };
        let key = segment::key(&value);
        if values.as_ref().is_none_or(|values| values.contains(&key)) {
            let row = tally.row(&key);
            tally.count(row, event);
        }
    }
    Ok(finish(&tally, unit, as_csv, limit))
}

/// `/events/properties/top`: the properties that most events of a name have.
pub(super) fn top(call: &Call<'_>) -> Result<Answer, Refusal> {
    let name = call.params.required("event")?;
    let limit = ask::limit(call.params, 10, usize::MAX)?;
    let scope = Scope::new(call.app, ask::last_days(call.app, RECENT));
    let number = scope.event(&name);
    let mut counts: HashMap<u32, u64> = HashMap::new();
    for (shard, event) in scope.events().filter(|(_, event)| Some(event.name) == number) {
        for (property, _) in shard.properties(event) {
            *counts.entry(*property).or_default() += 1;
        }
    }
    let named = counts.into_iter().map(|(id, count)| (scope.property_name(id).to_string(), count));
    let hidden = ["time", "distinct_id", "$insert_id", "mp_processing_time_ms", "$mp_api_timestamp_ms"];
    let ranked = ranked(named.filter(|(name, _)| !hidden.contains(&name.as_str())), limit);
    let answer: Map<String, Value> =
        ranked.into_iter().map(|(name, count)| (name, json!({"count": count}))).collect();
    Ok(Answer::json(&Value::Object(answer)))
}

/// `/events/properties/values`: the most frequent values of a property, of one event or of all.
pub(super) fn values(call: &Call<'_>) -> Result<Answer, Refusal> {
    let name = call.params.text("event")?;
    let property = call.params.required("name")?;
    let limit = ask::limit(call.params, 255, usize::MAX)?;
    let scope = Scope::new(call.app, ask::last_days(call.app, RECENT));
    let number = name.as_ref().map(|name| scope.event(name));
    let mut counts: HashMap<String, u64> = HashMap::new();
    if let Some(property) = scope.property(&property) {
        let wanted = |name: u32| number.is_none_or(|number| number == Some(name));
        for (shard, event) in scope.events().filter(|(_, event)| wanted(event.name)) {
            if let Some(value) = value(shard, event, property) {
                *counts.entry(segment::key(&value)).or_default() += 1;
            }
        }
    }
    let values = ranked(counts.into_iter(), limit).into_iter().map(|(value, _)| Value::String(value));
    Ok(Answer::json(&Value::Array(values.collect())))
}

/// The largest counts first; equal ones by name.
fn ranked(counts: impl Iterator<Item = (String, u64)>, limit: usize) -> Vec<(String, u64)> {
    let mut ranked: Vec<(String, u64)> = counts.collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    ranked.truncate(limit);
    ranked
}

/// What both charts ask for.
struct Asked {
    counting: Counting,
    unit: Unit,
    as_csv: bool,
}

impl Asked {
    fn read(params: &Params) -> Result<Asked, Refusal> {
        let counting = Counting::read(params)?.ok_or_else(|| missing("type"))?;
        let unit = ask::unit(params, &UNITS)?.ok_or_else(|| missing("unit"))?;
        if counting != Counting::General && matches!(unit, Unit::Minute | Unit::Hour) {
            return Err(bad("unique and average counts need a unit of day, week or month"));
        }
        let as_csv = params.choice("format", &[("json", false), ("csv", true)])?.unwrap_or(false);
        Ok(Asked { counting, unit, as_csv })
    }
}

fn finish(tally: &Tally, unit: Unit, as_csv: bool, limit: usize) -> Answer {
    let series = tally.ranked(limit);
    let labels: Vec<String> = tally.buckets().iter().map(|&bucket| unit.label(bucket)).collect();
    if as_csv { csv(&labels, &series) } else { chart(&labels, &series, false) }
}
