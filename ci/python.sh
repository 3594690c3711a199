#!/usr/bin/env bash
# Builds the Python package's wheel, checks it and tests it as it would be
# installed, its `mp` too. With arguments, which go to pytest, only that. Needs python3, version 3.10 or newer, with
# pip; everything else comes into a virtual environment beside what cargo
# compiles.
set -euo pipefail
cd "$(dirname "$0")/../python"

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$(cd .. && pwd)/target}
venv=$CARGO_TARGET_DIR/python-venv
wheels=$CARGO_TARGET_DIR/python-wheels

# Made anew when Python or a version has changed.
state=$(python3 --version; cat requirements.txt)
if [ "$(cat "$venv/state" 2>/dev/null)" != "$state" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r requirements.txt
    printf '%s\n' "$state" >"$venv/state"
fi
export PATH=$venv/bin:$PATH VIRTUAL_ENV=$venv
# What pytest imports is the installed package, not the folder beside this one.
unset PYTHONPATH

rm -rf "$wheels"
maturin build --locked --quiet --out "$wheels"
wheel=$(echo "$wheels"/*.whl)
printf 'wheel: %s, %d kB\n' "${wheel##*/}" "$(($(wc -c <"$wheel") / 1000))"
if unzip -l "$wheel" 2>/dev/null | grep -i 'duckdb.*\.so'; then
    echo 'the wheel holds a DuckDB of its own; there must be one in a process' >&2
    exit 1
fi
pip install --quiet --disable-pip-version-check --force-reinstall --no-deps "$wheel"

ruff check .
ruff format --check .
mypy --strict mixpanel_data
(cd "$venv" && stubtest mixpanel_data._core)
pytest --pyargs tests mixpanel_data "$@"

# The wheel's `mp`: beside the native one, and with the native one's own tests of
# what is printed, how it ends, and what a terminal shows. They are compiled by
# now, if `cargo test --workspace` was run.
[ $# -eq 0 ] || exit 0
cd ..
. ci/duckdb.sh
# `--include-ignored` is for `other_program.rs`, which compares the two command by
# command.
MP_TEST_PROGRAM=$venv/bin/mp cargo test --workspace --locked ${duckdb_features[@]+"${duckdb_features[@]}"} --test it -- \
    --include-ignored output:: program:: signals:: terminal::
