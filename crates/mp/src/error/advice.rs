//! The table: every kind of error, its code, its exit code, and what to try next.
//!
//! Codes and exit codes are an interface: they do not change. Where the Python original had a code
//! for the same thing, it is the same.

use std::io;

use mixpanel_client::ErrorKind as Api;
use mixpanel_data::{DefinitionPart, ErrorKind as Data, NoSnapshot};

use super::Error;

/// What an error means to whoever called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advice {
    pub(crate) code: &'static str,
    pub(crate) exit: u8,
    pub(crate) hint: Option<String>,
}

impl Advice {
    pub(super) fn new(code: &'static str, exit: u8) -> Self {
        Advice { code, exit, hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Advice { hint: Some(hint.into()), ..self }
    }

    /// The same at the prompt of `mp shell`.
    pub(super) fn in_shell(self) -> Self {
        let hint = match self.code {
            "READ_ONLY" => "`mp shell --write` opens the database for writing",
            "TABLE_NOT_FOUND" => ".tables lists them",
            "DATABASE_LOCKED" => "run it again when that process has finished, or end it",
            "QUERY_FAILED" => {
                let hint = self
                    .hint
                    .map(|hint| hint.replace("`mp tables`", ".tables").replace("`mp schema", "`.schema"));
                return Advice { hint, ..self };
            }
            _ => return self,
        };
        self.hint(hint)
    }

    /// Whether the same command may succeed later, without any change.
    pub(crate) fn is_retryable(&self) -> bool {
        CODES.iter().any(|(code, _, retryable)| *code == self.code && *retryable)
    }
}

/// All codes: their exit code, and whether the same command may succeed later.
pub(crate) const CODES: [(&str, u8, bool); 49] = [
    ("ACCOUNT_EXISTS", 1, false),
    ("ACCOUNT_NOT_FOUND", 4, false),
    ("API_ERROR", 10, false),
    ("AUTH_FAILED", 6, false),
    ("AUTH_MISSING", 6, false),
    ("BUDGET_EXHAUSTED", 5, true),
    ("CONFIG_ERROR", 2, false),
    ("CONFIG_UNSAFE", 2, false),
    ("CONFLICT", 7, true),
    ("DAMAGED", 1, false),
    ("DATABASE_LOCKED", 7, true),
    ("DATABASE_NOT_FOUND", 4, false),
    ("DEFINITION_MISMATCH", 3, false),
    ("DISK_FULL", 9, false),
    ("DOCTOR", 1, false),
    ("ERROR", 1, false),
    ("EVENT_NOT_FOUND", 4, false),
    ("FILE_NOT_FOUND", 4, false),
    ("FILTER_FAILED", 3, false),
    ("FILTER_MISMATCH", 3, false),
    ("FORBIDDEN", 6, false),
    ("FOREIGN_DATABASE", 1, false),
    ("HISTORY_LIMIT", 3, false),
    ("INCOMPLETE", 10, true),
    ("INTERRUPTED", 130, true),
    ("INVALID_ARGUMENT", 3, false),
    ("IO_ERROR", 9, false),
    ("NETWORK", 10, true),
    ("NEWER_FORMAT", 1, false),
    ("NOT_A_DATABASE", 1, false),
    ("NOT_FOUND", 4, false),
    ("NOT_LOADABLE", 1, false),
    ("ORIGINAL_DATABASE", 1, false),
    ("OUT_OF_MEMORY", 8, false),
    ("PARTIAL", 11, true),
    ("PLAN_LIMIT", 10, false),
    ("PROTECTED", 3, false),
    ("QUERY_FAILED", 3, false),
    ("QUERY_NOT_FOUND", 4, false),
    ("RATE_LIMITED", 5, true),
    ("READ_ONLY", 1, false),
    ("REJECTED", 1, false),
    ("SEALED", 3, false),
    ("SERVER_ERROR", 10, true),
    ("TABLE_EXISTS", 1, false),
    ("TABLE_NOT_FOUND", 4, false),
    ("TLS", 10, false),
    ("USAGE", 2, false),
    ("WRONG_DUCKDB", 1, false),
];

/// The advice for an error.
pub(super) fn advice(error: &Error) -> Advice {
    let of = Advice::new;
    match error {
        Error::Data(error) => of_data(error),
        Error::Query { source, hint } => of_data(source).hint(hint),
        Error::Client(error) => of_api(error.kind()),
        Error::Simulator(error) => of_simulator(error),
        Error::NoCredentials { .. } => of("AUTH_MISSING", 6).hint(
            "`mp auth login`, or export MP_USERNAME, MP_SECRET and MP_PROJECT_ID of a service account; \
             `mp demo` needs none",
        ),
        Error::NoSecret { .. } => of("AUTH_MISSING", 6)
            .hint("`mp auth login` stores one; or set MP_SECRET, MP_SECRET_FILE or MP_SECRET_COMMAND"),
        Error::NotStored { name, source } => {
            let advice = advice(source);
            let asked = matches!(advice.code, "NETWORK" | "TLS" | "SERVER_ERROR" | "RATE_LIMITED");
            // Nobody said that anything is wrong with it.
            let add =
                format!("try again; or `mp auth add {name} …` stores an account without asking Mixpanel");
            Advice { hint: if asked { Some(add) } else { advice.hint }, ..advice }
        }
        Error::NoAccount { known, .. } if known.is_empty() => {
            of("ACCOUNT_NOT_FOUND", 4).hint("`mp auth login` adds one")
        }
        Error::NoAccount { known, .. } => {
            of("ACCOUNT_NOT_FOUND", 4).hint(format!("one of: {}", known.join(", ")))
        }
        Error::SeveralAccounts { .. } => of("CONFIG_ERROR", 2)
            .hint("`mp auth switch NAME` makes one the default; --account NAME uses it once"),
        Error::AccountExists { name } => {
            of("ACCOUNT_EXISTS", 1).hint(format!("`mp auth login {name} --replace` replaces it"))
        }
        Error::OtherRegion { found, .. } => of("AUTH_FAILED", 6)
            .hint(format!("--region {0}, MP_REGION={0}, or region = \"{0}\" of the account", found.region)),
        Error::UnsafeConfig { hint, .. } => of("CONFIG_UNSAFE", 2).hint(hint),
        Error::BrokenConfig { .. } => {
            of("CONFIG_ERROR", 2).hint("correct the file; `mp help config` says what it may hold")
        }
        Error::NoQuery { known, .. } if known.is_empty() => {
            of("QUERY_NOT_FOUND", 4).hint("`mp sql --save NAME QUERY` keeps one")
        }
        Error::NoQuery { known, .. } => {
            of("QUERY_NOT_FOUND", 4).hint(format!("one of: {}", known.join(", ")))
        }
        Error::Damaged { .. } => of("DAMAGED", 1).hint(
            "`mp sync --from DAY --to DAY` fetches days again; `mp fetch events --from DAY --to DAY` also those that count as complete; \
             `mp repair` makes a copy without what cannot be read",
        ),
        Error::Lost { copy, sync: true, .. } => of("DAMAGED", 1).hint(format!(
            "`mp sync --db {copy}` fetches the days again; then the copy can take the place of the damaged file"
        )),
        Error::Lost { copy, .. } => of("DAMAGED", 1)
            .hint(format!("{copy} has all the rest, and can take the place of the damaged file")),
        Error::Unwell { .. } => of("DOCTOR", 1).hint("the column `fix` says how to mend each"),
        Error::Filter { .. } => of("FILTER_FAILED", 3).hint("a jq filter, for instance '.[].event_name'"),
        Error::Setting { hint, .. } => of("USAGE", 2).hint(hint),
        Error::Stopped { next, .. } => of("INTERRUPTED", 130).hint(next.as_str()),
        Error::Partial { .. } => of("PARTIAL", 11).hint("`mp sync` again: it fetches only what is missing"),
        Error::Syncs { .. } => of("PARTIAL", 11).hint("`mp sync --all` again: it fetches only what is missing"),
        Error::NoDatabase { .. } => {
            of("DATABASE_NOT_FOUND", 4).hint("`mp fetch events --from DAY --to DAY`, `mp demo`, or --db PATH")
        }
        Error::SeveralDatabases { .. } => of("USAGE", 2).hint("choose one with --db PATH, or set MP_DB"),
        Error::NoFile { hint, .. } => of("FILE_NOT_FOUND", 4).hint(*hint),
        Error::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => of("FILE_NOT_FOUND", 4),
        Error::Read { .. } | Error::Write { .. } | Error::Output(_) => of("IO_ERROR", 9),
    }
}

fn of_simulator(error: &mixpanel_sim::SimError) -> Advice {
    match error {
        mixpanel_sim::SimError::Config(_) => Advice::new("USAGE", 2),
        mixpanel_sim::SimError::Bind { .. } => Advice::new("IO_ERROR", 9).hint("--port 0 takes a free port"),
        mixpanel_sim::SimError::Read { .. } => Advice::new("FILE_NOT_FOUND", 4),
        _ => Advice::new("ERROR", 1),
    }
}

fn of_data(error: &mixpanel_data::Error) -> Advice {
    let of = Advice::new;
    match error.kind() {
        Data::Api { .. } => error.api().map_or_else(|| of("API_ERROR", 10), |api| of_api(api.kind())),
        Data::WrongDuckDb { .. } => of("WRONG_DUCKDB", 1).hint(
            "LD_LIBRARY_PATH (DYLD_LIBRARY_PATH on macOS) may name a folder with another libduckdb; \
             `python3 ci/duckdb.py` in the checkout prepares the right one",
        ),
        Data::TableExists { .. } => {
            of("TABLE_EXISTS", 1).hint("choose another table name: `mp fetch events NAME …`")
        }
        Data::TableNotFound { existing, .. } if existing.is_empty() => {
            of("TABLE_NOT_FOUND", 4).hint("`mp fetch events --from DAY --to DAY` makes one")
        }
        Data::TableNotFound { .. } => of("TABLE_NOT_FOUND", 4).hint("`mp tables` lists them"),
        Data::WrongTableKind { .. } => of("INVALID_ARGUMENT", 3).hint("choose another table name"),
        Data::InvalidTableName { .. } => {
            of("INVALID_ARGUMENT", 3).hint("a name such as `events` or `purchases_2024`")
        }
        Data::InvalidArgument { argument: "dates", .. } => {
            of("INVALID_ARGUMENT", 3).hint("--from and --to take YYYY-MM-DD, the earlier day first")
        }
        Data::InvalidArgument { .. } => of("INVALID_ARGUMENT", 3),
        Data::InvalidRecord { .. } => of("ERROR", 1),
        Data::FilterMismatch { .. } => of("FILTER_MISMATCH", 3)
            .hint("fetch into another table (`mp fetch events NAME …`), or use --append, or --replace"),
        Data::DefinitionMismatch { part, .. } => of("DEFINITION_MISMATCH", 3).hint(match part {
            DefinitionPart::Clock => {
                "--clock-mode and --timezone (or MP_CLOCK_MODE, MP_TIMEZONE, or the account's clock_mode and \
                 timezone) as the table has them; or another table (`mp fetch events NAME …`); or \
                 `mp fetch events … --replace` to start over under the other clock"
            }
            _ => {
                "another account or --project-id; or a table of its own (`mp fetch events NAME …`) or a file of \
                 its own (--db PATH); or --replace, which drops what is there"
            }
        }),
        Data::DatabaseNotFound { .. } => {
            of("DATABASE_NOT_FOUND", 4).hint("`mp fetch events --db PATH …` or `mp demo --db PATH` makes one")
        }
        Data::DatabaseLocked { pid, command, .. } => {
            of("DATABASE_LOCKED", 7).hint(locked_hint(*pid, command))
        }
        Data::NoSnapshot { why: NoSnapshot::TooLarge { bytes, .. }, .. } => {
            of("DATABASE_LOCKED", 7).hint(format!(
                "--max-copy {} (or MP_MAX_COPY) allows it; or wait for the writer",
                bytes.div_ceil(1_000_000_000)
            ))
        }
        Data::NoSnapshot { why: NoSnapshot::NoRoom { .. }, .. } => {
            of("DATABASE_LOCKED", 7).hint("set TMPDIR to a folder with more room, or wait for the writer")
        }
        Data::NoSnapshot { .. } => {
            of("DATABASE_LOCKED", 7).hint("run it again, or wait until the other process has ended")
        }
        Data::NotADatabase { .. } => {
            of("NOT_A_DATABASE", 1).hint(
            "--db with a file that `mp fetch` made; this one was not touched. `mp repair` makes a copy of a damaged one",
        )
        }
        Data::ForeignRecords { .. } => of("FOREIGN_DATABASE", 1).hint(
            "--db with another path for our own tables; `mp sql --db` reads this file, which was not touched",
        ),
        Data::OriginalDatabase { path, .. } => of("ORIGINAL_DATABASE", 1).hint(format!(
            "`mp import-original {}` copies its tables into a database of ours; `mp sql --db` reads the file as it \
             is. It was not touched",
            path.display()
        )),
        Data::FileNotFound { .. } => of("FILE_NOT_FOUND", 4),
        Data::NotLoadable { .. } => of("NOT_LOADABLE", 1).hint(
            "`mp load --help` says which files are taken, and which options name the columns of CSV; --dry-run shows \
             what a file is taken for. Nothing of it was stored",
        ),
        Data::ForeignMacros { names, .. } => of("FOREIGN_DATABASE", 1).hint(format!(
            "`mp sql --write \"DROP MACRO {}\"` removes one (DROP MACRO TABLE, DROP TYPE for others); or --db with another path",
            names.first().map_or("", String::as_str)
        )),
        Data::NewerFormat { .. } => of("NEWER_FORMAT", 1).hint("use the newer `mp` that wrote this file"),
        Data::ReadOnly { .. } => of("READ_ONLY", 1).hint(
            "`mp sql --write` opens the database for writing, for tables and views of your own; what was fetched \
             is fetched again by `mp sync`",
        ),
        Data::Protected { .. } => of("PROTECTED", 3).hint(
            "`mp inspect drop` removes a table, `mp fetch events … --replace` begins it anew; tables of your own \
             have names without an underscore in front",
        ),
        Data::PermissionDenied { .. } => {
            of("IO_ERROR", 9).hint("check who owns the file and its folder, or use --db PATH elsewhere")
        }
        Data::DiskFull { .. } => of("DISK_FULL", 9)
            .hint("free some space, or use --db PATH on another disk; what was stored before is safe"),
        Data::Io { .. } => of("IO_ERROR", 9),
        Data::OutOfMemory { spilling: false, .. } => of("OUT_OF_MEMORY", 8)
            .hint("a database file (--ephemeral or --db PATH) may spill to disk; fewer days need less"),
        Data::OutOfMemory { .. } => of("OUT_OF_MEMORY", 8).hint("ask for fewer columns or rows at once"),
        Data::Sealed { .. } => of("SEALED", 3)
            .hint("one SELECT over the tables of the database; without --sealed, SQL may do more"),
        Data::Query { class, .. } => Advice { hint: query_hint(class), ..of("QUERY_FAILED", 3) },
        Data::Closed | Data::Nested { .. } => of("ERROR", 1),
        Data::FixedSetting { name: "TimeZone", wanted, .. } => of("QUERY_FAILED", 3).hint(format!(
            "name the zone in the query: event_time AT TIME ZONE 'UTC' AT TIME ZONE '{wanted}'"
        )),
        Data::FixedSetting { .. } => of("QUERY_FAILED", 3).hint("leave the setting out"),
        Data::NoIcu => of("QUERY_FAILED", 3)
            .hint("cast to TIMESTAMP first, which is the time in UTC (t::TIMESTAMP); or AT TIME ZONE"),
        Data::Cancelled => of("INTERRUPTED", 130),
        Data::NoCredentials => of("AUTH_MISSING", 6).hint("set MP_USERNAME, MP_SECRET and MP_PROJECT_ID"),
        Data::Rejected { .. } => of("REJECTED", 1)
            .hint("--on-reject quarantine keeps such lines in the table _quarantine and goes on"),
        Data::Conflict { .. } => of("CONFLICT", 7).hint("run it again"),
        _ => of("ERROR", 1),
    }
}

fn locked_hint(pid: Option<u32>, command: &Option<String>) -> String {
    let who = match (pid, command) {
        (Some(pid), Some(command)) => format!("process {pid} (`{command}`)"),
        (Some(pid), None) => format!("process {pid}"),
        (None, _) => "the other process".to_owned(),
    };
    format!(
        "--wait 600, which every command that writes has, waits up to 600 s for {who} to finish; or end it"
    )
}

fn query_hint(class: &str) -> Option<String> {
    let hint = match class {
        "Catalog" => "`mp tables` lists the tables",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// What Mixpanel allows a project.
const HOURLY: &str = "60 exports an hour, 60 queries an hour, and 5 queries at once";

fn of_api(kind: &Api) -> Advice {
    let of = Advice::new;
    match kind {
        Api::InvalidRequest { .. } => of("INVALID_ARGUMENT", 3),
        Api::BudgetExhausted { .. } => {
            of("BUDGET_EXHAUSTED", 5).hint("run it again then; `mp plan` shows what it takes")
        }
        // What the system provides: threads, files, sockets.
        Api::Setup { .. } => of("IO_ERROR", 9),
        Api::Authentication { .. } => of("AUTH_FAILED", 6).hint(
            "check MP_USERNAME, MP_SECRET, MP_PROJECT_ID, and MP_REGION: each region has its own accounts; \
             `mp auth status` says where they are from",
        ),
        Api::PlanLimit { .. } => of("PLAN_LIMIT", 10).hint("the project's plan must include this API"),
        Api::BufferFull { .. } => {
            of("OUT_OF_MEMORY", 8).hint("without --in-memory, rows may wait on disk; or fewer days at a time")
        }
        Api::SessionExpired { .. } | Api::MissingResults { .. } => {
            of("INCOMPLETE", 10).hint("run it again; nothing was changed")
        }
        Api::Forbidden { history_days: Some(days), .. } => of("HISTORY_LIMIT", 3)
            .hint(format!("the project's plan reaches back {days} days: a later --from")),
        Api::Forbidden { .. } => {
            of("FORBIDDEN", 6).hint("check MP_PROJECT_ID, and that the account may see this project")
        }
        Api::NotFound { .. } => {
            of("NOT_FOUND", 4).hint("`mp inspect` lists what there is: funnels, cohorts, bookmarks, schemas")
        }
        Api::EventNotFound { .. } => of("EVENT_NOT_FOUND", 4).hint("`mp inspect events` lists them all"),
        Api::BadRequest { .. } => of("QUERY_FAILED", 3).hint("check --where, the names and the dates"),
        Api::RateLimited { retry_after: Some(wait), .. } => of("RATE_LIMITED", 5)
            .hint(format!("again in {} seconds; Mixpanel allows {HOURLY}", wait.as_secs() + 1)),
        Api::RateLimited { .. } => {
            of("RATE_LIMITED", 5).hint(format!("again later; Mixpanel allows {HOURLY}"))
        }
        Api::Connect { .. } | Api::Timeout { .. } => {
            of("NETWORK", 10).hint("check the network, and MP_BASE_URL if it is set; `mp doctor` says which proxy is used")
        }
        Api::Tls { .. } => {
            of("TLS", 10).hint(
                "check MP_BASE_URL and the clock of this computer; a company's own certificates are named by MP_CA_FILE",
            )
        }
        Api::Server { .. } | Api::InBand { .. } => {
            of("SERVER_ERROR", 10).hint("again later; nothing incomplete was stored")
        }
        Api::Truncated { .. } | Api::Corrupt { .. } => {
            of("INCOMPLETE", 10).hint("again later; nothing incomplete was stored")
        }
        Api::NotExport { .. }
        | Api::NotJson { .. }
        | Api::Redirected { .. }
        | Api::UnexpectedEncoding { .. } => {
            of("API_ERROR", 10).hint("something else answered: check MP_BASE_URL, MP_REGION and proxies")
        }
        Api::Cancelled => of("INTERRUPTED", 130),
        _ => of("API_ERROR", 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_this_file_is_in_the_table() {
        let source = include_str!("advice.rs");
        let table: Vec<&str> = CODES.iter().map(|(code, ..)| *code).collect();
        for piece in source.split("of(\"").chain(source.split("Advice::new(\"")).skip(1) {
            let code = piece.split('"').next().unwrap_or_default();
            if code.chars().all(|c| c.is_ascii_uppercase() || c == '_') && !code.is_empty() {
                assert!(table.contains(&code), "{code} is not in CODES");
            }
        }
        assert!(table.is_sorted());
    }
}
