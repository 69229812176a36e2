#!/usr/bin/env bash
# Builds with a sanitizer and runs all fast tests.
#   run-sanitized.sh asan|tsan      asan: addresses and undefined behaviour, in build-asan; tsan: threads, in build-tsan
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-} in
asan)
    sanitize=address,undefined
    TENON_PRELOAD=$("${CC:-cc}" -print-file-name=libasan.so)
    export TENON_PRELOAD
    ;;
tsan) sanitize=thread ;;
*)
    echo "usage: run-sanitized.sh asan|tsan" >&2
    exit 2
    ;;
esac
make all BUILD="build-$1" MESON_OPTIONS="-Dwerror=true -Db_sanitize=$sanitize -Db_lundef=false ${MESON_OPTIONS:-}"
# The thread sanitizer does not cope with all address layouts that newer kernels choose.
BUILD=build-$1 exec setarch "$(uname -m)" -R scripts/run-tests.sh
