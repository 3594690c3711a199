//! How fast the simulator generates and serves the million-event world.
//!
//! Prints events per second of generating on one core, and megabytes per second over a loopback connection, as
//! plain text and compressed. The server has one thread; the reader, which only counts bytes, has another. The CPU
//! time of both together is printed too, since on one core it is what bounds the rate. Fails below the rate at
//! which the simulator would hold up a client.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use mixpanel_sim::{SimConfig, Simulator, World};

/// Megabytes of JSON per second of CPU that serving plain text must reach.
const LEAST: f64 = 400.0;

fn main() {
    // `cargo test --benches` runs this file too, and has no use for the numbers.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    generate();
    serve();
}

fn generate() {
    let world = World::generate(&SimConfig::million());
    let (begun, mut rows, mut bytes) = (Instant::now(), 0, 0);
    for day in world.days().iter().take(10) {
        bytes += day.jsonl().len();
        rows += day.rows();
    }
    let seconds = begun.elapsed().as_secs_f64();
    let per_event = bytes as f64 / rows as f64;
    println!(
        "generate: {:.0} events/s, {:.0} MB/s, {per_event:.0} B/event",
        rows as f64 / seconds,
        bytes as f64 / seconds / 1e6
    );
}

fn serve() {
    let simulator = Simulator::start(SimConfig::million()).expect("a simulator");
    let world = simulator.world();
    let begun = Instant::now();
    world.prepare(world.first_day(), world.last_day());
    let plain: usize = world.days().iter().map(|day| day.jsonl().len()).sum();
    println!(
        "prepare (generate and compress): {:.1} s for {} MB",
        begun.elapsed().as_secs_f64(),
        plain / 1_000_000
    );
    for (name, encoding) in [("plain", "identity"), ("gzip", "gzip")] {
        for _ in 0..2 {
            let (begun, cpu) = (Instant::now(), cpu_seconds());
            let bytes = download(&simulator, encoding);
            let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu);
            println!(
                "serve {name}: {} MB in {seconds:.2} s: {:.0} MB/s on the wire, {:.0} MB/s of JSON, \
                 {cpu:.2} s of CPU",
                bytes / 1_000_000,
                bytes as f64 / seconds / 1e6,
                plain as f64 / seconds / 1e6,
            );
            let rate = plain as f64 / seconds.max(cpu) / 1e6;
            assert!(rate >= LEAST, "{rate:.0} MB/s is too slow");
        }
    }
}

fn download(simulator: &Simulator, encoding: &str) -> usize {
    let world = simulator.world();
    let mut stream = TcpStream::connect(simulator.addr()).expect("a connection");
    write!(
        stream,
        "GET /api/2.0/export?from_date={}&to_date={} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n\
         Authorization: Basic sim-project-secret:\r\nAccept-Encoding: {encoding}\r\n\r\n",
        world.first_day(),
        world.last_day(),
    )
    .expect("sending");
    let mut buffer = vec![0; 1 << 20];
    let mut total = 0;
    loop {
        match stream.read(&mut buffer).expect("receiving") {
            0 => return total,
            count => total += count,
        }
    }
}

/// User and system time of this process, where the kernel tells it in ticks of a hundredth of a second.
fn cpu_seconds() -> f64 {
    let Ok(stat) = fs::read_to_string("/proc/self/stat") else { return f64::NAN };
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
