"""The small types that describe tables, workspaces and results.

All are immutable. ``to_dict()`` gives plain values for JSON: times are ISO 8601
text, days are ``YYYY-MM-DD``. Results that are tables have ``.df`` (pandas),
``.arrow()`` (pyarrow) and ``.pl()`` (Polars); none of these packages is needed
before one of them is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mixpanel_data._plain import Plain, plain
from mixpanel_data._tabular import Tabular, html_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixpanel_data._names import UnknownName
    from mixpanel_data.discovery import (
        Annotation,
        AnnotationTag,
        AnnotationUser,
        BookmarkInfo,
        BookmarkType,
        CountType,
        EntityType,
        FunnelInfo,
        LexiconDefinition,
        LexiconMetadata,
        LexiconProperty,
        LexiconSchema,
        Listing,
        Me,
        Organization,
        ProjectInfo,
        SavedCohort,
        TopEvent,
    )
    from mixpanel_data.fetched import (
        ChunkReport,
        FailedRange,
        FetchResult,
        FileReport,
        LoadResult,
        ParallelFetchResult,
        ParallelProfileResult,
        ProfilesResult,
        SyncResult,
    )
    from mixpanel_data.live import (
        ActivityFeedResult,
        CohortInfo,
        EngageStatsResult,
        EventCountsResult,
        FlowsResult,
        FrequencyResult,
        FunnelResult,
        FunnelStep,
        HourDayUnit,
        NumericAverageResult,
        NumericBucketResult,
        NumericSumResult,
        PropertyCountsResult,
        RetentionResult,
        SavedReportResult,
        SavedReportType,
        SegmentationResult,
        TimeUnit,
        UserEvent,
    )
    from mixpanel_data.local import (
        ColumnStatsResult,
        ColumnSummary,
        DailyCount,
        DailyCountsResult,
        EngagementBucket,
        EngagementDistributionResult,
        EventBreakdownResult,
        EventStats,
        NumericPropertySummaryResult,
        PropertyCoverage,
        PropertyCoverageResult,
        PropertyDistributionResult,
        PropertyValueCount,
        SummaryResult,
    )
    from mixpanel_data.planned import (
        Coverage,
        DayCoverage,
        PlannedRequest,
        SyncPlan,
    )
    from mixpanel_data.progress import (
        BatchProgress,
        FetchProgress,
        LoadProgress,
        ProfileProgress,
    )
    from mixpanel_data.reports import (
        EventSelector,
        Exclusion,
        Filter,
        GroupBy,
        Math,
        Metric,
        PropertyRef,
        WindowUnit,
    )

__all__ = [
    "ActivityFeedResult",
    "Annotation",
    "AnnotationTag",
    "AnnotationUser",
    "BatchProgress",
    "BookmarkInfo",
    "BookmarkType",
    "ChunkReport",
    "CohortInfo",
    "ColumnInfo",
    "ColumnStatsResult",
    "ColumnSummary",
    "CountType",
    "Coverage",
    "DailyCount",
    "DailyCountsResult",
    "DayCoverage",
    "EngageStatsResult",
    "EngagementBucket",
    "EngagementDistributionResult",
    "EntityType",
    "EventBreakdownResult",
    "EventCountsResult",
    "EventSelector",
    "EventStats",
    "Exclusion",
    "FailedRange",
    "FetchProgress",
    "FetchResult",
    "FileReport",
    "Filter",
    "FlowsResult",
    "FrequencyResult",
    "FunnelInfo",
    "FunnelResult",
    "FunnelStep",
    "GroupBy",
    "HourDayUnit",
    "LexiconDefinition",
    "LexiconMetadata",
    "LexiconProperty",
    "LexiconSchema",
    "ListedType",
    "Listing",
    "LoadProgress",
    "LoadResult",
    "Math",
    "Me",
    "Metric",
    "NumericAverageResult",
    "NumericBucketResult",
    "NumericPropertySummaryResult",
    "NumericSumResult",
    "Organization",
    "ParallelFetchResult",
    "ParallelProfileResult",
    "PlannedRequest",
    "ProfileProgress",
    "ProfilesResult",
    "ProjectInfo",
    "PropertyCountsResult",
    "PropertyCoverage",
    "PropertyCoverageResult",
    "PropertyDistributionResult",
    "PropertyRef",
    "PropertyValueCount",
    "RetentionResult",
    "SQLResult",
    "SavedCohort",
    "SavedReportResult",
    "SavedReportType",
    "SegmentationResult",
    "SummaryResult",
    "SyncPlan",
    "SyncResult",
    "TableInfo",
    "TableMetadata",
    "TableSchema",
    "TableType",
    "TimeUnit",
    "TopEvent",
    "UnknownName",
    "UserEvent",
    "WindowUnit",
    "WorkspaceInfo",
]


TableType = Literal["events", "profiles"]
"""What the rows of a table are."""

ListedType = Literal["events", "profiles", "table", "view"]
"""What a table in the list of all tables is."""

_ELSEWHERE = ("discovery", "fetched", "live", "local", "planned", "progress", "reports")
"""Where the other types are; they are imported when they are used first."""


def __getattr__(name: str) -> Any:
    """A type that is defined elsewhere."""
    if name in __all__:
        for module in _ELSEWHERE:
            found = getattr(import_module(f"mixpanel_data.{module}"), name, None)
            if found is not None:
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@dataclass(frozen=True)
class TableMetadata(Plain):
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
class TableInfo(Plain):
    """One line of the list of tables.

    Attributes:
        name: The table's name.
        type: ``"events"`` or ``"profiles"``; ``"table"`` or ``"view"`` of what SQL has made.
        row_count: The rows stored; None for a view, because counting them would run its query.
        fetched_at: When rows were last written; None for what was not fetched.

    """

    name: str
    type: ListedType
    row_count: int | None
    fetched_at: datetime | None


@dataclass(frozen=True)
class ColumnInfo(Plain):
    """One column; ``type`` is DuckDB's name, such as ``VARCHAR`` or ``TIMESTAMP``.

    ``primary_key`` is always False: identity is kept without an index.
    """

    name: str
    type: str
    nullable: bool
    primary_key: bool = False


@dataclass(frozen=True)
class TableSchema(Plain, Tabular):
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
class WorkspaceInfo(Plain):
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
class SQLResult(Plain, Tabular):
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
