//! Which lines of the world a request gets.

use bytes::Bytes;
use memchr::memchr;

use super::params::Params;
use crate::events::Events;
use crate::expr::{Context, ExprError};
use crate::line::Line;
use crate::random::mix;
use crate::world::{DayData, World, in_parallel};

/// Times from here on are milliseconds.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// The text of the answer, in parts. Days without a filter are shared, not copied.
pub(crate) fn select(events: &Events, params: &Params) -> Result<Vec<Bytes>, ExprError> {
    let world = &events.world;
    let days = world.range(params.from, params.to);
    let added = events.added.range(params.from, params.to).into_iter();
    let added: Vec<Bytes> = added.map(|(_, text)| retimed(&text, params.time_in_ms)).collect();
    let added = added.iter();
    if params.is_whole() {
        let mut parts = in_parallel(days, |day| day.jsonl().clone());
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

/// Lines that were sent in, with their times in seconds or milliseconds. Other than those of the world, they are
/// kept as precise as they came.
fn retimed(text: &Bytes, in_ms: bool) -> Bytes {
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let event = Line::parse(line).ok();
        let text = event.as_ref().and_then(|event| event.time).map(|time| time.get());
        let time = text.and_then(|text| text.parse::<i64>().ok());
        match text.zip(time) {
            Some((text, time)) if in_ms && time.abs() < MILLISECONDS_FROM => {
                push_with_time(&mut out, line, text, time * 1000);
            }
            Some((text, time)) if !in_ms && time.abs() >= MILLISECONDS_FROM => {
                push_with_time(&mut out, line, text, time.div_euclid(1000));
            }
            _ => out.extend_from_slice(line),
        }
    }
    out.into()
}

/// Appends a line with another time. `time` is the part of the line where the old one is.
fn push_with_time(out: &mut Vec<u8>, line: &[u8], time: &str, new: i64) {
    // `time` borrows from `line`, so their addresses tell where it is.
    let start = time.as_ptr() as usize - line.as_ptr() as usize;
    out.extend_from_slice(&line[..start]);
    out.extend_from_slice(new.to_string().as_bytes());
    out.extend_from_slice(&line[start + time.len()..]);
}

/// Appends a line with its time in milliseconds. The stored millisecond follows from `$insert_id`, so that
/// repeated rows agree on it.
fn push_in_ms(out: &mut Vec<u8>, line: &[u8]) {
    let event = Line::parse(line).ok();
    let time = event.as_ref().and_then(|event| event.time).map(|time| time.get());
    let seconds =
        time.and_then(|time| time.parse::<i64>().ok()).filter(|seconds| seconds.abs() < MILLISECONDS_FROM);
    let (Some(time), Some(seconds)) = (time, seconds) else { return out.extend_from_slice(line) };
    let id = event.and_then(|event| event.insert_id).map_or("", |id| id.get());
    let millisecond = id.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte))) % 1000;
    push_with_time(out, line, time, seconds * 1000 + millisecond as i64);
}
