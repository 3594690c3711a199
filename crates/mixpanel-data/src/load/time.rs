//! Times as people write them, as the numbers that an export has. Pure.
//!
//! An export's `time` is in seconds, or from 100,000,000,000 on in milliseconds. What was written in
//! whole seconds stays in whole seconds, so that it is known to be no more precise.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use mixpanel_client::time::ProjectClock;

use super::recognise::TimeUnit;
use crate::storage::chunk::exported;

const SECOND: i64 = 1_000_000;

/// From here on an export's number is in milliseconds.
const FIRST_MILLISECOND: i64 = 100_000_000_000;

/// How the times of a column are written.
#[derive(Clone, Debug)]
pub(super) struct Times {
    pub(super) unit: Option<TimeUnit>,
    /// The zone of times that are written without one.
    pub(super) zone: Option<TimeZone>,
    /// What an export of the project would have for an instant.
    pub(super) clock: ProjectClock,
}

impl Times {
    /// The number of an export; `None` if it is no time.
    pub(super) fn number(&self, text: &str) -> Option<String> {
        let text = text.trim();
        if text.bytes().all(|byte| byte.is_ascii_digit() || b".-+eE".contains(&byte))
            && let Ok(number) = text.parse::<f64>()
        {
            return self.count(text, number);
        }
        of_text(text, Some(self))
    }

    /// A number since 1970.
    fn count(&self, text: &str, number: f64) -> Option<String> {
        let whole = text.parse::<i64>().ok();
        let unit = self.unit.unwrap_or(match number.abs() {
            small if small < 1e11 => TimeUnit::Seconds,
            small if small < 1e14 => TimeUnit::Milliseconds,
            small if small < 1e17 => TimeUnit::Microseconds,
            _ => TimeUnit::Nanoseconds,
        });
        let (times, parts) = match unit {
            TimeUnit::Seconds => (SECOND, 1),
            TimeUnit::Milliseconds => (1_000, 1),
            TimeUnit::Microseconds => (1, 1),
            TimeUnit::Nanoseconds => (1, 1_000),
        };
        let micros = match whole {
            Some(whole) => whole.checked_mul(times)?.div_euclid(parts),
            None => {
                let micros = (number * times as f64 / parts as f64).round();
                (micros.abs() < i64::MAX as f64).then_some(micros as i64)?
            }
        };
        Some(export(micros, unit == TimeUnit::Seconds && whole.is_some()))
    }
}

/// The number of an export for a time that is written with year, month and day. One with a zone is an
/// instant; one without is in the zone of `times`, or else as the project's clock shows it. Without
/// `times` all are read as an export's own numbers are: as UTC.
pub(super) fn of_text(text: &str, times: Option<&Times>) -> Option<String> {
    let text = text.trim();
    let whole = !text.contains('.');
    if let Some(instant) = instant(text) {
        let micros = instant.as_microsecond();
        return Some(export(times.map_or(micros, |times| exported(micros, &times.clock)), whole));
    }
    let wall: DateTime = text.parse().ok()?;
    // Text that names a zone in another way must not be taken for one without.
    if text.contains(['[', 'Z', 'z']) {
        return None;
    }
    let zone = times.and_then(|times| Some((times.zone.as_ref()?, &times.clock)));
    let micros = match zone {
        Some((zone, clock)) => exported(zone.to_timestamp(wall).ok()?.as_microsecond(), clock),
        None => Offset::UTC.to_timestamp(wall).ok()?.as_microsecond(),
    };
    Some(export(micros, whole))
}

/// A time with a zone: `2024-01-31T12:00:00Z`, `2024-01-31 12:00:00 UTC`, `… +02:00`.
fn instant(text: &str) -> Option<Timestamp> {
    let utc = ["UTC", "GMT"].iter().find_map(|name| text.strip_suffix(name));
    if let Some(wall) = utc {
        let wall: DateTime = wall.trim_end().parse().ok()?;
        return Offset::UTC.to_timestamp(wall).ok();
    }
    if let Ok(instant) = text.parse() {
        return Some(instant);
    }
    // A space before the offset is not of the standard, and usual.
    let (wall, offset) = text.rsplit_once(' ')?;
    offset.starts_with(['+', '-']).then(|| format!("{wall}{offset}").parse().ok())?
}

/// A time in microseconds, as an export writes it.
pub(super) fn export(micros: i64, whole_seconds: bool) -> String {
    if whole_seconds && micros % SECOND == 0 && (micros / SECOND).abs() < FIRST_MILLISECOND {
        return (micros / SECOND).to_string();
    }
    let (unit, count) = match (micros / 1_000).abs() >= FIRST_MILLISECOND {
        true => (1_000, micros / 1_000),
        // As milliseconds it would be read as seconds.
        false => (SECOND, micros / SECOND),
    };
    match micros.rem_euclid(unit) {
        0 => count.to_string(),
        part => {
            let sign = if micros < 0 { "-" } else { "" };
            let part = if micros < 0 { unit - part } else { part };
            let digits = if unit == SECOND { 6 } else { 3 };
            let text = format!("{sign}{}.{part:0digits$}", count.abs());
            text.trim_end_matches('0').to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixpanel_client::time::ClockMode;

    fn times(unit: Option<TimeUnit>, zone: Option<&str>, clock: &ProjectClock) -> Times {
        Times { unit, zone: zone.map(|name| TimeZone::get(name).unwrap()), clock: clock.clone() }
    }

    #[test]
    fn numbers_are_told_by_their_size() {
        let plain = times(None, None, &ProjectClock::default());
        for (text, number) in [
            ("1700000000", "1700000000"),
            ("1700000000123", "1700000000123"),
            ("1700000000123456", "1700000000123.456"),
            ("1700000000123456789", "1700000000123.456"),
            ("1700000000.25", "1700000000250"),
            ("0", "0"),
            ("12.5", "12.5"),
            ("1.7e9", "1700000000000"),
        ] {
            assert_eq!(plain.number(text).as_deref(), Some(number), "{text}");
        }
        let told = times(Some(TimeUnit::Milliseconds), None, &ProjectClock::default());
        assert_eq!(told.number("5000").as_deref(), Some("5"));
        assert_eq!(told.number("99999999999").as_deref(), Some("99999999.999"));
        assert_eq!(told.number("-1").as_deref(), Some("-0.001"));
    }

    #[test]
    fn texts_have_a_zone_or_get_one() {
        let utc = times(None, None, &ProjectClock::default());
        let berlin = times(None, Some("Europe/Berlin"), &ProjectClock::default());
        for (text, in_utc, in_berlin) in [
            ("2024-07-01T12:00:00Z", "1719835200", "1719835200"),
            ("2024-07-01 12:00:00 UTC", "1719835200", "1719835200"),
            ("2024-07-01 14:00:00+02:00", "1719835200", "1719835200"),
            ("2024-07-01 14:00:00 +02:00", "1719835200", "1719835200"),
            ("2024-07-01 12:00:00", "1719835200", "1719828000"),
            ("2024-07-01T12:00:00.5", "1719835200500", "1719828000500"),
            ("2024-07-01", "1719792000", "1719784800"),
        ] {
            assert_eq!(utc.number(text).as_deref(), Some(in_utc), "{text}");
            assert_eq!(berlin.number(text).as_deref(), Some(in_berlin), "{text}");
        }
        for none in ["", "soon", "07/01/2024", "2024-13-01", "2024-07-01 12:00:00[Mars/Base]"] {
            assert_eq!(utc.number(none), None, "{none}");
        }
    }

    #[test]
    fn an_instant_is_what_the_projects_clock_shows() {
        let local = ProjectClock::new("America/New_York", ClockMode::LocalAsUtc).unwrap();
        let times = times(None, None, &local);
        // 12:00 UTC is 8:00 there, and an export of such a project says so.
        assert_eq!(times.number("2024-07-01T12:00:00Z"), utc_number("2024-07-01 08:00:00"));
        assert_eq!(times.number("2024-07-01 08:00:00"), utc_number("2024-07-01 08:00:00"));
        assert_eq!(times.number("1719835200").as_deref(), Some("1719835200"));
    }

    fn utc_number(text: &str) -> Option<String> {
        of_text(text, None)
    }
}
