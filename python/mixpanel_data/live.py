"""Answers of Mixpanel's reports: counts, funnels, retention and the like.

Series are dicts by name and then by date, as Mixpanel writes it. Counts are whole numbers where they
are; ``total`` is None for averages, and ``total_of`` says what it is a sum of.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from mixpanel_data._names import UnknownName
from mixpanel_data._plain import Plain
from mixpanel_data._results import Drawn, Result, Series, columns_of

__all__ = [
    "ActivityFeedResult",
    "CohortInfo",
    "EngageStatsResult",
    "EventCountsResult",
    "FlowsResult",
    "FrequencyResult",
    "FunnelResult",
    "FunnelStep",
    "HourDayUnit",
    "NumericAverageResult",
    "NumericBucketResult",
    "NumericSumResult",
    "PropertyCountsResult",
    "RetentionResult",
    "SavedReportResult",
    "SavedReportType",
    "SegmentationResult",
    "TimeUnit",
    "UserEvent",
]

TimeUnit = Literal["hour", "day", "week", "month"]
"""The length of a bucket of time; weeks begin on Monday. Some questions do not know all of them."""

HourDayUnit = Literal["hour", "day"]
"""The length of a bucket of time, where it is short."""

SavedReportType = Literal["insights", "funnels", "retention", "flows"]
"""What kind of report is saved."""


@dataclass(frozen=True)
class SegmentationResult(Series):
    """How often an event happened, by segment and date. Without a breakdown the segment is the event."""

    event: str
    from_date: str
    to_date: str
    unit: str
    segment_property: str | None
    total: float | None
    series: dict[str, dict[str, float]] = field(default_factory=dict)
    type: str = "general"
    total_of: str | None = None
    unknown_names: list[UnknownName] = field(default_factory=list)

    _picture = ("date", "segment", "count")


@dataclass(frozen=True)
class EventCountsResult(Series):
    """How often events happened, by event and date."""

    events: list[str]
    from_date: str
    to_date: str
    unit: str
    type: str
    series: dict[str, dict[str, float]]
    total: float | None = None
    total_of: str | None = None
    unknown_names: list[UnknownName] = field(default_factory=list)

    _picture = ("date", "event", "count")


@dataclass(frozen=True)
class PropertyCountsResult(Series):
    """How often an event happened, by the value of a property and date."""

    event: str
    property_name: str
    from_date: str
    to_date: str
    unit: str
    type: str
    series: dict[str, dict[str, float]]
    total: float | None = None
    total_of: str | None = None
    unknown_names: list[UnknownName] = field(default_factory=list)

    _picture = ("date", "value", "count")


@dataclass(frozen=True)
class NumericBucketResult(Series):
    """How often an event happened, by ranges of a number and date."""

    event: str
    from_date: str
    to_date: str
    property_expr: str
    unit: str
    series: dict[str, dict[str, float]]
    unknown_names: list[UnknownName] = field(default_factory=list)

    _picture = ("date", "bucket", "count")


@dataclass(frozen=True)
class NumericSumResult(Drawn):
    """Sums of a property by date; what is no number counts as 0."""

    event: str
    from_date: str
    to_date: str
    property_expr: str
    unit: str
    results: dict[str, float]
    computed_at: str | None = None
    unknown_names: list[UnknownName] = field(default_factory=list)

    _picture = ("date", None, "sum")

    def _own(self) -> dict[str, list[Any]]:
        return {"date": list(self.results), "sum": list(self.results.values())}


@dataclass(frozen=True)
class NumericAverageResult(Drawn):
    """Averages of a property by date; None for a date without events."""

    event: str
    from_date: str
    to_date: str
    property_expr: str
    unit: str
    results: dict[str, float | None]
    computed_at: str | None = None
    unknown_names: list[UnknownName] = field(default_factory=list)

    _picture = ("date", None, "average")

    def _own(self) -> dict[str, list[Any]]:
        return {"date": list(self.results), "average": list(self.results.values())}


@dataclass(frozen=True)
class FunnelStep(Plain):
    """A step of a funnel: users, their part of the step before and of the first, seconds on the way."""

    event: str
    count: int
    conversion_rate: float
    step: int | None = None
    overall_conversion_rate: float | None = None
    avg_time: float | None = None
    avg_time_from_start: float | None = None


@dataclass(frozen=True)
class FunnelResult(Drawn):
    """How many users went how far: over all days, by segment, and by date. Rates are 0 to 1."""

    funnel_id: int
    funnel_name: str | None
    from_date: str
    to_date: str
    conversion_rate: float
    steps: list[FunnelStep] = field(default_factory=list)
    segment_property: str | None = None
    segments: dict[str, list[FunnelStep]] = field(default_factory=dict)
    dates: dict[str, list[FunnelStep]] = field(default_factory=dict)

    def _own(self) -> dict[str, list[Any]]:
        columns = columns_of(FunnelStep, self.steps)
        steps = [number if step is None else step for number, step in enumerate(columns.pop("step"), 1)]
        return {"step": steps, **columns}

    @property
    def _picture(self) -> tuple[str, str | None, str]:  # type: ignore[override]
        return ("event", "segment" if self.segment_property else None, "count")


@dataclass(frozen=True)
class CohortInfo(Plain):
    """Who did the first event on a date: how many, and how many of them came back in each period.

    ``retention`` is ``counts`` in parts of ``size``, 0 to 1.
    """

    date: str
    size: int
    retention: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class RetentionResult(Result):
    """Who came back, by the date of the first event, and by segment."""

    born_event: str | None
    return_event: str | None
    from_date: str
    to_date: str
    unit: str
    cohorts: list[CohortInfo] = field(default_factory=list)
    interval: int = 1
    segment_property: str | None = None
    segments: dict[str, list[CohortInfo]] = field(default_factory=dict)
    unknown_names: list[UnknownName] = field(default_factory=list)

    def _own(self) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {
            "cohort_date": [cohort.date for cohort in self.cohorts],
            "cohort_size": [cohort.size for cohort in self.cohorts],
        }
        return columns | _numbered("period", 0, [cohort.retention for cohort in self.cohorts])

    def plot(self) -> Any:
        """A line for each cohort over the periods, as a matplotlib Axes."""
        from mixpanel_data._picture import axes

        drawn = axes()
        for segment, cohorts in (self.segments or {"": self.cohorts}).items():
            for cohort in cohorts:
                drawn.plot(cohort.retention, marker=".", label=f"{segment} {cohort.date}".strip())
        drawn.set_xlabel(f"{self.unit}s")
        drawn.set_ylabel("retention")
        drawn.legend(fontsize=7)
        return drawn


@dataclass(frozen=True)
class FrequencyResult(Result):
    """How many users were active in at least 1, 2, 3, … hours (or days) of each period.

    ``data`` is by the date on which a period begins.
    """

    event: str | None
    from_date: str
    to_date: str
    unit: str
    addiction_unit: str
    data: dict[str, list[int]] = field(default_factory=dict)
    unknown_names: list[UnknownName] = field(default_factory=list)

    def _own(self) -> dict[str, list[Any]]:
        return {"date": list(self.data)} | _numbered("period", 1, list(self.data.values()))


def _numbered(name: str, first: int, rows: list[list[Any]]) -> dict[str, list[Any]]:
    """A column for each place in rows of different lengths."""
    wide = max(map(len, rows), default=0)
    return {f"{name}_{first + at}": [row[at] if at < len(row) else None for row in rows] for at in range(wide)}


@dataclass(frozen=True)
class UserEvent(Plain):
    """Something that a user did."""

    event: str
    time: datetime
    properties: dict[str, Any] = field(default_factory=dict)
    distinct_id: str | None = None


@dataclass(frozen=True)
class ActivityFeedResult(Result):
    """What some users did, the earliest first; as a table, with a column for each property."""

    distinct_ids: list[str]
    from_date: str | None
    to_date: str | None
    events: list[UserEvent] = field(default_factory=list)
    event_count: int | None = None

    def __post_init__(self) -> None:
        """Counts what is there, if nobody has."""
        if self.event_count is None:
            object.__setattr__(self, "event_count", len(self.events))

    def _own(self) -> dict[str, list[Any]]:
        names = dict.fromkeys(name for event in self.events for name in event.properties)
        columns = columns_of(UserEvent, self.events)
        properties = columns.pop("properties")
        return columns | {name: [own.get(name) for own in properties] for name in names if name not in columns}


@dataclass(frozen=True)
class SavedReportResult(Result):
    """The answer of a report, saved or not.

    ``series`` is nested as ``headers`` says; as a table, each level is a column. Dates and
    ``computed_at`` are as Mixpanel writes them.
    """

    bookmark_id: int | None
    computed_at: str | None
    from_date: str | None
    to_date: str | None
    headers: list[str] = field(default_factory=list)
    series: Any = field(default_factory=dict)
    report_type: SavedReportType = "insights"
    unknown_names: list[UnknownName] = field(default_factory=list)

    def _own(self) -> dict[str, list[Any]]:
        if self.report_type != "insights":
            return {"series": [self.series]}
        rows = [(day, name, count) for name, days in self.series.items() for day, count in days.items()]
        return {column: [row[at] for row in rows] for at, column in enumerate(("date", "event", "count"))}


@dataclass(frozen=True)
class FlowsResult(Result):
    """Which ways users take: steps, each with its nodes and their edges, as Mixpanel gives them."""

    bookmark_id: int | None
    computed_at: str | None
    steps: list[dict[str, Any]] = field(default_factory=list)
    breakdowns: list[Any] = field(default_factory=list)
    overall_conversion_rate: float | None = None
    metadata: Any = None
    flows: list[Any] = field(default_factory=list)
    unknown_names: list[UnknownName] = field(default_factory=list)

    def _own(self) -> dict[str, list[Any]]:
        names = dict.fromkeys(name for step in self.steps for name in step)
        return {name: [step.get(name) for step in self.steps] for name in names}


@dataclass(frozen=True)
class EngageStatsResult(Result):
    """A figure over profiles, or several; by cohort (``cohort_123``) where that was asked."""

    action: str
    results: Any
    computed_at: str | None
