//! What a simulator is told before it starts.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, date};

/// Everything that shapes a simulator: its data, its credentials, its limits.
///
/// The same configuration always gives the same bytes. Start from [`SimConfig::default`] and change fields:
///
/// ```
/// use mixpanel_sim::SimConfig;
///
/// let config = SimConfig { days: 14, events_per_day: 300, ..SimConfig::default() };
/// assert_eq!(config.first_day().to_string(), "2025-06-18");
/// ```
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// Selects the world; two seeds have nothing in common but their shape.
    pub seed: u64,
    /// The only project that exists. Service accounts must name it.
    pub project_id: u64,
    /// The service account's user name.
    pub username: String,
    /// The service account's secret.
    pub secret: String,
    /// The project's own (legacy) secret, sent as a user name with an empty password.
    pub project_secret: String,
    /// The project's token, by which programs that send data name it.
    pub token: String,
    /// Where the project lives: `mixpanel.com`, `eu.mixpanel.com` or `in.mixpanel.com`.
    pub domain: String,
    /// The date on which the simulator lives. It is the last day with data, and only its morning has happened.
    pub today: Date,
    /// How many days of history to generate, `today` included.
    pub days: u32,
    /// The mean number of rows of a day. Single days vary with weekday, growth, noise and one sale.
    pub events_per_day: u32,
    /// The exact number of rows of the whole world, when it must be a round figure; else
    /// `events_per_day * days`.
    pub total_events: Option<u64>,
    /// How many users exist; chosen to fit the number of events when absent.
    pub users: Option<u32>,
    /// How many user profiles exist; as many as users when absent. More are people without events, fewer leave
    /// users without profiles.
    pub profiles: Option<u32>,
    /// Gives every event 25 to 35 properties (about 1 KB) in place of 15 to 30.
    pub wide_events: bool,
    /// Where events come from.
    pub source: Source,
    /// The project's time zone, an IANA name.
    pub timezone: String,
    /// What the project's `time` property means.
    pub clock_mode: ClockMode,
    /// A bearer token that is accepted too.
    pub bearer_token: Option<String>,
    /// Whether the project's plan has the Query API; without it, queries are answered with 402.
    pub has_query_api: bool,
    /// How profiles are served.
    pub engage: EngageSettings,
    /// Request limits of the export endpoint and of the Query API.
    pub limits: Limits,
    /// An instant that the virtual clock begins at, if that is later than the morning of `today`: with the real
    /// time, midnight comes here no later than outside.
    pub not_before: Option<Timestamp>,
    /// How late every answer begins, by real time.
    pub latency: Duration,
    /// How many bytes of a body are sent in a second, by real time; without it, as many as the network takes.
    pub bytes_per_second: Option<u32>,
    /// Whether the virtual clock follows real time or stands still until it is advanced.
    pub pace: Pace,
    /// What the `Date` header of answers says.
    pub date_header: DateHeader,
    /// Refuses exports and queries that begin more than this many days before `today` (403), as small plans do.
    pub max_history_days: Option<u32>,
    /// Refuses exports that span more days than this (400).
    pub max_range_days: Option<u32>,
    /// The deflate level of response bodies, 1 (fast) to 9 (small).
    pub gzip_level: u32,
    /// Threads that serve connections. Generating and filtering use further ones when needed.
    pub threads: usize,
}

/// How profiles are served, where the documentation is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngageSettings {
    /// How long pages can be asked for after the first one, by the virtual clock.
    pub session_lifetime: Duration,
    /// Whether `total` stands on every page, not only on the first.
    pub total_on_every_page: bool,
}

impl Default for EngageSettings {
    fn default() -> EngageSettings {
        EngageSettings { session_lifetime: Duration::from_secs(3600), total_on_every_page: false }
    }
}

/// Where a simulator's events come from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The seeded e-commerce world.
    World,
    /// A folder of recorded exports: `*.jsonl`, `*.json` and `*.jsonl.gz`, served byte for byte.
    Recorded(PathBuf),
}

/// What the stored `time` of an event means.
///
/// Projects created from 2023 on store the true instant. Older ones store the wall clock of the project's time
/// zone as if it were UTC, so that a true instant is `time` minus the zone's offset at that wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ClockMode {
    /// `time` is the true instant, days are UTC days.
    #[default]
    Utc,
    /// `time` is the project's wall clock read as UTC, days are days of the project's time zone.
    LocalAsUtc,
}

/// How the virtual clock, by which request limits are counted, moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Pace {
    /// It runs with real time; advancing it adds to that.
    #[default]
    RealTime,
    /// It moves only when it is advanced.
    Manual,
}

/// What the `Date` header of answers says. HTTP asks for the server's own time (RFC 9110, 6.6.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DateHeader {
    /// The time of the machine.
    #[default]
    RealTime,
    /// The time of the virtual clock.
    Virtual,
    /// This text, whether it is a date or not.
    Text(String),
}

/// Request limits of the export endpoint and of the Query API, per project; each counts its own requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Exports in any 60 minutes.
    pub per_hour: u32,
    /// Exports in any second.
    pub per_second: u32,
    /// Exports that are being answered at one moment.
    pub concurrent: u32,
    /// Queries in any 60 minutes. Failed ones count; those that were refused do not.
    pub query_per_hour: u32,
    /// Queries that are being answered at one moment.
    pub query_concurrent: u32,
    /// Whether the limits are applied at all.
    pub enforced: bool,
    /// Whether an export's 429 carries `Retry-After` (the real endpoint often sends none).
    pub retry_after: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            per_hour: 60,
            per_second: 3,
            concurrent: 100,
            query_per_hour: 60,
            query_concurrent: 5,
            enforced: true,
            retry_after: false,
        }
    }
}

impl Limits {
    /// Limits that are never applied.
    pub fn off() -> Limits {
        Limits { enforced: false, ..Limits::default() }
    }
}

impl Default for SimConfig {
    fn default() -> SimConfig {
        SimConfig {
            seed: 42,
            project_id: 12345,
            username: "demo.sim.mp-service-account".to_owned(),
            secret: "sim-secret".to_owned(),
            project_secret: "sim-project-secret".to_owned(),
            token: "sim-project-token".to_owned(),
            domain: "mixpanel.com".to_owned(),
            today: date(2025, 7, 1),
            days: 90,
            events_per_day: 2_000,
            total_events: None,
            users: None,
            profiles: None,
            wide_events: false,
            source: Source::World,
            timezone: "UTC".to_owned(),
            clock_mode: ClockMode::Utc,
            bearer_token: None,
            has_query_api: true,
            engage: EngageSettings::default(),
            limits: Limits::default(),
            not_before: None,
            latency: Duration::ZERO,
            bytes_per_second: None,
            pace: Pace::RealTime,
            date_header: DateHeader::RealTime,
            max_history_days: None,
            max_range_days: None,
            gzip_level: 6,
            threads: 1,
        }
    }
}

impl SimConfig {
    /// The million-event world: 1,000,000 rows of about 1 KB over 30 days, by 50,000 users.
    ///
    /// It is made for measuring, so limits are off and bodies are compressed quickly rather than well.
    pub fn million() -> SimConfig {
        SimConfig {
            days: 30,
            events_per_day: 33_333,
            total_events: Some(1_000_000),
            users: Some(50_000),
            wide_events: true,
            limits: Limits::off(),
            gzip_level: 1,
            ..SimConfig::default()
        }
    }

    /// The first day of the history.
    pub fn first_day(&self) -> Date {
        self.today.saturating_sub(jiff::Span::new().days(i64::from(self.days.max(1)) - 1))
    }

    pub(crate) fn total(&self) -> u64 {
        self.total_events.unwrap_or(u64::from(self.events_per_day) * u64::from(self.days.max(1)))
    }

    pub(crate) fn user_count(&self) -> u32 {
        self.users.unwrap_or_else(|| (self.total() / 36).clamp(50, 500_000) as u32).max(1)
    }

    pub(crate) fn profile_count(&self) -> u32 {
        self.profiles.unwrap_or_else(|| self.user_count())
    }
}
