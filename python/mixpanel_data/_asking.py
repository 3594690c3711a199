"""How Mixpanel is asked, whatever the question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from mixpanel_data._later import Later
from mixpanel_data._names import warn

if TYPE_CHECKING:
    from mixpanel_data import _core
    from mixpanel_data import _results as results
    from mixpanel_data._results import Listing, Result
else:
    results = Later("mixpanel_data._results")

T = TypeVar("T")
R = TypeVar("R", bound="Result")


class Asking:
    """How Mixpanel is asked: an injected client's method of the same name answers in its place."""

    def _ask_mixpanel(self, question: str, arguments: dict[str, Any]) -> tuple[Any, _core.ArrowRows | None]:
        """The answer and its table; without one, the answer is an injected client's own."""
        raise NotImplementedError

    def _answer(self, kind: type[R], question: str, **arguments: Any) -> R:
        raw, rows = self._ask_mixpanel(question, arguments)
        if rows is None:
            injected: R = raw
            return injected
        answer: R = results.read(kind, raw)
        warn(answer)
        return results.with_rows(answer, rows)

    def _list(self, kind: type[T], question: str, **arguments: Any) -> Listing[T]:
        raw, rows = self._ask_mixpanel(question, arguments)
        if rows is None:
            injected: Listing[T] = raw
            return injected
        return results.listing(kind, raw, rows)

    def _names(self, question: str, **arguments: Any) -> list[str]:
        names: list[str] = self._ask_mixpanel(question, arguments)[0]
        return names
