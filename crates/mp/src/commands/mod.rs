//! The commands, one file each: resolved words in, rows out.
//!
//! How a command is made:
//!
//! - **Words.** A struct in `args`, a variant of `args::Command`, a line in `main.rs`. Flatten
//!   `args::Output` for the result; `args::Rows` if it may be long; `args::Database` and
//!   `args::Reading` to read a database; `args::Connection` to reach Mixpanel.
//! - **A database to read:** [`Reader::existing`]. **One to fill:** `config::target_database`,
//!   then [`Reader::patiently`] with `env.databases().file(Workspace::builder().project(project),
//!   &path)`, under `signals.guard`; its words have `args::Waiting`. [`Databases`](crate::databases)
//!   is the only way to open one: in the Python package, `mp` runs over Python's DuckDB.
//! - **Mixpanel:** `config::Connection::resolve(&args.connection, env)?.project(signals, ui)?` gives
//!   a `Project`, whose `client` is the way to live calls; what it waits for and asks for is told.
//! - **Results** go to standard output by `output::object` (one thing: what programs get, and pairs
//!   for people), `output::list` (rows made by hand, in a `List` of typed `Column`s), or
//!   `output::Page` (`new`, `begin(schema)`, `batch(&batch)` …, `end()`: a stream of record batches).
//!   Each knows every format, `--output`, `--jq` and the terminal.
//! - **Talk** goes to standard error by `ui.say`, `ui.detail(1 | 2, …)` for `-v`, `ui.progress`.
//! - **Failures** are returned: errors of the libraries by `?`, our own as `Error::setting(what, hint)`
//!   or a variant of `error::Error` with its line in `error/advice.rs`. Nothing prints an error but
//!   `error::report`.

mod ask;
mod asking;
pub(crate) mod auth;
pub(crate) mod catalog;
pub(crate) mod demo;
pub(crate) mod discover;
pub(crate) mod doctor;
pub(crate) mod fetch;
pub(crate) mod fetch_profiles;
mod fetch_stream;
pub(crate) mod import_original;
pub(crate) mod info;
pub(crate) mod inspect;
pub(crate) mod load;
pub(crate) mod plan;
pub(crate) mod query;
pub(crate) mod repair;
pub(crate) mod schema;
pub(crate) mod shell;
pub(crate) mod sim;
pub(crate) mod sql;
pub(crate) mod status;
pub(crate) mod sync;
pub(crate) mod tables;
pub(crate) mod verify;

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mixpanel_data::{ErrorKind, SnapshotOptions, Workspace};

use crate::args;
use crate::config::{Env, existing_database, max_copy};
use crate::error::Error;
use crate::signals::Signals;
use crate::ui::Ui;

/// Between two looks at a database that somebody else has open.
const AGAIN: Duration = Duration::from_millis(200);

/// What reading a database takes, apart from its path.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) env: Env<'a>,
    pub(crate) ui: &'a Ui,
    pub(crate) signals: &'a Signals,
}

impl Reader<'_> {
    /// Opens the database that the command is about. No credentials are needed.
    fn existing(self, database: &args::Database, reading: &args::Reading) -> Result<Workspace, Error> {
        self.open(&existing_database(database.db.as_deref(), self.env)?, reading)
    }

    /// Opens a database for writing, and waits for whoever has it open for so many seconds.
    fn patiently(
        self,
        seconds: u64,
        open: impl Fn() -> mixpanel_data::Result<Workspace>,
    ) -> Result<Workspace, Error> {
        let (started, patience) = (Instant::now(), Duration::from_secs(seconds));
        let mut told = false;
        loop {
            match open() {
                Err(error)
                    if matches!(error.kind(), ErrorKind::DatabaseLocked { .. })
                        && started.elapsed() < patience =>
                {
                    if !std::mem::replace(&mut told, true) {
                        self.ui.say(&format!("{error}; waiting for up to {seconds} s"));
                    }
                    self.signals.cancel().wait(AGAIN);
                    self.signals.check()?;
                }
                other => return Ok(opened(other?, self.ui)),
            }
        }
    }

    /// Opens a database, or a copy of its last committed state while another process writes it.
    fn open(self, path: &Path, reading: &args::Reading) -> Result<Workspace, Error> {
        let max_copy = max_copy(reading.max_copy, self.env)?;
        let locked = match self.env.databases().existing(path, true) {
            Err(error) if matches!(error.kind(), ErrorKind::DatabaseLocked { .. }) => error,
            other => return Ok(opened(other?, self.ui)),
        };
        let ErrorKind::DatabaseLocked { pid, command, .. } = locked.kind() else { return Err(locked.into()) };
        if reading.no_snapshot {
            return Err(locked.into());
        }
        let now = Timestamp::now();
        let options = SnapshotOptions::new().max_bytes(max_copy).cancel(self.signals.cancel());
        let workspace = self.env.databases().snapshot(path, &options)?;
        if let Some(snapshot) = workspace.storage().snapshot() {
            let who = match (pid, command) {
                (Some(pid), Some(command)) => format!("process {pid} ({command})"),
                (Some(pid), None) => format!("process {pid}"),
                (None, _) => "another process".to_owned(),
            };
            let verb = if snapshot.shared { "shared" } else { "copied" };
            self.ui.say(&format!(
                "{} is being written by {who}: reading its last committed state of {}, {} {verb} in {:.1} s",
                path.display(),
                now.strftime("%T UTC"),
                megabytes(if snapshot.shared { workspace.storage().size_bytes() } else { snapshot.bytes }),
                snapshot.elapsed.as_secs_f64(),
            ));
        }
        Ok(workspace)
    }
}

/// A database that was just opened; what had to be repaired for it is said, and if the Python
/// original made it.
fn opened(workspace: Workspace, ui: &Ui) -> Workspace {
    // Where that cannot be found out, the command itself says why.
    let tables = workspace.storage().original_tables().ok().flatten();
    if let (Some(tables), Some(path)) = (tables, workspace.db_path()) {
        ui.notice(
            "ORIGINAL_DATABASE",
            &format!(
                "{} is a database of the Python original, with {}: SQL reads it as it is, and `mp import-original \
                 {}` copies its tables into a database of ours",
                path.display(),
                crate::ui::counted(tables.len() as u64, "table"),
                shell_word(&path.display().to_string()),
            ),
        );
    }
    if let (Some(recovery), Some(path)) = (workspace.storage().recovery(), workspace.db_path()) {
        let text = format!("{} was repaired: {recovery}", path.display());
        if recovery.lost_something() { ui.warn(&text) } else { ui.say(&text) }
    }
    workspace
}

/// Which database was filled, for people.
fn place(path: Option<&Path>) -> String {
    path.map_or_else(|| "in memory".to_owned(), |path| path.display().to_string())
}

/// What is to be known of a file with such names: somebody else may have made it.
fn shadows(names: &[String]) -> String {
    let is = if names.len() == 1 { "is a macro or type" } else { "are macros or types" };
    format!("{} {is} of this file, in place of DuckDB's own: SQL means what the file says", names.join(", "))
}

/// Bytes as megabytes, with a figure behind the point where that matters.
fn megabytes(bytes: u64) -> String {
    match bytes as f64 / 1e6 {
        small if small < 10.0 => format!("{small:.1} MB"),
        large => format!("{large:.0} MB"),
    }
}

/// A word for the shell: quoted if it must be.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=+,@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::shell_word;

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(shell_word("./demo.duckdb"), "./demo.duckdb");
        assert_eq!(shell_word("my file's.duckdb"), r"'my file'\''s.duckdb'");
    }
}
