//! `/insights`: reports that are saved or come with the request.

pub(super) mod behaviors;
mod numbers;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::bookmark::{Metric, Report};
use super::saved::{self, Kind};
use super::scope::Range;
use super::time::clock_of;
use crate::api::params::missing;
use crate::api::{Answer, Call, Refusal, bad, not_found};
use crate::app::App;

/// How many segments there are at most, unless the request says otherwise.
const SEGMENTS: usize = 3000;

/// A saved report (`bookmark_id`), or one that comes along (`bookmark`).
pub(super) fn insights(call: &Call<'_>) -> Result<Answer, Refusal> {
    let params = call.params;
    let bookmark = match (params.json("bookmark")?, params.integer("bookmark_id")?) {
        (Some(bookmark), _) => bookmark,
        (None, Some(id)) => match saved::find(id) {
            Some(report) if report.kind != Kind::Flows => report.params,
            Some(_) => return Err(bad("this report is a flow, ask /arb_funnels for it")),
            None => return Err(not_found(format!("no report with bookmark_id {id}"))),
        },
        (None, None) => return Err(missing("bookmark_id")),
    };
    let limit = match params.json("queryLimits")? {
        None => SEGMENTS,
        Some(limits) => match limits["limit"].as_u64() {
            Some(limit @ 1..=10_000) => limit as usize,
            _ => return Err(bad("queryLimits.limit: must be between 1 and 10000")),
        },
    };
    let report = Report::read(call.app, &bookmark)?;
    let mut output = Output { limit, limit_hit: false, headers: Vec::new(), series: Map::new() };
    match &report.metrics[..] {
        [Metric::Funnel(funnel)] => behaviors::funnel(call.app, &report, funnel, &mut output)?,
        [Metric::Retention(retention)] => behaviors::retention(call.app, &report, retention, &mut output)?,
        metrics => {
            let events = metrics.iter().map(|metric| match metric {
                Metric::Event(event) => Ok(event),
                // What is wrong with the whole is told with status 200, as the real server does.
                _ => Err(Refusal::new(
                    StatusCode::OK,
                    "a funnel or retention cannot be shown beside other metrics",
                )),
            });
            numbers::events(call.app, &report, &events.collect::<Result<Vec<_>, _>>()?, &mut output)?;
        }
    }
    Ok(Answer::json(&json!({
        "computed_at": super::computed_at(call.app),
        "date_range": date_range(call.app, report.range),
        "headers": output.headers,
        "series": output.series,
        "meta": {
            "min_sampling_factor": 1.0,
            "is_segmentation_limit_hit": output.limit_hit,
            "sub_query_count": report.metrics.len(),
            "report_sections": {"show": report.metrics.len(), "group": report.groups.len()},
        },
    })))
}

/// What an answer is made of.
struct Output {
    limit: usize,
    limit_hit: bool,
    headers: Vec<String>,
    series: Map<String, Value>,
}

impl Output {
    /// The largest segments, as many as the limit allows, the largest first.
    fn keep<K: Ord>(&mut self, mut segments: Vec<(K, f64)>) -> Vec<K> {
        segments.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        self.limit_hit |= segments.len() > self.limit;
        segments.truncate(self.limit);
        segments.into_iter().map(|(key, _)| key).collect()
    }
}

/// A moment of the project's clock with its offset.
pub(super) fn moment(app: &App, wall: i64) -> String {
    clock_of(wall).to_zoned(app.events.zone().clone()).map_or_else(
        |_| clock_of(wall).to_string(),
        |zoned| zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
    )
}

fn date_range(app: &App, range: Range) -> Value {
    let end = moment(app, range.end() - 1000);
    let (clock, offset) = end.split_at(19);
    json!({"from_date": moment(app, range.start()), "to_date": format!("{clock}.999000{offset}")})
}
