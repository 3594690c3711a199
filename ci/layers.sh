#!/usr/bin/env bash
# Proves the layer rules of ARCHITECTURE.md from the dependency tree.
# Compiles nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

failures=0

verdict() { # rule, expected, found
    if [ "$2" = "$3" ]; then
        printf 'ok      %s\n' "$1"
    else
        printf 'BROKEN  %s\n        expected: %s\n        found:    %s\n' "$1" "${2:-nothing}" "${3:-nothing}"
        failures=$((failures + 1))
    fi
}

# The packages of this workspace among cargo tree's lines, which name a path
# for them: `mp v0.1.0 (/path/to/crates/mp)`.
ours() {
    sed -n 's|^\([^ ]*\) v[^ ]* (/.*|\1|p' | sort -u | paste -sd ' ' -
}

# The packages of this workspace that depend on a crate directly, by any kind
# of edge: normal, build or test.
dependants() { # crate
    cargo tree --workspace --locked --invert "$1" --edges normal,build,dev --depth 1 --prefix none --format '{p}' | ours
}

# The packages of this workspace that a package depends on, directly or not.
depends_on() { # package, edges
    local tree
    tree=$(cargo tree --package "$1" --locked --edges "$2" --prefix none --format '{p}') || {
        echo "(cargo tree failed)"
        return
    }
    ours <<<"$tree" | tr ' ' '\n' | sed "/^$1\$/d" | paste -sd ' ' -
}

only() { # crate, the one package that may depend on it
    local found
    found=$(dependants "$1") || found="(cargo tree failed)"
    verdict "$1 is a dependency of $2 alone" "$2" "$found"
}

# In Cargo.lock, and so possible on some platform or with some feature.
locked() { # crate
    grep -qx "name = \"$1\"" Cargo.lock && echo "$1 in Cargo.lock" || true
}

# The crates of others with their features, as one of the workspaces selects them.
selected() { # folder, edges
    (cd "$1" && cargo tree --workspace --locked --edges "$2" --prefix none --format '{p}|{f}') |
        sed -E 's/ \((\*|proc-macro)\)//g' | grep -v ' (/' | sort -u
}

# Crates of the second file that the first one has with other features.
other_features() {
    comm -13 "$1" "$2" | cut -d '|' -f 1 | sort | comm -12 - <(cut -d '|' -f 1 "$1" | sort -u) | sort -u | paste -sd ';' -
}

# How DuckDB gets into the programs with these cargo flags.
duckdb_is() { # cargo flags...
    cargo tree --workspace --locked --invert libduckdb-sys --edges normal --depth 0 --prefix none --format '{f}' "$@" |
        tr ',' '\n' | grep -qx bundled && echo compiled || echo linked
}

verdict 'DuckDB is linked by default' linked "$(duckdb_is)"
verdict 'DuckDB is compiled in with the feature bundled' compiled "$(duckdb_is --features mp/bundled,mixpanel-data/bundled)"
only duckdb mixpanel-data
only reqwest mixpanel-client
only axum mixpanel-sim
only clap mp
verdict 'mixpanel-sim depends on no crate of ours, not even in tests' '' "$(depends_on mixpanel-sim normal,build,dev)"
verdict 'mixpanel-client depends on no crate of ours, apart from tests' '' "$(depends_on mixpanel-client normal,build)"
for crate in openssl openssl-sys native-tls; do
    verdict "$crate is absent; TLS is rustls" '' "$(locked "$crate")"
done

# What the two workspaces share is compiled once, and is the same code, if they
# have one profile and one version of each crate. Crates of ours are members of
# one of them alone, and only that one has a DuckDB.
profile() { # manifest
    sed -n '/^\[profile\.dev\]/,/^\[profile\.release\]/p' "$1" | grep ' = ' |
        grep -vE '^((lib)?duckdb(-sys)?|mixpanel-data-python|overflow-checks = true$|strip) =' | sort -u
}

other_versions() { # lock file, the one it is to agree with
    awk '/^name = / { name = $3 } /^version = / { print name, $3 }' "$2" "$1" | sort | uniq -u >"$differences"
    awk '/^name = / { print $3 }' "$2" | sort -u >"$names"
    awk '/^name = / { name = $3 } /^version = / { print name, $3 }' "$1" | sort -u |
        grep -Fxf "$differences" | while read -r name version; do
            if grep -qFx "$name" "$names"; then echo "$name $version"; fi
        done | paste -sd ' ' -
}

differences=$(mktemp) names=$(mktemp) program=$(mktemp) other=$(mktemp)
trap 'rm -f "$differences" "$names" "$program" "$other"' EXIT
# One crate with two sets of features is compiled twice, and so is all that is above it.
selected . normal,build >"$program"
selected . normal,build,dev >"$other"
verdict 'tests select no other features than the program' '' "$(other_features "$program" "$other")"
selected python normal,build >"$other"
verdict 'the Python package selects no other features than the program' '' "$(other_features "$program" "$other")"
verdict 'the Python package has the profile of the workspace' "$(profile Cargo.toml)" "$(profile python/Cargo.toml)"
verdict 'the Python package has the versions of the workspace' '' "$(other_versions python/Cargo.lock Cargo.lock)"
verdict 'the Python package has no DuckDB of its own' '' "$(grep -x 'name = "libduckdb-sys"' python/Cargo.lock || true)"

if [ "$failures" -gt 0 ]; then
    printf '%s layer rules are broken; ARCHITECTURE.md says what they are for\n' "$failures"
    exit 1
fi
