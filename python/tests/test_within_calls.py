"""Calls from within calls, children forked in callbacks, closing while something runs: none of it waits for ever."""

from __future__ import annotations

import itertools
import os
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from conftest import EVENTS, Simulator, event

from mixpanel_data import ClosedError, NestedCallError, StorageEngine, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WRITES: dict[str, Callable[[StorageEngine], Any]] = {
    "create": lambda storage: storage.create_events_table("other", [event(2)], EVENTS),
    "append": lambda storage: storage.append_events_table("events", [event(2)], EVENTS),
    "drop": lambda storage: storage.drop_table("events"),
    "close": lambda storage: storage.close(),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_from_within_an_iterator_is_an_error(
    storage: StorageEngine, write: Callable[[StorageEngine], Any]
) -> None:
    storage.create_events_table("events", [event()], EVENTS)

    def rows() -> Iterator[dict[str, Any]]:
        yield event(3)
        # Reading is something else.
        assert storage.execute_scalar("SELECT count(*) FROM events") == 1
        write(storage)

    with pytest.raises(NestedCallError, match="would wait for itself forever"):
        storage.append_events_table("events", rows(), EVENTS)
    # Nothing of it is stored, and the engine works.
    assert storage.execute_scalar("SELECT count(*) FROM events") == 1
    assert storage.append_events_table("events", [event(4)], EVENTS) == 1


def test_a_write_from_within_a_callback_is_an_error(storage: StorageEngine) -> None:
    def told(_: int) -> None:
        storage.drop_table("events")

    with pytest.raises(NestedCallError):
        storage.create_events_table("events", (event(number) for number in itertools.count()), EVENTS, told)
    assert storage.list_tables() == []


def test_an_iterator_that_catches_the_error_goes_on(storage: StorageEngine) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield event(1)
        with pytest.raises(NestedCallError):
            storage.create_events_table("other", [event()], EVENTS)
        with StorageEngine.memory() as elsewhere:
            assert elsewhere.create_events_table("other", [event()], EVENTS) == 1
        yield event(2)

    assert storage.create_events_table("events", rows(), EVENTS) == 2


def test_ctrl_c_ends_a_wait_for_another_threads_write() -> None:
    script = """
import os, signal, threading, datetime
import mixpanel_data as mp
storage = mp.StorageEngine.memory()
meta = mp.TableMetadata("events", datetime.datetime(2024, 1, 1))
row = dict(event_name="a", event_time=datetime.datetime(2024, 1, 1), distinct_id="u", insert_id="1", properties={})
entered, release = threading.Event(), threading.Event()
def rows():
    entered.set()
    release.wait()
    yield row
def other():
    try:
        storage.create_events_table("events", rows(), meta)
    except mp.MixpanelDataError:
        pass
storage.create_events_table("there", [row], meta)
writer = threading.Thread(target=other)
writer.start()
entered.wait()
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.3)
try:
    storage.drop_table("there")
except KeyboardInterrupt:
    print("interrupted", [table.name for table in storage.list_tables()])
release.set()
writer.join()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout == "interrupted ['there']\n", done.stderr


FORKED = """
import os, sys, datetime
import mixpanel_data as mp
def child(how):
    pid = os.fork()
    if pid == 0:
        how()
        return
    status = os.waitpid(pid, 0)[1]
    print("child", os.waitstatus_to_exitcode(status), flush=True)
def leave():
    sys.exit(7)
meta = mp.TableMetadata("events", datetime.datetime(2024, 1, 1))
row = dict(event_name="a", event_time=datetime.datetime(2024, 1, 1), distinct_id="u", insert_id="1", properties={})
parent = os.getpid()
try:
    {call}
except RuntimeError as error:
    assert os.getpid() != parent and "forked child" in str(error), error
    sys.exit(8)
"""

CALLS = {
    "iterator": """
    with mp.StorageEngine.ephemeral() as storage:
        def rows():
            yield row
            child({how})
            yield dict(row, insert_id="2")
        print(storage.create_events_table("events", rows(), meta))
""",
    "callback": """
    with mp.Workspace.ephemeral() as ws:
        seen = []
        def told(progress):
            if not seen:
                seen.append(progress)
                child({how})
        print(ws.fetch_events(from_date="{day}", to_date="{day}", on_progress=told, progress=False).rows > 0)
""",
}


@pytest.mark.parametrize("how", ["leave", "lambda: None"])
@pytest.mark.parametrize("where", CALLS)
def test_a_child_forked_within_a_call_ends_and_the_parent_goes_on(
    simulator: Simulator, where: str, how: str, tmp_path: Path
) -> None:
    script = FORKED.replace("{call}", CALLS[where].strip()).replace("{how}", how).replace("{day}", "2025-06-10")
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **simulator.environment, "TMPDIR": str(tmp_path)},
    )
    code = 7 if how == "leave" else 8
    stored = "2" if where == "iterator" else "True"
    assert (done.returncode, done.stdout) == (0, f"child {code}\n{stored}\n"), done.stderr
    assert list(tmp_path.iterdir()) == []


ENDLESS = """
    SELECT count(*) FROM (SELECT began(1) AS one), range(1000000000) a, range(1000) b
    WHERE a.range % 7 = b.range + one
"""


@pytest.mark.parametrize("ask", ["execute_df", "execute_scalar", "execute_rows"])
def test_closing_ends_a_query_that_runs(ask: str) -> None:
    storage = StorageEngine.memory()
    entered = threading.Event()

    def began(number: int) -> int:
        entered.set()
        return number

    storage.connection.create_function("began", began, ["BIGINT"], "BIGINT", side_effects=True)
    ended: list[BaseException] = []

    def query() -> None:
        try:
            getattr(storage, ask)(ENDLESS)
        except BaseException as error:
            ended.append(error)

    asking = [threading.Thread(target=query) for _ in range(2)]
    for thread in asking:
        thread.start()
    # One of them is in DuckDB, the other one waits.
    assert entered.wait(30)
    storage.close()
    for thread in asking:
        thread.join(30)
    assert [type(error) for error in ended] == [ClosedError, ClosedError], ended


def test_the_log_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = tmp_path / "data.duckdb"
        with Workspace(path=path) as ws:
            ws.connection.execute("CREATE TABLE mine AS SELECT 42 AS secret")
            modes = [stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()]
            assert len(modes) >= 2, "there is a log"
            assert modes == [0o600] * len(modes)
            # Also the one that follows a checkpoint.
            ws.connection.execute("CHECKPOINT")
            ws.sql("INSERT INTO mine VALUES (43)")
            ws.storage.create_events_table("events", [event()], EVENTS)
            assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
    finally:
        os.umask(before)
