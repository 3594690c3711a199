//! Profiles over HTTP: pages and sessions, selection against a pass over all profiles, budget, refusals.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use mixpanel_sim::{Limits, Pace, SimConfig, Simulator};
use serde_json::{Value, json};

use crate::people::*;
use crate::support::*;

const UNCACHED: &str = "request for page in uncached query for params";

/// 2,500 profiles, 400 of them with events.
fn crowd() -> SimConfig {
    SimConfig { users: Some(400), profiles: Some(2_500), ..small() }
}

#[test]
fn pages_hold_every_profile_once() {
    let simulator = start(crowd());
    let first = page(&simulator, &json!({}));
    let session = first["session_id"].as_str().unwrap();
    assert_eq!((&first["page"], &first["page_size"]), (&json!(0), &json!(1000)));
    assert_eq!((&first["status"], &first["total"]), (&json!("ok"), &json!(2500)));
    let (digits, letters) = session.split_once('-').unwrap();
    assert!(digits.len() == 10 && letters.len() == 6, "{session}");
    let mut seen: HashSet<String> = ids(first["results"].as_array().unwrap()).into_iter().collect();
    // Any order will do.
    for (number, size) in [(3, 0), (1, 1000), (2, 500), (99, 0)] {
        let next = page(&simulator, &json!({"page": number, "session_id": session}));
        assert_eq!((&next["page"], &next["session_id"]), (&json!(number), &json!(session)));
        assert!(next.get("total").is_none());
        let results = next["results"].as_array().unwrap();
        assert_eq!(results.len(), size);
        seen.extend(ids(results));
    }
    assert_eq!(seen.len(), 2500);
    let small_pages = all(&simulator, &json!({"page_size": "250"}));
    assert_eq!(ids(&small_pages), ids(&all(&simulator, &json!({}))));
    assert_eq!(page(&simulator, &json!({"page_size": 5000}))["page_size"], 1000);
}

#[test]
fn total_can_be_on_every_page() {
    let mut config = crowd();
    config.engage.total_on_every_page = true;
    let simulator = start(config);
    let session = page(&simulator, &json!({}))["session_id"].clone();
    assert_eq!(page(&simulator, &json!({"page": 2, "session_id": session}))["total"], 2500);
}

#[test]
fn profiles_are_the_same_each_time_and_differ_by_seed() {
    let of = |seed| all(&start(SimConfig { seed, ..crowd() }), &json!({}));
    let first = of(1);
    assert!(first == of(1));
    assert!(first != of(2));
}

#[test]
fn pages_without_their_session_are_refused() {
    let simulator = start(crowd());
    let error = |body: Value| {
        let answer = post(&simulator, "/api/query/engage", &body);
        assert_eq!(answer.status, 400, "{body}");
        answer.error()
    };
    assert!(error(json!({"page": 1})).contains("session_id"));
    assert_eq!(error(json!({"page": 1, "session_id": "1234567890-ABCDEF"})), UNCACHED);
    let session = page(&simulator, &json!({"where": "true"}))["session_id"].clone();
    assert_eq!(error(json!({"page": 1, "session_id": session})), UNCACHED);
    assert_eq!(error(json!({"page": 1, "session_id": session, "where": "true", "page_size": 10})), UNCACHED);
    page(&simulator, &json!({"page": 1, "session_id": session, "where": "true"}));
    error(json!({"page": -1}));
    error(json!({"page": "one"}));
    error(json!({"page_size": 0}));
}

#[test]
fn sessions_expire_by_the_virtual_clock() {
    let mut config = SimConfig { pace: Pace::Manual, ..crowd() };
    config.engage.session_lifetime = Duration::from_secs(600);
    let simulator = start(config);
    let session = page(&simulator, &json!({}))["session_id"].clone();
    let next = json!({"page": 1, "session_id": session});
    simulator.advance(Duration::from_secs(599));
    page(&simulator, &next);
    simulator.advance(Duration::from_secs(1));
    let answer = post(&simulator, "/api/query/engage", &next);
    assert_eq!((answer.status, answer.error().as_str()), (400, UNCACHED));
    assert_ne!(page(&simulator, &json!({}))["session_id"], session);
}

#[test]
fn all_spellings_and_forms_mean_the_same() {
    let simulator = start(crowd());
    let expected =
        page(&simulator, &json!({"distinct_ids": ["user-000001", "user-000002"]}))["results"].clone();
    assert_eq!(expected.as_array().unwrap().len(), 2);
    let authorization = basic("sim-project-secret", "");
    let form = query(&[("distinct_ids", r#"["user-000001","user-000002"]"#)]);
    for path in ["/api/query/engage", "/api/2.0/engage", "/api/2.0/engage/", "/api/2.0/engage/query"] {
        let header = [("Authorization", authorization.as_str())];
        let got = get(&simulator, &format!("{path}?{form}"), &header);
        assert_eq!(json_of(&got)["results"], expected);
        let form_header = [header[0], ("Content-Type", "application/x-www-form-urlencoded")];
        assert_eq!(json_of(&send(&simulator, "POST", path, &form_header, &form))["results"], expected);
        let text = json!({"distinct_ids": "[\"user-000001\", \"user-000002\"]"});
        assert_eq!(json_of(&post(&simulator, path, &text))["results"], expected);
    }
    let zipped = get(
        &simulator,
        "/api/query/engage",
        &[("Authorization", authorization.as_str()), ("Accept-Encoding", "gzip")],
    );
    assert!(zipped.is_gzip());
    assert_eq!(json_of(&zipped)["results"].as_array().unwrap().len(), 1000);
}

#[test]
fn only_first_pages_take_from_the_budget() {
    let limits = Limits { query_per_hour: 2, ..Limits::default() };
    let simulator = start(SimConfig { limits, pace: Pace::Manual, ..crowd() });
    assert_eq!(all(&simulator, &json!({"page_size": 100})).len(), 2500);
    assert_eq!(simulator.queries_last_hour(), 1);
    let session = page(&simulator, &json!({}))["session_id"].clone();
    assert_eq!(post(&simulator, "/api/query/engage", &json!({})).status, 429);
    page(&simulator, &json!({"page": 1, "session_id": session}));
}

#[test]
fn a_plan_without_the_api_is_told() {
    let simulator = start(SimConfig { has_query_api: false, ..crowd() });
    assert_eq!(post(&simulator, "/api/query/engage", &json!({})).status, 402);
}

#[test]
fn filters_keep_what_a_pass_over_all_profiles_keeps() {
    let simulator = start(crowd());
    let everybody = all(&simulator, &json!({}));
    let kept = |keep: &dyn Fn(&Value) -> bool| -> Vec<String> {
        everybody.iter().filter(|result| keep(result)).map(id).collect()
    };
    let text = |result: &Value, name: &str| result["$properties"][name].as_str().map(str::to_owned);
    type Keep<'a> = &'a dyn Fn(&Value) -> bool;
    let cases: [(&str, Keep<'_>); 8] = [
        (r#"properties["plan"] == "pro""#, &|r| text(r, "plan").as_deref() == Some("pro")),
        (r#"not properties["plan"] == "free""#, &|r| text(r, "plan").as_deref() != Some("free")),
        (r#"properties["$last_seen"] >= "2025-06-01T00:00:00""#, &|r| {
            text(r, "$last_seen").is_some_and(|seen| seen.as_str() >= "2025-06-01T00:00:00")
        }),
        (r#"not defined(properties["$last_seen"])"#, &|r| text(r, "$last_seen").is_none()),
        (r#"properties["Lifetime Value"] > 2500"#, &|r| {
            r["$properties"]["Lifetime Value"].as_f64().is_some_and(|value| value > 2500.0)
        }),
        (r#""bio" in properties["tags"]"#, &|r| match &r["$properties"]["tags"] {
            Value::Array(tags) => tags.contains(&json!("bio")),
            Value::String(tag) => tag.contains("bio"),
            _ => false,
        }),
        (r#"properties["preferences"]["quiet"]["from"] >= 22"#, &|r| {
            r["$properties"]["preferences"]["quiet"]["from"].as_u64().is_some_and(|from| from >= 22)
        }),
        (r#"user["$country_code"] in ["DE", "FR"] and "lead" in properties["$distinct_id"]"#, &|r| {
            ["DE", "FR"].contains(&text(r, "$country_code").unwrap_or_default().as_str())
                && id(r).contains("lead")
        }),
    ];
    for (filter, keep) in cases {
        let expected = kept(keep);
        assert!(!expected.is_empty() && expected.len() < everybody.len(), "{filter}");
        assert_eq!(ids(&all(&simulator, &json!({"where": filter}))), expected, "{filter}");
    }
    for wrong in ["properties[", r#"properties["plan"]"#, "1 +"] {
        assert_eq!(post(&simulator, "/api/query/engage", &json!({"where": wrong})).status, 400, "{wrong}");
    }
}

#[test]
fn single_profiles_are_found_by_text_and_by_number() {
    let simulator = start(crowd());
    let everybody = all(&simulator, &json!({}));
    let number = everybody.iter().find(|result| result["$distinct_id"].is_u64()).expect("a numeric id");
    let one = |id: &Value| page(&simulator, &json!({"distinct_id": id}))["results"].clone();
    assert_eq!(one(&number["$distinct_id"]), json!([number]));
    assert_eq!(one(&json!(id(number))), json!([number]));
    assert_eq!(one(&json!("nobody")), json!([]));
    // A user who has events and no profile.
    assert_eq!(one(&json!("user-000049")), json!([]));
    let mixed = ["user-000003", "nobody", &id(number), "user-000001", "user-000003"];
    let several = page(&simulator, &json!({"distinct_ids": mixed}));
    assert_eq!(several["total"], 3);
    assert_eq!(ids(several["results"].as_array().unwrap()), ["user-000003", &id(number), "user-000001"]);
    assert_eq!(page(&simulator, &json!({"distinct_ids": "[]"}))["total"], 0);
    let many = |count: usize| {
        let ids: Vec<String> = (0..count).map(|number| format!("user-{number:06}")).collect();
        post(&simulator, "/api/query/engage", &json!({"distinct_ids": ids})).status
    };
    assert_eq!((many(2000), many(2001)), (200, 400));
    assert_eq!(post(&simulator, "/api/query/engage", &json!({"distinct_ids": "a,b"})).status, 400);
}

#[test]
fn output_properties_limit_the_properties() {
    let simulator = start(crowd());
    let names = ["$email", "Lifetime Value", "never set"];
    let narrow = all(&simulator, &json!({"output_properties": names}));
    let wide = all(&simulator, &json!({}));
    for (narrow, wide) in narrow.iter().zip(&wide) {
        assert_eq!(id(narrow), id(wide));
        let expected: BTreeMap<_, _> =
            properties(wide).iter().filter(|(name, _)| names.contains(&name.as_str())).collect();
        assert_eq!(properties(narrow).iter().collect::<BTreeMap<_, _>>(), expected);
    }
    let none = page(&simulator, &json!({"output_properties": []}));
    assert!(none["results"].as_array().unwrap().iter().all(|result| properties(result).is_empty()));
}

#[test]
fn sorted_searched_limited() {
    let simulator = start(crowd());
    let key = r#"properties["$last_seen"]"#;
    let seen = |results: &[Value]| -> Vec<Option<String>> {
        results.iter().map(|result| result["$properties"]["$last_seen"].as_str().map(str::to_owned)).collect()
    };
    let up = seen(&all(&simulator, &json!({"sort_key": key})));
    let down = seen(&all(&simulator, &json!({"sort_key": key, "sort_order": "descending"})));
    let there = up.iter().position(Option::is_none).expect("somebody was never seen");
    assert!(up[..there].is_sorted() && up[there..].iter().all(Option::is_none));
    assert!(down[..there].iter().rev().is_sorted() && down[there..].iter().all(Option::is_none));
    let limited = all(&simulator, &json!({"sort_key": key, "limit": 7}));
    assert_eq!(seen(&limited), up[..7]);
    let found = all(&simulator, &json!({"search": "GARCÍA"}));
    assert!(!found.is_empty());
    assert!(found.iter().all(|result| result["$properties"]["$name"].as_str().unwrap().contains("García")));
    assert_eq!(post(&simulator, "/api/query/engage", &json!({"sort_order": "up"})).status, 400);
    assert_eq!(post(&simulator, "/api/query/engage", &json!({"limit": 0})).status, 400);
}

/// Purchases of each user in a window that ends at `to`, from an export, repeated rows counted once.
fn purchases(simulator: &Simulator, from: i64, to: i64) -> HashMap<String, usize> {
    let mut seen = BTreeSet::new();
    for event in export(simulator, "2025-06-02", "2025-07-01", &[("event", r#"["Purchase"]"#)]).events() {
        let properties = &event["properties"];
        let time = properties["time"].as_i64().unwrap();
        if time > from && time <= to {
            let user = properties["distinct_id"].as_str().unwrap().to_owned();
            seen.insert((user, time, properties["$insert_id"].as_str().unwrap().to_owned()));
        }
    }
    let mut counts = HashMap::new();
    seen.into_iter().for_each(|(user, ..)| *counts.entry(user).or_default() += 1);
    counts
}

#[test]
fn behaviours_are_counted_from_the_events() {
    let simulator = start(crowd());
    let as_of = 1_750_420_800; // 2025-06-20T12:00:00Z
    let counts = purchases(&simulator, as_of - 18 * 86_400, as_of);
    let everybody = all(&simulator, &json!({}));
    let often = |result: &&Value| counts.get(&id(result)).copied().unwrap_or(0) > 0;
    let expected: Vec<String> = everybody.iter().filter(often).map(id).collect();
    assert!(!expected.is_empty());
    let behaviors = json!([{"window": "18d", "name": "b", "event_selectors": [{"event": "Purchase"}]}]);
    let body = json!({"behaviors": behaviors.to_string(), "where": r#"(behaviors["b"] > 0)"#, "as_of_timestamp": as_of});
    assert_eq!(ids(&all(&simulator, &body)), expected);
    // Those who never did it have zero.
    let body = json!({"behaviors": behaviors, "where": r#"behaviors["b"] == 0"#, "as_of_timestamp": as_of});
    let nothing = everybody.iter().filter(|result| !counts.contains_key(&id(result))).count();
    assert_eq!(all(&simulator, &body).len(), nothing);
    // Only some occurrences count.
    let event = json!([{"event": "Purchase", "selector": r#"properties["payment_method"] == "paypal""#}]);
    let some = json!([{"window": "18d", "name": "b", "event_selectors": event}]);
    let body = json!({"behaviors": some, "where": r#"behaviors["b"] > 0"#, "as_of_timestamp": as_of});
    assert!(all(&simulator, &body).len() < expected.len());
}

#[test]
fn more_than_a_page_of_behaviours_needs_a_moment() {
    let simulator = start(crowd());
    let behaviors = json!([{"window": "1d", "name": "b", "event_selectors": [{"event": "Purchase"}]}]);
    let mut body = json!({"behaviors": behaviors, "where": r#"behaviors["b"] == 0"#});
    let first = page(&simulator, &body);
    assert!(first["total"].as_u64().unwrap() > 1000);
    body["session_id"] = first["session_id"].clone();
    body["page"] = json!(1);
    let answer = post(&simulator, "/api/query/engage", &body);
    assert_eq!((answer.status, answer.error().as_str()), (400, UNCACHED));
    for wrong in [json!("x"), json!([{"name": "b"}]), json!({"name": "b"})] {
        assert_eq!(post(&simulator, "/api/query/engage", &json!({"behaviors": wrong})).status, 400);
    }
}

#[test]
fn cohorts_have_the_members_that_they_count() {
    let simulator = start(crowd());
    let list = json_of(&post(&simulator, "/api/query/cohorts/list", &json!({})));
    let list = list.as_array().unwrap();
    assert!(
        list.iter().any(|cohort| cohort["count"] == 0) && list.iter().any(|cohort| cohort["is_visible"] == 0)
    );
    for cohort in list {
        assert_eq!(cohort["project_id"], 12345);
        // The id as a number or as text, the filter as an object or as text.
        for id in [cohort["id"].clone(), json!(cohort["id"].to_string())] {
            let mut body = json!({"filter_by_cohort": json!({"id": id}).to_string()});
            if let Some(group) = cohort.get("data_group_id") {
                body["data_group_id"] = group.clone();
            }
            let members = all(&simulator, &body);
            assert_eq!(cohort["count"], members.len(), "{cohort}");
            body["include_all_users"] = json!(false);
            let with_profile = all(&simulator, &body);
            // Members without a profile have no properties; others nearly always have some.
            assert!(with_profile.len() <= members.len());
        }
    }
    assert!(list.iter().any(|cohort| cohort.get("data_group_id").is_some()));
}

#[test]
fn members_without_a_profile_are_left_out_on_demand() {
    let simulator = start(crowd());
    let by_name = |name: &str| -> Value {
        let list = json_of(&post(&simulator, "/api/2.0/cohorts/list/", &json!({})));
        list.as_array().unwrap().iter().find(|cohort| cohort["name"] == name).unwrap()["id"].clone()
    };
    let buyers = json!({"filter_by_cohort": {"id": by_name("Bought in the last 30 days")}});
    let now = simulator.now().as_second();
    let expected: BTreeSet<String> = purchases(&simulator, now - 30 * 86_400, now).into_keys().collect();
    let members: BTreeSet<String> = ids(&all(&simulator, &buyers)).into_iter().collect();
    assert_eq!(members, expected);
    let profiles: HashSet<String> = ids(&all(&simulator, &json!({}))).into_iter().collect();
    let mut known = buyers.clone();
    known["include_all_users"] = json!("false");
    let known: BTreeSet<String> = ids(&all(&simulator, &known)).into_iter().collect();
    assert_eq!(known, expected.iter().filter(|id| profiles.contains(*id)).cloned().collect());
    assert!(known.len() < members.len());
    // Within a cohort, a filter and identifiers narrow further.
    let mut narrow = buyers.clone();
    narrow["where"] = json!(r#"properties["plan"] == "pro""#);
    let pro = all(&simulator, &narrow);
    assert!(!pro.is_empty() && pro.iter().all(|result| result["$properties"]["plan"] == "pro"));
    narrow["distinct_ids"] = json!([id(&pro[0]), "user-000049", "nobody"]);
    assert_eq!(ids(&all(&simulator, &narrow)), [id(&pro[0])]);

    let refused = |filter: Value, behaviors: Value| {
        let body = json!({"filter_by_cohort": filter, "behaviors": behaviors});
        let answer = post(&simulator, "/api/query/engage", &body);
        assert_eq!(answer.status, 400);
        answer.error()
    };
    let behaviors = json!([{"window": "1d", "name": "b", "event_selectors": [{"event": "Purchase"}]}]);
    assert!(refused(json!({"id": by_name("Paying customers")}), behaviors).contains("mutually exclusive"));
    assert!(refused(json!({"id": 1}), Value::Null).contains("no cohort 1"));
    assert!(refused(json!(7), Value::Null).contains("filter_by_cohort"));
}

#[test]
fn groups_are_profiles_of_their_own() {
    let simulator = start(crowd());
    let group = simulator.data_group_id("company_id");
    let companies = all(&simulator, &json!({"data_group_id": group.to_string()}));
    assert_eq!(companies.len(), 2500 / 20);
    let known: HashSet<String> = ids(&companies).into_iter().collect();
    let named: Vec<String> = all(&simulator, &json!({}))
        .iter()
        .filter_map(|result| result["$properties"]["company_id"].as_str().map(str::to_owned))
        .collect();
    assert!(named.len() > 1000 && named.iter().all(|id| known.contains(id)));
    let one = json!({"data_group_id": group, "distinct_id": "company-00003"});
    assert_eq!(ids(&all(&simulator, &one)), ["company-00003"]);
    assert_eq!(page(&simulator, &json!({"data_group_id": "1"}))["total"], 0);
    assert_eq!(post(&simulator, "/api/query/engage", &json!({"data_group_id": "x"})).status, 400);
}

#[test]
fn statistics_equal_a_pass_over_all_profiles() {
    let simulator = start(crowd());
    let everybody = all(&simulator, &json!({}));
    let stats = |more: Value| {
        let answer = json_of(&post(&simulator, "/api/2.0/engage/stats", &more));
        assert_eq!(answer["status"], "ok");
        assert!(answer["computed_at"].is_string());
        answer["results"].clone()
    };
    assert_eq!(stats(json!({"action": "count()"})), 2500);
    let selector = r#"properties["plan"] == "pro""#;
    let pro: Vec<&Value> = everybody.iter().filter(|r| r["$properties"]["plan"] == "pro").collect();
    assert_eq!(stats(json!({"action": "count()", "selector": selector})), pro.len());
    let mut values: Vec<f64> =
        pro.iter().filter_map(|result| result["$properties"]["Lifetime Value"].as_f64()).collect();
    values.sort_by(f64::total_cmp);
    let of = r#"properties["Lifetime Value"]"#;
    let extremes = stats(json!({"action": format!("extremes({of})"), "selector": selector}));
    assert_eq!(extremes, json!({"max": values.last(), "min": values.first()}));
    let half = stats(json!({"action": format!("percentile({of}, 50)"), "selector": selector}));
    let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    assert_eq!(half, json!({"percentile": 50.0, "result": low + (high - low) / 2.0}));
    let summary = stats(json!({"action": format!("numeric_summary({of})"), "selector": selector}));
    assert_eq!(summary["count"], values.len());
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    assert!((summary["mean"].as_f64().unwrap() - mean).abs() < 1e-6);
    let segmented =
        stats(json!({"action": "count()", "segment_by_cohorts": r#"{"4001": true, "4004": true}"#}));
    let paying =
        everybody.iter().filter(|r| ["pro", "enterprise"].iter().any(|p| r["$properties"]["plan"] == *p));
    assert_eq!(segmented, json!({"cohort_4001": paying.count(), "cohort_4004": 0}));
    for wrong in [
        json!({}),
        json!({"action": "sum(1)"}),
        json!({"action": "count()", "segment_by_cohorts": {"1": true}}),
    ] {
        assert_eq!(post(&simulator, "/api/query/engage/stats", &wrong).status, 400, "{wrong}");
    }
}

#[test]
fn properties_are_listed_with_counts_and_types() {
    let simulator = start(crowd());
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for result in all(&simulator, &json!({})) {
        properties(&result).keys().for_each(|name| *counts.entry(name.clone()).or_default() += 1);
    }
    let listed = json_of(&post(&simulator, "/api/2.0/engage/properties", &json!({})))["results"].clone();
    let listed: BTreeMap<String, Value> = serde_json::from_value(listed).unwrap();
    assert_eq!(
        listed
            .iter()
            .map(|(name, entry)| (name.clone(), entry["count"].as_u64().unwrap()))
            .collect::<BTreeMap<_, _>>(),
        counts
    );
    let of = |name: &str| listed[name]["type"].as_str().unwrap().to_owned();
    assert_eq!(
        [of("$email"), of("Lifetime Value"), of("preferences"), of("addresses")],
        ["string", "number", "object", "list"]
    );
}

#[test]
fn the_hazards_of_real_profiles_are_there() {
    let simulator = start(SimConfig { users: Some(2_500), profiles: None, ..small() });
    let everybody = all(&simulator, &json!({}));
    assert_eq!(everybody.len(), 2500);
    let any = |test: &dyn Fn(&Value) -> bool| everybody.iter().any(test);
    assert!(any(&|result| result["$distinct_id"].is_u64()));
    assert!(any(&|result| properties(result).is_empty()));
    assert!(any(&|result| !properties(result).is_empty() && !properties(result).contains_key("$last_seen")));
    assert!(
        any(&|result| properties(result).contains_key("plan") && properties(result).contains_key("Plan"))
    );
    assert!(any(&|result| properties(result).contains_key("ship.to \"home\" address")));
    assert!(any(&|result| properties(result).contains_key("🎂 birthday")));
    let value = |test: &dyn Fn(&Value) -> bool| any(&|result| test(&result["$properties"]["Lifetime Value"]));
    assert!(
        value(&Value::is_f64) && value(&Value::is_string) && value(&Value::is_null) && value(&Value::is_u64)
    );
    assert!(any(&|result| result["$properties"]["legacy id"].as_u64().is_some_and(|id| id > 1 << 53)));
    let lower: HashMap<String, usize> = ids(&everybody).into_iter().fold(HashMap::new(), |mut all, id| {
        *all.entry(id.to_lowercase()).or_default() += 1;
        all
    });
    assert!(lower.values().any(|&count| count == 2));
    let names: HashSet<&String> = everybody.iter().flat_map(|result| properties(result).keys()).collect();
    assert!(names.len() > 100);
}

#[test]
fn profiles_say_what_the_events_say() {
    let simulator = start(crowd());
    let profiles: HashMap<String, Value> =
        all(&simulator, &json!({})).into_iter().map(|result| (id(&result), result)).collect();
    let mut checked = 0;
    for event in export(&simulator, "2025-07-01", "2025-07-01", &[]).events() {
        let sent = &event["properties"];
        let Some(profile) = sent["$user_id"].as_str().and_then(|user| profiles.get(user)) else { continue };
        let profile = properties(profile);
        if !profile.is_empty() {
            assert_eq!(
                (&profile["plan"], &profile["$country_code"]),
                (&sent["plan"], &sent["mp_country_code"])
            );
            checked += 1;
        }
    }
    assert!(checked > 10);
}
