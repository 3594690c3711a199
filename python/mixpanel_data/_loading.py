"""Loading events from files into local tables."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from mixpanel_data import _core
from mixpanel_data._later import Later
from mixpanel_data._progress import reporting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mixpanel_data import fetched
    from mixpanel_data import progress as progress_
    from mixpanel_data._fetching import OnReject
    from mixpanel_data.storage import StorageEngine
else:
    fetched = Later("mixpanel_data.fetched")
    progress_ = Later("mixpanel_data.progress")

__all__ = ["Loading"]


class Loading:
    """What loads files into a workspace's tables."""

    _timezone: str
    _clock_mode: str

    @property
    def storage(self) -> StorageEngine:
        """The storage engine underneath."""
        raise NotImplementedError

    def load_events(
        self,
        files: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        name: str = "events",
        *,
        format: Literal["export", "records", "csv"] | None = None,
        event_column: str | None = None,
        event_name: str | None = None,
        time_column: str | None = None,
        time_unit: Literal["s", "ms", "us", "ns"] | None = None,
        times_in: str | None = None,
        distinct_id_column: str | None = None,
        insert_id_column: str | None = None,
        delimiter: str | None = None,
        all_text: bool = False,
        on_reject: OnReject = "quarantine",
        progress: bool = True,
        on_progress: Callable[[progress_.LoadProgress], None] | None = None,
    ) -> fetched.LoadResult:
        """Loads events from files into a table, which is made if it is missing. No credentials are needed.

        Each file is stored in one transaction, completely or not at all, beside what is there: events
        that are there are not stored twice, so a file may be loaded again. Its days count as
        ``loaded``: whether they are complete, nobody knows. ``sync`` leaves them as they are; a fetch
        of them puts Mixpanel's rows in the place of the file's.

        Args:
            files: Files or folders: raw exports, one event on a line or all in an array; events with
                their fields beside the properties, as Mixpanel's JSON pipelines write them; CSV. Each
                may be compressed by gzip.
            name: The table.
            format: What the files are; told by their first bytes unless given.
            event_column: Of CSV: the column with the event's name; ``event`` or ``event_name``.
            event_name: Of CSV: the name of all events, where no column has it.
            time_column: Of CSV: the column with the time; ``time``, ``event_time`` or ``timestamp``.
            time_unit: What its numbers count, since 1970; told by their size unless given.
            times_in: The zone of times that are written without one, such as ``Europe/Berlin``.
            distinct_id_column: Of CSV: the column with the user; ``distinct_id``.
            insert_id_column: Of CSV: the column with what tells events apart; ``insert_id``.
            delimiter: Of CSV: what separates fields; one of ``,`` ``;`` ``|`` and the tab.
            all_text: Of CSV: take every field as text, also what is written like a number.
            on_reject: As in :meth:`fetch_events`.
            progress: As in :meth:`fetch_events`.
            on_progress: Called from time to time, in this thread.

        Raises:
            NotLoadableError: A file is none of these, or is cut or damaged; the line is named.
            DefinitionMismatchError: The table was filled under another clock.
            FileNotFoundError: There is no such file.

        """
        given = [files] if isinstance(files, (str, os.PathLike)) else files
        paths = [os.fspath(file) for file in given]
        local = self._clock_mode == "local"
        options = {
            "format": format,
            "event_column": event_column,
            "event_name": event_name,
            "time_column": time_column,
            "time_unit": time_unit,
            "times_in": times_in,
            "distinct_id_column": distinct_id_column,
            "insert_id_column": insert_id_column,
            "delimiter": delimiter,
            "all_text": all_text,
            "on_reject": on_reject,
            # Unless it is told, the table's own clock counts.
            "timezone": self._timezone if local else None,
            "clock_mode": self._clock_mode if local else None,
        }
        with reporting(progress_.LoadProgress, None, progress, on_progress) as told:
            raw = _core.load_events(self.storage._opened(), name, paths, options, told)
        return fetched.LoadResult._read(raw)
