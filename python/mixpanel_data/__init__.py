"""A complete local copy of a Mixpanel project's raw data, in DuckDB.

>>> import mixpanel_data as mp
>>> with mp.Workspace.memory() as ws:
...     ws.connection.execute("CREATE TABLE answers AS SELECT 42 AS answer")  # doctest: +ELLIPSIS
...     ws.sql_scalar("SELECT answer FROM answers")
<...>
42

The rules of storing (names, duplicates, transactions, the ledger of days) are
those of the Rust library of the same name; DuckDB is the ``duckdb`` package.
"""

from mixpanel_data._core import __version__
from mixpanel_data.exceptions import (
    AccountExistsError,
    AccountNotFoundError,
    APIError,
    AuthenticationError,
    CancelledError,
    ClosedError,
    ConfigError,
    ConflictError,
    DatabaseLockedError,
    DatabaseNotFoundError,
    DateRangeTooLargeError,
    EventNotFoundError,
    FilterMismatchError,
    InvalidArgumentError,
    InvalidRecordError,
    JQLSyntaxError,
    MixpanelDataError,
    NotADatabaseError,
    OutOfMemoryError,
    QueryError,
    RateLimitError,
    ReadOnlyError,
    ServerError,
    StorageIOError,
    TableExistsError,
    TableNotFoundError,
)
from mixpanel_data.storage import StorageEngine
from mixpanel_data.types import (
    ChunkReport,
    ColumnInfo,
    Coverage,
    DayCoverage,
    FailedRange,
    FetchProgress,
    FetchResult,
    PlannedRequest,
    SQLResult,
    SyncPlan,
    SyncResult,
    TableInfo,
    TableMetadata,
    TableSchema,
    TableType,
    WorkspaceInfo,
)
from mixpanel_data.workspace import Workspace

__all__ = [
    "APIError",
    "AccountExistsError",
    "AccountNotFoundError",
    "AuthenticationError",
    "CancelledError",
    "ChunkReport",
    "ClosedError",
    "ColumnInfo",
    "ConfigError",
    "ConflictError",
    "Coverage",
    "DatabaseLockedError",
    "DatabaseNotFoundError",
    "DateRangeTooLargeError",
    "DayCoverage",
    "EventNotFoundError",
    "FailedRange",
    "FetchProgress",
    "FetchResult",
    "FilterMismatchError",
    "InvalidArgumentError",
    "InvalidRecordError",
    "JQLSyntaxError",
    "MixpanelDataError",
    "NotADatabaseError",
    "OutOfMemoryError",
    "PlannedRequest",
    "QueryError",
    "RateLimitError",
    "ReadOnlyError",
    "SQLResult",
    "ServerError",
    "StorageEngine",
    "StorageIOError",
    "SyncPlan",
    "SyncResult",
    "TableExistsError",
    "TableInfo",
    "TableMetadata",
    "TableNotFoundError",
    "TableSchema",
    "TableType",
    "Workspace",
    "WorkspaceInfo",
    "__version__",
]
