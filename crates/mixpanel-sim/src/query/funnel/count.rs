//! How far users get through a sequence of events.
//!
//! Every bucket of time is a funnel of its own. A user enters it once, at the bucket's first event of the first
//! step, whatever becomes of it; of a funnel with segments, once in each segment, at the first such event of the
//! segment. From there, each further step is the first event of that step that comes later and within the
//! conversion window, which runs from the first step; other events between do not matter. Entering is bound to the
//! range, the further steps are not: they are looked for past its end.
//!
//! Steps that follow each other within two seconds may have come in the other order. The later of the two moments
//! is then that of both, so that nothing is reached before the step it follows.

use std::collections::{HashMap, HashSet};

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

/// A funnel over a scope that reaches past the range by the window, and before it by the grace.
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

/// Steps this close to each other count in either order.
const GRACE_MS: i64 = 2000;

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
            // Where the user has entered: a bucket, and perhaps a segment of it.
            let mut entered: HashSet<(usize, Option<String>)> = HashSet::new();
            for (first, hit) in hits.iter().enumerate() {
                if hit.steps & 1 == 0 || !scope.range.has(hit.event.wall) {
                    continue;
                }
                let bucket = buckets.partition_point(|&bucket| bucket <= hit.event.wall).saturating_sub(1);
                let Counted { overall, segments } = &mut counted[bucket];
                if entered.insert((bucket, None)) {
                    add(overall, &self.attempt(hits, first));
                }
                let Some(on) = &self.on else { continue };
                let segment = segment::key(&on.value(hit.shard, hit.event)?);
                if entered.insert((bucket, Some(segment.clone()))) {
                    let empty = || vec![Reached::default(); self.steps.len()];
                    add(segments.entry(segment).or_insert_with(empty), &self.attempt(hits, first));
                }
            }
        }
        Ok(counted)
    }

    /// All events that are a step, by user, in order of time.
    fn hits<'s>(&self, scope: &'s Scope<'_>) -> Result<HashMap<u32, Vec<Hit<'s>>>, Refusal> {
        let (start, end) = (scope.range.start() - GRACE_MS, scope.range.end() + self.window_ms);
        let mut hits: HashMap<u32, Vec<Hit<'s>>> = HashMap::new();
        for (shard, event) in scope.all_events() {
            if event.user == NOBODY || event.wall < start || event.wall > end {
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

    /// The times of the steps that are reached by entering at one of a user's events.
    fn attempt(&self, hits: &[Hit<'_>], first: usize) -> Vec<i64> {
        let begun = hits[first].event.time;
        let (mut times, mut taken) = (vec![begun], vec![first]);
        while times.len() < self.steps.len() {
            let previous = times[times.len() - 1];
            let from = hits.partition_point(|hit| hit.event.time < previous - GRACE_MS);
            let within = hits[from..].iter().take_while(|hit| hit.event.time - begun <= self.window_ms);
            let next = within
                .zip(from..)
                .find(|(hit, index)| hit.steps >> times.len() & 1 == 1 && !taken.contains(index));
            let Some((hit, index)) = next else { break };
            times.push(hit.event.time.max(previous));
            taken.push(index);
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
