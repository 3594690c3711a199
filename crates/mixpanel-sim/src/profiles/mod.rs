//! All profiles as they are now: the seeded ones, and what was sent in since.
//!
//! Seeded profiles are written when they are needed; only changed and added ones are kept. A [`Snapshot`] is a
//! view that later changes do not reach, and costs nothing to take: who changes a table that a snapshot still
//! holds, changes a copy.

mod table;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::random::mix;
use crate::world::Seeded;
use table::Table;
pub(crate) use table::{Key, Object, Snapshot, id_text};

/// The group key whose profiles are seeded; users name their company in the property of the same name.
pub(crate) const COMPANY_KEY: &str = "company_id";

/// The users' profiles, and those of each group key.
#[derive(Debug)]
pub(crate) struct Profiles {
    people: Seeded,
    companies: Seeded,
    tables: RwLock<BTreeMap<Subject, Arc<Table>>>,
}

/// Whose profiles.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Users,
    /// The groups of a group key.
    Groups(String),
}

impl Profiles {
    pub(crate) fn new(people: Seeded, companies: Seeded) -> Profiles {
        let known = [Subject::Users, Subject::Groups(COMPANY_KEY.to_owned())];
        let tables = known.into_iter().map(|subject| (subject, Arc::default())).collect();
        Profiles { people, companies, tables: RwLock::new(tables) }
    }

    fn seeded(&self, subject: &Subject) -> Seeded {
        match subject {
            Subject::Users => self.people.clone(),
            Subject::Groups(key) if key == COMPANY_KEY => self.companies.clone(),
            Subject::Groups(_) => Seeded::none(),
        }
    }

    pub(crate) fn snapshot(&self, subject: &Subject) -> Snapshot {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        Snapshot::new(self.seeded(subject), tables.get(subject).cloned().unwrap_or_default())
    }

    /// No profiles at all.
    pub(crate) fn nobody(&self) -> Snapshot {
        Snapshot::new(Seeded::none(), Arc::default())
    }

    /// The group key behind a `data_group_id`.
    pub(crate) fn group(&self, data_group_id: &str) -> Option<Subject> {
        let wanted: u64 = data_group_id.parse().ok()?;
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let mut groups = tables.keys().filter(|subject| match subject {
            Subject::Users => false,
            Subject::Groups(key) => group_id(key) == wanted,
        });
        groups.next().cloned()
    }

    /// Replaces a profile by what `change` makes of its properties; `None` is a profile that is not there.
    pub(crate) fn update(
        &self,
        subject: &Subject,
        id: &serde_json::Value,
        change: impl FnOnce(Option<Object>) -> Option<Object>,
    ) {
        let seeded = self.seeded(subject);
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let table = tables.entry(subject.clone()).or_default();
        Arc::make_mut(table).update(&seeded, id, change);
    }
}

/// The `data_group_id` of a group key. It follows from the key alone, so tests need not ask for it.
pub(crate) fn group_id(key: &str) -> u64 {
    let hash = key.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
    1_000_000_000 + hash % 9_000_000_000
}
