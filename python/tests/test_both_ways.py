"""One database, written by the Rust program and by Python in turn."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

from conftest import EVENTS, event

from mixpanel_data import StorageEngine, Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Simulator


def mp(program: Path, simulator: Simulator, *words: str) -> str:
    """Runs the program and returns its standard output."""
    environment = {**os.environ, **simulator.environment}
    done = subprocess.run([str(program), *words], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def sql(program: Path, simulator: Simulator, path: Path, query: str) -> Any:
    """The first cell of a query, asked by the program."""
    lines = mp(program, simulator, "sql", "--db", str(path), "--format", "jsonl", query)
    return next(iter(json.loads(lines.splitlines()[0]).values()))


def test_rust_first_then_python_then_rust(tmp_path: Path, program: Path, credentials: Simulator) -> None:
    path = tmp_path / "data.duckdb"
    mp(program, credentials, "fetch", "events", "--from", "2025-06-01", "--to", "2025-06-05", "--db", str(path))
    with Workspace(path=path) as ws:
        first = ws.sql_scalar("SELECT count(*) FROM events")
        assert first == ws.tables()[0].row_count > 0
        # Days that are there stay as they are, others come in.
        result = ws.fetch_events(from_date="2025-06-04", to_date="2025-06-10")
        assert ws.coverage(from_date="2025-06-01", to_date="2025-06-10").count("missing") == 0
        assert ws.sql_scalar("SELECT count(*) FROM events") == result.total_rows > first
        ws.storage.create_events_table("mine", [event(1), event(2)], EVENTS)
    assert sql(program, credentials, path, "SELECT count(*) FROM events") == result.total_rows
    assert sql(program, credentials, path, "SELECT sum(amount) FROM mine_flat") == 3
    mp(program, credentials, "fetch", "events", "--from", "2025-06-09", "--to", "2025-06-12", "--db", str(path))
    with Workspace.open(path) as ws:
        assert ws.coverage(from_date="2025-06-01", to_date="2025-06-12").count("missing") == 0
        # Nothing happened on one of the twelve days.
        assert ws.sql_scalar("SELECT count(DISTINCT event_time::DATE) FROM events_flat") == 11


def test_python_first_then_rust_then_python(tmp_path: Path, program: Path, credentials: Simulator) -> None:
    path = tmp_path / "data.duckdb"
    with Workspace(path=path) as ws:
        ws.fetch_events(from_date="2025-06-01", to_date="2025-06-05")
    mp(program, credentials, "sync", "--from", "2025-06-01", "--to", "2025-06-08", "--db", str(path))
    with StorageEngine(path=path) as storage:
        before = storage.execute_scalar("SELECT count(*) FROM events")
        assert storage.append_events_table("events", [event(1), event(1)], EVENTS) == 1
        assert storage.append_events_table("events", [event(1)], EVENTS) == 0
    assert sql(program, credentials, path, "SELECT count(*) FROM events") == before + 1


def test_both_fetch_the_same(tmp_path: Path, program: Path, credentials: Simulator) -> None:
    days = ("2025-06-01", "2025-06-15")
    mp(
        program,
        credentials,
        "fetch",
        "events",
        "--from",
        days[0],
        "--to",
        days[1],
        "--db",
        str(tmp_path / "rust.duckdb"),
    )
    with Workspace(path=tmp_path / "python.duckdb") as ws:
        ws.fetch_events(from_date=days[0], to_date=days[1])
        ws.connection.execute(f"ATTACH '{tmp_path / 'rust.duckdb'}' AS rust (READ_ONLY)")
        for table in ("events", "events_flat"):
            for one, other in ((f"main.{table}", f"rust.main.{table}"), (f"rust.main.{table}", f"main.{table}")):
                query = f"SELECT count(*) FROM (FROM {one} EXCEPT ALL FROM {other})"
                assert ws.sql_scalar(query) == 0, query
        described = [
            ws.sql_rows(f"SELECT column_name, column_type FROM (DESCRIBE {place}.events_flat)").rows
            for place in ("main", "rust.main")
        ]
        assert described[0] == described[1]
