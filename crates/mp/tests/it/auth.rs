//! Accounts: added, used, chosen, removed; and which word wins.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use mixpanel_sim::{Limits, SimConfig, Simulator};
use serde_json::{Value, json};

use crate::support::{Place, Run, Running, fetch_all, small_world};

/// Runs with something on standard input.
fn fed(place: &Place, args: &[&str], input: &str) -> Run {
    let mut command = place.command(args);
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    running.child().stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    running.end()
}

fn status(place: &Place, args: &[&str]) -> Vec<Value> {
    let text = place.ok([args, &["auth", "status", "--format", "json"]].concat());
    serde_json::from_str(&text).unwrap()
}

fn setting(rows: &[Value], name: &str) -> (String, String) {
    let row = rows.iter().find(|row| row["setting"] == name).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or("null").to_owned();
    (text(&row["value"]), text(&row["source"]))
}

#[test]
fn an_account_is_added_used_and_removed() {
    let simulator = small_world();
    let config = simulator.config();
    let place = Place::new();
    let (url, id) = (simulator.base_url(), config.project_id.to_string());
    let login = |name: &str| {
        let args = [
            "auth",
            "login",
            name,
            "--username",
            &config.username,
            "--project-id",
            &id,
            "--base-url",
            &url,
            "--secret-stdin",
        ];
        fed(&place, &args, &format!("{}\n", config.secret))
    };
    let run = login("work");
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("service account") && run.stdout.contains("raw export"), "{run:?}");
    let file = place.path("home/.config/mp/config.toml");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    login("work").fails(1, &["already", "--replace"]);
    // It is the default, so nothing more need be said.
    place.ok(fetch_all(&simulator));
    place.ok(["auth", "test"]);
    assert_eq!(login("other").code, Some(0));
    let list: Value = serde_json::from_str(&place.ok(["auth", "list", "--format", "json"])).unwrap();
    assert_eq!(list[1]["name"], "work");
    assert_eq!(list[1]["default"], true);
    place.ok(["auth", "switch", "other"]);
    let shown = |place: &Place| place.ok(["auth", "show", "--jq", ".name"]);
    assert_eq!(shown(&place), "\"other\"\n");
    fs::write(place.here("mp.toml"), "account = \"work\"\n").unwrap();
    assert_eq!(shown(&place), "\"work\"\n", "the one in use");
    fs::remove_file(place.here("mp.toml")).unwrap();
    assert!(place.ok(["auth", "show", "--format", "json"]).contains("\"other\""));
    place.run(["auth", "switch", "nobody"]).fails(4, &["nobody", "other, work"]);
    place.ok(["auth", "remove", "work", "--force"]);
    place.run(["--account", "work", "auth", "test"]).fails(4, &["work"]);
    for shown in [place.ok(["auth", "list"]), place.ok(["auth", "show"]), place.ok(["auth", "status"])] {
        assert!(!shown.contains(&config.secret), "{shown}");
    }
}

#[test]
fn the_nearest_word_wins_and_says_where_it_stood() {
    let place = Place::new().config(
        "default = \"a\"\n[accounts.a]\nusername = \"ua\"\nsecret = \"sa-1234\"\nproject_id = 1\nregion = \"eu\"\n\
         [accounts.b]\nusername = \"ub\"\nsecret = \"sb-1234\"\nproject_id = 2\n[settings]\ntimezone = \"Asia/Tokyo\"\n",
    );
    let rows = status(&place, &[]);
    assert_eq!(setting(&rows, "project_id"), ("1".into(), "account a".into()));
    assert_eq!(setting(&rows, "region"), ("eu".into(), "account a".into()));
    assert_eq!(setting(&rows, "timezone"), ("Asia/Tokyo".into(), "configuration file".into()));
    assert_eq!(setting(&rows, "clock_mode"), ("utc".into(), "default".into()));
    assert_eq!(setting(&rows, "secret"), ("***".into(), "account a".into()));
    // A project file comes before the user's file.
    fs::write(place.here("mp.toml"), "region = \"in\"\naccount = \"b\"\n").unwrap();
    let rows = status(&place, &[]);
    assert!(setting(&rows, "region").1.starts_with("project file "));
    assert_eq!(setting(&rows, "username"), ("ub".into(), "account b".into()));
    // The environment comes before both.
    let place = place.with("MP_REGION", "us").with("MP_USERNAME", "ue").with("MP_SECRET", "se-1234");
    place.run(["auth", "show"]).fails(2, &["no account is in use", "mp auth show NAME"]);
    let rows = status(&place, &[]);
    assert_eq!(setting(&rows, "region"), ("us".into(), "environment MP_REGION".into()));
    assert_eq!(setting(&rows, "username"), ("ue".into(), "environment MP_USERNAME".into()));
    assert_eq!(setting(&rows, "account").0, "null");
    // A named account comes before the environment, and a flag before all.
    let rows = status(&place, &["--account", "a"]);
    assert_eq!(setting(&rows, "username"), ("ua".into(), "account a".into()));
    assert_eq!(setting(&rows, "region"), ("eu".into(), "account a".into()));
    let flags = place.ok(["--account", "a", "auth", "status", "--region", "in", "--format", "json"]);
    assert_eq!(
        setting(&serde_json::from_str::<Vec<Value>>(&flags).unwrap(), "region"),
        ("in".into(), "flag".into())
    );
}

#[test]
fn secrets_come_from_files_and_commands() {
    let simulator = small_world();
    let secret = simulator.config().secret.clone();
    let bare = || Place::at(&simulator).with("MP_SECRET", "");
    let place = bare();
    fs::write(place.here("secret"), format!("{secret}\n")).unwrap();
    let place = place.with("MP_SECRET_FILE", "secret");
    place.ok(["auth", "test"]);
    let place = bare().with("MP_SECRET_COMMAND", format!("printf '%s\\n' {secret}"));
    place.ok(["auth", "test"]);
    let id = simulator.config().project_id.to_string();
    let add = [
        "auth",
        "add",
        "c",
        "--username",
        &simulator.config().username,
        "--project-id",
        &id,
        "--base-url",
        &simulator.base_url(),
        "--secret-command",
        &format!("printf '%s' '{secret}'"),
    ];
    let place = Place::new();
    place.ok(add);
    place.ok(["auth", "test"]);
    // A file is found from everywhere.
    let from_file = add.iter().copied().take_while(|word| *word != "--secret-command");
    let place = Place::new();
    fs::write(place.here("secret"), format!("{secret}\n")).unwrap();
    place.ok(from_file.chain(["--secret-file", "secret"]));
    let elsewhere = place.command(["auth", "test"]).current_dir(place.path("home")).output().unwrap();
    assert_eq!(elsewhere.status.code(), Some(0), "{elsewhere:?}");
}

#[test]
fn secrets_are_not_taken_from_flags() {
    let place = Place::new();
    let run =
        place.run(["auth", "add", "x", "--username", "u", "--project-id", "1", "--secret", "canary-99"]);
    assert_eq!(run.code, Some(2));
    assert!(!run.stderr.contains("canary-99"), "{run:?}");
    let run = place.run(["auth", "add", "x", "--username", "u", "--project-id", "1"]);
    run.fails(2, &["no secret", "--secret-stdin"]);
    assert_eq!(place.files().len(), 0);
}

#[test]
fn a_test_says_which_apis_answer_and_what_the_plan_lacks() {
    let simulator = Simulator::start(SimConfig {
        days: 2,
        events_per_day: 20,
        limits: Limits::off(),
        timezone: "Europe/Berlin".to_owned(),
        has_query_api: false,
        max_history_days: Some(90),
        ..SimConfig::default()
    })
    .unwrap();
    let place = Place::at(&simulator);
    let tested: Value = serde_json::from_str(&place.ok(["auth", "test", "--format", "json"])).unwrap();
    assert_eq!((&tested["kind"], &tested["project_name"]), (&json!("service account"), &json!("Sim Shop")));
    assert_eq!((&tested["timezone"], &tested["project_timezone"]), (&json!("UTC"), &json!("Europe/Berlin")));
    let answers = |name: &str| {
        let apis = tested["apis"].as_array().unwrap();
        apis.iter().find(|api| api["name"] == name).unwrap()["answers"] == true
    };
    assert!(answers("raw export") && answers("app API") && answers("Lexicon"), "{tested}");
    assert!(!answers("query API") && !answers("profiles"), "{tested}");
    assert_eq!(tested["plan_lacks"], json!(["events older than 90 days", "query API", "profiles"]));
    let text = place.ok(["auth", "test", "--format", "table"]);
    assert!(text.contains("the project's is Europe/Berlin") && text.contains("the plan lacks"), "{text}");
    // All that answers, and a secret that stands for its project.
    let whole = small_world();
    let place = Place::at(&whole);
    let tested: Value = serde_json::from_str(&place.ok(["auth", "test", "--format", "json"])).unwrap();
    assert!(tested["apis"].as_array().unwrap().iter().all(|api| api["answers"] == true), "{tested}");
    let place = Place::new()
        .with("MP_BASE_URL", whole.base_url())
        .with("MP_PROJECT_SECRET", &whole.config().project_secret);
    let tested: Value = serde_json::from_str(&place.ok(["auth", "test", "--format", "json"])).unwrap();
    assert_eq!(tested["kind"], "project secret");
}

#[test]
fn a_login_takes_the_projects_time_zone_unless_told_one() {
    let simulator = Simulator::start(SimConfig {
        days: 1,
        events_per_day: 1,
        timezone: "Europe/Berlin".to_owned(),
        ..SimConfig::default()
    })
    .unwrap();
    let config = simulator.config();
    for (flags, expected) in [(&[][..], "Europe/Berlin"), (&["--timezone", "UTC"], "UTC")] {
        let place = Place::new().with("MP_BASE_URL", simulator.base_url());
        let id = config.project_id.to_string();
        let words = ["auth", "login", "--username", &config.username, "--project-id", &id, "--secret-stdin"];
        let run = fed(&place, &[&words, flags].concat(), &config.secret);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert_eq!(place.ok(["auth", "show", "--jq", ".timezone"]), format!("\"{expected}\"\n"));
        // It is not said to be an assumption then.
        assert!(run.stdout.contains(expected), "{run:?}");
    }
}

/// Stands in for the program of the Secret Service, with its words: `store` takes the secret from
/// standard input, `lookup` prints it without a line feed, `clear` removes it and fails silently
/// when there is nothing.
#[cfg(not(target_os = "macos"))]
const SECRET_TOOL: &str = r#"#!/bin/sh
verb=$1; shift
[ "$1" = --label ] && shift 2
[ "$1 $3" = "service username" ] || { echo "attributes: $*" >&2; exit 2; }
entry=$(dirname "$0")/$4.entry
case $verb in
store) cat >"$entry" ;;
lookup) [ -f "$entry" ] && cat "$entry" ;;
clear) rm "$entry" 2>/dev/null ;;
esac
"#;

#[test]
#[cfg(not(target_os = "macos"))]
fn a_secret_is_kept_in_the_keyring_and_nowhere_else() {
    let simulator = small_world();
    let config = simulator.config();
    let folder = tempfile::tempdir().unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let place = Place::new().with("PATH", &path);
    let id = config.project_id.to_string();
    let url = simulator.base_url();
    let add =
        ["auth", "add", "work", "--username", &config.username, "--project-id", &id, "--base-url", &url];
    let add = [&add[..], &["--keyring", "--secret-stdin"]].concat();
    // Without the program the reason names it, and nothing is stored.
    let missing = Place::new().with("PATH", folder.path().display());
    fed(&missing, &add, &format!("{}\n", config.secret)).fails(6, &["secret-tool", "not installed"]);
    missing.run(["auth", "show", "work"]).fails(4, &["work"]);

    let tool = folder.path().join("secret-tool");
    fs::write(&tool, SECRET_TOOL).unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    let run = fed(&place, &add, &format!("{}\n", config.secret));
    assert_eq!(run.code, Some(0), "{run:?}");
    let entry = folder.path().join("work.entry");
    assert_eq!(fs::read_to_string(&entry).unwrap(), config.secret);
    let file = fs::read_to_string(place.path("home/.config/mp/config.toml")).unwrap();
    assert!(file.contains("keyring = true") && !file.contains(&config.secret), "{file}");
    place.ok(["auth", "test", "--format", "json"]);
    fs::rename(&entry, folder.path().join("away")).unwrap();
    place.run(["auth", "test"]).fails(6, &["no secret of \"work\""]);
    fs::rename(folder.path().join("away"), &entry).unwrap();
    place.ok(["auth", "remove", "work", "--force"]);
    assert!(!entry.exists());
}
