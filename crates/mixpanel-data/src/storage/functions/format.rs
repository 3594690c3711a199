//! `strftime` with the format specifiers of DuckDB, for an instant in UTC.

use std::fmt::Write;

use jiff::civil::DateTime;

use super::Fallible;

/// The text of a time, after DuckDB's page on date formats.
pub(super) fn strftime(format: &str, time: DateTime) -> Fallible<String> {
    let mut out = String::with_capacity(format.len() + 16);
    let mut rest = format.chars();
    while let Some(letter) = rest.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let (plain, specifier) = match rest.next() {
            Some('-') => (true, rest.next()),
            other => (false, other),
        };
        // Writing to a string cannot fail.
        let done = specifier.is_some_and(|specifier| one(&mut out, specifier, plain, time).is_some());
        if !done {
            let shown: String = ['%'].into_iter().chain(plain.then_some('-')).chain(specifier).collect();
            return Err(format!("Unrecognized format for strftime: {shown}").into());
        }
    }
    Ok(out)
}

fn one(out: &mut String, specifier: char, plain: bool, time: DateTime) -> Option<()> {
    let date = time.date();
    let hour = i64::from(time.hour());
    let hour_of_half_day = (hour + 11) % 12 + 1;
    let day_of_year = i64::from(date.day_of_year());
    // Weeks of the year, the first one beginning with its first Sunday or Monday.
    let week = |offset: i8| (day_of_year + 6 - i64::from(offset)) / 7;
    let (number, width) = match specifier {
        'd' => (i64::from(time.day()), 2),
        'm' => (i64::from(time.month()), 2),
        'y' => (i64::from(time.year()).rem_euclid(100), 2),
        'H' => (hour, 2),
        'I' => (hour_of_half_day, 2),
        'M' => (i64::from(time.minute()), 2),
        'S' => (i64::from(time.second()), 2),
        'j' => (day_of_year, 3),
        _ if plain => return None,
        'w' => (i64::from(date.weekday().to_sunday_zero_offset()), 1),
        'u' => (i64::from(date.weekday().to_monday_one_offset()), 1),
        'Y' => (i64::from(time.year()), 4),
        'G' => (i64::from(date.iso_week_date().year()), 4),
        'V' => (i64::from(date.iso_week_date().week()), 2),
        'U' => (week(date.weekday().to_sunday_zero_offset()), 2),
        'W' => (week(date.weekday().to_monday_zero_offset()), 2),
        'g' => (i64::from(time.millisecond()), 3),
        'f' => (i64::from(time.subsec_nanosecond() / 1_000), 6),
        'n' => (i64::from(time.subsec_nanosecond()), 9),
        _ => return text(out, specifier, time),
    };
    let width = if plain { 0 } else { width };
    write!(out, "{number:0width$}").ok()
}

fn text(out: &mut String, specifier: char, time: DateTime) -> Option<()> {
    let jiff = match specifier {
        'a' => "%a",
        'A' => "%A",
        'b' | 'h' => "%b",
        'B' => "%B",
        'p' => "%p",
        'c' => "%Y-%m-%d %H:%M:%S",
        'x' => "%Y-%m-%d",
        'X' => "%H:%M:%S",
        'z' => return out.write_str("+00").ok(),
        'Z' => return out.write_str("UTC").ok(),
        '%' => return out.write_str("%").ok(),
        _ => return None,
    };
    write!(out, "{}", time.strftime(jiff)).ok()
}
