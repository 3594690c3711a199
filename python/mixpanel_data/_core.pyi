import os
from collections.abc import Callable, Iterator
from typing import Any, final

import duckdb

__all__ = [
    "ArrowRows",
    "Engine",
    "Project",
    "Stream",
    "__version__",
    "ask_local",
    "ask_mixpanel",
    "coverage",
    "fetch_events",
    "fetch_profiles",
    "load_events",
    "plan",
    "refuse_fixed_settings",
    "run_command_line",
    "stream_events",
    "stream_profiles",
    "sweep_ephemeral_files",
    "sync",
]

__version__: str

@final
class ArrowRows:
    @property
    def columns(self) -> list[str]: ...
    def __arrow_c_stream__(self, requested_schema: Any | None = None) -> Any: ...

@final
class Stream:
    def block(self) -> list[str] | None: ...
    def unknown_names(self) -> list[str]: ...

@final
class Engine:
    @staticmethod
    def open(path: str | os.PathLike[str]) -> Engine: ...
    @staticmethod
    def open_existing(path: str | os.PathLike[str], read_only: bool) -> Engine: ...
    @staticmethod
    def open_snapshot(path: str | os.PathLike[str], max_bytes: int | None) -> Engine: ...
    @staticmethod
    def ephemeral() -> Engine: ...
    @staticmethod
    def memory(
        spill_to: str | os.PathLike[str] | None,
        memory_limit: int | None,
        threads: int | None,
        sealed: bool,
    ) -> Engine: ...
    def seal(self) -> None: ...
    def admit(self, sql: str) -> None: ...
    @property
    def is_sealed(self) -> bool: ...
    @property
    def connection(self) -> duckdb.DuckDBPyConnection: ...
    @property
    def path(self) -> str | os.PathLike[str] | None: ...
    @property
    def mode(self) -> str: ...
    @property
    def read_only(self) -> bool: ...
    def protect_log(self) -> None: ...
    def size_bytes(self) -> int: ...
    def memory_bytes(self) -> int | None: ...
    def created_at(self) -> str | None: ...
    def interrupt(self) -> None: ...
    def suggestion(self, sql: str, message: str) -> str | None: ...
    def close(self) -> None: ...
    def list_tables(self) -> list[dict[str, Any]]: ...
    def list_all_tables(self) -> list[dict[str, Any]]: ...
    def table_exists(self, name: str) -> bool: ...
    def get_schema(self, name: str) -> dict[str, Any]: ...
    def get_metadata(self, name: str) -> dict[str, Any]: ...
    def drop_table(self, name: str) -> None: ...
    def write_records(
        self,
        name: str,
        create: bool,
        rows: Iterator[Any],
        metadata: dict[str, Any],
        progress: Callable[[int], None] | None,
    ) -> int: ...
    def write_arrow(
        self,
        name: str,
        create: bool,
        data: Any,
        metadata: dict[str, Any],
        progress: Callable[[int], None] | None,
    ) -> int: ...

@final
class Project:
    def __new__(
        cls,
        *,
        username: str | None = None,
        secret: str,
        project_id: int | None = None,
        region: str,
        base_url: str | None = None,
        account: str | None = None,
        timezone: str = "UTC",
        clock_mode: str = "utc",
        budget_folder: str | os.PathLike[str] | None = None,
        retries: int | None = None,
        network: dict[str, str] | None = None,
    ) -> Project: ...
    def clear_discovery_cache(self) -> None: ...

def ask_local(
    engine: Engine, project: Project | None, question: str, arguments: dict[str, Any]
) -> tuple[Any, ArrowRows]: ...
def ask_mixpanel(project: Project, question: str, arguments: dict[str, Any]) -> tuple[Any, ArrowRows]: ...
def fetch_events(
    engine: Engine,
    project: Project,
    table: str,
    from_date: str,
    to_date: str,
    *,
    events: list[str] = ...,
    where_: str | None = None,
    limit: int | None = None,
    append: bool = False,
    replace: bool = False,
    on_reject: str = "quarantine",
    concurrency: int | None = None,
    days_per_request: int | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]: ...
def load_events(
    engine: Engine,
    table: str,
    files: list[str],
    options: dict[str, Any],
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]: ...
def fetch_profiles(
    engine: Engine,
    project: Project,
    table: str,
    request: dict[str, Any],
    *,
    append: bool = False,
    replace: bool = False,
    on_reject: str = "quarantine",
    concurrency: int | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]: ...
def stream_events(
    project: Project,
    from_date: str,
    to_date: str,
    *,
    events: list[str] = ...,
    where_: str | None = None,
    limit: int | None = None,
    raw: bool = False,
    in_memory: bool = False,
) -> Stream: ...
def stream_profiles(
    project: Project, request: dict[str, Any], *, raw: bool = False, in_memory: bool = False
) -> Stream: ...
def sync(
    engine: Engine,
    project: Project,
    options: dict[str, Any],
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]: ...
def plan(engine: Engine, timezone: str, clock_mode: str, options: dict[str, Any]) -> dict[str, Any]: ...
def coverage(engine: Engine, timezone: str, clock_mode: str, options: dict[str, Any]) -> dict[str, Any]: ...
def refuse_fixed_settings(connection: duckdb.DuckDBPyConnection, sql: str) -> None: ...
def run_command_line(words: list[str]) -> int: ...
def sweep_ephemeral_files() -> int: ...
