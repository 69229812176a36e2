#!/usr/bin/env bash
# Formatting and static analysis of everything that is written by hand, and of the generated manual pages.
#   BUILD=build lint.sh      the build folder must be built
# Runs every check before it fails. A tool that is not there is a failure: make setup NEED="deep bench" brings them all.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build}

failed=0
check() { # NAME COMMAND...
    local name=$1
    shift
    if "$@"; then
        echo "lint: $name: passed"
    else
        echo "lint: $name: FAILED"
        failed=1
    fi
}

folders=(src python drives tool examples tests include bench/programs bench/peers)
mapfile -t sources < <(find "${folders[@]}" -name '*.[ch]' -o -name '*.cc' | sort)
mapfile -t programs < <(find src python drives tool examples bench/programs bench/peers -name '*.c' | sort)
mapfile -t scripts < <(find scripts .ci -type f -exec grep -lE '^#!.*sh$' {} + | sort)
# Second names of pages are one line, .so, which mandoc does not like without a reason that matters here.
mapfile -t pages < <(find docs/man "$build/docs/man" -name '*.[1-8]' -exec grep -L '^\.so ' {} + | sort)

check clang-format clang-format --dry-run -Werror "${sources[@]}"
for header in tenon.h tenon-testing.h; do
    for language in c c++; do
        check "$header as $language" clang-tidy --quiet --checks='-*,readability-duplicate-include,clang-diagnostic-*' --warnings-as-errors='*' \
            "include/$header" -- -x "$language" -Wall -Wextra -pedantic -I include -I "$build/include"
    done
done
# One file a time: clang-tidy 14 mixes up the va_lists of several. On stderr it only counts what it has left out.
check clang-tidy xargs -0 -n 1 -P "$(nproc)" -a <(printf '%s\0' "${programs[@]}") \
    clang-tidy -p "$build" --quiet --warnings-as-errors='*' 2>/dev/null
check cppcheck cppcheck --quiet --error-exitcode=1 --inline-suppr --enable=warning,portability,performance \
    --suppressions-list=scripts/cppcheck-suppressions.txt -j "$(nproc)" --std=c11 -D_GNU_SOURCE -D__linux__ \
    -I include -I "$build/include" -I "$build/python/tenon" -I src "${programs[@]}"
check shellcheck shellcheck "${scripts[@]}"
check "shellcheck of completion" shellcheck -s bash tool/completion/tenon.bash
check mandoc mandoc -T lint -W warning "${pages[@]}"
exit "$failed"
