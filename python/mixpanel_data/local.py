"""Answers of local tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mixpanel_data._names import UnknownName
from mixpanel_data._plain import Plain
from mixpanel_data._results import Drawn, Result

__all__ = [
    "ColumnStatsResult",
    "ColumnSummary",
    "DailyCount",
    "DailyCountsResult",
    "EngagementBucket",
    "EngagementDistributionResult",
    "EventBreakdownResult",
    "EventStats",
    "NumericPropertySummaryResult",
    "PropertyCoverage",
    "PropertyCoverageResult",
    "PropertyDistributionResult",
    "PropertyValueCount",
    "SummaryResult",
]


@dataclass(frozen=True)
class ColumnSummary(Plain):
    """A column, as DuckDB's ``SUMMARIZE`` sees it: extremes and quartiles are texts.

    ``count`` are the rows that have a value, ``approx_unique`` is an estimate.
    """

    column_name: str
    column_type: str
    min: str | None
    max: str | None
    approx_unique: int
    avg: float | None
    std: float | None
    q25: str | None
    q50: str | None
    q75: str | None
    count: int
    null_percentage: float


@dataclass(frozen=True)
class SummaryResult(Result):
    """Every column of a table, in figures; each property is a column."""

    table: str
    row_count: int
    columns: list[ColumnSummary] = field(default_factory=list)

    _listed = "columns"


@dataclass(frozen=True)
class EventStats(Plain):
    """An event: how often, by how many users, when first and last (UTC, as ``event_time``)."""

    event_name: str
    count: int
    unique_users: int
    first_seen: datetime
    last_seen: datetime
    pct_of_total: float


@dataclass(frozen=True)
class EventBreakdownResult(Drawn):
    """Every event of a table; ``date_range`` is None of an empty one."""

    table: str
    total_events: int
    total_users: int
    date_range: tuple[datetime, datetime] | None
    events: list[EventStats] = field(default_factory=list)

    _listed = "events"
    _picture = ("event_name", None, "count")


@dataclass(frozen=True)
class ColumnStatsResult(Drawn):
    """One column or expression, in figures; ``.df`` has its most frequent values, with their counts.

    ``count`` are the rows that have a value, ``unique_count`` is exact. ``min`` to ``std`` are
    there for numbers only. Percentages are 0 to 100.
    """

    table: str
    column: str
    dtype: str
    count: int
    null_count: int
    null_pct: float
    unique_count: int
    unique_pct: float
    top_values: list[tuple[Any, int]] = field(default_factory=list)
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    std: float | None = None

    _picture = ("value", None, "count")

    def _own(self) -> dict[str, list[Any]]:
        values = list(self.top_values)
        return {"value": [value for value, _ in values], "count": [count for _, count in values]}


@dataclass(frozen=True)
class PropertyValueCount(Plain):
    """A value of a property: how often, and in percent of the events that have the property."""

    value: Any
    count: int
    percentage: float


@dataclass(frozen=True)
class PropertyDistributionResult(Drawn):
    """How often a property has which values; ``total_count`` are the events that have it at all."""

    event: str
    property_name: str
    from_date: str | None
    to_date: str | None
    total_count: int
    values: list[PropertyValueCount]
    unknown_names: list[UnknownName] = field(default_factory=list)

    _listed = "values"
    _picture = ("value", None, "count")


@dataclass(frozen=True)
class NumericPropertySummaryResult(Result):
    """A property that is a number, in figures; texts that are numbers count, too."""

    event: str
    property_name: str
    from_date: str | None
    to_date: str | None
    count: int
    min: float | None
    max: float | None
    sum: float | None
    avg: float | None
    stddev: float | None
    percentiles: dict[int, float]
    unknown_names: list[UnknownName] = field(default_factory=list)

    def _own(self) -> dict[str, list[Any]]:
        names = ("count", "min", "max", "sum", "avg", "stddev")
        rows = {name: getattr(self, name) for name in names}
        rows |= {f"p{part}": figure for part, figure in self.percentiles.items()}
        return {"metric": list(rows), "value": list(rows.values())}


@dataclass(frozen=True)
class DailyCount(Plain):
    """The events of one name on one day."""

    date: str
    event: str
    count: int


@dataclass(frozen=True)
class DailyCountsResult(Drawn):
    """Events by day and name; days without an event are not listed."""

    from_date: str | None
    to_date: str | None
    events: list[str] | None
    counts: list[DailyCount]
    unknown_names: list[UnknownName] = field(default_factory=list)

    _listed = "counts"
    _picture = ("date", "event", "count")


@dataclass(frozen=True)
class EngagementBucket(Plain):
    """Users by number of events: ``1``, ``2-4``, ``100+``; ``percentage`` of all users."""

    bucket_min: int
    bucket_label: str
    user_count: int
    percentage: float


@dataclass(frozen=True)
class EngagementDistributionResult(Drawn):
    """How many users did how much."""

    from_date: str | None
    to_date: str | None
    events: list[str] | None
    total_users: int
    buckets: list[EngagementBucket]
    unknown_names: list[UnknownName] = field(default_factory=list)

    _listed = "buckets"
    _picture = ("bucket_label", None, "user_count")


@dataclass(frozen=True)
class PropertyCoverage(Plain):
    """How many events have a property; where it is null they do not."""

    property: str
    defined_count: int
    null_count: int
    coverage_percentage: float


@dataclass(frozen=True)
class PropertyCoverageResult(Drawn):
    """How many events have which properties."""

    event: str
    from_date: str | None
    to_date: str | None
    total_events: int
    coverage: list[PropertyCoverage]
    unknown_names: list[UnknownName] = field(default_factory=list)

    _listed = "coverage"
    _picture = ("property", None, "coverage_percentage")
