use super::*;
use jiff::civil::date;
use proptest::prelude::*;

fn days(count: i64) -> impl Iterator<Item = Date> {
    let last = date(2024, 12, 31);
    (0..count).map(move |ago| last.saturating_sub(Span::new().days(ago)))
}

fn planner(count: i64, history: History) -> Planner {
    Planner::new(days(count).map(|day| (day, DayReason::Requested)), history, PlanOptions::default())
}

/// Runs a plan to its end over days that have `rows`; returns the requests.
fn run(planner: &mut Planner, at_once: usize, rows: impl Fn(Date) -> u64) -> Vec<PlannedChunk> {
    let (mut all, mut running) = (Vec::new(), VecDeque::new());
    loop {
        while running.len() < at_once
            && let Some(chunk) = planner.next()
        {
            all.push(chunk.clone());
            running.push_back(chunk);
        }
        let Some(chunk) = running.pop_front() else { return all };
        let days = chunk.from.series(Span::new().days(1)).take_while(|day| *day <= chunk.to);
        let came: BTreeMap<Date, u64> = days.map(|day| (day, rows(day))).collect();
        let bytes = came.values().sum::<u64>() * 1_000;
        planner.observe(&came, bytes);
    }
}

#[test]
fn a_year_of_small_days_takes_a_handful_of_requests() {
    let unknown = run(&mut planner(365, History::default()), 4, |_| 1_000);
    let days: Vec<u32> = unknown.iter().map(PlannedChunk::days).collect();
    assert_eq!(days, [1, 8, 72, 100, 100, 84]);
    let history = History(days_known(7, 1_000));
    let known = run(&mut planner(365, history), 4, |_| 1_000);
    assert!(known.len() <= 6, "{known:?}");
    let all = History(days_known(365, 1_000));
    assert_eq!(run(&mut planner(365, all), 4, |_| 1_000).len(), 4);
}

fn days_known(count: i64, rows: u64) -> BTreeMap<Date, (u64, u64)> {
    days(count).map(|day| (day, (rows, rows * 1_000))).collect()
}

/// A line that brings 2,000 rows a second: 72 days in one request were two minutes that an
/// interruption threw away.
#[test]
fn what_is_slow_comes_in_smaller_requests() {
    let history = || History(days_known(9, 3_500));
    let most = |pace: f64, count: i64| {
        let mut plan = planner(count, history());
        plan.set_pace(Some(pace));
        let chunks = run(&mut plan, 4, |_| 3_500);
        (chunks.len(), chunks.iter().filter_map(|chunk| chunk.rows).max().unwrap())
    };
    let (requests, rows) = most(2_000.0, 72);
    assert!(rows <= 20_000 && requests <= 20, "{requests} requests of up to {rows} rows");
    // What is fast comes as before, and a year is not cut into more requests than an hour allows.
    assert_eq!(most(100_000.0, 72).1, 72 * 3_500);
    let (requests, rows) = most(2_000.0, 365);
    assert!(requests <= 25 && rows < 100_000, "{requests} requests of up to {rows} rows");
    // A rate that makes no sense is none.
    for odd in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(most(odd, 72).1, 72 * 3_500, "{odd}");
    }
}

#[test]
fn rows_to_come_are_those_of_days_that_are_not_stored() {
    let mut plan = planner(10, History::default());
    assert_eq!(plan.rows_to_come(), None);
    let first = plan.next().unwrap();
    plan.observe(&BTreeMap::from([(first.from, 100)]), 1);
    assert_eq!(plan.rows_to_come(), Some(1_000), "on its way is not here");
    plan.stored(first.from, first.to);
    assert_eq!(plan.rows_to_come(), Some(900));
    let next = plan.next().unwrap();
    plan.lost(&next);
    assert_eq!(plan.rows_to_come(), Some(100));
}

#[test]
fn big_days_stand_alone_and_nothing_is_asked_blindly() {
    let chunks = run(&mut planner(30, History::default()), 4, |_| 5_000_000);
    assert_eq!(chunks.len(), 8 + 1 + 21, "{:?}", chunks.iter().map(PlannedChunk::days).collect::<Vec<_>>());
    let mut plan = planner(30, History::default());
    assert_eq!(plan.next().unwrap().days(), 1);
    assert_eq!(plan.next(), None, "first the newest day must be known");
}

#[test]
fn a_range_that_fails_comes_back_in_halves() {
    let mut plan = planner(5, History(days_known(5, 10)));
    let chunk = plan.next().unwrap();
    assert_eq!((chunk.days(), chunk.rows), (5, Some(50)));
    assert!(plan.split(&chunk));
    let (newer, older) = (plan.next().unwrap(), plan.next().unwrap());
    assert_eq!((newer.from, newer.to), (date(2024, 12, 29), date(2024, 12, 31)));
    assert_eq!((older.from, older.to), (date(2024, 12, 27), date(2024, 12, 28)));
    assert!(plan.split(&older) && !plan.split(&plan.clone().next().unwrap()));
}

#[test]
fn what_is_lost_or_put_back_does_not_stand_in_the_way() {
    let mut plan = planner(20, History::default());
    let first = plan.next().unwrap();
    assert_eq!(plan.next(), None);
    plan.put_back([first.from], DayReason::Missing);
    let again = plan.next().unwrap();
    assert_eq!((again.from, again.reason), (first.from, DayReason::Missing));
    plan.lost(&again);
    assert_eq!(plan.next().map(|chunk| chunk.days()), Some(1), "the next day is tried");
    assert_eq!(plan.rest().len(), 1);
}

#[test]
fn a_preview_of_the_unknown_guesses_no_sizes() {
    let preview = planner(30, History::default()).preview();
    assert_eq!(preview.iter().map(PlannedChunk::days).collect::<Vec<_>>(), [1, 8, 21]);
    assert!(preview.iter().all(|chunk| chunk.rows.is_none() && chunk.bytes.is_none()));
}

#[test]
fn gaps_and_old_days_are_left_out() {
    let wanted = [1, 2, 5, 6, 9].map(|day| (date(2024, 3, day), DayReason::Missing));
    let mut plan = Planner::new(wanted, History(days_known(400, 1)), PlanOptions::default());
    assert_eq!(plan.give_up_before(date(2024, 3, 2)), [date(2024, 3, 1)]);
    let ranges: Vec<(i8, i8)> = plan.preview().iter().map(|c| (c.from.day(), c.to.day())).collect();
    assert_eq!(ranges, [(9, 9), (5, 6), (2, 2)]);
}

proptest! {
    #[test]
    fn every_day_is_handed_out_once_newest_first(
        sizes in proptest::collection::vec(0u64..1_600_000, 1..200),
        known in 0i64..50,
        at_once in 1usize..8,
    ) {
        let count = sizes.len() as i64;
        let last = date(2024, 12, 31);
        let size = |day: Date| sizes[(days_between(day, last) - 1) as usize];
        let mut plan = planner(count, History(days(known.min(count)).map(|d| (d, (size(d), size(d)))).collect()));
        let chunks = run(&mut plan, at_once, size);
        let mut next = last;
        for chunk in &chunks {
            prop_assert_eq!(chunk.to, next);
            next = chunk.from.yesterday().unwrap();
            let rows = chunk.rows.unwrap_or(0);
            prop_assert!(chunk.days() == 1 || rows <= 1_000_000, "{} rows", rows);
        }
        prop_assert_eq!(days_between(next, last) as i64 - 1, count);
    }
}
