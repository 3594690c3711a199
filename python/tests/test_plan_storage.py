"""The plan's unit tests of ``StorageEngine.memory()``."""

from datetime import datetime, timezone

import pytest

from mixpanel_data import StorageEngine
from mixpanel_data.types import TableMetadata

UTC = timezone.utc


class TestInMemoryMode:
    """Tests for in-memory database mode."""

    def test_memory_creates_in_memory_database(self) -> None:
        """Test that memory() creates a working in-memory database."""
        with StorageEngine.memory() as storage:
            assert storage.connection is not None
            assert storage.path is None
            storage.connection.execute("CREATE TABLE test (id INTEGER)")
            storage.connection.execute("INSERT INTO test VALUES (1)")
            result = storage.connection.execute("SELECT * FROM test").fetchone()
            assert result == (1,)

    def test_memory_returns_storage_engine_instance(self) -> None:
        """Test that memory() returns StorageEngine."""
        with StorageEngine.memory() as storage:
            assert isinstance(storage, StorageEngine)

    def test_memory_creates_unique_databases(self) -> None:
        """Test that each memory() call creates independent database."""
        with StorageEngine.memory() as s1, StorageEngine.memory() as s2:
            s1.connection.execute("CREATE TABLE test (id INTEGER)")
            s1.connection.execute("INSERT INTO test VALUES (1)")
            tables = s2.connection.execute(
                "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'test'"
            ).fetchone()
            assert tables == (0,)

    def test_memory_supports_events_table_creation(self) -> None:
        """Test that events can be stored in memory database."""
        with StorageEngine.memory() as storage:
            events = [
                {
                    "event_name": "Test",
                    "event_time": datetime.now(UTC),
                    "distinct_id": "user_1",
                    "insert_id": "event_1",
                    "properties": {"key": "value"},
                }
            ]
            metadata = TableMetadata(type="events", fetched_at=datetime.now(UTC))

            row_count = storage.create_events_table("events", iter(events), metadata)
            assert row_count == 1

            result = storage.execute_scalar("SELECT COUNT(*) FROM events")
            assert result == 1

    def test_memory_close_is_idempotent(self) -> None:
        """Test that close() can be called multiple times safely."""
        storage = StorageEngine.memory()
        storage.close()
        storage.close()
        storage.close()

    def test_memory_context_manager_cleanup(self) -> None:
        """Test context manager properly closes connection."""
        storage_ref = None
        with StorageEngine.memory() as storage:
            storage_ref = storage
            assert storage.connection is not None

        with pytest.raises(RuntimeError):
            _ = storage_ref.connection

    def test_memory_no_path_property(self) -> None:
        """Test that path is None for memory databases."""
        with StorageEngine.memory() as storage:
            assert storage.path is None

    def test_memory_introspection_works(self) -> None:
        """Test that list_tables, get_schema work on memory DB."""
        with StorageEngine.memory() as storage:
            assert storage.list_tables() == []

            events = [
                {
                    "event_name": "Test",
                    "event_time": datetime.now(UTC),
                    "distinct_id": "user_1",
                    "insert_id": "event_1",
                    "properties": {},
                }
            ]
            metadata = TableMetadata(type="events", fetched_at=datetime.now(UTC))
            storage.create_events_table("my_events", iter(events), metadata)

            tables = storage.list_tables()
            assert len(tables) == 1
            assert tables[0].name == "my_events"

            schema = storage.get_schema("my_events")
            assert schema.table_name == "my_events"

    def test_no_path_gives_the_plans_hint(self) -> None:
        """Test that a missing path names the two ways out."""
        hint = r"Use StorageEngine\.ephemeral\(\) or StorageEngine\.memory\(\) for temporary databases"
        with pytest.raises(ValueError, match=hint):
            StorageEngine()


class TestInMemoryIntegration:
    """Integration tests for in-memory storage."""

    def test_memory_full_workflow(self) -> None:
        """Test complete workflow with in-memory storage."""
        with StorageEngine.memory() as storage:
            events = [
                {
                    "event_name": f"Event_{i}",
                    "event_time": datetime.now(UTC),
                    "distinct_id": f"user_{i}",
                    "insert_id": f"event_{i}",
                    "properties": {"index": i},
                }
                for i in range(100)
            ]
            profiles = [
                {
                    "distinct_id": f"user_{i}",
                    "properties": {"name": f"User {i}"},
                    "last_seen": datetime.now(UTC),
                }
                for i in range(50)
            ]

            events_meta = TableMetadata(type="events", fetched_at=datetime.now(UTC))
            profiles_meta = TableMetadata(type="profiles", fetched_at=datetime.now(UTC))

            storage.create_events_table("events", iter(events), events_meta)
            storage.create_profiles_table("profiles", iter(profiles), profiles_meta)

            event_count = storage.execute_scalar("SELECT COUNT(*) FROM events")
            profile_count = storage.execute_scalar("SELECT COUNT(*) FROM profiles")

            assert event_count == 100
            assert profile_count == 50

            df = storage.execute_df("""
                SELECT e.event_name, p.properties->>'$.name' as user_name
                FROM events e
                JOIN profiles p ON e.distinct_id = p.distinct_id
                LIMIT 5
            """)
            assert len(df) == 5
