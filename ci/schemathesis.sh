#!/usr/bin/env bash
# Sends the simulator what schemathesis makes of Mixpanel's published
# descriptions, and compares the answers with them. Needs cargo, python3 and
# curl; schemathesis is installed into a folder of its own, outside the checkout.
#
# Not part of ./check, as it needs Python and the network: the same schemas are
# checked by crates/mixpanel-sim/tests/it/openapi_query.rs.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${SCHEMATHESIS_VENV:-$HOME/.cache/mixpanel-data/schemathesis}
examples=${SCHEMATHESIS_EXAMPLES:-50}
base=http://127.0.0.1:8089
[ -x "$venv/bin/st" ] || { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet 'schemathesis>=4,<5'; }

cargo build --package mixpanel-sim --example serve
cargo run --quiet --package mixpanel-sim --example serve -- --no-limits &
server=$!
schema=$(mktemp --suffix=.yaml)
trap 'kill "$server"; rm -f "$schema"' EXIT
until curl --silent --output /dev/null "$base/sim/requests"; do
    kill -0 "$server"
    sleep 0.2
done

check() { # description, where it is served, name and secret
    printf '\n==> %s\n' "$1"
    "$venv/bin/python" ci/schemathesis/overlay.py "crates/mixpanel-sim/tests/openapi/$1.openapi.yaml" >"$schema"
    "$venv/bin/st" run "$schema" --url "$base$2" \
        --header "Authorization: Basic $(printf '%s' "$3" | base64 | tr -d '\n')" \
        --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
        --request-timeout 60 --phases fuzzing --max-examples "$examples" --generation-deterministic \
        --suppress-health-check all
}

account=demo.sim.mp-service-account:sim-secret
check query /api/query sim-project-secret:
check export /api/2.0 "$account"
check annotations /api/app "$account"
check lexicon-schemas /api/app "$account"
check ingestion '' "$account"
