//! The one table from kinds of errors to Python's exceptions and what to try
//! next. The classes themselves are in `mixpanel_data/exceptions.py`.

use mixpanel_client::ErrorKind as Api;
use mixpanel_data::{DefinitionPart, Error, ErrorKind as Data, NoSnapshot};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// An exception to be: class, fields, advice.
struct Raise<'py> {
    class: &'static str,
    fields: Bound<'py, PyDict>,
    suggestion: Option<String>,
}

impl Raise<'_> {
    fn build(self, py: Python<'_>, text: String) -> PyResult<PyErr> {
        self.fields.set_item("suggestion", self.suggestion)?;
        let class = py.import("mixpanel_data.exceptions")?.getattr(self.class)?;
        Ok(PyErr::from_value(class.call((text,), Some(&self.fields))?))
    }
}

/// An error of the library's, or of its client alone.
pub(crate) enum Failure {
    Data(Error),
    Api(mixpanel_client::Error),
}

impl Failure {
    /// An answer that has no JSON form.
    pub(crate) fn unexpected(error: serde_json::Error) -> Self {
        Failure::Data(Data::InvalidArgument { argument: "answer", why: error.to_string() }.into())
    }

    /// The exception that it is in Python.
    pub(crate) fn raise(&self, py: Python<'_>) -> PyErr {
        match self {
            Failure::Data(error) => raise(py, error),
            Failure::Api(error) => {
                let outcome = of_api(py, error.kind()).and_then(|raise| raise.build(py, text(error)));
                outcome.unwrap_or_else(|failure| failure)
            }
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Data(error)
    }
}

impl From<mixpanel_client::Error> for Failure {
    fn from(error: mixpanel_client::Error) -> Self {
        Failure::Api(error)
    }
}

/// An error as the exception that it is in Python.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let outcome = match (error.kind(), error.api()) {
        (Data::Api { .. }, Some(api)) => of_api(py, api.kind()),
        (kind, _) => of_data(py, kind),
    };
    outcome.and_then(|raise| raise.build(py, text(error))).unwrap_or_else(|failure| failure)
}

/// What happened, with the chain of causes.
pub(crate) fn text(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

fn of_data<'py>(py: Python<'py>, kind: &Data) -> PyResult<Raise<'py>> {
    let fields = PyDict::new(py);
    let mut suggestion = None;
    let mut advise = |text: &str| suggestion = Some(text.to_owned());
    let class = match kind {
        Data::TableExists { table } => {
            fields.set_item("table_name", table)?;
            advise("choose another name, drop the table, or use append_…");
            "TableExistsError"
        }
        Data::TableNotFound { table, existing } => {
            fields.set_item("table_name", table)?;
            fields.set_item("available_tables", existing)?;
            advise("tables() lists what there is; fetch_events() makes tables");
            "TableNotFoundError"
        }
        Data::WrongTableKind { .. } => "InvalidArgumentError",
        Data::InvalidTableName { .. } => {
            advise("a name such as events or purchases_2024");
            "InvalidArgumentError"
        }
        Data::InvalidArgument { argument, .. } => {
            fields.set_item("argument", argument)?;
            "InvalidArgumentError"
        }
        Data::InvalidRecord { row, .. } => {
            fields.set_item("row", row)?;
            "InvalidRecordError"
        }
        Data::FilterMismatch { table, .. } => {
            fields.set_item("table_name", table)?;
            advise("fetch into another table, or use append=True or replace=True");
            "FilterMismatchError"
        }
        Data::Protected { .. } => {
            advise("drop() removes a table; tables of your own have names without an underscore in front");
            "InvalidArgumentError"
        }
        Data::DefinitionMismatch { table, part, existing, requested } => {
            fields.set_item("table_name", table)?;
            fields.set_item("existing", existing)?;
            fields.set_item("requested", requested)?;
            advise(match part {
                DefinitionPart::Clock => {
                    "give clock_mode and timezone as the table has them, fetch into another table, or use \
                     replace=True to start over"
                }
                _ => {
                    "fetch into another table or another file, or use replace=True, which drops what is there"
                }
            });
            "DefinitionMismatchError"
        }
        Data::DatabaseNotFound { path } => {
            fields.set_item("db_path", path)?;
            advise("check the path; Workspace(path=…) makes a database");
            "DatabaseNotFoundError"
        }
        Data::DatabaseLocked { path, pid, command } => {
            fields.set_item("db_path", path)?;
            fields.set_item("holding_pid", pid)?;
            fields.set_item("holding_command", command)?;
            advise(if *pid == Some(std::process::id()) {
                "this process has it open already: close() that connection, engine or workspace first"
            } else {
                "wait for the other process or end it; Workspace.open_snapshot(path) reads beside it"
            });
            "DatabaseLockedError"
        }
        Data::NoSnapshot { path, why } => {
            fields.set_item("db_path", path)?;
            advise(match why {
                NoSnapshot::TooLarge { .. } => "max_bytes= allows larger copies",
                NoSnapshot::NoRoom { .. } => "set TMPDIR to a folder with more room",
                _ => "try again, or wait for the writer",
            });
            "DatabaseLockedError"
        }
        Data::NotADatabase { path, .. } => {
            fields.set_item("db_path", path)?;
            advise("the file was not touched; check the path");
            "NotADatabaseError"
        }
        Data::ForeignMacros { path, .. } => {
            fields.set_item("db_path", path)?;
            advise("drop them in a program that trusts them, or use another path");
            "NotADatabaseError"
        }
        Data::ForeignRecords { path, .. } => {
            fields.set_item("db_path", path)?;
            advise(
                "use another path; Workspace.open(path, read_only=True) reads this file, which was not touched",
            );
            "NotADatabaseError"
        }
        Data::OriginalDatabase { path, .. } => {
            fields.set_item("db_path", path)?;
            advise(
                "`mp import-original` copies its tables into a file of ours; Workspace.open(path, read_only=True) \
                 reads it as it is. It was not touched",
            );
            "NotADatabaseError"
        }
        Data::FileNotFound { path } => {
            fields.set_item("path", path)?;
            advise("check the path");
            "LoadFileNotFoundError"
        }
        Data::NotLoadable { file, line, .. } => {
            fields.set_item("file", file)?;
            fields.set_item("line", line)?;
            advise("load_events() says which files are taken; nothing of this one was stored");
            "NotLoadableError"
        }
        Data::NewerFormat { path, .. } => {
            fields.set_item("db_path", path)?;
            advise("upgrade mixpanel_data");
            "NotADatabaseError"
        }
        Data::ReadOnly { .. } => {
            advise("open it with read_only=False");
            "ReadOnlyError"
        }
        Data::PermissionDenied { path } => {
            fields.set_item("db_path", path)?;
            "StorageIOError"
        }
        Data::DiskFull { .. } => {
            advise("free some space; what was stored before is safe");
            "StorageIOError"
        }
        Data::Io { .. } => "StorageIOError",
        Data::OutOfMemory { spilling, .. } => {
            advise(if *spilling {
                "ask for fewer rows or columns at once"
            } else {
                "use ephemeral(), or memory(spill_to=folder)"
            });
            "OutOfMemoryError"
        }
        Data::Sealed { what } => {
            let body = PyDict::new(py);
            body.set_item("error", what)?;
            fields.set_item("status_code", 0)?;
            fields.set_item("response_body", body)?;
            advise("one SELECT over the tables of the database; one that is not sealed answers more");
            "SealedError"
        }
        Data::Query { class, message } => {
            let body = PyDict::new(py);
            body.set_item("error", message)?;
            body.set_item("class", class)?;
            fields.set_item("status_code", 0)?;
            fields.set_item("response_body", body)?;
            "QueryError"
        }
        Data::FixedSetting { name, wanted, .. } => {
            fields.set_item("status_code", 0)?;
            if *name == "TimeZone" {
                advise(&format!(
                    "name the zone in the query: event_time AT TIME ZONE 'UTC' AT TIME ZONE '{wanted}'"
                ));
            }
            "QueryError"
        }
        Data::Closed => "ClosedError",
        Data::Nested { .. } => {
            advise("collect what is to be stored and store it afterwards, or use another database");
            "NestedCallError"
        }
        Data::Cancelled => "CancelledError",
        Data::NoCredentials => {
            advise(
                "Workspace() finds credentials in MP_USERNAME, MP_SECRET and MP_PROJECT_ID, or in the config file",
            );
            "ConfigError"
        }
        Data::Rejected { line, .. } => {
            fields.set_item("row", line)?;
            advise("on_reject=\"quarantine\" keeps such lines in the table _quarantine and goes on");
            "InvalidRecordError"
        }
        Data::Conflict { .. } => {
            advise("run it again");
            "ConflictError"
        }
        _ => "MixpanelDataError",
    };
    Ok(Raise { class, fields, suggestion })
}

fn of_api<'py>(py: Python<'py>, kind: &Api) -> PyResult<Raise<'py>> {
    let fields = PyDict::new(py);
    let mut suggestion = None;
    let mut advise = |text: &str| suggestion = Some(text.to_owned());
    let refused = |status: u16, message: &str| -> PyResult<()> {
        fields.set_item("status_code", status)?;
        fields.set_item("response_body", message)
    };
    let class = match kind {
        Api::InvalidRequest { .. } => "InvalidArgumentError",
        Api::Setup { .. } => "ConfigError",
        Api::Authentication { status, message } => {
            refused(*status, message)?;
            advise("check user name, secret, project id and region: each region has its own accounts");
            "AuthenticationError"
        }
        Api::PlanLimit { message } => {
            refused(402, message)?;
            advise("the project's plan does not include this API");
            "APIError"
        }
        Api::Forbidden { status, message, history_days } => {
            refused(*status, message)?;
            advise(match history_days {
                Some(_) => "ask for later days",
                None => "check the project id, and that the account may see this project",
            });
            "QueryError"
        }
        Api::NotFound { message } => {
            refused(404, message)?;
            "QueryError"
        }
        Api::EventNotFound { event, similar } => {
            fields.set_item("event_name", event)?;
            fields.set_item("similar_events", similar)?;
            advise("events() lists all names; they are case-sensitive");
            "EventNotFoundError"
        }
        Api::BadRequest { status, message } => {
            refused(*status, message)?;
            advise("check expressions, names and dates");
            "QueryError"
        }
        Api::RateLimited { retry_after, message } => {
            refused(429, message)?;
            fields.set_item("retry_after", retry_after.map(|wait| wait.as_secs() + 1))?;
            advise("Mixpanel allows 60 exports and 60 queries an hour: try again later");
            "RateLimitError"
        }
        Api::BudgetExhausted { .. } => {
            advise("Mixpanel allows 60 exports and 60 queries an hour: try again later");
            "RateLimitError"
        }
        Api::Server { status, message, .. } => {
            refused(*status, message)?;
            advise("try again later; nothing incomplete was stored");
            "ServerError"
        }
        Api::BufferFull { .. } => {
            advise("ask for fewer days, or let rows wait on disk: Workspace.ephemeral() does");
            "OutOfMemoryError"
        }
        Api::Cancelled => "CancelledError",
        Api::Connect { .. } | Api::Timeout { .. } | Api::Tls { .. } => {
            advise("check the network and the address");
            "APIError"
        }
        _ => {
            advise("try again later; nothing incomplete was stored");
            "APIError"
        }
    };
    Ok(Raise { class, fields, suggestion })
}
