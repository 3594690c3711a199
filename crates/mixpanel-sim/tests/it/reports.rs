//! Insights and flows, saved and inline, against a plain pass over the world's lines.

use std::collections::{BTreeMap, BTreeSet};

use mixpanel_sim::{SimConfig, Simulator};
use serde_json::{Value, json};

use crate::brute::*;
use crate::support::*;

const FROM: &str = "2025-06-12";
const TO: &str = "2025-06-22";

fn post(simulator: &Simulator, endpoint: &str, body: &Value) -> Answer {
    let authorization = basic("sim-project-secret", "");
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    send(simulator, "POST", &format!("/api/query/{endpoint}"), &headers, &body.to_string())
}

fn event(name: &str, filters: Value) -> Value {
    json!({"type": "event", "name": name, "resourceType": "events", "filters": filters, "filtersDeterminer": "all"})
}

/// A report over the test's days.
fn report(show: Value, group: Value, filter: Value, chart: &str) -> Value {
    let time = json!([{"dateRangeType": "between", "unit": "day", "value": [FROM, TO]}]);
    json!({
        "project_id": 12345,
        "bookmark": {
            "sections": {"show": show, "filter": filter, "group": group, "time": time},
            "displayOptions": {"chartType": chart},
        },
        "queryLimits": {"limit": 3000},
    })
}

fn shown(name: &str, math: &str, property: Option<&str>) -> Value {
    let property = property.map(|name| json!({"name": name, "type": "number", "resourceType": "events"}));
    let measurement = json!({"math": math, "property": property, "perUserAggregation": null});
    json!({"type": "metric", "behavior": event(name, json!([])), "measurement": measurement, "isHidden": false})
}

fn by(property: &str) -> Value {
    json!({"value": property, "propertyName": property, "resourceType": "events", "propertyType": "string",
           "propertyDefaultType": "string"})
}

#[test]
fn numbers_by_day() {
    let simulator = start(SimConfig { timezone: "Europe/Berlin".to_owned(), ..small() });
    let rows = rows(simulator.world(), "Europe/Berlin");
    let show = json!([shown("Purchase", "total", None), shown("Page View", "unique", None)]);
    let answer = post(&simulator, "insights", &report(show, json!([]), json!([]), "line")).json();
    assert_eq!(answer["headers"], json!(["$event"]));
    assert_eq!(answer["date_range"]["from_date"], "2025-06-12T00:00:00+02:00");
    assert_eq!(answer["date_range"]["to_date"], "2025-06-22T23:59:59.999000+02:00");
    for date in dates(FROM, TO) {
        let of = |event: &'static str| {
            let rows = &rows;
            let date = date.clone();
            rows.iter().filter(move |row| row.event == event && row.date == date)
        };
        let key = format!("{date}T00:00:00+02:00");
        assert_eq!(answer["series"]["Purchase"][&key], of("Purchase").count());
        assert_eq!(answer["series"]["Page View"][&key], users(of("Page View")));
    }
}

#[test]
fn one_number_for_the_range_by_group_and_filter() {
    let simulator = start(small());
    let rows = rows(simulator.world(), "UTC");
    let filter = json!([{
        "resourceType": "events", "filterType": "string", "defaultType": "string", "value": "mp_lib",
        "filterValue": ["web", "iphone"], "filterOperator": "equals",
    }]);
    let purchases = || {
        within(&rows, FROM, TO).filter(|row| {
            row.event == "Purchase" && ["web", "iphone"].contains(&row.properties["mp_lib"].as_str().unwrap())
        })
    };
    let amounts = |country: Option<&str>| -> Vec<f64> {
        purchases()
            .filter(|row| country.is_none_or(|country| row.properties["mp_country_code"] == country))
            .map(|row| row.properties["amount"].as_f64().unwrap())
            .collect()
    };
    for math in ["total", "average", "min", "max", "median"] {
        let show = json!([shown("Purchase", math, Some("amount"))]);
        let body = report(show, json!([by("mp_country_code")]), filter.clone(), "bar");
        let answer = post(&simulator, "insights", &body).json();
        assert_eq!(answer["headers"], json!(["$event", "mp_country_code"]));
        let series = answer["series"]["Purchase"].as_object().unwrap();
        let countries: BTreeSet<&str> =
            purchases().map(|row| row.properties["mp_country_code"].as_str().unwrap()).collect();
        assert_eq!(series.len(), countries.len() + 1);
        for country in countries.into_iter().map(Some).chain([None]) {
            let mut values = amounts(country);
            values.sort_by(f64::total_cmp);
            let middle = values.len() / 2;
            let expected = match math {
                "total" => values.iter().sum(),
                "average" => values.iter().sum::<f64>() / values.len() as f64,
                "min" => values[0],
                "max" => values[values.len() - 1],
                _ if values.len() % 2 == 1 => values[middle],
                _ => (values[middle - 1] + values[middle]) / 2.0,
            };
            let found = series[country.unwrap_or("$overall")]["all"].as_f64().unwrap();
            assert!((found - expected).abs() < 1e-6, "{math} {country:?}: {found} {expected}");
        }
    }
    // Users of the whole range are not the sum of those of its days.
    let show = json!([shown("Page View", "unique", None)]);
    let answer = post(&simulator, "insights", &report(show, json!([]), json!([]), "bar")).json();
    let expected = users(within(&rows, FROM, TO).filter(|row| row.event == "Page View"));
    assert_eq!(answer["series"]["Page View"], json!({"all": expected}));
    let mut limited =
        report(json!([shown("Purchase", "total", None)]), json!([by("$insert_id")]), json!([]), "bar");
    limited["queryLimits"]["limit"] = json!(2);
    let answer = post(&simulator, "insights", &limited).json();
    assert_eq!(answer["series"]["Purchase"].as_object().unwrap().len(), 3);
    assert_eq!(answer["meta"]["is_segmentation_limit_hit"], true);
}

#[test]
fn operators_of_filters() {
    let simulator = start(small());
    let rows = rows(simulator.world(), "UTC");
    type Passes = fn(Option<&Value>) -> bool;
    let cases: [(&str, &str, Value, Passes); 9] = [
        ("category", "does not equal", json!(["Bags"]), |v| v != Some(&json!("Bags"))),
        ("category", "contains", json!("OFF"), |v| v == Some(&json!("Office"))),
        ("category", "does not contain", json!("off"), |v| v != Some(&json!("Office"))),
        ("tags", "is set", json!(null), |v| v.is_some_and(|v| !v.is_null())),
        ("tags", "is not set", json!(null), |v| v.is_none_or(Value::is_null)),
        ("price", "is greater than", json!(40), |v| v.and_then(Value::as_f64).is_some_and(|p| p > 40.0)),
        ("price", "is at most", json!(9), |v| v.and_then(Value::as_f64).is_some_and(|p| p <= 9.0)),
        ("price", "is between", json!([9, 20]), |v| {
            v.and_then(Value::as_f64).is_some_and(|p| (9.0..=20.0).contains(&p))
        }),
        ("$os", "starts with", json!("mac"), |v| v == Some(&json!("Mac OS X"))),
    ];
    for (property, operator, value, passes) in cases {
        let filter = json!([{"value": property, "resourceType": "events", "filterType": "string",
                             "filterOperator": operator, "filterValue": value}]);
        let behavior = event("Product Viewed", filter);
        let show = json!([{"behavior": behavior, "measurement": {"math": "total"}}]);
        let answer = post(&simulator, "insights", &report(show, json!([]), json!([]), "bar")).json();
        let expected = within(&rows, FROM, TO)
            .filter(|row| row.event == "Product Viewed" && passes(row.properties.get(property)))
            .count();
        assert!(expected > 0);
        assert_eq!(answer["series"]["Product Viewed"]["all"], expected, "{property} {operator}");
    }
}

#[test]
fn funnels_and_retention_as_insights() {
    let simulator = start(small());
    let mut steps = json!([event("Product Viewed", json!([])), event("Purchase", json!([]))]);
    steps[1]["funnelOrder"] = json!("loose");
    let funnel = json!({
        "type": "funnel", "resourceType": "events", "behaviors": steps, "conversionWindowDuration": 1,
        "conversionWindowUnit": "day", "funnelOrder": "loose", "exclusions": [], "aggregateBy": [], "filter": [],
    });
    let measurement = json!({"math": "conversion_rate_unique", "property": null, "stepIndex": null});
    let show = json!([{"type": "metric", "behavior": funnel, "measurement": measurement}]);
    let answer =
        post(&simulator, "insights", &report(show.clone(), json!([]), json!([]), "funnel-steps")).json();
    assert_eq!(answer["headers"], json!(["$funnel"]));
    let rows = rows(simulator.world(), "UTC");
    let mut entered: BTreeMap<&str, bool> = BTreeMap::new();
    for first in &rows {
        if first.event == "Product Viewed"
            && (FROM..=TO).contains(&first.date.as_str())
            && !entered.contains_key(first.user.as_str())
        {
            // Two seconds too early is early enough.
            let within = |row: &&Row| (-2..=86_400).contains(&(row.time - first.time));
            let bought = rows.iter().filter(within);
            let converted = bought.into_iter().any(|row| row.user == first.user && row.event == "Purchase");
            entered.insert(&first.user, converted);
        }
    }
    let series = &answer["series"]["Product Viewed through Purchase"];
    assert_eq!(series["count"]["1. Product Viewed"]["all"], entered.len());
    let converted = entered.values().filter(|converted| **converted).count();
    assert_eq!(series["count"]["2. Purchase"]["all"], converted);
    let trend =
        post(&simulator, "insights", &report(show, json!([by("$os")]), json!([]), "funnel-trend")).json();
    let overall =
        &trend["series"]["Product Viewed through Purchase"]["count"]["1. Product Viewed"]["$overall"];
    for date in dates(FROM, TO) {
        let expected = users(within(&rows, &date, &date).filter(|row| row.event == "Product Viewed"));
        assert_eq!(overall[format!("{date}T00:00:00+00:00")], expected);
    }

    let behaviors = json!([event("Signed Up", json!([])), event("Page View", json!([]))]);
    let retention = json!({
        "type": "retention", "resourceType": "events", "behaviors": behaviors, "retentionType": "birth",
        "retentionUnit": "day", "retentionAlignmentType": "birth", "retentionCustomBucketSizes": [],
    });
    let show = json!([{"type": "metric", "behavior": retention, "measurement": {"math": "retention_rate"}}]);
    let answer = post(&simulator, "insights", &report(show, json!([]), json!([]), "retention-curve")).json();
    assert_eq!(answer["headers"], json!(["$retention"]));
    let parameters = [
        ("born_event", "Signed Up"),
        ("event", "Page View"),
        ("from_date", FROM),
        ("to_date", TO),
        ("interval_count", "11"),
    ];
    let plain = ask(&simulator, "retention", &parameters).json();
    for date in dates(FROM, TO) {
        let cohort =
            &answer["series"]["Signed Up and then Page View"][format!("{date}T00:00:00+00:00")]["$overall"];
        assert_eq!(cohort["counts"], plain[&date]["counts"]);
        assert_eq!(cohort["first"], plain[&date]["first"]);
        let first = cohort["first"].as_f64().unwrap();
        if first > 0.0 {
            let rate = cohort["counts"][0].as_f64().unwrap() / first;
            assert_eq!(cohort["rates"][0].as_f64(), Some(rate));
        }
    }
}

#[test]
fn saved_reports_of_all_kinds() {
    let simulator = start(small());
    for (id, header) in [("8801", "$event"), ("8802", "$event"), ("8803", "$funnel"), ("8804", "$retention")]
    {
        let answer = ask(&simulator, "insights", &[("bookmark_id", id)]).json();
        assert_eq!(answer["headers"][0], header);
        assert!(!answer["series"].as_object().unwrap().is_empty());
        assert!(answer["computed_at"].as_str().unwrap().starts_with("2025-07-01T"));
    }
    let flow = [("bookmark_id", "8805"), ("query_type", "flows_sankey")];
    assert!(!ask(&simulator, "arb_funnels", &flow).json()["steps"].as_array().unwrap().is_empty());
    // Retention has an address of its own, too.
    let plain = ask(&simulator, "retention", &[("bookmark_id", "8804")]).json();
    let insights = ask(&simulator, "insights", &[("bookmark_id", "8804")]).json();
    let cohorts = insights["series"]["Signed Up and then Page View"].as_object().unwrap();
    assert_eq!(plain.as_object().unwrap().len(), cohorts.len());
    for (moment, cohort) in cohorts {
        let own = &plain[&moment[..10]];
        assert_eq!(
            (&own["counts"], &own["first"]),
            (&cohort["$overall"]["counts"], &cohort["$overall"]["first"])
        );
    }
    assert_eq!(ask(&simulator, "retention", &[("bookmark_id", "8801")]).status, 404);
    assert_eq!(ask(&simulator, "insights", &[("bookmark_id", "1")]).status, 404);
    assert_eq!(ask(&simulator, "insights", &[("bookmark_id", "8805")]).status, 400);
    assert_eq!(ask(&simulator, "insights", &[]).status, 400);
    let no_flow = [("bookmark_id", "8801"), ("query_type", "flows_sankey")];
    assert_eq!(ask(&simulator, "arb_funnels", &no_flow).status, 400);
}

#[test]
fn bookmarks_are_read_strictly() {
    let simulator = start(small());
    let good = report(json!([shown("Purchase", "total", None)]), json!([]), json!([]), "line");
    let broken = |pointer: &str, value: Value| {
        let mut body = good.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        body["bookmark"].pointer_mut(parent).unwrap()[name] = value;
        post(&simulator, "insights", &body)
    };
    for (pointer, value, reason) in [
        ("/surprise", json!(1), "bookmark.surprise: Extra inputs are not permitted"),
        ("/sections/show/0/extra", json!(true), "bookmark.sections.show.0.extra: Extra inputs"),
        ("/sections/show/0/measurement/math", json!("guess"), "is not one of"),
        ("/sections/show/0/measurement/math", json!("median"), "Field required"),
        ("/sections/show/0/behavior/type", json!("cohort"), "is not one of"),
        ("/sections/show/0/measurement/rolling", json!({"window": 3}), "not supported"),
        ("/sections/show", json!([]), "at least one"),
        ("/sections/time", json!([]), "exactly one"),
        ("/displayOptions/chartType", json!("hologram"), "hologram"),
    ] {
        let answer = broken(pointer, value);
        assert_eq!(answer.status, 400, "{pointer}");
        assert!(answer.error().contains(reason), "{} should say {reason}", answer.error());
    }
    // What is wrong with the report as a whole comes with status 200.
    let funnel =
        json!({"behavior": {"type": "funnel", "behaviors": [event("a", json!([])), event("b", json!([]))]}});
    let mixed = report(json!([shown("Purchase", "total", None), funnel]), json!([]), json!([]), "line");
    let answer = post(&simulator, "insights", &mixed);
    assert_eq!(answer.status, 200);
    assert!(answer.error().contains("beside other metrics"));
}

fn flow(forward: i64, reverse: i64, count_type: &str) -> Value {
    json!({
        "steps": [{"event": "Search", "step_label": "Search", "forward": forward, "reverse": reverse,
                   "bool_op": "and", "property_filter_params_list": []}],
        "date_range": {"type": "between", "from_date": FROM, "to_date": TO},
        "chartType": "sankey", "flows_merge_type": "graph", "count_type": count_type,
        "cardinality_threshold": 50, "version": 2, "conversion_window": {"unit": "hour", "value": 2},
        "anchor_position": 1, "collapse_repeated": false, "show_custom_events": true,
        "hidden_events": ["page view"], "exclusions": [],
    })
}

#[test]
fn flows_around_an_event() {
    let simulator = start(small());
    let rows = rows(simulator.world(), "UTC");
    for count_type in ["total", "unique"] {
        let mut lines: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.event != "page view") {
            lines.entry(&row.user).or_default().push(row);
        }
        let mut paths: BTreeMap<Vec<String>, usize> = BTreeMap::new();
        for line in lines.values() {
            for (index, anchor) in line.iter().enumerate() {
                if anchor.event != "Search" || !(FROM..=TO).contains(&anchor.date.as_str()) {
                    continue;
                }
                let near = |row: &&&Row| (row.time - anchor.time).abs() <= 7200;
                let name = |row: &&Row| row.event.clone();
                let mut path: Vec<String> =
                    line[..index].iter().rev().take(1).take_while(near).map(name).collect();
                path.push("Search".to_owned());
                let after: Vec<String> =
                    line[index + 1..].iter().take(2).take_while(near).map(name).collect();
                let short = after.len() < 2;
                path.extend(after);
                path.extend(short.then(|| "$dropoff".to_owned()));
                *paths.entry(path).or_default() += 1;
                if count_type == "unique" {
                    break;
                }
            }
        }
        let total: usize = paths.values().sum();
        assert!(total > 20);
        let body =
            json!({"project_id": 12345, "query_type": "flows_top_paths", "bookmark": flow(2, 1, count_type)});
        let answer = post(&simulator, "arb_funnels", &body).json();
        let flows = answer["flows"].as_array().unwrap();
        assert_eq!(flows.len(), paths.len().min(50));
        for flow in flows {
            let steps = flow["flowSteps"].as_array().unwrap();
            let path: Vec<String> =
                steps.iter().map(|step| step["event"].as_str().unwrap().to_owned()).collect();
            assert_eq!(steps[0]["totalCount"], paths[&path].to_string(), "{path:?}");
        }
        let body =
            json!({"project_id": 12345, "query_type": "flows_sankey", "bookmark": flow(2, 1, count_type)});
        let answer = post(&simulator, "arb_funnels", &body).json();
        let steps = answer["steps"].as_array().unwrap();
        assert_eq!(steps.len(), 4);
        let anchor = &steps[1]["nodes"][0];
        assert_eq!(anchor["type"], "ANCHOR");
        assert_eq!(anchor["totalCount"], total.to_string());
        let count = |value: &Value| value["totalCount"].as_str().unwrap().parse::<usize>().unwrap();
        let sum = |list: &Value| list.as_array().unwrap().iter().map(count).sum::<usize>();
        assert_eq!(sum(&anchor["edges"]), total);
        assert_eq!(sum(&steps[2]["nodes"]), total);
        let drop = steps[3]["nodes"].as_array().unwrap().iter().find(|node| node["type"] == "DROPOFF");
        assert_eq!(drop.map(|node| node["event"].clone()), Some(json!("$dropoff")));
    }
    let mut two = flow(1, 0, "unique");
    let step = two["steps"][0].clone();
    two["steps"].as_array_mut().unwrap().push(step);
    let answer = post(&simulator, "arb_funnels", &json!({"query_type": "flows_sankey", "bookmark": two}));
    assert_eq!(answer.status, 400);
    assert!(answer.error().contains("exactly one step"));
}
