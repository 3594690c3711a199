//! All events as the server has them: those of the world, those that were added, and the view for counting.
//!
//! An export reads the lines of both. Queries read shards (`shard`): parsed, without repeated rows, kept. A shard
//! is made when a query first needs its day, and again when events are added to that day.

mod added;
mod interner;
mod shard;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::config::{ClockMode, SimConfig};
use crate::error::SimError;
use crate::world::{World, dates, in_parallel, time_zone};
pub(crate) use added::Added;
pub(crate) use interner::Interner;
pub(crate) use shard::{Event, NOBODY, Shard};

/// The events of the project.
#[derive(Debug)]
pub(crate) struct Events {
    pub(crate) world: World,
    pub(crate) added: Added,
    zone: TimeZone,
    mode: ClockMode,
    shards: RwLock<HashMap<Date, Arc<OnceLock<Arc<Shard>>>>>,
    names: RwLock<Names>,
}

/// The numbers that shards use for texts.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Names of events.
    pub(crate) events: Interner,
    /// Names of properties.
    pub(crate) properties: Interner,
    /// Values of `distinct_id`.
    pub(crate) users: Interner,
}

impl Events {
    pub(crate) fn new(config: &SimConfig) -> Result<Events, SimError> {
        Ok(Events {
            world: World::load(config)?,
            added: Added::default(),
            zone: time_zone(config)?,
            mode: config.clock_mode,
            shards: RwLock::default(),
            names: RwLock::default(),
        })
    }

    /// The project's time zone.
    pub(crate) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// An instant as event times are stored, in milliseconds.
    pub(crate) fn stored_ms(&self, instant: Timestamp) -> i64 {
        let offset = match self.mode {
            ClockMode::Utc => 0,
            ClockMode::LocalAsUtc => i64::from(self.zone.to_offset(instant).seconds()),
        };
        instant.as_millisecond() + offset * 1000
    }

    /// Adds events, all or none: each an object with `event` and `properties`, on one line, just as an export
    /// is to give it back. In particular `time` must already be what the project stores.
    pub(crate) fn add<L: AsRef<[u8]>>(&self, lines: &[L]) -> Result<(), String> {
        let days = self.added.add(lines)?;
        let mut shards = self.shards.write().unwrap_or_else(PoisonError::into_inner);
        for day in days {
            shards.remove(&day);
        }
        Ok(())
    }

    /// Reads the texts behind numbers. Shards must have been made before.
    pub(crate) fn names(&self) -> std::sync::RwLockReadGuard<'_, Names> {
        self.names.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// All shards, in order of time, that may hold events of these days of the project's time zone.
    ///
    /// A shard holds a day of stored time, which is another than the project's where instants are stored. So
    /// there can be events of other days among them; [`Event::wall`] tells.
    pub(crate) fn shards(&self, from: Date, to: Date) -> Vec<Arc<Shard>> {
        let (mut first, mut last) = (self.world.first_day(), self.world.last_day());
        if let Some((added_first, added_last)) = self.added.span() {
            (first, last) = (first.min(added_first), last.max(added_last));
        }
        let around = if self.mode == ClockMode::LocalAsUtc || self.zone == TimeZone::UTC { 0 } else { 1 };
        let from = from.saturating_sub(around.days()).max(first);
        let to = to.saturating_add(around.days()).min(last);
        if from > to {
            return Vec::new();
        }
        let dates: Vec<Date> = dates(from, to).collect();
        in_parallel(&dates, |&date| self.shard(date)).into_iter().filter(|shard| !shard.is_empty()).collect()
    }

    fn shard(&self, date: Date) -> Arc<Shard> {
        let known = self.shards.read().unwrap_or_else(PoisonError::into_inner).get(&date).cloned();
        let cell = known.unwrap_or_else(|| {
            let mut shards = self.shards.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(shards.entry(date).or_default())
        });
        Arc::clone(cell.get_or_init(|| Arc::new(self.build(date))))
    }

    fn build(&self, date: Date) -> Shard {
        let world = self.world.range(date, date).first().map(|day| day.text());
        let added = self.added.range(date, date);
        let texts = world.iter().chain(added.iter().map(|(_, text)| text)).map(|text| &text[..]);
        let zone = match self.mode {
            ClockMode::Utc => &self.zone,
            ClockMode::LocalAsUtc => &TimeZone::UTC,
        };
        Shard::build(texts, zone, &self.names)
    }
}
