//! What to ask, and how it counts.

use std::fmt::Display;

use bytes::Bytes;
use reqwest::{Method, Url};
use serde::Serialize;

use crate::budget::ApiFamily;
use crate::error::{ErrorKind, Result};
use crate::http::{Http, Outgoing};
use crate::region::ParsedUrls;

/// A request to an API that answers in JSON.
///
/// The project goes with it as the API wants it: in the query, or in the path.
#[derive(Clone, Debug)]
pub struct ApiRequest {
    base: Base,
    /// A whole address below the base, in place of the path.
    at: Option<Url>,
    path: Vec<String>,
    query: Vec<(String, String)>,
    body: Body,
    family: Option<ApiFamily>,
    body_limit: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Base {
    Query,
    Engage,
    App,
    /// `/projects/{id}` of the app API.
    Project,
}

#[derive(Clone, Debug)]
enum Body {
    None,
    /// Or why it cannot be JSON.
    Json(std::result::Result<Vec<u8>, String>),
    Form(Vec<(String, String)>),
}

impl ApiRequest {
    /// The most bytes of an answer, unless told otherwise: `/me` of a large organisation has been
    /// seen with 136 MB.
    pub const BODY_LIMIT: usize = 256 * 1024 * 1024;

    /// A question to `/api/query/{path}`; it counts as a query.
    pub fn query(path: &str) -> Self {
        Self::new(Base::Query, path, Some(ApiFamily::Query))
    }

    /// A question about profiles, to the engage address and `path` below it, which may be empty. It
    /// counts as a query; pages that follow the first do not, see [`uncounted`](Self::uncounted).
    pub fn engage(path: &str) -> Self {
        Self::new(Base::Engage, path, Some(ApiFamily::Query))
    }

    /// A question to `/api/app/{path}`, without a project. It is not counted.
    pub fn app(path: &str) -> Self {
        Self::new(Base::App, path, None)
    }

    /// A question to `/api/app/projects/{project}/{path}`. It is not counted.
    pub fn project(path: &str) -> Self {
        Self::new(Base::Project, path, None)
    }

    fn new(base: Base, path: &str, family: Option<ApiFamily>) -> Self {
        let path = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let (query, body) = (Vec::new(), Body::None);
        Self { base, at: None, path, query, body, family, body_limit: Self::BODY_LIMIT }
    }

    /// A request to a whole address, which has to be below one of `urls`: the credentials go nowhere
    /// else.
    pub(crate) fn at(address: &str, urls: &ParsedUrls) -> Result<Self> {
        let invalid = |what: &str| crate::Error::new(ErrorKind::InvalidRequest { what: what.to_owned() });
        let address =
            Url::parse(address).map_err(|error| invalid(&format!("this is no address: {error}")))?;
        let bases = [(Base::Engage, &urls.engage), (Base::Query, &urls.query), (Base::App, &urls.app)];
        let found = bases.into_iter().find(|(_, base)| is_below(&address, base));
        let Some((base, _)) = found else {
            return Err(invalid(
                "this is none of the project's addresses for queries, profiles and the app API, and the                  credentials go nowhere else",
            ));
        };
        let family = (base != Base::App).then_some(ApiFamily::Query);
        Ok(Self { at: Some(address), ..Self::new(base, "", family) })
    }

    /// Adds one part to the path, whatever is in it.
    #[must_use]
    pub fn segment(mut self, part: &str) -> Self {
        self.path.push(part.to_owned());
        self
    }

    /// Adds a parameter to the query.
    #[must_use]
    pub fn param(mut self, name: &str, value: impl Display) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds a parameter, if there is a value.
    #[must_use]
    pub fn maybe(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.param(name, value),
            None => self,
        }
    }

    /// Adds a parameter that is a list, as the text of a JSON array: the form that keeps commas and
    /// quotes in names apart from those between them.
    #[must_use]
    pub fn list<T: AsRef<str>>(self, name: &str, values: impl IntoIterator<Item = T>) -> Self {
        let values = values.into_iter().map(|value| value.as_ref().into()).collect();
        self.param(name, serde_json::Value::Array(values))
    }

    /// Makes it a POST with a JSON body.
    #[must_use]
    pub fn post_json(mut self, body: &impl Serialize) -> Self {
        self.body = Body::Json(serde_json::to_vec(body).map_err(|error| error.to_string()));
        self
    }

    /// Makes it a POST with the fields of a form, which may be none.
    #[must_use]
    pub fn post_form(mut self, fields: impl IntoIterator<Item = (String, String)>) -> Self {
        self.body = Body::Form(fields.into_iter().collect());
        self
    }

    /// Says that Mixpanel does not count it, such as a page of profiles that has a `session_id`.
    #[must_use]
    pub fn uncounted(mut self) -> Self {
        self.family = None;
        self
    }

    /// Says what it counts against.
    #[must_use]
    pub fn counted_as(mut self, family: ApiFamily) -> Self {
        self.family = Some(family);
        self
    }

    /// Sets the most bytes of an answer.
    #[must_use]
    pub fn limit_body(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    pub(crate) fn body_limit(&self) -> usize {
        self.body_limit
    }

    pub(crate) fn prepare(&self, http: &Http) -> Result<Outgoing> {
        let invalid = |what: String| crate::Error::new(ErrorKind::InvalidRequest { what });
        let base = match self.base {
            _ if self.at.is_some() => self.at.as_ref().unwrap_or(&http.urls.query),
            Base::Query => &http.urls.query,
            Base::Engage => &http.urls.engage,
            Base::App | Base::Project => &http.urls.app,
        };
        let mut path = Vec::new();
        let project;
        if self.base == Base::Project {
            let missing = || invalid("this needs a project id: it is part of the address".to_owned());
            project = http.project_id.ok_or_else(missing)?.to_string();
            path.extend(["projects", &project]);
        }
        path.extend(self.path.iter().map(String::as_str));
        // They would be left out of an address without a word.
        if let Some(part) = path.iter().find(|part| matches!(**part, "." | "..")) {
            return Err(invalid(format!("`{part}` cannot be part of an address")));
        }
        let pairs = self.query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let in_query = matches!(self.base, Base::Query | Base::Engage);
        let (method, body) = match &self.body {
            Body::None => (Method::GET, None),
            Body::Json(Ok(bytes)) => {
                (Method::POST, Some(("application/json", Bytes::copy_from_slice(bytes))))
            }
            Body::Json(Err(error)) => return Err(invalid(format!("the body cannot be JSON: {error}"))),
            Body::Form(fields) => {
                (Method::POST, Some(("application/x-www-form-urlencoded", form(fields).into())))
            }
        };
        Ok(Outgoing {
            method,
            url: http.url(base, path, in_query, pairs),
            body,
            family: self.family,
            patience: http.timeouts.query,
        })
    }
}

/// Whether an address is below another one, on the same host.
fn is_below(address: &Url, base: &Url) -> bool {
    let rest = address.path().strip_prefix(base.path().trim_end_matches('/'));
    address.origin() == base.origin()
        && address.username().is_empty()
        && address.password().is_none()
        && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The fields in the encoding of a form, which is that of a query.
fn form(fields: &[(String, String)]) -> String {
    let mut url = Url::parse("form:").expect("a scheme alone is an address");
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}
