//! What went wrong, told to people and to scripts: the one table from kinds of errors to exit codes
//! and hints.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use mixpanel_client::ErrorKind as Api;
use mixpanel_data::{ErrorKind as Data, NoSnapshot};

use crate::output::clean;
use crate::ui::Ui;

/// The exit codes, as `mp --help` shows them.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  success                      6  authentication: missing or refused credentials
  1  any other error              7  the database is in use by another process
  2  usage: flags, settings       8  out of memory
  3  invalid query or request     9  disk full, no permission, input or output
  4  not found                   10  Mixpanel's API failed, or its answer was incomplete
  5  rate limited                11  partly done: some ranges failed, the rest is stored
                            130/143  stopped by Ctrl-C / SIGTERM";

/// Everything that ends the program early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Data(#[from] mixpanel_data::Error),
    #[error(transparent)]
    Client(#[from] mixpanel_client::Error),
    #[error("cannot start the simulator")]
    Simulator(#[from] mixpanel_sim::SimError),
    #[error("no credentials: {} not set", list(.missing))]
    NoCredentials { missing: Vec<&'static str> },
    #[error("{what}")]
    Setting { what: String, hint: String },
    #[error("{what} could not be fetched; everything else is stored")]
    Partial { what: String, source: mixpanel_data::Error },
    #[error("there is no database in {}", .folder.display())]
    NoDatabase { folder: PathBuf },
    #[error("there are several databases: {}", paths(.found))]
    SeveralDatabases { found: Vec<PathBuf> },
    #[error("cannot read {}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

impl Error {
    pub(crate) fn setting(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Error::Setting { what: what.into(), hint: hint.into() }
    }

    /// Whether whoever read our output has seen enough.
    fn is_broken_pipe(&self) -> bool {
        matches!(self, Error::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    fn is_cancelled(&self) -> bool {
        match self {
            Error::Data(error) => matches!(error.kind(), Data::Cancelled),
            Error::Client(error) => matches!(error.kind(), Api::Cancelled),
            _ => false,
        }
    }
}

fn list(names: &[&str]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(", "))
}

fn paths(found: &[PathBuf]) -> String {
    found.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Prints an error and turns it into an exit code.
pub(crate) fn report(error: &Error, ui: &Ui, signal: Option<i32>) -> ExitCode {
    if error.is_broken_pipe() {
        return ExitCode::SUCCESS;
    }
    if let Some(signal) = signal.filter(|_| error.is_cancelled()) {
        ui.error("interrupted", None, None);
        return ExitCode::from(u8::try_from(128 + signal).unwrap_or(1));
    }
    let (code, hint) = advice(error);
    let (what, why) = explain(error);
    ui.error(&what, why.as_deref(), hint.as_deref());
    ExitCode::from(code)
}

/// What happened, and why: DuckDB's pointer into the query, or the chain of causes.
fn explain(error: &Error) -> (String, Option<String>) {
    let mut text = error.to_string();
    if let Error::Data(data) = error
        && matches!(data.kind(), Data::OutOfMemory { .. })
    {
        // DuckDB's advice follows, which is about DuckDB's settings.
        text.truncate(text.find('\n').unwrap_or(text.len()));
    }
    if let Error::Data(data) = error
        && matches!(data.kind(), Data::Query { .. } | Data::ReadOnly { .. })
    {
        let (what, place) = split_query_message(&text);
        return (clean(&what), place.map(|place| clean(&place)));
    }
    let mut causes: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // An outer text may repeat the inner one.
        if !text.contains(&cause_text) && causes.last().is_none_or(|last| !last.contains(&cause_text)) {
            causes.push(cause_text);
        }
        next = cause.source();
    }
    (clean(&one_line(&text)), (!causes.is_empty()).then(|| clean(&one_line(&causes.join(": ")))))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// DuckDB puts a pointer below its message: `LINE 1: SELECT x` and, one line down, `^`.
fn split_query_message(text: &str) -> (String, Option<String>) {
    let mut lines = text.lines();
    let message: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("LINE ")).collect();
    let rest: Vec<&str> = text.lines().skip(message.len()).collect();
    let place = rest.first().zip(rest.get(1)).and_then(|(line, marker)| {
        let at = marker.find('^')?;
        let (number, _) = line.strip_prefix("LINE ")?.split_once(':')?;
        let here: String = line.chars().skip(at).take(60).collect();
        let place =
            if here.trim().is_empty() { "the end".to_owned() } else { format!("`{}`", one_line(&here)) };
        Some(format!("line {number}, at {place}"))
    });
    (one_line(&message.join(" ")), place)
}

/// The table: every kind of error, the exit code it means, and what to try next.
fn advice(error: &Error) -> (u8, Option<String>) {
    match error {
        Error::Data(error) => match error.kind() {
            Data::Api { .. } => error.api().map_or((10, None), |api| api_advice(api.kind())),
            kind => data_advice(kind),
        },
        Error::Client(error) => api_advice(error.kind()),
        Error::Simulator(mixpanel_sim::SimError::Config(_)) => (2, None),
        Error::Simulator(mixpanel_sim::SimError::Bind { .. }) => (9, hint("--port 0 takes a free port")),
        Error::Simulator(mixpanel_sim::SimError::Read { .. }) => (4, None),
        Error::Simulator(_) => (1, None),
        Error::NoCredentials { .. } => (
            6,
            hint(
                "export MP_USERNAME, MP_SECRET and MP_PROJECT_ID of a service account; `mp demo` needs none",
            ),
        ),
        Error::Setting { hint, .. } => (2, Some(hint.clone())),
        Error::Partial { .. } => (11, hint("`mp sync` again: it fetches only what is missing")),
        Error::NoDatabase { .. } => {
            (4, hint("`mp fetch events --from DAY --to DAY`, `mp demo`, or --db PATH"))
        }
        Error::SeveralDatabases { .. } => (2, hint("choose one with --db PATH, or set MP_DB")),
        Error::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => (4, None),
        Error::Read { .. } | Error::Output(_) => (9, None),
    }
}

fn data_advice(kind: &Data) -> (u8, Option<String>) {
    match kind {
        Data::TableExists { .. } => (1, hint("choose another table name: `mp fetch events NAME …`")),
        Data::TableNotFound { existing, .. } if existing.is_empty() => {
            (4, hint("`mp fetch events --from DAY --to DAY` makes one"))
        }
        Data::TableNotFound { .. } => (4, hint("`mp tables` lists them")),
        Data::WrongTableKind { .. } => (3, hint("choose another table name")),
        Data::InvalidTableName { .. } => (3, hint("a name such as `events` or `purchases_2024`")),
        Data::InvalidArgument { argument: "dates", .. } => {
            (3, hint("--from and --to take YYYY-MM-DD, the earlier day first"))
        }
        Data::InvalidArgument { .. } => (3, None),
        Data::InvalidRecord { .. } => (1, None),
        Data::FilterMismatch { .. } => {
            (3, hint("fetch into another table (`mp fetch events NAME …`), or use --append, or --replace"))
        }
        Data::DatabaseNotFound { .. } => {
            (4, hint("`mp fetch events --db PATH …` or `mp demo --db PATH` makes one"))
        }
        Data::DatabaseLocked { pid: Some(pid), .. } => (
            7,
            Some(format!(
                "wait until process {pid} has ended, or end it; several readers may share a database"
            )),
        ),
        Data::DatabaseLocked { pid: None, .. } => (7, hint("wait until the other process has ended")),
        Data::NoSnapshot { why: NoSnapshot::TooLarge { bytes, .. }, .. } => (
            7,
            Some(format!(
                "--max-copy {} (or MP_MAX_COPY) allows it; or wait for the writer",
                bytes.div_ceil(1_000_000_000)
            )),
        ),
        Data::NoSnapshot { why: NoSnapshot::NoRoom { .. }, .. } => {
            (7, hint("set TMPDIR to a folder with more room, or wait for the writer"))
        }
        Data::NoSnapshot { .. } => (7, hint("run it again, or wait until the other process has ended")),
        Data::NotADatabase { .. } => {
            (1, hint("--db with a file that `mp fetch` made; this one was not touched"))
        }
        Data::NewerFormat { .. } => (1, hint("use the newer `mp` that wrote this file")),
        Data::ReadOnly { .. } => (1, hint("`mp sql --write` opens the database for writing")),
        Data::PermissionDenied { .. } => {
            (9, hint("check who owns the file and its folder, or use --db PATH elsewhere"))
        }
        Data::DiskFull { .. } => {
            (9, hint("free some space, or use --db PATH on another disk; what was stored before is safe"))
        }
        Data::Io { .. } => (9, None),
        Data::OutOfMemory { spilling: false, .. } => {
            (8, hint("a database file (--ephemeral or --db PATH) may spill to disk; fewer days need less"))
        }
        Data::OutOfMemory { .. } => (8, hint("ask for fewer columns or rows at once")),
        Data::Query { class, .. } => (3, query_hint(class)),
        Data::Closed => (1, None),
        Data::Cancelled => (130, None),
        Data::NoCredentials => (6, hint("set MP_USERNAME, MP_SECRET and MP_PROJECT_ID")),
        Data::Api { .. } => (10, None),
        Data::Rejected { .. } => {
            (1, hint("--on-reject quarantine keeps such lines in the table _quarantine and goes on"))
        }
        Data::Conflict { .. } => (7, hint("run it again")),
        _ => (1, None),
    }
}

fn query_hint(class: &str) -> Option<String> {
    match class {
        "Catalog" => hint("`mp tables` lists the tables"),
        "Binder" => hint("`mp schema events_flat` lists the columns"),
        _ => None,
    }
}

fn api_advice(kind: &Api) -> (u8, Option<String>) {
    match kind {
        Api::InvalidRequest { .. } => (3, None),
        Api::BudgetExhausted { .. } => (5, hint("run it again then; `mp plan` shows what it takes")),
        Api::Setup { .. } => (1, None),
        Api::Authentication { .. } => (
            6,
            hint(
                "check MP_USERNAME, MP_SECRET, MP_PROJECT_ID, and MP_REGION: each region has its own accounts",
            ),
        ),
        Api::PlanLimit { .. } => (10, hint("the project's plan must include this API")),
        Api::BufferFull { .. } => {
            (8, hint("without --in-memory, rows may wait on disk; or fewer days at a time"))
        }
        Api::SessionExpired { .. } | Api::MissingResults { .. } => {
            (10, hint("run it again; nothing was changed"))
        }
        Api::Forbidden { history_days: Some(days), .. } => {
            (3, Some(format!("the project's plan reaches back {days} days: a later --from")))
        }
        Api::Forbidden { .. } => (6, hint("check MP_PROJECT_ID, and that the account may see this project")),
        Api::NotFound { .. } => (4, None),
        Api::BadRequest { .. } => (3, hint("check --where, --events and the dates")),
        Api::RateLimited { retry_after: Some(wait), .. } => {
            (5, Some(format!("again in {} seconds; Mixpanel allows 60 exports an hour", wait.as_secs() + 1)))
        }
        Api::RateLimited { .. } => (5, hint("again later; Mixpanel allows 60 exports an hour")),
        Api::Connect { .. } | Api::Timeout { .. } => {
            (10, hint("check the network, and MP_BASE_URL if it is set"))
        }
        Api::Tls { .. } => (10, hint("check MP_BASE_URL, the clock of this computer, and its certificates")),
        Api::Server { .. } | Api::InBand { .. } | Api::Truncated { .. } | Api::Corrupt { .. } => {
            (10, hint("again later; nothing incomplete was stored"))
        }
        Api::NotExport { .. } | Api::Redirected { .. } | Api::UnexpectedEncoding { .. } => {
            (10, hint("something else answered: check MP_BASE_URL, MP_REGION and proxies"))
        }
        Api::Cancelled => (130, None),
        _ => (10, None),
    }
}

fn hint(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_messages_fit_two_lines() {
        let text = "Catalog error: Table with name evnts does not exist!\nDid you mean \"events\"?\n\n\
                    LINE 1: SELECT * FROM evnts WHERE 1\n                      ^";
        let (what, place) = split_query_message(text);
        assert_eq!(what, "Catalog error: Table with name evnts does not exist! Did you mean \"events\"?");
        assert_eq!(place.as_deref(), Some("line 1, at `evnts WHERE 1`"));
        assert_eq!(split_query_message("Parser error: x"), ("Parser error: x".to_owned(), None));
    }

    #[test]
    fn causes_are_one_line_and_not_repeated() {
        let source = io::Error::other("line one\nline two");
        let error = Error::Read { path: "a.sql".into(), source };
        let (what, why) = explain(&error);
        assert_eq!((what.as_str(), why.as_deref()), ("cannot read a.sql", Some("line one line two")));
    }

    #[test]
    fn usage_and_authentication_are_told_apart() {
        assert_eq!(advice(&Error::setting("x", "y")).0, 2);
        assert_eq!(advice(&Error::NoCredentials { missing: vec!["MP_SECRET"] }).0, 6);
        let refused = Api::Authentication { status: 401, message: String::new() };
        assert_eq!(advice(&mixpanel_client::Error::new(refused).into()).0, 6);
    }
}
