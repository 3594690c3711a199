//! Retention: who comes back.

use serde::{Deserialize, Serialize};

use super::check::{Check, check_filters, check_groups, check_selector, check_time, fail};
use super::{Combine, EventSelector, Filter, GroupBy, TimeRange};
use crate::error::Result;
use crate::words::{TimeUnit, words};

words! {
    /// Where periods begin.
    #[derive(Default)]
    Alignment, "alignment", {
        /// With each user's own first event.
        #[default]
        Birth = "birth",
        /// With the calendar.
        Interval = "interval_start",
    }
}

/// Who of those that did one event did another one later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetentionReport {
    /// The event that makes a user part of a cohort.
    pub born: EventSelector,
    /// The event that counts as coming back.
    pub returned: EventSelector,
    /// The length of a period: day, week or month.
    pub unit: TimeUnit,
    /// Where periods begin.
    #[serde(default)]
    pub alignment: Alignment,
    /// Periods of other lengths, in units; empty for periods of one unit.
    #[serde(default)]
    pub period_sizes: Vec<u32>,
    /// Whether coming back later counts for all periods before it.
    #[serde(default)]
    pub unbounded: bool,
    /// Conditions on all events.
    #[serde(default)]
    pub filters: Vec<Filter>,
    /// How the conditions go together.
    #[serde(default)]
    pub combine: Combine,
    /// Breakdowns, the outermost first.
    #[serde(default)]
    pub group_by: Vec<GroupBy>,
    /// The days on which cohorts begin.
    pub time: TimeRange,
}

impl RetentionReport {
    /// Users who did one event, and then another one, by days.
    pub fn new(born: impl Into<EventSelector>, returned: impl Into<EventSelector>, time: TimeRange) -> Self {
        Self {
            born: born.into(),
            returned: returned.into(),
            unit: TimeUnit::Day,
            alignment: Alignment::Birth,
            period_sizes: Vec::new(),
            unbounded: false,
            filters: Vec::new(),
            combine: Combine::All,
            group_by: Vec::new(),
            time,
        }
    }

    /// Sets the length of a period.
    #[must_use]
    pub fn unit(mut self, unit: TimeUnit) -> Self {
        self.unit = unit;
        self
    }

    /// Adds a condition on all events.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Adds a breakdown.
    #[must_use]
    pub fn group_by(mut self, group: impl Into<GroupBy>) -> Self {
        self.group_by.push(group.into());
        self
    }

    /// Checks what can be checked without asking anybody.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest), which says what is wrong and where.
    pub fn validate(&self) -> Result<()> {
        check_selector(&self.born, "the first event")?;
        check_selector(&self.returned, "the event to come back with")?;
        if self.unit == TimeUnit::Hour {
            return fail("the unit of retention is day, week or month, not hour");
        }
        if self.period_sizes.contains(&0) {
            return fail("a period of retention has no length");
        }
        check_filters(&self.filters, "the report")?;
        check_groups(&self.group_by)?;
        check_time(&self.time)
    }
}

impl Check for RetentionReport {
    fn check(&self) -> Result<()> {
        self.validate()
    }

    fn events(&self) -> Vec<&str> {
        vec![&self.born.event, &self.returned.event]
    }
}
