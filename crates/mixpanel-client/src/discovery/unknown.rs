//! Names that were asked for, and that nothing has.
//!
//! Mixpanel answers a question about an event that it does not know with nothing, or with zeroes.
//! Whether that is the answer, or a slip of the keyboard, is found out here.

use std::fmt;

use serde::Serialize;

use super::names::MOST_NAMES;
use super::suggest::similar;
use crate::budget::ApiFamily;
use crate::client::Client;
use crate::error::did_you_mean;
use crate::retry::RetryPolicy;

/// Nobody waits longer than this only to learn whether a name is known.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

/// What a name is the name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum NameKind {
    /// An event.
    Event,
    /// A property.
    Property,
}

/// Who was asked for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum NameSource {
    /// Mixpanel, which lists the names of a project.
    Mixpanel,
    /// A local table.
    Table,
    /// Nobody: Mixpanel could not be asked.
    Nobody,
}

/// A name that was asked for, and that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UnknownName {
    /// What it should be the name of.
    pub kind: NameKind,
    /// The name, as given.
    pub name: String,
    /// Who does not know it.
    pub unknown_to: NameSource,
    /// Up to five names that are like it, the likeliest first.
    pub similar: Vec<String>,
}

impl UnknownName {
    /// Those of `asked` that are not among `known`.
    pub fn among<'a>(
        kind: NameKind,
        asked: impl IntoIterator<Item = &'a str>,
        known: &[String],
        source: NameSource,
    ) -> Vec<Self> {
        let unknown = asked.into_iter().filter(|name| !known.iter().any(|known| known == name));
        unknown
            .map(|name| Self {
                kind,
                name: name.to_owned(),
                unknown_to: source,
                similar: similar(name, known),
            })
            .collect()
    }

    /// An event of which it is not known whether it is there.
    pub fn unchecked(event: impl Into<String>) -> Self {
        Self {
            kind: NameKind::Event,
            name: event.into(),
            unknown_to: NameSource::Nobody,
            similar: Vec::new(),
        }
    }
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            NameKind::Event => "event",
            NameKind::Property => "property",
        };
        match self.unknown_to {
            NameSource::Mixpanel => write!(f, "Mixpanel lists no {kind} `{}`", self.name)?,
            NameSource::Table => write!(f, "the table has no {kind} `{}`", self.name)?,
            NameSource::Nobody => {
                write!(f, "no {kind} `{}` came, and whether there is one could not be checked", self.name)?;
            }
        }
        f.write_str(&did_you_mean(&self.similar))
    }
}

impl Client {
    /// Those of `events` that the project does not list, with names that are like them. None if it
    /// cannot be found out at once: the budget is used up, the list is cut, or Mixpanel does not
    /// answer. It takes one query, the first time.
    pub fn unknown_events<'a>(&self, events: impl IntoIterator<Item = &'a str>) -> Option<Vec<UnknownName>> {
        let mut events = events.into_iter().peekable();
        if events.peek().is_none() {
            return Some(Vec::new());
        }
        let known = self.listed_events()?;
        if known.len() >= MOST_NAMES as usize {
            // There may be more than are listed.
            let all_known = events.all(|event| known.iter().any(|known| known == event));
            return all_known.then(Vec::new);
        }
        Some(UnknownName::among(NameKind::Event, events, &known, NameSource::Mixpanel))
    }

    /// What is said beside an answer: the events asked for that nothing was found of, as far as
    /// the project does not list them.
    pub(crate) fn unknown_of<'a>(
        &self,
        without_count: impl IntoIterator<Item = &'a str>,
    ) -> Vec<UnknownName> {
        self.unknown_events(without_count).unwrap_or_default()
    }

    /// The names that the project lists; none if that cannot be found out at once.
    fn listed_events(&self) -> Option<Vec<String>> {
        if let Some(known) = self.known.get("events") {
            return Some(known);
        }
        let now = self.clock().now();
        let waits = self.budget().is_some_and(|budget| budget.state(ApiFamily::Query, now).next > PATIENCE);
        if waits { None } else { self.with_retry(RetryPolicy::never()).events().ok() }
    }
}
