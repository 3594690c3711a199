//! What a result looks like: decided from its columns, and nothing else.
//!
//! | columns | picture |
//! |---|---|
//! | a column `step`, and a number | steps of a funnel |
//! | a group, and three or more numbers named `day_0`, `week_1`, `2` … | heat map (retention) |
//! | a group, a number named like an age (`day`, `week`, `age` …), a number | heat map (retention) |
//! | a time, and numbers | lines |
//! | a time, a text, a number | lines, one for each text |
//! | a text or a number, and a number | bars |

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::civil::{DateTime, Time};
use jiff::tz::Offset;
use mixpanel_data::Value;

use super::{Frame, Kind};
use crate::error::Error;
use crate::output::clean;
use crate::ui::thousands;

/// A picture, with everything that is needed to draw it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Picture {
    Lines {
        times: Vec<String>,
        series: Vec<Series>,
    },
    Bars {
        name: String,
        bars: Vec<(String, f64)>,
    },
    Heat {
        rows: Vec<String>,
        columns: Vec<String>,
        cells: Vec<Vec<Option<f64>>>,
        /// What did not find room, to be told.
        left_out: Option<String>,
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

/// More lines than these cannot be told apart; the largest are kept.
pub(crate) const MOST_LINES: usize = 8;
/// More rows and columns than these no heat map shows; the first are kept.
const MOST_GROUPS: usize = 2_000;
const MOST_AGES: usize = 400;

/// The picture of a result.
pub(crate) fn natural(frame: &Frame) -> Result<Picture, Error> {
    let of_kind = |kind: Kind| (0..frame.kinds.len()).filter(move |at| frame.kinds[*at] == kind);
    let (times, texts, numbers): (Vec<usize>, Vec<usize>, Vec<usize>) =
        (of_kind(Kind::Time).collect(), of_kind(Kind::Text).collect(), of_kind(Kind::Number).collect());
    if frame.rows.is_empty() {
        return Err(none("the result has no rows"));
    }
    if let Some(step) = frame.names.iter().position(|name| is_step(name)) {
        let number = numbers.iter().copied().find(|at| *at != step);
        if let Some(number) = number {
            let label = texts.iter().copied().find(|at| *at != step).unwrap_or(step);
            return Ok(Picture::Steps {
                name: frame.names[number].clone(),
                steps: pairs(frame, label, number),
            });
        }
    }
    let group = times.first().or(texts.first()).copied();
    if let Some(group) = group {
        let ages: Vec<usize> =
            numbers.iter().copied().filter(|at| age(&frame.names[*at]).is_some()).collect();
        let increasing = ages.windows(2).all(|pair| age(&frame.names[pair[0]]) < age(&frame.names[pair[1]]));
        if ages.len() >= 3 && increasing {
            return Ok(wide_heat(frame, group, &ages));
        }
        if let [first, value] = numbers[..]
            && times.len() + texts.len() == 1
            && is_age_name(&frame.names[first])
        {
            return Ok(long_heat(frame, group, first, value));
        }
    }
    match (times.first(), &texts[..], &numbers[..]) {
        (Some(time), [text], [number, ..]) => Ok(long_lines(frame, *time, *text, *number)),
        (Some(time), _, [_, ..]) => Ok(wide_lines(frame, *time, &numbers)),
        (None, [text, ..], [number, ..]) => Ok(bars(frame, *text, *number)),
        (None, [], [group, number, ..]) => Ok(bars(frame, *group, *number)),
        _ => Err(none("there is no number to draw beside a time or a name")),
    }
}

fn none(why: &str) -> Error {
    Error::setting(
        format!("this result has no natural picture: {why}"),
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

fn label(value: &Value) -> String {
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
fn key(value: &Value) -> Option<String> {
    (!value.is_null()).then(|| value.to_text())
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| number.is_finite())
}

fn pairs(frame: &Frame, group: usize, value: usize) -> Vec<(String, f64)> {
    frame.rows.iter().map(|row| (label(&row[group]), number(&row[value]).unwrap_or(0.0))).collect()
}

fn bars(frame: &Frame, group: usize, value: usize) -> Picture {
    Picture::Bars { name: frame.names[value].clone(), bars: pairs(frame, group, value) }
}

fn wide_heat(frame: &Frame, group: usize, ages: &[usize]) -> Picture {
    Picture::Heat {
        rows: frame.rows.iter().map(|row| label(&row[group])).collect(),
        columns: ages.iter().map(|at| frame.names[*at].clone()).collect(),
        cells: frame.rows.iter().map(|row| ages.iter().map(|at| number(&row[*at])).collect()).collect(),
        left_out: None,
    }
}

fn long_heat(frame: &Frame, group: usize, age: usize, value: usize) -> Picture {
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
    Picture::Heat { rows, columns: columns.iter().map(i64::to_string).collect(), cells, left_out }
}

/// Rows in the order of their time, as text sorts like the time it is of.
fn by_time(frame: &Frame, time: usize) -> Vec<&Vec<Value>> {
    let mut rows: Vec<&Vec<Value>> = frame.rows.iter().filter(|row| !row[time].is_null()).collect();
    // A `Z` at the end would come behind the point of a fraction.
    rows.sort_by_cached_key(|row| row[time].to_text().trim_end_matches('Z').to_owned());
    rows
}

fn wide_lines(frame: &Frame, time: usize, numbers: &[usize]) -> Picture {
    let rows = by_time(frame, time);
    let series = numbers.iter().take(MOST_LINES).map(|at| Series {
        name: frame.names[*at].clone(),
        values: rows.iter().map(|row| number(&row[*at])).collect(),
    });
    Picture::Lines { times: rows.iter().map(|row| label(&row[time])).collect(), series: series.collect() }
}

fn long_lines(frame: &Frame, time: usize, text: usize, value: usize) -> Picture {
    let rows = by_time(frame, time);
    let mut times: Vec<&Value> = rows.iter().map(|row| &row[time]).collect();
    times.dedup();
    // Which lines are kept is known before any is made: there may be one for each row.
    let mut sums: BTreeMap<Option<String>, f64> = BTreeMap::new();
    for row in &rows {
        *sums.entry(key(&row[text])).or_default() += number(&row[value]).unwrap_or(0.0);
    }
    let mut kept: Vec<(Option<String>, f64)> = sums.into_iter().collect();
    kept.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    kept.truncate(MOST_LINES);
    let line = |(name, _): &(Option<String>, f64)| Series {
        name: name.as_ref().map_or_else(|| "NULL".to_owned(), |name| clean(name)),
        values: vec![None; times.len()],
    };
    let mut series: Vec<Series> = kept.iter().map(line).collect();
    let mut at = 0;
    for row in rows {
        while *times[at] != row[time] {
            at += 1;
        }
        let name = key(&row[text]);
        if let Some(line) = kept.iter().position(|(known, _)| *known == name) {
            series[line].values[at] = number(&row[value]);
        }
    }
    Picture::Lines { times: times.into_iter().map(label).collect(), series }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn frame(columns: &[(&str, Kind)], rows: Vec<Vec<Value>>) -> Frame {
        let names = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        Frame { names, kinds: columns.iter().map(|(_, kind)| *kind).collect(), rows }
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn day(day: i8) -> Value {
        Value::Date(date(2024, 1, day))
    }

    #[test]
    fn a_time_and_numbers_are_lines_in_the_order_of_time() {
        let columns = [("day", Kind::Time), ("events", Kind::Number), ("users", Kind::Number)];
        let rows = vec![
            vec![day(2), Value::Integer(20), Value::Null],
            vec![day(1), Value::Integer(10), Value::Integer(1)],
        ];
        let Picture::Lines { times, series } = natural(&frame(&columns, rows)).unwrap() else { panic!() };
        assert_eq!(times, ["2024-01-01", "2024-01-02"]);
        assert_eq!(series[0].values, [Some(10.0), Some(20.0)]);
        assert_eq!(series[1].values, [Some(1.0), None]);
    }

    #[test]
    fn a_time_a_text_and_a_number_are_a_line_for_each_text() {
        let columns = [("day", Kind::Time), ("event_name", Kind::Text), ("n", Kind::Number)];
        let rows = vec![
            vec![day(1), text("a"), Value::Integer(1)],
            vec![day(1), text("b"), Value::Integer(5)],
            vec![day(2), text("b"), Value::Integer(6)],
        ];
        let Picture::Lines { series, .. } = natural(&frame(&columns, rows)).unwrap() else { panic!() };
        assert_eq!(series[0], Series { name: "b".into(), values: vec![Some(5.0), Some(6.0)] });
        assert_eq!(series[1], Series { name: "a".into(), values: vec![Some(1.0), None] });
    }

    #[test]
    fn names_and_numbers_are_bars() {
        let columns = [("country", Kind::Text), ("n", Kind::Number)];
        let picture = natural(&frame(&columns, vec![vec![text("DE"), Value::Integer(3)]])).unwrap();
        assert_eq!(picture, Picture::Bars { name: "n".into(), bars: vec![("DE".into(), 3.0)] });
        let columns = [("hour_of_day", Kind::Number), ("n", Kind::Number)];
        let picture = natural(&frame(&columns, vec![vec![Value::Integer(8), Value::Double(0.5)]])).unwrap();
        assert_eq!(picture, Picture::Bars { name: "n".into(), bars: vec![("8".into(), 0.5)] });
    }

    #[test]
    fn steps_are_a_funnel() {
        let columns = [("step", Kind::Number), ("event", Kind::Text), ("users", Kind::Number)];
        let rows = vec![
            vec![Value::Integer(1), text("View"), Value::Integer(100)],
            vec![Value::Integer(2), text("Buy"), Value::Integer(7)],
        ];
        let steps = vec![("View".to_owned(), 100.0), ("Buy".to_owned(), 7.0)];
        assert_eq!(natural(&frame(&columns, rows)).unwrap(), Picture::Steps { name: "users".into(), steps });
    }

    #[test]
    fn ages_make_a_heat_map_wide_or_long() {
        let columns = [
            ("cohort", Kind::Time),
            ("users", Kind::Number),
            ("day_0", Kind::Number),
            ("day_1", Kind::Number),
            ("day_7", Kind::Number),
        ];
        let row = vec![day(1), Value::Integer(9), Value::Double(100.0), Value::Double(40.0), Value::Null];
        let Picture::Heat { columns, cells, .. } = natural(&frame(&columns, vec![row])).unwrap() else {
            panic!()
        };
        assert_eq!(columns, ["day_0", "day_1", "day_7"]);
        assert_eq!(cells, [[Some(100.0), Some(40.0), None]]);
        let columns = [("cohort", Kind::Text), ("week", Kind::Number), ("share", Kind::Number)];
        let rows = vec![
            vec![text("a"), Value::Integer(0), Value::Double(1.0)],
            vec![text("a"), Value::Integer(2), Value::Double(0.5)],
            vec![text("b"), Value::Integer(0), Value::Double(1.0)],
        ];
        let Picture::Heat { rows, columns, cells, left_out } = natural(&frame(&columns, rows)).unwrap()
        else {
            panic!()
        };
        assert_eq!((rows.join(""), columns.join(" ")), ("ab".into(), "0 2".into()));
        assert_eq!(cells, [[Some(1.0), Some(0.5)], [Some(1.0), None]]);
        assert_eq!(left_out, None);
    }

    #[test]
    fn as_many_lines_as_rows_need_no_more_room_than_those_that_are_kept() {
        let columns = [("at", Kind::Time), ("user", Kind::Text), ("n", Kind::Number)];
        let start = date(2024, 1, 1).at(0, 0, 0, 0);
        let row = |n: i64| {
            let at = start.checked_add(jiff::SignedDuration::from_secs(n)).unwrap();
            vec![Value::DateTime(at), text(&n.to_string()), Value::Integer(n.into())]
        };
        // A line of its own for each row would take 40 GB.
        let rows = (0..50_000).map(row).collect();
        let Picture::Lines { times, series } = natural(&frame(&columns, rows)).unwrap() else { panic!() };
        assert_eq!((times.len(), series.len()), (50_000, MOST_LINES));
        assert_eq!((series[0].name.as_str(), series[0].values[49_999]), ("49999", Some(49_999.0)));
        assert_eq!(series[0].values.iter().flatten().count(), 1);
    }

    #[test]
    fn a_large_heat_map_is_cut_and_says_so() {
        let columns = [("cohort", Kind::Text), ("day", Kind::Number), ("users", Kind::Number)];
        let row = |n: i128| vec![text(&n.to_string()), Value::Integer(n), Value::Integer(n)];
        let rows = (0..50_000).map(row).collect();
        let Picture::Heat { rows, columns, cells, left_out } = natural(&frame(&columns, rows)).unwrap()
        else {
            panic!()
        };
        assert_eq!((rows.len(), columns.len()), (MOST_GROUPS, MOST_AGES));
        assert_eq!((cells.len(), cells[399][399]), (MOST_GROUPS, Some(399.0)));
        let told = "the picture shows 2,000 of 50,000 rows and 400 of 50,000 columns";
        assert_eq!(left_out.as_deref(), Some(told));
    }

    #[test]
    fn values_of_one_minute_are_kept_apart() {
        let at = |second: i8, nanos: i32| Value::DateTime(date(2024, 1, 1).at(9, 30, second, nanos));
        let instant = |second: i8, nanos: i32| {
            let at = date(2024, 1, 1).at(9, 30, second, nanos);
            Value::Timestamp(Offset::UTC.to_timestamp(at).unwrap())
        };
        let columns = [("at", Kind::Time), ("event", Kind::Text), ("n", Kind::Number)];
        for times in [
            [at(30, 500_000_000), at(0, 0), at(30, 0)],
            [instant(30, 500_000_000), instant(0, 0), instant(30, 0)],
        ] {
            let row = |(time, n): (Value, i128)| vec![time, text("a"), Value::Integer(n)];
            let rows = times.into_iter().zip([3, 1, 2]).map(row).collect();
            let Picture::Lines { times, series } = natural(&frame(&columns, rows)).unwrap() else { panic!() };
            assert_eq!(times, ["2024-01-01 09:30", "2024-01-01 09:30:30", "2024-01-01 09:30:30.5"]);
            assert_eq!(series[0].values, [Some(1.0), Some(2.0), Some(3.0)]);
        }
        // NULL is not the text NULL.
        let columns = [("cohort", Kind::Text), ("day", Kind::Number), ("users", Kind::Number)];
        let rows = vec![
            vec![Value::Null, Value::Integer(0), Value::Integer(1)],
            vec![text("NULL"), Value::Integer(0), Value::Integer(2)],
        ];
        let Picture::Heat { cells, .. } = natural(&frame(&columns, rows)).unwrap() else { panic!() };
        assert_eq!(cells, [[Some(1.0)], [Some(2.0)]]);
    }

    #[test]
    fn what_has_no_picture_says_what_would_have_one() {
        for columns in [&[("a", Kind::Text)][..], &[("t", Kind::Time)], &[("n", Kind::Number)]] {
            let rows = vec![vec![Value::Integer(1)]];
            assert!(natural(&frame(columns, rows)).is_err());
        }
        assert!(natural(&frame(&[("d", Kind::Time), ("n", Kind::Number)], vec![])).is_err());
    }
}
