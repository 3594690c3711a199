//! What is not to be destroyed, shown, or waited for.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Stdio;

use mixpanel_sim::Simulator;
use nix::sys::signal::Signal;

use crate::support::{DB, Place, Run, Running, fetch_all, small_world, until};

const CANARY: &str = "canary-7f3a";

fn fed(place: &Place, args: &[&str], input: &str) -> Run {
    let mut command = place.command(args);
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    running.child().stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    running.end()
}

fn login(place: &Place, simulator: &Simulator, secret: &str) -> Run {
    let config = simulator.config();
    let (id, url) = (config.project_id.to_string(), simulator.base_url());
    let words = ["auth", "login", "--username", &config.username, "--project-id", &id, "--base-url", &url];
    fed(place, &[&words[..], &["--secret-stdin"]].concat(), secret)
}

#[test]
fn a_login_that_is_refused_stores_nothing() {
    let simulator = small_world();
    let place = Place::new();
    for _ in 0..2 {
        let run = login(&place, &simulator, "a-wrong-secret");
        run.fails(6, &["\"default\" was not stored"]);
        assert!(!run.stderr.contains("already"), "{run:?}");
    }
    assert!(!place.path("home/.config/mp/config.toml").exists());
    // The right one follows as if nothing had been.
    let run = login(&place, &simulator, &simulator.config().secret);
    assert_eq!(run.code, Some(0), "{run:?}");
    place.ok(["auth", "test"]);
    // One that is there stays when another for its name is refused.
    let before = fs::read(place.path("home/.config/mp/config.toml")).unwrap();
    let config = simulator.config();
    let id = config.project_id.to_string();
    let words = ["auth", "login", "--replace", "--username", &config.username, "--project-id", &id];
    let url = simulator.base_url();
    let run = fed(&place, &[&words[..], &["--base-url", &url, "--secret-stdin"]].concat(), "wrong-again");
    run.fails(6, &["was not stored"]);
    assert_eq!(fs::read(place.path("home/.config/mp/config.toml")).unwrap(), before);
}

#[test]
fn of_many_accounts_added_at_once_all_remain() {
    let place = Place::new();
    let names: Vec<String> = (0..16).map(|n| format!("a{n}")).collect();
    let started: Vec<Running> = names
        .iter()
        .map(|name| {
            let mut command = place.command(["auth", "add", name, "--username", "u", "--project-id", "1"]);
            command.env("MP_SECRET", format!("secret-of-{name}"));
            Running::start(command)
        })
        .collect();
    for running in started {
        let run = running.end();
        assert_eq!(run.code, Some(0), "{run:?}");
    }
    let list: serde_json::Value =
        serde_json::from_str(&place.ok(["auth", "list", "--format", "json"])).unwrap();
    let mut found: Vec<&str> =
        list.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    let mut expected: Vec<&str> = names.iter().map(String::as_str).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    // Of two that add one name, the second is told.
    let add = || {
        let mut command = place.command(["auth", "add", "same", "--username", "u", "--project-id", "1"]);
        command.env("MP_SECRET", "secret-of-same");
        Running::start(command)
    };
    let mut codes: Vec<_> = [add(), add()].into_iter().map(|running| running.end().code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(1)]);
}

#[test]
fn sealed_sql_reads_no_secret_and_writes_no_file() {
    let simulator = small_world();
    let place =
        Place::at(&simulator).config(&format!("[accounts.a]\nusername = \"u\"\nsecret = \"{CANARY}\"\n"));
    place.ok(fetch_all(&simulator));
    let file = place.path("home/.config/mp/config.toml").display().to_string();
    let steal = format!("SELECT content FROM read_text('{file}')");
    let copy = format!("COPY (SELECT 1) TO '{}'", place.here("out.csv").display());
    // The control: without the flag, SQL reads what its user can read.
    assert!(place.ok(["sql", "--db", DB, &steal]).contains(CANARY));
    for target in [&["--db", DB][..], &["--memory"]] {
        let sealed = |sql: &str| place.run([&["sql", "--sealed"], target, &[sql]].concat());
        for sql in [&steal, &copy, "SET threads = 1", "ATTACH 'other.duckdb'", "CREATE TABLE a AS SELECT 1"] {
            let run = sealed(sql);
            run.fails(3, &["the database is sealed"]);
            assert!(!run.stderr.contains(CANARY), "{run:?}");
        }
        assert_eq!(
            sealed("SELECT 40 + 2 AS a").stdout.split_whitespace().collect::<String>(),
            "[{\"a\":42}]"
        );
    }
    let rows = ["sql", "--sealed", "--db", DB, "--format", "csv", "SELECT count(*) > 0 AS a FROM events"];
    assert_eq!(place.ok(rows), "a\ntrue\n");
    // Each statement is one query.
    place.run(["sql", "--sealed", "--db", DB, "--format", "jsonl", &format!("SELECT 1; {copy}")]);
    place.run(["sql", "--sealed", "--write", "--db", DB, "SELECT 1"]).fails(2, &["--sealed", "--write"]);
    // Saved queries and the shell too.
    place.ok(["sql", "--memory", "--save", "steal", &steal]);
    place.run(["run", "steal", "--sealed", "--db", DB]).fails(3, &["sealed"]);
    let run = fed(&place, &["shell", "--sealed", "--db", DB], &format!(".tables\n{steal};\n"));
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.stdout.contains("events") && !run.stdout.contains(CANARY), "{run:?}");
    assert!(run.stderr.contains("sealed"), "{run:?}");
    let run = fed(&place, &["shell", "--sealed", "--db", DB], &format!(".read {file}\n"));
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("reads no file") && !run.stderr.contains(CANARY), "{run:?}");
    assert!(!place.here("out.csv").exists() && !place.here("other.duckdb").exists());
}

#[test]
fn names_that_are_no_file_are_refused_and_memory_is_memory() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let fetch = |db: &str| {
        let mut words = fetch_all(&simulator);
        *words.last_mut().unwrap() = db.to_owned();
        place.run(words)
    };
    for name in ["s3://bucket/a.duckdb", "https://example.com/a.duckdb", "md:events"] {
        fetch(name).fails(3, &[name]);
        place.run(["sql", "--db", name, "SELECT 1"]).fails(3, &[name]);
        place.run(["tables", "--db", name]).fails(3, &[name]);
        let output = place.run(["sql", "--memory", "--output", name, "SELECT 1"]);
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{output:?}");
        assert!(output.stderr.contains(name), "{output:?}");
    }
    fetch(":memory:").fails(2, &["gone when `mp` ends", "--db FILE"]);
    assert_eq!(place.ok(["sql", "--db", ":memory:", "--format", "csv", "SELECT 1 AS a"]), "a\n1\n");
    assert!(!place.files().iter().any(|name| name.contains("s3:") || name.contains(":memory:")));
    // A question mark is a character like others, and a link leads to its file.
    let run = fetch("a?b=c.duckdb");
    assert_eq!(run.code, Some(0), "{run:?}");
    symlink("a?b=c.duckdb", place.here("link.duckdb")).unwrap();
    for db in ["a?b=c.duckdb", "link.duckdb"] {
        assert!(place.scalar(db, "SELECT count(*) FROM events").as_u64().unwrap() > 0);
    }
    let run = fetch("link.duckdb");
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(fs::symlink_metadata(place.here("link.duckdb")).unwrap().is_symlink());
}

#[test]
fn pipes_are_neither_waited_for_nor_replaced() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let pipe = place.here("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut words = fetch_all(&simulator);
    *words.last_mut().unwrap() = "pipe".to_owned();
    place.run(words).fails(1, &["a named pipe"]);
    place.run(["sql", "--db", "pipe", "SELECT 1"]).fails(1, &["a named pipe"]);
    fs::rename(&pipe, place.here("mp.toml")).unwrap();
    place.run(["status"]).fails(2, &["mp.toml", "not a regular file"]);
    fs::remove_file(place.here("mp.toml")).unwrap();
    symlink("../home", place.here("home")).unwrap();
    fs::write(place.here("mp.toml"), "db = \"home/theirs.duckdb\"\n").unwrap();
    place.run(["sql", "SELECT 1"]).fails(2, &["mp.toml", "leads out of this folder"]);
    assert!(!place.path("home/theirs.duckdb").exists());
}

#[test]
fn a_crash_leaves_no_image_of_the_memory() {
    let place = Place::new();
    let mut command = place.command(["sim", "--port", "0"]);
    let unlimited = || {
        let most = nix::libc::rlimit { rlim_cur: u64::MAX, rlim_max: u64::MAX };
        // SAFETY: the limit is valid for the call, which is allowed between fork and exec.
        unsafe { nix::libc::setrlimit(nix::libc::RLIMIT_CORE, &most) };
        Ok(())
    };
    // SAFETY: as above.
    unsafe { command.pre_exec(unlimited) };
    let mut running = Running::start(command);
    let id = running.id();
    let limits = format!("/proc/{id}/limits");
    until("the limit on core dumps", || {
        let text = fs::read_to_string(&limits).ok()?;
        let line = text.lines().find(|line| line.starts_with("Max core file size"))?;
        (line.split_whitespace().nth(4) == Some("0")).then_some(())
    });
    running.signal(Signal::SIGABRT);
    let status = running.child().wait().unwrap();
    assert_eq!(status.signal(), Some(Signal::SIGABRT as i32));
    assert!(!status.core_dumped());
    assert!(!place.files().iter().any(|name| name.contains("core")));
}

#[test]
fn a_spreadsheet_gets_no_formula_where_that_is_asked_for() {
    let place = Place::new();
    let sql = "SELECT * FROM (VALUES ('=1+1', -1), ('+x', 2), ('-x', 3), ('@x', 4), ('a=b', 5)) t(\"=a\", n)";
    let ask = |words: &[&str]| place.ok([&["sql", "--memory", "--format", "csv"], words, &[sql]].concat());
    assert_eq!(ask(&["--escape-formulas"]), "'=a,n\n'=1+1,-1\n'+x,2\n'-x,3\n'@x,4\na=b,5\n");
    assert_eq!(ask(&[]).lines().nth(1), Some("=1+1,-1"));
}

#[test]
fn a_file_with_macros_in_place_of_duckdbs_functions_fools_no_command_and_is_named() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    place.ok(fetch_all(&simulator));
    let honest = || {
        [&["tables"][..], &["status"], &["inspect", "summarize", "-t", "events"], &["schema", "events"]]
            .map(|words| place.ok([words, &["--db", DB, "--format", "csv"]].concat()))
    };
    let before = honest();
    let doctor = || place.run(["doctor", "--db", DB, "--format", "csv"]).stdout;
    assert!(!doctor().contains("macro"), "{}", doctor());
    place.ok(["sql", "--write", "--db", DB, "CREATE MACRO count(x) AS 7; CREATE MACRO lower(x) AS 'x'; CREATE MACRO duckdb_columns() AS TABLE SELECT 'evil' AS table_name; SELECT 1"]);
    assert_eq!(honest(), before);
    assert!(
        doctor().contains("count, duckdb_columns, lower are macros or types of this file"),
        "{}",
        doctor()
    );
}

/// Runs `mp` with a limit of the system's.
fn limited(place: &Place, words: &[String], limit: impl Fn() + Send + Sync + 'static) -> Run {
    let mut running = place.command(words);
    let limit = move || {
        limit();
        Ok(())
    };
    // SAFETY: as above.
    unsafe { running.pre_exec(limit) };
    Running::start(running).end()
}

/// The limits of a process, for its own good.
fn at_most(most: u64) -> nix::libc::rlimit {
    nix::libc::rlimit { rlim_cur: most, rlim_max: most }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn too_few_open_files_are_an_error_of_the_system_and_never_a_panic() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    place.ok(fetch_all(&simulator));
    let mut into_new = fetch_all(&simulator);
    *into_new.last_mut().unwrap() = "new.duckdb".to_owned();
    let mut seen = Vec::new();
    for files in 4..=24 {
        for command in [
            into_new.clone(),
            words(&["sql", "--db", DB, "SELECT count(*) FROM events"]),
            words(&["fetch", "events", "--from", "2025-06-30", "--to", "2025-06-30", "--stdout"]),
        ] {
            let limit = move || {
                // SAFETY: the limit is valid for the call, which is allowed between fork and exec.
                unsafe { nix::libc::setrlimit(nix::libc::RLIMIT_NOFILE, &at_most(files)) };
            };
            let run = limited(&place, &command, limit);
            assert!(matches!(run.code, Some(0 | 9)), "{files} files: {command:?}: {run:?}");
            assert!(run.code == Some(0) || run.stderr.contains("error: "), "{run:?}");
            seen.push(run.code);
        }
        let _ = fs::remove_file(place.here("new.duckdb"));
    }
    assert!(seen.contains(&Some(0)) && seen.contains(&Some(9)), "{seen:?}");
    // What was there is there.
    assert!(place.scalar(DB, "SELECT count(*) FROM events").as_u64().unwrap() > 0);
}

#[test]
fn a_variable_that_is_no_text_is_not_taken_for_absent() {
    use std::os::unix::ffi::OsStrExt;
    let simulator = small_world();
    let place = Place::at(&simulator);
    // The one that would be used if nothing was said.
    fs::create_dir_all(place.path("home/.local/share/mixpanel_data")).unwrap();
    let mut words = fetch_all(&simulator);
    let usual = place.path("home/.local/share/mixpanel_data/12345.duckdb");
    *words.last_mut().unwrap() = usual.display().to_string();
    place.ok(words);
    place.ok(["sql", "SELECT count(*) FROM events"]);
    let mut command = place.command(["sql", "SELECT count(*) FROM events"]);
    command.env("MP_DB", std::ffi::OsStr::from_bytes(b"other-\xff.duckdb"));
    Running::start(command).end().fails(4, &["no database at other-"]);
}
