//! The seeded world: determinism, and the shapes it promises.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::civil::date;
use mixpanel_sim::{SimConfig, World};
use serde_json::{Map, Value};

struct Event {
    name: String,
    properties: Map<String, Value>,
}

impl Event {
    fn text(&self, name: &str) -> &str {
        self.properties.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn int(&self, name: &str) -> i64 {
        self.properties[name].as_i64().unwrap()
    }
}

fn events(world: &World) -> Vec<Event> {
    let lines = world.days().iter().flat_map(|day| {
        let text = std::str::from_utf8(day.jsonl()).unwrap();
        text.split_terminator('\n').map(|line| {
            let Value::Object(mut event) = serde_json::from_str(line).unwrap() else { panic!("{line}") };
            let Some(Value::Object(properties)) = event.remove("properties") else { panic!("{line}") };
            Event { name: event["event"].as_str().unwrap().to_owned(), properties }
        })
    });
    lines.collect()
}

fn world() -> World {
    World::generate(&SimConfig { days: 40, events_per_day: 1000, ..SimConfig::default() })
}

#[test]
fn the_same_seed_gives_the_same_bytes_in_any_order() {
    let config = SimConfig { days: 12, events_per_day: 300, ..SimConfig::default() };
    let (forward, backward) = (World::generate(&config), World::generate(&config));
    let mut texts: Vec<_> = backward.days().iter().rev().map(|day| day.jsonl().clone()).collect();
    texts.reverse();
    for (day, text) in forward.days().iter().zip(&texts) {
        assert!(day.jsonl() == text, "{}", day.date());
    }
    forward.prepare(forward.first_day(), forward.last_day());
    let other = World::generate(&SimConfig { seed: 43, ..config });
    assert!(other.days().iter().zip(&texts).all(|(day, text)| day.is_empty() || day.jsonl() != text));
}

#[test]
fn announced_counts_are_true() {
    let world = world();
    let mut total = 0;
    for day in world.days() {
        let text = std::str::from_utf8(day.jsonl()).unwrap();
        assert_eq!(text.split_terminator('\n').count() as u64, day.rows());
        assert_eq!(world.event_count(day.date(), day.date()), day.rows());
        total += day.rows();
    }
    assert_eq!(total, 40_000);
    assert_eq!(world.event_count(date(2000, 1, 1), date(2100, 1, 1)), total);
    assert_eq!(world.event_count(date(2000, 1, 1), date(2000, 1, 2)), 0);
    let identity = |event: &Event| {
        (
            event.name.clone(),
            event.int("time"),
            event.text("distinct_id").to_owned(),
            event.text("$insert_id").to_owned(),
        )
    };
    let distinct: HashSet<_> = events(&world).iter().map(identity).collect();
    assert_eq!(world.unique_count(world.first_day(), world.last_day()), distinct.len() as u64);
}

#[test]
fn half_a_percent_of_the_rows_repeat_another() {
    let world = world();
    let mut repeated = 0;
    let mut only_processed_later = 0;
    for day in world.days() {
        let text = std::str::from_utf8(day.jsonl()).unwrap();
        let mut seen: HashMap<String, &str> = HashMap::new();
        for line in text.split_terminator('\n') {
            let at = line.find("\"mp_processing_time_ms\":").unwrap() + 24;
            let without = format!("{}{}", &line[..at], &line[at + 13..]);
            if let Some(before) = seen.insert(without, &line[at..at + 13]) {
                repeated += 1;
                only_processed_later += u32::from(before != &line[at..at + 13]);
            }
        }
    }
    assert_eq!(repeated, 200);
    assert!((30..120).contains(&only_processed_later), "{only_processed_later}");
}

#[test]
fn every_event_has_its_system_properties_on_its_day() {
    let world = world();
    let mut late = 0;
    for day in world.days() {
        let midnight = day.date().to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_second();
        for line in std::str::from_utf8(day.jsonl()).unwrap().split_terminator('\n') {
            let event: Value = serde_json::from_str(line).unwrap();
            let properties = &event["properties"];
            let time = properties["time"].as_i64().unwrap();
            assert!((midnight..midnight + 86_400).contains(&time));
            let id = properties["$insert_id"].as_str().unwrap();
            assert!(id.len() == 36 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
            let lag = properties["mp_processing_time_ms"].as_i64().unwrap() - time * 1000;
            assert!(lag > 0 && lag < 5 * 86_400_000 + 1_000_000);
            late += u32::from(lag > 12 * 3_600_000);
        }
    }
    assert!((100..1000).contains(&late), "{late} late events");
    // `today` has only begun.
    let today = world.days().last().unwrap();
    let usual = &world.days()[world.days().len() - 2];
    assert!(today.rows() > 0 && today.rows() < usual.rows());
    assert!(world.days().iter().any(|day| day.is_empty()));
    assert!(world.days().iter().rev().take(5).all(|day| !day.is_empty()));
}

#[test]
fn the_mix_is_skewed_and_the_property_sets_are_realistic() {
    let events = events(&world());
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for event in &events {
        *names.entry(&event.name).or_default() += 1;
    }
    assert!(names.len() >= 15, "{names:?}");
    let share = |name: &str| names[name] as f64 / events.len() as f64;
    assert!(share("Page View") > 0.3 && share("Purchase") < 0.06 && share("page view") < 0.01, "{names:?}");
    let mut counts: Vec<usize> = events.iter().map(|event| event.properties.len()).collect();
    counts.sort_unstable();
    let quantile = |q: f64| counts[(q * (counts.len() - 1) as f64) as usize];
    assert!(quantile(0.0) >= 13 && quantile(0.02) >= 15, "{} {}", quantile(0.0), quantile(0.02));
    assert!(quantile(0.95) <= 31 && quantile(0.5) >= 20, "{} {}", quantile(0.95), quantile(0.5));
    let planned = events.iter().filter(|event| event.properties.contains_key("plan")).count();
    assert!(planned as f64 > 0.85 * events.len() as f64, "{planned}");
}

#[test]
fn the_hazards_are_there() {
    let world = world();
    let mut types: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for event in events(&world) {
        for (name, value) in event.properties {
            let kind = match value {
                Value::Null => "null",
                Value::Bool(_) => "bool",
                Value::Number(number) if number.is_f64() => "float",
                Value::Number(_) => "int",
                Value::String(text) if text.is_empty() => "empty",
                Value::String(_) => "text",
                Value::Array(_) => "list",
                Value::Object(_) => "object",
            };
            types.entry(name).or_default().insert(kind);
        }
    }
    let of = |name: &str| types[name].iter().copied().collect::<Vec<_>>();
    assert_eq!(of("price"), ["float", "int", "null", "text"]);
    assert_eq!(of("amount"), ["float", "int"]);
    assert_eq!(of("plan"), ["text"]);
    assert_eq!(of("Plan"), ["text"]);
    assert_eq!(of("is_gift"), ["bool", "int", "text"]);
    assert_eq!(of("items"), ["list"]);
    assert_eq!(of("cart"), ["object"]);
    assert_eq!(of("coupon"), ["empty", "null", "text"]);
    assert!(types.contains_key(r#"ship.to "home" address"#));
    let sparse = types.keys().filter(|name| name.starts_with("exp_")).count();
    assert!(sparse > 200, "{sparse}");

    let text: Vec<u8> = world.days().iter().flat_map(|day| day.jsonl().to_vec()).collect();
    let text = String::from_utf8(text).unwrap();
    for needle in
        ["\u{2028}", "\\u2028", "\u{85}", "👍", "\\ud83d", "東京", "\\u6771", "9007199254", "<null>"]
    {
        assert!(text.contains(needle), "{needle:?}");
    }
    let beyond = events(&world).iter().filter_map(|event| event.properties.get("trace_id")?.as_u64()).max();
    assert!(beyond.is_some_and(|id| id > i64::MAX as u64));
}

#[test]
fn funnels_lose_users_at_every_step() {
    let events = events(&world());
    let users = |name: &str| {
        let of = events.iter().filter(|event| event.name == name);
        of.map(|event| event.text("distinct_id")).collect::<HashSet<_>>().len()
    };
    let steps = ["Page View", "Product Viewed", "Add to Cart", "Checkout Started", "Purchase"].map(users);
    assert!(steps.is_sorted_by(|a, b| a > b), "{steps:?}");
    assert!(steps[4] * 20 > steps[0], "{steps:?}");
}

#[test]
fn users_return_ever_less_often() {
    let events = events(&world());
    let mut born: HashMap<&str, i64> = HashMap::new();
    for event in events.iter().filter(|event| event.name == "Signed Up") {
        born.entry(event.text("distinct_id")).or_insert(event.int("time") / 86_400);
    }
    assert!(born.len() > 300, "{}", born.len());
    let mut active: Vec<HashSet<&str>> = vec![HashSet::new(); 21];
    let last = 20_270; // 2025-07-01
    for event in &events {
        let user = event.text("distinct_id");
        let Some(day) = born.get(user).filter(|&&day| day <= last - 21) else { continue };
        if let Ok(age) = usize::try_from(event.int("time") / 86_400 - day)
            && age < active.len()
        {
            active[age].insert(user);
        }
    }
    let week = |from: usize| (from..from + 7).map(|age| active[age].len()).sum::<usize>();
    let (first, second, third) = (week(1), week(8), week(14));
    assert!(
        active[0].len() > active[1].len() && first > second && second > third,
        "{first} {second} {third}"
    );
    assert!(third > 0);
}

#[test]
fn the_million_event_world_is_as_large_as_it_says() {
    let world = World::generate(&SimConfig::million());
    assert_eq!(world.event_count(world.first_day(), world.last_day()), 1_000_000);
    assert_eq!(world.days().len(), 30);
    let day = world.days().last().unwrap();
    let bytes = day.jsonl().len() as u64 / day.rows();
    println!("{bytes} bytes per event");
    assert!((900..1150).contains(&bytes), "{bytes} bytes per event");
    let text = std::str::from_utf8(day.jsonl()).unwrap();
    let mut counts: Vec<usize> = text
        .split_terminator('\n')
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["properties"].as_object().unwrap().len())
        .collect();
    counts.sort_unstable();
    let share = |q: f64| counts[(q * (counts.len() - 1) as f64) as usize];
    println!("{:?}", [0.0, 0.03, 0.5, 0.9, 1.0].map(share));
    assert!(share(0.03) >= 25 && share(0.9) <= 36, "{} {} {}", share(0.03), share(0.5), share(0.9));
}
