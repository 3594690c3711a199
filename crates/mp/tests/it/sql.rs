//! `mp sql`: where the query comes from, and what the rows look like.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Place, Run, Running};

fn sql(args: &[&str]) -> String {
    Place::new().ok([&["sql", "--memory"], args].concat())
}

#[test]
fn answers_without_database_and_credentials() {
    assert_eq!(sql(&["SELECT 42 AS answer"]), "[\n  {\"answer\":42}\n]\n");
}

#[test]
fn the_query_may_come_from_a_file_or_standard_input() {
    let place = Place::new();
    std::fs::write(place.here("q.sql"), "\n-- a comment\nSELECT 1 AS x;\n").unwrap();
    assert_eq!(place.ok(["sql", "--memory", "--format", "csv", "-f", "q.sql"]), "x\n1\n");
    for args in [&["sql", "--memory", "--format", "csv"][..], &["sql", "--memory", "--format", "csv", "-"]] {
        let mut command = place.command(args);
        command.stdin(Stdio::piped());
        let mut running = Running::start(command);
        running.child().stdin.take().unwrap().write_all(b"SELECT 2 AS x").unwrap();
        let run = running.end();
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), "x\n2\n"));
    }
    place.run(["sql", "--memory", "-f", "none.sql"]).fails(4, &["none.sql"]);
    place.run(["sql", "--memory", "  "]).fails(2, &["empty"]);
    let mut command = place.command(["sql", "--memory", "--format", "csv", "-f", "-"]);
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    running.child().stdin.take().unwrap().write_all(b"SELECT 3 AS x").unwrap();
    assert_eq!(running.end().stdout, "x\n3\n");
    place.run(["sql", "--memory", "-f", "q.sql", "SELECT 1"]).fails(2, &["both a query and a file"]);
}

#[test]
fn empty_results_keep_their_shape() {
    let nothing = "SELECT 1 AS a, 'x' AS b WHERE false";
    assert_eq!(sql(&[nothing, "--format", "json"]), "[]\n");
    assert_eq!(sql(&[nothing, "--format", "jsonl"]), "");
    assert_eq!(sql(&[nothing, "--format", "csv"]), "a,b\n");
    let table = sql(&[nothing, "--format", "table"]);
    assert!(table.contains(" a ") && table.contains(" b "), "{table}");
}

const ODD: &str = "SELECT NULL AS n, 'NaN'::DOUBLE AS nan, 1.5::DOUBLE AS f, 9223372036854775807 AS big, \
    [1, NULL, 3] AS list, {'a': 'x', 'b': [true]} AS nested, 'tab\tbell\u{7}\u{1b}[31m' AS ctrl, \
    'Grüße, 世界 ⭐ \"q\"' AS text, TIMESTAMP '2024-01-02 03:04:05' AS at, DATE '2024-02-29' AS day, \
    1.20::DECIMAL(9,2) AS money, '{\"k\": 12345678901234567890}'::JSON AS j";

#[test]
fn json_holds_what_the_row_holds() {
    let text = sql(&[ODD, "--format", "jsonl"]);
    let row: Value = serde_json::from_str(&text).unwrap();
    let expected = json!({
        "n": null, "nan": null, "f": 1.5, "big": 9223372036854775807_i64, "list": [1, null, 3],
        "nested": {"a": "x", "b": [true]}, "ctrl": "tab\tbell\u{7}\u{1b}[31m",
        "text": "Grüße, 世界 ⭐ \"q\"", "at": "2024-01-02T03:04:05", "day": "2024-02-29", "money": 1.2,
        "j": {"k": 12345678901234567890_u64},
    });
    assert_eq!(row, expected);
    assert!(text.contains("\"money\":1.20"), "all its digits: {text}");
    assert!(text.contains("世界 ⭐"), "text is not escaped beyond need: {text}");
    let array: Value = serde_json::from_str(&sql(&[ODD, "--format", "json"])).unwrap();
    assert_eq!(array, json!([expected]));
}

#[test]
fn csv_holds_what_the_row_holds() {
    let text = sql(&[ODD, "--format", "csv"]);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(reader.headers().unwrap().len(), 12);
    let row = reader.records().next().unwrap().unwrap();
    let expected = [
        "",
        "NaN",
        "1.5",
        "9223372036854775807",
        "[1,null,3]",
        r#"{"a":"x","b":[true]}"#,
        "tab\tbell\u{7}\u{1b}[31m",
        "Grüße, 世界 ⭐ \"q\"",
        "2024-01-02 03:04:05",
        "2024-02-29",
        "1.20",
        r#"{"k": 12345678901234567890}"#,
    ];
    assert_eq!(row.iter().collect::<Vec<_>>(), expected);
}

#[test]
fn tables_do_not_steer_the_terminal() {
    let table = sql(&[ODD, "--format", "table"]);
    assert!(!table.contains(|c: char| c.is_control() && c != '\n'), "{table:?}");
    for shown in [r"tab\tbell\u{7}\u{1b}[31m", "NULL", "NaN", "世界", "[1,null,3]"] {
        assert!(table.contains(shown), "{shown} in {table}");
    }
}

#[test]
fn rows_are_limited_on_request() {
    let many = "SELECT range AS x FROM range(100000)";
    let place = Place::new();
    let run = place.run(["sql", "--memory", many, "--format", "csv", "--limit", "2"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "x\n0\n1\n"));
    assert!(run.stderr.contains("first 2 rows"), "{run:?}");
    let quiet = place.run(["-q", "sql", "--memory", many, "--format", "csv", "--limit", "2"]);
    assert_eq!(quiet.stderr, "");
    let run = place.run(["sql", "--memory", many, "--format", "table"]);
    assert!(run.stdout.contains(" 99999 "), "all rows where nobody watches");
    assert_eq!(run.stderr, "");
    let programs = ["--error-format", "json", "sql", "--memory", many, "--format", "jsonl", "--limit", "2"];
    let notice: Value = serde_json::from_str(&place.run(programs).stderr).unwrap();
    assert_eq!(
        (&notice["notice"]["code"], &notice["notice"]["rows_shown"]),
        (&json!("TRUNCATED"), &json!(2))
    );
    let exact = place.run(["sql", "--memory", "SELECT 1 AS x", "--format", "csv", "--limit", "1"]);
    assert_eq!(exact.stderr, "");
    let all = place.run(["sql", "--memory", many, "--format", "jsonl"]);
    assert_eq!((all.stdout.lines().count(), all.stderr.as_str()), (100_000, ""));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    for format in ["csv", "json", "jsonl"] {
        let query = "SELECT range AS x FROM range(30000000)";
        let place = Place::new();
        let mut running = place.start(["sql", "--memory", query, "--format", format]);
        let mut line = String::new();
        BufReader::new(running.child().stdout.take().unwrap()).read_line(&mut line).unwrap();
        let run = running.end();
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{format}");
    }
}

#[test]
fn broken_queries_point_at_the_place() {
    let run = |query: &str| Place::new().run(["sql", "--memory", query]);
    run("SELECT * FROM evnts").fails(3, &["evnts", "line 1", "mp tables"]);
    run("SELEKT 1").fails(3, &["Parser", "SELEKT"]);
    run("SELECT nope FROM range(3)").fails(3, &["nope"]);
    run("SELECT 'x'::INTEGER").fails(3, &["Conversion"]);
}

#[test]
fn databases_are_read_only_unless_told_otherwise() {
    let place = Place::new();
    place.ok(["demo", "--days", "2", "--events-per-day", "20", "--db", "d.duckdb"]);
    let create = "CREATE TABLE mine AS SELECT 1 AS x";
    place.run(["sql", "--db", "d.duckdb", create]).fails(1, &["--write"]);
    place.ok(["sql", "--db", "d.duckdb", "--write", create]);
    assert_eq!(place.ok(["sql", "--db", "d.duckdb", "--format", "csv", "FROM mine"]), "x\n1\n");
}

#[test]
fn help_tells_the_exit_codes() {
    let help = Place::new().ok(["--help"]);
    assert!(help.contains("Exit codes:") && help.contains("130/143"), "{help}");
    let run: Run = Place::new().run(["sql", "--format", "xml", "SELECT 1"]);
    run.fails(2, &["xml", "jsonl"]);
}

#[test]
fn parameters_are_bound_and_never_pasted() {
    let one = |value: &str, query: &str| sql(&["--format", "jsonl", "-p", &format!("x={value}"), query]);
    assert_eq!(one("'; DROP TABLE a; --", "SELECT $x AS y"), "{\"y\":\"'; DROP TABLE a; --\"}\n");
    assert_eq!(one("null", "SELECT $x AS y"), "{\"y\":\"null\"}\n");
    assert_eq!(sql(&["--format", "jsonl", "-p", "x:null=", "SELECT $x IS NULL AS y"]), "{\"y\":true}\n");
    let day = one(
        "2024-01-02",
        "SELECT count(*) AS n FROM range(TIMESTAMP '2024-01-01', TIMESTAMP '2024-01-05', INTERVAL 1 DAY) t(day) WHERE day >= $x",
    );
    assert_eq!(day, "{\"n\":3}\n");
    let twice = sql(&["--format", "jsonl", "-p", "a:int=2", "-p", "b=2", "SELECT $a * $a AS n, $b AS t"]);
    assert_eq!(twice, "{\"n\":4,\"t\":\"2\"}\n");
    let place = Place::new();
    place.run(["sql", "--memory", "SELECT $x"]).fails(2, &["$x has no value", "-p x=VALUE"]);
    place.run(["sql", "--memory", "-p", "y=1", "SELECT 1"]).fails(2, &["no parameter $y"]);
    place.run(["sql", "--memory", "-p", "y", "SELECT 1"]).fails(2, &["NAME=VALUE"]);
}

#[test]
fn several_statements_run_in_one_session() {
    let text = "CREATE TABLE a AS SELECT 1 AS x; SELECT x FROM a; INSERT INTO a VALUES (2); SELECT sum(x) AS s FROM a";
    assert_eq!(sql(&["--format", "csv", text]), "x\n1\ns\n3\n");
    let place = Place::new();
    place.run(["sql", "--memory", "SELECT 1; SELECT 2", "--output", "a.csv"]).fails(2, &["2 results"]);
    // Nothing runs when a later statement lacks a parameter.
    place.run(["sql", "--memory", "SELECT 1; SELECT $x"]).fails(2, &["$x"]);
}

#[test]
fn a_script_prints_all_rows_there_are() {
    let place = Place::new();
    let script = "CREATE TABLE a (x INTEGER);\nINSERT INTO a VALUES (41)\nRETURNING x + 1 AS y;\n\
                  SELECT 5 AS z; /* a\nremark */\n.mode csv\nPRAGMA version;\n";
    std::fs::write(place.here("script.sql"), script).unwrap();
    let mut command = place.command(["shell", "--memory", "--format", "csv"]);
    command.stdin(std::fs::File::open(place.here("script.sql")).unwrap());
    let run = Run::of(command.output().unwrap());
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    assert!(run.stdout.starts_with("y\n42\nz\n5\nlibrary_version,"), "{run:?}");
}

#[test]
fn queries_are_saved_and_run_by_name() {
    let place = Place::new();
    let query = "SELECT $n + 1 AS next";
    place.ok(["sql", "--memory", "--save", "next", "-p", "n:int=1", query]);
    assert_eq!(place.ok(["run", "next", "--memory", "-p", "n:int=41", "--format", "plain"]), "42\n");
    assert!(place.ok(["run", "--format", "csv"]).contains("next,SELECT $n + 1 AS next"));
    place.run(["run", "nxt", "--memory"]).fails(4, &["nxt", "one of: next"]);
    place.run(["sql", "--memory", "--save", "next", "SELECT 2"]).fails(2, &["another query", "rm "]);
    place.run(["sql", "--memory", "--save", "../x", "SELECT 2"]).fails(2, &["cannot name a query"]);
}
