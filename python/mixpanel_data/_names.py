"""Names that are asked for: lists of them, and those that are not there."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mixpanel_data._plain import Plain
from mixpanel_data.exceptions import InvalidArgumentError, UnknownNameWarning

__all__ = ["Names", "UnknownName"]

Names = str | Iterable[str]
"""One name, or several. A text is one name, whatever is in it."""


@dataclass(frozen=True)
class UnknownName(Plain):
    """A name that was asked for and that is not there.

    Attributes:
        kind: ``"event"`` or ``"property"``.
        name: The name, as given.
        unknown_to: Who does not know it: ``"mixpanel"``, which lists the names of a project, a local
            ``"table"``, or ``"nobody"``, if Mixpanel could not be asked.
        similar: Up to five names that are like it, the likeliest first.

    """

    kind: str
    name: str
    unknown_to: str
    similar: list[str]

    def __str__(self) -> str:
        """The same in words."""
        said = {
            "mixpanel": f"Mixpanel lists no {self.kind} {self.name!r}",
            "table": f"the table has no {self.kind} {self.name!r}",
        }
        nobody = f"no {self.kind} {self.name!r} came, and whether there is one could not be checked"
        text = said.get(self.unknown_to, nobody)
        if not self.similar:
            return text
        like = "a similar name is" if len(self.similar) == 1 else "similar names are"
        return f"{text}; {like} {', '.join(map(repr, self.similar))}"


def names(argument: str, given: Names | None) -> list[str] | None:
    """Names as a list; None, which is no filter, stays None.

    Raises:
        InvalidArgumentError: There is no name in it, or one that is empty, or something else.

    """
    if given is None:
        return None
    listed: list[Any] = [given] if isinstance(given, str) else list(given) if _several(given) else [given]
    for name in listed:
        if not isinstance(name, str):
            why = f"{argument} takes a name or a list of names, and there is {name!r} in it"
            raise InvalidArgumentError(why, argument=argument)
        if not name.strip():
            raise InvalidArgumentError(f"{argument}: a name is empty", argument=argument)
    if not listed:
        why = f"{argument} is an empty list, which would filter nothing; leave it out for all"
        raise InvalidArgumentError(why, argument=argument)
    return list(dict.fromkeys(listed))


def expression(argument: str, given: str | None) -> str | None:
    """An expression of Mixpanel's that says something, or None.

    Raises:
        InvalidArgumentError: It is empty.

    """
    if given is not None and not given.strip():
        why = f"{argument} is empty, which would filter nothing; leave it out for all"
        raise InvalidArgumentError(why, argument=argument)
    return given


def warn(answer: Any) -> None:
    """Warns of the names that an answer, or a fetch, did not find."""
    for unknown in getattr(answer, "unknown_names", ()):
        say(str(unknown))


def say(text: str) -> None:
    """Warns, at the line that called us."""
    depth, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("mixpanel_data."):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(text, UnknownNameWarning, stacklevel=depth)


def _several(given: Any) -> bool:
    return isinstance(given, Iterable) and not isinstance(given, bytes | dict)
