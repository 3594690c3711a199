//! Every number of the Query API against a plain pass over the world's lines.

use std::collections::{BTreeMap, BTreeSet};

use mixpanel_sim::{ClockMode, SimConfig, Simulator};
use serde_json::{Value, json};

use crate::brute::*;
use crate::support::*;

pub(crate) const FROM: &str = "2025-06-12";
pub(crate) const TO: &str = "2025-06-22";
pub(crate) const RANGE: [(&str, &str); 2] = [("from_date", FROM), ("to_date", TO)];

pub(crate) fn with(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    RANGE.iter().chain(more).copied().collect()
}

pub(crate) fn world() -> (Simulator, Vec<Row>) {
    let simulator = start(small());
    let rows = rows(simulator.world(), "UTC");
    assert!(rows.len() > 2500);
    (simulator, rows)
}

#[test]
fn segmentation_by_day_in_all_countings() {
    let (simulator, rows) = world();
    for kind in ["general", "unique", "average"] {
        let answer = ask(&simulator, "segmentation", &with(&[("event", "Page View"), ("type", kind)])).json();
        assert_eq!(answer["legend_size"], 1);
        assert_eq!(answer["data"]["series"], json!(dates(FROM, TO)));
        for date in dates(FROM, TO) {
            let views = || within(&rows, &date, &date).filter(|row| row.event == "Page View");
            let (total, unique) = (views().count(), users(views()));
            let expected = match kind {
                "general" => total as f64,
                "unique" => unique as f64,
                _ if unique == 0 => 0.0,
                _ => total as f64 / unique as f64,
            };
            assert_eq!(
                answer["data"]["values"]["Page View"][&date].as_f64(),
                Some(expected),
                "{kind} {date}"
            );
        }
    }
}

#[test]
fn segmentation_by_property_hour_week_and_month() {
    let (simulator, rows) = world();
    let os = r#"properties["$os"]"#;
    let ask_by = |unit| {
        let parameters = with(&[("event", "Page View"), ("on", os), ("unit", unit), ("limit", "1000")]);
        ask(&simulator, "segmentation", &parameters).json()["data"].clone()
    };
    let label = |row: &Row, unit: &str| match unit {
        "hour" => format!("{} {:02}:00:00", row.date, row.hour),
        "week" => {
            let date: jiff::civil::Date = row.date.parse().unwrap();
            let back = date.weekday().to_monday_zero_offset();
            date.saturating_sub(jiff::Span::new().days(i64::from(back))).to_string()
        }
        _ => format!("{}-01", &row.date[..7]),
    };
    for unit in ["hour", "week", "month"] {
        let mut expected: BTreeMap<(String, String), u64> = BTreeMap::new();
        for row in within(&rows, FROM, TO).filter(|row| row.event == "Page View") {
            *expected.entry((segment(row.properties.get("$os")), label(row, unit))).or_default() += 1;
        }
        let data = ask_by(unit);
        let mut found = BTreeMap::new();
        for (key, values) in data["values"].as_object().unwrap() {
            for (date, count) in values.as_object().unwrap() {
                assert!(data["series"].as_array().unwrap().contains(&json!(date)));
                if count != 0 {
                    found.insert((key.clone(), date.clone()), count.as_u64().unwrap());
                }
            }
        }
        assert_eq!(found, expected, "{unit}");
    }
}

#[test]
fn filters_limits_and_missing_values() {
    let (simulator, rows) = world();
    let parameters = with(&[
        ("event", "Product Viewed"),
        ("on", r#"properties["price"]"#),
        ("where", r#"properties["category"] == "Clothing" and properties["mp_lib"] == "web""#),
        ("limit", "2"),
    ]);
    let answer = ask(&simulator, "segmentation", &parameters).json();
    let mut totals: BTreeMap<String, u64> = BTreeMap::new();
    let kept = within(&rows, FROM, TO).filter(|row| {
        row.event == "Product Viewed"
            && row.properties["category"] == "Clothing"
            && row.properties["mp_lib"] == "web"
    });
    for row in kept {
        *totals.entry(segment(row.properties.get("price"))).or_default() += 1;
    }
    let mut ranked: Vec<(&String, &u64)> = totals.iter().collect();
    ranked.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    assert!(ranked.len() > 2);
    let values = answer["data"]["values"].as_object().unwrap();
    assert_eq!(values.keys().collect::<Vec<_>>(), [ranked[0].0, ranked[1].0]);
    let sum = |values: &Value| values.as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>();
    assert_eq!(sum(&values[ranked[0].0]), *ranked[0].1);
    let nowhere = with(&[("event", "Purchase"), ("on", r#"properties["no such thing"]"#)]);
    let answer = ask(&simulator, "segmentation", &nowhere).json();
    let purchases = within(&rows, FROM, TO).filter(|row| row.event == "Purchase").count() as u64;
    assert_eq!(sum(&answer["data"]["values"]["undefined"]), purchases);
    let unknown = ask(&simulator, "segmentation", &with(&[("event", "No such event")])).json();
    assert_eq!(sum(&unknown["data"]["values"]["No such event"]), 0);
    let by_user = with(&[("event", "Purchase"), ("on", r#"user["plan"]"#)]);
    let answer = ask(&simulator, "segmentation", &by_user).json();
    let plans = answer["data"]["values"].as_object().unwrap();
    assert_eq!(plans.values().map(sum).sum::<u64>(), purchases);
    assert!(plans.contains_key("free"));
}

#[test]
fn sums_averages_and_numeric_ranges() {
    let (simulator, rows) = world();
    let on = [("event", "Product Viewed"), ("on", r#"properties["price"]"#)];
    let number = |row: &Row| row.properties.get("price").and_then(Value::as_f64);
    let sum = ask(&simulator, "segmentation/sum", &with(&on)).json();
    let average = ask(&simulator, "segmentation/average", &with(&on)).json();
    assert_eq!((&sum["status"], &average["status"]), (&json!("ok"), &json!("ok")));
    for date in dates(FROM, TO) {
        let views: Vec<&Row> =
            within(&rows, &date, &date).filter(|row| row.event == "Product Viewed").collect();
        let total: f64 = views.iter().map(|row| number(row).unwrap_or(0.0)).sum();
        let mean = if views.is_empty() { 0.0 } else { total / views.len() as f64 };
        assert!((sum["results"][&date].as_f64().unwrap() - total).abs() < 1e-6);
        assert!((average["results"][&date].as_f64().unwrap() - mean).abs() < 1e-9);
    }
    let answer = ask(&simulator, "segmentation/numeric", &with(&on)).json();
    let mut found = 0;
    for (range, values) in answer["data"]["values"].as_object().unwrap() {
        let ends: Vec<f64> = range.split(" - ").map(|text| text.replace(',', "").parse().unwrap()).collect();
        for (date, count) in values.as_object().unwrap() {
            let expected = within(&rows, date, date)
                .filter(|row| row.event == "Product Viewed")
                .filter_map(number)
                .filter(|&price| ends[0] <= price && price < ends[1])
                .count();
            assert_eq!(count.as_u64(), Some(expected as u64), "{range} {date}");
            found += expected;
        }
    }
    let all = within(&rows, FROM, TO).filter(|row| row.event == "Product Viewed");
    assert_eq!(found, all.filter_map(number).count());
}

#[test]
fn event_counts_names_and_tops() {
    let (simulator, rows) = world();
    let events = r#"["Purchase", "Search", "No such event", "comma, \"quote\""]"#;
    let parameters = with(&[("event", events), ("type", "unique"), ("unit", "day")]);
    let answer = ask(&simulator, "events", &parameters).json();
    assert_eq!(answer["legend_size"], 4);
    for event in ["Purchase", "Search", "No such event"] {
        for date in dates(FROM, TO) {
            let expected = users(within(&rows, &date, &date).filter(|row| row.event == event)) as u64;
            // Zeroes are left out.
            let found = answer["data"]["values"][event].get(&date).and_then(Value::as_u64);
            assert_eq!(found, (expected > 0).then_some(expected), "{event} {date}");
        }
    }
    let interval = [("event", r#"["Search"]"#), ("type", "general"), ("unit", "day"), ("interval", "3")];
    let answer = ask(&simulator, "events", &interval).json();
    assert_eq!(answer["data"]["series"], json!(["2025-06-29", "2025-06-30", "2025-07-01"]));

    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for row in within(&rows, "2025-06-01", "2025-07-01") {
        *totals.entry(&row.event).or_default() += 1;
    }
    let mut ranked: Vec<(&str, u64)> = totals.into_iter().collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let names: Vec<&str> = ranked.iter().map(|(name, _)| *name).collect();
    assert_eq!(ask(&simulator, "events/names", &[("type", "general")]).json(), json!(names));
    let limited = ask(&simulator, "events/names", &[("type", "general"), ("limit", "3")]).json();
    assert_eq!(limited, json!(names[..3]));

    let top = ask(&simulator, "events/top", &[("type", "general"), ("limit", "2")]).json();
    assert_eq!(top["type"], "general");
    for entry in top["events"].as_array().unwrap() {
        let count = |date| within(&rows, date, date).filter(|row| row.event == entry["event"]).count() as f64;
        let (today, yesterday) = (count("2025-07-01"), count("2025-06-30"));
        assert_eq!(entry["amount"].as_f64(), Some(today));
        let change = (today - yesterday) / yesterday;
        assert!((entry["percent_change"].as_f64().unwrap() - change).abs() < 1e-9);
    }
}

#[test]
fn properties_and_their_values() {
    let (simulator, rows) = world();
    let recent = || within(&rows, "2025-06-01", "2025-07-01").filter(|row| row.event == "Purchase");
    let top = ask(&simulator, "events/properties/top", &[("event", "Purchase")]).json();
    assert_eq!(top.as_object().unwrap().len(), 10);
    let all = ask(&simulator, "events/properties/top", &[("event", "Purchase"), ("limit", "5000")]).json();
    for (name, entry) in all.as_object().unwrap() {
        let expected = recent().filter(|row| row.properties.contains_key(name)).count();
        assert_eq!(entry["count"].as_u64(), Some(expected as u64), "{name}");
    }
    assert!(all.as_object().unwrap().len() > 30);

    let parameters = [("event", "Purchase"), ("name", "payment_method")];
    let values = ask(&simulator, "events/properties/values", &parameters).json();
    let expected: BTreeSet<String> =
        recent().map(|row| segment(row.properties.get("payment_method"))).collect();
    assert_eq!(values.as_array().unwrap().len(), expected.len());
    assert!(values.as_array().unwrap().iter().all(|value| expected.contains(value.as_str().unwrap())));
    let everywhere = ask(&simulator, "events/properties/values", &[("name", "plan")]).json();
    assert_eq!(everywhere.as_array().unwrap().len(), 3);

    let parameters = with(&[
        ("event", "Purchase"),
        ("name", "payment_method"),
        ("values", r#"["card"]"#),
        ("type", "general"),
        ("unit", "week"),
    ]);
    let counts = ask(&simulator, "events/properties", &parameters).json();
    let cards = within(&rows, FROM, TO)
        .filter(|row| row.event == "Purchase" && row.properties["payment_method"] == "card");
    let found = counts["data"]["values"]["card"].as_object().unwrap().values().filter_map(Value::as_u64);
    assert_eq!(found.sum::<u64>(), cards.count() as u64);
    assert_eq!(counts["data"]["values"].as_object().unwrap().len(), 1);
}

#[test]
fn activity_of_users() {
    let (simulator, rows) = world();
    let user = rows.iter().find(|row| row.event == "Purchase").map(|row| row.user.clone()).unwrap();
    let ids = json!([user, "nobody"]).to_string();
    let parameters = [("distinct_ids", ids.as_str()), RANGE[0], RANGE[1]];
    let answer = ask(&simulator, "stream/query", &parameters).json();
    let expected: Vec<&Row> = within(&rows, FROM, TO).filter(|row| row.user == user).collect();
    let found = answer["results"]["events"].as_array().unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, row) in found.iter().zip(expected) {
        assert_eq!(found["event"], row.event);
        assert_eq!(found["properties"]["time"], row.time);
        assert_eq!(found["properties"]["$distinct_id"], user);
        assert_eq!(found["properties"]["mp_lib"], row.properties["mp_lib"]);
    }
}

#[test]
fn days_are_days_of_the_project() {
    let zone = "America/Los_Angeles".to_owned();
    for clock_mode in [ClockMode::Utc, ClockMode::LocalAsUtc] {
        let simulator = start(SimConfig { timezone: zone.clone(), clock_mode, ..small() });
        let shown = if clock_mode == ClockMode::Utc { &*zone } else { "UTC" };
        let rows = rows(simulator.world(), shown);
        let parameters = with(&[("event", "Page View"), ("unit", "hour")]);
        let answer = ask(&simulator, "segmentation", &parameters).json();
        for date in dates(FROM, TO) {
            for hour in 0..24 {
                let expected = within(&rows, &date, &date)
                    .filter(|row| row.event == "Page View" && row.hour == hour)
                    .count();
                let label = format!("{date} {hour:02}:00:00");
                assert_eq!(answer["data"]["values"]["Page View"][&label], expected, "{label}");
            }
        }
    }
}

#[test]
fn bad_queries_are_told_why() {
    let simulator = start(small());
    type Parameters = &'static [(&'static str, &'static str)];
    let cases: [(&str, Parameters, &str); 22] = [
        ("segmentation", &[("event", "x"), ("from_date", "2025-06-01")], "to_date"),
        ("segmentation", &[("from_date", FROM), ("to_date", TO)], "event"),
        ("segmentation", &[("event", "x"), ("from_date", "1999-06-01"), ("to_date", TO)], "bad year"),
        ("segmentation", &[("event", "x"), ("from_date", TO), ("to_date", FROM)], "later"),
        ("segmentation", &[("event", "x"), RANGE[0], RANGE[1], ("unit", "fortnight")], "unit"),
        ("segmentation", &[("event", "x"), RANGE[0], RANGE[1], ("type", "all")], "type"),
        ("segmentation", &[("event", "x"), RANGE[0], RANGE[1], ("limit", "10001")], "10000"),
        ("segmentation", &[("event", "x"), RANGE[0], RANGE[1], ("limit", "many")], "integer"),
        ("segmentation", &[("event", "x"), RANGE[0], RANGE[1], ("where", "properties[")], "where"),
        ("segmentation", &[("event", "x"), RANGE[0], RANGE[1], ("on", "bare name")], "on"),
        (
            "segmentation",
            &[("event", "x"), ("from_date", "2000-01-01"), RANGE[1], ("unit", "minute")],
            "unit",
        ),
        ("segmentation/sum", &[("event", "x"), RANGE[0], RANGE[1]], "on"),
        ("segmentation/sum", &[("event", "x"), RANGE[0], RANGE[1], ("on", "1"), ("unit", "month")], "unit"),
        ("events", &[("event", "Login"), ("type", "general"), ("unit", "day")], "JSON array"),
        ("events", &[("event", "[]"), ("type", "general"), ("unit", "day")], "from_date"),
        (
            "events",
            &[("event", "[]"), ("type", "unique"), ("unit", "hour"), ("interval", "2")],
            "unit of day",
        ),
        ("funnels", &[RANGE[0], RANGE[1]], "funnel_id"),
        ("funnels", &[("funnel_id", "7501"), RANGE[0], RANGE[1], ("length", "91")], "90 days"),
        ("retention", &[RANGE[0], RANGE[1]], "born_event"),
        (
            "retention",
            &[("born_event", "x"), RANGE[0], RANGE[1], ("unit", "day"), ("interval", "2")],
            "either unit or interval",
        ),
        ("retention", &[("born_event", "x"), RANGE[0], RANGE[1], ("interval", "91")], "90"),
        ("retention/addiction", &[RANGE[0], RANGE[1], ("unit", "day"), ("addiction_unit", "day")], "smaller"),
    ];
    for (endpoint, parameters, reason) in cases {
        let answer = ask(&simulator, endpoint, parameters);
        assert_eq!(answer.status, 400, "{endpoint} {parameters:?}");
        assert!(answer.error().contains(reason), "{} should say {reason}", answer.error());
        let body: Value = serde_json::from_slice(&answer.body()).unwrap();
        assert!(body["request"].as_str().unwrap().starts_with(&format!("/api/query/{endpoint}?")));
    }
    let unknown = ask(&simulator, "funnels", &[("funnel_id", "1"), RANGE[0], RANGE[1]]);
    assert_eq!(unknown.status, 404);
    let type_error = with(&[("event", "Purchase"), ("where", r#"properties["currency"]"#)]);
    assert_eq!(ask(&simulator, "segmentation", &type_error).status, 400);
}
