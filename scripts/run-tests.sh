#!/usr/bin/env bash
# Runs all fast tests of one build folder and ends with one line: N passed, N failed, N skipped.
#   BUILD=build run-tests.sh
# Fails when a test fails, when a mount is left behind, or when a sanitizer has reported something.
set -euo pipefail
cd "$(dirname "$0")/.."

# In a mount namespace of its own: tests make namespaces, and each would hold copies of the mounts of whatever else runs here,
# whose umount then waits. What came along from outside is let go of at once.
own_mounts=()
if [ "$(id -u)" = 0 ] && unshare --mount true; then
    own_mounts=(unshare --mount --propagation private)
    [ -n "${TENON_OWN_MOUNTS:-}" ] || TENON_OWN_MOUNTS=yes exec "${own_mounts[@]}" scripts/run-tests.sh "$@"
    for place in $(findmnt -rno TARGET -t fuse.tenon); do
        umount -l "$place" || echo "run-tests: $place stays mounted in the tests' namespace"
    done
fi

build=$(realpath "${BUILD:-build}")
limit=${TEST_LIMIT:-900} # seconds for one suite
export TENON=${TENON:-$build/tenon} BUILD=$build

if [ "${CI:-}" = true ] && [ "$(id -u)" = 0 ] && { : <>/dev/fuse; } 2>/dev/null; then
    export TENON_REQUIRE=${TENON_REQUIRE:-mount,root${TENON_PROGRAMS:+,programs}}
fi

python=
for candidate in /usr/bin/python3 python3; do
    if "$candidate" -c 'import pytest' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || { echo "run-tests: no python3 with pytest; run make setup" >&2; exit 1; }

# Everything that the tests make lies below one folder, so that what they leave can be found.
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/tenon-test.XXXXXX")
export TMPDIR
chmod 1777 "$TMPDIR"
mounts() { awk -v folder="$TMPDIR/" 'index($5, folder) == 1 { print $5 }' /proc/self/mountinfo | sort -r; }
trap 'jobs -p | xargs -r kill; mounts | xargs -r umount -l; rm -rf "$TMPDIR"' EXIT

# A drive runs in the background, so a sanitizer's report goes to a file, not to a stream that nobody reads. (gcc's undefined-
# behaviour sanitizer does not obey beside the address sanitizer: it ends the drive, whose user then fails.)
reports=$TMPDIR/sanitizer
export ASAN_OPTIONS="halt_on_error=1:exitcode=99:detect_stack_use_after_return=1:log_path=$reports${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export UBSAN_OPTIONS="halt_on_error=1:exitcode=99:print_stacktrace=1:log_path=$reports${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
export TSAN_OPTIONS="halt_on_error=1:exitcode=99:second_deadlock_stack=1:log_path=$reports${TSAN_OPTIONS:+:$TSAN_OPTIONS}"

broken=0 # what no runner counts
rm -f "$build"/meson-logs/testlog*

programs() {
    timeout --kill-after=30 "$limit" meson test -C "$build" --timeout-multiplier 5 --print-errorlogs
}

xml=()
inside=()
strict=()
suite() { # NAME XML ARGUMENT...
    local name=$1 file=$2
    shift 2
    echo "== $name"
    timeout --signal=INT --kill-after=30 "$limit" "${inside[@]}" "$python" "${strict[@]}" -m pytest -q -p no:cacheprovider \
        -o faulthandler_timeout=300 --junitxml="$file" "$@"
}

# What takes longest runs beside the rest, and is shown when that is over.
parity=$build/meson-logs/pytest-parity.xml
rm -f "$parity"
inside=("${own_mounts[@]}")
suite tests/parity "$parity" tests/parity >"$TMPDIR/parity.log" 2>&1 &
beside=$!
inside=()
xml+=("$parity")

failed=0
programs || failed=1
for name in python checker hardlinks real tool examples bench; do
    compgen -G "tests/$name/test_*.py" >/dev/null || continue
    xml+=("$build/meson-logs/pytest-$name.xml")
    rm -f "${xml[-1]}"
    inside=()
    strict=()
    if [ "$name" = python ]; then
        strict=(-X dev -W error)
        # A sanitizer has to be there before Python loads what was built with it; what Python itself keeps is no leak.
        [ -z "${TENON_PRELOAD:-}" ] || inside=(env LD_PRELOAD="$TENON_PRELOAD" PYTHONMALLOC=malloc ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=0")
    fi
    suite "tests/$name" "${xml[-1]}" "tests/$name" || failed=1
done

# The behaviour of file systems once more as the root of a container, who is none of the machine's users.
if [ "$(id -u)" = 0 ] && "$python" tests/container.py true; then
    mkdir -m 1777 "$TMPDIR/container"
    xml+=("$TMPDIR/container/pytest.xml")
    inside=("$python" tests/container.py)
    suite "tests/parity in a container" "${xml[-1]}" -k "${TENON_THOROUGH:+vault- or }memory-" tests/parity/test_parity.py || failed=1
else
    echo "run-tests: skipped: parity in a container (needs root and user namespaces)"
fi

wait "$beside" || failed=1
cat "$TMPDIR/parity.log"

if [ -n "$(mounts)" ]; then
    mounts | sed 's/^/run-tests: still mounted: /'
    broken=$((broken + 1))
fi
if compgen -G "$reports*" >/dev/null; then
    cat "$reports"*
    echo "run-tests: a sanitizer has reported the above"
    broken=$((broken + 1))
fi

"$python" scripts/count_tests.py "$broken" "$build/meson-logs/testlog.json" "${xml[@]}" || failed=1
exit "$failed"
