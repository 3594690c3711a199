"""``fetch_events`` of a million events in Python against the Rust program, turn by turn.

Both fetch the same days from one simulator, into a new file each time. The program is the reference.

    python benches/fetch.py PATH_OF_MP [ROUNDS]
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCRIPT = """
import sys, mixpanel_data as mp
with mp.Workspace(path=sys.argv[1]) as ws:
    print(ws.fetch_events(from_date=sys.argv[2], to_date=sys.argv[3], progress=False).rows)
"""


def main() -> None:
    """Prints a table of rates."""
    program = str(Path(sys.argv[1]).resolve())
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    simulator = subprocess.Popen(
        [program, "sim", "--million"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert simulator.stdout is not None
    environment = {
        **os.environ,
        "MP_BASE_URL": simulator.stdout.readline().strip(),
        "MP_PROJECT_ID": "12345",
        "MP_USERNAME": "demo.sim.mp-service-account",
        "MP_SECRET": "sim-secret",
    }
    days = ("2025-06-02", "2025-07-01")
    rates: dict[str, list[float]] = {"mp fetch (reference)": [], "fetch_events in Python": []}
    try:
        with tempfile.TemporaryDirectory() as folder:
            # The simulator makes its events when they are asked for first.
            for number in range(-1, rounds):
                for name in rates:
                    path = Path(folder) / f"{number}.duckdb"
                    words = (
                        [program, "fetch", "events", "--from", days[0], "--to", days[1], "--db", str(path)]
                        if name.startswith("mp")
                        else [sys.executable, "-c", SCRIPT, str(path), *days]
                    )
                    began, used = time.perf_counter(), cpu()
                    # Elsewhere, so that Python imports the installed package and not the folder beside this one.
                    done = subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True)
                    if done.returncode != 0:
                        sys.exit(f"{name} failed:\n{done.stderr}")
                    wall = time.perf_counter() - began
                    path.unlink()
                    if number >= 0:
                        rates[name].append(1_000_000 / wall)
                        print(f"{name}: {wall:.1f} s, {cpu() - used:.1f} CPU s", file=sys.stderr)
    finally:
        simulator.terminate()
    best = {name: max(values) for name, values in rates.items()}
    reference = best["mp fetch (reference)"]
    print("| | events/s, best of the rounds | ratio |\n|---|---|---|")
    for name, rate in best.items():
        print(f"| {name} | {rate:,.0f} | {rate / reference:.2f} |")


def cpu() -> float:
    """CPU seconds of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
