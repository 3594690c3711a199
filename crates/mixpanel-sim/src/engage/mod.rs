//! Profiles over HTTP: `engage`, its statistics, the list of properties, and saved cohorts.
//!
//! The first page of a query selects (`select`) and begins a session (`sessions`); later pages come from the
//! session and see nothing of what happened since.

mod behaviors;
mod cohorts;
mod page;
mod params;
mod properties;
mod select;
mod sessions;
mod stats;

use axum::http::Method;
use serde_json::Value;

use crate::api::{Answer, Call, Endpoint, Refusal, bad};
use crate::app::App;
use cohorts::COHORTS;
pub(crate) use cohorts::Sizes;
use params::{Paging, Question};
use select::members;
pub(crate) use sessions::Sessions;

const BOTH: &[Method] = &[Method::GET, Method::POST];
/// What a page is told that belongs to no result, or to another one.
const UNCACHED: &str = "request for page in uncached query for params";

/// The endpoints of this module, by their paths below `/api/query/`.
pub(crate) fn endpoint(path: &str) -> Option<Endpoint> {
    let answer = match path {
        "engage" | "engage/query" => engage,
        "engage/stats" => stats::stats,
        "engage/properties" => properties::properties,
        "cohorts/list" => cohorts_list,
        _ => return None,
    };
    Some(Endpoint { methods: BOTH, answer })
}

/// One page of profiles.
fn engage(call: &Call<'_>) -> Result<Answer, Refusal> {
    let app = call.app;
    let question = Question::read(call.params, app.events.world.profiles(), "where")?;
    let output = call.params.texts("output_properties")?;
    let paging = Paging::read(call.params)?;
    let now = app.clock.elapsed();
    let session = match &paging.session_id {
        Some(id) => app.sessions.find(now, id).filter(|session| session.fingerprint == paging.fingerprint),
        None if paging.page > 0 => {
            return Err(bad("a page above 0 needs the session_id that came with page 0"));
        }
        None => {
            let selection = select::select(&app.events, &question, now_ms(app))?;
            // Behaviours that end "now" mean something else with every page.
            let pageable = question.behaviors.is_empty() || question.as_of_ms.is_some();
            Some(app.sessions.begin(now, paging.fingerprint.clone(), pageable, selection))
        }
    };
    let session =
        session.filter(|session| session.pageable || paging.page == 0).ok_or_else(|| bad(UNCACHED))?;
    let with_total = paging.page == 0 || app.config.engage.total_on_every_page;
    Ok(Answer::text("application/json", page::write(&session, &paging, output.as_deref(), with_total)))
}

/// Saved cohorts with their sizes; members without a profile count.
fn cohorts_list(call: &Call<'_>) -> Result<Answer, Refusal> {
    let app = call.app;
    let list = COHORTS.iter().map(|cohort| {
        let snapshot = app.events.world.profiles().snapshot(&cohort.subject());
        let count = || -> Result<usize, Refusal> {
            Ok(members(&app.events, cohort, snapshot.clone(), now_ms(app))?.len())
        };
        // Behaviours end now, so they are counted each time.
        let size = if cohort.behaviors().is_empty() {
            app.cohort_sizes.find(cohort, &snapshot, count)
        } else {
            count()
        };
        Ok(cohort.json(app.config.project_id, size?))
    });
    let list = list.collect::<Result<Vec<Value>, Refusal>>()?;
    Ok(Answer::json(&Value::Array(list)))
}

/// The present moment as event times are stored.
fn now_ms(app: &App) -> i64 {
    app.events.stored_ms(app.clock.now())
}
