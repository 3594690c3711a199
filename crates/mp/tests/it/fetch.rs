//! `mp fetch events` and the commands that show what it brought.

use mixpanel_sim::{Fault, Limits, SimConfig, Simulator};
use serde_json::{Value, json};

use crate::support::{DB, Place, fetch_all, small_world, unique_events};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn what_was_fetched_can_be_listed_described_and_asked() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let unique = unique_events(&simulator);

    let result = json(&place.ok(fetch_all(&simulator)));
    assert_eq!((&result["rows"], &result["total_rows"]), (&json!(unique), &json!(unique)));
    assert_eq!(result["requests"], result["chunks"].as_array().unwrap().len());
    assert_eq!(place.scalar(DB, "SELECT count(*) FROM events"), unique);

    let tables = json(&place.ok(["tables", "--db", DB]));
    assert_eq!(tables[0]["name"], "events");
    assert_eq!((&tables[0]["row_count"], &tables[0]["rows"]), (&json!(unique), &json!(unique)));
    assert!(
        place
            .ok(["tables", "--db", DB, "--format", "csv"])
            .starts_with("name,type,row_count,fetched_at\nevents,events,")
    );

    let schema = place.ok(["schema", "events", "--db", DB, "--format", "csv"]);
    let columns: Vec<&str> = schema.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    assert_eq!(columns, ["event_name", "event_time", "distinct_id", "insert_id", "properties"]);
    assert!(place.ok(["schema", "events_flat", "--db", DB]).contains("mp_country_code"));

    let info = json(&place.ok(["info", "--db", DB]));
    assert_eq!((&info["mode"], &info["tables"]), (&json!("persistent"), &json!(["events"])));
    let table = place.ok(["info", "--db", DB, "--format", "table"]);
    assert!(table.contains("data.duckdb") && table.contains(" MB"), "{table}");
}

#[test]
fn fetching_again_changes_nothing() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    place.ok(fetch_all(&simulator));
    let again = json(&place.ok(fetch_all(&simulator)));
    assert_eq!(again["total_rows"], unique_events(&simulator));
}

#[test]
fn the_projects_database_needs_no_name() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let mut args = fetch_all(&simulator);
    args.truncate(6);
    place.ok(&args);
    assert!(place.path("home/.local/share/mixpanel_data/12345.duckdb").is_file());
    let count = place.ok(["sql", "--format", "csv", "SELECT count(*) AS n FROM events"]);
    assert_eq!(count, format!("n\n{}\n", unique_events(&simulator)));
    // The only database there is, without any credentials.
    let stranger = Place::new().with("HOME", place.path("home").display());
    assert_eq!(stranger.ok(["sql", "--format", "csv", "SELECT count(*) AS n FROM events"]), count);
    // Another place for data.
    let elsewhere = Place::at(&simulator).with("XDG_DATA_HOME", place.path("tmp").display());
    elsewhere.ok(&args);
    assert!(place.path("tmp/mixpanel_data/12345.duckdb").is_file());
}

#[test]
fn events_where_and_limit_choose() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let fetch = |more: &[&str]| {
        let mut args = fetch_all(&simulator);
        args.extend(more.iter().map(|word| (*word).to_owned()));
        place.run(args)
    };
    assert_eq!(fetch(&["two", "--events", "Page View,Search"]).code, Some(0));
    assert_eq!(fetch(&["same", "-e", "Page View", "-e", "Search"]).code, Some(0));
    let names = |table: &str| {
        place.scalar(DB, &format!("SELECT list(DISTINCT event_name ORDER BY event_name) FROM {table}"))
    };
    assert_eq!(names("two"), json!(["Page View", "Search"]));
    assert_eq!(names("same"), names("two"));

    let mobile = r#"properties["$os"] == "iOS""#;
    assert_eq!(fetch(&["ios", "--where", mobile]).code, Some(0));
    let all_ios = place.scalar(DB, r#"SELECT count(*) > 0 AND bool_and("$os" = 'iOS') FROM ios_flat"#);
    assert_eq!(all_ios, json!(true));

    let limited = json(&fetch(&["few", "--limit", "5"]).stdout);
    assert_eq!((&limited["lines"], &limited["days_complete"]), (&json!(5), &json!(0)));

    // Other filters on a table are refused, unless they are to be mixed or to replace.
    fetch(&["two"]).fails(3, &["other filters", "--append", "--replace"]);
    assert_eq!(fetch(&["two", "--append"]).code, Some(0));
    assert_eq!(place.scalar(DB, "SELECT count(*) FROM two"), unique_events(&simulator));
    assert_eq!(fetch(&["two", "--replace", "-e", "Search"]).code, Some(0));
    assert_eq!(names("two"), json!(["Search"]));
}

#[test]
fn the_project_secret_is_enough() {
    let simulator = small_world();
    let place = Place::new()
        .with("MP_BASE_URL", simulator.base_url())
        .with("MP_PROJECT_SECRET", &simulator.config().project_secret);
    place.ok(fetch_all(&simulator));
    let mut args = fetch_all(&simulator);
    args.truncate(6);
    place.run(args).fails(2, &["--db"]);
}

#[test]
fn a_cut_download_is_tried_again_and_said_so() {
    let simulator = small_world();
    simulator.fault(Fault::CutConnection { fraction: 0.5 });
    let place = Place::at(&simulator);
    let run = place.run(fetch_all(&simulator));
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(json(&run.stdout)["total_rows"], unique_events(&simulator));
    assert!(run.stderr.contains("attempt 2"), "{run:?}");
}

#[test]
fn secrets_are_never_shown() {
    const CANARY: &str = "canary-4b1d-secret";
    let config = SimConfig {
        days: 2,
        events_per_day: 30,
        limits: Limits::off(),
        secret: CANARY.to_owned(),
        ..SimConfig::default()
    };
    let simulator = Simulator::start(config).unwrap();
    let right = Place::at(&simulator);
    let wrong = Place::at(&simulator).with("MP_SECRET", format!("wrong-{CANARY}"));
    let wrong_region = Place::at(&simulator).with("MP_REGION", "uk");
    let nowhere = Place::at(&simulator).with("MP_BASE_URL", format!("http://user:{CANARY}@example.com"));
    let project = Place::new()
        .with("MP_PROJECT_SECRET", format!("{CANARY}-x"))
        .with("MP_BASE_URL", simulator.base_url());
    simulator.fault(Fault::Status {
        status: 400,
        body: format!("{{\"error\": \"bad request by {CANARY}\"}}"),
        retry_after: None,
        content_type: "application/json".to_owned(),
    });
    let codes: Vec<_> = [&right, &right, &wrong, &wrong_region, &nowhere, &project]
        .iter()
        .map(|place| {
            let run = place.run(fetch_all(&simulator));
            let encoded = "Y2FuYXJ5";
            for text in [&run.stdout, &run.stderr] {
                assert!(!text.contains("canary") && !text.contains(encoded), "{run:?}");
            }
            run.code.unwrap()
        })
        .collect();
    assert_eq!(codes, [3, 0, 6, 2, 3, 6]);
    let database = std::fs::read(right.here(DB)).unwrap();
    assert!(!database.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
}

/// One file for two accounts, as `[settings] db` makes it: neither takes the other's table over.
#[test]
fn two_accounts_may_share_a_file_but_not_a_table() {
    let start = |project_id| {
        let limits = Limits::off();
        Simulator::start(SimConfig {
            days: 3,
            events_per_day: 50,
            project_id,
            limits,
            ..SimConfig::default()
        })
        .unwrap()
    };
    let (one, two) = (start(1), start(2));
    let account = |name: &str, simulator: &Simulator| {
        let config = simulator.config();
        format!(
            "[accounts.{name}]\nusername = \"{}\"\nsecret = \"{}\"\nproject_id = {}\nbase_url = \"{}\"\n",
            config.username,
            config.secret,
            config.project_id,
            simulator.base_url()
        )
    };
    let place = Place::new();
    let db = place.here(DB);
    let settings = format!("[settings]\ndb = \"{}\"\n", db.display());
    let place = place.config(&format!(
        "default = \"one\"\n{}{}{settings}",
        account("one", &one),
        account("two", &two)
    ));
    let (from, to) = (one.world().first_day().to_string(), one.world().last_day().to_string());
    let days = ["--from", from.as_str(), "--to", to.as_str()];
    let fetch = |more: &[&'static str]| [&["fetch", "events"], more, &days[..]].concat();
    place.ok(fetch(&[]));
    let rows = place.scalar(DB, "SELECT count(*) FROM events");
    for command in [fetch(&["--account", "two"]), vec!["sync", "--account", "two"]] {
        let both = ["project 1 in region us", "project 2 in region us", "--replace", "--db PATH"];
        place.run(command).fails(3, &both);
    }
    assert_eq!(two.requests().len(), 0);
    place.ok(fetch(&["second", "--account", "two"]));
    assert_eq!(place.scalar(DB, "SELECT count(*) FROM events"), rows);
    let clock = fetch(&["--clock-mode", "local", "--timezone", "Asia/Tokyo"]);
    place.run(clock).fails(3, &["it has UTC", "the local time of Asia/Tokyo", "MP_CLOCK_MODE", "--replace"]);
    let status = json(&place.ok(["status", "--to", &to]));
    assert_eq!(status["source"], "project 1 in region us, UTC");
}
