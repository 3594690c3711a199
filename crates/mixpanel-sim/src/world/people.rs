//! The users: when they came, how often they return, what they are.
//!
//! Users are numbered in the order in which they came. Only that order is stored; everything else about a user
//! follows from the seed and the number.

use super::calendar::Planned;
use super::catalog::{DESKTOPS, PHONES, PLACES, Place};
use crate::random::{Random, mix};

const STREAM: u64 = 2;
/// The share of users who were there before the history begins.
const BEFORE: f64 = 0.35;

/// All users.
#[derive(Debug)]
pub(super) struct People {
    seed: u64,
    /// The day on which each user came, counted from the first of the history; ascending.
    came: Vec<i32>,
}

/// One user, worked out.
#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) number: u32,
    pub(super) place: usize,
    pub(super) desktop: usize,
    pub(super) phone: usize,
    /// The share of sessions on the phone.
    pub(super) mobile: f64,
    pub(super) device: [u64; 2],
    plan: usize,
    upgrade: Option<i32>,
}

const PLANS: [&str; 3] = ["free", "pro", "enterprise"];

impl People {
    pub(super) fn new(seed: u64, count: u32, days: &[Planned]) -> People {
        let before = (f64::from(count) * BEFORE) as u32;
        let mut came = Vec::with_capacity(count as usize);
        for number in 0..before {
            let share = f64::from(before - number) / f64::from(before);
            came.push(-1 - (share * 300.0) as i32);
        }
        for number in before..count {
            let share = f64::from(number - before) / f64::from(count - before);
            let mut day = (share * days.len() as f64) as usize;
            while day + 1 < days.len() && days[day].rows == 0 {
                day += 1;
            }
            came.push(day as i32);
        }
        People { seed, came }
    }

    /// The numbers of the users who came on a day.
    pub(super) fn newcomers(&self, day: i32) -> std::ops::Range<u32> {
        let start = self.came.partition_point(|&came| came < day) as u32;
        start..self.known_by(day)
    }

    /// How many users there are at the end of a day.
    fn known_by(&self, day: i32) -> u32 {
        self.came.partition_point(|&came| came <= day) as u32
    }

    /// Someone who is active on a day. Users return often soon after they came and ever less later on; some
    /// are far more active than others.
    pub(super) fn anyone(&self, day: i32, random: &mut Random) -> u32 {
        let known = u64::from(self.known_by(day).max(1));
        let mut number = 0;
        for _ in 0..1000 {
            number = random.below(known) as u32;
            let age = f64::from(day - self.came[number as usize]);
            let returning = 0.04 + 0.56 / (1.0 + age / 3.0);
            let zeal = (mix(self.seed ^ u64::from(number)) >> 40) as f64 / (1u64 << 24) as f64;
            if random.unit() < returning * (0.05 + 0.95 * zeal * zeal) {
                break;
            }
        }
        number
    }

    pub(super) fn user(&self, number: u32) -> User {
        let mut random = Random::keyed(self.seed, STREAM, u64::from(number));
        let skewed = |random: &mut Random, len: usize| {
            let unit = random.unit();
            (unit * unit * len as f64) as usize
        };
        let place = skewed(&mut random, PLACES.len());
        let desktop = skewed(&mut random, DESKTOPS.len());
        let phone = skewed(&mut random, PHONES.len());
        let mobile = random.pick(&[0.0, 0.1, 0.3, 0.9]);
        let device = [random.next(), random.next()];
        let plan = match random.below(100) {
            0..70 => 0,
            70..94 => 1,
            _ => 2,
        };
        let came = self.came(number);
        let upgrade = (plan < 2 && random.chance(0.1)).then(|| came + 1 + random.below(20) as i32);
        User { number, place, desktop, phone, mobile, device, plan, upgrade }
    }

    /// The day on which someone came; people beyond the users came before the history.
    pub(super) fn came(&self, number: u32) -> i32 {
        self.came.get(number as usize).copied().unwrap_or_else(|| -1 - (mix(u64::from(number)) % 300) as i32)
    }
}

impl User {
    pub(super) fn place(&self) -> &'static Place {
        &PLACES[self.place]
    }

    /// The user's plan on a day; some move up one step at some point.
    pub(super) fn plan(&self, day: i32) -> &'static str {
        let moved = usize::from(self.upgrade.is_some_and(|upgrade| day >= upgrade));
        PLANS[self.plan + moved]
    }

    pub(super) fn upgrades_on(&self, day: i32) -> bool {
        self.upgrade == Some(day)
    }
}
