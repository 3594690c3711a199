//! Events that were asked for by name: whether there is such an event.
//!
//! Mixpanel answers a request for an event that it does not know with nothing, which looks like
//! days on which nothing happened. A name that a local table has is known. Only for one that none
//! has, Mixpanel is asked: one query, and only if nothing of that name came.

use std::cell::OnceCell;

use mixpanel_client::Client;
use mixpanel_client::discovery::UnknownName;

use crate::error::{Error, Result};
use crate::storage::{StorageEngine, ident, literal};
use crate::types::TableKind;
use crate::value::Value;

/// Refuses names, and a filter, that say nothing: Mixpanel would send every event.
pub(super) fn check_filters(events: &[String], filter: Option<&str>) -> Result<()> {
    if events.iter().any(|name| name.trim().is_empty()) {
        return Err(Error::argument("events", "the name of an event is empty"));
    }
    if filter.is_some_and(|filter| filter.trim().is_empty()) {
        return Err(Error::argument("filter", "it is empty; without one, all events are fetched"));
    }
    Ok(())
}

/// The events that a fetch asks for by name.
pub(super) struct Names<'a> {
    storage: &'a StorageEngine,
    client: &'a Client,
    events: &'a [String],
    /// What Mixpanel said of those that no local table had; none if it could not be asked.
    unknown: OnceCell<Option<Vec<UnknownName>>>,
}

impl<'a> Names<'a> {
    pub(super) fn new(storage: &'a StorageEngine, client: &'a Client, events: &'a [String]) -> Self {
        Self { storage, client, events, unknown: OnceCell::new() }
    }

    /// Whether no event can come, as far as anybody knows: not one of the names is one of an event.
    pub(super) fn none_is_known(&self) -> Result<bool> {
        if self.events.is_empty() || self.unseen()?.len() < self.events.len() {
            return Ok(false);
        }
        Ok(self.asked().as_ref().is_some_and(|unknown| unknown.len() == self.events.len()))
    }

    /// The names that nothing came of, now or before, and that are none of an event as far as
    /// anybody knows.
    pub(super) fn unknown(&self) -> Result<Vec<UnknownName>> {
        let unseen = self.unseen()?;
        if unseen.is_empty() {
            return Ok(Vec::new());
        }
        Ok(match self.asked() {
            Some(unknown) => unknown.iter().filter(|name| unseen.contains(&&name.name)).cloned().collect(),
            None => unseen.into_iter().map(UnknownName::unchecked).collect(),
        })
    }

    fn asked(&self) -> &Option<Vec<UnknownName>> {
        self.unknown.get_or_init(|| self.client.unknown_events(self.events.iter().map(String::as_str)))
    }

    /// The names that no local table has.
    fn unseen(&self) -> Result<Vec<&'a String>> {
        let mut unseen: Vec<&String> = self.events.iter().collect();
        for table in self.storage.list_tables()? {
            if unseen.is_empty() {
                break;
            }
            if table.kind != TableKind::Events {
                continue;
            }
            let names: Vec<String> = unseen.iter().map(|name| literal(name)).collect();
            let sql = format!(
                "SELECT DISTINCT event_name FROM {} WHERE event_name IN ({})",
                ident(&table.name),
                names.join(", ")
            );
            let seen = self.storage.ask(&sql, &[])?.rows;
            unseen.retain(|name| !seen.iter().any(|row| row.first().and_then(Value::as_str) == Some(name)));
        }
        Ok(unseen)
    }
}
