//! The parameters of an engage request: whom it asks for, which page, which properties.

use serde_json::Value;

use super::behaviors::Behavior;
use super::cohorts::Cohort;
use crate::api::{Params, Refusal, bad};
use crate::expr::Expr;
use crate::profiles::{Profiles, Subject};

/// Pages are never longer.
const MOST_PER_PAGE: usize = 1000;
/// More identifiers cannot be asked for at once.
const MOST_IDS: usize = 2000;
/// What a result depends on. All pages of a session must agree on them.
const IDENTIFYING: [&str; 14] = [
    "distinct_id",
    "distinct_ids",
    "data_group_id",
    "where",
    "output_properties",
    "page_size",
    "filter_by_cohort",
    "include_all_users",
    "behaviors",
    "as_of_timestamp",
    "sort_key",
    "sort_order",
    "search",
    "limit",
];

/// Whom a request asks for.
#[derive(Debug)]
pub(crate) struct Question {
    /// Nobody's, if the group key is not known.
    pub(crate) subject: Option<Subject>,
    pub(crate) ids: Option<Vec<String>>,
    pub(crate) filter: Option<Expr>,
    pub(crate) cohort: Option<&'static Cohort>,
    /// Whether members of the cohort without a profile belong to the result.
    pub(crate) include_all_users: bool,
    pub(crate) behaviors: Vec<Behavior>,
    pub(crate) as_of_ms: Option<i64>,
    pub(crate) search: Option<String>,
    pub(crate) sort: Option<Sort>,
    pub(crate) limit: Option<usize>,
}

#[derive(Debug)]
pub(crate) struct Sort {
    pub(crate) key: Expr,
    pub(crate) descending: bool,
}

/// Which part of the result.
#[derive(Debug)]
pub(crate) struct Paging {
    pub(crate) page: usize,
    pub(crate) page_size: usize,
    pub(crate) session_id: Option<String>,
    /// The parameters that the result depends on, as one text.
    pub(crate) fingerprint: String,
}

impl Question {
    /// `filter` is the name of the parameter with the expression.
    pub(crate) fn read(params: &Params, profiles: &Profiles, filter: &str) -> Result<Question, Refusal> {
        let subject = match params.text("data_group_id")? {
            None => Some(Subject::Users),
            Some(id) if id.bytes().all(|byte| byte.is_ascii_digit()) => profiles.group(&id),
            Some(_) => return Err(bad("data_group_id must be a number")),
        };
        let behaviors = match params.json("behaviors")? {
            None => Vec::new(),
            Some(json) => Behavior::read_all(&json).map_err(bad)?,
        };
        let cohort = params.json("filter_by_cohort")?.map(|json| cohort(&json)).transpose()?;
        if cohort.is_some() && !behaviors.is_empty() {
            return Err(bad("behaviors and filter_by_cohort are mutually exclusive"));
        }
        let as_of_ms = params.integer("as_of_timestamp")?.map(|second| second.saturating_mul(1000));
        Ok(Question {
            subject,
            ids: ids(params)?,
            filter: expression(params, filter)?,
            cohort,
            include_all_users: params.boolean("include_all_users")?.unwrap_or(true),
            behaviors,
            as_of_ms,
            search: params.text("search")?,
            sort: sort(params)?,
            limit: count(params, "limit")?,
        })
    }
}

impl Paging {
    pub(crate) fn read(params: &Params) -> Result<Paging, Refusal> {
        let page = params.integer("page")?.unwrap_or(0);
        let page = usize::try_from(page).map_err(|_| bad("page must not be negative"))?;
        let page_size = count(params, "page_size")?.unwrap_or(MOST_PER_PAGE).min(MOST_PER_PAGE);
        let identifying = IDENTIFYING.iter().filter_map(|name| Some((*name, params.get(name)?)));
        // A number and its text are the same in a form and in JSON.
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let fingerprint: Vec<String> =
            identifying.map(|(name, value)| format!("{name}={}", text(value))).collect();
        Ok(Paging {
            page,
            page_size,
            session_id: params.text("session_id")?,
            fingerprint: fingerprint.join("\n"),
        })
    }
}

/// A number of at least 1.
fn count(params: &Params, name: &str) -> Result<Option<usize>, Refusal> {
    let count = params.integer(name)?.map(|count| usize::try_from(count).ok().filter(|&count| count > 0));
    count.map(|count| count.ok_or_else(|| bad(format!("{name} must be at least 1")))).transpose()
}

fn ids(params: &Params) -> Result<Option<Vec<String>>, Refusal> {
    let one = params.text("distinct_id")?;
    let Some(mut ids) = params.texts("distinct_ids")? else { return Ok(one.map(|id| vec![id])) };
    if ids.len() > MOST_IDS {
        return Err(bad(format!("distinct_ids cannot have more than {MOST_IDS} ids, got {}", ids.len())));
    }
    if let Some(one) = one {
        ids.retain(|id| *id == one);
    }
    Ok(Some(ids))
}

pub(super) fn expression(params: &Params, name: &str) -> Result<Option<Expr>, Refusal> {
    let text = params.text(name)?;
    text.map(|text| Expr::parse(&text).map_err(|error| bad(format!("Invalid {name} expression: {error}"))))
        .transpose()
}

fn sort(params: &Params) -> Result<Option<Sort>, Refusal> {
    let key = expression(params, "sort_key")?;
    let orders = [("ascending", false), ("descending", true)];
    let descending = params.choice("sort_order", &orders)?.unwrap_or(false);
    Ok(key.map(|key| Sort { key, descending }))
}

/// `{"id": 4001}`; the id may be text.
fn cohort(json: &Value) -> Result<&'static Cohort, Refusal> {
    let id = match &json["id"] {
        Value::Number(id) => id.as_u64(),
        Value::String(id) => id.parse().ok(),
        Value::Null if json.get("raw_cohort").is_some() => {
            return Err(bad("this simulator knows saved cohorts only, not raw_cohort"));
        }
        _ => None,
    };
    let id = id.ok_or_else(|| bad("filter_by_cohort must be an object such as {\"id\": 12345}"))?;
    Cohort::find(id).ok_or_else(|| bad(format!("there is no cohort {id} in this project")))
}
