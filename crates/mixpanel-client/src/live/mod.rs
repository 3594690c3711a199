//! Questions that Mixpanel answers, each time anew: segmentation, funnels, retention and more.
//!
//! Each is a method of [`Client`](crate::Client) that takes a question, made by `new` with what is
//! required and public fields for the rest, and gives a typed result. Every call is one query of
//! the 60 an hour, unless it says otherwise. Results have sorted dates, and a count of zero where
//! Mixpanel leaves a date out; they are serialised by serde and are tables by
//! [`Tabular`](crate::Tabular).

mod activity;
mod counts;
mod engage_stats;
mod flows;
mod frequency;
mod funnel;
mod numeric;
mod retention;
mod saved;
mod segmentation;
mod series;

pub use activity::{ActivityFeedResult, UserEvent};
pub use counts::{EventCountsQuery, EventCountsResult, PropertyCountsQuery, PropertyCountsResult};
pub use engage_stats::{EngageStatsQuery, EngageStatsResult, StatsAction};
pub use flows::FlowsResult;
pub use frequency::{FrequencyQuery, FrequencyResult};
pub use funnel::{FunnelQuery, FunnelResult, FunnelStep, LengthUnit};
pub use numeric::{NumericAverageResult, NumericBucketResult, NumericQuery, NumericSumResult};
pub use retention::{CohortInfo, RetentionKind, RetentionQuery, RetentionResult};
pub use saved::{SavedReportResult, SavedReportType};
pub use segmentation::{SegmentationQuery, SegmentationResult};
pub use series::Series;

pub(crate) use flows::Answer as FlowsAnswer;
pub(crate) use saved::Insights;

use crate::error::{ErrorKind, Result};
use crate::words::TimeUnit;

/// The most segments that Mixpanel lists (segmentation and funnels references).
const MOST_SEGMENTS: u32 = 10_000;

/// Refuses a unit that an endpoint does not know.
fn check_unit(unit: TimeUnit, allowed: &[TimeUnit], of: &str) -> Result<()> {
    if allowed.contains(&unit) {
        return Ok(());
    }
    let words: Vec<&str> = allowed.iter().map(|unit| unit.as_str()).collect();
    invalid(format!("the unit of {of} is {}, not {unit}", words.join(" or ")))
}

/// Refuses an empty text.
fn check_text(text: &str, what: &str) -> Result<()> {
    if text.trim().is_empty() { invalid(format!("{what} is empty")) } else { Ok(()) }
}

/// Refuses an expression that is given and says nothing: it would be no filter at all.
fn check_given(expression: &Option<String>, what: &str) -> Result<()> {
    expression.as_deref().map_or(Ok(()), |text| check_text(text, what))
}

fn invalid<T>(what: String) -> Result<T> {
    Err(ErrorKind::InvalidRequest { what }.into())
}

/// An expression that says something.
fn set(expression: &Option<String>) -> Option<&str> {
    expression.as_deref().filter(|text| !text.trim().is_empty())
}
