//! Funnels and retention as insights show them; they are counted like those of `/funnels` and `/retention`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::ask;
use super::super::bookmark::filter::BoundFilters;
use super::super::bookmark::{FunnelMetric, Report, RetentionMetric, StepDefinition};
use super::super::funnel::count::{Counted, Funnel, Reached, Step, Steps};
use super::super::retention::count::{Cohort, Name, Retention, Wanted};
use super::super::retention::wide_scope;
use super::super::scope::{Keep, On, Scope};
use super::{Output, moment};
use crate::api::{Refusal, bad};
use crate::app::App;
use crate::events::{Event, Shard};

/// Retention is shown for as many intervals as the range has, up to this many.
const MOST_INTERVALS: i64 = 90;

type Measure = fn(&Steps, usize) -> Value;

pub(super) fn funnel(
    app: &App,
    report: &Report,
    metric: &FunnelMetric,
    output: &mut Output,
) -> Result<(), Refusal> {
    let scope = super::super::funnel::wide_scope(app, report.range, metric.window_ms);
    let steps = metric.steps.iter().map(|step| Step {
        name: scope.event(&step.event),
        filter: Some(Box::new(step.filters.bind(&scope)) as _),
    });
    let funnel = Funnel {
        steps: steps.collect(),
        filter: Some(Box::new(report.filter.bind(&scope))),
        on: group(&scope, report)?,
        window_ms: metric.window_ms,
    };
    let (buckets, labels) = buckets(app, report)?;
    let counted = funnel.count(&scope, &buckets)?;
    output.headers = vec!["$funnel".to_owned()];
    output.headers.extend(report.groups.iter().map(|group| group.property.clone()));

    let mut totals: BTreeMap<String, f64> = BTreeMap::new();
    for (key, steps) in counted.iter().flat_map(|counted| &counted.segments) {
        *totals.entry(key.clone()).or_default() += steps[0].count as f64;
    }
    let segments = output.keep(totals.into_iter().collect());
    let measures: [(&str, Measure); 5] = [
        ("count", |steps, index| json!(steps[index].count)),
        ("step_conv_ratio", |steps, index| ratio(steps, index, index.saturating_sub(1))),
        ("overall_conv_ratio", |steps, index| ratio(steps, index, 0)),
        ("avg_time", |steps, index| seconds(&steps[index], steps[index].from_previous)),
        ("avg_time_from_start", |steps, index| seconds(&steps[index], steps[index].from_start)),
    ];
    let none = vec![Reached::default(); metric.steps.len()];
    let mut series = Map::new();
    for (name, measure) in measures {
        let mut by_step = Map::new();
        for (index, step) in metric.steps.iter().enumerate() {
            let over_time = |steps: &dyn Fn(&Counted) -> Steps| -> Value {
                let values = counted
                    .iter()
                    .zip(&labels)
                    .map(|(counted, label)| (label.clone(), measure(&steps(counted), index)));
                Value::Object(values.collect())
            };
            let overall = over_time(&|counted| counted.overall.clone());
            let value = if report.groups.is_empty() {
                overall
            } else {
                let mut by_segment = Map::new();
                by_segment.insert("$overall".to_owned(), overall);
                for key in &segments {
                    let own = over_time(&|counted| counted.segments.get(key).unwrap_or(&none).clone());
                    by_segment.insert(key.clone(), own);
                }
                Value::Object(by_segment)
            };
            by_step.insert(format!("{}. {}", index + 1, step.event), value);
        }
        series.insert(name.to_owned(), Value::Object(by_step));
    }
    let (first, last) = (&metric.steps[0].event, &metric.steps[metric.steps.len() - 1].event);
    output.series.insert(format!("{first} through {last}"), Value::Object(series));
    Ok(())
}

/// The cohorts of a report, and the moments at which their buckets begin.
pub(in crate::query) fn cohorts(
    app: &App,
    report: &Report,
    metric: &RetentionMetric,
) -> Result<(Vec<i64>, Vec<Cohort>), Refusal> {
    let buckets = ask::buckets(report.range, metric.unit)?;
    let intervals = (buckets.len() as i64).min(MOST_INTERVALS) as usize + 1;
    let scope = wide_scope(app, report.range, metric.unit, intervals as i64);
    let wanted = |step: &StepDefinition| Wanted {
        name: Name::Only(scope.event(&step.event)),
        filter: Some(Box::new(And(step.filters.bind(&scope), report.filter.bind(&scope))) as _),
    };
    let retention = Retention {
        born: wanted(if metric.compounded { &metric.returned } else { &metric.born }),
        returned: wanted(&metric.returned),
        compounded: metric.compounded,
        unit: metric.unit,
        interval: 1,
        intervals,
        unbounded: metric.unbounded,
        on: group(&scope, report)?,
    };
    let cohorts = retention.count(&scope, &buckets)?;
    Ok((buckets, cohorts))
}

pub(super) fn retention(
    app: &App,
    report: &Report,
    metric: &RetentionMetric,
    output: &mut Output,
) -> Result<(), Refusal> {
    let (buckets, cohorts) = cohorts(app, report, metric)?;
    output.headers = vec!["$retention".to_owned()];
    output.headers.extend(report.groups.iter().map(|group| group.property.clone()));
    let mut totals: BTreeMap<String, f64> = BTreeMap::new();
    for (key, counts) in cohorts.iter().flat_map(|cohort| &cohort.segments) {
        *totals.entry(key.clone()).or_default() += counts.iter().sum::<u64>() as f64;
    }
    let segments = output.keep(totals.into_iter().collect());
    let mut series = Map::new();
    for (&bucket, cohort) in buckets.iter().zip(&cohorts) {
        let numbers = |counts: &[u64]| {
            let rate =
                |&count: &u64| if cohort.first == 0 { 0.0 } else { count as f64 / cohort.first as f64 };
            let rates: Vec<f64> = counts.iter().map(rate).collect();
            json!({"first": cohort.first, "counts": counts, "rates": rates})
        };
        let mut by_segment = Map::new();
        by_segment.insert("$overall".to_owned(), numbers(&cohort.counts));
        for key in &segments {
            let none = vec![0; cohort.counts.len()];
            by_segment.insert(key.clone(), numbers(cohort.segments.get(key).unwrap_or(&none)));
        }
        series.insert(moment(app, bucket), Value::Object(by_segment));
    }
    let name = format!("{} and then {}", metric.born.event, metric.returned.event);
    output.series.insert(name, Value::Object(series));
    Ok(())
}

/// Two sets of filters that must both keep an event.
struct And<'a>(BoundFilters<'a>, BoundFilters<'a>);

impl Keep for And<'_> {
    fn keeps(&self, shard: &Shard, event: &Event) -> Result<bool, Refusal> {
        Ok(self.0.keep(shard, event) && self.1.keep(shard, event))
    }
}

fn buckets(app: &App, report: &Report) -> Result<(Vec<i64>, Vec<String>), Refusal> {
    if report.whole {
        return Ok((vec![report.range.start()], vec!["all".to_owned()]));
    }
    let buckets = ask::buckets(report.range, report.unit)?;
    let labels = buckets.iter().map(|&bucket| moment(app, bucket)).collect();
    Ok((buckets, labels))
}

/// The one group that these reports can have.
fn group<'a>(scope: &Scope<'a>, report: &Report) -> Result<Option<On<'a>>, Refusal> {
    match &report.groups[..] {
        [] => Ok(None),
        [group] if group.width.is_none() => {
            Ok(Some(On::Property(scope.property_of(&group.property, group.of_user))))
        }
        _ => Err(bad("bookmark.sections.group: the simulator supports one group without ranges here")),
    }
}

fn ratio(steps: &Steps, index: usize, of: usize) -> Value {
    match (index, steps[of].count) {
        (0, _) => json!(1.0),
        (_, 0) => json!(0.0),
        (_, count) => json!(steps[index].count as f64 / count as f64),
    }
}

fn seconds(step: &Reached, total: i64) -> Value {
    if step.count == 0 { json!(0) } else { json!(total as f64 / 1000.0 / step.count as f64) }
}
