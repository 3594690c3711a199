"""What callers hand over as rows: which way each kind of it goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mixpanel_data.exceptions import InvalidArgumentError

_PANDAS_ROWS = 8_192


def split(data: object) -> tuple[Iterator[Any] | None, Any]:
    """An iterator of mappings, or an object with an Arrow stream: one of the two."""
    libraries = {kind.__module__.partition(".")[0] for kind in type(data).__mro__}
    if "pandas" in libraries:
        return _pandas_rows(data), None
    if hasattr(data, "__arrow_c_stream__"):
        if _has_text_properties(data):
            return None, data
        return _arrow_rows(data), None
    if isinstance(data, Mapping | str | bytes) or not isinstance(data, Iterable):
        message = f"data is a {type(data).__name__}, and must be an iterable of dicts, an Arrow table or a data frame"
        raise InvalidArgumentError(message, argument="data")
    return iter(data), None


def _pandas_rows(frame: Any) -> Iterator[dict[str, Any]]:
    """Rows of a DataFrame; what is missing (NaN, NaT, NA) is None, apart from what is inside of ``properties``."""
    import pandas

    for start in range(0, len(frame), _PANDAS_ROWS):
        for row in frame.iloc[start : start + _PANDAS_ROWS].to_dict("records"):
            yield {
                name: None
                if name != "properties" and pandas.api.types.is_scalar(value) and pandas.isna(value)
                else value
                for name, value in row.items()
            }


def _has_text_properties(data: Any) -> bool:
    """Whether ``properties`` is text already. A column that is missing is for the library to complain about."""
    schema = getattr(data, "schema", None)
    if schema is None:
        # A bare exporter: the library says what does not fit.
        return True
    try:
        kind = schema.field("properties").type if hasattr(schema, "field") else schema["properties"]
    except (KeyError, TypeError):
        return True
    return str(kind).lower() in {"string", "large_string", "string_view", "utf8", "large_utf8", "utf8view", "null"}


def _arrow_rows(data: Any) -> Iterator[dict[str, Any]]:
    """Rows of a table whose ``properties`` are structs, lists of pairs or the like."""
    if hasattr(data, "iter_rows"):
        yield from data.iter_rows(named=True)
        return
    from mixpanel_data._tabular import require

    pyarrow = require("pyarrow", "an Arrow table with structs in it")
    reader = pyarrow.RecordBatchReader.from_stream(data)
    for batch in reader:
        yield from batch.to_pylist(maps_as_pydicts="strict")
