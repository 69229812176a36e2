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
# All scenarios on drives that answer every event later, but one that has so many that the limit of time is near.
step env TENON="$PWD/build/tests/late/tenon-late" BUILD="$PWD/build" python3 -m pytest tests/parity/test_parity.py -q -p no:cacheprovider \
    -k "(memory or vault) and not many_entries"
step scripts/lint.sh
step scripts/run-sanitized.sh asan
step scripts/run-sanitized.sh tsan
step scripts/fuzz.sh "${FUZZ_SECONDS:-300}"
[ "$failed" = 0 ] && echo "check-deep: passed"
exit "$failed"
