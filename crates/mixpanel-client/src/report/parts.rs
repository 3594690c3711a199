//! What all reports are made of.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::Filter;
use crate::words::{TimeUnit, words};

words! {
    /// What a property belongs to.
    #[derive(Default)]
    Subject, "subject", {
        /// The event.
        #[default]
        Event = "event",
        /// The profile of the event's user.
        User = "user",
    }
}

words! {
    /// How several conditions go together.
    #[derive(Default)]
    Combine, "way to combine", {
        /// All must hold.
        #[default]
        All = "all",
        /// One must hold.
        Any = "any",
    }
}

/// A property of events or of users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PropertyRef {
    /// Its exact name.
    pub name: String,
    /// What it belongs to.
    #[serde(default)]
    pub of: Subject,
}

impl PropertyRef {
    /// A property of events.
    pub fn event(name: impl Into<String>) -> Self {
        Self { name: name.into(), of: Subject::Event }
    }

    /// A property of users.
    pub fn user(name: impl Into<String>) -> Self {
        Self { name: name.into(), of: Subject::User }
    }
}

impl From<&str> for PropertyRef {
    fn from(name: &str) -> Self {
        Self::event(name)
    }
}

impl From<String> for PropertyRef {
    fn from(name: String) -> Self {
        Self::event(name)
    }
}

/// Events of one name that fulfil conditions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventSelector {
    /// The exact name.
    pub event: String,
    /// Conditions.
    #[serde(default)]
    pub filters: Vec<Filter>,
    /// How the conditions go together.
    #[serde(default)]
    pub combine: Combine,
}

impl EventSelector {
    /// All events of a name.
    pub fn new(event: impl Into<String>) -> Self {
        Self { event: event.into(), filters: Vec::new(), combine: Combine::All }
    }

    /// Adds a condition.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }
}

impl From<&str> for EventSelector {
    fn from(event: &str) -> Self {
        Self::new(event)
    }
}

impl From<String> for EventSelector {
    fn from(event: String) -> Self {
        Self::new(event)
    }
}

/// A breakdown by the values of a property.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupBy {
    /// The property.
    pub property: PropertyRef,
    /// For numbers: the width of the ranges that values are put into.
    #[serde(default)]
    pub width: Option<f64>,
}

impl<T: Into<PropertyRef>> From<T> for GroupBy {
    fn from(property: T) -> Self {
        Self { property: property.into(), width: None }
    }
}

/// The days that a report is about, in the project's time zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeRange {
    /// From one day to another, both included.
    Between {
        /// The first day.
        from: Date,
        /// The last day.
        to: Date,
    },
    /// The last days, weeks or months, up to and with today.
    Last {
        /// How many.
        count: u32,
        /// Of what.
        unit: TimeUnit,
    },
}

impl TimeRange {
    /// From one day to another, both included.
    pub fn between(from: Date, to: Date) -> Self {
        Self::Between { from, to }
    }

    /// The last days, up to and with today.
    pub fn last_days(count: u32) -> Self {
        Self::Last { count, unit: TimeUnit::Day }
    }
}

words! {
    /// The unit of a window.
    WindowUnit, "unit of a window", {
        /// Seconds.
        Second = "second",
        /// Minutes.
        Minute = "minute",
        /// Hours.
        Hour = "hour",
        /// Days.
        Day = "day",
        /// Weeks.
        Week = "week",
        /// Months of 30 days.
        Month = "month",
    }
}

/// How long users have for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// How many.
    pub count: u32,
    /// Of what.
    pub unit: WindowUnit,
}

impl Window {
    /// Some days.
    pub const fn days(count: u32) -> Self {
        Self { count, unit: WindowUnit::Day }
    }

    /// Its length in seconds.
    pub fn seconds(self) -> u64 {
        let unit = match self.unit {
            WindowUnit::Second => 1,
            WindowUnit::Minute => 60,
            WindowUnit::Hour => 3_600,
            WindowUnit::Day => 86_400,
            WindowUnit::Week => 7 * 86_400,
            WindowUnit::Month => 30 * 86_400,
        };
        u64::from(self.count) * unit
    }
}
