//! `mp sync --all`, profiles beside events, and logs with times.

use mixpanel_sim::{Limits, SimConfig, Simulator};
use serde_json::{Value, json};

use crate::support::{DB, Place, small_world};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn world(project_id: u64, seed: u64) -> Simulator {
    let limits = Limits::off();
    let config = SimConfig { days: 3, events_per_day: 40, project_id, seed, limits, ..SimConfig::default() };
    Simulator::start(config).unwrap()
}

fn account(name: &str, simulator: &Simulator) -> String {
    let config = simulator.config();
    format!(
        "[accounts.{name}]\nusername = \"{}\"\nsecret = \"{}\"\nproject_id = {}\nbase_url = \"{}\"\n",
        config.username,
        config.secret,
        config.project_id,
        simulator.base_url()
    )
}

#[test]
fn all_that_is_listed_is_brought_up_to_date_whatever_becomes_of_the_others() {
    let (one, two) = (world(1, 1), world(2, 2));
    let (from, to) = (one.world().first_day().to_string(), one.world().last_day().to_string());
    let broken = account("broken", &one).replace(&one.config().secret, "another-secret");
    let accounts = [account("one", &one), account("two", &two), broken].concat();
    let listed =
        |name: &str, more: &str| format!("[[sync]]\naccount = \"{name}\"\nfrom = \"{from}\"\n{more}\n");
    let sync = [
        listed("broken", "table = \"never\""),
        listed("one", "profiles = \"people\""),
        listed("one", "table = \"purchases\"\nevents = [\"Purchase\"]"),
        listed("two", "db = \"two.duckdb\""),
    ];
    let place = Place::new().config(&[accounts.clone(), sync.concat()].concat());
    let run = place.run(["sync", "--all", "--to", &to]);
    assert_eq!(run.code, Some(11), "{run:?}");
    for words in ["the sync of broken, table never failed", "1 of 4 syncs failed: broken, table never"] {
        assert!(run.stderr.contains(words), "{words}: {run:?}");
    }
    let rows = json(&run.stdout);
    let states: Vec<&Value> = rows.as_array().unwrap().iter().map(|row| &row["state"]).collect();
    assert_eq!(states, ["failed", "complete", "complete", "complete"]);
    let first = place.path("home/.local/share/mixpanel_data/1.duckdb").display().to_string();
    assert_eq!((&rows[1]["database"], &rows[3]["table"]), (&json!(first), &json!("events")), "{rows}");
    assert_eq!(rows[3]["database"], json!(place.here("two.duckdb").canonicalize().unwrap()));
    assert_eq!(place.scalar(&first, "SELECT count(*) FROM people"), rows[1]["profiles"]);
    assert_eq!(place.scalar(&first, "SELECT count(DISTINCT event_name) FROM purchases"), 1);
    assert_eq!(place.scalar("two.duckdb", "SELECT count(*) FROM events"), rows[3]["total_rows"]);

    // Those of one account; settled days cost nothing.
    let requests = two.requests().len();
    let again = json(&place.ok(["sync", "--all", "--account", "two", "--to", &to]));
    assert_eq!((again.as_array().unwrap().len(), &again[0]["rows"]), (1, &json!(0)), "{again}");
    assert_eq!(two.requests().len(), requests);
    let quiet = place.run(["sync", "--all", "--account", "two", "--to", &to, "--quiet"]);
    assert_eq!((quiet.code, quiet.stdout.as_str(), quiet.stderr.as_str()), (Some(0), "", ""));

    // What is wrong in the list is told before anything is fetched.
    for (more, words) in [
        ("[[sync]]\naccount = \"three\"\n", "three"),
        ("[[sync]]\nfrom = \"yesterweek\"\n", "yesterweek"),
        ("[[sync]]\nevents = [\"\"]\n", "empty"),
        ("[[sync]]\ntabel = \"x\"\n", "tabel"),
    ] {
        let place = Place::new().config(&[&accounts, &listed("one", ""), more].concat());
        let run = place.run(["sync", "--all"]);
        assert!(run.code.is_some_and(|code| [2, 4].contains(&code)) && run.stderr.contains(words), "{run:?}");
        assert!(!place.path("home/.local/share/mixpanel_data/1.duckdb").exists());
    }
    Place::new().run(["sync", "--all"]).fails(2, &["lists no [[sync]]", "mp help config"]);
    place.run(["sync", "--all", "purchases"]).fails(2, &["cannot be used with"]);
    place.run(["sync", "--all", "--db", DB]).fails(2, &["cannot be used with"]);
}

#[test]
fn profiles_are_fetched_beside_the_events() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let (from, to) = (simulator.world().first_day().to_string(), simulator.world().last_day().to_string());
    let sync = ["sync", "--from", &from, "--to", &to, "--db", DB];
    let result = json(&place.ok(sync));
    assert!(result.get("profiles").is_none(), "{result}");
    let result = json(&place.ok([&sync[..], &["--profiles"]].concat()));
    assert_eq!(result["days_fetched"], 0);
    assert_eq!(place.scalar(DB, "SELECT count(*) FROM profiles"), result["profiles"]["total_rows"]);
    let table = place.ok([&sync[..], &["--profiles=people", "--format", "table"]].concat());
    assert!(table.contains("in the table people"), "{table}");
    // A table of events is none of profiles; what was fetched of events stays.
    let run = place.run([&sync[..], &["--profiles=events"]].concat());
    assert!(run.code.is_some_and(|code| code != 0) && run.stderr.contains("events"), "{run:?}");
    assert_eq!(json(&run.stdout)["state"], "complete");
}

#[test]
fn each_line_of_a_log_has_its_time_if_it_is_wanted() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let (from, to) = (simulator.world().first_day().to_string(), simulator.world().last_day().to_string());
    let sync = ["sync", "--from", &from, "--to", &to, "--db", DB, "-v"];
    let stamp = |line: &str| line.get(..20).is_some_and(|time| time.parse::<jiff::Timestamp>().is_ok());
    assert!(!place.run(sync).stderr.lines().any(stamp));
    let run = place.run([&sync[..], &["--timestamps"]].concat());
    assert!(run.stderr.lines().count() > 0 && run.stderr.lines().all(stamp), "{run:?}");
    let run = place.with("MP_TIMESTAMPS", 1).run(["tables", "--db", "no.duckdb", "--error-format", "json"]);
    assert!(stamp(json(run.stderr.trim())["time"].as_str().unwrap()), "{run:?}");
}
