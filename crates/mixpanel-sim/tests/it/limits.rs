//! Request limits over HTTP, on a clock that only the tests move.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use mixpanel_sim::{Fault, Limits};

use crate::support::*;

const DAY: &str = "2025-06-20";

#[test]
fn three_per_second() {
    let simulator = start_limited(Limits::default());
    for _ in 0..3 {
        assert_eq!(export(&simulator, DAY, DAY, &[]).status, 200);
    }
    let refused = export(&simulator, DAY, DAY, &[]);
    assert_eq!(refused.status, 429);
    assert_eq!(refused.error(), "too many export requests in progress for this project");
    assert_eq!(refused.header("retry-after"), None);
    simulator.advance(Duration::from_millis(999));
    assert_eq!(export(&simulator, DAY, DAY, &[]).status, 429);
    simulator.advance(Duration::from_millis(1));
    assert_eq!(export(&simulator, DAY, DAY, &[]).status, 200);
}

#[test]
fn sixty_per_hour() {
    let limits = Limits { retry_after: true, ..Limits::default() };
    let simulator = start_limited(limits);
    for _ in 0..60 {
        assert_eq!(export(&simulator, DAY, DAY, &[]).status, 200);
        simulator.advance(Duration::from_secs(30));
    }
    let refused = export(&simulator, DAY, DAY, &[]);
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("1800"));
    simulator.advance(Duration::from_secs(1800));
    assert_eq!(export(&simulator, DAY, DAY, &[]).status, 200);
    let log = simulator.requests();
    assert_eq!(log.iter().filter(|entry| entry.status == 200).count(), 61);
    assert_eq!(log.iter().filter(|entry| entry.status == 429).count(), 1);
    assert_eq!(log[61].at.duration_since(log[0].at).as_secs(), 3600);
}

#[test]
fn failed_requests_count_but_unauthorised_ones_do_not() {
    let simulator = start_limited(Limits { per_second: 2, ..Limits::default() });
    for _ in 0..5 {
        assert_eq!(get(&simulator, "/api/2.0/export?from_date=x", &[]).status, 401);
    }
    assert_eq!(export(&simulator, "x", DAY, &[]).status, 400);
    assert_eq!(export(&simulator, DAY, DAY, &[]).status, 200);
    assert_eq!(export(&simulator, DAY, DAY, &[]).status, 429);
}

#[test]
fn one_hundred_at_once() {
    let limits = Limits { per_hour: 1000, per_second: 1000, ..Limits::default() };
    let simulator = start_limited(limits);
    let stall = Fault::Stall { after_bytes: 10, delay: Duration::from_secs(60) };
    simulator.fault(stall.times(100));
    let config = simulator.config();
    let authorization = basic(&config.username, &config.secret);
    let open = || {
        let mut stream = TcpStream::connect(simulator.addr()).unwrap();
        let target = format!("/api/2.0/export?project_id=12345&from_date={DAY}&to_date={DAY}");
        write!(stream, "GET {target} HTTP/1.1\r\nHost: sim\r\nAuthorization: {authorization}\r\n\r\n")
            .unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        stream
    };
    let mut running: Vec<TcpStream> = (0..100).map(|_| open()).collect();
    assert_eq!(export(&simulator, DAY, DAY, &[]).status, 429);
    // Hanging up frees the place, as soon as the server notices.
    running.pop();
    let freed = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        export(&simulator, DAY, DAY, &[]).status == 200
    });
    assert!(freed);
}

#[test]
fn another_process_can_move_the_clock() {
    let simulator = start_limited(Limits { per_second: 1, ..Limits::default() });
    assert_eq!(export(&simulator, DAY, DAY, &[]).status, 200);
    assert_eq!(export(&simulator, DAY, DAY, &[]).status, 429);
    let before = simulator.now();
    let moved = send(&simulator, "POST", "/sim/clock?advance_s=90", &[], "");
    assert_eq!(moved.status, 200);
    assert_eq!(simulator.now().duration_since(before).as_secs(), 90);
    assert_eq!(export(&simulator, DAY, DAY, &[]).status, 200);
    assert_eq!(send(&simulator, "POST", "/sim/clock?advance_s=-1", &[], "").status, 400);
}
