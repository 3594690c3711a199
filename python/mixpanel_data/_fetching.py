"""Fetching into local tables: events, profiles, and what is missing."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from mixpanel_data import _core
from mixpanel_data._days import day, days
from mixpanel_data._injected import fetch_injected, record_of_event, record_of_profile
from mixpanel_data._later import Later
from mixpanel_data._names import Names, expression, names, warn
from mixpanel_data._options import capped, in_range, no_batches
from mixpanel_data._progress import reporting

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixpanel_data import fetched, planned, types
    from mixpanel_data import progress as progress_
    from mixpanel_data.storage import StorageEngine
else:
    fetched = Later("mixpanel_data.fetched")
    planned = Later("mixpanel_data.planned")
    progress_ = Later("mixpanel_data.progress")
    types = Later("mixpanel_data.types")

__all__ = ["Fetching", "OnReject"]

OnReject = Literal["quarantine", "fail"]
"""Whether what cannot be stored is kept in ``_quarantine``, or undoes the chunk."""


class Fetching:
    """What fills a workspace's tables."""

    _api_client: Any
    _timezone: str
    _clock_mode: str

    @property
    def storage(self) -> StorageEngine:
        """The storage engine underneath."""
        raise NotImplementedError

    def _require_project(self) -> _core.Project:
        raise NotImplementedError

    def fetch_events(
        self,
        name: str = "events",
        *,
        from_date: str | date,
        to_date: str | date,
        events: Names | None = None,
        where: str | None = None,
        limit: int | None = None,
        progress: bool = True,
        append: bool = False,
        replace: bool = False,
        batch_size: int | None = None,
        parallel: bool = True,
        max_workers: int | None = None,
        chunk_days: int | None = None,
        on_batch_complete: Callable[[progress_.BatchProgress], None] | None = None,
        on_reject: OnReject = "quarantine",
        on_progress: Callable[[progress_.FetchProgress], None] | None = None,
    ) -> fetched.FetchResult:
        """Fetches days of events into a table, which is made if it is missing.

        Each chunk of days is stored in one transaction once it has arrived
        provably complete, or not at all. Fetching the same days again replaces
        them, so it is safe to repeat. Ctrl-C ends it; what is complete stays.

        Args:
            name: The table.
            from_date: First project day, inclusive, ``YYYY-MM-DD`` or a date.
            to_date: Last project day, inclusive.
            events: Only these events (exact names); a text is one name.
            where: Only events for which this expression of Mixpanel's is true.
            limit: At most so many events, 1 to 100,000; the days then count as
                partial.
            progress: Show a progress bar, in notebooks and terminals with tqdm.
            append: Add to a table that was fetched with other filters.
            replace: Swap the whole table for the new data, once it is complete.
            batch_size: Without effect, which a warning says; the library chooses its own.
            parallel: False: one request at a time.
            max_workers: How many downloads run in parallel, up to 100; 4 unless
                told otherwise.
            chunk_days: So many days share a request; chosen by their size unless
                told otherwise. With append, replace or limit, one request covers
                all days.
            on_batch_complete: Called for each chunk that has been stored, in this
                thread.
            on_reject: ``"quarantine"`` keeps lines that cannot be stored in the
                table ``_quarantine`` and goes on, ``"fail"`` undoes the chunk.
            on_progress: Called from time to time, in this thread.

        Returns:
            What was fetched.

        Raises:
            ConfigError: No credentials.
            AuthenticationError, RateLimitError, ServerError, APIError: Mixpanel,
                or the way to it.
            FilterMismatchError: The table was fetched with other filters.
            DefinitionMismatchError: The table is a copy of another project, or was filled under
                another clock.
            InvalidArgumentError: Dates or options that make no sense.

        """
        first, last = day("from_date", from_date), day("to_date", to_date)
        chosen, where = names("events", events), expression("where", where)
        no_batches(batch_size, 100)
        in_range("limit", limit, 1, 100_000)
        max_workers = capped("max_workers", max_workers, 100)
        in_range("chunk_days", chunk_days, 1, 100)
        if self._api_client is not None:
            exported = self._api_client.export_events
            asked = {"from_date": first, "to_date": last, "events": chosen, "where": where, "limit": limit}
            return fetch_injected(
                self.storage,
                name,
                lambda: map(record_of_event, exported(**asked)),
                lambda now: types.TableMetadata("events", now, first, last, chosen, where),
                append=append,
                replace=replace,
            )
        span = (date.fromisoformat(last) - date.fromisoformat(first)).days + 1
        with reporting(progress_.FetchProgress, span, progress, on_progress, on_batch_complete) as told:
            raw = _core.fetch_events(
                self.storage._opened(),
                self._require_project(),
                name,
                first,
                last,
                events=chosen or [],
                where_=where,
                limit=limit,
                append=append,
                replace=replace,
                on_reject=on_reject,
                concurrency=max_workers if parallel else 1,
                days_per_request=chunk_days,
                progress=told,
            )
        result = fetched.FetchResult._read(raw, "events")
        warn(result)
        return result

    def fetch_profiles(
        self,
        name: str = "profiles",
        *,
        where: str | None = None,
        cohort_id: str | int | None = None,
        output_properties: Names | None = None,
        progress: bool = True,
        append: bool = False,
        replace: bool = False,
        batch_size: int | None = None,
        distinct_id: str | None = None,
        distinct_ids: Names | None = None,
        group_id: str | int | None = None,
        behaviors: list[dict[str, Any]] | None = None,
        as_of_timestamp: int | None = None,
        include_all_users: bool = False,
        parallel: bool = True,
        max_workers: int | None = None,
        on_page_complete: Callable[[progress_.ProfileProgress], None] | None = None,
        on_reject: OnReject = "quarantine",
        on_progress: Callable[[progress_.ProfileProgress], None] | None = None,
    ) -> fetched.ProfilesResult:
        """Fetches profiles of users, or of groups, into a table, which is made if it is missing.

        All of them are stored in one transaction, or nothing is changed. A fetch of *all* profiles
        is a snapshot: it replaces the table, and profiles that exist no longer go to
        ``_vanished_profiles``. A fetch of *some*, by any of the filters, replaces the profiles that
        it finds and leaves the others.

        Args:
            name: The table. It holds profiles of one kind, always with the same properties.
            where: Only profiles for which this expression of Mixpanel's is true.
            cohort_id: Only members of this cohort. Excludes ``behaviors``.
            output_properties: Only these properties of each profile.
            progress: Show a progress bar, in notebooks and terminals with tqdm.
            append: Keep profiles that are in the table but not in a fetch of all.
            replace: Swap the whole table for what was fetched, whatever that is.
            batch_size: Without effect, which a warning says; the library chooses its own.
            distinct_id: Only this profile.
            distinct_ids: Only these profiles, however many.
            group_id: Groups of this kind, rather than users.
            behaviors: What users did, to be named in ``where``.
            as_of_timestamp: When windows of behaviors end, in seconds since 1970; now unless told
                otherwise.
            include_all_users: With a cohort: also members that have no profile.
            parallel: False: one page at a time.
            max_workers: How many pages are fetched in parallel, up to 5; 5 unless told otherwise.
            on_page_complete: Called for each page, in this thread; the same as ``on_progress``.
            on_reject: As in :meth:`fetch_events`.
            on_progress: Called for each page, in this thread.

        Raises:
            As :meth:`fetch_events`; ``FilterMismatchError`` for a table of other groups, or with
            other properties.

        """
        no_batches(batch_size, 100)
        max_workers = capped("max_workers", max_workers, 5)
        request = profiles_request(
            where=where,
            cohort_id=cohort_id,
            output_properties=output_properties,
            distinct_id=distinct_id,
            distinct_ids=distinct_ids,
            group_id=group_id,
            behaviors=behaviors,
            as_of_timestamp=as_of_timestamp,
            include_all_users=include_all_users,
        )
        if self._api_client is not None:
            exported = self._api_client.export_profiles
            stored = fetch_injected(
                self.storage,
                name,
                lambda: map(record_of_profile, exported(**request)),
                lambda now: types.TableMetadata("profiles", now),
                append=append,
                replace=replace,
            )
            return fetched.ProfilesResult._of(stored)
        heard = [callback for callback in (on_progress, on_page_complete) if callback is not None]

        def all_of_them(state: progress_.ProfileProgress) -> None:
            for callback in heard:
                callback(state)

        with reporting(progress_.ProfileProgress, None, progress, all_of_them if heard else None) as told:
            raw = _core.fetch_profiles(
                self.storage._opened(),
                self._require_project(),
                name,
                request,
                append=append,
                replace=replace,
                on_reject=on_reject,
                concurrency=max_workers if parallel else 1,
                progress=told,
            )
        return fetched.ProfilesResult._read(raw)

    def sync(
        self,
        table: str = "events",
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        events: Names | None = None,
        where: str | None = None,
        window_days: int | None = None,
        max_age_seconds: float | None = None,
        max_workers: int | None = None,
        refetch_loaded: bool = False,
        on_reject: OnReject = "quarantine",
        progress: bool = True,
        on_progress: Callable[[progress_.FetchProgress], None] | None = None,
    ) -> fetched.SyncResult:
        """Brings a table up to date: fetches the days that are missing, partial or stale, and no others.

        Args:
            table: The table; made if it is missing, and then ``from_date`` is needed.
            from_date: First project day; the table's own unless told otherwise.
            to_date: Last project day; today unless told otherwise.
            events: Events of a new table; one that exists keeps its own.
            where: Filter of a new table; one that exists keeps its own.
            window_days: Days after its end until which a day is fetched again; 5.
            max_age_seconds: Days within the window are fetched again when their
                copy is older; 3600.
            max_workers: How many downloads run at a time.
            refetch_loaded: Fetch days that were loaded from files, too: Mixpanel's rows take the
                place of the files'.
            on_reject: As in :meth:`fetch_events`.
            progress: As in :meth:`fetch_events`.
            on_progress: As in :meth:`fetch_events`.

        Raises:
            As :meth:`fetch_events`, when nothing could be fetched. If some ranges
            failed and others are stored, the result says so.

        """
        options = self._sync_options(table, from_date, to_date, window_days, max_age_seconds)
        options |= {"events": names("events", events), "where": expression("where", where)}
        workers = capped("max_workers", max_workers, 100)
        options |= {"on_reject": on_reject, "concurrency": workers, "refetch_loaded": refetch_loaded}
        with reporting(progress_.FetchProgress, None, progress, on_progress) as told:
            raw = _core.sync(self.storage._opened(), self._require_project(), options, told)
        result = fetched.SyncResult._read(raw)
        warn(result)
        return result

    def plan(
        self,
        table: str = "events",
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        window_days: int | None = None,
        max_age_seconds: float | None = None,
    ) -> planned.SyncPlan:
        """What :meth:`sync` would fetch. Nothing is sent."""
        options = self._sync_options(table, from_date, to_date, window_days, max_age_seconds)
        return planned.SyncPlan._read(_core.plan(self.storage._opened(), self._timezone, self._clock_mode, options))

    def coverage(
        self,
        table: str = "events",
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        window_days: int | None = None,
        max_age_seconds: float | None = None,
    ) -> planned.Coverage:
        """What is here of a table, day by day.

        Raises:
            TableNotFoundError: There is no such table.

        """
        options = self._sync_options(table, from_date, to_date, window_days, max_age_seconds)
        return planned.Coverage._read(_core.coverage(self.storage._opened(), self._timezone, self._clock_mode, options))

    def _sync_options(
        self,
        table: str,
        from_date: str | date | None,
        to_date: str | date | None,
        window_days: int | None,
        max_age_seconds: float | None,
    ) -> dict[str, Any]:
        return {
            "table": table,
            **days(from_date, to_date),
            "window_days": window_days,
            "max_age_seconds": max_age_seconds,
        }


def profiles_request(**asked: Any) -> dict[str, Any]:
    """A request for profiles: what was given, with ids as texts."""
    asked["where"] = expression("where", asked["where"])
    asked["output_properties"] = names("output_properties", asked["output_properties"])
    # No ids at all are an answer, too: nobody.
    if asked["distinct_ids"] is not None and list(asked["distinct_ids"]):
        asked["distinct_ids"] = names("distinct_ids", asked["distinct_ids"])
    for name in ("cohort_id", "group_id"):
        if asked[name] is not None:
            asked[name] = str(asked[name])
    return {name: value for name, value in asked.items() if value is not None}
