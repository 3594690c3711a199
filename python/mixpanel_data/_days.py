"""Days as callers write them."""

from __future__ import annotations

from datetime import date

from mixpanel_data.exceptions import InvalidArgumentError


def day(name: str, value: str | date) -> str:
    """A day as ``YYYY-MM-DD``.

    Raises:
        InvalidArgumentError: It is no day.

    """
    text = value.isoformat()[:10] if isinstance(value, date) else value
    try:
        if len(text) == 10:
            return date.fromisoformat(text).isoformat()
    except (TypeError, ValueError):
        pass
    raise InvalidArgumentError(f"{name} is {value!r}, and must be a day as YYYY-MM-DD", argument=name)


def days(from_date: str | date | None, to_date: str | date | None) -> dict[str, str | None]:
    """The first and the last day, as far as they are given."""
    return {
        "from_date": None if from_date is None else day("from_date", from_date),
        "to_date": None if to_date is None else day("to_date", to_date),
    }
