"""The command line program ``mp``: ``python -m mixpanel_data``, and the console command of that name.

It is the Rust program, run in this process over Python's ``duckdb``.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from mixpanel_data._core import run_command_line


def main() -> NoReturn:
    """Runs ``mp`` with the words of the command line, and ends the process with its exit code."""
    # By any name that the interpreter found it by, it is `mp`.
    code = run_command_line(["mp", *sys.argv[1:]])
    # At once: everything is closed and written, and an interpreter takes its time to go.
    os._exit(code)


if __name__ == "__main__":
    main()
