# Sourced by `./mp` and `./check`: makes DuckDB ready for cargo, and says in
# `duckdb_features` which features to build with. `MP_DUCKDB=bundled` asks for
# DuckDB compiled from source; so does a system without a prebuilt library.
duckdb_features=()
duckdb_ci=$(dirname "${BASH_SOURCE[0]}")
duckdb_ready=$duckdb_ci/../.duckdb/libduckdb.state
case ${MP_DUCKDB:-linked} in
    linked)
        if [ -z "${DUCKDB_LIB_DIR:-}" ] && [ "$duckdb_ready" -nt "$duckdb_ci/duckdb.py" ] &&
            [ "$duckdb_ready" -nt "$duckdb_ci/duckdb.txt" ]; then
            : # Prepared before, by the script and the hashes that are here now.
        elif command -v python3 >/dev/null; then
            duckdb_status=0
            python3 "$duckdb_ci/duckdb.py" || duckdb_status=$?
            case $duckdb_status in
                0) ;;
                3) MP_DUCKDB=bundled ;;
                *) exit 1 ;;
            esac
        elif [ -z "${DUCKDB_LIB_DIR:-}" ]; then
            cat >&2 <<'TEXT'
DuckDB is prepared by a script in Python 3, which is not installed here (Debian and Ubuntu: apt install python3 python3-pip).
what you can do instead:
  - set DUCKDB_LIB_DIR to a folder that holds a libduckdb of version 2.0
  - compile DuckDB from source (a C++ compiler, about 40 minutes): MP_DUCKDB=bundled ./mp …
TEXT
            exit 1
        fi
        ;;
    bundled) ;;
    *)
        echo "MP_DUCKDB is 'linked' (the default) or 'bundled', not '$MP_DUCKDB'." >&2
        exit 2
        ;;
esac
if [ "${MP_DUCKDB:-linked}" = bundled ]; then
    if ! command -v "${CXX:-c++}" >/dev/null; then
        echo 'Compiling DuckDB from source takes a C++ compiler (Debian and Ubuntu: apt install g++; macOS: xcode-select --install).' >&2
        exit 1
    fi
    echo 'DuckDB is compiled from source: about 40 minutes on two cores, once.' >&2
    duckdb_features=(--features mp/bundled,mixpanel-data/bundled)
fi
