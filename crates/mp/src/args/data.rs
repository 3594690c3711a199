//! Words that many commands share: which project, which database, which day.

use std::path::PathBuf;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::{Span, Timestamp};
use mixpanel_client::time::ProjectClock;

/// Which project, and how to reach it. Secrets are never given as flags.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// The project [env: MP_PROJECT_ID]
    #[arg(long, value_name = "ID")]
    pub(crate) project_id: Option<String>,

    /// The project's region: us, eu or in [env: MP_REGION] [default: us]
    #[arg(long)]
    pub(crate) region: Option<String>,

    /// Use another server, for instance that of `mp sim` [env: MP_BASE_URL]
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,

    /// The project's time zone [env: MP_TIMEZONE] [default: UTC]
    #[arg(long, value_name = "ZONE")]
    pub(crate) timezone: Option<String>,

    /// How the project records time: utc, or local for projects created before 2023 [env: MP_CLOCK_MODE]
    #[arg(long, value_name = "MODE")]
    pub(crate) clock_mode: Option<String>,
}

/// Which database.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Database {
    /// The database file [env: MP_DB] [default: the project's, in the user's data folder]
    #[arg(long, value_name = "PATH")]
    pub(crate) db: Option<PathBuf>,
}

/// What to do when another process is writing the database.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
#[command(next_help_heading = "While another process is writing")]
pub(crate) struct Reading {
    /// Fail (exit code 7) instead of reading a copy of the last committed state
    #[arg(long)]
    pub(crate) no_snapshot: bool,

    /// The largest copy to make, in gigabytes; copies on file systems with copy-on-write are not limited
    /// [env: MP_MAX_COPY] [default: 4]
    #[arg(long, value_name = "GB")]
    pub(crate) max_copy: Option<f64>,
}

/// How long to wait for a database.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct Waiting {
    /// Wait up to this long for another process that has the database open
    #[arg(long, value_name = "SECONDS", default_value_t = 0, hide_default_value = true)]
    pub(crate) wait: u64,
}

/// A day as typed: a date, or so many days ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Day {
    On(Date),
    Ago(u16),
}

impl Day {
    /// The date, seen from `now` in the project's days.
    pub(crate) fn resolve(self, now: Timestamp, clock: &ProjectClock) -> Date {
        match self {
            Day::On(date) => date,
            Day::Ago(days) => clock.day_of(now.as_microsecond()).saturating_sub(Span::new().days(days)),
        }
    }
}

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = |text: &str, lengths: [usize; 3]| {
            let parts: Vec<&str> = text.split('-').collect();
            parts.iter().map(|part| part.len()).eq(lengths)
                && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
        };
        match text {
            "today" => return Ok(Day::Ago(0)),
            "yesterday" => return Ok(Day::Ago(1)),
            _ => {}
        }
        if let Some(days) = text.strip_suffix('d').and_then(|days| days.parse().ok()) {
            return Ok(Day::Ago(days));
        }
        if !digits(text, [4, 2, 2]) {
            return Err("expected YYYY-MM-DD, today, yesterday, or 7d for seven days ago".to_owned());
        }
        text.parse().map(Day::On).map_err(|_| "there is no such day".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn days_are_read_strictly() {
        assert_eq!("2024-02-29".parse(), Ok(Day::On(date(2024, 2, 29))));
        assert_eq!("yesterday".parse(), Ok(Day::Ago(1)));
        assert_eq!("30d".parse(), Ok(Day::Ago(30)));
        for wrong in ["", "2024-1-1", "20240101", "2024-02-30", "2024-13-01", "+024-01-01", "d", "-1d", "1 d"]
        {
            assert!(wrong.parse::<Day>().is_err(), "{wrong:?}");
        }
        assert!("01/02/2024".parse::<Day>().unwrap_err().contains("YYYY-MM-DD"));
    }

    #[test]
    fn days_ago_count_in_the_projects_days() {
        let now: Timestamp = "2024-03-01T02:00:00Z".parse().unwrap();
        let utc = ProjectClock::default();
        assert_eq!(Day::Ago(0).resolve(now, &utc), date(2024, 3, 1));
        assert_eq!(Day::Ago(1).resolve(now, &utc), date(2024, 2, 29));
    }
}
