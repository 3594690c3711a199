//! Numbers about events: by time, by groups, by several ways of counting.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value, json};

use super::super::ask;
use super::super::bookmark::{EventMetric, Group, Math, Report};
use super::super::scope::{Property, Scope};
use super::super::segment;
use super::super::tally::number;
use super::{Output, moment};
use crate::api::Refusal;
use crate::app::App;
use crate::events::{Event, NOBODY, Shard};
use crate::expr;

/// What is known of the events of a bucket.
#[derive(Debug, Clone, Default)]
struct Cell {
    total: u64,
    users: HashSet<u32>,
    /// Values of the measured property that are numbers.
    numbers: Vec<f64>,
    /// All values of the measured property.
    distinct: HashSet<String>,
}

/// Cells by the values of the groups; a shorter key is the sum of the longer ones that begin with it.
type Cells = BTreeMap<Vec<String>, Vec<Cell>>;

pub(super) fn events(
    app: &App,
    report: &Report,
    metrics: &[&EventMetric],
    output: &mut Output,
) -> Result<(), Refusal> {
    let scope = Scope::new(app, report.range);
    let buckets = match report.whole {
        true => vec![report.range.start()],
        false => ask::buckets(report.range, report.unit)?,
    };
    let labels: Vec<String> = match report.whole {
        true => vec!["all".to_owned()],
        false => buckets.iter().map(|&bucket| moment(app, bucket)).collect(),
    };
    output.headers = vec!["$event".to_owned()];
    output.headers.extend(report.groups.iter().map(|group| group.property.clone()));
    for metric in metrics {
        let cells = cells(&scope, report, metric, &buckets);
        let series = nested(&cells, metric, &labels, &mut Vec::new(), report.groups.len(), output);
        let name = metric.label.clone().unwrap_or_else(|| metric.step.event.clone());
        let mut key = name.clone();
        // The same event may be shown in several ways.
        for repeat in 2.. {
            if !output.series.contains_key(&key) {
                break;
            }
            key = format!("{name} ({repeat})");
        }
        output.series.insert(key, series);
    }
    Ok(())
}

fn cells(scope: &Scope<'_>, report: &Report, metric: &EventMetric, buckets: &[i64]) -> Cells {
    let wanted = scope.event(&metric.step.event);
    let (global, own) = (report.filter.bind(scope), metric.step.filters.bind(scope));
    let property = metric.property.as_ref().map(|(name, of_user)| scope.property_of(name, *of_user));
    let groups: Vec<(&Group, Property<'_>)> = report
        .groups
        .iter()
        .map(|group| (group, scope.property_of(&group.property, group.of_user)))
        .collect();
    let mut cells = Cells::new();
    cells.insert(Vec::new(), vec![Cell::default(); buckets.len()]);
    for (shard, event) in scope.events().filter(|(_, event)| Some(event.name) == wanted) {
        if !global.keep(shard, event) || !own.keep(shard, event) {
            continue;
        }
        let bucket = buckets.partition_point(|&bucket| bucket <= event.wall).saturating_sub(1);
        let value = property.as_ref().map(|property| property.value(shard, event));
        let mut key = Vec::new();
        let mut levels = groups.iter();
        loop {
            let row = cells.entry(key.clone()).or_insert_with(|| vec![Cell::default(); buckets.len()]);
            add(&mut row[bucket], event, value.as_ref(), metric.math);
            let Some((group, property)) = levels.next() else { break };
            key.push(group_key(group, property, shard, event));
        }
    }
    cells
}

fn add(cell: &mut Cell, event: &Event, value: Option<&expr::Value>, math: Math) {
    cell.total += 1;
    match math {
        Math::Unique if event.user != NOBODY => {
            cell.users.insert(event.user);
        }
        Math::Distinct => {
            if let Some(value) = value.filter(|value| !matches!(value, expr::Value::Undefined)) {
                cell.distinct.insert(segment::key(value));
            }
        }
        _ => {
            if let Some(expr::Value::Number(value)) = value {
                cell.numbers.push(*value);
            }
        }
    }
}

/// What an event's group is called; numbers may be put into ranges.
pub(super) fn group_key(group: &Group, property: &Property<'_>, shard: &Shard, event: &Event) -> String {
    let value = property.value(shard, event);
    match (group.width, &value) {
        (Some(width), expr::Value::Number(value)) => {
            let from = (value / width).floor() * width;
            format!("{} - {}", number(from), number(from + width))
        }
        _ => segment::key(&value),
    }
}

fn nested(
    cells: &Cells,
    metric: &EventMetric,
    labels: &[String],
    key: &mut Vec<String>,
    depth: usize,
    output: &mut Output,
) -> Value {
    let row = &cells[&*key];
    let own: Map<String, Value> =
        labels.iter().zip(row).map(|(label, cell)| (label.clone(), json_of(cell, metric))).collect();
    if depth == 0 {
        return Value::Object(own);
    }
    let mut series = Map::new();
    series.insert("$overall".to_owned(), Value::Object(own));
    let prefix: &[String] = key;
    let below =
        cells.iter().filter(|(longer, _)| longer.len() == prefix.len() + 1 && longer.starts_with(prefix));
    let ranked: Vec<(String, f64)> = below
        .map(|(longer, row)| {
            let sum = row.iter().filter_map(|cell| result(cell, metric)).sum();
            (longer[prefix.len()].clone(), sum)
        })
        .collect();
    for segment in output.keep(ranked) {
        key.push(segment.clone());
        series.insert(segment, nested(cells, metric, labels, key, depth - 1, output));
        key.pop();
    }
    Value::Object(series)
}

fn json_of(cell: &Cell, metric: &EventMetric) -> Value {
    result(cell, metric).map_or(Value::Null, |value| json!(number(value)))
}

/// The number of a cell; there is none where a mean or the like has no values.
fn result(cell: &Cell, metric: &EventMetric) -> Option<f64> {
    let numbers = &cell.numbers;
    match metric.math {
        Math::Total if metric.property.is_some() => Some(numbers.iter().sum()),
        Math::Total => Some(cell.total as f64),
        Math::Unique => Some(cell.users.len() as f64),
        Math::Distinct => Some(cell.distinct.len() as f64),
        Math::Average if numbers.is_empty() => None,
        Math::Average => Some(numbers.iter().sum::<f64>() / numbers.len() as f64),
        Math::Min => numbers.iter().copied().reduce(f64::min),
        Math::Max => numbers.iter().copied().reduce(f64::max),
        Math::Percentile(percent) => percentile(numbers, percent),
    }
}

fn percentile(numbers: &[f64], percent: f64) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = percent / 100.0 * (sorted.len().checked_sub(1)?) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(low + (high - low) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_neighbours() {
        let numbers = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(percentile(&numbers, 50.0), Some(2.5));
        assert_eq!(percentile(&numbers, 0.0), Some(1.0));
        assert_eq!(percentile(&numbers, 100.0), Some(4.0));
        assert_eq!(percentile(&numbers, 25.0), Some(1.75));
        assert_eq!(percentile(&[], 50.0), None);
    }
}
