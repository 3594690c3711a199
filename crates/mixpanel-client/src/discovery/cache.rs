//! What has been learnt, for as long as the client lives.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::client::Client;
use crate::error::Result;

/// Values of any type by the question they answer.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<HashMap<String, Arc<dyn Any + Send + Sync>>>);

impl Cache {
    /// What is known, if anything.
    pub(crate) fn get<T: Clone + 'static>(&self, question: &str) -> Option<T> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(question)?.downcast_ref::<T>().cloned()
    }

    /// What is known, or what `ask` finds out. Failures are not kept. Nothing is locked while
    /// asking, so two threads may ask the same.
    pub(crate) fn get_or<T: Clone + Send + Sync + 'static>(
        &self,
        question: &str,
        ask: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if let Some(answer) = self.get(question) {
            return Ok(answer);
        }
        let answer = ask()?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(question.to_owned(), Arc::new(answer.clone()));
        Ok(answer)
    }

    fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Client {
    /// Forgets what discovery has learnt, here and in all clones.
    pub fn clear_discovery_cache(&self) {
        self.known.clear();
    }
}
