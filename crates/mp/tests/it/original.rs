//! What scripts for the Python original find here: its commands, its options, the keys of its answers.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::support::{DB, Place, fetch_all, small_world, unique_events};

/// The 46 commands of the original with all their options. `=` takes a value, `+` several. Every command
/// of `fetch`, `query` and `inspect` has `--format/-f=` and `--jq=` too, every one of `auth` the former.
const COMMANDS: &str = "\
auth list:
auth add NAME: --username/-u= --project/-p= --region/-r= --default/-d --interactive/-i --secret-stdin
auth remove NAME: --force
auth switch NAME:
auth show NAME:
auth test NAME:
fetch events NAME: --from= --to= --events/-e= --where/-w= --limit/-l= --replace --append --no-progress \
--parallel/-p --workers= --chunk-days= --stdout --raw --batch-size=
fetch profiles NAME: --where/-w= --cohort/-c= --output-properties/-o= --replace --append --no-progress --stdout \
--raw --batch-size= --distinct-id= --distinct-ids=+ --group-id/-g= --behaviors= --as-of-timestamp= \
--include-all-users --parallel/-p --workers=
query sql QUERY: --file/-F= --scalar/-s
query segmentation: --event/-e= --from= --to= --on/-o= --unit/-u= --where/-w=
query funnel ID: --from= --to= --unit/-u= --on/-o=
query retention: --born/-b= --return/-r= --from= --to= --born-where= --return-where= --interval/-i= \
--intervals/-n= --unit/-u=
query jql FILE: --script/-c= --param/-P=+
query event-counts: --events/-e= --from= --to= --type/-t= --unit/-u=
query property-counts: --event/-e= --property/-p= --from= --to= --type/-t= --unit/-u= --limit/-l=
query activity-feed: --users/-U= --from= --to=
query saved-report ID:
query flows ID:
query frequency: --from= --to= --event/-e= --unit/-u= --addiction-unit= --where/-w=
query segmentation-numeric: --event/-e= --on/-o= --from= --to= --type/-t= --unit/-u= --where/-w=
query segmentation-sum: --event/-e= --on/-o= --from= --to= --unit/-u= --where/-w=
query segmentation-average: --event/-e= --on/-o= --from= --to= --unit/-u= --where/-w=
inspect events:
inspect properties: --event/-e=
inspect values: --property/-p= --event/-e= --limit/-l=
inspect funnels:
inspect cohorts:
inspect top-events: --type/-t= --limit/-l=
inspect bookmarks: --type/-t=
inspect lexicon-schemas: --type/-t=
inspect lexicon-schema: --type/-t= --name/-n=
inspect distribution: --event/-e= --property/-p= --from= --to= --limit/-l=
inspect numeric: --event/-e= --property/-p= --from= --to= --percentiles=
inspect daily: --from= --to= --events/-e=
inspect engagement: --from= --to= --events/-e= --buckets=
inspect coverage: --event/-e= --properties/-p= --from= --to=
inspect info:
inspect tables:
inspect schema: --table/-t= --sample
inspect drop: --table/-t= --force
inspect drop-all: --type/-t= --force
inspect sample: --table/-t= --rows/-n=
inspect summarize: --table/-t=
inspect breakdown: --table/-t=
inspect keys: --table/-t= --event/-e=
inspect column: --table/-t= --column/-c= --top=";

/// Options that every command has, wherever they are typed.
const EVERYWHERE: [&str; 3] = ["--account/-a=", "--quiet/-q", "--verbose/-v"];

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// All words for an argument that `mp schema --cli` describes.
fn words(argument: &Value) -> BTreeSet<&str> {
    let one = ["long", "short"].into_iter().filter_map(|key| argument[key].as_str());
    one.chain(argument["aliases"].as_array().into_iter().flatten().filter_map(Value::as_str)).collect()
}

/// What is wrong with an option, if anything.
fn lacks(arguments: &[Value], option: &str) -> Option<String> {
    let (spelled, repeats) = option.strip_suffix('+').map_or((option, false), |rest| (rest, true));
    let (spelled, takes) = spelled.strip_suffix('=').map_or((spelled, false), |rest| (rest, true));
    let spelled: Vec<&str> = spelled.split('/').collect();
    let Some(found) = arguments.iter().find(|known| words(known).contains(spelled[0])) else {
        return Some(format!("{option} is missing"));
    };
    let is = |what: &str| Some(format!("{option}: {what}: {found}"));
    if let Some(other) = spelled.iter().find(|word| !words(found).contains(*word)) {
        return is(&format!("{other} means something else"));
    }
    match (found["value"].is_string(), found["repeatable"] == true) {
        (found, _) if found != takes => is("a value where there is none, or none where there is one"),
        (_, false) if repeats => is("it cannot be repeated"),
        _ => None,
    }
}

#[test]
fn every_option_of_the_46_commands_is_taken() {
    let place = Place::new();
    let whole = json(&place.ok(["schema", "--cli"]));
    let everywhere = whole["global"].as_array().unwrap();
    let mut missing: Vec<String> = EVERYWHERE.iter().filter_map(|option| lacks(everywhere, option)).collect();
    let mut options = 0;
    for line in COMMANDS.lines() {
        let (command, listed) = line.split_once(':').unwrap();
        let (command, positional): (Vec<&str>, Vec<&str>) =
            command.split(' ').partition(|word| word.chars().all(|c| !c.is_ascii_uppercase()));
        let described = json(&place.ok(["schema", "--cli"].iter().chain(&command)));
        let arguments = described["arguments"].as_array().unwrap();
        let jq = (command[0] != "auth").then_some("--jq=");
        let listed = listed.split_whitespace().chain(["--format/-f="]).chain(jq);
        for option in listed {
            options += 1;
            missing.extend(lacks(arguments, option).map(|what| format!("{}: {what}", command.join(" "))));
        }
        let takes = arguments.iter().filter(|argument| argument["positional"] == true).count();
        if takes != positional.len() {
            missing.push(format!("{}: {positional:?}, and takes {takes}", command.join(" ")));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert_eq!((COMMANDS.lines().count(), options), (46, 233));
}

/// That the walk above would notice.
#[test]
fn an_option_that_is_not_as_it_was_is_noticed() {
    let known = json!([
        {"long": "--events", "short": "-e", "aliases": ["--workers"], "value": "A", "repeatable": false},
        {"long": "--force", "short": null, "aliases": [], "value": null, "repeatable": false},
    ]);
    let lacks = |option: &str| lacks(known.as_array().unwrap(), option);
    for fine in ["--events/-e=", "--events=", "--workers=", "--force"] {
        assert_eq!(lacks(fine), None);
    }
    for (wrong, why) in [
        ("--other", "is missing"),
        ("--events/-x=", "-x means something else"),
        ("--force=", "a value"),
        ("--events", "a value"),
        ("--events=+", "repeated"),
    ] {
        assert!(lacks(wrong).unwrap().contains(why), "{wrong}");
    }
}

#[test]
fn a_list_is_several_events_and_one_name_may_have_a_comma() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let with = |words: &[&str]| {
        let mut args = fetch_all(&simulator);
        args.extend(words.iter().map(|word| (*word).to_owned()));
        args
    };
    let listed = json(&place.ok(with(&["listed", "-e", "Page View, Search"])));
    assert!(listed["rows"].as_u64().unwrap() > 0, "{listed}");
    let single = json(&place.ok(with(&["single", "--event", "Page View", "--event", "Search"])));
    assert_eq!(single["rows"], listed["rows"]);
    // Exactly that name, which nothing has.
    let comma = place.run(with(&["comma", "--event", "Page View,Search"]));
    assert_eq!(json(&comma.stdout)["rows"], 0);
    assert!(comma.stderr.contains("no event `Page View,Search`"), "{comma:?}");
    // Everywhere else that events are listed.
    let streamed = place.ok(with(&["-e", "Page View,Search", "--stdout"])
        .into_iter()
        .filter(|word| word != "--db" && word != DB));
    // Streamed rows include those that a table would drop as duplicates.
    assert_eq!(streamed.lines().count() as u64, listed["lines"].as_u64().unwrap());
    let days = crate::live::days(&simulator);
    let dated = |words: &[&str]| {
        let words = words.iter().copied().chain(days.iter().map(String::as_str));
        json(&place.ok(words))
    };
    let counted = dated(&["query", "event-counts", "-e", "Page View,Search"]);
    assert_eq!(counted["series"].as_object().unwrap().len(), 2);
    place.ok(with(&[]));
    for question in ["daily", "engagement"] {
        let answer = dated(&["inspect", question, "-e", "Page View,Search", "--db", DB]);
        assert_eq!(answer["events"], json!(["Page View", "Search"]), "{answer}");
        assert_eq!((&answer["from_date"], &answer["to_date"]), (&json!(days[1]), &json!(days[3])));
    }
    let to = simulator.world().last_day().to_string();
    place.ok(["sync", "listed", "--db", DB, "-e", "Page View,Search", "--to", &to]);
}

#[test]
fn what_has_no_effect_is_said_and_the_answer_has_its_keys() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let plain = json(&place.ok(fetch_all(&simulator)));
    let world = simulator.world();
    let days = json!([world.first_day().to_string(), world.last_day().to_string()]);
    assert_eq!((&plain["type"], &plain["date_range"]), (&json!("events"), &days));
    assert_eq!(plain["duration_seconds"], plain["duration"]);
    assert!(plain["fetched_at"].is_string() && plain["has_failures"].is_null(), "{plain}");

    let words =
        ["again", "-p", "--workers", "200", "--batch-size", "5000", "--chunk-days", "1", "--no-progress"];
    let run = place.run(fetch_all(&simulator).into_iter().chain(words.map(str::to_owned)));
    assert_eq!(run.code, Some(0), "{run:?}");
    let said: Vec<&str> = run.stderr.lines().collect();
    assert_eq!(said.len(), 3, "{run:?}");
    assert!(said[0].starts_with("--parallel has no effect") && said[1].starts_with("--batch-size has no"));
    assert!(said[2].contains("100 downloads run at a time, not 200"), "{run:?}");
    let told = json(&run.stdout);
    assert_eq!((&told["rows"], &told["successful_batches"]), (&json!(unique_events(&simulator)), &json!(3)));
    assert_eq!((&told["has_failures"], &told["failed_batches"]), (&json!(false), &json!(0)));
    assert_eq!(told["failed_date_ranges"], json!([]));
    let whole = place
        .run(fetch_all(&simulator).into_iter().chain(["--chunk-days", "1", "--replace"].map(str::to_owned)));
    assert!(whole.code == Some(0) && whole.stderr.starts_with("--chunk-days has no effect"), "{whole:?}");
    assert_eq!(json(&whole.stdout)["requests"], 1);
    // Quiet is quiet.
    let quiet = place.run(fetch_all(&simulator).into_iter().chain(["-p".to_owned(), "-q".to_owned()]));
    assert_eq!((quiet.code, quiet.stderr.as_str()), (Some(0), ""));

    let run = place.run([
        "fetch",
        "profiles",
        "--db",
        DB,
        "-p",
        "--workers",
        "9",
        "--batch-size",
        "200",
        "--no-progress",
    ]);
    assert_eq!((run.code, run.stderr.lines().count()), (Some(0), 3), "{run:?}");
    assert!(run.stderr.contains("5 downloads run at a time, not 9"), "{run:?}");
    let told = json(&run.stdout);
    assert_eq!((&told["type"], &told["date_range"]), (&json!("profiles"), &Value::Null));
    assert_eq!((&told["successful_pages"], &told["has_failures"]), (&told["pages"], &json!(false)));
    assert!(told["duration_seconds"].is_number() && told["failed_page_indices"] == json!([]), "{told}");
    let run = place.run(["inspect", "schema", "-t", "events", "--sample", "--db", DB]);
    assert!(run.code == Some(0) && run.stderr.starts_with("--sample has no effect"), "{run:?}");
}

#[test]
fn a_filter_sees_each_row_of_a_stream() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let stream = |more: &[&str]| {
        let days = crate::live::days(&simulator);
        place.run(
            ["fetch", "events", "--stdout"]
                .iter()
                .copied()
                .chain(days.iter().map(String::as_str))
                .chain(more.iter().copied()),
        )
    };
    let plain = stream(&["-q"]);
    let names: Vec<String> = plain.stdout.lines().map(|line| json(line)["event_name"].to_string()).collect();
    let filtered = stream(&["--jq", ".event_name", "-q"]);
    assert_eq!(filtered.stdout.lines().collect::<Vec<_>>(), names);
    let bare = stream(&["--jq", "select(.event_name == \"Search\") | .event_name", "-f", "plain", "-q"]);
    assert!(!bare.stdout.is_empty() && bare.stdout.lines().all(|line| line == "Search"));
    let raw = stream(&["--raw", "--jq", ".properties.distinct_id", "-q"]);
    assert_eq!(raw.stdout.lines().count(), names.len());
    // What has no effect is said; what is no filter is an error before anything is asked.
    let run = stream(&["-f", "csv", "--workers", "3", "--chunk-days", "2", "--parallel"]);
    assert_eq!((run.stdout.lines().count(), run.code), (names.len(), Some(0)));
    assert_eq!(run.stderr.lines().filter(|line| line.contains("no effect")).count(), 4, "{}", run.stderr);
    stream(&["--jq", ".["]).fails(3, &[".["]);
    let profiles = place.ok(["fetch", "profiles", "--stdout", "--jq", ".distinct_id", "-q"]);
    assert!(profiles.lines().count() > 1 && profiles.lines().all(|line| json(line).is_string()));
}

#[test]
fn sql_takes_its_options_and_a_scalar_has_a_name() {
    let place = Place::new();
    fs::write(place.here("q.sql"), "SELECT 1 AS a, 'x' AS b").unwrap();
    let base = ["query", "sql", "--memory"];
    let sql = |words: &[&str]| place.ok(base.iter().chain(words));
    assert_eq!(sql(&["-F", "q.sql", "-f", "csv"]), "a,b\n1,x\n");
    assert_eq!(sql(&["--file", "q.sql", "--jq", ".[0].b"]), "\"x\"\n");
    assert_eq!(json(&sql(&["-s", "SELECT 42"])), json!({"value": 42}));
    assert_eq!(json(&sql(&["-s", "SELECT NULL", "-f", "jsonl"])), json!({"value": null}));
    assert_eq!(sql(&["-s", "SELECT 42", "-f", "plain"]), "42\n");
    assert_eq!(sql(&["-s", "SELECT 42", "-f", "csv"]), "value\n42\n");
    assert_eq!(sql(&["-s", "SELECT 42", "--jq", ".value + 1"]), "43\n");
    // In `mp sql`, -f is a file, as in other programs for SQL.
    assert_eq!(place.ok(["sql", "--memory", "-f", "q.sql", "--format", "csv"]), "a,b\n1,x\n");
    place
        .run(["sql", "--memory", "SELECT 1", "-f", "csv"])
        .fails(2, &["both a query and a file", "-f names a file here; for the format, use --format csv"]);
    place.run(["query", "jql", "-c", "x", "-P", "a=b", "-f", "csv"]).fails(2, &["has ended JQL"]);
}

#[test]
fn answers_have_the_keys_of_the_original() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    place.ok(fetch_all(&simulator));
    let ask = |words: &[&str]| json(&place.ok(words));
    let here = |words: &[&str]| json(&place.ok(["inspect"].iter().chain(words).chain(&["--db", DB])));
    let has = |answer: &Value, keys: &[&str]| {
        let lacks: Vec<_> = keys.iter().filter(|key| answer.get(**key).is_none()).collect();
        assert!(lacks.is_empty(), "{lacks:?} are missing in {answer}");
    };
    has(&here(&["tables"])[0], &["name", "type", "row_count", "fetched_at", "rows"]);
    assert!(
        place
            .ok(["inspect", "tables", "--db", DB, "-f", "csv"])
            .starts_with("name,type,row_count,fetched_at\n")
    );
    let schema = here(&["schema", "-t", "events"]);
    assert_eq!(schema["table"], "events");
    assert_eq!(schema["columns"][0], json!({"name": "event_name", "type": "VARCHAR", "nullable": true}));
    has(&ask(&["schema", "events", "--db", DB])[0], &["column", "name", "type", "nullable"]);
    let info = here(&["info"]);
    has(&info, &["path", "project_id", "region", "account", "tables", "size_mb", "created_at"]);
    assert_eq!((&info["project_id"], &info["region"]), (&json!("12345"), &json!("us")));
    has(&here(&["daily"]), &["from_date", "to_date", "events", "counts"]);
    has(&here(&["engagement"]), &["from_date", "to_date", "events", "total_users", "buckets"]);
    has(
        &here(&["coverage", "-e", "Purchase", "-p", "$os"]),
        &["event", "from_date", "to_date", "total_events", "coverage"],
    );
    has(
        &here(&["distribution", "-e", "Purchase", "-p", "$os"]),
        &["event", "property_name", "from_date", "to_date", "total_count", "values"],
    );
    has(
        &here(&["numeric", "-e", "Purchase", "-p", "$os"]),
        &["from_date", "to_date", "percentiles", "stddev"],
    );
    let column = here(&["column", "-t", "events", "-c", "event_name"]);
    has(
        &column,
        &[
            "table",
            "column",
            "dtype",
            "count",
            "null_count",
            "null_pct",
            "unique_count",
            "unique_pct",
            "min",
            "max",
            "mean",
            "std",
        ],
    );
    assert!(column["top_values"][0][0].is_string() && column["top_values"][0][1].is_number(), "{column}");
    has(
        &ask(&["inspect", "lexicon-schemas"])[0],
        &["entity_type", "name", "property_count", "description", "schema_json"],
    );
    has(&ask(&["inspect", "funnels"])[0], &["funnel_id", "name"]);
    has(&ask(&["inspect", "cohorts"])[0], &["id", "name", "count", "description"]);
    has(&ask(&["inspect", "bookmarks"])[0], &["id", "name", "type", "modified"]);
    has(&ask(&["inspect", "top-events"])[0], &["event", "count", "percent_change"]);

    let tested = ask(&["auth", "test"]);
    has(&tested, &["success", "account", "project_id", "region", "events_found"]);
    assert_eq!((&tested["success"], &tested["project_id"]), (&json!(true), &json!("12345")));
    assert_eq!(tested["events_found"], ask(&["inspect", "events"]).as_array().unwrap().len());

    assert_eq!(here(&["drop", "-t", "events", "--force"]), json!({"dropped": "events"}));
    place.ok(fetch_all(&simulator));
    let gone = here(&["drop-all", "--type", "events", "--force"]);
    assert_eq!(gone, json!({"dropped_count": 1, "type_filter": "events"}));
    assert_eq!(here(&["drop-all", "--force"]), json!({"dropped_count": 0}));
    assert_eq!(here(&["drop-all", "--force", "--jq", ".dropped_count"]), json!(0));
}

#[test]
fn accounts_are_kept_as_its_users_know_it() {
    let simulator = small_world();
    let config = simulator.config();
    let place = Place::new().with("MP_SECRET", &config.secret);
    let id = config.project_id.to_string();
    let add = |name: &str| {
        let words = [
            "auth",
            "add",
            name,
            "-u",
            &config.username,
            "-p",
            &id,
            "-r",
            "us",
            "--base-url",
            &simulator.base_url(),
        ]
        .map(str::to_owned);
        json(&place.ok(words))
    };
    assert_eq!(add("one"), json!({"added": "one", "is_default": true}));
    assert_eq!(add("two"), json!({"added": "two", "is_default": false}));
    let place = place.with("MP_SECRET", "");
    let list = json(&place.ok(["auth", "list"]));
    assert_eq!((&list[0]["is_default"], &list[1]["is_default"]), (&json!(true), &json!(false)));
    assert_eq!((&list[0]["project_id"], &list[0]["default"]), (&json!(id), &json!(true)));
    assert_eq!(json(&place.ok(["auth", "switch", "two"])), json!({"default": "two"}));
    assert_eq!(json(&place.ok(["auth", "show"]))["is_default"], json!(true));
    let tested = json(&place.ok(["auth", "test", "one", "-f", "json"]));
    assert_eq!((&tested["account"], &tested["success"]), (&json!("one"), &json!(true)));
    place.run(["--account", "two", "auth", "test", "one"]).fails(2, &["two accounts are named"]);
    place.run(["auth", "test", "three"]).fails(4, &["three", "one, two"]);
    // Nobody is there to be asked.
    place.run(["auth", "remove", "one"]).fails(2, &["nothing was removed", "no terminal", "--force"]);
    place.run(["auth", "remove", "three", "--force"]).fails(4, &["three"]);
    assert_eq!(json(&place.ok(["auth", "remove", "one", "--force"])), json!({"removed": "one"}));
    assert_eq!(json(&place.ok(["auth", "list"])).as_array().unwrap().len(), 1);
    place.run(["auth", "add", "four", "-i", "-u", "u", "-p", "1"]).fails(2, &["no terminal to prompt at"]);
}
