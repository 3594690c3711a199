//! What a result looks like: decided from its columns, and nothing else.
//!
//! | columns | picture |
//! |---|---|
//! | a column `step`, and a number | steps of a funnel |
//! | a group, and three or more numbers named `day_0`, `week_1`, `2` … | heat map (retention) |
//! | a group, a number named like an age (`day`, `week`, `age` …), a number | heat map (retention) |
//! | a time, and numbers | lines |
//! | a time, texts, a number | lines, one for each combination of the texts |
//! | texts or a number, and a number | bars, one for each combination of the texts |
//!
//! What finds no place in the picture is told.

use std::collections::{BTreeSet, HashMap};

use jiff::civil::{DateTime, Time};
use jiff::tz::Offset;
use mixpanel_data::Value;

use super::series::{long_lines, wide_lines};
use super::{Frame, Kind};
use crate::error::Error;
use crate::output::clean;
use crate::ui::thousands;

/// A picture, with everything that is needed to draw it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Picture {
    Lines {
        /// What the times are.
        across: String,
        /// What the figures are, where one name stands for all lines.
        up: Option<String>,
        times: Vec<String>,
        series: Vec<Series>,
    },
    Bars {
        /// What is measured, and of what.
        name: String,
        bars: Vec<(String, f64)>,
    },
    Heat {
        /// What is measured, and by what.
        name: String,
        rows: Vec<String>,
        columns: Vec<String>,
        cells: Vec<Vec<Option<f64>>>,
    },
    Steps {
        name: String,
        steps: Vec<(String, f64)>,
    },
}

/// One line: a value, or none, for each time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) values: Vec<Option<f64>>,
}

/// A picture, and what it does not show.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drawing {
    pub(crate) picture: Picture,
    pub(crate) notes: Vec<String>,
}

impl Drawing {
    pub(super) fn new(picture: Picture) -> Self {
        Drawing { picture, notes: Vec::new() }
    }

    /// The same, with something that it does not show.
    pub(super) fn noting(mut self, note: Option<String>) -> Self {
        self.notes.extend(note);
        self
    }
}

/// More rows and columns than these no heat map shows; the first are kept.
const MOST_GROUPS: usize = 2_000;
const MOST_AGES: usize = 400;

/// The picture of a result.
pub(crate) fn natural(frame: &Frame) -> Result<Drawing, Error> {
    let of_kind = |kind: Kind| (0..frame.kinds.len()).filter(move |at| frame.kinds[*at] == kind);
    let (times, texts, numbers): (Vec<usize>, Vec<usize>, Vec<usize>) =
        (of_kind(Kind::Time).collect(), of_kind(Kind::Text).collect(), of_kind(Kind::Number).collect());
    if frame.rows.is_empty() {
        return Err(none("the result has no rows"));
    }
    if let Some(step) = frame.names.iter().position(|name| is_step(name))
        && let Some(number) = numbers.iter().copied().find(|at| *at != step)
    {
        let mut label: Vec<usize> = texts.iter().copied().filter(|at| *at != step).collect();
        if label.is_empty() {
            label.push(step);
        }
        let steps = pairs(frame, &label, number);
        let shown = [&label[..], &[step, number]].concat();
        return Ok(Drawing::new(Picture::Steps { name: frame.names[number].clone(), steps })
            .noting(unseen(frame, &shown)));
    }
    if let Some(heat) = heat(frame, &times, &texts, &numbers) {
        return Ok(heat);
    }
    let (drawing, shown) = match (times.first(), &texts[..], &numbers[..]) {
        (Some(time), [], [_, ..]) => (wide_lines(frame, *time, &numbers), [&[*time][..], &numbers].concat()),
        (Some(time), texts, [number, ..]) => {
            (long_lines(frame, *time, texts, *number), [texts, &[*time, *number]].concat())
        }
        (None, [_, ..], [number, ..]) => (bars(frame, &texts, *number), [&texts[..], &[*number]].concat()),
        (None, [], [group, number, ..]) => (bars(frame, &[*group], *number), vec![*group, *number]),
        _ => return Err(none("there is no number to draw next to a time or a name")),
    };
    Ok(drawing.noting(unseen(frame, &shown)))
}

/// Which columns a picture does not show.
fn unseen(frame: &Frame, shown: &[usize]) -> Option<String> {
    let others = (0..frame.names.len()).filter(|at| !shown.contains(at));
    let others: Vec<&str> = others.map(|at| frame.names[at].as_str()).collect();
    (!others.is_empty()).then(|| format!("the picture does not show {}", others.join(", ")))
}

/// A heat map, if the columns are those of one.
fn heat(frame: &Frame, times: &[usize], texts: &[usize], numbers: &[usize]) -> Option<Drawing> {
    let group = times.first().or(texts.first()).copied()?;
    let ages: Vec<usize> = numbers.iter().copied().filter(|at| age(&frame.names[*at]).is_some()).collect();
    let increasing = ages.windows(2).all(|pair| age(&frame.names[pair[0]]) < age(&frame.names[pair[1]]));
    if ages.len() >= 3 && increasing {
        let groups: Vec<usize> = times.iter().chain(texts).copied().collect();
        let shown = [&groups[..], &ages].concat();
        return Some(wide_heat(frame, &groups, &ages).noting(unseen(frame, &shown)));
    }
    match numbers {
        [first, value] if times.len() + texts.len() == 1 && is_age_name(&frame.names[*first]) => {
            Some(long_heat(frame, group, *first, *value))
        }
        _ => None,
    }
}

fn none(why: &str) -> Error {
    Error::setting(
        format!("this result cannot be drawn as a chart: {why}"),
        "a time and a number give lines, a name and a number bars, a column `step` a funnel",
    )
}

fn is_step(name: &str) -> bool {
    name.eq_ignore_ascii_case("step") || name.eq_ignore_ascii_case("step_number")
}

/// The number at the end of a name that is an age: `day_7`, `week 2`, `d1`, `3`.
fn age(name: &str) -> Option<u32> {
    let digits = name.len() - name.bytes().rev().take_while(u8::is_ascii_digit).count();
    let unit = name[..digits].trim_end_matches(['_', ' ']).to_lowercase();
    (unit.is_empty() || unit == "d" || unit == "w" || unit == "m" || is_age_name(&unit))
        .then(|| name[digits..].parse().ok())?
}

fn is_age_name(name: &str) -> bool {
    const NAMES: [&str; 11] = [
        "day",
        "week",
        "month",
        "hour",
        "age",
        "offset",
        "period",
        "bucket",
        "interval",
        "days_after",
        "weeks_after",
    ];
    NAMES.contains(&name.to_lowercase().as_str())
}

pub(super) fn label(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        // A day at midnight is a day.
        Value::DateTime(at) if at.time() == Time::midnight() => at.date().to_string(),
        Value::DateTime(at) => clock(*at),
        Value::Timestamp(at) => clock(Offset::UTC.to_datetime(*at)),
        other => clean(&other.to_text()),
    }
}

/// To the minute, or as exactly as it has to be.
fn clock(at: DateTime) -> String {
    let whole = at.second() == 0 && at.subsec_nanosecond() == 0;
    at.strftime(if whole { "%F %H:%M" } else { "%F %T%.f" }).to_string()
}

/// What tells a value from others of its column; labels can be the same for several. `None` is NULL.
pub(super) fn key(value: &Value) -> Option<String> {
    (!value.is_null()).then(|| value.to_text())
}

pub(super) fn number(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| number.is_finite())
}

/// What several columns say together.
pub(super) fn labels(row: &[Value], columns: &[usize]) -> String {
    columns.iter().map(|at| label(&row[*at])).collect::<Vec<_>>().join(" · ")
}

/// The names of several columns.
pub(super) fn names(frame: &Frame, columns: &[usize]) -> String {
    columns.iter().map(|at| frame.names[*at].as_str()).collect::<Vec<_>>().join(", ")
}

fn pairs(frame: &Frame, group: &[usize], value: usize) -> Vec<(String, f64)> {
    frame.rows.iter().map(|row| (labels(row, group), number(&row[value]).unwrap_or(0.0))).collect()
}

fn bars(frame: &Frame, group: &[usize], value: usize) -> Drawing {
    let missing = frame.rows.iter().filter(|row| number(&row[value]).is_none()).count();
    let name = format!("{} by {}", frame.names[value], names(frame, group));
    Drawing::new(Picture::Bars { name, bars: pairs(frame, group, value) }).noting(
        (missing > 0)
            .then(|| format!("{} of the bars have no value and are drawn as 0", thousands(missing as u64))),
    )
}

fn wide_heat(frame: &Frame, groups: &[usize], ages: &[usize]) -> Drawing {
    Drawing::new(Picture::Heat {
        name: format!("by {}", names(frame, groups)),
        rows: frame.rows.iter().map(|row| labels(row, groups)).collect(),
        columns: ages.iter().map(|at| frame.names[*at].clone()).collect(),
        cells: frame.rows.iter().map(|row| ages.iter().map(|at| number(&row[*at])).collect()).collect(),
    })
}

fn long_heat(frame: &Frame, group: usize, age: usize, value: usize) -> Drawing {
    let mut rows: Vec<String> = Vec::new();
    let mut places: HashMap<Option<String>, usize> = HashMap::new();
    let mut ages: BTreeSet<i64> = BTreeSet::new();
    for row in &frame.rows {
        places.entry(key(&row[group])).or_insert_with(|| {
            rows.push(label(&row[group]));
            rows.len() - 1
        });
        ages.extend(row[age].as_i64());
    }
    let left_out = (rows.len() > MOST_GROUPS || ages.len() > MOST_AGES).then(|| {
        format!(
            "the picture shows {} of {} rows and {} of {} columns",
            thousands(rows.len().min(MOST_GROUPS) as u64),
            thousands(rows.len() as u64),
            thousands(ages.len().min(MOST_AGES) as u64),
            thousands(ages.len() as u64)
        )
    });
    rows.truncate(MOST_GROUPS);
    let columns: Vec<i64> = ages.into_iter().take(MOST_AGES).collect();
    let mut cells = vec![vec![None; columns.len()]; rows.len()];
    for row in &frame.rows {
        let line = places.get(&key(&row[group])).and_then(|at| cells.get_mut(*at));
        let column = row[age].as_i64().and_then(|age| columns.binary_search(&age).ok());
        if let (Some(line), Some(column)) = (line, column) {
            line[column] = number(&row[value]);
        }
    }
    let name = format!("{} by {} and {}", frame.names[value], frame.names[group], frame.names[age]);
    let columns = columns.iter().map(i64::to_string).collect();
    Drawing::new(Picture::Heat { name, rows, columns, cells }).noting(left_out)
}

#[cfg(test)]
#[path = "natural_tests.rs"]
mod tests;
