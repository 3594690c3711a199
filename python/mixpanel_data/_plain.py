"""Plain values, as JSON has them, of fields and of times."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any


def parse_time(text: str) -> datetime:
    """ISO 8601 as the library writes it: an instant (with a ``Z``), or a time as ``event_time`` has it (UTC, naive)."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    at = datetime.fromisoformat(whole).replace(microsecond=int(f"{fraction:0<6}"[:6]) if fraction else 0)
    return at.replace(tzinfo=timezone.utc) if text.endswith("Z") else at


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Plain):
        return value.to_dict()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    return value


class Plain:
    """A dataclass with fields that are plain values."""

    def to_dict(self) -> dict[str, Any]:
        """The fields, as plain values for JSON."""
        return {item.name: plain(getattr(self, item.name)) for item in fields(self)}  # type: ignore[arg-type]
