//! Who is asking: a service account, or the project itself by its secret.

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Refusal;
use super::params::Query;
use crate::config::SimConfig;

/// Checks the `Authorization` header and, for a service account, the project it names.
pub(crate) fn check(config: &SimConfig, headers: &HeaderMap, query: &Query<'_>) -> Result<(), Refusal> {
    let (user, password) = basic(headers).ok_or_else(unknown)?;
    if user == config.project_secret && password.is_empty() {
        return Ok(());
    }
    if user != config.username || password != config.secret {
        return Err(unknown());
    }
    match query.get("project_id") {
        None => Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "Unable to authenticate request: a service account needs the parameter project_id",
        )),
        Some(project) => match project.parse::<u64>() {
            Ok(project) if project == config.project_id => Ok(()),
            Ok(_) => Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "Permission denied: the service account has no access to this project",
            )),
            Err(_) => Err(Refusal::new(StatusCode::BAD_REQUEST, "project_id must be an integer")),
        },
    }
}

fn unknown() -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "Invalid credentials")
}

/// User and password; the server also takes them without base64.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(rest.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = decoded.filter(|text| text.contains(':')).unwrap_or_else(|| rest.trim().to_owned());
    let (user, password) = pair.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
