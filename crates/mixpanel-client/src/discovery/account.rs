//! Who we are, what we may see, and in which region a project lives.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::ApiRequest;
use crate::client::{Client, ClientOptions};
use crate::credentials::Credentials;
use crate::error::{ErrorKind, Result};
use crate::region::{BaseUrls, Region};
use crate::table::{Columns, Rows};

/// Who the credentials belong to, and what they may see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Me {
    /// The number of the user.
    pub user_id: Option<u64>,
    /// The address of the user.
    pub user_email: Option<String>,
    /// The name of the user.
    pub user_name: Option<String>,
    /// By number.
    pub organizations: Vec<Organization>,
    /// By number.
    pub projects: Vec<ProjectInfo>,
}

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Organization {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
}

/// A project, as `/me` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProjectInfo {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// The organization that it belongs to.
    pub organization_id: Option<u64>,
    /// Its time zone, an IANA name.
    pub timezone: Option<String>,
    /// The host of its region.
    pub domain: Option<String>,
    /// Whether it has data views.
    pub has_workspaces: Option<bool>,
}

impl ProjectInfo {
    /// The region, as the host tells it.
    pub fn region(&self) -> Option<Region> {
        let domain = self.domain.as_deref()?.trim_start_matches("https://");
        let host = domain.split(['/', ':']).next()?;
        match host {
            "mixpanel.com" | "www.mixpanel.com" => Some(Region::Us),
            "eu.mixpanel.com" => Some(Region::Eu),
            "in.mixpanel.com" => Some(Region::In),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    results: Results,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Results {
    user_id: Option<u64>,
    user_email: Option<String>,
    user_name: Option<String>,
    organizations: BTreeMap<String, Named>,
    projects: BTreeMap<String, RawProject>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct RawProject {
    #[serde(default)]
    name: String,
    organization_id: Option<u64>,
    #[serde(default)]
    timezone: Value,
    domain: Option<String>,
    has_workspaces: Option<bool>,
}

impl From<Results> for Me {
    fn from(results: Results) -> Self {
        let organization =
            |(id, named): (String, Named)| Some(Organization { id: id.parse().ok()?, name: named.name });
        let project = |(id, raw): (String, RawProject)| {
            Some(ProjectInfo {
                id: id.parse().ok()?,
                name: raw.name,
                organization_id: raw.organization_id,
                timezone: raw.timezone.as_str().map(str::to_owned),
                domain: raw.domain,
                has_workspaces: raw.has_workspaces,
            })
        };
        let mut me = Me {
            user_id: results.user_id,
            user_email: results.user_email,
            user_name: results.user_name,
            organizations: results.organizations.into_iter().filter_map(organization).collect(),
            projects: results.projects.into_iter().filter_map(project).collect(),
        };
        me.organizations.sort_by_key(|organization| organization.id);
        me.projects.sort_by_key(|project| project.id);
        me
    }
}

impl Rows for ProjectInfo {
    fn columns(rows: &[Self]) -> Columns {
        Columns::new()
            .count("id", rows.iter().map(|row| row.id))
            .text("name", rows.iter().map(|row| row.name.as_str()))
            .maybe_text("timezone", rows.iter().map(|row| row.timezone.as_deref()))
            .maybe_text("region", rows.iter().map(|row| row.region().map(Region::as_str)))
    }
}

impl Client {
    /// Who the credentials belong to, and the projects that they may see. Slow, some seconds. Kept
    /// until the cache is cleared.
    ///
    /// # Errors
    ///
    /// Those of [`Client::json`].
    pub fn me(&self) -> Result<Me> {
        self.known.get_or("me", || Ok(self.json::<Answer>(&ApiRequest::app("me"))?.results.into()))
    }

    /// This project's name, time zone and region, from `/me`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if the credentials may not see it; those of [`Client::me`].
    pub fn project_info(&self) -> Result<ProjectInfo> {
        let Some(id) = self.project_id() else {
            return Err(ErrorKind::InvalidRequest { what: "no project id is set".to_owned() }.into());
        };
        let me = self.me()?;
        let missing = || ErrorKind::NotFound { message: format!("project {id} is not among those of {me}") };
        Ok(me.projects.iter().find(|project| project.id == id).cloned().ok_or_else(missing)?)
    }
}

impl fmt::Display for Me {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.user_email.as_deref().or(self.user_name.as_deref());
        f.write_str(name.unwrap_or("this account"))
    }
}

/// Where a project or an account was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionFound {
    /// The region.
    pub region: Region,
    /// The project, if its number was given and `/me` knows it.
    pub project: Option<ProjectInfo>,
    /// The account, unless a project secret was asked about.
    pub me: Option<Me>,
}

impl fmt::Display for RegionFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let region = self.region.as_str().to_ascii_uppercase();
        match (&self.project, &self.me) {
            (Some(project), _) => write!(f, "project {} ({}) lives in {region}", project.id, project.name),
            (None, Some(_)) => write!(f, "this account lives in {region}"),
            (None, None) => write!(f, "this project lives in {region}"),
        }
    }
}

/// Finds the region: asks US, EU and India in this order, and takes the first that accepts the
/// credentials, and knows the project if one is given. `addresses` says where a region is, usually
/// [`BaseUrls::for_region`].
///
/// # Errors
///
/// [`ErrorKind::Authentication`] if no region accepts the credentials; [`ErrorKind::NotFound`] if
/// one does, and none knows the project; otherwise the first error of another kind.
pub fn probe_region(options: &ClientOptions, addresses: impl Fn(Region) -> BaseUrls) -> Result<RegionFound> {
    let mut account = None;
    for region in Region::ALL {
        let options = ClientOptions { base_urls: addresses(region), ..options.clone() };
        let wanted = options.project_id;
        let is_secret = matches!(options.credentials, Credentials::ProjectSecret { .. });
        let client = Client::of_account(options)?;
        let outcome = if is_secret {
            // A secret is not an account; the shortest list of names is the least to ask for.
            let request = ApiRequest::query("events/names").param("type", "general").param("limit", 1);
            client.json::<Vec<String>>(&request).map(|_| None)
        } else {
            client.me().map(Some)
        };
        match outcome {
            Err(error)
                if matches!(error.kind(), ErrorKind::Authentication { .. } | ErrorKind::Forbidden { .. }) => {
            }
            Err(error) => return Err(error),
            Ok(None) => return Ok(RegionFound { region, project: None, me: None }),
            Ok(Some(me)) => {
                let project = me.projects.iter().find(|project| Some(project.id) == wanted).cloned();
                if project.is_some() || wanted.is_none() {
                    return Ok(RegionFound { region, project, me: Some(me) });
                }
                account.get_or_insert((region, me));
            }
        }
    }
    let tried = "us, eu and in";
    let kind = match (account, options.project_id) {
        (Some((region, me)), Some(id)) => {
            ErrorKind::NotFound { message: format!("{me} lives in {region} and may not see project {id}") }
        }
        _ => ErrorKind::Authentication {
            status: 401,
            message: format!("no region ({tried}) accepts these credentials"),
        },
    };
    Err(kind.into())
}
