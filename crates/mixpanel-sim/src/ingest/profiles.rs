//! `engage` and `groups`: changes of the profiles of users and groups.

use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::update::Operation;
use super::{Outcome, Sent};
use crate::app::App;
use crate::profiles::Subject;

/// Whose profiles are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    User,
    Group,
}

/// Changes profiles, record by record.
pub(super) fn change(app: &App, sent: &Sent, target: Target) -> Response {
    let strict = sent.flag("strict");
    let records = match sent.records() {
        Ok(records) => records,
        Err(rejected) if strict => return rejected.into_response(),
        Err(rejected) => return sent.verdict(Some(&rejected.error)),
    };
    let mut failed = Vec::new();
    for (index, record) in records.iter().enumerate() {
        if let Err(error) = apply(app, record, target) {
            failed.push(json!({"index": index, "message": error}));
        }
    }
    if strict {
        return Outcome { stored: records.len() - failed.len(), failed }.into_response();
    }
    // One good record makes a good request.
    let all_wrong = failed.len() == records.len();
    let first = failed.first().and_then(|failed| failed["message"].as_str()).unwrap_or("no records");
    sent.verdict(all_wrong.then_some(first))
}

fn apply(app: &App, record: &Value, target: Target) -> Result<(), String> {
    let text = |name: &str| {
        let value = record[name].as_str().filter(|text| !text.is_empty());
        value.ok_or_else(|| format!("{name}, missing or empty"))
    };
    let token = text("$token")?;
    let (subject, id) = match target {
        Target::User => (Subject::Users, "$distinct_id"),
        Target::Group => (Subject::Groups(text("$group_key")?.to_owned()), "$group_id"),
    };
    let id = match &record[id] {
        number @ Value::Number(_) => number,
        value @ Value::String(text) if !text.is_empty() => value,
        _ => return Err(format!("{id}, missing or empty")),
    };
    let operations = Operation::read_all(record)?;
    // Nothing in the answer tells that a token is another project's.
    if token != app.config.token {
        return Ok(());
    }
    let seen = seen(app, record, target);
    app.events.world.profiles().update(&subject, id, |profile| {
        let mut profile = operations.iter().fold(profile, |profile, operation| operation.apply(profile));
        if let Some(properties) = &mut profile
            && let Some(seen) = seen
        {
            properties.insert("$last_seen".to_owned(), seen.into());
        }
        profile
    });
    Ok(())
}

/// What `$last_seen` becomes: now or the record's `$time`, unless the record asks that time be ignored.
fn seen(app: &App, record: &Value, target: Target) -> Option<String> {
    if target == Target::Group || record["$ignore_time"] == Value::Bool(true) {
        return None;
    }
    let at = match record["$time"].as_i64() {
        Some(time) => Timestamp::from_millisecond(super::validate::milliseconds(time)).ok()?,
        None => app.clock.now(),
    };
    Some(at.strftime("%Y-%m-%dT%H:%M:%S").to_string())
}
