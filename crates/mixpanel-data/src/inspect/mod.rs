//! What is in the local tables, without a request: samples, summaries, breakdowns.
//!
//! SQL goes in, small typed results come out. Typed columns are used where a property has one,
//! because they are many times faster; any other property is read from the texts.
//!
//! Five of these were scripts on Mixpanel's servers in the Python original, until Mixpanel ended
//! JQL: [`property_distribution`](crate::Workspace::property_distribution),
//! [`numeric_summary`](crate::Workspace::numeric_summary),
//! [`daily_counts`](crate::Workspace::daily_counts),
//! [`engagement_distribution`](crate::Workspace::engagement_distribution) and
//! [`property_coverage`](crate::Workspace::property_coverage). They ask the days that were fetched;
//! what was not fetched is not counted.

mod columns;
mod counts;
mod events;
mod place;
mod scope;
mod table;
mod tabular;
mod unknown;

pub use columns::{ColumnStats, ColumnSummary, Summary, ValueCount};
pub use counts::{
    DailyCount, DailyCounts, ENGAGEMENT_BUCKETS, EngagementBucket, EngagementDistribution, NumericSummary,
    PERCENTILES, PropertyCoverage, PropertyCoverageResult, PropertyDistribution, PropertyShare,
};
pub use events::{EventBreakdown, EventStats};
pub use scope::LocalScope;
