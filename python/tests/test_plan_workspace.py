"""The plan's unit tests of ``Workspace.memory()``, with injected mocks."""

from unittest.mock import MagicMock

from mixpanel_data import Workspace


class TestMemoryWorkspace:
    """Tests for in-memory workspaces."""

    def test_memory_creates_in_memory_storage(
        self,
        mock_config_manager: MagicMock,
        mock_api_client: MagicMock,
    ) -> None:
        """Test memory() creates workspace with in-memory storage."""
        with Workspace.memory(
            _config_manager=mock_config_manager,
            _api_client=mock_api_client,
        ) as ws:
            assert ws._storage._is_in_memory is True
            assert ws._storage.path is None

    def test_memory_info_reflects_in_memory(
        self,
        mock_config_manager: MagicMock,
        mock_api_client: MagicMock,
    ) -> None:
        """Test info() returns appropriate values for memory workspace."""
        with Workspace.memory(
            _config_manager=mock_config_manager,
            _api_client=mock_api_client,
        ) as ws:
            info = ws.info()
            assert info.path is None
            assert info.size_mb == 0.0
            assert info.created_at is None

    def test_memory_sql_operations_work(
        self,
        mock_config_manager: MagicMock,
        mock_api_client: MagicMock,
    ) -> None:
        """Test SQL operations work on memory workspace."""
        with Workspace.memory(
            _config_manager=mock_config_manager,
            _api_client=mock_api_client,
        ) as ws:
            ws.connection.execute("CREATE TABLE test (id INTEGER)")
            ws.connection.execute("INSERT INTO test VALUES (1)")

            result = ws.sql_scalar("SELECT COUNT(*) FROM test")
            assert result == 1

    def test_the_injected_objects_are_honoured(
        self,
        mock_config_manager: MagicMock,
        mock_api_client: MagicMock,
    ) -> None:
        """Test that credentials and events come from the injected objects."""
        with Workspace.memory(
            account="work",
            _config_manager=mock_config_manager,
            _api_client=mock_api_client,
        ) as ws:
            result = ws.fetch_events(from_date="2025-06-01", to_date="2025-06-01", where="true")
            assert (result.rows, result.table) == (2, "events")
            assert ws.sql_scalar("SELECT count(*) FROM events_flat WHERE plan = 'pro'") == 1
            assert ws.info().project_id == "12345"
        mock_config_manager.resolve_credentials.assert_called_once_with("work")
        mock_api_client.export_events.assert_called_once_with(
            from_date="2025-06-01", to_date="2025-06-01", events=None, where="true", limit=None
        )
        mock_api_client.close.assert_called_once_with()

    def test_objects_that_answer_anything_will_do(self) -> None:
        """Test that mocks without a specification do not disturb local work."""
        with Workspace.memory(_config_manager=MagicMock(), _api_client=MagicMock()) as ws:
            assert ws.sql_scalar("SELECT 42") == 42
            assert ws.info().size_mb == 0.0
