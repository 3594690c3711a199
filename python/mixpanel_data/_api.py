"""Mixpanel by address, for what has no method."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from mixpanel_data import _core

if TYPE_CHECKING:
    from mixpanel_data.workspace import Workspace

__all__ = ["API"]


class API:
    """Mixpanel by address: ``ws.api.request("GET", "https://mixpanel.com/api/app/me")``.

    The credentials go along, so that only addresses of the project's region (or of ``base_url``) are
    asked. Requests are counted and tried again as those of every other question are.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @property
    def project_id(self) -> str:
        """The project's id; empty without one."""
        return self._workspace._project_id

    @property
    def region(self) -> str:
        """``us``, ``eu`` or ``in``."""
        return self._workspace._region or "us"

    def request(
        self,
        method: str,
        url: str,
        *,
        params: dict[str, Any] | None = None,
        json_body: Any = None,
        headers: dict[str, str] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Asks an address, and gives its answer as plain values.

        Args:
            method: ``GET`` or ``POST``.
            url: An address of the query, engage or app API.
            params: Parameters of the query; lists and dicts go as JSON.
            json_body: The body of a ``POST``.
            headers: Without effect, which a warning says.
            timeout: Without effect, which a warning says.

        Raises:
            InvalidArgumentError: Another address: the credentials go nowhere else.
            APIError: As of every other question.

        """
        for name, value in (("headers", headers), ("timeout", timeout)):
            if value is not None:
                warnings.warn(f"{name} has no effect: the library has its own", UserWarning, stacklevel=2)
        asked = {"method": method, "url": url, "params": params, "body": json_body}
        return _core.ask_mixpanel(self._workspace._require_project(), "request", asked)[0]
