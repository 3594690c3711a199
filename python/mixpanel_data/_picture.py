"""Columns as pictures, by matplotlib."""

from __future__ import annotations

from typing import Any

from mixpanel_data._tabular import require


def axes(height: float = 3.0) -> Any:
    """New axes."""
    return require("matplotlib.pyplot", ".plot()").subplots(figsize=(8, height))[1]


def draw(columns: dict[str, list[Any]], across: str, series: str | None, up: str) -> Any:
    """A line for each series over ``across``; bars where ``across`` is no time."""
    drawn = axes()
    labels = [str(label) for label in columns[across]]
    values = [value if value is not None else float("nan") for value in columns[up]]
    over_time = across == "date"
    if series is None:
        (drawn.plot if over_time else drawn.bar)(labels, values)
    else:
        for which in dict.fromkeys(columns[series]):
            at = [row for row, name in enumerate(columns[series]) if name == which]
            drawn.plot([labels[row] for row in at], [values[row] for row in at], marker=".", label=str(which))
        drawn.legend(fontsize=7)
    drawn.set_ylabel(up.replace("_", " "))
    drawn.tick_params(axis="x", rotation=90, labelsize=7)
    return drawn
