//! How far users get through a sequence of events.
//!
//! A user enters at an event of the first step. From there, each further step is the first event of that step that
//! comes later and within the conversion window, which runs from the first step; other events between do not
//! matter. Entering is bound to the range, the further steps are not: they are looked for past its end.
//!
//! In every bucket of time a user counts once, with the attempt that got furthest and, among such, began first.
//! The bucket and the segment are those of the attempt's first event.

use std::collections::HashMap;

use super::super::scope::{Keep, On, Scope};
use super::super::segment;
use crate::api::Refusal;
use crate::events::{Event, NOBODY, Shard};

/// A step: an event that passes a filter.
pub(in crate::query) struct Step<'a> {
    /// The number of the event's name; `None` if there is no such event.
    pub(in crate::query) name: Option<u32>,
    pub(in crate::query) filter: Option<Box<dyn Keep + 'a>>,
}

/// A funnel over a scope that reaches past the range by the window.
pub(in crate::query) struct Funnel<'a> {
    pub(in crate::query) steps: Vec<Step<'a>>,
    /// What all events must pass.
    pub(in crate::query) filter: Option<Box<dyn Keep + 'a>>,
    pub(in crate::query) on: Option<On<'a>>,
    pub(in crate::query) window_ms: i64,
}

/// How many users reached a step, and how long it took them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::query) struct Reached {
    pub(in crate::query) count: u64,
    /// Milliseconds from the step before, added up.
    pub(in crate::query) from_previous: i64,
    /// Milliseconds from the first step, added up.
    pub(in crate::query) from_start: i64,
}

/// The numbers of all steps, for all users of a bucket or for a segment of them.
pub(in crate::query) type Steps = Vec<Reached>;

/// A bucket's numbers.
#[derive(Debug, Default)]
pub(in crate::query) struct Counted {
    pub(in crate::query) overall: Steps,
    pub(in crate::query) segments: HashMap<String, Steps>,
}

/// An event of some step.
struct Hit<'a> {
    shard: &'a Shard,
    event: &'a Event,
    /// A bit for each step that the event is.
    steps: u64,
}

/// More steps than this do not fit the bits of a hit.
pub(in crate::query) const MOST_STEPS: usize = 64;

impl Funnel<'_> {
    /// Counts for buckets that begin at these moments and fill the range.
    pub(in crate::query) fn count(
        &self,
        scope: &Scope<'_>,
        buckets: &[i64],
    ) -> Result<Vec<Counted>, Refusal> {
        let mut counted: Vec<Counted> = buckets
            .iter()
            .map(|_| Counted { overall: vec![Reached::default(); self.steps.len()], ..Counted::default() })
            .collect();
        for hits in self.hits(scope)?.values() {
            let mut best: HashMap<usize, (usize, Vec<i64>)> = HashMap::new();
            for (index, hit) in hits.iter().enumerate() {
                if hit.steps & 1 == 0 || !scope.range.has(hit.event.wall) {
                    continue;
                }
                let bucket = buckets.partition_point(|&bucket| bucket <= hit.event.wall).saturating_sub(1);
                let times = self.attempt(&hits[index..]);
                match best.get(&bucket) {
                    Some((_, known)) if known.len() >= times.len() => {}
                    _ => {
                        best.insert(bucket, (index, times));
                    }
                }
            }
            for (bucket, (index, times)) in best {
                add(&mut counted[bucket].overall, &times);
                if let Some(on) = &self.on {
                    let key = segment::key(&on.value(hits[index].shard, hits[index].event)?);
                    let empty = || vec![Reached::default(); self.steps.len()];
                    add(counted[bucket].segments.entry(key).or_insert_with(empty), &times);
                }
            }
        }
        Ok(counted)
    }

    /// All events that are a step, by user, in order of time.
    fn hits<'s>(&self, scope: &'s Scope<'_>) -> Result<HashMap<u32, Vec<Hit<'s>>>, Refusal> {
        let end = scope.range.end() + self.window_ms;
        let mut hits: HashMap<u32, Vec<Hit<'s>>> = HashMap::new();
        for (shard, event) in scope.all_events() {
            if event.user == NOBODY || event.wall < scope.range.start() || event.wall > end {
                continue;
            }
            let mut steps = 0;
            for (index, step) in self.steps.iter().enumerate() {
                if step.name == Some(event.name)
                    && step.filter.as_ref().map_or(Ok(true), |filter| filter.keeps(shard, event))?
                {
                    steps |= 1 << index;
                }
            }
            if steps != 0 && self.filter.as_ref().map_or(Ok(true), |filter| filter.keeps(shard, event))? {
                hits.entry(event.user).or_default().push(Hit { shard, event, steps });
            }
        }
        Ok(hits)
    }

    /// The times of the steps that are reached from the first of these events.
    fn attempt(&self, hits: &[Hit<'_>]) -> Vec<i64> {
        let begun = hits[0].event.time;
        let mut times = vec![begun];
        for hit in &hits[1..] {
            if times.len() == self.steps.len() || hit.event.time - begun > self.window_ms {
                break;
            }
            if hit.steps >> times.len() & 1 == 1 {
                times.push(hit.event.time);
            }
        }
        times
    }
}

fn add(steps: &mut Steps, times: &[i64]) {
    for (index, step) in steps.iter_mut().enumerate().take(times.len()) {
        step.count += 1;
        step.from_start += times[index] - times[0];
        step.from_previous += times[index] - times[index.saturating_sub(1)];
    }
}
