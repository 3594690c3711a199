//! `/funnels` and `/funnels/list`: saved funnels and what they give.

pub(super) mod count;
pub(super) mod saved;

use jiff::ToSpan;
use serde_json::{Map, Value, json};

use self::count::{Counted, Funnel, Reached, Step, Steps};
use self::saved::{FUNNELS, Saved, find};
use super::ask;
use super::scope::{On, Range, Scope};
use super::segment;
use super::time::{DAY_MS, HOUR_MS, Unit};
use crate::api::params::missing;
use crate::api::{Answer, Call, Refusal, bad, not_found};
use crate::app::App;

/// The longest conversion window, in days.
const MOST_DAYS: i64 = 90;

/// Names and ids.
pub(super) fn list(_: &Call<'_>) -> Result<Answer, Refusal> {
    let all = FUNNELS.iter().map(|funnel| json!({"funnel_id": funnel.id, "name": funnel.name}));
    Ok(Answer::json(&Value::Array(all.collect())))
}

/// A saved funnel over a range, by time and perhaps by segment.
pub(super) fn funnel(call: &Call<'_>) -> Result<Answer, Refusal> {
    let params = call.params;
    let id = params.integer("funnel_id")?.ok_or_else(|| missing("funnel_id"))?;
    let range = ask::range(call)?;
    let units = [Unit::Day, Unit::Week, Unit::Month];
    let buckets = match (ask::unit(params, &units)?, ask::interval(params)?) {
        (Some(_), Some(_)) => return Err(bad("give either unit or interval")),
        (Some(unit), None) => ask::buckets(range, unit)?,
        (None, days) => ask::buckets_of_days(range, days.unwrap_or(1))?,
    };
    let limit = ask::limit(params, 255, 10_000)?;
    let (on, filter) = (ask::expression(params, "on")?, ask::expression(params, "where")?);
    let saved = find(id).ok_or_else(|| not_found(format!("no funnel with id {id}")))?;
    let window_ms = window(call, saved)?;
    let scope = wide_scope(call.app, range, window_ms);
    let steps = saved.steps.iter().map(|name| Step { name: scope.event(name), filter: None }).collect();
    let segmented = on.is_some();
    let funnel = Funnel {
        steps,
        filter: filter.map(|filter| Box::new(scope.bind(filter)) as _),
        on: on.map(|on| On::Expression(scope.bind(on))),
        window_ms,
    };
    let counted = funnel.count(&scope, &buckets)?;
    let dates: Vec<String> = buckets.iter().map(|&bucket| Unit::Day.label(bucket)).collect();
    let mut data = Map::new();
    let kept = if segmented { top_segments(&counted, limit) } else { Vec::new() };
    for (date, counted) in dates.iter().zip(&counted) {
        let value = if segmented {
            let mut segments = Map::new();
            segments.insert("$overall".to_owned(), steps_json(saved, &counted.overall));
            for key in &kept {
                let none = vec![Reached::default(); saved.steps.len()];
                let steps = counted.segments.get(key).unwrap_or(&none);
                segments.insert(key.clone(), steps_json(saved, steps));
            }
            Value::Object(segments)
        } else {
            json!({
                "steps": steps_json(saved, &counted.overall),
                "analysis": analysis(&counted.overall),
            })
        };
        data.insert(date.clone(), value);
    }
    let computed_at = super::computed_at(call.app);
    Ok(Answer::json(&json!({"computed_at": computed_at, "meta": {"dates": dates}, "data": data})))
}

/// The events of a range, of the time after it in which users may convert, and of the moments before it in which
/// a step may have come too early.
pub(super) fn wide_scope(app: &App, range: Range, window_ms: i64) -> Scope<'_> {
    let (from, to) = (range.from.saturating_sub(1.day()), (window_ms / DAY_MS + 1).days());
    Scope::reaching(app, range, from, range.to.saturating_add(to))
}

/// The conversion window; what the query does not say is as saved.
fn window(call: &Call<'_>, saved: &Saved) -> Result<i64, Refusal> {
    let words = [("second", 1000), ("minute", 60_000), ("hour", HOUR_MS), ("day", DAY_MS)];
    let unit = call.params.choice("length_unit", &words)?.unwrap_or(DAY_MS);
    let length = call.params.integer("length")?.unwrap_or(saved.days);
    let window = length.checked_mul(unit).filter(|window| (1..=MOST_DAYS * DAY_MS).contains(window));
    window.ok_or_else(|| bad(format!("length must be positive and not greater than {MOST_DAYS} days")))
}

/// The segments that most users began in, over all buckets.
fn top_segments(counted: &[Counted], limit: usize) -> Vec<String> {
    let segments = counted.iter().flat_map(|counted| &counted.segments);
    segment::largest(segments.map(|(key, steps)| (key.as_str(), steps[0].count)), limit)
}

fn steps_json(saved: &Saved, steps: &Steps) -> Value {
    let mut previous = steps[0].count;
    let list = steps.iter().zip(saved.steps).enumerate().map(|(index, (step, name))| {
        let ratio = |of: u64| if of == 0 { 0.0 } else { step.count as f64 / of as f64 };
        let seconds = |total: i64| match (index, step.count) {
            (0, _) | (_, 0) => Value::Null,
            (_, count) => json!((total as f64 / 1000.0 / count as f64).round() as i64),
        };
        let json = json!({
            "count": step.count,
            "avg_time": seconds(step.from_previous),
            "avg_time_from_start": seconds(step.from_start),
            "step_conv_ratio": if index == 0 { 1.0 } else { ratio(previous) },
            "overall_conv_ratio": if index == 0 { 1.0 } else { ratio(steps[0].count) },
            "goal": name,
            "event": name,
            "step_label": name,
        });
        previous = step.count;
        json
    });
    Value::Array(list.collect())
}

fn analysis(steps: &Steps) -> Value {
    // The step that the largest share of users did not reach.
    let lost = |index: usize| {
        let before = steps[index - 1].count;
        if before == 0 { 0.0 } else { 1.0 - steps[index].count as f64 / before as f64 }
    };
    let worst =
        (1..steps.len()).fold(1, |worst, index| if lost(index) > lost(worst) { index } else { worst });
    json!({
        "completion": steps[steps.len() - 1].count,
        "starting_amount": steps[0].count,
        "steps": steps.len(),
        "worst": worst,
    })
}
