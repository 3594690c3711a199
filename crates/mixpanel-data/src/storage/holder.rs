//! Who has a database open: what DuckDB's message says, and what the system tells of that process.

use std::fs;

/// More words of a command, or longer ones, are not shown.
const MOST_WORDS: usize = 3;
const LONGEST_WORD: usize = 60;

/// A process that has a database open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) pid: Option<u32>,
    pub(super) command: Option<String>,
}

impl Holder {
    /// Reads `… Conflicting lock is held in /usr/bin/mp (PID 1234) …`.
    pub(super) fn in_message(message: &str) -> Self {
        let (before, behind) = message.split_once("(PID ").or_else(|| message.split_once("PID ")).unzip();
        let digits = behind.unwrap_or_default();
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        let pid = digits[..end].parse().ok();
        // Where the system has no list of a process's words, DuckDB knows its program at least.
        let program = before.and_then(|text| text.rsplit_once("held in ")).map(|(_, program)| program.trim());
        let command = pid.and_then(command_of).or_else(|| program.and_then(|program| shown(&[program])));
        Holder { pid, command }
    }
}

/// The first words of a process's command, on systems that tell them.
fn command_of(pid: u32) -> Option<String> {
    let text = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let text = String::from_utf8_lossy(&text);
    shown(&text.split('\0').filter(|word| !word.is_empty()).collect::<Vec<_>>())
}

/// A program and what it was told to do, such as `mp shell` or `python3 -m notebook`. Flags and what
/// looks like data are left out: they may be secret.
fn shown(words: &[&str]) -> Option<String> {
    let (program, rest) = words.split_first()?;
    let name = program.rsplit('/').next().filter(|name| is_plain(name))?;
    let mut kept = vec![name];
    let mut rest = rest.iter();
    while let Some(word) = rest.next().filter(|_| kept.len() < MOST_WORDS) {
        match *word {
            // How Python is told which module to run.
            "-m" => kept.extend(
                rest.next().filter(|module| is_plain(module)).map(|module| ["-m", module]).iter().flatten(),
            ),
            word if is_plain(word) => kept.push(word),
            _ => break,
        }
    }
    Some(kept.join(" "))
}

fn is_plain(word: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "._-/".contains(c);
    !word.is_empty() && !word.starts_with('-') && word.len() <= LONGEST_WORD && word.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_read_from_the_message() {
        let message = "Could not set lock on file \"/x/a.db\": Conflicting lock is held in /bin/no-such (PID 4294967295). See";
        let holder = Holder::in_message(message);
        assert_eq!(holder, Holder { pid: Some(u32::MAX), command: Some("no-such".to_owned()) });
        assert_eq!(Holder::in_message("Could not set lock on file"), Holder::default());
        let own = Holder::in_message(&format!("(PID {})", std::process::id()));
        assert!(own.command.is_some() || !fs::exists("/proc/self/cmdline").unwrap(), "{own:?}");
    }

    #[test]
    fn commands_are_shown_without_what_may_be_secret() {
        for (words, expected) in [
            (&["/usr/local/bin/mp", "shell", "--db", "a.duckdb"][..], "mp shell"),
            (&["mp", "sql", "SELECT 'my secret'"], "mp sql"),
            (&["python3", "-m", "ipykernel_launcher", "-f", "x.json"], "python3 -m ipykernel_launcher"),
            (&["python", "jobs/load.py", "token=abc"], "python jobs/load.py"),
            (&["sh", "-c", "MP_SECRET=abc mp sync"], "sh"),
            (&["tool", "user:password@host"], "tool"),
        ] {
            assert_eq!(shown(words).as_deref(), Some(expected), "{words:?}");
        }
        assert_eq!(shown(&[]), None);
    }
}
