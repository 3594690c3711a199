"""Events and profiles as they come, without storing them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mixpanel_data import _core
from mixpanel_data._days import day
from mixpanel_data._fetching import profiles_request
from mixpanel_data._injected import record_of_event, record_of_profile
from mixpanel_data._names import Names, expression, names, say
from mixpanel_data._plain import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

__all__ = ["Streams"]


class Streams:
    """What a workspace hands on without storing it: no table is touched, and no database is opened.

    Rows come out once their chunk is known to be complete: some days of events, or all profiles that
    were asked for. A download that breaks off is begun again, and no row of it comes twice. Until
    then they wait in memory, and what is more than 64 MB (compressed) in a private file without a
    name; of a workspace in memory, in memory only. Errors, as those of ``fetch_events``, come while
    rows are read; arguments are checked at once.
    """

    _api_client: Any

    def _require_project(self) -> _core.Project:
        raise NotImplementedError

    def _in_memory(self) -> bool:
        raise NotImplementedError

    def stream_events(
        self,
        *,
        from_date: str | date,
        to_date: str | date,
        events: Names | None = None,
        where: str | None = None,
        limit: int | None = None,
        raw: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """Events, in the order of their days.

        Args:
            from_date: First project day, inclusive.
            to_date: Last project day, inclusive.
            events: Only these events (exact names); a text is one name.
            where: Only events for which this expression of Mixpanel's is true.
            limit: At most so many events, 1 to 100,000.
            raw: Events as Mixpanel sends them (``event``, ``properties``), rather than as rows of a
                table (``event_name``, ``event_time``, ``distinct_id``, ``insert_id``, ``properties``).

        """
        first, last = day("from_date", from_date), day("to_date", to_date)
        chosen, where = names("events", events), expression("where", where)
        if self._api_client is not None:
            asked = {"from_date": first, "to_date": last, "events": chosen, "where": where, "limit": limit}
            exported: Iterator[dict[str, Any]] = iter(self._api_client.export_events(**asked))
            return exported if raw else map(record_of_event, exported)
        stream = _core.stream_events(
            self._require_project(),
            first,
            last,
            events=chosen or [],
            where_=where,
            limit=limit,
            raw=raw,
            in_memory=self._in_memory(),
        )
        return _rows(stream, None if raw else "event_time")

    def stream_profiles(
        self,
        *,
        where: str | None = None,
        cohort_id: str | int | None = None,
        output_properties: Names | None = None,
        raw: bool = False,
        distinct_id: str | None = None,
        distinct_ids: Names | None = None,
        group_id: str | int | None = None,
        behaviors: list[dict[str, Any]] | None = None,
        as_of_timestamp: int | None = None,
        include_all_users: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """Profiles of users or groups; the arguments are those of ``fetch_profiles``.

        With ``raw``, they are as Mixpanel sends them (``$distinct_id``, ``$properties``), rather than
        as rows of a table (``distinct_id``, ``properties``, ``last_seen``).
        """
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
            exported: Iterator[dict[str, Any]] = iter(self._api_client.export_profiles(**request))
            return exported if raw else map(record_of_profile, exported)
        stream = _core.stream_profiles(self._require_project(), request, raw=raw, in_memory=self._in_memory())
        return _rows(stream, None if raw else "last_seen")


def _rows(stream: _core.Stream, instant: str | None) -> Iterator[dict[str, Any]]:
    """The rows of a stream; ``instant`` is the field that is a time."""
    while (block := stream.block()) is not None:
        for text in block:
            row: dict[str, Any] = json.loads(text)
            if instant is not None and row[instant] is not None:
                row[instant] = parse_time(row[instant])
            yield row
    for text in stream.unknown_names():
        say(text)
