"""What SQL answers, in each form that Python knows for rows."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

from mixpanel_data import _core
from mixpanel_data._later import Later
from mixpanel_data.exceptions import ClosedError, OutOfMemoryError, QueryError, ReadOnlyError, SealedError

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

    import duckdb
    import pandas
    import polars
    import pyarrow

    from mixpanel_data import types
else:
    duckdb = Later("duckdb")
    types = Later("mixpanel_data.types")


class Asked:
    """A database that answers SQL."""

    _lock: threading.RLock
    _is_in_memory: bool

    _closed: bool

    def _prepare(self) -> None:
        """What is to be done before SQL runs."""

    def _check_open(self, error: Exception) -> None:
        """An error of DuckDB's that is none of the query: another thread has closed the database."""
        if self._closed:
            message = "the storage engine was closed while this query ran, or before its turn"
            raise ClosedError(message, suggestion="open it again") from error

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The connection that runs the SQL."""
        raise NotImplementedError

    @property
    def is_sealed(self) -> bool:
        """Whether SQL reaches nothing but the database."""
        raise NotImplementedError

    def _admit(self, sql: str) -> None:
        """Raises SealedError if a sealed database does not answer this."""
        raise NotImplementedError

    def execute(self, sql: str) -> duckdb.DuckDBPyRelation:
        """Runs SQL; a query becomes a lazy DuckDB relation that can be built upon.

        Raises:
            QueryError: SQL that does not run.

        """
        with self._asking(sql) as connection:
            return _some(connection.sql(sql), connection, sql)

    def execute_df(self, sql: str) -> pandas.DataFrame:
        """Runs a query and returns a pandas DataFrame.

        Raises:
            QueryError: SQL that does not run.
            OutOfMemoryError: The result or its making does not fit.

        """
        with self._asking(sql) as connection:
            return _some(connection.execute(sql), connection, sql).df()

    def execute_scalar(self, sql: str) -> Any:
        """The first column of the first row; None if there is no row."""
        with self._asking(sql) as connection:
            row = _some(connection.execute(sql), connection, sql).fetchone()
            # An unfinished result would keep relations off the connection.
            connection.abort()
            return None if row is None else row[0]

    def execute_rows(self, sql: str) -> types.SQLResult:
        """Runs a query and returns its rows as tuples."""
        return self._rows(sql, None)

    def execute_rows_params(self, sql: str, params: Sequence[Any]) -> types.SQLResult:
        """The same with values for the ``?`` of the query.

        Example:
            >>> from mixpanel_data import StorageEngine
            >>> with StorageEngine.memory() as storage:
            ...     storage.execute_rows_params("SELECT ? + 1 AS n", [41]).rows
            [(42,)]

        """
        return self._rows(sql, list(params))

    def execute_arrow(self, sql: str) -> pyarrow.RecordBatchReader:
        """Runs a query as a stream of Arrow batches, which are made as they are read.

        It has a connection of its own, so other queries may run meanwhile, and
        temporary tables and registered frames of ``connection`` are not there.
        """
        with self._asking(sql) as connection:
            from mixpanel_data._tabular import require

            require("pyarrow", "Arrow results")
            cursor = connection.cursor()
            return _some(cursor.sql(sql), cursor, sql).to_arrow_reader()

    def execute_pl(self, sql: str) -> polars.LazyFrame:
        """A query as a Polars LazyFrame: DuckDB runs it when it is collected.

        What Polars selects and filters is left to DuckDB. It has a connection
        of its own, as :meth:`execute_arrow`.
        """
        with self._asking(sql) as connection:
            from mixpanel_data._tabular import require

            require("polars", "Polars results")
            cursor = connection.cursor()
            frame: polars.LazyFrame = _some(cursor.sql(sql), cursor, sql).pl(lazy=True)
            return frame

    def _rows(self, sql: str, params: list[Any] | None) -> types.SQLResult:
        with self._asking(sql) as connection:
            result = connection.execute(sql, params) if params is not None else connection.execute(sql)
            result = _some(result, connection, sql)
            columns = [column[0] for column in result.description or []]
            return types.SQLResult(columns=columns, rows=result.fetchall())

    @contextmanager
    def _asking(self, sql: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """The connection, for one statement at a time; DuckDB's errors become ours."""
        connection = self.connection
        if self.is_sealed:
            self._admit(sql)
        with self._lock:
            try:
                self._prepare()
                _core.refuse_fixed_settings(connection, sql)
                yield connection
            except RuntimeError as error:
                self._check_open(error)
                # What DuckDB makes of Ctrl-C.
                if str(error) == "Query interrupted":
                    raise KeyboardInterrupt from None
                raise
            except duckdb.OutOfMemoryException as error:
                hint = "use ephemeral(), or memory(spill_to=folder)" if self._is_in_memory else None
                raise OutOfMemoryError(_first_line(error), suggestion=hint) from error
            except duckdb.Error as error:
                self._check_open(error)
                body = {"query": sql, "error": str(error)}
                if self.is_sealed and isinstance(error, duckdb.PermissionException):
                    raise SealedError(f"the database is sealed: {_first_line(error)}", response_body=body) from error
                kind = ReadOnlyError if "read-only mode" in str(error) else QueryError
                suggestion = self._suggestion(sql, str(error))
                raise kind(str(error), response_body=body, suggestion=suggestion) from error

    def _suggestion(self, sql: str, message: str) -> str | None:  # noqa: ARG002 (for those who know more)
        """What to write in the place of SQL that failed; the storage knows its properties."""
        return None


T = TypeVar("T")


def _some(result: T | None, connection: duckdb.DuckDBPyConnection, sql: str) -> T:
    """A result; DuckDB has none for SQL without a statement."""
    if result is None and not connection.extract_statements(sql):
        raise QueryError("the query is empty", response_body={"query": sql}, suggestion='such as "SELECT 1"')
    return cast("T", result)


def _first_line(error: Exception) -> str:
    # DuckDB's advice follows, which is about DuckDB's settings.
    return str(error).partition("\n")[0]
