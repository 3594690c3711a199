"""Memory mode writes no file: the kernel is told to refuse it, and a control shows that it would be noticed."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
import resource, sys, datetime
import mixpanel_data as mp
# From here on, no file may grow: the system refuses each write to one.
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
def rows():
    for number in range(60_000):
        yield dict(event_name="a", event_time=datetime.datetime(2024, 1, 1), distinct_id=f"u{number}",
                   insert_id=str(number), properties={"n": number, "text": "x" * 100})
options = eval(sys.argv[1])
with mp.StorageEngine.memory(**options) as storage:
    storage.create_events_table("events", rows(), mp.TableMetadata("events", datetime.datetime(2024, 1, 1)))
    assert storage.execute_scalar("SELECT count(*) FROM events") == 60_000
    try:
        storage.execute_scalar("SELECT count(*) FROM (SELECT * FROM range(8000000) t(a) ORDER BY hash(a), a)"
                               " WHERE a = (SELECT max(b) FROM (SELECT unnest(range(3)) b))")
        storage.execute_rows("SELECT max(l) FROM (SELECT list(range) l FROM range(20000000) GROUP BY range % 1000003)")
    except mp.OutOfMemoryError:
        pass
sys.stderr.write("done")
"""


def run(tmp_path: Path, options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, options],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        env={"TMPDIR": str(tmp_path), "HOME": str(tmp_path)},
    )


def test_memory_mode_writes_no_file(tmp_path: Path) -> None:
    done = run(tmp_path, "dict(memory_limit=300_000_000, threads=2)")
    assert (done.returncode, done.stderr) == (0, "done")
    assert list(tmp_path.iterdir()) == []


def test_the_proof_notices_a_process_that_spills(tmp_path: Path) -> None:
    spill = tmp_path / "spill"
    spill.mkdir()
    done = run(tmp_path, f"dict(memory_limit=300_000_000, threads=2, spill_to={str(spill)!r})")
    assert done.returncode != 0
    assert "File too large" in done.stderr, done.stderr
