"""Tests of `ci/duckdb.py`: what goes wrong is said, and nothing doubtful is used.

    python3 -m unittest ci/test_duckdb.py

Each test runs the script of a checkout of its own, a folder with nothing in it
but the script and its pinned version. No test needs a network.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
WHEELS = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")


class Checkout(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "ci").mkdir()
        for name in ("duckdb.py", "duckdb.txt"):
            shutil.copy(HERE / name, self.folder / "ci" / name)
        self.variables = {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0", "PIP_NO_INDEX": "1", "PIP_NO_CACHE_DIR": "1"}

    def run_script(self, python: str | Path = sys.executable, **variables: str) -> tuple[int, str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PIP_") and k != "DUCKDB_LIB_DIR"}
        environment |= self.variables | variables
        script = self.folder / "ci" / "duckdb.py"
        run = subprocess.run([str(python), str(script)], env=environment, capture_output=True, text=True)
        return run.returncode, run.stderr

    def assert_refused(self, outcome: tuple[int, str], *parts: str) -> None:
        status, text = outcome
        self.assertEqual(status, 1, text)
        for part in (*parts, "MP_DUCKDB=bundled", "DUCKDB_LIB_DIR"):
            self.assertIn(part, text)
        self.assertNotIn("Traceback", text)
        self.assertFalse((self.folder / ".duckdb" / "libduckdb.so").exists())

    def library(self, version: str) -> Path:
        """A folder with a library that says it is DuckDB of this version."""
        folder = self.folder / "own"
        folder.mkdir()
        source = folder / "duckdb.c"
        source.write_text(f'const char *duckdb_library_version(void) {{ return "{version}"; }}\n')
        name = "libduckdb.dylib" if sys.platform == "darwin" else "libduckdb.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(folder / name), str(source)], check=True)
        return folder


@unittest.skipUnless(WHEELS, "the wheel is for Linux")
class Wheel(Checkout):
    def test_a_wheel_with_another_hash_is_not_used(self) -> None:
        wheels = self.folder / "wheels"
        wheels.mkdir()
        name = f"duckdb-2.0.1-cp312-abi3-manylinux_2_28_{platform.machine()}.whl"
        with zipfile.ZipFile(wheels / name, "w") as wheel:
            wheel.writestr("_duckdb.abi3.so", b"something else")
            wheel.writestr("duckdb-2.0.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: duckdb\nVersion: 2.0.1\n")
            wheel.writestr("duckdb-2.0.1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\n")
            wheel.writestr("duckdb-2.0.1.dist-info/RECORD", "")
        self.assert_refused(self.run_script(PIP_FIND_LINKS=str(wheels)), "hash", "it was not used")

    def test_without_a_network(self) -> None:
        outcome = self.run_script(PIP_NO_INDEX="0", PIP_INDEX_URL="http://127.0.0.1:9/simple")
        self.assert_refused(outcome, "the package index was not reached")

    def test_without_pip(self) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(self.folder / "venv")], check=True)
        self.assert_refused(self.run_script(self.folder / "venv" / "bin" / "python"), "Python has no pip")


class Own(Checkout):
    def test_a_library_of_the_same_series_is_taken(self) -> None:
        status, text = self.run_script(DUCKDB_LIB_DIR=str(self.library("v2.0.7")))
        self.assertEqual(status, 0, text)
        self.assertIn("DuckDB v2.0.7", text)

    def test_a_library_of_another_version_is_refused(self) -> None:
        self.assert_refused(self.run_script(DUCKDB_LIB_DIR=str(self.library("v1.4.3"))), "v1.4.3", "v2.0 is needed")

    def test_a_folder_without_a_library_is_refused(self) -> None:
        self.assert_refused(self.run_script(DUCKDB_LIB_DIR=str(self.folder)), "there is no libduckdb")

    def test_what_is_no_library_is_refused(self) -> None:
        folder = self.library("v2.0.1")
        next(folder.glob("libduckdb.*")).write_bytes(b"no library")
        self.assert_refused(self.run_script(DUCKDB_LIB_DIR=str(folder)), "cannot be loaded")


if __name__ == "__main__":
    unittest.main()
