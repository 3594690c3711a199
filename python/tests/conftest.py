"""What the tests share: records, mocks, the simulator and the ``mp`` program."""

from __future__ import annotations

import os
import signal
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import pytest

from mixpanel_data import StorageEngine, TableMetadata, Workspace
from mixpanel_data.auth import ConfigManager, Credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

# A job in the background ignores Ctrl-C, and so does what is started from it: some tests send one.
signal.signal(signal.SIGINT, signal.default_int_handler)

NOW = datetime(2025, 7, 1, 12, tzinfo=timezone.utc)


def event(number: int = 1, **changes: Any) -> dict[str, Any]:
    """An event record."""
    record: dict[str, Any] = {
        "event_name": "Purchase",
        "event_time": datetime(2025, 6, 1, 8, 30, 15, 123456, tzinfo=timezone.utc),
        "distinct_id": f"user_{number}",
        "insert_id": f"event_{number}",
        "properties": {"plan": "pro", "amount": number},
    }
    return {**record, **changes}


def profile(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A profile record."""
    record = {"distinct_id": f"user_{number}", "properties": {"name": f"User {number}"}, "last_seen": NOW}
    return {**record, **changes}


EVENTS = TableMetadata(type="events", fetched_at=NOW)
PROFILES = TableMetadata(type="profiles", fetched_at=NOW)


@pytest.fixture
def storage() -> Iterator[StorageEngine]:
    with StorageEngine.memory() as engine:
        yield engine


@pytest.fixture(autouse=True)
def _no_credentials_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in list(os.environ):
        if name.startswith(("MP_", "MIXPANEL_")) and name != "MP_TEST_PROGRAM":
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    # A process that is started here imports the installed package, not the folder beside this one.
    monkeypatch.chdir(home)
    for name, place in (("HOME", ""), ("XDG_CONFIG_HOME", "c"), ("XDG_DATA_HOME", "d"), ("XDG_STATE_HOME", "s")):
        monkeypatch.setenv(name, str(home / place))


@pytest.fixture
def mock_config_manager() -> MagicMock:
    manager = MagicMock(spec=ConfigManager)
    manager.resolve_credentials.return_value = Credentials(
        username="test_user", secret="test_secret", project_id="12345", region="us"
    )
    return manager


@pytest.fixture
def mock_api_client() -> MagicMock:
    client = MagicMock()
    client.export_events.return_value = iter(
        [
            {
                "event": "Login",
                "properties": {"time": 1748736000, "distinct_id": "a", "$insert_id": "1", "plan": "pro"},
            },
            {
                "event": "Login",
                "properties": {"time": 1748736060, "distinct_id": "b", "$insert_id": "2", "plan": "free"},
            },
        ]
    )
    return client


@pytest.fixture(scope="session")
def program() -> Path:
    """The ``mp`` program that the Rust workspace built."""
    named = os.environ.get("MP_TEST_PROGRAM")
    target = Path(os.environ.get("CARGO_TARGET_DIR", Path.home() / ".cache/mixpanel-data/target"))
    path = Path(named) if named else target / "debug" / "mp"
    if not path.exists():
        pytest.fail(f"there is no program at {path}: build it (cargo build --workspace), or name it in MP_TEST_PROGRAM")
    return path


class Simulator:
    """A simulated Mixpanel in a process of its own."""

    PROJECT = "12345"
    USERNAME = "demo.sim.mp-service-account"
    SECRET = "sim-secret"

    def __init__(self, program: Path, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [str(program), "sim", "--port", "0", "--today", "2025-07-01", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url.startswith("http://127.0.0.1:"), self.url

    @property
    def environment(self) -> dict[str, str]:
        """What ``mp`` and ``Workspace`` find it by."""
        return {
            "MP_BASE_URL": self.url,
            "MP_PROJECT_ID": self.PROJECT,
            "MP_USERNAME": self.USERNAME,
            "MP_SECRET": self.SECRET,
        }

    def stop(self) -> None:
        """Ends the process."""
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture(scope="session")
def simulator(program: Path) -> Iterator[Simulator]:
    running = Simulator(program, "--days", "60", "--events-per-day", "200", "--no-limits")
    yield running
    running.stop()


@pytest.fixture
def credentials(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """The simulator's credentials, in the environment."""
    for name, value in simulator.environment.items():
        monkeypatch.setenv(name, value)
    return simulator


@pytest.fixture
def workspace(credentials: Simulator) -> Iterator[Workspace]:
    with Workspace.memory() as ws:
        yield ws
