//! Who is asking, what they may see, and the project's workspaces.

use serde_json::{Value, json};

use super::{default_workspace, ok, segments};
use crate::api::{Answer, Call, Refusal, not_found};

const ORGANIZATION: u64 = 77;
const USER: u64 = 501;

/// `me`: the account, its organizations, projects and workspaces, each by id.
pub(super) fn me(call: &Call<'_>) -> Result<Answer, Refusal> {
    let config = &call.app.config;
    let workspaces: serde_json::Map<String, Value> =
        list(call).into_iter().map(|workspace| (workspace["id"].to_string(), workspace)).collect();
    Ok(ok(&json!({
        "user_id": USER,
        "user_email": config.username,
        "user_name": "demo",
        "organizations": {
            ORGANIZATION.to_string(): {
                "id": ORGANIZATION,
                "name": "Sim Shops",
                "role": "admin",
                "permissions": ["view_projects"],
            },
        },
        "projects": {
            config.project_id.to_string(): {
                "name": "Sim Shop",
                "organization_id": ORGANIZATION,
                "timezone": config.timezone,
                "has_workspaces": true,
                "domain": config.domain,
                "type": "PROJECT",
            },
        },
        "workspaces": workspaces,
    })))
}

/// `workspaces/public`.
pub(super) fn workspaces(call: &Call<'_>) -> Result<Answer, Refusal> {
    match segments(call.path).get(1).map(String::as_str) {
        Some("public") => Ok(ok(&Value::Array(list(call)))),
        _ => Err(not_found("no such list of workspaces")),
    }
}

fn list(call: &Call<'_>) -> Vec<Value> {
    let project_id = call.app.config.project_id;
    let workspace = |offset: u64, name: &str, is_default: bool| {
        json!({
            "id": default_workspace(call) + offset,
            "name": name,
            "project_id": project_id,
            "is_default": is_default,
            "is_global": is_default,
            "is_restricted": false,
            "is_visible": true,
            "description": null,
        })
    };
    vec![workspace(0, "All Project Data", true), workspace(1, "Nur Europa 🇪🇺", false)]
}
