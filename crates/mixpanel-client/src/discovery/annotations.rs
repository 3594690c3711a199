//! Annotations: what people noted at a date.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::ApiRequest;
use crate::client::Client;
use crate::days;
use crate::error::Result;
use crate::table::{Columns, Rows};

/// A note at a date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// Its number.
    pub id: u64,
    /// When, as Mixpanel writes it: with an offset, or in the project's time without one.
    pub date: String,
    /// What.
    #[serde(default)]
    pub description: String,
    /// Who wrote it.
    #[serde(default)]
    pub user: Option<AnnotationUser>,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<AnnotationTag>,
}

/// Who wrote an annotation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnotationUser {
    /// The number of the user.
    #[serde(default)]
    pub id: Option<u64>,
    /// First name.
    #[serde(default)]
    pub first_name: Option<String>,
    /// Last name.
    #[serde(default)]
    pub last_name: Option<String>,
}

/// A tag of annotations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnotationTag {
    /// Its number.
    #[serde(default)]
    pub id: Option<u64>,
    /// Its name.
    #[serde(default)]
    pub name: String,
}

impl Rows for Annotation {
    fn columns(rows: &[Self]) -> Columns {
        let tags: Vec<Value> =
            rows.iter().map(|row| row.tags.iter().map(|tag| json!(tag.name)).collect()).collect();
        Columns::new()
            .count("id", rows.iter().map(|row| row.id))
            .text("date", rows.iter().map(|row| row.date.as_str()))
            .text("description", rows.iter().map(|row| row.description.as_str()))
            .json("tags", &tags)
    }
}

impl Client {
    /// The annotations of a range of days, or all of them, sorted by date; asked for each time.
    ///
    /// # Errors
    ///
    /// Those of [`Client::json`].
    pub fn annotations(&self, range: Option<(Date, Date)>) -> Result<Vec<Annotation>> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            results: Vec<Annotation>,
        }
        let mut request = ApiRequest::project("annotations");
        if let Some((from, to)) = range {
            days::check(from, to)?;
            request = request.param("fromDate", from).param("toDate", to);
        }
        let answer: Answer = self.json(&request)?;
        let mut annotations = answer.results;
        annotations.sort_by(|a, b| (&a.date, a.id).cmp(&(&b.date, b.id)));
        Ok(annotations)
    }
}
