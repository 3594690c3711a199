//! `mp demo`: the whole way from an API to answers, without an account.
//!
//! A simulated Mixpanel starts, its events are fetched over HTTP as they would be from the real one,
//! and a few queries show what can be asked then. The demo is a show, so all of it is on stdout.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use mixpanel_client::network::Network;
use mixpanel_client::{BaseUrls, Credentials, Region};
use mixpanel_data::{
    Error as DataError, ErrorKind, FetchEvents, FetchResult, SqlResult, StorageMode, Value, Workspace,
    WorkspaceBuilder,
};
use mixpanel_sim::{SimConfig, Simulator};

use super::{Reader, shell_word};
use crate::args;
use crate::config::Connection;
use crate::databases::Databases;
use crate::error::Error;
use crate::output::plot;
use crate::output::plot::bars::{self, Bar};
use crate::output::{self, Format, Page};
use crate::signals::Guarded;
use crate::ui::{Ui, counted, megabytes, rate, thousands};

const DEFAULT_FILE: &str = "demo.duckdb";

pub(crate) fn run(args: &args::Demo, reader: Reader<'_>) -> Result<(), Error> {
    let Reader { env, ui, signals } = reader;
    let args::World { days, events_per_day, seed } = args.world;
    let simulator = Simulator::start(SimConfig { days, events_per_day, seed, ..SimConfig::default() })?;
    let world = simulator.world();
    let fetch = FetchEvents::days(world.first_day(), world.last_day());
    let mut show = Show { out: output::stdout(), ui };
    show.opening(&simulator)?;

    let progress = ui.progress(fetch.from, fetch.to);
    let project = connection(&simulator).project(signals, ui)?;
    // The simulator lives on a day of its own, and that day is not over.
    let now = simulator.now();
    let builder = Workspace::builder().project(project).now(move || now);
    let workspace = signals.guard(open(args, builder, env.databases())?);
    let result = workspace.fetch_events_with(&fetch, &mut |now| progress.update(now));
    progress.finish();
    show.fetched(&workspace, &result?)?;

    for question in &QUESTIONS {
        signals.check()?;
        show.question(&workspace, question)?;
    }
    signals.check()?;
    show.chart(&workspace)?;
    show.closing(&workspace)?;
    Ok(())
}

fn connection(simulator: &Simulator) -> Connection {
    let config = simulator.config();
    Connection {
        credentials: Credentials::service_account(config.username.clone(), config.secret.clone()),
        account: None,
        project_id: Some(config.project_id),
        region: Region::Us,
        base_urls: BaseUrls::single_host(&simulator.base_url()),
        clock: Default::default(),
        has_timezone: true,
        budget: None,
        network: Network::default(),
    }
}

fn open(args: &args::Demo, builder: WorkspaceBuilder, databases: &Databases) -> Result<Workspace, Error> {
    Ok(match (args.memory, args.ephemeral) {
        (true, _) => databases.memory(builder)?,
        (_, true) => databases.ephemeral(builder)?,
        _ => databases.file(builder, args.db.as_deref().unwrap_or(Path::new(DEFAULT_FILE)))?,
    })
}

/// A property that no event has is no column.
fn is_unknown_column(error: &DataError) -> bool {
    matches!(error.kind(), ErrorKind::Query { class, .. } if class == "Binder")
}

/// Something to ask, and the SQL that asks it.
struct Question {
    title: &'static str,
    sql: &'static str,
    /// Whether the answer is drawn too, as `mp sql --plot` does.
    drawn: bool,
}

const QUESTIONS: [Question; 4] = [
    Question {
        title: "What happens most?",
        sql: "\
SELECT event_name, count(*) AS events, count(DISTINCT distinct_id) AS users
FROM events
GROUP BY event_name
ORDER BY events DESC
LIMIT 8",
        drawn: false,
    },
    Question {
        title: "Where is the money made? (events_flat has every property as a typed column)",
        sql: "\
SELECT mp_country_code AS country, currency, count(*) AS purchases,
       round(sum(amount), 2) AS revenue, round(avg(amount), 2) AS average
FROM events_flat
WHERE event_name = 'Purchase'
GROUP BY ALL
ORDER BY purchases DESC
LIMIT 8",
        drawn: false,
    },
    Question {
        title: "How far do people get? (a funnel: each step after the one before)",
        sql: "\
WITH viewed AS (
  SELECT distinct_id, min(event_time) AS moment FROM events WHERE event_name = 'Product Viewed' GROUP BY ALL
), carted AS (
  SELECT distinct_id, min(event_time) AS moment FROM events JOIN viewed USING (distinct_id)
  WHERE event_name = 'Add to Cart' AND event_time >= moment GROUP BY distinct_id
), started AS (
  SELECT distinct_id, min(event_time) AS moment FROM events JOIN carted USING (distinct_id)
  WHERE event_name = 'Checkout Started' AND event_time >= moment GROUP BY distinct_id
), bought AS (
  SELECT distinct_id, min(event_time) AS moment FROM events JOIN started USING (distinct_id)
  WHERE event_name = 'Purchase' AND event_time >= moment GROUP BY distinct_id
), steps AS (
  SELECT 1 AS step, 'Product Viewed' AS event, count(*) AS users FROM viewed
  UNION ALL SELECT 2, 'Add to Cart', count(*) FROM carted
  UNION ALL SELECT 3, 'Checkout Started', count(*) FROM started
  UNION ALL SELECT 4, 'Purchase', count(*) FROM bought
)
SELECT step, event, users, round(100.0 * users / first_value(users) OVER (ORDER BY step), 1) AS percent
FROM steps
ORDER BY step",
        drawn: true,
    },
    Question {
        title: "Do they come back? (percent of a week's new users seen again; NULL: not over yet)",
        sql: "\
WITH born AS (
  SELECT distinct_id, min(event_time)::DATE AS day FROM events WHERE event_name = 'Signed Up' GROUP BY ALL
), seen AS (
  SELECT DISTINCT distinct_id, event_time::DATE AS day FROM events
), ages AS (
  SELECT born.distinct_id, date_trunc('week', born.day)::DATE AS week, seen.day - born.day AS age
  FROM born JOIN seen USING (distinct_id)
), weeks AS (
  SELECT week, count(DISTINCT distinct_id) AS new_users,
         count(DISTINCT distinct_id) FILTER (age BETWEEN 1 AND 7) AS first,
         count(DISTINCT distinct_id) FILTER (age BETWEEN 8 AND 14) AS second,
         count(DISTINCT distinct_id) FILTER (age BETWEEN 15 AND 21) AS third,
         (SELECT max(day) FROM seen) - week AS days_ago
  FROM ages GROUP BY week
)
SELECT week, new_users, if(days_ago > 14, round(100.0 * first / new_users, 1), NULL) AS week_1,
       if(days_ago > 21, round(100.0 * second / new_users, 1), NULL) AS week_2,
       if(days_ago > 28, round(100.0 * third / new_users, 1), NULL) AS week_3
FROM weeks
ORDER BY week",
        drawn: true,
    },
];

const DAILY: Question = Question {
    title: "Events per day",
    sql: "\
SELECT day, state, row_count
FROM _ledger
WHERE table_name = 'events'
ORDER BY day",
    drawn: false,
};

/// The stage.
struct Show<'a> {
    out: io::BufWriter<io::Stdout>,
    ui: &'a Ui,
}

impl Show<'_> {
    fn opening(&mut self, simulator: &Simulator) -> Result<(), Error> {
        let world = simulator.world();
        self.heading("A simulated Mixpanel")?;
        writeln!(self.out, "  project {} at {}", simulator.config().project_id, simulator.base_url())?;
        writeln!(
            self.out,
            "  {} events, {} to {} (its today, which is not over)\n",
            thousands(world.event_count(world.first_day(), world.last_day())),
            world.first_day(),
            world.last_day(),
        )?;
        Ok(self.out.flush()?)
    }

    fn fetched(&mut self, workspace: &Guarded, result: &FetchResult) -> Result<(), Error> {
        let seconds = result.duration.as_secs_f64();
        let requests = if result.requests == 1 { "request" } else { "requests" };
        self.heading("Fetched, proven complete, each chunk stored in one transaction")?;
        writeln!(
            self.out,
            "  {} {requests}, {} MB over the wire, {} MB of JSON, {seconds:.2} s",
            result.requests,
            megabytes(result.bytes_received),
            megabytes(result.bytes_decoded),
        )?;
        writeln!(
            self.out,
            "  {}, {} dropped, {} rejected",
            counted(result.rows, "row"),
            counted(result.duplicates, "duplicate"),
            counted(result.rejects, "line"),
        )?;
        writeln!(
            self.out,
            "  {} rows/s, {:.1} MB/s of JSON",
            thousands(rate(result.lines as f64, result.duration) as u64),
            rate(result.bytes_decoded as f64 / 1e6, result.duration),
        )?;
        writeln!(
            self.out,
            "  {} complete, {} empty, {} partial",
            counted(u64::from(result.days_complete), "day"),
            result.days_empty,
            result.days_partial
        )?;
        writeln!(self.out, "  {}\n", whereabouts(workspace)?)?;
        Ok(self.out.flush()?)
    }

    fn question(&mut self, workspace: &Guarded, question: &Question) -> Result<(), Error> {
        self.heading(question.title)?;
        self.sql(question.sql)?;
        let started = Instant::now();
        let result = match workspace.sql(question.sql) {
            Err(error) if is_unknown_column(&error) => {
                self.dim("nothing of the kind happened in so small a world\n")?;
                return Ok(self.out.flush()?);
            }
            result => result?,
        };
        let seconds = started.elapsed().as_secs_f64();
        self.out.flush()?;
        let table = args::Output { format: Some(Format::Table), ..args::Output::default() };
        let mut page = Page::new(&table, &args::Rows::default(), self.ui)?;
        page.begin(result.schema.clone())?;
        result.batches.iter().try_for_each(|batch| page.batch(batch))?;
        page.end()?;
        if question.drawn && result.batches.iter().any(|batch| batch.num_rows() > 0) {
            writeln!(self.out, "{}", plot::of(&result, self.ui)?)?;
        }
        self.dim(&format!("{seconds:.3} s\n"))?;
        Ok(self.out.flush()?)
    }

    fn chart(&mut self, workspace: &Guarded) -> Result<(), Error> {
        self.heading(DAILY.title)?;
        self.sql(DAILY.sql)?;
        let bars = daily_bars(&workspace.sql_rows(DAILY.sql)?);
        let width = if self.ui.to_terminal { output::terminal_width() } else { 80 };
        writeln!(self.out, "{}", bars::bars(&bars, width))?;
        Ok(self.out.flush()?)
    }

    fn closing(&mut self, workspace: &Guarded) -> Result<(), Error> {
        self.heading("Try next")?;
        let mp = called_as(std::env::args_os().next().as_deref());
        match workspace.db_path().filter(|_| workspace.storage().mode() == StorageMode::Persistent) {
            Some(path) => {
                let path = shown_path(path);
                writeln!(
                    self.out,
                    "  {mp} sql --db {path} --plot \"SELECT plan, count(*) AS events FROM events_flat GROUP BY ALL\"\n  \
                       {mp} shell --db {path}    # a prompt with completion\n  \
                       {mp} schema events_flat --db {path}\n  \
                       {mp} info --db {path}\n  \
                       {mp} sim    # a Mixpanel to fetch from yourself\n  \
                       rm {path}    # when you have seen enough"
                )?;
            }
            None => writeln!(
                self.out,
                "  {mp} demo --db demo.duckdb    # the same, and the data stays for your own queries\n  \
                   {mp} sim    # a Mixpanel to fetch from yourself\n\
                 Nothing of this run is left on disk."
            )?,
        }
        Ok(self.out.flush()?)
    }

    fn heading(&mut self, text: &str) -> io::Result<()> {
        let (on, off) = if self.ui.colour { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
        writeln!(self.out, "{on}{text}{off}")
    }

    fn sql(&mut self, sql: &str) -> io::Result<()> {
        sql.lines().try_for_each(|line| self.dim(&format!("  {line}")))
    }

    fn dim(&mut self, text: &str) -> io::Result<()> {
        let (on, off) = if self.ui.colour { ("\u{1b}[2m", "\u{1b}[0m") } else { ("", "") };
        writeln!(self.out, "{on}{text}{off}")
    }
}

/// How its user calls this program: from a checkout it is `./mp`, which is on no PATH.
fn called_as(name: Option<&OsStr>) -> String {
    let path = name.map(Path::new).filter(|path| path.is_relative() && path.components().count() > 1);
    match path.filter(|path| path.file_name() == Some(OsStr::new("mp"))).and_then(Path::to_str) {
        Some(path) => shell_word(path),
        None => "mp".to_owned(),
    }
}

fn whereabouts(workspace: &Guarded) -> Result<String, Error> {
    let info = workspace.info()?;
    Ok(match (info.mode, &info.path) {
        (StorageMode::Persistent, Some(path)) => {
            format!("in {}, {:.1} MB, which stays", shown_path(path), info.size_mb)
        }
        (StorageMode::InMemory, _) | (_, None) => {
            format!("in memory only, {} MB used", megabytes(info.memory_bytes.unwrap_or(0)))
        }
        (_, Some(_)) => format!("in a private temporary file, {:.1} MB, which goes at the end", info.size_mb),
    })
}

/// The path as one would type it: short below the current folder, and quoted if it must be.
fn shown_path(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let short = here.as_ref().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path);
    shell_word(&short.display().to_string())
}

fn daily_bars(result: &SqlResult) -> Vec<Bar> {
    let bar = |row: &Vec<Value>| {
        let label = match &row[0] {
            Value::Date(date) => date.strftime("%a %F").to_string(),
            other => other.to_text(),
        };
        let remark = match row[1].as_str() {
            Some("partial") => "so far",
            Some("empty") => "nothing happened",
            _ => "",
        };
        let value = row[2].as_f64().unwrap_or(0.0);
        Bar { label, value, remark: remark.to_owned() }
    };
    result.rows.iter().map(bar).collect()
}
