//! Counts by name and date, as several endpoints give them.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Deserialize;

use crate::amount::Amount;
use crate::days;
use crate::table::Columns;
use crate::words::{CountType, TimeUnit};

/// Counts by name (an event, a segment, a value), and then by date.
pub type Series = BTreeMap<String, BTreeMap<String, Amount>>;

/// The answer of `/segmentation`, `/events` and the like.
#[derive(Debug, Deserialize)]
pub(super) struct Counted {
    data: Data,
}

#[derive(Debug, Deserialize)]
struct Data {
    #[serde(default)]
    series: Vec<String>,
    #[serde(default)]
    values: BTreeMap<String, BTreeMap<String, Option<Amount>>>,
}

impl Counted {
    /// All names with all dates: zero where there is no count. `names` are there in any case.
    pub(super) fn into_series(
        self,
        names: impl IntoIterator<Item = String>,
        from: Date,
        to: Date,
        unit: TimeUnit,
    ) -> Series {
        let Data { series, values } = self.data;
        let mut zeroes: BTreeMap<String, Amount> =
            series.into_iter().map(|date| (date, Amount::default())).collect();
        // Weeks and months begin where Mixpanel says, which only it knows for the first of them.
        if unit == TimeUnit::Day {
            zeroes.extend(days::each(from, to).map(|day| (day.to_string(), Amount::default())));
        }
        for dates in values.values() {
            for date in dates.keys() {
                zeroes.entry(date.clone()).or_default();
            }
        }
        let mut filled: Series = names.into_iter().map(|name| (name, zeroes.clone())).collect();
        for (name, dates) in values {
            let counts = filled.entry(name).or_insert_with(|| zeroes.clone());
            counts.extend(dates.into_iter().map(|(date, count)| (date, count.unwrap_or_default())));
        }
        filled
    }
}

/// The sum of everything, and what it is a sum of. Averages have none.
pub(super) fn total(
    series: &Series,
    kind: CountType,
    unit: TimeUnit,
    segmented: bool,
) -> (Option<Amount>, Option<String>) {
    let of_segments = if segmented { " of each segment listed" } else { "" };
    let what = match kind {
        CountType::General => format!("events{of_segments}"),
        CountType::Unique => format!("unique users{of_segments} of each {unit}, added up"),
        CountType::Average => return (None, None),
    };
    (Some(series.values().flat_map(BTreeMap::values).copied().sum()), Some(what))
}

/// Whether there is a count at all.
pub(super) fn is_nothing(dates: &BTreeMap<String, Amount>) -> bool {
    dates.values().all(|count| count.0 == 0.0)
}

/// One row for each date and name: `date`, `name`, `count`.
pub(super) fn columns(series: &Series, name: &str) -> Columns {
    let mut rows: Vec<(&str, &str, Amount)> = series
        .iter()
        .flat_map(|(name, dates)| dates.iter().map(move |(date, count)| (&**date, &**name, *count)))
        .collect();
    rows.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    Columns::new()
        .buckets("date", rows.iter().map(|row| row.0))
        .text(name, rows.iter().map(|row| row.1))
        .amounts("count", rows.iter().map(|row| row.2))
}
