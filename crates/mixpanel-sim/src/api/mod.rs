//! What all endpoints but the export have in common: paths, credentials, limits, faults, answers.
//!
//! A request passes, in this order: its path (404) and method (405), credentials (401, 403), the plan (402),
//! limits (429; a request that fails later still counts), scripted faults, the endpoint itself, encoding. An
//! endpoint is a function from a [`Call`] to an [`Answer`]; it knows nothing of HTTP but its parameters.

pub(crate) mod auth;
pub(crate) mod params;
pub(crate) mod refusal;
pub(crate) mod respond;
mod too_many;

use std::io::Read;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::Response;
use bytes::Bytes;

use crate::app::{App, Counted, Injected};
use crate::faults::{Asked, Fault};
use crate::limits::Running;
use auth::Project;
pub(crate) use params::Params;
pub(crate) use refusal::{Refusal, bad, not_found};
pub(crate) use respond::Answer;
use respond::{Delivery, Flow, accepts_gzip};

/// Longer bodies are refused, before and after decompression.
const MOST_BODY: usize = 64 << 20;

/// Groups of endpoints with their own rules for credentials, limits and errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// `/api/query/X` and, in an older spelling, `/api/2.0/X`.
    Query,
    /// `/api/app/X`.
    App,
}

/// An endpoint of a family.
#[derive(Clone, Copy)]
pub(crate) struct Endpoint {
    pub(crate) methods: &'static [Method],
    pub(crate) answer: Handler,
}

/// What an endpoint does.
pub(crate) type Handler = fn(&Call<'_>) -> Result<Answer, Refusal>;

/// A request that was let in.
pub(crate) struct Call<'a> {
    pub(crate) app: &'a App,
    /// The path below the family's, without slashes at its ends, such as `events/names`.
    pub(crate) path: &'a str,
    pub(crate) params: &'a Params,
}

/// The family that a path belongs to, and the rest of the path. A slash at the end makes no difference.
fn family(path: &str) -> Option<(Family, &str)> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let families = [("/api/query/", Family::Query), ("/api/2.0/", Family::Query), ("/api/app/", Family::App)];
    families.iter().find_map(|&(prefix, family)| Some((family, path.strip_prefix(prefix)?)))
}

/// The endpoint at a path. This is the one place where endpoints are found.
fn endpoint(family: Family, path: &str) -> Option<Endpoint> {
    match family {
        Family::Query => crate::query::endpoint(path)
            .or_else(|| crate::engage::endpoint(path))
            .or_else(|| crate::project::old_endpoint(path)),
        Family::App => crate::project::endpoint(path),
    }
}

/// Serves every request that no other route takes.
pub(crate) async fn dispatch(State(app): State<Arc<App>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let found = family(head.uri.path())
        .and_then(|(family, path)| Some((family, path.to_owned(), endpoint(family, path)?)));
    let Some((family, path, endpoint)) = found else { return crate::app::not_found(head.uri).await };
    if !endpoint.methods.contains(&head.method) {
        return crate::app::not_allowed().await;
    }
    let incoming = Incoming { family, path, uri: head.uri, headers: head.headers };
    match axum::body::to_bytes(body, MOST_BODY).await {
        Ok(body) => incoming.serve(app, endpoint, body).await,
        Err(_) => incoming.refuse(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")),
    }
}

/// A request to an endpoint that exists.
struct Incoming {
    family: Family,
    path: String,
    uri: Uri,
    headers: HeaderMap,
}

impl Incoming {
    async fn serve(self, app: Arc<App>, endpoint: Endpoint, body: Bytes) -> Response {
        let query = self.uri.query().unwrap_or_default();
        let params =
            decompressed(&self.headers, body).and_then(|body| Params::read(query, &self.headers, body));
        // Without a readable body, the URL alone tells who is asking.
        let url_only = Params::read(query, &self.headers, Bytes::new()).unwrap_or_default();
        if let Err(refusal) = self.authenticate(&app, params.as_ref().unwrap_or(&url_only)) {
            return self.refuse(refusal);
        }
        let counted =
            self.family == Family::Query && !params.as_ref().is_ok_and(|params| is_free(&self.path, params));
        let admitted = counted.then(|| app.query_limiter.admit(app.clock.elapsed())).transpose();
        let running = match admitted {
            Ok(running) => running,
            Err(refused) => return too_many::refused(&app.config, &self.uri, &refused),
        };
        let mut response = match params {
            Ok(params) => self.answer(app, endpoint, params, running).await,
            Err(refusal) => self.refuse(refusal),
        };
        if counted {
            response.extensions_mut().insert(Counted);
        }
        response
    }

    fn authenticate(&self, app: &App, params: &Params) -> Result<(), Refusal> {
        let named = params.text("project_id").unwrap_or_default();
        let project = match self.family {
            Family::Query => Project::Parameter(named.as_deref()),
            Family::App => Project::Path(project_in(&self.path)),
        };
        auth::check(&app.config, &self.headers, project)?;
        if self.family == Family::Query && !app.config.has_query_api {
            let error = "API access is not included in the plan of this project";
            return Err(Refusal::new(StatusCode::PAYMENT_REQUIRED, error));
        }
        Ok(())
    }

    async fn answer(
        self,
        app: Arc<App>,
        endpoint: Endpoint,
        params: Params,
        running: Option<Running>,
    ) -> Response {
        // Every query may name a data view; this project has only the one of all its data.
        if self.family == Family::Query
            && let Err(refusal) = params.integer("workspace_id")
        {
            return self.refuse(refusal);
        }
        let fault = match self.fault(&app, &params) {
            Ok(fault) => fault,
            Err(refusal) => return self.refuse(refusal),
        };
        let replacement = fault.as_ref().and_then(|fault| self.replacement(&app, fault));
        let mut response = match replacement {
            Some(response) => response,
            None => {
                if let Some(Fault::SlowFirstByte { delay }) = &fault {
                    tokio::time::sleep(*delay).await;
                }
                self.work(app, endpoint, params, running, fault.clone()).await
            }
        };
        if let Some(fault) = fault {
            response.extensions_mut().insert(Injected(fault.name()));
        }
        response
    }

    /// Lets the endpoint do its work, off the threads that serve connections.
    async fn work(
        self,
        app: Arc<App>,
        endpoint: Endpoint,
        params: Params,
        running: Option<Running>,
        fault: Option<Fault>,
    ) -> Response {
        let working = tokio::task::spawn_blocking(move || {
            let call = Call { app: &app, path: &self.path, params: &params };
            match (endpoint.answer)(&call) {
                Ok(answer) => {
                    let delivery = Delivery {
                        uri: &self.uri,
                        flow: Flow::of(&app.config),
                        gzip_level: app.config.gzip_level,
                        accepts_gzip: accepts_gzip(&self.headers),
                        fault: fault.as_ref(),
                        running,
                    };
                    delivery.send(answer)
                }
                Err(refusal) => self.refuse(refusal),
            }
        });
        working.await.unwrap_or_else(|_| {
            let error = "the simulator failed to produce this answer";
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error).into_app_response()
        })
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        match self.family {
            Family::Query => refusal.into_response(&self.uri),
            Family::App => refusal.into_app_response(),
        }
    }

    fn fault(&self, app: &App, params: &Params) -> Result<Option<Fault>, Refusal> {
        let date = |name| params.date(name).ok().flatten();
        let group = match self.family {
            Family::Query => "query",
            Family::App => "app",
        };
        let days = date("from_date").zip(date("to_date"));
        app.faults.take(&self.headers, &Asked { group, endpoint: &self.path, days }).map_err(bad)
    }

    /// The answer that takes the place of the endpoint's.
    fn replacement(&self, app: &App, fault: &Fault) -> Option<Response> {
        match fault {
            Fault::QueryLimit(limit) => Some(too_many::scripted(&app.config, &self.uri, *limit)),
            Fault::InBandError { message } => {
                Some(Refusal::new(StatusCode::OK, message.clone()).into_response(&self.uri))
            }
            other => other.replacement(),
        }
    }
}

/// What the hourly limit does not count: further pages of a profile query, and aliases.
fn is_free(path: &str, params: &Params) -> bool {
    match path {
        "engage" | "engage/query" => params.has("session_id"),
        "engage/aliases" => true,
        _ => false,
    }
}

/// The project's id in a path such as `projects/123/schemas`.
fn project_in(path: &str) -> Option<&str> {
    path.strip_prefix("projects/")?.split('/').next()
}

pub(crate) fn decompressed(headers: &HeaderMap, body: Bytes) -> Result<Bytes, Refusal> {
    let coding = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    if !coding.is_some_and(|coding| coding.eq_ignore_ascii_case("gzip")) {
        return Ok(body);
    }
    let mut plain = Vec::new();
    let mut decoder = flate2::read::MultiGzDecoder::new(&body[..]).take(MOST_BODY as u64);
    decoder.read_to_end(&mut plain).map_err(|_| bad("the body is not valid gzip"))?;
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_a_path() {
        for path in [
            "/api/query/events/names",
            "/api/query/events/names/",
            "/api/2.0/events/names",
            "/api/2.0/events/names/",
        ] {
            assert_eq!(family(path), Some((Family::Query, "events/names")));
        }
        assert_eq!(family("/api/app/me/"), Some((Family::App, "me")));
        assert_eq!(family("/api/3.0/events"), None);
        assert_eq!(project_in("projects/12/schemas"), Some("12"));
        assert_eq!(project_in("me"), None);
    }
}
