use jiff::civil::date;

use super::super::series::MOST_LINES;
use super::*;

fn frame(columns: &[(&str, Kind)], rows: Vec<Vec<Value>>) -> Frame {
    let names = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    Frame { names, kinds: columns.iter().map(|(_, kind)| *kind).collect(), rows }
}

fn drawn(columns: &[(&str, Kind)], rows: Vec<Vec<Value>>) -> Picture {
    natural(&frame(columns, rows)).unwrap().picture
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
    let Picture::Lines { times, series, .. } = drawn(&columns, rows) else { panic!() };
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
    let Picture::Lines { series, .. } = drawn(&columns, rows) else { panic!() };
    assert_eq!(series[0], Series { name: "b".into(), values: vec![Some(5.0), Some(6.0)] });
    assert_eq!(series[1], Series { name: "a".into(), values: vec![Some(1.0), None] });
}

#[test]
fn names_and_numbers_are_bars() {
    let columns = [("country", Kind::Text), ("n", Kind::Number)];
    let picture = drawn(&columns, vec![vec![text("DE"), Value::Integer(3)]]);
    assert_eq!(picture, Picture::Bars { name: "n by country".into(), bars: vec![("DE".into(), 3.0)] });
    let columns = [("hour_of_day", Kind::Number), ("n", Kind::Number)];
    let picture = drawn(&columns, vec![vec![Value::Integer(8), Value::Double(0.5)]]);
    assert_eq!(picture, Picture::Bars { name: "n by hour_of_day".into(), bars: vec![("8".into(), 0.5)] });
}

#[test]
fn steps_are_a_funnel() {
    let columns = [("step", Kind::Number), ("event", Kind::Text), ("users", Kind::Number)];
    let rows = vec![
        vec![Value::Integer(1), text("View"), Value::Integer(100)],
        vec![Value::Integer(2), text("Buy"), Value::Integer(7)],
    ];
    let steps = vec![("View".to_owned(), 100.0), ("Buy".to_owned(), 7.0)];
    assert_eq!(drawn(&columns, rows), Picture::Steps { name: "users".into(), steps });
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
    let Picture::Heat { columns, cells, .. } = drawn(&columns, vec![row]) else { panic!() };
    assert_eq!(columns, ["day_0", "day_1", "day_7"]);
    assert_eq!(cells, [[Some(100.0), Some(40.0), None]]);
    let columns = [("cohort", Kind::Text), ("week", Kind::Number), ("share", Kind::Number)];
    let rows = vec![
        vec![text("a"), Value::Integer(0), Value::Double(1.0)],
        vec![text("a"), Value::Integer(2), Value::Double(0.5)],
        vec![text("b"), Value::Integer(0), Value::Double(1.0)],
    ];
    let Picture::Heat { rows, columns, cells, .. } = drawn(&columns, rows) else { panic!() };
    assert_eq!((rows.join(""), columns.join(" ")), ("ab".into(), "0 2".into()));
    assert_eq!(cells, [[Some(1.0), Some(0.5)], [Some(1.0), None]]);
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
    let Picture::Lines { times, series, .. } = drawn(&columns, rows) else { panic!() };
    assert_eq!((times.len(), series.len()), (50_000, MOST_LINES));
    assert_eq!((series[0].name.as_str(), series[0].values[49_999]), ("49999", Some(49_999.0)));
    assert_eq!(series[0].values.iter().flatten().count(), 1);
}

#[test]
fn a_large_heat_map_is_cut_and_says_so() {
    let columns = [("cohort", Kind::Text), ("day", Kind::Number), ("users", Kind::Number)];
    let row = |n: i128| vec![text(&n.to_string()), Value::Integer(n), Value::Integer(n)];
    let rows = (0..50_000).map(row).collect();
    let Drawing { picture, notes } = natural(&frame(&columns, rows)).unwrap();
    let Picture::Heat { rows, columns, cells, .. } = picture else { panic!() };
    assert_eq!((rows.len(), columns.len()), (MOST_GROUPS, MOST_AGES));
    assert_eq!((cells.len(), cells[399][399]), (MOST_GROUPS, Some(399.0)));
    let told = "the picture shows 2,000 of 50,000 rows and 400 of 50,000 columns";
    assert_eq!(notes, [told]);
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
        let Picture::Lines { times, series, .. } = drawn(&columns, rows) else { panic!() };
        assert_eq!(times, ["2024-01-01 09:30", "2024-01-01 09:30:30", "2024-01-01 09:30:30.5"]);
        assert_eq!(series[0].values, [Some(1.0), Some(2.0), Some(3.0)]);
    }
    // NULL is not the text NULL.
    let columns = [("cohort", Kind::Text), ("day", Kind::Number), ("users", Kind::Number)];
    let rows = vec![
        vec![Value::Null, Value::Integer(0), Value::Integer(1)],
        vec![text("NULL"), Value::Integer(0), Value::Integer(2)],
    ];
    let Picture::Heat { cells, .. } = drawn(&columns, rows) else { panic!() };
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

#[test]
fn a_second_text_is_part_of_the_name() {
    let columns = [("event", Kind::Text), ("plan", Kind::Text), ("n", Kind::Number)];
    let rows = vec![
        vec![text("Buy"), text("pro"), Value::Integer(1)],
        vec![text("Buy"), Value::Null, Value::Integer(2)],
    ];
    let Picture::Bars { name, bars } = drawn(&columns, rows.clone()) else { panic!() };
    assert_eq!(name, "n by event, plan");
    assert_eq!(bars, [("Buy · pro".to_owned(), 1.0), ("Buy · NULL".to_owned(), 2.0)]);
    // The same over time: a line for each combination, and none is overwritten.
    let columns = [&[("day", Kind::Time)][..], &columns].concat();
    let rows = rows.into_iter().map(|row| [vec![day(1)], row].concat()).collect();
    let Picture::Lines { series, up, .. } = drawn(&columns, rows) else { panic!() };
    assert_eq!(up.as_deref(), Some("n by event, plan"));
    let names: Vec<&str> = series.iter().map(|series| series.name.as_str()).collect();
    assert_eq!(names, ["Buy · NULL", "Buy · pro"]);
    assert_eq!((series[0].values[0], series[1].values[0]), (Some(2.0), Some(1.0)));
}

#[test]
fn what_is_not_drawn_is_told() {
    let columns = [("day", Kind::Time), ("event", Kind::Text), ("n", Kind::Number), ("users", Kind::Number)];
    let row = |n: i128| vec![day(1), text(&format!("event {n:02}")), Value::Integer(n), Value::Integer(n)];
    let mut rows: Vec<Vec<Value>> = (0..17).map(row).collect();
    rows.push(vec![Value::Null, text("x"), Value::Integer(1), Value::Integer(1)]);
    rows.push(row(16));
    let notes = natural(&frame(&columns, rows)).unwrap().notes;
    let told = [
        "the picture shows 8 of 17 lines: those with the largest sums",
        "one row without a day is not drawn",
        "one row has the day and the name of another, which is not drawn",
        "the picture does not show users",
    ];
    assert_eq!(notes, told);
    // As many numbers as lines at most.
    let columns: Vec<(String, Kind)> = (0..10).map(|n| (format!("n{n}x"), Kind::Number)).collect();
    let mut columns: Vec<(&str, Kind)> = columns.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
    columns.insert(0, ("day", Kind::Time));
    let row = std::iter::once(day(1)).chain((0..10).map(Value::Integer)).collect();
    let notes = natural(&frame(&columns, vec![row])).unwrap().notes;
    assert_eq!(notes, ["the picture shows 8 of 10 lines: the first"]);
}

#[test]
fn days_that_are_missing_are_gaps() {
    let columns = [("day", Kind::Time), ("n", Kind::Number)];
    let rows = [1, 2, 3, 6, 7].map(|at| vec![day(at), Value::Integer(at.into())]).to_vec();
    let Picture::Lines { times, series, across, up } = drawn(&columns, rows) else { panic!() };
    assert_eq!((across.as_str(), up.as_deref()), ("day", Some("n")));
    assert_eq!((times.len(), times[3].as_str(), times[6].as_str()), (7, "2024-01-04", "2024-01-07"));
    assert_eq!(series[0].values, [Some(1.0), Some(2.0), Some(3.0), None, None, Some(6.0), Some(7.0)]);
    // Months are no equal number of days, and hours are no days.
    let month = |month: i8| vec![Value::Date(date(2024, month, 1)), Value::Integer(month.into())];
    let Picture::Lines { times, .. } = drawn(&columns, [1, 2, 3, 5].map(month).to_vec()) else { panic!() };
    assert_eq!(times, ["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01"]);
    let hour = |hour: i8| vec![Value::DateTime(date(2024, 1, 1).at(hour, 0, 0, 0)), Value::Integer(1)];
    let Picture::Lines { times, series, .. } = drawn(&columns, [8, 9, 11].map(hour).to_vec()) else {
        panic!()
    };
    assert_eq!((times[2].as_str(), series[0].values[2]), ("2024-01-01 10:00", None));
    // Times without a step stay as they are.
    let second = |second: i8| vec![Value::DateTime(date(2024, 1, 1).at(0, 0, second, 0)), Value::Integer(1)];
    let Picture::Lines { times, .. } = drawn(&columns, [0, 1, 7, 20, 50].map(second).to_vec()) else {
        panic!()
    };
    assert_eq!(times.len(), 5);
}
