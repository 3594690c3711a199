//! placeholder until the planner lands
use crate::error::Result;
use crate::storage::StorageEngine;
use jiff::civil::Date;
use std::collections::BTreeMap;
#[derive(Clone, Copy, Debug)]
pub enum DayReason {
    Requested,
}
#[derive(Clone, Debug)]
pub struct PlannedChunk {
    pub from: Date,
    pub to: Date,
}
#[derive(Default)]
pub(crate) struct History;
impl History {
    pub(crate) fn load(_: &StorageEngine, _: &str) -> Result<Self> {
        Ok(History)
    }
}
#[derive(Default)]
pub struct PlanOptions {
    pub days_per_request: Option<u32>,
    pub one: bool,
}
impl PlanOptions {
    pub(crate) fn one_request() -> Self {
        PlanOptions { days_per_request: None, one: true }
    }
}
pub(crate) struct Planner {
    days: Vec<Date>,
    size: u32,
    fixed: Option<u32>,
    seen: Option<f64>,
    waiting: bool,
}
impl Planner {
    pub(crate) fn new(
        days: impl IntoIterator<Item = (Date, DayReason)>,
        _: &History,
        options: &PlanOptions,
    ) -> Self {
        let fixed = if options.one { Some(u32::MAX) } else { options.days_per_request };
        Planner { days: days.into_iter().map(|d| d.0).collect(), size: 1, fixed, seen: None, waiting: false }
    }
    pub(crate) fn next(&mut self) -> Option<PlannedChunk> {
        if self.fixed.is_none() && self.waiting && self.seen.is_none() {
            return None;
        }
        let most = match (self.fixed, self.seen) {
            (Some(n), _) => n,
            (None, None) => 1,
            (None, Some(rows)) => ((250_000.0 / rows) as u32).clamp(1, self.size * 8).min(100),
        };
        self.size = self.size.max(most);
        let to = self.days.pop()?;
        let mut from = to;
        let mut n = 1;
        while n < most && self.days.last().is_some() {
            from = self.days.pop().unwrap();
            n += 1;
        }
        self.waiting = true;
        Some(PlannedChunk { from, to })
    }
    pub(crate) fn observe(&mut self, rows: &BTreeMap<Date, u64>, _: u64) {
        let sum: u64 = rows.values().sum();
        self.seen = Some((sum as f64 / rows.len() as f64).max(1.0));
    }
    pub(crate) fn split(&mut self, _: &PlannedChunk) -> bool {
        false
    }
    pub(crate) fn give_up_before(&mut self, _: Date) -> Vec<Date> {
        Vec::new()
    }
    pub(crate) fn put_back(&mut self, _: impl Iterator<Item = Date>) {}
}
