//! Words of the commands that look at local data.

use std::path::PathBuf;

use clap_complete::engine::ArgValueCandidates;
use mixpanel_data::Value;

use super::{Connection, Database, Output, Plot, Reading, Rows};
use crate::commands::discover::complete;
use crate::commands::sql::parameters::parameter;
use crate::output::Format;

/// Reads the query from the argument, from a file, or from standard input.
///
/// Several statements may be given, with semicolons between them; they run one after the other, and
/// the rows of each query are printed. Parameters are written `$name` in the SQL and given by
/// `-p name=value`: they are bound, so no quoting can go wrong.
#[derive(Debug, clap::Args)]
// As in every other program for SQL, -f is a file.
#[command(mut_arg("format", |format| format.short(None::<char>)), after_help = "\
Examples:
  mp sql \"SELECT event_name, count(*) FROM events GROUP BY ALL\"
  mp sql -f report.sql --format csv > report.csv
  mp sql \"FROM events_flat WHERE plan = \\$plan\" -p plan=pro --output pro.parquet
  mp sql --save top \"SELECT event_name, count(*) FROM events GROUP BY ALL ORDER BY 2 DESC\"
  echo 'SELECT plan, count(*) FROM events_flat GROUP BY ALL' | mp sql")]
pub(crate) struct Sql {
    /// The query; `-` or nothing reads standard input
    pub(crate) query: Option<String>,

    /// Read the query from a file; `-` is standard input
    #[arg(short, long, short_alias = 'F', value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// Keep the query under a name, for `mp run NAME`
    #[arg(long, value_name = "NAME")]
    pub(crate) save: Option<String>,

    #[command(flatten)]
    pub(crate) answer: Answer,
}

/// A local query, with the short options that the Python original has for it.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("file", |file| file.short('F').short_alias(None::<char>)),
    mut_arg("format", |format| format.short('f'))
)]
pub(crate) struct LocalSql {
    #[command(flatten)]
    pub(crate) sql: Sql,

    /// Print the first cell of the result only
    #[arg(short, long, conflicts_with_all = ["save", "param", "limit", "all", "plot", "svg", "html", "png"])]
    pub(crate) scalar: bool,
}

/// The words of a command that is no more.
#[derive(Debug, clap::Args)]
pub(crate) struct Ended {
    /// The script
    #[arg(value_name = "FILE")]
    _file: Option<PathBuf>,

    /// The script itself
    #[arg(short = 'c', long = "script", value_name = "SCRIPT")]
    _script: Option<String>,

    /// A parameter of the script
    #[arg(short = 'P', long = "param", value_name = "NAME=VALUE")]
    _param: Vec<String>,

    #[command(flatten)]
    _output: Output,
}

/// Runs a query that `mp sql --save NAME` has kept; without a name, lists them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mp run
  mp run top --format csv
  mp run by-plan -p plan=pro")]
pub(crate) struct Run {
    /// The saved query
    #[arg(add = ArgValueCandidates::new(complete::queries))]
    pub(crate) name: Option<String>,

    #[command(flatten)]
    pub(crate) answer: Answer,
}

/// Statements end with a semicolon. Lines that begin with a dot are commands of the shell: `.help`
/// lists them. The history is kept in the folder for state; with --memory, nothing is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mp shell
  mp shell --db demo.duckdb
  echo 'SHOW TABLES;' | mp shell --db demo.duckdb")]
pub(crate) struct Shell {
    /// The initial output format; `.mode` changes it
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,

    #[command(flatten)]
    pub(crate) target: Target,
}

/// What SQL is run on.
#[derive(Debug, clap::Args)]
pub(crate) struct Target {
    #[command(flatten)]
    pub(crate) database: Database,

    /// Use an empty database in memory
    #[arg(long, conflicts_with = "db")]
    pub(crate) memory: bool,

    /// Open the database for writing too
    #[arg(long, conflicts_with = "memory")]
    pub(crate) write: bool,

    /// With --write: wait up to this long for another process that has the database open
    #[arg(long, value_name = "SECONDS", default_value_t = 0, hide_default_value = true, requires = "write")]
    pub(crate) wait: u64,

    /// Restrict SQL to the database: no files, no network, no settings, one query at a time
    #[arg(long, conflicts_with = "write")]
    pub(crate) sealed: bool,

    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// How SQL is run, and what becomes of its rows.
#[derive(Debug, clap::Args)]
pub(crate) struct Answer {
    /// The value of a parameter; may be given several times. It is text, unless a type is named:
    /// -p n:int=7; also float, bool, date, timestamp, and n:null=
    #[arg(short, long, value_name = "NAME[:TYPE]=VALUE", value_parser = parameter)]
    pub(crate) param: Vec<(String, Value)>,

    #[command(flatten)]
    pub(crate) rows: Rows,

    #[command(flatten)]
    pub(crate) output: Output,

    #[command(flatten)]
    pub(crate) plot: Plot,

    #[command(flatten)]
    pub(crate) target: Target,
}

/// Which database, and what becomes of the answer.
#[derive(Debug, clap::Args)]
pub(crate) struct Local {
    #[command(flatten)]
    pub(crate) database: Database,

    #[command(flatten)]
    pub(crate) reading: Reading,

    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mp schema events_flat
  mp schema --cli fetch events
  mp schema --cli | jq '.commands[].command'")]
pub(crate) struct Schema {
    /// The table, or one of its views: `events`, `events_flat`
    #[arg(required_unless_present = "cli", add = ArgValueCandidates::new(complete::tables))]
    pub(crate) table: Option<String>,

    /// Describe the command line itself, or one command of it, as JSON
    #[arg(long, conflicts_with = "table", value_name = "COMMAND", num_args = 0..)]
    pub(crate) cli: Option<Vec<String>>,

    #[command(flatten)]
    pub(crate) local: Local,
}

/// Each day's rows are counted and their content is compared with the ledger. Days that are not as they
/// should be are listed, and the exit code is 1; `mp sync --from DAY --to DAY` fetches what is missing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mp verify
  mp verify --quick --format json
  mp verify --read-data --all-days")]
pub(crate) struct Verify {
    /// Only count rows
    #[arg(long, conflicts_with = "read_data")]
    pub(crate) quick: bool,

    /// Also read every column, and compare the typed columns with the JSON text
    #[arg(long)]
    pub(crate) read_data: bool,

    /// Also list the days without findings
    #[arg(long)]
    pub(crate) all_days: bool,

    #[command(flatten)]
    pub(crate) database: Database,

    #[command(flatten)]
    pub(crate) output: Output,

    #[command(flatten)]
    pub(crate) reading: Reading,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// The damaged file is only read. What can be put right is: a checkpoint that was cut off, a wrong bit, a
/// header, a log up to its damage. If rows are lost all the same, the copy is a new database with what can be
/// read. Days that are lost are listed, and the exit code is 1; `mp sync --db COPY` fetches exactly these.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mp repair --db data.duckdb
  mp repair --db data.duckdb --to mended.duckdb && mp sync --db mended.duckdb")]
pub(crate) struct Repair {
    /// Where the copy goes; nothing may be there [default: NAME.repaired.duckdb, beside the file]
    #[arg(long, value_name = "PATH")]
    pub(crate) to: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) database: Database,

    #[command(flatten)]
    pub(crate) output: Output,

    #[command(flatten)]
    pub(crate) connection: Connection,
}
