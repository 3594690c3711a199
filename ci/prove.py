#!/usr/bin/env python3
"""Runs the tests `prove_*`, the large set of attacks, and writes their figures into docs/reliability.md.

    ci/prove.py            all of them
    ci/prove.py torn       those whose names go on so

A test prints `figure | what | trials N | failures N | seed N | note`. A line of the table is replaced by the
new figure of the same name; the other lines stay. The exit code is that of the tests.
"""

import os
import re
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reliability.md"
BEGIN = "<!-- figures of `just prove` -->"
END = "<!-- end of the figures -->"
HEAD = ["| what | trials | failures | rate below (95 %) | seed | found |", "|---|---:|---:|---:|---:|---|"]
FIGURE = re.compile(r"figure \| (.+?) \| trials (\d+) \| failures (\d+) \| seed (\d+) \| ?(.*)$")


def bound(trials: int, failures: int) -> str:
    """The rule of three: no failure in n trials leaves a rate below 3/n, with 95 % confidence."""
    if failures or not trials:
        return "-"
    percent = 300 / trials
    return f"{percent:.2f} %" if percent >= 0.095 else f"{percent:.4f} %"


def row(figure: re.Match) -> list[str]:
    what, trials, failures, seed, note = figure.groups()
    trials, failures = int(trials), int(failures)
    return [what, f"{trials:,}", f"{failures:,}", bound(trials, failures), seed, note.strip()]


def table(page: str) -> dict[str, list[str]]:
    """The lines that are there, by what they are about."""
    inner = page.split(BEGIN, 1)[1].split(END, 1)[0]
    lines = [line for line in inner.splitlines() if line.startswith("| ") and line not in HEAD]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {line[0]: line for line in cells}


def written(page: str, figures: list[re.Match], minutes: float) -> str:
    rows = table(page)
    for figure in figures:
        rows[figure.group(1)] = row(figure)
    day = datetime.now(timezone.utc).date()
    lines = [BEGIN, "", *HEAD, *("| " + " | ".join(cells) + " |" for cells in rows.values()), ""]
    lines += [f"The last run was on {day}, on {os.cpu_count()} cores, and took {minutes:.0f} minutes.", "", END]
    before, rest = page.split(BEGIN, 1)
    return before + "\n".join(lines) + rest.split(END, 1)[1]


def main() -> int:
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    command = ["cargo", "test", "--workspace", "--locked", "--no-fail-fast", "--lib", "--bins", "--tests"]
    command += ["--", f"prove_{part}", "--ignored", "--nocapture", "--test-threads=1"]
    started, figures = time.monotonic(), []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, errors="replace") as tests:
        for line in tests.stdout:
            print(line, end="", flush=True)
            if found := FIGURE.search(line):
                figures.append(found)
    if not figures:
        print(f"no figure: is there a test prove_{part}…?", file=sys.stderr)
        return tests.returncode or 1
    minutes = (time.monotonic() - started) / 60
    PAGE.write_text(written(PAGE.read_text(), figures, minutes))
    print(f"\n{len(figures)} figures in {minutes:.1f} minutes, written into {PAGE.relative_to(ROOT)}:\n")
    for figure in figures:
        print("  " + " | ".join(row(figure)))
    return tests.returncode


if __name__ == "__main__":
    sys.exit(main())
