//! Bookmarks: definitions of reports, saved ones and those that come with a request.
//!
//! In: JSON as the web application writes it. Out: what is to be counted. Reading is strict, as the real server's
//! is; what the simulator cannot compute is an error rather than left out.

pub(in crate::query) mod fields;
pub(in crate::query) mod filter;
mod metric;

use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::Value;

use self::fields::Fields;
use self::filter::{Filters, of_user, wrong};
pub(in crate::query) use self::metric::{
    EventMetric, FunnelMetric, Math, Metric, RetentionMetric, StepDefinition,
};
use super::ask;
use super::scope::Range;
use super::time::Unit;
use crate::api::Refusal;
use crate::app::App;

/// A report to be counted.
#[derive(Debug)]
pub(in crate::query) struct Report {
    pub(in crate::query) metrics: Vec<Metric>,
    pub(in crate::query) filter: Filters,
    pub(in crate::query) groups: Vec<Group>,
    pub(in crate::query) range: Range,
    pub(in crate::query) unit: Unit,
    /// One number for the whole range, rather than one for each unit.
    pub(in crate::query) whole: bool,
}

/// A breakdown by a property.
#[derive(Debug, Clone)]
pub(in crate::query) struct Group {
    pub(in crate::query) property: String,
    pub(in crate::query) of_user: bool,
    /// The width of ranges of numbers.
    pub(in crate::query) width: Option<f64>,
}

/// Charts that show one number for the whole range.
const WHOLE: [&str; 8] = [
    "bar",
    "pie",
    "table",
    "insights-metric",
    "metric",
    "bar-stacked",
    "funnel-steps",
    "funnel-steps-metric",
];
const BY_TIME: [&str; 10] = [
    "line",
    "stacked-line",
    "column",
    "stacked-column",
    "funnel-trend",
    "retention-curve",
    "retention-table",
    "retention-trend",
    "retention-trend-metric",
    "line-retention",
];

impl Report {
    pub(in crate::query) fn read(app: &App, bookmark: &Value) -> Result<Report, Refusal> {
        let display =
            ["columnWidths", "sorting", "legend", "queryLimits", "title", "projectId", "plotOptions"];
        let fields = Fields::read(
            bookmark,
            "bookmark",
            &["sections", "displayOptions"],
            &display,
            &["timeComparison"],
        )?;
        let known = ["show", "filter", "group", "time", "filtersDeterminer"];
        let unsupported = ["formula", "cohorts", "group_by", "globalDataGroupId", "metricLevelDataGroups"];
        let sections =
            Fields::read(fields.get("sections"), fields.path("sections"), &known, &[], &unsupported)?;
        let metrics: Vec<Metric> = sections
            .list("show")?
            .into_iter()
            .map(|(path, value)| Metric::read(path, value))
            .collect::<Result<_, _>>()?;
        if metrics.is_empty() {
            return Err(sections.error("show", "must have at least one entry"));
        }
        let groups = sections
            .list("group")?
            .into_iter()
            .map(|(path, value)| Group::read(path, value))
            .collect::<Result<_, _>>()?;
        let (range, unit) = time(app, &sections)?;
        let whole = chart(&fields)?;
        Ok(Report { metrics, filter: Filters::read(&sections, "filter")?, groups, range, unit, whole })
    }
}

impl Group {
    fn read(path: String, value: &Value) -> Result<Group, Refusal> {
        let known = ["value", "propertyName", "resourceType", "customBucket"];
        let display = [
            "propertyType",
            "propertyDefaultType",
            "dataset",
            "search",
            "profileType",
            "isHidden",
            "dataGroupId",
        ];
        let unsupported = [
            "typeCast",
            "unit",
            "customProperty",
            "customPropertyId",
            "cohorts",
            "behavior",
            "listItemGroup",
            "joinPropertyType",
        ];
        let fields = Fields::read(value, path, &known, &display, &unsupported)?;
        let name = match fields.text("propertyName")? {
            Some(name) => name,
            None => fields.required("value")?,
        };
        let width = match fields.get("customBucket") {
            Value::Null => None,
            bucket => {
                let path = fields.path("customBucket");
                let bucket = Fields::read(
                    bucket,
                    path,
                    &["bucketSize"],
                    &[],
                    &["min", "max", "disabled", "offset", "groups", "unit"],
                )?;
                match bucket.get("bucketSize").as_f64().filter(|size| *size > 0.0) {
                    Some(size) => Some(size),
                    None => return Err(bucket.error("bucketSize", "must be a positive number")),
                }
            }
        };
        Ok(Group { property: name.to_owned(), of_user: of_user(&fields)?, width })
    }
}

/// The range and the unit of the time section.
fn time(app: &App, sections: &Fields<'_>) -> Result<(Range, Unit), Refusal> {
    let times = sections.list("time")?;
    let [(path, value)] = &times[..] else {
        return Err(sections.error("time", "must have exactly one entry"));
    };
    let known = ["dateRangeType", "unit", "window", "value"];
    let fields = Fields::read(value, path.clone(), &known, &[], &["sessionId"])?;
    let units =
        [Unit::Minute, Unit::Hour, Unit::Day, Unit::Week, Unit::Month].map(|unit| (unit.name(), unit));
    let unit = fields.choice("unit", &units)?.unwrap_or(Unit::Day);
    let date = |value: &Value| -> Result<Date, Refusal> {
        let text = value.as_str().ok_or_else(|| fields.error("value", "must be dates"))?;
        let text = text.get(..10).unwrap_or(text);
        crate::export::params::read_date("value", text)
    };
    let range = match (fields.required("dateRangeType")?, fields.get("value")) {
        ("between", Value::Array(ends)) if ends.len() == 2 => {
            ask::checked(app, date(&ends[0])?, date(&ends[1])?)?
        }
        ("between", _) => return Err(fields.error("value", "must be two dates")),
        ("since", value) => ask::checked(app, date(value)?, app.today())?,
        ("on", value) => ask::checked(app, date(value)?, date(value)?)?,
        ("in the last", _) => last(app, &fields)?,
        (other, _) => return Err(fields.error("dateRangeType", &format!("\"{other}\" is not supported"))),
    };
    Ok((range, unit))
}

fn last(app: &App, fields: &Fields<'_>) -> Result<Range, Refusal> {
    let window = Fields::read(fields.get("window"), fields.path("window"), &["unit", "value"], &[], &[])?;
    let count = window.integer("value")?.filter(|count| (1..=10_000).contains(count));
    let count = count.ok_or_else(|| window.error("value", "must be between 1 and 10000"))?;
    let units = [("day", 1), ("week", 7)];
    let days = match window.required("unit")? {
        "month" => {
            let from = app.today().saturating_sub(count.months());
            return ask::checked(app, from, app.today());
        }
        _ => window.choice("unit", &units)?.unwrap_or(1) * count,
    };
    let range = ask::last_days(app, days);
    ask::checked(app, range.from, range.to)
}

/// Whether the chart shows one number for the whole range.
fn chart(fields: &Fields<'_>) -> Result<bool, Refusal> {
    if fields.get("displayOptions").is_null() {
        return Ok(false);
    }
    let display = [
        "plotStyle",
        "value",
        "primaryYAxisOptions",
        "secondaryYAxisOptions",
        "axisAssignment",
        "statSigControl",
        "annotations",
        "comments",
        "segments",
        "formatting",
        "funnelStepsSelectedTableColumns",
    ];
    let path = fields.path("displayOptions");
    let options = Fields::read(
        fields.get("displayOptions"),
        path,
        &["chartType", "analysis"],
        &display,
        &["rollingWindowSize", "timeComparison"],
    )?;
    if let Some(analysis) = options.text("analysis")?
        && analysis != "linear"
    {
        return Err(options.error("analysis", "only linear is supported by the simulator"));
    }
    match options.text("chartType")? {
        None => Ok(false),
        Some(chart) if WHOLE.contains(&chart) => Ok(true),
        Some(chart) if BY_TIME.contains(&chart) => Ok(false),
        Some(chart) => Err(wrong(&options.path("chartType"), &format!("\"{chart}\" is not supported"))),
    }
}
