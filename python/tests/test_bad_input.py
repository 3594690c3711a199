"""Records that cannot be stored: a clear exception, and nothing half-written."""

from __future__ import annotations

import gc
import math
import os
import pickle
import signal
import subprocess
import sys
import threading
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from conftest import EVENTS, PROFILES, Simulator, event, profile

from mixpanel_data import (
    ClosedError,
    InvalidArgumentError,
    InvalidRecordError,
    MixpanelDataError,
    StorageEngine,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


CYCLE: dict[str, Any] = {}
CYCLE["self"] = CYCLE

BAD: list[tuple[str, Any, str]] = [
    ("not a dict", 42, "is a int, not a dict"),
    ("no name", {name: value for name, value in event().items() if name != "event_name"}, "has no event_name"),
    ("no time", {name: value for name, value in event().items() if name != "event_time"}, "has no event_time"),
    ("no id", {name: value for name, value in event().items() if name != "insert_id"}, "has no insert_id"),
    ("no properties", {name: value for name, value in event().items() if name != "properties"}, "has no properties"),
    ("name None", event(event_name=None), "event_name is None"),
    ("name bytes", event(event_name=b"Login"), "event_name is a bytes"),
    ("user float", event(distinct_id=1.5), "distinct_id is a float"),
    ("time number", event(event_time=1748736000), "event_time is a int"),
    ("time text", event(event_time="yesterday"), "event_time is text that is no ISO 8601 time"),
    ("time None", event(event_time=None), "event_time is None"),
    ("properties list", event(properties=[1]), "properties is a list"),
    ("properties text", event(properties="not json"), "properties"),
    ("properties no object", event(properties="[1]"), "object"),
    ("NaN", event(properties={"a": {"b": math.nan}}), r"properties\.a\.b is NaN"),
    ("infinity", event(properties={"a": [1, -math.inf]}), r"properties\.a\.1 is infinite"),
    ("decimal NaN", event(properties={"a": Decimal("NaN")}), r"properties\.a is a Decimal that is no number"),
    ("surrogate", event(properties={"a": "\ud800"}), r"properties\.a has a lone surrogate"),
    ("surrogate key", event(properties={"\ud800": 1}), "lone surrogate"),
    ("surrogate name", event(event_name="\udfff"), "event_name has a lone surrogate"),
    ("bytes", event(properties={"a": b"x"}), r"properties\.a is bytes"),
    ("set", event(properties={"a": {1}}), r"properties\.a is a set"),
    ("object", event(properties={"a": object()}), r"properties\.a is a object"),
    ("deep", event(properties=nested(1_000)), "nested deeper than 128 levels"),
    ("very deep", event(properties=nested(100_000)), "nested deeper than 128 levels"),
    ("cycle", event(properties=CYCLE), "nested deeper than 128 levels"),
    ("key", event(properties={(1, 2): 1}), "key that is no text but tuple"),
    ("digits", event(properties={"a": 10**5_000}), r"properties\.a has too many digits"),
]


@pytest.mark.parametrize(("record", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_record_is_named_and_nothing_is_stored(storage: StorageEngine, record: Any, message: str) -> None:
    rows = [*(event(number) for number in range(3_000)), record, event(9_999)]
    with pytest.raises(InvalidRecordError, match=message) as raised:
        storage.create_events_table("events", iter(rows), EVENTS)
    assert raised.value.row == 3_001
    assert isinstance(raised.value, ValueError)
    assert storage.list_tables() == []
    # The engine works as before, and so does a second try.
    assert storage.create_events_table("events", [event()], EVENTS) == 1
    with pytest.raises(InvalidRecordError, match=message):
        storage.append_events_table("events", iter(rows), EVENTS)
    assert storage.execute_scalar("SELECT count(*) FROM events") == 1


def test_an_iterator_that_raises_undoes_the_call(storage: StorageEngine) -> None:
    class Broken(Exception):
        pass

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(50_000):
            yield event(number)
        raise Broken("half-way")

    with pytest.raises(Broken, match="half-way"):
        storage.create_events_table("events", rows(), EVENTS)
    assert storage.list_tables() == []
    assert storage.execute_scalar("SELECT count(*) FROM duckdb_tables() WHERE table_name = '_events'") == 0
    assert storage.create_events_table("events", [event()], EVENTS) == 1


def test_a_callback_that_raises_undoes_the_call(storage: StorageEngine) -> None:
    def told(rows: int) -> None:
        raise RuntimeError(f"enough after {rows}")

    with pytest.raises(RuntimeError, match="enough"):
        storage.create_events_table("events", (event(number) for number in range(500_000)), EVENTS, told)
    assert storage.list_tables() == []


def test_odd_values_that_json_has_words_for(storage: StorageEngine) -> None:
    properties = {
        "big": 10**30,
        "small": -(2**63),
        "decimal": Decimal("12.50"),
        "when": datetime(2024, 1, 1, 12),
        "id": UUID(int=1),
        "list": [1, "two", None, True],
        "tuple": (1, 2),
        "text": 'quo"te \\ \u0000 \n ünï 😀',
        7: "key",
    }
    storage.create_events_table("events", [event(properties=properties)], EVENTS)
    get = "SELECT {} FROM events".format
    assert storage.execute_scalar(get("properties->>'$.big'")) == str(10**30)
    assert '"decimal":12.50,' in storage.execute_scalar(get("properties"))
    assert storage.execute_scalar(get("properties->>'$.when'")) == "2024-01-01T12:00:00"
    assert storage.execute_scalar(get("properties->>'$.\"7\"'")) == "key"
    import json

    stored = json.loads(storage.execute_scalar(get("properties")))
    assert stored["text"] == properties["text"]
    assert stored["list"] == [1, "two", None, True]


def test_numpy_scalars_are_numbers(storage: StorageEngine) -> None:
    numpy = pytest.importorskip("numpy")
    properties = {"i": numpy.int64(5), "f": numpy.float32(0.5), "b": numpy.bool_(True), "a": numpy.array([1, 2])}
    storage.create_events_table("events", [event(properties=properties)], EVENTS)
    assert storage.execute_rows("SELECT i, f, b FROM events_flat").rows == [(5, 0.5, True)]
    with pytest.raises(InvalidRecordError, match="NaN"):
        storage.append_events_table("events", [event(2, properties={"f": numpy.float64("nan")})], EVENTS)


def test_profiles_have_rules_too(storage: StorageEngine) -> None:
    with pytest.raises(InvalidRecordError, match="has no last_seen"):
        storage.create_profiles_table("p", [{"distinct_id": "a", "properties": {}}], PROFILES)
    assert storage.create_profiles_table("p", [profile(last_seen=None)], PROFILES) == 1


def test_what_is_no_rows_is_refused(storage: StorageEngine) -> None:
    for data in ("text", b"bytes", 42, event(), None):
        with pytest.raises(InvalidArgumentError, match="must be an iterable of dicts"):
            storage.create_events_table("events", data, EVENTS)


def test_frames_without_a_column_are_refused(storage: StorageEngine) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    with pytest.raises(InvalidArgumentError, match="event_name"):
        storage.create_events_table("events", pyarrow.table({"event": ["a"]}), EVENTS)

    def batches() -> Iterator[Any]:
        rows = [{**event(number), "properties": "{}"} for number in range(100)]
        yield from pyarrow.Table.from_pylist(rows).to_batches()
        raise OSError("the disk is gone")

    schema = pyarrow.Table.from_pylist([{**event(), "properties": "{}"}]).schema
    reader = pyarrow.RecordBatchReader.from_batches(schema, batches())
    with pytest.raises(InvalidArgumentError, match="the disk is gone"):
        storage.create_events_table("events", reader, EVENTS)
    assert storage.list_tables() == []


def test_a_closed_engine_says_so() -> None:
    storage = StorageEngine.memory()
    storage.close()
    calls: list[Any] = [
        lambda: storage.connection,
        lambda: storage.execute("SELECT 1"),
        lambda: storage.execute_df("SELECT 1"),
        lambda: storage.list_tables(),
        lambda: storage.create_events_table("events", [event()], EVENTS),
        lambda: storage.drop_table("events"),
        lambda: storage.size_bytes(),
    ]
    for call in calls:
        with pytest.raises(ClosedError, match="closed"):
            call()


def test_threads_share_an_engine(storage: StorageEngine) -> None:
    problems: list[BaseException] = []

    def work(number: int) -> None:
        try:
            storage.create_events_table(f"t{number}", (event(row) for row in range(3_000)), EVENTS)
            for _ in range(5):
                assert storage.execute_scalar(f"SELECT count(*) FROM t{number}") == 3_000
                storage.list_tables()
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(storage.list_tables()) == 6


def test_engines_that_nobody_closed_are_closed(tmp_path: Path) -> None:
    path = tmp_path / "data.duckdb"
    storage = StorageEngine(path=path)
    storage.create_events_table("events", [event()], EVENTS)
    del storage
    gc.collect()
    with StorageEngine(path=path) as again:
        assert again.execute_scalar("SELECT count(*) FROM events") == 1


def test_a_forked_child_is_told_and_does_no_harm(tmp_path: Path) -> None:
    # In a process of its own: DuckDB's threads do not survive a fork.
    script = """
import os, sys, datetime, gc
import mixpanel_data as mp
storage = mp.StorageEngine.ephemeral()
meta = mp.TableMetadata("events", datetime.datetime(2024, 1, 1))
row = dict(event_name="a", event_time=datetime.datetime(2024, 1, 1), distinct_id="u", insert_id="1", properties={})
storage.create_events_table("events", [row], meta)
child = os.fork()
if child == 0:
    for call in (lambda: storage.connection, lambda: storage.list_tables(), lambda: storage.execute_scalar("SELECT 1")):
        try:
            call()
        except RuntimeError as error:
            assert "forked child" in str(error), error
        else:
            os._exit(3)
    storage.close()
    del storage
    gc.collect()
    sys.exit(0)
status = os.waitpid(child, 0)[1]
assert os.waitstatus_to_exitcode(status) == 0, status
assert storage.path.exists()
assert storage.execute_scalar("SELECT count(*) FROM events") == 1
storage.append_events_table("events", [dict(row, insert_id="2")], meta)
print(storage.execute_scalar("SELECT count(*) FROM events"))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        env={"TMPDIR": str(tmp_path)},
    )
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_forked_child_does_not_wait_for_the_parents_connection(simulator: Simulator) -> None:
    script = """
import os, sys
import mixpanel_data as mp
ws = mp.Workspace.memory()
assert ws.events()
child = os.fork()
if child == 0:
    try:
        ws.top_events()
    except RuntimeError as error:
        assert "forked child" in str(error), error
        os._exit(0)
    os._exit(3)
status = os.waitpid(child, 0)[1]
assert os.waitstatus_to_exitcode(status) == 0, status
print(len(ws.events()) > 0)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **simulator.environment},
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


INTERRUPTED = """
import os, signal, sys, threading, datetime
import mixpanel_data as mp
storage = mp.StorageEngine.memory()
meta = mp.TableMetadata("events", datetime.datetime(2024, 1, 1))
def rows():
    number = 0
    while True:
        if number == 20_000:
            os.kill(os.getpid(), signal.SIGINT)
        number += 1
        when = datetime.datetime(2024, 1, 1)
        yield dict(event_name="a", event_time=when, distinct_id="u", insert_id=str(number), properties={})
try:
    {call}
except KeyboardInterrupt:
    print("interrupted", storage.list_tables(), storage.execute_scalar("SELECT 1"))
"""


@pytest.mark.parametrize(
    "call",
    [
        'storage.create_events_table("events", rows(), meta)',
        # In a statement of DuckDB's: the signal comes from a timer.
        "signal.setitimer(signal.ITIMER_REAL, 0.5); signal.signal(signal.SIGALRM, signal.default_int_handler); "
        'storage.execute_scalar("SELECT count(*) FROM range(1000000000) a, range(1000) b WHERE a.range % 7 = b.range")',
    ],
    ids=["iterator", "query"],
)
def test_ctrl_c_ends_a_long_call(call: str) -> None:
    script = INTERRUPTED.replace("{call}", call)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout == "interrupted [] 1\n", done.stderr


def test_errors_can_be_pickled_and_described() -> None:
    with StorageEngine.memory() as storage, pytest.raises(MixpanelDataError) as raised:
        storage.create_events_table("events", [event(event_time=None)], EVENTS)
    error = raised.value
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.to_dict()) == (type(error), error.to_dict())
    assert error.to_dict()["details"] == {"argument": "data", "row": 1, "field": "event_time"}


def test_signal_handlers_are_pythons_own() -> None:
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert os.getpid() > 0
