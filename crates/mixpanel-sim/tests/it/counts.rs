//! Every number of the Query API against a plain pass over the world's lines.

use std::collections::{BTreeMap, BTreeSet};

use mixpanel_sim::{ClockMode, SimConfig, Simulator};
use serde_json::{Value, json};

use crate::brute::*;
use crate::support::*;

const FROM: &str = "2025-06-12";
const TO: &str = "2025-06-22";
const RANGE: [(&str, &str); 2] = [("from_date", FROM), ("to_date", TO)];

fn with(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    RANGE.iter().chain(more).copied().collect()
}

fn world() -> (Simulator, Vec<Row>) {
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

/// The attempt of every user, which begins at the first event of the first step that `enters` lets in. Steps
/// within two seconds count in either order.
fn attempts<'a>(
    rows: &'a [Row],
    steps: &[&str],
    window: i64,
    enters: impl Fn(&Row) -> bool,
) -> Vec<(&'a Row, Vec<i64>)> {
    let mut by_user: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    rows.iter().for_each(|row| by_user.entry(&row.user).or_default().push(row));
    by_user.remove("");
    let mut all = Vec::new();
    for mut events in by_user.into_values() {
        let Some(at) = events.iter().position(|row| row.event == steps[0] && enters(row)) else { continue };
        let first = events.remove(at);
        let mut times = vec![first.time];
        for step in &steps[1..] {
            let previous = *times.last().unwrap();
            let fits = |row: &&Row| {
                row.event == *step && row.time >= previous - 2 && row.time <= first.time + window
            };
            let Some(at) = events.iter().position(fits) else { break };
            times.push(events.remove(at).time.max(previous));
        }
        all.push((first, times));
    }
    all
}

fn dated(row: &Row, from: &str, to: &str) -> bool {
    (from..=to).contains(&row.date.as_str())
}

#[test]
fn funnels_by_day_and_beyond_the_range() {
    let (simulator, rows) = world();
    let list = ask(&simulator, "funnels/list", &[]).json();
    assert_eq!(list[0], json!({"funnel_id": 7501, "name": "Purchase funnel"}));
    let steps = ["Product Viewed", "Add to Cart", "Checkout Started", "Purchase"];
    for (length, unit, window) in [("1", "hour", 3600), ("5", "day", 5 * 86_400), ("90", "second", 90)] {
        let parameters = with(&[("funnel_id", "7501"), ("length", length), ("length_unit", unit)]);
        let answer = ask(&simulator, "funnels", &parameters).json();
        assert_eq!(answer["meta"]["dates"], json!(dates(FROM, TO)));
        for date in dates(FROM, TO) {
            let attempts = attempts(&rows, &steps, window, |row| dated(row, &date, &date));
            let day = &answer["data"][&date];
            for (index, step) in day["steps"].as_array().unwrap().iter().enumerate() {
                let reached: Vec<&Vec<i64>> =
                    attempts.iter().map(|(_, times)| times).filter(|times| times.len() > index).collect();
                assert_eq!(step["count"].as_u64(), Some(reached.len() as u64), "{date} {index} {unit}");
                assert_eq!(step["event"], steps[index]);
                if index > 0 && !reached.is_empty() {
                    let mean = |from: &dyn Fn(&Vec<i64>) -> i64| {
                        reached.iter().map(|times| times[index] - from(times)).sum::<i64>() as f64
                            / reached.len() as f64
                    };
                    let from_start = mean(&|times| times[0]).round() as i64;
                    let from_previous = mean(&|times| times[index - 1]).round() as i64;
                    assert_eq!(step["avg_time_from_start"].as_i64(), Some(from_start));
                    assert_eq!(step["avg_time"].as_i64(), Some(from_previous));
                    let ratio = reached.len() as f64 / attempts.len() as f64;
                    assert!((step["overall_conv_ratio"].as_f64().unwrap() - ratio).abs() < 1e-9);
                }
            }
            assert_eq!(day["analysis"]["starting_amount"], day["steps"][0]["count"]);
            assert_eq!(day["analysis"]["completion"], day["steps"][3]["count"]);
        }
    }
}

#[test]
fn only_the_first_attempt_counts_and_simultaneous_steps_have_no_order() {
    let (simulator, _) = world();
    let reached = |date: &str| {
        let parameters = [
            ("funnel_id", "7502"),
            ("from_date", FROM),
            ("to_date", TO),
            ("length", "1"),
            ("length_unit", "hour"),
        ];
        let answer = ask(&simulator, "funnels", &parameters).json();
        [0, 1].map(|step| answer["data"][date]["steps"][step]["count"].as_i64().unwrap())
    };
    let date: jiff::civil::Date = "2025-06-15".parse().unwrap();
    let noon = date.at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_second();
    let mut number = 0;
    let mut add = |events: &[(&str, i64)]| -> [i64; 2] {
        let before = reached("2025-06-15");
        number += 1;
        let lines = events.iter().map(|(name, second)| {
            let (time, id) = (noon + second, format!("{number}-{name}-{second}"));
            json!({"event": name, "properties": {
                "time": time, "distinct_id": format!("walker {number}"), "$insert_id": id,
                "mp_processing_time_ms": (time + 60) * 1000,
            }})
            .to_string()
        });
        simulator.add_events(&lines.collect::<Vec<_>>()).unwrap();
        let after = reached("2025-06-15");
        [after[0] - before[0], after[1] - before[1]]
    };
    assert_eq!(add(&[("Signed Up", 0), ("Purchase", 3600)]), [1, 1]);
    assert_eq!(add(&[("Signed Up", 0), ("Purchase", 3601)]), [1, 0]);
    assert_eq!(add(&[("Signed Up", 0), ("Purchase", 0)]), [1, 1]);
    assert_eq!(add(&[("Purchase", -2), ("Signed Up", 0)]), [1, 1], "within two seconds");
    assert_eq!(add(&[("Purchase", -3), ("Signed Up", 0)]), [1, 0]);
    assert_eq!(add(&[("Signed Up", 0), ("Signed Up", 4000), ("Purchase", 5000)]), [1, 0], "the first entry");
    // Midnight is no border for steps, and the next day is a funnel of its own.
    assert_eq!(add(&[("Signed Up", 43_199), ("Purchase", 43_201)]), [1, 1]);
    assert_eq!(add(&[("Purchase", -43_201), ("Signed Up", -43_200)]), [1, 1]);
}

#[test]
fn funnels_by_segment_over_one_bucket() {
    let (simulator, rows) = world();
    let steps = ["Signed Up", "Purchase"];
    let parameters =
        with(&[("funnel_id", "7502"), ("interval", "60"), ("on", r#"properties["mp_country_code"]"#)]);
    let answer = ask(&simulator, "funnels", &parameters).json();
    let bucket = answer["data"][FROM].as_object().unwrap();
    let country = |row: &Row| segment(row.properties.get("mp_country_code"));
    let window = 30 * 86_400;
    let mut expected: BTreeMap<String, [u64; 2]> = BTreeMap::new();
    let mut expect = |key: String, attempts: Vec<(&Row, Vec<i64>)>| {
        let reached = |steps| attempts.iter().filter(|(_, times)| times.len() >= steps).count() as u64;
        expected.insert(key, [reached(1), reached(2)]);
    };
    let overall = attempts(&rows, &steps, window, |row| dated(row, FROM, TO));
    assert!(overall.iter().any(|(_, times)| times.len() == 2));
    expect("$overall".to_owned(), overall);
    let entries = rows.iter().filter(|row| row.event == steps[0] && dated(row, FROM, TO));
    for key in entries.map(country).collect::<BTreeSet<_>>() {
        // A user may enter in several segments.
        expect(
            key.clone(),
            attempts(&rows, &steps, window, |row| dated(row, FROM, TO) && country(row) == key),
        );
    }
    let found: BTreeMap<String, [u64; 2]> = bucket
        .iter()
        .map(|(key, steps)| (key.clone(), [0, 1].map(|index| steps[index]["count"].as_u64().unwrap())))
        .collect();
    assert_eq!(found, expected);
}

/// In which intervals after their first birth of the range users came back.
fn returns(
    rows: &[Row],
    born: &str,
    event: Option<&str>,
    from: &str,
    to: &str,
    interval: i64,
) -> Vec<(String, BTreeSet<i64>)> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for (index, birth) in rows.iter().enumerate() {
        let first = birth.event == born && *from <= *birth.date && *birth.date <= *to;
        if first && seen.insert(birth.user.clone()) {
            let others = rows[..index].iter().chain(&rows[index + 1..]).filter(|row| row.time >= birth.time);
            let returns =
                others.filter(|row| row.user == birth.user && event.is_none_or(|event| row.event == event));
            let intervals = returns.map(|row| (row.time - birth.time) / interval).collect();
            all.push((birth.date.clone(), intervals));
        }
    }
    all
}

#[test]
fn retention_by_birth() {
    let (simulator, rows) = world();
    let day = 86_400;
    for (event, unbounded, interval) in
        [(Some("Page View"), false, 1), (None, false, 1), (Some("Page View"), true, 1), (None, false, 3)]
    {
        let interval_text = interval.to_string();
        let mut parameters: Vec<(&str, &str)> = with(&[("born_event", "Signed Up"), ("interval_count", "6")]);
        parameters.extend(event.map(|event| ("event", event)));
        if unbounded {
            parameters.push(("unbounded_retention", "true"));
        }
        parameters.push(("interval", &interval_text));
        let answer = ask(&simulator, "retention", &parameters).json();
        let births = returns(&rows, "Signed Up", event, FROM, TO, interval * day);
        let all = dates(FROM, TO);
        let buckets: Vec<&[String]> = all.chunks(interval as usize).collect();
        assert_eq!(answer.as_object().unwrap().len(), buckets.len());
        for bucket in buckets {
            let cohort: Vec<_> = births.iter().filter(|(date, _)| bucket.contains(date)).collect();
            let counts: Vec<usize> = (0..=6)
                .map(|n| {
                    let back = |seen: &BTreeSet<i64>| match unbounded {
                        true => seen.range(n..=6).next().is_some(),
                        false => seen.contains(&n),
                    };
                    cohort.iter().filter(|(_, seen)| back(seen)).count()
                })
                .collect();
            let expected = json!({"counts": counts, "first": cohort.len()});
            assert_eq!(answer[&bucket[0]], expected, "{event:?} {unbounded} {interval}");
        }
        assert!(births.len() > 5);
    }
}

#[test]
fn compounded_retention_and_segments() {
    let (simulator, rows) = world();
    let parameters = with(&[
        ("retention_type", "compounded"),
        ("event", "Search"),
        ("interval_count", "3"),
        ("unit", "day"),
    ]);
    let answer = ask(&simulator, "retention", &parameters).json();
    for date in dates(FROM, TO) {
        let cohort = returns(&rows, "Search", Some("Search"), &date, &date, 86_400);
        let counts: Vec<usize> =
            (0..=3).map(|n| cohort.iter().filter(|(_, seen)| seen.contains(&n)).count()).collect();
        assert_eq!(answer[&date], json!({"counts": counts, "first": cohort.len()}), "{date}");
    }
    let parameters =
        with(&[("born_event", "Signed Up"), ("event", "Page View"), ("on", r#"properties["$browser"]"#)]);
    let answer = ask(&simulator, "retention", &parameters).json();
    let births = returns(&rows, "Signed Up", Some("Page View"), FROM, TO, 86_400);
    for (date, segments) in answer.as_object().unwrap() {
        let born = births.iter().filter(|(birth, _)| birth == date).count();
        for (_, numbers) in segments.as_object().unwrap() {
            assert_eq!(numbers["first"], born);
        }
    }
}

#[test]
fn frequency_counts_active_hours_and_days() {
    let (simulator, rows) = world();
    let parameters = with(&[("unit", "day"), ("addiction_unit", "hour")]);
    let answer = ask(&simulator, "retention/addiction", &parameters).json();
    for date in dates(FROM, TO) {
        let mut hours: BTreeMap<&str, BTreeSet<i8>> = BTreeMap::new();
        for row in within(&rows, &date, &date) {
            hours.entry(&row.user).or_default().insert(row.hour);
        }
        let expected: Vec<usize> =
            (1..=24).map(|least| hours.values().filter(|hours| hours.len() >= least).count()).collect();
        assert_eq!(answer["data"][&date], json!(expected), "{date}");
    }
    let parameters = with(&[("unit", "week"), ("addiction_unit", "day"), ("event", "Page View")]);
    let answer = ask(&simulator, "retention/addiction", &parameters).json();
    let week = answer["data"]["2025-06-16"].as_array().unwrap();
    assert_eq!(week.len(), 7);
    let mut days: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in within(&rows, "2025-06-16", TO).filter(|row| row.event == "Page View") {
        days.entry(&row.user).or_default().insert(&row.date);
    }
    for (index, count) in week.iter().enumerate() {
        assert_eq!(*count, days.values().filter(|days| days.len() > index).count());
    }
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
