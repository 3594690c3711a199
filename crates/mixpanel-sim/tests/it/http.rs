//! The export endpoint over a real socket: parameters, credentials, encoding, chunks.

use std::collections::HashSet;

use jiff::civil::{Date, date};
use mixpanel_sim::{ClockMode, DateHeader, Pace, SimConfig, Simulator};
use serde_json::{Value, json};

use crate::support::*;

fn day(simulator: &Simulator, date: Date) -> Vec<u8> {
    simulator.world().jsonl(date).to_vec()
}

#[test]
fn days_are_served_byte_for_byte_in_both_encodings() {
    let simulator = start(small());
    let range = (date(2025, 6, 20), date(2025, 6, 24));
    let expected: Vec<u8> =
        simulator.world().range(range.0, range.1).iter().flat_map(|day| day.jsonl().to_vec()).collect();
    let plain = export(&simulator, "2025-06-20", "2025-06-24", &[]);
    assert_eq!((plain.status, plain.is_gzip(), plain.complete), (200, false, true));
    assert_eq!(plain.header("content-type"), Some("text/plain"));
    assert_eq!(plain.header("transfer-encoding"), Some("chunked"));
    assert_eq!(plain.header("content-length"), None);
    assert!(plain.body() == expected);
    let packed = export_with(&simulator, "2025-06-20", "2025-06-24", &[], &[("Accept-Encoding", "gzip, br")]);
    assert!(packed.is_gzip() && packed.complete);
    assert!(packed.body().len() * 3 < expected.len());
    assert!(packed.plain() == expected);
    assert_eq!(plain.events().len() as u64, simulator.world().event_count(range.0, range.1));
    assert_eq!(expected.last(), Some(&b'\n'));
}

#[test]
fn answers_tell_the_time_of_the_server() {
    let query = "/api/2.0/export?from_date=2025-06-20&to_date=2025-06-20";
    let date = |config: SimConfig| {
        let simulator = start(config);
        let authorization = basic("sim-project-secret", "");
        get(&simulator, query, &[("Authorization", authorization.as_str())]).header("date").map(str::to_owned)
    };
    let at = |date_header| SimConfig { date_header, pace: Pace::Manual, ..small() };
    let virtual_date = date(at(DateHeader::Virtual)).unwrap();
    // 1 July 2025 was a Tuesday.
    assert!(
        virtual_date.starts_with("Tue, 01 Jul 2025 ") && virtual_date.ends_with(":00 GMT"),
        "{virtual_date}"
    );
    assert_eq!(date(at(DateHeader::Text("soon".into()))).as_deref(), Some("soon"));
    let real = date(at(DateHeader::RealTime)).unwrap();
    assert!(real.ends_with(" GMT") && real != virtual_date, "{real}");
}

#[test]
fn both_spellings_of_the_path_and_no_other() {
    let simulator = start(small());
    let authorization = basic("sim-project-secret", "");
    let headers = [("Authorization", authorization.as_str())];
    let query = "from_date=2025-06-20&to_date=2025-06-20";
    for path in ["/api/2.0/export", "/api/2.0/export/"] {
        assert_eq!(get(&simulator, &format!("{path}?{query}"), &headers).status, 200);
    }
    for path in ["/", "/api/2.0/nothing", "/api/2.0/exports", "/api/app/nothing"] {
        let answer = get(&simulator, path, &headers);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.error().contains(path));
    }
    assert_eq!(send(&simulator, "POST", "/api/2.0/export", &headers, "").status, 405);
}

#[test]
fn credentials() {
    let simulator = start(small());
    let range = "from_date=2025-06-20&to_date=2025-06-20";
    let status = |authorization: &str, query: &str| {
        let answer =
            get(&simulator, &format!("/api/2.0/export?{query}"), &[("Authorization", authorization)]);
        if answer.status != 200 {
            assert!(!answer.error().is_empty());
        }
        answer.status
    };
    let (user, secret) = ("demo.sim.mp-service-account", "sim-secret");
    let project = format!("{range}&project_id=12345");
    assert_eq!(status(&basic(user, secret), &project), 200);
    assert_eq!(status(&format!("Basic {user}:{secret}"), &project), 200);
    assert_eq!(status(&format!("basic {}", &basic(user, secret)[6..]), &project), 200);
    assert_eq!(status(&basic("sim-project-secret", ""), range), 200);
    assert_eq!(status(&basic(user, secret), range), 400);
    assert_eq!(status(&basic(user, secret), &format!("{range}&project_id=x")), 400);
    assert_eq!(status(&basic(user, secret), &format!("{range}&project_id=999")), 403);
    for wrong in
        [basic(user, "wrong"), basic(user, ""), basic("sim-project-secret", "x"), "Bearer abc".to_owned()]
    {
        assert_eq!(status(&wrong, &project), 401, "{wrong}");
    }
    let anonymous = get(&simulator, &format!("/api/2.0/export?{project}"), &[]);
    assert_eq!(anonymous.status, 401);
    let log = format!("{:?}", simulator.requests());
    assert!(!log.contains("sim-secret") && !log.contains("Basic"));
}

#[test]
fn dates_are_strict() {
    let simulator = start(small());
    let status = |from, to| export(&simulator, from, to, &[]).status;
    assert_eq!(status("2025-06-20", "2025-06-20"), 200);
    assert_eq!(status("2025-07-01", "2025-07-01"), 200);
    assert_eq!(status("2001-01-01", "2001-01-02"), 200);
    for wrong in
        ["", "2025-6-20", "20250620", "2025-06-31", "2025-06-20T00:00:00", "today", "1999-01-01", "+025-06-2"]
    {
        assert_eq!(status(wrong, "2025-06-20"), 400, "{wrong}");
        assert_eq!(status("2025-06-20", wrong), 400, "{wrong}");
    }
    assert_eq!(status("2025-06-21", "2025-06-20"), 400);
    let future = export(&simulator, "2025-06-20", "2025-07-02", &[]);
    assert_eq!((future.status, future.error().as_str()), (400, "to_date cannot be later than today"));
    assert_eq!(future.header("content-type"), Some("application/json"));
    let authorization = basic("sim-project-secret", "");
    for query in ["from_date=2025-06-20", "to_date=2025-06-20", ""] {
        let target = format!("/api/2.0/export?{query}");
        assert_eq!(get(&simulator, &target, &[("Authorization", &authorization)]).status, 400);
    }
}

#[test]
fn limit() {
    let simulator = start(small());
    let range = ("2025-06-20", "2025-06-25");
    let all = export(&simulator, range.0, range.1, &[]).text();
    let some = export(&simulator, range.0, range.1, &[("limit", "150")]).text();
    assert_eq!(some.lines().count(), 150);
    assert!(all.starts_with(&some));
    let most = export(&simulator, range.0, range.1, &[("limit", "100000")]).text();
    assert!(most == all);
    for wrong in ["0", "-1", "100001", "ten", "1.5", ""] {
        assert_eq!(export(&simulator, range.0, range.1, &[("limit", wrong)]).status, 400, "{wrong}");
    }
}

#[test]
fn event_names() {
    let simulator = start(small());
    let of = |names: &str| export(&simulator, "2025-06-02", "2025-07-01", &[("event", names)]);
    let names = |answer: &Answer| -> HashSet<String> {
        answer.events().iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&of(r#"["Purchase"]"#)), HashSet::from(["Purchase".to_owned()]));
    assert_eq!(names(&of(r#"["Purchase","Search"]"#)).len(), 2);
    assert_eq!(names(&of(r#"["page view"]"#)), HashSet::from(["page view".to_owned()]));
    assert_eq!(names(&of(r#"["Bewertung abgegeben ⭐"]"#)).len(), 1);
    let nothing = of(r#"["No such event"]"#);
    assert_eq!((nothing.status, nothing.body().len(), nothing.complete), (200, 0, true));
    for wrong in ["Purchase", r#"{"a":1}"#, "[1]", r#"["open"#, r#""Purchase""#] {
        assert_eq!(of(wrong).status, 400, "{wrong}");
    }
    let limited =
        export(&simulator, "2025-06-02", "2025-07-01", &[("event", r#"["Search"]"#), ("limit", "3")]);
    assert_eq!(limited.events().len(), 3);
}

#[test]
fn filters() {
    let simulator = start(small());
    let of = |text: &str| export(&simulator, "2025-06-02", "2025-07-01", &[("where", text)]);
    let paid = of(r#"properties["plan"] in ["pro", "enterprise"] and properties["amount"] > 20"#).events();
    assert!(!paid.is_empty());
    let sound = |event: &Value| {
        let properties = &event["properties"];
        ["pro", "enterprise"].iter().any(|plan| properties["plan"] == *plan)
            && properties["amount"].as_f64().unwrap() > 20.0
    };
    assert!(paid.iter().all(sound));
    let all = export(&simulator, "2025-06-02", "2025-07-01", &[]).events();
    assert_eq!(paid.len(), all.iter().filter(|e| e["properties"]["amount"].is_number() && sound(e)).count());

    let noon = 1_750_420_800; // 2025-06-20T12:00:00Z
    let morning =
        of(r#"event["$time"] < datetime("2025-06-20T12:00:00") and properties["time"] >= 1750377600"#);
    let times: Vec<i64> =
        morning.events().iter().map(|event| event["properties"]["time"].as_i64().unwrap()).collect();
    assert!(!times.is_empty() && times.iter().all(|&time| (noon - 43_200..noon).contains(&time)));

    // The profile says the same as the events of the same user.
    let users = of(r#"user["plan"] == "enterprise" and defined(properties["$user_id"])"#).events();
    assert!(!users.is_empty());
    assert_eq!(of(r#"user["$email"] == "nobody""#).body().len(), 0);

    for wrong in ["properties[", r#"properties["plan"]"#, r#"properties["plan"] and true"#, "1 +"] {
        let answer = of(wrong);
        assert_eq!(answer.status, 400, "{wrong}");
        assert!(answer.error().starts_with("Invalid where expression"));
    }
}

#[test]
fn times_in_milliseconds() {
    let simulator = start(small());
    let range = ("2025-06-20", "2025-06-21");
    let seconds = export(&simulator, range.0, range.1, &[("time_in_ms", "false")]);
    assert!(seconds.body() == export(&simulator, range.0, range.1, &[]).body());
    for yes in ["true", "True", "1"] {
        let ms = export(&simulator, range.0, range.1, &[("time_in_ms", yes)]).events();
        let parts: HashSet<i64> =
            ms.iter().map(|e| e["properties"]["time"].as_i64().unwrap() % 1000).collect();
        assert!(parts.len() > 100);
        for (mut ms, seconds) in ms.into_iter().zip(seconds.events()) {
            let time = ms["properties"]["time"].as_i64().unwrap();
            assert_eq!(time.div_euclid(1000), seconds["properties"]["time"].as_i64().unwrap());
            ms["properties"]["time"] = json!(time.div_euclid(1000));
            assert_eq!(ms, seconds);
        }
    }
    assert_eq!(export(&simulator, range.0, range.1, &[("time_in_ms", "maybe")]).status, 400);
}

#[test]
fn unknown_parameters_are_ignored() {
    let simulator = start(small());
    let more = [("query_origin", "x"), ("bucket", "1"), ("format", "csv"), ("workspace_id", "5")];
    let answer = export(&simulator, "2025-06-20", "2025-06-20", &more);
    assert!(answer.body() == day(&simulator, date(2025, 6, 20)));
}

#[test]
fn empty_days_and_days_outside_the_history() {
    let simulator = start(small());
    let world = simulator.world();
    let empty = world.days().iter().find(|day| day.is_empty()).expect("an empty day").date().to_string();
    for (from, to) in [(empty.as_str(), empty.as_str()), ("2024-01-01", "2024-01-31")] {
        let answer = export_with(&simulator, from, to, &[], &[("Accept-Encoding", "gzip")]);
        assert_eq!((answer.status, answer.body().len()), (200, 0));
        assert!(answer.complete && !answer.is_gzip());
    }
}

#[test]
fn gzip_above_1400_bytes_only() {
    let simulator = start(small());
    let text = |length: usize| bytes::Bytes::from(format!("{}\n", "x".repeat(length - 1)));
    let gzip = [("Accept-Encoding", "gzip")];
    for (length, headers, expected) in [
        (1400, &gzip[..], false),
        (1401, &gzip[..], true),
        (1401, &[][..], false),
        (1401, &[("Accept-Encoding", "br, deflate")][..], false),
        (1401, &[("Accept-Encoding", "gzip;q=0, identity")][..], false),
        (1401, &[("Accept-Encoding", "deflate, GZIP;q=0.5")][..], true),
    ] {
        simulator.fault(mixpanel_sim::Fault::ReplaceBody(text(length)));
        let answer = export_with(&simulator, "2025-06-20", "2025-06-20", &[], headers);
        assert_eq!(answer.is_gzip(), expected, "{length} {headers:?}");
        assert!(answer.plain() == text(length));
    }
    // The same rule for a real, small selection.
    for (limit, expected) in [("1", false), ("5", true)] {
        let answer = export_with(&simulator, "2025-06-20", "2025-06-20", &[("limit", limit)], &gzip);
        assert_eq!(answer.is_gzip(), expected);
        assert_eq!(answer.plain().len() > 1400, expected);
    }
}

#[test]
fn chunks_end_inside_lines_and_inside_characters() {
    let simulator = start(small());
    let answer = export(&simulator, "2025-06-02", "2025-07-01", &[]);
    let borders: Vec<(u8, u8)> =
        answer.chunks.windows(2).map(|pair| (*pair[0].last().unwrap(), pair[1][0])).collect();
    assert!(borders.len() > 20);
    let in_lines = borders.iter().filter(|(last, _)| *last != b'\n').count();
    let in_characters = borders.iter().filter(|(_, first)| first & 0xC0 == 0x80).count();
    assert!(in_lines * 10 > borders.len() * 9, "{in_lines} of {}", borders.len());
    assert!(in_characters >= 3, "{in_characters} of {}", borders.len());
    let sizes: HashSet<usize> = answer.chunks.iter().map(Vec::len).collect();
    assert!(sizes.len() > 15);
    // The same request is cut the same way.
    assert!(export(&simulator, "2025-06-02", "2025-07-01", &[]).chunks == answer.chunks);
}

#[test]
fn history_and_range_gates() {
    let simulator = start(SimConfig { max_history_days: Some(10), max_range_days: Some(5), ..small() });
    assert_eq!(export(&simulator, "2025-06-21", "2025-06-22", &[]).status, 200);
    let old = export(&simulator, "2025-06-20", "2025-06-21", &[]);
    assert_eq!((old.status, old.error().as_str()), (403, "Date range exceeds 10 days into the past"));
    assert_eq!(export(&simulator, "2025-06-22", "2025-06-26", &[]).status, 200);
    assert_eq!(export(&simulator, "2025-06-22", "2025-06-27", &[]).status, 400);
}

#[test]
fn old_projects_store_wall_clock_times() {
    // 2025-03-30 is the day on which Berlin's clocks skip an hour.
    let config = SimConfig {
        today: date(2025, 4, 3),
        days: 9,
        events_per_day: 2_000,
        timezone: "Europe/Berlin".to_owned(),
        clock_mode: ClockMode::LocalAsUtc,
        ..small()
    };
    let simulator = start(config);
    for (day, winter_possible, summer_possible) in
        [("2025-03-29", true, false), ("2025-03-30", true, true), ("2025-03-31", false, true)]
    {
        let events = export(&simulator, day, day, &[]).events();
        let least_lag = |from: i64, to: i64| {
            let lags = events.iter().filter_map(|event| {
                let time = event["properties"]["time"].as_i64().unwrap();
                let processed = event["properties"]["mp_processing_time_ms"].as_i64().unwrap();
                (from..to).contains(&time.rem_euclid(86_400)).then(|| processed - time * 1000)
            });
            lags.min()
        };
        // Arrival is true UTC, so it seems to be one or two hours before the stored time.
        for time in events.iter().map(|event| event["properties"]["time"].as_i64().unwrap()) {
            assert_eq!(jiff::Timestamp::from_second(time).unwrap().to_string()[..10], *day);
            assert!(day != "2025-03-30" || !(7_200..10_800).contains(&time.rem_euclid(86_400)));
        }
        let summer = least_lag(10_800, 86_400).unwrap();
        assert_eq!((-7_200_000..-3_700_000).contains(&summer), summer_possible, "{day}");
        if winter_possible && !summer_possible {
            assert!((-3_600_000..0).contains(&summer));
        }
    }
}
