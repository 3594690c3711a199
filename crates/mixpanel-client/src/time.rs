//! What the `time` of an exported event means.
//!
//! Projects created from 2023 on export true UTC. Older projects store and export the project's
//! wall clock, as the number of seconds that this wall clock would be if it were UTC. The API does
//! not tell which of the two a project is, so the caller says it. `mp_processing_time_ms` is true
//! UTC in both.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The last microsecond since 1970 that is taken for a time: 9999-12-31T23:59:59.999999 UTC.
pub(crate) const LAST_MICROSECOND: i64 = 253_402_300_799_999_999;

/// Which of Mixpanel's two clocks a project's event times follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ClockMode {
    /// True UTC: projects created on or after 2023-01-01.
    #[default]
    Utc,
    /// The project's wall clock read as if it were UTC: projects created before 2023.
    LocalAsUtc,
}

/// A time zone name that the time zone database does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time zone (expected a name like `America/New_York`)")]
pub struct UnknownTimeZone(String);

/// A project's time zone, and how its export uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectClock {
    name: String,
    timezone: TimeZone,
    mode: ClockMode,
}

impl Default for ProjectClock {
    fn default() -> Self {
        Self { name: "UTC".to_owned(), timezone: TimeZone::UTC, mode: ClockMode::Utc }
    }
}

/// Wall time within which a zone's offset is certainly one and the same: from a transition's
/// neighbourhood to the next one's. Outside of it every value is looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OffsetWindow {
    from: i64,
    until: i64,
    offset: i64,
}

impl OffsetWindow {
    pub(crate) const EMPTY: OffsetWindow = OffsetWindow { from: 0, until: 0, offset: 0 };
}

/// How far around a transition wall times may be ambiguous or missing. The largest jumps there ever
/// were (the date line moving across an island) are 24 hours.
const NEIGHBOURHOOD: i64 = 26 * 3600 * 1_000_000;

impl ProjectClock {
    /// The clock of a project whose settings show the IANA time zone `tz_name`.
    ///
    /// # Errors
    /// The name is not in the time zone database.
    pub fn new(tz_name: &str, mode: ClockMode) -> Result<Self, UnknownTimeZone> {
        let timezone = TimeZone::get(tz_name).map_err(|_| UnknownTimeZone(tz_name.to_owned()))?;
        Ok(Self { name: tz_name.to_owned(), timezone, mode })
    }

    /// The zone's name, as given.
    pub fn timezone_name(&self) -> &str {
        &self.name
    }

    /// The zone.
    pub fn timezone(&self) -> &TimeZone {
        &self.timezone
    }

    /// Which clock the export uses.
    pub fn mode(&self) -> ClockMode {
        self.mode
    }

    /// The UTC instant of an exported `time`, both in microseconds.
    ///
    /// A wall time that occurs twice (clocks set back) is taken as its first occurrence, one that
    /// never occurs (clocks set forward) as if the clocks had not been set forward yet: 02:30 is
    /// then the instant 03:30 names. The export itself does not tell the two occurrences apart.
    pub fn to_utc_micros(&self, exported: i64) -> i64 {
        match self.mode {
            ClockMode::Utc => exported,
            ClockMode::LocalAsUtc => self.resolve(exported).map_or(exported, Timestamp::as_microsecond),
        }
    }

    /// The project day an event belongs to: the date of its exported time, which is the one that
    /// `from_date` and `to_date` of an export select by.
    pub fn day_of(&self, utc_micros: i64) -> Date {
        let wall = match (self.mode, Timestamp::from_microsecond(utc_micros)) {
            (ClockMode::LocalAsUtc, Ok(instant)) => {
                utc_micros.saturating_add(i64::from(self.timezone.to_offset(instant).seconds()) * 1_000_000)
            }
            _ => utc_micros,
        };
        wall_time(wall).map_or(if wall < 0 { Date::MIN } else { Date::MAX }, DateTime::date)
    }

    /// [`to_utc_micros`](Self::to_utc_micros) for many values near each other.
    #[inline]
    pub(crate) fn to_utc_within(&self, window: &mut OffsetWindow, exported: i64) -> i64 {
        match self.mode {
            ClockMode::Utc => exported,
            ClockMode::LocalAsUtc if exported >= window.from && exported < window.until => {
                exported - window.offset
            }
            ClockMode::LocalAsUtc => self.look_up(window, exported),
        }
    }

    #[cold]
    fn look_up(&self, window: &mut OffsetWindow, exported: i64) -> i64 {
        let Some(instant) = self.resolve(exported) else { return exported };
        let utc = instant.as_microsecond();
        let offset = exported - utc;
        let just_after = instant.checked_add(SignedDuration::from_micros(1)).unwrap_or(instant);
        let bound = |transition: Option<Timestamp>, margin: i64, otherwise: i64| {
            transition.map_or(otherwise, |at| at.as_microsecond() + offset + margin)
        };
        let before = self.timezone.preceding(just_after).next().map(|found| found.timestamp());
        let after = self.timezone.following(instant).next().map(|found| found.timestamp());
        let from = bound(before, NEIGHBOURHOOD, i64::MIN);
        let until = bound(after, -NEIGHBOURHOOD, i64::MAX);
        if exported >= from && exported < until {
            *window = OffsetWindow { from, until, offset };
        }
        utc
    }

    /// The instant of a wall time, by the rule of [`to_utc_micros`](Self::to_utc_micros).
    fn resolve(&self, wall_micros: i64) -> Option<Timestamp> {
        self.timezone.to_timestamp(wall_time(wall_micros)?).ok()
    }
}

fn wall_time(micros: i64) -> Option<DateTime> {
    DateTime::constant(1970, 1, 1, 0, 0, 0, 0).checked_add(SignedDuration::from_micros(micros)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn micros(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    fn new_york() -> ProjectClock {
        ProjectClock::new("America/New_York", ClockMode::LocalAsUtc).unwrap()
    }

    /// An exported wall time, and the instant it must become, written in RFC 3339.
    #[track_caller]
    fn check(clock: &ProjectClock, exported: &str, utc: &str) {
        let got = clock.to_utc_micros(micros(exported));
        assert_eq!(Timestamp::from_microsecond(got).unwrap().to_string(), utc);
        let mut window = OffsetWindow::EMPTY;
        for _ in 0..2 {
            assert_eq!(clock.to_utc_within(&mut window, micros(exported)), got);
        }
    }

    #[test]
    fn utc_is_left_alone() {
        let clock = ProjectClock::new("America/New_York", ClockMode::Utc).unwrap();
        check(&clock, "2024-07-01T12:00:00Z", "2024-07-01T12:00:00Z");
        assert_eq!(clock.day_of(micros("2024-07-01T03:00:00Z")), date(2024, 7, 1));
        assert_eq!(ProjectClock::default().day_of(-1), date(1969, 12, 31));
    }

    #[test]
    fn summer_and_winter() {
        check(&new_york(), "2022-07-01T12:00:00.25Z", "2022-07-01T16:00:00.25Z");
        check(&new_york(), "2022-01-01T12:00:00Z", "2022-01-01T17:00:00Z");
    }

    #[test]
    fn clocks_set_forward() {
        check(&new_york(), "2022-03-13T01:59:59Z", "2022-03-13T06:59:59Z");
        check(&new_york(), "2022-03-13T02:30:00Z", "2022-03-13T07:30:00Z");
        check(&new_york(), "2022-03-13T03:30:00Z", "2022-03-13T07:30:00Z");
    }

    #[test]
    fn clocks_set_back() {
        check(&new_york(), "2022-11-06T00:59:59Z", "2022-11-06T04:59:59Z");
        check(&new_york(), "2022-11-06T01:00:00Z", "2022-11-06T05:00:00Z");
        check(&new_york(), "2022-11-06T01:59:59Z", "2022-11-06T05:59:59Z");
        check(&new_york(), "2022-11-06T02:00:00Z", "2022-11-06T07:00:00Z");
    }

    #[test]
    fn days_are_those_of_the_exported_time() {
        for exported in ["2022-11-06T00:30:00Z", "2022-11-06T01:30:00Z", "2022-11-06T23:59:59Z"] {
            let utc = new_york().to_utc_micros(micros(exported));
            assert_eq!(new_york().day_of(utc), date(2022, 11, 6));
        }
    }

    #[test]
    fn the_window_changes_no_result() {
        for zone in ["America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata", "UTC"] {
            let clock = ProjectClock::new(zone, ClockMode::LocalAsUtc).unwrap();
            let mut window = OffsetWindow::EMPTY;
            let (from, until) = (micros("2011-01-01T00:00:00Z"), micros("2013-01-01T00:00:00Z"));
            for exported in (from..until).step_by(17 * 60 * 1_000_000) {
                let direct = clock.to_utc_micros(exported);
                assert_eq!(clock.to_utc_within(&mut window, exported), direct, "{zone} {exported}");
            }
        }
    }

    #[test]
    fn far_ends_do_not_fail() {
        let clock = new_york();
        for exported in [i64::MIN, i64::MAX, 0, micros("9999-12-30T00:00:00Z") + 86_400_000_000] {
            clock.to_utc_micros(exported);
            clock.day_of(exported);
            clock.to_utc_within(&mut { OffsetWindow::EMPTY }, exported);
        }
    }

    #[test]
    fn names_are_checked() {
        let error = ProjectClock::new("America/Gotham", ClockMode::Utc).unwrap_err();
        assert!(error.to_string().contains("America/Gotham"));
        assert_eq!(new_york().timezone_name(), "America/New_York");
    }
}
