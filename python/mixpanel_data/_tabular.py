"""Results as tables: pandas, Arrow, Polars and HTML from the same columns."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

_HTML_ROWS = 50


def require(module: str, what: str) -> Any:
    """Imports an optional package, or says how to get it."""
    import importlib

    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        package = module.partition(".")[0]
        message = f"{what} needs {package}: pip install {package}"
        raise ModuleNotFoundError(message, name=package) from None


class Tabular:
    """A result that is a table."""

    def _columns(self) -> dict[str, list[Any]]:
        """The columns by name, all of one length."""
        raise NotImplementedError

    @property
    def df(self) -> pandas.DataFrame:
        """The result as a pandas DataFrame."""
        frame: pandas.DataFrame = require("pandas", ".df").DataFrame(self._columns())
        return frame

    def arrow(self) -> pyarrow.Table:
        """The result as a pyarrow Table."""
        table: pyarrow.Table = require("pyarrow", ".arrow()").table(self._columns())
        return table

    def pl(self) -> polars.DataFrame:
        """The result as a Polars DataFrame."""
        frame: polars.DataFrame = require("polars", ".pl()").DataFrame(self._columns(), strict=False)
        return frame

    def to_table_dict(self) -> list[dict[str, Any]]:
        """The rows, as dicts."""
        columns = self._columns()
        names = list(columns)
        return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def _repr_html_(self) -> str:
        """The first rows, for notebooks."""
        return html_table(self._columns())


def html_table(columns: dict[str, list[Any]], caption: str | None = None) -> str:
    """Columns as an HTML table; every text is escaped."""
    rows = list(zip(*columns.values(), strict=True)) if columns else []
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_text(value))}</td>" for value in row) + "</tr>"
        for row in rows[:_HTML_ROWS]
    )
    more = f"<p>{len(rows):,} rows, the first {_HTML_ROWS} shown</p>" if len(rows) > _HTML_ROWS else ""
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)
