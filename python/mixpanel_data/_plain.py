"""Plain values, as JSON has them, of fields and of times."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


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


_SHOWN = 6
"""So many items of a list or dict are in a repr; how many more there are is said."""

_LETTERS = 200
"""So many letters of a text are in a repr."""


def short(value: Any) -> str:
    """A repr that stays short, however much there is: what is left out is counted."""
    if isinstance(value, Plain):
        shown = (item.name for item in fields(value) if item.repr)  # type: ignore[arg-type]
        return f"{type(value).__name__}({', '.join(f'{name}={short(getattr(value, name))}' for name in shown)})"
    if isinstance(value, list):
        return f"[{_items(map(short, value[:_SHOWN]), len(value))}]"
    if isinstance(value, dict):
        shown = (f"{key!r}: {short(item)}" for key, item in list(value.items())[:_SHOWN])
        return f"{{{_items(shown, len(value))}}}"
    if isinstance(value, str) and len(value) > _LETTERS:
        return f"{value[:_LETTERS]!r}… ({len(value):,} letters)"
    return repr(value)


def _items(shown: Iterable[str], count: int) -> str:
    more = [f"… {count - _SHOWN:,} more"] if count > _SHOWN else []
    return ", ".join([*shown, *more])


class Plain:
    """A dataclass with fields that are plain values."""

    def __init_subclass__(cls, **more: Any) -> None:
        """Gives a dataclass our short repr in place of one with everything in it."""
        super().__init_subclass__(**more)
        if "__repr__" not in cls.__dict__:
            cls.__repr__ = short  # type: ignore[method-assign]

    def to_dict(self) -> dict[str, Any]:
        """The fields, as plain values for JSON."""
        return {item.name: plain(getattr(self, item.name)) for item in fields(self)}  # type: ignore[arg-type]
