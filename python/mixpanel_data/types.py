"""The small types that describe tables, workspaces and results.

All are immutable. ``to_dict()`` gives plain values for JSON: times are ISO 8601
text, days are ``YYYY-MM-DD``. Results that are tables have ``.df`` (pandas),
``.arrow()`` (pyarrow) and ``.pl()`` (Polars); none of these packages is needed
before one of them is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mixpanel_data._tabular import Tabular, html_table, require

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "ChunkReport",
    "ColumnInfo",
    "Coverage",
    "DayCoverage",
    "FailedRange",
    "FetchProgress",
    "FetchResult",
    "PlannedRequest",
    "SQLResult",
    "SyncPlan",
    "SyncResult",
    "TableInfo",
    "TableMetadata",
    "TableSchema",
    "TableType",
    "WorkspaceInfo",
]

TableType = Literal["events", "profiles"]
"""What the rows of a table are."""


def parse_time(text: str) -> datetime:
    """An instant as the library writes it (``2024-01-01T12:00:00.5Z``)."""
    text = text.removesuffix("Z")
    whole, _, fraction = text.partition(".")
    micros = int(f"{fraction:0<6}"[:6]) if fraction else 0
    return datetime.fromisoformat(whole).replace(microsecond=micros, tzinfo=timezone.utc)


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, _Plain):
        return value.to_dict()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    return value


class _Plain:
    """Something with fields that are plain values."""

    def to_dict(self) -> dict[str, Any]:
        """The fields, as plain values for JSON."""
        return {item.name: plain(getattr(self, item.name)) for item in fields(self)}  # type: ignore[arg-type]


@dataclass(frozen=True)
class TableMetadata(_Plain):
    """Where a table's rows come from: what was asked for, and when.

    Attributes:
        type: ``"events"`` or ``"profiles"``.
        fetched_at: When; without a zone it is UTC.
        from_date: First day, inclusive, ``YYYY-MM-DD``; None for profiles.
        to_date: Last day, inclusive.
        filter_events: Event names asked for; None is all.
        filter_where: The filter expression asked for.

    Example:
        >>> from datetime import datetime, timezone
        >>> TableMetadata(type="events", fetched_at=datetime(2024, 1, 2, tzinfo=timezone.utc)).type
        'events'

    """

    type: TableType
    fetched_at: datetime
    from_date: str | None = None
    to_date: str | None = None
    filter_events: list[str] | None = None
    filter_where: str | None = None
    filter_cohort_id: str | None = None
    filter_output_properties: list[str] | None = None
    filter_group_id: str | None = None
    filter_behaviors: list[dict[str, Any]] | None = None


@dataclass(frozen=True)
class TableInfo(_Plain):
    """One line of the list of tables; ``row_count`` are the rows stored."""

    name: str
    type: TableType
    row_count: int
    fetched_at: datetime


@dataclass(frozen=True)
class ColumnInfo(_Plain):
    """One column; ``type`` is DuckDB's name, such as ``VARCHAR`` or ``TIMESTAMP``.

    ``primary_key`` is always False: identity is kept without an index.
    """

    name: str
    type: str
    nullable: bool
    primary_key: bool = False


@dataclass(frozen=True)
class TableSchema(_Plain, Tabular):
    """The columns of a table, in order."""

    table_name: str
    columns: list[ColumnInfo]

    def _columns(self) -> dict[str, list[Any]]:
        return {
            "name": [column.name for column in self.columns],
            "type": [column.type for column in self.columns],
            "nullable": [column.nullable for column in self.columns],
        }


@dataclass(frozen=True)
class WorkspaceInfo(_Plain):
    """What a workspace is and holds.

    Attributes:
        path: The database file; None in memory.
        project_id: Mixpanel's project id; ``"unknown"`` without credentials.
        region: ``us``, ``eu`` or ``in``; ``"unknown"`` without credentials.
        account: The named account the credentials came from, if any.
        tables: Names of the tables, sorted.
        size_mb: The file and its log in MB (10⁶ bytes); 0.0 in memory.
        created_at: When the database was created; None in memory.
        mode: ``persistent``, ``ephemeral`` or ``in-memory``.
        memory_bytes: What DuckDB reports as used; only in memory.

    """

    path: Path | None
    project_id: str
    region: str
    account: str | None
    tables: list[str]
    size_mb: float
    created_at: datetime | None
    mode: str = "persistent"
    memory_bytes: int | None = None

    def _repr_html_(self) -> str:
        """A table of the fields, for notebooks."""
        shown: dict[str, Any] = {
            "database": "in memory" if self.path is None else str(self.path),
            "mode": self.mode,
            "project": self.project_id,
            "region": self.region,
            "tables": ", ".join(self.tables) or "none",
            "size": f"{self.size_mb:.1f} MB",
        }
        if self.memory_bytes is not None:
            shown["size"] = f"{self.memory_bytes / 1e6:.1f} MB of memory"
        return html_table({"": list(shown), "workspace": list(shown.values())})


@dataclass(frozen=True)
class SQLResult(_Plain, Tabular):
    """Rows of a query as plain values. Iterating gives tuples.

    Example:
        >>> result = SQLResult(columns=["n"], rows=[(1,), (2,)])
        >>> len(result), result.to_dicts()
        (2, [{'n': 1}, {'n': 2}])

    """

    columns: list[str]
    rows: list[tuple[Any, ...]]

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """The rows, in order."""
        return iter(self.rows)

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows as dicts."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def to_dict(self) -> dict[str, Any]:
        """Columns, rows and their number."""
        return {"columns": self.columns, "rows": plain(self.rows), "row_count": len(self.rows)}

    def _columns(self) -> dict[str, list[Any]]:
        return {name: [row[at] for row in self.rows] for at, name in enumerate(self.columns)}


@dataclass(frozen=True)
class FetchProgress(_Plain):
    """How a fetch is going.

    Attributes:
        rows: Rows written so far, duplicates included.
        bytes_received: Bytes over the wire so far, compressed.
        bytes_decoded: Bytes of JSON so far.
        day: The project day of the latest row.
        days_done: Days that are in the database, for good.
        elapsed_seconds: Time since the fetch began.
        attempt: Which attempt this is, from 1.

    """

    rows: int
    bytes_received: int
    bytes_decoded: int
    day: str | None
    days_done: int
    elapsed_seconds: float
    attempt: int


@dataclass(frozen=True)
class ChunkReport(_Plain):
    """One transaction, fed by one request that succeeded. Days are inclusive.

    ``lines`` is always ``rows + duplicates + rejects``.
    """

    from_date: str
    to_date: str
    lines: int
    rows: int
    duplicates: int
    rejects: int
    requests: int
    bytes_received: int
    bytes_decoded: int
    request_id: str | None
    duration_seconds: float
    rows_by_day: dict[str, int]

    @classmethod
    def _read(cls, raw: Mapping[str, Any]) -> ChunkReport:
        taken = {item.name: raw[item.name] for item in fields(cls) if item.name in raw}
        return cls(from_date=raw["from"], to_date=raw["to"], duration_seconds=raw["duration"], **taken)


class _ByDay(Tabular):
    """Something with chunks, as a table of days."""

    chunks: list[ChunkReport]

    def _days(self) -> dict[str, int]:
        days = [item for chunk in self.chunks for item in chunk.rows_by_day.items()]
        return dict(sorted(days))

    def _columns(self) -> dict[str, list[Any]]:
        days = self._days()
        return {"day": list(days), "lines": list(days.values())}

    def plot(self) -> Any:
        """Events a day, as a matplotlib Axes."""
        days = self._days()
        axes = require("matplotlib.pyplot", ".plot()").subplots(figsize=(8, 2.5))[1]
        axes.bar(list(days), list(days.values()))
        axes.set_ylabel("events")
        axes.tick_params(axis="x", rotation=90, labelsize=7)
        return axes


@dataclass(frozen=True)
class FetchResult(_Plain, _ByDay):
    """What a fetch did. ``.df`` has the events of each day, ``.plot()`` draws them.

    Attributes:
        table: The table that was written.
        rows: Rows inserted, without duplicates.
        type: ``"events"`` or ``"profiles"``.
        duration_seconds: Wall-clock time.
        date_range: First and last day asked for, inclusive; None for profiles.
        fetched_at: When the fetch began.
        lines: Lines that Mixpanel sent: ``rows + duplicates + rejects``.
        duplicates: Lines dropped because the same event came more than once.
        rejects: Lines that could not be stored; kept in ``_quarantine``.
        total_rows: Rows in the table afterwards.
        days_complete: Days that are wholly here now.
        days_empty: Days on which nothing happened.
        days_partial: Days that are known to be incomplete: today, or a fetch with a limit.
        requests: Requests sent, those that were tried again included.

    """

    table: str
    rows: int
    type: TableType
    duration_seconds: float
    date_range: tuple[str, str] | None
    fetched_at: datetime
    lines: int = 0
    duplicates: int = 0
    rejects: int = 0
    total_rows: int = 0
    days_complete: int = 0
    days_empty: int = 0
    days_partial: int = 0
    days_unavailable: int = 0
    bytes_received: int = 0
    bytes_decoded: int = 0
    requests: int = 0
    chunks: list[ChunkReport] = field(default_factory=list, repr=False)

    @classmethod
    def _read(cls, raw: Mapping[str, Any], kind: TableType) -> FetchResult:
        known = {item.name for item in fields(cls)}
        taken = {name: value for name, value in raw.items() if name in known}
        days = (raw.get("from_date"), raw.get("to_date"))
        taken.update(
            type=kind,
            duration_seconds=raw["duration"],
            date_range=days if None not in days else None,
            fetched_at=parse_time(raw["fetched_at"]),
            chunks=[ChunkReport._read(chunk) for chunk in raw.get("chunks", [])],
        )
        return cls(**taken)

    def _repr_html_(self) -> str:
        """What was fetched, for notebooks."""
        shown = {
            "table": self.table,
            "rows": self.rows,
            "duplicates": self.duplicates,
            "rejects": self.rejects,
            "rows in the table": self.total_rows,
            "complete days": self.days_complete,
            "requests": self.requests,
            "seconds": f"{self.duration_seconds:.1f}",
        }
        return html_table({"": list(shown), "fetch": list(shown.values())})


@dataclass(frozen=True)
class FailedRange(_Plain):
    """Days that could not be fetched, and why. Days are inclusive."""

    from_date: str
    to_date: str
    error: str


@dataclass(frozen=True)
class SyncResult(_Plain, _ByDay):
    """What a sync did. ``state`` is ``complete``, or ``partial`` if some ranges failed."""

    table: str
    from_date: str
    to_date: str
    state: Literal["complete", "partial"]
    rows: int
    total_rows: int
    requests: int
    duration_seconds: float
    failed: list[FailedRange]
    unavailable: list[str]
    chunks: list[ChunkReport] = field(default_factory=list, repr=False)

    @classmethod
    def _read(cls, raw: Mapping[str, Any]) -> SyncResult:
        return cls(
            table=raw["table"],
            from_date=raw["from"],
            to_date=raw["to"],
            state=raw["state"],
            rows=raw["rows"],
            total_rows=raw["total_rows"],
            requests=raw["requests"],
            duration_seconds=raw["duration"],
            failed=[FailedRange(item["from"], item["to"], item["error"]) for item in raw["failed"]],
            unavailable=raw["unavailable"],
            chunks=[ChunkReport._read(chunk) for chunk in raw["chunks"]],
        )


@dataclass(frozen=True)
class PlannedRequest(_Plain):
    """A request that a sync would make; ``rows`` and ``bytes`` are None if unknown."""

    from_date: str
    to_date: str
    reason: str
    rows: int | None
    bytes: int | None


@dataclass(frozen=True)
class SyncPlan(_Plain, Tabular):
    """What a sync would fetch, before anything is spent."""

    table: str
    from_date: str
    to_date: str
    requests: list[PlannedRequest]

    @classmethod
    def _read(cls, raw: Mapping[str, Any]) -> SyncPlan:
        requests = [
            PlannedRequest(item["from"], item["to"], item["reason"], item["rows"], item["bytes"])
            for item in raw["requests"]
        ]
        return cls(raw["table"], raw["from"], raw["to"], requests)

    def _columns(self) -> dict[str, list[Any]]:
        names = [item.name for item in fields(PlannedRequest)]
        return {name: [getattr(request, name) for request in self.requests] for name in names}


@dataclass(frozen=True)
class DayCoverage(_Plain):
    """One project day.

    ``status`` is ``complete``, ``empty``, ``partial``, ``stale`` (late events may be lacking),
    ``unavailable`` (before the history that the project's plan keeps) or ``missing``.
    """

    day: str
    status: Literal["complete", "empty", "partial", "stale", "unavailable", "missing"]
    rows: int
    fetched_at: datetime | None


@dataclass(frozen=True)
class Coverage(_Plain, Tabular):
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
        axes = require("matplotlib.pyplot", ".plot()").subplots(figsize=(8, 2.5))[1]
        colours = {
            "complete": "tab:green",
            "empty": "tab:gray",
            "partial": "tab:orange",
            "stale": "tab:olive",
            "unavailable": "tab:brown",
            "missing": "tab:red",
        }
        for status, colour in colours.items():
            days = [day for day in self.days if day.status == status]
            if days:
                # A missing day is visible although it has no rows.
                heights = [max(day.rows, 1) for day in days]
                axes.bar([day.day for day in days], heights, color=colour, label=status)
        axes.set_ylabel("events")
        axes.tick_params(axis="x", rotation=90, labelsize=7)
        axes.legend()
        return axes
