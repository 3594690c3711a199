//! Every scripted fault, as a client meets it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::civil::date;
use mixpanel_sim::{Fault, ScriptedFault, Simulator};
use serde_json::json;

use crate::support::*;

const DAY: &str = "2025-06-20";

fn plain(simulator: &Simulator) -> Answer {
    export(simulator, DAY, DAY, &[])
}

fn packed(simulator: &Simulator) -> Answer {
    export_with(simulator, DAY, DAY, &[], &[("Accept-Encoding", "gzip")])
}

fn expected(simulator: &Simulator) -> Vec<u8> {
    simulator.world().jsonl(date(2025, 6, 20)).to_vec()
}

#[test]
fn terminated_early() {
    let simulator = start(small());
    let whole = expected(&simulator);
    for answer in [plain, packed] {
        simulator.fault(Fault::terminated_early(0.5));
        let answer = answer(&simulator);
        let text = answer.plain();
        assert!(answer.status == 200 && answer.complete);
        let kept = text.strip_suffix(b"terminated early\n").expect("the message at the end");
        assert!(whole.starts_with(kept) && kept.ends_with(b"\n") && kept.len() < whole.len());
    }
    let message = "export terminated early".to_owned();
    simulator.fault(Fault::TerminatedEarly { fraction: 0.0, message });
    assert_eq!(plain(&simulator).text(), "export terminated early\n");
}

#[test]
fn a_dropped_connection() {
    let simulator = start(small());
    let whole = expected(&simulator);
    for fraction in [0.0, 0.3, 0.9] {
        simulator.fault(Fault::CutConnection { fraction });
        let answer = plain(&simulator);
        assert_eq!((answer.status, answer.complete), (200, false));
        let received = answer.body();
        assert_eq!(received.len(), (whole.len() as f64 * fraction) as usize);
        assert!(whole.starts_with(&received));
    }
    // Everything arrived, but nothing says so.
    simulator.fault(Fault::CutConnection { fraction: 1.0 });
    let answer = plain(&simulator);
    assert!(!answer.complete && answer.body() == whole);
    // Compressed, it is no sound stream either.
    simulator.fault(Fault::CutConnection { fraction: 0.5 });
    let answer = packed(&simulator);
    assert!(!answer.complete && gunzip(&answer.body()).is_err());
}

#[test]
fn a_missing_or_wrong_gzip_trailer() {
    let simulator = start(small());
    let sound = packed(&simulator).body();
    simulator.fault(Fault::CutBeforeTrailer);
    let cut = packed(&simulator);
    assert!(!cut.complete && cut.body() == sound[..sound.len() - 8]);
    simulator.fault(Fault::GzipNoTrailer);
    let short = packed(&simulator);
    assert!(short.complete && short.body() == sound[..sound.len() - 8]);
    assert!(gunzip(&short.body()).is_err());
    simulator.fault(Fault::GzipBadCrc);
    let wrong = packed(&simulator);
    assert!(wrong.complete && wrong.body().len() == sound.len());
    assert!(gunzip(&wrong.body()).is_err());
    // They have no effect on what is not compressed.
    simulator.fault(Fault::GzipBadCrc);
    assert!(plain(&simulator).body() == expected(&simulator));
}

#[test]
fn a_clean_end_in_the_middle_of_a_line() {
    let simulator = start(small());
    let whole = expected(&simulator);
    for answer in [plain, packed] {
        simulator.fault(Fault::CleanCloseMidLine { fraction: 0.6 });
        let answer = answer(&simulator);
        assert!(answer.complete);
        let text = answer.plain();
        assert!(whole.starts_with(&text) && text.len() < whole.len());
        let last = text.rsplit(|&byte| byte == b'\n').next().unwrap();
        assert!(!last.is_empty() && serde_json::from_slice::<serde_json::Value>(last).is_err());
    }
    simulator.fault(Fault::NoFinalNewline);
    assert!(plain(&simulator).body() == whole[..whole.len() - 1]);
}

#[test]
fn slow_answers() {
    let simulator = start(small());
    let delay = Duration::from_millis(150);
    simulator.fault(Fault::SlowFirstByte { delay });
    simulator.fault(Fault::Stall { after_bytes: 5_000, delay });
    for _ in 0..2 {
        let begun = Instant::now();
        let answer = plain(&simulator);
        assert!(begun.elapsed() >= delay && answer.complete);
        assert!(answer.body() == expected(&simulator));
    }
}

#[test]
fn other_answers() {
    let simulator = start(small());
    simulator.fault(Fault::Status {
        status: 503,
        body: "<html>down</html>".to_owned(),
        retry_after: Some("Wed, 02 Jul 2025 10:00:00 GMT".to_owned()),
        content_type: "text/html".to_owned(),
    });
    let answer = plain(&simulator);
    assert_eq!((answer.status, answer.header("content-type")), (503, Some("text/html")));
    assert_eq!(answer.header("retry-after"), Some("Wed, 02 Jul 2025 10:00:00 GMT"));
    assert_eq!(answer.body(), b"<html>down</html>");

    simulator.fault(Fault::TooManyRequests { retry_after: Some("7".to_owned()) });
    simulator.fault(Fault::TooManyRequests { retry_after: None });
    let (first, second) = (plain(&simulator), plain(&simulator));
    assert_eq!((first.status, first.header("retry-after")), (429, Some("7")));
    assert_eq!((second.status, second.header("retry-after")), (429, None));

    simulator.fault(Fault::InBandError { message: "out of sorts".to_owned() });
    let answer = plain(&simulator);
    assert_eq!((answer.status, answer.error().as_str()), (200, "out of sorts"));

    simulator.fault(Fault::HtmlPage);
    let answer = plain(&simulator);
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("text/html"));
    assert!(answer.text().starts_with("<!DOCTYPE html>"));

    simulator.fault(Fault::Redirect { location: "http://127.0.0.1:9/elsewhere".to_owned() });
    let answer = plain(&simulator);
    assert_eq!((answer.status, answer.header("location")), (302, Some("http://127.0.0.1:9/elsewhere")));
}

#[test]
fn inserted_and_replaced_lines() {
    let simulator = start(small());
    let lines = vec![
        Bytes::from_static(b"{\"event\":\"\xff\xfe\"}"),
        Bytes::from_static(b"\0"),
        Bytes::from(vec![b'x'; 20_000_000]),
    ];
    simulator.fault(Fault::InsertLines { after_line: 2, lines: lines.clone() });
    let body = packed(&simulator).plain();
    let found: Vec<&[u8]> = body.split(|&byte| byte == b'\n').collect();
    assert!(found[2] == lines[0] && found[3] == lines[1] && found[4] == lines[2]);
    let whole = expected(&simulator);
    assert_eq!(body.len(), whole.len() + lines.iter().map(|line| line.len() + 1).sum::<usize>());
    assert!(body.ends_with(&whole[whole.len() / 2..]));

    simulator.fault(Fault::ReplaceBody(Bytes::from_static(b"{\"event\":\n\"split\"}\n")));
    assert_eq!(plain(&simulator).body(), b"{\"event\":\n\"split\"}\n");
}

#[test]
fn faults_wait_for_their_requests() {
    let simulator = start(small());
    simulator.fault(Fault::status(500).after(1).times(2));
    let statuses: Vec<u16> = (0..4).map(|_| plain(&simulator).status).collect();
    assert_eq!(statuses, [200, 500, 500, 200]);
    simulator.fault(Fault::status(502).on_day(date(2025, 6, 22)));
    assert_eq!(plain(&simulator).status, 200);
    assert_eq!(export(&simulator, "2025-06-21", "2025-06-23", &[]).status, 502);
    // A request that fails by itself uses up no fault.
    simulator.fault(Fault::status(504));
    assert_eq!(export(&simulator, "x", DAY, &[]).status, 400);
    assert_eq!(get(&simulator, "/api/2.0/export", &[]).status, 401);
    assert_eq!(simulator.waiting_faults(), 1);
    assert_eq!(plain(&simulator).status, 504);
    let log = simulator.requests();
    assert_eq!(log.last().unwrap().fault, Some("status"));
    assert_eq!(log[0].fault, None);
}

#[test]
fn faults_from_another_process() {
    let simulator = start(small());
    let header = |fault| export_with(&simulator, DAY, DAY, &[], &[("X-Sim-Fault", fault)]);
    assert_eq!(header("status:503").status, 503);
    assert!(!header("cut_connection:0.5").complete);
    assert!(header("terminated_early").text().ends_with("terminated early\n"));
    assert_eq!(header("no such fault").status, 400);
    assert_eq!(plain(&simulator).status, 200);

    let faults = json!([
        {"fault": "status", "status": 500, "times": 2},
        {"fault": "replace_body", "body_base64": "e30K"},
    ]);
    let added = send(&simulator, "POST", "/sim/faults", &[], &faults.to_string());
    assert_eq!((added.status, added.text().as_str()), (200, r#"{"waiting":2}"#));
    assert_eq!([plain(&simulator).status, plain(&simulator).status], [500, 500]);
    assert_eq!(plain(&simulator).body(), b"{}\n");
    for wrong in ["", "3", r#"{"fault":"unheard of"}"#] {
        assert_eq!(send(&simulator, "POST", "/sim/faults", &[], wrong).status, 400);
    }
    simulator.fault(Fault::HtmlPage);
    assert_eq!(send(&simulator, "DELETE", "/sim/faults", &[], "").status, 200);
    assert_eq!(simulator.waiting_faults(), 0);
    let log = get(&simulator, "/sim/requests", &[]);
    assert!(log.text().contains(r#""fault":"cut_connection""#));
}

#[test]
fn every_name_can_be_scripted() {
    for name in [
        "terminated_early",
        "cut_connection",
        "cut_before_trailer",
        "clean_close_mid_line",
        "gzip_no_trailer",
        "gzip_bad_crc",
        "slow_first_byte",
        "stall",
        "status",
        "too_many_requests",
        "in_band_error",
        "html_page",
        "replace_body",
        "no_final_newline",
        "redirect",
    ] {
        assert_eq!(ScriptedFault::from_json(&json!({"fault": name})).unwrap().fault.name(), name);
    }
    let lines = json!({"fault": "insert_lines", "lines": ["x"]});
    assert_eq!(ScriptedFault::from_json(&lines).unwrap().fault.name(), "insert_lines");
}
