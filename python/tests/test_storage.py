"""The storage engine: modes, tables, queries, frames."""

from __future__ import annotations

import stat
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from conftest import EVENTS, NOW, PROFILES, event, profile

from mixpanel_data import (
    DatabaseLockedError,
    DatabaseNotFoundError,
    InvalidArgumentError,
    NotADatabaseError,
    OutOfMemoryError,
    QueryError,
    ReadOnlyError,
    SealedError,
    StorageEngine,
    TableExistsError,
    TableMetadata,
    TableNotFoundError,
)


def test_the_connection_is_duckdbs_own(storage: StorageEngine) -> None:
    assert isinstance(storage.connection, duckdb.DuckDBPyConnection)


def test_importing_the_package_imports_nothing_large() -> None:
    script = """
import sys, mixpanel_data as mp
large = {"duckdb", "pandas", "pyarrow", "polars", "numpy", "matplotlib", "tqdm"}
assert not large & set(sys.modules), large & set(sys.modules)
assert "mixpanel_data.live" not in sys.modules
assert mp.SegmentationResult is mp.types.SegmentationResult
missing = [name for module in (mp, mp.types) for name in module.__all__ if not hasattr(module, name)]
assert not missing, missing
with mp.StorageEngine.memory() as storage:
    assert storage.execute_scalar("SELECT 42") == 42
assert large & set(sys.modules) == {"duckdb"}
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_every_event_has_its_text_and_its_typed_columns(storage: StorageEngine) -> None:
    assert storage.create_events_table("events", [event(1), event(2), event(2)], EVENTS) == 2
    names = [column.name for column in storage.get_schema("events").columns]
    assert names == ["event_name", "event_time", "distinct_id", "insert_id", "properties"]
    assert storage.execute_scalar("SELECT sum(amount) FROM events_flat") == 3
    assert storage.execute_scalar("SELECT properties->>'$.plan' FROM events LIMIT 1") == "pro"
    assert storage.execute_scalar("SELECT max(event_time) FROM events") == datetime(2025, 6, 1, 8, 30, 15, 123456)


def test_appending_adds_what_is_new(storage: StorageEngine) -> None:
    storage.create_events_table("events", [event(1)], EVENTS)
    assert storage.append_events_table("events", [event(1), event(2)], EVENTS) == 1
    assert storage.list_tables()[0].row_count == 2


def test_appended_profiles_replace_older_ones(storage: StorageEngine) -> None:
    storage.create_profiles_table("profiles", [profile(1), profile(2)], PROFILES)
    newer = profile(1, properties={"name": "New"})
    assert storage.append_profiles_table("profiles", [newer, profile(3)], PROFILES) == 1
    assert storage.execute_scalar("SELECT name FROM profiles_flat WHERE distinct_id = 'user_1'") == "New"


def test_of_profiles_with_one_id_the_last_stays(storage: StorageEngine) -> None:
    rows = (profile(number % 500, properties={"n": number}) for number in range(20_000))
    assert storage.create_profiles_table("profiles", rows, PROFILES) == 500
    assert storage.execute_scalar("SELECT min(n) FROM profiles_flat") == 19_500


def test_times_without_a_zone_are_utc(storage: StorageEngine) -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    rows = [
        event(1, event_time=datetime(2024, 1, 1, 12)),
        event(2, event_time=datetime(2024, 1, 1, 17, 30, tzinfo=east)),
        event(3, event_time="2024-01-01T12:00:00Z"),
        event(4, event_time="2024-01-01 12:00:00"),
    ]
    storage.create_events_table("events", rows, EVENTS)
    times = storage.execute_rows("SELECT DISTINCT event_time FROM events").rows
    assert times == [(datetime(2024, 1, 1, 12),)]


def test_metadata_come_back(storage: StorageEngine) -> None:
    metadata = TableMetadata("events", NOW, "2025-06-01", "2025-06-30", ["Purchase"], "true")
    storage.create_events_table("events", [event()], metadata)
    assert storage.get_metadata("events") == metadata
    assert storage.list_tables()[0].fetched_at == NOW


def test_metadata_of_profiles_come_back(storage: StorageEngine) -> None:
    metadata = TableMetadata(
        "profiles",
        NOW,
        filter_cohort_id="7",
        filter_output_properties=["name"],
        filter_group_id="3",
        filter_behaviors=[{"window": "30d", "name": "b", "event_selectors": [{"event": "Login"}]}],
    )
    storage.create_profiles_table("profiles", [profile()], metadata)
    assert storage.get_metadata("profiles") == metadata


def test_progress_is_told_in_the_callers_thread(storage: StorageEngine) -> None:
    import threading

    seen: list[tuple[int, int]] = []

    def told(rows: int) -> None:
        seen.append((rows, threading.get_ident()))

    storage.create_events_table("events", (event(number) for number in range(10_000)), EVENTS, told)
    assert seen[-1] == (10_000, threading.get_ident())
    assert [rows for rows, _ in seen] == sorted(rows for rows, _ in seen)


def test_an_iterator_is_pulled_in_the_callers_thread(storage: StorageEngine) -> None:
    # As Python's sqlite3 module demands it of its cursors.
    import sqlite3

    source = sqlite3.connect(":memory:")
    source.execute("CREATE TABLE numbers AS SELECT 1 AS n UNION SELECT 2")
    rows = (event(number) for (number,) in source.execute("SELECT n FROM numbers"))
    assert storage.create_events_table("events", rows, EVENTS) == 2
    source.close()


def test_no_rows_make_an_empty_table(storage: StorageEngine) -> None:
    assert storage.create_events_table("events", iter(()), EVENTS) == 0
    assert storage.execute_scalar("SELECT count(*) FROM events") == 0
    assert [table.name for table in storage.list_tables()] == ["events"]


def test_arrow_tables_go_in(storage: StorageEngine) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    rows = [{**event(number), "properties": f'{{"n": {number}}}'} for number in range(5_000)]
    assert storage.create_events_table("events", pyarrow.Table.from_pylist(rows), EVENTS) == 5_000
    assert storage.execute_scalar("SELECT sum(n) FROM events_flat") == sum(range(5_000))
    structs = pyarrow.Table.from_pylist([event(6_000)])
    assert storage.append_events_table("events", structs.to_reader(), EVENTS) == 1
    assert storage.execute_scalar("SELECT plan FROM events_flat WHERE distinct_id = 'user_6000'") == "pro"


def test_polars_frames_go_in(storage: StorageEngine) -> None:
    polars = pytest.importorskip("polars")
    assert storage.create_events_table("events", polars.DataFrame([event(1), event(2)]), EVENTS) == 2
    text = polars.DataFrame([event(3, properties='{"plan": "free"}')])
    assert storage.append_events_table("events", text, EVENTS) == 1
    assert storage.execute_scalar("SELECT count(*) FROM events_flat WHERE plan = 'pro'") == 2


def test_pandas_frames_go_in(storage: StorageEngine) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([event(1), event(2, insert_id=None)])
    assert storage.create_events_table("events", frame, EVENTS) == 2
    assert storage.execute_scalar("SELECT count(*) FROM events_flat WHERE amount > 0 AND plan = 'pro'") == 2
    profiles = pandas.DataFrame([profile(1), profile(2, last_seen=None)])
    assert storage.create_profiles_table("profiles", profiles, PROFILES) == 2


def test_a_duckdb_relation_goes_in(storage: StorageEngine) -> None:
    sql = """SELECT 'Login' AS event_name, TIMESTAMP '2024-01-01' AS event_time, 'u' || n AS distinct_id,
                    'i' || n AS insert_id, '{"n": ' || n || '}' AS properties FROM range(3) t(n)"""
    assert storage.create_events_table("events", storage.execute(sql), EVENTS) == 3


def test_queries_come_in_many_forms(storage: StorageEngine) -> None:
    storage.create_events_table("events", [event(1), event(2)], EVENTS)
    query = "SELECT distinct_id, amount FROM events_flat ORDER BY amount"
    assert storage.execute(query).fetchall() == [("user_1", 1), ("user_2", 2)]
    assert storage.execute(query).limit(1).fetchall() == [("user_1", 1)]
    rows = storage.execute_rows(query)
    assert rows.columns == ["distinct_id", "amount"]
    assert list(rows) == [("user_1", 1), ("user_2", 2)]
    assert rows.to_dicts()[1] == {"distinct_id": "user_2", "amount": 2}
    assert storage.execute_scalar(query) == "user_1"
    assert storage.execute_scalar("SELECT 1 WHERE false") is None
    assert storage.execute_rows_params("SELECT amount FROM events_flat WHERE distinct_id = ?", ["user_2"]).rows == [
        (2,)
    ]
    assert list(storage.execute_df(query)["amount"]) == [1, 2]


def test_a_scalar_of_many_rows_leaves_the_connection_free(storage: StorageEngine) -> None:
    storage.connection.execute("CREATE TABLE numbers AS FROM range(100_000) t(n)")
    assert storage.execute_scalar("SELECT n FROM numbers") == 0
    assert storage.execute("SELECT count(*) FROM numbers").fetchall() == [(100_000,)]
    assert storage.execute_scalar("INSERT INTO numbers VALUES (1), (2)") == 2
    assert storage.execute_scalar("SELECT count(*) FROM numbers") == 100_002
    assert storage.execute_scalar("CREATE TABLE more AS FROM numbers") == 100_002


def test_sql_reads_the_callers_frames(storage: StorageEngine) -> None:
    pandas = pytest.importorskip("pandas")
    my_frame = pandas.DataFrame({"x": [1, 2, 3]})
    assert storage.execute_scalar("SELECT sum(x) FROM my_frame") == 6
    assert len(my_frame) == 3


def test_lazy_results_leave_the_connection_free(storage: StorageEngine) -> None:
    pytest.importorskip("pyarrow")
    storage.create_events_table("events", (event(number) for number in range(10_000)), EVENTS)
    reader = storage.execute_arrow("SELECT amount FROM events_flat")
    assert storage.execute_scalar("SELECT count(*) FROM events") == 10_000
    assert sum(batch.num_rows for batch in reader) == 10_000
    frame = storage.execute_pl("SELECT amount FROM events_flat")
    assert storage.execute_scalar("SELECT 1") == 1
    assert frame.sum().collect().item() == sum(range(10_000))


def test_bad_sql_is_a_query_error(storage: StorageEngine) -> None:
    for run in (storage.execute, storage.execute_df, storage.execute_rows, storage.execute_scalar):
        with pytest.raises(QueryError, match="nowhere") as raised:
            run("SELECT * FROM nowhere")
        error = raised.value
        assert (error.status_code, error.code) == (0, "QUERY_FAILED")
        assert error.response_body["query"] == "SELECT * FROM nowhere"
        assert error.to_dict()["details"]["status_code"] == 0


def test_files_stay_and_are_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "data.duckdb"
    with StorageEngine(path=path) as storage:
        storage.create_events_table("events", [event()], EVENTS)
        assert storage.path == path
        assert storage.size_bytes() > 0
        assert storage.created_at() is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with StorageEngine.open_existing(path) as storage:
        assert storage.execute_scalar("SELECT count(*) FROM events") == 1
        with pytest.raises(ReadOnlyError):
            storage.create_events_table("other", [event()], EVENTS)
        with pytest.raises(ReadOnlyError):
            storage.execute_rows("DROP VIEW events")


def test_ephemeral_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    storage = StorageEngine.ephemeral()
    assert storage.path is not None
    assert storage.path.exists()
    assert tmp_path in storage.path.parents
    storage.create_events_table("events", [event()], EVENTS)
    storage.close()
    assert list(tmp_path.iterdir()) == []


def test_ephemeral_files_go_when_the_interpreter_ends(tmp_path: Path) -> None:
    script = "import mixpanel_data as mp; s = mp.StorageEngine.ephemeral(); print(s.path)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"TMPDIR": str(tmp_path)}
    )
    assert str(tmp_path) in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_missing_files_are_said_to_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "none.duckdb"
    for open_it in (lambda: StorageEngine.open_existing(path), lambda: StorageEngine(path=path, read_only=True)):
        with pytest.raises(DatabaseNotFoundError) as raised:
            open_it()
        assert isinstance(raised.value, FileNotFoundError)
        assert raised.value.db_path == str(path)
    assert not path.exists()


def test_other_files_are_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but longer than a header would be")
    with pytest.raises(NotADatabaseError):
        StorageEngine(path=path)
    assert path.read_text().startswith("not a database")


def test_one_file_is_opened_once_in_a_process(tmp_path: Path) -> None:
    path = tmp_path / "data.duckdb"
    link = tmp_path / "link.duckdb"
    link.symlink_to(path)
    with StorageEngine(path=path) as storage:
        with pytest.raises(DatabaseLockedError, match="close"):
            StorageEngine(path=path)
        with pytest.raises(DatabaseLockedError):
            StorageEngine(path=link)
        for place in (path, link):
            with pytest.raises(duckdb.ConnectionException, match="different configuration"):
                duckdb.connect(str(place))
        with duckdb.connect() as other, pytest.raises(duckdb.Error, match="already attached"):
            other.execute(f"ATTACH '{path}'")
        storage.create_events_table("events", [event()], EVENTS)
    with duckdb.connect(str(path)) as plain:
        assert plain.execute("SELECT count(*) FROM events").fetchone() == (1,)
        with pytest.raises(DatabaseLockedError) as raised:
            StorageEngine(path=path)
        assert raised.value.holding_pid is not None


def test_a_lock_of_another_process_names_it(tmp_path: Path) -> None:
    path = tmp_path / "data.duckdb"
    script = f"""
import sys, mixpanel_data as mp
s = mp.StorageEngine(path={str(path)!r})
s.create_events_table("events", [], mp.TableMetadata("events", __import__("datetime").datetime(2024, 1, 1)))
print("open", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(DatabaseLockedError) as raised:
            StorageEngine(path=path)
        assert raised.value.holding_pid == holder.pid
        with StorageEngine.open_snapshot(path) as snapshot:
            assert snapshot.read_only
            assert [table.name for table in snapshot.list_tables()] == ["events"]
        assert holder.stdin is not None
        holder.stdin.close()


def test_names_have_rules(storage: StorageEngine) -> None:
    for name in ("", "_mine", "two words", 'quo"te', "ünï"):
        with pytest.raises(InvalidArgumentError, match="name"):
            storage.create_events_table(name, [event()], EVENTS)
    storage.create_events_table("2024_events", [event()], EVENTS)
    with pytest.raises(TableExistsError) as raised:
        storage.create_events_table("2024_EVENTS", [event()], EVENTS)
    assert raised.value.table_name == "2024_EVENTS"
    with pytest.raises(TableNotFoundError) as missing:
        storage.append_events_table("other", [event()], EVENTS)
    assert missing.value.available_tables == ["2024_events"]
    with pytest.raises(ValueError, match="holds events"):
        storage.append_profiles_table("2024_events", [profile()], PROFILES)
    with pytest.raises(ValueError, match="metadata"):
        storage.create_events_table("third", [event()], PROFILES)


def test_dropped_tables_are_gone(storage: StorageEngine) -> None:
    storage.create_events_table("events", [event()], EVENTS)
    storage.drop_table("events")
    assert storage.list_tables() == []
    assert not storage.table_exists("events_flat")
    with pytest.raises(TableNotFoundError):
        storage.drop_table("events")
    with pytest.raises(TableNotFoundError):
        storage.get_schema("events")


def test_memory_that_is_full_says_what_to_do() -> None:
    with StorageEngine.memory(memory_limit=64 << 20, threads=1) as storage:
        with pytest.raises(OutOfMemoryError, match="ephemeral") as raised:
            storage.execute_df(
                "SELECT a.range, b.range FROM range(3000000) a JOIN range(3000000) b USING (range) ORDER BY ALL"
            )
        assert isinstance(raised.value, MemoryError)
        assert storage.execute_scalar("SELECT 1") == 1


def test_a_sealed_database_touches_no_file(tmp_path: Path) -> None:
    with StorageEngine.memory(sealed=True) as storage:
        storage.create_events_table("events", [event(1), event(2), event(1)], EVENTS)
        assert storage.append_profiles_table is not None
        with pytest.raises(QueryError):
            storage.execute_rows(f"COPY events TO '{tmp_path}/events.csv'")
        assert storage.execute_scalar("SELECT count(*) FROM events") == 2
    assert list(tmp_path.iterdir()) == []


def test_a_sealed_database_answers_queries_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    with StorageEngine(path=path) as storage:
        storage.create_events_table("events", [event(1), event(2)], EVENTS)
        with pytest.raises(InvalidArgumentError, match="open for writing"):
            storage.seal()
    secret = tmp_path / "secret.txt"
    secret.write_text("canary-7f3a")
    frame = pd.DataFrame({"secret": ["canary-7f3a"]})
    memory = StorageEngine.memory()
    memory.create_events_table("events", [event(1), event(2)], EVENTS)
    memory.seal()
    attacks = [
        f"SELECT content FROM read_text('{secret}')",
        f"FROM '{secret}'",
        "SELECT secret FROM frame",
        f"COPY events TO '{tmp_path}/out.csv'",
        f"ATTACH '{tmp_path}/other.duckdb'",
        "SET threads = 1",
        "SET python_enable_replacements = true",
        "CREATE TEMP TABLE a AS SELECT 1",
        "DELETE FROM _events",
        "SELECT 1; SELECT 2",
        "",
    ]
    # One after the other: a process has a file open once.
    for opened in [
        lambda: StorageEngine.open_existing(path, sealed=True),
        lambda: StorageEngine.open_snapshot(path, sealed=True),
        lambda: memory,
    ]:
        with opened() as storage:
            assert storage.is_sealed
            assert storage.execute_scalar("SELECT count(*) FROM events") == 2
            assert len(storage.execute_df("FROM events_flat")) == 2
            for attack in attacks:
                for ask in [storage.execute_rows, storage.execute_scalar, storage.execute_df, storage.execute]:
                    with pytest.raises(QueryError) as raised:
                        ask(attack)
                    assert "canary" not in str(raised.value)
                # What goes past our methods meets the settings.
                if attack.startswith(("SELECT content", "SELECT secret", "FROM", "COPY", "ATTACH", "SET")):
                    with pytest.raises(duckdb.Error):
                        storage.connection.execute(attack)
            for sql in ["DELETE FROM _events", "SELECT 1; SELECT 2", f"FROM read_text('{secret}')"]:
                with pytest.raises(SealedError):
                    storage.execute_rows(sql)
    assert len(frame) == 1
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.duckdb", "secret.txt"]


def test_time_zones_need_no_download(storage: StorageEngine) -> None:
    storage.create_events_table("events", [event()], EVENTS)
    sql = "SELECT event_time AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York' FROM events"
    assert storage.execute_scalar(sql) == datetime(2025, 6, 1, 4, 30, 15, 123456)
    assert storage.execute_scalar("SELECT now() - INTERVAL 1 DAY < now()") is True
    assert storage.execute_scalar("SELECT current_setting('TimeZone')") == "UTC"


def test_the_time_zone_cannot_be_changed(storage: StorageEngine) -> None:
    zone = "SELECT current_setting('TimeZone')"
    for sql in [
        "SET TimeZone = 'Asia/Tokyo'",
        "SET GLOBAL TimeZone = 'Asia/Tokyo'",
        "SET TIME ZONE 'America/New_York'",
        "PRAGMA TimeZone = 'Asia/Tokyo'",
        "SELECT 1; SET \"TimeZone\" = 'Asia/Tokyo'; CREATE TABLE never AS SELECT 1",
        "SET Calendar = 'japanese'",
    ]:
        with pytest.raises(QueryError, match="in every session"):
            storage.execute(sql)
        assert storage.execute_scalar(zone) == "UTC", sql
    with pytest.raises(QueryError, match="never"):
        storage.execute("FROM never")
    for sql in ["SET TimeZone = 'UTC'", "RESET TimeZone"]:
        storage.execute(sql)
        assert storage.execute_scalar(zone) in ("UTC", "Etc/UTC")


def test_strings_are_paths_too(tmp_path: Path) -> None:
    with StorageEngine(path=str(tmp_path / "a.duckdb")) as storage:
        assert storage.path == tmp_path / "a.duckdb"
    # As with duckdb itself.
    with StorageEngine(path=":memory:") as storage:
        assert (storage.path, storage.mode) == (None, "in-memory")
    assert not Path(":memory:").exists()
    for name in ["s3://bucket/a.duckdb", "md:events", Path("https://example.com/a.duckdb")]:
        with pytest.raises(InvalidArgumentError, match="file on this machine|DuckDB file"):
            StorageEngine(path=name)


def test_flags_exclude_each_other(tmp_path: Path) -> None:
    options: list[dict[str, Any]] = [
        {"_ephemeral": True, "_in_memory": True},
        {"path": tmp_path / "a", "_ephemeral": True},
        {"path": tmp_path / "a", "_in_memory": True},
    ]
    for flags in options:
        with pytest.raises(ValueError, match="not both|no path"):
            StorageEngine(**flags)


def test_an_exception_goes_on_while_a_database_is_let_go(tmp_path: Path) -> None:
    def fails() -> None:
        storage = StorageEngine(path=tmp_path / "a.duckdb")
        assert not storage.list_tables()
        raise LookupError("the caller's own")

    with pytest.raises(LookupError, match="the caller's own"):
        fails()
