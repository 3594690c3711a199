//! Talk: what goes to stderr. Results are not its business.
//!
//! How much is said, in which colours, for people or for programs: [`Ui`] knows, from the flags and
//! the environment. No secret passes ([`Mask`]).

mod mask;
mod progress;
mod requests;
mod working;

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use jiff::Timestamp;
use mixpanel_data::discovery::UnknownName;
use serde_json::json;

pub(crate) use mask::Mask;
pub(crate) use progress::Progress;
pub(crate) use working::Working;

use progress::Drawn;

/// When colours are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR or TERM=dumb is set; CLICOLOR_FORCE wins over both
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ProgressMode {
    /// A bar on a terminal, else nothing
    #[default]
    Auto,
    /// A line of text now and then
    Plain,
    /// One JSON object per line, on standard error
    Json,
    /// Nothing
    None,
}

/// How errors are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ErrorFormat {
    /// For people: what, why, what next
    #[default]
    Text,
    /// One JSON object in one line, the last of standard error
    Json,
}

/// What the user said about talk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Talk {
    pub(crate) quiet: bool,
    pub(crate) verbose: u8,
    pub(crate) color: Color,
    pub(crate) progress: ProgressMode,
    pub(crate) errors: ErrorFormat,
    pub(crate) timestamps: bool,
}

/// How to talk.
#[derive(Clone, Debug)]
pub(crate) struct Ui {
    talk: Talk,
    /// Whether results are read by a person.
    pub(crate) to_terminal: bool,
    /// Whether results may have colour.
    pub(crate) colour: bool,
    /// Whether results may have colour where there is no terminal: only when it was asked for.
    pub(crate) colour_in_files: bool,
    colour_talk: bool,
    mask: Mask,
    drawn: Drawn,
}

impl Ui {
    /// `env` looks up NO_COLOR, CLICOLOR_FORCE and TERM.
    pub(crate) fn new(talk: Talk, env: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
        let forced = env("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
        let plain = set("NO_COLOR") || env("TERM").is_some_and(|term| term == "dumb");
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let colour = |terminal: bool| match talk.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => forced || (terminal && !plain),
        };
        Ui {
            talk,
            to_terminal: out,
            colour: colour(out),
            colour_in_files: colour(false),
            colour_talk: colour(err),
            mask: Mask::default(),
            drawn: Drawn::default(),
        }
    }

    /// One that says nothing, and does not look for a terminal.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        let talk = Talk { quiet: true, ..Talk::default() };
        Ui {
            talk,
            to_terminal: false,
            colour: false,
            colour_in_files: false,
            colour_talk: false,
            mask: Mask::default(),
            drawn: Drawn::default(),
        }
    }

    /// The same, for those who want to see no progress.
    pub(crate) fn without_progress(&self) -> Self {
        Ui { talk: Talk { progress: ProgressMode::None, ..self.talk }, ..self.clone() }
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.talk.quiet
    }

    /// What must not be printed.
    pub(crate) fn mask(&self) -> &Mask {
        &self.mask
    }

    /// One remark.
    pub(crate) fn say(&self, text: &str) {
        if !self.talk.quiet {
            self.write(text);
        }
    }

    /// Something that must be known even to those who want to hear nothing.
    pub(crate) fn warn(&self, text: &str) {
        self.write(text);
    }

    /// A remark for those who asked for more, by `-v` (1) or `-vv` (2).
    pub(crate) fn detail(&self, level: u8, text: impl FnOnce() -> String) {
        if self.talk.verbose >= level {
            let (on, off) = self.dim();
            self.write(&format!("{on}{}{off}", text()));
        }
    }

    /// Says that a result has more rows than were shown; to programs in their way.
    pub(crate) fn truncated(&self, shown: usize, text: &str) {
        match self.talk.errors {
            ErrorFormat::Text => self.say(text),
            ErrorFormat::Json => {
                let notice = json!({"notice": {"code": "TRUNCATED", "message": text, "rows_shown": shown}});
                self.write(&notice.to_string());
            }
        }
    }

    /// Says which names that were asked for are not there; also when quiet, as what was found of
    /// them is not what was meant.
    pub(crate) fn unknown_names(&self, names: &[UnknownName]) {
        for name in names {
            self.notice("UNKNOWN_NAME", &name.to_string());
        }
    }

    /// Says something about the configuration that must not be overlooked.
    pub(crate) fn caution(&self, text: &str) {
        self.notice("CONFIG", text);
    }

    /// Something about a result that must not be overlooked; to programs in their way.
    pub(crate) fn notice(&self, code: &str, text: &str) {
        if self.talk.errors == ErrorFormat::Json {
            self.write(&json!({"notice": {"code": code, "message": text}}).to_string());
            return;
        }
        let label = if self.colour_talk { "\u{1b}[1;33mwarning\u{1b}[0m" } else { "warning" };
        self.write(&format!("{label}: {text}"));
    }

    /// An error, in up to three lines or as one JSON object; also when quiet.
    pub(crate) fn error(&self, error: &Told<'_>) {
        if self.talk.errors == ErrorFormat::Json {
            self.write(&error.json().to_string());
            return;
        }
        let label = if self.colour_talk { "\u{1b}[1;31merror\u{1b}[0m" } else { "error" };
        let mut text = format!("{label}: {}", error.what);
        for (name, line) in [("cause", error.why), ("try", error.next)] {
            if let Some(line) = line {
                text.push_str(&format!("\n  {name}: {line}"));
            }
        }
        self.write(&text);
    }

    /// Progress over so many days.
    pub(crate) fn progress(&self, from: jiff::civil::Date, to: jiff::civil::Date) -> Progress {
        Progress::of_days(self, from, to)
    }

    /// Progress over so many files.
    pub(crate) fn progress_of_files(&self, files: usize) -> Progress {
        Progress::new(self, "file", files as u64)
    }

    /// Shows that a query is running, if it takes long.
    pub(crate) fn working(&self) -> Working {
        Working::new(self)
    }

    fn dim(&self) -> (&'static str, &'static str) {
        if self.colour_talk { ("\u{1b}[2m", "\u{1b}[0m") } else { ("", "") }
    }

    fn write(&self, text: &str) {
        let mut text = self.mask.over(text);
        if self.talk.timestamps {
            text = stamped(&text, Timestamp::now());
        }
        // In one piece. There is nobody to tell when stderr is gone.
        self.drawn.aside(|| drop(io::stderr().write_all(format!("{text}\n").as_bytes())));
    }
}

/// The lines with the time before them; of a JSON object, in it.
fn stamped(text: &str, now: Timestamp) -> String {
    let time = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    if let Ok(mut object) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) {
        object.insert("time".to_owned(), time.into());
        return serde_json::Value::Object(object).to_string();
    }
    let lines: Vec<String> = text.split('\n').map(|line| format!("{time} {line}")).collect();
    lines.join("\n")
}

/// An error as it is told.
#[derive(Clone, Debug)]
pub(crate) struct Told<'a> {
    pub(crate) code: &'static str,
    pub(crate) exit: u8,
    pub(crate) what: &'a str,
    pub(crate) why: Option<&'a str>,
    pub(crate) next: Option<&'a str>,
    /// Whether the same command may succeed later.
    pub(crate) retryable: bool,
    pub(crate) retry_after: Option<Duration>,
}

impl Told<'_> {
    fn json(&self) -> serde_json::Value {
        json!({"error": {
            "code": self.code,
            "exit_code": self.exit,
            "message": self.what,
            "cause": self.why,
            "hint": self.next,
            "retryable": self.retryable,
            "retry_after_seconds": self.retry_after.map(|wait| wait.as_secs() + 1),
        }})
    }
}

/// So much per second.
pub(crate) fn rate(amount: f64, time: Duration) -> f64 {
    amount / time.as_secs_f64().max(0.001)
}

/// Bytes in MB (10⁶), with one decimal.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

/// So many of a thing: `1 row`, `2 rows`, `3 queries`.
pub(crate) fn counted(number: u64, one: &str) -> String {
    let many = match one.strip_suffix('y') {
        _ if number == 1 => one.to_owned(),
        Some(stem) if !stem.ends_with(['a', 'e', 'o']) => format!("{stem}ies"),
        _ => format!("{one}s"),
    };
    format!("{} {many}", thousands(number))
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

    fn coloured(color: Color, vars: &[(&str, &str)]) -> bool {
        let env =
            |name: &str| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        // Under test, neither stream need be a terminal; forcing shows all the same.
        let ui = Ui::new(Talk { color, ..Talk::default() }, env);
        ui.colour_talk
    }

    #[test]
    fn each_line_of_a_log_has_its_time() {
        let now = "2025-07-01T12:00:00.5Z".parse().unwrap();
        assert_eq!(
            stamped("error: a\n  try: b", now),
            "2025-07-01T12:00:00Z error: a\n2025-07-01T12:00:00Z   try: b"
        );
        assert_eq!(stamped("{\"error\":{}}", now), "{\"error\":{},\"time\":\"2025-07-01T12:00:00Z\"}");
    }

    #[test]
    fn colour_follows_the_flag_then_force() {
        assert!(coloured(Color::Always, &[("NO_COLOR", "1")]));
        assert!(!coloured(Color::Never, &[("CLICOLOR_FORCE", "1")]));
        assert!(coloured(Color::Auto, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
        assert!(!coloured(Color::Auto, &[("CLICOLOR_FORCE", "0"), ("NO_COLOR", "1")]));
    }

    #[test]
    fn one_is_one_and_the_others_are_many() {
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(0, "row"), "0 rows");
        assert_eq!(counted(1_200, "query"), "1,200 queries");
        assert_eq!(counted(2, "day"), "2 days");
    }

    #[test]
    fn numbers_are_grouped() {
        let shown = [0, 999, 1000, 59_700, 1_234_567].map(thousands);
        assert_eq!(shown, ["0", "999", "1,000", "59,700", "1,234,567"]);
    }
}
