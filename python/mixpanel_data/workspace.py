"""``Workspace``: a project's local copy. What fills it and what can be asked is in its bases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixpanel_data import _core
from mixpanel_data._api import API
from mixpanel_data._ask_local import LocalQuestions
from mixpanel_data._ask_project import Discovery
from mixpanel_data._ask_queries import Queries
from mixpanel_data._ask_reports import Reports
from mixpanel_data._fetching import Fetching
from mixpanel_data._later import Later
from mixpanel_data._loading import Loading
from mixpanel_data._streams import Streams
from mixpanel_data.auth import ConfigManager, Credentials
from mixpanel_data.exceptions import ClosedError, ConfigError, InvalidArgumentError
from mixpanel_data.storage import StorageEngine

if TYPE_CHECKING:
    import duckdb
    import pandas
    import polars
    import pyarrow

    from mixpanel_data import types
    from mixpanel_data._injected import APIClient, Manager
else:
    types = Later("mixpanel_data.types")

__all__ = ["Workspace"]

UNKNOWN = "unknown"


class Workspace(Fetching, Loading, Streams, LocalQuestions, Discovery, Queries, Reports):
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
        _api_client: Used in place of Mixpanel. Anything with ``export_events(from_date,
            to_date, events=…, where=…, limit=…)``, ``export_profiles(…)`` and, for live
            queries, methods named as those here.

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
        for name in ("path", "read_only"):
            if name in options:
                storage.close()
                message = (
                    f"{name} makes no sense here: workspaces in memory or in a temporary file have a place of their own"
                )
                raise InvalidArgumentError(message, argument=name, suggestion="Workspace(path=…) keeps a file")
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

    @staticmethod
    def test_credentials(account: str | None = None) -> dict[str, Any]:
        """Asks Mixpanel with the credentials of an account, or the usual ones. One query of 60 an hour.

        Returns:
            ``success``, ``account``, ``project_id``, ``region`` and ``events_found``, the number of
            events that Mixpanel names.

        Raises:
            ConfigError: There are no credentials.
            AuthenticationError, APIError: They are refused, or Mixpanel cannot be asked.

        """
        with Workspace(account) as ws:
            found = len(ws.events())
            return {
                "success": True,
                "account": ws._account,
                "project_id": ws._project_id,
                "region": ws._region or "us",
                "events_found": found,
            }

    @classmethod
    def open(cls, path: str | Path, *, read_only: bool = True, sealed: bool = False) -> Workspace:
        """Opens a local copy that exists, without credentials: for SQL.

        With ``sealed``, SQL reaches nothing but the database: :meth:`StorageEngine.seal`.

        Raises:
            DatabaseNotFoundError: There is none (a ``FileNotFoundError``).

        """
        storage = StorageEngine.open_existing(path, read_only=read_only, sealed=sealed)
        return cls(_config_manager=_Nobody(), _storage=storage)

    @classmethod
    def open_snapshot(cls, path: str | Path, *, max_bytes: int | None = None, sealed: bool = False) -> Workspace:
        """Opens a private copy of a local copy that another process may be writing.

        See :meth:`StorageEngine.open_snapshot`.
        """
        storage = StorageEngine.open_snapshot(path, max_bytes=max_bytes, sealed=sealed)
        return cls(_config_manager=_Nobody(), _storage=storage)

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
            if self._closed:
                raise ClosedError("the workspace is closed", suggestion="open it again")
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
        """A way to Mixpanel for what has no method here: :class:`API`, or the injected client."""
        return API(self) if self._api_client is None else self._api_client

    # SQL

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

    def sql_rows(self, query: str) -> types.SQLResult:
        """Runs SQL and returns its rows as tuples."""
        return self.storage.execute_rows(query)

    def sql_arrow(self, query: str) -> pyarrow.RecordBatchReader:
        """Runs SQL as a stream of Arrow batches; see :meth:`StorageEngine.execute_arrow`."""
        return self.storage.execute_arrow(query)

    def sql_pl(self, query: str) -> polars.LazyFrame:
        """SQL as a Polars LazyFrame; see :meth:`StorageEngine.execute_pl`."""
        return self.storage.execute_pl(query)

    # What there is

    def info(self) -> types.WorkspaceInfo:
        """What this workspace is and holds."""
        storage = self.storage
        return types.WorkspaceInfo(
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

    def tables(self) -> list[types.TableInfo]:
        """The tables, sorted by name: events and profiles, and tables and views that SQL has made."""
        return self.storage.list_all_tables()

    def table_schema(self, table: str) -> types.TableSchema:
        """The columns of a table or view; ``T_flat`` has every property of ``T``.

        Raises:
            TableNotFoundError: There is none of this name.

        """
        return self.storage.get_schema(table)

    def table_metadata(self, table: str) -> types.TableMetadata:
        """Where a table's rows come from."""
        return self.storage.get_metadata(table)

    def drop(self, *names: str) -> None:
        """Removes tables, also tables and views that SQL has made.

        When one of the names does not exist, none is removed.

        Raises:
            TableNotFoundError: One of the names does not exist.

        """
        storage = self.storage
        for name in names:
            if not storage.table_exists(name):
                storage.get_metadata(name)
        for name in names:
            storage.drop_table(name)

    def drop_all(self, type: types.TableType | None = None) -> None:
        """Removes all tables of events and profiles, or all of one kind. What SQL has made stays."""
        for table in self.storage.list_tables():
            if type is None or table.type == type:
                self.storage.drop_table(table.name)

    # Details

    def clear_discovery_cache(self) -> None:
        """Forgets what discovery has kept, so that it is asked for again."""
        if self._project is not None:
            self._project.clear_discovery_cache()

    def _ask_mixpanel(self, question: str, arguments: dict[str, Any]) -> tuple[Any, _core.ArrowRows | None]:
        if self._api_client is None:
            return _core.ask_mixpanel(self._require_project(), question, arguments)
        answering = getattr(self._api_client, question, None)
        if answering is None:
            raise ConfigError(f"the injected API client has no method {question}")
        return answering(**arguments), None

    def _project_if_any(self) -> _core.Project | None:
        return None if self._credentials is None or self._api_client is not None else self._require_project()

    def _in_memory(self) -> bool:
        return self._opened is not None and self._opened.mode == "in-memory"

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
            raise ConfigError("no database is given, and there is no project id to name one after", suggestion=hint)
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
                network=manager.network(),
            )
        except ValueError as error:
            raise ConfigError(str(error)) from None


class _Nobody:
    """A manager without credentials."""

    def resolve_credentials(self, account: str | None = None) -> None:
        """Nothing: local data only."""
        del account
