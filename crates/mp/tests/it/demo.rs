//! `mp demo` in its modes, and `mp sim`.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;

use crate::support::{Place, mp};

const SMALL: [&str; 4] = ["--days", "30", "--events-per-day", "40"];

#[track_caller]
fn demo(place: &Place, more: &[&str]) -> String {
    let run = place.run([&["demo"], &SMALL[..], more].concat());
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    for part in ["rows/s", "MB/s", "Page View", "country", "Add to Cart", "week_1", "█", "so far", "Try next"]
    {
        assert!(run.stdout.contains(part), "{part} in {}", run.stdout);
    }
    run.stdout
}

#[test]
fn memory_and_ephemeral_leave_nothing_anywhere() {
    for mode in ["--memory", "--ephemeral"] {
        let place = Place::new();
        let before = place.files();
        let told = demo(&place, &[mode]);
        assert_eq!(place.files(), before, "{mode}");
        assert!(told.contains("Nothing of this run is left"), "{told}");
    }
}

#[test]
fn the_default_is_a_file_in_this_folder_and_may_be_run_again() {
    let place = Place::new();
    for _ in 0..2 {
        let told = demo(&place, &[]);
        assert!(told.contains("rm demo.duckdb"), "{told}");
        let files: Vec<String> = place.files().into_iter().collect();
        assert_eq!(files, ["here/demo.duckdb"]);
    }
    let mode = std::fs::metadata(place.here("demo.duckdb")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // What it says to try next works.
    place.ok(["sql", "--db", "demo.duckdb", "SELECT plan, count(*) FROM events_flat GROUP BY ALL"]);
    place.ok(["schema", "events_flat", "--db", "demo.duckdb"]);
    place.ok(["info", "--db", "demo.duckdb"]);
}

#[test]
fn what_to_type_next_is_typed_as_this_was() {
    use std::os::unix::process::CommandExt;
    for (called, shown) in
        [("./mp", "./mp"), ("mp", "mp"), ("/usr/bin/mp", "mp"), ("../my code/mp", "'../my code/mp'")]
    {
        let place = Place::new();
        let output = place.command(["demo"]).arg0(called).args(SMALL).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(told.contains(&format!("\n  {shown} shell --db demo.duckdb ")), "{called}: {told}");
    }
}

#[test]
fn the_file_may_be_chosen() {
    let place = Place::new();
    demo(&place, &["--db", "new/folder/my file.duckdb"]);
    assert!(place.here("new/folder/my file.duckdb").is_file());
    place.run(["demo", "--memory", "--db", "x.duckdb"]).fails(2, &["cannot be used with"]);
    place.run(["demo", "--memory", "--ephemeral"]).fails(2, &["cannot be used with"]);
}

#[test]
fn a_world_may_be_so_small_that_there_is_little_to_ask() {
    for (days, events) in [("1", "1"), ("2", "40")] {
        Place::new().ok(["demo", "--memory", "--days", days, "--events-per-day", events]);
    }
}

#[test]
fn the_demo_does_not_touch_the_users_database() {
    let place = Place::new().with("MP_DB", "mine.duckdb").with("MP_PROJECT_ID", 7).with("MP_REGION", "uk");
    demo(&place, &["--memory"]);
    assert!(!place.here("mine.duckdb").exists());
}

#[test]
fn the_simulator_can_be_fetched_from() {
    let place = Place::new();
    let args = ["sim", "--days", "3", "--events-per-day", "40", "--no-limits"];
    let mut running = place.start(args);
    let mut url = String::new();
    BufReader::new(running.child().stdout.take().unwrap()).read_line(&mut url).unwrap();
    let mut talk = BufReader::new(running.child().stderr.take().unwrap());
    let mut told = String::new();
    while !told.contains("Ctrl-C ends it") {
        assert_ne!(talk.read_line(&mut told).unwrap(), 0, "{told}");
    }
    // The lines it prints are what has to be typed.
    let lines =
        told.lines().map(str::trim).filter(|line| line.starts_with("export ") || line.starts_with("mp "));
    let program = format!("{} ", mp().display());
    let script: Vec<String> = lines.map(|line| line.replace("mp ", &program)).collect();
    assert_eq!(script.len(), 6, "{told}");
    assert!(script[0].ends_with(url.trim()), "{told}");
    let mut shell = place.program("sh".as_ref());
    let output = shell.args(["-ec", &script.join("\n")]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("Page View"));
    running.signal(Signal::SIGINT);
    assert_eq!(running.end().code, Some(0));
}

/// Days as people name them work, and a sync gets over what goes wrong.
#[test]
fn the_simulator_lives_today_and_rehearses_bad_days() {
    let place = Place::new();
    let world =
        ["sim", "--days", "3", "--events-per-day", "40", "--no-limits", "--latency", "1", "--rate", "100000"];
    let faults = ["--fault", "status:503,times=2", "--fault", "slow_first_byte:1"];
    let mut running = place.start([&world[..], &faults].concat());
    let mut url = String::new();
    BufReader::new(running.child().stdout.take().unwrap()).read_line(&mut url).unwrap();
    let config = mixpanel_sim::SimConfig::default();
    let place = Place::new()
        .with("MP_BASE_URL", url.trim())
        .with("MP_PROJECT_ID", config.project_id)
        .with("MP_USERNAME", config.username)
        .with("MP_SECRET", config.secret);
    let told = place.ok(["sync", "--from", "2d", "--db", "d.duckdb", "--format", "json"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date().to_string();
    assert_eq!((&told["state"], &told["to"]), (&"complete".into(), &today.into()), "{told}");
    assert!(told["rows"].as_u64().unwrap() > 20, "{told}");
    // It was refused twice, and asked again each time.
    let address = url.trim().trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /sim/requests HTTP/1.0\r\n\r\n").unwrap();
    let mut log = String::new();
    stream.read_to_string(&mut log).unwrap();
    assert_eq!(log.matches("\"status\":503").count(), 2, "{log}");
    running.signal(Signal::SIGINT);
    assert_eq!(running.end().code, Some(0));
    place.run(["sim", "--fault", "nope"]).fails(2, &["nope", "terminated_early"]);
}

#[test]
fn a_port_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    Place::new()
        .run(["sim", "--port", &port, "--days", "1"])
        .fails(9, &["cannot start the simulator", &port]);
    Place::new().run(["sim", "--folder", "nowhere"]).fails(4, &["nowhere"]);
    Place::new().run(["sim", "--timezone", "Mars/One"]).fails(2, &["Mars/One"]);
}
