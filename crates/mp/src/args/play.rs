//! Words of the commands that need no account: `mp demo` and `mp sim`.

use std::path::PathBuf;

use mixpanel_sim::ScriptedFault;

use super::Day;

/// Where the demo keeps its data; the default is the file `demo.duckdb` in this folder.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mp demo
  mp demo --memory
  mp demo --days 90 --events-per-day 10000 --db shop.duckdb")]
pub(crate) struct Demo {
    /// Keep everything in memory: no file is written
    #[arg(long, conflicts_with_all = ["ephemeral", "db"])]
    pub(crate) memory: bool,

    /// Use a private temporary file that is deleted at the end
    #[arg(long, conflicts_with = "db")]
    pub(crate) ephemeral: bool,

    /// The database file [default: demo.duckdb in this folder]
    #[arg(long, value_name = "PATH")]
    pub(crate) db: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) world: World,
}

/// The shape of the simulated data.
#[derive(Debug, clap::Args)]
pub(crate) struct World {
    /// How many days of history to generate
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub(crate) days: u32,

    /// The average number of events per day
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=5_000_000))]
    pub(crate) events_per_day: u32,

    /// The seed of the generated data; different seeds give different events of the same shape
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub(crate) seed: u64,
}

/// Prints its address on standard output, and what to set in the environment on standard error. Its
/// days end today, so that `mp sync` and days such as `7d` and `yesterday` work as with Mixpanel.
///
/// Bad days can be rehearsed: --fault makes an answer fail, --latency and --rate make all of them
/// slow. A fault is NAME or NAME:ARGUMENT, with `,times=N`, `,after=N`, `,day=DAY` and `,endpoint=NAME`
/// behind it; docs/reference/simulator.md lists the names.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mp sim
  mp sim --port 8080 --days 60 --no-limits
  mp sim --today 2025-07-01
  mp sim --fault status:503,times=2 --fault cut_connection:0.5,after=2
  mp sim --latency 300 --rate 500
  mp sim --folder recorded-exports --timezone Europe/Berlin")]
pub(crate) struct Sim {
    /// The port on the loopback interface; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) port: u16,

    #[command(flatten)]
    pub(crate) world: World,

    /// Serve recorded exports (*.jsonl, *.json, *.jsonl.gz) from this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,

    /// The simulator's current day, and the last day with events: YYYY-MM-DD, or 7d for seven days ago
    #[arg(long, value_name = "DAY", default_value = "today")]
    pub(crate) today: Day,

    /// Make a response fail, for instance `status:503,times=2`; may be given several times
    #[arg(long, value_name = "FAULT")]
    pub(crate) fault: Vec<ScriptedFault>,

    /// Delay every response by this long
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0, hide_default_value = true)]
    pub(crate) latency: u64,

    /// Send each response no faster than this, per second
    #[arg(long, value_name = "KILOBYTES", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: Option<u32>,

    /// The project's time zone
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub(crate) timezone: String,

    /// Do not apply Mixpanel's request limits
    #[arg(long)]
    pub(crate) no_limits: bool,

    /// A million events of 1 KB over 30 days, without limits
    #[arg(long, conflicts_with_all = ["folder", "days", "events_per_day"])]
    pub(crate) million: bool,
}
