"""An API client of the caller's: what it must have, and how its events become records."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from mixpanel_data.exceptions import TableExistsError
from mixpanel_data.storage import StorageEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mixpanel_data.fetched import FetchResult
    from mixpanel_data.types import TableMetadata

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class APIClient(Protocol):
    """What ``_api_client`` is asked for, as far as it is used."""

    def export_events(
        self,
        from_date: str,
        to_date: str,
        *,
        events: list[str] | None = None,
        where: str | None = None,
        limit: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Events as Mixpanel exports them: ``{"event": …, "properties": {…}}``."""
        ...

    def export_profiles(self, **asked: Any) -> Iterator[dict[str, Any]]:
        """Profiles as Mixpanel exports them: ``{"$distinct_id": …, "$properties": {…}}``."""
        ...


class Credential(Protocol):
    """What ``resolve_credentials`` returns."""

    username: str
    secret: str
    project_id: str
    region: str


class Manager(Protocol):
    """What ``_config_manager`` is asked for."""

    def resolve_credentials(self, account: str | None = None) -> Any:
        """The credentials of an account, or the usual ones."""
        ...


def record_of_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """A record for storage; the event itself is left as it is.

    Example:
        >>> record = record_of_event({"event": "Login", "properties": {"time": 1.5, "distinct_id": "u", "plan": "pro"}})
        >>> record["event_time"].isoformat(), record["distinct_id"], record["insert_id"], record["properties"]
        ('1970-01-01T00:00:01.500000+00:00', 'u', None, {'plan': 'pro'})

    """
    properties = dict(event.get("properties") or {})
    seconds = properties.pop("time", None)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        when: Any = None
    else:
        try:
            when = _EPOCH + timedelta(seconds=seconds)
        except (OverflowError, ValueError):
            when = None
    return {
        "event_name": event.get("event"),
        "event_time": when,
        "distinct_id": properties.pop("distinct_id", ""),
        "insert_id": properties.pop("$insert_id", None),
        "properties": properties,
    }


def record_of_profile(profile: Mapping[str, Any]) -> dict[str, Any]:
    """A record for storage; the profile itself is left as it is.

    Example:
        >>> record_of_profile({"$distinct_id": "u", "$properties": {"$last_seen": "2024-01-01", "plan": "pro"}})
        {'distinct_id': 'u', 'properties': {'plan': 'pro'}, 'last_seen': '2024-01-01'}

    """
    properties = dict(profile.get("$properties") or {})
    last_seen = properties.pop("$last_seen", None)
    return {"distinct_id": profile.get("$distinct_id", ""), "properties": properties, "last_seen": last_seen}


def fetch_injected(
    storage: StorageEngine,
    name: str,
    export: Callable[[], Iterator[dict[str, Any]]],
    described: Callable[[datetime], TableMetadata],
    *,
    append: bool,
    replace: bool,
) -> FetchResult:
    """Stores what an injected client exports, as records: without a ledger of days."""
    from mixpanel_data.fetched import FetchResult

    began, now = monotonic(), datetime.now(timezone.utc)
    metadata = described(now)
    exists = storage.table_exists(name)
    if exists and not append and not replace:
        hint = "append=True or replace=True"
        raise TableExistsError(f'table "{name}" exists already', table_name=name, suggestion=hint)
    records = export()
    if exists and replace:
        # The old rows go when it is proven that the new ones can be stored.
        kept = list(records)
        with StorageEngine.memory() as elsewhere:
            _write(elsewhere, name, iter(kept), metadata, append=False)
        storage.drop_table(name)
        records = iter(kept)
    rows = _write(storage, name, records, metadata, append=exists and not replace)
    total = next(table.row_count or 0 for table in storage.list_tables() if table.name.lower() == name.lower())
    days = (metadata.from_date, metadata.to_date)
    return FetchResult(
        table=name,
        rows=rows,
        type=metadata.type,
        duration_seconds=monotonic() - began,
        date_range=(days[0], days[1]) if days[0] is not None and days[1] is not None else None,
        fetched_at=now,
        lines=rows,
        total_rows=total,
    )


def _write(
    storage: StorageEngine,
    name: str,
    records: Iterator[dict[str, Any]],
    metadata: TableMetadata,
    *,
    append: bool,
) -> int:
    if metadata.type == "events":
        return (storage.append_events_table if append else storage.create_events_table)(name, records, metadata)
    return (storage.append_profiles_table if append else storage.create_profiles_table)(name, records, metadata)
