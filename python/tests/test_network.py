"""Proxies and certificates as values of the environment and the file, and the bar of a fetch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mixpanel_data import ConfigError, FetchProgress, Workspace
from mixpanel_data._progress import _show
from mixpanel_data.auth import ConfigManager

if TYPE_CHECKING:
    from pathlib import Path


def test_the_way_is_taken_from_variables_and_the_file(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[settings]\nproxy = "http://configured.example:1"\nno_proxy = "a, b"\n')
    environ = {"HTTPS_PROXY": "http://shared.example:1", "no_proxy": "c", "UNRELATED": "x", "MP_CA_FILE": ""}
    assert ConfigManager(config, environ=environ).network() == {
        "$HTTPS_PROXY": "http://shared.example:1",
        "$no_proxy": "c",
        "proxy": "http://configured.example:1",
        "no_proxy": "a, b",
    }


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("MP_CA_FILE", "/nonexistent.pem", "cannot be read"),
        ("SSL_CERT_FILE", "/nonexistent.pem", "cannot be read"),
        ("HTTPS_PROXY", "socks5://proxy.example:1", "supported are http and https"),
    ],
)
def test_what_cannot_be_used_says_where_it_is_from(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str
) -> None:
    for variable, word in (("MP_USERNAME", "u"), ("MP_SECRET", "s"), ("MP_PROJECT_ID", "1"), (name, value)):
        monkeypatch.setenv(variable, word)
    monkeypatch.delenv("MP_BASE_URL", raising=False)
    # Before anything is sent.
    with Workspace.memory() as ws, pytest.raises(ConfigError, match=f"{name}.*{why}"):
        ws.events()


class Bar:
    """As much of tqdm's as is used."""

    def __init__(self) -> None:
        self.n, self.total, self.unit, self.unit_scale, self.said = 0, 30, "day", False, ""

    def set_postfix_str(self, text: str, refresh: bool) -> None:
        del refresh
        self.said = text

    @staticmethod
    def format_interval(seconds: float) -> str:
        return f"{seconds:.0f}s"


def test_the_bar_goes_by_rows_where_their_number_can_be_told() -> None:
    state: dict[str, Any] = {
        "rows": 500,
        "bytes_received": 1,
        "bytes_decoded": 1,
        "day": None,
        "days_done": 1,
        "elapsed_seconds": 1.0,
        "attempt": 1,
    }
    bar = Bar()
    _show(bar, FetchProgress(**state))
    assert (bar.n, bar.total, bar.unit, bar.said) == (1, 30, "day", "500 rows")
    _show(bar, FetchProgress(**state, rows_stored=400, rows_expected=2_000, remaining_seconds=3.0))
    assert (bar.n, bar.total, bar.unit, bar.said) == (500, 2_000, "row", "1 day stored, 3s left")
    # More rows than expected do not make it run over.
    _show(bar, FetchProgress(**{**state, "rows": 2_500}, rows_expected=2_000))
    assert (bar.n, bar.total, bar.said) == (2_500, 2_500, "1 day stored")
