//! How fast the simulator serves 200,000 profiles, page by page, over a loopback connection.
//!
//! Prints profiles per second: as plain text, compressed, with few properties, and under a filter. The reference is
//! the export of as many rows in the same run. The server has one thread for connections, and what it writes is
//! made while it is asked for.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use mixpanel_sim::{Limits, SimConfig, Simulator};

const PROFILES: u32 = 200_000;
const PAGE: u32 = 1000;

fn main() {
    // `cargo test --benches` runs this file too, and has no use for the numbers.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let config = SimConfig {
        profiles: Some(PROFILES),
        total_events: Some(u64::from(PROFILES)),
        limits: Limits::off(),
        gzip_level: 1,
        ..SimConfig::default()
    };
    let simulator = Simulator::start(config).expect("a simulator");
    let world = simulator.world();
    world.prepare(world.first_day(), world.last_day());

    let begun = Instant::now();
    let target = format!("export?from_date={}&to_date={}", world.first_day(), world.last_day());
    let bytes = ask(&simulator, &target, "identity").len();
    let reference = f64::from(PROFILES) / begun.elapsed().as_secs_f64();
    println!("export (reference): {} MB, {reference:.0} rows/s", bytes / 1_000_000);

    let filter = "&where=properties%5B%22plan%22%5D%20%3D%3D%20%22pro%22";
    let narrow = "&output_properties=%5B%22%24email%22%5D";
    for (name, more, encoding) in [
        ("plain", "", "identity"),
        ("gzip", "", "gzip"),
        ("one property", narrow, "identity"),
        ("filter", filter, "identity"),
    ] {
        let begun = Instant::now();
        let first = ask(&simulator, &format!("engage?page=0{more}"), "identity");
        let (session, total) = (text_after(&first, "\"session_id\":\""), text_after(&first, "\"total\":"));
        let total: u32 = total.parse().expect("a total");
        let first_seconds = begun.elapsed().as_secs_f64();
        let mut bytes = first.len();
        for page in 1..total.div_ceil(PAGE) {
            bytes +=
                ask(&simulator, &format!("engage?page={page}&session_id={session}{more}"), encoding).len();
        }
        // Under a filter, all have to be looked at.
        let rate = f64::from(PROFILES) / begun.elapsed().as_secs_f64();
        println!(
            "engage, {name}: {total} of {PROFILES} profiles, {} MB, first page {first_seconds:.2} s, \
             {rate:.0} profiles/s, {:.2} times the reference",
            bytes / 1_000_000,
            rate / reference
        );
    }
    for name in ["first", "again"] {
        let begun = Instant::now();
        ask(&simulator, "cohorts/list", "identity");
        println!("cohorts/list, {name}: {:.2} s for six cohorts", begun.elapsed().as_secs_f64());
    }
}

/// The letters and digits behind a text.
fn text_after(answer: &[u8], before: &str) -> String {
    let text = String::from_utf8_lossy(answer);
    let (_, rest) = text.split_once(before).expect("a field");
    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect()
}

/// Everything that the server sends.
fn ask(simulator: &Simulator, target: &str, encoding: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(simulator.addr()).expect("a connection");
    write!(
        stream,
        "GET /api/2.0/{target} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n\
         Authorization: Basic sim-project-secret:\r\nAccept-Encoding: {encoding}\r\n\r\n",
    )
    .expect("sending");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("receiving");
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer[..200.min(answer.len())])
    );
    answer
}
