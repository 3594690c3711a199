//! The Query API: counts over the events of the project.
//!
//! Every number is counted from the events, without repeated rows, by days of the project's time zone. Modules
//! read their parameters (`ask`), look at events (`scope`), and write what the documentation says.

mod ask;
mod breakdown;
mod names;
mod scope;
mod segment;
mod segmentation;
mod tally;
mod time;

use axum::http::Method;

use crate::api::{Endpoint, Handler};

const GET: &[Method] = &[Method::GET];

/// The endpoint at a path below `/api/query`.
pub(crate) fn endpoint(path: &str) -> Option<Endpoint> {
    let (methods, answer): (_, Handler) = match path {
        "events/names" => (GET, names::names),
        "events/top" => (GET, names::top),
        "events" => (GET, breakdown::events),
        "events/properties" => (GET, breakdown::properties),
        "events/properties/top" => (GET, breakdown::top),
        "events/properties/values" => (GET, breakdown::values),
        "segmentation" => (GET, segmentation::segmentation),
        _ => return None,
    };
    Some(Endpoint { methods, answer })
}
