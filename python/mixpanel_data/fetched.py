"""What fetches, loads and syncs did."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from mixpanel_data._names import UnknownName
from mixpanel_data._picture import axes
from mixpanel_data._plain import Plain, parse_time
from mixpanel_data._tabular import Tabular, html_table
from mixpanel_data.types import TableType

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ChunkReport",
    "FailedRange",
    "FetchResult",
    "FileReport",
    "LoadResult",
    "ParallelFetchResult",
    "ParallelProfileResult",
    "ProfilesResult",
    "SyncResult",
]


@dataclass(frozen=True)
class FileReport(Plain):
    """What became of a file. ``lines`` is always ``rows + duplicates + rejects``.

    Attributes:
        file: The file.
        recognised: What it was taken for, in words.
        lines: Lines, elements or records that it has.
        rows: Rows that were added.
        duplicates: Events that were there already, or came more than once.
        rejects: Lines that could not be stored; kept in ``_quarantine``.
        rows_in_fetched_days: Rows added to days that were complete by a fetch.
        from_date: First day of its events.
        to_date: Last day of its events.
        days: Days with events.
        bytes_read: Bytes read, compressed if they are.
        bytes_decoded: Bytes of text.
        duration_seconds: Wall-clock time.

    """

    file: str
    recognised: str
    lines: int
    rows: int
    duplicates: int
    rejects: int
    rows_in_fetched_days: int
    from_date: str | None
    to_date: str | None
    days: int
    bytes_read: int
    bytes_decoded: int
    duration_seconds: float

    @classmethod
    def _read(cls, raw: Mapping[str, Any]) -> FileReport:
        taken = dict(raw)
        return cls(duration_seconds=taken.pop("duration"), **taken)


@dataclass(frozen=True)
class LoadResult(Plain, Tabular):
    """What a load did, file by file in ``.df``.

    Attributes:
        table: The table that was written.
        rows: Rows that were added.
        lines: Lines, elements or records of all files: ``rows + duplicates + rejects``.
        duplicates: Events that were there already, or came more than once.
        rejects: Lines that could not be stored; kept in ``_quarantine``.
        rows_in_fetched_days: Rows added to days that were complete by a fetch: what Mixpanel's export
            of those days did not have.
        total_rows: Rows in the table afterwards.
        date_range: First and last day of the files' events; None if there are none.
        bytes_read: Bytes read, compressed if they are.
        duration_seconds: Wall-clock time.
        loaded_at: When the load began.
        database: The database file; None in memory.
        files: File by file.

    """

    table: str
    rows: int
    lines: int
    duplicates: int
    rejects: int
    rows_in_fetched_days: int
    total_rows: int
    date_range: tuple[str, str] | None
    bytes_read: int
    duration_seconds: float
    loaded_at: datetime
    database: str | None = None
    files: list[FileReport] = field(default_factory=list, repr=False)

    @classmethod
    def _read(cls, raw: Mapping[str, Any]) -> LoadResult:
        taken = dict(raw)
        days = (taken.pop("from_date"), taken.pop("to_date"))
        return cls(
            date_range=days if None not in days else None,
            duration_seconds=taken.pop("duration"),
            loaded_at=parse_time(taken.pop("loaded_at")),
            files=[FileReport._read(file) for file in taken.pop("files")],
            **taken,
        )

    def _columns(self) -> dict[str, list[Any]]:
        names = [item.name for item in fields(FileReport)]
        return {name: [getattr(file, name) for file in self.files] for name in names}


@dataclass(frozen=True)
class ChunkReport(Plain):
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
    #: Rows of these days that had been loaded from files, and have gone for Mixpanel's.
    loaded_replaced: int = 0

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
        return {"day": list(days), "rows": list(days.values())}

    def plot(self) -> Any:
        """Events a day, as a matplotlib Axes."""
        days = self._days()
        drawn = axes(2.5)
        drawn.bar(list(days), list(days.values()))
        drawn.set_ylabel("events")
        drawn.tick_params(axis="x", rotation=90, labelsize=7)
        return drawn


@dataclass(frozen=True)
class FetchResult(Plain, _ByDay):
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
        requests: Downloads begun; one that broke off and was begun again counts twice.
        database: The database file; None in memory.
        unknown_names: Events asked for by name that nothing has come of, and that Mixpanel does not list.

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
    database: str | None = None
    unknown_names: list[UnknownName] = field(default_factory=list)
    chunks: list[ChunkReport] = field(default_factory=list, repr=False)

    @property
    def successful_batches(self) -> int:
        """Chunks that were stored."""
        return len(self.chunks)

    @property
    def failed_batches(self) -> int:
        """Always 0: a chunk that fails is an error of the fetch, and what was stored stays."""
        return 0

    @property
    def failed_date_ranges(self) -> tuple[tuple[str, str], ...]:
        """Always empty, see ``failed_batches``; :meth:`Workspace.sync` has ``failed``."""
        return ()

    @property
    def has_failures(self) -> bool:
        """Always False, see ``failed_batches``."""
        return False

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
            unknown_names=[UnknownName(**name) for name in raw.get("unknown_names", [])],
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
class ProfilesResult(Plain):
    """What a fetch of profiles did. ``results`` is always ``rows + duplicates + rejects``.

    Attributes:
        table: The table that was written.
        rows: Profiles that were stored.
        type: ``"profiles"``.
        duration_seconds: Wall-clock time.
        date_range: None: profiles have no days.
        fetched_at: When the fetch began.
        snapshot: Whether all profiles were asked for, so that others have vanished.
        results: Results that Mixpanel sent.
        updated: Rows that were in the table before.
        duplicates: Results dropped because the same id came more than once.
        rejects: Results that could not be stored; kept in ``_quarantine``.
        vanished: Profiles that exist no longer; kept in ``_vanished_profiles``.
        total_rows: Rows in the table afterwards.
        pages: Pages that were fetched.
        requests: Downloads begun; one that broke off and was begun again counts twice.

    """

    table: str
    rows: int
    type: TableType
    duration_seconds: float
    date_range: None
    fetched_at: datetime
    snapshot: bool = False
    results: int = 0
    updated: int = 0
    duplicates: int = 0
    rejects: int = 0
    vanished: int = 0
    total_rows: int = 0
    pages: int = 0
    requests: int = 0
    bytes_decoded: int = 0
    database: str | None = None

    @property
    def successful_pages(self) -> int:
        """Pages that came."""
        return self.pages

    @property
    def failed_pages(self) -> int:
        """Always 0: a page that fails is an error of the fetch, and nothing is changed."""
        return 0

    @property
    def failed_page_indices(self) -> tuple[int, ...]:
        """Always empty, see ``failed_pages``."""
        return ()

    @property
    def has_failures(self) -> bool:
        """Always False, see ``failed_pages``."""
        return False

    @classmethod
    def _read(cls, raw: Mapping[str, Any]) -> ProfilesResult:
        taken = dict(raw)
        duration, fetched_at = taken.pop("duration"), parse_time(taken.pop("fetched_at"))
        return cls(type="profiles", duration_seconds=duration, date_range=None, fetched_at=fetched_at, **taken)

    @classmethod
    def _of(cls, fetched: FetchResult) -> ProfilesResult:
        return cls(
            table=fetched.table,
            rows=fetched.rows,
            type="profiles",
            duration_seconds=fetched.duration_seconds,
            date_range=None,
            fetched_at=fetched.fetched_at,
            results=fetched.rows,
            total_rows=fetched.total_rows,
        )

    def _repr_html_(self) -> str:
        """What was fetched, for notebooks."""
        shown = {
            "table": self.table,
            "rows": self.rows,
            "updated": self.updated,
            "vanished": self.vanished,
            "duplicates": self.duplicates,
            "rejects": self.rejects,
            "rows in the table": self.total_rows,
            "requests": self.requests,
            "seconds": f"{self.duration_seconds:.1f}",
        }
        return html_table({"": list(shown), "fetch": list(shown.values())})


#: Names that the Python original has for the results of ``parallel=True``, which are no others here.
ParallelFetchResult = FetchResult
ParallelProfileResult = ProfilesResult


@dataclass(frozen=True)
class FailedRange(Plain):
    """Days that could not be fetched, and why. Days are inclusive."""

    from_date: str
    to_date: str
    error: str


@dataclass(frozen=True)
class SyncResult(Plain, _ByDay):
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
    #: Days that were loaded from files, and left as they are.
    days_loaded: int = 0
    database: str | None = None
    unknown_names: list[UnknownName] = field(default_factory=list)
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
            days_loaded=raw["days_loaded"],
            database=raw.get("database"),
            unknown_names=[UnknownName(**name) for name in raw.get("unknown_names", [])],
            chunks=[ChunkReport._read(chunk) for chunk in raw["chunks"]],
        )
