//! How many rows each day has.
//!
//! The plan is made before any event exists, so counts are known without generating anything.

use jiff::civil::{Date, Weekday};

use crate::config::SimConfig;
use crate::random::Random;

const STREAM: u64 = 1;
/// The share of rows that repeat another one.
const DUPLICATES: f64 = 0.005;
/// How much of an ordinary day has happened when the simulator lives (10 a.m.).
const TODAY: f64 = 0.35;

/// One day of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) date: Date,
    /// All rows.
    pub(crate) rows: u64,
    /// Those among them that repeat another row of the day.
    pub(crate) duplicates: u64,
}

/// Days, oldest first; their rows add up to exactly what the configuration asks for.
pub(crate) fn plan(config: &SimConfig) -> Vec<Planned> {
    let days = config.days.max(1) as usize;
    let mut random = Random::keyed(config.seed, STREAM, 0);
    let empty = empty_days(days, &mut random);
    let sale = days * 3 / 5;
    let mut date = config.first_day();
    let mut dates = Vec::with_capacity(days);
    let mut weights = Vec::with_capacity(days);
    for index in 0..days {
        let noise = 0.85 + 0.3 * random.unit();
        let growth = 0.8 + 0.4 * index as f64 / days as f64;
        let weekday = match date.weekday() {
            Weekday::Saturday => 0.7,
            Weekday::Sunday => 0.8,
            Weekday::Monday => 1.15,
            _ => 1.05,
        };
        let special = if empty.contains(&index) {
            0.0
        } else if index + 1 == days {
            TODAY
        } else if index == sale {
            2.5
        } else {
            1.0
        };
        weights.push(noise * growth * weekday * special);
        dates.push(date);
        date = date.tomorrow().unwrap_or(date);
    }
    apportion(&dates, &weights, config.total())
}

/// One empty day, two in longer histories; never at the beginning nor among the latest days.
fn empty_days(days: usize, random: &mut Random) -> Vec<usize> {
    let usable = days.saturating_sub(8) as u64;
    let first = (days >= 10).then(|| 2 + random.below(usable / 2) as usize);
    let second = (days >= 40).then(|| 2 + (usable / 2 + random.below(usable / 2)) as usize);
    first.into_iter().chain(second).filter(|&index| index != days * 3 / 5).collect()
}

/// Rounds the running totals, so that rounding errors never add up.
fn apportion(dates: &[Date], weights: &[f64], total: u64) -> Vec<Planned> {
    let sum: f64 = weights.iter().sum();
    let (mut weight, mut rows_before, mut duplicates_before) = (0.0, 0u64, 0u64);
    let mut planned = Vec::with_capacity(dates.len());
    for (index, (&date, day_weight)) in dates.iter().zip(weights).enumerate() {
        weight += day_weight;
        let last = index + 1 == dates.len();
        let rows_after = if last { total } else { (total as f64 * weight / sum).round() as u64 };
        let duplicates_after = (rows_after as f64 * DUPLICATES).round() as u64;
        let rows = rows_after - rows_before;
        let duplicates = (duplicates_after - duplicates_before).min(rows / 2);
        planned.push(Planned { date, rows, duplicates });
        rows_before = rows_after;
        duplicates_before += duplicates;
    }
    planned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_exact() {
        for (days, total) in [(1, 10), (7, 1), (30, 1_000_000), (90, 180_000), (400, 77_777)] {
            let config = SimConfig { days, total_events: Some(total), ..SimConfig::default() };
            let plan = plan(&config);
            assert_eq!(plan.len(), days as usize);
            assert_eq!(plan.iter().map(|day| day.rows).sum::<u64>(), total);
            assert_eq!(plan.last().unwrap().date, config.today);
            assert_eq!(plan[0].date, config.first_day());
        }
    }

    #[test]
    fn some_days_are_empty_but_not_the_latest() {
        for seed in 0..50 {
            for (days, expected) in [(9, 0), (30, 1), (90, 2)] {
                let plan = plan(&SimConfig { seed, days, ..SimConfig::default() });
                let empty: Vec<usize> = (0..plan.len()).filter(|&i| plan[i].rows == 0).collect();
                assert!(empty.len() <= expected && (expected == 0 || !empty.is_empty()), "{days}: {empty:?}");
                assert!(empty.iter().all(|&index| index > 0 && index < plan.len() - 5));
            }
        }
    }

    #[test]
    fn duplicates_are_half_a_percent() {
        let plan = plan(&SimConfig::default());
        let rows: u64 = plan.iter().map(|day| day.rows).sum();
        let duplicates: u64 = plan.iter().map(|day| day.duplicates).sum();
        assert_eq!(rows, 180_000);
        assert_eq!(duplicates, 900);
    }
}
