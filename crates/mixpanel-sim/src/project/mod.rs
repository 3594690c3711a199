//! The App API: what the project tells about itself.
//!
//! Accounts and workspaces (`me`), the lexicon (`schemas`), annotations, and saved reports (`bookmarks`). Reading
//! only; every answer is `{"status":"ok","results":…}`, except where the published description has it otherwise.

mod annotations;
mod bookmarks;
mod me;
mod schemas;

use axum::http::Method;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::api::{Answer, Call, Endpoint};

const GET: &[Method] = &[Method::GET];

/// The endpoints by their paths below `/api/app/`, which begin with the project, the workspace or both.
pub(crate) fn endpoint(path: &str) -> Option<Endpoint> {
    let answer = match segments(path).first().map(String::as_str) {
        _ if path == "me" => me::me,
        Some("workspaces") => me::workspaces,
        Some("schemas") => schemas::schemas,
        Some("annotations") => annotations::annotations,
        Some("bookmarks") => bookmarks::bookmarks,
        _ => return None,
    };
    Some(Endpoint { methods: GET, answer })
}

/// The one of these endpoints that is also there in an older form, below `/api/2.0/`.
pub(crate) fn old_endpoint(path: &str) -> Option<Endpoint> {
    (path == "annotations").then_some(Endpoint { methods: GET, answer: annotations::old })
}

/// The parts of a path behind project and workspace, decoded.
fn segments(path: &str) -> Vec<String> {
    let scoped = |path: &'_ str, scope: &str| -> Option<String> {
        let (id, rest) = path.strip_prefix(scope)?.split_once('/')?;
        let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        is_id.then(|| rest.to_owned())
    };
    let mut rest = path.to_owned();
    let mut is_scoped = false;
    for scope in ["projects/", "workspaces/"] {
        if let Some(inner) = scoped(&rest, scope) {
            (rest, is_scoped) = (inner, true);
        }
    }
    if !is_scoped {
        return Vec::new();
    }
    rest.split('/').map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned()).collect()
}

fn ok(results: &Value) -> Answer {
    Answer::json(&json!({"status": "ok", "results": results}))
}

/// The workspace of all data.
fn default_workspace(call: &Call<'_>) -> u64 {
    call.app.config.project_id + 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_scoped_by_project_or_workspace() {
        for path in ["projects/1/schemas/event/A%20b", "projects/1/workspaces/2/schemas/event/A%20b"] {
            assert_eq!(segments(path), ["schemas", "event", "A b"]);
        }
        assert_eq!(segments("workspaces/7/annotations"), ["annotations"]);
        assert_eq!(segments("projects/1/workspaces/public"), ["workspaces", "public"]);
        assert!(endpoint("me").is_some());
        for path in ["", "projects/x/schemas", "projects/1", "schemas", "projects/1/dashboards"] {
            assert!(endpoint(path).is_none(), "{path}");
        }
    }
}
