//! Questions as definitions: insights, funnels, retention and flows.
//!
//! A definition is plain data that says what is to be computed, not by whom: it is serialised by
//! serde, checked by `validate`, and knows nothing of HTTP. [`Client::query_insights`] and its
//! siblings ask it live, by turning it into the JSON that Mixpanel's web application sends (which
//! Mixpanel does not document).
//!
//! ```
//! use jiff::civil::date;
//! use mixpanel_client::TimeUnit;
//! use mixpanel_client::report::{Filter, InsightsReport, Math, Metric, TimeRange};
//!
//! let january = TimeRange::between(date(2024, 1, 1), date(2024, 1, 31));
//! let report = InsightsReport::new([Metric::new("Purchase", Math::Unique)], january)
//!     .filter(Filter::equals("plan", ["pro"]))
//!     .group_by("country")
//!     .unit(TimeUnit::Week);
//! assert!(report.validate().is_ok());
//! ```
//!
//! [`Client::query_insights`]: crate::Client::query_insights

mod ask;
mod bookmark;
mod check;
mod filter;
mod flow;
mod funnel;
mod insights;
mod parts;
mod retention;

pub use filter::{Filter, FilterValue, Test};
pub use flow::FlowReport;
pub use funnel::{Exclusion, FunnelOrder, FunnelReport};
pub use insights::{InsightsReport, Math, Metric};
pub use parts::{Combine, EventSelector, GroupBy, PropertyRef, Subject, TimeRange, Window, WindowUnit};
pub use retention::{Alignment, RetentionReport};
