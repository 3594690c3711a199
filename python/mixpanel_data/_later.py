"""Modules that are imported when something of theirs is used first: so that importing the package is quick."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Later:
    """Stands for a module."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        """Something of the module."""
        return getattr(import_module(self._name), name)
