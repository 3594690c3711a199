//! Where results go and in which form, for every command that has some.

use std::fs;

use mixpanel_sim::Fault;
use serde_json::{Value, json};

use crate::support::{DB, Place, fetch_all, small_world};

fn sql(args: &[&str]) -> String {
    Place::new().ok([&["sql", "--memory"], args].concat())
}

#[test]
fn files_are_complete_or_not_there() {
    let place = Place::new();
    place.ok(["sql", "--memory", "SELECT 1 AS x", "--output", "a.csv"]);
    assert_eq!(fs::read_to_string(place.here("a.csv")).unwrap(), "x\n1\n");
    // It fails in the middle, when rows have gone out already.
    let broken = "SELECT if(range > 200000, error('late'), range) AS x FROM range(300000)";
    let run = place.run(["sql", "--memory", broken, "--output", "a.csv"]);
    run.fails(3, &["late"]);
    assert_eq!(fs::read_to_string(place.here("a.csv")).unwrap(), "x\n1\n");
    assert_eq!(place.files().len(), 1, "{:?}", place.files());
    place.run(["sql", "--memory", "SELECT 1", "--output", "none/a.csv"]).fails(9, &["none/a.csv"]);
}

#[test]
fn the_ending_of_the_file_chooses_the_format() {
    let place = Place::new();
    for (name, begins) in [
        ("a.json", &b"[\n  {"[..]),
        ("a.jsonl", b"{\"x\":1}\n"),
        ("a.tsv", b"x\n1\n"),
        ("a.md", b"| x |"),
        ("a.parquet", b"PAR1"),
        ("a.arrow", b"\xff\xff\xff\xff"),
        ("a.txt", "┌".as_bytes()),
    ] {
        place.ok(["sql", "--memory", "SELECT 1 AS x", "--output", name]);
        assert!(fs::read(place.here(name)).unwrap().starts_with(begins), "{name}");
    }
}

#[test]
fn parquet_comes_back_as_it_went() {
    let place = Place::new();
    let query = "SELECT range AS id, 9007199254740993 + range AS big, 'é' AS t, NULL::DOUBLE AS d, \
                 TIMESTAMP '2024-01-02 03:04:05.678' AS at, [1, 2] AS list FROM range(5000)";
    place.ok(["sql", "--memory", query, "--output", "a.parquet"]);
    let path = place.here("a.parquet");
    let differing = format!(
        "SELECT count(*) AS n FROM (({query}) EXCEPT (FROM '{p}')) UNION ALL SELECT count(*) FROM '{p}'",
        p = path.display()
    );
    assert_eq!(sql(&[&differing, "--format", "plain"]), "0\n5000\n");
    let stream = place.command(["sql", "--memory", query, "--format", "arrow"]).output().unwrap();
    let reader = arrow::ipc::reader::StreamReader::try_new(&stream.stdout[..], None).unwrap();
    assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 5000);
}

#[test]
fn filters_run_over_what_would_be_printed() {
    let query = "SELECT range AS n, {'a': range} AS o FROM range(3)";
    assert_eq!(sql(&[query, "--jq", "map(.n) | add"]), "3\n");
    assert_eq!(sql(&[query, "--jq", ".o.a", "--format", "jsonl"]), "0\n1\n2\n");
    assert_eq!(sql(&["SELECT 'x y' AS t", "--jq", ".[].t", "--format", "plain"]), "x y\n");
    let place = Place::new();
    place.run(["sql", "--memory", query, "--jq", ".["]).fails(3, &[".["]);
    place.run(["sql", "--memory", query, "--jq", ".", "--format", "csv"]).fails(2, &["--jq makes JSON"]);
}

#[test]
fn every_command_that_tells_has_every_format() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let fetched = place.ok([&fetch_all(&simulator)[..], &["--jq".into(), ".rows > 0".into()]].concat());
    assert_eq!(fetched, "true\n");
    for command in
        [&["tables"][..], &["schema", "events"], &["info"], &["status"], &["plan"], &["sql", "FROM events"]]
    {
        for format in
            ["table", "json", "jsonl", "csv", "tsv", "markdown", "vertical", "plain", "parquet", "arrow"]
        {
            let mut words = command.to_vec();
            words.extend(["--db", DB, "--format", format]);
            let output = place.command(&words).output().unwrap();
            assert!(output.status.success(), "{words:?}: {output:?}");
            assert!(!output.stdout.is_empty() || format == "plain", "{words:?}");
            match format {
                "json" => drop(serde_json::from_slice::<Value>(&output.stdout).unwrap()),
                "jsonl" => output
                    .stdout
                    .split(|byte| *byte == b'\n')
                    .filter(|line| !line.is_empty())
                    .for_each(|line| drop(serde_json::from_slice::<Value>(line).unwrap())),
                "parquet" => assert!(output.stdout.ends_with(b"PAR1"), "{words:?}"),
                _ => {}
            }
        }
    }
    // Nested JSON stays nested, the exact text of numbers too.
    let row: Value = serde_json::from_str(&place.ok([
        "sql",
        "--db",
        DB,
        "--format",
        "jsonl",
        "--limit",
        "1",
        "-q",
        "SELECT properties FROM events",
    ]))
    .unwrap();
    assert!(row["properties"].is_object(), "{row}");
}

#[test]
fn pictures_are_drawn_where_they_are_wanted() {
    let place = Place::new();
    let daily = "SELECT DATE '2024-01-01' + range::INTEGER AS day, range * range AS n FROM range(30)";
    let files = ["--svg", "a.svg", "--html", "a.html", "--png", "a.png"];
    let rows = place.run([&["sql", "--memory", "--format", "csv", daily][..], &files].concat());
    assert_eq!((rows.code, rows.stdout.lines().count()), (Some(0), 31), "{rows:?}");
    assert!(fs::read_to_string(place.here("a.svg")).unwrap().contains("2024-01-01"));
    assert!(fs::read_to_string(place.here("a.html")).unwrap().starts_with("<!DOCTYPE html>"));
    assert!(fs::read(place.here("a.png")).unwrap().starts_with(b"\x89PNG"));
    let drawn = place.ok(["sql", "--memory", "--plot", daily]);
    assert!(drawn.contains('⣀') || drawn.contains('⡠'), "{drawn}");
    place.run(["sql", "--memory", "--plot", "SELECT 'a' AS t"]).fails(2, &["cannot be drawn as a chart"]);
}

#[test]
fn a_limit_is_for_the_rows_and_not_for_the_picture() {
    let place = Place::new();
    let daily = "SELECT DATE '2024-01-01' + range::INTEGER AS day, range * range AS n FROM range(3000)";
    let words = ["sql", "--memory", "--format", "csv", daily];
    place.ok([&words[..], &["--svg", "all.svg"]].concat());
    let run = place.run([&words[..], &["--svg", "some.svg", "--limit", "5"]].concat());
    assert_eq!((run.code, run.stdout.lines().count()), (Some(0), 6), "{run:?}");
    assert!(run.stderr.contains("showing the first 5 rows"), "{run:?}");
    let picture = |name: &str| fs::read_to_string(place.here(name)).unwrap();
    assert!(picture("some.svg") == picture("all.svg"));
}

#[test]
fn two_results_do_not_share_a_picture() {
    let place = Place::new();
    let two = "SELECT 'a' AS t, 1 AS n; SELECT 'b' AS t, 2 AS n";
    for picture in ["--svg", "--html", "--png"] {
        place.run(["sql", "--memory", two, picture, "x"]).fails(2, &["2 results do not fit in one file"]);
    }
    assert!(!place.here("x").exists());
    place.ok(["sql", "--memory", "CREATE TABLE t AS SELECT 'a' AS t, 1 AS n; FROM t", "--svg", "x"]);
}

#[test]
fn one_value_is_the_cell_that_it_is_elsewhere() {
    let place = Place::new();
    let scalar = |query: &str, format: &str| {
        place.ok(["query", "sql", "--memory", "--scalar", "--format", format, query])
    };
    for value in ["'Page View'", "NULL", "'a, \"b\"'", "42", "1.5::DOUBLE", "[1, 2]", "18446744073709551615"]
    {
        let query = format!("SELECT {value} AS value");
        for format in ["plain", "csv", "tsv"] {
            let elsewhere = sql(&[&query, "--format", format]);
            assert_eq!(scalar(&query, format), elsewhere, "{value} as {format}");
        }
    }
    assert_eq!(scalar("SELECT 'Page View'", "plain"), "Page View\n");
    assert_eq!(scalar("SELECT NULL", "plain"), "\n");
    assert_eq!(scalar("SELECT 'Page View'", "json"), "{\n  \"value\": \"Page View\"\n}\n");
}

#[test]
fn what_parquet_cannot_hold_is_refused() {
    let place = Place::new();
    for union in ["union_value(a := 1)", "[{'x': union_value(a := 1)}]"] {
        let query = format!("SELECT 1 AS n, {union} AS odd");
        let run = place.run(["sql", "--memory", &query, "--output", "u.parquet"]);
        run.fails(2, &["the column odd cannot be written as Parquet", "UNION", "cast"]);
        assert!(place.files().iter().all(|file| !file.contains("parquet")), "{:?}", place.files());
        place.ok(["sql", "--memory", &query.replace(" AS odd", "::VARCHAR AS odd"), "--output", "u.parquet"]);
        fs::remove_file(place.here("u.parquet")).unwrap();
    }
}

#[test]
fn errors_are_json_on_request() {
    let place = Place::new();
    let told = |args: &[&str]| -> Value {
        let run = place.run(args);
        assert_eq!(run.stdout, "");
        serde_json::from_str(run.stderr.lines().last().unwrap()).unwrap()
    };
    let error = told(&["--error-format", "json", "sql", "--memory", "SELECT * FROM evnts"]);
    assert_eq!(error["error"]["code"], "QUERY_FAILED");
    assert_eq!(error["error"]["exit_code"], 3);
    assert_eq!(error["error"]["retryable"], false);
    let usage = told(&["sql", "--error-format=json", "--formt", "x"]);
    assert_eq!((&usage["error"]["code"], &usage["error"]["exit_code"]), (&json!("USAGE"), &json!(2)));
    let place = Place::new().with("MP_ERROR_FORMAT", "json");
    let run = place.run(["tables"]);
    let error: Value = serde_json::from_str(&run.stderr).unwrap();
    assert_eq!(error["error"]["code"], "DATABASE_NOT_FOUND");
}

#[test]
fn progress_is_told_to_programs() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let run = place.run([&["--progress".to_owned(), "json".to_owned()][..], &fetch_all(&simulator)].concat());
    let lines: Vec<Value> = run.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().unwrap();
    assert_eq!(last["progress"]["finished"], true, "{run:?}");
    assert_eq!((&last["progress"]["days_done"], &last["progress"]["days"]), (&json!(3), &json!(3)));
}

#[test]
fn verbose_says_what_was_requested() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let run = place.run([&["-v".to_owned()][..], &fetch_all(&simulator)].concat());
    for word in ["GET http://127.0.0.1:", "/api/2.0/export?", ": answered, ", "MB of JSON", "database "] {
        assert!(run.stderr.contains(word), "{word} in {run:?}");
    }
    let asked = run.stderr.lines().filter(|line| line.starts_with("GET ")).count();
    assert_eq!(asked, simulator.requests().len());
    // What failed is told too, and programs get it their way.
    simulator.fault(Fault::status(503));
    let words = ["-v", "--progress", "json"].map(str::to_owned);
    let run = place.run([&words[..], &fetch_all(&simulator)].concat());
    let requests: Vec<Value> = run
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter_map(|line: Value| line.get("request").cloned())
        .collect();
    assert!(requests.iter().any(|request| request["error"].as_str().is_some_and(|why| why.contains("503"))));
    assert!(requests.iter().any(|request| request["error"].is_null()), "{run:?}");
}
