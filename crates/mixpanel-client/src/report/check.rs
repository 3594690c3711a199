//! What reports check before anybody is asked.

use super::{EventSelector, Filter, GroupBy, PropertyRef, Test, TimeRange, Window};
use crate::days;
use crate::error::{ErrorKind, Result};
use crate::words::TimeUnit;

/// A report that can be checked.
pub(super) trait Check {
    fn check(&self) -> Result<()>;

    /// The events that it names.
    fn events(&self) -> Vec<&str>;
}

/// The longest window: a year and a day or two.
const LONGEST_WINDOW: u64 = 367 * 86_400;

pub(super) fn fail<T>(what: impl Into<String>) -> Result<T> {
    Err(ErrorKind::InvalidRequest { what: what.into() }.into())
}

pub(super) fn check_selector(selector: &EventSelector, place: &str) -> Result<()> {
    if selector.event.trim().is_empty() {
        return fail(format!("{place}: the name of the event is empty"));
    }
    check_filters(&selector.filters, place)
}

pub(super) fn check_property(property: &PropertyRef, place: &str) -> Result<()> {
    if property.name.trim().is_empty() {
        return fail(format!("{place}: the name of the property is empty"));
    }
    Ok(())
}

pub(super) fn check_filters(filters: &[Filter], place: &str) -> Result<()> {
    for filter in filters {
        check_property(&filter.property, place)?;
        let name = &filter.property.name;
        match &filter.test {
            Test::Equals(values) | Test::NotEquals(values) if values.is_empty() => {
                return fail(format!("{place}: the condition on `{name}` compares with nothing"));
            }
            Test::Contains(part) | Test::NotContains(part) if part.is_empty() => {
                return fail(format!("{place}: the condition on `{name}` looks for an empty text"));
            }
            Test::Between(low, high) if low > high => {
                return fail(format!(
                    "{place}: the condition on `{name}` is between {low} and {high}, and the first is larger"
                ));
            }
            Test::GreaterThan(number)
            | Test::AtLeast(number)
            | Test::LessThan(number)
            | Test::AtMost(number)
                if !number.is_finite() =>
            {
                return fail(format!("{place}: the condition on `{name}` compares with {number}"));
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn check_groups(groups: &[GroupBy]) -> Result<()> {
    for group in groups {
        check_property(&group.property, "the breakdown")?;
        if group.width.is_some_and(|width| !(width.is_finite() && width > 0.0)) {
            return fail(format!(
                "the breakdown by `{}`: the width of ranges is not a positive number",
                group.property.name
            ));
        }
    }
    Ok(())
}

pub(super) fn check_time(time: &TimeRange) -> Result<()> {
    match time {
        TimeRange::Between { from, to } => days::check(*from, *to),
        TimeRange::Last { count: 0, .. } => fail("a time range of nothing: `last` needs at least one"),
        TimeRange::Last { unit: TimeUnit::Hour, .. } => {
            fail("the last hours cannot be asked for: take days, weeks or months")
        }
        TimeRange::Last { .. } => Ok(()),
    }
}

pub(super) fn check_window(window: Window) -> Result<()> {
    if window.count == 0 || window.seconds() > LONGEST_WINDOW {
        return fail(format!(
            "a window of {} {}s is not between 1 second and 367 days",
            window.count, window.unit
        ));
    }
    Ok(())
}
