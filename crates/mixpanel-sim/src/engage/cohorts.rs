//! The saved cohorts: who belongs to them follows from profiles and events, as for any request.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::behaviors::Behavior;
use crate::expr::Expr;
use crate::profiles::{COMPANY_KEY, Snapshot, Subject, group_id};

/// A saved cohort.
#[derive(Debug)]
pub(crate) struct Cohort {
    pub(crate) id: u64,
    name: &'static str,
    description: &'static str,
    created: &'static str,
    visible: bool,
    companies: bool,
    filter: &'static str,
    behaviors: &'static str,
}

/// All cohorts of the project. One has nobody in it; one has people who have events but no profile.
pub(crate) const COHORTS: [Cohort; 6] = [
    Cohort {
        id: 4001,
        name: "Paying customers",
        description: "On a plan that costs something.",
        created: "2024-03-19 23:49:51",
        visible: true,
        companies: false,
        filter: r#"properties["plan"] in ["pro", "enterprise"]"#,
        behaviors: "[]",
    },
    Cohort {
        id: 4002,
        name: "Bought in the last 30 days",
        description: "",
        created: "2024-04-02 23:22:01",
        visible: true,
        companies: false,
        filter: r#"behaviors["purchases"] > 0"#,
        behaviors: r#"[{"window":"30d","name":"purchases","event_selectors":[{"event":"Purchase"}]}]"#,
    },
    Cohort {
        id: 4003,
        name: "Looked \"often\", never bought 👀",
        description: "Three goods or more in two weeks, and no purchase in 90 days. Visitors without profile, too.",
        created: "2025-01-15 08:00:00",
        visible: true,
        companies: false,
        filter: r#"behaviors["looks"] >= 3 and behaviors["purchases"] == 0"#,
        behaviors: r#"[
            {"window":"14d","name":"looks","event_selectors":[{"event":"Product Viewed"}]},
            {"window":"90d","name":"purchases","event_selectors":[{"event":"Purchase"}]}
        ]"#,
    },
    Cohort {
        id: 4004,
        name: "Customers in Atlantis",
        description: "Nobody so far.",
        created: "2025-02-01 12:30:00",
        visible: true,
        companies: false,
        filter: r#"properties["$country_code"] == "ATL""#,
        behaviors: "[]",
    },
    Cohort {
        id: 4005,
        name: "internal: profiles without a plan",
        description: "Hidden in the menus.",
        created: "2025-02-02 12:30:00",
        visible: false,
        companies: false,
        filter: r#"not defined(properties["plan"])"#,
        behaviors: "[]",
    },
    Cohort {
        id: 4006,
        name: "Enterprise companies",
        description: "Groups, not users.",
        created: "2025-03-01 00:00:00",
        visible: true,
        companies: true,
        filter: r#"properties["plan"] == "enterprise""#,
        behaviors: "[]",
    },
];

impl Cohort {
    pub(crate) fn find(id: u64) -> Option<&'static Cohort> {
        COHORTS.iter().find(|cohort| cohort.id == id)
    }

    pub(crate) fn subject(&self) -> Subject {
        if self.companies { Subject::Groups(COMPANY_KEY.to_owned()) } else { Subject::Users }
    }

    pub(crate) fn filter(&self) -> Expr {
        Expr::parse(self.filter).expect("the filters of saved cohorts are expressions")
    }

    pub(crate) fn behaviors(&self) -> Vec<Behavior> {
        let json = serde_json::from_str(self.behaviors).expect("the behaviours of saved cohorts are JSON");
        Behavior::read_all(&json).expect("the behaviours of saved cohorts can be read")
    }

    /// The cohort as the list shows it.
    pub(crate) fn json(&self, project_id: u64, count: usize) -> Value {
        let mut json = json!({
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "created": self.created,
            "count": count,
            "is_visible": u8::from(self.visible),
            "project_id": project_id,
        });
        if self.companies {
            json["data_group_id"] = group_id(COMPANY_KEY).into();
        }
        json
    }
}

/// The sizes of cohorts that follow from the profiles alone, by cohort, and which profiles those were. To count
/// them anew for every list would mean to read every profile several times.
#[derive(Debug, Default)]
pub(crate) struct Sizes(Mutex<HashMap<u64, (Snapshot, usize)>>);

impl Sizes {
    /// The size of a cohort among these profiles, counted unless it is known.
    pub(super) fn find<E>(
        &self,
        cohort: &Cohort,
        snapshot: &Snapshot,
        count: impl FnOnce() -> Result<usize, E>,
    ) -> Result<usize, E> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&cohort.id).cloned();
        if let Some((_, size)) = known.filter(|(counted, _)| counted.is(snapshot)) {
            return Ok(size);
        }
        let size = count()?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(cohort.id, (snapshot.clone(), size));
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_cohorts_are_sound() {
        for cohort in &COHORTS {
            cohort.filter();
            cohort.behaviors();
            assert_eq!(Cohort::find(cohort.id).map(|found| found.name), Some(cohort.name));
        }
    }
}
