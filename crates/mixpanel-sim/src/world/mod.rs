//! The data: days of events, from a seed or from a folder.
//!
//! How many rows each day has is known from the start; the rows themselves are written when they are first asked
//! for and kept, as text and as a compressed segment. A day depends on the seed and its own number only.

mod calendar;
mod catalog;
mod day;
mod journey;
mod people;
mod profile;
mod render;
mod session;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::config::{ClockMode, SimConfig, Source};
use crate::error::SimError;
use crate::gzip::{self, Segment};
use crate::profiles::{Profiles, Subject};
use crate::random::Random;
use crate::times::in_milliseconds;
use calendar::Planned;
use day::{DayClock, DayWriter, epoch_second};
use journey::Setting;
use people::People;
use profile::Census;
use profile::Kind;
pub(crate) use profile::{Seeded, SeededId};

const DAY_STREAM: u64 = 3;
/// The hour at which the simulator lives.
const NOW_HOUR: i8 = 10;
/// The last second of `today` at which something has happened.
const TODAY_ENDS: u32 = 9 * 3600 + 45 * 60;

/// All events of the simulated project, by day.
///
/// ```
/// use mixpanel_sim::{SimConfig, World};
///
/// let config = SimConfig { days: 7, events_per_day: 100, ..SimConfig::default() };
/// let world = World::generate(&config);
/// assert_eq!(world.event_count(world.first_day(), world.last_day()), 700);
/// let line = world.days()[0].jsonl().split(|&byte| byte == b'\n').next().unwrap();
/// assert!(line.starts_with(br#"{"event":""#));
/// ```
#[derive(Debug)]
pub struct World {
    days: Vec<DayData>,
    profiles: Profiles,
    gzip_level: u32,
}

/// The events of one day.
#[derive(Debug)]
pub struct DayData {
    date: Date,
    rows: u64,
    unique: u64,
    generator: Option<(Arc<Generator>, usize)>,
    plain: OnceLock<Bytes>,
    segment: OnceLock<Segment>,
    /// The same with times in milliseconds.
    segment_in_ms: OnceLock<Segment>,
}

impl World {
    /// The seeded world of a configuration, whatever its source says.
    ///
    /// # Panics
    ///
    /// If the configured time zone does not exist; [`World::load`] reports that instead.
    pub fn generate(config: &SimConfig) -> World {
        World::seeded(config).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The world that a configuration's source names.
    pub fn load(config: &SimConfig) -> Result<World, SimError> {
        match &config.source {
            Source::World => World::seeded(config),
            Source::Recorded(folder) => {
                let days = crate::recorded::load(folder)?;
                let profiles = Profiles::new(Seeded::none(), Seeded::none());
                Ok(World { days, profiles, gzip_level: config.gzip_level })
            }
        }
    }

    fn seeded(config: &SimConfig) -> Result<World, SimError> {
        let generator = Arc::new(Generator::new(config)?);
        let days = generator.plan.iter().enumerate().map(|(index, planned)| DayData {
            date: planned.date,
            rows: planned.rows,
            unique: planned.rows - planned.duplicates,
            generator: Some((Arc::clone(&generator), index)),
            plain: OnceLock::new(),
            segment: OnceLock::new(),
            segment_in_ms: OnceLock::new(),
        });
        let seeded = |kind| Seeded::new(Some(&generator), kind);
        let profiles = Profiles::new(seeded(Kind::People), seeded(Kind::Companies));
        Ok(World { days: days.collect(), profiles, gzip_level: config.gzip_level })
    }

    /// All days, oldest first, without gaps.
    pub fn days(&self) -> &[DayData] {
        &self.days
    }

    /// The days of a range, both ends included; days outside the world are not there.
    pub fn range(&self, from: Date, to: Date) -> &[DayData] {
        let start = self.days.partition_point(|day| day.date < from);
        let end = self.days.partition_point(|day| day.date <= to);
        &self.days[start..end.max(start)]
    }

    /// The first day of the history.
    pub fn first_day(&self) -> Date {
        self.days[0].date
    }

    /// The last day of the history.
    pub fn last_day(&self) -> Date {
        self.days[self.days.len() - 1].date
    }

    /// How many rows an export of the range has, repeated ones included.
    pub fn event_count(&self, from: Date, to: Date) -> u64 {
        self.range(from, to).iter().map(|day| day.rows).sum()
    }

    /// How many distinct events the range has, by `event`, `time`, `distinct_id` and `$insert_id`.
    pub fn unique_count(&self, from: Date, to: Date) -> u64 {
        self.range(from, to).iter().map(|day| day.unique).sum()
    }

    /// The exported lines of a day; none for a day outside the world.
    pub fn jsonl(&self, day: Date) -> &Bytes {
        static NOTHING: Bytes = Bytes::new();
        self.range(day, day).first().map_or(&NOTHING, DayData::jsonl)
    }

    /// Writes and compresses all days of a range now, on all cores, so that later requests need not wait.
    pub fn prepare(&self, from: Date, to: Date) {
        in_parallel(self.range(from, to), |day| {
            day.jsonl();
            day.segment(self.gzip_level, false);
        });
    }

    /// The days of a range as one gzip stream: byte for byte what an export of them sends.
    pub fn gzip(&self, from: Date, to: Date) -> Vec<Bytes> {
        gzip::stream(self.segments(self.range(from, to), false))
    }

    /// The days as compressed segments, made now if need be.
    pub(crate) fn segments<'a>(&self, days: &'a [DayData], in_ms: bool) -> Vec<&'a Segment> {
        in_parallel(days, |day| {
            day.segment(self.gzip_level, in_ms);
        });
        days.iter().map(|day| day.segment(self.gzip_level, in_ms)).collect()
    }

    /// All profiles.
    pub(crate) fn profiles(&self) -> &Profiles {
        &self.profiles
    }

    /// The properties of a user's profile.
    pub(crate) fn profile(&self, distinct_id: &str) -> Option<Map<String, Value>> {
        let users = self.profiles.snapshot(&Subject::Users);
        users.find(distinct_id).map(|key| users.properties(key))
    }
}

/// What `work` makes of every item, in their order, on as many threads as there are cores.
pub(crate) fn in_parallel<T: Sync, R: Send + Sync>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len());
    if threads <= 1 {
        return items.iter().map(work).collect();
    }
    let results: Vec<OnceLock<R>> = items.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let take = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let (Some(item), Some(result)) = (items.get(index), results.get(index)) else { break };
            let _ = result.set(work(item));
        }
    };
    std::thread::scope(|scope| {
        let started = (1..threads).map(|_| std::thread::Builder::new().spawn_scoped(scope, take));
        // This thread works too, and alone where the system provides no other.
        started.for_each(drop);
        take();
    });
    results.into_iter().filter_map(OnceLock::into_inner).collect()
}

impl DayData {
    /// A day whose lines are there already.
    pub(crate) fn recorded(date: Date, rows: u64, unique: u64, plain: Bytes) -> DayData {
        DayData {
            date,
            rows,
            unique,
            generator: None,
            plain: OnceLock::from(plain),
            segment: OnceLock::new(),
            segment_in_ms: OnceLock::new(),
        }
    }

    /// The date.
    pub fn date(&self) -> Date {
        self.date
    }

    /// The number of rows, repeated ones included.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The number of distinct events.
    pub fn unique(&self) -> u64 {
        self.unique
    }

    /// The day's exported lines, written on first use.
    pub fn jsonl(&self) -> &Bytes {
        self.plain.get_or_init(|| self.write())
    }

    /// The same lines as an export with `time_in_ms` has them.
    pub fn jsonl_in_ms(&self) -> Bytes {
        in_milliseconds(self.jsonl()).into()
    }

    /// The day's exported lines, kept only if something else has kept them already.
    pub(crate) fn text(&self) -> Bytes {
        self.plain.get().cloned().unwrap_or_else(|| self.write())
    }

    fn write(&self) -> Bytes {
        self.generator.as_ref().map_or_else(Bytes::new, |(generator, index)| generator.day(*index).into())
    }

    /// The compressed day. The text is not kept if nothing else has asked for it.
    pub(crate) fn segment(&self, level: u32, in_ms: bool) -> &Segment {
        if in_ms {
            let compress = || Segment::compress(&in_milliseconds(&self.text()), level);
            return self.segment_in_ms.get_or_init(compress);
        }
        self.segment.get_or_init(|| Segment::compress(&self.text(), level))
    }

    /// Whether the day has no rows at all.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }
}

/// Writes days on demand.
#[derive(Debug)]
struct Generator {
    seed: u64,
    wide: bool,
    zone: TimeZone,
    mode: ClockMode,
    now_ms: i64,
    plan: Vec<Planned>,
    people: People,
    census: Census,
}

impl Generator {
    fn new(config: &SimConfig) -> Result<Generator, SimError> {
        let zone = time_zone(config)?;
        let plan = calendar::plan(config);
        let people = People::new(config.seed, config.user_count(), &plan);
        let now_ms = now(config)?.as_millisecond();
        let census = Census::new(config.seed, config.profile_count(), config.user_count(), &plan, now_ms);
        let (seed, wide, mode) = (config.seed, config.wide_events, config.clock_mode);
        Ok(Generator { seed, wide, zone, mode, now_ms, plan, people, census })
    }

    fn day(&self, index: usize) -> Vec<u8> {
        let Planned { date, rows, duplicates } = self.plan[index];
        let day = index as i32;
        let random = Random::keyed(self.seed, DAY_STREAM, index as u64);
        let clock = DayClock::new(date, &self.zone, self.mode, self.now_ms);
        let mut writer = DayWriter::new(day, random, clock, rows, duplicates);
        let last_second = if index + 1 == self.plan.len() { TODAY_ENDS } else { 86_400 };
        let setting = Setting { last_second, wide: self.wide };
        let mut newcomers = self.people.newcomers(day);
        while writer.filled() < 1.0 {
            match newcomers.next() {
                Some(number) if writer.filled() < 0.5 => {
                    journey::first_visit(&mut writer, &self.people, number, setting);
                }
                _ => journey::visit(&mut writer, &self.people, setting),
            }
        }
        writer.finish()
    }
}

/// The project's time zone.
pub(crate) fn time_zone(config: &SimConfig) -> Result<TimeZone, SimError> {
    TimeZone::get(&config.timezone).map_err(|error| SimError::Config(format!("time zone: {error}")))
}

/// The instant at which the simulator lives: the morning of `today`, as the project counts days.
pub(crate) fn now(config: &SimConfig) -> Result<jiff::Timestamp, SimError> {
    let zone = match config.clock_mode {
        ClockMode::Utc => TimeZone::UTC,
        ClockMode::LocalAsUtc => time_zone(config)?,
    };
    let second = epoch_second(config.today.at(NOW_HOUR, 0, 0, 0), &zone);
    let morning =
        jiff::Timestamp::from_second(second).map_err(|error| SimError::Config(error.to_string()))?;
    Ok(config.not_before.map_or(morning, |instant| instant.max(morning)))
}

/// The dates from one to the other, both included.
pub(crate) fn dates(from: Date, to: Date) -> impl Iterator<Item = Date> {
    let days = from.until(to).map_or(-1, |span| span.get_days());
    (0..=days).map(move |day| from.saturating_add(day.days()))
}
