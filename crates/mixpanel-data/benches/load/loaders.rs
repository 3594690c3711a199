//! The loaders, each run in a process of its own.

use std::path::Path;
use std::time::Instant;

use mixpanel_client::time::ProjectClock;
use mixpanel_client::{BaseUrls, Client, ClientOptions, Credentials};
use mixpanel_data::{FetchEvents, Project, Workspace};

use crate::{floor, queries};

pub(crate) fn run(role: &str, arguments: &[String]) {
    // As `mp` does; the reference gets the same.
    mixpanel_data::keep_freed_memory();
    match role {
        "count" | "reference" => reference(role, &arguments[0], &arguments[1]),
        "gunzip" | "decode" => floor::read(role == "decode", &arguments[0]),
        "rows" => floor::row_by_row(&arguments[0], &arguments[1], arguments[2].parse().unwrap()),
        mode => fetch(mode, &arguments[0], &arguments[1], arguments[2].parse().unwrap()),
    }
}

pub(crate) fn tell(name: &str, value: f64) {
    println!("{name} {value}");
}

/// Processor seconds of this process so far.
fn processor_seconds() -> f64 {
    // SAFETY: a zeroed rusage is valid, and the call fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// Peak resident bytes of this process. `getrusage` would tell its parent's, if
/// that was larger when it started this one.
fn peak_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    kib.map_or(f64::NAN, |kib: f64| kib * 1024.0)
}

pub(crate) fn tell_usage(started: Instant) {
    tell("wall", started.elapsed().as_secs_f64());
    tell("cpu", processor_seconds());
    tell("peak", peak_bytes());
}

/// DuckDB by itself: straightforward SQL over the local files.
fn reference(role: &str, files: &str, path: &str) {
    let connection = duckdb::Connection::open(path).unwrap();
    let source = format!(
        "read_json('{files}', format = 'newline_delimited', maximum_object_size = 33554432,
                   columns = {{event: 'VARCHAR', properties: 'JSON'}})"
    );
    let started = Instant::now();
    if role == "count" {
        connection.execute_batch(&format!("SELECT count(*) FROM {source}")).unwrap();
        return tell_usage(started);
    }
    connection
        .execute_batch(&format!(
            "CREATE TABLE events AS SELECT
                 event AS event_name,
                 make_timestamp(CAST(properties->>'$.time' AS BIGINT) * 1000000) AS event_time,
                 properties->>'$.distinct_id' AS distinct_id,
                 properties->>'$.\"$insert_id\"' AS insert_id,
                 properties
             FROM {source};
             CHECKPOINT;"
        ))
        .unwrap();
    tell_usage(started);
    tell("file", size(Path::new(path)));
    let ask = |sql: &str| drop(connection.prepare(sql).unwrap().query_arrow([]).unwrap().collect::<Vec<_>>());
    tell("plan_text_ms", queries::best(|| ask(queries::PLAN_TEXT)));
}

fn size(path: &Path) -> f64 {
    std::fs::metadata(path).map_or(f64::NAN, |meta| meta.len() as f64)
}

/// Our own fetch over HTTP.
fn fetch(mode: &str, url: &str, path: &str, events: u64) {
    let config = crate::config(events);
    let mut options =
        ClientOptions::new(Credentials::service_account(config.username.clone(), config.secret.clone()));
    options.project_id = Some(config.project_id);
    options.base_urls = BaseUrls::single_host(url);
    let project = Project {
        client: Client::new(options).unwrap(),
        project_id: config.project_id.to_string(),
        region: "us".into(),
        account: None,
        clock: ProjectClock::default(),
    };
    let builder = Workspace::builder().project(project);
    let started = Instant::now();
    let workspace = match mode {
        "persistent" => builder.open(path),
        "ephemeral" => builder.ephemeral(),
        _ => builder.memory(),
    }
    .unwrap();
    tell("start_ms", started.elapsed().as_secs_f64() * 1e3);
    let started = Instant::now();
    let result = workspace.fetch_events(&FetchEvents::days(config.first_day(), config.today)).unwrap();
    assert_eq!((result.lines, result.rejects), (events, 0));
    tell_usage(started);
    let ask = |sql: &str| drop(workspace.sql(sql).unwrap());
    tell("plan_text_ms", queries::best(|| ask(queries::PLAN_TEXT)));
    tell("plan_typed_ms", queries::best(|| ask(queries::PLAN_TYPED)));
    tell("typed_ms", queries::TYPED.iter().map(|sql| queries::best(|| ask(sql))).sum());
    tell("text_ms", queries::TEXT.iter().map(|sql| queries::best(|| ask(sql))).sum());
    match workspace.db_path() {
        Some(path) => {
            workspace.storage().execute("CHECKPOINT").unwrap();
            tell("file", size(path));
        }
        None => tell("file", workspace.storage().memory_bytes().unwrap() as f64),
    }
}
