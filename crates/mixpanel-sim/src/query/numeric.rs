//! `/segmentation/numeric`, `/sum` and `/average`: an expression as a number.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::ask::{self, Counting};
use super::scope::{Bound, Keep, Range, Scope};
use super::tally::{Tally, chart, number};
use super::time::Unit;
use crate::api::params::missing;
use crate::api::{Answer, Call, Refusal, bad};
use crate::events::Event;
use crate::expr;

/// How many ranges of values there are, unless the query says otherwise.
const BUCKETS: i64 = 12;

/// What all three ask for.
struct Asked<'a> {
    scope: Scope<'a>,
    event: Option<u32>,
    unit: Unit,
    on: Bound<'a>,
    filter: Option<Bound<'a>>,
}

impl<'a> Asked<'a> {
    fn read(call: &Call<'a>) -> Result<Asked<'a>, Refusal> {
        let params = call.params;
        let event = params.required("event")?;
        let range = ask::range(call)?;
        let unit = ask::unit(params, &[Unit::Hour, Unit::Day])?.unwrap_or(Unit::Day);
        let on = ask::expression(params, "on")?.ok_or_else(|| missing("on"))?;
        let filter = ask::expression(params, "where")?;
        let scope = Scope::new(call.app, range);
        let (on, filter) = (scope.bind(on), filter.map(|filter| scope.bind(filter)));
        Ok(Asked { event: scope.event(&event), scope, unit, on, filter })
    }

    fn range(&self) -> Range {
        self.scope.range
    }

    /// The events that are asked for, each with its value if that is a number.
    fn values(&self) -> Result<Vec<(&Event, Option<f64>)>, Refusal> {
        let mut values = Vec::new();
        for (shard, event) in self.scope.events().filter(|(_, event)| Some(event.name) == self.event) {
            if self.filter.as_ref().map_or(Ok(true), |filter| filter.keeps(shard, event))? {
                let number = match self.on.value(shard, event)? {
                    expr::Value::Number(value) => Some(value),
                    _ => None,
                };
                values.push((event, number));
            }
        }
        Ok(values)
    }
}

/// Counts by ranges of equal width, which begin at round numbers. Values that are no numbers are in none.
pub(super) fn buckets(call: &Call<'_>) -> Result<Answer, Refusal> {
    let counting = Counting::read(call.params)?.unwrap_or(Counting::General);
    let wanted = match call.params.integer("buckets")?.unwrap_or(BUCKETS) {
        count if (1..=1000).contains(&count) => count,
        _ => return Err(bad("buckets must be between 1 and 1000")),
    };
    let asked = Asked::read(call)?;
    let values = asked.values()?;
    let numbers = || values.iter().filter_map(|&(event, value)| Some((event, value?)));
    let least = numbers().map(|(_, value)| value).fold(f64::INFINITY, f64::min);
    let most = numbers().map(|(_, value)| value).fold(f64::NEG_INFINITY, f64::max);
    let width = round_width((most - least) / wanted as f64);
    let mut tally = Tally::new(asked.range(), counting, ask::buckets(asked.range(), asked.unit)?);
    for (event, value) in numbers() {
        let from = (value / width).floor() * width;
        let row = tally.row(&format!("{} - {}", thousands(from), thousands(from + width)));
        tally.count(row, event);
    }
    let mut series = tally.ranked(usize::MAX);
    let start =
        |key: &str| key.split(" - ").next().and_then(|text| text.replace(',', "").parse::<f64>().ok());
    series.sort_by(|a, b| start(&a.0).partial_cmp(&start(&b.0)).unwrap_or(std::cmp::Ordering::Equal));
    let labels: Vec<String> = tally.buckets().iter().map(|&bucket| asked.unit.label(bucket)).collect();
    Ok(chart(&labels, &series, false))
}

/// The sum by time; a value that is no number is 0.
pub(super) fn sum(call: &Call<'_>) -> Result<Answer, Refusal> {
    let sums = by_time(call, |sum, _| sum)?;
    let computed_at = super::computed_at(call.app);
    Ok(Answer::json(&json!({"status": "ok", "computed_at": computed_at, "results": sums})))
}

/// The mean by time; a value that is no number is 0.
pub(super) fn average(call: &Call<'_>) -> Result<Answer, Refusal> {
    let means = by_time(call, |sum, count| if count == 0 { 0.0 } else { sum / count as f64 })?;
    Ok(Answer::json(&json!({"status": "ok", "results": means})))
}

fn by_time(call: &Call<'_>, finish: fn(f64, u64) -> f64) -> Result<Value, Refusal> {
    let asked = Asked::read(call)?;
    let mut cells: HashMap<i64, (f64, u64)> = HashMap::new();
    for (event, value) in asked.values()? {
        let cell = cells.entry(asked.unit.floor(event.wall)).or_default();
        cell.0 += value.unwrap_or(0.0);
        cell.1 += 1;
    }
    let results = ask::buckets(asked.range(), asked.unit)?.into_iter().map(|bucket| {
        let (sum, count) = cells.get(&bucket).copied().unwrap_or_default();
        (asked.unit.label(bucket), number(finish(sum, count)))
    });
    Ok(Value::Object(results.collect::<Map<String, Value>>()))
}

/// A width of 1, 2 or 5 times a power of ten that is not smaller.
fn round_width(width: f64) -> f64 {
    if !width.is_finite() || width <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(width.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|&round| round >= width)
        .unwrap_or(width)
}

/// A number with commas between thousands, as the API writes ranges.
fn thousands(value: f64) -> String {
    // Multiples of a width have digits behind the point that are not there in truth.
    let text = format!("{:.6}", value.abs());
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if value < 0.0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{grouped}") } else { format!("{sign}{grouped}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_written_with_commas() {
        for (value, text) in [
            (2000.0, "2,000"),
            (0.0, "0"),
            (-1_234_567.5, "-1,234,567.5"),
            (0.1 + 0.2, "0.3"),
            (999.0, "999"),
        ] {
            assert_eq!(thousands(value), text);
        }
        for (width, round) in [(3.0, 5.0), (0.11, 0.2), (1.0, 1.0), (700.0, 1000.0), (0.0, 1.0)] {
            assert!((round_width(width) - round).abs() < 1e-9);
        }
    }
}
