//! What people do in the shop.
//!
//! Visits are drawn from a small model: look around, search, look at goods, and then, with losses at every step,
//! put something into the cart, start to check out, pay. The losses give funnels their shape, the choice of who
//! visits (see `people`) gives retention its own.

use super::catalog::{NOTES, PAGES, PRODUCTS, SEARCHES};
use super::day::DayWriter;
use super::people::{People, User};
use super::render::{Properties, integer, money, string, uuid};
use super::session::{Channel, Opening, Session};
use crate::random::Random;

/// What a visit needs to know about its day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    pub(super) last_second: u32,
    pub(super) wide: bool,
}

/// The first visit of a user: anonymous at first, then signed up.
pub(super) fn first_visit(day: &mut DayWriter, people: &People, number: u32, setting: Setting) {
    let user = people.user(number);
    let opening = opening(day, setting, true, false);
    let mut session = Session::open(&user, opening, &mut day.random);
    if look_around(day, &mut session, 2).is_none() {
        return;
    }
    let later = session.second + 30;
    session = Session::open(&user, Opening { anonymous: false, ..opening }, &mut day.random);
    session.second = later;
    let signed_up = day.event(&session, "Signed Up", |properties, random| {
        properties
            .raw("method", random.pick_skewed(&["\"email\"", "\"google\"", "\"apple\""]))
            .raw("referral_code", random.pick(&["null", "\"\"", "\"undefined\"", "\"FRIEND10\""]))
            .bool("marketing_opt_in", random.chance(0.6));
    });
    if signed_up.is_some() {
        let _ = shop(day, &mut session);
    }
}

/// A later visit, or now and then something that a back end reports about the user.
pub(super) fn visit(day: &mut DayWriter, people: &People, setting: Setting) {
    let number = people.anyone(day.day, &mut day.random);
    let user = people.user(number);
    let server = day.random.chance(0.06);
    let anonymous = !server && day.random.chance(0.06);
    let opening = opening(day, setting, anonymous, server);
    let mut session = Session::open(&user, opening, &mut day.random);
    let _ = if server { back_end(day, &session) } else { come_back(day, &mut session, &user) };
}

fn opening(day: &DayWriter, setting: Setting, anonymous: bool, server: bool) -> Opening {
    Opening { day: day.day, last_second: setting.last_second, anonymous, server, wide: setting.wide }
}

fn back_end(day: &mut DayWriter, session: &Session) -> Option<()> {
    let name =
        day.random.pick_skewed(&["Order Shipped", "Email Sent", "Invoice Paid", "Subscription Renewed"]);
    day.event(session, name, |properties, random| {
        properties
            .int("order_id", order_id(random))
            .money("amount", cents(random))
            .joined("currency", session.currency, "")
            .raw("warehouse", random.pick(&["\"DE-1\"", "\"US-2\"", "null", "3"]));
    })
}

fn come_back(day: &mut DayWriter, session: &mut Session, user: &User) -> Option<()> {
    look_around(day, session, 1)?;
    if user.upgrades_on(day.day) {
        session.pause(&mut day.random);
        day.event(session, "Plan Upgraded", |properties, _| {
            properties.raw("from_plan", "\"free\"").raw("reason", "\"limits\"");
        })?;
    }
    shop(day, session)?;
    if day.random.chance(0.02) {
        session.pause(&mut day.random);
        day.event(session, "Support Ticket", |properties, random| {
            let severity = random.pick(&["1", "2", "\"high\"", "3"]);
            properties.raw("severity", severity).text("note", random.pick(&NOTES));
        })?;
    }
    if day.random.chance(0.015) {
        session.pause(&mut day.random);
        // The name as other systems would say it: "Bewertung abgegeben ⭐".
        day.event(session, "Bewertung abgegeben ⭐", |properties, random| {
            properties.int("stars", random.between(1, 5)).text("note", random.pick(&NOTES));
        })?;
    }
    Some(())
}

/// Pages or screens.
fn look_around(day: &mut DayWriter, session: &mut Session, least: u64) -> Option<()> {
    if session.channel == Channel::App {
        day.event(session, "App Opened", |properties, random| {
            properties.bool("from_push", random.chance(0.2)).int("$ae_session_length", random.below(600));
        })?;
    }
    for _ in 0..least + day.random.below(5) {
        session.pause(&mut day.random);
        session.pages += 1;
        let pages = session.pages;
        if session.channel == Channel::App {
            day.event(session, "Screen View", |properties, random| {
                let screen = random.pick_skewed(&["\"Home\"", "\"Catalog\"", "\"Profile\"", "\"Deals\""]);
                properties.raw("screen", screen).int("depth", pages.into());
            })?;
            continue;
        }
        // One tag in a hundred was written by somebody else.
        let name = if day.random.chance(0.01) { "page view" } else { "Page View" };
        day.event(session, name, |properties, random| {
            let page = random.pick_skewed(&PAGES);
            properties
                .joined("$current_url", "https://shop.example.com", page)
                .int("page_number", pages.into())
                .with("load_seconds", |out| money(out, random.between(10, 400)));
        })?;
    }
    Some(())
}

/// Search, look, put into the cart, check out, pay.
fn shop(day: &mut DayWriter, session: &mut Session) -> Option<()> {
    if day.random.chance(0.35) {
        session.pause(&mut day.random);
        day.event(session, "Search", |properties, random| {
            let query = if random.chance(0.02) { random.pick(&NOTES) } else { random.pick_skewed(&SEARCHES) };
            properties
                .text("query", query)
                .int("results", random.below(80))
                .bool("filters_used", random.chance(0.2));
        })?;
    }
    if !day.random.chance(0.65) {
        return Some(());
    }
    let mut product = 0;
    for _ in 0..1 + day.random.below(3) {
        session.pause(&mut day.random);
        product = skewed_product(&mut day.random);
        day.event(session, "Product Viewed", |properties, random| viewed(properties, random, product))?;
    }
    if !day.random.chance(0.4) {
        return Some(());
    }
    session.pause(&mut day.random);
    let quantity = 1 + day.random.below(3);
    let cart = [day.random.next(), day.random.next()];
    let total = PRODUCTS[product].2 * quantity;
    day.event(session, "Add to Cart", |properties, random| {
        viewed(properties, random, product);
        properties.int("quantity", quantity).with("cart", |out| write_cart(out, cart, quantity, total));
    })?;
    if !day.random.chance(0.55) {
        return Some(());
    }
    session.pause(&mut day.random);
    day.event(session, "Checkout Started", |properties, random| {
        properties.with("cart", |out| write_cart(out, cart, quantity, total)).money("cart_total", total);
        if random.chance(0.15) {
            // A name with dots, spaces and quotes.
            properties.text(r#"ship.to \"home\" address"#, "12 Rue de l'Église, \"Bât. C\"");
        }
    })?;
    if !day.random.chance(0.7) {
        return Some(());
    }
    session.pause(&mut day.random);
    day.event(session, "Purchase", |properties, random| {
        properties
            .money("amount", total)
            .joined("currency", session.currency, "")
            .int("order_id", order_id(random))
            .with("items", |out| write_items(out, product, quantity, random))
            .raw("coupon", ["null", "null", "\"SPRING10\"", "\"\"", "null"][(total % 5) as usize])
            .raw("payment_method", if quantity == 1 { "\"card\"" } else { "\"paypal\"" })
            .bool("first_order", quantity == 3);
    })
}

fn viewed(properties: &mut Properties<'_>, random: &mut Random, product: usize) {
    let (name, category, cents) = PRODUCTS[product];
    properties.text("product", name).joined("category", category, "");
    match random.below(100) {
        // Prices as some page template renders them.
        0..3 => properties.with("price", |out| {
            out.push(b'"');
            money(out, cents);
            out.extend_from_slice(b" EUR\"");
        }),
        3 => properties.raw("price", "null"),
        4 => properties.with("price", |out| {
            out.push(b'"');
            money(out, cents);
            out.push(b'"');
        }),
        _ => properties.money("price", cents),
    };
    if random.chance(0.2) {
        properties
            .raw("tags", random.pick(&[r#"["new","sale"]"#, "[]", r#"["bio",7,null]"#, r#"["größe:L"]"#]));
    }
}

fn skewed_product(random: &mut Random) -> usize {
    let unit = random.unit();
    (unit * unit * PRODUCTS.len() as f64) as usize
}

fn cents(random: &mut Random) -> u64 {
    let cents = random.between(500, 25_000);
    // One in six is a whole number, and JSON writes it without a fraction.
    if random.chance(0.16) { cents / 100 * 100 } else { cents }
}

/// A random positive 63-bit number, as order systems make them.
fn order_id(random: &mut Random) -> u64 {
    random.next() >> 1
}

fn write_cart(out: &mut Vec<u8>, id: [u64; 2], quantity: u64, total: u64) {
    out.extend_from_slice(b"{\"id\":\"");
    uuid(out, id);
    out.extend_from_slice(b"\",\"size\":");
    integer(out, quantity);
    out.extend_from_slice(b",\"total\":");
    money(out, total);
    out.extend_from_slice(br#","coupon":null,"gift":{"wrap":true,"card":{"text":""}}}"#);
}

fn write_items(out: &mut Vec<u8>, product: usize, quantity: u64, random: &mut Random) {
    out.push(b'[');
    let second = skewed_product(random);
    for (index, product) in [product, second].into_iter().take(1 + random.below(2) as usize).enumerate() {
        let (name, category, cents) = PRODUCTS[product];
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"sku\":\"SKU-");
        integer(out, 1000 + product as u64);
        out.extend_from_slice(b"\",\"name\":");
        string(out, name, false);
        out.extend_from_slice(b",\"category\":");
        string(out, category, false);
        out.extend_from_slice(b",\"price\":");
        money(out, cents);
        out.extend_from_slice(b",\"quantity\":");
        integer(out, quantity);
        out.push(b'}');
    }
    out.push(b']');
}
