//! Which lines of the world a request gets.

use bytes::Bytes;
use memchr::memchr;

use super::params::Params;
use crate::events::Events;
use crate::expr::{Context, ExprError};
use crate::line::Line;
use crate::times::{push_in_ms, retimed};
use crate::world::{DayData, World, in_parallel};

/// The text of the answer, in parts. Days without a filter are shared, not copied.
pub(crate) fn select(events: &Events, params: &Params) -> Result<Vec<Bytes>, ExprError> {
    let world = &events.world;
    let days = world.range(params.from, params.to);
    let added = events.added.range(params.from, params.to).into_iter();
    let added: Vec<Bytes> = added.map(|(_, text)| retimed(&text, params.time_in_ms)).collect();
    let added = added.iter();
    if params.is_whole() {
        let mut parts = if params.time_in_ms {
            in_parallel(days, |day| day.jsonl_in_ms())
        } else {
            in_parallel(days, |day| day.jsonl().clone())
        };
        parts.extend(added.cloned());
        return Ok(parts);
    }
    let Some(limit) = params.limit else {
        let all = |text: &Bytes| select_lines(world, text, params, usize::MAX).map(|(text, _)| text);
        let parts = in_parallel(days, |day| all(day.jsonl()));
        return parts.into_iter().chain(added.map(all)).collect();
    };
    let mut parts = Vec::new();
    let mut left = limit;
    for text in days.iter().map(DayData::jsonl).chain(added) {
        if left == 0 {
            break;
        }
        let (text, rows) = select_lines(world, text, params, left)?;
        left -= rows;
        parts.push(text);
    }
    Ok(parts)
}

/// At most `limit` lines of a text, and how many they are.
fn select_lines(
    world: &World,
    text: &Bytes,
    params: &Params,
    limit: usize,
) -> Result<(Bytes, usize), ExprError> {
    let mut selected = Vec::new();
    let mut rows = 0;
    let mut rest = &text[..];
    while rows < limit && !rest.is_empty() {
        let end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        rest = after;
        if !wanted(world, line, params)? {
            continue;
        }
        rows += 1;
        if params.time_in_ms { push_in_ms(&mut selected, line) } else { selected.extend_from_slice(line) }
    }
    Ok((selected.into(), rows))
}

fn wanted(world: &World, line: &[u8], params: &Params) -> Result<bool, ExprError> {
    if let Some(names) = &params.events {
        let Ok(name) = Line::event_name(line) else { return Ok(false) };
        if !names.iter().any(|wanted| *wanted == name) {
            return Ok(false);
        }
    }
    let Some(filter) = &params.filter else { return Ok(true) };
    let Ok(event) = Line::parse(line) else { return Ok(false) };
    let Ok(properties) = serde_json::from_str(event.properties.get()) else { return Ok(false) };
    let properties: serde_json::Map<String, serde_json::Value> = properties;
    let profile = match properties.get("distinct_id") {
        Some(serde_json::Value::String(id)) if filter.asks_for_profile() => world.profile(id),
        _ => None,
    };
    filter.keeps(&Context::new(&event.event, &properties).with_profile(profile.as_ref()))
}
