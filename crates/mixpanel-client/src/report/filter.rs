//! Conditions on properties.

use serde::{Deserialize, Serialize};

use super::{PropertyRef, Subject};

/// A condition on a property.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Filter {
    /// The property.
    pub property: PropertyRef,
    /// What its value must be.
    pub test: Test,
}

/// A value to compare with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FilterValue {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

impl From<&str> for FilterValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for FilterValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<f64> for FilterValue {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<i32> for FilterValue {
    fn from(number: i32) -> Self {
        Self::Number(f64::from(number))
    }
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Test {
    /// One of these.
    Equals(Vec<FilterValue>),
    /// None of these.
    NotEquals(Vec<FilterValue>),
    /// A text with this in it; upper and lower case are the same.
    Contains(String),
    /// A text without this in it.
    NotContains(String),
    /// A larger number.
    GreaterThan(f64),
    /// This number or a larger one.
    AtLeast(f64),
    /// A smaller number.
    LessThan(f64),
    /// This number or a smaller one.
    AtMost(f64),
    /// A number between two, both included.
    Between(f64, f64),
    /// Anything at all.
    IsSet,
    /// Nothing.
    IsNotSet,
    /// True.
    IsTrue,
    /// False.
    IsFalse,
}

impl Filter {
    /// A condition on a property.
    pub fn new(property: impl Into<PropertyRef>, test: Test) -> Self {
        Self { property: property.into(), test }
    }

    /// One of these values.
    pub fn equals<V: Into<FilterValue>>(
        property: impl Into<PropertyRef>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        Self::new(property, Test::Equals(values.into_iter().map(Into::into).collect()))
    }

    /// None of these values.
    pub fn not_equals<V: Into<FilterValue>>(
        property: impl Into<PropertyRef>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        Self::new(property, Test::NotEquals(values.into_iter().map(Into::into).collect()))
    }

    /// A text with this in it.
    pub fn contains(property: impl Into<PropertyRef>, part: impl Into<String>) -> Self {
        Self::new(property, Test::Contains(part.into()))
    }

    /// A larger number.
    pub fn greater_than(property: impl Into<PropertyRef>, number: f64) -> Self {
        Self::new(property, Test::GreaterThan(number))
    }

    /// A smaller number.
    pub fn less_than(property: impl Into<PropertyRef>, number: f64) -> Self {
        Self::new(property, Test::LessThan(number))
    }

    /// A number between two, both included.
    pub fn between(property: impl Into<PropertyRef>, low: f64, high: f64) -> Self {
        Self::new(property, Test::Between(low, high))
    }

    /// Anything at all.
    pub fn is_set(property: impl Into<PropertyRef>) -> Self {
        Self::new(property, Test::IsSet)
    }

    /// Nothing.
    pub fn is_not_set(property: impl Into<PropertyRef>) -> Self {
        Self::new(property, Test::IsNotSet)
    }

    /// Makes it about the user's profile.
    #[must_use]
    pub fn of_user(mut self) -> Self {
        self.property.of = Subject::User;
        self
    }
}
