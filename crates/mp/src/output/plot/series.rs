//! Lines over time: which there are, and where they have gaps.

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;
use jiff::{SignedDuration, Span};
use mixpanel_data::Value;

use super::Frame;
use super::natural::{Drawing, Picture, Series, key, label, labels, names, number};
use crate::ui::thousands;

/// More lines than these cannot be told apart; the largest are kept.
pub(crate) const MOST_LINES: usize = 8;

/// No picture has more places for times that are missing.
const MOST_TIMES: i64 = 100_000;

/// Rows in the order of their time, as text sorts like the time it is of.
fn by_time(frame: &Frame, time: usize) -> Vec<&Vec<Value>> {
    let mut rows: Vec<&Vec<Value>> = frame.rows.iter().filter(|row| !row[time].is_null()).collect();
    // A `Z` at the end would come behind the point of a fraction.
    rows.sort_by_cached_key(|row| row[time].to_text().trim_end_matches('Z').to_owned());
    rows
}

/// A line for each number.
pub(super) fn wide_lines(frame: &Frame, time: usize, numbers: &[usize]) -> Drawing {
    let rows = by_time(frame, time);
    let axis = Axis::of(rows.iter().map(|row| &row[time]));
    let shown = &numbers[..numbers.len().min(MOST_LINES)];
    let series = shown.iter().map(|at| {
        let mut values = vec![None; axis.labels.len()];
        for (row, place) in rows.iter().zip(&axis.places) {
            values[*place] = number(&row[*at]);
        }
        Series { name: frame.names[*at].clone(), values }
    });
    let series: Vec<Series> = series.collect();
    let up = if let [one] = shown { Some(frame.names[*one].clone()) } else { None };
    Drawing::new(Picture::Lines { across: frame.names[time].clone(), up, times: axis.labels, series })
        .noting(cut(numbers.len(), "the first"))
        .noting(untimed(frame, time))
}

/// A line for each combination of texts.
pub(super) fn long_lines(frame: &Frame, time: usize, texts: &[usize], value: usize) -> Drawing {
    let rows = by_time(frame, time);
    let axis = Axis::of_distinct(rows.iter().map(|row| &row[time]));
    let group = |row: &[Value]| texts.iter().map(|at| key(&row[*at])).collect::<Vec<_>>();
    // Which lines are kept is known before any is made: there may be one for each row.
    let mut sums: BTreeMap<Vec<Option<String>>, (f64, &Vec<Value>)> = BTreeMap::new();
    for row in &rows {
        sums.entry(group(row)).or_insert((0.0, row)).0 += number(&row[value]).unwrap_or(0.0);
    }
    let all = sums.len();
    let mut kept: Vec<_> = sums.into_iter().collect();
    kept.sort_by(|(_, (a, _)), (_, (b, _))| b.total_cmp(a));
    kept.truncate(MOST_LINES);
    let line = |(_, (_, row)): &(_, (f64, &Vec<Value>))| Series {
        name: labels(row, texts),
        values: vec![None; axis.labels.len()],
    };
    let mut series: Vec<Series> = kept.iter().map(line).collect();
    let mut hidden = 0;
    for (row, place) in rows.iter().zip(&axis.places) {
        let name = group(row);
        if let Some(line) = kept.iter().position(|(known, _)| *known == name) {
            let before = series[line].values[*place].replace(number(&row[value]).unwrap_or(f64::NAN));
            hidden += usize::from(before.is_some());
        }
    }
    for value in series.iter_mut().flat_map(|series| &mut series.values) {
        *value = value.filter(|value| !value.is_nan());
    }
    let up = Some(format!("{} by {}", frame.names[value], names(frame, texts)));
    Drawing::new(Picture::Lines { across: frame.names[time].clone(), up, times: axis.labels, series })
        .noting(cut(all, "those with the largest sums"))
        .noting(untimed(frame, time))
        .noting(overdrawn(hidden, &frame.names[time]))
}

/// What is told of lines that are not drawn.
fn cut(all: usize, which: &str) -> Option<String> {
    let told = || format!("the picture shows {MOST_LINES} of {} lines: {which}", thousands(all as u64));
    (all > MOST_LINES).then(told)
}

/// What is told of rows without a time.
fn untimed(frame: &Frame, time: usize) -> Option<String> {
    match frame.rows.iter().filter(|row| row[time].is_null()).count() {
        0 => None,
        1 => Some(format!("one row without a {} is not drawn", frame.names[time])),
        more => {
            Some(format!("{} rows without a {} are not drawn", thousands(more as u64), frame.names[time]))
        }
    }
}

/// What is told of rows that another one hides.
fn overdrawn(hidden: usize, time: &str) -> Option<String> {
    match hidden {
        0 => None,
        1 => Some(format!("one row has the {time} and the name of another, which is not drawn")),
        more => Some(format!(
            "{} rows have the {time} and the name of another, which is not drawn",
            thousands(more as u64)
        )),
    }
}

/// The times of a picture, and the place of each row among them.
struct Axis {
    labels: Vec<String>,
    places: Vec<usize>,
}

impl Axis {
    /// A place for each row, and for times between them that are missing.
    fn of<'a>(times: impl Iterator<Item = &'a Value>) -> Self {
        let times: Vec<&Value> = times.collect();
        match steps(&times) {
            Some(axis) => axis,
            None => Axis {
                labels: times.iter().map(|time| label(time)).collect(),
                places: (0..times.len()).collect(),
            },
        }
    }

    /// The same, where several rows have one time.
    fn of_distinct<'a>(times: impl Iterator<Item = &'a Value>) -> Self {
        let times: Vec<&Value> = times.collect();
        let mut distinct: Vec<&Value> = times.clone();
        distinct.dedup();
        let axis = Axis::of(distinct.iter().copied());
        let mut at = 0;
        let place = |time: &&Value| {
            while distinct[at] != *time {
                at += 1;
            }
            axis.places[at]
        };
        let places = times.iter().map(place).collect();
        Axis { labels: axis.labels, places }
    }
}

/// Times that follow each other in equal steps, except for some that are missing: a place for each
/// step, so that a gap is a gap. None if there is no such step, or nothing is missing.
fn steps(times: &[&Value]) -> Option<Axis> {
    let at: Vec<DateTime> = times.iter().map(|time| instant(time)).collect::<Option<_>>()?;
    let (first, last) = (*at.first()?, *at.last()?);
    let months = |time: &DateTime| i64::from(time.year()) * 12 + i64::from(time.month());
    let monthly = at.iter().all(|time| (time.day(), time.time()) == (1, Time::midnight()));
    let numbers: Vec<i64> = if monthly {
        at.iter().map(months).collect()
    } else {
        at.iter().map(|time| time.duration_since(first).as_micros() as i64).collect()
    };
    let gaps = || numbers.windows(2).map(|pair| pair[1] - pair[0]);
    let step = gaps().min().filter(|step| *step > 0)?;
    let count = (numbers.last()? - numbers.first()?) / step + 1;
    if gaps().any(|gap| gap % step != 0) || count > MOST_TIMES || count == numbers.len() as i64 {
        return None;
    }
    // Two times alone, or a few that happen to fit, have no step.
    let fitting = gaps().filter(|gap| *gap == step).count();
    if fitting * 2 < numbers.len() - 1 || count > 10 * numbers.len() as i64 {
        return None;
    }
    let is_date = matches!(times.first(), Some(Value::Date(_)));
    let time = |place: i64| {
        let later = if monthly {
            first.checked_add(Span::new().months(place * step))
        } else {
            first.checked_add(SignedDuration::from_micros(place * step))
        };
        let later = later.unwrap_or(last);
        label(&if is_date { Value::Date(later.date()) } else { Value::DateTime(later) })
    };
    let places = numbers.iter().map(|number| usize::try_from((number - numbers[0]) / step).unwrap_or(0));
    Some(Axis { labels: (0..count).map(time).collect(), places: places.collect() })
}

fn instant(value: &Value) -> Option<DateTime> {
    match value {
        Value::Date(date) => Some(Date::to_datetime(*date, Time::midnight())),
        Value::DateTime(time) => Some(*time),
        Value::Timestamp(time) => Some(Offset::UTC.to_datetime(*time)),
        _ => None,
    }
}
