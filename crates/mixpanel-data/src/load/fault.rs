//! Why a file cannot be loaded, before it is known what the caller calls it.

use mixpanel_client::{Corruption, ErrorKind as Api, Truncation};

use crate::error::{Error, ErrorKind};

/// What is wrong with a file, and in which of its lines if that can be told.
#[derive(Debug)]
pub(super) enum Fault {
    File {
        line: Option<u64>,
        why: String,
    },
    Read(std::io::Error),
    /// Of the database that is read.
    Database(Error),
    Cancelled,
}

impl Fault {
    pub(super) fn file(why: impl Into<String>) -> Self {
        Fault::File { line: None, why: why.into() }
    }

    pub(super) fn line(line: u64, why: impl Into<String>) -> Self {
        Fault::File { line: Some(line), why: why.into() }
    }

    /// The error, about this file.
    pub(super) fn about(self, name: &str) -> Error {
        match self {
            Fault::File { line, why } => ErrorKind::NotLoadable { file: name.to_owned(), line, why }.into(),
            Fault::Read(error) => Error::io("reading", name.as_ref(), error),
            Fault::Database(error) => error,
            Fault::Cancelled => ErrorKind::Cancelled.into(),
        }
    }
}

/// What the client says of the body of a download, said of a file. `lines` were read before.
pub(super) fn of_body(error: &mixpanel_client::Error, lines: u64) -> Fault {
    let next = lines + 1;
    match error.kind() {
        Api::Cancelled => Fault::Cancelled,
        Api::Truncated { what: Truncation::MissingGzipTrailer, .. } => {
            Fault::file("its gzip data stops before the end: the file is cut")
        }
        Api::Truncated { what: Truncation::TerminatedEarly, .. } => Fault::line(
            next,
            "it says \"terminated early\": Mixpanel gave up on this export, and it is not complete",
        ),
        Api::Corrupt { what: Corruption::TrailingGarbage, .. } => {
            Fault::file("behind its gzip data there is something else")
        }
        Api::Corrupt { what: Corruption::Bomb, .. } => {
            Fault::file("its gzip data grows more than a thousandfold, as no events do")
        }
        Api::Corrupt { .. } => Fault::file(format!("its gzip data is damaged ({error})")),
        Api::InBand { message } | Api::Forbidden { message, .. } => {
            Fault::line(next, format!("it is an error that Mixpanel answered in place of events: {message}"))
        }
        Api::NotExport { .. } => Fault::line(next, "it is no event, but the beginning of something else"),
        _ => Fault::file(error.to_string()),
    }
}
