#!/usr/bin/env bash
# Makes a tarball of `mp` with its completions and manual pages.
#
#   ci/package.sh              builds the release profile, DuckDB compiled in (a C++ compiler, about 40 minutes)
#   ci/package.sh PROGRAM      packs a program that is there already
#
# Unpacked below a prefix such as /usr/local or ~/.local, everything is in its place.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# -gt 0 ]; then
    program=$1
else
    cargo build --release --locked --bin mp --features mp/bundled,mixpanel-data/bundled
    program=${CARGO_TARGET_DIR:-target}/release/mp
fi

version=$("$program" --version | cut -d ' ' -f 2)
name=mp-$version-$(uname -m)-$(uname -s | tr '[:upper:]' '[:lower:]')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/$name
share=$root/share

mkdir -p "$root/bin" "$share/doc/mp" \
    "$share/bash-completion/completions" "$share/zsh/site-functions" "$share/fish/vendor_completions.d"
install -m 755 "$program" "$root/bin/mp"
# The release profile strips; a program from elsewhere may not be.
if command -v strip >/dev/null; then strip "$root/bin/mp"; fi
"$program" --quiet man "$share/man/man1"
"$program" completions bash >"$share/bash-completion/completions/mp"
"$program" completions zsh >"$share/zsh/site-functions/_mp"
"$program" completions fish >"$share/fish/vendor_completions.d/mp.fish"
cp README.md CHANGELOG.md LICENSE "$share/doc/mp/"

mkdir -p "${OUT:-.}"
tar -C "$work" -czf "${OUT:-.}/$name.tar.gz" "$name"
echo "${OUT:-.}/$name.tar.gz"
