# Short names for the commands in CONTRIBUTING.md.

# Lists the recipes.
default:
    @just --list

# Everything that CI runs, by the script that CI runs.
check:
    ./check

# The tests only.
test *args:
    cargo test --workspace --locked {{ args }}

# The Python package: built, checked, tested. Words go to pytest.
python *args:
    ci/python.sh {{ args }}

# The main job against the simulator, without an account.
demo *args:
    ./mp demo {{ args }}

# The promises of docs/reliability.md, attacked: `just prove` for all, `just prove torn` for a part. The
# figures are written into that page.
prove part='':
    ci/prove.py {{ part }}

# The benches, in the one profile that everything shares.
bench *args:
    cargo bench --workspace --locked --profile dev --bench '*' {{ args }}

# The library's documentation, warnings denied.
docs *args:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked {{ args }}
