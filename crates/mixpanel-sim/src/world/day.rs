//! Writing one day: lines, their times, and the rows that repeat others.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::render::{Properties, Row, insert_id, integer, padded};
use super::session::Session;
use crate::config::ClockMode;
use crate::random::Random;

/// A repeated row is one of this many rows before it.
const REPEAT_WITHIN: usize = 500;

/// Which instant a second of the day is, and what is stored for it.
#[derive(Debug)]
pub(super) struct DayClock {
    start: i64,
    offset: Offset,
    /// Nothing can have been processed later than this.
    now_ms: i64,
}

#[derive(Debug)]
enum Offset {
    /// The whole day has one offset.
    Fixed(i64),
    /// The clocks change on this day.
    Changes(Date, TimeZone),
}

impl DayClock {
    pub(super) fn new(date: Date, zone: &TimeZone, mode: ClockMode, now_ms: i64) -> DayClock {
        let start = epoch_second(date.at(0, 0, 0, 0), &TimeZone::UTC);
        let offset = match mode {
            ClockMode::Utc => Offset::Fixed(0),
            ClockMode::LocalAsUtc => {
                let begin = start - epoch_second(date.at(0, 0, 0, 0), zone);
                let end = start + 86_399 - epoch_second(date.at(23, 59, 59, 0), zone);
                if begin == end { Offset::Fixed(begin) } else { Offset::Changes(date, zone.clone()) }
            }
        };
        DayClock { start, offset, now_ms }
    }

    /// The stored time and the true one, in seconds, for a second of the day's wall clock.
    fn times(&self, second: u32) -> (i64, i64) {
        let stored = self.start + i64::from(second);
        match &self.offset {
            Offset::Fixed(offset) => (stored, stored - offset),
            Offset::Changes(date, zone) => {
                let wall = date.at(0, 0, 0, 0).saturating_add(jiff::Span::new().seconds(i64::from(second)));
                let instant = epoch_second(wall, zone);
                // A wall time that the change skips is moved behind the gap.
                let offset = jiff::Timestamp::from_second(instant)
                    .map_or(0, |at| i64::from(zone.to_offset(at).seconds()));
                (instant + offset, instant)
            }
        }
    }
}

pub(super) fn epoch_second(wall: jiff::civil::DateTime, zone: &TimeZone) -> i64 {
    wall.to_zoned(zone.clone()).map_or(0, |zoned| zoned.timestamp().as_second())
}

/// Collects the lines of one day.
#[derive(Debug)]
pub(super) struct DayWriter {
    pub(super) day: i32,
    pub(super) random: Random,
    clock: DayClock,
    out: Vec<u8>,
    rows: Vec<Row>,
    /// Rows of their own, and how many of them there are to be.
    unique: u64,
    unique_wanted: u64,
    repeats: u64,
    repeats_wanted: u64,
}

impl DayWriter {
    pub(super) fn new(day: i32, random: Random, clock: DayClock, rows: u64, repeats: u64) -> DayWriter {
        DayWriter {
            day,
            random,
            clock,
            out: Vec::with_capacity(rows as usize * 1100 + 1024),
            rows: Vec::with_capacity(rows as usize),
            unique: 0,
            unique_wanted: rows - repeats,
            repeats: 0,
            repeats_wanted: repeats,
        }
    }

    /// The share of the day's rows that has been written.
    pub(super) fn filled(&self) -> f64 {
        if self.unique_wanted == 0 { 1.0 } else { self.unique as f64 / self.unique_wanted as f64 }
    }

    /// Writes an event of a session at the session's time. `None` says that no further event fits: the day has
    /// all its rows, or the session would run past its end. `name` must be JSON-escaped.
    pub(super) fn event(
        &mut self,
        session: &Session,
        name: &str,
        properties: impl FnOnce(&mut Properties<'_>, &mut Random),
    ) -> Option<()> {
        if self.unique == self.unique_wanted || session.second >= session.last_second {
            return None;
        }
        let (stored, instant) = self.clock.times(session.second);
        let earliest = instant * 1000 + 500;
        let lag = session.lag_ms + self.random.below(3000) as i64;
        let processed = (earliest + lag).min(self.clock.now_ms).max(earliest) as u64;
        let random = &mut self.random;
        let out = &mut self.out;
        let start = out.len();

        out.extend_from_slice(b"{\"event\":\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\",\"properties\":{\"time\":");
        integer(out, stored as u64);
        out.extend_from_slice(b",\"distinct_id\":\"");
        out.extend_from_slice(&session.distinct_id);
        out.extend_from_slice(b"\",\"$insert_id\":\"");
        insert_id(out, [random.next(), random.next(), random.next(), random.next()]);
        out.extend_from_slice(b"\",\"mp_processing_time_ms\":");
        let processed_at = out.len();
        padded(out, processed, 13);
        out.extend_from_slice(b",\"$mp_api_timestamp_ms\":");
        padded(out, processed - 37 - random.below(400), 13);
        out.extend_from_slice(&session.context);
        let mut writer = Properties::new(out, session.ascii);
        properties(&mut writer, random);
        rarities(&mut writer, random, session);
        out.extend_from_slice(b"}}\n");

        self.rows.push(Row { start, end: out.len(), processed: processed_at });
        self.unique += 1;
        self.repeat();
        Some(())
    }

    /// Keeps the share of repeated rows even over the day.
    fn repeat(&mut self) {
        while self.repeats * self.unique_wanted < self.repeats_wanted * self.unique {
            let newest = self.rows.len();
            let back = 1 + self.random.below(newest.min(REPEAT_WITHIN) as u64) as usize;
            let row = self.rows[newest - back];
            let start = self.out.len();
            self.out.extend_from_within(row.start..row.end);
            if self.random.chance(0.33) {
                // The same event, received again: only the time of processing differs.
                let digits = start + (row.processed - row.start);
                let processed =
                    self.out[digits..digits + 13].iter().fold(0, |n, d| n * 10 + u64::from(d - b'0'));
                let later = processed + self.random.between(1, 600_000);
                let mut text = Vec::with_capacity(13);
                padded(&mut text, later, 13);
                self.out[digits..digits + 13].copy_from_slice(&text);
            }
            self.repeats += 1;
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.out
    }
}

/// Properties that any event may carry, none of them often.
fn rarities(properties: &mut Properties<'_>, random: &mut Random, session: &Session) {
    let draw = random.below(1000);
    match draw {
        0..30 => {
            // A few hundred experiments, each with a handful of events.
            let unit = random.unit();
            let number = 1 + (unit * unit * 400.0) as u64;
            properties.numbered(
                "exp_",
                number,
                4,
                random.pick(&[r#""control""#, r#""variant_b""#, "true", "null"]),
            );
        }
        30..50 => {
            // Differs from `plan` in case alone.
            properties.text("Plan", session.plan);
        }
        50..55 => {
            // Above 2^53, where doubles skip integers.
            properties.int("warehouse_id", (1 << 53) + 1 + 2 * random.below(1000));
        }
        55..58 => {
            // Above the largest signed 64-bit number.
            properties.int("trace_id", u64::MAX - random.below(1_000_000));
        }
        58..64 => {
            properties
                .raw("load_score", random.pick(&["1.5e-7", "0.1", "-0.0", "3E+2", "12345678901234567890.5"]));
        }
        64..70 => {
            properties.raw("is_gift", random.pick(&["true", "\"true\"", "1", "\"yes\"", "false"]));
        }
        _ => {}
    }
}
