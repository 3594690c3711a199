"""``StorageEngine``: one DuckDB database, opened in one of three modes."""

from __future__ import annotations

import atexit
import json
import os
import threading
import weakref
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixpanel_data import _core, _rows
from mixpanel_data._asked import Asked
from mixpanel_data._later import Later
from mixpanel_data._options import no_batches
from mixpanel_data._plain import parse_time
from mixpanel_data.exceptions import ClosedError, DatabaseNotFoundError, InvalidArgumentError, NestedCallError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import duckdb

    from mixpanel_data import types
else:
    duckdb = Later("duckdb")
    types = Later("mixpanel_data.types")

__all__ = ["StorageEngine"]

_HINT = "Use StorageEngine.ephemeral() or StorageEngine.memory() for temporary databases"


class StorageEngine(Asked):
    """A DuckDB database with tables of events and profiles.

    The three modes differ in nothing but where the bytes live: in memory only
    (:meth:`memory`), in a private temporary file that goes on close
    (:meth:`ephemeral`), or in a file that stays (``StorageEngine(path=…)``).

    ``connection`` is an ordinary ``duckdb.DuckDBPyConnection``. What is stored
    by the methods here goes through a connection of its own, in transactions:
    all of a call, or nothing. Queries see the last committed state.

    Args:
        path: The database file; made with its parent folders if it is missing,
            readable by its owner only.
        read_only: Open for reading; any number of processes may, as long as
            none writes. The file must exist.

    Raises:
        ValueError: No path.
        DatabaseNotFoundError: ``read_only``, and there is no file.
        DatabaseLockedError: Another process has it open, or something else in
            this one: another engine, or a plain ``duckdb.connect``.
        NotADatabaseError: Any other kind of file; it is not touched.
        StorageIOError: The file system refuses (an ``OSError``).

    Example:
        >>> from datetime import datetime, timezone
        >>> from mixpanel_data import StorageEngine, TableMetadata
        >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
        >>> event = {
        ...     "event_name": "Purchase",
        ...     "event_time": datetime(2024, 1, 1, 12),  # without a zone: UTC
        ...     "distinct_id": "user_1",
        ...     "insert_id": "event_1",
        ...     "properties": {"plan": "pro", "amount": 12.5},
        ... }
        >>> with StorageEngine.memory() as storage:
        ...     storage.create_events_table("events", iter([event]), TableMetadata("events", now))
        ...     storage.execute_scalar("SELECT sum(amount) FROM events_flat")
        1
        12.5

    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        read_only: bool = False,
        _ephemeral: bool = False,
        _in_memory: bool = False,
        _engine: _core.Engine | None = None,
    ) -> None:
        self._closed = True
        if _ephemeral and _in_memory:
            raise ValueError("a database is ephemeral or in memory, not both")
        if (_ephemeral or _in_memory) and path is not None:
            raise ValueError("an ephemeral database and one in memory have no path of the caller's")
        if _engine is not None:
            engine = _engine
        elif _in_memory:
            engine = _core.Engine.memory(None, None, None, False)
        elif _ephemeral:
            engine = _core.Engine.ephemeral()
        elif path is None:
            raise ValueError(_HINT)
        else:
            engine = _open(_expanded(path), read_only=read_only)
        mode = engine.mode
        self._engine = engine
        self._is_in_memory = mode == "in-memory"
        self._is_ephemeral = mode == "ephemeral"
        self._mode = mode
        self._path = None if engine.path is None else Path(engine.path)
        self._read_only = engine.read_only
        self._conn: duckdb.DuckDBPyConnection | None = engine.connection
        # SQL may name data frames of the caller, as with duckdb itself. In a
        # sealed database settings cannot be changed.
        with suppress(duckdb.Error):
            self._conn.execute("SET SESSION python_scan_all_frames = true")
        self._lock = threading.RLock()
        self._closed = False
        _LIVING.add(self)

    @classmethod
    def memory(
        cls,
        *,
        spill_to: str | Path | None = None,
        memory_limit: int | None = None,
        threads: int | None = None,
        sealed: bool = False,
    ) -> StorageEngine:
        """A database in memory: no file is ever written, and close ends it.

        Best for small data, tests, and data that must not touch a disk. For
        large data prefer :meth:`ephemeral`: there the same rows take a tenth of
        the space. What does not fit raises ``OutOfMemoryError``; everything
        stored before is still there.

        Args:
            spill_to: A folder that exists, into which operations larger than
                memory may spill, in clear.
            memory_limit: Bytes that DuckDB's buffers may use; 80 % of the
                machine's memory unless told otherwise.
            threads: How many threads DuckDB uses.
            sealed: Also forbid SQL to touch any file.

        Example:
            >>> with StorageEngine.memory() as storage:
            ...     storage.path is None
            True

        """
        folder = None if spill_to is None else Path(spill_to)
        if folder is None and memory_limit is None and threads is None and not sealed:
            return cls(path=None, _in_memory=True)
        return cls(_engine=_core.Engine.memory(folder, memory_limit, threads, sealed))

    @classmethod
    def ephemeral(cls) -> StorageEngine:
        """A database in a private temporary file that is removed on close.

        Also when the interpreter ends; what a killed process left is removed
        when the next ephemeral database is made.

        Example:
            >>> with StorageEngine.ephemeral() as storage:
            ...     path = storage.path
            >>> path.exists()
            False

        """
        return cls(path=None, _ephemeral=True)

    @classmethod
    def open_existing(cls, path: str | Path, *, read_only: bool = True, sealed: bool = False) -> StorageEngine:
        """Opens a database that must exist.

        Args:
            path: The database.
            read_only: Whether writing is refused.
            sealed: For SQL that nobody vouches for; see :meth:`seal`.

        Raises:
            DatabaseNotFoundError: There is none (a ``FileNotFoundError``).

        """
        return cls._sealed_if(sealed, cls(_engine=_core.Engine.open_existing(_expanded(path), read_only)))

    @classmethod
    def _sealed_if(cls, sealed: bool, storage: StorageEngine) -> StorageEngine:
        try:
            if sealed:
                storage.seal()
        except BaseException:
            storage.close()
            raise
        return storage

    def seal(self) -> None:
        """Seals the database, for good: for SQL that nobody vouches for, such as an agent's.

        From now on SQL reads no file and no variable of Python's, reaches no network, changes no
        setting and no row; :meth:`execute` and its relatives answer one query at a time (SELECT, FROM,
        DESCRIBE, SUMMARIZE and the like). Nothing spills to disk any more. For a database that is open
        for reading only, or in memory, once that is filled.

        Raises:
            InvalidArgumentError: The database is open for writing.

        Example:
            >>> with StorageEngine.memory() as storage:
            ...     storage.seal()
            ...     storage.execute_scalar("SELECT 42")
            42

        """
        if self._engine.is_sealed:
            return
        if self._path is None or self._read_only:
            # Tables that SQL does not find could be frames of the caller's.
            self.connection.execute("SET GLOBAL python_enable_replacements = false")
            self.connection.execute("SET SESSION python_enable_replacements = false")
        self._opened().seal()

    @property
    def is_sealed(self) -> bool:
        """Whether :meth:`seal` was called."""
        return self._engine.is_sealed

    def _admit(self, sql: str) -> None:
        self._opened().admit(sql)

    @classmethod
    def open_snapshot(cls, path: str | Path, *, max_bytes: int | None = None, sealed: bool = False) -> StorageEngine:
        """Opens a private copy of a database that another process may be writing.

        It shows the last committed state, for reading only, and is removed on
        close. ``path`` is the original's.

        Args:
            path: The database.
            max_bytes: The largest copy to make; 4 GB unless told otherwise.
            sealed: For SQL that nobody vouches for; see :meth:`seal`.

        Raises:
            DatabaseLockedError: It cannot be copied, or this process has it open.

        """
        return cls._sealed_if(sealed, cls(_engine=_core.Engine.open_snapshot(_expanded(path), max_bytes)))

    @property
    def path(self) -> Path | None:
        """The database file; None in memory."""
        return self._path

    @property
    def read_only(self) -> bool:
        """Whether writing is refused."""
        return self._read_only

    @property
    def mode(self) -> str:
        """``persistent``, ``ephemeral`` or ``in-memory``."""
        return self._mode

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The DuckDB connection, with everything that ``duckdb`` offers.

        Its session's time zone is UTC, as ``event_time`` is.

        Raises:
            ClosedError: After close (a ``RuntimeError``).
            RuntimeError: In a forked child of the process that opened it.

        Example:
            >>> with StorageEngine.memory() as storage:
            ...     storage.connection.sql("SELECT 42 AS answer").fetchall()
            [(42,)]

        """
        if self._conn is None or self._closed:
            raise ClosedError("the storage engine is closed", suggestion="open it again")
        return self._opened().connection

    def close(self) -> None:
        """Closes the database; the files of an ephemeral one are removed.

        A query that runs in another thread is stopped, and fails with
        ``ClosedError``; a fetch or a write there is waited for. Closing again
        does nothing.

        Raises:
            NestedCallError: From within the iterator or callback of a write.

        """
        if self._closed:
            return
        # Before it begins: what it stops is to know why.
        self._closed = True
        try:
            self._engine.close()
        except NestedCallError:
            self._closed = False
            raise
        self._conn = None
        _LIVING.discard(self)

    def cleanup(self) -> None:
        """The same as :meth:`close`."""
        self.close()

    def __enter__(self) -> StorageEngine:
        """The engine itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the engine."""
        self.close()

    def __repr__(self) -> str:
        """Mode and place."""
        state = "closed" if self._closed else self._mode
        return f"<StorageEngine {state} {self._path or ':memory:'}>"

    # Writing

    def create_events_table(
        self,
        name: str,
        data: Iterable[Mapping[str, Any]] | Any,
        metadata: types.TableMetadata,
        progress_callback: Callable[[int], None] | None = None,
        batch_size: int | None = None,
    ) -> int:
        """Makes a new events table. All rows are stored, or the table does not exist.

        Args:
            name: Letters, digits and ``_``, not ``_`` at the start.
            data: Dicts with ``event_name``, ``event_time``, ``distinct_id``,
                ``insert_id`` and ``properties``, from any iterable; or a pyarrow
                table or reader, a Polars or pandas frame, or anything with
                ``__arrow_c_stream__``, with columns of these names. Times are
                datetimes (without a zone: UTC) or ISO 8601 text. ``insert_id``
                may be None: a hash of the event takes its place. ``properties``
                is a dict of JSON values, or the text of a JSON object.
            metadata: Where the rows come from.
            progress_callback: Called with the number of rows written so far.
            batch_size: Without effect, which a warning says; the library
                chooses its own.

        Returns:
            Rows inserted. Of several events with the same name, time, user and
            insert id, the one that Mixpanel processed last is kept.

        Raises:
            TableExistsError: There is a table of this name.
            InvalidRecordError: A record that cannot be stored, with its ``row``
                (a ``ValueError``): a field is missing or has a wrong type, a
                number is NaN or infinite, a text has lone surrogates, a value is
                bytes or nested deeper than 128 levels.
            InvalidArgumentError: A bad name, or metadata of profiles.
            ReadOnlyError: The database was opened for reading.

        """
        return self._write("events", name, True, data, metadata, progress_callback, batch_size)

    def append_events_table(
        self,
        name: str,
        data: Iterable[Mapping[str, Any]] | Any,
        metadata: types.TableMetadata,
        progress_callback: Callable[[int], None] | None = None,
        batch_size: int | None = None,
    ) -> int:
        """Adds events to a table; events that are there already are not added again.

        Arguments are those of :meth:`create_events_table`.

        Returns:
            Rows that the table gained.

        Raises:
            TableNotFoundError: There is no such table.

        """
        return self._write("events", name, False, data, metadata, progress_callback, batch_size)

    def create_profiles_table(
        self,
        name: str,
        data: Iterable[Mapping[str, Any]] | Any,
        metadata: types.TableMetadata,
        progress_callback: Callable[[int], None] | None = None,
        batch_size: int | None = None,
    ) -> int:
        """Makes a new profiles table, of ``distinct_id``, ``properties`` and ``last_seen``.

        Of several records of one ``distinct_id`` the last is kept; otherwise as
        :meth:`create_events_table`.
        """
        return self._write("profiles", name, True, data, metadata, progress_callback, batch_size)

    def append_profiles_table(
        self,
        name: str,
        data: Iterable[Mapping[str, Any]] | Any,
        metadata: types.TableMetadata,
        progress_callback: Callable[[int], None] | None = None,
        batch_size: int | None = None,
    ) -> int:
        """Adds profiles to a table; a profile that is there is replaced.

        Returns:
            Rows that the table gained.

        """
        return self._write("profiles", name, False, data, metadata, progress_callback, batch_size)

    def _write(
        self,
        kind: str,
        name: str,
        create: bool,
        data: object,
        metadata: types.TableMetadata,
        progress: Callable[[int], None] | None,
        batch_size: int | None,
    ) -> int:
        engine = self._opened()
        no_batches(batch_size, 1, level=3)
        if metadata.type != kind:
            message = f"the metadata are about {metadata.type}, the table is for {kind}"
            raise InvalidArgumentError(message, argument="metadata")
        fields = metadata.to_dict()
        fields["fetched_at"] = _utc(metadata.fetched_at).isoformat()
        rows, arrow = _rows.split(data)
        if rows is not None:
            return engine.write_records(name, create, rows, fields, progress)
        return engine.write_arrow(name, create, arrow, fields, progress)

    # What there is

    def list_tables(self) -> list[types.TableInfo]:
        """The tables of events and profiles, sorted by name."""
        return [_table_info(item) for item in self._opened().list_tables()]

    def list_all_tables(self) -> list[types.TableInfo]:
        """These, and the tables and views that SQL has made in the schema ``main``, sorted by name.

        The type of the latter is ``"table"`` or ``"view"``; see :class:`TableInfo`.
        """
        return [_table_info(item) for item in self._opened().list_all_tables()]

    def table_exists(self, name: str) -> bool:
        """Whether a table or view of this name exists, ours or not."""
        return self._opened().table_exists(name)

    def get_schema(self, name: str) -> types.TableSchema:
        """The columns of a table or view.

        Raises:
            TableNotFoundError: There is none of this name.

        """
        schema = self._opened().get_schema(name)
        columns = [types.ColumnInfo(item["name"], item["type"], item["nullable"]) for item in schema["columns"]]
        return types.TableSchema(schema["table_name"], columns)

    def get_metadata(self, name: str) -> types.TableMetadata:
        """Where a table's rows come from.

        Raises:
            TableNotFoundError: There is no such table.

        """
        fields = self._opened().get_metadata(name)
        behaviors = fields["filter_behaviors"]
        return types.TableMetadata(
            **{
                **fields,
                "fetched_at": parse_time(fields["fetched_at"]),
                "filter_behaviors": behaviors and json.loads(behaviors),
            }
        )

    def drop_table(self, name: str) -> None:
        """Removes a table, its typed view and its records.

        Raises:
            TableNotFoundError: There is no such table.

        """
        self._opened().drop_table(name)

    def size_bytes(self) -> int:
        """Bytes on disk, the file and its log; 0 in memory."""
        return self._opened().size_bytes()

    def memory_bytes(self) -> int | None:
        """Bytes that DuckDB's buffers use, as it reports them; None unless in memory."""
        return self._opened().memory_bytes()

    def created_at(self) -> datetime | None:
        """When the database was made; None in memory."""
        text = self._opened().created_at()
        return None if text is None else parse_time(text)

    def interrupt(self) -> None:
        """Stops what is running, from another thread: it fails with ``CancelledError``, or DuckDB's own error."""
        self.connection.interrupt()
        self._opened().interrupt()

    def _suggestion(self, sql: str, message: str) -> str | None:
        return self._engine.suggestion(sql, message)

    def _prepare(self) -> None:
        if not self._closed:
            self._engine.protect_log()

    def _opened(self) -> _core.Engine:
        if self._closed:
            raise ClosedError("the storage engine is closed", suggestion="open it again")
        return self._engine


def _open(path: str, *, read_only: bool) -> _core.Engine:
    if not read_only:
        return _core.Engine.open(path)
    try:
        return _core.Engine.open_existing(path, True)
    except DatabaseNotFoundError as error:
        message = f"no database at {path}"
        suggestion = "read_only=False makes one"
        raise DatabaseNotFoundError(message, db_path=Path(path), suggestion=suggestion) from error


def _expanded(path: str | Path) -> str:
    """The path with the home folder in place of ``~``; as it was typed, since a Path makes one slash of two."""
    return os.path.expanduser(os.fspath(path))  # noqa: PTH111 (it would be another text)


def _table_info(item: dict[str, Any]) -> types.TableInfo:
    fetched = item["fetched_at"]
    return types.TableInfo(item["name"], item["type"], item["row_count"], fetched and parse_time(fetched))


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)


_LIVING: weakref.WeakSet[StorageEngine] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Ephemeral files go, and databases are closed, while the interpreter still works."""
    for engine in list(_LIVING):
        engine.close()
