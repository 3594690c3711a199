"""An API client of the caller's: what it must have, and how its events become records."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
