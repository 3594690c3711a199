//! Days that are fetched again in other company, and lines that are of no day or of another one.

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::{Date, date};
use mixpanel_client::CancelToken;
use mixpanel_client::time::{ClockMode, ProjectClock};
use mixpanel_data::{ErrorKind, FetchEvents, OnReject, StorageEngine, Value, Workspace};
use mixpanel_sim::{Fault, Simulator};

use crate::fetch::{count, simulator};
use crate::support::{now_of, project, sequence, workspace};

fn line(time: i64, id: &str) -> String {
    format!(
        "{{\"event\":\"A\",\"properties\":{{\"time\":{time},\"distinct_id\":\"u\",\"$insert_id\":\"{id}\"}}}}"
    )
}

fn midnight(day: Date) -> i64 {
    jiff::tz::Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).unwrap().as_second()
}

/// What a project would export for a day: some events, and lines that are none. Some of those come
/// twice and thrice.
fn body(day: Date) -> (Vec<String>, Vec<String>) {
    let number = i64::from(day.day());
    let good = (0..3).map(|n| line(midnight(day) + n * 3600, &format!("{day}-{n}"))).collect();
    let mut bad: Vec<String> = (0..number % 4).map(|n| format!("no event of {day}, number {n}")).collect();
    bad.extend((0..number % 3).map(|_| format!("the same on {day}")));
    (good, bad)
}

fn days(from: Date, to: Date) -> impl Iterator<Item = Date> {
    from.series(1.day()).take_while(move |day| *day <= to)
}

fn fetch(simulator: &Simulator, workspace: &Workspace, fetch: &FetchEvents) {
    let mut lines: Vec<String> = days(fetch.from, fetch.to)
        .flat_map(|day| {
            let (good, bad) = body(day);
            good.into_iter().chain(bad)
        })
        .collect();
    lines.push(String::new());
    simulator.fault(Fault::ReplaceBody(lines.join("\n").into()));
    let one = FetchEvents { days_per_request: Some(100), ..fetch.clone() };
    workspace.fetch_events(&one).unwrap();
}

/// Lines of `_quarantine` with their numbers.
fn refused(workspace: &Workspace, hash: &str) -> BTreeMap<String, i64> {
    let sql =
        format!("SELECT decode(bytes), count(*) FROM _quarantine WHERE filter_hash IN ({hash}) GROUP BY 1");
    let rows = workspace.sql_rows(&sql).unwrap().rows;
    rows.iter().map(|row| (row[0].to_text(), row[1].as_i64().unwrap())).collect()
}

/// The same from the model: the refused lines of all days that were ever fetched.
fn expected(fetched: &BTreeMap<Date, ()>) -> BTreeMap<String, i64> {
    let mut all = BTreeMap::new();
    for bad in fetched.keys().flat_map(|day| body(*day).1) {
        *all.entry(bad).or_insert(0) += 1;
    }
    all
}

#[test]
fn refused_lines_are_there_once_however_their_days_are_grouped() {
    let simulator = simulator();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    let first = date(2025, 6, 1);
    let mut random = sequence();
    // Two sets of filters in one table, as `append` makes them.
    let mut fetched = [BTreeMap::new(), BTreeMap::new()];
    let own = "SELECT filter_hash FROM _tables";
    let hashes = [
        own.to_owned(),
        format!("SELECT DISTINCT filter_hash FROM _ledger WHERE filter_hash NOT IN ({own})"),
    ];
    for round in 0..60 {
        let from = first.checked_add(((random() % 25) as i64).days()).unwrap();
        let to = from.checked_add(((random() % 6) as i64).days()).unwrap().min(date(2025, 6, 29));
        let set = usize::from(round > 0 && random().is_multiple_of(3));
        let what = FetchEvents::days(from, to);
        let what =
            if set == 1 { FetchEvents { events: vec!["A".into()], append: true, ..what } } else { what };
        fetch(&simulator, &workspace, &what);
        fetched[set].extend(days(from, to).map(|day| (day, ())));
        for (hash, fetched) in hashes.iter().zip(&fetched) {
            assert_eq!(refused(&workspace, hash), expected(fetched), "round {round}: {from} to {to}");
        }
        let sql = "SELECT (SELECT sum(rejects) FROM _ledger) = (SELECT count(*) FROM _quarantine)";
        assert_eq!(workspace.sql_scalar(sql).unwrap(), Value::Boolean(true), "round {round}");
        // Each line is of a day that was fetched, as far as anybody can know.
        let unknown = "SELECT count(*) FROM _quarantine WHERE NOT EXISTS (
            FROM _ledger WHERE _ledger.filter_hash = _quarantine.filter_hash
                AND CAST(_ledger.day AS VARCHAR) = split_part(chunk, '..', 1))";
        assert_eq!(count(&workspace, unknown), 0, "round {round}");
    }
    assert!(fetched.iter().all(|fetched| fetched.len() > 5));
}

/// A line that is not there any more cannot be of the days that were asked for again.
#[test]
fn a_line_that_is_mended_goes_when_no_day_is_left_that_it_may_be_of() {
    let simulator = simulator();
    let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
    let day = |day| date(2025, 6, day);
    let one = |from, to, bad: &str| {
        let body = format!("{}\n{bad}", line(midnight(from), &from.to_string()));
        simulator.fault(Fault::ReplaceBody(body.into()));
        workspace
            .fetch_events(&FetchEvents { days_per_request: Some(100), ..FetchEvents::days(from, to) })
            .unwrap();
        let sql = "SELECT string_agg(chunk, ' ') FROM _quarantine";
        workspace.sql_scalar(sql).unwrap().to_text()
    };
    assert_eq!(one(day(10), day(14), "no event\n"), "2025-06-10..2025-06-14");
    assert_eq!(one(day(11), day(12), ""), "2025-06-10..2025-06-10,2025-06-13..2025-06-14");
    assert_eq!(one(day(9), day(10), ""), "2025-06-13..2025-06-14");
    let on = "SELECT CAST(day AS VARCHAR) FROM _ledger WHERE rejects = 1";
    assert_eq!(workspace.sql_scalar(on).unwrap().to_text(), "2025-06-13");
    // A sample that lacks it says nothing.
    simulator.fault(Fault::ReplaceBody(format!("{}\n", line(midnight(day(13)), "sample")).into()));
    workspace.fetch_events(&FetchEvents { limit: Some(1), ..FetchEvents::days(day(13), day(14)) }).unwrap();
    assert_eq!(count(&workspace, "SELECT count(*) FROM _quarantine"), 1);
    one(day(13), day(14), "");
    assert_eq!(count(&workspace, "SELECT count(*) FROM _quarantine"), 0);
    assert_eq!(count(&workspace, "SELECT CAST(sum(rejects) AS BIGINT) FROM _ledger"), 0);
}

/// An event of another day is in nobody's count, and its own day's fetch brings it.
#[test]
fn events_of_other_days_are_put_aside_and_come_with_their_own() {
    let simulator = simulator();
    let (one, two) = (date(2025, 6, 15), date(2025, 6, 16));
    let (of_one, of_two) = (line(midnight(one) + 60, "one"), line(midnight(two) + 60, "two"));
    let serve = |lines: &[&String]| {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        simulator.fault(Fault::ReplaceBody(text.into()));
    };
    for replace in [false, true] {
        let workspace = workspace(&simulator, StorageEngine::memory().unwrap());
        if replace {
            serve(&[&of_one]);
            workspace.fetch_events(&FetchEvents::days(one, one)).unwrap();
        }
        serve(&[&of_one, &of_two]);
        let result = workspace.fetch_events(&FetchEvents { replace, ..FetchEvents::days(one, one) }).unwrap();
        assert_eq!((result.lines, result.rows, result.rejects, result.total_rows), (2, 1, 1, 1));
        let kept = workspace.sql_rows("SELECT reason, decode(bytes), chunk FROM _quarantine").unwrap();
        let text = |text: &str| Value::Text(text.into());
        assert_eq!(kept.rows, [[text("other_day"), text(&of_two), text("2025-06-15..2025-06-15")]]);
        serve(&[&of_two]);
        workspace.fetch_events(&FetchEvents::days(two, two)).unwrap();
        let rows = "SELECT count(*) = (SELECT sum(row_count) FROM _ledger) AND count(*) = 2 FROM events";
        assert_eq!(workspace.sql_scalar(rows).unwrap(), Value::Boolean(true));
        // A body of nothing else is an export all the same.
        serve(&[&of_two]);
        let result = workspace.fetch_events(&FetchEvents::days(one, one)).unwrap();
        assert_eq!((result.rows, result.rejects, result.days_empty), (0, 1, 1));
        serve(&[&of_one, &of_two]);
        let strict = FetchEvents { on_reject: OnReject::Fail, ..FetchEvents::days(one, one) };
        let error = workspace.fetch_events(&strict).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Rejected { line: 2, .. }), "{error:?}");
    }
}

/// The exported time says the day, in every project: also where clocks are set, and where a day has
/// no midnight.
#[test]
fn the_edges_of_a_day_are_those_of_the_exported_time() {
    let simulator = simulator();
    for (zone, day) in [
        ("America/New_York", date(2024, 3, 10)),
        ("America/New_York", date(2024, 11, 3)),
        ("America/Sao_Paulo", date(2018, 11, 4)),
        ("America/Sao_Paulo", date(2018, 2, 17)),
        ("America/Havana", date(2024, 11, 3)),
        ("Asia/Tokyo", date(2024, 6, 1)),
        ("UTC", date(2024, 2, 29)),
    ] {
        let mut project = project(&simulator, CancelToken::new());
        project.clock = ProjectClock::new(zone, ClockMode::LocalAsUtc).unwrap();
        let now = now_of(&simulator);
        let workspace =
            Workspace::builder().project(project).now(move || now).storage(StorageEngine::memory().unwrap());
        let start = midnight(day);
        let inside: Vec<i64> = (0..48).map(|half| start + half * 1800).chain([start + 86_399]).collect();
        let outside = [start - 1, start + 86_400, start - 86_400, start + 2 * 86_400];
        let text: String =
            inside.iter().chain(&outside).map(|time| line(*time, &time.to_string()) + "\n").collect();
        simulator.fault(Fault::ReplaceBody(text.into()));
        let result = workspace.fetch_events(&FetchEvents::days(day, day)).unwrap();
        assert_eq!((result.rows, result.rejects), (inside.len() as u64, 4), "{zone} {day}");
        let ledger = "SELECT CAST(sum(row_count) AS BIGINT) FROM _ledger";
        assert_eq!(count(&workspace, ledger), inside.len() as u64, "{zone} {day}");
    }
}
