//! Funnels: how many users go how far.

use serde::{Deserialize, Serialize};

use super::check::{
    Check, check_filters, check_groups, check_property, check_selector, check_time, check_window, fail,
};
use super::{Combine, EventSelector, Filter, GroupBy, PropertyRef, TimeRange, Window};
use crate::error::Result;
use crate::words::{TimeUnit, words};

words! {
    /// The order in which steps must be done.
    #[derive(Default)]
    FunnelOrder, "order of steps", {
        /// As given; other events may come between.
        #[default]
        Loose = "loose",
        /// Any.
        Any = "any",
    }
}

/// How many users go how far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunnelReport {
    /// The steps, two at least.
    pub steps: Vec<EventSelector>,
    /// How long users have from the first step to the last.
    pub window: Window,
    /// The order of steps.
    #[serde(default)]
    pub order: FunnelOrder,
    /// Events that put users out of the funnel.
    #[serde(default)]
    pub exclusions: Vec<Exclusion>,
    /// Properties that must have the same value in all steps.
    #[serde(default)]
    pub hold_constant: Vec<PropertyRef>,
    /// Conditions on all events.
    #[serde(default)]
    pub filters: Vec<Filter>,
    /// How the conditions go together.
    #[serde(default)]
    pub combine: Combine,
    /// Breakdowns, the outermost first.
    #[serde(default)]
    pub group_by: Vec<GroupBy>,
    /// The days on which users may enter.
    pub time: TimeRange,
    /// The length of a bucket, where the funnel is shown over time.
    pub unit: TimeUnit,
}

/// An event that puts users out of a funnel, if it happens between two steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclusion {
    /// The event.
    pub event: String,
    /// The step after which it counts, from 1.
    pub after: u32,
    /// The step before which it counts; the last one unless set.
    #[serde(default)]
    pub before: Option<u32>,
}

/// The most steps that Mixpanel takes.
const MOST_STEPS: usize = 100;

impl FunnelReport {
    /// Steps in order, with 14 days to do them.
    pub fn new<S: Into<EventSelector>>(steps: impl IntoIterator<Item = S>, time: TimeRange) -> Self {
        Self {
            steps: steps.into_iter().map(Into::into).collect(),
            window: Window::days(14),
            order: FunnelOrder::Loose,
            exclusions: Vec::new(),
            hold_constant: Vec::new(),
            filters: Vec::new(),
            combine: Combine::All,
            group_by: Vec::new(),
            time,
            unit: TimeUnit::Day,
        }
    }

    /// Sets how long users have.
    #[must_use]
    pub fn window(mut self, window: Window) -> Self {
        self.window = window;
        self
    }

    /// Sets the order of steps.
    #[must_use]
    pub fn order(mut self, order: FunnelOrder) -> Self {
        self.order = order;
        self
    }

    /// Adds an event that puts users out, wherever it happens.
    #[must_use]
    pub fn exclude(mut self, event: impl Into<String>) -> Self {
        self.exclusions.push(Exclusion { event: event.into(), after: 1, before: None });
        self
    }

    /// Adds a property that must stay the same.
    #[must_use]
    pub fn hold_constant(mut self, property: impl Into<PropertyRef>) -> Self {
        self.hold_constant.push(property.into());
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
        let steps = self.steps.len();
        if !(2..=MOST_STEPS).contains(&steps) {
            return fail(format!("a funnel has between 2 and {MOST_STEPS} steps, not {steps}"));
        }
        for (place, step) in self.steps.iter().enumerate() {
            check_selector(step, &format!("step {}", place + 1))?;
        }
        for exclusion in &self.exclusions {
            if exclusion.event.trim().is_empty() {
                return fail("the name of an excluded event is empty");
            }
            let (after, before) =
                (exclusion.after as usize, exclusion.before.map_or(steps, |to| to as usize));
            if after < 1 || before > steps || after >= before {
                return fail(format!(
                    "the excluded event `{}` must be between two of the steps 1 to {steps}, not between {after} and {before}",
                    exclusion.event
                ));
            }
        }
        for property in &self.hold_constant {
            check_property(property, "the property to hold constant")?;
        }
        check_window(self.window)?;
        check_filters(&self.filters, "the report")?;
        check_groups(&self.group_by)?;
        check_time(&self.time)
    }
}

impl Check for FunnelReport {
    fn check(&self) -> Result<()> {
        self.validate()
    }

    fn events(&self) -> Vec<&str> {
        self.steps.iter().map(|step| step.event.as_str()).collect()
    }
}
