//! Saved reports as the App API lists them; the Query API serves them by the same ids.

use serde_json::{Value, json};

use super::{default_workspace, ok};
use crate::api::{Answer, Call, Refusal};
use crate::query::saved::{Kind, SavedReport, saved_reports};

/// `bookmarks[?v=2][&type=]`. In version 2, the list is one level deeper.
pub(super) fn bookmarks(call: &Call<'_>) -> Result<Answer, Refusal> {
    let kinds = [Kind::Insights, Kind::Funnels, Kind::Retention, Kind::Flows];
    let mut words: Vec<(&str, Option<Kind>)> = kinds.iter().map(|kind| (kind.name(), Some(*kind))).collect();
    // A type that exists, and of which this project has none.
    words.push(("launch-analysis", None));
    let wanted = call.params.choice("type", &words)?;
    let listed = saved_reports().into_iter().filter(|report| match wanted {
        None => true,
        Some(kind) => kind == Some(report.kind),
    });
    let list: Vec<Value> = listed.map(|report| bookmark(call, &report)).collect();
    match call.params.text("v")?.as_deref() {
        Some("2") => Ok(ok(&json!({"results": list}))),
        _ => Ok(ok(&Value::Array(list))),
    }
}

fn bookmark(call: &Call<'_>, report: &SavedReport) -> Value {
    json!({
        "id": report.id,
        "name": report.name,
        "type": report.kind.name(),
        "project_id": call.app.config.project_id,
        "workspace_id": default_workspace(call),
        "dashboard_id": null,
        "created": "2025-01-20T09:15:00",
        "modified": "2025-05-02T16:40:11",
        "creator_id": 501,
        "creator_name": "Ada Adler",
        "description": "",
        "params": report.params,
    })
}
