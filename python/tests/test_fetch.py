"""Fetching from the simulator: the whole way, over HTTP."""

from __future__ import annotations

import os
import signal
import threading
from datetime import date
from typing import TYPE_CHECKING

import pytest

from mixpanel_data import (
    APIError,
    AuthenticationError,
    ConfigError,
    FetchProgress,
    FilterMismatchError,
    InvalidArgumentError,
    TableNotFoundError,
    Workspace,
)

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Simulator


def test_a_fetch_brings_whole_days(workspace: Workspace) -> None:
    result = workspace.fetch_events(from_date="2025-06-01", to_date=date(2025, 6, 10))
    assert (result.table, result.type, result.date_range) == ("events", "events", ("2025-06-01", "2025-06-10"))
    # The simulated world has a day on which nothing happened.
    assert (result.days_complete, result.days_empty) == (9, 1)
    assert result.lines == result.rows + result.duplicates + result.rejects
    assert result.rows == workspace.sql_scalar("SELECT count(*) FROM events") > 1_000
    days = workspace.sql_scalar("SELECT count(DISTINCT event_time::DATE) FROM events_flat")
    assert days == 9
    again = workspace.fetch_events(from_date="2025-06-01", to_date="2025-06-10")
    assert again.total_rows == result.rows
    assert result.df["day"].iloc[0] == "2025-06-01"


def test_progress_is_told_in_this_thread(workspace: Workspace) -> None:
    seen: list[tuple[FetchProgress, int]] = []
    workspace.fetch_events(
        from_date="2025-06-01",
        to_date="2025-06-30",
        on_progress=lambda state: seen.append((state, threading.get_ident())),
    )
    last = seen[-1][0]
    assert last.days_done == 30
    assert last.rows >= workspace.sql_scalar("SELECT count(*) FROM events")
    assert {thread for _, thread in seen} == {threading.get_ident()}


def test_filters_belong_to_the_table(workspace: Workspace) -> None:
    days = {"from_date": "2025-06-01", "to_date": "2025-06-02"}
    names = [row[0] for row in _names(workspace, days)]
    first = workspace.fetch_events("part", events=[names[0]], **days)
    assert workspace.sql_rows("SELECT DISTINCT event_name FROM part").rows == [(names[0],)]
    with pytest.raises(FilterMismatchError):
        workspace.fetch_events("part", events=[names[1]], **days)
    more = workspace.fetch_events("part", events=[names[1]], append=True, **days)
    assert more.total_rows > first.total_rows
    swapped = workspace.fetch_events("part", events=[names[1]], replace=True, **days)
    assert swapped.total_rows == more.total_rows - first.total_rows
    few = workspace.fetch_events("few", limit=5, **days)
    assert (few.lines, few.days_partial) == (5, 2)


def _names(workspace: Workspace, days: dict[str, str]) -> list[tuple[str]]:
    workspace.fetch_events("all_of_them", **days)
    return list(workspace.sql_rows("SELECT event_name FROM all_of_them GROUP BY 1 ORDER BY count(*) DESC"))


def test_a_sync_fetches_what_is_missing(workspace: Workspace) -> None:
    workspace.fetch_events(from_date="2025-06-01", to_date="2025-06-10")
    plan = workspace.plan(from_date="2025-06-01", to_date="2025-06-20")
    assert (plan.requests[-1].from_date, plan.requests[0].to_date) == ("2025-06-11", "2025-06-20")
    result = workspace.sync(from_date="2025-06-01", to_date="2025-06-20")
    assert (result.state, result.failed) == ("complete", [])
    assert sum(len(chunk.rows_by_day) for chunk in result.chunks) == 10
    coverage = workspace.coverage(from_date="2025-06-01", to_date="2025-06-21")
    assert [coverage.count(status) for status in ("complete", "empty", "missing")] == [19, 1, 1]
    assert coverage.to_dict()["days"][0]["status"] == "complete"
    assert workspace.sync(to_date="2025-06-20").requests == 0
    with pytest.raises(TableNotFoundError):
        workspace.coverage("nothing")


def test_pictures_are_drawn(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib").use("agg")
    result = workspace.fetch_events(from_date="2025-06-01", to_date="2025-06-03")
    assert [bar.get_height() for bar in result.plot().patches] == list(result.df["rows"])
    assert len(workspace.coverage(from_date="2025-06-01", to_date="2025-06-05").plot().patches) == 5


def test_results_render_in_notebooks(workspace: Workspace) -> None:
    result = workspace.fetch_events(from_date="2025-06-01", to_date="2025-06-03")
    for shown in (
        result,
        workspace,
        workspace.info(),
        workspace.table_schema("events"),
        workspace.plan(from_date="2025-06-01"),
    ):
        assert shown._repr_html_().startswith("<table>")
    assert "<b>" not in workspace.storage.execute_rows("SELECT '<b>' AS \"<b>\"")._repr_html_()


def test_arguments_that_make_no_sense_are_refused_before_anything_is_sent(workspace: Workspace) -> None:
    good = {"from_date": "2025-06-01", "to_date": "2025-06-02"}
    for bad in (
        {"from_date": "2025-6-1"},
        {"from_date": "yesterday"},
        {"from_date": "2025-06-03"},
        {"to_date": "2999-01-01"},
        {"limit": 0},
        {"max_workers": 0},
        {"batch_size": 1},
        {"chunk_days": 0},
        {"on_reject": "shrug"},
        {"append": True, "replace": True},
    ):
        with pytest.raises(ValueError):
            workspace.fetch_events(**{**good, **bad})
    with pytest.raises(InvalidArgumentError, match="name"):
        workspace.fetch_events("_mine", **good)
    assert workspace.tables() == []


def test_without_credentials_there_is_sql(monkeypatch: pytest.MonkeyPatch) -> None:
    with Workspace.memory() as ws:
        assert ws.sql_scalar("SELECT 1") == 1
        assert ws.info().project_id == "unknown"
        with pytest.raises(ConfigError, match="MP_USERNAME"):
            ws.fetch_events(from_date="2025-06-01", to_date="2025-06-01")
    monkeypatch.setenv("MP_USERNAME", "somebody")
    with pytest.raises(ConfigError, match="MP_SECRET, MP_PROJECT_ID not set"):
        Workspace.memory()
    with pytest.raises(ConfigError, match="no database is given"):
        _ = Workspace(_config_manager=_nobody()).storage


def _nobody() -> object:
    class Nobody:
        def resolve_credentials(self, account: str | None = None) -> None:
            return None

    return Nobody()


def test_refused_credentials_are_not_shown(credentials: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MP_SECRET", "canary-4711")
    with Workspace.memory() as ws:
        with pytest.raises(AuthenticationError) as raised:
            ws.fetch_events(from_date="2025-06-01", to_date="2025-06-01")
        error = raised.value
        assert error.status_code == 401
        for shown in (str(error), repr(error), str(error.to_dict()), repr(ws), repr(ws._credentials), str(vars(ws))):
            assert "canary" not in shown


def test_a_server_that_is_not_there_is_an_api_error(monkeypatch: pytest.MonkeyPatch, credentials: Simulator) -> None:
    from mixpanel_data import _core

    with Workspace.memory() as ws:
        # Without the retries, which wait.
        ws._project = _core.Project(
            username="u", secret="s", project_id=1, region="us", base_url="http://127.0.0.1:9", retries=0
        )
        with pytest.raises(APIError, match="connect"):
            ws.fetch_events(from_date="2025-06-01", to_date="2025-06-01")


def test_ctrl_c_ends_a_fetch_and_the_next_one_works(workspace: Workspace) -> None:
    def told(state: FetchProgress) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        workspace.fetch_events(from_date="2025-06-01", to_date="2025-06-30", chunk_days=1, on_progress=told)
    result = workspace.fetch_events(from_date="2025-06-01", to_date="2025-06-30")
    assert result.days_complete + result.days_empty == 30
    assert workspace.sql_scalar("SELECT count(*) FROM events") == result.total_rows


def test_a_callback_that_raises_ends_a_fetch(workspace: Workspace) -> None:
    def told(state: FetchProgress) -> None:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        workspace.fetch_events(from_date="2025-06-01", to_date="2025-06-30", on_progress=told)


def test_queries_run_beside_a_fetch(workspace: Workspace) -> None:
    workspace.fetch_events(from_date="2025-06-01", to_date="2025-06-01")
    rows = workspace.sql_scalar("SELECT count(*) FROM events")
    seen: list[int] = []

    def told(state: FetchProgress) -> None:
        seen.append(workspace.sql_scalar("SELECT count(*) FROM events"))

    workspace.fetch_events(from_date="2025-06-01", to_date="2025-06-20", on_progress=told)
    assert seen
    assert min(seen) >= rows


def test_the_default_database_is_that_of_mp(credentials: Simulator) -> None:
    with Workspace() as ws:
        ws.fetch_events(from_date="2025-06-01", to_date="2025-06-01")
        path = ws.db_path
    assert path is not None
    assert path.name == "12345.duckdb"
    assert path.parent.name == "mixpanel_data"
    with Workspace.open(path) as ws:
        assert ws.info().tables == ["events"]
        assert ws.info().created_at is not None


def test_accounts_come_from_the_file(tmp_path: Path, credentials: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    from mixpanel_data.auth import ConfigManager
    from mixpanel_data.exceptions import AccountNotFoundError

    secret = tmp_path / "secret"
    secret.write_text("sim-secret\n")
    config = tmp_path / "config.toml"
    config.write_text(
        f"""default = "work"
[accounts.work]
username = "demo.sim.mp-service-account"
secret_file = "{secret}"
project_id = 12345
base_url = "{credentials.url}"
[accounts.other]
username = "x"
secret = "y"
project_id = "1"
region = "EU"
"""
    )
    for name in ("MP_USERNAME", "MP_SECRET", "MP_BASE_URL", "MP_PROJECT_ID"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("MP_CONFIG_PATH", str(config))
    with Workspace.memory() as ws:
        assert ws.fetch_events(from_date="2025-06-01", to_date="2025-06-01").rows > 0
        assert ws.info().account == "work"
    manager = ConfigManager()
    assert [(account.name, account.is_default) for account in manager.list_accounts()] == [
        ("other", False),
        ("work", True),
    ]
    assert manager.resolve_credentials("other").region == "eu"
    with pytest.raises(AccountNotFoundError, match="other, work"):
        Workspace.memory(account="nobody")
    config.write_text("secret = [")
    with pytest.raises(ConfigError, match="config.toml"):
        Workspace.memory()
