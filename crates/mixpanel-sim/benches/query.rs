//! How long a query over the million-event world takes, once its days are parsed.
//!
//! Prints the time of the first query, which parses all days, and of later ones, each against a reference in the
//! same run: one pass over the same lines that does nothing but parse them as JSON.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use mixpanel_sim::{SimConfig, Simulator};

fn main() {
    // `cargo test --benches` runs this file too, and has no use for the numbers.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let simulator = Simulator::start(SimConfig::million()).expect("a simulator");
    let world = simulator.world();
    let lines: Vec<u8> = world.days().iter().flat_map(|day| day.jsonl().to_vec()).collect();
    let begun = Instant::now();
    for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        black_box(serde_json::from_slice::<serde_json::Value>(line).expect("JSON"));
    }
    let reference = begun.elapsed().as_secs_f64();
    drop(lines);
    println!(
        "reference, parsing {} lines: {reference:.2} s",
        world.event_count(world.first_day(), world.last_day())
    );

    let range = format!("from_date={}&to_date={}", world.first_day(), world.last_day());
    let on = "on=properties%5B%22mp_country_code%22%5D";
    let filter = "where=properties%5B%22mp_lib%22%5D+%3D%3D+%22web%22";
    for (name, target) in [
        ("segmentation, days parsed first", format!("segmentation?event=Page+View&{range}")),
        ("segmentation", format!("segmentation?event=Page+View&{range}")),
        ("segmentation, unique", format!("segmentation?event=Page+View&type=unique&{range}")),
        ("segmentation by property, filtered", format!("segmentation?event=Page+View&{on}&{filter}&{range}")),
        ("funnel", format!("funnels?funnel_id=7501&{range}")),
        ("retention", format!("retention?born_event=Signed+Up&interval_count=7&{range}")),
        ("frequency", format!("retention/addiction?unit=day&addiction_unit=hour&{range}")),
        ("names of events", "events/names?type=general".to_owned()),
    ] {
        let begun = Instant::now();
        ask(&simulator, &target);
        let seconds = begun.elapsed().as_secs_f64();
        println!("{name}: {seconds:.2} s, {:.0} times as fast as the reference", reference / seconds);
    }
}

fn ask(simulator: &Simulator, target: &str) {
    let mut stream = TcpStream::connect(simulator.addr()).expect("a connection");
    write!(
        stream,
        "GET /api/query/{target} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n\
         Authorization: Basic sim-project-secret:\r\n\r\n"
    )
    .expect("sending");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("receiving");
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&answer));
}
