"""What answers have in common: fields from plain values, and a table that came as Arrow."""

from __future__ import annotations

import dataclasses
import types
import typing
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from mixpanel_data._plain import Plain, parse_time, short
from mixpanel_data._tabular import Tabular, require

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from mixpanel_data._core import ArrowRows

T = TypeVar("T")


class ArrowTable(Tabular):
    """Rows that came as Arrow."""

    _rows: ClassVar[Any] = None
    """``ArrowRows``, given to each answer by :func:`with_rows`; no field of it."""

    def _own(self) -> dict[str, list[Any]]:
        """The table of an answer that was made by hand, from its fields."""
        raise TypeError(f"this {type(self).__name__} was made by hand and has no table")

    @property
    def df(self) -> pandas.DataFrame:
        """The table as a pandas DataFrame."""
        import duckdb

        frames = require("pandas", ".df")
        rows = self._rows
        if rows is None:
            made: pandas.DataFrame = frames.DataFrame(self._own())
            return made
        with duckdb.connect() as connection:
            frame: pandas.DataFrame = connection.from_arrow(rows).df()
        frame.columns = rows.columns
        return frame

    def arrow(self) -> pyarrow.Table:
        """The table as a pyarrow Table."""
        table: pyarrow.Table = require("pyarrow", ".arrow()").table(self._rows or self._own())
        return table

    def pl(self) -> polars.DataFrame:
        """The table as a Polars DataFrame."""
        frame: polars.DataFrame = require("polars", ".pl()").DataFrame(self._rows or self._own())
        return frame

    def _columns(self) -> dict[str, list[Any]]:
        import duckdb

        rows = self._rows
        if rows is None:
            return self._own()
        with duckdb.connect() as connection:
            values = connection.from_arrow(rows).fetchall()
        return {name: [row[at] for row in values] for at, name in enumerate(rows.columns)}


class Result(Plain, ArrowTable):
    """An answer with fields, which is a table, too: ``.df``, ``.arrow()``, ``.pl()``."""

    _listed: ClassVar[str | None] = None
    """The field with the rows, if the fields of its items are the columns."""

    def _own(self) -> dict[str, list[Any]]:
        if self._listed is None:
            return super()._own()
        kind: Any = type(self)
        return columns_of(typing.get_args(_hints(kind)[self._listed])[0], getattr(self, self._listed))


class Drawn(Result):
    """An answer with a natural picture."""

    _picture: ClassVar[tuple[str, str | None, str]]
    """The columns across, for each line of its own (if there are several), and up."""

    def plot(self) -> Any:
        """The answer as a matplotlib Axes: bars if it is few numbers, otherwise a line for each series."""
        from mixpanel_data._picture import draw

        return draw(self._columns(), *self._picture)


class Series(Drawn):
    """Numbers by name and date: ``{"name": {"2024-01-01": 7}}``."""

    series: dict[str, dict[str, float]]

    def _own(self) -> dict[str, list[Any]]:
        rows = [(day, name, count) for name, days in self.series.items() for day, count in days.items()]
        return {column: [row[at] for row in rows] for at, column in enumerate(self._picture) if column is not None}


def columns_of(kind: type[Plain], items: list[Any]) -> dict[str, list[Any]]:
    """Things with fields, as columns."""
    names = [item.name for item in dataclasses.fields(kind)]  # type: ignore[arg-type]
    return {name: [getattr(item, name) for item in items] for name in names}


class Listing(list[T], ArrowTable):
    """A list of things, such as saved funnels, which is a table, too."""

    def __repr__(self) -> str:
        """The first things, and how many more there are."""
        return short(list(self))

    def to_dict(self) -> list[dict[str, Any]]:
        """The things, as plain values for JSON."""
        return [item.to_dict() for item in self]  # type: ignore[attr-defined]


def with_rows(answer: T, rows: ArrowRows) -> T:
    """Gives an answer its table."""
    object.__setattr__(answer, "_rows", rows)
    return answer


def listing(kind: type[T], raw: list[Any], rows: ArrowRows) -> Listing[T]:
    """A list of things of one kind."""
    return with_rows(Listing(read(kind, item) for item in raw), rows)


def read(kind: Any, raw: Any) -> Any:
    """Plain values as what a type hint says: dataclasses, lists, dicts, times, tuples of these."""
    if raw is None or kind is Any:
        return raw
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{name: read(hints[name], value) for name, value in raw.items()})
    if kind is datetime:
        return parse_time(raw)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        chosen = [part for part in inner if part is not types.NoneType]
        return read(chosen[0], raw) if len(chosen) == 1 else raw
    if origin is list:
        return [read(inner[0], item) for item in raw]
    if origin is dict:
        return {inner[0](name): read(inner[1], value) for name, value in raw.items()}
    if origin is tuple:
        # Things that are pairs in Python come as lists, or as objects.
        values = raw.values() if isinstance(raw, dict) else raw
        return tuple(read(part, value) for part, value in zip(inner, values, strict=True))
    return raw


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)
