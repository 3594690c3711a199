//! The profiles of the seeded world: its people and their companies, written one by one as JSON.
//!
//! Nothing is stored: a profile follows from the seed and its number, so hundreds of thousands cost no memory and
//! a page of a thousand is written in about a millisecond. What a profile says about plan and country is what
//! the events of the same user say.
//!
//! Every fiftieth profile is a lead: someone in whose name no event was ever sent, with an identifier of another
//! kind (a number, an address, a name with an emoji). In turn every fiftieth user has events and no profile.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::ToSpan;
use jiff::civil::Date;

use super::catalog::{DESKTOPS, FIRST_NAMES, INDUSTRIES, LAST_NAMES, NOTES, REFERRERS, TIME_ZONES};
use super::people::{People, User};
use super::render::{Properties, integer, money, padded, string};
use super::{Generator, Planned, epoch_second};
use crate::random::{Random, mix};

const PROFILE_STREAM: u64 = 5;
const COMPANY_STREAM: u64 = 6;
/// One in this many profiles is a lead.
const LEADS: u32 = 50;
/// How many profiles there are for each company.
const PER_COMPANY: u32 = 20;
/// Leads with numbers for identifiers count from here.
const NUMERIC_LEADS: u64 = 7_000_000_000;

/// How many there are, and the moment as of which they are written.
#[derive(Debug)]
pub(super) struct Census {
    pub(super) profiles: u32,
    users: u32,
    pub(super) companies: u32,
    seed: u64,
    first_day: Date,
    today: i32,
    now_s: i64,
}

/// The identifier of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SeededId {
    Text(String),
    Number(u64),
}

impl SeededId {
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            SeededId::Text(text) => Cow::Borrowed(text),
            SeededId::Number(number) => Cow::Owned(number.to_string()),
        }
    }
}

/// The seeded profiles of one kind, numbered from 0.
#[derive(Debug, Clone)]
pub(crate) struct Seeded {
    generator: Option<Arc<Generator>>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    People,
    Companies,
}

impl Seeded {
    pub(super) fn new(generator: Option<&Arc<Generator>>, kind: Kind) -> Seeded {
        Seeded { generator: generator.cloned(), kind }
    }

    /// No profiles at all.
    pub(crate) fn none() -> Seeded {
        Seeded { generator: None, kind: Kind::People }
    }

    pub(crate) fn count(&self) -> u32 {
        self.generator.as_ref().map_or(0, |generator| match self.kind {
            Kind::People => generator.census.profiles,
            Kind::Companies => generator.census.companies,
        })
    }

    /// The number of the profile with this identifier.
    pub(crate) fn number(&self, id: &str) -> Option<u32> {
        let census = &self.generator.as_ref()?.census;
        match self.kind {
            Kind::People => census.number(id),
            Kind::Companies => census.company_number(id),
        }
    }

    /// # Panics
    ///
    /// If there is no such profile.
    pub(crate) fn id(&self, number: u32) -> SeededId {
        let census = &self.generator.as_ref().expect("a number of a seeded profile").census;
        match self.kind {
            Kind::People => census.id(number),
            Kind::Companies => SeededId::Text(census.company_id(number)),
        }
    }

    /// Appends the properties, a JSON object.
    pub(crate) fn write_properties(&self, number: u32, out: &mut Vec<u8>) {
        let Some(generator) = &self.generator else { return };
        match self.kind {
            Kind::People => generator.census.write_properties(&generator.people, number, out),
            Kind::Companies => generator.census.write_company(number, out),
        }
    }
}

impl Census {
    pub(super) fn new(seed: u64, profiles: u32, users: u32, days: &[Planned], now_ms: i64) -> Census {
        let companies = if profiles == 0 { 0 } else { (profiles / PER_COMPANY).max(1) };
        let (first_day, today) = (days[0].date, days.len() as i32 - 1);
        Census { profiles, users, companies, seed, first_day, today, now_s: now_ms / 1000 }
    }

    fn is_lead(&self, number: u32) -> bool {
        number >= self.users || number % LEADS == LEADS - 1
    }

    pub(super) fn id(&self, number: u32) -> SeededId {
        if !self.is_lead(number) {
            return SeededId::Text(format!("user-{number:06}"));
        }
        match number / LEADS % 5 {
            0 => SeededId::Number(NUMERIC_LEADS + u64::from(number)),
            1 => SeededId::Text(format!("lead.{number:06}@example.com")),
            2 => SeededId::Text(format!("Lead {number} 🙂")),
            // Pairs that differ in case alone.
            3 => SeededId::Text(format!("LEAD-{:06}", number / (5 * LEADS) * LEADS + number % LEADS)),
            _ => SeededId::Text(format!("lead-{:06}", number / (5 * LEADS) * LEADS + number % LEADS)),
        }
    }

    /// The number of the profile with this identifier.
    pub(super) fn number(&self, id: &str) -> Option<u32> {
        let digits = |text: &str| text.parse::<u32>().ok();
        let paired = |text: &str, kind: u32| {
            let pair = digits(text)?;
            (pair / LEADS).checked_mul(5 * LEADS)?.checked_add(kind * LEADS + pair % LEADS)
        };
        let number = if let Some(rest) = id.strip_prefix("user-") {
            digits(rest)
        } else if let Some(rest) = id.strip_prefix("lead.") {
            rest.strip_suffix("@example.com").and_then(digits)
        } else if let Some(rest) = id.strip_prefix("Lead ") {
            rest.strip_suffix(" 🙂").and_then(digits)
        } else if let Some(rest) = id.strip_prefix("LEAD-") {
            paired(rest, 3)
        } else if let Some(rest) = id.strip_prefix("lead-") {
            paired(rest, 4)
        } else {
            let number = id.parse::<u64>().ok().and_then(|number| number.checked_sub(NUMERIC_LEADS));
            number.and_then(|number| u32::try_from(number).ok())
        };
        number.filter(|&number| number < self.profiles && self.id(number).text() == id)
    }

    pub(super) fn company_id(&self, number: u32) -> String {
        format!("company-{number:05}")
    }

    pub(super) fn company_number(&self, id: &str) -> Option<u32> {
        let number = id.strip_prefix("company-")?.parse().ok()?;
        (number < self.companies && self.company_id(number) == id).then_some(number)
    }

    /// Appends the properties of a profile, a JSON object.
    pub(super) fn write_properties(&self, people: &People, number: u32, out: &mut Vec<u8>) {
        let mut random = Random::keyed(self.seed, PROFILE_STREAM, u64::from(number));
        // Created by a `$set` of nothing, as some libraries do.
        if random.chance(0.004) {
            out.extend_from_slice(b"{}");
            return;
        }
        object(out, |properties| self.person(people, number, &mut random, properties));
    }

    fn person(&self, people: &People, number: u32, random: &mut Random, properties: &mut Properties<'_>) {
        let lead = self.is_lead(number);
        let user = people.user(number);
        let created = self.created(people.came(number), random);
        let first = FIRST_NAMES[(user.device[0] % FIRST_NAMES.len() as u64) as usize];
        let last = LAST_NAMES[(user.device[1] % LAST_NAMES.len() as u64) as usize];
        let place = user.place();
        properties.with("$name", |out| string(out, &format!("{first} {last}"), false));
        if lead {
            properties.raw("$email", random.pick(&["null", "\"\"", "\"unknown\""]));
        } else {
            properties.text("$email", &format!("user-{number:06}@example.com"));
        }
        if random.chance(0.4) {
            properties.text("$first_name", first).text("$last_name", last);
        }
        properties.with("$created", |out| self.stamp(out, created));
        if random.chance(0.97) {
            let seen = created + (random.unit() * (self.now_s - created) as f64) as i64;
            properties.with("$last_seen", |out| self.stamp(out, seen));
        }
        properties
            .text("$city", place.city)
            .text("$region", place.region)
            .joined("$country_code", place.country, "")
            .joined("$timezone", TIME_ZONES[user.place], "");
        if !lead {
            device(properties, &user);
            properties.text("plan", user.plan(self.today));
        }
        if self.companies > 0 && random.chance(0.6) {
            let company = mix(u64::from(number)) % u64::from(self.companies);
            properties.text("company_id", &self.company_id(company as u32));
        }
        traits(properties, &user, self.today, random);
        oddities(properties, random);
    }

    /// Appends the properties of a company, a JSON object.
    pub(super) fn write_company(&self, number: u32, out: &mut Vec<u8>) {
        let mut random = Random::keyed(self.seed, COMPANY_STREAM, u64::from(number));
        object(out, |properties| {
            let random = &mut random;
            let created = self.created(-(random.below(300) as i32) - 1, random);
            let owner = random.pick(&LAST_NAMES);
            let employees = random.between(1, 400) * random.between(1, 25);
            properties
                .text(
                    "$name",
                    &format!("{owner} & {} #{number}", random.pick(&["Söhne", "Co.", "\"Partners\""])),
                )
                .with("$created", |out| self.stamp(out, created))
                .text("industry", random.pick_skewed(&INDUSTRIES))
                .raw("plan", random.pick(&["\"free\"", "\"pro\"", "\"enterprise\""]));
            match random.below(10) {
                0 => properties.raw("employees", random.pick(&["\"1-10\"", "\"500+\"", "null"])),
                _ => properties.int("employees", employees),
            };
            if random.chance(0.3) {
                properties.raw("contacts", r#"[{"role":"billing","email":"b@example.com"},{"role":"it"}]"#);
            }
        });
    }

    /// A second of the day on which someone came; users come in the morning.
    fn created(&self, came: i32, random: &mut Random) -> i64 {
        let day = self.first_day.checked_add(i64::from(came).days()).unwrap_or(self.first_day);
        let midnight = epoch_second(day.at(0, 0, 0, 0), &jiff::tz::TimeZone::UTC);
        (midnight + random.between(6 * 3600, 9 * 3600) as i64).min(self.now_s)
    }

    /// A time as profiles have it: ISO, without a zone, UTC.
    fn stamp(&self, out: &mut Vec<u8>, second: i64) {
        let civil = jiff::Timestamp::from_second(second)
            .map(|at| at.to_zoned(jiff::tz::TimeZone::UTC).datetime())
            .unwrap_or_default();
        out.push(b'"');
        for (value, width, end) in [
            (i64::from(civil.year()), 4, b'-'),
            (i64::from(civil.month()), 2, b'-'),
            (i64::from(civil.day()), 2, b'T'),
            (i64::from(civil.hour()), 2, b':'),
            (i64::from(civil.minute()), 2, b':'),
            (i64::from(civil.second()), 2, b'"'),
        ] {
            padded(out, value as u64, width);
            out.push(end);
        }
    }
}

/// Appends an object of the properties that `write` adds.
fn object(out: &mut Vec<u8>, write: impl FnOnce(&mut Properties<'_>)) {
    let start = out.len();
    write(&mut Properties::new(out, false));
    // Each property begins with a comma; the first one's place is that of the brace.
    match out.get_mut(start) {
        Some(comma) => *comma = b'{',
        None => out.push(b'{'),
    }
    out.push(b'}');
}

fn device(properties: &mut Properties<'_>, user: &User) {
    let (os, browser, version, ..) = DESKTOPS[user.desktop];
    let (referrer, domain) = REFERRERS[(user.device[0] % REFERRERS.len() as u64) as usize];
    properties
        .joined("$os", os, "")
        .joined("$browser", browser, "")
        .int("$browser_version", version - user.device[1] % 3)
        .joined("$initial_referrer", referrer, "")
        .joined("$initial_referring_domain", domain, "");
}

/// What the shop knows about most people; types vary as they do where several teams write.
fn traits(properties: &mut Properties<'_>, user: &User, today: i32, random: &mut Random) {
    let cents = random.below(500_000);
    match random.below(20) {
        0 => {}
        1 => drop(properties.raw("Lifetime Value", "null")),
        2 | 3 => {
            properties.with("Lifetime Value", |out| {
                out.push(b'"');
                money(out, cents);
                out.push(b'"');
            });
        }
        _ => drop(properties.money("Lifetime Value", cents)),
    }
    let age = random.between(16, 80);
    match random.below(10) {
        0..4 => {}
        4 => drop(properties.text("age", &age.to_string())),
        _ => drop(properties.int("age", age)),
    }
    if random.chance(0.3) {
        properties.raw("is_vip", random.pick(&["true", "\"true\"", "1", "false", "\"\""]));
    }
    if random.chance(0.4) {
        let tags = [r#"["new","sale"]"#, "[]", r#"["bio",7,null]"#, r#"["größe:L","größe:L"]"#, r#""vip""#];
        properties.raw("tags", random.pick_skewed(&tags));
    }
    if random.chance(0.3) {
        let from = random.between(18, 23);
        properties.with("preferences", |out| {
            out.extend_from_slice(br#"{"newsletter":true,"channels":["mail","push"],"quiet":{"from":"#);
            integer(out, from);
            out.extend_from_slice(br#","to":7}}"#);
        });
    }
    if random.chance(0.1) {
        properties.raw(
            "addresses",
            r#"[{"kind":"home","lines":["12 Rue de l'Église","Bât. \"C\""]},{"kind":"work","lines":[]}]"#,
        );
    }
    if random.chance(0.05) {
        // Differs from `plan` in case alone.
        properties.text("Plan", user.plan(today));
    }
}

/// What few have.
fn oddities(properties: &mut Properties<'_>, random: &mut Random) {
    if random.chance(0.1) {
        properties.raw("$phone", random.pick(&["\"\"", "\"+49 30 1234567\"", "491701234567"]));
    }
    if random.chance(0.03) {
        properties.raw("🎂 birthday", random.pick(&["\"1990-05-17\"", "\"--05-17\"", "643680000"]));
    }
    if random.chance(0.03) {
        properties.text(r#"ship.to \"home\" address"#, "12 Rue de l'Église, \"Bât. C\"");
    }
    if random.chance(0.02) {
        // Above 2^53, where doubles skip integers.
        properties.int("legacy id", (1 << 53) + 1 + 2 * random.below(1000));
    }
    if random.chance(0.02) {
        properties.text("note", random.pick(&NOTES));
    }
    if random.chance(0.1) {
        // A few hundred traits, each of a handful of people.
        let unit = random.unit();
        let number = 1 + (unit * unit * 300.0) as u64;
        properties.numbered("trait_", number, 4, random.pick(&["true", "\"b\"", "3", "null"]));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::{Generator, SimConfig};

    #[test]
    fn identifiers_are_unique_and_lead_back_to_their_numbers() {
        let config = SimConfig { profiles: Some(3_000), users: Some(1_000), ..SimConfig::default() };
        let generator = Generator::new(&config).unwrap();
        let census = &generator.census;
        let mut seen = HashSet::new();
        for number in 0..3_000 {
            let id = census.id(number);
            assert_eq!(census.number(&id.text()), Some(number), "{id:?}");
            assert!(seen.insert(id.text().into_owned()), "{id:?}");
        }
        for unknown in
            ["user-000049", "user-1", "user-999999", "7000000000", "lead-", "", "LEAD-999999999999"]
        {
            assert_eq!(census.number(unknown), None, "{unknown}");
        }
    }
}
