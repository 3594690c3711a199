//! The profiles of one kind: seeded ones by number, behind them the added ones.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::world::{Seeded, SeededId};

pub(crate) type Object = Map<String, Value>;

/// The place of a profile in its table: first the seeded ones, then those that were added.
pub(crate) type Key = u32;

/// What was changed since the world began.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    /// The properties of seeded profiles that were changed; `None` if the profile was deleted.
    changed: HashMap<Key, Option<Object>>,
    added: Vec<Added>,
    /// Places of the added ones.
    by_id: HashMap<String, Key>,
}

#[derive(Debug, Clone)]
struct Added {
    id: Value,
    properties: Option<Object>,
}

impl Table {
    fn find(&self, seeded: &Seeded, id: &str) -> Option<Key> {
        seeded.number(id).or_else(|| self.by_id.get(id).copied())
    }

    fn is_there(&self, seeded: &Seeded, key: Key) -> bool {
        match key.checked_sub(seeded.count()) {
            None => self.changed.get(&key).is_none_or(Option::is_some),
            Some(place) => self.added.get(place as usize).is_some_and(|added| added.properties.is_some()),
        }
    }

    pub(super) fn update(
        &mut self,
        seeded: &Seeded,
        id: &Value,
        change: impl FnOnce(Option<Object>) -> Option<Object>,
    ) {
        let text = id_text(id);
        match self.find(seeded, &text) {
            Some(key) if key < seeded.count() => {
                let changed =
                    self.changed.remove(&key).unwrap_or_else(|| Some(seeded_properties(seeded, key)));
                self.changed.insert(key, change(changed));
            }
            Some(key) => {
                let added = &mut self.added[(key - seeded.count()) as usize];
                added.properties = change(added.properties.take());
            }
            None => {
                let Some(properties) = change(None) else { return };
                self.by_id.insert(text, seeded.count() + self.added.len() as Key);
                self.added.push(Added { id: id.clone(), properties: Some(properties) });
            }
        }
    }
}

fn seeded_properties(seeded: &Seeded, key: Key) -> Object {
    let mut text = Vec::new();
    seeded.write_properties(key, &mut text);
    serde_json::from_slice(&text).expect("seeded profiles are JSON objects")
}

/// An identifier as text, by which profiles are told apart.
pub(crate) fn id_text(id: &Value) -> String {
    match id {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The profiles of one kind at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    seeded: Seeded,
    table: Arc<Table>,
}

impl Snapshot {
    pub(super) fn new(seeded: Seeded, table: Arc<Table>) -> Snapshot {
        Snapshot { seeded, table }
    }

    /// Whether nothing has happened between another snapshot of the same kind and this one.
    pub(crate) fn is(&self, other: &Snapshot) -> bool {
        Arc::ptr_eq(&self.table, &other.table)
    }

    /// All profiles, in a fixed order.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let end = self.seeded.count() + self.table.added.len() as Key;
        if self.table.changed.is_empty() && self.table.added.is_empty() {
            return (0..end).collect();
        }
        (0..end).filter(|&key| self.table.is_there(&self.seeded, key)).collect()
    }

    pub(crate) fn find(&self, id: &str) -> Option<Key> {
        self.table.find(&self.seeded, id).filter(|&key| self.table.is_there(&self.seeded, key))
    }

    fn added(&self, key: Key) -> Option<&Added> {
        self.table.added.get(key.checked_sub(self.seeded.count())? as usize)
    }

    /// The identifier, a string or a number.
    pub(crate) fn id(&self, key: Key) -> Value {
        match self.added(key) {
            Some(added) => added.id.clone(),
            None => match self.seeded.id(key) {
                SeededId::Text(text) => text.into(),
                SeededId::Number(number) => number.into(),
            },
        }
    }

    pub(crate) fn id_text(&self, key: Key) -> String {
        match self.added(key) {
            Some(added) => id_text(&added.id),
            None => self.seeded.id(key).text().into_owned(),
        }
    }

    pub(crate) fn properties(&self, key: Key) -> Object {
        match self.kept(key) {
            Some(properties) => properties.clone(),
            None => seeded_properties(&self.seeded, key),
        }
    }

    /// Properties that are in memory, as those of changed and added profiles are.
    fn kept(&self, key: Key) -> Option<&Object> {
        match self.added(key) {
            Some(added) => added.properties.as_ref(),
            None => self.table.changed.get(&key)?.as_ref(),
        }
    }

    /// Appends the properties as JSON text; those of seeded profiles need not be parsed for it.
    pub(crate) fn write_properties(&self, key: Key, out: &mut Vec<u8>) {
        match self.kept(key) {
            Some(properties) => {
                serde_json::to_writer(out, properties).expect("writing to memory cannot fail");
            }
            None => self.seeded.write_properties(key, out),
        }
    }
}
