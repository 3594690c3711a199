"""``create_events_table`` from dicts, against the way the Python original stored them.

The old way: ``INSERT OR IGNORE`` of 1,000 rows at a time by ``executemany``, with a primary key; and
plain ``INSERT`` without one. It is slow, so it gets fewer rows, and rates are compared.

    python benches/records.py [ROWS [OLD_ROWS]]
"""

from __future__ import annotations

import json
import random
import sys
import time
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import TYPE_CHECKING, Any

import duckdb

from mixpanel_data import StorageEngine, TableMetadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START = datetime(2025, 6, 1, tzinfo=timezone.utc)
OLD_TABLE = """CREATE TABLE events (event_name VARCHAR NOT NULL, event_time TIMESTAMP NOT NULL,
    distinct_id VARCHAR NOT NULL, insert_id VARCHAR {key}, properties JSON)"""


def records(count: int) -> Iterator[dict[str, Any]]:
    """Events of about 500 bytes with 20 properties."""
    pick = random.Random(42)
    for number in range(count):
        properties: dict[str, Any] = {f"property_{at}": f"value {pick.randrange(100)}" for at in range(16)}
        properties |= {"plan": pick.choice(["free", "pro"]), "amount": pick.random() * 100, "n": number, "new": True}
        yield {
            "event_name": pick.choice(["Login", "Purchase", "Page View"]),
            "event_time": START + timedelta(seconds=number),
            "distinct_id": f"user_{pick.randrange(5_000)}",
            "insert_id": f"insert_{number:010}",
            "properties": properties,
        }


def new_way(count: int) -> None:
    """The library."""
    with StorageEngine.memory() as storage:
        stored = storage.create_events_table("events", records(count), TableMetadata("events", START))
        assert stored == count


def old_way(key: str, insert: str) -> Callable[[int], None]:
    """The original's way."""

    def run(count: int) -> None:
        with duckdb.connect() as connection:
            connection.execute(OLD_TABLE.format(key=key))
            rows = records(count)
            while batch := list(islice(rows, 1_000)):
                values = [
                    (
                        row["event_name"],
                        row["event_time"].isoformat(),
                        row["distinct_id"],
                        row["insert_id"],
                        json.dumps(row["properties"]),
                    )
                    for row in batch
                ]
                connection.execute("BEGIN")
                connection.executemany(f"{insert} INTO events VALUES (?, ?, ?, ?, ?)", values)
                connection.execute("COMMIT")

    return run


def making(count: int) -> None:
    """The dicts alone."""
    for _ in records(count):
        pass


def main() -> None:
    """Prints a table of rates."""
    numbers = [int(word.replace("_", "")) for word in sys.argv[1:]]
    rows = numbers[0] if numbers else 200_000
    few = numbers[1] if len(numbers) > 1 else 4_000
    contenders: list[tuple[str, Callable[[int], None], int]] = [
        ("executemany, INSERT OR IGNORE, primary key (reference)", old_way("PRIMARY KEY", "INSERT OR IGNORE"), few),
        ("executemany, INSERT, no key", old_way("", "INSERT"), few),
        ("create_events_table", new_way, rows),
        ("making the dicts, for comparison", making, rows),
    ]
    reference = 0.0
    print("| way | rows | wall s | CPU s | rows/s | ratio |\n|---|---|---|---|---|---|")
    for name, run, count in contenders:
        wall, cpu = time.perf_counter(), time.process_time()
        run(count)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        rate = count / wall
        reference = reference or rate
        print(f"| {name} | {count:,} | {wall:.1f} | {cpu:.1f} | {rate:,.0f} | {rate / reference:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
