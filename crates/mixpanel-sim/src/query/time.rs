//! Buckets of time on the project's wall clock.
//!
//! Moments are milliseconds of the wall clock read as if it were UTC; a bucket is named by its first moment.

use jiff::civil::{Date, DateTime, date};
use jiff::{Span, ToSpan};

/// Milliseconds of an hour.
pub(crate) const HOUR_MS: i64 = 3_600_000;
/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// The length of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Minute,
    Hour,
    Day,
    /// From Monday on.
    Week,
    Month,
}

impl Unit {
    /// The unit's name, as parameters have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Unit::Minute => "minute",
            Unit::Hour => "hour",
            Unit::Day => "day",
            Unit::Week => "week",
            Unit::Month => "month",
        }
    }

    /// The first moment of the bucket that a moment is in.
    pub(crate) fn floor(self, wall: i64) -> i64 {
        match self {
            Unit::Minute => wall - wall.rem_euclid(60_000),
            Unit::Hour => wall - wall.rem_euclid(HOUR_MS),
            Unit::Day => wall - wall.rem_euclid(DAY_MS),
            // The first of January 1970 was a Thursday.
            Unit::Week => wall - (wall + 3 * DAY_MS).rem_euclid(7 * DAY_MS),
            Unit::Month => start_of(date_of(wall).first_of_month()),
        }
    }

    /// The bucket that is `count` buckets later, or earlier if it is negative.
    pub(crate) fn step(self, bucket: i64, count: i64) -> i64 {
        match self {
            Unit::Minute => bucket + 60_000 * count,
            Unit::Hour => bucket + HOUR_MS * count,
            Unit::Day => bucket + DAY_MS * count,
            Unit::Week => bucket + 7 * DAY_MS * count,
            Unit::Month => {
                let months = Span::new().try_months(count).unwrap_or_default();
                start_of(date_of(bucket).saturating_add(months))
            }
        }
    }

    /// How a bucket is written: a date, with the time where buckets are shorter than a day.
    pub(crate) fn label(self, bucket: i64) -> String {
        match self {
            Unit::Minute | Unit::Hour => clock_of(bucket).strftime("%Y-%m-%d %H:%M:%S").to_string(),
            Unit::Day | Unit::Week | Unit::Month => date_of(bucket).to_string(),
        }
    }
}

/// The first moment of a day.
pub(crate) fn start_of(day: Date) -> i64 {
    let days = date(1970, 1, 1).until(day).map_or(0, |span| i64::from(span.get_days()));
    days * DAY_MS
}

/// The day of a moment.
pub(crate) fn date_of(wall: i64) -> Date {
    let days = wall.div_euclid(DAY_MS);
    date(1970, 1, 1).saturating_add(Span::new().try_days(days).unwrap_or_default())
}

/// Date and time of a moment.
pub(crate) fn clock_of(wall: i64) -> DateTime {
    date_of(wall).at(0, 0, 0, 0).saturating_add(wall.rem_euclid(DAY_MS).milliseconds())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets() {
        let wall = start_of(date(2025, 7, 3)) + 13 * HOUR_MS + 61_001;
        for (unit, floor, next) in [
            (Unit::Minute, "2025-07-03 13:01:00", "2025-07-03 13:02:00"),
            (Unit::Hour, "2025-07-03 13:00:00", "2025-07-03 14:00:00"),
            (Unit::Day, "2025-07-03", "2025-07-04"),
            (Unit::Week, "2025-06-30", "2025-07-07"),
            (Unit::Month, "2025-07-01", "2025-08-01"),
        ] {
            let bucket = unit.floor(wall);
            assert_eq!(unit.label(bucket), floor);
            assert_eq!(unit.label(unit.step(bucket, 1)), next);
            assert_eq!(unit.floor(bucket), bucket);
        }
        assert_eq!(Unit::Month.label(Unit::Month.step(start_of(date(2025, 1, 1)), -2)), "2024-11-01");
        assert_eq!(date_of(start_of(date(1969, 12, 31))), date(1969, 12, 31));
    }
}
