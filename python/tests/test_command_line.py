"""The command line ``mp`` that comes with the package. What it prints is compared with the native one's elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mixpanel_data import __version__

CONSOLE = [str(Path(sys.executable).parent / "mp")]
MODULE = [sys.executable, "-m", "mixpanel_data"]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("program", [CONSOLE, MODULE], ids=["console", "module"])
def test_it_is_mp_by_either_name(program: list[str]) -> None:
    assert run(*program, "--version").stdout == f"mp {__version__}\n"
    wrong = run(*program, "sql", "--nonsense")
    assert wrong.returncode == 2
    assert "Usage: mp sql" in wrong.stderr
    asked = run(*program, "sql", "--memory", "--format", "csv", "SELECT 6 * 7 AS answer")
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "answer\n42\n", "")


def test_duckdb_is_imported_when_a_database_is_opened() -> None:
    def imported(*words: str) -> bool:
        done = run(sys.executable, "-X", "importtime", "-m", "mixpanel_data", *words)
        assert done.returncode == 0
        return "| duckdb\n" in done.stderr

    assert not imported("--version")
    assert not imported("help", "formats")
    assert imported("sql", "--memory", "SELECT 1")
