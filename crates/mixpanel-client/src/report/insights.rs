//! Insights: numbers about events.

use serde::{Deserialize, Serialize};

use super::check::{Check, check_filters, check_groups, check_property, check_selector, check_time, fail};
use super::{Combine, EventSelector, Filter, GroupBy, PropertyRef, TimeRange};
use crate::error::Result;
use crate::words::TimeUnit;

/// Numbers about events, by time and by the values of properties.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InsightsReport {
    /// What is counted.
    pub metrics: Vec<Metric>,
    /// Conditions on all events.
    #[serde(default)]
    pub filters: Vec<Filter>,
    /// How the conditions go together.
    #[serde(default)]
    pub combine: Combine,
    /// Breakdowns, the outermost first.
    #[serde(default)]
    pub group_by: Vec<GroupBy>,
    /// The days.
    pub time: TimeRange,
    /// The length of a bucket.
    pub unit: TimeUnit,
    /// One number for the whole range, rather than one for each bucket.
    #[serde(default)]
    pub whole_range: bool,
}

/// A number about an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The events.
    pub event: EventSelector,
    /// How they become a number.
    pub math: Math,
}

/// How events become a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Math {
    /// How many events.
    Total,
    /// How many users.
    Unique,
    /// The sum of a property.
    Sum(PropertyRef),
    /// The mean of a property.
    Average(PropertyRef),
    /// The median of a property.
    Median(PropertyRef),
    /// The smallest value of a property.
    Min(PropertyRef),
    /// The largest value of a property.
    Max(PropertyRef),
    /// A percentile of a property, above 0 and below 100.
    Percentile(PropertyRef, f64),
    /// How many different values of a property.
    DistinctValues(PropertyRef),
}

impl Math {
    /// The property that it is about.
    pub fn property(&self) -> Option<&PropertyRef> {
        match self {
            Self::Total | Self::Unique => None,
            Self::Sum(property)
            | Self::Average(property)
            | Self::Median(property)
            | Self::Min(property)
            | Self::Max(property)
            | Self::Percentile(property, _)
            | Self::DistinctValues(property) => Some(property),
        }
    }
}

impl Metric {
    /// A number about an event.
    pub fn new(event: impl Into<EventSelector>, math: Math) -> Self {
        Self { event: event.into(), math }
    }
}

impl InsightsReport {
    /// Metrics by day.
    pub fn new(metrics: impl IntoIterator<Item = Metric>, time: TimeRange) -> Self {
        Self {
            metrics: metrics.into_iter().collect(),
            filters: Vec::new(),
            combine: Combine::All,
            group_by: Vec::new(),
            time,
            unit: TimeUnit::Day,
            whole_range: false,
        }
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

    /// Sets the length of a bucket.
    #[must_use]
    pub fn unit(mut self, unit: TimeUnit) -> Self {
        self.unit = unit;
        self
    }

    /// Asks for one number for the whole range.
    #[must_use]
    pub fn whole_range(mut self) -> Self {
        self.whole_range = true;
        self
    }

    /// Checks what can be checked without asking anybody.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest), which says what is wrong and where.
    pub fn validate(&self) -> Result<()> {
        if self.metrics.is_empty() {
            return fail("an insights report needs at least one metric");
        }
        for (place, metric) in self.metrics.iter().enumerate() {
            let place = format!("metric {}", place + 1);
            check_selector(&metric.event, &place)?;
            if let Some(property) = metric.math.property() {
                check_property(property, &place)?;
            }
            if let Math::Percentile(_, part) = metric.math
                && !(part > 0.0 && part < 100.0)
            {
                return fail(format!("{place}: the percentile {part} is not between 0 and 100"));
            }
        }
        check_filters(&self.filters, "the report")?;
        check_groups(&self.group_by)?;
        check_time(&self.time)
    }
}

impl Check for InsightsReport {
    fn check(&self) -> Result<()> {
        self.validate()
    }

    fn events(&self) -> Vec<&str> {
        self.metrics.iter().map(|metric| metric.event.event.as_str()).collect()
    }
}
