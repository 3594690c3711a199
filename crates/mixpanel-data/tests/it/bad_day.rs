//! A scripted bad day for the network, and the table that comes of it.

use std::time::Duration;

use mixpanel_client::CancelToken;
use mixpanel_data::{FetchEvents, StorageEngine, Workspace};
use mixpanel_sim::{Fault, ScriptedFault, Simulator};

use crate::support::{now_of, project_with, small_world, workspace};

/// Every row with every column, in one order: what must be the same.
fn dump(storage: &StorageEngine) -> Vec<String> {
    let mut columns: Vec<String> = storage
        .get_schema("events_flat")
        .unwrap()
        .columns
        .into_iter()
        .map(|column| format!("\"{}\"", column.name.replace('"', "\"\"")))
        .collect();
    columns.sort();
    let columns = columns.join(", ");
    let text = |sql: &str| -> Vec<String> {
        let rows = storage.execute_rows(sql, &[]).unwrap().rows;
        rows.into_iter().map(|row| format!("{row:?}")).collect()
    };
    let mut all = vec![columns.clone()];
    all.extend(text(&format!("SELECT {columns} FROM events_flat ORDER BY ALL")));
    all.extend(text("SELECT * FROM events ORDER BY ALL"));
    all.extend(text("SELECT day, state, row_count FROM _ledger ORDER BY day"));
    all
}

#[test]
fn a_bad_day_for_the_network_ends_in_the_same_table() {
    let simulator = Simulator::start(small_world()).unwrap();
    let days: Vec<_> = simulator.world().days().iter().filter(|day| !day.is_empty()).collect();
    let (from, to) = (days[0].date(), simulator.config().today);
    let fetch = FetchEvents { days_per_request: Some(1), ..FetchEvents::days(from, to) };

    let clean = workspace(&simulator, StorageEngine::memory().unwrap());
    let result = clean.fetch_events(&fetch).unwrap();
    let clean_requests = simulator.requests().len();
    assert_eq!(result.requests as usize, clean_requests);

    // One fault for one request after the other, whichever day it is for.
    let first_line = |index: usize| {
        let text = days[index].jsonl_in_ms();
        text.split(|&byte| byte == b'\n').next().unwrap().to_vec()
    };
    let soon = || Some("1".to_owned());
    let costly: Vec<Fault> = vec![
        Fault::TooManyRequests { retry_after: None },
        Fault::TooManyRequests { retry_after: soon() },
        Fault::status(500),
        Fault::status(502),
        Fault::Status {
            status: 503,
            body: "<html>busy</html>".into(),
            retry_after: soon(),
            content_type: "text/html".into(),
        },
        Fault::HtmlPage,
        Fault::InBandError { message: "try again".into() },
        Fault::CutConnection { fraction: 0.0 },
        Fault::CutConnection { fraction: 0.01 },
        Fault::CutConnection { fraction: 0.5 },
        Fault::CutConnection { fraction: 0.99 },
        Fault::CutConnection { fraction: 1.0 },
        Fault::CutBeforeTrailer,
        Fault::GzipNoTrailer,
        Fault::GzipBadCrc,
        Fault::CleanCloseMidLine { fraction: 0.5 },
        Fault::NoFinalNewline,
        Fault::terminated_early(0.0),
        Fault::terminated_early(0.5),
        Fault::TerminatedEarly { fraction: 1.0, message: "export terminated early".into() },
        Fault::Stall { after_bytes: 1_000, delay: Duration::from_secs(3) },
        Fault::SlowFirstByte { delay: Duration::from_secs(3) },
    ];
    let harmless: Vec<ScriptedFault> = vec![
        Fault::InsertLines {
            after_line: 3,
            lines: vec![first_line(1).into(), r#"{"event":"half"#.into(), first_line(1).into()],
        }
        .on_day(days[1].date()),
        Fault::InsertLines { after_line: 0, lines: vec!["not json at all".into(), first_line(4).into()] }
            .on_day(days[4].date()),
        Fault::Stall { after_bytes: 500, delay: Duration::from_millis(200) }.on_day(days[6].date()),
    ];
    // The simulator counts a request when it answers; the last one waits in vain.
    let cost = costly.len() - 1;
    for fault in harmless {
        simulator.fault(fault);
    }
    for fault in costly {
        simulator.fault(fault);
    }
    let mut project = project_with(&simulator, CancelToken::new(), |options| {
        options.idle_timeout = Duration::from_secs(1);
        options.first_byte_timeout = Duration::from_secs(1);
        options.retry.max_retries = 30;
    });
    project.account = Some("bad day".into());
    let now = now_of(&simulator);
    let stormy =
        Workspace::builder().project(project).now(move || now).storage(StorageEngine::memory().unwrap());
    let result = stormy.fetch_events(&fetch).unwrap();
    assert_eq!(simulator.waiting_faults(), 0);
    assert_eq!(dump(stormy.storage()), dump(clean.storage()));

    // What it cost: one request more for each answer that was worth nothing.
    let requests = simulator.requests().len() - clean_requests;
    println!(
        "{clean_requests} requests on a clean day, {requests} on a bad one with {cost} worthless answers"
    );
    assert_eq!(requests, clean_requests + cost);
    // And the lines that came on top are accounted for.
    assert_eq!(result.rejects, 2);
    assert_eq!(stormy.sql_scalar("SELECT count(*) FROM _quarantine").unwrap().as_i64(), Some(2));
    for chunk in &result.chunks {
        assert_eq!(chunk.lines, chunk.rows + chunk.duplicates + chunk.rejects);
    }
}
