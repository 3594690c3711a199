"""Questions about the local tables: nothing is sent.

Five of them were scripts on Mixpanel's servers in the Python original, until Mixpanel ended JQL:
``property_distribution``, ``numeric_summary``, ``daily_counts``, ``engagement_distribution`` and
``property_coverage``. They ask the days that were fetched; what was not fetched is not counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from mixpanel_data import _core
from mixpanel_data._days import days
from mixpanel_data._later import Later
from mixpanel_data._names import Names, names, warn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import pandas

    from mixpanel_data import _results as results
    from mixpanel_data import local
    from mixpanel_data._results import Result
    from mixpanel_data.storage import StorageEngine
else:
    local = Later("mixpanel_data.local")
    results = Later("mixpanel_data._results")

R = TypeVar("R", bound="Result")


class LocalQuestions:
    """What a workspace answers from its tables.

    Days are the project's if the workspace has credentials, otherwise UTC days. All of them raise
    ``TableNotFoundError`` for a table that is not there. An event or a property that does not occur
    is an empty answer, with a warning if the table has no such name.
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
        answer: R = results.read(kind, {**raw, **(range or {})})
        warn(answer)
        return results.with_rows(answer, rows)

    def sample(self, table: str, n: int = 10) -> pandas.DataFrame:
        """``n`` rows of a table, chosen at random; 1 to a million."""
        rows = results.ArrowTable()
        return results.with_rows(rows, self._local("sample", table=table, n=n)[1]).df

    def summarize(self, table: str) -> local.SummaryResult:
        """Every column in figures, each property as a column of its own."""
        return self._result(local.SummaryResult, "summarize", table=table)

    def event_breakdown(self, table: str = "events") -> local.EventBreakdownResult:
        """Every event: how often, by how many users, since when, until when; the most frequent first."""
        return self._result(local.EventBreakdownResult, "event_breakdown", table=table)

    def property_keys(self, table: str = "events", event: str | None = None) -> list[str]:
        """The names of all properties in a table, sorted; or of those that one event has."""
        keys: list[str] = self._local("property_keys", table=table, event=event)[0]
        return keys

    def column_stats(self, table: str, column: str, *, top_n: int = 10) -> local.ColumnStatsResult:
        """One column of the typed view ``T_flat`` in figures, with its ``top_n`` most frequent values.

        ``column`` may be any SQL expression over its columns, which is run as it is: do not put
        words of strangers into it.

        Raises:
            QueryError: An expression that makes no sense.

        """
        return self._result(local.ColumnStatsResult, "column_stats", table=table, column=column, top_n=top_n)

    def property_distribution(
        self,
        event: str,
        property: str,
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        limit: int = 20,
        table: str = "events",
    ) -> local.PropertyDistributionResult:
        """How often a property of an event has which values: the ``limit`` most frequent."""
        asked = {"event": event, "property": property, "limit": limit, "table": table}
        return self._result(
            local.PropertyDistributionResult, "property_distribution", days(from_date, to_date), **asked
        )

    def numeric_summary(
        self,
        event: str,
        property: str,
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        percentiles: Sequence[int] = (25, 50, 75, 90, 95, 99),
        table: str = "events",
    ) -> local.NumericPropertySummaryResult:
        """Count, sum, mean, deviation and percentiles of a property that is a number."""
        asked = {"event": event, "property": property, "percentiles": list(percentiles), "table": table}
        return self._result(local.NumericPropertySummaryResult, "numeric_summary", days(from_date, to_date), **asked)

    def daily_counts(
        self,
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        events: Names | None = None,
        table: str = "events",
    ) -> local.DailyCountsResult:
        """How many events there are on each day, of some names or of all."""
        asked = {"events": names("events", events), "table": table}
        return self._result(local.DailyCountsResult, "daily_counts", days(from_date, to_date), **asked)

    def engagement_distribution(
        self,
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        events: Names | None = None,
        buckets: Sequence[int] = (1, 2, 5, 10, 25, 50, 100),
        table: str = "events",
    ) -> local.EngagementDistributionResult:
        """How many users have how many events; ``buckets`` are the smallest numbers of each group."""
        asked = {"events": names("events", events), "buckets": list(buckets), "table": table}
        return self._result(
            local.EngagementDistributionResult, "engagement_distribution", days(from_date, to_date), **asked
        )

    def property_coverage(
        self,
        event: str,
        properties: Names,
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        table: str = "events",
    ) -> local.PropertyCoverageResult:
        """How many of an event have which properties."""
        asked = {"event": event, "properties": names("properties", properties), "table": table}
        return self._result(local.PropertyCoverageResult, "property_coverage", days(from_date, to_date), **asked)
