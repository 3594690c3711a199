//! Who comes back: cohorts of users by the time of their birth, and in which intervals after it they return.
//!
//! Time runs from each user's own birth: interval N begins N intervals after it. A return is an event at the moment
//! of the birth or later; the birth itself is none. Returns are looked for past the end of the range.

use std::collections::{HashMap, HashSet};

use super::super::scope::{Keep, On, Scope};
use super::super::segment;
use super::super::time::{DAY_MS, Unit};
use crate::api::Refusal;
use crate::events::{Event, NOBODY, Shard};

/// An event that is looked for: by name, or any, that passes a filter.
pub(in crate::query) struct Wanted<'a> {
    pub(in crate::query) name: Name,
    pub(in crate::query) filter: Option<Box<dyn Keep + 'a>>,
}

/// Which names an event may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::query) enum Name {
    Any,
    /// The number of a name; `None` if there is no such event.
    Only(Option<u32>),
}

impl Wanted<'_> {
    pub(in crate::query) fn is(&self, shard: &Shard, event: &Event) -> Result<bool, Refusal> {
        let named = match self.name {
            Name::Any => true,
            Name::Only(name) => name == Some(event.name),
        };
        Ok(named && self.filter.as_ref().map_or(Ok(true), |filter| filter.keeps(shard, event))?)
    }
}

/// A retention query.
pub(in crate::query) struct Retention<'a> {
    /// What makes a user part of a cohort.
    pub(in crate::query) born: Wanted<'a>,
    pub(in crate::query) returned: Wanted<'a>,
    /// Whether a user is born in every bucket anew, rather than once in the range.
    pub(in crate::query) compounded: bool,
    pub(in crate::query) unit: Unit,
    /// How many units an interval has.
    pub(in crate::query) interval: i64,
    /// How many intervals there are, the 0th included.
    pub(in crate::query) intervals: usize,
    /// Whether a return counts for all intervals before it, too.
    pub(in crate::query) unbounded: bool,
    /// Segments returns, not births.
    pub(in crate::query) on: Option<On<'a>>,
}

/// The users of one bucket.
#[derive(Debug, Default)]
pub(in crate::query) struct Cohort {
    /// How many were born.
    pub(in crate::query) first: u64,
    /// How many returned, by interval.
    pub(in crate::query) counts: Vec<u64>,
    /// The same by the segment of the return.
    pub(in crate::query) segments: HashMap<String, Vec<u64>>,
}

struct Born<'a> {
    bucket: usize,
    event: &'a Event,
    /// Intervals with a return, overall and by segment.
    seen: HashSet<usize>,
    segments: HashMap<String, HashSet<usize>>,
}

impl Retention<'_> {
    /// Counts for buckets that begin at these moments and fill the range.
    pub(in crate::query) fn count(&self, scope: &Scope<'_>, buckets: &[i64]) -> Result<Vec<Cohort>, Refusal> {
        let mut people: HashMap<u32, Vec<Born<'_>>> = HashMap::new();
        let relevant = |event: &Event| event.user != NOBODY && event.wall >= scope.range.start();
        let events: Vec<(&Shard, &Event)> = scope.all_events().filter(|(_, event)| relevant(event)).collect();
        // What happened within one moment has no order, so births come first.
        for moment in events.chunk_by(|(_, one), (_, next)| one.time == next.time) {
            for &(shard, event) in moment {
                if scope.range.has(event.wall) && self.born.is(shard, event)? {
                    self.bear(event, buckets, people.entry(event.user).or_default());
                }
            }
            for &(shard, event) in moment {
                if let Some(births) = people.get_mut(&event.user)
                    && self.returned.is(shard, event)?
                {
                    self.return_by(shard, event, births)?;
                }
            }
        }
        Ok(self.cohorts(people.into_values().flatten(), buckets.len()))
    }

    /// Notes a user's birth, unless the user has been born before.
    fn bear<'e>(&self, event: &'e Event, buckets: &[i64], births: &mut Vec<Born<'e>>) {
        let bucket = buckets.partition_point(|&bucket| bucket <= event.wall).saturating_sub(1);
        let known = births.last().is_some_and(|last| !self.compounded || last.bucket == bucket);
        if !known {
            births.push(Born { bucket, event, seen: HashSet::new(), segments: HashMap::new() });
        }
    }

    /// Notes a user's return.
    fn return_by(&self, shard: &Shard, event: &Event, births: &mut [Born<'_>]) -> Result<(), Refusal> {
        let key = self.on.as_ref().map(|on| on.value(shard, event)).transpose()?;
        let key = key.map(|value| segment::key(&value));
        for born in births.iter_mut().filter(|born| !std::ptr::eq(born.event, event)) {
            let Some(interval) = self.interval_of(born.event, event) else { continue };
            born.seen.insert(interval);
            if let Some(key) = &key {
                born.segments.entry(key.clone()).or_default().insert(interval);
            }
        }
        Ok(())
    }

    fn cohorts<'e>(&self, births: impl Iterator<Item = Born<'e>>, buckets: usize) -> Vec<Cohort> {
        let empty = || vec![0; self.intervals];
        let mut cohorts: Vec<Cohort> =
            (0..buckets).map(|_| Cohort { counts: empty(), ..Cohort::default() }).collect();
        for born in births {
            let cohort = &mut cohorts[born.bucket];
            cohort.first += 1;
            self.add(&mut cohort.counts, &born.seen);
            for (key, seen) in born.segments {
                self.add(cohort.segments.entry(key).or_insert_with(empty), &seen);
            }
        }
        cohorts
    }

    fn add(&self, counts: &mut [u64], seen: &HashSet<usize>) {
        let latest = seen.iter().max();
        for (interval, count) in counts.iter_mut().enumerate() {
            let counted = match self.unbounded {
                true => latest.is_some_and(|&latest| interval <= latest),
                false => seen.contains(&interval),
            };
            *count += u64::from(counted);
        }
    }

    /// The interval after a birth that an event is in, if it is one of those asked for.
    fn interval_of(&self, born: &Event, event: &Event) -> Option<usize> {
        let interval = match self.unit {
            Unit::Month => {
                // Months have no fixed length: the interval is the last one that has begun by the wall clock.
                let begins = |interval: usize| shift_months(born.wall, interval as i64 * self.interval);
                (0..self.intervals + 1).take_while(|&interval| begins(interval) <= event.wall).last()?
            }
            unit => {
                let length = if unit == Unit::Week { 7 * DAY_MS } else { DAY_MS };
                usize::try_from((event.time - born.time) / (length * self.interval)).ok()?
            }
        };
        (interval < self.intervals).then_some(interval)
    }
}

/// The same day and time of a later month, or the month's last day if it has no such day.
fn shift_months(wall: i64, months: i64) -> i64 {
    let day = super::super::time::date_of(wall);
    let later = day.saturating_add(jiff::Span::new().try_months(months).unwrap_or_default());
    super::super::time::start_of(later) + wall.rem_euclid(DAY_MS)
}
