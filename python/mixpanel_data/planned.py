"""What is stored of a table, and what a sync would fetch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from mixpanel_data._picture import axes
from mixpanel_data._plain import Plain, parse_time
from mixpanel_data._tabular import Tabular

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Coverage",
    "DayCoverage",
    "PlannedRequest",
    "SyncPlan",
]


@dataclass(frozen=True)
class PlannedRequest(Plain):
    """A request that a sync would make; ``rows`` and ``bytes`` are None if unknown."""

    from_date: str
    to_date: str
    reason: str
    rows: int | None
    bytes: int | None


@dataclass(frozen=True)
class SyncPlan(Plain, Tabular):
    """What a sync would fetch, before anything is spent."""

    table: str
    from_date: str
    to_date: str
    requests: list[PlannedRequest]
    #: As rows came when the table was fetched last; None when that was not measured yet.
    rows_per_second: float | None = None

    @classmethod
    def _read(cls, raw: Mapping[str, Any]) -> SyncPlan:
        requests = [
            PlannedRequest(item["from"], item["to"], item["reason"], item["rows"], item["bytes"])
            for item in raw["requests"]
        ]
        return cls(raw["table"], raw["from"], raw["to"], requests, raw["rows_per_second"])

    def _columns(self) -> dict[str, list[Any]]:
        names = [item.name for item in fields(PlannedRequest)]
        return {name: [getattr(request, name) for request in self.requests] for name in names}


@dataclass(frozen=True)
class DayCoverage(Plain):
    """One project day.

    ``status`` is ``complete``, ``empty``, ``partial``, ``stale`` (late events may be lacking),
    ``changed`` (rows have gone since it was fetched), ``unavailable`` (before the history that
    the project's plan keeps), ``loaded`` (from files; never fetched) or ``missing``.
    """

    day: str
    status: Literal["complete", "empty", "partial", "stale", "changed", "unavailable", "loaded", "missing"]
    rows: int
    fetched_at: datetime | None


@dataclass(frozen=True)
class Coverage(Plain, Tabular):
    """What is here of a table, day by day."""

    table: str
    from_date: str
    to_date: str
    days: list[DayCoverage]

    @classmethod
    def _read(cls, raw: Mapping[str, Any]) -> Coverage:
        days = [
            DayCoverage(day["day"], day["status"], day["rows"], day["fetched_at"] and parse_time(day["fetched_at"]))
            for day in raw["days"]
        ]
        return cls(raw["table"], raw["from"], raw["to"], days)

    def count(self, status: str) -> int:
        """How many days have a status."""
        return sum(day.status == status for day in self.days)

    def _columns(self) -> dict[str, list[Any]]:
        names = [item.name for item in fields(DayCoverage)]
        return {name: [getattr(day, name) for day in self.days] for name in names}

    def plot(self) -> Any:
        """Rows a day, coloured by status, as a matplotlib Axes."""
        drawn = axes(2.5)
        colours = {
            "complete": "tab:green",
            "empty": "tab:gray",
            "partial": "tab:orange",
            "stale": "tab:olive",
            "changed": "tab:purple",
            "loaded": "tab:blue",
            "unavailable": "tab:brown",
            "missing": "tab:red",
        }
        for status, colour in colours.items():
            days = [day for day in self.days if day.status == status]
            if days:
                # A missing day is visible although it has no rows.
                heights = [max(day.rows, 1) for day in days]
                drawn.bar([day.day for day in days], heights, color=colour, label=status)
        drawn.set_ylabel("events")
        drawn.tick_params(axis="x", rotation=90, labelsize=7)
        drawn.legend()
        return drawn
