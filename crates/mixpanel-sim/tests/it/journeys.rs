//! Funnels, retention and frequency against walks over the events of every user.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::brute::*;
use crate::counts::{FROM, TO, with, world};
use crate::support::*;

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
