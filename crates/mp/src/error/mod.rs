//! What went wrong, told to people and to programs. [`advice()`] is the one table from kinds of errors
//! to codes, exit codes and hints.

mod advice;

use std::error::Error as _;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use mixpanel_client::discovery::RegionFound;
use mixpanel_client::{ErrorKind as Api, Region};
use mixpanel_data::ErrorKind as Data;

use crate::output::clean;
use crate::ui::{Told, Ui};

use advice::{Advice, advice};

pub(crate) use advice::CODES;

/// The exit codes and their meanings.
pub(crate) const EXITS: [(u8, &str); 14] = [
    (0, "success"),
    (1, "any other error"),
    (2, "usage: flags, settings, configuration"),
    (3, "invalid query or request"),
    (4, "not found"),
    (5, "rate limited"),
    (6, "authentication: missing or refused credentials"),
    (7, "the database is in use by another process"),
    (8, "out of memory"),
    (9, "disk full, no permission, input or output"),
    (10, "Mixpanel's API failed, or its answer was incomplete"),
    (11, "partly done: some ranges failed, the rest is stored"),
    (130, "stopped by Ctrl-C"),
    (143, "stopped by SIGTERM"),
];

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
    /// A query that failed, with what to write in its place.
    #[error("{source}")]
    Query { source: mixpanel_data::Error, hint: String },
    #[error(transparent)]
    Client(#[from] mixpanel_client::Error),
    #[error("cannot start the simulator")]
    Simulator(#[from] mixpanel_sim::SimError),
    #[error("no credentials: {} not set", list(.missing))]
    NoCredentials { missing: Vec<&'static str> },
    #[error("{what}")]
    Setting { what: String, hint: String },
    #[error("{what}")]
    UnsafeConfig { what: String, hint: String },
    #[error("{what}")]
    BrokenConfig { what: String },
    #[error("there is no account {name:?}")]
    NoAccount { name: String, known: Vec<String> },
    #[error("there are several accounts, and none is the default: {}", .known.join(", "))]
    SeveralAccounts { known: Vec<String> },
    #[error("there is an account {name:?} already")]
    AccountExists { name: String },
    #[error("the account {name:?} was not stored: {source}")]
    NotStored { name: String, source: Box<Error> },
    #[error("{what}{}", .why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    NoSecret { what: String, why: Option<String> },
    #[error("{found}; it was looked for in {}", .tried.as_str().to_ascii_uppercase())]
    OtherRegion { found: Box<RegionFound>, tried: Region },
    #[error("there is no saved query {name:?}")]
    NoQuery { name: String, known: Vec<String> },
    #[error("{count} {} wrong", if *.count == 1 { "thing is" } else { "things are" })]
    Unwell { count: usize },
    #[error("{count} {} not as received", if *.count == 1 { "finding is" } else { "findings are" })]
    Damaged { count: usize },
    /// By a repair; the copy is there without it.
    #[error("lost: {what}")]
    Lost { what: String, copy: String, sync: bool },
    #[error("the filter `{filter}` does not work: {why}")]
    Filter { filter: String, why: String },
    /// By the user; it says what is kept, and how to go on.
    #[error("interrupted: {what}")]
    Stopped { what: String, next: String },
    #[error("{what} could not be fetched; everything else is stored")]
    Partial { what: String, source: mixpanel_data::Error },
    /// Of several syncs; each was told when it failed.
    #[error("{} of {all} syncs failed: {}", .failed.len(), .failed.join(", "))]
    Syncs { failed: Vec<String>, all: usize },
    #[error("there is no database in {}", .folder.display())]
    NoDatabase { folder: PathBuf },
    #[error("there are several databases: {}", paths(.found))]
    SeveralDatabases { found: Vec<PathBuf> },
    #[error("there is no file {}", .path.display())]
    NoFile { path: PathBuf, hint: &'static str },
    #[error("cannot read {}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}", .path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

impl Error {
    pub(crate) fn setting(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Error::Setting { what: what.into(), hint: hint.into() }
    }

    pub(crate) fn unsafe_config(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Error::UnsafeConfig { what: what.into(), hint: hint.into() }
    }

    /// Whether whoever read our output has seen enough.
    fn is_broken_pipe(&self) -> bool {
        matches!(self, Error::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        match self {
            Error::Data(error) | Error::Query { source: error, .. } => {
                matches!(error.kind(), Data::Cancelled)
            }
            Error::Client(error) => matches!(error.kind(), Api::Cancelled),
            Error::Stopped { .. } => true,
            Error::NotStored { source, .. } => source.is_cancelled(),
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

/// Prints an error and gives its exit code.
pub(crate) fn report(error: &Error, ui: &Ui, signal: Option<i32>) -> u8 {
    if error.is_broken_pipe() {
        return 0;
    }
    if let Some(signal) = signal.filter(|_| error.is_cancelled()) {
        let exit = u8::try_from(128 + signal).unwrap_or(1);
        let advice = Advice::new("INTERRUPTED", exit);
        match error {
            Error::Stopped { next, .. } => {
                tell(ui, advice.hint(next.as_str()), &error.to_string(), None, None);
            }
            _ => tell(ui, advice, "interrupted", None, None),
        }
        return exit;
    }
    let advice = advice(error);
    let (what, why) = explain(error);
    let exit = advice.exit;
    tell(ui, advice, &what, why.as_deref(), retry_after(error));
    exit
}

/// Prints an error at a prompt, where there are no flags to try.
pub(crate) fn tell_in_shell(error: &Error, ui: &Ui) {
    if error.is_cancelled() {
        return tell(ui, Advice::new("INTERRUPTED", 130), "interrupted", None, None);
    }
    let (what, why) = explain(error);
    tell(ui, advice(error).in_shell(), &what, why.as_deref(), retry_after(error));
}

/// Prints an error about the words of the command line, as clap tells it, for programs.
pub(crate) fn report_usage(ui: &Ui, text: &str) -> u8 {
    let what = text.lines().take_while(|line| !line.starts_with("Usage:")).collect::<Vec<_>>().join(" ");
    let what = one_line(&what);
    let advice = Advice::new("USAGE", 2).hint("--help after the command says what it takes");
    tell(ui, advice, what.strip_prefix("error: ").unwrap_or(&what), None, None);
    2
}

fn tell(ui: &Ui, advice: Advice, what: &str, why: Option<&str>, retry_after: Option<Duration>) {
    let retryable = advice.is_retryable();
    let Advice { code, exit, hint } = advice;
    ui.error(&Told { code, exit, what, why, next: hint.as_deref(), retryable, retry_after });
}

/// When the server said to come back.
fn retry_after(error: &Error) -> Option<Duration> {
    match error {
        Error::Data(error) => error.api().and_then(mixpanel_client::Error::retry_after),
        Error::Client(error) => error.retry_after(),
        Error::NotStored { source, .. } => retry_after(source),
        _ => None,
    }
}

/// What happened, in one line, and what to try.
pub(crate) fn explained(error: &Error) -> (String, Option<String>) {
    let (what, why) = explain(error);
    (why.map_or(what.clone(), |why| format!("{what}: {why}")), advice(error).hint)
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
    if let Error::Data(data) | Error::Query { source: data, .. } = error
        && matches!(data.kind(), Data::Query { .. } | Data::ReadOnly { .. } | Data::Sealed { .. })
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
    fn an_account_that_was_not_stored_says_how_to_store_it_where_nobody_answered() {
        let not_stored = |kind: Api| {
            let source = Box::new(mixpanel_client::Error::new(kind).into());
            advice(&Error::NotStored { name: "ci".to_owned(), source })
        };
        let unanswered = not_stored(Api::Connect { host: "h".to_owned() });
        assert_eq!((unanswered.code, unanswered.exit), ("NETWORK", 10));
        assert!(unanswered.hint.unwrap().contains("mp auth add ci"));
        let refused = not_stored(Api::Authentication { status: 401, message: String::new() });
        assert_eq!((refused.code, refused.exit), ("AUTH_FAILED", 6));
        assert!(!refused.hint.unwrap().contains("mp auth add"));
    }

    #[test]
    fn usage_and_authentication_are_told_apart() {
        assert_eq!(advice(&Error::setting("x", "y")).exit, 2);
        assert_eq!(advice(&Error::NoCredentials { missing: vec!["MP_SECRET"] }).exit, 6);
        let refused = Api::Authentication { status: 401, message: String::new() };
        let advice = advice(&mixpanel_client::Error::new(refused).into());
        assert_eq!((advice.code, advice.exit, advice.is_retryable()), ("AUTH_FAILED", 6, false));
    }
}
