"""``Workspace``: a project's local copy, and the way to fill it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mixpanel_data import _core
from mixpanel_data._injected import record_of_event
from mixpanel_data._progress import reporting
from mixpanel_data.auth import ConfigManager, Credentials
from mixpanel_data.exceptions import ConfigError, InvalidArgumentError, TableExistsError
from mixpanel_data.storage import StorageEngine
from mixpanel_data.types import (
    Coverage,
    FetchProgress,
    FetchResult,
    SQLResult,
    SyncPlan,
    SyncResult,
    TableInfo,
    TableMetadata,
    TableSchema,
    TableType,
    WorkspaceInfo,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import duckdb
    import pandas
    import polars
    import pyarrow

    from mixpanel_data._injected import APIClient, Manager

__all__ = ["Workspace"]

OnReject = Literal["quarantine", "fail"]
UNKNOWN = "unknown"


class Workspace:
    """A local copy of a Mixpanel project's data: fetch into it, ask it in SQL.

    ``Workspace.memory()`` and ``Workspace.ephemeral()`` keep the data for a
    session, ``Workspace()`` and ``Workspace(path=…)`` in a file that stays,
    ``Workspace.open(path)`` reads one that is there. All of them are context
    managers; ``close()`` does the same.

    Credentials come from a named ``account`` of the configuration file, or from
    ``MP_USERNAME``, ``MP_SECRET`` and ``MP_PROJECT_ID``, or from the file's
    default account. Without any, everything works that needs no Mixpanel.

    Args:
        account: A named account of the configuration file.
        project_id: Another project than the credentials' own.
        region: ``us``, ``eu`` or ``in``, in place of the credentials' own.
        path: The database file. Without one, it is that of ``mp``:
            ``~/.local/share/mixpanel_data/PROJECT.duckdb``, or ``MP_DB``.
        read_only: Open the file for reading only.
        timezone: The time zone in the project's settings.
        clock_mode: ``"utc"``, or ``"local"`` for projects made before 2023.
        base_url: Another server than Mixpanel, such as ``mp sim``.
        _config_manager: Anything with ``resolve_credentials(account)``.
        _api_client: Anything with ``export_events(from_date, to_date, events=…,
            where=…, limit=…)``, used in place of Mixpanel.

    Raises:
        ConfigError: Credentials that are incomplete or make no sense.
        AccountNotFoundError: No account of that name.

    The file is opened when it is needed first, and may raise then what
    :class:`StorageEngine` raises.

    Example:
        >>> from mixpanel_data import Workspace
        >>> with Workspace.memory() as ws:
        ...     ws.sql_scalar("SELECT 1 + 1")
        2

    """

    def __init__(
        self,
        account: str | None = None,
        project_id: str | None = None,
        region: str | None = None,
        path: str | Path | None = None,
        read_only: bool = False,
        _config_manager: Manager | None = None,
        _api_client: APIClient | None = None,
        _storage: StorageEngine | None = None,
        *,
        timezone: str | None = None,
        clock_mode: str | None = None,
        base_url: str | None = None,
    ) -> None:
        self._closed = False
        self._manager: Any = ConfigManager() if _config_manager is None else _config_manager
        self._api_client: Any = _api_client
        self._given = _storage
        self._opened: StorageEngine | None = _storage
        self._path = None if path is None else Path(path)
        self._read_only = read_only
        self._credentials, self._no_credentials = self._resolve(account)
        found = self._credentials
        named = getattr(found, "account", None)
        self._account = account or (named if isinstance(named, str) else None)
        self._project_id = str(project_id or getattr(found, "project_id", "") or "")
        self._region = str(region or getattr(found, "region", "") or "").lower()
        self._timezone = timezone or self._option(found, "timezone", "MP_TIMEZONE") or "UTC"
        mode = clock_mode or self._option(found, "clock_mode", "MP_CLOCK_MODE") or "utc"
        self._clock_mode = "local" if mode in {"local", "local-as-utc"} else mode
        self._base_url = base_url or self._option(found, "base_url", "MP_BASE_URL")
        self._project: _core.Project | None = None

    @classmethod
    def memory(
        cls,
        account: str | None = None,
        project_id: str | None = None,
        region: str | None = None,
        _config_manager: Manager | None = None,
        _api_client: APIClient | None = None,
        *,
        spill_to: str | Path | None = None,
        memory_limit: int | None = None,
        threads: int | None = None,
        sealed: bool = False,
        **options: Any,
    ) -> Workspace:
        """A workspace in memory: no file is ever written, and all is gone on close.

        Best for small data, tests, and data that must not touch a disk; for
        large data prefer :meth:`ephemeral`. ``spill_to``, ``memory_limit``,
        ``threads`` and ``sealed`` are those of :meth:`StorageEngine.memory`, the
        others those of the class.

        Example:
            >>> with Workspace.memory() as ws:
            ...     info = ws.info()
            >>> info.path, info.size_mb, info.mode
            (None, 0.0, 'in-memory')

        """
        storage = StorageEngine.memory(spill_to=spill_to, memory_limit=memory_limit, threads=threads, sealed=sealed)
        return cls._on(storage, account, project_id, region, _config_manager, _api_client, options)

    @classmethod
    def ephemeral(
        cls,
        account: str | None = None,
        project_id: str | None = None,
        region: str | None = None,
        _config_manager: Manager | None = None,
        _api_client: APIClient | None = None,
        **options: Any,
    ) -> Workspace:
        """A workspace in a private temporary file that is removed on close.

        Example:
            >>> with Workspace.ephemeral() as ws:
            ...     path = ws.db_path
            >>> path.exists()
            False

        """
        storage = StorageEngine.ephemeral()
        return cls._on(storage, account, project_id, region, _config_manager, _api_client, options)

    @classmethod
    def _on(
        cls,
        storage: StorageEngine,
        account: str | None,
        project_id: str | None,
        region: str | None,
        manager: Manager | None,
        client: APIClient | None,
        options: dict[str, Any],
    ) -> Workspace:
        try:
            return cls(
                account=account,
                project_id=project_id,
                region=region,
                _config_manager=manager,
                _api_client=client,
                _storage=storage,
                **options,
            )
        except BaseException:
            storage.close()
            raise

    @classmethod
    def open(cls, path: str | Path, *, read_only: bool = True) -> Workspace:
        """Opens a local copy that exists, without credentials: for SQL.

        Raises:
            DatabaseNotFoundError: There is none (a ``FileNotFoundError``).

        """
        return cls(_config_manager=_Nobody(), _storage=StorageEngine.open_existing(path, read_only=read_only))

    @classmethod
    def open_snapshot(cls, path: str | Path, *, max_bytes: int | None = None) -> Workspace:
        """Opens a private copy of a local copy that another process may be writing.

        See :meth:`StorageEngine.open_snapshot`.
        """
        return cls(_config_manager=_Nobody(), _storage=StorageEngine.open_snapshot(path, max_bytes=max_bytes))

    def close(self) -> None:
        """Closes the database, and an injected client. Closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._opened is not None:
            self._opened.close()
        close = getattr(self._api_client, "close", None)
        if callable(close):
            close()

    def __enter__(self) -> Workspace:
        """The workspace itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the workspace."""
        self.close()

    def __repr__(self) -> str:
        """Project and place; no secrets."""
        place = self._opened or self._path or "not opened yet"
        return f"<Workspace project {self._project_id or UNKNOWN} {place}>"

    # Parts

    @property
    def storage(self) -> StorageEngine:
        """The storage engine underneath, opened when it is asked for first."""
        if self._opened is None:
            path = self._path or self._default_path()
            self._opened = StorageEngine(path=path, read_only=self._read_only)
        return self._opened

    @property
    def _storage(self) -> StorageEngine:
        return self.storage

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The DuckDB connection; see :attr:`StorageEngine.connection`."""
        return self.storage.connection

    @property
    def db_path(self) -> Path | None:
        """The database file; None in memory."""
        return self.storage.path

    @property
    def api(self) -> Any:
        """The injected API client; None when Mixpanel is asked directly."""
        return self._api_client

    # Fetching

    def fetch_events(
        self,
        name: str = "events",
        *,
        from_date: str | date,
        to_date: str | date,
        events: list[str] | None = None,
        where: str | None = None,
        limit: int | None = None,
        progress: bool = True,
        append: bool = False,
        replace: bool = False,
        batch_size: int = 1000,
        parallel: bool = True,
        max_workers: int | None = None,
        chunk_days: int | None = None,
        on_reject: OnReject = "quarantine",
        on_progress: Callable[[FetchProgress], None] | None = None,
    ) -> FetchResult:
        """Fetches days of events into a table, which is made if it is missing.

        Each chunk of days is stored in one transaction once it has arrived
        provably complete, or not at all. Fetching the same days again replaces
        them, so it is safe to repeat. Ctrl-C ends it; what is complete stays.

        Args:
            name: The table.
            from_date: First project day, inclusive, ``YYYY-MM-DD`` or a date.
            to_date: Last project day, inclusive.
            events: Only these events (exact names).
            where: Only events for which this expression of Mixpanel's is true.
            limit: At most so many events, 1 to 100,000; the days then count as
                partial.
            progress: Show a progress bar, in notebooks and terminals with tqdm.
            append: Add to a table that was fetched with other filters.
            replace: Swap the whole table for the new data, once it is complete.
            batch_size: Without effect; the library chooses its own.
            parallel: False: one request at a time.
            max_workers: How many downloads run at a time, 1 to 100; 4 unless
                told otherwise.
            chunk_days: So many days share a request; chosen by their size unless
                told otherwise.
            on_reject: ``"quarantine"`` keeps lines that cannot be stored in the
                table ``_quarantine`` and goes on, ``"fail"`` undoes the chunk.
            on_progress: Called from time to time, in this thread.

        Returns:
            What was fetched.

        Raises:
            ConfigError: No credentials.
            AuthenticationError, RateLimitError, ServerError, APIError: Mixpanel,
                or the way to it.
            FilterMismatchError: The table was fetched with other filters.
            InvalidArgumentError: Dates or options that make no sense.

        """
        first, last = _day("from_date", from_date), _day("to_date", to_date)
        _check("batch_size", batch_size, 100, 100_000)
        _check("limit", limit, 1, 100_000)
        _check("max_workers", max_workers, 1, 100)
        _check("chunk_days", chunk_days, 1, 100)
        if self._api_client is not None:
            return self._fetch_injected(name, first, last, events, where, limit, append, replace)
        days = (date.fromisoformat(last) - date.fromisoformat(first)).days + 1
        with reporting(days, progress, on_progress) as told:
            raw = _core.fetch_events(
                self.storage._opened(),
                self._require_project(),
                name,
                first,
                last,
                events=list(events or ()),
                where_=where,
                limit=limit,
                append=append,
                replace=replace,
                on_reject=on_reject,
                concurrency=max_workers if parallel else 1,
                days_per_request=chunk_days,
                progress=told,
            )
        return FetchResult._read(raw, "events")

    def sync(
        self,
        table: str = "events",
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        events: list[str] | None = None,
        where: str | None = None,
        window_days: int | None = None,
        max_age_seconds: float | None = None,
        max_workers: int | None = None,
        on_reject: OnReject = "quarantine",
        progress: bool = True,
        on_progress: Callable[[FetchProgress], None] | None = None,
    ) -> SyncResult:
        """Brings a table up to date: fetches the days that are missing, partial or stale, and no others.

        Args:
            table: The table; made if it is missing, and then ``from_date`` is needed.
            from_date: First project day; the table's own unless told otherwise.
            to_date: Last project day; today unless told otherwise.
            events: Events of a new table; one that exists keeps its own.
            where: Filter of a new table; one that exists keeps its own.
            window_days: Days after its end until which a day is fetched again; 5.
            max_age_seconds: Days within the window are fetched again when their
                copy is older; 3600.
            max_workers: How many downloads run at a time.
            on_reject: As in :meth:`fetch_events`.
            progress: As in :meth:`fetch_events`.
            on_progress: As in :meth:`fetch_events`.

        Raises:
            As :meth:`fetch_events`, when nothing could be fetched. If some ranges
            failed and others are stored, the result says so.

        """
        options = self._sync_options(table, from_date, to_date, window_days, max_age_seconds)
        options |= {"events": events, "where": where, "on_reject": on_reject, "concurrency": max_workers}
        with reporting(None, progress, on_progress) as told:
            raw = _core.sync(self.storage._opened(), self._require_project(), options, told)
        return SyncResult._read(raw)

    def plan(
        self,
        table: str = "events",
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        window_days: int | None = None,
        max_age_seconds: float | None = None,
    ) -> SyncPlan:
        """What :meth:`sync` would fetch. Nothing is sent."""
        options = self._sync_options(table, from_date, to_date, window_days, max_age_seconds)
        return SyncPlan._read(_core.plan(self.storage._opened(), self._timezone, self._clock_mode, options))

    def coverage(
        self,
        table: str = "events",
        *,
        from_date: str | date | None = None,
        to_date: str | date | None = None,
        window_days: int | None = None,
        max_age_seconds: float | None = None,
    ) -> Coverage:
        """What is here of a table, day by day.

        Raises:
            TableNotFoundError: There is no such table.

        """
        options = self._sync_options(table, from_date, to_date, window_days, max_age_seconds)
        return Coverage._read(_core.coverage(self.storage._opened(), self._timezone, self._clock_mode, options))

    # Asking

    def sql(self, query: str) -> pandas.DataFrame:
        """Runs SQL and returns a pandas DataFrame.

        Raises:
            QueryError: SQL that does not run.

        Example:
            >>> with Workspace.memory() as ws:
            ...     ws.sql("SELECT 42 AS answer").to_dict("records")
            [{'answer': 42}]

        """
        return self.storage.execute_df(query)

    def sql_scalar(self, query: str) -> Any:
        """Runs SQL and returns the first column of the first row; None if there is no row."""
        return self.storage.execute_scalar(query)

    def sql_rows(self, query: str) -> SQLResult:
        """Runs SQL and returns its rows as tuples."""
        return self.storage.execute_rows(query)

    def sql_arrow(self, query: str) -> pyarrow.RecordBatchReader:
        """Runs SQL as a stream of Arrow batches; see :meth:`StorageEngine.execute_arrow`."""
        return self.storage.execute_arrow(query)

    def sql_pl(self, query: str) -> polars.LazyFrame:
        """SQL as a Polars LazyFrame; see :meth:`StorageEngine.execute_pl`."""
        return self.storage.execute_pl(query)

    # What there is

    def info(self) -> WorkspaceInfo:
        """What this workspace is and holds."""
        storage = self.storage
        return WorkspaceInfo(
            path=storage.path,
            project_id=self._project_id or UNKNOWN,
            region=self._region or UNKNOWN,
            account=self._account,
            tables=[table.name for table in storage.list_tables()],
            size_mb=storage.size_bytes() / 1e6,
            created_at=storage.created_at(),
            mode=storage.mode,
            memory_bytes=storage.memory_bytes(),
        )

    def _repr_html_(self) -> str:
        """What :meth:`info` says, for notebooks."""
        return "<p>closed workspace</p>" if self._closed else self.info()._repr_html_()

    def tables(self) -> list[TableInfo]:
        """The tables, sorted by name."""
        return self.storage.list_tables()

    def table_schema(self, table: str) -> TableSchema:
        """The columns of a table or view; ``T_flat`` has every property of ``T``.

        Raises:
            TableNotFoundError: There is none of this name.

        """
        return self.storage.get_schema(table)

    def table_metadata(self, table: str) -> TableMetadata:
        """Where a table's rows come from."""
        return self.storage.get_metadata(table)

    def drop(self, *names: str) -> None:
        """Removes tables. When one of the names does not exist, none is removed.

        Raises:
            TableNotFoundError: One of the names does not exist.

        """
        storage = self.storage
        for name in names:
            storage.get_metadata(name)
        for name in names:
            storage.drop_table(name)

    def drop_all(self, type: TableType | None = None) -> None:
        """Removes all tables, or all of one kind."""
        for table in self.tables():
            if type is None or table.type == type:
                self.storage.drop_table(table.name)

    # Details

    def _resolve(self, account: str | None) -> tuple[Any, ConfigError | None]:
        try:
            return self._manager.resolve_credentials(account), None
        except ConfigError as error:
            # None at all is only an error when they are needed.
            if account is None and str(error.message) == "there are no credentials":
                return None, error
            raise

    def _option(self, found: object, name: str, variable: str) -> str | None:
        value = getattr(found, name, None)
        if isinstance(value, str) and value:
            return value
        if isinstance(self._manager, ConfigManager):
            return self._manager.setting(variable)
        return None

    def _default_path(self) -> Path:
        manager = self._manager if isinstance(self._manager, ConfigManager) else ConfigManager()
        if named := manager.setting("MP_DB"):
            return Path(named)
        if not self._project_id:
            hint = "Workspace(path=…), Workspace.memory() or Workspace.ephemeral()"
            raise ConfigError("no database is named, and there is no project id to name one by", suggestion=hint)
        return manager.data_folder() / f"{self._project_id}.duckdb"

    def _require_project(self) -> _core.Project:
        if self._project is None:
            self._project = self._make_project()
        return self._project

    def _make_project(self) -> _core.Project:
        found = self._credentials
        if found is None:
            raise self._no_credentials or ConfigError("this workspace has no credentials: it reads local data only")
        if self._project_id and not self._project_id.isdecimal():
            raise ConfigError(f"the project id {self._project_id!r} is not a number")
        manager = self._manager if isinstance(self._manager, ConfigManager) else ConfigManager()
        credentials = Credentials(str(found.username), str(found.secret), self._project_id, self._region or "us")
        try:
            return _core.Project(
                username=credentials.username or None,
                secret=credentials.secret,
                project_id=int(self._project_id) if self._project_id else None,
                region=credentials.region,
                base_url=self._base_url,
                account=self._account,
                timezone=self._timezone,
                clock_mode=self._clock_mode,
                budget_folder=manager.state_folder() / "budget",
            )
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def _sync_options(
        self,
        table: str,
        from_date: str | date | None,
        to_date: str | date | None,
        window_days: int | None,
        max_age_seconds: float | None,
    ) -> dict[str, Any]:
        return {
            "table": table,
            "from_date": None if from_date is None else _day("from_date", from_date),
            "to_date": None if to_date is None else _day("to_date", to_date),
            "window_days": window_days,
            "max_age_seconds": max_age_seconds,
        }

    def _fetch_injected(
        self,
        name: str,
        first: str,
        last: str,
        events: list[str] | None,
        where: str | None,
        limit: int | None,
        append: bool,
        replace: bool,
    ) -> FetchResult:
        """Stores what an injected client exports, as records: without a ledger of days."""
        from datetime import datetime, timezone
        from time import monotonic

        began, now = monotonic(), datetime.now(timezone.utc)
        storage = self.storage
        if replace or (append and not storage.table_exists(name)):
            append = False
        if storage.table_exists(name) and not append and not replace:
            hint = "append=True or replace=True"
            raise TableExistsError(f'table "{name}" exists already', table_name=name, suggestion=hint)
        exported = self._api_client.export_events(
            from_date=first, to_date=last, events=events, where=where, limit=limit
        )
        records: Iterator[dict[str, Any]] = map(record_of_event, exported)
        metadata = TableMetadata("events", now, first, last, events, where)
        if replace and storage.table_exists(name):
            # Complete before the old rows go.
            records = iter(list(records))
            storage.drop_table(name)
        write = storage.append_events_table if append else storage.create_events_table
        rows = write(name, records, metadata)
        total = next(table.row_count for table in storage.list_tables() if table.name.lower() == name.lower())
        return FetchResult(
            table=name,
            rows=rows,
            type="events",
            duration_seconds=monotonic() - began,
            date_range=(first, last),
            fetched_at=now,
            lines=rows,
            total_rows=total,
        )


class _Nobody:
    """A manager without credentials."""

    def resolve_credentials(self, account: str | None = None) -> None:
        """Nothing: local data only."""
        del account


def _day(name: str, value: str | date) -> str:
    text = value.isoformat()[:10] if isinstance(value, date) else value
    try:
        if len(text) == 10:
            return date.fromisoformat(text).isoformat()
    except (TypeError, ValueError):
        pass
    raise InvalidArgumentError(f"{name} is {value!r}, and must be a day as YYYY-MM-DD", argument=name)


def _check(name: str, value: int | None, low: int, high: int) -> None:
    if value is not None and not low <= value <= high:
        raise InvalidArgumentError(f"{name} is {value}, and must be {low:,} to {high:,}", argument=name)
