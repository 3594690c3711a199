"""How far a fetch, a load or a sync is."""

from __future__ import annotations

from dataclasses import dataclass

from mixpanel_data._plain import Plain

__all__ = [
    "BatchProgress",
    "FetchProgress",
    "LoadProgress",
    "ProfileProgress",
]


@dataclass(frozen=True)
class FetchProgress(Plain):
    """How a fetch is going.

    Attributes:
        rows: Rows written so far, duplicates included.
        bytes_received: Bytes over the wire so far, compressed.
        bytes_decoded: Bytes of JSON so far.
        day: The project day of the latest row.
        days_done: Days that are in the database, for good.
        elapsed_seconds: Time since the fetch began.
        attempt: Which attempt this is, from 1.
        rows_stored: Rows of those days: what stays whatever happens to the rest.
        rows_expected: Rows that there will be, as far as the days that are known tell.
        remaining_seconds: How long the rest takes at the rate of the last half minute.

    """

    rows: int
    bytes_received: int
    bytes_decoded: int
    day: str | None
    days_done: int
    elapsed_seconds: float
    attempt: int
    rows_stored: int = 0
    rows_expected: int | None = None
    remaining_seconds: float | None = None


@dataclass(frozen=True)
class ProfileProgress(Plain):
    """How a fetch of profiles is going.

    Attributes:
        results: Results that have come so far.
        total: Results that there are, as far as Mixpanel said.
        pages: Pages so far.
        bytes_decoded: Bytes of JSON so far.
        elapsed_seconds: Time since the fetch began.
        attempt: Which attempt this is, from 1: a session that expired begins again.
        rows: Results of the page that has just come.
        total_pages: Pages that there will be, as far as is known.

    """

    results: int
    total: int | None
    pages: int
    bytes_decoded: int
    elapsed_seconds: float
    attempt: int
    rows: int = 0
    total_pages: int = 0

    @property
    def page_index(self) -> int:
        """The number of the page, from 0."""
        return max(self.pages - 1, 0)

    @property
    def cumulative_rows(self) -> int:
        """The same as ``results``."""
        return self.results

    @property
    def success(self) -> bool:
        """Always True: a page that fails is an error of the fetch."""
        return True

    @property
    def error(self) -> None:
        """Always None."""


@dataclass(frozen=True)
class BatchProgress(Plain):
    """A chunk of days that has been stored. Days are inclusive.

    ``success`` is always True where the library tells of one: a chunk that fails is an error of the
    fetch. ``total_batches`` is as many as are planned by now; what is learnt on the way changes it.
    """

    from_date: str
    to_date: str
    batch_index: int
    total_batches: int
    rows: int
    success: bool = True
    error: str | None = None


@dataclass(frozen=True)
class LoadProgress(Plain):
    """How a load is going.

    Attributes:
        file: The file that is being read.
        files: How many files there are.
        files_done: Files that are in the database, for good.
        rows: Rows so far, duplicates included.
        rows_stored: Rows of the files that are in.
        bytes_read: Bytes read so far, compressed if they are.
        bytes_total: Bytes of all files.
        elapsed_seconds: Time since the load began.

    """

    file: str
    files: int
    files_done: int
    rows: int
    rows_stored: int
    bytes_read: int
    bytes_total: int | None
    elapsed_seconds: float
