//! A tree and an event to a value.

use std::cmp::Ordering;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Map;

use super::ExprError;
use super::parse::{Function, Node, Operator, Selector};
use super::value::Value;

type Object = Map<String, serde_json::Value>;

/// Where the values of properties come from.
pub(crate) trait Properties {
    /// The value of a property that is there.
    fn property(&self, name: &str) -> Option<Value>;
}

impl Properties for Object {
    fn property(&self, name: &str) -> Option<Value> {
        self.get(name).map(Value::from_json)
    }
}

/// The event that an expression is evaluated against.
#[derive(Clone)]
pub struct Context<'a> {
    name: &'a str,
    properties: &'a dyn Properties,
    profile: Option<&'a Object>,
    behaviors: Option<&'a Object>,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Context").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'a> Context<'a> {
    /// An event and its properties, `time` (in seconds) among them.
    pub fn new(name: &'a str, properties: &'a Object) -> Context<'a> {
        Context { name, properties, profile: None, behaviors: None }
    }

    /// An event whose properties are somewhere else.
    pub(crate) fn of(name: &'a str, properties: &'a dyn Properties) -> Context<'a> {
        Context { name, properties, profile: None, behaviors: None }
    }

    /// Adds the profile of the event's user, for `user["…"]`.
    pub fn with_profile(self, profile: Option<&'a Object>) -> Context<'a> {
        Context { profile, ..self }
    }

    /// Adds how often the user did what, for `behaviors["…"]`.
    pub fn with_behaviors(self, behaviors: Option<&'a Object>) -> Context<'a> {
        Context { behaviors, ..self }
    }

    fn time(&self) -> Value {
        match self.property("time").instant() {
            Some(ms) => Value::Datetime(ms),
            None => Value::Undefined,
        }
    }

    fn property(&self, name: &str) -> Value {
        self.properties.property(name).unwrap_or(Value::Undefined)
    }

    fn select(&self, selector: Selector, keys: &[String]) -> Value {
        let first = match (selector, keys[0].as_str()) {
            (Selector::Properties, "$time") => {
                self.properties.property("$time").unwrap_or_else(|| self.time())
            }
            (Selector::Properties, name) => self.property(name),
            (Selector::Event, "$time" | "time") => self.time(),
            (Selector::Event, "$event_name") => Value::Text(self.name.to_owned()),
            (Selector::Event, "distinct_id" | "$distinct_id") => self.property("distinct_id"),
            (Selector::Event, _) => Value::Undefined,
            (Selector::User, name) => {
                self.profile.and_then(|profile| profile.property(name)).unwrap_or(Value::Undefined)
            }
            (Selector::Behaviors, name) => {
                self.behaviors.and_then(|behaviors| behaviors.property(name)).unwrap_or(Value::Undefined)
            }
            // Events of the simulated project name no groups.
            (Selector::GroupProperties, _) => Value::Undefined,
        };
        keys[1..].iter().fold(first, |value, key| value.field(key))
    }
}

pub(super) fn evaluate(node: &Node, context: &Context<'_>) -> Result<Value, ExprError> {
    Evaluation { context, variables: Vec::new() }.value(node)
}

struct Evaluation<'a> {
    context: &'a Context<'a>,
    variables: Vec<(&'a str, Value)>,
}

impl<'a> Evaluation<'a> {
    fn value(&mut self, node: &'a Node) -> Result<Value, ExprError> {
        Ok(match node {
            Node::Literal(value) => value.clone(),
            Node::List(items) => {
                Value::List(items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?)
            }
            Node::Select(selector, keys) => self.context.select(*selector, keys),
            Node::Variable(name, keys) => {
                let bound = self.variables.iter().rev().find(|(bound, _)| bound == name);
                let value = bound.map_or(Value::Undefined, |(_, value)| value.clone());
                keys.iter().fold(value, |value, key| value.field(key))
            }
            Node::Not(operand) => match self.value(operand)? {
                Value::Bool(value) => Value::Bool(!value),
                Value::Undefined => Value::Bool(true),
                _ => Value::Undefined,
            },
            Node::Negate(operand) => match self.value(operand)? {
                Value::Number(value) => Value::Number(-value),
                _ => Value::Undefined,
            },
            Node::And(operands) => Value::Bool(self.until(operands, false, "and")?),
            Node::Or(operands) => Value::Bool(self.until(operands, true, "or")?),
            Node::Binary(operator, left, right) => binary(*operator, &self.value(left)?, &self.value(right)?),
            Node::Call(function, arguments) => {
                let arguments: Vec<Value> =
                    arguments.iter().map(|argument| self.value(argument)).collect::<Result<_, _>>()?;
                call(*function, &arguments)
            }
            Node::Iterate { all, variable, list, condition } => {
                let Value::List(items) = self.value(list)? else { return Ok(Value::Undefined) };
                for item in items {
                    self.variables.push((variable, item));
                    let holds = self.truth(condition, if *all { "all" } else { "any" });
                    self.variables.pop();
                    if holds? != *all {
                        return Ok(Value::Bool(!*all));
                    }
                }
                Value::Bool(*all)
            }
        })
    }

    /// Evaluates operands until one is `decisive`, which then is the result.
    fn until(&mut self, operands: &'a [Node], decisive: bool, operator: &str) -> Result<bool, ExprError> {
        for operand in operands {
            if self.truth(operand, operator)? == decisive {
                return Ok(decisive);
            }
        }
        Ok(!decisive)
    }

    /// An operand of `and` or `or`: a boolean, or `undefined`, which counts as false.
    fn truth(&mut self, node: &'a Node, operator: &str) -> Result<bool, ExprError> {
        match self.value(node)? {
            Value::Bool(value) => Ok(value),
            Value::Undefined => Ok(false),
            other => Err(ExprError::Type(format!(
                "`{operator}` takes booleans, and an operand is {}",
                other.type_name()
            ))),
        }
    }
}

fn binary(operator: Operator, left: &Value, right: &Value) -> Value {
    let ordered = |holds: fn(Ordering) -> bool| {
        compare(left, right).map_or(Value::Undefined, |ordering| Value::Bool(holds(ordering)))
    };
    match operator {
        Operator::Equal => Value::Bool(left.same(right)),
        Operator::NotEqual => Value::Bool(!left.same(right)),
        Operator::Greater => ordered(Ordering::is_gt),
        Operator::GreaterEqual => ordered(Ordering::is_ge),
        Operator::Less => ordered(Ordering::is_lt),
        Operator::LessEqual => ordered(Ordering::is_le),
        Operator::In => contains(left, right).map_or(Value::Undefined, Value::Bool),
        Operator::NotIn => Value::Bool(!contains(left, right).unwrap_or(false)),
        Operator::Add => match (left, right) {
            (Value::Text(a), Value::Text(b)) => Value::Text(format!("{a}{b}")),
            _ => arithmetic(left, right, |a, b| Some(a + b)),
        },
        Operator::Subtract => arithmetic(left, right, |a, b| Some(a - b)),
        Operator::Multiply => arithmetic(left, right, |a, b| Some(a * b)),
        Operator::Divide => arithmetic(left, right, |a, b| (b != 0.0).then(|| a / b)),
        // Rust's remainder has the sign of the dividend, which is the rule here too.
        Operator::Remainder => arithmetic(left, right, |a, b| (b != 0.0).then(|| a % b)),
    }
}

fn arithmetic(left: &Value, right: &Value, apply: fn(f64, f64) -> Option<f64>) -> Value {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => apply(*a, *b).map_or(Value::Undefined, Value::Number),
        _ => Value::Undefined,
    }
}

fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => a.partial_cmp(b),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Datetime(_), _) | (_, Value::Datetime(_)) => Some(left.instant()?.cmp(&right.instant()?)),
        _ => None,
    }
}

fn contains(needle: &Value, haystack: &Value) -> Option<bool> {
    match (needle, haystack) {
        (Value::Text(needle), Value::Text(haystack)) => Some(haystack.contains(needle.as_str())),
        (needle, Value::List(items)) => Some(items.iter().any(|item| item.same(needle))),
        _ => None,
    }
}

fn call(function: Function, arguments: &[Value]) -> Value {
    let argument = &arguments[0];
    let rounded = |round: fn(f64) -> f64| match argument {
        Value::Number(value) => Value::Number(round(*value)),
        _ => Value::Undefined,
    };
    match function {
        Function::Floor => rounded(f64::floor),
        Function::Ceil => rounded(f64::ceil),
        Function::Round => rounded(f64::round),
        Function::Defined => Value::Bool(!matches!(argument, Value::Undefined | Value::Null)),
        Function::Boolean => Value::Bool(match argument {
            Value::Undefined | Value::Null => false,
            Value::Bool(value) => *value,
            Value::Number(value) => *value != 0.0,
            Value::Text(text) => !text.is_empty() && text != "false",
            _ => true,
        }),
        Function::Number => match argument {
            Value::Number(value) => Value::Number(*value),
            Value::Bool(value) => Value::Number(f64::from(u8::from(*value))),
            Value::Text(text) => decimal(text).map_or(Value::Undefined, Value::Number),
            _ => Value::Undefined,
        },
        Function::String => match argument {
            Value::Text(text) => Value::Text(text.clone()),
            Value::Number(value) => Value::Text(value.to_string()),
            Value::Bool(value) => Value::Text(value.to_string()),
            Value::Null => Value::Null,
            Value::Datetime(ms) => {
                let text = jiff::Timestamp::from_millisecond(*ms)
                    .map(|at| at.strftime("%Y-%m-%dT%H:%M:%S").to_string());
                text.map_or(Value::Undefined, Value::Text)
            }
            _ => Value::Undefined,
        },
        Function::Datetime if arguments.len() > 1 => {
            civil(arguments).map_or(Value::Undefined, Value::Datetime)
        }
        Function::Datetime => argument.instant().map_or(Value::Undefined, Value::Datetime),
    }
}

/// A decimal number; Rust would also read `inf` and `nan`, which are words here.
fn decimal(text: &str) -> Option<f64> {
    let starts_well =
        text.trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit() || c == '.');
    starts_well.then(|| text.parse().ok()).flatten()
}

/// `datetime(year, month, day[, hour[, minute[, second]]])`, in UTC.
fn civil(arguments: &[Value]) -> Option<i64> {
    let mut fields = [0i16; 6];
    for (field, argument) in fields.iter_mut().zip(arguments) {
        match argument {
            Value::Number(value) if value.fract() == 0.0 && value.abs() < 10_000.0 => *field = *value as i16,
            _ => return None,
        }
    }
    let [year, rest @ ..] = fields;
    let mut small = [0i8; 5];
    for (small, value) in small.iter_mut().zip(rest) {
        *small = i8::try_from(value).ok()?;
    }
    let [month, day, hour, minute, second] = small;
    let wall = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    Some(wall.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
}
