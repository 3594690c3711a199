//! `/retention` and `/retention/addiction`: who comes back, and how often people are active.

pub(super) mod count;
mod frequency;

use jiff::ToSpan;
use serde_json::{Map, Value, json};

use self::count::{Cohort, Name, Retention, Wanted};
use super::ask;
use super::bookmark::{Metric, Report};
use super::insights::behaviors::cohorts;
use super::saved::{self, Kind};
use super::scope::{On, Range, Scope};
use super::segment;
use super::time::Unit;
use crate::api::params::missing;
use crate::api::{Answer, Call, Refusal, bad, not_found};
use crate::app::App;
pub(super) use frequency::addiction;

/// The longest interval, in units.
const MOST_INTERVAL: i64 = 90;
/// More intervals than this cannot be asked for.
const MOST_INTERVALS: i64 = 1000;

pub(super) fn retention(call: &Call<'_>) -> Result<Answer, Refusal> {
    let params = call.params;
    if let Some(id) = params.integer("bookmark_id")? {
        return saved_report(call, id);
    }
    let range = ask::range(call)?;
    let kinds = [("birth", false), ("compounded", true)];
    let compounded = params.choice("retention_type", &kinds)?.unwrap_or(false);
    let born_event = params.text("born_event")?;
    if !compounded && born_event.is_none() {
        return Err(missing("born_event"));
    }
    let unit = ask::unit(params, &[Unit::Day, Unit::Week, Unit::Month])?;
    let interval = params.integer("interval")?;
    if unit.is_some() && interval.is_some() {
        return Err(bad("give either unit or interval, not both"));
    }
    let (unit, interval) = (unit.unwrap_or(Unit::Day), interval.unwrap_or(1));
    if !(1..=MOST_INTERVAL).contains(&interval) {
        return Err(bad(format!("interval must be between 1 and {MOST_INTERVAL}")));
    }
    let count = params.integer("interval_count")?.unwrap_or(1);
    if !(1..=MOST_INTERVALS).contains(&count) {
        return Err(bad(format!("interval_count must be between 1 and {MOST_INTERVALS}")));
    }
    let unbounded = params.boolean("unbounded_retention")?.unwrap_or(false);
    let limit = ask::limit(params, usize::MAX, usize::MAX)?;
    let event = params.text("event")?;
    let (born_where, filter) = (ask::expression(params, "born_where")?, ask::expression(params, "where")?);
    let on = ask::expression(params, "on")?;
    let buckets = match interval {
        1 => ask::buckets(range, unit)?,
        days => ask::buckets_of_days(range, days)?,
    };

    let intervals = count as usize + 1;
    let scope = wide_scope(call.app, range, unit, interval * intervals as i64);
    let named = |name: Option<String>| name.map_or(Name::Any, |name| Name::Only(scope.event(&name)));
    let returned =
        Wanted { name: named(event.clone()), filter: filter.map(|filter| Box::new(scope.bind(filter)) as _) };
    // Where users are born anew all the time, they are so by the event that they return with.
    let born_name = if compounded { named(event) } else { named(born_event) };
    let born = Wanted { name: born_name, filter: born_where.map(|filter| Box::new(scope.bind(filter)) as _) };
    let segmented = on.is_some();
    let on = on.map(|on| On::Expression(scope.bind(on)));
    let retention = Retention { born, returned, compounded, unit, interval, intervals, unbounded, on };
    let cohorts = retention.count(&scope, &buckets)?;
    let kept = if segmented { top_segments(&cohorts, limit) } else { Vec::new() };
    let mut answer = Map::new();
    for (&bucket, cohort) in buckets.iter().zip(&cohorts) {
        let first = cohort.first;
        let value = if segmented {
            let none = vec![0; intervals];
            let segments = kept.iter().map(|key| {
                let counts = cohort.segments.get(key).unwrap_or(&none);
                (key.clone(), json!({"counts": counts, "first": first}))
            });
            Value::Object(segments.collect())
        } else {
            json!({"counts": cohort.counts, "first": first})
        };
        answer.insert(unit.label(bucket), value);
    }
    Ok(Answer::json(&Value::Object(answer)))
}

/// A saved report, in the form of this endpoint.
fn saved_report(call: &Call<'_>, id: i64) -> Result<Answer, Refusal> {
    let saved = saved::find(id).filter(|report| report.kind == Kind::Retention);
    let saved = saved.ok_or_else(|| not_found(format!("no retention report with bookmark_id {id}")))?;
    let report = Report::read(call.app, &saved.params)?;
    let [Metric::Retention(metric)] = &report.metrics[..] else {
        return Err(bad("the report is not about retention alone"));
    };
    let (buckets, cohorts) = cohorts(call.app, &report, metric)?;
    let answer = buckets.iter().zip(&cohorts).map(|(&bucket, cohort)| {
        (metric.unit.label(bucket), json!({"counts": cohort.counts, "first": cohort.first}))
    });
    Ok(Answer::json(&Value::Object(answer.collect())))
}

/// The events of a range and of the intervals after it.
pub(super) fn wide_scope(app: &App, range: Range, unit: Unit, units: i64) -> Scope<'_> {
    let days = match unit {
        Unit::Month => 31,
        Unit::Week => 7,
        _ => 1,
    };
    let to = range.to.saturating_add((days * units + 1).min(100_000).days());
    Scope::reaching(app, range, range.from, to)
}

/// The segments with most returns.
fn top_segments(cohorts: &[Cohort], limit: usize) -> Vec<String> {
    let segments = cohorts.iter().flat_map(|cohort| &cohort.segments);
    segment::largest(segments.map(|(key, counts)| (key.as_str(), counts.iter().sum())), limit)
}
