#!/usr/bin/env bash
# Builds what is published of the Python package: the wheel, which serves every
# Python from 3.10 on, and the source distribution. Then installs the wheel into
# an empty virtual environment and runs its `mp`.
#
#   ci/wheels.sh [FOLDER]    puts them into FOLDER, or dist
set -euo pipefail
cd "$(dirname "$0")/.."

out=$(mkdir -p "${1:-dist}" && cd "${1:-dist}" && pwd)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset PYTHONPATH

python3 -m venv "$work/tools"
"$work/tools/bin/pip" install --quiet --disable-pip-version-check \
    "$(grep '^maturin==' python/requirements.txt)" auditwheel==6.8.2
(cd python && "$work/tools/bin/maturin" build --locked --quiet --sdist --out "$work/made")
wheel=$(echo "$work"/made/*.whl)

case ${wheel##*/} in
    *-cp310-abi3-*) ;;
    *)
        echo "${wheel##*/} is not for every Python from 3.10 on" >&2
        exit 1
        ;;
esac
if [ "$(uname -s)" = Linux ]; then
    # Which systems it can be used on, by the symbols that it needs. The tag in
    # its name may not promise more.
    shown=$("$work/tools/bin/auditwheel" show "$wheel" | tr '\n' ' ')
    found=$(grep -oE 'following platform tag: +"[a-z0-9_]+"' <<<"$shown" | grep -oE 'manylinux_[0-9]+_[0-9]+_[a-z0-9_]+' || true)
    case ${wheel##*/} in
        *"${found:-no manylinux tag}"*) echo "auditwheel: $found" ;;
        *)
            printf '%s cannot be used everywhere where its name says:\n%s\n' "${wheel##*/}" "$shown" >&2
            exit 1
            ;;
    esac
fi

python3 -m venv "$work/user"
started=$SECONDS
"$work/user/bin/pip" install --quiet --disable-pip-version-check "$wheel"
(cd "$work" && "$work/user/bin/mp" demo --memory --days 7 >"$work/demo.txt" && "$work/user/bin/python" -m mixpanel_data --version)
grep -q 'Purchase' "$work/demo.txt"
echo "installed, and from an empty environment to the demo's answers in $((SECONDS - started)) s"

cp "$work"/made/* "$out"/
for file in "$work"/made/*; do
    printf '%s, %d kB\n' "$out/${file##*/}" "$(($(wc -c <"$file") / 1000))"
done
