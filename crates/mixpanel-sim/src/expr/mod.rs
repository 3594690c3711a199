//! The expression language of `where` and `on`.
//!
//! A text is cut into tokens (`lex`), parsed into a tree (`parse`) and evaluated against one event (`eval`):
//!
//! ```
//! use mixpanel_sim::expr::{Context, Expr};
//! use serde_json::json;
//!
//! let expr = Expr::parse(r#"properties["plan"] == "pro" and properties["amount"] > 10"#)?;
//! let event = json!({"plan": "pro", "amount": 12.5});
//! assert!(expr.keeps(&Context::new("Purchase", event.as_object().unwrap()))?);
//!
//! // A property that is not there is `undefined`, which no comparison of order can satisfy.
//! let event = json!({"plan": "pro"});
//! assert!(!expr.keeps(&Context::new("Purchase", event.as_object().unwrap()))?);
//! # Ok::<(), mixpanel_sim::expr::ExprError>(())
//! ```
//!
//! # Choices where the documentation is silent
//!
//! Precedence, from loosest: `or`, `and`, `not`, comparisons (which do not chain), `+ -`, `* / %`, unary `-`; so
//! `not "a" in x` negates the whole membership test. Substring search minds case. `undefined == undefined` and
//! `null == null` hold. Strings compare by code point. Instants compare with numbers (epoch seconds, or
//! milliseconds from 10^11 on) and with ISO texts. `and` and `or` stop at the first operand that decides. An
//! expression whose value is neither boolean nor missing is an error, like a non-boolean operand of `and`.

mod eval;
mod lex;
mod parse;
mod value;

pub use eval::Context;
pub(crate) use eval::Properties;
pub use value::Value;

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr(parse::Node);

/// Why an expression could not be parsed or evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExprError {
    /// The text is not an expression.
    #[error("syntax error at character {at}: {reason}")]
    Syntax {
        /// Where, in characters from the beginning.
        at: usize,
        /// What was wrong there.
        reason: String,
    },
    /// An operation met a value it is not defined for, in a place where that is not simply `undefined`.
    #[error("type error: {0}")]
    Type(String),
}

impl Expr {
    /// Parses an expression.
    pub fn parse(text: &str) -> Result<Expr, ExprError> {
        parse::parse(text).map(Expr)
    }

    /// `user["name"]`.
    pub(crate) fn of_user(name: &str) -> Expr {
        Expr(parse::Node::Select(parse::Selector::User, vec![name.to_owned()]))
    }

    /// Whether the expression uses `user["…"]`.
    pub fn asks_for_profile(&self) -> bool {
        let mut asks = false;
        self.0.each_select(&mut |selector, _| asks |= selector == parse::Selector::User);
        asks
    }

    /// The names of the properties of an event that the expression reads, in no order.
    pub fn properties(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.0.each_select(&mut |selector, keys| match (selector, keys[0].as_str()) {
            (parse::Selector::Properties, "$time") => names.extend(["$time", "time"]),
            (parse::Selector::Properties, name) => names.push(name),
            (parse::Selector::Event, "distinct_id" | "$distinct_id") => names.push("distinct_id"),
            (parse::Selector::Event, _) => names.push("time"),
            _ => {}
        });
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The expression's value for one event.
    pub fn evaluate(&self, context: &Context<'_>) -> Result<Value, ExprError> {
        eval::evaluate(&self.0, context)
    }

    /// Whether an event passes as a filter: only `true` keeps it, a missing value drops it.
    pub fn keeps(&self, context: &Context<'_>) -> Result<bool, ExprError> {
        match self.evaluate(context)? {
            Value::Bool(keep) => Ok(keep),
            Value::Undefined | Value::Null => Ok(false),
            other => Err(ExprError::Type(format!("a filter must be boolean, not {}", other.type_name()))),
        }
    }
}
