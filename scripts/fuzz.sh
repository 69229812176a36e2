#!/usr/bin/env bash
# Runs fuzzers, each for some seconds, in a build of their own (build-fuzz, with clang and its sanitizers).
#   fuzz.sh SECONDS [TARGET...]     targets: decode requests answers; default: all, one after the other
# What has been found interesting stays in build-fuzz/corpus and is where the next run goes on. A finding is written to
# build-fuzz/findings; build-fuzz/tests/fuzz/fuzz_TARGET FILE repeats it.
set -euo pipefail
cd "$(dirname "$0")/.."

[[ ${1:-} =~ ^[0-9]+$ ]] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
seconds=$1
shift
[ $# -gt 0 ] || set -- decode requests answers

build="build-fuzz"
if [ ! -e $build/build.ninja ]; then
    CC=clang meson setup -Dfuzzing=true -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false \
        -Dc_args=-fsanitize=fuzzer-no-link $build
fi
targets=()
for target in "$@"; do
    [ -e "tests/fuzz/fuzz_$target.c" ] || { echo "fuzz: there is no fuzzer called '$target'" >&2; exit 2; }
    targets+=("tests/fuzz/fuzz_$target")
done
ninja -C $build "${targets[@]}"

mkdir -p $build/findings
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}
for target in "$@"; do
    mkdir -p "$build/corpus/$target"
    # One input that is long enough to begin with; the fuzzer does the rest.
    [ -e "$build/corpus/$target/start" ] || head -c 600 scripts/fuzz.sh >"$build/corpus/$target/start"
    echo "=== fuzz $target, $seconds s"
    if ! $build/tests/fuzz/fuzz_"$target" -max_total_time="$seconds" -max_len=2048 -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 -entropic=0 \
        -verbosity=0 -close_fd_mask=1 -artifact_prefix="$build/findings/$target-" "$build/corpus/$target"; then
        echo "fuzz: $target has found something, see above and $build/findings"
        exit 1
    fi
done
