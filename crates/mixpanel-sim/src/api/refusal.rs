//! Requests that are not served, and the JSON that tells why.

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::expr::ExprError;

/// A request that is not served, and why.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) error: String,
}

/// A parameter makes no sense.
pub(crate) fn bad(error: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, error)
}

/// An id that is nowhere.
pub(crate) fn not_found(error: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, error)
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Refusal {
        Refusal { status, error: error.into() }
    }

    /// The answer of the Query API and the export: complaints about parameters repeat the request.
    pub(crate) fn into_response(self, uri: &Uri) -> Response {
        let body = match self.status {
            StatusCode::OK | StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => {
                json!({"request": uri.to_string(), "error": self.error})
            }
            _ => json!({"error": self.error, "status": "error"}),
        };
        (self.status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
    }

    /// The answer of the App API, which is the same for all errors.
    pub(crate) fn into_app_response(self) -> Response {
        let body = json!({"status": "error", "error": self.error});
        (self.status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
    }
}

impl From<ExprError> for Refusal {
    fn from(error: ExprError) -> Refusal {
        bad(format!("Invalid expression: {error}"))
    }
}
