//! Reading a database that another process is writing.

use std::time::Duration;

use mixpanel_sim::{Fault, Simulator};
use nix::sys::signal::Signal;

use crate::support::{DB, Place, Run, Running, fetch_all, simulator, small_world, unique_events, until};

/// A database with a small world in it, into which a fetch is running that will not end.
struct Busy {
    place: Place,
    writer: Running,
    small: Simulator,
    // The fetch waits for it.
    _large: Simulator,
}

fn busy() -> Busy {
    let small = small_world();
    let large = simulator(10, 500);
    let place = Place::at(&small);
    place.ok(fetch_all(&small));
    let place = place.with("MP_BASE_URL", large.base_url());
    for _ in 0..10 {
        large.fault(Fault::Stall { after_bytes: 20_000, delay: Duration::from_secs(120) });
    }
    let writer = place.start(fetch_all(&large));
    until("the request", || (!large.requests().is_empty()).then_some(()));
    Busy { place, writer, small, _large: large }
}

impl Busy {
    /// Runs a command that has to say, in one line, that it reads a copy.
    #[track_caller]
    fn reads(&self, args: &[&str]) -> Run {
        let run = self.place.run(args.iter().chain(&["--db", DB]));
        assert_eq!(run.code, Some(0), "{run:?}");
        let pid = format!("is being written by process {}", self.writer.id());
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
        assert!(run.stderr.contains(&pid) && run.stderr.contains(" MB "), "{run:?}");
        run
    }

    fn temporary(&self) -> Vec<String> {
        self.place.files().into_iter().filter(|path| path.contains("ephemeral")).collect()
    }
}

#[test]
fn readers_get_the_last_committed_state_while_a_fetch_is_running() {
    let busy = busy();
    let events = unique_events(&busy.small);
    let run = busy.reads(&["sql", "--format", "jsonl", "SELECT count(*) AS n FROM events"]);
    assert_eq!(run.stdout, format!("{{\"n\":{events}}}\n"));
    let run = busy.reads(&["tables"]);
    assert!(run.stdout.contains(&events.to_string()), "{run:?}");
    assert!(busy.reads(&["schema", "events_flat"]).stdout.contains("event_time"));
    assert!(busy.reads(&["info"]).stdout.contains(DB), "the path is the original's");
    assert!(busy.reads(&["status"]).stdout.contains("complete"));
    busy.reads(&["plan"]);
    // The catalog's name in SQL is the same.
    busy.reads(&["sql", "SELECT count(*) FROM data.main.events"]);
    let run = busy.place.run(["sql", "--db", DB, "--quiet", "SELECT 1 AS one"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    assert_eq!(busy.temporary(), Vec::<String>::new());
}

#[test]
fn a_copy_can_be_declined_or_be_too_large() {
    let busy = busy();
    let pid = format!("process {}", busy.writer.id());
    for command in
        [&["sql", "SELECT 1"][..], &["tables"], &["schema", "events"], &["info"], &["status"], &["plan"]]
    {
        busy.place.run(command.iter().chain(&["--no-snapshot", "--db", DB])).fails(7, &["in use", &pid]);
    }
    let tight = busy.place.run(["tables", "--max-copy", "0.0001", "--db", DB]);
    if tight.code != Some(0) {
        // Else the file system shares bytes, and nothing is copied.
        tight.fails(7, &["is being written", "at most 1 MB may be copied", "--max-copy 1"]);
    }
    let place = busy.place.with("MP_MAX_COPY", "plenty");
    place.run(["tables", "--db", DB]).fails(2, &["gigabytes", "MP_MAX_COPY"]);
    place.ok(["tables", "--db", DB, "--max-copy", "1.5"]);
    // Writing is never done to a copy.
    place.run(["sql", "--write", "--db", DB, "SELECT 1"]).fails(7, &[&pid]);
    let deleting = place.run(["sql", "--db", DB, "--quiet", "--max-copy", "4", "DELETE FROM _events"]);
    deleting.fails(1, &["read"]);
}

#[test]
fn a_reader_that_is_stopped_or_killed_leaves_no_copy() {
    let busy = busy();
    let endless = ["sql", "--db", DB, "SELECT count(*) FROM events a, range(100000000000) b"];
    for (stop, code) in [(Signal::SIGINT, Some(130)), (Signal::SIGKILL, None)] {
        let reader = busy.place.start(endless);
        until("the copy", || busy.temporary().into_iter().find(|path| path.ends_with(DB)));
        reader.signal(stop);
        assert_eq!(reader.end().code, code);
        // Any start sweeps what had no time to go.
        busy.reads(&["tables"]);
        assert_eq!(busy.temporary(), Vec::<String>::new());
    }
}
