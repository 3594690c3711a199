#!/usr/bin/env python3
"""Prepares the DuckDB library that the programs of this checkout link.

Compiling DuckDB takes the better part of an hour; this takes seconds. The
library comes to `.duckdb/libduckdb.so` (`.dylib` on macOS), where
`.cargo/config.toml` sends cargo. In this order:

1. `DUCKDB_LIB_DIR`, where it is set: a folder with a `libduckdb` of your own.
   Only its version is looked at.
2. On Linux, x86_64 and aarch64: the library inside PyPI's `duckdb` wheel. Its
   version and hashes stand in `ci/duckdb.txt`, and pip refuses anything else.
   The wheel's library is a Python module that exports DuckDB's whole C
   interface as well. Nothing of ours calls its Python half, so its references
   to Python's symbols are made optional (weak), and no Python is needed to
   load it. Not one instruction is changed.
3. On macOS: DuckDB's official release, downloaded by the `libduckdb-sys` crate
   from the address that this crate pins.

Elsewhere, and where you prefer it, DuckDB is compiled from source by the cargo
feature `bundled` (a C++ compiler and about 40 minutes): `MP_DUCKDB=bundled ./mp`.

Exit status: 0 the library is ready; 1 it is not, and standard error says why
and what to do; 3 there is no prebuilt library for this system.
"""

from __future__ import annotations

import hashlib
import os
import platform
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / ".duckdb"
PINNED = ROOT / "ci" / "duckdb.txt"
# What the C interface that our crates were written for promises to stay.
SERIES = "v2.0."

WAYS_OUT = """\
what you can do instead:
  - set DUCKDB_LIB_DIR to a folder that holds a libduckdb of version 2.0
  - compile DuckDB from source (a C++ compiler, about 40 minutes): MP_DUCKDB=bundled ./mp …
    or, with cargo: cargo build --features bundled"""


class Failure(Exception):
    """Why the library could not be prepared."""


def main() -> int:
    try:
        own = os.environ.get("DUCKDB_LIB_DIR")
        if own and Path(own).resolve() != PLACE:
            say(f"DuckDB: {check(Path(own))}, in {own} (DUCKDB_LIB_DIR)")
        elif sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64") and platform.libc_ver()[0] == "glibc":
            from_wheel()
        elif sys.platform == "darwin":
            from_release()
        else:
            say(f"DuckDB: there is no prebuilt library for {platform.system()} on {platform.machine()}")
            return 3
    except Failure as failure:
        say(f"DuckDB could not be prepared: {failure}\n{WAYS_OUT}")
        return 1
    return 0


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def from_wheel() -> None:
    library = PLACE / "libduckdb.so"
    state = hashlib.sha256(PINNED.read_bytes() + Path(__file__).read_bytes()).hexdigest()
    if ready(library, state):
        return
    version = PINNED.read_text().split("duckdb==")[1].split()[0]
    say(f"DuckDB {version}: downloading the library from PyPI (25 MB, once)")
    with tempfile.TemporaryDirectory() as folder:
        download(Path(folder))
        wheel = next(Path(folder).glob("duckdb-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            name = next(name for name in archive.namelist() if name.startswith("_duckdb.") and name.endswith(".so"))
            image = bytearray(archive.read(name))
    weakened = weaken_python_symbols(image)
    keep(library, image, state)
    say(f"DuckDB: {check(PLACE)}, in .duckdb ({len(image) // 1_000_000} MB, {weakened} Python symbols made optional)")


def from_release() -> None:
    library = PLACE / "libduckdb.dylib"
    manifest = ROOT / "ci" / "duckdb-release" / "Cargo.toml"
    state = hashlib.sha256(manifest.read_bytes() + Path(__file__).read_bytes()).hexdigest()
    if ready(library, state):
        return
    say("DuckDB: downloading the official release (once)")
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: value for name, value in os.environ.items() if name != "DUCKDB_LIB_DIR"}
        environment |= {"DUCKDB_DOWNLOAD_LIB": "1", "CARGO_TARGET_DIR": folder}
        # Outside of the checkout, whose settings name `.duckdb`.
        command = ["cargo", "build", "--locked", "--manifest-path", str(manifest)]
        if subprocess.run(command, env=environment, cwd=folder).returncode != 0:
            raise Failure("the download of DuckDB's official release failed; cargo says why above")
        found = next(Path(folder).rglob(library.name), None)
        if found is None:
            raise Failure(f"the official release brought no {library.name}")
        keep(library, found.read_bytes(), state)
    say(f"DuckDB: {check(PLACE)}, in .duckdb")


def ready(library: Path, state: str) -> bool:
    note = library.with_suffix(".state")
    return library.is_file() and note.is_file() and note.read_text() == state


def keep(library: Path, image: bytes | bytearray, state: str) -> None:
    """Puts the library in its place, whole or not at all."""
    PLACE.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=PLACE, delete=False) as file:
        file.write(image)
    os.chmod(file.name, 0o644)
    os.replace(file.name, library)
    library.with_suffix(".state").write_text(state)


def download(folder: Path) -> None:
    """The wheel, by pip, which compares it with the hashes of `ci/duckdb.txt`."""
    machine = platform.machine()
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in (26, 27, 28)]
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--require-hashes", "--only-binary=:all:", "--implementation=cp", "--python-version=3.12", "--abi=abi3",
        *(f"--platform={name}" for name in platforms), "--dest", str(folder), "--requirement", str(PINNED),
    ]  # fmt: skip
    pip = subprocess.run(command, capture_output=True, text=True)
    if pip.returncode == 0:
        return
    text = pip.stderr.strip() or pip.stdout.strip()
    if "No module named pip" in text:
        raise Failure("Python has no pip (on Debian and Ubuntu: apt install python3-pip)")
    if "DO NOT MATCH THE HASHES" in text:
        raise Failure(
            f"the wheel that was downloaded is not the one whose hash stands in ci/duckdb.txt; it was not used\n{text}"
        )
    if any(word in text for word in ("NewConnectionError", "Could not find a version", "Max retries", "timed out")):
        last = text.splitlines()[-1]
        raise Failure(f"the package index was not reached, or does not have this version ({last})")
    raise Failure(f"pip download failed\n{text}")


def weaken_python_symbols(image: bytearray) -> int:
    """Makes the undefined symbols of Python weak: the loader may leave them out.

    Returns how many there were. In an ELF file a symbol's binding is the upper
    half of `st_info`: 1 is global, 2 is weak.
    """
    if image[:5] != b"\x7fELF\x02":
        raise Failure("the library in the wheel is not a 64-bit ELF file")
    (section_offset,) = struct.unpack_from("<Q", image, 0x28)
    size, count = struct.unpack_from("<HH", image, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", image, section_offset + n * size) for n in range(count)]
    weakened = 0
    for section in sections:
        if section[1] != 11:  # SHT_DYNSYM
            continue
        names = sections[section[6]][4]
        for offset in range(section[4], section[4] + section[5], 24):
            name, info, _, defined_in = struct.unpack_from("<IBBH", image, offset)
            text = image[names + name : names + name + 3]
            if defined_in == 0 and info >> 4 == 1 and (text[:2] == b"Py" or text == b"_Py"):
                image[offset + 4] = 2 << 4 | info & 15
                weakened += 1
    return weakened


def check(folder: Path) -> str:
    """The version of the library in `folder`, which must be one we can link."""
    names = ["libduckdb.dylib" if sys.platform == "darwin" else "libduckdb.so"]
    library = next((folder / name for name in names if (folder / name).is_file()), None)
    if library is None:
        raise Failure(f"there is no {names[0]} in {folder}")
    # Loaded in a process of its own: a foreign library may do anything.
    code = (
        "import ctypes, sys; f = ctypes.CDLL(sys.argv[1]).duckdb_library_version; "
        "f.restype = ctypes.c_char_p; print(f().decode())"
    )
    loaded = subprocess.run([sys.executable, "-c", code, str(library.resolve())], capture_output=True, text=True)
    version = loaded.stdout.strip()
    if loaded.returncode != 0 or not version:
        why = (loaded.stderr.strip().splitlines() or ["it has no version"])[-1]
        raise Failure(f"{library} cannot be loaded as a DuckDB library: {why}")
    if not version.startswith(SERIES):
        raise Failure(f"{library} is DuckDB {version}; {SERIES[:-1]} is needed")
    return f"DuckDB {version}"


if __name__ == "__main__":
    sys.exit(main())
