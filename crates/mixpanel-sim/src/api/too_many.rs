//! The 429 of the Query API: headers in the style of the IETF draft, and a text with the counts.

use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::config::SimConfig;
use crate::faults::QueryLimit;
use crate::limits::Refused;

const HELP: &str = "For more information, please consult our documentation at \
                    https://help.mixpanel.com/hc/en-us/articles/115004602563-Rate-Limits-for-Export-API-Endpoints";
/// When to try again if too many queries are running, in seconds.
const CONCURRENCY_WAIT: u64 = 10;
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The answer to a query that the limiter refused.
pub(crate) fn refused(config: &SimConfig, uri: &Uri, refused: &Refused) -> Response {
    let limits = &config.limits;
    match refused.wait {
        Some(wait) => {
            let free = limits.query_concurrent.saturating_sub(refused.running);
            let seconds = (wait.as_secs_f64().ceil() as u64).max(1);
            response(config, uri, QueryLimit::Hourly, seconds, free)
        }
        None => {
            let left = limits.query_per_hour.saturating_sub(refused.last_hour);
            response(config, uri, QueryLimit::Concurrency, CONCURRENCY_WAIT, left)
        }
    }
}

/// The same answers without a reason, as a fault.
pub(crate) fn scripted(config: &SimConfig, uri: &Uri, limit: QueryLimit) -> Response {
    match limit {
        QueryLimit::Hourly => response(config, uri, limit, 3600, config.limits.query_concurrent),
        QueryLimit::Concurrency => response(config, uri, limit, CONCURRENCY_WAIT, 1),
        QueryLimit::LoadShedding => {
            let body = json!({"request": uri.to_string(), "error": "Too many requests, try again later."});
            (StatusCode::TOO_MANY_REQUESTS, [(header::CONTENT_TYPE, "application/json")], body.to_string())
                .into_response()
        }
    }
}

/// `other` is what is left of the limit that was not reached.
fn response(config: &SimConfig, uri: &Uri, limit: QueryLimit, wait: u64, other: u32) -> Response {
    let (hourly, concurrent) = (config.limits.query_per_hour, config.limits.query_concurrent);
    let project = config.project_id;
    let (reason, state) = if limit == QueryLimit::Hourly {
        let queries = hourly.saturating_add(1);
        (
            format!(
                "This request exceeded the rate limit ({queries}/{hourly} queries running in the last hour)"
            ),
            format!(r#""project";r=0;t={wait}, "project-concurrency";r={other}"#),
        )
    } else {
        let queries = concurrent.saturating_add(1);
        (
            format!(
                "This request exceeded the concurrency limit ({queries}/{concurrent} queries running \
                 concurrently)"
            ),
            format!(r#""project";r={other}, "project-concurrency";r=0;t={wait}"#),
        )
    };
    let policy = format!(
        r#""project";q={hourly};w=3600, "project-concurrency";q={concurrent};qu="concurrent-requests""#
    );
    let body = json!({
        "request": uri.to_string(),
        "error": format!("Query rate limit exceeded for project_id: {project}. {reason}. {HELP}"),
    });
    let mut response = (StatusCode::TOO_MANY_REQUESTS, body.to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
    for (name, value) in [(POLICY, policy), (LIMIT, state)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}
