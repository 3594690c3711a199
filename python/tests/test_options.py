"""What callers say is done, refused, or answered with a warning: never ignored without a word."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest
from conftest import EVENTS, PROFILES, event, profile

import mixpanel_data
from mixpanel_data import InvalidArgumentError, QueryError, StorageEngine, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("make", [Workspace.memory, Workspace.ephemeral], ids=["memory", "ephemeral"])
def test_a_place_for_what_has_none_is_refused(make: Callable[..., Workspace], tmp_path: Path) -> None:
    for told in ({"path": tmp_path / "data.duckdb"}, {"read_only": True}, {"path": None}):
        with pytest.raises(InvalidArgumentError, match=f"{next(iter(told))} makes no sense here") as raised:
            make(**told)
        assert "Workspace(path=…)" in str(raised.value)
    with pytest.raises(TypeError, match="pat"):
        make(pat="a typing error")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [1_000, 100])
def test_a_batch_size_is_said_to_have_no_effect(storage: StorageEngine, size: int) -> None:
    calls: list[Callable[..., Any]] = [
        lambda **more: storage.create_events_table("events", [event()], EVENTS, **more),
        lambda **more: storage.append_events_table("events", [event(2)], EVENTS, **more),
        lambda **more: storage.create_profiles_table("profiles", [profile()], PROFILES, **more),
        lambda **more: storage.append_profiles_table("profiles", [profile(2)], PROFILES, **more),
    ]
    for call in calls:
        with pytest.warns(UserWarning, match="batch_size has no effect") as said:
            assert call(batch_size=size) == 1
        # About the caller's line, not about one of the package's.
        assert said[0].filename == __file__
        with pytest.raises(InvalidArgumentError, match="batch_size is 0"):
            call(batch_size=0)


def test_a_batch_size_of_a_fetch_is_said_to_have_no_effect(workspace: Workspace) -> None:
    with pytest.warns(UserWarning, match="batch_size has no effect") as said:
        workspace.fetch_events(from_date="2025-06-01", to_date="2025-06-01", batch_size=500, progress=False)
    assert said[0].filename == __file__
    with pytest.warns(UserWarning, match="batch_size has no effect") as said:
        workspace.fetch_profiles(batch_size=500, progress=False)
    assert said[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        workspace.fetch_profiles(progress=False)


@pytest.mark.parametrize("sql", ["", "  ", ";", "-- only a comment", "/* that */ ;"])
def test_sql_without_a_statement_is_an_error(storage: StorageEngine, sql: str) -> None:
    asks: list[Callable[[str], Any]] = [
        storage.execute,
        storage.execute_df,
        storage.execute_scalar,
        storage.execute_rows,
        lambda sql: storage.execute_rows_params(sql, []),
        storage.execute_arrow,
        storage.execute_pl,
    ]
    for ask in asks:
        with pytest.raises(QueryError, match="the query is empty"):
            ask(sql)


def test_every_name_is_listed() -> None:
    listed = set(dir(mixpanel_data))
    assert set(mixpanel_data.__all__) <= listed
    for name in mixpanel_data.__all__:
        assert getattr(mixpanel_data, name) is not None
    assert "Funnel" not in listed
    with pytest.raises(AttributeError, match="Funnel"):
        mixpanel_data.Funnel  # noqa: B018
