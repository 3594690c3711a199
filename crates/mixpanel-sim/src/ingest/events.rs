//! `import` and `track`: events into the project's data.

use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::stamp::Arrival;
use super::validate::{milliseconds, validate};
use super::{Outcome, Rejected, Sent};
use crate::api::auth::{self, Project};
use crate::app::App;

/// `track` drops what is older.
const TRACK_MS: i64 = 5 * 86_400_000;

/// `import`: events of any age, each checked; the good ones are stored even if others are not.
pub(super) fn import(app: &App, sent: &Sent) -> Response {
    if let Err(rejected) = authenticate(app, sent) {
        return rejected.into_response();
    }
    let records = match sent.records() {
        Ok(records) => records,
        Err(rejected) => return rejected.into_response(),
    };
    let now_ms = app.clock.now().as_millisecond();
    let mut lines = Vec::with_capacity(records.len());
    let (mut stored, mut failed) = (0, Vec::new());
    for (index, record) in records.iter().enumerate() {
        match validate(record, now_ms) {
            Ok(valid) => {
                stored += 1;
                // What asks to be ignored is taken, and dropped.
                if valid.properties.get("$ignore") == Some(&Value::Bool(true)) {
                    continue;
                }
                let arrival = Arrival {
                    event: valid.event,
                    stored_ms: app.events.stored_ms(instant(valid.time_ms)),
                    properties: valid.properties,
                    bytes: valid.bytes,
                    imported: true,
                    received_ms: now_ms,
                    processed_ms: app.stamps.next(now_ms),
                };
                lines.push(arrival.line(app.config.seed));
            }
            Err(wrong) => {
                let id = record["properties"]["$insert_id"].as_str().unwrap_or_default();
                failed.push(json!({
                    "index": index,
                    "$insert_id": id,
                    "field": wrong.field,
                    "message": wrong.message,
                }));
            }
        }
    }
    if let Err(error) = app.events.add(&lines) {
        return Rejected::new(StatusCode::INTERNAL_SERVER_ERROR, error).into_response();
    }
    if sent.query().get("strict") == Some("0") {
        failed.clear();
    }
    Outcome { stored, failed }.into_response()
}

/// Times were checked, or are the clock's own.
fn instant(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or_default()
}

/// A service account, the project's secret, or its token as a user name.
fn authenticate(app: &App, sent: &Sent) -> Result<(), Rejected> {
    let headers = &sent.head.headers;
    if auth::is_token(&app.config, headers) {
        return Ok(());
    }
    let query = sent.query();
    let project = query.get("project_id");
    auth::check(&app.config, headers, Project::Parameter(project)).map_err(|refusal| match refusal.status {
        StatusCode::UNAUTHORIZED => Rejected::new(refusal.status, "Invalid credentials"),
        StatusCode::BAD_REQUEST if project.is_none() => Rejected::new(
            StatusCode::UNAUTHORIZED,
            "Unauthorized, invalid project secret. See docs for more information: \
             https://developer.mixpanel.com/reference/authentication#project-secret",
        ),
        _ => Rejected::new(refusal.status, refusal.error),
    })
}

/// `track`: events of the last five days from whoever knows the token. Older ones, and those for other projects,
/// are taken and dropped, as nothing in the answer tells.
pub(super) fn track(app: &App, sent: &Sent) -> Response {
    let records = match sent.records() {
        Ok(records) => records,
        Err(rejected) => return sent.verdict(Some(&rejected.error)),
    };
    let now_ms = app.clock.now().as_millisecond();
    let mut lines = Vec::new();
    let mut errors = Vec::new();
    for record in &records {
        match tracked(app, record, now_ms) {
            Ok(line) => lines.extend(line),
            Err(error) => errors.push(error),
        }
    }
    if let Err(error) = app.events.add(&lines) {
        return sent.verdict(Some(&error));
    }
    // One good record makes a good request.
    let all_wrong = errors.len() == records.len();
    sent.verdict(if all_wrong { Some(errors.first().map_or("no records", String::as_str)) } else { None })
}

/// The line to store, if it is to be stored.
fn tracked(app: &App, record: &Value, now_ms: i64) -> Result<Option<Vec<u8>>, String> {
    let event = record["event"].as_str().filter(|name| !name.is_empty()).ok_or("event, missing or empty")?;
    let properties = record["properties"].as_object().ok_or("properties, missing or not an object")?;
    let token = properties.get("token").and_then(Value::as_str).ok_or("token, missing or empty")?;
    let time_ms = match properties.get("time") {
        None => now_ms,
        Some(time) => {
            let time = time.as_f64().ok_or("properties.time, not a number")?;
            // What lies in the future has happened now.
            milliseconds(time as i64).min(now_ms)
        }
    };
    let ignored = properties.get("$ignore") == Some(&Value::Bool(true));
    if token != app.config.token || time_ms < now_ms - TRACK_MS || ignored {
        return Ok(None);
    }
    let arrival = Arrival {
        event,
        stored_ms: app.events.stored_ms(instant(time_ms)),
        properties,
        bytes: record.to_string().len(),
        imported: false,
        received_ms: now_ms,
        processed_ms: app.stamps.next(now_ms),
    };
    Ok(Some(arrival.line(app.config.seed)))
}
