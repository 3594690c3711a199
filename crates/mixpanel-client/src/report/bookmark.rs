//! Reports as the JSON that Mixpanel's web application sends (shapes read from working clients, as
//! Mixpanel does not document them).

use serde_json::{Value, json};

use super::{
    Combine, EventSelector, Filter, FlowReport, FunnelReport, GroupBy, InsightsReport, Math, PropertyRef,
    RetentionReport, Subject, Test, TimeRange,
};
use crate::amount::Amount;
use crate::words::{CountType, TimeUnit};

impl InsightsReport {
    /// The bookmark of this report.
    pub fn to_bookmark(&self) -> Value {
        let show: Vec<Value> = self
            .metrics
            .iter()
            .map(|metric| {
                let mut behavior = selector(&metric.event);
                behavior["resourceType"] = json!("events");
                show(behavior, measurement(&metric.math))
            })
            .collect();
        let chart = if self.whole_range { "bar" } else { "line" };
        sections(show, &self.filters, self.combine, &self.group_by, &self.time, self.unit, chart)
    }
}

impl FunnelReport {
    /// The bookmark of this report.
    pub fn to_bookmark(&self) -> Value {
        let steps: Vec<Value> = self
            .steps
            .iter()
            .map(|step| {
                let mut step = selector(step);
                step["funnelOrder"] = json!(self.order);
                step
            })
            .collect();
        let exclusions: Vec<Value> = self
            .exclusions
            .iter()
            .map(|exclusion| {
                let to = exclusion.before.map_or(self.steps.len(), |before| before as usize);
                json!({"event": exclusion.event, "steps": {"from": exclusion.after, "to": to}})
            })
            .collect();
        let held: Vec<Value> = self
            .hold_constant
            .iter()
            .map(|property| json!({"value": property.name, "resourceType": resource(property.of)}))
            .collect();
        let behavior = json!({
            "type": "funnel",
            "resourceType": "events",
            "behaviors": steps,
            "conversionWindowDuration": self.window.count,
            "conversionWindowUnit": self.window.unit,
            "funnelOrder": self.order,
            "exclusions": exclusions,
            "aggregateBy": held,
            "filter": [],
        });
        let show = vec![show(behavior, json!({"math": "conversion_rate_unique"}))];
        sections(show, &self.filters, self.combine, &self.group_by, &self.time, self.unit, "funnel-steps")
    }
}

impl RetentionReport {
    /// The bookmark of this report.
    pub fn to_bookmark(&self) -> Value {
        let mut behavior = json!({
            "type": "retention",
            "resourceType": "events",
            "behaviors": [selector(&self.born), selector(&self.returned)],
            "retentionUnit": self.unit,
            "retentionAlignmentType": self.alignment,
            "retentionCustomBucketSizes": self.period_sizes,
            "filter": [],
        });
        if self.unbounded {
            behavior["retentionUnboundedMode"] = json!("carry_back");
        }
        let show = vec![show(behavior, json!({"math": "retention_rate"}))];
        sections(show, &self.filters, self.combine, &self.group_by, &self.time, self.unit, "retention-curve")
    }
}

impl FlowReport {
    /// The bookmark of this report, which has a form of its own.
    pub fn to_bookmark(&self) -> Value {
        let mut step = json!({"event": self.anchor.event, "forward": self.forward, "reverse": self.reverse});
        if !self.anchor.filters.is_empty() {
            let all: Vec<Value> = self.anchor.filters.iter().map(flow_filter).collect();
            step["property_filter_params_list"] = Value::Array(all);
            step["bool_op"] = json!(if self.anchor.combine == Combine::Any { "or" } else { "and" });
        }
        let range = match &self.time {
            TimeRange::Between { from, to } => json!({"type": "between", "from_date": from, "to_date": to}),
            TimeRange::Last { count, unit } => {
                json!({"type": "in the last", "from_date": {"unit": unit, "value": count}, "to_date": "$now"})
            }
        };
        json!({
            "steps": [step],
            "date_range": range,
            "chartType": if self.top_paths { "paths" } else { "sankey" },
            "flows_merge_type": if self.top_paths { "list" } else { "graph" },
            "count_type": if self.count == CountType::Unique { "unique" } else { "total" },
            "cardinality_threshold": self.cardinality,
            "version": 2,
            "conversion_window": {"unit": self.window.unit, "value": self.window.count},
            "anchor_position": 1,
            "collapse_repeated": self.collapse_repeated,
            "show_custom_events": true,
            "hidden_events": self.hidden_events,
            "exclusions": [],
        })
    }

    /// What kind of answer is asked for.
    pub(super) fn query_type(&self) -> &'static str {
        if self.top_paths { "flows_top_paths" } else { "flows_sankey" }
    }
}

fn show(behavior: Value, measurement: Value) -> Value {
    json!({"type": "metric", "behavior": behavior, "measurement": measurement})
}

fn selector(selector: &EventSelector) -> Value {
    json!({
        "type": "event",
        "name": selector.event,
        "filters": selector.filters.iter().map(filter).collect::<Vec<_>>(),
        "filtersDeterminer": selector.combine,
    })
}

fn measurement(math: &Math) -> Value {
    let (word, percentile) = match math {
        Math::Total | Math::Sum(_) => ("total", None),
        Math::Unique => ("unique", None),
        Math::Average(_) => ("average", None),
        Math::Median(_) => ("median", None),
        Math::Min(_) => ("min", None),
        Math::Max(_) => ("max", None),
        Math::Percentile(_, part) => ("custom_percentile", Some(Amount(*part))),
        Math::DistinctValues(_) => ("unique_values", None),
    };
    let mut measurement = json!({ "math": word });
    if let Some(PropertyRef { name, of }) = math.property() {
        measurement["property"] = json!({"name": name, "resourceType": resource(*of)});
    }
    if let Some(percentile) = percentile {
        measurement["percentile"] = json!(percentile);
    }
    measurement
}

fn resource(of: Subject) -> &'static str {
    match of {
        Subject::Event => "events",
        Subject::User => "people",
    }
}

fn sections(
    show: Vec<Value>,
    filters: &[Filter],
    combine: Combine,
    groups: &[GroupBy],
    time: &TimeRange,
    unit: TimeUnit,
    chart: &str,
) -> Value {
    let time = match time {
        TimeRange::Between { from, to } => {
            json!({"dateRangeType": "between", "unit": unit, "value": [from, to]})
        }
        TimeRange::Last { count, unit: of } => {
            json!({"dateRangeType": "in the last", "unit": unit, "window": {"unit": of, "value": count}})
        }
    };
    json!({
        "sections": {
            "show": show,
            "filter": filters.iter().map(filter).collect::<Vec<_>>(),
            "filtersDeterminer": combine,
            "group": groups.iter().map(group).collect::<Vec<_>>(),
            "time": [time],
        },
        "displayOptions": {"chartType": chart, "plotStyle": "standard", "analysis": "linear", "value": "absolute"},
    })
}

fn group(group: &GroupBy) -> Value {
    let kind = if group.width.is_some() { "number" } else { "string" };
    let mut json = json!({
        "value": group.property.name,
        "propertyName": group.property.name,
        "resourceType": resource(group.property.of),
        "propertyType": kind,
        "propertyDefaultType": kind,
    });
    if let Some(width) = group.width {
        json["customBucket"] = json!({"bucketSize": Amount(width)});
    }
    json
}

/// The operator, the operand and the type of a condition.
fn condition(test: &Test) -> (&'static str, Value, &'static str) {
    let number = |number: f64| json!(Amount(number));
    match test {
        Test::Equals(values) => ("equals", json!(values), kind(values)),
        Test::NotEquals(values) => ("does not equal", json!(values), kind(values)),
        Test::Contains(part) => ("contains", json!(part), "string"),
        Test::NotContains(part) => ("does not contain", json!(part), "string"),
        Test::GreaterThan(than) => ("is greater than", number(*than), "number"),
        Test::AtLeast(least) => ("is at least", number(*least), "number"),
        Test::LessThan(than) => ("is less than", number(*than), "number"),
        Test::AtMost(most) => ("is at most", number(*most), "number"),
        Test::Between(low, high) => ("is between", json!([number(*low), number(*high)]), "number"),
        Test::IsSet => ("is set", Value::Null, "string"),
        Test::IsNotSet => ("is not set", Value::Null, "string"),
        Test::IsTrue => ("true", Value::Null, "boolean"),
        Test::IsFalse => ("false", Value::Null, "boolean"),
    }
}

fn kind(values: &[super::FilterValue]) -> &'static str {
    let numbers = values.iter().all(|value| matches!(value, super::FilterValue::Number(_)));
    if numbers { "number" } else { "string" }
}

fn filter(filter: &Filter) -> Value {
    let (operator, operand, kind) = condition(&filter.test);
    json!({
        "resourceType": resource(filter.property.of),
        "filterType": kind,
        "defaultType": kind,
        "value": filter.property.name,
        "filterOperator": operator,
        "filterValue": operand,
    })
}

/// A condition in the older form that flows take, where numbers are texts.
fn flow_filter(filter: &Filter) -> Value {
    let (operator, operand, kind) = condition(&filter.test);
    let operator = match (operator, kind) {
        ("equals", _) => "==",
        ("does not equal", _) => "!=",
        ("contains", _) => "in",
        ("does not contain", _) => "not in",
        ("is greater than", _) => ">",
        ("is at least", _) => ">=",
        ("is less than", _) => "<",
        ("is at most", _) => "<=",
        ("is between", _) => "><",
        ("is set", _) => "set",
        ("is not set", _) => "not set",
        (other, _) => other,
    };
    let text = |value: &Value| match value {
        Value::Number(number) => Value::String(number.to_string()),
        other => other.clone(),
    };
    let operand = match &operand {
        Value::Array(values) if kind == "number" => values.iter().map(text).collect(),
        Value::Null => json!(""),
        other => text(other),
    };
    let source = if filter.property.of == Subject::User { "user" } else { "properties" };
    let filter_json = match kind {
        "boolean" => json!({ "operand": operator }),
        _ => json!({"operator": operator, "operand": operand}),
    };
    json!({
        "property": {"name": filter.property.name, "source": source, "type": kind},
        "type": kind,
        "selected_property_type": kind,
        "filter": filter_json,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Metric, Window, WindowUnit};
    use jiff::civil::date;

    fn january() -> TimeRange {
        TimeRange::between(date(2024, 1, 1), date(2024, 1, 31))
    }

    #[test]
    fn insights_have_metrics_conditions_and_groups() {
        let metrics = [
            Metric::new("Sign, Up", Math::Unique),
            Metric::new(
                EventSelector::new("Buy").filter(Filter::greater_than("amount", 5.0)),
                Math::Percentile("amount".into(), 95.0),
            ),
        ];
        let report = InsightsReport::new(metrics, january())
            .filter(Filter::equals("plan", ["pro", "team"]).of_user())
            .group_by("a.\"b\"")
            .unit(TimeUnit::Week);
        report.validate().unwrap();
        let bookmark = report.to_bookmark();
        let show = &bookmark["sections"]["show"];
        assert_eq!(show[0]["behavior"]["name"], "Sign, Up");
        assert_eq!(show[0]["measurement"], json!({"math": "unique"}));
        assert_eq!(show[1]["measurement"]["percentile"], 95);
        assert_eq!(show[1]["behavior"]["filters"][0]["filterValue"], 5);
        assert_eq!(bookmark["sections"]["filter"][0]["resourceType"], "people");
        assert_eq!(bookmark["sections"]["group"][0]["propertyName"], "a.\"b\"");
        assert_eq!(bookmark["sections"]["time"][0]["value"], json!(["2024-01-01", "2024-01-31"]));
        assert_eq!(bookmark["displayOptions"]["chartType"], "line");
    }

    #[test]
    fn funnels_count_steps_from_one() {
        let report = FunnelReport::new(["Open", "Play", "Buy"], TimeRange::last_days(7))
            .window(Window { count: 2, unit: WindowUnit::Hour })
            .exclude("Quit")
            .hold_constant("device");
        report.validate().unwrap();
        let bookmark = report.to_bookmark();
        let behavior = &bookmark["sections"]["show"][0]["behavior"];
        assert_eq!(behavior["exclusions"][0]["steps"], json!({"from": 1, "to": 3}));
        assert_eq!(behavior["aggregateBy"][0]["value"], "device");
        assert_eq!(
            (&behavior["conversionWindowDuration"], &behavior["conversionWindowUnit"]),
            (&json!(2), &json!("hour"))
        );
        assert_eq!(bookmark["sections"]["time"][0]["window"], json!({"unit": "day", "value": 7}));
    }

    #[test]
    fn definitions_survive_serialisation() {
        let report =
            FunnelReport::new(["a", "b"], january()).filter(Filter::between("x", 1.0, 2.0)).group_by("y");
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<FunnelReport>(&text).unwrap(), report);
        let report = InsightsReport::new([Metric::new("a", Math::Sum("n".into()))], TimeRange::last_days(3));
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<InsightsReport>(&text).unwrap(), report);
    }

    #[test]
    fn what_cannot_be_right_is_named() {
        let time = january;
        let message = |result: crate::Result<()>| result.unwrap_err().to_string();
        assert!(
            message(FunnelReport::new(["a"], time()).validate()).contains("between 2 and 100 steps, not 1")
        );
        assert!(
            message(FunnelReport::new(["a", " "], time()).validate())
                .contains("step 2: the name of the event is empty")
        );
        let mut funnel = FunnelReport::new(["a", "b"], time()).exclude("x");
        funnel.exclusions[0].after = 2;
        assert!(message(funnel.validate()).contains("not between 2 and 2"));
        let window = Window { count: 400, unit: WindowUnit::Day };
        assert!(
            message(FunnelReport::new(["a", "b"], time()).window(window).validate()).contains("400 days")
        );
        assert!(message(InsightsReport::new([], time()).validate()).contains("at least one metric"));
        let backwards = TimeRange::between(date(2024, 1, 2), date(2024, 1, 1));
        assert!(message(RetentionReport::new("a", "b", backwards).validate()).contains("after the last day"));
        assert!(
            message(RetentionReport::new("a", "b", time()).unit(TimeUnit::Hour).validate())
                .contains("not hour")
        );
        let empty = Filter::equals("plan", Vec::<String>::new());
        assert!(
            message(FunnelReport::new(["a", "b"], time()).filter(empty).validate())
                .contains("compares with nothing")
        );
        let mut flow = FlowReport::after("a", time());
        flow.forward = 0;
        assert!(message(flow.validate()).contains("one at least"));
        flow.forward = 6;
        assert!(flow.validate().is_err());
    }

    #[test]
    fn flows_have_a_form_of_their_own() {
        let mut report =
            FlowReport::before(EventSelector::new("Buy").filter(Filter::between("n", 1.0, 2.5)), january());
        report.top_paths = true;
        report.validate().unwrap();
        let bookmark = report.to_bookmark();
        let step = &bookmark["steps"][0];
        assert_eq!((&step["forward"], &step["reverse"]), (&json!(0), &json!(3)));
        assert_eq!(
            step["property_filter_params_list"][0]["filter"],
            json!({"operator": "><", "operand": ["1", "2.5"]})
        );
        assert_eq!((report.query_type(), &bookmark["count_type"]), ("flows_top_paths", &json!("unique")));
    }
}
