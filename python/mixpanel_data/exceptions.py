"""What can go wrong, as exceptions.

Every exception has a ``code`` for programs, ``details`` with the facts, a
``suggestion`` of what to try next (or ``None``) and ``to_dict()`` for logs.
Where Python has a class for the same thing, ours is one of those as well:
wrong arguments are ``ValueError``, files are ``OSError``, memory is
``MemoryError``, anything closed is ``RuntimeError``.

    MixpanelDataError
    ├── APIError                  Mixpanel's API, or the way to it
    │   ├── AuthenticationError   credentials refused
    │   ├── RateLimitError        too many requests
    │   ├── QueryError            a request or SQL that is refused; SQL has status 0
    │   │   ├── JQLSyntaxError    JQL that does not parse
    │   │   ├── ReadOnlyError     a write to something opened for reading
    │   │   └── SealedError       SQL that a sealed database does not answer
    │   └── ServerError           Mixpanel failed
    ├── ConfigError               no or broken credentials
    │   ├── AccountNotFoundError
    │   └── AccountExistsError
    ├── EventNotFoundError
    ├── InvalidArgumentError      (ValueError)
    │   ├── DateRangeTooLargeError
    │   ├── DefinitionMismatchError   another project or clock than the table's own
    │   ├── FilterMismatchError   other filters than the table's own
    │   └── InvalidRecordError    a record that cannot be stored
    ├── TableExistsError, TableNotFoundError
    ├── NotLoadableError          (ValueError) a file that cannot be loaded
    ├── StorageIOError            (OSError)
    │   ├── NotADatabaseError
    │   ├── DatabaseNotFoundError (FileNotFoundError)
    │   ├── LoadFileNotFoundError (FileNotFoundError)
    │   └── DatabaseLockedError
    ├── OutOfMemoryError          (MemoryError)
    ├── ClosedError               (RuntimeError)
    ├── NestedCallError           (RuntimeError) a write from within a write
    ├── ConflictError             another writer was first
    └── CancelledError            interrupted from another thread
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "APIError",
    "AccountExistsError",
    "AccountNotFoundError",
    "AuthenticationError",
    "CancelledError",
    "ClosedError",
    "ConfigError",
    "ConflictError",
    "DatabaseLockedError",
    "DatabaseNotFoundError",
    "DateRangeTooLargeError",
    "DefinitionMismatchError",
    "EventNotFoundError",
    "FilterMismatchError",
    "InvalidArgumentError",
    "InvalidRecordError",
    "JQLSyntaxError",
    "LoadFileNotFoundError",
    "MixpanelDataError",
    "NestedCallError",
    "NotADatabaseError",
    "NotLoadableError",
    "OutOfMemoryError",
    "QueryError",
    "RateLimitError",
    "ReadOnlyError",
    "SealedError",
    "ServerError",
    "StorageIOError",
    "TableExistsError",
    "TableNotFoundError",
    "UnknownNameWarning",
]


class MixpanelDataError(Exception):
    """The base of all exceptions of this package.

    Args:
        message: What happened.
        code: A stable name for programs; the class has its own.
        details: Facts, as plain values.
        suggestion: What to try next.

    """

    default_code = "UNKNOWN_ERROR"

    def __init__(
        self,
        message: str,
        code: str | None = None,
        details: Mapping[str, Any] | None = None,
        *,
        suggestion: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.details: dict[str, Any] = {name: value for name, value in (details or {}).items() if value is not None}
        self.suggestion = suggestion

    def __str__(self) -> str:
        """The message, and what to try next."""
        return f"{self.message} ({self.suggestion})" if self.suggestion else self.message

    def __repr__(self) -> str:
        """Class, message and code."""
        return f"{type(self).__name__}({self.message!r}, code={self.code!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles by state: constructors differ."""
        return _restore, (type(self), self.args, dict(self.__dict__))

    def to_dict(self) -> dict[str, Any]:
        """``{"code", "message", "details"}``, for logs and JSON."""
        details = dict(self.details)
        if self.suggestion is not None:
            details["suggestion"] = self.suggestion
        return {"code": self.code, "message": self.message, "details": details}


def _restore(kind: type[MixpanelDataError], args: tuple[Any, ...], state: dict[str, Any]) -> MixpanelDataError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class APIError(MixpanelDataError):
    """Mixpanel's API refused or failed, or could not be reached (status 0)."""

    default_code = "API_ERROR"

    def __init__(
        self,
        message: str,
        *,
        status_code: int = 0,
        response_body: object = None,
        request_method: str | None = None,
        request_url: str | None = None,
        request_params: Mapping[str, Any] | None = None,
        request_body: object = None,
        code: str | None = None,
        suggestion: str | None = None,
    ) -> None:
        self.status_code = status_code
        self.response_body = response_body
        self.request_method = request_method
        self.request_url = request_url
        self.request_params = request_params
        self.request_body = request_body
        details = {
            "status_code": status_code,
            "response_body": response_body,
            "request_method": request_method,
            "request_url": request_url,
            "request_params": request_params,
            "request_body": request_body,
        }
        super().__init__(message, code, details, suggestion=suggestion)


class AuthenticationError(APIError):
    """The credentials were not accepted."""

    default_code = "AUTH_FAILED"

    def __init__(self, message: str = "the credentials were not accepted", **fields: Any) -> None:
        super().__init__(message, **{"status_code": 401, **fields})


class RateLimitError(APIError):
    """Too many requests; ``retry_after`` is in seconds, if Mixpanel says it."""

    default_code = "RATE_LIMITED"

    def __init__(self, message: str = "too many requests", *, retry_after: int | None = None, **fields: Any) -> None:
        super().__init__(message, **{"status_code": 429, **fields})
        self.retry_after = retry_after
        if retry_after is not None:
            self.details["retry_after"] = retry_after


class QueryError(APIError):
    """A request that Mixpanel refuses, or SQL that does not run (``status_code`` 0).

    For SQL, ``response_body`` has ``query`` and ``error``.
    """

    default_code = "QUERY_FAILED"

    def __init__(self, message: str = "the query was refused", **fields: Any) -> None:
        super().__init__(message, **fields)


class JQLSyntaxError(QueryError):
    """JQL that Mixpanel could not run."""

    default_code = "JQL_SYNTAX_ERROR"


class ReadOnlyError(QueryError):
    """A write to a database that was opened for reading only."""

    default_code = "READ_ONLY"


class SealedError(QueryError):
    """A sealed database does not do what SQL asks: it answers one query at a time, and reaches no file."""

    default_code = "SEALED"


class ServerError(APIError):
    """Mixpanel failed or is overloaded; try again later."""

    default_code = "SERVER_ERROR"

    def __init__(self, message: str = "Mixpanel failed", **fields: Any) -> None:
        super().__init__(message, **{"status_code": 500, **fields})


class EventNotFoundError(MixpanelDataError):
    """An event of this name does not exist; ``similar_events`` may be meant.

    Made by hand, the name alone is enough: ``EventNotFoundError("Purchse", ["Purchase"])``.
    """

    default_code = "EVENT_NOT_FOUND"

    def __init__(
        self,
        message: str,
        similar_events: Sequence[str] | None = None,
        *,
        event_name: str | None = None,
        suggestion: str | None = None,
    ) -> None:
        self.similar_events = list(similar_events or ())
        if event_name is None:
            like = f"; similar: {', '.join(self.similar_events)}" if self.similar_events else ""
            event_name, message = message, f"there is no event {message!r}{like}"
        self.event_name = event_name
        details = {"event_name": event_name, "similar_events": self.similar_events}
        super().__init__(message, details=details, suggestion=suggestion)


class ConfigError(MixpanelDataError):
    """Credentials or settings are missing or make no sense."""

    default_code = "CONFIG_ERROR"


class AccountNotFoundError(ConfigError):
    """The configuration has no account of this name."""

    default_code = "ACCOUNT_NOT_FOUND"

    def __init__(self, account_name: str, available_accounts: Sequence[str] = ()) -> None:
        self.account_name = account_name
        self.available_accounts = list(available_accounts)
        known = ", ".join(self.available_accounts) or "none"
        details = {"account_name": account_name, "available_accounts": self.available_accounts}
        # The first argument of Workspace is an account, and what people give is often a file.
        is_file = account_name.endswith((".duckdb", ".db")) or "/" in account_name
        suggestion = f"for a file: Workspace(path={account_name!r})" if is_file else None
        message = f"there is no account {account_name!r}; accounts: {known}"
        super().__init__(message, details=details, suggestion=suggestion)


class AccountExistsError(ConfigError):
    """The configuration has an account of this name already."""

    default_code = "ACCOUNT_EXISTS"

    def __init__(self, account_name: str) -> None:
        self.account_name = account_name
        super().__init__(f"account {account_name!r} exists already", details={"account_name": account_name})


class InvalidArgumentError(MixpanelDataError, ValueError):
    """An argument that makes no sense; nothing was done."""

    default_code = "INVALID_ARGUMENT"

    def __init__(
        self,
        message: str,
        *,
        argument: str | None = None,
        details: Mapping[str, Any] | None = None,
        suggestion: str | None = None,
    ) -> None:
        self.argument = argument
        super().__init__(message, details={"argument": argument, **(details or {})}, suggestion=suggestion)


class DateRangeTooLargeError(InvalidArgumentError):
    """More days than one call takes."""

    default_code = "DATE_RANGE_TOO_LARGE"

    def __init__(self, from_date: str, to_date: str, days_requested: int, max_days: int = 100) -> None:
        self.from_date, self.to_date = from_date, to_date
        self.days_requested, self.max_days = days_requested, max_days
        details = {
            "from_date": from_date,
            "to_date": to_date,
            "days_requested": days_requested,
            "max_days": max_days,
        }
        message = f"{from_date} to {to_date} are {days_requested} days; one call takes {max_days}"
        super().__init__(message, argument="to_date", details=details)


class FilterMismatchError(InvalidArgumentError):
    """The table was fetched with other filters; nothing was fetched."""

    default_code = "FILTER_MISMATCH"

    def __init__(self, message: str, *, table_name: str, suggestion: str | None = None) -> None:
        self.table_name = table_name
        super().__init__(message, details={"table_name": table_name}, suggestion=suggestion)


class DefinitionMismatchError(InvalidArgumentError):
    """The table is a copy of another project, or was filled under another clock; nothing was changed.

    ``existing`` is what the table was filled with, ``requested`` what was asked for, both in words.
    """

    default_code = "DEFINITION_MISMATCH"

    def __init__(
        self,
        message: str,
        *,
        table_name: str,
        existing: str = "",
        requested: str = "",
        suggestion: str | None = None,
    ) -> None:
        self.table_name = table_name
        self.existing = existing
        self.requested = requested
        details = {"table_name": table_name, "existing": existing, "requested": requested}
        super().__init__(message, details=details, suggestion=suggestion)


class InvalidRecordError(InvalidArgumentError):
    """A record that cannot be stored; the whole call was undone.

    ``row`` is its position, from 1; ``field`` the field, if one is at fault.
    """

    default_code = "INVALID_RECORD"

    def __init__(self, message: str, *, row: int, field: str | None = None, suggestion: str | None = None) -> None:
        self.row = row
        self.field = field
        super().__init__(message, argument="data", details={"row": row, "field": field}, suggestion=suggestion)

    def _in_field(self, field: str) -> None:
        self.field = field
        self.details["field"] = field


class TableExistsError(MixpanelDataError):
    """A table of this name exists already; nothing was changed.

    Made by hand, the name alone is enough.
    """

    default_code = "TABLE_EXISTS"

    def __init__(self, message: str, *, table_name: str | None = None, suggestion: str | None = None) -> None:
        if table_name is None:
            table_name, message = message, f"table {message!r} exists already"
        self.table_name = table_name
        super().__init__(message, details={"table_name": table_name}, suggestion=suggestion)


class TableNotFoundError(MixpanelDataError):
    """There is no table of this name; ``available_tables`` are there.

    Made by hand, the name alone is enough.
    """

    default_code = "TABLE_NOT_FOUND"

    def __init__(
        self,
        message: str,
        *,
        table_name: str | None = None,
        available_tables: Sequence[str] = (),
        suggestion: str | None = None,
    ) -> None:
        if table_name is None:
            table_name, message = message, f"there is no table {message!r}"
        self.table_name = table_name
        self.available_tables = list(available_tables)
        details = {"table_name": table_name, "available_tables": self.available_tables}
        super().__init__(message, details=details, suggestion=suggestion)


class StorageIOError(MixpanelDataError, OSError):
    """The file system refuses or fails: permission, no room, any other."""

    default_code = "STORAGE_IO"

    def __init__(
        self,
        message: str,
        *,
        db_path: object = None,
        details: Mapping[str, Any] | None = None,
        suggestion: str | None = None,
    ) -> None:
        self.db_path = None if db_path is None else str(db_path)
        super().__init__(message, details={"db_path": self.db_path, **(details or {})}, suggestion=suggestion)


class NotADatabaseError(StorageIOError):
    """Not a DuckDB database, a damaged one, or one of a newer version. It was not touched."""

    default_code = "NOT_A_DATABASE"


class DatabaseNotFoundError(StorageIOError, FileNotFoundError):
    """The database file does not exist. Made by hand, its path alone is enough."""

    default_code = "DATABASE_NOT_FOUND"

    def __init__(
        self,
        message: str | os.PathLike[str],
        *,
        db_path: object = None,
        details: Mapping[str, Any] | None = None,
        suggestion: str | None = None,
    ) -> None:
        if db_path is None:
            db_path, message = message, f"there is no database {os.fspath(message)}"
        super().__init__(os.fspath(message), db_path=db_path, details=details, suggestion=suggestion)


class LoadFileNotFoundError(StorageIOError, FileNotFoundError):
    """There is no file to load."""

    default_code = "FILE_NOT_FOUND"

    def __init__(self, message: str, *, path: object = None, suggestion: str | None = None) -> None:
        self.path = None if path is None else str(path)
        super().__init__(message, details={"path": self.path}, suggestion=suggestion)


class NotLoadableError(MixpanelDataError, ValueError):
    """A file that cannot be loaded: it holds no events, or it is cut or damaged.

    ``file`` is its name, ``line`` the line, element or record that shows it, if one does. Nothing of
    it was stored.
    """

    default_code = "NOT_LOADABLE"

    def __init__(
        self, message: str, *, file: str | None = None, line: int | None = None, suggestion: str | None = None
    ) -> None:
        self.file = file
        self.line = line
        super().__init__(message, details={"file": file, "line": line}, suggestion=suggestion)


class DatabaseLockedError(StorageIOError):
    """Another process, or something else in this one, has the file open.

    ``holding_pid`` is the process that holds it, if DuckDB names it;
    ``holding_command`` the first words of its command, such as ``mp shell``.
    Made by hand, its path alone is enough.
    """

    default_code = "DATABASE_LOCKED"

    def __init__(
        self,
        message: str | os.PathLike[str],
        holding_pid: int | None = None,
        *,
        db_path: object = None,
        holding_command: str | None = None,
        suggestion: str | None = None,
    ) -> None:
        if db_path is None:
            by = "" if holding_pid is None else f" by process {holding_pid}"
            db_path, message = message, f"{os.fspath(message)} is in use{by}"
        self.holding_pid = holding_pid
        self.holding_command = holding_command
        details = {"holding_pid": holding_pid, "holding_command": holding_command}
        super().__init__(os.fspath(message), db_path=db_path, details=details, suggestion=suggestion)


class OutOfMemoryError(MixpanelDataError, MemoryError):
    """DuckDB's memory limit is reached; the statement was undone."""

    default_code = "OUT_OF_MEMORY"


class ClosedError(MixpanelDataError, RuntimeError):
    """The storage engine or workspace was closed."""

    default_code = "CLOSED"


class NestedCallError(MixpanelDataError, RuntimeError):
    """A write from within the iterator or callback of a write to the same database, which would wait for itself."""

    default_code = "NESTED_CALL"


class ConflictError(MixpanelDataError):
    """Another writer changed the same table at once; this one was undone."""

    default_code = "CONFLICT"


class CancelledError(MixpanelDataError):
    """The call was interrupted; what was not complete was undone."""

    default_code = "CANCELLED"


class UnknownNameWarning(UserWarning):
    """A name was asked for that is not there, as far as is known; so nothing was found of it."""
