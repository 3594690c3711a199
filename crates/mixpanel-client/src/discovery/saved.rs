//! What people saved in Mixpanel: funnels, cohorts, bookmarks.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::api::ApiRequest;
use crate::client::Client;
use crate::error::Result;
use crate::table::{Columns, Rows};
use crate::words::words;

/// A saved funnel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunnelInfo {
    /// Its number.
    pub funnel_id: u64,
    /// Its name.
    #[serde(default)]
    pub name: String,
}

/// A saved cohort.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedCohort {
    /// Its number.
    pub id: u64,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// How many users it has.
    #[serde(default)]
    pub count: Option<u64>,
    /// What it is, in words.
    #[serde(default)]
    pub description: Option<String>,
    /// When it was made, as Mixpanel writes it.
    #[serde(default)]
    pub created: Option<String>,
    /// Whether it is shown in lists.
    #[serde(default, deserialize_with = "truth")]
    pub is_visible: bool,
}

words! {
    /// The kinds of saved reports.
    BookmarkType, "type of bookmark", {
        /// Insights.
        Insights = "insights",
        /// Funnels.
        Funnels = "funnels",
        /// Retention.
        Retention = "retention",
        /// Flows.
        Flows = "flows",
        /// Launch analysis.
        LaunchAnalysis = "launch-analysis",
    }
}

/// A saved report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookmarkInfo {
    /// Its number.
    pub id: u64,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// What kind of report, in Mixpanel's word; see [`BookmarkType`].
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The project.
    #[serde(default)]
    pub project_id: Option<u64>,
    /// When it was made, as Mixpanel writes it.
    #[serde(default)]
    pub created: Option<String>,
    /// When it was changed, as Mixpanel writes it.
    #[serde(default)]
    pub modified: Option<String>,
    /// The data view.
    #[serde(default)]
    pub workspace_id: Option<u64>,
    /// The board that it is on.
    #[serde(default)]
    pub dashboard_id: Option<u64>,
    /// What it is, in words.
    #[serde(default)]
    pub description: Option<String>,
    /// Who made it.
    #[serde(default)]
    pub creator_id: Option<u64>,
    /// The name of who made it.
    #[serde(default)]
    pub creator_name: Option<String>,
}

/// A truth value, which Mixpanel also writes as 0 and 1.
fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Bool(truth) => truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        _ => false,
    })
}

fn signed(number: Option<u64>) -> Option<i64> {
    number.and_then(|number| i64::try_from(number).ok())
}

impl Rows for FunnelInfo {
    fn columns(rows: &[Self]) -> Columns {
        Columns::new()
            .count("funnel_id", rows.iter().map(|row| row.funnel_id))
            .text("name", rows.iter().map(|row| row.name.as_str()))
    }
}

impl Rows for SavedCohort {
    fn columns(rows: &[Self]) -> Columns {
        Columns::new()
            .count("id", rows.iter().map(|row| row.id))
            .text("name", rows.iter().map(|row| row.name.as_str()))
            .whole("count", rows.iter().map(|row| signed(row.count)))
            .maybe_text("description", rows.iter().map(|row| row.description.as_deref()))
            .maybe_text("created", rows.iter().map(|row| row.created.as_deref()))
            .flag("is_visible", rows.iter().map(|row| Some(row.is_visible)))
    }
}

impl Rows for BookmarkInfo {
    fn columns(rows: &[Self]) -> Columns {
        Columns::new()
            .count("id", rows.iter().map(|row| row.id))
            .text("name", rows.iter().map(|row| row.name.as_str()))
            .text("type", rows.iter().map(|row| row.kind.as_str()))
            .whole("project_id", rows.iter().map(|row| signed(row.project_id)))
            .maybe_text("created", rows.iter().map(|row| row.created.as_deref()))
            .maybe_text("modified", rows.iter().map(|row| row.modified.as_deref()))
            .whole("workspace_id", rows.iter().map(|row| signed(row.workspace_id)))
            .whole("dashboard_id", rows.iter().map(|row| signed(row.dashboard_id)))
            .maybe_text("description", rows.iter().map(|row| row.description.as_deref()))
            .whole("creator_id", rows.iter().map(|row| signed(row.creator_id)))
            .maybe_text("creator_name", rows.iter().map(|row| row.creator_name.as_deref()))
    }
}

impl Client {
    /// The saved funnels, sorted by name. Kept until the cache is cleared.
    ///
    /// # Errors
    ///
    /// Those of [`Client::json`].
    pub fn funnels(&self) -> Result<Vec<FunnelInfo>> {
        self.known.get_or("funnels", || {
            let mut funnels: Vec<FunnelInfo> = self.json(&ApiRequest::query("funnels/list"))?;
            funnels.sort_by(|a, b| (&a.name, a.funnel_id).cmp(&(&b.name, b.funnel_id)));
            Ok(funnels)
        })
    }

    /// The saved cohorts, sorted by name. Kept until the cache is cleared.
    ///
    /// # Errors
    ///
    /// Those of [`Client::json`].
    pub fn cohorts(&self) -> Result<Vec<SavedCohort>> {
        self.known.get_or("cohorts", || {
            let mut cohorts: Vec<SavedCohort> =
                self.json(&ApiRequest::query("cohorts/list").post_form([]))?;
            cohorts.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
            Ok(cohorts)
        })
    }

    /// The saved reports, of one kind or of all, in Mixpanel's order; asked for each time. It takes
    /// Mixpanel half a minute where there are thousands.
    ///
    /// # Errors
    ///
    /// Those of [`Client::json`].
    pub fn list_bookmarks(&self, kind: Option<BookmarkType>) -> Result<Vec<BookmarkInfo>> {
        /// The list comes bare or wrapped once more.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Results {
            Bare(Vec<BookmarkInfo>),
            Wrapped { results: Vec<BookmarkInfo> },
        }
        #[derive(Deserialize)]
        struct Answer {
            results: Results,
        }
        let request = ApiRequest::project("bookmarks").param("v", 2).maybe("type", kind);
        let answer: Answer = self.json(&request)?;
        Ok(match answer.results {
            Results::Bare(bookmarks) | Results::Wrapped { results: bookmarks } => bookmarks,
        })
    }
}
