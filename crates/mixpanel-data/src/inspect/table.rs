//! Rows and names of properties.

use mixpanel_client::discovery::{NameKind, NameSource, UnknownName};

use crate::error::{Error, Result};
use crate::storage::{ident, literal};
use crate::types::TableKind;
use crate::value::{Batches, Value};
use crate::workspace::Workspace;

/// The most rows of a sample.
const LARGEST_SAMPLE: usize = 1_000_000;

impl Workspace {
    /// Some rows of a table, chosen at random.
    ///
    /// # Errors
    /// [`TableNotFound`](crate::ErrorKind::TableNotFound);
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a size of 0 or beyond a million.
    pub fn sample(&self, table: &str, rows: usize) -> Result<Batches> {
        let table = self.storage().table(table)?.name;
        if !(1..=LARGEST_SAMPLE).contains(&rows) {
            return Err(Error::argument("rows", format!("{rows} is not between 1 and {LARGEST_SAMPLE}")));
        }
        // The plain view: a sample of the typed one would compute every property of every row.
        self.sql(&format!("SELECT * FROM {} USING SAMPLE reservoir({rows} ROWS)", ident(&table)))
    }

    /// The names of all properties of a table, sorted; or of those that the events of one name
    /// have. The former are known; the latter takes a pass over the texts.
    ///
    /// # Errors
    /// [`TableNotFound`](crate::ErrorKind::TableNotFound);
    /// [`WrongTableKind`](crate::ErrorKind::WrongTableKind) for an event of a table of profiles;
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for an event that the table does not have.
    pub fn property_keys(&self, table: &str, event: Option<&str>) -> Result<Vec<String>> {
        let sql = match event {
            None => {
                let table = self.storage().table(table)?.name;
                format!("SELECT name FROM _properties WHERE table_name = {} ORDER BY name", literal(&table))
            }
            Some(event) => {
                let table = self.storage().require(table, TableKind::Events)?;
                format!(
                    "SELECT DISTINCT unnest(json_keys(properties)) AS name FROM {} WHERE event_name = {} ORDER BY name",
                    ident(&table),
                    literal(event)
                )
            }
        };
        let rows = self.storage().ask(&sql, &[])?.rows;
        let name = |row: &Vec<Value>| row[0].as_str().map(str::to_owned);
        let mut names: Vec<String> = rows.iter().filter_map(name).collect();
        if let (Some(event), true) = (event, names.is_empty()) {
            let known =
                format!("SELECT DISTINCT event_name FROM {}", ident(&self.storage().table(table)?.name));
            let known = self.names_of(&known)?;
            let unknown = UnknownName::among(NameKind::Event, [event], &known, NameSource::Table);
            if let Some(unknown) = unknown.first() {
                return Err(Error::argument("event", unknown.to_string()));
            }
        }
        if event.is_some() {
            // They have columns of their own, and are no properties here.
            names.retain(|name| !matches!(name.as_str(), "time" | "distinct_id" | "$insert_id"));
        }
        Ok(names)
    }
}
