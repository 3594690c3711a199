//! Annotations: notes on days, with tags.

use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::{ok, segments};
use crate::api::{Answer, Call, Refusal, bad, not_found};

/// A note and the day it is for, counted back from `today`.
struct Note {
    id: u64,
    days_ago: i32,
    hour: i8,
    text: &'static str,
    tags: &'static [u64],
}

const NOTES: [Note; 4] = [
    Note { id: 311, days_ago: 60, hour: 12, text: "New price list", tags: &[21] },
    Note { id: 312, days_ago: 28, hour: 0, text: "Sale begins 🎉", tags: &[21, 22] },
    Note { id: 313, days_ago: 14, hour: 17, text: "App 7.4.0: \"carts\" are kept", tags: &[] },
    Note { id: 314, days_ago: 1, hour: 23, text: "Störung beim Bezahlen\nbis Mitternacht", tags: &[23] },
];
const TAGS: [(u64, &str); 4] = [(21, "marketing"), (22, "été"), (23, "outage"), (24, "never used")];

/// `annotations[?fromDate=&toDate=]`, `annotations/{id}`, `annotations/tags`.
pub(super) fn annotations(call: &Call<'_>) -> Result<Answer, Refusal> {
    let segments = segments(call.path);
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments[1..] {
        [] => {
            let (from, to) = (call.params.date("fromDate")?, call.params.date("toDate")?);
            Ok(ok(&between(call, from, to)?.iter().map(|note| json(call, note)).collect()))
        }
        // The published description has no envelope here.
        ["tags"] => {
            let tag = |&(id, name): &(u64, &str)| {
                let used = NOTES.iter().any(|note| note.tags.contains(&id));
                json!({"id": id, "name": name, "project_id": call.app.config.project_id, "has_annotations": used})
            };
            Ok(Answer::json(&TAGS.iter().map(tag).collect()))
        }
        [id] => {
            let id: u64 = id.parse().map_err(|_| bad("the id of an annotation is a number"))?;
            let note = NOTES.iter().find(|note| note.id == id);
            let note = note.ok_or_else(|| not_found(format!("there is no annotation {id}")))?;
            Ok(ok(&json(call, note)))
        }
        _ => Err(not_found("no such endpoint")),
    }
}

/// The older list: `{"annotations":[…],"error":false}`.
pub(super) fn old(call: &Call<'_>) -> Result<Answer, Refusal> {
    let (from, to) = (call.params.date("from_date")?, call.params.date("to_date")?);
    let notes = between(call, from, to)?;
    let entry = |note: &&Note| {
        let date = format!("{} {:02}:00:00", day(call, note), note.hour);
        json!({"id": note.id, "project_id": call.app.config.project_id, "date": date, "description": note.text})
    };
    let annotations: Vec<Value> = notes.iter().map(entry).collect();
    Ok(Answer::json(&json!({"annotations": annotations, "error": false})))
}

fn between(call: &Call<'_>, from: Option<Date>, to: Option<Date>) -> Result<Vec<&'static Note>, Refusal> {
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(bad("the first day is later than the last"));
    }
    let wanted = |note: &&Note| {
        let day = day(call, note);
        from.is_none_or(|from| day >= from) && to.is_none_or(|to| day <= to)
    };
    Ok(NOTES.iter().filter(wanted).collect())
}

fn day(call: &Call<'_>, note: &Note) -> Date {
    call.app.config.today.saturating_sub(note.days_ago.days())
}

fn json(call: &Call<'_>, note: &Note) -> Value {
    let zone = call.app.events.zone();
    let wall = day(call, note).at(note.hour, 0, 0, 0);
    // Real answers have the project's offset, though the description shows none.
    let date = wall.to_zoned(zone.clone()).map(|at| at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string());
    let tags = TAGS.iter().filter(|(id, _)| note.tags.contains(id));
    let tags: Vec<Value> = tags.map(|(id, name)| json!({"id": id, "name": name})).collect();
    json!({
        "id": note.id,
        "date": date.unwrap_or_else(|_| wall.to_string()),
        "description": note.text,
        "user": {"id": 501, "first_name": "Ada", "last_name": "Adler"},
        "tags": tags,
    })
}
