//! Filters of a bookmark: a property, an operator, a value.

use serde_json::Value as Json;

use super::super::scope::{Keep, Property, Scope};
use super::super::segment;
use super::fields::Fields;
use crate::api::{Refusal, bad};
use crate::events::{Event, Shard};
use crate::expr::Value;

/// A condition on a property.
#[derive(Debug, Clone)]
pub(in crate::query) struct Filter {
    property: String,
    of_user: bool,
    test: Test,
}

/// What a value has to be.
#[derive(Debug, Clone, PartialEq)]
enum Test {
    /// One of these, or, negated, none of them.
    Is(Vec<String>, bool),
    Contains(String, bool),
    StartsWith(String),
    EndsWith(String),
    Set(bool),
    Number(Comparison, f64),
    /// Both ends included, or, negated, outside.
    Between(f64, f64, bool),
    Bool(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Greater,
    AtLeast,
    Less,
    AtMost,
}

/// Filters of which all must hold, or any.
#[derive(Debug, Clone, Default)]
pub(in crate::query) struct Filters {
    pub(in crate::query) list: Vec<Filter>,
    pub(in crate::query) any: bool,
}

impl Filter {
    /// Reads an entry of `filter` or `filters`.
    pub(super) fn read(path: String, value: &Json) -> Result<Filter, Refusal> {
        let known = ["value", "propertyName", "filterOperator", "filterValue", "resourceType"];
        let display = [
            "filterType",
            "defaultType",
            "propertyType",
            "propertyDefaultType",
            "dataset",
            "search",
            "profileType",
            "isHidden",
            "propertyObjectKey",
            "dataGroupId",
        ];
        let unsupported = [
            "filterDateUnit",
            "customProperty",
            "customPropertyId",
            "listItemFilters",
            "listQuantifier",
            "filterJoinType",
            "cohorts",
            "behavior",
        ];
        let fields = Fields::read(value, path, &known, &display, &unsupported)?;
        let property = match fields.text("propertyName")? {
            Some(name) => name,
            None => fields.required("value")?,
        };
        let operator = fields.required("filterOperator")?;
        Ok(Filter {
            property: property.to_owned(),
            of_user: of_user(&fields)?,
            test: Test::read(operator, fields.get("filterValue"))
                .map_err(|reason| fields.error("filterValue", &reason))?,
        })
    }

    /// Reads an entry of a flow's `where`, which is flat.
    pub(in crate::query) fn read_flat(path: String, value: &Json) -> Result<Filter, Refusal> {
        let fields = Fields::read(value, path, &["property", "operator", "value"], &[], &[])?;
        let property = fields.required("property")?.to_owned();
        let test = Test::read(fields.required("operator")?, fields.get("value"));
        Ok(Filter { property, of_user: false, test: test.map_err(|reason| fields.error("value", &reason))? })
    }
}

/// Whether an entry is about the user's profile rather than the event.
pub(super) fn of_user(fields: &Fields<'_>) -> Result<bool, Refusal> {
    let words = [("events", false), ("event", false), ("people", true), ("user", true)];
    Ok(fields.choice("resourceType", &words)?.unwrap_or(false))
}

impl Test {
    fn read(operator: &str, value: &Json) -> Result<Test, String> {
        let texts = || -> Result<Vec<String>, String> {
            let items = match value {
                Json::Array(items) => items.clone(),
                Json::Null => return Err("Field required".to_owned()),
                one => vec![one.clone()],
            };
            Ok(items.iter().map(|item| segment::key(&Value::from_json(item))).collect())
        };
        let text = || texts()?.into_iter().next().ok_or_else(|| "must not be empty".to_owned());
        let number = |value: &Json| value.as_f64().ok_or_else(|| "must be a number".to_owned());
        let first = || number(value.as_array().and_then(|items| items.first()).unwrap_or(value));
        let ends = || -> Result<(f64, f64), String> {
            match value.as_array().map(Vec::as_slice) {
                Some([low, high]) => Ok((number(low)?, number(high)?)),
                _ => Err("must be two numbers".to_owned()),
            }
        };
        Ok(match operator {
            "equals" | "is equal to" => Test::Is(texts()?, true),
            "does not equal" => Test::Is(texts()?, false),
            "contains" => Test::Contains(text()?.to_lowercase(), true),
            "does not contain" => Test::Contains(text()?.to_lowercase(), false),
            "starts with" => Test::StartsWith(text()?.to_lowercase()),
            "ends with" => Test::EndsWith(text()?.to_lowercase()),
            "is set" => Test::Set(true),
            "is not set" => Test::Set(false),
            "is greater than" => Test::Number(Comparison::Greater, first()?),
            "is at least" | "is greater than or equal to" => Test::Number(Comparison::AtLeast, first()?),
            "is less than" => Test::Number(Comparison::Less, first()?),
            "is at most" | "is less than or equal to" => Test::Number(Comparison::AtMost, first()?),
            "is between" | "between" => ends().map(|(low, high)| Test::Between(low, high, true))?,
            "not between" => ends().map(|(low, high)| Test::Between(low, high, false))?,
            "true" => Test::Bool(true),
            "false" => Test::Bool(false),
            other => return Err(format!("the operator \"{other}\" is unknown to the simulator")),
        })
    }

    /// Whether a value passes; texts are compared without regard to case except by `equals`.
    fn holds(&self, value: &Value) -> bool {
        let lower = || match value {
            Value::Text(text) => Some(text.to_lowercase()),
            _ => None,
        };
        let number = match value {
            Value::Number(number) => Some(*number),
            _ => None,
        };
        let is_set = !matches!(value, Value::Undefined | Value::Null);
        match self {
            Test::Is(texts, wanted) => (is_set && texts.contains(&segment::key(value))) == *wanted,
            Test::Contains(text, wanted) => lower().is_some_and(|value| value.contains(text)) == *wanted,
            Test::StartsWith(text) => lower().is_some_and(|value| value.starts_with(text)),
            Test::EndsWith(text) => lower().is_some_and(|value| value.ends_with(text)),
            Test::Set(wanted) => is_set == *wanted,
            Test::Bool(wanted) => *value == Value::Bool(*wanted),
            Test::Between(low, high, wanted) => {
                number.is_some_and(|number| (*low..=*high).contains(&number) == *wanted)
            }
            Test::Number(comparison, bound) => number.is_some_and(|number| match comparison {
                Comparison::Greater => number > *bound,
                Comparison::AtLeast => number >= *bound,
                Comparison::Less => number < *bound,
                Comparison::AtMost => number <= *bound,
            }),
        }
    }
}

impl Filters {
    /// Reads a list of entries under one field.
    pub(super) fn read(fields: &Fields<'_>, name: &str) -> Result<Filters, Refusal> {
        let list = fields.list(name)?.into_iter().map(|(path, value)| Filter::read(path, value));
        let any = fields.choice("filtersDeterminer", &[("all", false), ("any", true)])?.unwrap_or(false);
        Ok(Filters { list: list.collect::<Result<_, _>>()?, any })
    }

    pub(in crate::query) fn bind<'a>(&self, scope: &Scope<'a>) -> BoundFilters<'a> {
        let list = self
            .list
            .iter()
            .map(|filter| (scope.property_of(&filter.property, filter.of_user), filter.test.clone()));
        BoundFilters { list: list.collect(), any: self.any }
    }
}

/// Filters over the events of a scope.
pub(in crate::query) struct BoundFilters<'a> {
    list: Vec<(Property<'a>, Test)>,
    any: bool,
}

impl Keep for BoundFilters<'_> {
    fn keeps(&self, shard: &Shard, event: &Event) -> Result<bool, Refusal> {
        Ok(self.keep(shard, event))
    }
}

impl BoundFilters<'_> {
    pub(in crate::query) fn keep(&self, shard: &Shard, event: &Event) -> bool {
        let holds = |(property, test): &(Property<'_>, Test)| test.holds(&property.value(shard, event));
        if self.list.is_empty() {
            true
        } else if self.any {
            self.list.iter().any(holds)
        } else {
            self.list.iter().all(holds)
        }
    }
}

/// The error for a part of a bookmark that makes no sense as a whole.
pub(in crate::query) fn wrong(path: &str, reason: &str) -> Refusal {
    bad(format!("{path}: {reason}"))
}
