//! Names that a question asks for and that its table does not have.

use mixpanel_client::discovery::{NameKind, NameSource, UnknownName};

use super::scope::Rows;
use crate::error::{Error, Result};
use crate::storage::{ident, literal};
use crate::value::Value;
use crate::workspace::Workspace;

/// The names that nothing was found of.
pub(super) struct Asked<'a> {
    table: &'a str,
    events: Vec<&'a str>,
    properties: Vec<&'a str>,
}

impl<'a> Asked<'a> {
    pub(super) fn new(rows: &'a Rows) -> Self {
        Self { table: &rows.table, events: Vec::new(), properties: Vec::new() }
    }

    pub(super) fn events(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.events.extend(names);
        self
    }

    pub(super) fn properties(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.properties.extend(names);
        self
    }
}

/// Refuses names that say nothing.
pub(super) fn check_names(argument: &'static str, names: &[&str]) -> Result<()> {
    if names.iter().any(|name| name.trim().is_empty()) {
        return Err(Error::argument(argument, "a name is empty"));
    }
    Ok(())
}

impl Workspace {
    /// Those of the names that the table does not have on any day, with names that are like them.
    pub(super) fn unknown(&self, asked: &Asked<'_>) -> Result<Vec<UnknownName>> {
        let mut unknown = Vec::new();
        if !asked.events.is_empty() {
            let sql = format!("SELECT DISTINCT event_name FROM {}", ident(asked.table));
            let known = self.names_of(&sql)?;
            let events = asked.events.iter().copied();
            unknown.extend(UnknownName::among(NameKind::Event, events, &known, NameSource::Table));
        }
        if !asked.properties.is_empty() {
            let table = literal(asked.table);
            let known = self.names_of(&format!("SELECT name FROM _properties WHERE table_name = {table}"))?;
            let properties = asked.properties.iter().copied();
            unknown.extend(UnknownName::among(NameKind::Property, properties, &known, NameSource::Table));
        }
        Ok(unknown)
    }

    pub(super) fn names_of(&self, sql: &str) -> Result<Vec<String>> {
        let rows = self.storage().ask(sql, &[])?.rows;
        let name = |row: &Vec<Value>| row.first().and_then(Value::as_str).map(str::to_owned);
        Ok(rows.iter().filter_map(name).collect())
    }
}
