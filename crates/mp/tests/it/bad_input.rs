//! Everything that can be wrong with what `mp` is given, each with its exit code and its words.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use mixpanel_sim::Fault;

use crate::support::{DB, Place, Run, fetch_all, mp, simulator, small_world, unique_events};

#[test]
fn files_that_are_no_database_are_left_alone() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let mut sqlite = b"SQLite format 3\0".to_vec();
    sqlite.resize(8192, 0);
    place.ok(fetch_all(&simulator));
    let mut damaged = fs::read(place.here(DB)).unwrap();
    damaged[..8192].iter_mut().for_each(|byte| *byte ^= 0x5a);
    let files =
        [("foreign.duckdb", sqlite), ("damaged.duckdb", damaged), ("text.duckdb", b"hello\n".repeat(2000))];
    for (name, bytes) in files {
        fs::write(place.here(name), &bytes).unwrap();
        place.run(["sql", "--db", name, "SELECT 1"]).fails(1, &[name, "not a readable DuckDB database"]);
        place.run(["info", "--db", name]).fails(1, &[name]);
        let mut args = fetch_all(&simulator);
        args[7] = name.to_owned();
        place.run(args).fails(1, &[name, "not touched"]);
        assert_eq!(fs::read(place.here(name)).unwrap(), bytes, "{name} was changed");
    }
}

#[test]
fn words_that_are_not_text() {
    let place = Place::new();
    let mut command = place.command(["sql", "--memory"]);
    command.arg(OsStr::from_bytes(b"SELECT 'caf\xe9'"));
    Run::of(command.output().unwrap()).fails(2, &["UTF-8"]);
}

#[test]
fn databases_that_are_not_there() {
    let place = Place::new();
    place.run(["sql", "--db", "none.duckdb", "SELECT 1"]).fails(4, &["none.duckdb", "mp fetch events"]);
    assert!(!place.here("none.duckdb").exists());
    place.run(["tables"]).fails(4, &["mixpanel_data", "--db"]);
    let folder = place.path("home/.local/share/mixpanel_data");
    fs::create_dir_all(&folder).unwrap();
    for name in ["1.duckdb", "2.duckdb"] {
        fs::write(folder.join(name), "").unwrap();
    }
    place.run(["tables"]).fails(2, &["1.duckdb", "2.duckdb", "--db"]);
}

#[test]
fn places_where_no_database_can_be() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    fs::write(place.here("file"), "").unwrap();
    let into = |db: &str| {
        let mut args = fetch_all(&simulator);
        args[7] = db.to_owned();
        place.run(args)
    };
    into("file/below/data.duckdb").fails(9, &["file"]);
    fs::create_dir(place.here("folder")).unwrap();
    into("folder").fails(9, &["folder"]);
}

/// Runs `mp` as somebody for whom permissions count: root may do everything.
fn as_nobody(place: &Place, args: &[String]) -> Run {
    let root = fs::metadata(place.path("here")).unwrap().uid() == 0;
    let program = if root { place.path("mp") } else { mp().to_owned() };
    let mut command: Command = place.program(&program);
    if root {
        fs::copy(mp(), &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        command.uid(65534).gid(65534);
    }
    Run::of(command.args(args).output().unwrap())
}

#[test]
fn missing_permissions_are_named() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    place.ok(fetch_all(&simulator));
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();

    // A folder in which nothing may be made.
    let locked = place.here("locked");
    fs::create_dir(&locked).unwrap();
    mode(&locked, 0o555);
    let mut args = fetch_all(&simulator);
    args[7] = "locked/new.duckdb".to_owned();
    as_nobody(&place, &args).fails(9, &["permission denied", "locked"]);

    // A file that may only be read: reading works, writing does not.
    mode(&place.here(DB), 0o444);
    as_nobody(&place, &fetch_all(&simulator)).fails(9, &["permission denied", DB]);
    let count = ["sql", "--db", DB, "--format", "csv", "SELECT count(*) AS n FROM events"].map(str::to_owned);
    assert_eq!(as_nobody(&place, &count).stdout, format!("n\n{}\n", unique_events(&simulator)));

    // A file that may not even be read.
    mode(&place.here(DB), 0o000);
    as_nobody(&place, &count).fails(9, &["permission denied", DB]);
}

#[test]
fn a_full_disk_loses_nothing_that_was_there() {
    let before = small_world();
    let place = Place::at(&before);
    place.ok(fetch_all(&before));
    let large = simulator(20, 2_000);
    let place = place.with("MP_BASE_URL", large.base_url());
    let mut args = fetch_all(&large);
    args.insert(2, "more".to_owned());
    // A limit on file sizes stands for a disk without room: 4096 blocks of 512 or 1024 bytes.
    let mut shell = place.program(Path::new("sh"));
    shell.args(["-c", "ulimit -f 4096; exec \"$@\"", "sh"]).arg(mp()).args(&args);
    let run = Run::of(shell.output().unwrap());
    run.fails(9, &["no room left"]);
    assert_eq!(place.scalar(DB, "SELECT count(*) FROM events"), unique_events(&before));
    // Of the new table there are whole days, or none.
    let days = "SELECT count(*) FROM _ledger WHERE table_name = 'more'";
    assert!(place.scalar(DB, days).as_i64().unwrap() < 20);
    place.ok(args);
    assert_eq!(place.scalar(DB, "SELECT count(*) FROM more"), unique_events(&large));
}

#[test]
fn credentials_that_are_missing_or_refused() {
    let simulator = small_world();
    let args = fetch_all(&simulator);
    Place::new().run(&args).fails(6, &["MP_USERNAME, MP_SECRET, MP_PROJECT_ID are not set", "mp demo"]);
    let partial = Place::new().with("MP_USERNAME", "somebody").with("MP_PROJECT_ID", 1);
    partial.run(&args).fails(6, &["MP_SECRET is not set"]);
    Place::at(&simulator).with("MP_SECRET", "wrong").run(&args).fails(6, &["401", "MP_SECRET"]);
    Place::at(&simulator).with("MP_PROJECT_ID", 999).run(&args).fails(6, &["MP_PROJECT_ID"]);
}

#[test]
fn settings_that_make_no_sense() {
    let simulator = small_world();
    let with = |name: &str, value: &str| Place::at(&simulator).with(name, value).run(fetch_all(&simulator));
    with("MP_REGION", "uk").fails(2, &["\"uk\"", "us, eu or in"]);
    with("MP_PROJECT_ID", "abc").fails(2, &["\"abc\"", "number"]);
    with("MP_TIMEZONE", "Mars/Olympus").fails(2, &["Mars/Olympus", "America/New_York"]);
    with("MP_CLOCK_MODE", "sideways").fails(2, &["sideways", "local"]);
    with("MP_BASE_URL", "http://example.com").fails(3, &["https"]);
}

#[test]
fn dates_that_make_no_sense() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let fetch = |from: &str, to: &str| place.run(["fetch", "events", "--db", DB, "--from", from, "--to", to]);
    fetch("2025-07-01", "2025-06-30").fails(3, &["2025-07-01", "2025-06-30", "after"]);
    fetch("2025-07-01", "2999-01-01").fails(3, &["2999-01-01", "future"]);
    for malformed in ["01/07/2025", "2025-7-1", "July", "20250701"] {
        fetch(malformed, "2025-07-01").fails(2, &[malformed, "YYYY-MM-DD"]);
    }
    fetch("2025-02-30", "2025-07-01").fails(2, &["2025-02-30", "no such day"]);
    place.run(["fetch", "events", "--from", "2025-07-01"]).fails(2, &["--to"]);
    // The simulator's today is in the past for us, so it is the one to object.
    fetch("2025-07-01", "2025-07-05").fails(3, &["400"]);
}

#[test]
fn requests_that_make_no_sense() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let fetch = |more: &[&str]| {
        let mut args = fetch_all(&simulator);
        args.extend(more.iter().map(|word| (*word).to_owned()));
        place.run(args)
    };
    fetch(&["--where", "properties[\"a\" =="]).fails(3, &["400", "--where"]);
    for name in ["a b", "_x", "x;--", "tables_flat", ""] {
        fetch(&[name]).fails(3, &["invalid table name"]);
    }
    fetch(&["--limit", "0"]).fails(3, &["100,000"]);
    fetch(&["--append", "--replace"]).fails(2, &["cannot be used with"]);
    place.ok(fetch_all(&simulator));
    place.run(["schema", "nope", "--db", DB]).fails(4, &["nope", "events"]);
}

#[test]
fn answers_that_make_no_sense() {
    let simulator = small_world();
    let place = Place::at(&simulator);
    let after = |fault: Fault| {
        simulator.fault(fault);
        place.run(fetch_all(&simulator))
    };
    after(Fault::TooManyRequests { retry_after: Some("100000".to_owned()) })
        .fails(5, &["60 exports an hour"]);
    after(Fault::Redirect { location: "https://login.example.com/".to_owned() })
        .fails(10, &["login.example.com"]);
    after(Fault::status(501)).fails(10, &["501"]);
    // It was the newest day that failed; the others were asked for, and stay.
    let others: u64 = simulator.world().days()[..2].iter().map(|day| day.unique()).sum();
    assert_eq!(place.scalar(DB, "SELECT count(*) FROM events"), others);
}

#[test]
fn memory_that_does_not_suffice() {
    let query = "SET memory_limit = '30MB'; \
                 SELECT count(DISTINCT x) FROM (SELECT repeat('x', 100) || range AS x FROM range(10000000))";
    Place::new().run(["sql", "--memory", query]).fails(8, &["out of memory", "--ephemeral"]);
}

#[test]
fn output_that_cannot_be_written() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let place = Place::new();
    let mut command = place.command(["sql", "--memory", "SELECT 1"]);
    let run = Run::of(command.stdout(full).output().unwrap());
    run.fails(9, &["cannot write the output", "No space left"]);
}
