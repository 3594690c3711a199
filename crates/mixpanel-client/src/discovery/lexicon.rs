//! The Lexicon: what events and profile properties are said to be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::ApiRequest;
use crate::budget::ApiFamily;
use crate::client::Client;
use crate::error::{ErrorKind, Result};
use crate::table::{Columns, Rows};
use crate::words::words;

words! {
    /// What a schema is about.
    EntityType, "type of entity", {
        /// An event.
        Event = "event",
        /// A profile.
        Profile = "profile",
    }
}

/// What is known of an event or a profile.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LexiconSchema {
    /// What it is about, in Mixpanel's word: there are more kinds than can be asked for.
    pub entity_type: String,
    /// The name of the event; `$user` for profiles.
    pub name: String,
    /// What is known.
    pub schema_json: LexiconDefinition,
}

/// The content of a schema.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LexiconDefinition {
    /// In words.
    pub description: Option<String>,
    /// By name.
    pub properties: BTreeMap<String, LexiconProperty>,
    /// How Mixpanel shows it.
    pub metadata: Option<LexiconMetadata>,
}

/// A property in a schema.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LexiconProperty {
    /// A type of JSON; `string` unless said otherwise.
    #[serde(rename = "type")]
    pub kind: String,
    /// In words.
    pub description: Option<String>,
    /// How Mixpanel shows it.
    pub metadata: Option<LexiconMetadata>,
}

/// How Mixpanel shows something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LexiconMetadata {
    /// Where it comes from.
    pub source: Option<String>,
    /// Its name for people.
    pub display_name: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Not shown in lists.
    pub hidden: bool,
    /// Not stored any more.
    pub dropped: bool,
    /// Whom to ask.
    pub contacts: Vec<String>,
    /// Which teams to ask.
    pub team_contacts: Vec<String>,
}

// What Mixpanel sends. Lexicons are filled by many hands, so anything may be missing.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "entityType")]
    entity_type: String,
    #[serde(default)]
    name: String,
    #[serde(rename = "schemaJson", default)]
    schema_json: Definition,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Definition {
    description: Option<String>,
    properties: BTreeMap<String, Property>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Property {
    #[serde(rename = "type", default)]
    kind: Value,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "com.mixpanel", default)]
    mixpanel: Option<Mixpanel>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Mixpanel {
    #[serde(rename = "$source")]
    source: Option<String>,
    display_name: Option<String>,
    tags: Option<Vec<String>>,
    hidden: Option<bool>,
    dropped: Option<bool>,
    contacts: Option<Vec<String>>,
    team_contacts: Option<Vec<String>>,
}

impl From<Entry> for LexiconSchema {
    fn from(entry: Entry) -> Self {
        Self { entity_type: entry.entity_type, name: entry.name, schema_json: entry.schema_json.into() }
    }
}

impl From<Definition> for LexiconDefinition {
    fn from(definition: Definition) -> Self {
        let properties = definition.properties.into_iter().map(|(name, property)| (name, property.into()));
        Self {
            description: definition.description,
            properties: properties.collect(),
            metadata: metadata(definition.metadata),
        }
    }
}

impl From<Property> for LexiconProperty {
    fn from(property: Property) -> Self {
        let kind = property.kind.as_str().unwrap_or("string").to_owned();
        Self { kind, description: property.description, metadata: metadata(property.metadata) }
    }
}

fn metadata(metadata: Option<Metadata>) -> Option<LexiconMetadata> {
    let from = metadata?.mixpanel?;
    Some(LexiconMetadata {
        source: from.source,
        display_name: from.display_name,
        tags: from.tags.unwrap_or_default(),
        hidden: from.hidden.unwrap_or_default(),
        dropped: from.dropped.unwrap_or_default(),
        contacts: from.contacts.unwrap_or_default(),
        team_contacts: from.team_contacts.unwrap_or_default(),
    })
}

impl Rows for LexiconSchema {
    fn columns(rows: &[Self]) -> Columns {
        let properties: Vec<Value> = rows.iter().map(|row| json!(row.schema_json.properties)).collect();
        let shown = |row: &Self| row.schema_json.metadata.clone().unwrap_or_default();
        Columns::new()
            .text("entity_type", rows.iter().map(|row| row.entity_type.as_str()))
            .text("name", rows.iter().map(|row| row.name.as_str()))
            .maybe_text("description", rows.iter().map(|row| row.schema_json.description.as_deref()))
            .flag("hidden", rows.iter().map(|row| Some(shown(row).hidden)))
            .flag("dropped", rows.iter().map(|row| Some(shown(row).dropped)))
            .json("properties", &properties)
    }
}

impl Client {
    /// All schemas of the Lexicon, of one kind or of all, sorted by kind and name. Events without a
    /// schema are not among them. Mixpanel allows five requests a minute. Kept until the cache is
    /// cleared.
    ///
    /// # Errors
    ///
    /// Those of [`Client::json`].
    pub fn lexicon_schemas(&self, kind: Option<EntityType>) -> Result<Vec<LexiconSchema>> {
        #[derive(Deserialize)]
        struct Answer {
            results: Vec<Entry>,
        }
        let word = kind.map_or("", EntityType::as_str);
        self.known.get_or(&format!("schemas {word}"), || {
            let request = ApiRequest::project("schemas");
            let request = if word.is_empty() { request } else { request.segment(word) };
            let answer: Answer = self.json(&request.counted_as(ApiFamily::Lexicon))?;
            let mut schemas: Vec<LexiconSchema> = answer.results.into_iter().map(Into::into).collect();
            schemas.sort_by(|a, b| (&a.entity_type, &a.name).cmp(&(&b.entity_type, &b.name)));
            Ok(schemas)
        })
    }

    /// One schema of the Lexicon. Kept until the cache is cleared.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if there is no schema of this name; those of [`Client::json`].
    pub fn lexicon_schema(&self, kind: EntityType, name: &str) -> Result<LexiconSchema> {
        /// The content alone, the whole entry, or a list of one: all have been seen described.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Results {
            Entries(Vec<Entry>),
            Entry(Entry),
            Definition(Definition),
        }
        #[derive(Deserialize)]
        struct Answer {
            results: Option<Results>,
        }
        if name.is_empty() {
            let what = "the name of an entity is empty".to_owned();
            return Err(ErrorKind::InvalidRequest { what }.into());
        }
        self.known.get_or(&format!("schema {kind} {name}"), || {
            let request = ApiRequest::project("schemas").segment(kind.as_str()).segment(name);
            let answer: Answer = self.json(&request.counted_as(ApiFamily::Lexicon))?;
            let definition = match answer.results {
                Some(Results::Definition(definition)) => Some(definition),
                Some(Results::Entry(entry)) => Some(entry.schema_json),
                Some(Results::Entries(entries)) => {
                    entries.into_iter().find(|entry| entry.name == name).map(|entry| entry.schema_json)
                }
                None => None,
            };
            let missing = || ErrorKind::NotFound { message: format!("no schema of the {kind} `{name}`") };
            let schema_json = definition.ok_or_else(missing)?.into();
            Ok(LexiconSchema { entity_type: kind.to_string(), name: name.to_owned(), schema_json })
        })
    }
}
