//! What people type and paste: marks, line ends, quotes, statements of every kind, parameters.

use std::io::Write;
use std::process::Stdio;

use mixpanel_sim::{SimConfig, Simulator};

use crate::support::{DB, Place, Run, Running, fetch_all, small_world};

fn csv(place: &Place, args: &[&str]) -> String {
    place.ok([&["sql", "--memory", "--format", "csv"], args].concat())
}

/// Runs a command with something on its standard input.
fn piped(place: &Place, args: &[&str], input: &[u8]) -> Run {
    let mut command = place.command(args);
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    running.child().stdin.take().unwrap().write_all(input).unwrap();
    running.end()
}

#[test]
fn files_of_other_programs_are_read_whole() {
    let place = Place::new();
    let sql = "SELECT 1 AS a;\r\n-- the second\r\nSELECT 'ü' AS b;\r\n";
    let wide: Vec<u8> =
        "\u{feff}".encode_utf16().chain(sql.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let marked = format!("\u{feff}{sql}");
    // Files that were put together have marks in their middle, too.
    let twice = "\u{feff}SELECT 1 AS a;\r\n\u{feff}SELECT 'ü' AS b".to_string();
    let old = "SELECT 1 AS a -- the first\r;SELECT 'ü' AS b";
    for bytes in [sql.as_bytes(), marked.as_bytes(), &wide, twice.as_bytes(), old.as_bytes()] {
        std::fs::write(place.here("q.sql"), bytes).unwrap();
        assert_eq!(csv(&place, &["-f", "q.sql"]), "a\n1\nb\nü\n", "{:?}", String::from_utf8_lossy(bytes));
        let run = piped(&place, &["sql", "--memory", "--format", "csv"], bytes);
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), "a\n1\nb\nü\n"), "{run:?}");
    }
    assert_eq!(csv(&place, &[&marked]), "a\n1\nb\nü\n");
    let run = piped(&place, &["shell", "--memory", "--format", "csv"], marked.as_bytes());
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "a\n1\nb\nü\n"), "{run:?}");
    std::fs::write(place.here("latin.sql"), b"SELECT 'caf\xe9'").unwrap();
    place.run(["sql", "--memory", "-f", "latin.sql"]).fails(9, &["latin.sql", "UTF-8"]);
}

/// The result decides what is printed, not the first word.
#[test]
fn whatever_gives_rows_prints_them_wherever_it_stands() {
    let place = Place::new();
    let script = "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1), (2) RETURNING x * 2 AS doubled;
        WITH w AS (SELECT 3 AS x) INSERT INTO a FROM w; PREPARE q AS SELECT sum(x) AS s FROM a; EXECUTE q;
        PRAGMA table_info('a'); /* a remark */ (SELECT 5 AS five); SET threads = 1; DELETE FROM a WHERE x > 1";
    let run = place.run(["sql", "--memory", "--format", "csv", script]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let heads: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with(char::is_alphabetic)).collect();
    assert_eq!(heads, ["doubled", "s", "cid,name,type,notnull,dflt_value,pk", "five"], "{run:?}");
    assert!(run.stdout.starts_with("doubled\n2\n4\ns\n6\n"), "{run:?}");
    // Changes are told, and are no rows: neither that of `WITH` nor the last one.
    assert_eq!(run.stderr, "1 row changed\n2 rows changed\n", "{run:?}");
    let quiet = place.run(["sql", "--memory", "--format", "json", "CREATE TABLE a (x INTEGER)"]);
    assert_eq!((quiet.code, quiet.stdout.as_str(), quiet.stderr.as_str()), (Some(0), "", ""));
}

#[test]
fn one_file_takes_one_result_and_nothing_runs_for_nothing() {
    let place = Place::new();
    place.ok(["sql", "--memory", "SELECT 1 AS x", "--output", "one.csv"]);
    let two = "PREPARE q AS SELECT 1 AS x; EXECUTE q; EXECUTE q";
    place.run(["sql", "--memory", two, "--output", "two.csv"]).fails(2, &["2 results"]);
    let run = place.run(["sql", "--memory", "CREATE TABLE a (x INTEGER)", "--output", "none.csv"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("no rows") && run.stderr.contains("none.csv"), "{run:?}");
    assert!(!place.here("none.csv").exists());
}

#[test]
fn parameters_are_text_unless_a_type_is_named() {
    let place = Place::new();
    let users = "SELECT u FROM (VALUES ('007'), ('7')) t(u) WHERE u = $u";
    assert_eq!(csv(&place, &["-p", "u=007", users]), "u\n007\n");
    assert_eq!(csv(&place, &["-p", "u=7", users]), "u\n7\n");
    let type_of = |given: &str| csv(&place, &["-p", given, "SELECT typeof($x) AS t"]);
    for (given, expected) in [
        ("x=true", "VARCHAR"),
        ("x=1.5", "VARCHAR"),
        ("x:int=7", "BIGINT"),
        ("x:float=7", "DOUBLE"),
        ("x:bool=true", "BOOLEAN"),
        ("x:date=2024-02-29", "DATE"),
        ("x:timestamp=2024-02-29 12:00:00", "TIMESTAMP"),
    ] {
        assert_eq!(type_of(given), format!("t\n{expected}\n"), "{given}");
    }
    assert_eq!(csv(&place, &["-p", "n:int=2", "SELECT $n + 1 AS y"]), "y\n3\n");
    // Where a column says what is wanted, text becomes that.
    assert_eq!(csv(&place, &["-p", "n=2", "FROM range(5) t(x) WHERE x = $n LIMIT $n"]), "x\n2\n");
    place.run(["sql", "--memory", "-p", "n=2", "SELECT $n + 1"]).fails(3, &["-p n:int="]);
    place.run(["sql", "--memory", "-p", "n:int=x", "SELECT $n"]).fails(2, &["whole number"]);
}

#[test]
fn a_script_reads_files_and_ends_where_it_says() {
    let place = Place::new();
    std::fs::write(place.here("my file.sql"), "\u{feff}.mode csv\r\nSELECT 7 AS seven;\r\nSELECT 8 AS last")
        .unwrap();
    let run = piped(&place, &["shell", "--memory"], b".read my file.sql\nexit\nSELECT 9 AS never;\n");
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "seven\n7\nlast\n8\n"), "{run:?}");
    std::fs::write(place.here("self.sql"), ".read self.sql\n").unwrap();
    let run = piped(&place, &["shell", "--memory"], b".read self.sql\n");
    assert!(run.code == Some(2) && run.stderr.contains("does it read itself?"), "{run:?}");
    std::fs::write(place.here("bad.sql"), "SELECT 1 AS x;\nSELEKT 2;\nSELECT 3 AS never;\n").unwrap();
    let run = piped(&place, &["shell", "--memory", "--format", "csv"], b".read bad.sql\n");
    assert_eq!((run.code, run.stdout.as_str()), (Some(3), "x\n1\n"), "{run:?}");
    assert!(run.stderr.contains("bad.sql, line 2:"), "{run:?}");
    let run = piped(&place, &["shell", "--memory"], b".read none.sql\n");
    assert!(run.code == Some(4) && run.stderr.contains("none.sql"), "{run:?}");
}

#[test]
fn what_is_pasted_around_a_secret_is_no_part_of_it() {
    let simulator =
        Simulator::start(SimConfig { days: 1, events_per_day: 5, ..SimConfig::default() }).unwrap();
    let secret = simulator.config().secret.clone();
    let region = "us\r";
    for given in
        [format!("{secret}\r"), format!("\"{secret}\""), format!("'{secret}'\r"), format!("\u{feff}{secret}")]
    {
        let place = Place::at(&simulator).with("MP_SECRET", &given).with("MP_REGION", region);
        let run = place.run(["auth", "test"]);
        assert_eq!(run.code, Some(0), "{given:?}: {run:?}");
    }
    let place = Place::at(&simulator).with("MP_SECRET", "");
    std::fs::write(place.here("secret"), format!("\u{feff}\"{secret}\"\r\n")).unwrap();
    let place = place.with("MP_SECRET_FILE", "secret");
    assert_eq!(place.run(["auth", "test"]).code, Some(0));
}

/// Each stumble is answered with what to write.
#[test]
fn advice_is_about_the_query_and_the_database() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    place.ok(fetch_all(&simulator));
    let fails = |query: &str, advice: &str| place.run(["sql", "--db", DB, query]).fails(3, &[advice]);
    fails("SELECT plan FROM events", "a column of events_flat, and properties->>'$.plan' in events");
    fails("SELECT e.plan FROM events AS e", "a column of events_flat");
    fails("SELECT properties->>'$browser' FROM events", "'$.\"$browser\"'");
    fails("SELECT 1 FROM events WHERE event_name = \"Purchase\"", "'Purchase'");
    fails("SELECT UNNEST(properties->'$.cart') FROM events", "UNNEST(items::JSON[])");
    fails("SELECT UNNEST(properties->>'$.cart') FROM events", "UNNEST(items::JSON::JSON[])");
    fails("SELECT ‘a’", "typographic quotes");
    fails("SELECT nope FROM events", "mp schema events`");
    place.ok(["sql", "--db", DB, "--write", "CREATE TABLE mine AS SELECT 1 AS a"]);
    fails("SELECT b FROM mine", "mp schema mine`");
    // What is advised works.
    let works = [
        "SELECT count(plan) > 0 AS y FROM events_flat",
        "SELECT count(properties->>'$.\"$browser\"') > 0 AS y FROM events",
    ];
    for query in works {
        assert_eq!(place.ok(["sql", "--db", DB, "--format", "csv", query]), "y\ntrue\n", "{query}");
    }
    let list = "SELECT UNNEST(items::JSON[]) AS y FROM (SELECT '[1]'::JSON AS items)";
    assert_eq!(place.ok(["sql", "--db", DB, "--format", "csv", list]), "y\n1\n");
}

#[test]
fn local_time_is_the_time_of_the_zone_and_one_turn_is_remarked() {
    let place = Place::new();
    let noon = "SELECT local_time(t, 'America/New_York')::VARCHAR AS local FROM (SELECT TIMESTAMP '2024-07-01 12:00:00' AS t)";
    // New York was four hours behind UTC on this day.
    assert_eq!(csv(&place, &[noon]), "local\n2024-07-01 08:00:00\n");
    let instant = "SELECT local_time(TIMESTAMPTZ '2024-07-01 12:00:00+00', 'Asia/Tokyo')::VARCHAR AS local";
    assert_eq!(csv(&place, &[instant]), "local\n2024-07-01 21:00:00\n");
    let once =
        "SELECT event_time AT TIME ZONE 'Asia/Tokyo' AS t FROM (SELECT TIMESTAMP '2024-07-01' AS event_time)";
    let run = place.run(["sql", "--memory", once]);
    assert!(run.code == Some(0) && run.stderr.contains("local_time(event_time, 'Asia/Tokyo')"), "{run:?}");
}
