//! The definition of a flow, read as strictly as other bookmarks.

use serde_json::Value;

use super::super::ask;
use super::super::bookmark::fields::Fields;
use super::super::bookmark::filter::{Filter, Filters};
use super::super::scope::Range;
use super::super::time::{DAY_MS, HOUR_MS};
use crate::api::Refusal;
use crate::app::App;

/// What is looked for.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) anchor: String,
    /// How many events after the anchor, and before it.
    pub(super) forward: i64,
    pub(super) reverse: i64,
    pub(super) range: Range,
    /// How far from the anchor events may be, in milliseconds.
    pub(super) window_ms: i64,
    /// Each user's first anchor only.
    pub(super) unique: bool,
    pub(super) count_type: &'static str,
    /// How many events are told apart at a position.
    pub(super) cardinality: usize,
    pub(super) collapse_repeated: bool,
    /// Events that are looked past.
    pub(super) hidden: Vec<String>,
    pub(super) filters: Filters,
}

impl Flow {
    pub(super) fn read(app: &App, bookmark: &Value) -> Result<Flow, Refusal> {
        let known = [
            "steps",
            "date_range",
            "count_type",
            "cardinality_threshold",
            "conversion_window",
            "collapse_repeated",
            "hidden_events",
            "exclusions",
            "where",
        ];
        let display = [
            "chartType",
            "flows_merge_type",
            "version",
            "anchor_position",
            "alignment",
            "show_custom_events",
        ];
        let unsupported = [
            "segment_by",
            "group_by",
            "segments",
            "filter_by_cohort",
            "filter_by_event",
            "data_group_id",
            "property_filter_params_list",
        ];
        let fields = Fields::read(bookmark, "bookmark", &known, &display, &unsupported)?;
        let steps = fields.list("steps")?;
        let [(path, step)] = &steps[..] else {
            return Err(fields.error("steps", "the simulator supports exactly one step"));
        };
        let step = Fields::read(
            step,
            path.clone(),
            &["event", "forward", "reverse"],
            &["step_label", "bool_op"],
            &["property_filter_params_list", "session_event", "custom_event_id"],
        )?;
        let hops = |name| match step.integer(name)?.unwrap_or(0) {
            hops @ 0..=5 => Ok(hops),
            _ => Err(step.error(name, "must be between 0 and 5")),
        };
        let (forward, reverse) = (hops("forward")?, hops("reverse")?);
        if forward + reverse == 0 {
            return Err(step.error("forward", "forward and reverse cannot both be 0"));
        }
        let counts = [("unique", "unique"), ("total", "total")];
        let count_type = fields.choice("count_type", &counts)?.unwrap_or("unique");
        let cardinality = match fields.integer("cardinality_threshold")?.unwrap_or(3) {
            limit @ 1..=50 => limit as usize,
            _ => return Err(fields.error("cardinality_threshold", "must be between 1 and 50")),
        };
        let mut hidden = texts(&fields, "hidden_events")?;
        hidden.extend(texts(&fields, "exclusions")?);
        let filters = fields.list("where")?.into_iter().map(|(path, value)| Filter::read_flat(path, value));
        Ok(Flow {
            anchor: step.required("event")?.to_owned(),
            forward,
            reverse,
            range: date_range(app, &fields)?,
            window_ms: window(&fields)?,
            unique: count_type == "unique",
            count_type,
            cardinality,
            collapse_repeated: fields.boolean("collapse_repeated")?,
            hidden,
            filters: Filters { list: filters.collect::<Result<_, _>>()?, any: false },
        })
    }
}

fn texts(fields: &Fields<'_>, name: &str) -> Result<Vec<String>, Refusal> {
    let text = |(_, value): (String, &Value)| {
        value.as_str().map(str::to_owned).ok_or_else(|| fields.error(name, "must be a list of event names"))
    };
    fields.list(name)?.into_iter().map(text).collect()
}

fn window(fields: &Fields<'_>) -> Result<i64, Refusal> {
    if fields.get("conversion_window").is_null() {
        return Ok(7 * DAY_MS);
    }
    let path = fields.path("conversion_window");
    let window = Fields::read(fields.get("conversion_window"), path, &["unit", "value"], &[], &[])?;
    let units = [
        ("second", 1000),
        ("minute", 60_000),
        ("hour", HOUR_MS),
        ("day", DAY_MS),
        ("week", 7 * DAY_MS),
        ("month", 30 * DAY_MS),
    ];
    let unit = window.choice("unit", &units)?.unwrap_or(DAY_MS);
    let count = window.integer("value")?.and_then(|value| value.checked_mul(unit));
    let within = count.filter(|count| (1..=367 * DAY_MS).contains(count));
    within.ok_or_else(|| window.error("value", "must be positive and at most 367 days"))
}

fn date_range(app: &App, fields: &Fields<'_>) -> Result<Range, Refusal> {
    let path = fields.path("date_range");
    let known = ["type", "from_date", "to_date"];
    let range = Fields::read(fields.get("date_range"), path, &known, &[], &["exclusion_offset"])?;
    match range.required("type")? {
        "between" => {
            let date = |name| crate::export::params::read_date(name, range.required(name)?);
            ask::checked(app, date("from_date")?, date("to_date")?)
        }
        "in the last" => {
            let last =
                Fields::read(range.get("from_date"), range.path("from_date"), &["unit", "value"], &[], &[])?;
            let unit = last.choice("unit", &[("day", 1), ("week", 7), ("month", 30)])?.unwrap_or(1);
            match last.integer("value")? {
                Some(count @ 1..=3650) => {
                    let days = ask::last_days(app, count * unit);
                    ask::checked(app, days.from, days.to)
                }
                _ => Err(last.error("value", "must be between 1 and 3650")),
            }
        }
        other => Err(range.error("type", &format!("\"{other}\" is not supported"))),
    }
}
