//! The reports that the project has saved, over the shop's own events.

use serde_json::{Value, json};

/// The kinds of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Insights,
    Funnels,
    Retention,
    Flows,
}

impl Kind {
    /// The kind's name, as bookmarks have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Insights => "insights",
            Kind::Funnels => "funnels",
            Kind::Retention => "retention",
            Kind::Flows => "flows",
        }
    }
}

/// A saved report.
pub(crate) struct SavedReport {
    pub(crate) id: i64,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The definition, which is also what an inline bookmark is.
    pub(crate) params: Value,
}

/// The report with an id.
pub(super) fn find(id: i64) -> Option<SavedReport> {
    saved_reports().into_iter().find(|report| report.id == id)
}

/// All saved reports.
pub(crate) fn saved_reports() -> Vec<SavedReport> {
    let report = |id, name, kind, params| SavedReport { id, name, kind, params };
    let event = |name: &str| json!({"type": "event", "name": name, "resourceType": "events", "filters": [], "filtersDeterminer": "all"});
    let metric = |behavior: Value, measurement: Value| json!({"type": "metric", "behavior": behavior, "measurement": measurement});
    let last_30_days =
        json!([{"dateRangeType": "in the last", "unit": "day", "window": {"unit": "day", "value": 30}}]);
    let sections = |show: Value, group: Value, chart: &str| {
        json!({
            "sections": {"show": show, "filter": [], "group": group, "time": last_30_days},
            "displayOptions": {"chartType": chart},
        })
    };
    let country = json!([{
        "value": "mp_country_code", "propertyName": "mp_country_code", "resourceType": "events",
        "propertyType": "string", "propertyDefaultType": "string",
    }]);
    let amount = json!({"name": "amount", "type": "number", "resourceType": "events"});
    let funnel = json!({
        "type": "funnel", "resourceType": "events", "conversionWindowDuration": 14, "conversionWindowUnit": "day",
        "funnelOrder": "loose",
        "behaviors": [event("Product Viewed"), event("Add to Cart"), event("Purchase")],
    });
    let retention = json!({
        "type": "retention", "resourceType": "events", "retentionType": "birth", "retentionUnit": "day",
        "retentionAlignmentType": "birth", "behaviors": [event("Signed Up"), event("Page View")],
    });
    let purchases = json!([
        metric(event("Purchase"), json!({"math": "total"})),
        metric(event("Signed Up"), json!({"math": "unique"})),
    ]);
    let revenue = json!([metric(event("Purchase"), json!({"math": "total", "property": amount}))]);
    let flow = json!({
        "steps": [{"event": "Search", "step_label": "Search", "forward": 3, "reverse": 0, "bool_op": "and",
                   "property_filter_params_list": []}],
        "date_range": {"type": "in the last", "from_date": {"unit": "day", "value": 30}, "to_date": "$now"},
        "chartType": "sankey", "flows_merge_type": "graph", "count_type": "unique", "cardinality_threshold": 10,
        "version": 2, "conversion_window": {"unit": "day", "value": 7}, "collapse_repeated": false,
        "hidden_events": [], "exclusions": [],
    });
    vec![
        report(8801, "Purchases and sign-ups", Kind::Insights, sections(purchases, json!([]), "line")),
        report(8802, "Revenue by country", Kind::Insights, sections(revenue, country, "bar")),
        report(
            8803,
            "Purchase funnel",
            Kind::Funnels,
            sections(
                json!([metric(funnel, json!({"math": "conversion_rate_unique"}))]),
                json!([]),
                "funnel-steps",
            ),
        ),
        report(
            8804,
            "Sign-up retention",
            Kind::Retention,
            sections(
                json!([metric(retention, json!({"math": "retention_rate"}))]),
                json!([]),
                "retention-curve",
            ),
        ),
        report(8805, "After a search", Kind::Flows, flow),
    ]
}
