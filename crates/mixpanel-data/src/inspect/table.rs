//! Rows and names of properties.

use mixpanel_client::discovery::{NameKind, NameSource, UnknownName};

use crate::error::{Error, Result};
use crate::storage::{ident, literal};
use crate::types::TableKind;
use crate::value::Batches;
use crate::workspace::Workspace;

/// The most rows of a sample.
const LARGEST_SAMPLE: usize = 1_000_000;

impl Workspace {
    /// Some rows of a table, chosen at random; of a table or view that SQL has made, too.
    ///
    /// # Errors
    /// [`TableNotFound`](crate::ErrorKind::TableNotFound);
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a size of 0 or beyond a million.
    pub fn sample(&self, table: &str, rows: usize) -> Result<Batches> {
        let place = self.place(table)?;
        if !(1..=LARGEST_SAMPLE).contains(&rows) {
            return Err(Error::argument("rows", format!("{rows} is not between 1 and {LARGEST_SAMPLE}")));
        }
        // The plain view: a sample of the typed one would compute every property of every row.
        self.sql(&format!("SELECT * FROM {} USING SAMPLE reservoir({rows} ROWS)", place.texts))
    }

    /// The names of all properties of a table, sorted, also of those that are null in every row; or of
    /// those that the events of one name have. It takes a pass over the texts; `_properties` has those
    /// that have a value, without one. A table or view that SQL has made needs a column `properties`.
    ///
    /// # Errors
    /// [`TableNotFound`](crate::ErrorKind::TableNotFound);
    /// [`WrongTableKind`](crate::ErrorKind::WrongTableKind) for an event of a table of profiles;
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for an event that the table does not have;
    /// [`Query`](crate::ErrorKind::Query) without the columns for it.
    pub fn property_keys(&self, table: &str, event: Option<&str>) -> Result<Vec<String>> {
        let place = self.place(table)?;
        // Names that have columns of their own, and are no properties here.
        let mut fixed: &[&str] = &[];
        let mut texts = place.texts;
        if place.is_fetched {
            texts = ident(&place.name);
            let kind = if event.is_some() {
                self.storage().require(&place.name, TableKind::Events)?;
                TableKind::Events
            } else {
                self.storage().table(&place.name)?.kind
            };
            fixed = match kind {
                TableKind::Events => &["time", "distinct_id", "$insert_id"],
                TableKind::Profiles => &["$last_seen"],
            };
        }
        let only = event.map(|event| format!("WHERE event_name = {}", literal(event))).unwrap_or_default();
        let sql = format!(
            "SELECT DISTINCT unnest(json_keys(properties)) AS name FROM {texts} {only} ORDER BY name"
        );
        let mut names = self.names_of(&sql)?;
        if let (Some(event), true) = (event, names.is_empty()) {
            let known = self.names_of(&format!("SELECT DISTINCT event_name FROM {texts}"))?;
            let unknown = UnknownName::among(NameKind::Event, [event], &known, NameSource::Table);
            if let Some(unknown) = unknown.first() {
                return Err(Error::argument("event", unknown.to_string()));
            }
        }
        names.retain(|name| !fixed.contains(&name.as_str()));
        Ok(names)
    }
}
