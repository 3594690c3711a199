"""Options that are numbers."""

from __future__ import annotations

import warnings

from mixpanel_data.exceptions import InvalidArgumentError


def in_range(name: str, value: int | None, low: int, high: int) -> None:
    """Refuses a number that makes no sense."""
    if value is not None and not low <= value <= high:
        raise InvalidArgumentError(f"{name} is {value}, and must be {low:,} to {high:,}", argument=name)


def capped(name: str, value: int | None, most: int, *, level: int = 2) -> int | None:
    """A number up to the most that there may be, with a warning where that is less than was asked for."""
    if value is None:
        return None
    if value < 1:
        raise InvalidArgumentError(f"{name} is {value}, and must be 1 or more", argument=name)
    if value > most:
        warnings.warn(f"{name} is {value}; {most} are used, Mixpanel allows no more", UserWarning, stacklevel=level + 1)
    return min(value, most)


def no_batches(batch_size: int | None, low: int, *, level: int = 2) -> None:
    """Says that ``batch_size`` has no effect, to who gave one. ``level``: that many calls away."""
    if batch_size is None:
        return
    in_range("batch_size", batch_size, low, 100_000)
    message = "batch_size has no effect: the library chooses its own batches, and stores all of a call or nothing"
    warnings.warn(message, UserWarning, stacklevel=level + 1)
