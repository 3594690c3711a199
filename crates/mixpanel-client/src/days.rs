//! Ranges of project days, checked before they are sent.

use std::ops::RangeInclusive;

use jiff::civil::Date;

use crate::error::{ErrorKind, Result};

/// Years that are written with four digits and that Mixpanel can have data for.
const YEARS: RangeInclusive<i16> = 1970..=9999;

/// What is wrong with a range, if anything is.
pub(crate) fn fault(from: Date, to: Date) -> Option<String> {
    if from > to {
        return Some(format!("the first day ({from}) is after the last day ({to})"));
    }
    let day = [from, to].into_iter().find(|day| !YEARS.contains(&day.year()))?;
    Some(format!("the year of {day} is not between {} and {}", YEARS.start(), YEARS.end()))
}

/// Refuses a range that makes no sense.
pub(crate) fn check(from: Date, to: Date) -> Result<()> {
    fault(from, to).map_or(Ok(()), |what| Err(ErrorKind::InvalidRequest { what }.into()))
}

/// Refuses a limit that is out of range.
pub(crate) fn check_limit(limit: Option<u32>, most: u32) -> Result<()> {
    match limit.filter(|limit| !(1..=most).contains(limit)) {
        Some(limit) => {
            let what = format!("the limit {limit} is not between 1 and {most}");
            Err(ErrorKind::InvalidRequest { what }.into())
        }
        None => Ok(()),
    }
}

/// All days of a range.
pub(crate) fn each(from: Date, to: Date) -> impl Iterator<Item = Date> {
    from.series(jiff::Span::new().days(1)).take_while(move |day| *day <= to)
}
