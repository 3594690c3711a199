//! Who is selected, in which order.
//!
//! In: a question. Out: a snapshot of the profiles, the places of the selected ones in it, and the identifiers of
//! selected users who have no profile. Every profile is looked at, as nothing is indexed.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::behaviors::{Behavior, Counts, count};
use super::cohorts::Cohort;
use super::params::{Question, Sort};
use crate::events::{Events, Names};
use crate::expr::{Context, Expr, ExprError, Value};
use crate::profiles::{Key, Object, Snapshot, Subject};
use crate::world::in_parallel;

/// How many profiles a thread takes at a time.
const CHUNK: usize = 2048;

/// The result of a question. It stays as it is, whatever happens to the profiles.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) snapshot: Snapshot,
    pub(crate) keys: Vec<Key>,
    /// Identifiers of members of a cohort that have no profile; they come behind the others.
    pub(crate) bare: Vec<String>,
}

impl Selection {
    pub(crate) fn nobody(snapshot: Snapshot) -> Selection {
        Selection { snapshot, keys: Vec::new(), bare: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len() + self.bare.len()
    }
}

/// Answers a question at a moment, given as time is stored.
pub(crate) fn select(events: &Events, question: &Question, now_ms: i64) -> Result<Selection, ExprError> {
    let profiles = events.world.profiles();
    let Some(subject) = &question.subject else {
        let snapshot = profiles.nobody();
        return Ok(Selection::nobody(snapshot));
    };
    let snapshot = profiles.snapshot(subject);
    let mut selection = match question.cohort {
        Some(cohort) if cohort.subject() == *subject => members(events, cohort, snapshot, now_ms)?,
        Some(_) => Selection::nobody(snapshot),
        None => Selection { keys: snapshot.keys(), bare: Vec::new(), snapshot },
    };
    if !question.include_all_users {
        selection.bare.clear();
    }
    if let Some(ids) = &question.ids {
        selection.restrict(ids, question.cohort.is_some());
    }
    if let Some(filter) = &question.filter {
        let counts = counted(events, &question.behaviors, question.as_of_ms.unwrap_or(now_ms))?;
        let view = View::new(selection.snapshot.clone(), filter, counts.as_ref());
        let names = events.names();
        selection.keys = view.profiles(&selection.keys, &names)?;
        selection.bare = view.without_profile(selection.bare, &names)?;
    }
    if let Some(text) = &question.search {
        selection.search(text);
    }
    if let Some(sort) = &question.sort {
        selection.sort(sort)?;
    }
    if let Some(limit) = question.limit {
        selection.keys.truncate(limit);
        selection.bare.truncate(limit - selection.keys.len());
    }
    Ok(selection)
}

/// The members of a cohort, those without a profile included.
pub(crate) fn members(
    events: &Events,
    cohort: &Cohort,
    snapshot: Snapshot,
    now_ms: i64,
) -> Result<Selection, ExprError> {
    let filter = cohort.filter();
    let counts = counted(events, &cohort.behaviors(), now_ms)?;
    let names = events.names();
    let view = View::new(snapshot, &filter, counts.as_ref());
    let keys = view.profiles(&view.snapshot.keys(), &names)?;
    let active = counts.iter().flat_map(Counts::users);
    let mut bare: Vec<String> = active
        .map(|user| names.users.text(user).to_string())
        .filter(|id| cohort.subject() == Subject::Users && view.snapshot.find(id).is_none())
        .collect();
    bare.sort_unstable();
    let bare = view.without_profile(bare, &names)?;
    Ok(Selection { keys, bare, snapshot: view.snapshot })
}

fn counted(events: &Events, behaviors: &[Behavior], as_of_ms: i64) -> Result<Option<Counts>, ExprError> {
    if behaviors.is_empty() { Ok(None) } else { count(events, behaviors, as_of_ms).map(Some) }
}

/// Profiles under a filter.
struct View<'a> {
    snapshot: Snapshot,
    filter: &'a Expr,
    counts: Option<&'a Counts>,
    /// Whether the filter reads more of a profile than its identifier.
    reads_properties: bool,
}

impl<'a> View<'a> {
    fn new(snapshot: Snapshot, filter: &'a Expr, counts: Option<&'a Counts>) -> View<'a> {
        let reads_properties =
            filter.asks_for_profile() || filter.properties().iter().any(|name| *name != "$distinct_id");
        View { snapshot, filter, counts, reads_properties }
    }

    fn profiles(&self, keys: &[Key], names: &Names) -> Result<Vec<Key>, ExprError> {
        let chunks: Vec<&[Key]> = keys.chunks(CHUNK).collect();
        let kept = in_parallel(&chunks, |chunk| {
            let mut kept = Vec::new();
            for &key in *chunk {
                let id = self.snapshot.id(key);
                // To read a profile is most of the work.
                let properties =
                    if self.reads_properties { self.snapshot.properties(key) } else { Object::new() };
                if self.keeps(id, properties, names)? {
                    kept.push(key);
                }
            }
            Ok(kept)
        });
        Ok(kept.into_iter().collect::<Result<Vec<_>, ExprError>>()?.concat())
    }

    fn without_profile(&self, ids: Vec<String>, names: &Names) -> Result<Vec<String>, ExprError> {
        let mut kept = Vec::new();
        for id in ids {
            if self.keeps(id.as_str().into(), Object::new(), names)? {
                kept.push(id);
            }
        }
        Ok(kept)
    }

    fn keeps(&self, id: serde_json::Value, mut properties: Object, names: &Names) -> Result<bool, ExprError> {
        let behaviors = self.counts.map(|counts| counts.of(names.users.get(&crate::profiles::id_text(&id))));
        properties.insert("$distinct_id".to_owned(), id);
        keeps(self.filter, &properties, behaviors.as_ref())
    }
}

/// Whether a profile passes; `user["…"]` means the same as `properties["…"]`.
fn keeps(filter: &Expr, properties: &Object, behaviors: Option<&Object>) -> Result<bool, ExprError> {
    filter.keeps(&Context::new("", properties).with_profile(Some(properties)).with_behaviors(behaviors))
}

impl Selection {
    /// Who belongs to another selection, too, which must be of the same snapshot.
    pub(crate) fn within(&self, other: &Selection) -> Selection {
        let keys: HashSet<Key> = other.keys.iter().copied().collect();
        let bare: HashSet<&String> = other.bare.iter().collect();
        Selection {
            snapshot: self.snapshot.clone(),
            keys: self.keys.iter().copied().filter(|key| keys.contains(key)).collect(),
            bare: self.bare.iter().filter(|id| bare.contains(id)).cloned().collect(),
        }
    }

    /// Keeps only the given identifiers, in their order.
    fn restrict(&mut self, ids: &[String], within: bool) {
        let mut asked = HashSet::new();
        let ids = ids.iter().filter(|id| asked.insert(id.as_str()));
        let members: Option<HashSet<Key>> = within.then(|| self.keys.iter().copied().collect());
        let keys = ids.filter_map(|id| self.snapshot.find(id));
        self.keys = keys.filter(|key| members.as_ref().is_none_or(|members| members.contains(key))).collect();
        self.bare.retain(|id| asked.contains(id.as_str()));
    }

    /// Keeps those whose identifier, name or address has the text in it, in whatever case.
    fn search(&mut self, text: &str) {
        let text = text.to_lowercase();
        let found = |value: &str| value.to_lowercase().contains(&text);
        let snapshot = &self.snapshot;
        self.keys.retain(|&key| {
            let properties = snapshot.properties(key);
            let fields = ["$name", "$first_name", "$last_name", "$email"];
            found(&snapshot.id_text(key))
                || fields.iter().filter_map(|name| properties.get(*name)?.as_str()).any(found)
        });
        self.bare.retain(|id| found(id));
    }

    /// Sorts; who has no value comes last in either direction.
    fn sort(&mut self, sort: &Sort) -> Result<(), ExprError> {
        let chunks: Vec<&[Key]> = self.keys.chunks(CHUNK).collect();
        let snapshot = &self.snapshot;
        let values = in_parallel(&chunks, |chunk| {
            let value = |&key: &Key| {
                let mut properties = snapshot.properties(key);
                properties.insert("$distinct_id".to_owned(), snapshot.id(key));
                sort.key.evaluate(&Context::new("", &properties).with_profile(Some(&properties)))
            };
            chunk.iter().map(value).collect::<Result<Vec<Value>, ExprError>>()
        });
        let values = values.into_iter().collect::<Result<Vec<_>, ExprError>>()?.concat();
        let mut rows: Vec<(Value, Key)> = values.into_iter().zip(self.keys.iter().copied()).collect();
        rows.sort_by(|(a, _), (b, _)| match (rank(a), rank(b)) {
            (NOTHING, NOTHING) => Ordering::Equal,
            (NOTHING, _) => Ordering::Greater,
            (_, NOTHING) => Ordering::Less,
            _ if sort.descending => order(b, a),
            _ => order(a, b),
        });
        self.keys = rows.into_iter().map(|(_, key)| key).collect();
        Ok(())
    }
}

const NOTHING: u8 = u8::MAX;

/// Types in the order in which they are sorted.
fn rank(value: &Value) -> u8 {
    match value {
        Value::Bool(_) => 0,
        Value::Number(_) | Value::Datetime(_) => 1,
        Value::Text(_) => 2,
        Value::Undefined | Value::Null => NOTHING,
        _ => 3,
    }
}

fn order(a: &Value, b: &Value) -> Ordering {
    let number = |value: &Value| match value {
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Number(value) => *value,
        Value::Datetime(ms) => *ms as f64,
        _ => 0.0,
    };
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)).then(number(a).total_cmp(&number(b))),
    }
}
