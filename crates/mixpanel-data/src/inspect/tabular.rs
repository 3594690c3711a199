//! Results of local questions as tables.

use arrow::record_batch::RecordBatch;
use mixpanel_client::Tabular;
use mixpanel_client::discovery::UnknownName;
use mixpanel_client::table::Columns;

use super::{
    ColumnStats, DailyCounts, EngagementDistribution, EventBreakdown, NumericSummary, PropertyCoverageResult,
    PropertyDistribution, Summary,
};
use crate::value::Value;

/// Values of any type as the texts that people read.
fn texts<'a>(values: impl Iterator<Item = &'a Value>) -> Vec<String> {
    values.map(Value::to_text).collect()
}

impl Tabular for EventBreakdown {
    /// One row for each event.
    fn to_batch(&self) -> RecordBatch {
        let rows = &self.events;
        let first: Vec<String> = rows.iter().map(|row| row.first_seen.to_string()).collect();
        let last: Vec<String> = rows.iter().map(|row| row.last_seen.to_string()).collect();
        Columns::new()
            .text("event_name", rows.iter().map(|row| row.event_name.as_str()))
            .count("count", rows.iter().map(|row| row.count))
            .count("unique_users", rows.iter().map(|row| row.unique_users))
            .buckets("first_seen", first.iter().map(String::as_str))
            .buckets("last_seen", last.iter().map(String::as_str))
            .number("pct_of_total", rows.iter().map(|row| Some(row.pct_of_total)))
            .finish()
    }
}

impl Tabular for Summary {
    /// One row for each column.
    fn to_batch(&self) -> RecordBatch {
        let rows = &self.columns;
        Columns::new()
            .text("column_name", rows.iter().map(|row| row.column_name.as_str()))
            .text("column_type", rows.iter().map(|row| row.column_type.as_str()))
            .maybe_text("min", rows.iter().map(|row| row.min.as_deref()))
            .maybe_text("max", rows.iter().map(|row| row.max.as_deref()))
            .count("approx_unique", rows.iter().map(|row| row.approx_unique))
            .number("avg", rows.iter().map(|row| row.avg))
            .number("std", rows.iter().map(|row| row.std))
            .maybe_text("q25", rows.iter().map(|row| row.q25.as_deref()))
            .maybe_text("q50", rows.iter().map(|row| row.q50.as_deref()))
            .maybe_text("q75", rows.iter().map(|row| row.q75.as_deref()))
            .count("count", rows.iter().map(|row| row.count))
            .number("null_percentage", rows.iter().map(|row| Some(row.null_percentage)))
            .finish()
    }
}

impl Tabular for ColumnStats {
    /// The most frequent values: `value`, `count`.
    fn to_batch(&self) -> RecordBatch {
        let values = texts(self.top_values.iter().map(|top| &top.value));
        Columns::new()
            .text("value", values.iter().map(String::as_str))
            .count("count", self.top_values.iter().map(|top| top.count))
            .finish()
    }
}

impl Tabular for PropertyDistribution {
    /// `value`, `count`, `percentage`.
    fn to_batch(&self) -> RecordBatch {
        let values = texts(self.values.iter().map(|share| &share.value));
        Columns::new()
            .text("value", values.iter().map(String::as_str))
            .count("count", self.values.iter().map(|share| share.count))
            .number("percentage", self.values.iter().map(|share| Some(share.percentage)))
            .finish()
    }

    fn unknown_names(&self) -> &[UnknownName] {
        &self.unknown_names
    }
}

impl Tabular for NumericSummary {
    /// `metric`, `value`: one row for each figure.
    fn to_batch(&self) -> RecordBatch {
        let mut rows = vec![
            ("count".to_owned(), Some(self.count as f64)),
            ("min".to_owned(), self.min),
            ("max".to_owned(), self.max),
            ("sum".to_owned(), self.sum),
            ("avg".to_owned(), self.avg),
            ("stddev".to_owned(), self.stddev),
        ];
        rows.extend(self.percentiles.iter().map(|(part, figure)| (format!("p{part}"), Some(*figure))));
        Columns::new()
            .text("metric", rows.iter().map(|row| row.0.as_str()))
            .number("value", rows.iter().map(|row| row.1))
            .finish()
    }

    fn unknown_names(&self) -> &[UnknownName] {
        &self.unknown_names
    }
}

impl Tabular for DailyCounts {
    /// `date`, `event`, `count`.
    fn to_batch(&self) -> RecordBatch {
        let dates: Vec<String> = self.counts.iter().map(|day| day.date.to_string()).collect();
        Columns::new()
            .buckets("date", dates.iter().map(String::as_str))
            .text("event", self.counts.iter().map(|day| day.event.as_str()))
            .count("count", self.counts.iter().map(|day| day.count))
            .finish()
    }

    fn unknown_names(&self) -> &[UnknownName] {
        &self.unknown_names
    }
}

impl Tabular for EngagementDistribution {
    /// One row for each bucket.
    fn to_batch(&self) -> RecordBatch {
        let rows = &self.buckets;
        Columns::new()
            .count("bucket_min", rows.iter().map(|row| row.bucket_min))
            .text("bucket_label", rows.iter().map(|row| row.bucket_label.as_str()))
            .count("user_count", rows.iter().map(|row| row.user_count))
            .number("percentage", rows.iter().map(|row| Some(row.percentage)))
            .finish()
    }

    fn unknown_names(&self) -> &[UnknownName] {
        &self.unknown_names
    }
}

impl Tabular for PropertyCoverageResult {
    /// One row for each property.
    fn to_batch(&self) -> RecordBatch {
        let rows = &self.coverage;
        Columns::new()
            .text("property", rows.iter().map(|row| row.property.as_str()))
            .count("defined_count", rows.iter().map(|row| row.defined_count))
            .count("null_count", rows.iter().map(|row| row.null_count))
            .number("coverage_percentage", rows.iter().map(|row| Some(row.coverage_percentage)))
            .finish()
    }

    fn unknown_names(&self) -> &[UnknownName] {
        &self.unknown_names
    }
}
