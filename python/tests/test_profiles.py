"""Profiles and streams, from the simulator."""

from __future__ import annotations

import os
import signal
import threading
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING
from unittest.mock import MagicMock

import pytest

from mixpanel_data import (
    AuthenticationError,
    FilterMismatchError,
    InvalidArgumentError,
    ProfileProgress,
    TableExistsError,
    Workspace,
)

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Simulator

JUNE = {"from_date": "2025-06-01", "to_date": "2025-06-05"}


def test_all_profiles_are_a_snapshot(workspace: Workspace) -> None:
    seen: list[tuple[ProfileProgress, int]] = []
    result = workspace.fetch_profiles(on_progress=lambda state: seen.append((state, threading.get_ident())))
    assert (result.table, result.type, result.snapshot, result.date_range) == ("profiles", "profiles", True, None)
    assert result.results == result.rows + result.duplicates + result.rejects
    assert result.rows == workspace.sql_scalar("SELECT count(*) FROM profiles") > 0
    assert workspace.sql_scalar("SELECT count(DISTINCT distinct_id) FROM profiles_flat") == result.rows
    assert seen[-1][0].results == result.results
    assert {thread for _, thread in seen} == {threading.get_ident()}
    again = workspace.fetch_profiles()
    assert (again.updated, again.vanished, again.total_rows) == (result.rows, 0, result.rows)
    assert workspace.table_metadata("profiles").type == "profiles"
    assert result._repr_html_().startswith("<table>")
    assert result.to_dict()["rows"] == result.rows


def test_some_profiles_leave_the_others_alone(workspace: Workspace) -> None:
    total = workspace.fetch_profiles().total_rows
    ids = [row[0] for row in workspace.sql_rows("SELECT distinct_id FROM profiles ORDER BY 1 LIMIT 3")]
    some = workspace.fetch_profiles(distinct_ids=ids)
    assert (some.rows, some.snapshot, some.total_rows) == (3, False, total)
    one = workspace.fetch_profiles("one", distinct_id=ids[0], output_properties=["plan"])
    assert one.rows == 1
    assert workspace.table_metadata("one").filter_output_properties == ["plan"]
    with pytest.raises(FilterMismatchError):
        workspace.fetch_profiles("one", distinct_id=ids[0])
    cohort = workspace.cohorts()[0]
    members = workspace.fetch_profiles("members", cohort_id=cohort.id)
    assert 0 <= members.rows <= total


def test_arguments_of_profiles_are_checked(workspace: Workspace) -> None:
    for bad in (
        {"distinct_id": "a", "distinct_ids": ["b"]},
        {"include_all_users": True},
        {"max_workers": 0},
        {"batch_size": 1},
        {"as_of_timestamp": 99_999_999_999},
        {"behaviors": [{"window": "30d"}]},
        {"behaviors": [{"window": float("nan")}]},
        {"on_reject": "shrug"},
        {"append": True, "replace": True},
    ):
        with pytest.raises(ValueError):
            workspace.fetch_profiles(**bad)  # type: ignore[arg-type]
    assert workspace.tables() == []


def test_streamed_events_are_the_fetched_ones(workspace: Workspace) -> None:
    workspace.fetch_events(**JUNE)
    stored = workspace.sql_rows("SELECT event_name, event_time, distinct_id, insert_id FROM events").rows
    streamed = list(workspace.stream_events(**JUNE))
    # A stream repeats what Mixpanel repeats.
    assert len(streamed) >= len(stored)
    names = ("event_name", "event_time", "distinct_id", "insert_id")
    found = {tuple(row[name] for name in names) for row in streamed}
    assert {(row[0], row[1].isoformat(), *row[2:]) for row in stored} == {
        (name, when.replace(tzinfo=None).isoformat(), *rest) for name, when, *rest in found
    }
    first = streamed[0]
    assert list(first) == ["event_name", "event_time", "distinct_id", "insert_id", "properties"]
    assert isinstance(first["event_time"], datetime)
    assert first["event_time"].tzinfo is None  # UTC, as in SQL
    raw = next(workspace.stream_events(raw=True, limit=1, **JUNE))
    assert list(raw) == ["event", "properties"]


def test_a_stream_can_be_left_early_and_filtered(workspace: Workspace) -> None:
    some = list(islice(workspace.stream_events(**JUNE), 3))
    assert len(some) == 3
    name = some[0]["event_name"]
    assert {row["event_name"] for row in workspace.stream_events(events=[name], **JUNE)} == {name}
    assert len(list(workspace.stream_events(limit=5, **JUNE))) == 5


def test_streamed_profiles_are_the_fetched_ones(workspace: Workspace) -> None:
    workspace.fetch_profiles()
    streamed = list(workspace.stream_profiles())
    assert {row["distinct_id"] for row in streamed} == {
        row[0] for row in workspace.sql_rows("SELECT distinct_id FROM profiles")
    }
    assert list(streamed[0]) == ["distinct_id", "properties", "last_seen"]
    raw = next(workspace.stream_profiles(raw=True, distinct_id=streamed[0]["distinct_id"]))
    assert raw["$distinct_id"] == streamed[0]["distinct_id"]


def test_streams_are_checked_at_once(workspace: Workspace) -> None:
    with pytest.raises(InvalidArgumentError):
        workspace.stream_events(from_date="2025-06-02", to_date="2025-06-01")
    with pytest.raises(InvalidArgumentError):
        workspace.stream_events(from_date="x", to_date="2025-06-01")
    with pytest.raises(InvalidArgumentError):
        workspace.stream_profiles(distinct_id="a", distinct_ids=["b"])


def test_a_stream_needs_no_database(credentials: Simulator, tmp_path: Path) -> None:
    path = tmp_path / "data.duckdb"
    with Workspace(path=path) as ws:
        assert next(ws.stream_events(**JUNE))
        assert ws.events()
    assert not path.exists()


def test_errors_of_a_stream_come_while_it_is_read(credentials: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MP_SECRET", "canary-4711")
    with Workspace.memory() as ws:
        rows = ws.stream_events(**JUNE)
        with pytest.raises(AuthenticationError) as raised:
            next(rows)
        assert "canary" not in str(raised.value)
        assert list(rows) == []


def test_ctrl_c_ends_a_stream(workspace: Workspace) -> None:
    rows = workspace.stream_events(from_date="2025-06-01", to_date="2025-07-20")

    def interrupted() -> None:
        next(rows)
        threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start()
        while True:
            list(workspace.stream_events(**JUNE))

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert next(workspace.stream_events(**JUNE))


def test_an_injected_client_exports_profiles() -> None:
    client = MagicMock()
    exported = [{"$distinct_id": f"u{number}", "$properties": {"plan": "pro"}} for number in range(3)]
    client.export_profiles.side_effect = lambda **_: iter(exported)
    with Workspace.memory(_config_manager=MagicMock(), _api_client=client) as ws:
        assert ws.fetch_profiles(where="true").rows == 3
        client.export_profiles.assert_called_once_with(where="true", include_all_users=False)
        with pytest.raises(TableExistsError):
            ws.fetch_profiles()
        assert ws.fetch_profiles(append=True).total_rows == 3
        exported.append({"$distinct_id": None, "$properties": {}})
        with pytest.raises(ValueError, match="distinct_id"):
            ws.fetch_profiles(replace=True)
        assert ws.sql_scalar("SELECT count(*) FROM profiles") == 3
        assert [row["distinct_id"] for row in ws.stream_profiles()][:2] == ["u0", "u1"]
        assert next(ws.stream_profiles(raw=True)) == exported[0]
