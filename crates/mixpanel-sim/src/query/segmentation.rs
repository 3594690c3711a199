//! `/segmentation`: how often an event happened, by time and by the value of an expression.

use super::ask::{self, Counting};
use super::scope::{Keep, Scope};
use super::segment;
use super::tally::{Tally, chart, csv};
use super::time::Unit;
use crate::api::{Answer, Call, Refusal, bad};

/// More segments than this cannot be asked for.
const MOST_SEGMENTS: usize = 10_000;

pub(super) fn segmentation(call: &Call<'_>) -> Result<Answer, Refusal> {
    let params = call.params;
    let event = params.required("event")?;
    let range = ask::range(call)?;
    let counting = Counting::read(params)?.unwrap_or(Counting::General);
    let units = [Unit::Minute, Unit::Hour, Unit::Day, Unit::Week, Unit::Month];
    let unit = ask::unit(params, &units)?;
    let interval = ask::interval(params)?;
    let limit = ask::limit(params, 60, MOST_SEGMENTS)?;
    let as_csv = params.choice("format", &[("csv", true), ("json", false)])?.unwrap_or(false);
    let on = ask::expression(params, "on")?;
    let filter = ask::expression(params, "where")?;
    let buckets = match (unit, interval) {
        (Some(_), Some(_)) => return Err(bad("give either unit or interval")),
        (unit, None) => ask::buckets(range, unit.unwrap_or(Unit::Day))?,
        (None, Some(days)) => ask::buckets_of_days(range, days)?,
    };
    let scope = Scope::new(call.app, range);
    let (on, filter) = (on.map(|on| scope.bind(on)), filter.map(|filter| scope.bind(filter)));
    let mut tally = Tally::new(range, counting, buckets);
    if on.is_none() {
        tally.row(&event);
    }
    let number = scope.event(&event);
    for (shard, found) in scope.events().filter(|(_, found)| Some(found.name) == number) {
        if let Some(filter) = &filter
            && !filter.keeps(shard, found)?
        {
            continue;
        }
        let row = match &on {
            None => 0,
            Some(on) => tally.row(&segment::key(&on.value(shard, found)?)),
        };
        tally.count(row, found);
    }
    let series = tally.ranked(limit);
    let unit = unit.unwrap_or(Unit::Day);
    let labels: Vec<String> = tally.buckets().iter().map(|&bucket| unit.label(bucket)).collect();
    Ok(if as_csv { csv(&labels, &series) } else { chart(&labels, &series, true) })
}
