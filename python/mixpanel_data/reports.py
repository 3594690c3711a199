"""Reports that are not saved: what they are made of, and the questions that take them.

>>> Filter.at_least("amount", 10).of_user()
Filter(property=PropertyRef(name='amount', of='user'), test={'at_least': 10})

Wherever an event is wanted, its name will do; wherever a property is wanted, the name of a property
of events will do. What makes no sense is refused before anything is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from mixpanel_data._days import days
from mixpanel_data._plain import Plain
from mixpanel_data.discovery import Asking
from mixpanel_data.exceptions import InvalidArgumentError
from mixpanel_data.live import FlowsResult, SavedReportResult, TimeUnit

if TYPE_CHECKING:
    from datetime import date

__all__ = ["EventSelector", "Exclusion", "Filter", "GroupBy", "Math", "Metric", "PropertyRef", "Reports", "WindowUnit"]

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
        return cls(_property(property), test if operand is None else {test: operand})

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
            math = {self.math: _property(self.property).to_dict()}
            if self.math == "percentile":
                math = {self.math: [_property(self.property).to_dict(), self.percentile]}
        return {"event": _event(self.event).to_dict(), "math": math}


@dataclass(frozen=True)
class GroupBy(Plain):
    """A breakdown by a property; for numbers, ``width`` is that of the ranges that values are put into."""

    property: str | PropertyRef
    width: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The definition."""
        return {"property": _property(self.property).to_dict(), "width": self.width}


@dataclass(frozen=True)
class Exclusion(Plain):
    """An event that puts users out of a funnel, if it happens between two steps (from 1)."""

    event: str
    after: int = 1
    before: int | None = None


Events = str | EventSelector
Groups = str | PropertyRef | GroupBy


class Reports(Asking):
    """Reports asked ad hoc. Each is a query of 60 an hour. Errors are those of ``fetch_events``.

    Days are the project's; ``from_date`` and ``to_date`` are inclusive, and without them it is the
    ``last`` days with today.
    """

    def query_insights(
        self,
        metrics: Events | Metric | Sequence[Events | Metric],
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        last: int = 30,
        unit: TimeUnit = "day",
        filters: Sequence[Filter] = (),
        combine: Combine = "all",
        group_by: Groups | Sequence[Groups] = (),
        whole_range: bool = False,
    ) -> SavedReportResult:
        """Numbers about events, by time and by the values of properties.

        ``whole_range`` asks for one number for all days, rather than one for each bucket.
        """
        report = {
            "metrics": [
                (metric if isinstance(metric, Metric) else Metric(metric)).to_dict() for metric in _several(metrics)
            ],
            "time": _time(from_date, to_date, last),
            "unit": unit,
            "whole_range": whole_range,
            **_conditions(filters, combine, group_by),
        }
        return self._answer(SavedReportResult, "query_insights", report=report)

    def query_funnel(
        self,
        steps: Sequence[Events],
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        last: int = 30,
        window: int = 14,
        window_unit: WindowUnit = "day",
        order: Literal["loose", "any"] = "loose",
        exclusions: Sequence[str | Exclusion] = (),
        hold_constant: Sequence[str | PropertyRef] = (),
        filters: Sequence[Filter] = (),
        combine: Combine = "all",
        group_by: Groups | Sequence[Groups] = (),
        unit: TimeUnit = "day",
    ) -> SavedReportResult:
        """How many users go how far in a funnel that is not saved.

        They have ``window`` from the first step to the last. ``exclusions`` put them out;
        ``hold_constant`` are properties that must have the same value in all steps.
        """
        excluded = [item if isinstance(item, Exclusion) else Exclusion(item) for item in exclusions]
        report = {
            "steps": [_event(step).to_dict() for step in steps],
            "window": {"count": window, "unit": window_unit},
            "order": order,
            "exclusions": [item.to_dict() for item in excluded],
            "hold_constant": [_property(item).to_dict() for item in hold_constant],
            "time": _time(from_date, to_date, last),
            "unit": unit,
            **_conditions(filters, combine, group_by),
        }
        return self._answer(SavedReportResult, "query_funnel", report=report)

    def query_retention(
        self,
        born: Events,
        returned: Events,
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        last: int = 30,
        unit: TimeUnit = "day",
        alignment: Literal["birth", "interval_start"] = "birth",
        period_sizes: Sequence[int] = (),
        unbounded: bool = False,
        filters: Sequence[Filter] = (),
        combine: Combine = "all",
        group_by: Groups | Sequence[Groups] = (),
    ) -> SavedReportResult:
        """Who of those that did one event did another one later.

        Periods begin with each user's own first event, or with the calendar (``interval_start``);
        ``period_sizes`` are others than one unit. With ``unbounded``, coming back later counts for
        all periods before it.
        """
        report = {
            "born": _event(born).to_dict(),
            "returned": _event(returned).to_dict(),
            "unit": unit,
            "alignment": alignment,
            "period_sizes": list(period_sizes),
            "unbounded": unbounded,
            "time": _time(from_date, to_date, last),
            **_conditions(filters, combine, group_by),
        }
        return self._answer(SavedReportResult, "query_retention", report=report)

    def query_flow(
        self,
        anchor: Events,
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        last: int = 30,
        forward: int = 3,
        reverse: int = 0,
        window: int = 7,
        window_unit: WindowUnit = "day",
        count: Literal["general", "unique"] = "unique",
        cardinality: int = 3,
        collapse_repeated: bool = False,
        hidden_events: Sequence[str] = (),
        top_paths: bool = False,
    ) -> FlowsResult:
        """What users do after and before an event: up to 5 events ``forward`` and in ``reverse``.

        ``cardinality`` events are told apart at each place, 1 to 50; ``hidden_events`` are looked
        past. ``top_paths`` asks for the ways that most users take, rather than steps.
        """
        report = {
            "anchor": _event(anchor).to_dict(),
            "forward": forward,
            "reverse": reverse,
            "window": {"count": window, "unit": window_unit},
            "count": count,
            "cardinality": cardinality,
            "collapse_repeated": collapse_repeated,
            "hidden_events": list(hidden_events),
            "top_paths": top_paths,
            "time": _time(from_date, to_date, last),
        }
        return self._answer(FlowsResult, "query_flow", report=report)


def _property(given: str | PropertyRef) -> PropertyRef:
    return given if isinstance(given, PropertyRef) else PropertyRef(given)


def _event(given: Events) -> EventSelector:
    return given if isinstance(given, EventSelector) else EventSelector(given)


def _several(given: Any) -> list[Any]:
    """A list, of one thing if it is one thing."""
    return [given] if isinstance(given, str | Plain) else list(given)


def _conditions(filters: Sequence[Filter], combine: Combine, groups: Any) -> dict[str, Any]:
    grouped = [group if isinstance(group, GroupBy) else GroupBy(group) for group in _several(groups)]
    return {
        "filters": [condition.to_dict() for condition in _several(filters)],
        "combine": combine,
        "group_by": [group.to_dict() for group in grouped],
    }


def _time(from_date: str | date | None, to_date: str | date | None, last: int) -> dict[str, Any]:
    given = days(from_date, to_date)
    first, until = given["from_date"], given["to_date"]
    if first is not None and until is not None:
        return {"between": {"from": first, "to": until}}
    if first is None and until is None:
        return {"last": {"count": last, "unit": "day"}}
    raise InvalidArgumentError("give both from_date and to_date, or neither", argument="from_date")
