//! Talk: what goes to stderr. Results are not its business.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::civil::Date;
use mixpanel_client::retry::RetryNotice;
use mixpanel_data::FetchProgress;

use crate::output::clean;

/// How to talk: how much, and whether in colour.
#[derive(Clone, Debug)]
pub(crate) struct Ui {
    quiet: bool,
    /// Whether results are read by a person.
    pub(crate) to_terminal: bool,
    /// Whether results may have colour.
    pub(crate) colour: bool,
    colour_talk: bool,
}

impl Ui {
    pub(crate) fn new(quiet: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Ui { quiet, to_terminal: out, colour: out && !plain, colour_talk: err && !plain }
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// One remark.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            // There is nobody to tell when stderr is gone.
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// An error, in up to three lines; also when quiet.
    pub(crate) fn error(&self, what: &str, why: Option<&str>, next: Option<&str>) {
        let label = if self.colour_talk { "\u{1b}[1;31merror\u{1b}[0m" } else { "error" };
        let mut text = format!("{label}: {what}\n");
        if let Some(why) = why {
            text.push_str(&format!("  cause: {why}\n"));
        }
        if let Some(next) = next {
            text.push_str(&format!("  try: {next}\n"));
        }
        let _ = io::stderr().write_all(text.as_bytes());
    }

    /// A progress bar over days, which shows on a terminal only.
    pub(crate) fn progress(&self, from: Date, to: Date) -> Progress {
        let days = days_between(from, to);
        let target = if self.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(days), target);
        let template = "{spinner} {wide_bar} {msg}  {prefix}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message("waiting for the first byte");
        bar.enable_steady_tick(Duration::from_millis(120));
        Progress { bar, days, talks: !self.quiet }
    }
}

/// A running fetch, as a bar.
#[derive(Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
    days: u64,
    talks: bool,
}

impl Progress {
    pub(crate) fn update(&self, progress: &FetchProgress) {
        let done = u64::from(progress.days_done).min(self.days);
        self.bar.set_position(done);
        self.bar.set_message(format!(
            "{} rows  {} MB  {:.1} MB/s",
            thousands(progress.rows),
            megabytes(progress.bytes_received),
            rate(progress.bytes_decoded as f64 / 1e6, progress.elapsed),
        ));
        let left = (done > 0).then(|| progress.elapsed.mul_f64((self.days - done) as f64 / done as f64));
        self.bar.set_prefix(left.map_or_else(String::new, |left| format!("ETA {} s", left.as_secs() + 1)));
    }

    /// Tells why nothing is happening.
    pub(crate) fn retry(&self, notice: &RetryNotice<'_>) {
        if self.talks {
            let wait = notice.wait.as_secs() + 1;
            let line =
                format!("{}; attempt {} in {wait} s", clean(&notice.error.to_string()), notice.attempts + 1);
            self.bar.suspend(|| {
                let _ = writeln!(io::stderr(), "{line}");
            });
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn days_between(from: Date, to: Date) -> u64 {
    from.until(to).map_or(0, |span| u64::try_from(span.get_days()).map_or(0, |days| days + 1)).max(1)
}

/// So much per second.
pub(crate) fn rate(amount: f64, time: Duration) -> f64 {
    amount / time.as_secs_f64().max(0.001)
}

/// Bytes in MB (10⁶), with one decimal.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

/// `1234567` as `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn numbers_are_grouped() {
        let shown = [0, 999, 1000, 59_700, 1_234_567].map(thousands);
        assert_eq!(shown, ["0", "999", "1,000", "59,700", "1,234,567"]);
    }

    #[test]
    fn days_count_both_ends() {
        assert_eq!(days_between(date(2024, 1, 1), date(2024, 1, 1)), 1);
        assert_eq!(days_between(date(2024, 1, 1), date(2024, 1, 31)), 31);
        // Rows of other days do not turn the bar back beyond its start.
        assert_eq!(days_between(date(2024, 1, 2), date(2024, 1, 1)), 1);
    }
}
