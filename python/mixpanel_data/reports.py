"""What reports that are not saved are made of.

>>> Filter.at_least("amount", 10).of_user()
Filter(property=PropertyRef(name='amount', of='user'), test={'at_least': 10})

Wherever an event is wanted, its name will do; wherever a property is wanted, the name of a property
of events will do. What makes no sense is refused before anything is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from mixpanel_data._plain import Plain
from mixpanel_data.exceptions import InvalidArgumentError

__all__ = ["EventSelector", "Exclusion", "Filter", "GroupBy", "Math", "Metric", "PropertyRef", "WindowUnit"]

Combine = Literal["all", "any"]
"""Whether all conditions must hold, or one."""

Math = Literal["total", "unique", "sum", "average", "median", "min", "max", "percentile", "distinct_values"]
"""How events become a number: how many, how many users, or a figure of a property."""

WindowUnit = Literal["second", "minute", "hour", "day", "week", "month"]
"""The unit of a window; months have 30 days."""


@dataclass(frozen=True)
class PropertyRef(Plain):
    """A property of events, or (``of="user"``) of the profiles of their users."""

    name: str
    of: Literal["event", "user"] = "event"


@dataclass(frozen=True)
class Filter(Plain):
    """A condition on a property; made by the methods below.

    Example:
        >>> Filter.equals("plan", "pro", "team").to_dict()
        {'property': {'name': 'plan', 'of': 'event'}, 'test': {'equals': ['pro', 'team']}}

    """

    property: PropertyRef
    test: str | dict[str, Any]

    @classmethod
    def _make(cls, property: str | PropertyRef, test: str, operand: object = None) -> Filter:
        return cls(property_of(property), test if operand is None else {test: operand})

    @classmethod
    def equals(cls, property: str | PropertyRef, *values: str | float) -> Filter:
        """One of these values."""
        return cls._make(property, "equals", list(values))

    @classmethod
    def not_equals(cls, property: str | PropertyRef, *values: str | float) -> Filter:
        """None of these values."""
        return cls._make(property, "not_equals", list(values))

    @classmethod
    def contains(cls, property: str | PropertyRef, part: str) -> Filter:
        """A text with this in it; upper and lower case are the same."""
        return cls._make(property, "contains", part)

    @classmethod
    def not_contains(cls, property: str | PropertyRef, part: str) -> Filter:
        """A text without this in it."""
        return cls._make(property, "not_contains", part)

    @classmethod
    def greater_than(cls, property: str | PropertyRef, number: float) -> Filter:
        """A larger number."""
        return cls._make(property, "greater_than", number)

    @classmethod
    def at_least(cls, property: str | PropertyRef, number: float) -> Filter:
        """A larger number, or this one."""
        return cls._make(property, "at_least", number)

    @classmethod
    def less_than(cls, property: str | PropertyRef, number: float) -> Filter:
        """A smaller number."""
        return cls._make(property, "less_than", number)

    @classmethod
    def at_most(cls, property: str | PropertyRef, number: float) -> Filter:
        """A smaller number, or this one."""
        return cls._make(property, "at_most", number)

    @classmethod
    def between(cls, property: str | PropertyRef, low: float, high: float) -> Filter:
        """A number between two, both included."""
        return cls._make(property, "between", [low, high])

    @classmethod
    def is_set(cls, property: str | PropertyRef) -> Filter:
        """Anything at all."""
        return cls._make(property, "is_set")

    @classmethod
    def is_not_set(cls, property: str | PropertyRef) -> Filter:
        """Nothing."""
        return cls._make(property, "is_not_set")

    @classmethod
    def is_true(cls, property: str | PropertyRef) -> Filter:
        """True."""
        return cls._make(property, "is_true")

    @classmethod
    def is_false(cls, property: str | PropertyRef) -> Filter:
        """False."""
        return cls._make(property, "is_false")

    def of_user(self) -> Filter:
        """The same condition on the user's profile."""
        return replace(self, property=replace(self.property, of="user"))


@dataclass(frozen=True)
class EventSelector(Plain):
    """Events of one name that fulfil conditions."""

    event: str
    filters: Sequence[Filter] = ()
    combine: Combine = "all"


@dataclass(frozen=True)
class Metric(Plain):
    """A number about an event; ``percentile`` is above 0 and below 100."""

    event: str | EventSelector
    math: Math = "total"
    property: str | PropertyRef | None = None
    percentile: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The definition."""
        math: Any = self.math
        if self.math not in ("total", "unique"):
            if self.property is None:
                raise InvalidArgumentError(f"the metric {self.math} needs a property", argument="metrics")
            math = {self.math: property_of(self.property).to_dict()}
            if self.math == "percentile":
                math = {self.math: [property_of(self.property).to_dict(), self.percentile]}
        return {"event": event_of(self.event).to_dict(), "math": math}


@dataclass(frozen=True)
class GroupBy(Plain):
    """A breakdown by a property; for numbers, ``width`` is that of the ranges that values are put into."""

    property: str | PropertyRef
    width: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The definition."""
        return {"property": property_of(self.property).to_dict(), "width": self.width}


@dataclass(frozen=True)
class Exclusion(Plain):
    """An event that puts users out of a funnel, if it happens between two steps (from 1)."""

    event: str
    after: int = 1
    before: int | None = None


def property_of(given: str | PropertyRef) -> PropertyRef:
    return given if isinstance(given, PropertyRef) else PropertyRef(given)


def event_of(given: str | EventSelector) -> EventSelector:
    return given if isinstance(given, EventSelector) else EventSelector(given)
