//! `engage/stats`: one figure about all selected profiles.

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::cohorts::Cohort;
use super::now_ms;
use super::params::Question;
use super::select::{Selection, members, select};
use crate::api::{Answer, Call, Refusal, bad};
use crate::expr::{Context, Expr, ExprError, Value};
use crate::profiles::Key;
use crate::world::in_parallel;

const CHUNK: usize = 2048;

/// What is to be found out.
#[derive(Debug, PartialEq)]
enum Action {
    Count,
    Extremes(Expr),
    Percentile(Expr, f64),
    NumericSummary(Expr),
}

pub(super) fn stats(call: &Call<'_>) -> Result<Answer, Refusal> {
    let app = call.app;
    let action = Action::read(&call.params.required("action")?).map_err(bad)?;
    let question = Question::read(call.params, app.events.world.profiles(), "selector")?;
    let segments = segments(call)?;
    let selection = select(&app.events, &question, now_ms(app))?;
    let results = match segments {
        None => action.compute(&selection)?,
        Some(cohorts) => {
            let mut results = Map::new();
            for cohort in cohorts {
                let snapshot = selection.snapshot.clone();
                let members = match question.subject == Some(cohort.subject()) {
                    true => members(&app.events, cohort, snapshot, now_ms(app))?,
                    false => Selection::nobody(snapshot),
                };
                let both = selection.within(&members);
                results.insert(format!("cohort_{}", cohort.id), action.compute(&both)?);
            }
            Json::Object(results)
        }
    };
    let computed_at = timestamp(app.clock.now());
    Ok(Answer::json(&json!({"results": results, "status": "ok", "computed_at": computed_at})))
}

fn timestamp(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
}

/// The cohorts of `segment_by_cohorts`, a map of ids to whether they are wanted.
fn segments(call: &Call<'_>) -> Result<Option<Vec<&'static Cohort>>, Refusal> {
    let Some(json) = call.params.json("segment_by_cohorts")? else { return Ok(None) };
    let map = json.as_object().ok_or_else(|| bad("segment_by_cohorts must be an object of ids"))?;
    let wanted = map.iter().filter(|(_, wanted)| **wanted == Json::Bool(true));
    let cohorts = wanted.map(|(id, _)| {
        let cohort = id.parse().ok().and_then(Cohort::find);
        cohort.ok_or_else(|| bad(format!("there is no cohort {id} in this project")))
    });
    cohorts.collect::<Result<Vec<_>, _>>().map(Some)
}

impl Action {
    fn read(text: &str) -> Result<Action, String> {
        let wrong = || {
            format!(
                "invalid action {text:?}: must be count(), extremes(…), percentile(…, n) or numeric_summary(…)"
            )
        };
        let (name, rest) = text.trim().split_once('(').ok_or_else(wrong)?;
        let arguments = rest.strip_suffix(')').ok_or_else(wrong)?.trim();
        let expression = |text: &str| Expr::parse(text).map_err(|error| format!("Invalid action: {error}"));
        match name.trim() {
            "count" if arguments.is_empty() => Ok(Action::Count),
            "extremes" => Ok(Action::Extremes(expression(arguments)?)),
            "numeric_summary" => Ok(Action::NumericSummary(expression(arguments)?)),
            "percentile" => {
                let (of, percent) = arguments.rsplit_once(',').ok_or_else(wrong)?;
                let percent = percent.trim().parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
                Ok(Action::Percentile(expression(of)?, percent.ok_or_else(wrong)?))
            }
            _ => Err(wrong()),
        }
    }

    fn compute(&self, selection: &Selection) -> Result<Json, ExprError> {
        Ok(match self {
            Action::Count => json!(selection.len()),
            Action::Extremes(of) => {
                let values = numbers(selection, of)?;
                json!({"max": values.last(), "min": values.first()})
            }
            Action::Percentile(of, percent) => {
                json!({"percentile": percent, "result": percentile(&numbers(selection, of)?, *percent)})
            }
            Action::NumericSummary(of) => summary(&numbers(selection, of)?),
        })
    }
}

/// The values that are numbers, ascending; others are passed over.
fn numbers(selection: &Selection, of: &Expr) -> Result<Vec<f64>, ExprError> {
    let chunks: Vec<&[Key]> = selection.keys.chunks(CHUNK).collect();
    let parts = in_parallel(&chunks, |chunk| {
        let mut values = Vec::new();
        for &key in *chunk {
            let properties = selection.snapshot.properties(key);
            let context = Context::new("", &properties).with_profile(Some(&properties));
            if let Value::Number(value) = of.evaluate(&context)? {
                values.push(value);
            }
        }
        Ok(values)
    });
    let mut values = parts.into_iter().collect::<Result<Vec<_>, ExprError>>()?.concat();
    values.sort_by(f64::total_cmp);
    Ok(values)
}

/// Between two values, the straight line from one to the other.
fn percentile(sorted: &[f64], percent: f64) -> Option<f64> {
    let place = percent / 100.0 * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (place.floor(), place.ceil());
    let (low, high) = (sorted[below as usize], sorted[above as usize]);
    Some(low + (high - low) * (place - below))
}

fn summary(values: &[f64]) -> Json {
    let count = values.len();
    let sum: f64 = values.iter().sum();
    let mean = (count > 0).then(|| sum / count as f64);
    let deviations = |mean: f64| values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let variance = mean.map(|mean| deviations(mean) / count as f64);
    let sum_of_squares: f64 = values.iter().map(|value| value * value).sum();
    json!({"count": count, "mean": mean, "variance": variance, "sum_of_squares": sum_of_squares})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions() {
        let x = Expr::parse(r#"properties["a,b"]"#).unwrap();
        assert_eq!(Action::read("count()").unwrap(), Action::Count);
        assert_eq!(Action::read(r#"extremes(properties["a,b"])"#).unwrap(), Action::Extremes(x.clone()));
        let percentile = Action::read(r#"percentile(properties["a,b"], 90)"#).unwrap();
        assert_eq!(percentile, Action::Percentile(x, 90.0));
        for wrong in ["count", "count(1)", "sum(1)", "percentile(1)", "percentile(1, 101)", "extremes("] {
            assert!(Action::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn figures() {
        let values = [1.0, 2.0, 3.0, 10.0];
        assert_eq!(percentile(&values, 50.0), Some(2.5));
        assert_eq!(percentile(&values, 100.0), Some(10.0));
        assert_eq!(percentile(&[], 50.0), None);
        let summary = summary(&values);
        assert_eq!(summary, json!({"count": 4, "mean": 4.0, "variance": 12.5, "sum_of_squares": 114.0}));
    }
}
