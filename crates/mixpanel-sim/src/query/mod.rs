//! The Query API: counts over the events of the project.
//!
//! Every number is counted from the events, without repeated rows, by days of the project's time zone. Modules
//! read their parameters (`ask`), look at events (`scope`), and write what the documentation says.

mod activity;
mod ask;
mod bookmark;
mod breakdown;
mod flows;
mod funnel;
mod insights;
mod names;
mod numeric;
mod retention;
pub(crate) mod saved;
mod scope;
mod segment;
mod segmentation;
mod tally;
mod time;

use axum::http::Method;

use crate::api::{Endpoint, Handler};
use crate::app::App;

const GET: &[Method] = &[Method::GET];
const GET_OR_POST: &[Method] = &[Method::GET, Method::POST];

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
        "segmentation/numeric" => (GET, numeric::buckets),
        "segmentation/sum" => (GET, numeric::sum),
        "segmentation/average" => (GET, numeric::average),
        "funnels" => (GET, funnel::funnel),
        "funnels/list" => (GET, funnel::list),
        "retention" => (GET, retention::retention),
        "retention/addiction" => (GET, retention::addiction),
        "stream/query" => (GET, activity::activity),
        "insights" => (GET_OR_POST, insights::insights),
        "arb_funnels" => (GET_OR_POST, flows::flows),
        _ => return None,
    };
    Some(Endpoint { methods, answer })
}

/// When an answer was made, as answers say it.
fn computed_at(app: &App) -> String {
    app.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
}
