"""Questions about the local tables: nothing is sent. Their answers, and :class:`LocalQuestions`.

Five of them were scripts on Mixpanel's servers in the Python original, until Mixpanel ended JQL:
``property_distribution``, ``numeric_summary``, ``daily_counts``, ``engagement_distribution`` and
``property_coverage``. They ask the days that were fetched; what was not fetched is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from mixpanel_data import _core
from mixpanel_data._days import days
from mixpanel_data._plain import Plain
from mixpanel_data._results import ArrowTable, Drawn, Result, read, with_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import pandas

    from mixpanel_data.storage import StorageEngine

__all__ = [
    "ColumnStatsResult",
    "ColumnSummary",
    "DailyCount",
    "DailyCountsResult",
    "EngagementBucket",
    "EngagementDistributionResult",
    "EventBreakdownResult",
    "EventStats",
    "LocalQuestions",
    "NumericPropertySummaryResult",
    "PropertyCoverage",
    "PropertyCoverageResult",
    "PropertyDistributionResult",
    "PropertyValueCount",
    "SummaryResult",
]

R = TypeVar("R", bound=Result)


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
    columns: list[ColumnSummary]


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
    events: list[EventStats]

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
    top_values: list[tuple[Any, int]]
    min: float | None
    max: float | None
    mean: float | None
    std: float | None

    _picture = ("value", None, "count")


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

    _picture = ("property", None, "coverage_percentage")


class LocalQuestions:
    """What a workspace answers from its tables.

    Days are the project's if the workspace has credentials, otherwise UTC days. All of them raise
    ``TableNotFoundError`` for a table that is not there. An event or a property that does not occur
    is an empty answer.
    """

    @property
    def storage(self) -> StorageEngine:
        """The storage engine underneath."""
        raise NotImplementedError

    def _project_if_any(self) -> _core.Project | None:
        raise NotImplementedError

    def _local(self, question: str, **arguments: Any) -> tuple[Any, _core.ArrowRows]:
        return _core.ask_local(self.storage._opened(), self._project_if_any(), question, arguments)

    def _result(
        self,
        kind: type[R],
        question: str,
        range: dict[str, str | None] | None = None,
        **arguments: Any,
    ) -> R:
        raw, rows = self._local(question, **arguments, **(range or {}))
        answer: R = read(kind, {**raw, **(range or {})})
        return with_rows(answer, rows)

    def sample(self, table: str, n: int = 10) -> pandas.DataFrame:
        """``n`` rows of a table, chosen at random; 1 to a million."""
        rows = ArrowTable()
        return with_rows(rows, self._local("sample", table=table, n=n)[1]).df

    def summarize(self, table: str) -> SummaryResult:
        """Every column in figures, each property as a column of its own."""
        return self._result(SummaryResult, "summarize", table=table)

    def event_breakdown(self, table: str = "events") -> EventBreakdownResult:
        """Every event: how often, by how many users, since when, until when; the most frequent first."""
        return self._result(EventBreakdownResult, "event_breakdown", table=table)

    def property_keys(self, table: str = "events", event: str | None = None) -> list[str]:
        """The names of all properties in a table, sorted; or of those that one event has."""
        names: list[str] = self._local("property_keys", table=table, event=event)[0]
        return names

    def column_stats(self, table: str, column: str, *, top_n: int = 10) -> ColumnStatsResult:
        """One column of the typed view ``T_flat`` in figures, with its ``top_n`` most frequent values.

        ``column`` may be any SQL expression over its columns, which is run as it is: do not put
        words of strangers into it.

        Raises:
            QueryError: An expression that makes no sense.

        """
        return self._result(ColumnStatsResult, "column_stats", table=table, column=column, top_n=top_n)

    def property_distribution(
        self,
        event: str,
        property: str,
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        limit: int = 20,
        table: str = "events",
    ) -> PropertyDistributionResult:
        """How often a property of an event has which values: the ``limit`` most frequent."""
        asked = {"event": event, "property": property, "limit": limit, "table": table}
        return self._result(PropertyDistributionResult, "property_distribution", days(from_date, to_date), **asked)

    def numeric_summary(
        self,
        event: str,
        property: str,
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        percentiles: Sequence[int] = (25, 50, 75, 90, 95, 99),
        table: str = "events",
    ) -> NumericPropertySummaryResult:
        """Count, sum, mean, deviation and percentiles of a property that is a number."""
        asked = {"event": event, "property": property, "percentiles": list(percentiles), "table": table}
        return self._result(NumericPropertySummaryResult, "numeric_summary", days(from_date, to_date), **asked)

    def daily_counts(
        self,
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        events: list[str] | None = None,
        table: str = "events",
    ) -> DailyCountsResult:
        """How many events there are on each day, of some names or of all."""
        asked = {"events": events, "table": table}
        return self._result(DailyCountsResult, "daily_counts", days(from_date, to_date), **asked)

    def engagement_distribution(
        self,
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        events: list[str] | None = None,
        buckets: Sequence[int] = (1, 2, 5, 10, 25, 50, 100),
        table: str = "events",
    ) -> EngagementDistributionResult:
        """How many users have how many events; ``buckets`` are the smallest numbers of each group."""
        asked = {"events": events, "buckets": list(buckets), "table": table}
        return self._result(EngagementDistributionResult, "engagement_distribution", days(from_date, to_date), **asked)

    def property_coverage(
        self,
        event: str,
        properties: list[str],
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        table: str = "events",
    ) -> PropertyCoverageResult:
        """How many of an event have which properties."""
        asked = {"event": event, "properties": properties, "table": table}
        return self._result(PropertyCoverageResult, "property_coverage", days(from_date, to_date), **asked)
