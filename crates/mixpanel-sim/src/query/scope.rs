//! The events that a query looks at, and expressions over them.
//!
//! In: a range of project days. Out: the shards with those days' events, and numbers for the names that the query
//! uses. Shards are made here if they are not there yet, so that afterwards every name has its number.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use jiff::civil::Date;
use serde_json::Map;

use super::time::{self, DAY_MS};
use crate::api::Refusal;
use crate::app::App;
use crate::events::{Event, NOBODY, Shard};
use crate::expr::{Context, Expr, ExprError, Properties, Value};

type Object = Map<String, serde_json::Value>;

/// A range of project days, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: Date,
    pub(crate) to: Date,
}

impl Range {
    /// The first moment, by the clock on the wall.
    pub(crate) fn start(self) -> i64 {
        time::start_of(self.from)
    }

    /// The moment behind the last.
    pub(crate) fn end(self) -> i64 {
        time::start_of(self.to) + DAY_MS
    }

    /// Whether a moment is within.
    pub(crate) fn has(self, wall: i64) -> bool {
        (self.start()..self.end()).contains(&wall)
    }
}

/// The shards that may hold a range's events.
pub(crate) struct Scope<'a> {
    app: &'a App,
    pub(crate) range: Range,
    pub(crate) shards: Vec<Arc<Shard>>,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(app: &'a App, range: Range) -> Scope<'a> {
        Scope::reaching(app, range, range.from, range.to)
    }

    /// A scope that also has the events around the range, from one day to another.
    pub(crate) fn reaching(app: &'a App, range: Range, from: Date, to: Date) -> Scope<'a> {
        Scope { app, range, shards: app.events.shards(from, to) }
    }

    /// All events of the range, in order of time, with their shards.
    pub(crate) fn events(&self) -> impl Iterator<Item = (&Shard, &Event)> {
        let (start, end) = (self.range.start(), self.range.end());
        self.shards.iter().flat_map(move |shard| {
            let shard: &Shard = shard;
            let within = move |event: &&Event| (start..end).contains(&event.wall);
            shard.events().iter().filter(within).map(move |event| (shard, event))
        })
    }

    /// All events of the shards, in order of time, whatever their day.
    pub(crate) fn all_events(&self) -> impl Iterator<Item = (&Shard, &Event)> {
        self.shards.iter().flat_map(|shard| {
            let shard: &Shard = shard;
            shard.events().iter().map(move |event| (shard, event))
        })
    }

    /// The number of an event's name; none if there is no such event.
    pub(crate) fn event(&self, name: &str) -> Option<u32> {
        self.app.events.names().events.get(name)
    }

    /// The number of a property's name.
    pub(crate) fn property(&self, name: &str) -> Option<u32> {
        self.app.events.names().properties.get(name)
    }

    /// The number of a user.
    pub(crate) fn user(&self, distinct_id: &str) -> Option<u32> {
        self.app.events.names().users.get(distinct_id)
    }

    /// The name of an event.
    pub(crate) fn event_name(&self, id: u32) -> Arc<str> {
        Arc::clone(self.app.events.names().events.text(id))
    }

    /// The name of a property.
    pub(crate) fn property_name(&self, id: u32) -> Arc<str> {
        Arc::clone(self.app.events.names().properties.text(id))
    }

    /// A property by its name.
    pub(crate) fn property_of(&self, name: &str, of_user: bool) -> Property<'a> {
        if !of_user {
            return Property::Event(self.property(name));
        }
        Property::User(self.bind(Expr::of_user(name)))
    }

    /// Makes an expression ready to be evaluated over the scope's events.
    pub(crate) fn bind(&self, expr: Expr) -> Bound<'a> {
        let properties = expr
            .properties()
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), self.property(name)?)))
            .collect();
        let profiles = expr.asks_for_profile().then(RefCell::default);
        Bound { app: self.app, expr, properties, profiles }
    }
}

/// A condition on events.
pub(crate) trait Keep {
    /// Whether an event passes.
    fn keeps(&self, shard: &Shard, event: &Event) -> Result<bool, Refusal>;
}

impl Keep for Bound<'_> {
    fn keeps(&self, shard: &Shard, event: &Event) -> Result<bool, Refusal> {
        Ok(self.with(shard, event, |expr, context| expr.keeps(context))?)
    }
}

/// What segments events.
pub(crate) enum On<'a> {
    Expression(Bound<'a>),
    Property(Property<'a>),
}

impl On<'_> {
    /// The value for an event.
    pub(crate) fn value(&self, shard: &Shard, event: &Event) -> Result<Value, Refusal> {
        match self {
            On::Expression(bound) => Ok(bound.value(shard, event)?),
            On::Property(property) => Ok(property.value(shard, event)),
        }
    }
}

/// A property of events, or of their users' profiles.
pub(crate) enum Property<'a> {
    /// The number of its name; `None` if no event has it.
    Event(Option<u32>),
    User(Bound<'a>),
}

impl Property<'_> {
    /// The value for an event.
    pub(crate) fn value(&self, shard: &Shard, event: &Event) -> Value {
        match self {
            Property::Event(number) => {
                number.and_then(|number| value(shard, event, number)).unwrap_or(Value::Undefined)
            }
            Property::User(bound) => bound.value(shard, event).unwrap_or(Value::Undefined),
        }
    }
}

/// An expression over the events of a scope.
pub(crate) struct Bound<'a> {
    app: &'a App,
    expr: Expr,
    properties: Vec<(String, u32)>,
    /// Profiles that were looked up, by user.
    profiles: Option<RefCell<HashMap<u32, Option<Object>>>>,
}

struct InShard<'a> {
    shard: &'a Shard,
    event: &'a Event,
    names: &'a [(String, u32)],
}

impl Properties for InShard<'_> {
    fn property(&self, name: &str) -> Option<Value> {
        let &(_, number) = self.names.iter().find(|(known, _)| known == name)?;
        value(self.shard, self.event, number)
    }
}

/// The value of an event's property.
pub(crate) fn value(shard: &Shard, event: &Event, property: u32) -> Option<Value> {
    let raw = shard.raw(shard.value(event, property)?);
    serde_json::from_str(raw).ok().as_ref().map(Value::from_json)
}

impl Bound<'_> {
    /// The value for an event.
    pub(crate) fn value(&self, shard: &Shard, event: &Event) -> Result<Value, ExprError> {
        self.with(shard, event, |expr, context| expr.evaluate(context))
    }

    fn with<R>(&self, shard: &Shard, event: &Event, then: impl FnOnce(&Expr, &Context<'_>) -> R) -> R {
        let properties = InShard { shard, event, names: &self.properties };
        let names = self.app.events.names();
        let context = Context::of(names.events.text(event.name), &properties);
        let Some(profiles) = &self.profiles else { return then(&self.expr, &context) };
        let mut profiles = profiles.borrow_mut();
        let profile = profiles.entry(event.user).or_insert_with(|| {
            (event.user != NOBODY).then(|| self.app.profile(names.users.text(event.user))).flatten()
        });
        then(&self.expr, &context.with_profile(profile.as_ref()))
    }
}
