"""A progress bar for fetches, if tqdm is there and somebody looks."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mixpanel_data.progress import BatchProgress, FetchProgress, LoadProgress, ProfileProgress

P = TypeVar("P", "FetchProgress", "ProfileProgress", "LoadProgress")


@contextmanager
def reporting(
    kind: type[P],
    days: int | None,
    shown: bool,
    callback: Callable[[P], None] | None,
    stored: Callable[[BatchProgress], None] | None = None,
) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """What the library calls with the state of a fetch; None if nobody wants to know.

    ``callback`` is told of every state, ``stored`` of each chunk that is in.
    """
    from mixpanel_data.progress import BatchProgress, FetchProgress, LoadProgress, ProfileProgress

    units: dict[Any, str] = {FetchProgress: "day", LoadProgress: "B"}
    bar = _bar(days, units.get(kind, "profile")) if shown else None
    if bar is None and callback is None and stored is None:
        yield None
        return
    pages = _Pages() if kind is ProfileProgress else None

    def told(state: dict[str, Any]) -> None:
        chunk = state.pop("stored", None)
        if pages is not None:
            state |= pages.told(state)
        progress = kind(**state)
        if chunk is not None and stored is not None:
            stored(BatchProgress(**chunk))
        if bar is not None:
            if isinstance(progress, FetchProgress):
                _show(bar, progress)
            elif isinstance(progress, LoadProgress):
                bar.n, bar.total, bar.unit_scale = progress.bytes_read, progress.bytes_total, True
                bar.set_postfix_str(f"{progress.rows:,} rows", refresh=False)
            else:
                bar.n, bar.total = progress.results, progress.total
            bar.refresh()
        if callback is not None:
            callback(progress)

    try:
        yield told
    finally:
        if bar is not None:
            bar.close()


class _Pages:
    """How many rows each page has, and so how many pages there will be."""

    def __init__(self) -> None:
        self._results = self._largest = 0

    def told(self, state: dict[str, Any]) -> dict[str, int]:
        """What a state says of its page."""
        # A session that expired begins again.
        before = self._results if state["results"] >= self._results else 0
        self._results = state["results"]
        rows = self._results - before
        self._largest = max(self._largest, rows)
        total, pages = state["total"] or 0, state["pages"]
        of = -(-total // self._largest) if self._largest else pages
        return {"rows": rows, "total_pages": max(of, pages)}


def _show(bar: Any, progress: FetchProgress) -> None:
    """By rows where their number can be told: days are of any size."""
    if progress.rows_expected is None:
        bar.n = progress.days_done
        bar.set_postfix_str(f"{progress.rows:,} rows", refresh=False)
        return
    bar.unit, bar.unit_scale = "row", True
    bar.n, bar.total = progress.rows, max(progress.rows_expected, progress.rows)
    left = progress.remaining_seconds
    days = f"{progress.days_done} {'day' if progress.days_done == 1 else 'days'} stored"
    bar.set_postfix_str(days if left is None else f"{days}, {bar.format_interval(left)} left", refresh=False)


def _bar(total: int | None, unit: str) -> Any:
    if not (_in_notebook() or sys.stderr.isatty()):
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm(total=total, desc="fetching", unit=unit, leave=False)


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    return shell is not None and getattr(shell.get_ipython(), "kernel", None) is not None
