//! One visit: who, from what device, and the properties that all its events share.
//!
//! Those shared properties are written once as JSON text and copied into every event of the visit, which is
//! what makes generating fast.

use super::catalog::{CAMPAIGNS, CARRIERS, DESKTOPS, PHONES, REFERRERS, SERVICES};
use super::people::User;
use super::render::{Properties, padded, uuid};
use crate::random::Random;

/// Where a visit comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    Web,
    App,
    /// Not a visit but a back-end job about a user.
    Server,
}

/// The state of a visit.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) channel: Channel,
    /// Needs no escaping.
    pub(super) distinct_id: Vec<u8>,
    /// `,"name":value` pairs.
    pub(super) context: Vec<u8>,
    /// Whether the sender escapes everything beyond ASCII.
    pub(super) ascii: bool,
    pub(super) plan: &'static str,
    pub(super) currency: &'static str,
    /// The second of the day.
    pub(super) second: u32,
    /// The visit ends before this second.
    pub(super) last_second: u32,
    /// How long events take to arrive, at least.
    pub(super) lag_ms: i64,
    pub(super) pages: u32,
}

/// What a session is begun with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening {
    pub(super) day: i32,
    pub(super) last_second: u32,
    pub(super) anonymous: bool,
    pub(super) server: bool,
    pub(super) wide: bool,
}

impl Session {
    pub(super) fn open(user: &User, opening: Opening, random: &mut Random) -> Session {
        let channel = match opening.server {
            true => Channel::Server,
            false if random.chance(user.mobile) => Channel::App,
            false => Channel::Web,
        };
        // The sum of two uniform numbers peaks in the early afternoon.
        let hours = 4.0 + random.unit() * 10.0 + random.unit() * 10.0;
        let second = (hours / 24.0 * f64::from(opening.last_second)) as u32;
        let mut session = Session {
            channel,
            distinct_id: Vec::with_capacity(44),
            context: Vec::with_capacity(900),
            ascii: random.chance(0.2),
            plan: user.plan(opening.day),
            currency: user.place().currency,
            second,
            last_second: opening.last_second,
            lag_ms: lag_ms(channel, random),
            pages: 0,
        };
        session.identify(user, opening.anonymous);
        session.describe(user, opening, random);
        session
    }

    /// Lets some time pass before the next event.
    pub(super) fn pause(&mut self, random: &mut Random) {
        self.second += random.between(2, 90) as u32;
    }

    fn identify(&mut self, user: &User, anonymous: bool) {
        self.distinct_id.clear();
        if anonymous {
            self.distinct_id.extend_from_slice(b"$device:");
            uuid(&mut self.distinct_id, user.device);
        } else {
            self.distinct_id.extend_from_slice(b"user-");
            padded(&mut self.distinct_id, u64::from(user.number), 6);
        }
    }

    fn describe(&mut self, user: &User, opening: Opening, random: &mut Random) {
        let Session { context, distinct_id, ascii, plan, channel, .. } = self;
        let mut properties = Properties::new(context, *ascii);
        if !opening.anonymous {
            let id = std::str::from_utf8(distinct_id).unwrap_or_default();
            properties.joined("$user_id", id, "").text("plan", plan);
        }
        properties.text("mp_country_code", user.place().country);
        match channel {
            Channel::Web => web(&mut properties, user, random),
            Channel::App => app(&mut properties, user, random),
            Channel::Server => server(&mut properties, random),
        }
        if opening.wide {
            wide(&mut properties, user, *channel, random);
        }
    }
}

/// Web events arrive at once, phones batch them, and one visit in a hundred is sent days later.
fn lag_ms(channel: Channel, random: &mut Random) -> i64 {
    let (low, high) = match channel {
        _ if random.chance(0.01) => (43_200_000, 420_000_000),
        Channel::App if random.chance(0.08) => (600_000, 21_600_000),
        Channel::App => (5_000, 90_000),
        _ => (200, 8_000),
    };
    random.between(low, high) as i64
}

fn web(properties: &mut Properties<'_>, user: &User, random: &mut Random) {
    let (os, browser, version, height, width) = DESKTOPS[user.desktop];
    let (referrer, domain) = REFERRERS[(user.device[0] % REFERRERS.len() as u64) as usize];
    properties
        .joined("mp_lib", "web", "")
        .raw("$lib_version", "\"2.65.0\"")
        .joined("$os", os, "")
        .joined("$browser", browser, "")
        .int("$browser_version", version - user.device[1] % 3)
        .uuid("$device_id", "", user.device)
        .int("$screen_height", height)
        .int("$screen_width", width)
        .text("$city", user.place().city)
        .text("$region", user.place().region)
        .joined("$initial_referrer", referrer, "")
        .joined("$initial_referring_domain", domain, "");
    if random.chance(0.3) {
        let (source, medium, campaign) = random.pick_skewed(&CAMPAIGNS);
        properties
            .joined("utm_source", source, "")
            .joined("utm_medium", medium, "")
            .text("utm_campaign", campaign);
        if random.chance(0.3) {
            properties
                .raw("utm_term", random.pick(&["\"\"", "\"undefined\"", "\"<null>\"", "\"mugs\"", "null"]));
        }
    }
    if random.chance(0.4) {
        let (referrer, domain) = random.pick(&REFERRERS);
        properties.joined("$referrer", referrer, "").joined("$referring_domain", domain, "");
    }
}

fn app(properties: &mut Properties<'_>, user: &User, random: &mut Random) {
    let (lib, os, version, maker, model, height, width) = PHONES[user.phone];
    let build = 4200 + random.below(12);
    properties
        .joined("mp_lib", lib, "")
        .raw("$lib_version", if os == "iOS" { "\"5.1.0\"" } else { "\"8.2.1\"" })
        .joined("$os", os, "")
        .joined("$os_version", version, "")
        .joined("$manufacturer", maker, "")
        .joined("$model", model, "")
        .uuid("$device_id", "", [user.device[1], user.device[0]])
        .raw("$app_version_string", random.pick_skewed(&["\"7.4.0\"", "\"7.3.2\"", "\"7.0.0\""]))
        // The iOS library sends this as a string.
        .with("$app_build_number", |out| {
            let quoted = if os == "iOS" { format!("\"{build}\"") } else { build.to_string() };
            out.extend_from_slice(quoted.as_bytes());
        })
        .int("$screen_height", height)
        .int("$screen_width", width)
        .text("$carrier", random.pick(&CARRIERS))
        .bool("$wifi", random.chance(0.7))
        .text("$city", user.place().city)
        .text("$region", user.place().region);
    if os == "Android" {
        properties.raw("$brand", "\"\"").bool("$has_nfc", true).raw("$bluetooth_version", "\"ble\"");
    }
}

fn server(properties: &mut Properties<'_>, random: &mut Random) {
    properties
        .raw("mp_lib", random.pick(&["\"python\"", "\"node\""]))
        .raw("$lib_version", "\"4.10.1\"")
        .raw("$mp_api_endpoint", "\"api.mixpanel.com\"")
        .bool("$import", true)
        .raw("environment", "\"production\"")
        .joined("service", random.pick(&SERVICES), "")
        .int("attempt", 1 + random.below(20) / 18);
}

const WEB_AGENT: &str = "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) ";

/// What the world of wide events adds.
fn wide(properties: &mut Properties<'_>, user: &User, channel: Channel, random: &mut Random) {
    properties
        .uuid("session_id", "s-", [random.next(), random.next()])
        .int("session_number", 1 + random.below(40))
        .bool("is_returning", random.chance(0.7))
        .raw(
            "consent",
            random.pick(&[r#"{"analytics":true,"ads":false}"#, r#"{"analytics":true,"ads":true}"#]),
        )
        .joined("locale", user.place().locale, "");
    match channel {
        Channel::Web => properties.joined("user_agent", WEB_AGENT, DESKTOPS[user.desktop].1),
        Channel::App => {
            properties.joined("user_agent", "Shop/7.4.0 (Mobile; Build 4207) ", PHONES[user.phone].4)
        }
        Channel::Server => properties
            .uuid("request_id", "", [random.next(), random.next()])
            .joined("host", "worker-", random.pick(&["a1", "b2", "c3"]))
            .int("queue_ms", random.below(900))
            .raw("tags", r#"["batch","v2"]"#)
            .bool("retried", random.chance(0.05))
            .raw("deploy", "\"2025-06-11.3\""),
    };
}
