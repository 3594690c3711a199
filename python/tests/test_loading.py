"""Loading events from files, with real files."""

from __future__ import annotations

import gzip
import json
import threading
from typing import TYPE_CHECKING

import pytest

from mixpanel_data import (
    InvalidArgumentError,
    LoadProgress,
    LoadResult,
    NotADatabaseError,
    NotLoadableError,
    Workspace,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def local() -> Iterator[Workspace]:
    with Workspace.memory() as workspace:
        yield workspace


def lines(first: int, last: int) -> str:
    events = (
        {"event": "Buy", "properties": {"time": 1704067200 + n, "distinct_id": "u", "$insert_id": str(n), "n": n}}
        for n in range(first, last)
    )
    return "".join(json.dumps(event) + "\n" for event in events)


def test_files_and_folders_are_loaded_once(local: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines(0, 10))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines(5, 20).encode()))
    result = local.load_events(tmp_path)
    assert isinstance(result, LoadResult)
    assert (result.rows, result.lines, result.duplicates, result.rejects) == (20, 25, 5, 0)
    assert (result.date_range, result.database) == (("2024-01-01", "2024-01-01"), None)
    assert list(result.df["rows"]) == [10, 10]
    assert local.sql_scalar("SELECT sum(n) FROM events_flat") == 190
    again = local.load_events([tmp_path / "a.jsonl", str(tmp_path / "b.jsonl.gz")])
    assert (again.rows, again.total_rows) == (0, 20)
    days = local.coverage(from_date="2024-01-01", to_date="2024-01-02")
    assert (days.count("loaded"), days.count("missing")) == (1, 1)


def test_progress_is_told_in_this_thread(local: Workspace, tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.jsonl").write_text(lines(0, 100))
    seen: list[tuple[LoadProgress, int]] = []
    local.load_events(tmp_path, on_progress=lambda state: seen.append((state, threading.get_ident())))
    last = seen[-1][0]
    assert (last.files, last.files_done, last.rows) == (3, 3, 300)
    assert {thread for _, thread in seen} == {threading.get_ident()}


def test_what_a_callback_raises_stops_the_load_between_files(local: Workspace, tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}.jsonl").write_text(lines(number * 100, number * 100 + 100))

    def stop(_: LoadProgress) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError):
        local.load_events(tmp_path, on_progress=stop)
    # What is in is whole files, and the same call goes on.
    tables = local.tables()
    assert not tables or local.sql_scalar("SELECT count(*) FROM events") % 100 == 0
    assert local.load_events(tmp_path).total_rows == 2_000


def test_csv_by_the_names_of_its_columns(local: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("no,paid_at,who,sum\n1,2024-01-01 01:30,u,12.50\n2,soon,u,1\n")
    with pytest.raises(NotLoadableError, match="no column for the event's name"):
        local.load_events(path)
    result = local.load_events(
        path,
        "orders",
        event_name="Order",
        time_column="paid_at",
        times_in="Europe/Berlin",
        distinct_id_column="who",
        insert_id_column="no",
    )
    assert (result.rows, result.rejects) == (1, 1)
    assert str(local.sql_scalar("SELECT event_time FROM orders_flat WHERE sum = 12.5")) == "2024-01-01 00:30:00"


def test_what_cannot_be_loaded_is_named(local: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl"
    path.write_text(lines(0, 3)[:-10])
    with pytest.raises(NotLoadableError) as caught:
        local.load_events(path)
    assert caught.value.details["line"] == 3
    assert "cut.jsonl" in str(caught.value)
    with pytest.raises(FileNotFoundError):
        local.load_events(tmp_path / "none.jsonl")
    for wrong in ({"format": "xml"}, {"time_unit": "years"}, {"delimiter": "ab"}, {"on_reject": "ignore"}):
        with pytest.raises(ValueError, match="not|one"):
            local.load_events(path, **wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError):
        local.load_events([])


def test_a_database_of_the_original_says_what_to_do(tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "mixpanel.db"
    with duckdb.connect(str(path)) as original:
        original.execute(
            "CREATE TABLE _metadata (table_name VARCHAR PRIMARY KEY, type VARCHAR NOT NULL, fetched_at TIMESTAMP"
            " NOT NULL, from_date DATE, to_date DATE, row_count INTEGER NOT NULL)"
        )
    with pytest.raises(NotADatabaseError, match="Python original") as caught, Workspace(path=path) as workspace:
        workspace.tables()
    assert "import-original" in str(caught.value.suggestion)
