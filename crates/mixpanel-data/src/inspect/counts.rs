//! Counts by value, by day, by user.

use std::collections::BTreeMap;

use jiff::civil::Date;
use mixpanel_client::discovery::UnknownName;
use serde::Serialize;

use super::scope::{LocalScope, count, percent};
use super::unknown::{Asked, check_names};
use crate::error::{Error, Result};
use crate::value::Value;
use crate::workspace::Workspace;

/// How often a property has which values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PropertyDistribution {
    /// The event.
    pub event: String,
    /// The property.
    pub property_name: String,
    /// The first day that was asked for; `None` is the first there is.
    pub from_date: Option<Date>,
    /// The last day that was asked for, included; `None` is the last there is.
    pub to_date: Option<Date>,
    /// Events that have the property at all.
    pub total_count: u64,
    /// The most frequent values.
    pub values: Vec<PropertyShare>,
    /// Names asked for that the table does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_names: Vec<UnknownName>,
}

/// A value of a property.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PropertyShare {
    /// The value.
    pub value: Value,
    /// How often.
    pub count: u64,
    /// In percent of the events that have the property.
    pub percentage: f64,
}

/// A property that is a number, in figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NumericSummary {
    /// The event.
    pub event: String,
    /// The property.
    pub property_name: String,
    /// The first day that was asked for; `None` is the first there is.
    pub from_date: Option<Date>,
    /// The last day that was asked for, included; `None` is the last there is.
    pub to_date: Option<Date>,
    /// Events whose property is a number.
    pub count: u64,
    /// The smallest.
    pub min: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    /// The sum.
    pub sum: Option<f64>,
    /// The mean.
    pub avg: Option<f64>,
    /// The standard deviation, of all and not of a sample.
    pub stddev: Option<f64>,
    /// By percentage; between neighbours by their distance.
    pub percentiles: BTreeMap<u8, f64>,
    /// Names asked for that the table does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_names: Vec<UnknownName>,
}

/// Events by day.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DailyCounts {
    /// The first day that was asked for; `None` is the first there is.
    pub from_date: Option<Date>,
    /// The last day that was asked for, included; `None` is the last there is.
    pub to_date: Option<Date>,
    /// The events asked for; none for all.
    pub events: Option<Vec<String>>,
    /// By day and event. Days without an event are not listed.
    pub counts: Vec<DailyCount>,
    /// Names asked for that the table does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_names: Vec<UnknownName>,
}

/// The events of one name on one day.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DailyCount {
    /// The day.
    pub date: Date,
    /// The event.
    pub event: String,
    /// How many.
    pub count: u64,
}

/// How many users did how much.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EngagementDistribution {
    /// The first day that was asked for; `None` is the first there is.
    pub from_date: Option<Date>,
    /// The last day that was asked for, included; `None` is the last there is.
    pub to_date: Option<Date>,
    /// The events asked for; none for all.
    pub events: Option<Vec<String>>,
    /// All users that did anything.
    pub total_users: u64,
    /// By number of events.
    pub buckets: Vec<EngagementBucket>,
    /// Names asked for that the table does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_names: Vec<UnknownName>,
}

/// Users by number of events.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EngagementBucket {
    /// The smallest number of events.
    pub bucket_min: u64,
    /// In words: `1`, `2-4`, `100+`.
    pub bucket_label: String,
    /// How many users.
    pub user_count: u64,
    /// In percent of all users.
    pub percentage: f64,
}

/// How many events have which properties.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PropertyCoverageResult {
    /// The event.
    pub event: String,
    /// The first day that was asked for; `None` is the first there is.
    pub from_date: Option<Date>,
    /// The last day that was asked for, included; `None` is the last there is.
    pub to_date: Option<Date>,
    /// How many.
    pub total_events: u64,
    /// In the order asked for.
    pub coverage: Vec<PropertyCoverage>,
    /// Names asked for that the table does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_names: Vec<UnknownName>,
}

/// How many events have one property.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PropertyCoverage {
    /// The property.
    pub property: String,
    /// Events that have it.
    pub defined_count: u64,
    /// Events that do not, or where it is null.
    pub null_count: u64,
    /// Events that have it, in percent.
    pub coverage_percentage: f64,
}

/// The bounds of engagement buckets, unless told otherwise.
pub const ENGAGEMENT_BUCKETS: [u64; 7] = [1, 2, 5, 10, 25, 50, 100];

/// The percentiles, unless told otherwise.
pub const PERCENTILES: [u8; 6] = [25, 50, 75, 90, 95, 99];

impl Workspace {
    /// How often a property of an event has which values: the `limit` most frequent.
    ///
    /// # Errors
    /// [`TableNotFound`](crate::ErrorKind::TableNotFound) and the like; an event or a property that
    /// does not occur is an empty result.
    pub fn property_distribution(
        &self,
        scope: &LocalScope,
        event: &str,
        property: &str,
        limit: usize,
    ) -> Result<PropertyDistribution> {
        let rows = self.rows(scope, &[event])?;
        let column = self.property_column(&rows.table, property)?;
        let sql = format!(
            "SELECT value, times, CAST(sum(times) OVER () AS BIGINT) FROM (
                 SELECT {column} AS value, count(*) AS times FROM {} WHERE {} AND {column} IS NOT NULL GROUP BY 1)
             ORDER BY times DESC, value LIMIT {limit}",
            rows.source, rows.conditions
        );
        let found = self.storage().ask(&sql, &[])?.rows;
        let total_count = found.first().map_or(0, |row| count(&row[2]));
        let values = found.into_iter().map(|mut row| {
            let times = count(&row[1]);
            PropertyShare { value: row.swap_remove(0), count: times, percentage: percent(times, total_count) }
        });
        let values = values.collect();
        let asked = Asked::new(&rows).events([event]).properties([property]);
        Ok(PropertyDistribution {
            event: event.to_owned(),
            property_name: property.to_owned(),
            from_date: scope.from,
            to_date: scope.to,
            total_count,
            values,
            unknown_names: if total_count == 0 { self.unknown(&asked)? } else { Vec::new() },
        })
    }

    /// Count, sum, mean, deviation and percentiles of a property that is a number. Texts that are
    /// numbers count; other values do not.
    ///
    /// # Errors
    /// As [`property_distribution`](Self::property_distribution), and for percentiles beyond 100.
    pub fn numeric_summary(
        &self,
        scope: &LocalScope,
        event: &str,
        property: &str,
        percentiles: &[u8],
    ) -> Result<NumericSummary> {
        if let Some(beyond) = percentiles.iter().find(|part| **part > 100) {
            return Err(Error::argument("percentiles", format!("{beyond} is beyond 100")));
        }
        let rows = self.rows(scope, &[event])?;
        let column = self.property_column(&rows.table, property)?;
        let mut figures = "count(n), min(n), max(n), sum(n), avg(n), stddev_pop(n)".to_owned();
        for part in percentiles {
            figures += &format!(", quantile_cont(n, {})", f64::from(*part) / 100.0);
        }
        let sql = format!(
            "SELECT {figures} FROM (SELECT TRY_CAST(TRY_CAST({column} AS VARCHAR) AS DOUBLE) AS n FROM {} WHERE {})
             WHERE isfinite(n)",
            rows.source, rows.conditions
        );
        let found = self.storage().ask(&sql, &[])?.rows.swap_remove(0);
        let figure = |place: usize| found.get(place).and_then(Value::as_f64);
        let percentiles = percentiles.iter().enumerate();
        let asked = Asked::new(&rows).events([event]).properties([property]);
        let unknown_names = if count(&found[0]) == 0 { self.unknown(&asked)? } else { Vec::new() };
        Ok(NumericSummary {
            event: event.to_owned(),
            property_name: property.to_owned(),
            from_date: scope.from,
            to_date: scope.to,
            unknown_names,
            count: count(&found[0]),
            min: figure(1),
            max: figure(2),
            sum: figure(3),
            avg: figure(4),
            stddev: figure(5),
            percentiles: percentiles.filter_map(|(at, part)| Some((*part, figure(6 + at)?))).collect(),
        })
    }

    /// How many events there are on each day, of some names or of all.
    ///
    /// # Errors
    /// As [`property_distribution`](Self::property_distribution).
    pub fn daily_counts(&self, scope: &LocalScope, events: Option<&[&str]>) -> Result<DailyCounts> {
        let rows = self.rows(scope, events.unwrap_or_default())?;
        let sql = format!(
            "SELECT {}, event_name, count(*) FROM {} WHERE {} GROUP BY ALL ORDER BY 1, 2",
            rows.day, rows.source, rows.conditions
        );
        let found = self.storage().ask(&sql, &[])?.rows;
        let day = |row: &Vec<Value>| match &row[0] {
            Value::Date(date) => {
                Some(DailyCount { date: *date, event: row[1].to_text(), count: count(&row[2]) })
            }
            _ => None,
        };
        let counts: Vec<DailyCount> = found.iter().filter_map(day).collect();
        let without = |event: &&str| !counts.iter().any(|day| day.event == *event);
        let missing = events.unwrap_or_default().iter().copied().filter(without);
        let unknown_names = self.unknown(&Asked::new(&rows).events(missing))?;
        let (from_date, to_date) = (scope.from, scope.to);
        Ok(DailyCounts { from_date, to_date, events: owned(events), counts, unknown_names })
    }

    /// How many users did how many events. `buckets` are the smallest numbers of each bucket, rising
    /// from 1 or more; [`ENGAGEMENT_BUCKETS`] are the usual ones.
    ///
    /// # Errors
    /// As [`property_distribution`](Self::property_distribution), and for bounds that do not rise.
    pub fn engagement_distribution(
        &self,
        scope: &LocalScope,
        events: Option<&[&str]>,
        buckets: &[u64],
    ) -> Result<EngagementDistribution> {
        if buckets.is_empty() || buckets[0] == 0 || !buckets.is_sorted_by(|a, b| a < b) {
            return Err(Error::argument("buckets", "they do not rise from 1 or more"));
        }
        let rows = self.rows(scope, events.unwrap_or_default())?;
        // The users of a bucket are counted by its smallest number.
        let bounds: Vec<String> =
            buckets.iter().rev().map(|bound| format!("WHEN n >= {bound} THEN {bound}")).collect();
        let sql = format!(
            "SELECT CASE {} ELSE 0 END AS bucket, count(*) FROM (
                 SELECT distinct_id, count(*) AS n FROM {} WHERE {} AND distinct_id <> '' GROUP BY distinct_id)
             GROUP BY bucket",
            bounds.join(" "),
            rows.source,
            rows.conditions
        );
        let found = self.storage().ask(&sql, &[])?.rows;
        let users: BTreeMap<u64, u64> = found.iter().map(|row| (count(&row[0]), count(&row[1]))).collect();
        let total_users = users.values().sum();
        let bucket = |(place, bound): (usize, &u64)| {
            let user_count = users.get(bound).copied().unwrap_or(0);
            let bucket_label = match buckets.get(place + 1) {
                Some(next) if *next == bound + 1 => bound.to_string(),
                Some(next) => format!("{bound}-{}", next - 1),
                None => format!("{bound}+"),
            };
            let percentage = percent(user_count, total_users);
            EngagementBucket { bucket_min: *bound, bucket_label, user_count, percentage }
        };
        let buckets = buckets.iter().enumerate().map(bucket).collect();
        let asked = Asked::new(&rows).events(events.unwrap_or_default().iter().copied());
        let unknown_names = self.unknown(&asked)?;
        let (from_date, to_date) = (scope.from, scope.to);
        let events = owned(events);
        Ok(EngagementDistribution { from_date, to_date, events, total_users, buckets, unknown_names })
    }

    /// How many events of a name have which properties. Null counts as not having it.
    ///
    /// # Errors
    /// As [`property_distribution`](Self::property_distribution).
    pub fn property_coverage(
        &self,
        scope: &LocalScope,
        event: &str,
        properties: &[&str],
    ) -> Result<PropertyCoverageResult> {
        if properties.is_empty() {
            return Err(Error::argument("properties", "none is named"));
        }
        check_names("properties", properties)?;
        let rows = self.rows(scope, &[event])?;
        let (mut total_events, mut coverage) = (0, Vec::new());
        for slice in properties.chunks(self.computed_at_once(&rows.table)?) {
            let mut figures = "count(*)".to_owned();
            for property in slice {
                figures += &format!(", count({})", self.property_column(&rows.table, property)?);
            }
            let sql = format!("SELECT {figures} FROM {} WHERE {}", rows.source, rows.conditions);
            let found = self.storage().ask(&sql, &[])?.rows.swap_remove(0);
            total_events = count(&found[0]);
            coverage.extend(slice.iter().zip(&found[1..]).map(|(property, defined)| PropertyCoverage {
                property: (*property).to_owned(),
                defined_count: count(defined),
                null_count: total_events.saturating_sub(count(defined)),
                coverage_percentage: percent(count(defined), total_events),
            }));
        }
        let without = coverage.iter().filter(|property: &&PropertyCoverage| property.defined_count == 0);
        let asked = Asked::new(&rows)
            .events((total_events == 0).then_some(event))
            .properties(without.map(|property| property.property.as_str()));
        let unknown_names = self.unknown(&asked)?;
        let (from_date, to_date, event) = (scope.from, scope.to, event.to_owned());
        Ok(PropertyCoverageResult { event, from_date, to_date, total_events, coverage, unknown_names })
    }
}

fn owned(events: Option<&[&str]>) -> Option<Vec<String>> {
    events.map(|events| events.iter().map(|event| (*event).to_owned()).collect())
}
