//! Saved funnels (funnels reference).

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{MOST_SEGMENTS, check_given, check_unit, invalid, set};
use crate::api::ApiRequest;
use crate::client::Client;
use crate::days;
use crate::discovery::FunnelInfo;
use crate::error::{ErrorKind, Result};
use crate::expression::breakdown;
use crate::table::{Columns, Tabular};
use crate::words::{TimeUnit, words};

words! {
    /// The unit of the time that users have to complete a funnel.
    LengthUnit, "unit of the funnel's length", {
        /// Seconds.
        Second = "second",
        /// Minutes.
        Minute = "minute",
        /// Hours.
        Hour = "hour",
        /// Days.
        Day = "day",
    }
}

/// The longest that users may have: 90 days.
const LONGEST: u64 = 90 * 86_400;

/// How many users went how far in a saved funnel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunnelQuery {
    /// The number of the funnel, see [`Client::funnels`].
    pub funnel_id: u64,
    /// The first day on which users may enter, in the project's time zone.
    pub from: Date,
    /// The last day on which users may enter; they may complete it later.
    pub to: Date,
    /// The length of a bucket: day, week or month; a day unless set.
    pub unit: Option<TimeUnit>,
    /// A property, or an expression, to break down by.
    pub on: Option<String>,
    /// An expression that events must fulfil.
    pub where_: Option<String>,
    /// How long users have to complete it, up to 90 days; as saved unless set.
    pub length: Option<(u32, LengthUnit)>,
    /// The most segments, 1 to 10,000; only together with `on`. Mixpanel's own limit is 255.
    pub limit: Option<u32>,
}

impl FunnelQuery {
    /// A range of days.
    pub fn new(funnel_id: u64, from: Date, to: Date) -> Self {
        Self { funnel_id, from, to, unit: None, on: None, where_: None, length: None, limit: None }
    }

    fn check(&self) -> Result<()> {
        days::check(self.from, self.to)?;
        days::check_limit(self.limit, MOST_SEGMENTS)?;
        check_given(&self.on, "the breakdown (`on`)")?;
        check_given(&self.where_, "the expression `where`")?;
        if let Some(unit) = self.unit {
            check_unit(unit, &[TimeUnit::Day, TimeUnit::Week, TimeUnit::Month], "a funnel")?;
        }
        if self.limit.is_some() && set(&self.on).is_none() {
            return invalid("a limit is about segments, and nothing is broken down (`on`)".to_owned());
        }
        if let Some((length, unit)) = self.length {
            let seconds = match unit {
                LengthUnit::Second => 1,
                LengthUnit::Minute => 60,
                LengthUnit::Hour => 3_600,
                LengthUnit::Day => 86_400,
            };
            if length == 0 || u64::from(length) * seconds > LONGEST {
                return invalid(format!("a funnel may last up to 90 days, not {length} {unit}s"));
            }
        }
        Ok(())
    }
}

/// A step of a funnel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FunnelStep {
    /// Its place, from 1.
    pub step: u32,
    /// The event, or the label of a custom event.
    pub event: String,
    /// Users that came this far, added up over the dates on which they entered.
    pub count: u64,
    /// Of the users of the step before, the part that came this far; 1 for the first step.
    pub conversion_rate: f64,
    /// Of the users of the first step, the part that came this far.
    pub overall_conversion_rate: f64,
    /// Seconds from the step before, on average over users, where Mixpanel tells.
    pub avg_time: Option<f64>,
    /// Seconds from the first step, on average over users, where Mixpanel tells.
    pub avg_time_from_start: Option<f64>,
}

/// How many users went how far.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FunnelResult {
    /// The number of the funnel.
    pub funnel_id: u64,
    /// Its name, if [`Client::funnels`] has been asked before.
    pub funnel_name: Option<String>,
    /// The first day.
    pub from_date: Date,
    /// The last day.
    pub to_date: Date,
    /// What it was broken down by, as given.
    pub segment_property: Option<String>,
    /// Of the users of the first step, the part that completed it; 0 if nobody entered.
    pub conversion_rate: f64,
    /// The steps over all dates and segments.
    pub steps: Vec<FunnelStep>,
    /// The steps by segment, over all dates; empty without a breakdown.
    pub segments: BTreeMap<String, Vec<FunnelStep>>,
    /// The steps by the date on which users entered, over all segments.
    pub dates: BTreeMap<String, Vec<FunnelStep>>,
}

impl Tabular for FunnelResult {
    /// `step`, `event`, `count`, `conversion_rate` and more; with a breakdown, `segment` before them.
    fn to_batch(&self) -> arrow::record_batch::RecordBatch {
        let mut rows: Vec<(&str, &FunnelStep)> = Vec::new();
        if self.segments.is_empty() {
            rows.extend(self.steps.iter().map(|step| ("", step)));
        }
        for (segment, steps) in &self.segments {
            rows.extend(steps.iter().map(|step| (&**segment, step)));
        }
        let columns = match self.segment_property {
            Some(_) => Columns::new().text("segment", rows.iter().map(|row| row.0)),
            None => Columns::new(),
        };
        columns
            .count("step", rows.iter().map(|row| u64::from(row.1.step)))
            .text("event", rows.iter().map(|row| row.1.event.as_str()))
            .count("count", rows.iter().map(|row| row.1.count))
            .number("conversion_rate", rows.iter().map(|row| Some(row.1.conversion_rate)))
            .number("overall_conversion_rate", rows.iter().map(|row| Some(row.1.overall_conversion_rate)))
            .number("avg_time", rows.iter().map(|row| row.1.avg_time))
            .number("avg_time_from_start", rows.iter().map(|row| row.1.avg_time_from_start))
            .finish()
    }
}

#[derive(Deserialize)]
struct Answer {
    data: BTreeMap<String, BTreeMap<String, Value>>,
}

#[derive(Clone, Debug, Deserialize)]
struct RawStep {
    count: u64,
    #[serde(default)]
    event: Option<String>,
    #[serde(default)]
    goal: Option<String>,
    #[serde(default)]
    step_label: Option<String>,
    #[serde(default)]
    custom_event: bool,
    #[serde(default)]
    avg_time: Option<f64>,
    #[serde(default)]
    avg_time_from_start: Option<f64>,
}

/// The key of all segments together.
const OVERALL: &str = "$overall";

impl Client {
    /// Asks how many users went how far in a saved funnel, by date and segment.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for a question that cannot be right;
    /// [`NotFound`](crate::ErrorKind::NotFound) or [`BadRequest`](crate::ErrorKind::BadRequest) for a
    /// funnel that is not there; those of [`Client::json`].
    pub fn funnel(&self, query: &FunnelQuery) -> Result<FunnelResult> {
        query.check()?;
        let on = set(&query.on);
        let request = ApiRequest::query("funnels")
            .param("funnel_id", query.funnel_id)
            .param("from_date", query.from)
            .param("to_date", query.to)
            .maybe("unit", query.unit)
            .maybe("on", on.map(breakdown))
            .maybe("where", set(&query.where_))
            .maybe("length", query.length.map(|(length, _)| length))
            .maybe("length_unit", query.length.map(|(_, unit)| unit))
            .maybe("limit", query.limit);
        let answer: Answer = self.json(&request)?;
        let funnels: Option<Vec<FunnelInfo>> = self.known.get("funnels");
        let named = |funnel: &&FunnelInfo| funnel.funnel_id == query.funnel_id;
        let name = funnels.and_then(|funnels| Some(funnels.iter().find(named)?.name.clone()));
        result(query, name, answer)
    }
}

fn result(query: &FunnelQuery, funnel_name: Option<String>, answer: Answer) -> Result<FunnelResult> {
    let segmented = set(&query.on).is_some();
    let mut overall = Vec::new();
    let mut segments: BTreeMap<String, Vec<RawStep>> = BTreeMap::new();
    let mut dates = BTreeMap::new();
    for (date, content) in answer.data {
        let mut of_date = Vec::new();
        if segmented || content.contains_key(OVERALL) {
            for (segment, steps) in content {
                let steps = raw_steps(steps)?;
                if segment == OVERALL {
                    of_date = steps;
                } else {
                    add(segments.entry(segment).or_default(), &steps);
                }
            }
        } else if let Some(steps) = content.into_iter().find(|(key, _)| key == "steps") {
            of_date = raw_steps(steps.1)?;
        }
        add(&mut overall, &of_date);
        dates.insert(date, finished(&of_date));
    }
    let steps = finished(&overall);
    Ok(FunnelResult {
        funnel_id: query.funnel_id,
        funnel_name,
        from_date: query.from,
        to_date: query.to,
        segment_property: set(&query.on).map(str::to_owned),
        conversion_rate: steps.last().map_or(0.0, |last| last.overall_conversion_rate),
        steps,
        segments: segments.into_iter().map(|(segment, steps)| (segment, finished(&steps))).collect(),
        dates,
    })
}

fn raw_steps(steps: Value) -> Result<Vec<RawStep>> {
    let snippet: String = steps.to_string().chars().take(200).collect();
    serde_json::from_value(steps).map_err(|error| {
        ErrorKind::UnexpectedAnswer { what: format!("the steps of a funnel: {error}"), snippet }.into()
    })
}

/// Adds the users of one date to those of others. Times are means, weighted by users.
fn add(sum: &mut Vec<RawStep>, steps: &[RawStep]) {
    for (place, step) in steps.iter().enumerate() {
        let Some(total) = sum.get_mut(place) else {
            sum.push(step.clone());
            continue;
        };
        let mean = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) if total.count + step.count > 0 => {
                let (m, n) = (total.count as f64, step.count as f64);
                Some((a * m + b * n) / (m + n))
            }
            // A date on which nobody came this far has no time, or says 0.
            (a, b) => {
                if total.count == 0 {
                    b.or(a)
                } else {
                    a.or(b)
                }
            }
        };
        let times =
            (mean(total.avg_time, step.avg_time), mean(total.avg_time_from_start, step.avg_time_from_start));
        (total.avg_time, total.avg_time_from_start) = times;
        total.count += step.count;
    }
}

fn finished(steps: &[RawStep]) -> Vec<FunnelStep> {
    let rate = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let first = steps.first().map_or(0, |step| step.count);
    let finish = |(place, step): (usize, &RawStep)| FunnelStep {
        step: u32::try_from(place + 1).unwrap_or(u32::MAX),
        event: name(step),
        count: step.count,
        conversion_rate: if place == 0 { 1.0 } else { rate(step.count, steps[place - 1].count) },
        overall_conversion_rate: if place == 0 && first > 0 { 1.0 } else { rate(step.count, first) },
        avg_time: step.avg_time.filter(|_| place > 0),
        avg_time_from_start: step.avg_time_from_start.filter(|_| place > 0),
    };
    steps.iter().enumerate().map(finish).collect()
}

fn name(step: &RawStep) -> String {
    let label = step.step_label.as_ref().filter(|_| step.custom_event);
    label.or(step.event.as_ref()).or(step.goal.as_ref()).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use serde_json::json;

    fn query() -> FunnelQuery {
        FunnelQuery::new(7, date(2024, 1, 1), date(2024, 1, 2))
    }

    fn read(query: &FunnelQuery, answer: Value) -> FunnelResult {
        result(query, None, serde_json::from_value(answer).unwrap()).unwrap()
    }

    #[test]
    fn dates_are_added_up_and_times_weighted_by_users() {
        let day = |first: u64, second: u64, time: Value| {
            json!({"steps": [
                {"count": first, "avg_time": null, "goal": "Open", "event": "Open"},
                {"count": second, "avg_time": time, "avg_time_from_start": time, "custom_event": true,
                 "step_label": "Played", "goal": "$custom_event:1", "event": "$custom_event:1"}],
                "analysis": {"completion": second}})
        };
        let answer = json!({"meta": {}, "data": {
            "2024-01-02": day(10, 3, json!(10)), "2024-01-01": day(30, 1, json!(50)), "2024-01-03": day(0, 0, Value::Null)}});
        let result = read(&query(), answer);
        assert_eq!(result.steps.iter().map(|step| step.count).collect::<Vec<_>>(), [40, 4]);
        assert_eq!((result.conversion_rate, result.steps[0].conversion_rate), (0.1, 1.0));
        assert_eq!((result.steps[1].event.as_str(), result.steps[1].avg_time), ("Played", Some(20.0)));
        assert_eq!(result.dates.keys().collect::<Vec<_>>(), ["2024-01-01", "2024-01-02", "2024-01-03"]);
        assert_eq!(result.dates["2024-01-03"][1].conversion_rate, 0.0);
        assert_eq!(result.to_batch().num_rows(), 2);
    }

    #[test]
    fn segments_are_kept() {
        let steps = |first: u64, second: u64| json!([{"count": first, "event": "a"}, {"count": second, "event": "b"}]);
        let mut query = query();
        query.on = Some("browser".into());
        let answer = json!({"data": {
            "2024-01-01": {"$overall": steps(9, 3), "Chrome": steps(5, 2), "steps": steps(4, 1)},
            "2024-01-02": {"$overall": steps(1, 1), "Chrome": steps(1, 1)}}});
        let result = read(&query, answer);
        assert_eq!(result.steps[1].count, 4);
        assert_eq!(result.segments["Chrome"][0].count, 6);
        assert_eq!(result.segments["steps"][1].count, 1, "a value may have any name");
        let batch = result.to_batch();
        assert_eq!((batch.num_rows(), batch.schema().field(0).name().as_str()), (4, "segment"));
    }

    #[test]
    fn nobody_is_a_result() {
        let result = read(&query(), json!({"data": {}}));
        assert_eq!((result.conversion_rate, result.steps.len()), (0.0, 0));
        assert_eq!(result.to_batch().num_rows(), 0);
    }
}
