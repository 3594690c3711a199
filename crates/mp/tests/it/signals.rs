//! Being stopped: by Ctrl-C, by SIGTERM, by kill -9, and being in somebody else's way.

use std::time::{Duration, Instant};

use mixpanel_sim::Fault;
use nix::sys::signal::Signal;

use crate::support::{DB, Place, Run, Running, fetch_all, simulator, small_world, unique_events, until};

/// Generous for a loaded machine; the forced end would come after eight seconds.
const QUICK: Duration = Duration::from_secs(7);

#[test]
fn a_stopped_fetch_leaves_the_database_as_it_was() {
    for (stop, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let small = small_world();
        let large = simulator(10, 500);
        let place = Place::at(&small);
        place.ok(fetch_all(&small));
        let place = place.with("MP_BASE_URL", large.base_url());

        large.fault(Fault::Stall { after_bytes: 20_000, delay: Duration::from_secs(120) });
        let child = place.start(fetch_all(&large));
        until("the request", || (!large.requests().is_empty()).then_some(()));
        let started = Instant::now();
        child.signal(stop);
        let run = child.end();
        assert_eq!((run.code, run.stdout.as_str()), (Some(code), ""), "{run:?}");
        let told = "error: interrupted: none of it is stored yet\n  try: the same command begins again\n";
        assert_eq!(run.stderr, told);
        assert!(started.elapsed() < QUICK, "{:?}", started.elapsed());
        assert_eq!(place.scalar(DB, "SELECT count(*) FROM events"), unique_events(&small));
        // And it can go on from there.
        place.ok(fetch_all(&large));
    }
}

#[test]
fn a_stopped_first_fetch_leaves_no_table() {
    let world = simulator(10, 500);
    let place = Place::at(&world);
    world.fault(Fault::Stall { after_bytes: 20_000, delay: Duration::from_secs(120) });
    let child = place.start(fetch_all(&world));
    until("the request", || (!world.requests().is_empty()).then_some(()));
    child.signal(Signal::SIGINT);
    assert_eq!(child.end().code, Some(130));
    assert_eq!(place.ok(["tables", "--db", DB]), "[]\n");
    place.ok(fetch_all(&world));
}

#[test]
fn a_stopped_sync_keeps_what_is_in_and_asks_for_the_rest_only() {
    let world = simulator(20, 500);
    let place = Place::at(&world);
    let days = world.world();
    let (from, to) = (days.first_day(), days.last_day().yesterday().unwrap());
    let (from_text, to_text) = (from.to_string(), to.to_string());
    let sync = ["sync", "--from", &from_text, "--to", &to_text, "--db", DB];
    // The newest day comes alone, then eight more; the third request hangs.
    world.fault(Fault::Stall { after_bytes: 20_000, delay: Duration::from_secs(120) }.on_day(from));
    let child = place.start(sync);
    until("the last request", || (world.requests().len() == 3).then_some(()));
    let started = Instant::now();
    child.signal(Signal::SIGINT);
    let run = child.end();
    assert_eq!(run.code, Some(130), "{run:?}");
    assert!(started.elapsed() < QUICK, "{:?}", started.elapsed());

    let there = place.scalar(DB, "SELECT count(*) FROM _ledger").as_i64().unwrap();
    assert!((1..19).contains(&there), "{there}");
    let oldest = to.checked_sub(jiff::Span::new().days(there - 1)).unwrap();
    assert_eq!(place.scalar(DB, "SELECT count(*) FROM events"), days.unique_count(oldest, to));
    // The last words say what is kept, and how to go on.
    let kept = format!("error: interrupted: {there} of 19 days are stored, with ");
    assert!(
        run.stderr.contains(&kept) && run.stderr.ends_with("the same command goes on from there\n"),
        "{run:?}"
    );
    let before = world.requests().len();
    place.ok(sync);
    let asked = world.requests()[before..].iter().map(|request| request.target.clone()).collect::<Vec<_>>();
    let last = oldest.yesterday().unwrap();
    assert!(asked.iter().any(|target| target.contains(&format!("to_date={last}"))), "{asked:?}");
    assert!(asked.iter().all(|target| !target.contains(&format!("to_date={to}"))), "{asked:?}");
    assert_eq!(place.scalar(DB, "SELECT count(*) FROM events"), days.unique_count(from, to));
}

#[test]
fn a_wait_between_attempts_can_be_stopped() {
    let world = small_world();
    let place = Place::at(&world);
    world.fault(Fault::TooManyRequests { retry_after: Some("300".to_owned()) });
    let child = place.start(fetch_all(&world));
    until("the refusal", || (!world.requests().is_empty()).then_some(()));
    let started = Instant::now();
    child.signal(Signal::SIGINT);
    let run = child.end();
    assert_eq!(run.code, Some(130), "{run:?}");
    assert!(started.elapsed() < QUICK);
}

/// Starts a process that has the database open until it is stopped, and waits until it has: then
/// `refused` gives how somebody else is refused.
pub(crate) fn holder(start: impl Fn() -> Running, other: impl Fn() -> Run) -> (Running, Run) {
    let mut holder = start();
    let mut patience = Duration::from_millis(100);
    let refused = until("the lock", || {
        // Whoever looks may have come first, and then the holder is refused, and gets more time.
        if holder.has_ended() {
            holder = start();
            patience *= 2;
        }
        std::thread::sleep(patience);
        Some(other()).filter(|run| run.code != Some(0))
    });
    (holder, refused)
}

#[test]
fn a_database_in_use_names_the_holder_and_sql_can_be_stopped() {
    let world = small_world();
    let place = Place::at(&world);
    place.ok(fetch_all(&world));
    let endless = "SELECT count(*) FROM range(100000000000) a, range(100000000000) b WHERE a.range < b.range";
    for (stop, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let write = || place.start(["sql", "--write", "--db", DB, endless]);
        let (holder, refused) = holder(write, || place.run(["info", "--no-snapshot", "--db", DB]));
        let pid = format!("process {}", holder.id());
        refused.fails(7, &["in use", &pid]);
        place.run(fetch_all(&world)).fails(7, &[&pid]);

        let started = Instant::now();
        holder.signal(stop);
        let run = holder.end();
        assert_eq!((run.code, run.stderr.as_str()), (Some(code), "error: interrupted\n"), "{run:?}");
        assert!(started.elapsed() < QUICK, "{:?}", started.elapsed());
        place.ok(["info", "--db", DB]);
    }
}

#[test]
fn readers_do_not_disturb_each_other() {
    let world = small_world();
    let place = Place::at(&world);
    place.ok(fetch_all(&world));
    let endless = "SELECT count(*) FROM events a, range(100000000000) b";
    let read = || place.start(["sql", "--db", DB, endless]);
    let (reader, refused) = holder(read, || place.run(fetch_all(&world)));
    refused.fails(7, &["in use", &format!("process {}", reader.id())]);
    assert_eq!(place.scalar(DB, "SELECT count(*) FROM events"), unique_events(&world));
    reader.signal(Signal::SIGINT);
    assert_eq!(reader.end().code, Some(130));
}

#[test]
fn a_look_at_a_table_can_be_stopped() {
    let world = small_world();
    let place = Place::at(&world);
    place.ok(fetch_all(&world));
    let endless = "CREATE OR REPLACE VIEW events AS SELECT e.* FROM _events e, range(100000000000)";
    // Not by `mp sql`, which leaves our views alone.
    mixpanel_data::StorageEngine::open(place.here(DB)).unwrap().execute(endless).unwrap();
    let look = || place.start(["inspect", "sample", "-t", "events", "--db", DB]);
    let (looking, _) = holder(look, || place.run(["sql", "--write", "--db", DB, "SELECT 1"]));
    let started = Instant::now();
    looking.signal(Signal::SIGINT);
    let run = looking.end();
    assert_eq!((run.code, run.stderr.as_str()), (Some(130), "error: interrupted\n"), "{run:?}");
    assert!(started.elapsed() < QUICK, "{:?}", started.elapsed());
}

/// Ephemeral folders in the place's temporary folder.
fn folders(place: &Place) -> Vec<String> {
    place
        .files()
        .into_iter()
        .filter(|path| path.starts_with("tmp/") && path.matches('/').count() == 1)
        .collect()
}

fn ephemeral_demo(place: &Place) -> Running {
    place.start(["demo", "--ephemeral", "--events-per-day", "20000"])
}

#[test]
fn what_a_killed_run_left_is_swept_and_what_lives_is_left_alone() {
    let place = Place::new();
    let database = || place.files().into_iter().find(|path| path.ends_with("/data.duckdb"));

    let killed = ephemeral_demo(&place);
    let remains = until("the first database", database);
    killed.signal(Signal::SIGKILL);
    killed.end();
    assert!(place.path(&remains).exists(), "kill -9 gives no time to clean up");

    // Any start of the program sweeps, this one too; then it is made to live on.
    let sibling = ephemeral_demo(&place);
    let living = until("the second database", || database().filter(|path| *path != remains));
    sibling.signal(Signal::SIGSTOP);
    assert!(!place.path(&remains).exists(), "the next start has swept");

    place.ok(["sql", "--memory", "SELECT 1"]);
    place.ok(["demo", "--ephemeral", "--days", "2", "--events-per-day", "20"]);
    assert!(place.path(&living).exists(), "a living sibling's files stay");
    assert_eq!(folders(&place).len(), 1);

    sibling.signal(Signal::SIGINT);
    sibling.signal(Signal::SIGCONT);
    let run = sibling.end();
    assert!(matches!(run.code, Some(130)), "{run:?}");
    assert_eq!(place.files().len(), 0, "{:?}", place.files());
}

#[test]
fn a_second_signal_ends_at_once_and_still_cleans_up() {
    let place = Place::new();
    let child = ephemeral_demo(&place);
    until("the database", || place.files().into_iter().find(|path| path.ends_with("/data.duckdb")));
    // Both are there before the process runs again.
    child.signal(Signal::SIGSTOP);
    child.signal(Signal::SIGINT);
    child.signal(Signal::SIGTERM);
    child.signal(Signal::SIGCONT);
    let run = child.end();
    // Ended by the second signal itself, or orderly by the first if that was quicker.
    assert!(matches!(run.code, None | Some(130 | 143)), "{run:?}");
    assert_eq!(place.files().len(), 0, "{:?}", place.files());
}
