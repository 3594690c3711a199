//! Texts to numbers and back: names of events and properties, and the users.

use std::collections::HashMap;
use std::sync::Arc;

/// Numbers texts in the order in which they come.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    ids: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
}

impl Interner {
    /// The number of a text, a new one if need be.
    pub(super) fn intern(&mut self, text: &str) -> u32 {
        if let Some(&id) = self.ids.get(text) {
            return id;
        }
        let id = self.texts.len() as u32;
        let text: Arc<str> = text.into();
        self.ids.insert(Arc::clone(&text), id);
        self.texts.push(text);
        id
    }

    /// The number of a text that has one.
    pub(crate) fn get(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    /// The text of a number.
    pub(crate) fn text(&self, id: u32) -> &Arc<str> {
        &self.texts[id as usize]
    }
}
