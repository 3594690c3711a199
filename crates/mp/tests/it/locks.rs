//! One database and several commands: who keeps it, who waits, and what is said.

use std::io::Write;
use std::process::Stdio;

use expectrl::Expect;

use crate::shell::program as session;
use crate::support::{Place, Running, until};

const DATA: &str = "d.duckdb";

fn place() -> Place {
    let place = Place::new();
    place.ok(["demo", "--days", "2", "--events-per-day", "20", "--db", DATA]);
    place
}

fn write(place: &Place, sql: &str, more: &[&str]) -> crate::support::Run {
    place.run([&["sql", "--db", DATA, "--write", sql], more].concat())
}

#[test]
fn a_shell_that_nobody_types_in_lets_others_write() {
    let place = place();
    let mut shell = session(&place, &["shell", "--db", DATA]);
    shell.expect("mp> ").unwrap();
    // Waiting at the first prompt, and at one behind a question.
    assert_eq!(write(&place, "CREATE TABLE mine AS SELECT 41 AS x", &[]).code, Some(0));
    shell.send_line("SELECT x + 1 AS y FROM mine;").unwrap();
    shell.expect("42").unwrap();
    shell.expect("mp> ").unwrap();
    assert_eq!(write(&place, "UPDATE mine SET x = 76", &[]).code, Some(0));
    shell.send_line("SELECT x + 1 AS y FROM mine;").unwrap();
    shell.expect("77").unwrap();
    shell.expect("mp> ").unwrap();
    // A session that has something to lose keeps the file, and says so.
    shell.send_line("CREATE TEMP TABLE kept AS SELECT 1234 AS z;").unwrap();
    shell.expect("stays open").unwrap();
    shell.expect("mp> ").unwrap();
    let refused = write(&place, "UPDATE mine SET x = 0", &[]);
    refused.fails(7, &["in use by process", "--wait 600"]);
    if cfg!(target_os = "linux") {
        assert!(refused.stderr.contains("mp shell"), "{refused:?}");
    }
    shell.send_line("FROM kept;").unwrap();
    shell.expect("1234").unwrap();
    shell.expect("mp> ").unwrap();
    shell.send_line("exit").unwrap();
    shell.expect(expectrl::Eof).unwrap();
    assert_eq!(write(&place, "UPDATE mine SET x = 0", &[]).code, Some(0));
}

/// Every command that writes can wait; when the holder ends, it goes on.
#[test]
fn writers_wait_when_they_are_told_to() {
    let place = place();
    let mut command = place.command(["shell", "--db", DATA, "--write", "--wait", "60"]);
    command.stdin(Stdio::piped());
    let mut holder = Running::start(command);
    let mut input = holder.child().stdin.take().unwrap();
    until("the lock", || (write(&place, "SELECT 1", &[]).code == Some(7)).then_some(()));
    let commands: [&[&str]; 3] = [
        &["sql", "--db", DATA, "--write", "--wait", "60", "CREATE TABLE mine AS SELECT 1 AS x"],
        &["inspect", "drop", "-t", "events", "--force", "--db", DATA, "--wait", "60"],
        &["shell", "--db", DATA, "--write", "--wait", "60"],
    ];
    let errors: Vec<_> = (0..commands.len()).map(|at| place.here(&format!("err{at}"))).collect();
    let waiting: Vec<Running> = commands
        .iter()
        .zip(&errors)
        .map(|(words, errors)| {
            let mut command = place.command(*words);
            command.stderr(std::fs::File::create(errors).unwrap());
            Running::start(command)
        })
        .collect();
    for errors in &errors {
        let said =
            || std::fs::read_to_string(errors).unwrap().contains("waiting for up to 60 s").then_some(());
        until("a word about waiting", said);
    }
    writeln!(input, "exit").unwrap();
    assert_eq!(holder.end().code, Some(0));
    for running in waiting {
        assert_eq!(running.end().code, Some(0));
    }
    place
        .run(["fetch", "events", "--from", "1d", "--to", "1d", "--stdout", "--wait", "1"])
        .fails(2, &["--wait"]);
}
