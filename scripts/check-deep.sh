#!/usr/bin/env bash
# Everything that takes long: the tests under sanitizers, longer random runs, lint, and fuzzing.
set -euo pipefail
cd "$(dirname "$0")/.."

export TEST_LIMIT=${TEST_LIMIT:-3600} TENON_THOROUGH=1 TENON_ROUNDS=${TENON_ROUNDS:-20000}
failed=0
step() {
    echo "=== $*"
    "$@" || { failed=1; echo "=== $* FAILED"; }
}
step make test MESON_OPTIONS=-Dwerror=true
step scripts/lint.sh
step scripts/run-sanitized.sh asan
step scripts/run-sanitized.sh tsan
step scripts/fuzz.sh "${FUZZ_SECONDS:-300}"
[ "$failed" = 0 ] && echo "check-deep: passed"
exit "$failed"
