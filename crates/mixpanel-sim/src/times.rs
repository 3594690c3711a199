//! The `time` of a line in whole seconds and in milliseconds.

use bytes::Bytes;

use crate::line::Line;
use crate::random::mix;

/// Times from here on are milliseconds.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// A day's lines with their times in milliseconds.
pub(crate) fn in_milliseconds(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 100);
    text.split_inclusive(|&byte| byte == b'\n').for_each(|line| push_in_ms(&mut out, line));
    out
}

/// Lines that were sent in, with their times in seconds or milliseconds. Other than those of the world, they are
/// kept as precise as they came.
pub(crate) fn retimed(text: &Bytes, in_ms: bool) -> Bytes {
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
pub(crate) fn push_in_ms(out: &mut Vec<u8>, line: &[u8]) {
    let event = Line::parse(line).ok();
    let time = event.as_ref().and_then(|event| event.time).map(|time| time.get());
    let seconds =
        time.and_then(|time| time.parse::<i64>().ok()).filter(|seconds| seconds.abs() < MILLISECONDS_FROM);
    let (Some(time), Some(seconds)) = (time, seconds) else { return out.extend_from_slice(line) };
    let id = event.and_then(|event| event.insert_id).map_or("", |id| id.get());
    let millisecond = id.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte))) % 1000;
    push_with_time(out, line, time, seconds * 1000 + millisecond as i64);
}
