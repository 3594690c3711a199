//! Flows: what users do before and after an event.

use serde::{Deserialize, Serialize};

use super::check::{Check, check_selector, check_time, check_window, fail};
use super::{EventSelector, TimeRange, Window};
use crate::error::Result;
use crate::words::CountType;

/// What users do before and after an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlowReport {
    /// The event.
    pub anchor: EventSelector,
    /// How many events after it, 0 to 5.
    pub forward: u32,
    /// How many events before it, 0 to 5.
    pub reverse: u32,
    /// How far from it events may be.
    pub window: Window,
    /// Each user once (`unique`), or each occurrence (`general`).
    pub count: CountType,
    /// How many events are told apart at each place, 1 to 50.
    pub cardinality: u32,
    /// Whether repeats of an event count once.
    #[serde(default)]
    pub collapse_repeated: bool,
    /// Events that are looked past.
    #[serde(default)]
    pub hidden_events: Vec<String>,
    /// Whether the ways that most users take are asked for, rather than steps and how they connect.
    #[serde(default)]
    pub top_paths: bool,
    /// The days.
    pub time: TimeRange,
}

impl FlowReport {
    /// Three events after one, within 7 days.
    pub fn after(anchor: impl Into<EventSelector>, time: TimeRange) -> Self {
        Self {
            anchor: anchor.into(),
            forward: 3,
            reverse: 0,
            window: Window::days(7),
            count: CountType::Unique,
            cardinality: 3,
            collapse_repeated: false,
            hidden_events: Vec::new(),
            top_paths: false,
            time,
        }
    }

    /// Three events before one, within 7 days.
    pub fn before(anchor: impl Into<EventSelector>, time: TimeRange) -> Self {
        Self { forward: 0, reverse: 3, ..Self::after(anchor, time) }
    }

    /// Checks what can be checked without asking anybody.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest), which says what is wrong and where.
    pub fn validate(&self) -> Result<()> {
        check_selector(&self.anchor, "the event of the flow")?;
        if self.forward > 5 || self.reverse > 5 || self.forward + self.reverse == 0 {
            return fail(format!(
                "a flow has up to 5 events after and up to 5 before, and one at least; not {} and {}",
                self.forward, self.reverse
            ));
        }
        if !(1..=50).contains(&self.cardinality) {
            return fail(format!("a flow tells 1 to 50 events apart, not {}", self.cardinality));
        }
        if self.count == CountType::Average {
            return fail("a flow counts users (unique) or occurrences (general), not averages");
        }
        check_window(self.window)?;
        check_time(&self.time)
    }
}

impl Check for FlowReport {
    fn check(&self) -> Result<()> {
        self.validate()
    }

    fn events(&self) -> Vec<&str> {
        vec![&self.anchor.event]
    }
}
