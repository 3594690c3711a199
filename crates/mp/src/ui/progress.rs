//! How a fetch is going: a bar for people, lines of text or JSON for programs.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, WeakProgressBar};
use jiff::civil::Date;
use mixpanel_client::Client;
use mixpanel_client::budget::{ApiFamily, BudgetState};
use mixpanel_data::{ErrorKind, FetchProgress};
use serde_json::json;

use super::{ProgressMode, Ui, megabytes, rate, thousands};
use crate::error::Error;

/// Between two lines of JSON, and of text.
pub(super) const JSON_EVERY: Duration = Duration::from_millis(500);
pub(super) const TEXT_EVERY: Duration = Duration::from_secs(10);

/// A running fetch. Clones show the same one.
#[derive(Clone)]
pub(crate) struct Progress {
    ui: Ui,
    bar: ProgressBar,
    /// What is counted, and how many of it there are.
    unit: &'static str,
    units: Arc<AtomicU64>,
    mode: ProgressMode,
    shared: Arc<Mutex<Shared>>,
}

/// The bar that is drawn below everything that is said, if there is one. It does not keep it alive.
#[derive(Clone, Default)]
pub(super) struct Drawn(Arc<Mutex<WeakProgressBar>>);

impl Drawn {
    pub(super) fn set(&self, bar: &ProgressBar) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = bar.downgrade();
    }

    /// Does what writes to the same terminal, with the bar out of the way.
    pub(super) fn aside(&self, write: impl FnOnce()) {
        let bar = self.0.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        match bar.filter(|bar| !bar.is_finished()) {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

impl fmt::Debug for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Drawn")
    }
}

#[derive(Default)]
struct Shared {
    client: Option<Client>,
    said: Option<Instant>,
    latest: FetchProgress,
}

impl Progress {
    pub(super) fn of_days(ui: &Ui, from: Date, to: Date) -> Self {
        Progress::new(ui, "day", days_between(from, to))
    }

    pub(super) fn new(ui: &Ui, unit: &'static str, units: u64) -> Self {
        let mode = if ui.is_quiet() && ui.talk.progress == ProgressMode::Auto {
            ProgressMode::None
        } else {
            ui.talk.progress
        };
        let shows = mode == ProgressMode::Auto && io::stderr().is_terminal();
        let target = if shows { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(units), target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_bar} {msg}  {prefix}") {
            bar.set_style(style);
        }
        bar.set_message("waiting for the first byte");
        if shows {
            bar.enable_steady_tick(Duration::from_millis(120));
            ui.drawn.set(&bar);
        }
        Progress { ui: ui.clone(), bar, unit, units: Arc::new(units.into()), mode, shared: Arc::default() }
    }

    /// So many there are, as it turned out.
    pub(crate) fn count(&self, units: u64) {
        self.units.store(units, Ordering::Relaxed);
    }

    fn units(&self) -> u64 {
        self.units.load(Ordering::Relaxed)
    }

    /// Tells of the request budget of this client too.
    pub(crate) fn watch(&self, client: &Client) {
        self.shared().client = Some(client.clone());
    }

    pub(crate) fn update(&self, progress: &FetchProgress) {
        self.shared().latest = *progress;
        let every = match self.mode {
            ProgressMode::None => return,
            ProgressMode::Auto => return self.draw(progress),
            ProgressMode::Plain => TEXT_EVERY,
            ProgressMode::Json => JSON_EVERY,
        };
        let mut shared = self.shared();
        if shared.said.is_none_or(|said| said.elapsed() >= every) {
            shared.said = Some(Instant::now());
            drop(shared);
            self.line(progress, false);
        }
    }

    fn draw(&self, progress: &FetchProgress) {
        // By rows where their number can be told: days are of any size.
        match progress.rows_expected {
            Some(rows) => {
                self.bar.set_length(rows.max(1));
                self.bar.set_position(progress.rows);
            }
            None => self.bar.set_position(self.done(progress)),
        }
        self.bar.set_message(summary(progress));
        let eta = progress.remaining.map(|left| format!("ETA {}", time(left)));
        let budget = self.budget().map(|budget| said(&budget));
        self.bar.set_prefix([eta, budget].into_iter().flatten().collect::<Vec<_>>().join("  "));
    }

    fn line(&self, progress: &FetchProgress, finished: bool) {
        let (done, budget) = (self.done(progress), self.budget());
        let text = if self.mode == ProgressMode::Json {
            let mut object = json!({
                "finished": finished,
                "rows": progress.rows,
                "rows_stored": progress.rows_stored,
                "rows_expected": progress.rows_expected,
                "bytes_received": progress.bytes_received,
                "bytes_decoded": progress.bytes_decoded,
                "rows_per_second": rate(progress.rows as f64, progress.elapsed).round(),
                "day": progress.day,
                "attempt": progress.attempt,
                "elapsed_seconds": progress.elapsed.as_secs_f64(),
                "eta_seconds": progress.remaining.map(|left| left.as_secs()),
                "budget": budget.map(|budget| json!({
                    "used": budget.used,
                    "limit": budget.limit,
                    "next_slot_seconds": budget.next.as_secs_f64(),
                })),
            });
            object[format!("{}s_done", self.unit)] = done.into();
            object[format!("{}s", self.unit)] = self.units().into();
            json!({"progress": object}).to_string()
        } else {
            let left = progress.remaining.map(|left| format!("  {} left", time(left)));
            format!(
                "{done} of {}  {}{}",
                count(self.units(), self.unit),
                summary(progress),
                left.unwrap_or_default()
            )
        };
        self.ui.write(&text);
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
        if matches!(self.mode, ProgressMode::Json | ProgressMode::Plain) {
            let latest = self.shared().latest;
            self.line(&latest, true);
        }
    }

    fn done(&self, progress: &FetchProgress) -> u64 {
        u64::from(progress.days_done).min(self.units())
    }

    /// The end of a fetch that failed; of one that the user stopped, with what is kept of it.
    /// `next` says how to go on when something is.
    pub(crate) fn ended(&self, error: mixpanel_data::Error, next: impl FnOnce() -> String) -> Error {
        if !matches!(error.kind(), ErrorKind::Cancelled) {
            return error.into();
        }
        let latest = self.shared().latest;
        let done = self.done(&latest);
        if done == 0 {
            let what = "none of it is stored yet".to_owned();
            return Error::Stopped { what, next: "the same command begins again".to_owned() };
        }
        let rows = thousands(latest.rows_stored);
        let what = format!("{done} of {} are stored, with {rows} rows", count(self.units(), self.unit));
        Error::Stopped { what, next: next() }
    }

    fn budget(&self) -> Option<BudgetState> {
        let client = self.shared().client.clone()?;
        client.budget().map(|budget| budget.state(ApiFamily::Export, SystemTime::now()))
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn summary(progress: &FetchProgress) -> String {
    format!(
        "{} rows  {} MB  {:.1} MB/s",
        thousands(progress.rows),
        megabytes(progress.bytes_received),
        rate(progress.bytes_decoded as f64 / 1e6, progress.elapsed),
    )
}

/// A number with its noun.
fn count(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(number), if number == 1 { "" } else { "s" })
}

fn said(budget: &BudgetState) -> String {
    let next = if budget.next.is_zero() { String::new() } else { format!(", next in {}", time(budget.next)) };
    format!("budget {}/{}{next}", budget.used, budget.limit)
}

/// A time in its two largest units.
pub(super) fn time(time: Duration) -> String {
    match time.as_secs() + 1 {
        seconds if seconds < 60 => format!("{seconds} s"),
        seconds if seconds < 3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

fn days_between(from: Date, to: Date) -> u64 {
    from.until(to).map_or(0, |span| u64::try_from(span.get_days()).map_or(0, |days| days + 1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn days_count_both_ends() {
        assert_eq!(days_between(date(2024, 1, 1), date(2024, 1, 1)), 1);
        assert_eq!(days_between(date(2024, 1, 1), date(2024, 1, 31)), 31);
        // Rows of other days do not turn the bar back beyond its start.
        assert_eq!(days_between(date(2024, 1, 2), date(2024, 1, 1)), 1);
    }

    #[test]
    fn the_budget_is_told_with_the_next_slot() {
        let fresh = mixpanel_client::budget::RequestBudget::in_memory();
        assert_eq!(said(&fresh.state(ApiFamily::Export, SystemTime::now())), "budget 0/60");
        let used = BudgetState {
            used: 60,
            next: Duration::from_secs(90),
            ..fresh.state(ApiFamily::Export, SystemTime::now())
        };
        assert_eq!(said(&used), "budget 60/60, next in 1 min 31 s");
    }

    #[test]
    fn times_have_two_units() {
        let shown = [0, 59, 61, 3700].map(|seconds| time(Duration::from_secs(seconds)));
        assert_eq!(shown, ["1 s", "1 min 0 s", "1 min 2 s", "1 h 1 min"]);
    }
}
