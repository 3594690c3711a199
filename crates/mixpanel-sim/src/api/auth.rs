//! Who is asking: a service account, a bearer of a token, or the project itself by its secret.

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::refusal::{Refusal, bad};
use crate::config::SimConfig;

/// Where a request names the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Project<'a> {
    /// In the parameter `project_id`, which all but the project itself must send.
    Parameter(Option<&'a str>),
    /// In the path, if at all; here the project's secret is no credential.
    Path(Option<&'a str>),
}

/// Checks the `Authorization` header and the project.
pub(crate) fn check(config: &SimConfig, headers: &HeaderMap, project: Project<'_>) -> Result<(), Refusal> {
    let (scheme, rest) = authorization(headers).ok_or_else(unknown)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        if config.bearer_token.as_deref() != Some(rest) {
            return Err(unknown());
        }
        return names_project(config, project);
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(unknown());
    }
    let (user, password) = basic(rest).ok_or_else(unknown)?;
    if let Project::Parameter(named) = project
        && user == config.project_secret
        && password.is_empty()
    {
        // The secret says which project it is; still, what is sent must make sense.
        return match named.map(str::parse::<u64>) {
            Some(Err(_)) => Err(bad("project_id must be an integer")),
            _ => Ok(()),
        };
    }
    if user != config.username || password != config.secret {
        return Err(unknown());
    }
    names_project(config, project)
}

fn names_project(config: &SimConfig, project: Project<'_>) -> Result<(), Refusal> {
    let named = match project {
        Project::Parameter(None) => {
            return Err(bad(
                "Unable to authenticate request: a service account needs the parameter project_id",
            ));
        }
        Project::Path(None) => return Ok(()),
        Project::Parameter(Some(named)) | Project::Path(Some(named)) => named,
    };
    match named.parse::<u64>() {
        Ok(named) if named == config.project_id => Ok(()),
        Ok(_) => Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "Permission denied: the service account has no access to this project",
        )),
        Err(_) => Err(bad("project_id must be an integer")),
    }
}

/// Whether the project's token is sent as a user name, as programs that send events do.
pub(crate) fn is_token(config: &SimConfig, headers: &HeaderMap) -> bool {
    let Some((scheme, rest)) = authorization(headers) else { return false };
    let pair = basic(rest).filter(|_| scheme.eq_ignore_ascii_case("basic"));
    pair.is_some_and(|(user, password)| user == config.token && password.is_empty())
}

fn unknown() -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "Invalid credentials")
}

fn authorization(headers: &HeaderMap) -> Option<(&str, &str)> {
    let (scheme, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    Some((scheme, rest.trim()))
}

/// User and password; the server also takes them without base64.
fn basic(text: &str) -> Option<(String, String)> {
    let decoded = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = decoded.filter(|text| text.contains(':')).unwrap_or_else(|| text.to_owned());
    let (user, password) = pair.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
