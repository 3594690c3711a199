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
from mixpanel_data._results import Drawn, Result

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

Series = dict[str, dict[str, float]]


@dataclass(frozen=True)
class SegmentationResult(Drawn):
    """How often an event happened, by segment and date. Without a breakdown the segment is the event."""

    event: str
    from_date: str
    to_date: str
    unit: str
    type: str
    segment_property: str | None
    total: float | None
    total_of: str | None
    series: Series
    unknown_names: list[UnknownName] = field(default_factory=list)

    _picture = ("date", "segment", "count")


@dataclass(frozen=True)
class EventCountsResult(Drawn):
    """How often events happened, by event and date."""

    events: list[str]
    from_date: str
    to_date: str
    unit: str
    type: str
    total: float | None
    total_of: str | None
    series: Series
    unknown_names: list[UnknownName] = field(default_factory=list)

    _picture = ("date", "event", "count")


@dataclass(frozen=True)
class PropertyCountsResult(Drawn):
    """How often an event happened, by the value of a property and date."""

    event: str
    property_name: str
    from_date: str
    to_date: str
    unit: str
    type: str
    total: float | None
    total_of: str | None
    series: Series
    unknown_names: list[UnknownName] = field(default_factory=list)

    _picture = ("date", "value", "count")


@dataclass(frozen=True)
class NumericBucketResult(Drawn):
    """How often an event happened, by ranges of a number and date."""

    event: str
    from_date: str
    to_date: str
    property_expr: str
    unit: str
    series: Series
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
    computed_at: str | None
    unknown_names: list[UnknownName] = field(default_factory=list)

    _picture = ("date", None, "sum")


@dataclass(frozen=True)
class NumericAverageResult(Drawn):
    """Averages of a property by date; None for a date without events."""

    event: str
    from_date: str
    to_date: str
    property_expr: str
    unit: str
    results: dict[str, float | None]
    computed_at: str | None
    unknown_names: list[UnknownName] = field(default_factory=list)

    _picture = ("date", None, "average")


@dataclass(frozen=True)
class FunnelStep(Plain):
    """A step of a funnel: users, their part of the step before and of the first, seconds on the way."""

    step: int
    event: str
    count: int
    conversion_rate: float
    overall_conversion_rate: float
    avg_time: float | None
    avg_time_from_start: float | None


@dataclass(frozen=True)
class FunnelResult(Drawn):
    """How many users went how far: over all days, by segment, and by date. Rates are 0 to 1."""

    funnel_id: int
    funnel_name: str | None
    from_date: str
    to_date: str
    segment_property: str | None
    conversion_rate: float
    steps: list[FunnelStep]
    segments: dict[str, list[FunnelStep]]
    dates: dict[str, list[FunnelStep]]

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
    counts: list[int]
    retention: list[float]


@dataclass(frozen=True)
class RetentionResult(Result):
    """Who came back, by the date of the first event, and by segment."""

    born_event: str | None
    return_event: str | None
    from_date: str
    to_date: str
    unit: str
    interval: int
    segment_property: str | None
    cohorts: list[CohortInfo]
    segments: dict[str, list[CohortInfo]]
    unknown_names: list[UnknownName] = field(default_factory=list)

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
    data: dict[str, list[int]]
    unknown_names: list[UnknownName] = field(default_factory=list)


@dataclass(frozen=True)
class UserEvent(Plain):
    """Something that a user did."""

    event: str
    time: datetime
    distinct_id: str | None
    properties: dict[str, Any]


@dataclass(frozen=True)
class ActivityFeedResult(Result):
    """What some users did, the earliest first; as a table, with a column for each property."""

    distinct_ids: list[str]
    from_date: str
    to_date: str
    event_count: int
    events: list[UserEvent]


@dataclass(frozen=True)
class SavedReportResult(Result):
    """The answer of a report, saved or not.

    ``series`` is nested as ``headers`` says; as a table, each level is a column. Dates and
    ``computed_at`` are as Mixpanel writes them.
    """

    bookmark_id: int | None
    report_type: SavedReportType
    computed_at: str | None
    from_date: str | None
    to_date: str | None
    headers: list[str]
    series: Any
    unknown_names: list[UnknownName] = field(default_factory=list)


@dataclass(frozen=True)
class FlowsResult(Result):
    """Which ways users take: steps, each with its nodes and their edges, as Mixpanel gives them."""

    bookmark_id: int | None
    computed_at: str | None
    steps: list[dict[str, Any]]
    flows: list[Any]
    breakdowns: list[Any]
    overall_conversion_rate: float | None
    metadata: Any
    unknown_names: list[UnknownName] = field(default_factory=list)


@dataclass(frozen=True)
class EngageStatsResult(Result):
    """A figure over profiles, or several; by cohort (``cohort_123``) where that was asked."""

    action: str
    results: Any
    computed_at: str | None
