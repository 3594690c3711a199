//! Pseudo-terminals: one with `mp` in it, and one with a shell, for one command after the other.

use std::process::Command;

use expectrl::session::OsSession;
use expectrl::{Expect, Session};

use crate::screen::Screen;
use crate::support::{PATIENCE, Place, listening, mp};

const PROMPT: &str = "@@> ";

/// `mp` in a pseudo-terminal of 80 columns.
pub(crate) fn program(place: &Place, args: &[&str]) -> OsSession {
    let mut command = Command::new("sh");
    // A new pseudo-terminal has no size, which is a size that nobody has.
    command.args(["-c", "stty cols 80 rows 24; exec \"$0\" \"$@\""]).arg(mp()).args(args);
    place.surround(&mut command);
    command.env("TERM", "xterm-256color");
    listening(&mut command);
    let mut session = Session::spawn(command).unwrap();
    session.set_expect_timeout(Some(PATIENCE));
    session
}

/// A shell that waits for a command.
pub(crate) struct Terminal(OsSession);

impl Terminal {
    /// Opens one of 80 columns in a place.
    pub(crate) fn open(place: &Place) -> Self {
        let mut command = Command::new("bash");
        command.args(["--norc", "--noprofile", "--noediting", "-i"]);
        place.surround(&mut command);
        command.env("TERM", "xterm-256color").env("PS1", PROMPT).env("PS2", "");
        let mut session = Session::spawn(command).unwrap();
        session.set_expect_timeout(Some(PATIENCE));
        session.expect(PROMPT).unwrap();
        // As a real one: it has a size, and repeats what is typed.
        session.send_line("stty cols 80 rows 24 echo").unwrap();
        session.expect(PROMPT).unwrap();
        Terminal(session)
    }

    /// Runs a command, answers its questions, and gives what is seen below it.
    #[track_caller]
    pub(crate) fn run(&mut self, command: &str, answers: &[(&str, &str)]) -> Screen {
        self.0.send_line(command).unwrap();
        let mut seen = Vec::new();
        for (question, answer) in answers {
            let found = self.0.expect(*question);
            seen.extend_from_slice(found.unwrap_or_else(|error| panic!("{question}: {error}")).as_bytes());
            self.0.send_line(answer).unwrap();
        }
        let found = self.0.expect(PROMPT).unwrap_or_else(|error| panic!("{command}: {error}"));
        seen.extend_from_slice(found.as_bytes());
        seen.truncate(seen.len() - PROMPT.len());
        // The terminal repeats what is typed.
        let typed = command.lines().count();
        let below = seen.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(typed - 1);
        Screen::of(&seen[below.map_or(0, |(at, _)| at + 1)..])
    }

    /// The exit code of what ran last.
    pub(crate) fn code(&mut self) -> String {
        self.run("echo $?", &[]).lines().concat()
    }
}
