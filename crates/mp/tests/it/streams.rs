//! `mp fetch events --stdout` while downloads break off.

use std::collections::BTreeMap;

use mixpanel_sim::{Fault, Simulator};

use crate::support::{Place, simulator};

fn stream(place: &Place, simulator: &Simulator) -> String {
    let (from, to) = (simulator.world().first_day(), simulator.world().last_day());
    place.ok([
        "fetch",
        "events",
        &format!("--from={from}"),
        &format!("--to={to}"),
        "--stdout",
        "--raw",
        "--quiet",
    ])
}

fn counted(text: &str) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    text.lines().for_each(|line| *counts.entry(line).or_default() += 1);
    counts
}

/// 100 downloads of 25 runs are cut at random places. The waits before new attempts are real, so the runs go
/// side by side.
#[test]
fn a_stream_that_is_cut_at_100_places_is_the_clean_export() {
    const RUNS: u64 = 25;
    const CUTS: u32 = 4;
    let outcomes: Vec<(usize, usize, usize)> = std::thread::scope(|scope| {
        let run = |number: u64| {
            let simulator = simulator(4, 250);
            let place = Place::at(&simulator);
            let clean = stream(&place, &simulator);
            assert!(clean.lines().count() > 500);
            // Any sequence will do, as long as it is always the same one.
            let mut random = 0x9e37_79b9_7f4a_7c15_u64 ^ (number << 17);
            let mut next = move || {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                (random % 10_000) as f64 / 10_000.0
            };
            // The first day has a request of its own; the last one shares one with others.
            let world = simulator.world();
            for cut in 0..CUTS {
                let day = if cut % 2 == 0 { world.first_day() } else { world.last_day() };
                simulator.fault(Fault::CutConnection { fraction: next() }.on_day(day));
            }
            let found = stream(&place, &simulator);
            assert_eq!(simulator.waiting_faults(), 0, "every cut has happened");
            let (expected, got) = (counted(&clean), counted(&found));
            let missing = expected
                .iter()
                .map(|(line, count)| count.saturating_sub(got.get(line).copied().unwrap_or(0)))
                .sum();
            let twice = got
                .iter()
                .map(|(line, count)| count.saturating_sub(expected.get(line).copied().unwrap_or(0)))
                .sum();
            assert!(found == clean, "the order is the same, too");
            let cuts = simulator.requests().iter().filter(|request| request.fault.is_some()).count();
            (cuts, twice, missing)
        };
        let runs: Vec<_> = (1..=RUNS).map(|number| scope.spawn(move || run(number))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let cuts: usize = outcomes.iter().map(|outcome| outcome.0).sum();
    let twice: usize = outcomes.iter().map(|outcome| outcome.1).sum();
    let missing: usize = outcomes.iter().map(|outcome| outcome.2).sum();
    println!("{cuts} cuts: {twice} duplicates, {missing} missing rows");
    assert_eq!((cuts, twice, missing), (100, 0, 0));
}
